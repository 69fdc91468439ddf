"""`course scoreboard`: what goes to the learner's file and what to the course's, and what is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from course_lib import cli
from course_lib.evaluation.scoreboard import HEADLINE, Row, put_row
from course_lib.evaluation.significance import Interval
from course_lib.systems import scoreboard
from course_lib.workshop import scoreboard_pages, scoreboard_run

ROW = Row("BM25", "04", "By words.", {"contained": {HEADLINE: Interval(0.31, 0.25, 0.37, 215)}}, 0.7, 20, 0.75)


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "course" / "scoreboard.json"
    put_row(path, ROW)
    monkeypatch.setattr(scoreboard, "SHIPPED", path)
    return path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Path, dict[str, Any]]]:
    found: list[tuple[list[str], Path, dict[str, Any]]] = []

    def note(names: list[str], path: Path, *, root: Path, say: Any, **options: Any) -> list[str]:
        found.append((names, path, options))
        return names

    monkeypatch.setattr(scoreboard_run, "run", note)
    return found


def course(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["scoreboard", *arguments])


def test_a_learners_run_goes_to_the_learners_file(shipped: Path, progress_path: Path, runs: list[Any]) -> None:
    before = shipped.read_bytes()
    assert course("run", "bm25", "--quick").exit_code == 0
    assert runs == [(["bm25"], progress_path.with_name("scoreboard.json"), {"quick": True, "fresh": False})]
    assert shipped.read_bytes() == before


def test_a_maintainers_run_goes_to_the_course_and_makes_the_pages(
    shipped: Path, runs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(scoreboard_pages, "write_pages", written.append)
    assert course("run", "--ship", "--fresh").exit_code == 0
    assert runs == [([], shipped, {"quick": False, "fresh": True})] and written == [cli.ROOT]


def test_quick_figures_are_never_shipped(shipped: Path, runs: list[Any]) -> None:
    result = course("run", "--ship", "--quick")
    assert result.exit_code != 0 and "without --quick" in str(result.exception) and runs == []


def test_a_failed_measurement_is_told_without_a_traceback(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> list[str]:
        raise scoreboard_run.ScoreboardError("MiniLM could not be measured")

    monkeypatch.setattr(scoreboard_run, "run", fail)
    result = course("run", "minilm")
    assert (
        result.exit_code == 1
        and "MiniLM could not be measured" in result.output
        and isinstance(result.exception, SystemExit)
    )


def test_show_merges_and_marks(shipped: Path, progress_path: Path) -> None:
    put_row(scoreboard.learner_file(), ROW)
    shown = course("show").output
    assert "\nBM25 " in shown and "\nBM25 (yours) " in shown and "0.31 [0.25, 0.37]" in shown and "n=215" in shown
    rows = json.loads(course("show", "--json").stdout)
    assert [(row["name"], row["whose"]) for row in rows] == [("BM25", "course"), ("BM25", "you")]


def test_the_check_fails_when_something_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoreboard_pages, "stale_pages", lambda root: ["README.md: stale"])
    monkeypatch.setattr(scoreboard_run, "stale_rows", lambda rows: ["BM25: other data"])
    result = course("pages", "--check")
    assert result.exit_code == 1 and result.stdout == "README.md: stale\nBM25: other data\n"
    monkeypatch.setattr(scoreboard_pages, "stale_pages", lambda root: [])
    monkeypatch.setattr(scoreboard_run, "stale_rows", lambda rows: [])
    assert course("pages", "--check").exit_code == 0
