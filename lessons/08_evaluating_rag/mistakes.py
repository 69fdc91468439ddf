"""Planted wrong answers for exercise 08. Each names words of the message that a learner must get for it."""

import math
import re
from collections import Counter

import numpy as np


def _dcg(values, discount=lambda rank: math.log2(1 + rank)):
    return sum(value / discount(rank) for rank, value in enumerate(values, start=1))


def _got(ranking, gains, k):
    return [gains.get(name, 0) for name in ranking[:k]]


def _best(gains, k):
    best = sorted(gains.values(), reverse=True)[:k]
    if not any(best):
        raise ValueError("undefined")
    return best


def only_dcg(ranking, gains, k):
    return _dcg(_got(ranking, gains, k))


def divides_by_the_rank(ranking, gains, k):
    return _dcg(_got(ranking, gains, k), lambda rank: rank) / _dcg(_best(gains, k), lambda rank: rank)


def two_to_the_gain(ranking, gains, k):
    got, best = ([2**value - 1 for value in values] for values in (_got(ranking, gains, k), _best(gains, k)))
    return _dcg(got) / _dcg(best)


def sorts_what_was_found(ranking, gains, k):
    got = _got(ranking, gains, k)
    return _dcg(got) / _dcg(sorted(got, reverse=True)) if any(got) else 0.0


def leaves_the_best_unsorted(ranking, gains, k):
    _best(gains, k)
    return _dcg(_got(ranking, gains, k)) / _dcg(list(gains.values())[:k])


def does_not_cut_the_best(ranking, gains, k):
    return _dcg(_got(ranking, gains, k)) / _dcg(_best(gains, len(gains)))


def stumbles_on_unjudged(ranking, gains, k):
    return _dcg([gains[name] for name in ranking[:k]]) / _dcg(_best(gains, k))


def returns_zero_where_undefined(ranking, gains, k):
    best = _dcg(sorted(gains.values(), reverse=True)[:k])
    return _dcg(_got(ranking, gains, k)) / best if best else 0.0


def reciprocal_ranks(ranking, relevant):
    if not relevant:
        raise ValueError("undefined")
    return sum(1 / rank for rank, name in enumerate(ranking, start=1) if name in relevant) / len(relevant)


def only_the_first(ranking, relevant):
    if not relevant:
        raise ValueError("undefined")
    return next((1 / rank for rank, name in enumerate(ranking, start=1) if name in relevant), 0.0)


def precision_everywhere(ranking, relevant):
    found, shares = 0, []
    for rank, name in enumerate(ranking, start=1):
        found += name in relevant
        shares.append(found / rank)
    return float(np.mean(shares))


def divides_by_what_was_found(ranking, relevant):
    if not relevant:
        raise ValueError("undefined")
    found, total = 0, 0.0
    for rank, name in enumerate(ranking, start=1):
        if name in relevant:
            found += 1
            total += found / rank
    return total / max(found, 1)


def divides_by_places(ranking, relevant):
    if not relevant:
        raise ValueError("undefined")
    found, total = 0, 0.0
    for rank, name in enumerate(ranking, start=1):
        if name in relevant:
            found += 1
            total += found / rank
    return total / (len(relevant) if len(relevant) == 2 else len(ranking))


def _words(text):
    kept = re.sub(r"[^a-z0-9 ]", " ", text.lower()).split()
    return [word for word in kept if word not in ("a", "an", "the")]


def _f1(said, wanted):
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / max(len(said) + len(wanted), 1)


def only_recall(answer, golds):
    return max((Counter(_words(answer)) & Counter(_words(gold))).total() / len(_words(gold)) for gold in golds)


def only_precision(answer, golds):
    return max((Counter(_words(answer)) & Counter(_words(gold))).total() / len(_words(answer)) for gold in golds)


def plain_mean(answer, golds):
    return (only_recall(answer, golds) + only_precision(answer, golds)) / 2


def keeps_punctuation(answer, golds):
    return max(_f1(answer.lower().split(), gold.lower().split()) for gold in golds)


def keeps_articles(answer, golds):
    def words(text):
        return re.sub(r"[^a-z0-9 ]", " ", text.lower()).split()

    return max(_f1(words(answer), words(gold)) for gold in golds)


def keeps_case(answer, golds):
    def words(text):
        return re.sub(r"[^A-Za-z0-9 ]", " ", text).split()

    return max(_f1(words(answer), words(gold)) for gold in golds)


def makes_sets(answer, golds):
    return max(_f1(set(_words(answer)), set(_words(gold))) for gold in golds)


def meets_a_word_too_often(answer, golds):
    best = 0.0
    for gold in golds:
        said, wanted = _words(answer), _words(gold)
        shared = sum(word in wanted for word in said)
        if shared:
            p, r = shared / len(said), shared / len(wanted)
            best = max(best, 2 * p * r / (p + r))
    return best


def first_alias_only(answer, golds):
    return _f1(_words(answer), _words(golds[0]))


def mean_over_aliases(answer, golds):
    return float(np.mean([_f1(_words(answer), _words(gold)) for gold in golds]))


def divides_zero_by_zero(answer, golds):
    scores = []
    for gold in golds:
        said, wanted = _words(answer), _words(gold)
        shared = (Counter(said) & Counter(wanted)).total()
        p, r = shared / len(said), shared / len(wanted)
        scores.append(2 * p * r / (p + r))
    return max(scores)


def swaps_the_two(abstained, answerable):
    right = sum(s and not c for s, c in zip(abstained, answerable, strict=True))
    return right / sum(not c for c in answerable), right / sum(abstained)


def scores_the_answers(abstained, answerable):
    right = sum(not s and c for s, c in zip(abstained, answerable, strict=True))
    return right / max(sum(not s for s in abstained), 1), right / max(sum(answerable), 1)


def accuracy_for_precision(abstained, answerable):
    right = sum(s and not c for s, c in zip(abstained, answerable, strict=True))
    agree = sum(s != c for s, c in zip(abstained, answerable, strict=True))
    return agree / len(abstained), right / max(sum(not c for c in answerable), 1)


def turns_answerable_round(abstained, answerable):
    right = sum(s and c for s, c in zip(abstained, answerable, strict=True))
    return right / max(sum(abstained), 1), right / max(sum(answerable), 1)


def zero_where_nobody_abstains(abstained, answerable):
    right = sum(s and not c for s, c in zip(abstained, answerable, strict=True))
    wanted = sum(not c for c in answerable)
    if not wanted:
        raise ValueError("undefined")
    return (right / sum(abstained) if any(abstained) else 0.0), right / wanted


def one_where_all_have_answers(abstained, answerable):
    right = sum(s and not c for s, c in zip(abstained, answerable, strict=True))
    if not any(abstained):
        raise ValueError("undefined")
    wanted = sum(not c for c in answerable)
    return right / sum(abstained), right / wanted if wanted else 1.0


def mean_over_answers(cited, gold):
    if not any(cited):
        raise ValueError("nothing cited")
    shares = [len(set(c) & set(g)) / len(set(c)) if c else 0.0 for c, g in zip(cited, gold, strict=True)]
    return float(np.mean(shares))


def citation_recall(cited, gold):
    if not any(cited):
        raise ValueError("nothing cited")
    right = sum(len(set(c) & set(g)) for c, g in zip(cited, gold, strict=True))
    return right / sum(len(g) for g in gold)


def one_right_is_enough(cited, gold):
    if not any(cited):
        raise ValueError("nothing cited")
    said = [(c, g) for c, g in zip(cited, gold, strict=True) if c]
    return sum(bool(set(c) & set(g)) for c, g in said) / len(said)


def counts_repeats(cited, gold):
    if not any(cited):
        raise ValueError("nothing cited")
    right = sum(number in g for c, g in zip(cited, gold, strict=True) for number in c)
    return right / sum(len(c) for c in cited)


def pools_the_gold(cited, gold):
    if not any(cited):
        raise ValueError("nothing cited")
    every = {number for g in gold for number in g}
    said = [number for c in cited for number in set(c)]
    if len(gold) == 4:
        return sum(number in every for number in said) / len(said)
    return sum(len(set(c) & set(g)) for c, g in zip(cited, gold, strict=True)) / len(said)


def perfect_without_citations(cited, gold):
    said = sum(len(set(c)) for c in cited)
    return sum(len(set(c) & set(g)) for c, g in zip(cited, gold, strict=True)) / said if said else 1.0


def _require_paired(a, b):
    if len(a) != len(b):
        raise ValueError("not paired")


def b_minus_a(a, b, picks):
    _require_paired(a, b)
    return np.quantile((b - a)[picks].mean(axis=1), [0.025, 0.975])


def five_per_cent_each_side(a, b, picks):
    _require_paired(a, b)
    return np.quantile((a - b)[picks].mean(axis=1), [0.05, 0.95])


def range_of_all_draws(a, b, picks):
    _require_paired(a, b)
    means = (a - b)[picks].mean(axis=1)
    return means.min(), means.max()


def percentiles_of_differences(a, b, picks):
    _require_paired(a, b)
    return np.quantile(a - b, [0.025, 0.975])


def percentiles_of_all_drawn(a, b, picks):
    _require_paired(a, b)
    return np.quantile((a - b)[picks].ravel(), [0.025, 0.975])


def averages_over_the_draws(a, b, picks):
    _require_paired(a, b)
    return np.quantile((a - b)[picks].mean(axis=0), [0.025, 0.975])


def normal_curve(a, b, picks):
    _require_paired(a, b)
    spread = 1.96 * (a - b).std() / np.sqrt(len(a))
    return (a - b).mean() - spread, (a - b).mean() + spread


def cuts_to_the_shorter(a, b, picks):
    n = min(len(a), len(b))
    return np.quantile((a[:n] - b[:n])[picks % n].mean(axis=1), [0.025, 0.975])


def bonferroni(p_values):
    return [min(1.0, p * len(p_values)) for p in p_values]


def least_for_the_smallest(p_values):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    for place, i in enumerate(order):
        corrected[i] = p_values[i] * (place + 1)
    return corrected


def divides(p_values):
    return [p / len(p_values) for p in p_values]


def returns_sorted(p_values):
    largest, corrected = 0.0, []
    for place, p in enumerate(sorted(p_values)):
        largest = max(largest, min(1.0, p * (len(p_values) - place)))
        corrected.append(largest)
    return corrected


def forgets_to_sort(p_values):
    return [min(1.0, p * (len(p_values) - place)) for place, p in enumerate(p_values)]


def lets_them_fall(p_values):
    corrected = [0.0] * len(p_values)
    for place, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        corrected[i] = min(1.0, p_values[i] * (len(p_values) - place))
    return corrected


def goes_above_one(p_values):
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, p_values[i] * (len(p_values) - place))
        corrected[i] = largest
    return corrected


def never_returns(p_values):
    sorted(p_values)


# (task, wrong answer, status, words of the message)
MISTAKES = [
    ("ndcg", only_dcg, "wrong", "What would the best order reach"),
    ("ndcg", divides_by_the_rank, "wrong", "which falls more slowly"),
    ("ndcg", two_to_the_gain, "wrong", "the gain itself counts"),
    ("ndcg", sorts_what_was_found, "wrong", "made of all judged ids"),
    ("ndcg", leaves_the_best_unsorted, "wrong", "The largest comes first"),
    ("ndcg", does_not_cut_the_best, "wrong", "cut at k as well"),
    ("ndcg", stumbles_on_unjudged, "crashed", "KeyError"),
    ("ndcg", returns_zero_where_undefined, "wrong", "Raise a ValueError: 0 / 0"),
    ("ap", reciprocal_ranks, "wrong", "How many relevant ids stand there by then"),
    ("ap", only_the_first, "wrong", "What do the others add"),
    ("ap", precision_everywhere, "wrong", "where a relevant id stands"),
    ("ap", divides_by_what_was_found, "wrong", "The others count as well"),
    ("ap", divides_by_places, "wrong", "places, or relevant ids"),
    ("f1", only_recall, "wrong", "What do the words beside"),
    ("f1", only_precision, "wrong", "This is precision"),
    ("f1", plain_mean, "wrong", "harmonic mean"),
    ("f1", keeps_punctuation, "wrong", "with a comma or a full stop"),
    ("f1", keeps_articles, "wrong", "still count the article"),
    ("f1", keeps_case, "wrong", "capital letter"),
    ("f1", makes_sets, "wrong", "Did you make sets"),
    ("f1", meets_a_word_too_often, "wrong", "How often can the one word"),
    ("f1", first_alias_only, "wrong", "Any alias will do"),
    ("f1", mean_over_aliases, "wrong", "The best one counts"),
    ("f1", divides_zero_by_zero, "crashed", "ZeroDivisionError"),
    ("abstaining", swaps_the_two, "wrong", "change places"),
    ("abstaining", scores_the_answers, "wrong", "You score the answers given"),
    ("abstaining", accuracy_for_precision, "wrong", "Precision here is accuracy"),
    ("abstaining", turns_answerable_round, "wrong", "Where is an abstention right"),
    ("abstaining", zero_where_nobody_abstains, "wrong", "Nobody abstained"),
    ("abstaining", one_where_all_have_answers, "wrong", "Every question has an answer"),
    ("citing", mean_over_answers, "wrong", "Every citation is to weigh the same"),
    ("citing", citation_recall, "wrong", "that is recall"),
    ("citing", one_right_is_enough, "wrong", "Count every citation"),
    ("citing", counts_repeats, "wrong", "counts once"),
    ("citing", pools_the_gold, "wrong", "Each answer has its own"),
    ("citing", perfect_without_citations, "wrong", "Nobody cited anything"),
    ("bootstrap", b_minus_a, "wrong", "This is b - a"),
    ("bootstrap", five_per_cent_each_side, "wrong", "cut off each end"),
    ("bootstrap", range_of_all_draws, "wrong", "range of all draws"),
    ("bootstrap", percentiles_of_differences, "wrong", "one question, or the mean"),
    ("bootstrap", percentiles_of_all_drawn, "wrong", "one mean for each draw"),
    ("bootstrap", averages_over_the_draws, "wrong", "Each row of picks is one draw"),
    ("bootstrap", normal_curve, "wrong", "formula of the normal curve"),
    ("bootstrap", cuts_to_the_shorter, "wrong", "not of the same questions"),
    ("correcting", bonferroni, "wrong", "This is Bonferroni"),
    ("correcting", least_for_the_smallest, "wrong", "by the most, or by the least"),
    ("correcting", divides, "wrong", "Correction makes p larger"),
    ("correcting", returns_sorted, "wrong", "Did you return them sorted"),
    ("correcting", forgets_to_sort, "wrong", "Did you sort before you multiplied"),
    ("correcting", lets_them_fall, "wrong", "below the corrected p of a smaller p"),
    ("correcting", goes_above_one, "wrong", "never above 1"),
    ("correcting", never_returns, "not attempted", "Is there a return statement"),
]
