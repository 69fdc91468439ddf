"""Rating without knowing who wrote what: texts with their authors, a blind order, and what the levels say afterwards."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.core.seeds import SEED
from course_lib.core.validate import require_text
from course_lib.evaluation.rubric import Criterion, Rating, agreement


@dataclass(frozen=True)
class GeneratedText:
    """A text to be rated. prompt: the question or source it was written for. system: who wrote it, hidden from raters."""

    text_id: str
    prompt: str
    text: str
    system: str

    @property
    def key(self) -> str:
        """The text_id of its ratings: its own, and a digest of what is read, so that no rating passes to a changed text."""
        read = "\0".join((self.prompt, self.text)).encode()
        return f"{self.text_id}#{hashlib.sha256(read).hexdigest()[:8]}"


@dataclass(frozen=True)
class Agreement:
    """How far two raters agree on one criterion: kappa over the n texts that both rated; None, and why, if undefined."""

    criterion: str
    raters: tuple[str, str]
    n: int
    kappa: float | None
    why: str = ""


def require_rubric(texts: Sequence[GeneratedText], criteria: Sequence[Criterion]) -> None:
    """Raise ValueError unless there is at least one text and one criterion, with ids and names that do not repeat."""
    for argument, names in (
        ("texts", [text.text_id for text in texts]),
        ("criteria", [each.name for each in criteria]),
    ):
        if not names:
            raise ValueError(f"{argument} must hold at least one, got none")
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{argument} must have names of their own, got {', '.join(repeated)} more than once")


def blind_order(texts: Sequence[GeneratedText], *, rater: str, seed: int = SEED) -> list[GeneratedText]:
    """Return the texts in an order that depends on seed, rater and the texts themselves, not on how they were given.

    Each rater has an order of their own, so that tired last judgements do not meet the same texts. A text that is added
    leaves the others in their order. Raises ValueError for an empty rater.
    """
    require_text(rater, name="rater")

    def place(text: GeneratedText) -> bytes:
        return hashlib.sha256(f"{seed}\0{rater}\0{text.key}".encode()).digest()

    return sorted(texts, key=place)


def levels_given(
    texts: Sequence[GeneratedText], ratings: Sequence[Rating], criterion: Criterion
) -> dict[str, dict[str, int]]:
    """Return rater -> key of a text -> level, for these texts only. Of two ratings of a text by one rater, the later counts.

    A level that the criterion does not have counts as none.
    """
    keys = {text.key for text in texts}
    given: dict[str, dict[str, int]] = {}
    for rating in ratings:
        level = rating.levels.get(criterion.name, -1)
        if rating.text_id in keys and 0 <= level < len(criterion.levels):
            given.setdefault(rating.rater, {})[rating.text_id] = level
    return given


def levels_by_system(
    texts: Sequence[GeneratedText], ratings: Sequence[Rating], criterion: Criterion
) -> dict[str, list[float]]:
    """Return system -> one value for each of its texts that was rated: the mean of what its raters gave.

    The text is the unit, however many rated it: `significance.bootstrap_interval` takes these values as they are. Systems
    come in the order of their names, with an empty list where nothing was rated.
    """
    given = levels_given(texts, ratings, criterion)
    values: dict[str, list[float]] = {system: [] for system in sorted({text.system for text in texts})}
    for text in texts:
        levels = [by_key[text.key] for by_key in given.values() if text.key in by_key]
        if levels:
            values[text.system].append(float(np.mean(levels)))
    return values


def agreements(
    texts: Sequence[GeneratedText], ratings: Sequence[Rating], criteria: Sequence[Criterion]
) -> list[Agreement]:
    """Return Cohen's kappa with linear weights for every criterion and every two raters who both rated one of the texts."""
    found = []
    for criterion in criteria:
        given = levels_given(texts, ratings, criterion)
        for first, second in itertools.combinations(sorted(given), 2):
            n = len(given[first].keys() & given[second].keys())
            if not n:
                continue
            pair = [
                Rating(key, rater, {criterion.name: level})
                for rater in (first, second)
                for key, level in given[rater].items()
            ]
            try:
                found.append(Agreement(criterion.name, (first, second), n, agreement(pair, criterion)[0]))
            except ValueError as undefined:
                found.append(Agreement(criterion.name, (first, second), n, None, str(undefined)))
    return found
