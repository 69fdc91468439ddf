"""Probes of lesson 11's tasks on training: a rate, accumulation, early stopping, choosing; slips are built beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from course_lib.classroom.check import Probe, Slip

PATIENCE = "Stop when `patience` evaluations in a row were not lower than the lowest before them."


def rate_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Return rates with accuracies by seed: lucky seeds, unequal numbers of seeds, runs that diverged, ties."""
    low, middle, high = (float(rate) for rate in sorted(rng.choice([1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3], 3, False)))
    shift = float(rng.integers(0, 8)) / 64
    rates = [low, middle, high]
    plain = [[0.375 + shift, 0.375 + shift], [0.75 + shift, 0.625 + shift], [0.875, 0.25]]
    seeds = [[0.25 + shift] * 5, [0.5 + shift] * 2, [0.375 + shift] * 3]
    lost = [[0.5, 0.5], [0.5 + shift, 0.625], [None, 0.875]]
    nearly = [[0.25, 0.25, 0.375], [None, 0.875, 0.875], [0.5, 0.375, 0.5]]
    tied = [[0.75, 0.75], [0.25, 0.25], [0.5, 1.0]]
    return (
        Probe(
            (rates, plain),
            middle,
            "Three rates with two seeds each. Which has the highest mean?",
            (
                Slip(high, "Is this the best mean, or the best single run? One lucky seed proves little."),
                Slip(low, "Larger accuracy is better. Did you take the lowest, or the first?"),
                Slip(0.6875 + shift, "This is the accuracy of the best rate. Return the rate."),
                Slip(1, "This is the position of the rate. Return the rate."),
            ),
        ),
        Probe(
            ([high, low, middle], seeds),
            low,
            "The rates were tried with different numbers of seeds. The mean does not grow with them.",
            (
                Slip(high, "Did you add the accuracies up? A rate with more seeds then has an advantage."),
                Slip(middle, "Does a rate with more seeds have an advantage in your measure?"),
            ),
        ),
        Probe(
            ([high, middle, low], [lost[2], lost[1], lost[0]]),
            middle,
            "One run of the first rate diverged (None), so this rate is out. Which of the others is best?",
            (Slip(high, "At this rate a run diverged. Are the runs that did not enough to trust it?"),),
        ),
        Probe(
            ([low, middle, high], nearly),
            high,
            "One rate has a None and two high accuracies. It is out all the same.",
            (Slip(middle, "Did you count a diverged run as 0? With it, a rate can still win. It is to be out."),),
        ),
        Probe(
            ([middle, low, high], [tied[2], tied[1], tied[0]]),
            middle,
            "Two rates have equal means. The smaller rate wins.",
            (Slip(high, "Two means are equal. Which of the two rates is the more careful one?"),),
        ),
        Probe(
            ([high, middle, low], tied),
            low,
            "Two rates have equal means, and the larger one stands first. The smaller rate wins.",
            (Slip(high, "The means are equal. Do you take the first rate, or the smaller one?"),),
        ),
        Probe(
            (rates, [[None, 0.5], [None, None], [0.5, None]]),
            ValueError,
            "A run diverged at every rate: nothing can be chosen. Raise a ValueError.",
        ),
    )


def accumulate_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Return parts of equal and unequal size, an empty one, and batches that are refused."""
    dim = int(rng.integers(4, 7))
    equal, unequal = rng.normal(size=(3, dim)), rng.normal(size=(4, dim))
    sizes = [int(size) for size in rng.choice(np.arange(1, 9), 4, replace=False)]
    weights = np.array(sizes)[:, None]
    right = (weights * unequal).sum(axis=0) / sum(sizes)
    gap = rng.normal(size=(3, dim))
    gap[1] = np.nan
    return (
        Probe(
            (equal, [4, 4, 4]),
            equal.mean(axis=0),
            "Three parts of four examples each. What is the mean over the twelve?",
            (
                Slip(equal.sum(axis=0), "This is the sum over the parts: the step would be three times as long."),
                Slip(4 * equal.sum(axis=0), "This is the sum over the examples. Divide by their number for the mean."),
                Slip(
                    4 * equal.mean(axis=0),
                    "You weigh by the sizes, and divide by the parts. How many examples are there?",
                ),
                Slip(equal[-1], "This is the last part's gradient. Does each part overwrite the one before?"),
                Slip(equal.mean(axis=1), "You average each part over its numbers. Average over the parts."),
            ),
        ),
        Probe(
            (unequal, sizes),
            right,
            "The parts differ in size. Each example is to weigh the same.",
            (
                Slip(unequal.mean(axis=0), "Does an example in a small part weigh more than one in a large part?"),
                Slip(
                    (unequal / weights).sum(axis=0) / (1 / weights).sum(),
                    "Here small parts weigh more than large ones. Which way round should it be?",
                ),
                Slip(
                    (unequal / weights).sum(axis=0) / len(sizes),
                    "Each gradient is a mean already. What does dividing by the size do to it?",
                ),
            ),
        ),
        Probe(
            (gap, [3, 0, 5]),
            (3 * gap[0] + 5 * gap[2]) / 8,
            "The second part has no example, and its gradient is NaN: 0 times NaN is NaN. Leave the part out.",
            (
                Slip(
                    (3 * gap[0] + 5 * gap[2]) / 3, "You divide by the number of parts. Divide by that of the examples."
                ),
                Slip((gap[0] + gap[2]) / 2, "The empty part is out, but the sizes of the others no longer count."),
            ),
        ),
        Probe((unequal, sizes[:-1]), ValueError, "Four gradients, three sizes: raise a ValueError, do not guess."),
        Probe((equal, [0, 0, 0]), ValueError, "No example at all: the mean is 0 / 0. Raise a ValueError."),
    )


def stop_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Return validation losses that fall, jump, tie or end early, with the evaluation to keep and how many were made."""
    lead = int(rng.integers(1, 5))
    scale = float(rng.uniform(0.3, 0.9))

    def probe(
        losses: Sequence[float], patience: int, best: int, made: int, ask: str, *slips: tuple[int, int, str]
    ) -> Probe:
        falling = [10.0 - i for i in range(lead)]  # every position moves by lead
        return Probe(
            ([round(scale * loss, 4) for loss in [*falling, *losses]], patience),
            (best + lead, made + lead),
            ask,
            tuple(Slip((one + lead, two + lead), words) for one, two, words in slips),
        )

    return (
        probe(
            [5, 4, 3, 3.5, 3.6, 3.7, 1],
            2,
            2,
            5,
            f"{PATIENCE} What comes later is never seen.",
            (6, 7, "You found the lowest of all losses. A run that has stopped never sees the later ones."),
            (2, 6, "You wait one evaluation too long. How many were not lower when you stopped?"),
            (2, 4, "One too few: do you stop too soon, or give the position of the last evaluation for their number?"),
            (4, 5, "These are the weights of the last evaluation. Which ones are kept?"),
            (3, 5, "The position counts from 0."),
        ),
        probe(
            [4, 3, 3.5, 3.2, 3.4, 3.3, 1],
            2,
            1,
            4,
            "The loss goes up and down, but not below the lowest so far.",
            (6, 7, "Do you compare with the evaluation before? Compare with the lowest so far."),
        ),
        probe(
            [5, 5.5, 4, 4.5, 3, 3.5, 3.6, 2],
            2,
            4,
            7,
            "A new lowest loss begins the waiting anew.",
            (2, 4, "Do you count all evaluations that were not lower? A lower one begins the count anew."),
        ),
        probe(
            [3, 2, 2, 2, 1],
            2,
            1,
            4,
            "Two losses are equal to the lowest. Equal is not lower.",
            (4, 5, "Does an equal loss begin the waiting anew? It must be lower."),
            (3, 4, "Of equal losses, the first is kept."),
        ),
        probe([4, 3, 2.5, 2.75], 2, 2, 4, "The run ends before patience does. All evaluations were made."),
        Probe(([3.0, 2.0, 1.0], 0), ValueError, "A patience of 0 would stop before anything was learnt: ValueError."),
    )


def flattery_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Return answers of models of which three differ: best where chosen, best elsewhere, best over all; then a tie."""
    n_models, n = 5, 20
    while True:
        correct = (rng.random((n_models, n)) < 0.6).astype(int)
        choosing = [int(i) for i in sorted(rng.choice(n, 8, replace=False))]
        others = [i for i in range(n) if i not in choosing]
        here, there, everywhere = (correct[:, rows].mean(axis=1) for rows in (choosing, others, list(range(n))))
        winner, other, over_all = int(here.argmax()), int(there.argmax()), int(everywhere.argmax())
        shares = {here[winner], there[winner], everywhere[winner], there[other], here[other]}
        if len({winner, other, over_all}) == 3 and len(shares) == 5 and np.sort(here)[-2] < here[winner] and winner:
            break
    tie = np.array([[0, 0, 1, 1, 1], [1, 1, 0, 0, 1], [1, 1, 1, 1, 1], [1, 0, 1, 1, 1]])
    lead = int(rng.integers(0, 3))
    tie = np.vstack([np.zeros((lead, 5), int), tie])
    return (
        Probe(
            (correct, choosing),
            (winner, float(here[winner]), float(there[winner])),
            "Choose on the messages in `choosing`, and measure the chosen model on those and on all others.",
            (
                Slip(
                    (winner, float(here[winner]), float(everywhere[winner])),
                    "The last number still contains the messages that you chose on. Leave them out.",
                ),
                Slip(
                    (over_all, float(here[over_all]), float(there[over_all])),
                    "You chose on all messages. Nothing is left then to measure on.",
                ),
                Slip(
                    (winner, float(here[winner]), float(there[other])),
                    "The last number is that of the model which is best on the others: that is choosing a second time.",
                ),
                Slip(
                    (other, float(there[other]), float(here[other])),
                    "You chose on the others, and measured on `choosing`.",
                ),
                Slip((winner, float(there[winner]), float(here[winner])), "Did the two accuracies change places?"),
                Slip(
                    (winner + 1, float(here[winner]), float(there[winner])), "The position of the model counts from 0."
                ),
                Slip(
                    float(here[winner] - there[winner]), "This is the difference. Return the model and both accuracies."
                ),
                Slip(
                    (winner, int(here[winner] * 8), round(there[winner] * 12)),
                    "These are counts. Divide each by the number of its messages.",
                ),
            ),
        ),
        Probe(
            (tie, [0, 1]),
            (lead + 1, 1.0, 1 / 3),
            "Two models are equally good on the messages for choosing. The first counts, whatever the others say.",
            (Slip((lead + 2, 1.0, 1.0), "Of equals, the first. Did the other messages break the tie?"),),
        ),
        Probe((correct, []), ValueError, "No message to choose on: raise a ValueError."),
        Probe((correct, list(range(n))), ValueError, "No message is left to measure on: raise a ValueError."),
    )
