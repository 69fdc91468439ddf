"""What grading writes down: one row a learner, as JSON, as CSV for spreadsheets, and a page of feedback each.

Every text that a learner can choose (names, error messages) is cleaned when a row is made, and escaped when it is written.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from course_lib.classroom.check import SYMBOLS, Task, Verdict
from course_lib.classroom.grading.grade import GradedSubmission

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1c2b33;background:#fff}
section{border-left:4px solid #546e7a;padding:.1em 1em;margin:1em 0}p{white-space:pre-line;overflow-wrap:anywhere}
.passed{border-color:#00695c}.wrong{border-color:#b3541e}.crashed{border-color:#8e24aa}h2{font-size:1.05rem;margin:.4em 0}
"""


@dataclass(frozen=True)
class TaskRow:
    """What one learner got for one task."""

    task: str
    title: str
    status: str
    message: str
    points: float
    out_of: float


@dataclass(frozen=True)
class Row:
    """What one learner got. key: a hash of all that the grade depends on; the same key need not be graded again."""

    learner: str
    lesson: str
    state: str
    message: str
    points: float
    out_of: float
    file: str
    key: str
    seconds: float
    tasks: tuple[TaskRow, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, graded: GradedSubmission, tasks: Sequence[Task], *, learner: str, file: str, key: str = "") -> Row:
        """Return the row of a graded submission, its texts cleaned."""

        def task_row(task: Task, verdict: Verdict) -> TaskRow:
            words = clean_text(verdict.message)
            return TaskRow(task.name, task.title, verdict.status, words, verdict.points, verdict.max_points)

        return cls(
            learner=clean_text(learner),
            lesson=graded.lesson,
            state=graded.state,
            message=clean_text(graded.message),
            points=graded.points,
            out_of=graded.max_points,
            file=clean_text(file),
            key=key,
            seconds=round(graded.seconds, 2),
            tasks=tuple(map(task_row, tasks, graded.verdicts)),
            notes=tuple(clean_text(note) for note in graded.notes),
        )

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Row:
        """Return the row that `as_json` wrote. Raises TypeError or KeyError for anything else."""
        tasks = tuple(TaskRow(**task) for task in entry["tasks"])
        return cls(**{**entry, "tasks": tasks, "notes": tuple(entry["notes"])})


def clean_text(text: str, most: int = 2000) -> str:
    """Return text without control characters, half characters and changes of direction; newlines stay."""
    text = text[:most].encode("utf-8", "replace").decode("utf-8")
    hidden = {"Cc", "Cs", "Co"}
    kept = (c for c in text if c in "\n\t" or (unicodedata.category(c) not in hidden and c not in _DIRECTIONS))
    return "".join(kept)


_DIRECTIONS = frozenset(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F]))


def as_json(rows: Sequence[Row], *, lesson: str, seed: int, sandbox: bool) -> str:
    """Return all rows as JSON, with the seed that makes the same graded numbers again."""
    record = {"lesson": lesson, "seed": seed, "sandbox": sandbox, "rows": [asdict(row) for row in rows]}
    return json.dumps(record, ensure_ascii=False, indent=1) + "\n"


def as_csv(rows: Sequence[Row], tasks: Sequence[Task]) -> str:
    """Return one line a learner. A text that a spreadsheet would compute gets an apostrophe in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["learner", "lesson", "points", "out of", "state", *(task.name for task in tasks)])
    for row in rows:
        points = {task.task: task.points for task in row.tasks}
        texts = [no_formula(row.learner), row.lesson, row.points, row.out_of, row.state]
        writer.writerow([*texts, *(points.get(task.name, 0.0) for task in tasks)])
    return out.getvalue()


def no_formula(text: str) -> str:
    """Return text on one line, with an apostrophe in front if a spreadsheet would take it for a formula."""
    text = " ".join(text.split())
    return f"'{text}" if text[:1] in tuple("=+-@|%") else text


def feedback_page(row: Row, tasks: Sequence[Task]) -> str:
    """Return a page for the learner: static, without scripts, links or images."""
    escape = html.escape
    reasons = {task.name: task.reasoning for task in tasks}
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width">',
        f"<title>{escape(row.lesson)}: {escape(row.learner)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>Exercise {escape(row.lesson)}</h1>",
        f"<p><strong>{escape(row.learner)}</strong>: {row.points:g} of {row.out_of:g} points.</p>",
    ]
    if row.message and row.state != "graded":
        parts.append(f"<p>{escape(row.message)}</p>")
    for task in row.tasks if row.state == "graded" else ():
        mark = f"{SYMBOLS.get(task.status, '')} {escape(task.title)}: {escape(task.status)}"
        words = task.message or (reasons.get(task.task, "") if task.status == "passed" else "")
        parts.append(
            f'<section class="{escape(task.status.split()[0])}"><h2>{mark}, {task.points:g} of {task.out_of:g}</h2>'
        )
        parts.append(f"<p>{escape(words)}</p></section>")
    if row.notes:
        parts.append("<h2>Cells that did not run to their end</h2><ul>")
        parts += [f"<li><p>{escape(note)}</p></li>" for note in row.notes]
        parts.append("</ul>")
    return "\n".join([*parts, "</main></body></html>"]) + "\n"


def page_names(learners: Sequence[str]) -> dict[str, str]:
    """Return a file name for each learner that every file system takes and that no other learner has."""
    names: dict[str, str] = {}
    for learner in learners:
        safe = re.sub(r"[^A-Za-z0-9_-]+", "_", learner)[:60]
        alike = sum(re.sub(r"[^A-Za-z0-9_-]+", "_", other)[:60].casefold() == safe.casefold() for other in learners)
        mark = hashlib.sha256(learner.encode("utf-8", "replace")).hexdigest()[:8]
        names[learner] = f"{safe}.html" if safe == learner and alike == 1 else f"{safe}-{mark}.html"
    return names


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write in one step, so that an interruption leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_text(text, encoding=encoding)
    os.replace(aside, path)


def read_rows(path: Path, *, lesson: str) -> tuple[int | None, dict[str, Row]]:
    """Return the seed and the rows, by key, of an earlier run; (None, {}) if there was none or it cannot be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["lesson"] != lesson or set(record["rows"][0] if record["rows"] else []) - {
            f.name for f in fields(Row)
        }:
            return None, {}
        return int(record["seed"]), {row.key: row for row in map(Row.from_json, record["rows"]) if row.key}
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None, {}
