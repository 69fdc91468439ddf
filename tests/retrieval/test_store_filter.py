"""Filters as SQL: dates, versions, shelves, and text that tries to be SQL."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.retrieval.store_filter import EVERYTHING, Where, quoted


def test_conditions_by_hand() -> None:
    assert EVERYTHING.sql() == ""
    assert Where(shelves=("energy", "help_desk")).sql() == "shelf IN ('energy', 'help_desk')"
    assert Where(since=date(2020, 1, 2), until=date(2021, 3, 4)).sql() == (
        "date >= DATE '2020-01-02' AND date <= DATE '2021-03-04'"
    )
    assert Where(shelves=("energy",), in_force=True).sql() == "shelf IN ('energy') AND replaced_on IS NULL"
    assert Where(on=date(2023, 5, 6)).sql() == (
        "date <= DATE '2023-05-06' AND (replaced_on IS NULL OR replaced_on > DATE '2023-05-06')"
    )


def test_a_quote_is_doubled() -> None:
    assert quoted(["it's", "''", "plain", ""]) == "'it''s', '''''', 'plain', ''"
    assert quoted([]) == ""


@given(st.lists(st.text(), max_size=4))
def test_no_text_gets_out_of_its_quotes(texts: list[str]) -> None:
    """Read as SQL reads: a quote opens, two quotes are one, a single one closes. What comes out is what went in."""
    sql, position, read = quoted(texts), 0, []
    while position < len(sql):
        assert sql[position] == "'"
        position, word = position + 1, ""
        while True:
            if sql[position] != "'":
                word, position = word + sql[position], position + 1
            elif sql[position + 1 : position + 2] == "'":
                word, position = word + "'", position + 2
            else:
                position += 1
                break
        read.append(word)
        if position < len(sql):
            assert sql[position : position + 2] == ", "
            position += 2
    assert read == texts


@pytest.mark.parametrize("bad", [1, None, b"energy", ["energy"]])
def test_only_text_is_quoted(bad: Any) -> None:
    with pytest.raises(TypeError, match="a filter compares with text, got"):
        Where(shelves=(bad,))


def test_one_string_is_not_a_tuple_of_letters() -> None:
    with pytest.raises(TypeError, match=r"shelves must be a tuple of str, got one str; write \('energy',\)"):
        Where(shelves="energy")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["since", "until", "on"])
@pytest.mark.parametrize("bad", ["2020-01-01", 2020, datetime(2020, 1, 1), "2020' OR '1'='1"])
def test_a_day_that_is_no_date(name: str, bad: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a datetime.date such as"):
        Where(**{name: bad})


def test_a_range_that_is_upside_down() -> None:
    with pytest.raises(ValueError, match="since must not come after until, got 2021-01-01 and 2020-01-01"):
        Where(since=date(2021, 1, 1), until=date(2020, 1, 1))
    Where(since=date(2021, 1, 1), until=date(2021, 1, 1))
