"""The scoreboard as text, Markdown and HTML: the same figures in each, whose row it is, and n."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from course_lib.evaluation.scoreboard import HEADLINE, LEARNER, Row
from course_lib.evaluation.scoreboard_tables import (
    Board,
    abstention,
    against,
    amount,
    as_html,
    by_kind,
    figure,
    markdown,
    price,
    summary,
    text,
)
from course_lib.evaluation.significance import Interval

SHARE = Interval(0.504, 0.251, 0.749, 215)
ONE = Row(
    "BM25",
    "04",
    "By words.",
    {"contained": {HEADLINE: SHARE, "latest": SHARE}},
    0.0123,
    20,
    0.912,
    8.7,
    663939,
    2_500_000,
)
TWO = replace(ONE, name="a <b> | c", whose=LEARNER, quick=True, seconds=None, peak_gb=None, index_bytes=None)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.0123, "0.012"), (0.5, "0.50"), (1.02, "1.0"), (12.4, "12"), (1234.0, "1,200"), (0.00004, "0.000040"),
     (9.96, "10"), (None, "unknown")],
)  # fmt: skip
def test_amounts(value: float | None, words: str) -> None:
    assert amount(value) == words


def test_a_figure_has_its_interval_and_n() -> None:
    assert figure(SHARE) == "0.50 [0.25, 0.75]"
    assert figure(SHARE, n=True) == "0.50 [0.25, 0.75] n=215"
    assert figure(None) == "-"


def test_n_stands_in_the_head_where_all_agree_and_in_the_cells_where_not() -> None:
    assert summary([ONE, ONE])[2] == ("right answers (n=215)", ["0.50 [0.25, 0.75]"] * 2)
    few = replace(ONE, quality={"contained": {HEADLINE: replace(SHARE, n=20)}})
    head, cells = summary([ONE, few])[2]
    assert head == "right answers" and cells == ["0.50 [0.25, 0.75] n=215", "0.50 [0.25, 0.75] n=20"]


def test_the_learners_rows_are_marked() -> None:
    assert summary([ONE, TWO])[0][1] == ["BM25", "a <b> | c (yours, quick)"]


def test_markdown_has_a_cell_for_every_column() -> None:
    lines = markdown(summary([ONE, TWO])).splitlines()
    assert len(lines) == 4 and {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {9}
    assert "| 0.50 [0.25, 0.75] |" in lines[2] and "663,939" in lines[2] and "0.91" in lines[2]
    assert "a <b> \\| c" in lines[3] and "unknown" in lines[3]


def test_text_is_aligned() -> None:
    lines = text(summary([ONE, TWO])).splitlines()
    assert len(lines) == 3 and lines[0].index("lesson") + len("lesson") == lines[1].index("04") + 2


def test_html_escapes_and_names_its_headers() -> None:
    page = as_html(summary([TWO]), "A & B")
    assert "a &lt;b&gt; | c (yours, quick)</th>" in page and "<caption" in page and "A &amp; B" in page
    assert page.count('scope="col"') == 8 and page.count('scope="row"') == 1


def test_a_notebook_gets_html_and_words() -> None:
    bundle = Board((ONE, TWO))._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    for shown in bundle.values():
        assert "0.50 [0.25, 0.75]" in shown and "2 systems" in shown
    board = Board((ONE, replace(TWO, control=True)))
    assert "a <b>" not in str(board) and len(board.rows) == 2 and len(board.shown) == 1
    assert str(Board(())) == "The scoreboard is empty." and "empty" in Board(())._repr_mimebundle_()["text/html"]


def test_kinds_prices_and_abstentions() -> None:
    heads = [title for title, _ in by_kind([ONE], "contained", totals=[(HEADLINE, "all but")])]
    assert heads == [
        "system",
        "exact term",
        "paraphrase",
        "number or date",
        "latest (n=215)",
        "comparison",
        "all but (n=215)",
    ]
    assert [cells for _, cells in price([ONE])] == [["BM25"], ["0.012"], ["0.91"], ["2.5"], ["8.7"], ["663,939"]]
    assert [cells for _, cells in price([TWO])][1:4] == [["unknown"], ["unknown"], ["unknown"]]
    assert [cells for _, cells in abstention([ONE])][1:] == [["-"], ["-"], ["-"]]


def test_a_difference_says_whether_it_is_clear_of_zero() -> None:
    base = replace(ONE, marks="0" * 40)
    rows = [
        replace(ONE, name="better", marks="1" * 20 + "0" * 20),
        replace(ONE, name="alike", marks="1" + "0" * 39),
        TWO,
    ]
    columns = against(rows, base)
    assert columns[1] == ("minus BM25", ["+0.50 [+0.35, +0.65]", "+0.03 [+0.00, +0.07]", "-"])
    assert columns[2][1] == ["yes", "no", "-"]
