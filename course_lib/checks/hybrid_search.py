"""Checks of lesson 04. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from course_lib.classroom.check import Check, Probe, Slip, Task
from course_lib.core.types import Hit, ranked
from course_lib.retrieval.bm25 import Array, bm25_scores
from course_lib.retrieval.bm25_variants import idf_atire, idf_lucene, idf_robertson, saturation_lucene
from course_lib.retrieval.fusion import min_max, reciprocal_rank_fusion, weighted_fusion, z_score

WORDS = ("meter", "bill", "wind", "goal", "sleep", "tremor", "match", "price", "storm", "cell", "team", "drug")
Scored = list[tuple[str, float]]


def _idf_probes(rng: np.random.Generator) -> Sequence[Probe]:
    n = int(rng.integers(60, 200))
    rare = np.sort(rng.choice(np.arange(2, 25), size=4, replace=False)).astype(np.float64)
    common = np.array([n * 0.75 // 1, n - 1.0, n])
    right = idf_lucene(rare, n)
    return (
        Probe(
            (rare, n),
            right,
            "idf = ln(1 + (n - df + 0.5) / (df + 0.5)). Which part differs?",
            (
                Slip(idf_robertson(rare, n), "Inside the logarithm, 1 is added to the fraction. What is it there for?"),
                Slip(idf_atire(rare, n), "This is ln(n / df). Where are the two halves, 0.5, of Lucene's form?"),
                Slip(np.log((1 + n) / (1 + rare)) + 1, "This is the idf of lesson 01. What does BM25 weigh a term by?"),
                Slip(right / np.log(10), "Which logarithm is this? The formula uses the natural one."),
                Slip(right / np.log(2), "Which logarithm is this? The formula uses the natural one."),
                Slip(
                    np.log1p((rare + 0.5) / (n - rare + 0.5)),
                    "Rare terms must weigh more. Is your fraction upside down?",
                ),
                Slip(np.log1p((n + 0.5) / (rare + 0.5)), "Above the line: all documents, or those without the term?"),
            ),
        ),
        Probe(
            (common, n),
            idf_lucene(common, n),
            "These terms stand in most documents. How much do they still weigh? Lucene's form stays above 0.",
            (Slip(np.zeros(3), "Is a term that stands in most documents worth nothing? Lucene's form stays above 0."),),
        ),
        Probe((np.array([0.0, 1.0]), n), idf_lucene(np.array([0.0, 1.0]), n), "What is the idf of an unseen term?"),
    )


def _saturation_probes(rng: np.random.Generator) -> Sequence[Probe]:
    tf = np.array([1.0, 2, 4, 9]) + int(rng.integers(0, 3))
    k1, b, mean = float(rng.uniform(1.3, 2.2)), float(rng.uniform(0.6, 0.9)), float(rng.integers(20, 40))
    lengths = mean * np.array([0.4, 1.5, 3.0, 0.7])

    def right(tf: Array, lengths: Array, b: float = b) -> Array:
        return saturation_lucene(tf, 1 - b + b * lengths / mean, k1)

    level = np.full(4, mean)
    longer = right(tf, lengths)
    return (
        Probe(
            (tf, level, mean, k1, b),
            right(tf, level),
            "These documents have the mean length, so what remains is tf / (tf + k1). What does yours give for tf = 1?",
            (
                Slip(
                    (k1 + 1) * right(tf, level),
                    "This is k1 + 1 times too much: the form of ATIRE. Lucene leaves it out.",
                ),
                Slip(tf / (tf + 1), "With k1 = 1 this would be right. Where does k1 come in?"),
                Slip(1 - right(tf, level), "This falls as tf grows. Which of the two stands above the line?"),
                Slip(tf / k1, "This grows without end. What makes a fortieth occurrence count less than a second?"),
                Slip(np.log1p(tf), "A logarithm grows without end. BM25 never passes 1: tf / (tf + ...)."),
                Slip(
                    saturation_lucene(tf, 1 - b + b * level, k1),
                    "Is the length compared with the mean length? Here both are the same, and the norm is 1.",
                ),
                Slip(tf / (tf + k1 * b), "Does b still act when a document has the mean length?"),
            ),
        ),
        Probe(
            (tf, lengths, mean, k1, b),
            longer,
            "Now the lengths differ. k1 is multiplied by 1 - b + b * length / mean length. Which part differs?",
            (
                Slip(
                    right(tf, level), "Your result does not depend on the length of the document. Where does b come in?"
                ),
                Slip(
                    saturation_lucene(tf, 1 - b + b * mean / lengths, k1),
                    "Longer documents come out higher. Is your ratio upside down?",
                ),
                Slip(
                    saturation_lucene(tf, b + (1 - b) * lengths / mean, k1),
                    "Did b and 1 - b change places? b is the share of the length.",
                ),
                Slip(saturation_lucene(tf, 1 - b + b * lengths, k1), "Is the length compared with the mean length?"),
                Slip(saturation_lucene(tf, lengths / mean, k1), "This is right for b = 1. What does b below 1 do?"),
            ),
        ),
        Probe(
            (tf, lengths, mean, k1, 0.0),
            right(tf, lengths, 0.0),
            "With b = 0 the length must not matter at all.",
        ),
        Probe(
            (np.array([0.0, 3.0]), lengths[:2], mean, k1, b),
            right(np.array([0.0, 3.0]), lengths[:2]),
            "What is a term worth to a document that does not hold it?",
        ),
    )


def _score(
    query: Sequence[str], document: Sequence[str], df: dict[str, int], n: int, mean: float, k1: float, b: float
) -> float:
    """Return the sum over the query's words as they come: a word asked twice counts twice."""
    terms = [term for term in query if term in df]
    tf = np.array([[float(document.count(term))] for term in terms]).reshape(len(terms), 1)
    weights = np.array([float(df[term]) for term in terms])
    length = np.array([float(len(document))])
    return float(bm25_scores(tf, weights, length, n_docs=n, mean_len=mean, k1=k1, b=b)[0])


def _scoring_probes(rng: np.random.Generator) -> Sequence[Probe]:
    one, two, other, *rest = (str(word) for word in rng.permutation(WORDS))
    df = {one: int(rng.integers(2, 9)), two: int(rng.integers(12, 30)), other: 5} | dict.fromkeys(rest, 17)
    n, mean, k1, b = 60, 7.0, 1.2, 0.75
    document = [one, two, rest[0], two, two, rest[1], rest[2], rest[3], rest[4], rest[5]]

    def right(query: list[str]) -> float:
        return _score(list(dict.fromkeys(query)), document, df, n, mean, k1, b)

    def parts(query: list[str]) -> tuple[Array, Array]:
        tf = np.array([float(document.count(term)) for term in query])
        norm = np.array([1 - b + b * len(document) / mean])
        return idf_lucene(np.array([float(df[term]) for term in query]), n), saturation_lucene(tf, norm, k1)

    def probe(query: list[str], ask: str, *slips: Slip) -> Probe:
        return Probe((query, document, df, n, mean, k1, b), right(query), ask, slips)

    idf, saturation = parts([one, two])
    (only_idf,), (only_saturation,) = parts([one])
    return (
        probe(
            [one],
            "One term: its idf times its saturation in this document. Which of the two differs?",
            Slip(float(only_idf), "This is the idf alone. What does the document's own count add?"),
            Slip(float(only_saturation), "This is the saturation alone. How rare is the term?"),
            Slip(float(only_idf * saturation_lucene(np.ones(1), np.ones(1), k1)[0]), "Where does the length come in?"),
            Slip(
                _score(list(dict.fromkeys(document)), document, df, n, mean, k1, b),
                "Do you add over the document's words, or over the query's?",
            ),
        ),
        probe(
            [one, two],
            "Two terms: the score is the sum of what each adds.",
            Slip(float(np.prod(idf * saturation)), "Do you multiply what the terms add? It is a sum."),
            Slip(
                float(idf.sum() * saturation.sum()), "Sum of idf times sum of saturation: which idf belongs to which?"
            ),
            Slip(float((idf * saturation).mean()), "This is the mean over the terms. A sum is asked for."),
            Slip(float((idf * saturation).max()), "This is the best term alone. What about the other?"),
            Slip(
                float((idf * parts([one, two])[1][:1]).sum()),
                "Is tf counted for each term by itself? One of them stands three times in the document.",
            ),
        ),
        probe([other, one], "What does a term add that this document does not hold?"),
        probe(
            ["zebra", one],
            "The collection has no such word as zebra: df has no entry for it. What does it add?",
        ),
        probe(
            [one, two, one],
            "The query asks one of its words twice. Here it counts once.",
            Slip(_score([one, two, one], document, df, n, mean, k1, b), "A word asked twice counts once here."),
        ),
        probe([], "What is the score for a query without any word?"),
    )


def _index(documents: Sequence[Sequence[str]]) -> dict[str, list[tuple[int, int]]]:
    index: dict[str, list[tuple[int, int]]] = {}
    for number, tokens in enumerate(documents):
        for term, count in Counter(tokens).items():
            index.setdefault(term, []).append((number, count))
    return index


def _index_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c, d, e = (str(word) for word in rng.permutation(WORDS)[:5])
    plain = [[a, b], [c, a], [d]]
    repeated = [[a, b, a, a], [c], [a, c, c]]
    empty: list[list[str]] = [[], [e, d], []]
    index = _index(plain)
    return (
        Probe(
            (plain,),
            index,
            "For each term: pairs of the document's position, counted from 0, and the count there.",
            (
                Slip({t: [(i + 1, n) for i, n in p] for t, p in index.items()}, "Are positions counted from 0?"),
                Slip({t: [i for i, _ in p] for t, p in index.items()}, "How often does each document hold the term?"),
                Slip(
                    {t: len(p) for t, p in index.items()}, "That is the document frequency. Which documents are they?"
                ),
                Slip({t: [(n, i) for i, n in p] for t, p in index.items()}, "Position first, then the count."),
                Slip(
                    {t: dict(p) for t, p in index.items()}, "A list of pairs is asked for, not a dictionary of counts."
                ),
                Slip(
                    {i: list(Counter(tokens).items()) for i, tokens in enumerate(plain)},
                    "This goes from documents to terms. An inverted index goes from terms to documents.",
                ),
            ),
        ),
        Probe(
            (repeated,),
            _index(repeated),
            "A term that stands three times in a document has one pair there, with the count 3.",
            (
                Slip(
                    {
                        t: [(i, 1) for i, tokens in enumerate(repeated) for w in tokens if w == t]
                        for t in _index(repeated)
                    },
                    "One pair a document: is each occurrence a pair of its own in yours?",
                ),
                Slip(
                    {t: [(i, 1) for i, _ in p] for t, p in _index(repeated).items()},
                    "A term stands three times in the first document. Is 1 its count?",
                ),
            ),
        ),
        Probe((empty,), _index(empty), "A document without words adds nothing, but it has a position all the same."),
    )


def _rrf(rankings: Sequence[Sequence[str]], rank_constant: int) -> Scored:
    hits = [[Hit(name, 0.0) for name in ranking] for ranking in rankings]
    return [(hit.chunk_id, hit.score) for hit in reciprocal_rank_fusion(hits, rank_constant=rank_constant)]


def _sorted(scores: dict[str, float]) -> Scored:
    return [(hit.chunk_id, hit.score) for hit in ranked(Hit(name, score) for name, score in scores.items())]


def _rrf_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c, d, e = sorted(str(word) for word in rng.permutation(WORDS)[:5])
    constant = int(rng.integers(20, 70))
    single = [c, a, d]
    two = [[d, b, a, c], [b, e, d]]
    ties = [[a, e, c], [e, a, b]]
    from_zero: dict[str, float] = {}
    best: dict[str, float] = {}
    for ranking in two:
        for rank, name in enumerate(ranking):
            from_zero[name] = from_zero.get(name, 0.0) + 1 / (constant + rank)
            best[name] = max(best.get(name, 0.0), 1 / (constant + rank + 1))
    right = _rrf(two, constant)
    means = {name: score / sum(name in ranking for ranking in two) for name, score in right}
    both = [(name, score) for name, score in right if all(name in ranking for ranking in two)]
    tied = _rrf(ties, constant)
    return (
        Probe(
            ([single], constant),
            _rrf([single], constant),
            "One ranking: pairs of id and 1 / (rank_constant + rank), the rank counted from 1.",
            (
                Slip([(n, 1 / (constant + i)) for i, n in enumerate(single)], "Is the first rank 1 in yours?"),
                Slip([n for n in single], "The ids are right. A pair of id and score is asked for."),
                Slip([(n, 1.0 / i) for i, n in enumerate(single, 1)], "Where does rank_constant come in?"),
                Slip(_rrf([single], constant)[::-1], "The smallest sum comes first in yours."),
            ),
        ),
        Probe(
            (two, constant),
            right,
            "Two rankings: what an id gets in each is added, and the largest sum comes first.",
            (
                Slip(_sorted(from_zero), "Is the first rank 1 in yours?"),
                Slip(_sorted(best), "This is the better of the two ranks alone. RRF adds both."),
                Slip(_sorted(means), "This is a mean over the rankings that hold the id. RRF adds."),
                Slip(both, "Where are the ids that stand in one ranking only? The other simply adds nothing."),
                Slip(right[::-1], "The smallest sum comes first in yours."),
                Slip(sorted(right), "The scores are right, in the order of the ids. Best first."),
            ),
        ),
        Probe(
            (ties, constant),
            tied,
            "Two ids have the same sum here. They come in alphabetical order, so that all machines agree.",
            (
                Slip(
                    [tied[0], tied[1], tied[3], tied[2]],
                    "Two ids tie. Yours come in the order in which they were met; alphabetical order is asked for.",
                ),
                Slip(
                    [tied[1], tied[0], tied[3], tied[2]],
                    "Ids that tie come from behind in yours; alphabetical order is asked for.",
                ),
            ),
        ),
        Probe(([], constant), [], "What is the fusion of no rankings?"),
    )


def _scaling_probes(rng: np.random.Generator) -> Sequence[Probe]:
    scores = np.sort(rng.uniform(2, 20, size=5))[np.array([3, 0, 4, 1, 2])]
    negative = np.array([-3.0, -1.0, -2.5])
    equal = np.full(4, float(rng.integers(2, 9)))
    return (
        Probe(
            (scores,),
            min_max(scores),
            "The lowest score becomes 0, the highest 1, and the rest keep their distances.",
            (
                Slip(scores / scores.max(), "The highest is 1, but is the lowest 0? Subtract before you divide."),
                Slip((scores - scores.min()) / scores.max(), "Divide by what is left between lowest and highest."),
                Slip(scores - scores.min(), "The lowest is 0. Is the highest 1?"),
                Slip(z_score(scores), "This is the z-score: mean 0, deviation 1. Min-max ends at 0 and 1."),
                Slip(1 - min_max(scores), "The best score has become 0. Larger is better, also after scaling."),
                Slip(scores / scores.sum(), "These are shares of the sum. Where do 0 and 1 come from?"),
                Slip(np.sort(min_max(scores)), "The numbers are right. Which of them belongs to which hit?"),
            ),
        ),
        Probe((negative,), min_max(negative), "Scores may be negative. What are the lowest and the highest here?"),
        Probe(
            (equal,),
            np.zeros(4),
            "All scores are equal: highest minus lowest is 0. They tell nothing apart, so return zeros.",
            (
                Slip(
                    np.ones(4),
                    "All are equal, so they tell nothing apart: should a ranking then hand out the best score?",
                ),
                Slip(
                    np.full(4, 0.5), "All are equal, so they tell nothing apart: zeros, as for a hit that is missing."
                ),
                Slip(equal, "All are equal, and yours come back unscaled. Which unit do they have?"),
            ),
        ),
    )


def _as_hits(scores: dict[str, float]) -> list[Hit]:
    return [Hit(name, score) for name, score in scores.items()]


def _weighted(first: dict[str, float], second: dict[str, float], alpha: float) -> dict[str, float]:
    fused = weighted_fusion([_as_hits(first), _as_hits(second)], weights=[alpha, 1 - alpha])
    return {hit.chunk_id: hit.score for hit in fused}


def _weighting_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c, d = (str(word) for word in rng.permutation(WORDS)[:4])
    alpha = float(rng.uniform(0.55, 0.75))
    low, high = (float(value) for value in np.sort(rng.uniform(0.2, 0.9, size=2)))
    first = {a: 0.95, b: (low + high) / 2, c: 0.1}
    second = {a: float(rng.uniform(11, 13)), b: 25.0, c: 8.0}
    partly = {b: 21.0, d: 14.0, a: 6.0}
    equal = {a: 3.0, b: 3.0, c: 3.0}
    right, missing = _weighted(first, second, alpha), _weighted(first, partly, alpha)
    raw = {n: alpha * first[n] + (1 - alpha) * second[n] for n in first}
    scaled = dict(zip(partly, min_max(list(partly.values())).tolist(), strict=True))
    scaled_first = dict(zip(first, min_max(list(first.values())).tolist(), strict=True))
    unscaled = {
        n: alpha * scaled_first.get(n, min(first.values())) + (1 - alpha) * scaled.get(n, min(partly.values()))
        for n in missing
    }
    full = {n: alpha * scaled_first.get(n, 1) + (1 - alpha) * scaled.get(n, 1) for n in missing}
    renewed = {
        n: (alpha * scaled_first.get(n, 0) + (1 - alpha) * scaled.get(n, 0))
        / (alpha * (n in first) + (1 - alpha) * (n in partly))
        for n in missing
    }

    def sums(one: float, other: float) -> dict[str, float]:
        scaled_second = dict(zip(second, min_max(list(second.values())).tolist(), strict=True))
        return {n: one * scaled_first[n] + other * scaled_second[n] for n in first}

    return (
        Probe(
            (first, second, alpha),
            right,
            "Scale each ranking by itself to 0..1, then add alpha times the first and 1 - alpha times the second.",
            (
                Slip(_weighted(second, first, alpha), "Which of the two does alpha weigh? It belongs to the first."),
                Slip(raw, "One ranking counts in tenths, the other in tens. Did you scale before you added?"),
                Slip(sums(alpha, 1.0), "The second has the full weight in yours. What is left of 1 beside alpha?"),
                Slip(sums(1.0, 1.0), "Where does alpha come in?"),
                Slip(
                    [(n, s) for n, s in sorted(right.items(), key=lambda pair: -pair[1])],
                    "The scores are right. A dictionary, id to score, is asked for.",
                ),
            ),
        ),
        Probe(
            (first, partly, alpha),
            missing,
            "An id that stands in one ranking only gets the other's lowest scaled score, which is 0.",
            (
                Slip({n: missing[n] for n in (a, b)}, "Where are the ids that stand in one ranking only?"),
                Slip({n: missing[n] for n in first}, "Where is the id that stands in the second ranking only?"),
                Slip(unscaled, "You fill in the lowest score before scaling. What is it after scaling?"),
                Slip(full, "An id that a ranking lacks gets that ranking's best score in yours."),
                Slip(
                    renewed,
                    "Yours rewards ids that stand in one ranking only: what is missing counts as 0, not as absent.",
                ),
            ),
        ),
        Probe(
            (first, equal, alpha),
            _weighted(first, equal, alpha),
            "All scores of the second are equal: its part is 0 for every id, not NaN.",
        ),
        Probe((first, {}, alpha), _weighted_alone(first, alpha), "The second ranking is empty. What is left?"),
    )


def _weighted_alone(first: dict[str, float], alpha: float) -> dict[str, float]:
    """Return alpha times the scaled scores: what the formula of the task gives where the second is empty."""
    return {n: alpha * s for n, s in zip(first, min_max(list(first.values())).tolist(), strict=True)}


TASKS: tuple[Task, ...] = (
    Task(
        "idf",
        "inverse_document_frequency",
        "How rare is a term?",
        2,
        _idf_probes,
        (
            "df is an array: NumPy computes the formula for all terms at once.",
            "Documents without the term: n_docs - df. Add 0.5 above and below the line.",
            "np.log(1 + (n_docs - df + 0.5) / (df + 0.5))",
        ),
        "A term in one document of a hundred weighs many times one that stands in most. The 1 inside the logarithm keeps the "
        "weight above 0: without it, holding a common word of the query would count against a document.",
    ),
    Task(
        "saturation",
        "saturation",
        "The tenth time counts less",
        2,
        _saturation_probes,
        (
            "First forget the length: tf / (tf + k1).",
            "The norm is 1 for a document of mean length, and b says how much the length matters.",
            "norm = 1 - b + b * doc_len / mean_len, then tf / (tf + k1 * norm)",
        ),
        "The first occurrence says most; the curve never passes 1, so one repeated word cannot outweigh a second one. A long "
        "document repeats words because it is long, so its occurrences count less.",
    ),
    Task(
        "scoring",
        "bm25",
        "The score of one document",
        3,
        _scoring_probes,
        (
            "For each different term of the query: its idf times its saturation in this document; add them up.",
            "dict.fromkeys(query) keeps each word once; document.count(term) is its tf; df.get(term) is None for an "
            "unknown word.",
            "Your two functions take numbers as well as arrays: inverse_document_frequency(df[term], n_docs).",
        ),
        "A sum over the query's words, each weighed by how rare it is and how often it stands here. Nothing else is looked at: "
        "no order, no meaning. That is its strength with codes and its weakness with paraphrases.",
    ),
    Task(
        "index",
        "inverted_index",
        "From terms to documents",
        2,
        _index_probes,
        (
            "Go through the documents with enumerate; count the words of each with collections.Counter.",
            "index.setdefault(term, []) gives the list of a term, a new one the first time.",
            "index.setdefault(term, []).append((position, count))",
        ),
        "A query has a handful of terms, and each leads straight to the documents that hold it. All others are never touched: "
        "this is why word search over millions of documents is quick.",
    ),
    Task(
        "rrf",
        "reciprocal_rank_fusion",
        "Fuse by rank",
        3,
        _rrf_probes,
        (
            "for rank, name in enumerate(ranking, start=1): add 1 / (rank_constant + rank) to the name's sum.",
            "A dictionary holds the sums; sums.get(name, 0) starts a new one.",
            "sorted(sums.items(), key=lambda pair: (-pair[1], pair[0])) puts the largest first and ties by name.",
        ),
        "Ranks have no unit, so a cosine and a BM25 score need no common scale. The price: that one hit stood far above all "
        "others is forgotten.",
    ),
    Task(
        "scaling",
        "min_max",
        "Bring scores to one scale",
        2,
        _scaling_probes,
        (
            "Subtract the lowest, divide by highest minus lowest.",
            "Look at highest minus lowest before you divide: it may be 0.",
            "np.zeros(len(scores)) where scores.max() == scores.min()",
        ),
        "A cosine lies between -1 and 1, a BM25 score may be 3 or 30. After scaling both lie between 0 and 1. Where all are "
        "equal, 0 / 0 has no answer, so one must be chosen: zeros, for such a ranking prefers nothing.",
    ),
    Task(
        "weighting",
        "weighted_fusion",
        "Fuse by score",
        3,
        _weighting_probes,
        (
            "min_max on the list of a dictionary's values, then zip the names back: dict(zip(names, scaled)).",
            "All ids: set(first) | set(second). scaled.get(name, 0) is 0 for an id that a ranking lacks.",
            "An empty ranking has no lowest score: leave it unscaled, {}, and every id gets 0 from it.",
        ),
        "Scores keep what ranks forget: how clear a win was. The price is a knob, alpha, that must be set on questions which "
        "are not those you report.",
    ),
)

check = Check("04_hybrid_search", TASKS)
