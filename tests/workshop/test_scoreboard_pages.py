"""The scoreboard's pages: made from the rows alone, and noticed when they differ from them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from course_lib.evaluation.scoreboard import COMPARISON, HEADLINE, Row, put_row, read_rows
from course_lib.evaluation.significance import Interval
from course_lib.workshop.scoreboard_pages import (
    BEGIN,
    END,
    HASH,
    PAGE,
    PICTURE,
    ROWS,
    comparisons_inflated,
    page,
    picture_hash,
    reading_bound,
    readme_block,
    stale_pages,
    where_measured,
    with_block,
    write_pages,
)

ROOT = Path(__file__).resolve().parents[2]
RECORD = {
    "date": "2026-11-23", "commit": "abc+", "python": "3.11.7", "versions": {"torch": "2.13.0"}, "number_format": "bfloat16",
    "machine": {"processor": "A", "cores": 2, "memory_gb": 25, "system": "Linux x86_64"}, "threads": 2, "seed": 13, "minutes": 1.5,
}  # fmt: skip


def row(name: str, mean: float, seconds: float | None = 1.0, **facts: object) -> Row:
    figures = {
        "contained": {
            HEADLINE: Interval(mean, mean / 2, (1 + mean) / 2, 215),
            COMPARISON: Interval(0.55, 0.4, 0.7, 44),
        },
        "recall@5": {"answerable": Interval(0.7, 0.6, 0.8, 259)},
    }
    how = f"Made of {name}."
    return Row(name, "04", how, figures, seconds, 20, 0.9, measured=RECORD, **facts)  # type: ignore[arg-type]


BOARD = [row("closed book", 0.02, 0.4), row("BM25", 0.31, 0.7), row("question repeated", 0.0, 0.0, control=True)]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for each in BOARD:
        put_row(tmp_path / ROWS, each)
    (tmp_path / "README.md").write_text(f"# A\n\n{BEGIN}\nbefore 99\n{END}\n\nThe rest.\n", encoding="utf-8")
    assert write_pages(tmp_path) == ["README.md", PAGE.as_posix(), PICTURE.as_posix(), HASH.as_posix()]
    return tmp_path


def test_pages_fresh_from_the_rows_are_not_stale(house: Path) -> None:
    assert stale_pages(house) == []
    readme = (house / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# A\n\n<!-- scoreboard -->\n") and readme.endswith("<!-- /scoreboard -->\n\nThe rest.\n")
    assert "| BM25 | 04 | 0.31 [0.15, 0.66] |" in readme and "before 99" not in readme
    assert (house / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_another_figure_makes_all_three_stale(house: Path) -> None:
    put_row(house / ROWS, row("BM25", 0.32, 0.7))
    assert [words.split(":")[0].split(" ")[0] for words in stale_pages(house)] == [
        "README.md",
        PAGE.as_posix(),
        PICTURE.as_posix(),
    ]
    write_pages(house)
    assert stale_pages(house) == []


def test_a_figure_typed_by_hand_is_noticed(house: Path) -> None:
    for name in ("README.md", PAGE.as_posix()):
        path = house / name
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("0.31", "0.41"), encoding="utf-8")
        (problem,) = stale_pages(house)
        assert problem.startswith(name) and "course.py scoreboard pages" in problem
        path.write_text(text, encoding="utf-8")


def test_a_picture_that_is_lost_or_of_other_rows_is_noticed(house: Path) -> None:
    (house / PICTURE).unlink()
    assert stale_pages(house) == [f"{PICTURE.as_posix()} is stale; run: python course.py scoreboard pages"]
    write_pages(house)
    (house / HASH).write_text("other\n", encoding="utf-8")
    assert len(stale_pages(house)) == 1


def test_the_picture_depends_on_what_it_shows_and_on_nothing_else() -> None:
    same = [replace(each, training_minutes=3.0, measured={}) for each in BOARD]
    assert picture_hash(same) == picture_hash(BOARD)
    assert picture_hash([BOARD[0], row("BM25", 0.31, 0.8)]) != picture_hash(BOARD)


@pytest.mark.parametrize("text", ["none", f"{BEGIN} only", f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_readme_without_its_markers_is_told(house: Path, text: str) -> None:
    with pytest.raises(ValueError, match="README.md must hold <!-- scoreboard -->"):
        with_block(text, BOARD)
    (house / "README.md").write_text(text, encoding="utf-8")
    assert "README.md must hold" in stale_pages(house)[0]


def test_controls_stand_on_the_page_only() -> None:
    assert "question repeated" not in readme_block(BOARD) and "| question repeated |" in page(BOARD)
    assert "would be marked right for 0.55 of the 44 comparisons" in comparisons_inflated(BOARD)
    assert "would be marked" not in comparisons_inflated(BOARD[:2])


def test_what_the_oracle_tells_is_said_only_where_it_is_so() -> None:
    """Best search 0.31. An oracle of 0.40 loses 0.60 by reading, and search 0.09; one of 0.90 loses 0.10 by reading."""
    weak, strong = row("oracle passage", 0.4), row("oracle passage", 0.9)
    assert "answers 0.40 [0.20, 0.70] of the questions" in reading_bound([*BOARD, weak])
    assert reading_bound([*BOARD, weak]) in readme_block([*BOARD, weak]) and "0.40 [0.20" in page([*BOARD, weak])
    assert reading_bound([*BOARD, strong]) == reading_bound(BOARD) == ""


def test_the_page_holds_every_figure() -> None:
    words = page(BOARD)
    for each in BOARD:
        assert f"- **{each.name}** (lesson 04): {each.how}" in words
    assert "0.70 [0.60, 0.80]" in words and "comparison (n=44)" in words and "at commit abc+" in words
    assert re.search(r"!\[Share of right answers.*BM25 0\.31 \[0\.15, 0\.66\] in 0\.70 s", words)
    assert words.count("Measured 2026-11-23") == 1


def test_systems_are_compared_with_bm25_in_pairs() -> None:
    marked = [replace(BOARD[0], marks="0" * 20), replace(BOARD[1], marks="1" * 10 + "0" * 10), BOARD[2]]
    words = page(marked)
    assert "| closed book | -0.50 [-0.70, -0.30] | yes |" in words and "| BM25 | +" not in words
    assert "## Against BM25" not in page([BOARD[0]])


def test_rows_measured_at_other_times_are_told_apart() -> None:
    other = replace(BOARD[1], measured={**RECORD, "commit": "def"})
    words = where_measured([BOARD[0], other, BOARD[2]])
    assert "closed book, question repeated: Measured 2026-11-23 at commit abc+" in words
    assert "BM25: Measured 2026-11-23 at commit def" in words and "In all 4 minutes" in words


def test_without_rows_the_pages_say_so() -> None:
    assert "No system has been measured yet" in page([]) and "No system" in readme_block([])


# ---------------------------------------------------------------- the project's own


def test_no_page_of_the_project_is_stale() -> None:
    assert stale_pages(ROOT) == []


def test_the_rows_of_the_project_are_whole() -> None:
    rows = read_rows(ROOT / ROWS)
    assert {"closed book", "BM25", "MiniLM", "RRF", "z-score fusion", "oracle passage"} <= {each.name for each in rows}
    for each in rows:
        assert not each.quick and each.measured["seed"] == 13 and each.measured["commit"]
        assert each.control or (each.peak_gb and each.peak_gb < 2 and each.n_timed == 20)
    assert json.loads((ROOT / ROWS).read_text(encoding="utf-8"))["format"] == 1
