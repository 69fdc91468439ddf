"""Probes of lesson 11's tasks on texts: BLEU, ROUGE-L and kappa; slips are computed as those do who slip."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from course_lib.classroom.check import Probe, Slip
from course_lib.evaluation import bleu as text_bleu
from course_lib.evaluation.bleu import clipped_matches, ngrams
from course_lib.evaluation.rouge import longest_common
from course_lib.evaluation.rubric import cohen_kappa

WORDS = ("meter", "bill", "wind", "code", "visit", "match", "price", "refund", "letter", "team", "solar", "tower")


def _bleu_other(tokens: Sequence[str], reference: Sequence[str], max_n: int, form: str) -> float:
    """BLEU as those compute it who slip; form says how."""
    precisions = []
    for n in range(1, max_n + 1):
        written, wanted = ngrams(tokens, n), ngrams(reference, n)
        found = (written & wanted).total()
        if form == "no clipping":
            found = sum(count for gram, count in written.items() if gram in wanted)
        if form == "sets":
            precisions.append(len(set(written) & set(wanted)) / len(set(written)))
            continue
        precisions.append(found / (wanted if form == "recall" else written).total())
    ratio = len(reference) / len(tokens)
    penalties = {
        "no penalty": 1.0, "always": math.exp(1 - ratio), "ratio": min(1.0, 1 / ratio),
        "turned": min(1.0, math.exp(1 - 1 / ratio)),
    }  # fmt: skip
    penalty = penalties.get(form, min(1.0, math.exp(1 - ratio)))
    means = {"arithmetic": sum(precisions) / max_n, "product": math.prod(precisions), "last": precisions[-1]}
    return penalty * means.get(form, math.prod(precisions) ** (1 / max_n))


def bleu_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Return texts beside references: clipping, brevity, the root, and precisions that are 0 or missing."""
    a, b, c, d, e, f, g, h, i = (str(word) for word in rng.permutation(WORDS)[:9])

    def probe(tokens: list[str], reference: list[str], max_n: int, ask: str, *slips: tuple[str, str]) -> Probe:
        score = text_bleu.bleu(
            [" ".join(tokens)], [[" ".join(reference)]], max_n=max_n, smoothing="none", tokenise=str.split
        ).score
        wrong = [Slip(_bleu_other(tokens, reference, max_n, form), words) for form, words in slips]
        if slips and slips[0][0] == "arithmetic":
            wrong.append(Slip(score, "Is this on a scale of 0 to 100? From 0 to 1 is asked for."))
        return Probe((tokens, reference, max_n), score / 100, ask, tuple(wrong))

    return (
        probe(
            [a, b, c, d, e, f],
            [a, b, c, g, h, i],
            2,
            "Three of six words and two of five pairs stand in the reference: the square root of 3/6 times 2/5.",
            ("arithmetic", "This is the plain mean of the precisions. BLEU takes the geometric mean."),
            ("product", "This is the product of the precisions. Which root is missing?"),
            ("last", "This is the precision of the longest n-grams. The shorter ones count as well."),
        ),
        probe(
            [a, a, a, b, g, c],
            [a, b, c, d, e, f],
            1,
            "A word that is written three times meets the one in the reference once.",
            ("no clipping", "How often does the reference have this word? It can be met no more often than that."),
            ("sets", "Did you make sets? A word that is written three times is three words."),
        ),
        probe(
            [a, b, c, d],
            [a, b, c, d, e, f],
            2,
            "Everything written is right, but the text is shorter than the reference.",
            ("no penalty", "Every word is right, and two are missing. What does that cost?"),
            ("recall", "You divide by the n-grams of the reference. That is recall; BLEU has a penalty instead."),
            ("ratio", "The penalty is exp(1 - r / c), not the ratio of the lengths."),
            ("turned", "Which length stands above, and which below, in the penalty?"),
        ),
        probe(
            [a, b, c, d, e, f, g, h],
            [a, b, c, d, e],
            2,
            "The text is longer than the reference: no penalty, the precisions are lower already.",
            ("always", "Is a text rewarded for being too long? The penalty is at most 1."),
            ("turned", "The penalty is for texts that are too short."),
        ),
        probe(
            [a, b, c, e, f, g, d],
            [a, b, c, d, e, f, g],
            3,
            "Three lengths now: the root is the third, and the runs of three words count.",
        ),
        probe([a, c, e, b], [b, c, d, a], 2, "Words are shared, but no pair of neighbours: 0."),
        probe([a, b], [a, b, c, d], 3, "Two words have no run of three, so there is no precision: 0."),
    )


def _rouge_of(length: float, tokens: Sequence[str], reference: Sequence[str]) -> float:
    return 2 * length / (len(tokens) + len(reference))


def _run_length(tokens: Sequence[str], reference: Sequence[str]) -> int:
    """The longest run without gaps that stands in both."""
    sizes = range(1, min(len(tokens), len(reference)) + 1)
    return max([n for n in sizes if clipped_matches(tokens, [reference], n)], default=0)


def _greedy(tokens: Sequence[str], reference: Sequence[str]) -> int:
    """Tokens met when each takes the next place in the reference where it stands."""
    place, met = 0, 0
    for token in tokens:
        if token in reference[place:]:
            place, met = list(reference).index(token, place) + 1, met + 1
    return met


def rouge_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Return texts with gaps, in another order, with words twice, and with nothing in common."""
    a, b, c, d, e, f, g, h = (str(word) for word in rng.permutation(WORDS)[:8])

    def right(tokens: list[str], reference: list[str]) -> float:
        return _rouge_of(longest_common(tokens, reference), tokens, reference)

    gaps, wanted = [a, e, b, f, c, g, h], [a, b, c, d]
    order = [c, b, a, d, e, f], [a, b, c, d]
    late = [d, a, b, c, e], [a, b, c, d]
    twice = [a, b, a, b, c], [a, a, b, c, c, d]
    shared = (Counter(twice[0]) & Counter(twice[1])).total()
    return (
        Probe(
            (gaps, wanted),
            right(gaps, wanted),
            "Three words stand in both, in the same order, with others between them: precision 3/7, recall 3/4.",
            (
                Slip(
                    _rouge_of(_run_length(gaps, wanted), gaps, wanted),
                    "Must the words stand side by side? Gaps are allowed.",
                ),
                Slip(3 / 7, "This is precision. How much of the reference was written?"),
                Slip(3 / 4, "This is recall. What do the words beside the reference cost?"),
                Slip((3 / 7 + 3 / 4) / 2, "This is the plain mean of the two. F1 is the harmonic mean."),
                Slip(3, "This is the length of the longest common sequence. Make an F1 of it."),
                Slip(3 / 8, "This divides by all different words. F1 is 2 * P * R / (P + R)."),
            ),
        ),
        Probe(
            order,
            right(*order),
            "The same words in another order: only what stands in the reference's order counts.",
            (Slip(_rouge_of(4, *order), "Do you count shared words, whatever their order? That is ROUGE-1."),),
        ),
        Probe(
            late,
            right(*late),
            "The first word of the text stands last in the reference. Taking it leaves nothing for the others.",
            (
                Slip(
                    _rouge_of(_greedy(*late), *late),
                    "Do you take the first word that fits? To skip a word can be better: the longest sequence is wanted.",
                ),
            ),
        ),
        Probe(
            twice,
            right(*twice),
            "Words occur more than once. Each place counts once.",
            (Slip(_rouge_of(shared, *twice), "Do you count shared words, whatever their order?"),),
        ),
        Probe(([a, b], [c, d, e]), 0.0, "Nothing is shared: 0, without a division by 0."),
    )


def _kappa_if(first: Sequence[int], second: Sequence[int], habits: Sequence[int]) -> float:
    """Kappa as it would be if both raters drew by chance from the levels in habits."""
    chance = sum((count / len(habits)) ** 2 for count in Counter(habits).values())
    return (float(np.mean(np.equal(first, second))) - chance) / (1 - chance)


def kappa_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Return pairs of raters: of one habit, of different habits, against each other, and undefined."""
    level, other, third = (int(one) for one in rng.permutation([0, 1, 2]))

    def shuffled(pairs: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
        rows = [pairs[i] for i in rng.permutation(len(pairs))]
        return [row[0] for row in rows], [row[1] for row in rows]

    many = int(rng.integers(11, 15))
    skewed = shuffled([(level, level)] * many + [(other, other)] * 2 + [(level, other), (other, level)] * 2)
    habits = shuffled(
        [(level, level)] * 5 + [(level, other)] * 6 + [(other, other)] * 2 + [(third, third)] * 2 + [(level, third)] * 3
    )
    against = shuffled([(level, other)] * 4 + [(other, level)] * 5 + [(level, level)] * 2)
    n = len(skewed[0])
    agree = (many + 2) / n
    ones, twos = (Counter(each) for each in skewed)
    chance = sum(ones[one] * twos[one] for one in ones) / n**2
    return (
        Probe(
            skewed,
            cohen_kappa(*skewed),
            "One level is given to most texts. Two people who never read them would agree often, too.",
            (
                Slip(agree, "This is the agreement. How much of it would chance give?"),
                Slip(
                    (agree - 1 / 2) / (1 - 1 / 2), "Is every level as likely? Take the shares that each person gives."
                ),
                Slip(
                    (agree - 1 / 3) / (1 - 1 / 3), "Is every level as likely? Take the shares that each person gives."
                ),
                Slip(agree - chance, "This is the agreement beyond chance. How large could it be at most?"),
                Slip(
                    (agree - chance) / chance,
                    "You divide by chance. How large could the agreement beyond it be at most?",
                ),
                Slip(chance, "This is the agreement by chance."),
            ),
        ),
        Probe(
            habits,
            cohen_kappa(*habits),
            "The two have different habits. Chance multiplies the share of the one by the share of the other.",
            (
                Slip(
                    _kappa_if(*habits, [*habits[0], *habits[1]]),
                    "You pooled the levels of both. Each person has habits of their own.",
                ),
                Slip(_kappa_if(*habits, habits[0]), "You squared the first person's shares. What of the other's?"),
                Slip(_kappa_if(*habits, habits[1]), "You squared the second person's shares. What of the other's?"),
            ),
        ),
        Probe(
            against,
            cohen_kappa(*against),
            "They agree less than chance would. Kappa is negative then.",
            (
                Slip(0.0, "Did you cut at 0? A kappa below 0 is a finding: the two mean opposite things."),
                Slip(-cohen_kappa(*against), "Less agreement than by chance is negative."),
            ),
        ),
        Probe(([level, other, third], [level, other, third]), 1.0, "They agree throughout: 1."),
        Probe(([level] * 5, [level] * 5), ValueError, "Both always gave the same level: 0 / 0. Raise a ValueError."),
        Probe(
            ([level, other, other], [level, other]), ValueError, "They did not rate the same texts. Raise a ValueError."
        ),
    )
