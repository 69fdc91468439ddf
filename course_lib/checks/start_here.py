"""Checks of lesson 00: is an answer right, what the model reads, whose fault an error is, and how far to trust a count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.classroom.check import Check, Probe, Slip, Task

NAMES = ("Spain", "Norway", "Chile", "Egypt", "Japan", "Peru", "Ghana", "Iran")
TOPICS = ("Late fees", "Moving house", "Meter readings", "Solar tariff", "Complaints", "Data retention")


def which_are_right(answers: Sequence[str], golds: Sequence[Sequence[str]]) -> list[bool]:
    """Return for each answer whether one of its gold answers stands in it as whole words, in capitals or not."""
    return [
        any(re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", answer, re.IGNORECASE) for gold in its_own)
        for answer, its_own in zip(answers, golds, strict=True)
    ]


def write_prompt(question: str, passages: Sequence[tuple[str, str]]) -> str:
    """Return the numbered passages and then the question, a blank line between them."""
    parts = [f"[{number}] {title}\n{text}" for number, (title, text) in enumerate(passages, start=1)]
    return "\n\n".join([*parts, f"Question: {question}"])


def count_causes(right: Sequence[bool], found: Sequence[bool]) -> list[int]:
    """Return how many answers are right, how many misread a right passage, and how many had a wrong one."""
    misread = sum(f and not r for r, f in zip(right, found, strict=True))
    return [sum(right), misread, len(right) - sum(right) - misread]


def interval(differences: npt.NDArray[Any], draws: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % quantiles of the means of the drawn differences."""
    low, high = np.quantile(differences[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _right_probes(rng: np.random.Generator) -> Sequence[Probe]:
    one, two, three = (str(name) for name in rng.permutation(NAMES)[:3])
    goals = f"{rng.integers(3, 9)}0"
    plain = [f"The winner was {one}.", f"The winner was {two}."], [[one], [three]]
    capitals = [f"It was {one.upper()}, of course.", f"It was {two.lower()}."], [[one], [three]]
    several = [f"It was {two}.", f"It was {three}.", f"{one} won."], [[one, two], [one, two], [one, two]]
    numbers = [f"In the year 20{goals}.", f"By {goals} goals.", f"It won {goals}0 times."], [[goals]] * 3
    marks = [f"({three})", "There were 2x5 of them.", "About 2.5 of them."], [[three], ["2.5"], ["2.5"]]
    empty = ["", f"{one}"], [[one], [one]]

    def probe(args: tuple[list[str], list[list[str]]], ask: str, *slips: Slip) -> Probe:
        return Probe(args, which_are_right(*args), ask, slips)

    return (
        probe(
            plain,
            "One answer holds its gold answer, the other does not. Which?",
            Slip([False, False], "The gold answer stands in the middle of a sentence. Must an answer equal it?"),
            Slip([False, True], "Is that the wrong way round?"),
            Slip(0.5, "One value for each answer is asked for. Is this their mean?"),
        ),
        probe(capitals, "Do capitals make another country of it?"),
        probe(
            several,
            "There are two gold answers. Which of them must an answer hold?",
            Slip([False, False, True], "Did you look at the first gold answer only?"),
            Slip([False, False, False], "Must an answer hold all of its gold answers, or one?"),
        ),
        probe(
            numbers,
            "The gold answer is a number. Is it right if its digits stand inside a longer one?",
            Slip([True, True, True], f"Does an answer that says 20{goals} say {goals}?"),
            Slip([False, True, True], "You look at what stands before the match. And after it?"),
            Slip([True, True, False], "You look at what stands after the match. And before it?"),
        ),
        probe(
            marks,
            "Brackets and full stops: what belongs to a word, and what is a special sign of a pattern?",
            Slip([True, True, True], "In a regular expression a full stop fits any sign. Is one in a gold answer such a sign?"),
            Slip([False, False, True], "A bracket is no part of a word. Does the first answer hold its gold one?"),
        ),
        probe(empty, "What if the model says nothing?"),
    )  # fmt: skip


def _prompt_probes(rng: np.random.Generator) -> Sequence[Probe]:
    titles = [str(topic) for topic in rng.permutation(TOPICS)[:3]]
    passages = [(title, f"About {title.lower()}, rule {rng.integers(10, 99)}.") for title in titles]
    asked = f"What does rule {rng.integers(10, 99)} say?"

    def joined(texts: Sequence[str]) -> str:
        return "\n\n".join([*texts, f"Question: {asked}"])

    one = passages[:1]
    return (
        Probe(
            (asked, one),
            write_prompt(asked, one),
            "Number and title on the first line, the text on the second, a blank line, the question. Is each there?",
            (
                Slip(joined([f"[0] {one[0][0]}\n{one[0][1]}"]), "From which number do people count passages?"),
                Slip(joined([f"[1] {one[0][1]}"]), "Where is the title? Without it the model cannot know what the text is about."),
                Slip(joined([f"[1] {one[0][0]} {one[0][1]}"]), "Do title and text stand on lines of their own?"),
                Slip(f"[1] {one[0][0]}\n{one[0][1]}", "What is the model asked? The question is missing."),
                Slip(f"Question: {asked}\n\n[1] {one[0][0]}\n{one[0][1]}", "Which comes first, passages or question?"),
                Slip(f"[1] {one[0][0]}\n{one[0][1]}\nQuestion: {asked}", "Is there a blank line before the question?"),
            ),
        ),
        Probe(
            (asked, passages),
            write_prompt(asked, passages),
            "Three passages this time. Are all there, each with its own number, a blank line between them?",
            (
                Slip(write_prompt(asked, one), "How many passages were you given, and how many are in your prompt?"),
                Slip(write_prompt(asked, passages[::-1]), "Did the order change? The best passage is given first."),
                Slip(joined([f"[1] {title}\n{text}" for title, text in passages]), "Has each passage a number of its own?"),
            ),
        ),
        Probe((asked, []), f"Question: {asked}", "What remains when nothing was found?"),
    )  # fmt: skip


def _cause_probes(rng: np.random.Generator) -> Sequence[Probe]:
    n_right, n_lucky, n_misread, n_wrong = 3, 2, 4, 1 + int(rng.integers(5, 8))
    rows = [(True, True)] * n_right + [(True, False)] * n_lucky
    rows += [(False, True)] * n_misread + [(False, False)] * n_wrong
    rows = [rows[i] for i in rng.permutation(len(rows))]
    right, found = [bool(r) for r, _ in rows], [bool(f) for _, f in rows]
    return (
        Probe(
            (right, found),
            count_causes(right, found),
            "What is an answer that is right although the passage was not the one? Count it by what was said.",
            (
                Slip([n_right, n_misread, n_wrong + n_lucky], "Some answers are right without the right passage. What are they?"),
                Slip([n_right + n_lucky, n_wrong, n_misread], "Which is which? Misread means that the right passage was there."),
                Slip([n_right + n_lucky, n_right + n_misread, n_wrong], "Can an answer that is right be misread?"),
                Slip([n_right + n_lucky, n_misread, n_wrong + n_lucky], "Is an answer counted twice? The three numbers must add up."),
                Slip([n / len(rows) for n in count_causes(right, found)], "Are these counts or shares?"),
            ),
        ),
        Probe(([True, False, False], [True, True, False]), [1, 1, 1], "One answer of each sort here. Is each counted once?"),
        Probe(([True, True], [False, True]), [2, 0, 0], "Both answers are right. What is left for the other two counts?"),
    )  # fmt: skip


def _interval_probes(rng: np.random.Generator) -> Sequence[Probe]:
    differences = rng.permutation(np.array([1, 1, 1, 1, 0, 0, 0, -1, 1, 0], dtype=np.float64))
    draws = rng.integers(0, len(differences), size=(400, len(differences)))
    means = differences[draws].mean(axis=1)
    few = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    spread = 1.96 * differences.std(ddof=1) / np.sqrt(len(differences))
    return (
        Probe(
            (differences, draws),
            interval(differences, draws),
            "Each row of draws is one new set of questions: take its differences, and their mean. What then?",
            (
                Slip((means.min(), means.max()), "Smallest and largest mean hold all draws. Which share should the interval hold?"),
                Slip(np.quantile(means, [0.05, 0.95]), "How much is cut off at each end, so that 95 % stay?"),
                Slip(np.quantile(differences, [0.025, 0.975]), "Are these quantiles of the differences, or of the means of draws?"),
                Slip(np.quantile(differences[draws].ravel(), [0.025, 0.975]), "Where is the mean of each draw?"),
                Slip((differences.mean() - spread, differences.mean() + spread), "A formula for the bell curve. What do the draws say?"),
                Slip(np.quantile(means, [0.975, 0.025]), "Which end comes first?"),
            ),
        ),
        Probe((np.array([0.0, 0.5, 1.0]), few), (0.025, 0.975), "Three draws with the means 0, 0.5 and 1. What are their quantiles?"),
        Probe((np.ones(4), rng.integers(0, 4, size=(50, 4))), (1.0, 1.0), "All differences are 1. How wide can the interval be?"),
    )  # fmt: skip


TASKS = (
    Task(
        "right",
        "which_are_right",
        "Which answers are right?",
        2,
        _right_probes,
        (
            "For one answer and one gold answer, begin with `gold.lower() in answer.lower()`. Where is that too generous?",
            "The letters or digits next to the match must not belong to the same word.",
            r"`re.search(rf'(?<!\w){re.escape(gold)}(?!\w)', answer, re.IGNORECASE)` finds whole words.",
        ),
        "Loose, and easy to fool: an answer that lists every country holds the gold one. Lesson 08 measures with stricter rules beside it.",
    ),
    Task(
        "prompt",
        "write_prompt",
        "What the model reads",
        2,
        _prompt_probes,
        (
            "Make a list of parts, one for each passage, then the question; join them with `'\\n\\n'`.",
            "`enumerate(passages, start=1)` counts as people do.",
        ),
        "The number lets an answer cite its passage. The title says what the text is about: a chunk from the middle of a document often does not.",
    ),
    Task(
        "causes",
        "count_causes",
        "Whose fault was it?",
        2,
        _cause_probes,
        (
            "Take pairs: `for r, f in zip(right, found)`.",
            "Right is right, whatever was found. Only of the others ask whether the passage was there.",
        ),
        "A misread passage asks for a better reader (lessons 07, 13, 15), a wrong passage for a better search (lessons 01 to 06). One number for both would not say where to work.",
    ),
    Task(
        "interval",
        "interval",
        "How far to trust it",
        3,
        _interval_probes,
        (
            "`differences[draws]` has the shape of draws: one row for each new set of questions.",
            "The mean along axis 1, then `np.quantile` at 0.025 and 0.975.",
        ),
        "The draws stand in for other questions that could have been asked. If zero lies outside, the sign of the difference is not luck. Every lesson prints this interval.",
    ),
)

check = Check("00_start_here", TASKS)
