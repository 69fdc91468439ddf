"""Running the board: a row is written as soon as it is measured, what is there is left alone, failures are told."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from course_lib.evaluation.scoreboard import Row, read_rows
from course_lib.systems.scoreboard_named import key_of
from course_lib.systems.scoreboard_systems import SYSTEMS, System, find
from course_lib.workshop import scoreboard_run
from course_lib.workshop.scoreboard_run import ScoreboardError, measured_apart, run, stale_rows

ROOT = Path(__file__).resolve().parents[2]


class Bench:
    """Stands for the measuring process: notes what it was asked, and fails at one system on demand."""

    def __init__(self, fails_at: str = "") -> None:
        self.fails_at, self.asked = fails_at, list[tuple[str, bool]]()

    def __call__(self, system: System, quick: bool) -> Row:
        self.asked.append((system.slug, quick))
        if system.slug == self.fails_at:
            raise ScoreboardError(f"{system.name} could not be measured")
        return Row(system.name, system.lesson, system.how, {}, 0.5, 3, quick=quick, key=key_of(system, quick=quick))


def go(path: Path, bench: Bench, *names: str, **options: Any) -> tuple[list[str], list[str]]:
    said: list[str] = []
    return run(names, path, root=ROOT, say=said.append, measured=bench, **options), said


def test_rows_carry_their_circumstances_and_stand_in_the_order_of_the_board(tmp_path: Path) -> None:
    path = tmp_path / "scoreboard.json"
    done, _ = go(path, Bench(), "bm25", "closed book")
    assert done == ["BM25", "closed book"]
    rows = read_rows(path)
    assert [row.name for row in rows] == ["closed book", "BM25"]
    assert {"date", "commit", "machine", "versions", "seed", "minutes", "number_format"} <= set(rows[0].measured)


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "scoreboard.json"
    with pytest.raises(ScoreboardError):
        go(path, Bench(fails_at="minilm"), "closed-book", "bm25", "minilm", "rrf")
    assert [row.name for row in read_rows(path)] == ["closed book", "BM25"]
    bench = Bench()
    done, said = go(path, bench, "closed-book", "bm25", "minilm", "rrf")
    assert [name for name, _ in bench.asked] == ["minilm", "rrf"] and done == ["MiniLM", "RRF"]
    assert any("closed book" in words and "--fresh" in words for words in said)


def test_fresh_measures_again_and_quick_is_another_row(tmp_path: Path) -> None:
    path = tmp_path / "scoreboard.json"
    go(path, Bench(), "bm25")
    for options in ({"fresh": True}, {"quick": True}):
        bench = Bench()
        assert go(path, bench, "bm25", **options)[0] == ["BM25"] and len(bench.asked) == 1
    assert read_rows(path)[0].quick


def test_a_row_of_other_data_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scoreboard.json"
    go(path, Bench(), "bm25")
    monkeypatch.setattr(scoreboard_run, "key_of", lambda system, *, quick: "other")
    assert go(path, Bench(), "bm25")[0] == ["BM25"]


def test_all_systems_without_a_name_and_an_unknown_name_stops_everything(tmp_path: Path) -> None:
    path = tmp_path / "scoreboard.json"
    assert go(path, Bench())[0] == [system.name for system in SYSTEMS if not system.slow]
    assert go(path, Bench(), "query-likelihood")[0] == ["+ query likelihood"]
    bench = Bench()
    with pytest.raises(ValueError, match="system must be one of closed-book, bm25, .* got 'magic'"):
        go(path, bench, "bm25", "magic", fresh=True)
    assert bench.asked == []


def test_a_process_of_its_own_is_asked_and_its_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def stub(status: int) -> Any:
        def call(command: list[str]) -> Any:
            commands.append(command)
            if "prepare" not in command and not status:
                scoreboard_run.main([*command[3:]])
            return SimpleNamespace(returncode=status if "prepare" not in command else 0)

        return call

    monkeypatch.setattr(scoreboard_run.subprocess, "run", stub(1))
    with pytest.raises(ScoreboardError, match="BM25 could not be measured"):
        measured_apart(find("bm25"), True)
    assert commands[0][0] == sys.executable and commands[1][2:4] == ["course_lib.workshop.scoreboard_run", "bm25"]
    assert commands[1][-1] == "quick"


def test_the_control_is_measured_for_real(tmp_path: Path) -> None:
    """It needs no model: the whole way from the command line of the process to the row."""
    out = tmp_path / "row.json"
    scoreboard_run.main(["question-repeated", str(out), "quick"])
    assert '"name": "question repeated"' in out.read_text(encoding="utf-8")


def test_rows_that_are_missing_quick_or_of_other_data_are_stale() -> None:
    rows = [Bench()(system, False) for system in SYSTEMS]
    assert stale_rows(rows) == [] == stale_rows([row for row in rows if row.name != "+ query likelihood"])
    rows[0] = replace(rows[0], key="other")
    rows[1] = replace(rows[1], quick=True)
    problems = stale_rows(rows[:-1])
    assert [words.split(":")[0] for words in problems] == [SYSTEMS[0].name, SYSTEMS[1].name, SYSTEMS[-1].name]


def test_no_row_of_the_course_is_stale() -> None:
    assert stale_rows(read_rows(ROOT / "benchmarks" / "results" / "scoreboard.json")) == []
