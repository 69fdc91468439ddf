"""Planted wrong answers for exercise 04. Each names words of the message that a learner must get for it."""

from collections import Counter

import numpy as np


def may_fall_below_zero(df, n_docs):
    return np.log((n_docs - df + 0.5) / (df + 0.5))


def leaves_out_the_halves(df, n_docs):
    return np.log(n_docs / np.maximum(df, 1))


def takes_the_idf_of_lesson_01(df, n_docs):
    return np.log((1 + n_docs) / (1 + df)) + 1


def takes_logarithms_to_ten(df, n_docs):
    return np.log10(1 + (n_docs - df + 0.5) / (df + 0.5))


def weighs_common_terms_more(df, n_docs):
    return np.log(1 + (df + 0.5) / (n_docs - df + 0.5))


def counts_all_documents_above(df, n_docs):
    return np.log(1 + (n_docs + 0.5) / (df + 0.5))


def drops_common_terms(df, n_docs):
    return np.where(df > n_docs / 2, 0.0, np.log(1 + (n_docs - df + 0.5) / (df + 0.5)))


def stumbles_on_unseen_terms(df, n_docs):
    if (np.asarray(df) == 0).any():
        raise ZeroDivisionError("df is 0")
    return np.log(1 + (n_docs - df + 0.5) / (df + 0.5))


def _norm(doc_len, mean_len, b):
    return 1 - b + b * doc_len / mean_len


def multiplies_by_k1_plus_one(tf, doc_len, mean_len, k1, b):
    return (k1 + 1) * tf / (tf + k1 * _norm(doc_len, mean_len, b))


def forgets_k1(tf, doc_len, mean_len, k1, b):
    return tf / (tf + _norm(doc_len, mean_len, b))


def falls_as_tf_grows(tf, doc_len, mean_len, k1, b):
    norm = _norm(doc_len, mean_len, b)
    return k1 * norm / (tf + k1 * norm)


def takes_a_logarithm(tf, doc_len, mean_len, k1, b):
    return np.log(1 + tf)


def ignores_the_length(tf, doc_len, mean_len, k1, b):
    return tf / (tf + k1)


def turns_the_length_upside_down(tf, doc_len, mean_len, k1, b):
    return tf / (tf + k1 * _norm(mean_len, doc_len, b))


def swaps_b(tf, doc_len, mean_len, k1, b):
    return tf / (tf + k1 * (b + (1 - b) * doc_len / mean_len))


def does_not_compare_with_the_mean(tf, doc_len, mean_len, k1, b):
    return tf / (tf + k1 * (1 - b + b * doc_len))


def always_takes_the_full_length(tf, doc_len, mean_len, k1, b):
    return tf / (tf + k1 * doc_len / mean_len)


def _idf(df, n_docs):
    return np.log(1 + (n_docs - df + 0.5) / (df + 0.5))


def _saturation(tf, doc_len, mean_len, k1, b):
    return tf / (tf + k1 * _norm(doc_len, mean_len, b))


def adds_only_idf(query, document, df, n_docs, mean_len, k1, b):
    return float(sum(_idf(df[w], n_docs) for w in dict.fromkeys(query) if w in df and w in document))


def adds_only_saturation(query, document, df, n_docs, mean_len, k1, b):
    words = [word for word in dict.fromkeys(query) if word in df]
    return float(sum(_saturation(document.count(word), len(document), mean_len, k1, b) for word in words))


def multiplies_the_terms(query, document, df, n_docs, mean_len, k1, b):
    score = 1.0
    for w in dict.fromkeys(query):
        if w in df:
            score *= _idf(df[w], n_docs) * _saturation(document.count(w), len(document), mean_len, k1, b)
    return float(score)


def takes_a_mean_over_the_terms(query, document, df, n_docs, mean_len, k1, b):
    words = [word for word in dict.fromkeys(query) if word in df]
    parts = [_idf(df[w], n_docs) * _saturation(document.count(w), len(document), mean_len, k1, b) for w in words]
    return float(np.mean(parts)) if parts else 0.0


def counts_each_term_once(query, document, df, n_docs, mean_len, k1, b):
    words = [word for word in dict.fromkeys(query) if word in df]
    return float(sum(_idf(df[w], n_docs) * _saturation(w in document, len(document), mean_len, k1, b) for w in words))


def adds_over_the_document(query, document, df, n_docs, mean_len, k1, b):
    words = dict.fromkeys(document)
    return float(
        sum(_idf(df[w], n_docs) * _saturation(document.count(w), len(document), mean_len, k1, b) for w in words)
    )


def stumbles_on_unknown_words(query, document, df, n_docs, mean_len, k1, b):
    return float(
        sum(
            _idf(df[w], n_docs) * _saturation(document.count(w), len(document), mean_len, k1, b)
            for w in dict.fromkeys(query)
        )
    )


def counts_a_word_twice(query, document, df, n_docs, mean_len, k1, b):
    return float(
        sum(
            _idf(df[w], n_docs) * _saturation(document.count(w), len(document), mean_len, k1, b)
            for w in query
            if w in df
        )
    )


def counts_positions_from_one(documents):
    index = {}
    for position, document in enumerate(documents, start=1):
        for word, count in Counter(document).items():
            index.setdefault(word, []).append((position, count))
    return index


def keeps_positions_only(documents):
    index = {}
    for position, document in enumerate(documents):
        for word in Counter(document):
            index.setdefault(word, []).append(position)
    return index


def counts_documents(documents):
    return dict(Counter(word for document in documents for word in set(document)))


def makes_a_pair_of_each_occurrence(documents):
    index = {}
    for position, document in enumerate(documents):
        for word in document:
            index.setdefault(word, []).append((position, 1))
    return index


def forgets_the_count(documents):
    index = {}
    for position, document in enumerate(documents):
        for word in set(document):
            index.setdefault(word, []).append((position, 1))
    return index


def goes_from_documents_to_terms(documents):
    return {position: list(Counter(document).items()) for position, document in enumerate(documents)}


def puts_the_count_first(documents):
    index = {}
    for position, document in enumerate(documents):
        for word, count in Counter(document).items():
            index.setdefault(word, []).append((count, position))
    return index


def skips_empty_documents(documents):
    index = {}
    for position, document in enumerate(filter(None, documents)):
        for word, count in Counter(document).items():
            index.setdefault(word, []).append((position, count))
    return index


def _sums(rankings, rank_constant, start=1):
    sums = {}
    for ranking in rankings:
        for rank, name in enumerate(ranking, start=start):
            sums[name] = sums.get(name, 0) + 1 / (rank_constant + rank)
    return sums


def counts_ranks_from_zero(rankings, rank_constant):
    return sorted(_sums(rankings, rank_constant, start=0).items(), key=lambda pair: (-pair[1], pair[0]))


def forgets_the_constant(rankings, rank_constant):
    return sorted(_sums(rankings, 0).items(), key=lambda pair: (-pair[1], pair[0]))


def returns_ids_only(rankings, rank_constant):
    return [name for name, _ in sorted(_sums(rankings, rank_constant).items(), key=lambda pair: (-pair[1], pair[0]))]


def takes_the_best_rank(rankings, rank_constant):
    best = {}
    for ranking in rankings:
        for rank, name in enumerate(ranking, start=1):
            best[name] = max(best.get(name, 0), 1 / (rank_constant + rank))
    return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))


def keeps_only_what_all_hold(rankings, rank_constant):
    sums = {
        name: score
        for name, score in _sums(rankings, rank_constant).items()
        if all(name in ranking for ranking in rankings)
    }
    return sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))


def puts_the_worst_first(rankings, rank_constant):
    return sorted(_sums(rankings, rank_constant).items(), key=lambda pair: pair[1])


def leaves_ties_as_they_were_met(rankings, rank_constant):
    return sorted(_sums(rankings, rank_constant).items(), key=lambda pair: -pair[1])


def sorts_ties_from_behind(rankings, rank_constant):
    return sorted(_sums(rankings, rank_constant).items(), key=lambda pair: (pair[1], pair[0]), reverse=True)


def divides_by_the_highest(scores):
    return scores / scores.max()


def divides_by_the_highest_after_subtracting(scores):
    return (scores - scores.min()) / scores.max()


def takes_z_scores(scores):
    return (scores - scores.mean()) / max(scores.std(), 1e-9)


def turns_best_into_worst(scores):
    return (scores.max() - scores) / max(scores.max() - scores.min(), 1e-9)


def lets_nan_through(scores):
    with np.errstate(invalid="ignore"):
        return (scores - scores.min()) / (scores.max() - scores.min())


def gives_the_best_to_all(scores):
    if scores.max() == scores.min():
        return np.ones(len(scores))
    return (scores - scores.min()) / (scores.max() - scores.min())


def gives_one_half_to_all(scores):
    if scores.max() == scores.min():
        return np.full(len(scores), 0.5)
    return (scores - scores.min()) / (scores.max() - scores.min())


def scales_in_place(scores):
    low, high = scores.min(), scores.max()
    if low == high:
        return np.zeros(len(scores))
    scores -= low
    scores /= high - low
    return scores


def _scaled(scores):
    values = list(scores.values())
    low, high = min(values, default=0.0), max(values, default=0.0)
    return {name: (score - low) / (high - low) if high > low else 0.0 for name, score in scores.items()}


def swaps_alpha(first, second, alpha):
    one, two = _scaled(first), _scaled(second)
    return {name: (1 - alpha) * one.get(name, 0) + alpha * two.get(name, 0) for name in {*one, *two}}


def adds_unscaled(first, second, alpha):
    return {name: alpha * first.get(name, 0) + (1 - alpha) * second.get(name, 0) for name in {*first, *second}}


def weighs_only_the_first(first, second, alpha):
    one, two = _scaled(first), _scaled(second)
    return {name: alpha * one.get(name, 0) + two.get(name, 0) for name in {*one, *two}}


def forgets_alpha(first, second, alpha):
    one, two = _scaled(first), _scaled(second)
    return {name: one.get(name, 0) + two.get(name, 0) for name in {*one, *two}}


def keeps_common_ids_only(first, second, alpha):
    one, two = _scaled(first), _scaled(second)
    return {name: alpha * one[name] + (1 - alpha) * two[name] for name in {*one} & {*two}}


def keeps_ids_of_the_first_only(first, second, alpha):
    one, two = _scaled(first), _scaled(second)
    return {name: alpha * one[name] + (1 - alpha) * two.get(name, 0) for name in one}


def fills_in_unscaled_scores(first, second, alpha):
    one, two = _scaled(first), _scaled(second)
    low, other = min(first.values(), default=0), min(second.values(), default=0)
    return {name: alpha * one.get(name, low) + (1 - alpha) * two.get(name, other) for name in {*one, *two}}


def stumbles_on_an_empty_ranking(first, second, alpha):
    low, high = min(second.values()), max(second.values())
    two = {name: (score - low) / (high - low) if high > low else 0.0 for name, score in second.items()}
    one = _scaled(first)
    return {name: alpha * one.get(name, 0) + (1 - alpha) * two.get(name, 0) for name in {*one, *two}}


# (task, wrong answer, status, words of the message)
MISTAKES = [
    ("idf", may_fall_below_zero, "wrong", "1 is added to the fraction"),
    ("idf", leaves_out_the_halves, "wrong", "Where are the two halves"),
    ("idf", takes_the_idf_of_lesson_01, "wrong", "the idf of lesson 01"),
    ("idf", takes_logarithms_to_ten, "wrong", "Which logarithm is this"),
    ("idf", weighs_common_terms_more, "wrong", "upside down"),
    ("idf", counts_all_documents_above, "wrong", "all documents, or those without the term"),
    ("idf", drops_common_terms, "wrong", "worth nothing"),
    ("idf", stumbles_on_unseen_terms, "crashed", "df is 0"),
    ("saturation", multiplies_by_k1_plus_one, "wrong", "k1 + 1 times too much"),
    ("saturation", forgets_k1, "wrong", "Where does k1 come in"),
    ("saturation", falls_as_tf_grows, "wrong", "falls as tf grows"),
    ("saturation", takes_a_logarithm, "wrong", "grows without end"),
    ("saturation", ignores_the_length, "wrong", "does not depend on the length"),
    ("saturation", turns_the_length_upside_down, "wrong", "Longer documents come out higher"),
    ("saturation", swaps_b, "wrong", "change places"),
    ("saturation", does_not_compare_with_the_mean, "wrong", "compared with the mean length"),
    ("saturation", always_takes_the_full_length, "wrong", "What does b below 1 do"),
    ("scoring", adds_only_idf, "wrong", "idf alone"),
    ("scoring", adds_only_saturation, "wrong", "saturation alone"),
    ("scoring", multiplies_the_terms, "wrong", "multiply what the terms add"),
    ("scoring", takes_a_mean_over_the_terms, "wrong", "the mean over the terms"),
    ("scoring", counts_each_term_once, "wrong", "three times in the document"),
    ("scoring", adds_over_the_document, "wrong", "over the document's words"),
    ("scoring", stumbles_on_unknown_words, "crashed", "KeyError"),
    ("scoring", counts_a_word_twice, "wrong", "A word asked twice counts once"),
    ("index", counts_positions_from_one, "wrong", "counted from 0"),
    ("index", keeps_positions_only, "wrong", "How often does each document"),
    ("index", counts_documents, "wrong", "document frequency"),
    ("index", makes_a_pair_of_each_occurrence, "wrong", "a pair of its own"),
    ("index", forgets_the_count, "wrong", "Is 1 its count"),
    ("index", goes_from_documents_to_terms, "wrong", "from terms to documents"),
    ("index", puts_the_count_first, "wrong", "Position first"),
    ("index", skips_empty_documents, "wrong", "has a position all the same"),
    ("rrf", counts_ranks_from_zero, "wrong", "Is the first rank 1"),
    ("rrf", forgets_the_constant, "wrong", "Where does rank_constant come in"),
    ("rrf", returns_ids_only, "wrong", "A pair of id and score"),
    ("rrf", takes_the_best_rank, "wrong", "RRF adds both"),
    ("rrf", keeps_only_what_all_hold, "wrong", "stand in one ranking only"),
    ("rrf", puts_the_worst_first, "wrong", "smallest sum comes first"),
    ("rrf", leaves_ties_as_they_were_met, "wrong", "in which they were met"),
    ("rrf", sorts_ties_from_behind, "wrong", "come from behind"),
    ("scaling", divides_by_the_highest, "wrong", "Subtract before you divide"),
    ("scaling", divides_by_the_highest_after_subtracting, "wrong", "between lowest and highest"),
    ("scaling", takes_z_scores, "wrong", "This is the z-score"),
    ("scaling", turns_best_into_worst, "wrong", "The best score has become 0"),
    ("scaling", lets_nan_through, "wrong", "NaN"),
    ("scaling", gives_the_best_to_all, "wrong", "hand out the best score"),
    ("scaling", gives_one_half_to_all, "wrong", "as for a hit that is missing"),
    ("scaling", scales_in_place, "wrong", "changed the array it was given"),
    ("weighting", swaps_alpha, "wrong", "It belongs to the first"),
    ("weighting", adds_unscaled, "wrong", "Did you scale before you added"),
    ("weighting", weighs_only_the_first, "wrong", "What is left of 1 beside alpha"),
    ("weighting", forgets_alpha, "wrong", "Where does alpha come in"),
    ("weighting", keeps_common_ids_only, "wrong", "Where are the ids"),
    ("weighting", keeps_ids_of_the_first_only, "wrong", "Where is the id that stands in the second"),
    ("weighting", fills_in_unscaled_scores, "wrong", "the lowest score before scaling"),
    ("weighting", stumbles_on_an_empty_ranking, "crashed", "ValueError"),
]
