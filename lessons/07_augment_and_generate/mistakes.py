"""Planted wrong answers for exercise 07. Each names words of the message that a learner must get for it."""

import re

import numpy as np


def first_that_fit(n_tokens, overhead, budget):
    used, shown = overhead, []
    for position, length in enumerate(n_tokens):
        used += length
        if used > budget:
            break
        shown.append(position)
    if not shown:
        raise ValueError("none fits")
    return shown


def forgets_the_overhead(n_tokens, overhead, budget):
    return first_that_fit(n_tokens, 0, budget)


def overhead_every_time(n_tokens, overhead, budget):
    used, shown = 0, []
    for position, length in enumerate(n_tokens):
        used += length + overhead / 2
        if used > budget:
            break
        shown.append(position)
    if not shown:
        raise ValueError("none fits")
    return shown


def counts_them(n_tokens, overhead, budget):
    return len(first_that_fit(n_tokens, overhead, budget))


def strictly_below(n_tokens, overhead, budget):
    return first_that_fit(n_tokens, overhead + 1, budget)


def passes_over_the_long_one(n_tokens, overhead, budget):
    used, shown = overhead, []
    for position, length in enumerate(n_tokens):
        if used + length <= budget:
            used += length
            shown.append(position)
    if not shown:
        raise ValueError("none fits")
    return shown


def cuts_the_last(n_tokens, overhead, budget):
    used, shown = overhead, []
    for position, length in enumerate(n_tokens):
        if used + 30 > budget:
            break
        shown.append(position)
        used += length
    if budget < overhead + n_tokens[0]:
        raise ValueError("none fits")
    return shown


def shows_nothing_quietly(n_tokens, overhead, budget):
    try:
        return first_that_fit(n_tokens, overhead, budget)
    except ValueError:
        return []


def counts_from_one(n_tokens, overhead, budget):
    return [position + 1 for position in first_that_fit(n_tokens, overhead, budget)]


def shortest_first(n_tokens, overhead, budget):
    used, shown = overhead, []
    for position in np.argsort(n_tokens, kind="stable"):
        used += n_tokens[position]
        if used > budget:
            break
        shown.append(int(position))
    return shown


def leaves_the_order(ranking):
    return list(ranking)


def turns_it_round(ranking):
    return ranking[::-1]


def second_half_upright(ranking):
    return ranking[0::2] + ranking[1::2]


def best_comes_last(ranking):
    return ranking[1::2] + ranking[0::2][::-1]


def best_in_the_middle(ranking):
    return ranking[0::2][::-1] + ranking[1::2]


def takes_from_both_ends(ranking):
    left, taken = list(ranking), []
    while left:
        taken.append(left.pop(0))
        if left:
            taken.append(left.pop())
    return taken


def pops_the_argument(ranking):
    front, back = [], []
    while ranking:
        front.append(ranking.pop(0))
        if ranking:
            back.insert(0, ranking.pop(0))
    return front + back


def numbers_of(reply):
    inside = re.findall(r"\[([\d,\s]+)\]", reply)
    return [int(number) for part in inside for number in part.split(",")]


def divided(numbers, n_passages):
    numbers = list(dict.fromkeys(numbers))
    return [n for n in numbers if 1 <= n <= n_passages], [n for n in numbers if not 1 <= n <= n_passages]


def single_brackets_only(reply, n_passages):
    return divided([int(number) for number in re.findall(r"\[(\d+)\]", reply)], n_passages)


def first_of_each_bracket(reply, n_passages):
    return divided([int(number) for number in re.findall(r"\[(\d+)", reply)], n_passages)


def one_digit_only(reply, n_passages):
    inside = re.findall(r"\[(\d(?:, ?\d)*)\]", reply)
    return divided([int(number) for part in inside for number in part.split(",")], n_passages)


def digit_by_digit(reply, n_passages):
    inside = re.findall(r"\[([\d,\s]+)\]", reply)
    return divided([int(digit) for part in inside for digit in re.findall(r"\d", part)], n_passages)


def keeps_repeats(reply, n_passages):
    numbers = numbers_of(reply)
    return [n for n in numbers if 1 <= n <= n_passages], [n for n in numbers if not 1 <= n <= n_passages]


def sorts_the_numbers(reply, n_passages):
    known, unknown = divided(numbers_of(reply), n_passages)
    return sorted(known), sorted(unknown)


def takes_the_year(reply, n_passages):
    return divided([int(number) for number in re.findall(r"\d+", reply)], n_passages)


def drops_in_silence(reply, n_passages):
    return divided(numbers_of(reply), n_passages)[0], []


def believes_every_number(reply, n_passages):
    return list(dict.fromkeys(numbers_of(reply))), []


def damns_the_bracket(reply, n_passages):
    known, unknown = [], []
    for inside in re.findall(r"\[([\d,\s]+)\]", reply):
        numbers = [int(number) for number in inside.split(",")]
        (known if all(1 <= n <= n_passages for n in numbers) else unknown).extend(numbers)
    return list(dict.fromkeys(known)), list(dict.fromkeys(unknown))


def counts_passages_from_zero(reply, n_passages):
    numbers = list(dict.fromkeys(numbers_of(reply)))
    return [n for n in numbers if 0 <= n <= n_passages], [n for n in numbers if n > n_passages]


def last_passage_unknown(reply, n_passages):
    numbers = list(dict.fromkeys(numbers_of(reply)))
    return [n for n in numbers if 1 <= n <= max(n_passages - 1, 3)], [
        n for n in numbers if not 1 <= n <= max(n_passages - 1, 3)
    ]


def one_list_only(reply, n_passages):
    return divided(numbers_of(reply), n_passages)[0]


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def its_number(sentence, passage, spans):
    return max(range(len(spans)), key=lambda i: len(words(sentence) & words(passage[slice(*spans[i])])))


def its_text(sentence, passage, spans):
    start, end = max(spans, key=lambda span: len(words(sentence) & words(passage[slice(*span)])))
    return passage[start:end]


def begins_at_zero(sentence, passage, spans):
    start, end = max(spans, key=lambda span: len(words(sentence) & words(passage[slice(*span)])))
    return 0, end - start


def counts_repeats(sentence, passage, spans):
    wanted = words(sentence)

    def count(span):
        return sum(word in wanted for word in re.findall(r"\w+", passage[slice(*span)].lower()))

    return max(spans, key=count)


def minds_capitals(sentence, passage, spans):
    wanted = set(re.findall(r"\w+", sentence))
    return max(spans, key=lambda span: len(wanted & set(re.findall(r"\w+", passage[slice(*span)]))))


def divides_by_length(sentence, passage, spans):
    def share(span):
        there = words(passage[slice(*span)])
        return len(words(sentence) & there) / len(there)

    return max(spans, key=share)


def takes_the_later(sentence, passage, spans):
    return max(reversed(spans), key=lambda span: len(words(sentence) & words(passage[slice(*span)])))


def fewest_words(sentence, passage, spans):
    return min(spans, key=lambda span: len(words(sentence) & words(passage[slice(*span)])))


def swaps_the_two(scores, answerable, threshold):
    precision, recall = honest(scores, answerable, threshold)
    return recall, precision


def honest(scores, answerable, threshold):
    abstained = scores < threshold
    if not abstained.any():
        raise ValueError("none")
    right = (abstained & ~answerable).sum()
    return right / abstained.sum(), right / (~answerable).sum()


def recall_of_the_answerable(scores, answerable, threshold):
    abstained = scores < threshold
    right = (abstained & ~answerable).sum()
    return right / abstained.sum(), right / answerable.sum()


def recall_of_all(scores, answerable, threshold):
    abstained = scores < threshold
    right = (abstained & ~answerable).sum()
    return right / abstained.sum(), right / len(scores)


def judges_answering(scores, answerable, threshold):
    answered = scores >= threshold
    right = (answered & answerable).sum()
    return right / answered.sum(), right / answerable.sum()


def at_or_below(scores, answerable, threshold):
    abstained = scores <= threshold
    if not abstained.any():
        raise ValueError("none")
    right = (abstained & ~answerable).sum()
    return right / abstained.sum(), right / (~answerable).sum()


def zero_for_nothing(scores, answerable, threshold):
    abstained = scores < threshold
    right = (abstained & ~answerable).sum()
    return right / max(abstained.sum(), 1), right / (~answerable).sum()


def keeps_the_stop(reply, stops):
    ends = [reply.find(stop) + len(stop) for stop in stops if stop in reply]
    return reply[: min(ends, default=len(reply))].rstrip()


def leaves_white_space(reply, stops):
    places = [reply.find(stop) for stop in stops if stop in reply]
    return reply[: min(places, default=len(reply))]


def first_stop_of_the_list(reply, stops):
    for stop in stops:
        if stop in reply:
            return reply[: reply.find(stop)].rstrip()
    return reply.rstrip()


def last_occurrence(reply, stops):
    places = [reply.rfind(stop) for stop in stops if stop in reply]
    return reply[: min(places, default=len(reply))].rstrip()


def trims_both_sides(reply, stops):
    places = [reply.find(stop) for stop in stops if stop in reply]
    return reply[: min(places, default=len(reply))].strip()


def forgets_minus_one(reply, stops):
    return reply[: min(reply.find(stop) for stop in stops)].rstrip()


def trims_only_where_it_cuts(reply, stops):
    places = [reply.find(stop) for stop in stops if stop in reply]
    return reply[: min(places)].rstrip() if places else reply


def what_comes_behind(reply, stops):
    for stop in stops:
        if stop in reply:
            return reply.split(stop, 1)[1].strip()
    return reply.rstrip()


def walk(logits, first, end, max_new_tokens, choose):
    tokens, last = [], first
    while len(tokens) < max_new_tokens:
        last = int(choose(logits[last]))
        if last == end:
            break
        tokens.append(last)
    return tokens


def returns_the_end(logits, first, end, max_new_tokens):
    tokens = walk(logits, first, end, max_new_tokens, np.argmax)
    return [*tokens, end] if len(tokens) < max_new_tokens else tokens


def returns_the_first(logits, first, end, max_new_tokens):
    return [first, *walk(logits, first, end, max_new_tokens, np.argmax)]


def never_moves(logits, first, end, max_new_tokens):
    return [int(np.argmax(logits[first]))] * max_new_tokens


def one_step(logits, first, end, max_new_tokens):
    return int(np.argmax(logits[first]))


def one_step_in_a_list(logits, first, end, max_new_tokens):
    return [int(np.argmax(logits[first]))]


def highest_id_at_a_tie(logits, first, end, max_new_tokens):
    return walk(logits, first, end, max_new_tokens, lambda row: len(row) - 1 - np.argmax(row[::-1]))


def one_too_few(logits, first, end, max_new_tokens):
    return walk(logits, first, end, max_new_tokens - 1, np.argmax)


def one_too_many(logits, first, end, max_new_tokens):
    return walk(logits, first, end, max_new_tokens + 1, np.argmax)


def ignores_the_limit(logits, first, end, max_new_tokens):
    return walk(logits, first, end, 99, np.argmax)


def never_returns(logits, first, end, max_new_tokens):
    walk(logits, first, end, max_new_tokens, np.argmax)


# (task, wrong answer, status, words of the message)
MISTAKES = [
    ("assembling", counts_them, "wrong", "Their positions are asked for"),
    ("assembling", counts_from_one, "wrong", "counted from 0"),
    ("assembling", forgets_the_overhead, "wrong", "What do instruction and question take"),
    ("assembling", overhead_every_time, "wrong", "the overhead is taken once"),
    ("assembling", shortest_first, "wrong", "The passages come best first"),
    ("assembling", strictly_below, "wrong", "Is your comparison strict"),
    ("assembling", passes_over_the_long_one, "wrong", "a worse one must not take its place"),
    ("assembling", cuts_the_last, "wrong", "Whole passages only"),
    ("assembling", shows_nothing_quietly, "wrong", "would be a closed book"),
    ("ends", leaves_the_order, "wrong", "This is the order you were given"),
    ("ends", turns_it_round, "wrong", "only one end is good now"),
    ("ends", second_half_upright, "wrong", "Which way round does the second half run"),
    ("ends", best_comes_last, "wrong", "and the second best first"),
    ("ends", best_in_the_middle, "wrong", "It is the worst that belongs there"),
    ("ends", takes_from_both_ends, "wrong", "You took from both ends of the ranking"),
    ("ends", pops_the_argument, "wrong", "changed the array it was given"),
    ("citing", single_brackets_only, "wrong", "What about [1, 3]"),
    ("citing", first_of_each_bracket, "wrong", "only the first is read"),
    ("citing", one_digit_only, "wrong", "more than one digit"),
    ("citing", digit_by_digit, "wrong", "not two digits"),
    ("citing", keeps_repeats, "wrong", "Each is reported once"),
    ("citing", sorts_the_numbers, "wrong", "The order of the reply"),
    ("citing", takes_the_year, "wrong", "The year is no citation"),
    ("citing", drops_in_silence, "wrong", "your result hides it"),
    ("citing", believes_every_number, "wrong", "be one of them"),
    ("citing", damns_the_bracket, "wrong", "Judge each by itself"),
    ("citing", counts_passages_from_zero, "wrong", "there is no passage 0"),
    ("citing", last_passage_unknown, "wrong", "Is the last one known"),
    ("citing", one_list_only, "wrong", "Two lists are asked for"),
    ("spans", its_number, "wrong", "This is the number of the sentence"),
    ("spans", its_text, "wrong", "Its start and end are asked for"),
    ("spans", begins_at_zero, "wrong", "Your span begins at 0"),
    ("spans", counts_repeats, "wrong", "again and again"),
    ("spans", minds_capitals, "wrong", "written in capitals"),
    ("spans", divides_by_length, "wrong", "so a short one wins"),
    ("spans", takes_the_later, "wrong", "you take the later one"),
    ("spans", fewest_words, "wrong", "Did you take the smallest count"),
    ("abstaining", swaps_the_two, "wrong", "precision first"),
    ("abstaining", recall_of_the_answerable, "wrong", "You divide by the answerable"),
    ("abstaining", recall_of_all, "wrong", "You divide by all questions"),
    ("abstaining", judges_answering, "wrong", "Here abstaining is what is judged"),
    ("abstaining", at_or_below, "wrong", "Is it <, or <= ?"),
    ("abstaining", zero_for_nothing, "wrong", "A share of nothing is undefined"),
    ("stopping", keeps_the_stop, "wrong", "The stop itself is still there"),
    ("stopping", leaves_white_space, "wrong", "White space is left at the end"),
    ("stopping", first_stop_of_the_list, "wrong", "Which one occurs earliest"),
    ("stopping", last_occurrence, "wrong", "Where does it occur first"),
    ("stopping", trims_both_sides, "wrong", "Only the end was to be trimmed"),
    ("stopping", forgets_minus_one, "wrong", "What does find return then"),
    ("stopping", trims_only_where_it_cuts, "wrong", "Is it trimmed in this case, too"),
    ("stopping", what_comes_behind, "wrong", "This is what comes behind the stop"),
    ("greedy", returns_the_end, "wrong", "The end token is part of your result"),
    ("greedy", returns_the_first, "wrong", "The token you begin with is not new"),
    ("greedy", never_moves, "wrong", "the same row each time"),
    ("greedy", one_step, "wrong", "This is one step"),
    ("greedy", one_step_in_a_list, "wrong", "What ends the loop"),
    ("greedy", highest_id_at_a_tie, "wrong", "At a tie you take the highest id"),
    ("greedy", one_too_few, "wrong", "Does the first count among the new ones"),
    ("greedy", one_too_many, "wrong", "There is one token too many"),
    ("greedy", ignores_the_limit, "wrong", "max_new_tokens has no effect"),
    ("greedy", never_returns, "not attempted", "Is there a return statement"),
]
