"""Grades the hand-ins of a class: two at a time, and on the next run only what has changed."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from course_lib.classroom.check import Task, Verdict
from course_lib.classroom.grading import report
from course_lib.classroom.grading.grade import GradedSubmission, grade_submission, released_exercise
from course_lib.classroom.grading.sandbox import Limits, require_sandbox
from course_lib.classroom.grading.submission import BrokenError, read_file


@dataclass(frozen=True)
class HandIn:
    """What one learner handed in. problem: why there is no file to grade."""

    learner: str
    path: Path
    problem: str = ""


def find_hand_ins(folder: Path, lesson: str) -> list[HandIn]:
    """Return the hand-ins of a folder: NAME.ipynb, NAME/LESSON.ipynb, nbgrader's NAME/LESSON/LESSON.ipynb, or the one
    notebook in NAME. Links are not followed: one could lead to the solution.
    """
    found: list[HandIn] = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or (entry.suffix != ".ipynb" and not entry.is_dir()):
            continue
        if entry.is_symlink():
            found.append(HandIn(entry.stem, entry, "This is a link to another place. Hand in the notebook itself."))
        elif entry.suffix == ".ipynb" and not entry.is_dir():
            found.append(HandIn(entry.stem, entry))
        else:
            found.append(_of_folder(entry, lesson))
    named: list[HandIn] = []
    names = [report.clean_text(hand_in.learner) for hand_in in found]
    for hand_in, name in zip(found, names, strict=True):
        if names.count(name) > 1:
            name = report.clean_text(hand_in.path.relative_to(folder).as_posix())
        taken = sum(other.learner.startswith(name) for other in named)
        same = any(other.learner == name for other in named)
        named.append(dataclasses.replace(hand_in, learner=f"{name} ({taken + 1})" if same else name))
    return named


def _of_folder(entry: Path, lesson: str) -> HandIn:
    for path in (entry / f"{lesson}.ipynb", entry / lesson / f"{lesson}.ipynb"):
        if path.is_file() and not path.parent.is_symlink():
            return HandIn(entry.name, path)
    notebooks = [path for path in sorted(entry.glob("*.ipynb")) if not path.name.startswith(".")]
    if len(notebooks) == 1:
        return HandIn(entry.name, notebooks[0])
    there = f"{len(notebooks)} other notebooks" if notebooks else "no notebook at all"
    return HandIn(entry.name, entry, f"There is no {lesson}.ipynb in this folder, and {there}.")


def grade_folder(
    folder: Path,
    tasks: Sequence[Task],
    *,
    lesson: str,
    out: Path,
    seed: int | None = None,
    sandbox: bool = True,
    release: Path | None = None,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    processes: int = 2,
    force: bool = False,
    progress: bool = True,
) -> list[report.Row]:
    """Grade every hand-in of a folder; write grades.csv, grades.json and feedback/NAME.html into out; return the rows.

    seed: of the graded numbers; by default that of the last run into out, or a new one that nobody can know before. A file
    that was graded with the same seed, tasks and release is not graded again unless force. Raises ValueError if out lies
    within folder, SandboxError without a sandbox, FileNotFoundError without the release.
    """
    folder, out = Path(folder).resolve(), Path(out).resolve()
    if out.is_relative_to(folder):
        raise ValueError(f"out must lie outside of the submissions {folder}, which are never changed; got {out}")
    if sandbox:
        require_sandbox()
    release = release or released_exercise(lesson)
    last_seed, known = report.read_rows(out / "grades.json", lesson=lesson)
    if seed is None:
        seed = secrets.randbelow(2**31) if last_seed is None else last_seed
    basis = _basis(tasks, lesson, seed, release, sandbox)

    def grade_one(hand_in: HandIn) -> report.Row:
        path, key = hand_in.path, ""
        file = path.relative_to(folder).as_posix()
        if hand_in.problem:
            nothing = tuple(Verdict(task.name, "not attempted", "", max_points=task.points) for task in tasks)
            graded = GradedSubmission(path, lesson, "broken", hand_in.problem, nothing)
            return report.Row.of(graded, tasks, learner=hand_in.learner, file=file)
        with contextlib.suppress(BrokenError):
            key = hashlib.sha256(basis + read_file(path)).hexdigest()
        if not force and key in known:
            return dataclasses.replace(
                known[key], learner=report.clean_text(hand_in.learner), file=report.clean_text(file)
            )
        graded = grade_submission(
            path, tasks, lesson=lesson, seed=seed, sandbox=sandbox, release=release, limits=limits
        )
        key = "" if graded.state == "ungraded" else key
        return report.Row.of(graded, tasks, learner=hand_in.learner, file=file, key=key)

    rows: list[report.Row] = []
    with ThreadPoolExecutor(processes) as pool:  # each thread waits for a process of its own, which does the work
        waiting = [pool.submit(grade_one, hand_in) for hand_in in find_hand_ins(folder, lesson)]
        try:
            for done in tqdm(
                as_completed(waiting), total=len(waiting), desc=lesson, unit="hand-in", disable=not progress
            ):
                rows.append(done.result())
        finally:  # after an interruption, the next run goes on from here
            for future in waiting:
                future.cancel()
            if len(rows) < len(waiting):
                seen = {row.file for row in rows}
                rows += [row for row in known.values() if row.file not in seen]
            rows.sort(key=lambda row: (row.learner.casefold(), row.learner))
            write_grades(rows, tasks, out, lesson=lesson, seed=seed, sandbox=sandbox)
    return rows


def _basis(tasks: Sequence[Task], lesson: str, seed: int, release: Path, sandbox: bool) -> bytes:
    """Return a hash of all that a grade depends on beside the file that was handed in."""
    parts = [
        repr((task.name, task.function, task.points, list(task.probes(np.random.default_rng(seed))))) for task in tasks
    ]
    text = "\n".join([lesson, str(seed), str(sandbox), *parts])
    return hashlib.sha256(text.encode() + release.read_bytes()).digest()


def write_grades(
    rows: Sequence[report.Row], tasks: Sequence[Task], out: Path, *, lesson: str, seed: int, sandbox: bool
) -> None:
    """Write grades.csv, grades.json and feedback/NAME.html into out."""
    report.write_text(out / "grades.json", report.as_json(rows, lesson=lesson, seed=seed, sandbox=sandbox))
    report.write_text(out / "grades.csv", report.as_csv(rows, tasks), encoding="utf-8-sig")  # the mark that Excel needs
    names = report.page_names([row.learner for row in rows])
    for row in rows:
        report.write_text(out / "feedback" / names[row.learner], report.feedback_page(row, tasks))
