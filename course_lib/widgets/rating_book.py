"""The ratings of one person, kept in a file after every click: what the rubric form works on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from course_lib.classroom.progress import LOCK_SECONDS, progress_file
from course_lib.core.seeds import SEED
from course_lib.evaluation.blind_rating import GeneratedText, blind_order, levels_given, require_rubric
from course_lib.evaluation.rubric import Criterion, Rating, load_ratings, save_ratings


def rating_file(name: str = "rubric") -> Path:
    """Return the path of a form's ratings: JSON Lines beside the progress file, never in the repository.

    Raises ValueError unless name is made of letters, digits, hyphens and underscores.
    """
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"name must be letters, digits, - and _, as it names a file, got {name!r}; write name='11'")
    return progress_file().with_name(f"{name}.jsonl")


class RatingBook:
    """What one rater has said of the texts, kept in the file after every click, beside what others said.

    A click that cannot be written stays in memory and goes to the file with the next one that can.
    """

    def __init__(
        self, texts: Sequence[GeneratedText], criteria: Sequence[Criterion], *, rater: str, path: Path, seed: int = SEED
    ) -> None:
        """Put the texts in the rater's blind order. Raises ValueError for texts or criteria that cannot be told apart."""
        require_rubric(texts, criteria)
        self.texts, self.criteria = blind_order(texts, rater=rater, seed=seed), tuple(criteria)
        self.rater, self.path = rater, path
        self._saved: list[Rating] = []
        self._unsaved: dict[str, dict[str, int]] = {}

    def load(self) -> None:
        """Read the file. Raises ValueError for a broken line and OSError for a file that cannot be read."""
        self._saved = load_ratings(self.path)

    def rate(self, number: int, criterion: Criterion, level: int) -> None:
        """Note a level for the text at this place, and `save`."""
        self._unsaved.setdefault(self.texts[number].key, {})[criterion.name] = level
        self.save()

    def save(self) -> None:
        """Write what is not yet in the file. Raises as `load`, or OSError if the file cannot be written."""
        if not self._unsaved:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock", timeout=LOCK_SECONDS):  # two tabs, or two raters, share the file
            if self.path.is_file():  # one that was deleted meanwhile is written again, whole
                self.load()
            merged = self.ratings()
            save_ratings(merged, self.path)
        self._saved, self._unsaved = merged, {}

    def ratings(self) -> list[Rating]:
        """Return every rating, of all raters, with what is not yet in the file."""
        mine = {rating.text_id: dict(rating.levels) for rating in self._saved if rating.rater == self.rater}
        for key, levels in self._unsaved.items():
            mine[key] = mine.get(key, {}) | levels
        others = [rating for rating in self._saved if rating.rater != self.rater]
        return others + [Rating(key, self.rater, levels) for key, levels in mine.items()]

    def level(self, number: int, criterion: Criterion) -> int | None:
        """Return the level that this rater gave to the text at this place; None before the first click."""
        return levels_given(self.texts, self.ratings(), criterion).get(self.rater, {}).get(self.texts[number].key)

    def open_places(self) -> list[int]:
        """Return the places of the texts that lack a level for some criterion."""
        given = [levels_given(self.texts, self.ratings(), each).get(self.rater, {}) for each in self.criteria]
        return [place for place, text in enumerate(self.texts) if not all(text.key in levels for levels in given)]
