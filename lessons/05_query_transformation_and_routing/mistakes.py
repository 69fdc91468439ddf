"""Planted wrong answers for exercise 05. Each names words of the message that a learner must get for it."""

import re

import numpy as np


def keeps_the_marks(reply, limit):
    return [line.strip() for line in reply.splitlines() if line.strip()][:limit]


def takes_the_reply_for_one_query(reply, limit):
    return [reply]


def knows_one_mark_only(reply, limit):
    return [re.sub(r"^\d+\.\s+", "", line) for line in reply.splitlines() if line.strip()][:limit]


def cuts_two_letters(reply, limit):
    return [line[2:] for line in reply.splitlines() if line.strip()][:limit]


def searches_the_announcement(reply, limit):
    found = {}
    for line in reply.splitlines():
        text = re.sub(r"^\s*(?:\d+[.)]\s+|[-*]\s+)", "", line).strip().strip('"').strip()
        if text:
            found.setdefault(text.lower(), text)
    return list(found.values())[:limit]


def keeps_quotation_marks(reply, limit):
    lines = [re.sub(r"^\s*(?:\d+[.)]\s+|[-*]\s+)", "", line).strip() for line in reply.splitlines()]
    return [line for line in lines if line and not line.endswith(":")][:limit]


def cuts_sizes_in_two(reply, limit):
    found = {}
    for line in reply.splitlines():
        text = re.sub(r"^\s*(?:\d+[.)]\s*|[-*]\s+)", "", line).strip().strip('"').strip()
        if text and not text.endswith(":"):
            found.setdefault(text.lower(), text)
    return list(found.values())[:limit]


def searches_one_query_twice(reply, limit):
    lines = [re.sub(r"^\s*(?:\d+[.)]\s+|[-*]\s+)", "", line).strip().strip('"') for line in reply.splitlines()]
    return [line for line in lines if line and not line.endswith(":")][:limit]


def forgets_the_limit(reply, limit):
    found = {}
    for line in reply.splitlines():
        text = re.sub(r"^\s*(?:\d+[.)]\s+|[-*]\s+)", "", line).strip().strip('"').strip()
        if text and not text.endswith(":"):
            found.setdefault(text.lower(), text)
    return list(found.values())


def sides_without_a_question(question):
    left, _, right = question.rstrip("?").rpartition(", ")[2].partition(" or ")
    return [left, right]


def keeps_the_question_mark(question):
    stem, _, choice = question.rpartition(", ")
    left, _, right = choice.partition(" or ")
    return [f"{stem}: {left}", f"{stem}: {right}"]


def loses_the_question_of_the_second(question):
    left, _, right = question.rstrip("?").partition(" or ")
    return [left, right]


def knows_sides_of_one_word(question):
    match = re.fullmatch(r"(.+), (\S+) or (.+)\?", question)
    return [f"{match[1]}: {match[2]}", f"{match[1]}: {match[3]}"] if match else []


def cuts_at_the_first_comma(question):
    stem, comma, choice = question.rstrip("?").partition(", ")
    left, either, right = choice.partition(" or ")
    return [f"{stem}: {left}", f"{stem}: {right}"] if comma and either else []


def returns_the_question_unsplit(question):
    stem, comma, choice = question.rstrip("?").rpartition(", ")
    left, either, right = choice.partition(" or ")
    return [f"{stem}: {left}", f"{stem}: {right}"] if comma and either else [question]


def splits_without_a_comma(question):
    stem, _, choice = question.rstrip("?").rpartition(", ")
    left, either, right = choice.partition(" or ")
    return [f"{stem}: {left}", f"{stem}: {right}"] if either else []


def throws_the_query_away(query, made):
    texts = list(dict.fromkeys(text.strip() for text in made if text.strip()))
    return texts or [query], not texts


def puts_the_query_last(query, made):
    return [*made, query], not made


def returns_the_texts_only(query, made):
    return list(dict.fromkeys([query, *made]))


def counts_a_repetition_twice(query, made):
    texts = list(dict.fromkeys([query, *(text.strip() for text in made if text.strip())]))
    return texts, len(texts) == 1


def falls_back_in_silence(query, made):
    texts = {query.lower(): query}
    for text in made:
        if text.strip():
            texts.setdefault(text.strip().lower(), text.strip())
    return list(texts.values()), False


def searches_empty_texts(query, made):
    texts = {query.lower(): query}
    for text in made:
        texts.setdefault(text.lower(), text)
    return list(texts.values()), len(texts) == 1


def one_after_the_other(rankings):
    return list(dict.fromkeys(name for ranking in rankings for name in ranking))


def pairs_instead_of_a_list(rankings):
    return list(zip(*rankings, strict=False))


def lets_a_chunk_come_twice(rankings):
    longest = max((len(ranking) for ranking in rankings), default=0)
    return [ranking[rank] for rank in range(longest) for ranking in rankings if rank < len(ranking)]


def fuses_by_rank(rankings):
    scores = {}
    for ranking in rankings:
        for rank, name in enumerate(ranking, start=1):
            scores[name] = scores.get(name, 0) + 1 / (60 + rank)
    order = list(dict.fromkeys(name for row in zip(*rankings, strict=False) for name in row))
    return sorted(scores, key=lambda name: (-scores[name], order.index(name) if name in order else 99, name))


def stops_with_the_shortest(rankings):
    return list(dict.fromkeys(name for row in zip(*rankings, strict=False) for name in row))


def stumbles_over_a_short_one(rankings):
    longest = max((len(ranking) for ranking in rankings), default=0)
    return list(dict.fromkeys(ranking[rank] for rank in range(longest) for ranking in rankings))


def passages_only(query, passages):
    if not len(passages):
        return query
    mean = passages.mean(axis=0)
    return mean / np.linalg.norm(mean)


def forgets_the_length(query, passages):
    return np.vstack([query[None, :], passages]).mean(axis=0)


def query_against_all_passages(query, passages):
    if not len(passages):
        return query
    mean = (query + passages.mean(axis=0)) / 2
    return mean / np.linalg.norm(mean)


def first_passage_only(query, passages):
    mean = query + passages[0]
    return mean / np.linalg.norm(mean)


def averages_the_wrong_axis(query, passages):
    return np.vstack([query[None, :], passages]).mean(axis=1)


def number_instead_of_name(query, centroids, shelves, min_lead):
    return int(np.argmax(centroids @ query))


def goes_to_the_farthest(query, centroids, shelves, min_lead):
    return shelves[int(np.argmin(centroids @ query))]


def is_always_sure(query, centroids, shelves, min_lead):
    return shelves[int(np.argmax(centroids @ query))]


def takes_the_lead_for_a_height(query, centroids, shelves, min_lead):
    cosines = centroids @ query
    return shelves[int(np.argmax(cosines))] if cosines.max() >= min_lead else None


def compares_with_the_worst(query, centroids, shelves, min_lead):
    cosines = np.sort(centroids @ query)
    return shelves[int(np.argmax(centroids @ query))] if cosines[-1] - cosines[0] >= min_lead else None


def takes_a_tie_for_a_lead(query, centroids, shelves, min_lead):
    cosines = np.sort(centroids @ query)
    return shelves[int(np.argmax(centroids @ query))] if cosines[-1] - cosines[-2] >= min_lead else None


def takes_absolute_values(query, centroids, shelves, min_lead):
    cosines = np.abs(centroids @ query)
    best, second = np.argsort(-cosines, kind="stable")[:2]
    lead = cosines[best] - cosines[second]
    return shelves[best] if lead > 0 and lead >= min_lead else None


def swaps_truth_and_route(true, routed, shelves):
    table = np.zeros((len(shelves), len(shelves) + 1))
    for truth, choice in zip(true, routed, strict=True):
        if choice is None:
            table[shelves.index(truth), -1] += 1
        else:
            table[shelves.index(choice), shelves.index(truth)] += 1
    return table


def forgets_the_last_column(true, routed, shelves):
    table = np.zeros((len(shelves), len(shelves)))
    for truth, choice in zip(true, routed, strict=True):
        if choice is not None:
            table[shelves.index(truth), shelves.index(choice)] += 1
    return table


def gives_shares(true, routed, shelves):
    table = np.zeros((len(shelves), len(shelves) + 1))
    for truth, choice in zip(true, routed, strict=True):
        table[shelves.index(truth), -1 if choice is None else shelves.index(choice)] += 1
    return table / table.sum(axis=1, keepdims=True)


def drops_those_sent_to_all(true, routed, shelves):
    table = np.zeros((len(shelves), len(shelves) + 1))
    for truth, choice in zip(true, routed, strict=True):
        if choice is not None:
            table[shelves.index(truth), shelves.index(choice)] += 1
    return table


def leaves_out_what_it_does_not_know(true, routed, shelves):
    table = np.zeros((len(shelves), len(shelves) + 1))
    for truth, choice in zip(true, routed, strict=True):
        if choice is None:
            table[shelves.index(truth), -1] += 1
        elif choice in shelves:
            table[shelves.index(truth), shelves.index(choice)] += 1
    return table


def never_returns(true, routed, shelves):
    np.zeros((len(shelves), len(shelves) + 1))


# (task, wrong answer, status, words of the message)
MISTAKES = [
    ("reading", keeps_the_marks, "wrong", "Are the numbers part of the query"),
    ("reading", takes_the_reply_for_one_query, "wrong", "Each line is one"),
    ("reading", knows_one_mark_only, "wrong", "Which marks does your pattern know"),
    ("reading", cuts_two_letters, "wrong", "Is the space after the number"),
    ("reading", searches_the_announcement, "wrong", "Would you search for it"),
    ("reading", keeps_quotation_marks, "wrong", "Do the quotation marks belong"),
    ("reading", cuts_sizes_in_two, "wrong", "You cut the size of the second line in two"),
    ("reading", searches_one_query_twice, "wrong", "would vote twice"),
    ("reading", forgets_the_limit, "wrong", "limit is 2"),
    ("splitting", sides_without_a_question, "wrong", "Where is the question gone"),
    ("splitting", keeps_the_question_mark, "wrong", "question mark part of the second name"),
    ("splitting", loses_the_question_of_the_second, "wrong", "The second query lost its question"),
    ("splitting", cuts_at_the_first_comma, "wrong", "You cut at the first comma"),
    ("splitting", knows_sides_of_one_word, "wrong", "Must a side be one word"),
    ("splitting", returns_the_question_unsplit, "wrong", "An empty list says so"),
    ("splitting", splits_without_a_comma, "wrong", "no comma before it"),
    ("keeping", throws_the_query_away, "wrong", "Where is the original query"),
    ("keeping", puts_the_query_last, "wrong", "Which text comes first"),
    ("keeping", returns_the_texts_only, "wrong", "Two values are asked for"),
    ("keeping", counts_a_repetition_twice, "wrong", "Should it count twice"),
    ("keeping", falls_back_in_silence, "wrong", "A fallback that is silent"),
    ("keeping", searches_empty_texts, "wrong", "An empty text cannot be searched"),
    ("turns", one_after_the_other, "wrong", "one whole ranking after the other"),
    ("turns", pairs_instead_of_a_list, "wrong", "One flat list"),
    ("turns", lets_a_chunk_come_twice, "wrong", "Two chunks come twice"),
    ("turns", fuses_by_rank, "wrong", "This is RRF"),
    ("turns", stops_with_the_shortest, "wrong", "You stopped with the shortest"),
    ("turns", stumbles_over_a_short_one, "crashed", "list index out of range"),
    ("hyde", passages_only, "wrong", "Where is the query"),
    ("hyde", forgets_the_length, "wrong", "What is the length of this vector"),
    ("hyde", query_against_all_passages, "wrong", "Each of the four has one vote"),
    ("hyde", first_passage_only, "wrong", "There are three passages"),
    ("hyde", averages_the_wrong_axis, "wrong", "Expected an array of shape (5,)"),
    ("routing", number_instead_of_name, "wrong", "This is the number of the row"),
    ("routing", goes_to_the_farthest, "wrong", "This is the farthest shelf"),
    ("routing", is_always_sure, "wrong", "When are you not sure"),
    ("routing", takes_the_lead_for_a_height, "wrong", "a height or a lead"),
    ("routing", compares_with_the_worst, "wrong", "Do you compare with the second"),
    ("routing", takes_a_tie_for_a_lead, "wrong", "a tie is no lead"),
    ("routing", takes_absolute_values, "wrong", "Did you take absolute values"),
    ("confusions", swaps_truth_and_route, "wrong", "Rows and columns are swapped"),
    ("confusions", forgets_the_last_column, "wrong", "There is one more column"),
    ("confusions", gives_shares, "wrong", "Counts are asked for"),
    ("confusions", drops_those_sent_to_all, "wrong", "Where are they"),
    ("confusions", leaves_out_what_it_does_not_know, "wrong", "rather than leave it out"),
    ("confusions", never_returns, "not attempted", "Is there a return statement"),
]
