"""Checks of lesson 09: labels spelt anew, likeness, groups, a split, scaling, leaks, and labels that others contradict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.classroom.check import Check, Probe, Slip, Task
from course_lib.tuning.labels import suspects
from course_lib.tuning.scaling import Standardiser
from course_lib.tuning.splits import groups_of

Numbers = npt.NDArray[np.float64]
LABELS = ("meter_fault", "payment_plan", "moving_out", "solar_export", "tariff_change", "meter_reading")
WORDS = ("meter", "blank", "bill", "winter", "roof", "engineer", "letter", "garden", "kitchen", "monthly")


# ---- 1. labels


def meant(label: str, labels: Sequence[str], *, drop: str = r"[\s_-]", case: bool = True) -> str:
    """Return the label of labels that equals label but for capitals, spaces, hyphens and underscores, or ""."""

    def letters(text: str) -> str:
        return re.sub(drop, "", text.lower() if case else text)

    return next((known for known in labels if letters(known) == letters(label)), "")


def _label_probes(rng: np.random.Generator) -> Sequence[Probe]:
    one, two, three, *_ = (str(name) for name in rng.permutation(LABELS))
    names = [one, two, three]

    def probe(label: str, ask: str, *slips: Slip, among: list[str] | None = None) -> Probe:
        return Probe((label, among or names), meant(label, among or names), ask, slips)

    spaced = two.replace("_", " ")
    return (
        probe(two, "This label is spelt as in the list."),
        probe(
            one.upper(),
            "Only the capitals differ here.",
            Slip(one.upper(), "The spelling of the list is asked for. Is this the one that came in?"),
            Slip(names.index(one), "The label itself is asked for, not its place in the list."),
            Slip(one.replace("_", ""), "Compare without underscores, but return the label as the list has it."),
            Slip("", "Only the capitals differ here. Do you compare small letters with small letters?"),
        ),
        probe(
            spaced.title(),
            "A space stands where the list has an underscore.",
            Slip("", "A space stands where the list has an underscore. Is that another label?"),
        ),
        probe(
            f" {three.replace('_', '-')} ",
            "A hyphen within, and spaces around it.",
            Slip("", "A hyphen within, and spaces around it. Which of the two does yours keep?"),
        ),
        probe(
            one.replace("_", "").title(),
            "Both words are written together here.",
            Slip("", "Both words are written together. Do you replace the marks by something, or by nothing?"),
        ),
        probe(
            one.split("_")[0],
            "Half a label is no label: return an empty str.",
            Slip(one, "Half a label is no label. Do you ask whether one stands within the other?"),
        ),
        probe(
            "weather",
            "No label of the list is meant: return an empty str.",
            Slip(one, "Is there always one that fits?"),
        ),
        probe(
            "LATE-PAY",
            "The list itself has capitals and a space here.",
            Slip("", "The list has capitals and a space here. Is it compared in the same form as the label?"),
            among=["Late Pay", one],
        ),
    )


# ---- 2. likeness


def runs(text: str, size: int) -> set[str]:
    """Return the runs of size letters of a text in small letters with single spaces; a shorter text is one run."""
    letters = " ".join(text.lower().split())
    return {letters[i : i + size] for i in range(max(1, len(letters) - size + 1))} if letters else set()


def likeness(a: str, b: str, size: int) -> float:
    """Return the Jaccard similarity of the runs of two texts, 0 where both are empty."""
    one, two = runs(a, size), runs(b, size)
    return len(one & two) / len(one | two) if one | two else 0.0


def _likeness_slips(a: str, b: str, size: int) -> dict[str, float]:
    """Return by name what other formulas give for the likeness of two texts."""
    left, right = runs(a, size), runs(b, size)
    both = len(left & right)
    words = set(a.split()), set(b.split())
    return {
        "right": likeness(a, b, size),
        "count": float(both),
        "smaller": both / min(len(left), len(right)),
        "first": both / len(left),
        "dice": 2 * both / (len(left) + len(right)),
        "twice": both / (len(left) + len(right)),
        "words": len(words[0] & words[1]) / len(words[0] | words[1]),
        "letters": likeness(a, b, 1),
        "distance": 1 - likeness(a, b, size),
    }


def _likeness_probes(rng: np.random.Generator) -> Sequence[Probe]:
    size = 4
    while True:  # until no two formulas agree on these words
        one, two, three = (str(word) for word in rng.permutation(WORDS)[:3])
        a, b = f"the {one} and a {two} today", f"the {one} and {three}"
        slip = _likeness_slips(a, b, size)
        if np.diff(sorted(slip.values())).min() > 0.005:
            break
    again = f"{one} {one} {one}"

    def listed(text: str) -> list[str]:
        return [text[i : i + size] for i in range(len(text) - size + 1)]

    shouted, spaced = a.upper(), f"  the  {one}\nand a   {two}  today "
    counted = sum(min(listed(again).count(run), listed(one).count(run)) for run in set(listed(one)))
    return (
        Probe((one, one, size), 1.0, "A text is wholly like itself."),
        Probe(
            (a, b, size),
            likeness(a, b, size),
            "Runs that both hold, divided by runs that either holds.",
            (
                Slip(slip["count"], "This is how many runs they share. Divide by what?"),
                Slip(slip["smaller"], "Divided by the smaller set: then a part is like the whole."),
                Slip(slip["first"], "Divided by the runs of the first text alone. And the second?"),
                Slip(slip["dice"], "This is Dice's formula. Jaccard divides by the union."),
                Slip(slip["twice"], "Runs that both hold are counted twice below the line."),
                Slip(slip["words"], "These are words. Runs of letters are asked for."),
                Slip(slip["letters"], "These are single letters. Where does size come in?"),
                Slip(slip["distance"], "This is how far apart they are. How alike are they?"),
            ),
        ),
        Probe(
            (again, one, size),
            likeness(again, one, size),
            "One text repeats a word. A set holds each run once.",
            (
                Slip(
                    counted / (len(listed(again)) + len(listed(one)) - counted),
                    "One text repeats a word. Do you count a run as often as it occurs? A set holds it once.",
                ),
            ),
        ),
        Probe(
            (a, shouted, size),
            1.0,
            "Capitals must make no difference.",
        ),
        Probe((a, spaced, size), 1.0, "White space must make no difference: " + r"' '.join(text.split())."),
        Probe((one[:2], one[:2], size), 1.0, "A text shorter than size is one run: itself."),
        Probe((one, "", size), 0.0, "Nothing is shared with an empty text."),
        Probe(("", " ", size), 0.0, "Two empty texts: 0 by definition here, not 0 / 0."),
    )


# ---- 3. groups


def _groups_probes(rng: np.random.Generator) -> Sequence[Probe]:
    n = int(rng.integers(7, 10))
    a, b, c, d, e = sorted(int(i) for i in rng.permutation(np.arange(1, n))[:5])

    def right(n: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
        return [int(number) for number in groups_of(n, pairs)]

    def probe(pairs: list[tuple[int, int]], ask: str, *slips: Slip) -> Probe:
        return Probe((n, pairs), right(n, pairs), ask, slips)

    chain, late = [(a, b), (b, c)], [(a, b), (c, d), (b, d)]
    smallest = list(range(n))
    smallest[b] = a
    return (
        probe(
            [(a, b)],
            "Two examples are joined, all others stand alone.",
            Slip(list(range(n)), "Everybody is alone in yours. What does a pair do?"),
            Slip(
                smallest, "These are the numbers of the first of each group. Number the groups 0, 1, 2, without gaps."
            ),
            Slip([i + 1 for i in right(n, [(a, b)])], "Is your first group number 0?"),
            Slip(right(n, [(a, b)])[:-1], "How many examples are there, and how many numbers?"),
        ),
        probe([], "Without pairs, each example is a group of its own."),
        probe(
            chain,
            "The first is like the second, the second like the third: one group.",
            Slip(
                right(n, [(a, b)]),
                "The second of these pairs is lost in yours: an example that is in a group already brings its partner along.",
            ),
            Slip(right(n, [(b, c)]), "Was the first pair forgotten when the second came?"),
        ),
        probe(
            late,
            "Two groups that stood apart are joined by the last pair. What becomes of their other members?",
            Slip(right(n, late[:2]), "The last pair joins two groups. Does yours do anything then?"),
            Slip(
                right(n, [(a, b), (b, d)]),
                "The last pair joins two groups. Do all members come along, or only the one that was named?",
            ),
        ),
        probe(
            [(c, b), (a, c)],
            "Pairs may come in any order, and either way round.",
        ),
        probe([(a, b), (a, b), (d, e), (e, d)], "A pair that comes twice changes nothing."),
    )


# ---- 4. a split


def _take(labels: Sequence[str], order: Sequence[int], share: float, *, least: int = 1) -> list[int]:
    """Return the positions for the test: of each label its first in the order, share of them, least at the least."""
    chosen: list[int] = []
    for label in dict.fromkeys(labels):
        own = [i for i in order if labels[i] == label]
        chosen += own[: max(least, int(share * len(own) + 0.5))]
    return sorted(chosen)


def _split_probes(rng: np.random.Generator) -> Sequence[Probe]:
    one, two, three, *_ = (str(name) for name in rng.permutation(LABELS))
    labels = [str(label) for label in rng.permutation([one] * 10 + [two] * 5)]
    order = [int(i) for i in rng.permutation(15)]
    while len({tuple(_take(labels, o, 0.4)) for o in (order, order[::-1], sorted(order))}) < 3 or (
        sum(labels[i] == two for i in order[:6]) == 2
    ):
        order = [int(i) for i in rng.permutation(15)]
    right = _take(labels, order, 0.4)
    shuffled = [i for i in order if i in right]
    rare = [one] * 8 + [three] + [two] * 2
    rare_order = [int(i) for i in rng.permutation(11)]
    uneven = [one] * 5 + [two] * 7
    uneven_order = [int(i) for i in rng.permutation(12)]

    def first_of_each(n_one: int, n_two: int) -> list[int]:
        counts = {one: n_one, two: n_two}
        return sorted(i for label, n in counts.items() for i in [j for j in uneven_order if uneven[j] == label][:n])

    return (
        Probe(
            (labels, order, 0.4),
            right,
            "Of each label, the first 40 % in the given order go to the test; return their positions, sorted.",
            (
                Slip(sorted(order[:6]), "40 % of all. How many are there of each label?"),
                Slip(_take(labels, list(range(15)), 0.4), "You take them as they stand. What is order for?"),
                Slip(
                    _take(labels, order[::-1], 0.4), "Do you take them from the end of the order? The first are meant."
                ),
                Slip(
                    sorted(set(range(15)) - set(right)),
                    "These are the positions for training. The test's are asked for.",
                ),
                Slip(shuffled, "The positions are right. Sort them."),
                Slip([labels[i] for i in right], "These are labels. Positions are asked for."),
                Slip([i in right for i in range(15)], "One value for each example. A list of positions is asked for."),
            ),
        ),
        Probe(
            (uneven, uneven_order, 0.3),
            _take(uneven, uneven_order, 0.3),
            "0.3 times 5 is 1.5: round halves up.",
            (
                Slip(first_of_each(1, 2), "0.3 times 5 is 1.5. Do you cut it off? Halves are rounded up."),
                Slip(
                    first_of_each(2, 3),
                    "0.3 times 7 is 2.1. Do you always round up?",
                ),
            ),
        ),
        Probe(
            (rare, rare_order, 0.2),
            _take(rare, rare_order, 0.2),
            "Every label needs at least one example in the test, or nothing can be said about it.",
            (
                Slip(
                    _take(rare, rare_order, 0.2, least=0),
                    "One label has no example in the test. How would you know whether it is ever found?",
                ),
            ),
        ),
    )


# ---- 5. scaling


def _scaling_probes(rng: np.random.Generator) -> Sequence[Probe]:
    train = np.column_stack([rng.uniform(100, 900, 6), rng.uniform(0, 1, 6)])  # (6, 2)
    test = np.column_stack([rng.uniform(300, 1500, 3), rng.uniform(0.5, 3, 3)])  # (3, 2)
    flat, flat_test = train.copy(), test.copy()
    flat[:, 1], flat_test[:, 1] = 7.0, [7.0, 8.0, 6.0]
    one_row = test[:1]
    scaler = Standardiser().fit(train)
    together = Standardiser().fit(np.vstack([train, test]))
    right = (scaler(train), scaler(test))
    by_rows = tuple((x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True) for x in (train, test))
    whole = tuple((x - train.mean()) / train.std() for x in (train, test))
    span = np.ptp(train, axis=0)
    flat_scaler = Standardiser().fit(flat)
    return (
        Probe(
            (train, test),
            right,
            "Each feature minus its mean, divided by its standard deviation, both of the training rows.",
            (
                Slip(
                    (together(train), together(test)),
                    "Mean and deviation are of all rows here. What did the test tell?",
                ),
                Slip(
                    (scaler(train), Standardiser().fit(test)(test)),
                    "The test is scaled by itself. By what should it be?",
                ),
                Slip((train - train.mean(0), test - train.mean(0)), "The mean is gone. And the unit?"),
                Slip((train / train.std(0), test / train.std(0)), "The unit is gone. And the mean?"),
                Slip(
                    ((train - train.min(0)) / span, (test - train.min(0)) / span),
                    "This is min-max. The standard deviation is asked for.",
                ),
                Slip(
                    tuple((x - train.mean(0)) / train.var(0) for x in (train, test)),
                    "This divides by the variance. Which of the two has the feature's unit?",
                ),
                Slip(
                    tuple((x - train.mean(0)) / train.std(0, ddof=1) for x in (train, test)),
                    "Divided by n - 1 within the deviation. Here it is n, NumPy's default.",
                ),
                Slip(by_rows, "You scale each row. A feature is a column."),
                Slip(whole, "One mean for all features. Each has its own."),
                Slip(right[1], "Both are asked for, training first."),
                Slip(right[::-1], "Training first, then the test."),
            ),
        ),
        Probe(
            (train, one_row),
            (scaler(train), scaler(one_row)),
            "A test of one row is scaled by what training says.",
        ),
        Probe(
            (flat, flat_test),
            (flat_scaler(flat), flat_scaler(flat_test)),
            "A feature that never varies in training has the deviation 0: divide by 1 instead.",
        ),
    )


# ---- 6. leaks


def share_of_leaks(train: Sequence[str], test: Sequence[str], threshold: float) -> float:
    """Return the share of the test texts that have a training text at least this like them."""
    return sum(any(likeness(a, b, 5) >= threshold for a in train) for b in test) / len(test)


def _leak_probes(rng: np.random.Generator) -> Sequence[Probe]:
    one, two, three, four, five = (str(word) for word in rng.permutation(WORDS)[:5])
    alone = f"zzz {five} qqq xxx"
    first = f"my {one} says {two} since yesterday evening"
    near = f"my {one} says {two} since yesterday"
    other = f"where can we collect a {three} for the {four}"
    shouted = f"  {other.upper()} "
    train, test = [first, other], [near, alone, shouted, f"{four}?", other]
    exact = sum(b in train for b in test)
    at = likeness(first, near, 5)

    def probe(args: tuple[Any, ...], ask: str, *slips: Slip) -> Probe:
        return Probe(args, share_of_leaks(*args), ask, slips)

    likest = [max(likeness(a, b, 5) for a in train) for b in test]
    pairs = sum(likeness(a, b, 5) >= 0.5 for a in train for b in test)
    seen = sum(any(likeness(a, b, 5) >= 0.5 for b in test) for a in train)
    return (
        probe(
            (train, test, 0.5),
            "For each test text: is any training text at least this like it? Then the share of them.",
            Slip(exact / len(test), "These are the same letter by letter. What of those that are nearly so?"),
            Slip(3.0, "This is how many. What share of the test is that?"),
            Slip(seen / len(train), "This is the share of the training texts. Whose score is too good?"),
            Slip(1 - 3 / len(test), "This is the share that does not leak."),
            Slip(float(np.mean(likest)), "This is a mean likeness. How many reach the threshold?"),
            Slip(pairs / (len(train) * len(test)), "This is the share of all pairs. One training text is enough."),
            Slip([value >= 0.5 for value in likest], "One value for each test text. Their share is asked for."),
        ),
        probe(
            ([first, first, near], [near, alone], 0.5),
            "Three training texts are like one test text. It leaks once.",
            Slip(1.5, "One test text is counted three times. Can more than all leak?"),
        ),
        probe(
            ([first], [near, alone], at),
            "The likeness is just the threshold: at least means that it counts.",
            Slip(0.0, "The likeness is just the threshold. Does 'at least' include it?"),
        ),
        probe(([], test, 0.5), "Nothing was trained on, so nothing leaks."),
    )


# ---- 7. suspects


def _positions(probabilities: Numbers, labels: npt.NDArray[np.int64]) -> list[int]:
    return [each.position for each in suspects(probabilities, labels)]


def _suspect_probes(rng: np.random.Generator) -> Sequence[Probe]:
    e = rng.uniform(0.001, 0.009, size=9)
    labels = np.array([0, 0, 1, 0, 1, 1, 2, 2, 2])
    p = np.array(  # (9, 3); the usual values come out near 0.58, 0.44 and 0.48
        [
            [0.80, 0.10, 0.10],
            [0.85, 0.10, 0.05],
            [0.70, 0.20, 0.10],  # labelled 1, claimed by 0, lead 0.50
            [0.09, 0.81, 0.10],  # labelled 0, claimed by 1, lead 0.72
            [0.10, 0.80, 0.10],
            [0.38, 0.32, 0.30],  # 0 leads, but does not reach its usual value: no suspect
            [0.20, 0.20, 0.60],
            [0.15, 0.15, 0.70],
            [0.75, 0.10, 0.15],  # labelled 2, claimed by 0, lead 0.60
        ]
    )
    p[:, 2] += e
    p /= p.sum(axis=1, keepdims=True)
    right = _positions(p, labels)
    order = [int(i) for i in rng.permutation(9)]
    moved, moved_labels = p[order], labels[order]
    argmax = p.argmax(1)
    lead = p.max(1) - p[np.arange(9), labels]
    by_argmax = [int(i) for i in np.argsort(-lead) if argmax[i] != labels[i]]
    unsure = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.55, 0.45], [0.1, 0.9]])
    unsure_labels = np.array([0, 0, 1, 1, 1])
    easy = np.array([[0.45, 0.3, 0.25], [0.1, 0.8, 0.1], [0.35, 0.4, 0.25], [0.42, 0.28, 0.3], [0.1, 0.1, 0.8]])
    easy[3] += np.array([e[0], 0.0, -e[0]])
    easy_labels = np.array([0, 1, 0, 1, 2])  # usual: 0.40, 0.54, 0.80
    claimed_twice = np.array([[0.48, 0.52], [0.3, 0.7], [0.4, 0.6], [0.42, 0.58]])
    twice_labels = np.array([0, 0, 1, 1])
    return (
        Probe(
            (p, labels),
            right,
            "Usual values: for each class, the mean of its own probability among its own examples. Who is claimed by another?",
            (
                Slip(
                    by_argmax, "One of these is unsure of everything: no class reaches its usual value. Is it suspect?"
                ),
                Slip(
                    right[::-1], "The surest comes first: the largest lead of the claiming class over the label's own."
                ),
                Slip(sorted(right), "The positions are right, in order of position. The largest lead comes first."),
                Slip([0, 1, 4, 5, 6, 7], "These are the examples that are not suspect."),
                Slip([int(argmax[i]) for i in right], "These are the suggested classes. Positions are asked for."),
                Slip([bool(i in right) for i in range(9)], "A list of positions is asked for, not one value for each."),
                Slip(len(right), "How many is right. Which are they?"),
                Slip([], "None at all? Is the usual value of a class a mean over its own examples only?"),
            ),
        ),
        Probe((moved, moved_labels), _positions(moved, moved_labels), "The same examples in another order."),
        Probe(
            (unsure, unsure_labels),
            _positions(unsure, unsure_labels),
            "Its first class leads with 0.55, but is usually at 0.85. That is no claim.",
        ),
        Probe(
            (easy, easy_labels),
            _positions(easy, easy_labels),
            "Each class has its own usual value here. Is yours the same for all, such as 0.5?",
        ),
        Probe(
            (claimed_twice, twice_labels),
            _positions(claimed_twice, twice_labels),
            "Both classes may claim an example. The one with the larger probability wins; where that is its own, it is no suspect.",
        ),
        Probe((np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])), [], "Nothing contradicts these labels."),
    )


TASKS: tuple[Task, ...] = (
    Task(
        "label",
        "canonical_label",
        "Which label was meant?",
        2,
        _label_probes,
        (
            "Bring both to one form: small letters, without spaces, hyphens and underscores.",
            "re.sub(r'[\\s_-]', '', text.lower()) does that.",
            "Go through labels; return the first whose form equals that of the label, else an empty str.",
        ),
        "Two spellings are two classes for a program. The form is only for comparing: what is kept is the name on the list. A "
        "label that means nothing is reported, not guessed.",
    ),
    Task(
        "likeness",
        "likeness",
        "How alike are two texts?",
        2,
        _likeness_probes,
        (
            "letters = ' '.join(text.lower().split()), then a set of letters[i : i + size].",
            "There are len(letters) - size + 1 runs, and at least one where there is any letter.",
            "len(one & two) / len(one | two), after a look at whether the union is empty.",
        ),
        "A typing error touches only the runs that hold it, so a copy with a slip is still nearly the same. Dividing by the union "
        "keeps a short text from being like every long one that contains it.",
    ),
    Task(
        "groups",
        "near_duplicate_groups",
        "What belongs together?",
        3,
        _groups_probes,
        (
            "Start with group = list(range(n)): everybody alone.",
            "For a pair (a, b): every example whose group is group[b] gets group[a].",
            "At the end, number the groups in the order in which they first occur, from 0.",
        ),
        "Likeness is handed on: if A is like B and B like C, all three must be on the same side of a split, even if A and C share "
        "little.",
    ),
    Task(
        "split",
        "stratified_split",
        "A share of every label",
        3,
        _split_probes,
        (
            "For each label: own = [i for i in order if labels[i] == label].",
            "Take int(share * len(own) + 0.5) of them, and at least 1.",
            "sorted(...) of all that were taken.",
        ),
        "A plain random split may leave a rare label out of the test by chance. Within each label the order still decides, so another "
        "seed gives another split.",
    ),
    Task(
        "scaling",
        "standardise",
        "One scale for all features",
        2,
        _scaling_probes,
        (
            "Mean and deviation over the rows: train.mean(axis=0), train.std(axis=0).",
            "The test is scaled by the numbers of the training, whatever its own are.",
            "np.where(deviations > 0, deviations, 1.0)",
        ),
        "A scale learned from the test, too, tells training something about it. The leak is small here and large for steps that "
        "look at labels, so the habit is the same for all: fit on training, apply to both.",
    ),
    Task(
        "leaks",
        "leak_share",
        "How much of the test was seen?",
        2,
        _leak_probes,
        (
            "Use your likeness with size 5.",
            "any(likeness(a, b, 5) >= threshold for a in train) for each b of the test.",
            "Divide how many leak by len(test).",
        ),
        "A score on examples that were seen measures memory. The share of them says how much of a score to doubt, before "
        "anything is trained.",
    ),
    Task(
        "suspects",
        "suspects",
        "Which labels do the others contradict?",
        4,
        _suspect_probes,
        (
            "usual[c] = probabilities[labels == c, c].mean() for each class.",
            "A class claims an example if its probability is at least usual of that class; the largest claim wins.",
            "lead = the winner's probability minus that of the label. Suspect: the winner is not the label, and lead > 0.",
            "sorted(found, key=lambda i: (-lead[i], i))",
        ),
        "A fixed bar such as 0.5 would accuse every example of a hard class. The mean of a class's own examples is a bar that "
        "knows how sure the model usually is of that class. Suspects are for reading, not for deleting.",
    ),
)

check = Check("09_preparing_data", TASKS)
