"""Checks of lesson 08. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from course_lib.classroom.check import Check, Probe, Slip, Task
from course_lib.evaluation.answers import abstention_scores, citation_scores, pooled
from course_lib.evaluation.ranking import average_precision, ndcg_at_k
from course_lib.evaluation.significance import holm

IDS = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9")
WORDS = ("meter", "bill", "wind", "goal", "tremor", "match", "price", "storm", "cell", "team", "drug", "tower")


def _ndcg_other(ranking: Sequence[str], gains: Mapping[str, float], k: int, form: str) -> float:
    """nDCG as those compute it who slip; form says how."""
    first = 0 if form == "from 0" else 1

    def dcg(values: Sequence[float]) -> float:
        if form == "linear":
            return sum(value / rank for rank, value in enumerate(values, start=1))
        if form == "natural":
            return sum(value / math.log(1 + rank) for rank, value in enumerate(values, start=1))
        if form == "power":
            return sum((2**value - 1) / math.log2(1 + rank) for rank, value in enumerate(values, start=1))
        return sum(value / math.log2(1 + first + rank) for rank, value in enumerate(values))

    got = [gains.get(name, 0.0) for name in ranking[:k]]
    if form == "own ideal":
        return dcg(got) / dcg(sorted(got, reverse=True))
    ideal = sorted(gains.values(), reverse=True)
    if form == "unsorted":
        ideal = list(gains.values())
    if form == "no division":
        return dcg(got)
    if form == "all of the ideal":
        return dcg(got) / dcg(ideal)
    return dcg(got) / dcg(ideal[:k])


def _ndcg_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c, d, e, f, g, h, i = (str(name) for name in rng.permutation(IDS))
    low, high = 1.0, float(rng.integers(3, 6))

    def probe(ranking: list[str], gains: dict[str, float], k: int, ask: str, *slips: tuple[str, str]) -> Probe:
        wrong = tuple(Slip(_ndcg_other(ranking, gains, k, form), words) for form, words in slips)
        return Probe((ranking, gains, k), ndcg_at_k(ranking, gains, k), ask, wrong)

    return (
        probe(
            [d, a, e, b],
            {a: 1.0, b: 1.0},
            4,
            "Two relevant ids, at places 2 and 4. Each adds 1 / log2(1 + rank); the best order has them at 1 and 2.",
            ("no division", "This is the gain, discounted and summed. What would the best order reach?"),
            ("linear", "You divide by the rank. The discount is log2(1 + rank), which falls more slowly."),
        ),
        probe(
            [a, d, b, c],
            {a: low, b: high, c: 2.0},
            4,
            "Now the gains differ. In which order do they stand in the best ranking?",
            ("unsorted", "In which order did you put the gains of the best ranking? The largest comes first."),
            ("power", "This counts 2 ** gain - 1. Here, as in trec_eval, the gain itself counts."),
        ),
        probe(
            [a, e, d],
            {a: low, b: high, c: 2.0},
            3,
            "A relevant id is missing from the ranking. The best ranking would have it all the same.",
            ("own ideal", "Did you sort what was found? The best ranking is made of all judged ids, found or not."),
        ),
        probe(
            [b, d, e, a, c],
            {a: 3.0, b: low, c: high, f: 2.0, g: 1.0},
            3,
            "Only the first k places count, in the ranking and in the best ranking.",
            ("all of the ideal", "Is the best ranking cut at k as well? Otherwise not even it would reach 1."),
        ),
        probe([d, e, h, i], {a: 1.0, b: 2.0}, 4, "Nothing relevant was found. What is 0 divided by the best?"),
        Probe(([a, b], {a: 0.0}, 2), ValueError, "No id is relevant, so the best is 0. Raise a ValueError: 0 / 0."),
    )


def _ap_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c, d, e, f, g, *_ = (str(name) for name in rng.permutation(IDS))

    def right(ranking: list[str], relevant: list[str]) -> float:
        return average_precision(ranking, dict.fromkeys(relevant, 1.0))

    two = [d, a, e, b]
    missing = [a, d, b, e, c]
    return (
        Probe(
            (two, [a, b]),
            right(two, [a, b]),
            "Relevant at places 2 and 4: precision there is 1/2 and 2/4. What is their mean?",
            (
                Slip(
                    0.5 * (1 / 2 + 1 / 4), "This is 1 / rank at each place. How many relevant ids stand there by then?"
                ),
                Slip(
                    np.mean([0, 1 / 2, 1 / 3, 2 / 4]),
                    "Is precision taken at every place, or where a relevant id stands?",
                ),
                Slip(1.0, "This is the sum. A mean over the relevant ids is asked for."),
            ),
        ),
        Probe(
            ([a, d, e, b], [a, b]),
            right([a, d, e, b], [a, b]),
            "Relevant at places 1 and 4. How many were found by place 4?",
            (
                Slip(0.5 * (1 + 1 / 4), "This is 1 / rank at each place. How many relevant ids stand there by then?"),
                Slip(1.0, "This is 1 / rank of the first relevant id. What do the others add?"),
                Slip(
                    np.mean([1, 1 / 2, 1 / 3, 2 / 4]),
                    "Is precision taken at every place, or where a relevant id stands?",
                ),
            ),
        ),
        Probe(
            (missing, [a, b, f, g]),
            right(missing, [a, b, f, g]),
            "Two of four relevant ids were never found. What do they add, and by how many do you divide?",
            (
                Slip(
                    (1 + 2 / 3) / 2, "You divide by the relevant ids that were found. The others count as well, with 0."
                ),
                Slip((1 + 2 / 3) / len(missing), "By what do you divide: places, or relevant ids?"),
            ),
        ),
        Probe(
            ([d, a, e], [a]),
            0.5,
            "One relevant id, at place 2.",
            (Slip(1 / 3, "Do you divide by the length of the ranking?"),),
        ),
        Probe(([d, e], [a, b]), 0.0, "Nothing relevant was found: every relevant id adds 0."),
        Probe(([d, e], []), ValueError, "No id is relevant: the mean of nothing. Raise a ValueError."),
    )


def _plain(text: str) -> list[str]:
    kept = re.sub(r"[^a-z0-9 ]", " ", text.lower()).split()
    return [word for word in kept if word not in ("a", "an", "the")]


def _f1(answer: Sequence[str], gold: Sequence[str], *, sets: bool = False) -> float:
    said, wanted = (Counter(set(words) if sets else words) for words in (answer, gold))
    shared = (said & wanted).total()
    return 2 * shared / (said.total() + wanted.total()) if shared else 0.0


def _token_f1_probes(rng: np.random.Generator) -> Sequence[Probe]:
    one, two, three, four, five, six, *_ = (str(word) for word in rng.permutation(WORDS))
    plain, gold = f"{one} {two} {three} {four}", f"{one} {two}"
    marked, wanted = f"The {one.title()}, {two}.", f"{one} {two} {three}"
    twice = f"{one} {one} {one} {two}"
    aliases = [f"{five} {six} {three}", f"{one} {two}", f"{three}"]

    def best(answer: str, golds: Sequence[str]) -> float:
        return max(_f1(_plain(answer), _plain(each)) for each in golds)

    def shares(answer: str, gold: str) -> tuple[float, float]:
        shared = (Counter(_plain(answer)) & Counter(_plain(gold))).total()
        return shared / len(_plain(answer)), shared / len(_plain(gold))

    precision, recall = shares(plain, gold)
    with_marks = _f1(marked.lower().split(), wanted.split())
    with_articles = _f1(re.sub(r"[^a-z0-9 ]", " ", marked.lower()).split(), wanted.split())
    as_written = _f1(re.sub(r"[^A-Za-z0-9 ]", " ", marked).split(), wanted.split())
    each = [_f1(_plain(f"{one} {two}"), _plain(alias)) for alias in aliases]
    return (
        Probe(
            (plain, [gold]),
            best(plain, [gold]),
            "Four words, of which two are gold: precision 2/4, recall 2/2. F1 is 2 * P * R / (P + R).",
            (
                Slip(precision, "This is precision. How much of the gold answer was said?"),
                Slip(recall, "This is recall. What do the words beside the gold answer cost?"),
                Slip((precision + recall) / 2, "This is the plain mean of the two. F1 is the harmonic mean."),
                Slip(precision * recall / (precision + recall), "The factor 2 is missing: if both are 1, F1 is 1."),
                Slip(
                    2.0, "This counts the shared words. Divide them by the words that were said, and by those wanted."
                ),
            ),
        ),
        Probe(
            (marked, [wanted]),
            best(marked, [wanted]),
            "Case, punctuation and the articles a, an, the must not matter.",
            (
                Slip(with_marks, "Is a word with a comma or a full stop the same word to you?"),
                Slip(with_articles, "Does your answer still count the article?"),
                Slip(as_written, "Is a word with a capital letter another word to you?"),
                Slip(0.0, "Is a word with a capital letter, or one with a comma, another word to you?"),
            ),
        ),
        Probe(
            (twice, [f"{one} {two}"]),
            best(twice, [f"{one} {two}"]),
            "A word that is said three times meets the one in the gold answer once.",
            (
                Slip(
                    _f1(_plain(twice), _plain(f"{one} {two}"), sets=True),
                    "Did you make sets? A word said three times is three words.",
                ),
                Slip(
                    _shared_too_often(_plain(twice), _plain(f"{one} {two}")),
                    "How often can the one word of the gold answer be met?",
                ),
            ),
        ),
        Probe(
            (f"{one} {two}", aliases),
            best(f"{one} {two}", aliases),
            "Several gold answers: the one that fits best counts.",
            (
                Slip(each[0], "You look at the first gold answer only. Any alias will do."),
                Slip(float(np.mean(each)), "This is the mean over the aliases. The best one counts."),
                Slip(
                    _f1(_plain(f"{one} {two}"), _plain(" ".join(aliases))),
                    "Did you join the aliases into one text? Compare with each by itself.",
                ),
                Slip(min(each), "This is the alias that fits worst."),
            ),
        ),
        Probe((f"{four}", [gold]), 0.0, "No word is shared: F1 is 0, without a division by 0."),
    )


def _shared_too_often(answer: Sequence[str], gold: Sequence[str]) -> float:
    shared = sum(word in gold for word in answer)
    precision, recall = shared / len(answer), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def _abstention_probes(rng: np.random.Generator) -> Sequence[Probe]:
    right, silent_wrongly, missed, fine = 3, 2, 5, int(rng.integers(11, 17))
    rows = (
        [(True, False)] * right + [(True, True)] * silent_wrongly + [(False, False)] * missed + [(False, True)] * fine
    )
    rows = [rows[i] for i in rng.permutation(len(rows))]
    abstained, answerable = [row[0] for row in rows], [row[1] for row in rows]
    score = abstention_scores(abstained, answerable)
    precision, recall = score.precision, score.recall
    of_answers = (fine / (fine + missed), fine / (fine + silent_wrongly))
    never = [False, False, False], [True, False, True]
    always_answerable = [True, False], [True, True]
    return (
        Probe(
            (abstained, answerable),
            (precision, recall),
            "Precision: of the abstentions, the share on questions without an answer. Recall: of these questions, the share met.",
            (
                Slip(
                    (recall, precision),
                    "Did the two change places? Precision looks at what was said, recall at what was wanted.",
                ),
                Slip(
                    ((right + fine) / len(rows), recall),
                    "Precision here is accuracy: it counts the questions answered as well. Count abstentions only.",
                ),
                Slip(
                    of_answers,
                    "You score the answers given. Which of the two, answering or abstaining, is to be scored?",
                ),
                Slip(
                    (silent_wrongly / (right + silent_wrongly), silent_wrongly / (silent_wrongly + fine)),
                    "answerable is True where the question has an answer. Where is an abstention right?",
                ),
                Slip((precision, right / len(rows)), "Recall divides by the questions without an answer, not by all."),
                Slip((right / len(rows), recall), "Precision divides by the abstentions, not by all questions."),
                Slip((right, right), "These are counts. Divide each by its own total."),
            ),
        ),
        Probe(
            ([True, True, False], [False, False, False]),
            (1.0, 2 / 3),
            "Three questions without an answer, two abstentions: all of these were right, two of three were met.",
        ),
        Probe(
            never,
            ValueError,
            "Nobody abstained: precision would be 0 / 0. Raise a ValueError, rather than return 0 or 1.",
        ),
        Probe(
            always_answerable,
            ValueError,
            "Every question has an answer: recall would be 0 / 0. Raise a ValueError, rather than return 0 or 1.",
        ),
    )


def _citation_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c, d, e, f = (int(number) for number in rng.permutation(np.arange(1, 8))[:6])
    cited = [[a, b, c, d], [b], [e]]
    gold = [[a], [b, c], [e, f]]

    def right(cited: list[list[int]], gold: list[list[int]]) -> float:
        return pooled(citation_scores(one, two) for one, two in zip(cited, gold, strict=True)).precision

    silent = [[a, b], [], [c]], [[a], [d], [c]]
    repeated = [[a, a, a, b, c]], [[a]]
    each = [len(set(one) & set(two)) / len(set(one)) for one, two in zip(cited, gold, strict=True)]
    return (
        Probe(
            (cited, gold),
            right(cited, gold),
            "Six citations in three answers. How many of them point to a passage that holds the answer?",
            (
                Slip(float(np.mean(each)), "This is a mean over the answers. Every citation is to weigh the same."),
                Slip(3 / 5, "You divide by the gold passages: that is recall. Precision divides by what was cited."),
                Slip(1.0, "Is one right citation an answer's excuse for the wrong ones? Count every citation."),
                Slip(3, "This is a count. What share of the citations is it?"),
                Slip(2 / 3, "Do you count answers whose citations are all right? Count citations."),
            ),
        ),
        Probe(
            silent,
            right(*silent),
            "An answer without a citation adds nothing above or below the line.",
            (
                Slip(
                    float(np.mean([0.5, 0.0, 1.0])),
                    "This is a mean over the answers. Every citation is to weigh the same.",
                ),
            ),
        ),
        Probe(
            repeated,
            right(*repeated),
            "An answer that cites one passage three times has cited one passage.",
            (Slip(3 / 5, "A passage that one answer cites three times counts once."),),
        ),
        Probe(
            ([[a], [a], [a], [b]], [[b], [a], [b], [b]]),
            0.5,
            "Each answer has its own gold passages.",
            (Slip(1.0, "Did you pool the gold passages of all answers? Each answer has its own."),),
        ),
        Probe(([[], []], [[a], [b]]), ValueError, "Nobody cited anything: 0 / 0. Raise a ValueError."),
    )


def _bootstrap_probes(rng: np.random.Generator) -> Sequence[Probe]:
    n, draws = 12, 400
    hard = rng.uniform(0, 1, n)  # what both systems share
    b = np.round(hard, 3)
    a = np.round(np.clip(hard + rng.normal(0.08, 0.1, n), 0, 1.2), 3)
    picks = rng.integers(0, n, size=(draws, n))

    def interval(values: np.ndarray, tails: tuple[float, float] = (0.025, 0.975)) -> list[float]:
        return [float(x) for x in np.quantile(values, tails)]

    means = (a - b)[picks].mean(axis=1)
    apart = a[picks].mean(axis=1) - b[rng.permutation(picks)].mean(axis=1)
    difference = (a - b).mean()
    spread = 1.96 * (a - b).std() / np.sqrt(n)
    same = np.full(5, 0.25)
    few = rng.integers(0, 5, size=(100, 5))
    return (
        Probe(
            (a, b, picks),
            interval(means),
            "Take the differences once, draw the same rows of them for each draw, average, and read off the percentiles.",
            (
                Slip(interval(apart), "Do a and b get the same rows in a draw? They are values of the same questions."),
                Slip(
                    interval((b - a)[picks].mean(axis=1)),
                    "This is b - a. Which of the two is to be better if it is above 0?",
                ),
                Slip(
                    interval(means, (0.05, 0.95)),
                    "Five per cent at each end leave 90 % between. How much is cut off each end?",
                ),
                Slip(
                    [float(means.min()), float(means.max())],
                    "This is the range of all draws. Which share lies outside?",
                ),
                Slip(
                    interval(a - b),
                    "These are percentiles of the differences. Of what do you want them: one question, or the mean?",
                ),
                Slip(
                    interval((a - b)[picks].ravel()),
                    "Is there one mean for each draw? You took percentiles of all drawn values.",
                ),
                Slip(
                    interval((a - b)[picks].mean(axis=0)),
                    "Over which axis do you average? Each row of picks is one draw.",
                ),
                Slip(
                    [float(difference - spread), float(difference + spread)],
                    "This is the formula of the normal curve. Use the draws you are given.",
                ),
                Slip(interval(a[picks].mean(axis=1)), "This is the interval of a alone. Where does b come in?"),
                Slip(interval((a - b)[picks].sum(axis=1)), "This is the sum of each draw. The mean is asked for."),
            ),
        ),
        Probe(
            (b + 0.1, b, picks),
            [0.1, 0.1],
            "a is better by the same on every question: then no draw differs, and the interval has no width.",
        ),
        Probe((same, same, few), [0.0, 0.0], "Equal systems: the difference is 0 in every draw."),
        Probe(
            (a, b[:-1], picks),
            ValueError,
            "a and b have different lengths, so they are not of the same questions. Raise a ValueError.",
        ),
    )


def _holm_probes(rng: np.random.Generator) -> Sequence[Probe]:
    rising = [float(x) for x in np.round(np.array([0.004, 0.013, 0.045]) + rng.uniform(0, 0.002, 3), 4)]
    given = [float(x) for x in np.round(np.array([0.02, 0.003, 0.045, 0.009]) + rng.uniform(0, 0.001, 4), 4)]

    def right(values: Sequence[float]) -> list[float]:
        return list(holm({str(i): value for i, value in enumerate(values)}).values())

    close = [0.011, 0.01, 0.02]
    return (
        Probe(
            (rising,),
            right(rising),
            "Three tests, p rising: the smallest times 3, the next times 2, the last times 1.",
            (
                Slip(
                    [x * 3 for x in rising],
                    "This is Bonferroni: every p times their number. Holm goes down by one each.",
                ),
                Slip(
                    [x * (i + 1) for i, x in enumerate(rising)],
                    "Is the smallest p multiplied by the most, or by the least?",
                ),
                Slip([x / 3 for x in rising], "Correction makes p larger: many tests make a false alarm likelier."),
                Slip(rising, "These are the p you were given."),
                Slip(
                    [x * 3 / (i + 1) for i, x in enumerate(rising)],
                    "This is the correction of Benjamini and Hochberg. Holm multiplies by 3, 2, 1.",
                ),
            ),
        ),
        Probe(
            (given,),
            right(given),
            "The p come in any order, and the corrected ones are to stand in that order.",
            (
                Slip(
                    sorted(right(given)), "Did you return them sorted? The first corrected p belongs to the first test."
                ),
                Slip([x * (len(given) - i) for i, x in enumerate(given)], "Did you sort before you multiplied?"),
            ),
        ),
        Probe(
            (close,),
            right(close),
            "After multiplying, the order must still hold: none below the one before it.",
            (
                Slip(
                    [0.022, 0.03, 0.02], "One is now below the corrected p of a smaller p. Take the larger of the two."
                ),
                Slip(
                    [0.011 * 2, 0.03, 0.03], "Is the second smallest corrected as well? None falls below one before it."
                ),
            ),
        ),
        Probe(
            ([0.7, 0.6],),
            [1.0, 1.0],
            "A p is never above 1, and none falls below the one before it.",
            (
                Slip([1.2, 1.2], "A p is a share: it is never above 1."),
                Slip([0.7, 1.0], "None falls below the one before it."),
            ),
        ),
        Probe(([0.03],), [0.03], "One test needs no correction."),
    )


TASKS = (
    Task(
        "ndcg",
        "ndcg",
        "nDCG at k",
        3,
        _ndcg_probes,
        (
            "Write a small function first: gains in order of place to their discounted sum.",
            "The gain at place `rank`, counted from 1, is divided by log2(1 + rank). An id that nobody judged has gain 0.",
            "Divide by the same sum over sorted(gains.values(), reverse=True)[:k]; raise a ValueError if that is 0.",
        ),
        "The discount says that a reader looks at the first places most; the division makes questions with one and with ten "
        "relevant passages comparable. The best order is made of all that was judged: else a ranking that finds one of ten "
        "would score 1.",
    ),
    Task(
        "ap",
        "average_precision",
        "Average precision",
        2,
        _ap_probes,
        (
            "Walk down the ranking and count the relevant ids as you meet them.",
            "At each relevant id, add found / rank.",
            "Divide by len(relevant), whether they were found or not; raise a ValueError if there are none.",
        ),
        "It rewards a relevant passage high up and punishes each that is missing. Its mean over questions is MAP.",
    ),
    Task(
        "f1",
        "token_f1",
        "Token F1 with aliases",
        3,
        _token_f1_probes,
        (
            "Write one function that normalises, and use it on the answer and on every gold answer.",
            "collections.Counter counts words; & keeps the smaller count of two Counters.",
            "For each gold answer 2 * shared / (n_said + n_gold); return the largest.",
        ),
        "Exact match is all or nothing, and a model that answers in a sentence gets nothing. F1 gives credit for the right "
        "words and takes it back for the words around them. Aliases are there because a right answer can be said in many ways.",
    ),
    Task(
        "abstaining",
        "abstention_scores",
        "Precision and recall of abstaining",
        2,
        _abstention_probes,
        (
            "Count the questions where the system abstained and the question has no answer.",
            "Precision divides this count by the abstentions, recall by the questions without an answer.",
            "Look at both totals before you divide, and raise a ValueError if one is 0.",
        ),
        "A system that never abstains is wrong on every question without an answer; one that always does is useless. One "
        "number hides which of the two you have. And 0 / 0 is not 0: it says that nothing was measured.",
    ),
    Task(
        "citing",
        "citation_precision",
        "Precision of citations",
        2,
        _citation_probes,
        (
            "Count two things over all answers: citations, and right citations.",
            "set(cited) of one answer counts each passage once; & with its gold passages keeps the right ones.",
            "Divide the sums; raise a ValueError if nothing was cited.",
        ),
        "Pooling lets every citation weigh the same. The mean over answers would let an answer with one citation outweigh one "
        "with four, and would not know what to do with an answer that cites nothing.",
    ),
    Task(
        "bootstrap",
        "paired_interval",
        "Bootstrap interval of a paired difference",
        3,
        _bootstrap_probes,
        (
            "Look at the lengths first. Then differences = a - b, one for each question.",
            "differences[picks] has shape (n_draws, n): one row a draw.",
            "np.quantile(means, [0.025, 0.975]) of the means of the rows.",
        ),
        "Each draw is a collection of questions as it might have been. Pairing takes out what is hard for both systems: only "
        "their difference varies. The interval is wide where questions disagree about which is better.",
    ),
    Task(
        "correcting",
        "holm_correction",
        "Holm's correction",
        2,
        _holm_probes,
        (
            "Sort the positions by their p, smallest first.",
            "The one at place i (from 0) of m is multiplied by m - i.",
            "Keep the largest value so far, cut at 1, and write it to the position where the p stood.",
        ),
        "Five comparisons at 5 % give a false alarm in about one of four studies in which nothing differs. Holm's rule holds "
        "this at 5 % for all together, and never finds less than Bonferroni's.",
    ),
)

check = Check("08_evaluating_rag", TASKS)
