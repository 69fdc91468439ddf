"""Every exercise: the reference passes, each planted mistake gets its own message, a constant answer earns nothing."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from course_lib.classroom.check import Task, call_here, judge

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted(path.parent.name for path in (ROOT / "lessons").glob("*/exercise.py"))
SEEDS = (13, 2024, 7)


@cache
def tasks(lesson: str) -> dict[str, Task]:
    module = importlib.import_module(f"course_lib.checks.{lesson[3:]}")
    return {task.name: task for task in module.TASKS}


@cache
def mistakes(lesson: str) -> list[tuple[str, Callable[..., Any], str, str]]:
    spec = importlib.util.spec_from_file_location(f"mistakes_{lesson}", ROOT / "lessons" / lesson / "mistakes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.MISTAKES)


@cache
def reference(lesson: str) -> ModuleType:
    """The exercise's own functions, without the cells that check them."""
    source = (ROOT / "lessons" / lesson / "exercise.py").read_text(encoding="utf-8")
    kept = [
        node
        for node in ast.parse(source).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Assign))
        or (isinstance(node, (ast.Import, ast.ImportFrom)) and "course_lib" not in ast.unparse(node))
    ]
    module = ModuleType(f"reference_{lesson}")
    exec(compile(ast.Module(kept, []), f"{lesson}/exercise.py", "exec"), vars(module))
    return module


CASES = [(lesson, *case) for lesson in LESSONS for case in mistakes(lesson)]
NAMES = [(lesson, name) for lesson in LESSONS for name in tasks(lesson)]


def name_of(value: Any) -> str | None:
    return getattr(value, "__name__", None) or (value if isinstance(value, str) and " " not in value else None)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("lesson", "task", "mistake", "status", "words"), CASES, ids=name_of)
def test_each_planted_mistake_gets_its_message(
    lesson: str, task: str, mistake: Any, status: str, words: str, seed: int
) -> None:
    verdict = judge(tasks(lesson)[task], lambda args: call_here(mistake, args), seed)
    assert verdict.status == status and words in verdict.message
    assert verdict.points < verdict.max_points


@pytest.mark.parametrize(("lesson", "task"), NAMES)
def test_the_reference_passes_whatever_the_seed(lesson: str, task: str) -> None:
    function = getattr(reference(lesson), tasks(lesson)[task].function)
    for seed in range(20):
        verdict = judge(tasks(lesson)[task], lambda args: call_here(function, args), seed)
        assert verdict.status == "passed", (seed, verdict.message)


@pytest.mark.parametrize(("lesson", "task"), NAMES)
def test_a_constant_answer_does_not_pass(lesson: str, task: str) -> None:
    """Whatever a probe expects, returned for every probe: never full marks, and never for all of a task's seeds alike."""
    probes = tasks(lesson)[task].probes(np.random.default_rng(13))
    for probe in probes:
        if not (isinstance(probe.expected, type) and issubclass(probe.expected, Exception)):
            verdict = judge(
                tasks(lesson)[task], lambda args, value=probe.expected: call_here(lambda *_: value, args), 2024
            )
            assert verdict.points <= verdict.max_points / 2, probe.ask


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_task_has_mistakes_hints_reasoning_and_points(lesson: str) -> None:
    planted = Counter(task for task, *_ in mistakes(lesson))
    assert len(mistakes(lesson)) >= 25 and set(planted) == set(tasks(lesson))
    for task in tasks(lesson).values():
        assert planted[task.name] >= 2 and task.hints and task.reasoning and task.points > 0


@pytest.mark.parametrize("lesson", LESSONS)
def test_different_mistakes_of_a_task_get_different_messages(lesson: str) -> None:
    for name, task in tasks(lesson).items():
        messages = Counter(
            judge(task, lambda args, wrong=mistake: call_here(wrong, args), 13).message
            for of, mistake, _, _ in mistakes(lesson)
            if of == name
        )
        twice = [message for message, n in messages.items() if n > 1]
        assert not twice, (name, twice)


def test_every_lesson_with_an_exercise_is_known() -> None:
    assert LESSONS and all((ROOT / "lessons" / lesson / "mistakes.py").is_file() for lesson in LESSONS)
