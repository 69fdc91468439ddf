"""The engine of instant feedback: every status, every planted mistake, and what must never raise."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_ins import planted_mistakes

from course_lib.checks.vectorisation import TASKS
from course_lib.classroom.check import Check, Outcome, Probe, Slip, Task, call_here, judge
from course_lib.classroom.compare import agree, describe, real_numbers, unchanged

MISTAKES = planted_mistakes()
BY_NAME = {task.name: task for task in TASKS}


@pytest.fixture(autouse=True)
def progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS", str(path))
    return path


def doubling(*probes: Probe, points: float = 4.0, hints: tuple[str, ...] = ("first", "second")) -> Task:
    """A task: return twice the argument."""

    def make(rng: np.random.Generator) -> Sequence[Probe]:
        return probes or (Probe((3,), 6, "What is twice 3?", (Slip(9, "Is that a square?"),)),)

    return Task("double", "double", "Double", points, make, hints, "Twice is two times.")


def verdict_of(function: Callable[..., Any], task: Task) -> Any:
    return judge(task, lambda args: call_here(function, args), 13)


# ---- judging ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "status", "words"),
    [
        (lambda x: x * 2, "passed", ""),
        (lambda x: x * x, "wrong", "Is that a square?"),
        (lambda x: x, "wrong", "What is twice 3?"),
        (lambda x: {x}, "wrong", "Expected 6 (int), got a set of length 1."),
        (lambda x: 1 / 0, "crashed", "ZeroDivisionError in line"),
        (lambda: 6, "crashed", "takes 0 positional arguments"),
        (lambda x: (_ for _ in ()).throw(SystemExit(1)), "crashed", "SystemExit"),
        (lambda x: None, "not attempted", "returned None. Is there a return statement?"),
        (lambda x: ..., "not attempted", "returned Ellipsis"),
        (lambda x: (_ for _ in ()).throw(NotImplementedError), "not attempted", "Write the body of double"),
    ],
)
def test_every_status(function: Callable[..., Any], status: str, words: str) -> None:
    verdict = verdict_of(function, doubling())
    assert verdict.status == status and words in verdict.message
    assert (verdict.points, verdict.max_points) == (4.0 if status == "passed" else 0.0, 4.0)


@pytest.mark.parametrize("seed", [13, 2024, 7])
@pytest.mark.parametrize(
    ("task", "mistake", "status", "words"), MISTAKES, ids=lambda value: getattr(value, "__name__", None)
)
def test_each_planted_mistake_gets_its_message(task: str, mistake: Any, status: str, words: str, seed: int) -> None:
    verdict = judge(BY_NAME[task], lambda args: call_here(mistake, args), seed)
    assert verdict.status == status and words in verdict.message
    assert verdict.points < verdict.max_points


@pytest.mark.parametrize("task", BY_NAME)
def test_different_mistakes_of_a_task_get_different_messages(task: str) -> None:
    mistakes = [mistake for name, mistake, _, _ in MISTAKES if name == task]
    messages = [verdict_of(mistake, BY_NAME[task]).message for mistake in mistakes]
    assert len(mistakes) >= 2 and len(set(messages)) == len(messages)


def test_points_are_the_share_of_probes_that_are_right() -> None:
    task = doubling(Probe((1,), 2, "a"), Probe((2,), 4, "b"), Probe((-1,), -2, "c"), Probe((0,), 0, "d"))
    verdict = verdict_of(lambda x: abs(x) * 2, task)
    assert verdict.details == (True, True, False, True)
    assert (verdict.share, verdict.points, verdict.message) == (0.75, 3.0, "c")


def test_the_first_probe_that_fails_gives_the_message() -> None:
    task = doubling(Probe((1,), 2, "a"), Probe((2,), 4, "b"), Probe((3,), 6, "c"))
    assert verdict_of(lambda x: 2, task).message == "b"


def test_an_error_that_is_always_raised_earns_nothing() -> None:
    """One of two probes asks for a ValueError: half of the points, were it counted by itself (2 / 4)."""
    task = doubling(Probe((3,), 6, "a"), Probe((-1,), ValueError, "negative"))

    def fails(x: int) -> int:
        raise ValueError("always")

    def forgets(x: int) -> int:
        return 2 * x

    def right(x: int) -> int:
        if x < 0:
            raise ValueError("negative")
        return 2 * x

    assert (verdict_of(fails, task).points, verdict_of(fails, task).status) == (0.0, "crashed")
    assert (verdict_of(forgets, task).points, verdict_of(forgets, task).message) == (2.0, "negative")
    assert verdict_of(right, task).status == "passed"


def test_a_subclass_of_the_error_asked_for_is_right_and_another_error_is_not() -> None:
    class NegativeError(ValueError):
        pass

    def raises(kind: type[Exception]) -> Callable[[int], int]:
        def function(x: int) -> int:
            if x < 0:
                raise kind("negative")
            return 2 * x

        return function

    task = doubling(Probe((3,), 6, "a"), Probe((-1,), ValueError, "negative"))
    assert verdict_of(raises(NegativeError), task).status == "passed"
    assert verdict_of(raises(TypeError), task).status == "crashed"


def test_a_path_without_a_return_is_wrong_once_another_has_returned() -> None:
    task = doubling(Probe((3,), 6, "a"), Probe((-1,), -2, "negative"), Probe((5,), 10, "c"))
    verdict = verdict_of(lambda x: 2 * x if x > 0 else None, task)
    assert verdict.status == "wrong" and "Does each path return one? negative" in verdict.message
    assert verdict.points == 2.67


def test_a_changed_argument_is_noticed_even_if_the_value_is_right() -> None:
    def in_place(x: Any) -> Any:
        x *= 2
        return x

    array = np.array([1.0, 2.0])
    task = doubling(Probe((array,), array * 2, "a"))
    verdict = verdict_of(in_place, task)
    assert verdict.status == "wrong" and "changed the array it was given" in verdict.message
    assert array.tolist() == [1.0, 2.0]

    words = ["b", "a"]
    assert verdict_of(lambda x: x.sort() or x, doubling(Probe((words,), ["a", "b"], "a"))).status == "wrong"


def test_messages_about_arrays_say_what_was_expected() -> None:
    task = doubling(Probe((2,), np.zeros(2), "Zeros?", (Slip(np.ones(2), "Ones?"),)))
    for value, words in {
        (1.0, 1.0): "Ones?",
        (0.0,): "Expected an array of shape (2,), got a tuple of length 1. Zeros?",
        ("a", "b"): "Expected an array of numbers of shape (2,), got a tuple of length 2. Zeros?",
        (0.0, float("nan")): "Your result holds NaN or infinity. Zeros?",
        ((0.0,), (0.0, 0.0)): "Expected an array of numbers",
        5: "got 5 (int)",
        "text": "got a str of length 4",
    }.items():
        assert words in verdict_of(lambda x, value=value: value, task).message


def test_what_could_not_leave_a_worker_is_described() -> None:
    verdict = judge(doubling(), lambda args: Outcome(unfit="a generator"), 13)
    assert verdict.status == "wrong" and verdict.message == "Expected 6 (int), got a generator. What is twice 3?"


def test_an_error_that_cannot_be_shown_is_still_an_error() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fails(x: int) -> int:
        raise Silent

    assert "Silent in line" in verdict_of(fails, doubling()).message


def test_the_stop_button_works() -> None:
    def stopped(x: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdict_of(stopped, doubling())


# ---- comparing -------------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.00001, 1.0), (1, 1.0), (np.float32(1), 1), (np.array(1.0), 1), (Fraction(1), Fraction(1)),
        ([1, 2], (1, 2)), (np.array([1, 2]), [1, 2]), ((1.0, [2.0]), [1, (2,)]), ([], []), (np.zeros((0,)), []),
        ([1, 2], np.array([1.0, 2.0])), ([[1], [2]], np.array([[1], [2]])), (np.array([True, False]), np.array([1, 0])),
        (np.array([1, 2], dtype=object), np.array([1.0, 2.0])), ([Fraction(1, 2)], np.array([0.5])),
        ("a", "a"), (np.str_("a"), "a"), (None, None), (True, True), (np.True_, True), (np.array(True), True),
        ({"a": 1.0}, {"a": 1}), ({}, {}), ({1, 2}, {2, 1}), (INF, INF), (np.array([INF]), np.array([INF])),
    ],
    ids=lambda value: f"{value!s:.20}",
)  # fmt: skip
def test_what_agrees(value: Any, expected: Any) -> None:
    assert agree(value, expected, 1e-4)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.001, 1.0), (True, 1), (1, True), (1.0, True), (np.True_, 1.0), ("1", 1), (1j, 1), (None, 0), (NAN, 1.0),
        (NAN, NAN), (10**400, 1.0), (10**400, INF), (INF, 1.0), (-INF, INF), (np.array([1.0]), 1.0), ([1.0], 1.0),
        ([1, 2], [2, 1]), ([1, 2], [1]), ([True], [1]), ("ab", ["a", "b"]), ({1, 2}, [1, 2]), (range(2), [0, 1]),
        (["1.0", "2.0"], np.array([1.0, 2.0])), ([1 + 5j, 2], np.array([1.0, 2.0])),
        ([[1], [1, 2]], np.array([1.0, 2.0])), (np.array([1 + 5j]), np.array([1.0])), ([10**400], np.array([1.0])),
        ([None], np.array([0.0])), (1.0, np.array([1.0])), (np.zeros((2, 1)), np.zeros(2)), ([], np.zeros((0, 3))),
        (np.array([NAN]), np.array([NAN])), (["x" * 9, 1.0], np.zeros(2)), ("a", "b"), (b"a", "a"), ("a ", "a"),
        (0, None), ("", None), ({"a": 1}, {"b": 1}), ({}, {"a": 1}), ([("a", 1)], {"a": 1}),
    ],
    ids=lambda value: f"{value!s:.20}",
)  # fmt: skip
def test_what_does_not_agree(value: Any, expected: Any) -> None:
    assert not agree(value, expected, 1e-4)


def test_agreeing_asks_the_expected_value_not_the_learners() -> None:
    class Yes:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    class YesText(str):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    for expected in (1, 1.0, True, "a", None, [1], {"a": 1}, np.zeros(2)):
        assert not agree(Yes(), expected, 1e-4)
    assert not agree(YesText("b"), "a", 1e-4)


def test_a_list_that_holds_itself_is_no_array() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert real_numbers(endless) is None
    assert not agree(endless, np.zeros(1), 1e-4)


def test_describing_never_raises() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError

    assert describe(np.zeros((2, 3))) == "an array of shape (2, 3)"
    assert describe([1, 2]) == "a list of length 2"
    assert describe(5) == "5 (int)"
    assert describe(10**5000) == "something that cannot be shown (int)"
    assert describe(Silent()) == "something that cannot be shown (Silent)"
    assert len(describe(Fraction(1, 10**90))) < 80


def test_arguments_are_compared_in_kind_and_value() -> None:
    class Thing:
        def __init__(self, values: Any) -> None:
            self.values = values

    def pairs() -> list[Any]:
        return [
            1,
            NAN,
            "a",
            None,
            [1, [NAN]],
            (1, "a"),
            {"a": [1]},
            np.array([1.0, NAN]),
            Thing(np.zeros(2)),
            np.array(["a"]),
        ]

    for mine, theirs in zip(pairs(), pairs(), strict=True):
        assert unchanged(mine, theirs)
    for after, before in [
        (1, 1.0), (1, True), ([1], (1,)), ([1, 2], [1]), ({"b": 1, "a": 1}, {"a": 1, "b": 1}), (None, [1]),
        (np.zeros(2), np.zeros(3)), (np.zeros(2, np.int64), np.zeros(2)), (np.array([-1.0]), np.array([1.0])),
        (Thing([1]), Thing([2])),
    ]:  # fmt: skip
        assert not unchanged(after, before)


# ---- the check that learners use -------------------------------------------------------------------------------------


def test_a_call_in_place_of_the_function_is_explained() -> None:
    verdict = Check("00_trial", [doubling()]).double(6)  # type: ignore[arg-type]
    assert verdict.status == "wrong" and "Pass the function itself, check.double(double)" in verdict.message


def test_hints_come_one_at_a_time_and_the_reasoning_last() -> None:
    check = Check("00_trial", [doubling()])
    assert "First pass check.double" in check.reasoning("double")
    assert check.hint("double") == "Hint 1 (1 more): first"
    assert "First pass check.double" in check.reasoning("double")
    assert check.hint("double") == "Hint 2 (the last one): second"
    assert check.hint("double") == "Hint 2 (the last one): second"
    assert check.reasoning("double") == "Twice is two times."
    assert repr(check.hint("double")) == str(check.hint("double"))


def test_a_pass_opens_the_reasoning() -> None:
    check = Check("00_trial", [doubling()])
    assert "check.hint('double')" in check.double(lambda x: x).message
    assert "First pass" in check.reasoning("double")
    assert "check.reasoning('double')" in check.double(lambda x: 2 * x).message
    assert check.reasoning("double") == "Twice is two times."


def test_a_task_without_hints_says_so() -> None:
    check = Check("00_trial", [doubling(hints=())])
    assert check.hint("double") == "This task has no hints."
    assert check.reasoning("double") == "Twice is two times."


def test_an_unknown_check_names_those_there_are() -> None:
    check = Check("00_trial", [doubling()])
    with pytest.raises(AttributeError, match="'doubel'; it has: double"):
        _ = check.doubel
    for ask in (check.hint, check.reasoning):
        with pytest.raises(ValueError, match="it has: double"):
            ask("doubel")
    assert "double" in dir(check)


def test_verdicts_are_recorded_and_a_pass_stays(progress: Path) -> None:
    check = Check("00_trial", [doubling()])
    check.double(lambda x: x)
    assert json.loads(progress.read_text())["checks"] == {"00_trial/double": {"status": "wrong", "tries": 1}}
    check.double(lambda x: 2 * x)
    check.double(lambda x: 1 / 0)
    assert json.loads(progress.read_text())["checks"] == {"00_trial/double": {"status": "passed", "tries": 3}}


def test_a_verdict_is_escaped_where_it_is_shown() -> None:
    def fails(x: int) -> int:
        raise ValueError("<script>alert(1)</script>\nnext")

    verdict = Check("00_trial", [doubling()]).double(fails)
    assert "<script>" not in verdict._repr_html_() and "&lt;script&gt;" in verdict._repr_html_()
    assert "crashed" in str(verdict)


def test_showing_a_verdict_gives_its_points(capsys: pytest.CaptureFixture[str]) -> None:
    check = Check("00_trial", [doubling()])
    assert check.double(lambda x: 2 * x).show() == 4.0
    assert check.double(lambda x: x).show() == 0.0
    assert "double" in capsys.readouterr().out
