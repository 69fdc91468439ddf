"""The scoreboard: one row a system, with its quality by kind of question and its price; kept in one JSON file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from course_lib.core.types import Question
from course_lib.core.validate import require_text
from course_lib.evaluation.answers import abstains, contains, exact_match, token_f1
from course_lib.evaluation.ranking import metric_values
from course_lib.evaluation.significance import Interval, bootstrap_interval, paired_difference

FORMAT = 1
COURSE, LEARNER = "course", "you"
ANSWERABLE, HEADLINE, EVERY = "answerable", "without comparison", "all"
COMPARISON, UNANSWERABLE = "comparison", "unanswerable"
ANSWER_METRICS: dict[str, Callable[[str, Sequence[str]], float]] = {
    "contained": contains,
    "exact match": exact_match,
    "token F1": token_f1,
}
RANKING_METRICS = ("success@1", "recall@5", "nDCG@10")
PRECISION, RECALL, GROUNDED = "abstention precision", "abstention recall", "grounded"
METRICS = (*ANSWER_METRICS, *RANKING_METRICS, PRECISION, RECALL, GROUNDED)
Quality = dict[str, dict[str, Interval]]  # metric -> group of questions -> mean and interval


@dataclass(frozen=True)
class Row:
    """One system on the scoreboard.

    seconds: median for one question, uncached; peak_gb: 10^9 bytes, of a process of its own; None: not measured.
    quality: metric -> group -> Interval; a group is a kind, ANSWERABLE, HEADLINE (answerable but for comparisons) or
    EVERY. marks: see `right_answers`. quick: measured on few questions. control: no system but a floor to compare with.
    key: names all that the figures depend on. whose: COURSE or LEARNER, from the file that the row was read from.
    """

    name: str
    lesson: str
    how: str
    quality: Quality
    seconds: float | None = None
    n_timed: int = 0
    peak_gb: float | None = None
    training_minutes: float = 0.0
    trained_parameters: int = 0
    index_bytes: int | None = None
    marks: str = ""
    split: str = "test"
    quick: bool = False
    control: bool = False
    key: str = ""
    measured: dict[str, Any] = field(default_factory=dict)
    whose: str = COURSE

    def __post_init__(self) -> None:
        require_text(self.name, name="name")
        for argument in ("seconds", "peak_gb", "training_minutes", "trained_parameters", "index_bytes"):
            value = getattr(self, argument)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{argument} must be a number of at least 0, or None if unknown, got {value!r}")
        for metric in self.quality:
            if metric not in METRICS:
                raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")

    def get(self, metric: str, group: str) -> Interval | None:
        """Return the figure of a metric for a group of questions; None where there is none."""
        return self.quality.get(metric, {}).get(group)


def groups_of(question: Question) -> tuple[str, ...]:
    """Return the groups in which an answer or a ranking for this question counts; none if it is unanswerable."""
    if not question.gold:
        return ()
    headline = () if question.kind == COMPARISON else (HEADLINE,)
    return (question.kind, ANSWERABLE, *headline)


def right_answers(questions: Sequence[Question], replies: Mapping[str, str]) -> str:
    """Return "1" or "0" for each question of HEADLINE in order of question_id: whether its reply contains the answer."""
    asked = sorted((q for q in questions if HEADLINE in groups_of(q)), key=lambda question: question.question_id)
    return "".join(str(int(contains(replies[q.question_id], q.answers))) for q in asked)


def difference(row: Row, base: Row) -> Interval | None:
    """Return the right answers of row minus those of base, question by question, with the paired 95 % interval.

    None where they did not answer the same questions, or fewer than two.
    """
    if row.quick or base.quick or row.split != base.split or len(row.marks) != len(base.marks) or len(row.marks) < 2:
        return None
    return paired_difference([float(mark) for mark in row.marks], [float(mark) for mark in base.marks])


def quality(
    questions: Sequence[Question],
    replies: Mapping[str, str],
    *,
    rankings: Mapping[str, Sequence[str]] | None = None,
    judgements: Mapping[str, Mapping[str, float]] | None = None,
    grounded: Mapping[str, float] | None = None,
) -> Quality:
    """Return every metric by group of questions, each with its 95 % bootstrap interval and n.

    replies: question_id -> what the system said; rankings: question_id -> chunk ids, best first, with the judgements
    they are scored by; grounded: question_id -> 0 to 1 for replies that claim something. Answers and rankings count
    for answerable questions; a group of fewer than two values has no figure. Raises ValueError for a question without
    a reply, or rankings without judgements.
    """
    missing = [question.question_id for question in questions if question.question_id not in replies]
    if missing:
        raise ValueError(f"replies must hold every question; {len(missing)} are missing, the first is {missing[0]}")
    if rankings and not judgements:
        raise ValueError("judgements must say which chunks are right if rankings are given; see judge_chunks")
    values: dict[str, dict[str, list[float]]] = {}

    def note(metric: str, groups: Sequence[str], value: float) -> None:
        for group in groups:
            values.setdefault(metric, {}).setdefault(group, []).append(float(value))

    for question in questions:
        reply = replies[question.question_id]
        silent = abstains(reply)
        if question.gold:
            for metric, score in ANSWER_METRICS.items():
                note(metric, groups_of(question), score(reply, question.answers))
            if rankings is not None and judgements is not None:
                judged = {question.question_id: judgements[question.question_id]}
                for metric in RANKING_METRICS:
                    note(metric, groups_of(question), metric_values(metric, rankings, judged)[0])
        else:
            note(RECALL, (UNANSWERABLE,), silent)
        if silent:
            note(PRECISION, (EVERY,), not question.gold)
        if grounded and question.question_id in grounded:
            note(GROUNDED, (question.kind, EVERY), grounded[question.question_id])
    return {
        metric: {group: bootstrap_interval(found) for group, found in table.items() if len(found) > 1}
        for metric, table in values.items()
        if any(len(found) > 1 for found in table.values())
    }


# ---------------------------------------------------------------- the file


def row_as_json(row: Row) -> dict[str, Any]:
    """Return a row as plain data; an Interval becomes [mean, low, high, n]."""
    entry = {name: value for name, value in asdict(replace(row, quality={})).items() if name != "whose"}
    entry["quality"] = {
        metric: {group: [*(round(x, 4) for x in (i.mean, i.low, i.high)), i.n] for group, i in table.items()}
        for metric, table in row.quality.items()
    }
    return entry


def row_from_json(entry: Mapping[str, Any], *, whose: str = COURSE) -> Row:
    """Return the row that plain data describe. Raises KeyError, TypeError or ValueError if it is none."""
    found = {
        metric: {
            group: Interval(float(mean), float(low), float(high), int(n))
            for group, (mean, low, high, n) in table.items()
        }
        for metric, table in entry["quality"].items()
    }
    return Row(**{**entry, "quality": found, "whose": whose})


def read_rows(path: Path, *, whose: str = COURSE) -> list[Row]:
    """Return the rows of a scoreboard file in their order; none where the file is absent.

    Raises ValueError for a file that is no scoreboard, or of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); move it away, and measure its rows again") from error
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
        return [row_from_json(entry, whose=whose) for entry in content["rows"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is no scoreboard of this course ({error}); move it away") from error


def put_row(path: Path, row: Row, *, order: Sequence[str] = ()) -> None:
    """Write a row into a file, in the place of the one with its name; the file is replaced in one step.

    order: names that come first, in this order; others keep theirs behind. Raises ValueError as read_rows does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_lock_of(path), timeout=30):
        rows = {known.name: known for known in read_rows(path)}
        rows[row.name] = row
        place = {name: i for i, name in enumerate(order)}
        kept = sorted(rows.values(), key=lambda each: place.get(each.name, len(place)))
        content = {"format": FORMAT, "rows": [row_as_json(each) for each in kept]}
        handle, aside = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(_compact(json.dumps(content, ensure_ascii=False, indent=1)) + "\n")
            _replace(Path(aside), path)
        finally:
            Path(aside).unlink(missing_ok=True)


def _lock_of(path: Path) -> Path:
    """Not beside the file: the course's own stands among files that git keeps."""
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"course-scoreboard-{name}.lock"


def _compact(text: str) -> str:
    """Put lists of numbers on one line each."""
    return re.sub(r"\[\n\s+([-+e\d.,\s]+?)\n\s+\]", lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]", text)


def _replace(aside: Path, path: Path) -> None:
    os.chmod(aside, 0o644)
    for wait in (0.05, 0.2, None):
        try:
            return os.replace(aside, path)
        except PermissionError:  # Windows, while another process reads it
            if wait is None:
                raise
            time.sleep(wait)


def merged(shipped: Sequence[Row], own: Sequence[Row]) -> list[Row]:
    """Return the course's rows, then the learner's, each marked with whose it is; a name may stand in both."""
    return [replace(row, whose=COURSE) for row in shipped] + [replace(row, whose=LEARNER) for row in own]
