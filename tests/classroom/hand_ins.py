"""Builds hand-ins for the tests of grading: the released exercise of lesson 01 with other sources in its cells."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat

from course_lib.checks.vectorisation import TASKS
from course_lib.classroom.grading.grade import GradedSubmission
from course_lib.workshop.build import learners_version, lessons, solution

ROOT = Path(__file__).resolve().parents[2]
LESSON = "01_vectorisation"
FUNCTIONS = {task.name: task.function for task in TASKS}
POINTS = {task.name: task.points for task in TASKS}
SEED = 2_024  # of the graded numbers; practice has 13


def full_notebook() -> dict[str, Any]:
    """Return the solution of exercise 01 as JSON."""
    return _as_json(solution(lessons(ROOT, ["01"])[0]))


def released_notebook() -> dict[str, Any]:
    """Return the learner's version of exercise 01 as JSON."""
    full = solution(lessons(ROOT, ["01"])[0])
    assert full is not None
    return _as_json(learners_version(full, LESSON))


def _as_json(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(nbformat.writes(notebook))
    for cell in parsed["cells"]:
        cell["source"] = "".join(cell["source"])
    return parsed


def with_sources(notebook: Mapping[str, Any], sources: Mapping[str, str], *, first: str = "") -> dict[str, Any]:
    """Return a notebook in which the cells with these grade_ids have these sources; first: a new cell at the top."""
    changed = copy.deepcopy(dict(notebook))
    left = dict(sources)
    for cell in changed["cells"]:
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if grade_id in left:
            cell["source"] = left.pop(grade_id)
    assert not left, f"no such cells: {list(left)}"
    if first:
        cell = {
            "cell_type": "code",
            "id": "mine",
            "metadata": {},
            "source": first,
            "outputs": [],
            "execution_count": None,
        }
        changed["cells"].insert(0, cell)
    return changed


def save(path: Path, notebook: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def planted_mistakes() -> list[tuple[str, Callable[..., Any], str, str]]:
    """Return MISTAKES of lessons/01_vectorisation/mistakes.py: task, function, status, words of the message."""
    path = ROOT / "lessons" / LESSON / "mistakes.py"
    spec = importlib.util.spec_from_file_location("mistakes_of_lesson_01", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.MISTAKES)


def as_answer(task: str, function: Callable[..., Any]) -> str:
    """Return the source of a function under the name that the task asks for."""
    return re.sub(r"^def \w+", f"def {FUNCTIONS[task]}", inspect.getsource(function))


def points(graded: GradedSubmission) -> dict[str, float]:
    return {verdict.task: verdict.points for verdict in graded.verdicts}
