"""Checks of lesson 06. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from course_lib.classroom.check import Check, Probe, Slip, Task
from course_lib.retrieval.embedding import normalise
from course_lib.retrieval.late_interaction import max_sim
from course_lib.retrieval.reranking import standardised

Array = npt.NDArray[np.float64]


def _max_sim_probes(rng: np.random.Generator) -> Sequence[Probe]:
    query = normalise(rng.normal(size=(3, 5)).astype(np.float32))
    alike = query + 0.4 * normalise(rng.normal(size=(3, 5)).astype(np.float32))  # so that each best match is above 0
    passage = normalise(np.vstack([rng.normal(size=(4, 5)).astype(np.float32), alike]))
    far = -np.abs(normalise(rng.normal(size=(4, 5)).astype(np.float32)))
    near = np.abs(query)
    similarities = query @ passage.T  # (3, 7)
    return (
        Probe(
            (query, passage),
            max_sim(query, passage),
            "For each query token, the best passage token; then the mean over the query's tokens. Which step differs?",
            (
                Slip(float(similarities.max(axis=0).mean()), "You asked each passage token for its best query token. Who looks for whom?"),
                Slip(float(similarities.mean()), "This is the mean over all pairs, or of averaged tokens, which is the same. What became of the best match?"),
                Slip(float(similarities.max()), "This is the best of all pairs. What do the other query tokens say?"),
                Slip(float(similarities.max(axis=1).sum()), "This is the sum. A long query would score higher than a short one: take the mean."),
                Slip(similarities.max(axis=1), "These are the best matches of each query token. One number is asked for."),
            ),
        ),
        Probe(
            (near, far),
            max_sim(near, far),
            "Here no token is like any other: all similarities are below 0. Is the best of them still the best?",
            (Slip(0.0, "All similarities are below 0 here, and you return 0. Does your maximum start at 0?"),),
        ),
        Probe(
            (query[:1], query[:1]),
            1.0,
            "A text of one token, compared with itself. How alike are they?",
        ),
    )  # fmt: skip


def _combine_probes(rng: np.random.Generator) -> Sequence[Probe]:
    first = rng.uniform(0.3, 0.9, size=6)
    second = rng.normal(-40, 12, size=6)
    level = np.full(6, 0.5)

    def standard(values: Array) -> Array:
        return standardised(values.astype(np.float32)).astype(np.float64)

    def together(a: Array, b: Array, weight: float) -> Array:
        return np.asarray(standard(b) + weight * standard(a))

    def sample(values: Array) -> Array:
        return np.asarray((values - values.mean()) / values.std(ddof=1))

    def min_max(values: Array) -> Array:
        return np.asarray((values - values.min()) / (values.max() - values.min()))

    return (
        Probe(
            (first, second, 1.0),
            together(first, second, 1.0),
            "Take the mean away, divide by the standard deviation, each of the two by itself; then add.",
            (
                Slip(first + second, "These are the raw scores, added. Which of the two has any say, with scores of -40 beside 0.6?"),
                Slip(first - first.mean() + second - second.mean(), "Both have mean 0 now. What about their spread?"),
                Slip(first / first.std() + second / second.std(), "Both have spread 1 now. What about their mean?"),
                Slip(sample(first) + sample(second), "You divide by the deviation of n - 1. Use np.std as it is."),
                Slip(min_max(first) + min_max(second), "This is min-max scaling, 0 to 1. Standardising was asked for: mean 0, deviation 1."),
                Slip(standard(first + second), "You added first and standardised the sum. Which comes first?"),
            ),
        ),
        Probe(
            (first, second, 0.25),
            together(first, second, 0.25),
            "Which of the two does weight multiply?",
            (
                Slip(together(first, second, 1.0), "The weight has no effect on your result. Where should it stand?"),
                Slip(together(second, first, 0.25), "You weigh the second stage. Weight belongs to the first."),
                Slip(together(0.25 * first, second, 1.0), "You multiply before you standardise. What does standardising do to a factor?"),
                Slip(0.25 * standard(first) + 0.75 * standard(second), "You give the second stage the weight 1 - w. It is added whole."),
            ),
        ),
        Probe(
            (level, second, 1.0),
            together(level, second, 1.0),
            "All scores of the first stage are equal: they tell nothing apart. What should they add?",
        ),
    )  # fmt: skip


def _depth_probes(rng: np.random.Generator) -> Sequence[Probe]:
    low, *others, high = sorted(int(number) for number in rng.permutation(np.arange(10, 99))[:7])
    places = [others[i] for i in rng.permutation(5)]
    ids = [f"hit {number}" for number in (*places[:4], places[4], high, low)]  # the last three are in no order
    scores = [0.2, 0.9, 0.1, 0.6]
    order = [ids[1], ids[3], ids[0], ids[2]]
    ties = [0.5, 0.7, 0.5, 0.7]
    return (
        Probe(
            (ids[:4], scores),
            order,
            "Each of the four was read again. Largest score first.",
            (
                Slip(order[::-1], "The smallest score comes first. Which end is best?"),
                Slip([1, 3, 0, 2], "These are positions. The ids are asked for."),
                Slip(sorted(scores, reverse=True), "These are scores. The ids are asked for."),
            ),
        ),
        Probe(
            (ids, scores),
            order + ids[4:],
            "Seven hits, four of them read again. Where do the other three belong?",
            (
                Slip(order, "Three hits are gone. Nobody read them again, but they were found: keep them, below."),
                Slip(ids[4:] + order, "Those that were not read again come first. Should they?"),
                Slip(order + ids[:3:-1], "The order of the hits that were not read again is upside down."),
                Slip(order + sorted(ids[4:]), "Did you sort the hits that were not read again? Nothing new is known of them."),
            ),
        ),
        Probe(
            (ids, ties),
            [ids[1], ids[3], ids[0], ids[2], *ids[4:]],
            "Two pairs have equal scores. Then the first stage decides: keep their order.",
            (Slip([ids[3], ids[1], ids[2], ids[0], *ids[4:]], "Equal scores come out in reverse. Then the first stage should decide: keep their order."),),
        ),
        Probe((ids, []), ids, "Nothing was read again. What is the order then?"),
    )  # fmt: skip


def _version_probes(rng: np.random.Generator) -> Sequence[Probe]:
    year = int(rng.integers(2018, 2021))
    month = int(rng.integers(2, 11))
    versions = [
        ("fee, second", f"{year + 2}-{month:02d}-05"),
        ("fee, first", f"{year}-{month:02d}-01"),
        ("fee, third", f"{year + 5}-{month:02d}-15"),
    ]
    return (
        Probe(
            (versions, f"{year + 3}-01-01"),
            "fee, second",
            "Which of them had begun by then, and was not yet replaced?",
            (
                Slip("fee, third", "This is the newest version. Had it begun at that date?"),
                Slip("fee, first", "This is the oldest version. Had it been replaced by then?"),
                Slip(f"{year + 2}-{month:02d}-05", "This is the date of the version. Its name is asked for."),
            ),
        ),
        Probe(
            (versions, f"{year + 4}-{month:02d}-16"),
            "fee, second",
            "The third version is nearer to that date, but had it begun?",
            (Slip("fee, third", "You took the version whose date is nearest. Had it begun?"),),
        ),
        Probe(
            (versions, f"{year + 2}-{month:02d}-05"),
            "fee, second",
            "On the very day on which a version begins, which one holds?",
            (Slip("fee, first", "On the day on which a version begins, it holds. Is your comparison strict?"),),
        ),
        Probe(
            (versions, f"{year + 9}-01-01"),
            "fee, third",
            "Nothing replaced the third version. Until when does it hold?",
        ),
        Probe(
            (versions, f"{year + 1}-01-01"),
            "fee, first",
            "The second version had not begun. Which one holds until it does?",
        ),
        Probe(
            (versions, f"{year - 1}-12-31"),
            ValueError,
            "Before the first version nothing was in force. Raise a ValueError that says so.",
        ),
    )


def _mmr_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Four hits whose order by max, mean or last differs; the noise is too small to turn any of them round."""
    noise = rng.uniform(0, 2e-3, size=4)
    scores = np.array([0.9, 0.8, 0.75, 0.66]) + noise
    similarities = np.array([[1, 0.9, 0.3, 0.25], [0.9, 1, 0.2, 0.4], [0.3, 0.2, 1, 0.7], [0.25, 0.4, 0.7, 1]])
    opposite = np.array([[1, -0.9, 0.0], [-0.9, 1, 0.0], [0.0, 0.0, 1]])
    return (
        Probe(
            (scores, similarities, [], 0.5),
            0,
            "Nothing is picked yet, so nothing can be repeated. Which comes first?",
        ),
        Probe(
            (scores, similarities, [0], 0.5),
            2,
            "After hit 0, hit 1 would repeat it (0.9). Which has the largest w * relevance - (1 - w) * similarity?",
            (
                Slip(1, "This is the next in order of relevance. How much does it repeat what is picked?"),
                Slip(0, "This one is picked already. Can it be picked twice?"),
                Slip(3, "This is the one least like what is picked. Does relevance count in your result?"),
                Slip(0.5 * scores[2] - 0.15, "This is the value of the best one. Its position is asked for."),
            ),
        ),
        Probe(
            (scores, similarities, [0, 2], 0.5),
            3,
            "Two are picked. Hit 1 repeats the first (0.9), hit 3 the second (0.7). Which repeats less, and is it worth it?",
            (Slip(1, "Do you compare with the most similar one of those that are picked, or with their mean, or with the last?"),),
        ),
        Probe(
            (scores, similarities, [0], 1.0),
            1,
            "With w = 1 only relevance counts. Which is next?",
            (Slip(3, "With w = 1 the likeness should count nothing. Is your weight the wrong way round?"),),
        ),
        Probe(
            (np.array([0.9, 0.1, 0.4]), opposite, [0], 0.5),
            1,
            "Hit 1 says the opposite of what is picked: its similarity is -0.9. Is that 0, or better than 0?",
            (Slip(2, "Hit 1 has similarity -0.9 to what is picked. Did you cut it off at 0, or drop its sign?"),),
        ),
    )  # fmt: skip


def _threshold_probes(rng: np.random.Generator) -> Sequence[Probe]:
    shift = float(rng.uniform(0, 0.05))
    scores = np.array([0.80, 0.30, 0.60, 0.50, 0.70, 0.40]) + shift
    answerable = np.array([True, False, True, False, True, True])
    # from the top: 0.80 yes, 0.70 yes, 0.60 yes, 0.50 no, 0.40 yes, 0.30 no: precision 1, 1, 1, 3/4, 4/5, 4/6
    hopeless = np.array([False, True, False, False, False, False])
    tied = np.array([0.9, 0.6, 0.6, 0.2]) + shift
    tied_answerable = np.array([True, True, False, True])
    return (
        Probe(
            (scores, answerable, 1.0),
            0.60 + shift,
            "Go down from the highest score. How far can you go while all that pass are answerable?",
            (
                Slip(0.80 + shift, "All that pass are answerable there, but a lower threshold lets more of them through."),
                Slip(0.50 + shift, "At this threshold an unanswerable question passes. Is yours 'above', or 'at or above'?"),
            ),
        ),
        Probe(
            (scores, answerable, 0.8),
            0.40 + shift,
            "At 0.40, four of the five that pass are answerable: 0.8. A dip higher up does not forbid it.",
            (
                Slip(0.60 + shift, "You stop where the precision first falls below. Does it rise again further down?"),
                Slip(0.50 + shift, "Three of the four that pass are answerable there. Is 0.75 enough?"),
                Slip(0.30 + shift, "There four of six pass rightly. Is 'at least 0.8 of those that pass' the same as 'at least 0.8 of the answerable'?"),
            ),
        ),
        Probe(
            (tied, tied_answerable, 0.75),
            0.20 + shift,
            "Two questions have the same score: they pass together. What is the precision at each threshold?",
        ),
        Probe(
            (tied, tied_answerable, 0.9),
            0.90 + shift,
            "Two questions have the same score, and one of them is unanswerable. Can a threshold let only the other through?",
            (Slip(0.60 + shift, "At 0.60 two of the three that pass are answerable. Do you count only one of the two that tie?"),),
        ),
        Probe(
            (scores, hopeless, 0.9),
            ValueError,
            "No threshold reaches this precision. Raise a ValueError that says so.",
        ),
    )  # fmt: skip


def _likelihood_probes(rng: np.random.Generator) -> Sequence[Probe]:
    logits = rng.normal(5, 2, size=(4, 6))
    targets = np.array([int(np.argsort(logits[0])[2]), 5, 0, 2])  # the first is not the likeliest
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    chosen = log_p[np.arange(4), targets]
    over_tokens = logits - np.log(np.exp(logits).sum(axis=0, keepdims=True))
    large = np.array([[1000.0, 998.0, 0.0], [0.0, 1000.0, 1000.0]])
    tokens = np.array([1, 2])  # row 0: -2 - ln(1 + e^-2); row 1: -ln 2
    return (
        Probe(
            (logits, targets),
            float(chosen.mean()),
            "Logits to ln p by the softmax of each row, then the entry of each token, then the mean.",
            (
                Slip(float(chosen.sum()), "This is the sum. A long question would always be less likely than a short one: take the mean."),
                Slip(float(-chosen.mean()), "This is the loss: larger is worse. A score is larger where it is better."),
                Slip(float(np.exp(chosen).mean()), "This is the mean of the probabilities. Where is the logarithm?"),
                Slip(float(np.exp(chosen.mean())), "This is e to the mean log-likelihood. The mean itself is asked for."),
                Slip(float(logits[np.arange(4), targets].mean()), "These are the logits. Without the softmax a row's numbers are no probabilities."),
                Slip(float(log_p.max(axis=1).mean()), "You took the likeliest token of each row. The tokens of the question are given."),
                Slip(float(log_p.mean()), "You averaged over the whole vocabulary. Which token stands at each place?"),
                Slip(float(over_tokens[np.arange(4), targets].mean()), "Your softmax runs down the columns. Which axis is the vocabulary?"),
                Slip(float((chosen / np.log(2)).mean()), "You used the logarithm to base 2. The natural one is asked for."),
            ),
        ),
        Probe(
            (large, tokens),
            float(-(2 + np.log1p(np.exp(-2)) + np.log(2)) / 2),
            "Logits of 1000: e to the 1000 is more than a float can hold. What may be taken from a row without changing its softmax?",
        ),
    )  # fmt: skip


TASKS = (
    Task(
        "late_interaction",
        "late_interaction_score",
        "Late interaction",
        3,
        _max_sim_probes,
        (
            "query_vectors @ passage_vectors.T compares every query token with every passage token: (n_query, n_passage).",
            "Query tokens are the rows. The best passage token of each is the maximum along axis 1.",
            "float((query_vectors @ passage_vectors.T).max(axis=1).mean())",
        ),
        "One vector a text must say everything at once, and rare words drown in the mean. With a vector for each token, a "
        "code in the query can look for that code in the passage. The price is memory: one vector a token instead of one a text.",
    ),
    Task(
        "combining",
        "combine_scores",
        "Standardise and add",
        2,
        _combine_probes,
        (
            "(values - values.mean()) / values.std() has mean 0 and deviation 1.",
            "If all values are equal the deviation is 0: return zeros for that stage.",
            "standardise(second) + weight * standardise(first)",
        ),
        "A log-likelihood of -40 and a cosine of 0.6 live on different scales. Standardised over the hits of one query, each "
        "stage says how far a hit stands above the others, and then they can be added.",
    ),
    Task(
        "depth",
        "rerank_head",
        "Keep what was not read again",
        2,
        _depth_probes,
        (
            "There are as many scores as hits were read again: len(scores).",
            "sorted() is stable: equal keys stay in their order. The key can be -score.",
            "order = sorted(range(len(scores)), key=lambda i: -scores[i]); then [ids[i] for i in order] + ids[len(scores):]",
        ),
        "A reranker reads only the head of the list. What lies below was found too, and may hold the second gold passage: it "
        "keeps its place below. This is also why reranking cannot help a passage that the first stage missed.",
    ),
    Task(
        "versions",
        "version_in_force",
        "The version in force",
        2,
        _version_probes,
        (
            "Dates written as YYYY-MM-DD sort like dates: '2021-05-01' < '2021-11-30'.",
            "Keep the versions whose date is not after the day asked for.",
            "Of those, the one with the latest date is in force: max(begun, key=lambda version: version[1])[0]",
        ),
        "A version holds from its date until the next one begins. 'The newest' and 'the one in force then' differ for every "
        "question about the past, and for a version that is announced but has not begun.",
    ),
    Task(
        "mmr",
        "next_pick",
        "One step of MMR",
        3,
        _mmr_probes,
        (
            "Go through the positions that are not in picked, and give each a value.",
            "Its redundancy is the largest similarities[i][j] over the picked j; 0 if nothing is picked.",
            "value = weight * relevance[i] - (1 - weight) * redundancy; return the position with the largest",
        ),
        "Each pick changes what is redundant, so the next value must be computed anew. The maximum, not the mean: one copy is "
        "enough to make a passage superfluous, however different the others are.",
    ),
    Task(
        "threshold",
        "lowest_threshold",
        "A threshold for a wanted precision",
        3,
        _threshold_probes,
        (
            "Only the scores themselves need to be tried as thresholds: nothing changes between them.",
            "At threshold t, scores >= t pass. Precision is the share of the answerable among those.",
            "good = [t for t in scores if answerable[scores >= t].mean() >= precision]; return min(good), or raise ValueError",
        ),
        "Precision is not a steady curve: it may dip and rise again, so every threshold must be tried. On another set of "
        "questions it will not be quite what you chose: choose on train, report on test.",
    ),
    Task(
        "likelihood",
        "mean_log_likelihood",
        "How likely is the question?",
        3,
        _likelihood_probes,
        (
            "ln softmax of a row is logits - ln(sum(exp(logits))).",
            "Take the maximum of each row away first: the softmax stays the same, and nothing overflows.",
            "log_p[np.arange(len(targets)), targets].mean()",
        ),
        "Query likelihood turns a language model round: not 'what does this passage answer', but 'how likely would this "
        "question follow from it'. The mean over tokens makes questions of different length comparable.",
    ),
)

check = Check("06_reranking_and_filtering", TASKS)
