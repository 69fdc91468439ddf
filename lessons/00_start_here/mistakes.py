"""Planted wrong answers for exercise 00. Each names words of the message that a learner must get for it."""

import re

import numpy as np


def must_be_equal(answers, golds):
    return [answer in its_own for answer, its_own in zip(answers, golds, strict=True)]


def says_the_opposite(answers, golds):
    return [not any(gold in answer for gold in its_own) for answer, its_own in zip(answers, golds, strict=True)]


def gives_the_mean(answers, golds):
    return float(np.mean([any(gold in a for gold in its_own) for a, its_own in zip(answers, golds, strict=True)]))


def minds_capitals(answers, golds):
    return [any(gold in answer for gold in its_own) for answer, its_own in zip(answers, golds, strict=True)]


def first_gold_only(answers, golds):
    return [its_own[0].lower() in answer.lower() for answer, its_own in zip(answers, golds, strict=True)]


def all_golds_needed(answers, golds):
    return [all(g.lower() in a.lower() for g in its_own) for a, its_own in zip(answers, golds, strict=True)]


def parts_of_words(answers, golds):
    return [any(g.lower() in a.lower() for g in its_own) for a, its_own in zip(answers, golds, strict=True)]


def looks_before_only(answers, golds):
    return [
        any(re.search(rf"(?<!\w){re.escape(g)}", a, re.IGNORECASE) for g in its_own)
        for a, its_own in zip(answers, golds, strict=True)
    ]


def looks_after_only(answers, golds):
    return [
        any(re.search(rf"{re.escape(g)}(?!\w)", a, re.IGNORECASE) for g in its_own)
        for a, its_own in zip(answers, golds, strict=True)
    ]


def forgets_to_escape(answers, golds):
    return [
        any(re.search(rf"(?<!\w){g}(?!\w)", a, re.IGNORECASE) for g in its_own)
        for a, its_own in zip(answers, golds, strict=True)
    ]


def splits_at_spaces(answers, golds):
    return [
        any(f" {g.lower()} " in f" {a.lower().rstrip('.').replace(',', '')} " for g in its_own)
        for a, its_own in zip(answers, golds, strict=True)
    ]


def crashes_on_silence(answers, golds):
    right = []
    for answer, its_own in zip(answers, golds, strict=True):
        answer[0]
        right.append(any(re.search(rf"(?<!\w){re.escape(g)}(?!\w)", answer, re.IGNORECASE) for g in its_own))
    return right


def always_right(answers, golds):
    return [True for _ in answers]


def counts_from_zero(question, passages):
    parts = [f"[{number}] {title}\n{text}" for number, (title, text) in enumerate(passages)]
    return "\n\n".join([*parts, f"Question: {question}"])


def without_titles(question, passages):
    parts = [f"[{number}] {text}" for number, (_, text) in enumerate(passages, start=1)]
    return "\n\n".join([*parts, f"Question: {question}"])


def title_and_text_in_one_line(question, passages):
    parts = [f"[{number}] {title} {text}" for number, (title, text) in enumerate(passages, start=1)]
    return "\n\n".join([*parts, f"Question: {question}"])


def forgets_the_question(question, passages):
    return "\n\n".join(f"[{number}] {title}\n{text}" for number, (title, text) in enumerate(passages, start=1))


def question_first(question, passages):
    parts = [f"[{number}] {title}\n{text}" for number, (title, text) in enumerate(passages, start=1)]
    return "\n\n".join([f"Question: {question}", *parts])


def no_blank_line(question, passages):
    parts = [f"[{number}] {title}\n{text}" for number, (title, text) in enumerate(passages, start=1)]
    return "\n".join([*parts, f"Question: {question}"])


def only_the_first_passage(question, passages):
    parts = [f"[{number}] {title}\n{text}" for number, (title, text) in enumerate(passages[:1], start=1)]
    return "\n\n".join([*parts, f"Question: {question}"])


def worst_first(question, passages):
    return counts_from_one(question, passages[::-1])


def counts_from_one(question, passages):
    parts = [f"[{number}] {title}\n{text}" for number, (title, text) in enumerate(passages, start=1)]
    return "\n\n".join([*parts, f"Question: {question}"])


def all_number_one(question, passages):
    parts = [f"[1] {title}\n{text}" for title, text in passages]
    return "\n\n".join([*parts, f"Question: {question}"])


def stumbles_without_passages(question, passages):
    best = passages[0]
    return counts_from_one(question, [best, *passages[1:]])


def luck_is_no_answer(right, found):
    both = sum(r and f for r, f in zip(right, found, strict=True))
    misread = sum(f and not r for r, f in zip(right, found, strict=True))
    return [both, misread, len(right) - both - misread]


def mixes_up_the_causes(right, found):
    misread = sum(f and not r for r, f in zip(right, found, strict=True))
    return [sum(right), len(right) - sum(right) - misread, misread]


def right_and_misread(right, found):
    wrong = sum(not f and not r for r, f in zip(right, found, strict=True))
    return [sum(right), sum(found), wrong]


def counts_twice(right, found):
    misread = sum(f and not r for r, f in zip(right, found, strict=True))
    return [sum(right), misread, len(found) - sum(found)]


def shares_instead(right, found):
    misread = sum(f and not r for r, f in zip(right, found, strict=True))
    return [n / len(right) for n in (sum(right), misread, len(right) - sum(right) - misread)]


def smallest_and_largest(differences, draws):
    means = differences[draws].mean(axis=1)
    return float(means.min()), float(means.max())


def ninety_per_cent(differences, draws):
    return tuple(np.quantile(differences[draws].mean(axis=1), [0.05, 0.95]))


def spread_of_questions(differences, draws):
    return tuple(np.quantile(differences, [0.025, 0.975]))


def without_the_mean(differences, draws):
    return tuple(np.quantile(differences[draws].ravel(), [0.025, 0.975]))


def bell_curve(differences, draws):
    half = 1.96 * differences.std(ddof=1) / np.sqrt(len(differences))
    return differences.mean() - half, differences.mean() + half


def high_end_first(differences, draws):
    return tuple(np.quantile(differences[draws].mean(axis=1), [0.975, 0.025]))


def means_of_columns(differences, draws):
    return tuple(np.quantile(differences[draws].mean(axis=0), [0.025, 0.975]))


MISTAKES = [
    ("right", must_be_equal, "wrong", "Must an answer equal it"),
    ("right", says_the_opposite, "wrong", "the wrong way round"),
    ("right", gives_the_mean, "wrong", "Is this their mean"),
    ("right", minds_capitals, "wrong", "Do capitals make another country"),
    ("right", first_gold_only, "wrong", "the first gold answer only"),
    ("right", all_golds_needed, "wrong", "all of its gold answers, or one"),
    ("right", parts_of_words, "wrong", "Does an answer that says 20"),
    ("right", looks_before_only, "wrong", "And after it"),
    ("right", looks_after_only, "wrong", "And before it"),
    ("right", forgets_to_escape, "wrong", "a full stop fits any sign"),
    ("right", splits_at_spaces, "wrong", "A bracket is no part of a word"),
    ("right", crashes_on_silence, "crashed", "index out of range"),
    ("right", always_right, "wrong", "One answer holds its gold answer"),
    ("prompt", counts_from_zero, "wrong", "From which number do people count"),
    ("prompt", without_titles, "wrong", "Where is the title"),
    ("prompt", title_and_text_in_one_line, "wrong", "on lines of their own"),
    ("prompt", forgets_the_question, "wrong", "The question is missing"),
    ("prompt", question_first, "wrong", "Which comes first"),
    ("prompt", no_blank_line, "wrong", "a blank line before the question"),
    ("prompt", only_the_first_passage, "wrong", "How many passages were you given"),
    ("prompt", worst_first, "wrong", "Did the order change"),
    ("prompt", all_number_one, "wrong", "a number of its own"),
    ("prompt", stumbles_without_passages, "crashed", "index out of range"),
    ("causes", luck_is_no_answer, "wrong", "right without the right passage"),
    ("causes", mixes_up_the_causes, "wrong", "Which is which"),
    ("causes", right_and_misread, "wrong", "Can an answer that is right be misread"),
    ("causes", counts_twice, "wrong", "must add up"),
    ("causes", shares_instead, "wrong", "counts or shares"),
    ("interval", smallest_and_largest, "wrong", "Which share should the interval hold"),
    ("interval", ninety_per_cent, "wrong", "so that 95 % stay"),
    ("interval", spread_of_questions, "wrong", "or of the means of draws"),
    ("interval", without_the_mean, "wrong", "Where is the mean of each draw"),
    ("interval", bell_curve, "wrong", "What do the draws say"),
    ("interval", high_end_first, "wrong", "Which end comes first"),
    ("interval", means_of_columns, "wrong", "Each row of draws is one new set"),
]
