"""Planted wrong answers for exercise 06. Each names words of the message that a learner must get for it."""

import numpy as np


def passage_asks_query(query_vectors, passage_vectors):
    return float((query_vectors @ passage_vectors.T).max(axis=0).mean())


def mean_of_all_pairs(query_vectors, passage_vectors):
    return float((query_vectors @ passage_vectors.T).mean())


def best_of_all_pairs(query_vectors, passage_vectors):
    return float((query_vectors @ passage_vectors.T).max())


def sums_over_the_query(query_vectors, passage_vectors):
    return float((query_vectors @ passage_vectors.T).max(axis=1).sum())


def begins_at_zero(query_vectors, passage_vectors):
    total = 0.0
    for q in query_vectors:
        best = 0.0
        for p in passage_vectors:
            best = max(best, float(q @ p))
        total += best
    return total / len(query_vectors)


def standardise(values):
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))


def adds_raw_scores(first, second, weight):
    return second + weight * first


def only_centres(first, second, weight):
    return second - second.mean() + weight * (first - first.mean())


def only_scales(first, second, weight):
    with np.errstate(all="ignore"):
        return second / second.std() + weight * first / first.std()


def scales_to_zero_and_one(first, second, weight):
    def scale(values):
        with np.errstate(all="ignore"):
            return (values - values.min()) / (values.max() - values.min())

    return scale(second) + weight * scale(first)


def divides_by_the_sample_deviation(first, second, weight):
    def scale(values):
        with np.errstate(all="ignore"):
            return (values - values.mean()) / values.std(ddof=1)

    return scale(second) + weight * scale(first)


def weighs_the_second(first, second, weight):
    return standardise(first) + weight * standardise(second)


def forgets_the_weight(first, second, weight):
    return standardise(first) + standardise(second)


def shares_the_weight(first, second, weight):
    second_weight = 1.0 if weight == 1 else 1 - weight
    return second_weight * standardise(second) + weight * standardise(first)


def divides_by_no_spread(first, second, weight):
    with np.errstate(all="ignore"):
        return (second - second.mean()) / second.std() + weight * (first - first.mean()) / first.std()


def loses_the_rest(ids, scores):
    return [ids[i] for i in sorted(range(len(scores)), key=lambda i: -scores[i])]


def rest_comes_first(ids, scores):
    return list(ids[len(scores) :]) + loses_the_rest(ids, scores)


def worst_first(ids, scores):
    return [ids[i] for i in sorted(range(len(scores)), key=lambda i: scores[i])] + list(ids[len(scores) :])


def sorts_the_rest(ids, scores):
    return loses_the_rest(ids, scores) + sorted(ids[len(scores) :])


def reverses_ties(ids, scores):
    order = sorted(range(len(scores)), key=lambda i: scores[i])[::-1]
    return [ids[i] for i in order] + list(ids[len(scores) :])


def returns_places(ids, scores):
    return [int(i) for i in np.argsort(-np.array(scores), kind="stable")]


def takes_the_newest(versions, at):
    if at < min(day for _, day in versions):
        raise ValueError("nothing yet")
    return max(versions, key=lambda version: version[1])[0]


def takes_the_oldest(versions, at):
    begun = [version for version in versions if version[1] <= at]
    if not begun:
        raise ValueError("nothing yet")
    return min(begun, key=lambda version: version[1])[0]


def begins_a_day_late(versions, at):
    begun = [version for version in versions if version[1] < at]
    if not begun:
        raise ValueError("nothing yet")
    return max(begun, key=lambda version: version[1])[0]


def takes_the_nearest(versions, at):
    if at < min(day for _, day in versions):
        raise ValueError("nothing yet")

    def days(text):
        year, month, day = map(int, text.split("-"))
        return 365 * year + 30 * month + day

    return min(versions, key=lambda version: abs(days(version[1]) - days(at)))[0]


def first_where_none_holds(versions, at):
    begun = [version for version in versions if version[1] <= at]
    return max(begun or versions[:1], key=lambda version: version[1])[0]


def value(relevance, similarities, i, picked, weight):
    return weight * relevance[i] - (1 - weight) * max((similarities[i][j] for j in picked), default=0.0)


def left(relevance, picked):
    return [i for i in range(len(relevance)) if i not in picked]


def ignores_likeness(relevance, similarities, picked, weight):
    return max(left(relevance, picked), key=lambda i: relevance[i])


def picks_twice(relevance, similarities, picked, weight):
    return max(range(len(relevance)), key=lambda i: relevance[i])


def ignores_relevance(relevance, similarities, picked, weight):
    if not picked:
        return int(np.argmax(relevance))
    return min(left(relevance, picked), key=lambda i: max(similarities[i][j] for j in picked))


def mean_likeness(relevance, similarities, picked, weight):
    def mean_value(i):
        redundancy = np.mean([similarities[i][j] for j in picked]) if picked else 0.0
        return weight * relevance[i] - (1 - weight) * redundancy

    return max(left(relevance, picked), key=mean_value)


def swaps_the_weight(relevance, similarities, picked, weight):
    return max(left(relevance, picked), key=lambda i: value(relevance, similarities, i, picked, 1 - weight))


def likeness_from_zero(relevance, similarities, picked, weight):
    def cut_value(i):
        return weight * relevance[i] - (1 - weight) * max([0.0, *(similarities[i][j] for j in picked)])

    return max(left(relevance, picked), key=cut_value)


def lowest(scores, answerable, precision):
    good = [t for t in scores if answerable[scores >= t].mean() >= precision]
    if not good:
        raise ValueError("none")
    return float(min(good))


def highest_that_passes(scores, answerable, precision):
    good = [t for t in scores if answerable[scores >= t].mean() >= precision]
    if not good:
        raise ValueError("none")
    return float(max(good))


def strictly_above(scores, answerable, precision):
    good = [t for t in scores if (scores > t).any() and answerable[scores > t].mean() >= precision]
    if not good:
        raise ValueError("none")
    return float(min(good))


def stops_at_the_first_dip(scores, answerable, precision):
    best = None
    for t in np.sort(scores)[::-1]:
        if answerable[scores >= t].mean() < precision:
            break
        best = float(t)
    if best is None:
        raise ValueError("none")
    return best


def recall_instead(scores, answerable, precision):
    if precision == 1:
        return lowest(scores, answerable, precision)
    good = [t for t in scores if (answerable & (scores >= t)).sum() / answerable.sum() >= precision]
    return float(min(good))


def counts_ties_one_by_one(scores, answerable, precision):
    order = np.argsort(-scores, kind="stable")
    shares = np.cumsum(answerable[order]) / np.arange(1, len(order) + 1)
    good = [float(scores[order[i]]) for i in range(len(order)) if shares[i] >= precision]
    if not good:
        raise ValueError("none")
    return min(good)


def gives_up_quietly(scores, answerable, precision):
    good = [t for t in scores if answerable[scores >= t].mean() >= precision]
    return float(min(good)) if good else 1.0


def log_p(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def total_likelihood(logits, targets):
    return float(log_p(logits)[np.arange(len(targets)), targets].sum())


def loss_instead(logits, targets):
    return float(-log_p(logits)[np.arange(len(targets)), targets].mean())


def mean_probability(logits, targets):
    return float(np.exp(log_p(logits)[np.arange(len(targets)), targets]).mean())


def mean_logit(logits, targets):
    return float(logits[np.arange(len(targets)), targets].mean())


def likeliest_token(logits, targets):
    return float(log_p(logits).max(axis=1).mean())


def softmax_down_the_columns(logits, targets):
    return float(log_p(logits.T).T[np.arange(len(targets)), targets].mean())


def overflows(logits, targets):
    with np.errstate(all="ignore"):
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return float(np.log(p[np.arange(len(targets)), targets]).mean())


def never_returns(logits, targets):
    log_p(logits)[np.arange(len(targets)), targets].mean()


# (task, wrong answer, status, words of the message)
MISTAKES = [
    ("late_interaction", passage_asks_query, "wrong", "Who looks for whom"),
    ("late_interaction", mean_of_all_pairs, "wrong", "What became of the best match"),
    ("late_interaction", best_of_all_pairs, "wrong", "What do the other query tokens say"),
    ("late_interaction", sums_over_the_query, "wrong", "A long query would score higher"),
    ("late_interaction", begins_at_zero, "wrong", "Does your maximum start at 0"),
    ("combining", adds_raw_scores, "wrong", "These are the raw scores"),
    ("combining", only_centres, "wrong", "What about their spread"),
    ("combining", only_scales, "wrong", "What about their mean"),
    ("combining", scales_to_zero_and_one, "wrong", "This is min-max scaling"),
    ("combining", divides_by_the_sample_deviation, "wrong", "the deviation of n - 1"),
    ("combining", weighs_the_second, "wrong", "Weight belongs to the first"),
    ("combining", forgets_the_weight, "wrong", "The weight has no effect"),
    ("combining", shares_the_weight, "wrong", "It is added whole"),
    ("combining", divides_by_no_spread, "wrong", "holds NaN"),
    ("depth", loses_the_rest, "wrong", "Three hits are gone"),
    ("depth", rest_comes_first, "wrong", "come first. Should they"),
    ("depth", worst_first, "wrong", "Which end is best"),
    ("depth", sorts_the_rest, "wrong", "Nothing new is known of them"),
    ("depth", reverses_ties, "wrong", "Equal scores come out in reverse"),
    ("depth", returns_places, "wrong", "These are positions"),
    ("versions", takes_the_newest, "wrong", "Had it begun at that date"),
    ("versions", takes_the_oldest, "wrong", "Had it been replaced by then"),
    ("versions", begins_a_day_late, "wrong", "Is your comparison strict"),
    ("versions", takes_the_nearest, "wrong", "whose date is nearest"),
    ("versions", first_where_none_holds, "wrong", "Before the first version nothing was in force"),
    ("mmr", ignores_likeness, "wrong", "How much does it repeat"),
    ("mmr", picks_twice, "wrong", "Can it be picked twice"),
    ("mmr", ignores_relevance, "wrong", "Does relevance count in your result"),
    ("mmr", mean_likeness, "wrong", "or with their mean, or with the last"),
    ("mmr", swaps_the_weight, "wrong", "the wrong way round"),
    ("mmr", likeness_from_zero, "wrong", "Did you cut it off at 0"),
    ("threshold", highest_that_passes, "wrong", "a lower threshold lets more of them through"),
    ("threshold", strictly_above, "wrong", "Is yours 'above', or 'at or above'"),
    ("threshold", stops_at_the_first_dip, "wrong", "Does it rise again further down"),
    ("threshold", recall_instead, "wrong", "at least 0.8 of the answerable"),
    ("threshold", counts_ties_one_by_one, "wrong", "Do you count only one of the two that tie"),
    ("threshold", gives_up_quietly, "wrong", "No threshold reaches this precision"),
    ("likelihood", total_likelihood, "wrong", "always be less likely than a short one"),
    ("likelihood", loss_instead, "wrong", "This is the loss"),
    ("likelihood", mean_probability, "wrong", "Where is the logarithm"),
    ("likelihood", mean_logit, "wrong", "These are the logits"),
    ("likelihood", likeliest_token, "wrong", "You took the likeliest token"),
    ("likelihood", softmax_down_the_columns, "wrong", "Your softmax runs down the columns"),
    ("likelihood", overflows, "wrong", "e to the 1000"),
    ("likelihood", never_returns, "not attempted", "Is there a return statement"),
]
