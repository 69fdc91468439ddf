"""`course scoreboard run`: each system in a process of its own, its row written as soon as it is measured."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from course_lib.evaluation.scoreboard import Row, put_row, read_rows, row_as_json, row_from_json
from course_lib.systems.scoreboard_named import key_of, measure_system
from course_lib.systems.scoreboard_systems import NAMES, SYSTEMS, System, find
from course_lib.workshop.bench import circumstances
from course_lib.workshop.memory import peak_gb

Say = Callable[[str], None]
Measure = Callable[[System, bool], Row]


class ScoreboardError(RuntimeError):
    """A system could not be measured; the message says which and why."""


def measured_apart(system: System, quick: bool) -> Row:
    """Return the row of a system, measured in a fresh process, so that its peak memory is its own.

    What every system finds ready is made by another process before. Raises ScoreboardError if one of them fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "row.json"
        command = [sys.executable, "-m", "course_lib.workshop.scoreboard_run", system.slug, str(out)]
        command += ["quick"] if quick else []
        if subprocess.run([sys.executable, "-m", "course_lib.cli", "prepare"]).returncode:
            raise ScoreboardError("models and caches could not be made ready; run: python course.py doctor")
        status = subprocess.run(command).returncode
        if status or not out.is_file():
            raise ScoreboardError(
                f"{system.name} could not be measured (exit status {status}); rows before it are kept"
            )
        return row_from_json(json.loads(out.read_text(encoding="utf-8")))


def run(
    names: Sequence[str],
    path: Path,
    *,
    root: Path,
    say: Say,
    quick: bool = False,
    fresh: bool = False,
    measured: Measure = measured_apart,
) -> list[str]:
    """Measure the systems named (all but slow ones if none is) and write each row into path at once; return their names.

    A row that is there with the same key is left alone unless fresh, so a run that was stopped goes on where it was.
    Raises ValueError for a name that does not exist, before anything is measured.
    """
    systems = [find(name) for name in names] or [system for system in SYSTEMS if not system.slow]
    known = {row.name: row for row in read_rows(path)}
    done = []
    for system in systems:
        row = known.get(system.name)
        if row is not None and row.key == key_of(system, quick=quick) and not fresh:
            say(f"{system.name}: measured {row.measured.get('date', 'before')}; again with --fresh")
            continue
        started = time.perf_counter()
        row = measured(system, quick)
        record = {**circumstances(root), "minutes": round((time.perf_counter() - started) / 60, 1)}
        put_row(path, replace(row, measured=record), order=NAMES)
        say(f"{system.name}: {record['minutes']:g} minutes")
        done.append(system.name)
    return done


def stale_rows(rows: Sequence[Row]) -> list[str]:
    """Return a line for each of the course's systems whose row is missing or was measured on other data or models.

    A slow system may be missing.
    """
    known = {row.name: row for row in rows}
    problems = []
    for system in SYSTEMS:
        row = known.get(system.name)
        if row is None and system.slow:
            continue
        if row is None or row.quick:
            problems.append(f"{system.name}: not measured; run: python course.py scoreboard run {system.slug} --ship")
        elif row.key != key_of(system, quick=False):
            problems.append(f"{system.name}: data, models or build have changed since {row.measured.get('date')}")
    return problems


def main(arguments: Sequence[str]) -> Any:
    """Measure one system and write its row: SLUG OUT [quick]."""
    slug, out, *rest = arguments
    row = measure_system(find(slug), quick="quick" in rest, peak=lambda: peak_gb() or None, progress=True)
    Path(out).write_text(json.dumps(row_as_json(row)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
