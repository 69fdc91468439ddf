"""What people say of texts: a rubric with described levels, ratings, and how far two raters agree beyond chance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

Weights = Literal["none", "linear", "quadratic"]


@dataclass(frozen=True)
class Criterion:
    """One thing that is judged. levels: from worst to best, each described so that two people mean the same by it."""

    name: str
    question: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.levels) < 2 or len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels of {self.name!r} must be at least two and all different, got {self.levels}")


@dataclass(frozen=True)
class Rating:
    """What one person said of one text. levels: criterion -> position of the level chosen, 0 for the worst."""

    text_id: str
    rater: str
    levels: Mapping[str, int]


def cohen_kappa(first: Sequence[int], second: Sequence[int], *, weights: Weights = "none") -> float:
    """Return Cohen's kappa (1960): agreement of two raters beyond what their own habits would give by chance.

    first, second: (n,) levels given to the same texts. 1: the same throughout; 0: as by chance; below 0: less. weights
    "linear" or "quadratic" count a near miss as less wrong than a far one. Raises ValueError for no ratings or unequal
    lengths, and where both always chose the same single level: chance then agrees fully, and kappa is undefined.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError(
            f"two raters must rate the same texts, and at least one, got {len(first)} and {len(second)} ratings"
        )
    if weights not in ("none", "linear", "quadratic"):
        raise ValueError(f'weights must be "none", "linear" or "quadratic", got {weights!r}')
    levels = sorted({*first, *second})
    if len(levels) == 1:
        raise ValueError(f"kappa is undefined where both raters always chose level {levels[0]}; rate more varied texts")
    place = {level: i for i, level in enumerate(levels)}
    counts = np.zeros((len(levels), len(levels)))  # (n_levels, n_levels)
    for a, b in zip(first, second, strict=True):
        counts[place[a], place[b]] += 1
    by_chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    distance = np.abs(np.subtract.outer(np.arange(len(levels)), np.arange(len(levels)))).astype(float)
    cost = {"none": (distance > 0).astype(float), "linear": distance, "quadratic": distance**2}[weights]
    return float(1 - (cost * counts).sum() / (cost * by_chance).sum())


def agreement(ratings: Sequence[Rating], criterion: Criterion, *, weights: Weights = "linear") -> tuple[float, int]:
    """Return kappa of the two raters on one criterion, and the number of texts that both have rated.

    Raises ValueError unless there are exactly two raters, or where `cohen_kappa` does.
    """
    raters = sorted({rating.rater for rating in ratings})
    if len(raters) != 2:
        raise ValueError(f"agreement is between two raters, got {len(raters)}: {', '.join(raters) or 'none'}")
    given = {
        rater: {each.text_id: each.levels[criterion.name] for each in ratings if each.rater == rater}
        for rater in raters
    }
    both = sorted(given[raters[0]].keys() & given[raters[1]].keys())
    first, second = ([given[rater][text_id] for text_id in both] for rater in raters)
    return cohen_kappa(first, second, weights=weights), len(both)


def save_ratings(ratings: Sequence[Rating], path: Path) -> None:
    """Write ratings as JSON Lines, in place of what path held, so that a failed write loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    lines = [
        json.dumps({"text_id": each.text_id, "rater": each.rater, "levels": dict(each.levels)}, ensure_ascii=False)
        for each in ratings
    ]
    aside.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    aside.replace(path)


def load_ratings(path: Path) -> list[Rating]:
    """Read ratings; an absent file holds none. Raises ValueError, naming the line, for one that is no rating."""
    if not path.is_file():
        return []
    ratings = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            levels = {str(name): int(level) for name, level in entry["levels"].items()}
            ratings.append(Rating(str(entry["text_id"]), str(entry["rater"]), levels))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"line {number} of {path.name} is no rating ({error}); mend or delete that line"
            ) from error
    return ratings
