"""Checks of lesson 07. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from course_lib.classroom.check import Check, Probe, Slip, Task

NAMES = ("Ahlgren", "Brook", "Castellan", "Dovetail", "Elmbank", "Foxley", "Garnet", "Hartwell", "Ibex", "Juniper")


def _assembling_probes(rng: np.random.Generator) -> Sequence[Probe]:
    b, overhead = int(rng.integers(95, 115)), int(rng.integers(190, 210))
    lengths = [b, b + 5, b - 3, b]  # the first three take 3 b + 2
    budget = overhead + 3 * b + 20
    return (
        Probe(
            (lengths, overhead, budget),
            [0, 1, 2],
            "Add up overhead and lengths, passage by passage. When is the budget spent?",
            (
                Slip(3, "This is how many fit. Their positions are asked for."),
                Slip([1, 2, 3], "Are your positions counted from 0?"),
                Slip(lengths[:3], "These are lengths. Positions are asked for."),
                Slip([0, 1, 2, 3], "All four are shown. What do instruction and question take?"),
                Slip([2, 0, 3], "Did you take the shortest first? The passages come best first."),
                Slip([0, 1], "The third still fits: the overhead is taken once, not with every passage."),
            ),
        ),
        Probe(
            (lengths, overhead, overhead + 2 * b + 5),
            [0, 1],
            "The first two fill the budget to the last token. Do they fit?",
            (Slip([0], "The first two fill the budget exactly. Is your comparison strict?"),),
        ),
        Probe(
            ([b, b, 5 * b, 10], overhead, overhead + 2 * b + 50),
            [0, 1],
            "The third does not fit. What becomes of the fourth?",
            (
                Slip([0, 1, 3], "You went on behind the passage that did not fit. Stop there: a worse one must not take its place."),
                Slip([0, 1, 2], "The third is cut off somewhere in its middle. Whole passages only."),
            ),
        ),
        Probe(([b], overhead, overhead + b), [0], "One passage, and room for exactly one. What is shown?"),
        Probe(
            (lengths, overhead, overhead + b - 1),
            ValueError,
            "Not even the first passage fits. A prompt without passages would be a closed book: raise a ValueError that says so.",
        ),
    )  # fmt: skip


def _ends_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c, d, e, f = (str(name) for name in rng.permutation(NAMES)[:6])
    return (
        Probe(
            ([a, b, c, d, e],),
            [a, c, e, d, b],
            f"{a} is the best and comes first, {b} comes last, {c} second. Where do the others stand?",
            (
                Slip([a, b, c, d, e], "This is the order you were given. Which passage should be last?"),
                Slip([e, d, c, b, a], "The whole order is reversed: only one end is good now."),
                Slip([a, c, e, b, d], f"{b} is the second best and must be last. Which way round does the second half run?"),
                Slip([b, d, e, c, a], f"The best stands last, and the second best first. Where should {a} stand?"),
                Slip([e, c, a, b, d], "The best stands in the middle. It is the worst that belongs there."),
                Slip([a, e, b, d, c], f"You took from both ends of the ranking: {e}, the worst, comes second."),
            ),
        ),
        Probe(
            ([a, b, c, d, e, f],),
            [a, c, e, f, d, b],
            "With six passages two stand in the middle. Which two, and in which order?",
        ),
        Probe(([a, b],), [a, b], "Of two passages, one is first and one is last."),
        Probe(([a],), [a], "One passage stands at both ends."),
    )  # fmt: skip


def _citing_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c = (int(number) for number in rng.permutation([1, 2, 3]))
    if (a, b, c) == (1, 2, 3):
        a, b, c = 3, 1, 2  # the order of mention must not be the order of size
    year, beyond = int(rng.integers(2015, 2025)), int(rng.integers(6, 10))
    reply = f"The fee fell in {year} [{a}], as the notice [sic] of March says [{b}, {c}]. It fell again [{a}]."
    return (
        Probe(
            (reply, 3),
            ([a, b, c], []),
            "Read each pair of brackets that holds numbers, and divide at the commas.",
            (
                Slip(([a], []), "Only the brackets with one number are read. What about [1, 3]?"),
                Slip(([a, b, c, a], []), "One number is there twice. Each is reported once."),
                Slip(([1, 2, 3], []), "They are sorted. The order of the reply is asked for."),
                Slip(([year, a, b, c], []), "The year is no citation: it stands in no brackets."),
                Slip(([a, b, c], [year]), "The year is no citation: it stands in no brackets."),
                Slip([a, b, c], "Two lists are asked for: the known numbers and the others."),
                Slip(([str(a), str(b), str(c)], []), "These are texts. Whole numbers are asked for."),
                Slip(([a, b], []), "Of a bracket with two numbers only the first is read."),
            ),
        ),
        Probe(
            (f"The meter was sealed [1, {beyond}].", 4),
            ([1], [beyond]),
            f"There is no passage {beyond}. Who should learn of it?",
            (
                Slip(([1], []), "A passage is cited that does not exist, and your result hides it."),
                Slip(([1, beyond], []), f"There are 4 passages. Can {beyond} be one of them?"),
                Slip(([], [1, beyond]), "The bracket holds a known number beside the unknown one. Judge each by itself."),
            ),
        ),
        Probe(
            ("Both say so [12][3].", 12),
            ([12, 3], []),
            "Two brackets side by side, and a number of two digits.",
            (
                Slip(([1, 2, 3], []), "12 is one number, not two digits."),
                Slip(([3], []), "A number may have more than one digit."),
                Slip(([3], [12]), "There are 12 passages. Is the last one known?"),
            ),
        ),
        Probe(
            ("See [0] and [1].", 1),
            ([1], [0]),
            "Passages are numbered from 1. What is [0]?",
            (Slip(([0, 1], []), "Passages are numbered from 1, so there is no passage 0."),),
        ),
        Probe(("Nothing is cited here.", 2), ([], []), "No brackets, no citations: two empty lists."),
    )  # fmt: skip


def _spans_of(sentences: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    passage, spans = "", []
    for sentence in sentences:
        start = len(passage) + (1 if passage else 0)
        passage = f"{passage} {sentence}" if passage else sentence
        spans.append((start, start + len(sentence)))
    return passage, spans


def _spans_probes(rng: np.random.Generator) -> Sequence[Probe]:
    who, where = (str(name) for name in rng.permutation(NAMES)[:2])
    fee = int(rng.integers(20, 80))
    passage, spans = _spans_of([
        f"{who} opened the office in {where}.",
        f"A late payment costs {fee} euros, but not in {where}.",
        "Payment is by direct debit.",
    ])  # fmt: skip
    repeated, repeated_spans = _spans_of([
        "The the the the fee, the the, and nothing more of any use to us.", f"Our fee at {where} is {fee} euros.",
    ])  # fmt: skip
    capitals, capital_spans = _spans_of([f"In spring {who} charges euros.", f"{where.upper()} CHARGES {fee} EUROS."])
    tied, tied_spans = _spans_of([f"{who} likes apples.", f"{who} likes pears."])
    long, long_spans = _spans_of([
        "Fees differ.",
        f"From spring to autumn the fee in {where} is {fee} euros for everyone who lives in the old town.",
    ])  # fmt: skip
    return (
        Probe(
            (f"The late payment costs {fee} euros.", passage, spans),
            spans[1],
            "Count the words that the sentence shares with each stretch of the passage.",
            (
                Slip(1, "This is the number of the sentence. Its span is asked for."),
                Slip(passage[spans[1][0] : spans[1][1]], "This is the text. Its start and end are asked for."),
                Slip(spans[0], "This stretch shares fewer words. Did you take the smallest count, or the first stretch?"),
                Slip(spans[2], "Is it the most words in common that you take, or the shortest stretch, or the last one?"),
                Slip((0, spans[1][1] - spans[1][0]), "Your span begins at 0. Offsets count from the beginning of the passage."),
            ),
        ),
        Probe(
            (f"The fee at {where} is {fee}.", repeated, repeated_spans),
            repeated_spans[1],
            "One stretch repeats a word of the sentence. How many different words does it share?",
            (Slip(repeated_spans[0], "You count a repeated word again and again. How many different words are shared?"),),
        ),
        Probe(
            (f"{where} charges {fee} euros.", capitals, capital_spans),
            capital_spans[1],
            "One stretch is written in capitals. Are its words the same words?",
        ),
        Probe(
            (f"In {where} the fee is {fee} euros; fees differ.", long, long_spans),
            long_spans[1],
            "The most words in common, whatever the length of the stretch.",
            (Slip(long_spans[0], "You divide by the length of the stretch, so a short one wins. Count the words only."),),
        ),
        Probe(
            (f"{who} likes fruit.", tied, tied_spans),
            tied_spans[0],
            "Both stretches share two words. Which one is earlier?",
            (Slip(tied_spans[1], "Two stretches tie, and you take the later one. Is your comparison >= ?"),),
        ),
    )  # fmt: skip


def _abstaining_probes(rng: np.random.Generator) -> Sequence[Probe]:
    shift = float(rng.uniform(0, 0.04))
    scores = np.array([0.7, 0.2, 0.5, 0.3, 0.9, 0.1, 0.6, 0.4]) + shift
    answerable = np.array([True, False, True, True, True, False, False, True])
    # below 0.45: 0.2 no, 0.3 yes, 0.1 no, 0.4 yes: two of four are right; of three unanswerable, two are caught
    exact = np.array([0.5, 0.8, 0.3])
    return (
        Probe(
            (scores, answerable, 0.45 + shift),
            (2 / 4, 2 / 3),
            "Four scores are below. How many of those four questions have no answer? How many have none in all?",
            (
                Slip((2 / 3, 2 / 4), "The two are the other way round: precision first."),
                Slip((2 / 4, 2 / 5), "You divide by the answerable questions. Of what is recall a share?"),
                Slip((2 / 4, 2 / 8), "You divide by all questions. Of what is recall a share?"),
                Slip((3 / 4, 3 / 5), "This is the precision and recall of answering. Here abstaining is what is judged."),
                Slip((2 / 4, 1 / 3), "Did you count the unanswerable that got through? Recall counts those that were caught."),
                Slip((2 / 4, 4 / 8), "This is how often the system abstains. Recall is a share of the unanswerable."),
            ),
        ),
        Probe(
            (scores, answerable, 0.25 + shift),
            (1.0, 2 / 3),
            "Two scores are below, both of unanswerable questions.",
        ),
        Probe(
            (exact, np.array([True, True, False]), 0.5),
            (1.0, 1.0),
            "One score equals the threshold. Is it below?",
            (Slip((0.5, 1.0), "A score equal to the threshold is not below it. Is it <, or <= ?"),),
        ),
        Probe(
            (scores, answerable, 0.05),
            ValueError,
            "No score is below. A share of nothing is undefined: raise a ValueError that says so.",
        ),
    )  # fmt: skip


def _stopping_probes(rng: np.random.Generator) -> Sequence[Probe]:
    days = int(rng.integers(4, 30))
    answer = f"It takes {days} days."
    reply = f"{answer} \nQuestion: And in winter?\nAnswer: More."
    return (
        Probe(
            (reply, ["Question:"]),
            answer,
            "Everything before the stop, without the white space at its end.",
            (
                Slip(f"{answer} \n", "White space is left at the end."),
                Slip(f"{answer} \nQuestion:", "The stop itself is still there."),
                Slip(reply, "Nothing was cut. Where does the stop begin?"),
                Slip("And in winter?\nAnswer: More.", "This is what comes behind the stop. What comes before it?"),
                Slip(["It", "takes", str(days), "days."], "These are words. One text is asked for."),
            ),
        ),
        Probe(
            (reply, ["Answer:", "Question:"]),
            answer,
            "Two stops occur. Which comes first in the reply?",
            (
                Slip(f"{answer} \nQuestion: And in winter?", "You cut at the first stop of the list, or at the last in the reply. Which one occurs earliest?"),
            ),
        ),
        Probe(
            (f"{answer}\nOr {days + 1}.\nOr {days + 2}.", ["\n"]),
            answer,
            "The stop occurs twice. Where should the reply end?",
            (Slip(f"{answer}\nOr {days + 1}.", "You cut where the stop occurs last. Where does it occur first?"),),
        ),
        Probe(
            (f"  {answer}", ["###", "Question:"]),
            f"  {answer}",
            "No stop occurs. What is returned?",
            (
                Slip(answer, "The white space at the beginning is gone, too. Only the end was to be trimmed."),
                Slip("", "No stop occurs, and nothing is left. What does find return then?"),
                Slip(f"  {answer}"[:-1], "No stop occurs, and the last letter is gone. What does find return then?"),
            ),
        ),
        Probe((f"{answer}\n\n", ["###"]), answer, "No stop occurs, but there is white space at the end. Is it trimmed in this case, too?"),
        Probe(("###", ["###"]), "", "The reply begins with the stop. What comes before it?"),
    )  # fmt: skip


def _greedy_probes(rng: np.random.Generator) -> Sequence[Probe]:
    size = 6
    chain = [int(token) for token in rng.permutation(size)]  # chain[0] begins, chain[-1] ends
    logits = rng.uniform(-2, 2, size=(size, size))
    for last, following in pairwise(chain):
        logits[last, following] = 4.0
    logits[chain[-1], chain[0]] = 4.0
    first, end, path = chain[0], chain[-1], chain[1:-1]
    ties = np.full((4, 4), -1.0)
    ties[0, [1, 3]] = 2.0
    ties[1, [2, 3]] = 2.0
    ties[2, 3] = 2.0
    ties[3, 0] = 2.0
    return (
        Probe(
            (logits, first, end, 20),
            path,
            "Go from row to row: the row of the last token says which comes next.",
            (
                Slip([*path, end], "The end token is part of your result. It says stop, and is no part of the reply."),
                Slip([first, *path], "The token you begin with is not new."),
                Slip([first, *path, end], "Only new tokens are asked for, without the end token."),
                Slip([path[0]] * 20, "You look at the same row each time. Which token was the last one?"),
                Slip(path[0], "This is one step. Repeat it until the end token comes."),
                Slip(path[:1], "Your list holds a single token. What ends the loop?"),
                Slip([float(logits[a, b]) for a, b in zip(chain, path, strict=False)], "These are logits. The ids of the tokens are asked for."),
                Slip(path[:-1], "The last token before the end is missing. When do you look whether it is the end?"),
            ),
        ),
        Probe(
            (logits, first, end, 2),
            path[:2],
            "Two new tokens at most.",
            (
                Slip(path[:1], "One token is missing. Does the first count among the new ones?"),
                Slip(path[:3], "There is one token too many. When do you count?"),
                Slip(path, "max_new_tokens has no effect on your result."),
            ),
        ),
        Probe(
            (ties, 0, 3, 5),
            [1, 2],
            "Two tokens have the same logit. Which has the lower id?",
            (Slip([], "At a tie you take the highest id. The lowest is asked for."),),
        ),
        Probe((ties, 2, 3, 5), [], "The end token comes at once. What is the reply?"),
    )  # fmt: skip


TASKS = (
    Task(
        "assembling",
        "passages_within",
        "Whole passages within a budget",
        3,
        _assembling_probes,
        (
            "Begin with used = overhead, and add one length after the other.",
            "As soon as used > budget, leave the loop: nothing behind it is shown.",
            "If the list of positions is empty at the end, raise a ValueError.",
        ),
        "Half a passage may hold half a sentence, and half a sentence can say the opposite of the whole. What is left out is "
        "left out whole, and from the bottom of the ranking. The overhead counts: the limit is on the prompt, not on passages.",
    ),
    Task(
        "ends",
        "best_at_ends",
        "The best at both ends",
        2,
        _ends_probes,
        (
            "Places 1, 3, 5 of the ranking go to the front in this order. Places 2, 4, 6 go to the back.",
            "ranking[0::2] are the first kind, ranking[1::2] the second.",
            "The second kind must be turned round: ranking[0::2] + ranking[1::2][::-1]",
        ),
        "Liu et al. (2023) found that models use the beginning and the end of a long context better than its middle. Whether "
        "yours does is a question to measure: the order of passages is a knob like any other.",
    ),
    Task(
        "citing",
        "cited_numbers",
        "Read the citations",
        3,
        _citing_probes,
        (
            r"re.findall(r'\[([\d,\s]+)\]', reply) gives what stands in brackets of numbers.",
            "Divide each at the commas and make whole numbers; dict.fromkeys keeps the first of each, in order.",
            "known: 1 <= number <= n_passages. All others go into the second list.",
        ),
        "A citation to a passage that was never shown is a sign of invention. Dropped in silence, it makes the reply look better "
        "than it is. Reported, it can be counted, and the reply can be held back.",
    ),
    Task(
        "spans",
        "supporting_span",
        "From a sentence to its span",
        3,
        _spans_probes,
        (
            r"set(re.findall(r'\w+', text.lower())) is the set of different words of a text.",
            "The text of a span is passage[start:end]. Count len(wanted & words_of_it).",
            "max(spans, key=...) returns the first of several that tie.",
        ),
        "Shared words say where to look, so that a reader can check in seconds. They do not say that the passage proves the "
        "sentence: 'not in winter' shares two words with 'in winter'. Lesson 08 measures what does.",
    ),
    Task(
        "abstaining",
        "abstention",
        "What abstaining is worth",
        2,
        _abstaining_probes,
        (
            "abstained = scores < threshold; the abstentions that are right are abstained & ~answerable.",
            "Precision divides by the abstentions, recall by the unanswerable questions.",
            "Look at abstained.any() before you divide.",
        ),
        "A system that always abstains has a recall of 1, one that abstains once, rightly, a precision of 1. Only both together "
        "say something, and both depend on how many of the questions are unanswerable.",
    ),
    Task(
        "stopping",
        "cut_at_stop",
        "Stop",
        2,
        _stopping_probes,
        (
            "reply.find(stop) is the place where a stop begins, and -1 where it does not occur.",
            "Keep the places of the stops that occur, and take the smallest.",
            "min(places, default=len(reply)) covers the case without any.",
        ),
        "A model that was tuned on dialogues may go on and ask itself the next question. A stop string ends the reply there, and "
        "decoding, too: tokens that nobody reads need not be made.",
    ),
    Task(
        "greedy",
        "greedy_decode",
        "Greedy decoding",
        3,
        _greedy_probes,
        (
            "np.argmax(logits[last]) is the next token; where two tie, argmax returns the lower id.",
            "Look whether it is the end token before you append it.",
            "The loop runs while fewer than max_new_tokens tokens have been made.",
        ),
        "A real model computes the row of logits from all tokens so far instead of looking it up. All else is this loop. It has "
        "no memory of a plan: each step takes the best token now, and an early wrong one is never taken back.",
    ),
)

check = Check("07_augment_and_generate", TASKS)
