"""The engine of instant feedback: call the learner's function on probes, name the slip, never say only "wrong".

A lesson's checks are data: a Task holds probes, a Probe holds arguments, the expected value and what known slips
would return. The same task is judged in the learner's kernel (`Check`) and, with fresh numbers, in the grader.
"""

from __future__ import annotations

import copy
import html
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from course_lib.classroom.compare import agree, describe, real_numbers, unchanged

Status = Literal["passed", "wrong", "crashed", "not attempted"]
NOT_FINISHED = "Your function stopped before it returned anything."
SYMBOLS = {"passed": "✔", "wrong": "✘", "crashed": "⚠", "not attempted": "○"}


@dataclass(frozen=True)
class Slip:
    """A known wrong turn: the value it returns for a probe, and the question that points at it."""

    value: Any
    ask: str


@dataclass(frozen=True)
class Probe:
    """One call of the learner's function. Probes are judged in order, so each should isolate one slip.

    expected: the right value, or an exception type that the call must raise. ask: the question put when the value
    is wrong and no slip explains it. tolerance: relative and absolute, wide enough for another processor's rounding.
    """

    args: tuple[Any, ...]
    expected: Any
    ask: str
    slips: tuple[Slip, ...] = ()
    tolerance: float = 1e-4


@dataclass(frozen=True)
class Task:
    """One graded function. probes: a function of a random generator, so that the grader can use other numbers."""

    name: str
    function: str
    title: str
    points: float
    probes: Callable[[np.random.Generator], Sequence[Probe]]
    hints: tuple[str, ...]
    reasoning: str


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a value, or an error with the learner's line.

    error_family: the names of the error's class and of all that it descends from. unfit: what was returned, in words,
    if it could not cross from a grading worker because it is no data: "a set".
    """

    value: Any = None
    error: str = ""
    error_kind: str = ""
    error_family: tuple[str, ...] = ()
    changed_arguments: bool = False
    unfit: str = ""


@dataclass(frozen=True)
class Verdict:
    """The judgement of one task. share: of the probes that were right, 0 to 1."""

    task: str
    status: Status
    message: str
    share: float = 0.0
    points: float = 0.0
    max_points: float = 0.0
    details: tuple[bool, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"{SYMBOLS[self.status]} {self.task}: {self.status}. {self.message}"

    def show(self) -> float:
        """Display the verdict and return the points: the last value of a graded cell is what nbgrader counts."""
        try:
            from IPython.display import display
        except ImportError:
            print(self)
        else:
            display(self)
        return self.points

    def _repr_html_(self) -> str:
        colour = {"passed": "#00695c", "wrong": "#b3541e", "crashed": "#8e24aa", "not attempted": "#546e7a"}[
            self.status
        ]
        message = html.escape(self.message).replace("\n", "<br>")
        return (
            f'<div role="status" style="border-left:4px solid {colour};padding:.4em .8em">'
            f"<strong>{SYMBOLS[self.status]} {html.escape(self.task)}: {self.status}.</strong> {message}</div>"
        )


def judge(task: Task, call: Callable[[tuple[Any, ...]], Outcome], seed: int) -> Verdict:
    """Judge a task by calling the learner's function on every probe made from seed.

    The message is that of the first probe that fails; the share counts all that pass. An error where one is asked for
    counts only beside a value that is right: `raise ValueError` alone earns nothing.
    """
    passed: list[bool] = []
    first: tuple[Status, str] | None = None
    right_value = False
    for probe in task.probes(np.random.default_rng(seed)):
        status, message = _judge_probe(task, probe, call(probe.args))
        if status == "not attempted" and passed:  # it has returned something before
            status, message = (
                "wrong",
                f"Another call was answered with no value. Does each path return one? {probe.ask}",
            )
        passed.append(status == "passed")
        right_value = right_value or (passed[-1] and _asked_error(probe) is None)
        if status != "passed" and first is None:
            first = (status, message)
            if status == "not attempted":
                break
    share = sum(passed) / max(len(passed), 1) if right_value else 0.0
    status, message = first or ("passed", "")
    return Verdict(task.name, status, message, share, round(task.points * share, 2), task.points, tuple(passed))


def _asked_error(probe: Probe) -> type[Exception] | None:
    is_error = isinstance(probe.expected, type) and issubclass(probe.expected, Exception)
    return probe.expected if is_error else None


def _judge_probe(task: Task, probe: Probe, outcome: Outcome) -> tuple[Status, str]:
    raises, value, expected = _asked_error(probe), outcome.value, probe.expected
    if outcome.error_kind == "NotImplementedError":
        return "not attempted", f"Write the body of {task.function}, then run this cell again."
    if outcome.error_kind:
        if raises and raises.__name__ in (outcome.error_kind, *outcome.error_family):
            return "passed", ""
        return "crashed", outcome.error
    if outcome.changed_arguments:
        return "wrong", "Your function changed the array it was given. What happens to a caller who still needs it?"
    if raises:
        return "wrong", probe.ask
    if outcome.unfit:
        return "wrong", f"Expected {describe(expected)}, got {outcome.unfit}. {probe.ask}"
    if (value is None and expected is not None) or value is Ellipsis:
        return "not attempted", f"{task.function} returned {value!r}. Is there a return statement?"
    if agree(value, expected, probe.tolerance):
        return "passed", ""
    for slip in probe.slips:
        if agree(value, slip.value, probe.tolerance):
            return "wrong", slip.ask
    if isinstance(expected, np.ndarray):
        numbers = real_numbers(value)
        if numbers is None:
            return (
                "wrong",
                f"Expected an array of numbers of shape {expected.shape}, got {describe(value)}. {probe.ask}",
            )
        if numbers.shape != expected.shape:
            return "wrong", f"Expected an array of shape {expected.shape}, got {describe(value)}. {probe.ask}"
        if not np.isfinite(numbers).all():
            return "wrong", f"Your result holds NaN or infinity. {probe.ask}"
    elif type(value) is not type(expected) and not isinstance(value, (int, float, list, tuple, np.number)):
        return "wrong", f"Expected {describe(expected)}, got {describe(value)}. {probe.ask}"
    return "wrong", probe.ask


def call_here(function: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    """Call function in this process on copies of args, and notice whether it changes them."""
    copies = copy.deepcopy(args)
    try:
        value = function(*copies)
    except (Exception, SystemExit) as error:  # KeyboardInterrupt is the learner's stop button
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name != "call_here"]
        where = f" in line {frames[0].lineno} ({(frames[0].line or '').strip()})" if frames else ""
        family = tuple(kind.__name__ for kind in type(error).__mro__)
        words = f"{family[0]}{where}: {_message(error)}\n{NOT_FINISHED}"
        return Outcome(error=words, error_kind=family[0], error_family=family)
    return Outcome(value=value, changed_arguments=not unchanged(copies, args))


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(no message)"


class Check:
    """The checks of one lesson, as a learner uses them: `check.pooling(my_function)`.

    check.hint("pooling") gives the next hint, check.reasoning("pooling") the reasoning after a pass or after all hints.
    """

    def __init__(self, lesson: str, tasks: Sequence[Task], *, seed: int = 13) -> None:
        self.lesson = lesson
        self.tasks = {task.name: task for task in tasks}
        self.seed = seed
        self._hints_given: dict[str, int] = {}
        self._passed: set[str] = set()

    def __getattr__(self, name: str) -> Callable[[Callable[..., Any]], Verdict]:
        if name.startswith("_") or name not in self.__dict__.get("tasks", {}):
            known = ", ".join(self.__dict__.get("tasks", {}))
            raise AttributeError(f"this lesson has no check called {name!r}; it has: {known}")
        return lambda function: self.run(name, function)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.tasks]

    def run(self, name: str, function: Callable[..., Any]) -> Verdict:
        """Judge the learner's function, record the verdict in the progress file, and return it."""
        from course_lib.classroom.progress import record_check

        task = self._task(name)
        if not callable(function):
            verdict = Verdict(
                name,
                "wrong",
                f"Pass the function itself, check.{name}({task.function}), not what it returns.",
                max_points=task.points,
            )
        else:
            verdict = judge(task, lambda args: call_here(function, args), self.seed)
        if verdict.status == "passed":
            self._passed.add(name)
            verdict = Verdict(**{**vars(verdict), "message": f"Why it works: check.reasoning({name!r})"})
        elif verdict.status in ("wrong", "crashed"):
            verdict = Verdict(**{**vars(verdict), "message": f"{verdict.message}\nStuck? check.hint({name!r})"})
        record_check(self.lesson, verdict.task, verdict.status)
        return verdict

    def hint(self, name: str) -> str:
        """Return the next hint of a task; the last one again when all are given."""
        task = self._task(name)
        if not task.hints:
            return Text("This task has no hints.")
        given = self._hints_given[name] = min(self._hints_given.get(name, 0) + 1, len(task.hints))
        more = f" ({len(task.hints) - given} more)" if given < len(task.hints) else " (the last one)"
        return Text(f"Hint {given}{more}: {task.hints[given - 1]}")

    def reasoning(self, name: str) -> str:
        """Return why the right answer is right: after a pass, or once all hints are given."""
        task = self._task(name)
        if name in self._passed or self._hints_given.get(name, 0) >= len(task.hints):
            return Text(task.reasoning)
        return Text(f"First pass check.{name}, or take all hints with check.hint({name!r}).")

    def _task(self, name: str) -> Task:
        if name not in self.tasks:
            raise ValueError(f"this lesson has no check called {name!r}; it has: {', '.join(self.tasks)}")
        return self.tasks[name]


class Text(str):
    """A str that a notebook shows without quotes."""

    def __repr__(self) -> str:
        return str(self)
