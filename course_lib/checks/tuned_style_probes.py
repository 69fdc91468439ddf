"""Probes of lesson 13 on the batch and on what tuning did: padding, packing, rules of style, forgetting."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from course_lib.checks.tuning_a_generator_rules import (
    broken_rules,
    first_fit,
    forgetting,
    longest_first,
    padded_places,
)
from course_lib.classroom.check import Probe, Slip


def padding_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Whole batches, a smaller last batch, and batches of one."""
    lengths = [int(length) for length in rng.permutation(np.arange(10, 60))[:6]]
    lengths = [min(lengths), max(lengths), *[n for n in lengths if n not in (min(lengths), max(lengths))]]
    longer, used = [*lengths, int(rng.integers(61, 90))], sum(lengths)
    places, all_used = padded_places(lengths, 3), sum(longer)
    full = padded_places(longer, 3) + 2 * longer[-1]

    def share(n_places: int) -> float:
        return 1 - used / n_places

    return (
        Probe(
            (lengths, 3),
            share(places),
            "Two batches of three, each as wide as its longest text: how many places, and how many of them hold a token?",
            (
                Slip(used / places, "This is the share that holds a token. Which share holds none?"),
                Slip(places - used, "This is a number of places. Which share of all is it?"),
                Slip(places / used - 1, "You divide by the tokens. The share is of all places."),
                Slip(share(len(lengths) * max(lengths)), "Is every batch as wide as the longest text of all in yours?"),
                Slip(
                    share(padded_places(sorted(lengths), 3)), "Are the texts sorted first in yours? They come as given."
                ),
                Slip(
                    float(np.mean([1 - sum(part) / (3 * max(part)) for part in (lengths[:3], lengths[3:])])),
                    "This is the mean of the batches' shares. Do large and small batches count alike?",
                ),
                Slip(share(padded_places(lengths, 2)), "How many texts does a batch hold in yours?"),
            ),
        ),
        Probe(
            (longer, 3),
            1 - all_used / padded_places(longer, 3),
            "The last batch holds one text. How wide is it, and how high?",
            (
                Slip(1 - all_used / full, "The last batch holds one text. Is it filled up to three in yours?"),
                Slip(share(places), "Is the last batch left out in yours?"),
                Slip(1 - all_used / places, "The last batch is missing among the places, not among the tokens. Is it?"),
            ),
        ),
        Probe((lengths, 1), 0.0, "Batches of one text need no padding."),
        Probe((lengths, 50), 1 - used / (len(lengths) * max(lengths)), "One batch holds all. How high is it?"),
    )


def packing_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Sorting, going back to earlier rows, the first row and not the fullest, ties, and numbers of the generator."""
    unsorted = [4, 8, 1, 4, 2, 1]
    loose = [12, 9, 9, 2]
    factor = int(rng.integers(2, 9))
    random = [int(length) for length in rng.integers(5, 60, size=12)]
    scaled = [length * factor for length in unsorted]
    right = first_fit(scaled, 10 * factor, longest_first(scaled))
    return (
        Probe(
            (scaled, 10 * factor),
            right,
            "The longest text first, then each into the first row with room. Which row differs?",
            (
                Slip(first_fit(scaled, 10 * factor, range(6)), "Which text comes first: the first, or the longest?"),
                Slip(
                    first_fit(scaled, 10 * factor, longest_first(scaled)[::-1]), "You begin with the shortest. Why is that worse?"
                ),
                Slip([[scaled[i] for i in row] for row in right], "These are lengths. Which texts are they?"),
                Slip([[1], [0, 3, 4], [2, 5]], "Do you look at the last row only? An earlier one may still have room."),
                Slip([sorted(row) for row in right], "The rows are right. In which order were the texts put in?"),
                Slip([[i] for i in longest_first(scaled)], "One text a row. Can two share one?"),
                Slip(len(right), "This is the number of rows. Which texts stand in each?"),
                Slip([[1, 2], [0, 3, 5], [4]], "A text may fill its row to the last place. Is < in yours where <= should be?"),
                Slip([[longest_first(scaled).index(i) for i in row] for row in right], "These are places in the sorted list. Which places do the texts have in lengths?"),
            ),
        ),
        Probe(
            (loose, 20),
            [[0, 3], [1, 2]],
            "The last text fits both rows. Which is the first?",
            (
                Slip([[0], [1, 2, 3]], "Do you look for the fullest row? The first with room is asked for."),
            ),
        ),
        Probe(
            ([5, 5, 5, 5], 10),
            [[0, 1], [2, 3]],
            "Equally long texts: in which order do they come?",
            (Slip([[3, 2], [1, 0]], "Equally long texts come in the order given. Does your sorting turn them round?"),),
        ),
        Probe((random, 60), first_fit(random, 60, longest_first(random)), "Twelve texts: the same rule."),
        Probe(([], 60), [], "No texts, no rows."),
    )  # fmt: skip


_PLAIN = [
    "we",
    "read",
    "your",
    "meter",
    "once",
    "a",
    "month",
    "and",
    "send",
    "the",
    "bill",
    "by",
    "post",
    "as",
    "you",
    "like",
]


def _text(rng: np.random.Generator, n_words: int, *, step: str = " Next step: open the app.", extra: str = "") -> str:
    words = [str(word) for word in rng.choice(_PLAIN, size=n_words - len((extra + step).split()))]
    return " ".join([*words, *extra.split()]) + "." * (not extra) + step


def style_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Each rule kept, broken at its border, and all broken at once."""
    forbidden = [
        str(phrase) for phrase in rng.permutation(["unfortunately", "please note", "do not hesitate", "kindly"])
    ]
    loud = forbidden[0].capitalize()
    inside = _text(rng, 30, extra=f"and {forbidden[1]} that")

    def probe(text: str, ask: str, *slips: tuple[list[str], str]) -> Probe:
        return Probe((text, forbidden), broken_rules(text, forbidden), ask, tuple(Slip(*slip) for slip in slips))

    return (
        probe(
            _text(rng, 40),
            "This text keeps all three rules.",
            (["length"], "40 words are neither too few nor too many. Do you count words, or characters?"),
            (["next step"], "The step is there, with words after it. How do you look for it?"),
            (["length", "next step", "set phrase"], "These are the rules that hold. Which are broken?"),
            (["set phrase"], "No forbidden phrase stands in it. How do you look for them?"),
        ),
        probe(_text(rng, 24), "24 words.", ([], "24 words are too few. Where is the lower border?")),
        probe(_text(rng, 25), "25 words.", (["length"], "25 words are enough: is the lower border part of the range?")),
        probe(_text(rng, 60), "60 words.", (["length"], "60 words are allowed: is the upper border part of the range?")),
        probe(_text(rng, 61), "61 words.", ([], "61 words are too many. Where is the upper border?")),
        probe(_text(rng, 35, step=""), "No step here.", ([], "There is no next step in it. What do you look for?")),
        probe(
            _text(rng, 45, extra="Next step: read this."),
            "The words stand twice.",
            ([], "The words Next step: stand in it twice. How often may they?"),
        ),
        probe(
            _text(rng, 35, step=" Next step:"),
            "Nothing comes after the words.",
            ([], "The text ends with Next step: and names none. What must come after it?"),
        ),
        probe(
            f"{loud}, {_text(rng, 34)}",
            "The phrase begins with a capital.",
            ([], "A forbidden phrase stands at the start, with a capital. How do you compare?"),
        ),
        probe(inside, "The second phrase stands inside.", ([], "Do you look for every phrase, or for the first one only?")),
        probe(
            f"{loud}! {loud}.",
            "All three rules are broken.",
            (["length"], "Do you stop at the first broken rule? All of them are asked for."),
            (["set phrase", "next step", "length"], "All three, in another order: which order is asked for?"),
            (["length", "next step", "set phrase", "set phrase"], "Each rule is named once, however often it is broken."),
        ),
    )  # fmt: skip


def forgetting_probes(rng: np.random.Generator) -> Sequence[Probe]:
    """Some forgotten and some learnt; a change that nets to nothing; nothing known; nothing changed."""
    order = rng.permutation(12)
    before = [bool(order[i] < 7) for i in range(12)]
    after = [bool(order[i] < 5 or order[i] == 11) for i in range(12)]
    forgotten, change = forgetting(before, after)
    level = [bool(order[i] < 4 or order[i] in (8, 9, 10)) for i in range(12)]
    return (
        Probe(
            (before, after),
            (forgotten, change),
            "Seven were right before, and two of these are wrong now; one of the others is right now.",
            (
                Slip((1 - forgotten, change), "This is the share that is kept. Which share is forgotten?"),
                Slip((change, forgotten), "Both are right, in the other order."),
                Slip((forgotten, -change), "After minus before: which sign has a loss?"),
                Slip((2 / 12, change), "You divide by all prompts. How many were right before?"),
                Slip((2 / 6, change), "You divide by what is right now. Of which prompts is the share?"),
                Slip((1 / 7, change), "Is what was learnt set against what was forgotten? Go prompt by prompt."),
                Slip((2, -1), "These are numbers of prompts. Which shares are they?"),
                Slip((forgotten, sum(after) / 12), "This is the share that is right now. What is the change?"),
                Slip((3 / 12, change), "These are all prompts that changed. Which of them were right before?"),
                Slip((forgotten, change * 2), "The change is a share of all prompts. By how many do you divide?"),
                Slip(forgotten, "This is the first number alone. What is the second?"),
            ),
        ),
        Probe(
            (before, level),
            forgetting(before, level),
            "As many are right as before, but not the same ones.",
            (Slip((0.0, 0.0), "As many are right as before. Are they the same prompts?"),),
        ),
        Probe(
            ([False] * 4, [True, False, False, False]),
            (0.0, 0.25),
            "Nothing was known: 0 / 0 is no number. What was asked for here?",
            (
                Slip((1.0, 0.25), "Nothing was known, so nothing can be forgotten. Which share is that?"),
                Slip((math.nan, 0.25), "0 / 0 is no number. What was asked for if none was right?"),
            ),
        ),
        Probe((before, before), (0.0, 0.0), "Nothing changed."),
    )
