"""Benchmarks: results carry their circumstances, pages are made from them, a stale page is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from course_lib.workshop import bench

ROOT = Path(__file__).resolve().parents[2]

TOY = '''
"""A toy."""
def run(say):
    say("running")
    return {"answer": 42}
def page(result):
    return f"# Toy\\n\\nThe answer is {result['figures']['answer']}."
'''


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "toy.py").write_text(TOY, encoding="utf-8")
    (tmp_path / "benchmarks" / "helper.py").write_text('"""No benchmark."""\n', encoding="utf-8")
    return tmp_path


def test_a_run_leaves_result_and_page(workshop: Path) -> None:
    said: list[str] = []
    path = bench.run(workshop, "toy", say=said.append)
    result = json.loads(path.read_text(encoding="utf-8"))
    assert said == ["running"] and result["figures"] == {"answer": 42}
    assert {"date", "commit", "versions", "machine", "threads", "seed", "number_format", "models"} <= set(result)
    assert result["versions"]["torch"].startswith("2.")
    page = (workshop / "docs" / "benchmarks" / "toy.md").read_text(encoding="utf-8")
    assert "The answer is 42." in page and result["date"] in page and "course.py bench toy" in page
    assert bench.stale_pages(workshop) == []


def test_a_page_that_was_edited_by_hand_is_stale(workshop: Path) -> None:
    bench.run(workshop, "toy", say=lambda words: None)
    page = workshop / "docs" / "benchmarks" / "toy.md"
    page.write_text(page.read_text(encoding="utf-8").replace("42", "43"), encoding="utf-8")
    assert bench.stale_pages(workshop) == ["docs/benchmarks/toy.md is stale; run: python course.py bench --pages"]
    assert bench.write_pages(workshop) == ["toy"]
    assert bench.stale_pages(workshop) == []


def test_names_and_unknown_ones(workshop: Path) -> None:
    assert bench.names(workshop) == ["toy"]
    with pytest.raises(ValueError, match="benchmark must be one of toy, got 'x'"):
        bench.load(workshop, "x")


def test_no_page_of_the_project_is_stale() -> None:
    assert bench.stale_pages(ROOT) == []


def test_every_result_says_where_it_was_measured() -> None:
    results = [
        path for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")) if path.stem not in bench.OTHERS
    ]
    assert {path.stem for path in results} <= set(bench.names(ROOT))
    for path in results:
        result = json.loads(path.read_text(encoding="utf-8"))
        assert result["machine"]["cores"] >= 1 and result["commit"] and result["figures"], path.name
