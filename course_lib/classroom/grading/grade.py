"""Grades one hand-in to points. The learner's code runs in workers; what it returns is judged here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from course_lib.classroom.check import NOT_FINISHED, Outcome, Task, Verdict, judge
from course_lib.classroom.compare import unchanged
from course_lib.classroom.grading.sandbox import NOT_CONTAINED, ROOT, Limits, SandboxError, require_sandbox
from course_lib.classroom.grading.submission import BrokenError, Cell, Script, read_script
from course_lib.classroom.grading.wire import LostError, Worker
from course_lib.classroom.grading.worker import NotData, decode, encode

State = Literal["graded", "broken", "ungraded"]
MAX_LOSSES = 2  # workers that one task may cost


@dataclass(frozen=True)
class GradedSubmission:
    """The points of one hand-in.

    state: "graded"; "broken" if the file is no hand-in of this lesson; "ungraded" if the sandbox failed, so that the same
    file should be graded again. message: why. notes: what went wrong in single cells.
    """

    path: Path
    lesson: str
    state: State
    message: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    sha256: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def points(self) -> float:
        return round(sum(verdict.points for verdict in self.verdicts), 2)

    @property
    def max_points(self) -> float:
        return round(sum(verdict.max_points for verdict in self.verdicts), 2)


def released_exercise(lesson: str) -> Path:
    """Return where `course build` puts the learner's version of a lesson's exercise."""
    return ROOT / "exercises" / f"{lesson}.ipynb"


def grade_submission(
    path: Path | str,
    tasks: Sequence[Task],
    *,
    lesson: str,
    seed: int,
    sandbox: bool = True,
    release: Path | None = None,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> GradedSubmission:
    """Grade a learner's notebook; nothing that it holds or does raises here.

    seed: of the graded numbers; another than the one of practice. release: the exercise as handed out, from which the
    locked cells are taken. Raises SandboxError without bubblewrap unless sandbox is False, FileNotFoundError without the
    release, TypeError if a task's arguments cannot be sent to a worker.
    """
    started = time.perf_counter()
    path, release = Path(path), release or released_exercise(lesson)
    if sandbox:
        require_sandbox()
    nothing = tuple(Verdict(task.name, "not attempted", "", max_points=task.points) for task in tasks)
    try:
        script = read_script(path, release, tasks, lesson=lesson)
    except BrokenError as error:
        return GradedSubmission(path, lesson, "broken", str(error), nothing, seconds=time.perf_counter() - started)
    session = _Session(script, limits, sandbox=sandbox)
    try:
        verdicts = tuple(_judged(task, session, seed) for task in tasks)
    except SandboxError as error:
        return GradedSubmission(path, lesson, "ungraded", str(error), nothing, seconds=time.perf_counter() - started)
    finally:
        session.close()
    notes = tuple(session.notes.values())
    message = "" if sandbox else NOT_CONTAINED
    seconds = time.perf_counter() - started
    return GradedSubmission(path, lesson, "graded", message, verdicts, notes, script.sha256, seconds)


def _judged(task: Task, session: _Session, seed: int) -> Verdict:
    """Judge a task in the worker that all tasks share; if it does not pass there, in one of its own, which decides."""
    verdict = judge(task, partial(session.call, task), seed)
    if verdict.status != "passed" and session.part(task):
        verdict = judge(task, partial(session.call, task), seed)
    return verdict


class _Session:
    """The workers of one submission.

    One worker, in which all cells have run, serves every task that passes in it. Any other task has a worker of its own,
    in which only the cells run that it needs: an attack in one task's cell cannot reach the others. Once the shared worker
    is lost, all that follow have their own.
    """

    def __init__(self, script: Script, limits: Limits, *, sandbox: bool) -> None:
        self.script, self.limits, self.sandbox = script, limits, sandbox
        self.notes: dict[str, str] = {}
        self.deadline = time.monotonic() + limits.total_seconds
        self._workers: dict[str, Worker] = {}  # by task; "" is the shared one
        self._shared = True
        self._apart = ""  # the task that was parted from the others
        self._losses: dict[str, int] = {}
        self._left_out: set[Cell | tuple[str, Cell]] = set()

    def part(self, task: Task) -> bool:
        """Give the task a worker of its own from now on; False if it has had one already."""
        if not self._shared or self._apart == task.name:
            return False
        self._apart = task.name
        return True

    def call(self, task: Task, args: tuple[Any, ...]) -> Outcome:
        """Call the task's function in a worker on args."""
        try:
            before = decode(encode(args))
        except NotData as error:
            raise TypeError(f"the arguments of task {task.name!r} cannot be sent to a worker: {error}") from error
        while True:
            if self._losses.get(task.name, 0) >= MAX_LOSSES:
                return _stopped(f"{task.function} was not called again.")
            if time.monotonic() > self.deadline:
                return _stopped(
                    f"The {self.limits.total_seconds:.0f} seconds that one submission may take are used up."
                )
            key = self._key(task)
            try:
                worker = self._ready(task)
                if worker is not None:
                    seconds = min(self.limits.call_seconds, self.deadline - time.monotonic())
                    return self._outcome(task, worker.ask("call", task.function, args, seconds=seconds), before)
            except LostError as lost:
                self._shared = False
                self._losses[task.name] = self._losses.get(task.name, 0) + 1
                self._workers.pop(key, None)
                if key or lost.why == "time":  # in the shared worker, it may have been another task's doing
                    return _stopped(self._words(task, lost))

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()

    def _key(self, task: Task) -> str:
        return "" if self._shared and self._apart != task.name else task.name

    def _ready(self, task: Task) -> Worker | None:
        """Return a worker in which the cells have run; None if one of them ended it, and the next try may do better."""
        key = self._key(task)
        if key in self._workers:
            return self._workers[key]
        for other in [other for other in self._workers if other or not self._shared]:
            self._workers.pop(other).close()
        cells = self.script.needed_for(task) if key else self.script.cells
        worker = self._workers[key] = Worker(self.limits, sandbox=self.sandbox)
        start_over = time.monotonic() + self.limits.start_seconds
        for cell in cells:
            if cell in self._left_out or (task.name, cell) in self._left_out:
                continue
            seconds = min(self.limits.cell_seconds, start_over - time.monotonic(), self.deadline - time.monotonic())
            try:
                reply = worker.ask("cell", cell.name, cell.source, seconds=seconds)
            except LostError as lost:
                del self._workers[key]
                self._lost_at(cell, task, lost)
                return None
            if reply[0] == "error":
                self.notes[cell.name] = f"{cell.name} stopped: {reply[2]}"
        return worker

    def _lost_at(self, cell: Cell, task: Task, lost: LostError) -> None:
        if lost.why == "time":
            self.notes[cell.name] = f"{cell.name} did not finish in time and was left out."
            self._left_out.add(cell)
        elif not self._key(task):
            self._shared = False
        else:
            self.notes[cell.name] = f"{cell.name} ended the process that it ran in."
            self._left_out.add((task.name, cell))

    def _outcome(self, task: Task, reply: tuple[Any, ...], before: tuple[Any, ...]) -> Outcome:
        match reply:
            case ("value", value, after):
                return Outcome(value=value, changed_arguments=not unchanged(after, before))
            case ("unfit", kind):
                return Outcome(unfit=kind)
            case ("error", family, text):
                return Outcome(error=f"{text}\n{NOT_FINISHED}", error_kind=family[0], error_family=family)
        home = self.script.home_of(task)
        if home is not None and home.name in self.notes:
            return _stopped(f"{task.function} is not there. In your notebook, {self.notes[home.name]}")
        return Outcome(error_kind="NotImplementedError")

    def _words(self, task: Task, lost: LostError) -> str:
        if lost.why == "time":
            return f"{task.function} did not finish within {self.limits.call_seconds:g} seconds. Is there a loop that never ends?"
        if lost.why == "ended":
            return f"{task.function} ended the process that it ran in: out of memory, too deep a recursion, or an exit?"
        return (
            f"What {task.function} returned could not be read: it is too large, or something else wrote in its place."
        )


def _stopped(words: str) -> Outcome:
    return Outcome(error=words, error_kind="Stopped")
