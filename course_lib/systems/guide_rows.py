"""The decision guide's measured rows: what was measured of an approach, and the JSON file that a benchmark writes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from course_lib.evaluation.significance import Interval

FORMAT = "decision-guide-rows/1"
NEVER = "never"  # in the file, where a new document is never answered
TASKS = {"text": "answers in words", "labels": "one of a fixed set of labels"}


@dataclass(frozen=True)
class Approach:
    """A way to build a system. reads: documents stand in its prompt when it answers. writes: it can write an answer.

    parts: what somebody has to look after.
    """

    name: str
    reads: bool
    writes: bool
    parts: tuple[str, ...]


APPROACHES = {
    "prompt": Approach("prompt only", reads=False, writes=True, parts=("model",)),
    "classifier": Approach("classifier without a language model", False, False, ("labelled examples", "classifier")),
    "long_context": Approach("long context", reads=True, writes=True, parts=("model", "documents")),
    "rag": Approach("RAG", reads=True, writes=True, parts=("model", "documents", "index")),
    "tuning": Approach("fine-tuning", reads=False, writes=True, parts=("model", "labelled examples", "adapter")),
    "hybrid": Approach(
        "RAG + fine-tuning", True, True, ("model", "documents", "index", "labelled examples", "adapter")
    ),
}  # fewest parts first


@dataclass(frozen=True)
class Row:
    """What was measured of one approach on one task and domain. None: not measured.

    right: share of answers that are right; style: a style score, larger is nearer to the style wanted; cited: share of
    answers that name the passage that says so. seconds: for one question. memory_mb: at its peak, to answer. fresh_seconds:
    from a new document to the right answer, math.inf if never. examples: labelled examples used; minutes: to train.
    """

    approach: str
    task: str = "text"
    domain: str = "all"
    right: Interval | None = None
    style: Interval | None = None
    cited: Interval | None = None
    seconds: float | None = None
    memory_mb: float | None = None
    fresh_seconds: float | None = None
    examples: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        require_choice(self.approach, APPROACHES, "approach")
        require_choice(self.task, TASKS, "task")
        if not self.domain.strip():
            raise ValueError('domain must be named, got nothing; "all" is for everything together')
        for name in ("right", "style", "cited"):
            share: Interval | None = getattr(self, name)
            if share is not None and not 0 <= share.low <= share.mean <= share.high <= 1:
                raise ValueError(f"{name} must be 0 <= low <= mean <= high <= 1, got {share}")
        for name in ("seconds", "memory_mb", "fresh_seconds", "examples", "minutes"):
            value: float | None = getattr(self, name)
            if value is not None and not (value >= 0 and (math.isfinite(value) or name == "fresh_seconds")):
                raise ValueError(
                    f"{name} must be a number of at least 0, got {value}; leave it out if it is not measured"
                )

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells rows apart: approach, task, domain, examples (-1 where they are not known)."""
        return self.approach, self.task, self.domain, -1 if self.examples is None else self.examples


@dataclass(frozen=True)
class Rows:
    """Rows, and how they were made (date, machine, versions, seeds). made_up: not measured, to show how it works."""

    rows: tuple[Row, ...]
    made: Mapping[str, Any]
    made_up: bool = False

    def __post_init__(self) -> None:
        keys = [row.key for row in self.rows]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"rows must differ in approach, task, domain or examples, got twice: {twice[0]}")

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that some row was measured on, in order."""
        return tuple(sorted({row.domain for row in self.rows}))


def write_rows(rows: Rows, path: Path) -> None:
    """Write rows as JSON: {"format", "made", "made_up", "rows": [...]}; what was not measured is left out."""
    entries = [{name: value for name, value in asdict(row).items() if value is not None} for row in rows.rows]
    for entry in entries:
        if entry.get("fresh_seconds") == math.inf:
            entry["fresh_seconds"] = NEVER
    content = {"format": FORMAT, "made": dict(rows.made), "made_up": rows.made_up, "rows": entries}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_rows(path: Path) -> Rows:
    """Return the rows of a file that `write_rows` or a benchmark wrote. Intervals are {"mean", "low", "high", "n"}.

    Raises FileNotFoundError, or ValueError for another format, an unknown field, or a value that cannot be.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not there: measure first, or write the rows with write_rows")
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise ValueError(f"format must be {FORMAT!r}, got {content.get('format')!r} in {path.name}")
    rows = tuple(_row(entry) for entry in content["rows"])
    return Rows(rows, content.get("made", {}), bool(content.get("made_up", False)))


def _row(entry: Mapping[str, Any]) -> Row:
    names = [field.name for field in fields(Row)]
    unknown = sorted(set(entry) - set(names))
    if unknown or "approach" not in entry:
        raise ValueError(
            f"a row needs approach and may have {', '.join(names[1:])}; got {', '.join(entry) or 'nothing'}"
        )
    values: dict[str, Any] = {
        name: Interval(**value) if isinstance(value, dict) else value for name, value in entry.items()
    }
    if values.get("fresh_seconds") == NEVER:
        values["fresh_seconds"] = math.inf
    return Row(**values)


def require_choice(value: str, choices: Mapping[str, object] | Sequence[str], name: str) -> None:
    """Raise ValueError unless value is one of choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
