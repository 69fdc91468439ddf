"""Where a gold span stands: hand-worked stretches, a budget of words, and the properties of a share."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk
from course_lib.evaluation.spans import coverage, fate, spans_found, within_budget

TEXT = "one two three four five six"  # one 0-3, two 4-7, three 8-13, four 14-18, five 19-23, six 24-27
DAY = datetime.date(2024, 3, 1)
stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda pair: (pair[0], sum(pair))), max_size=6
)
spans = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda pair: (pair[0], sum(pair)))


def chunk(start: int, end: int, doc_id: str = "s/a") -> Chunk:
    return Chunk(f"{doc_id}#{start:02d}", doc_id, "T", DAY, TEXT[start:end], start, end)


# ---------------------------------------------------------------- coverage


@pytest.mark.parametrize(
    ("held", "share"),
    [
        ([(0, 30)], 1.0),
        ([(10, 20)], 1.0),
        ([(10, 15)], 0.5),
        ([(0, 12), (18, 30)], 0.4),  # 10-12 and 18-20 of 10-20
        ([(10, 14), (12, 16)], 0.6),  # what both hold counts once
        ([(10, 14), (15, 20)], 1.0),  # a gap of one character: white space between neighbours
        ([(10, 14), (16, 20)], 1.0),  # of two: an empty line
        ([(10, 14), (17, 20)], 0.7),  # of three: something is missing
        ([(15, 20), (10, 14)], 1.0),  # in any order
        ([(0, 10), (20, 30)], 0.0),
        ([], 0.0),
        ([(5, 5)], 0.0),
    ],
)
def test_coverage_by_hand(held: list[tuple[int, int]], share: float) -> None:
    assert coverage((10, 20), held) == pytest.approx(share)


@given(spans, stretches)
def test_coverage_counts_characters(span: tuple[int, int], held: list[tuple[int, int]]) -> None:
    """The slow way: character by character, gaps of one or two characters filled."""
    ordered = sorted(held)
    characters = {i for start, end in ordered for i in range(start, end)}
    reached = None
    for start, end in ordered:
        if reached is not None and 0 < start - reached <= 2:
            characters |= set(range(reached, start))
        reached = end if reached is None else max(reached, end)
    expected = len(characters & set(range(*span))) / (span[1] - span[0])
    assert coverage(span, held) == pytest.approx(expected)


@pytest.mark.parametrize("span", [(5, 5), (6, 5)])
def test_an_empty_span_has_no_coverage(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="span must end after it starts"):
        coverage(span, [(0, 9)])


# ---------------------------------------------------------------- a budget of words


def test_the_budget_cuts_the_last_chunk() -> None:
    """Four words: three of the first chunk, then one of the two in the second, "four" at 14 to 18."""
    assert within_budget([chunk(0, 13), chunk(14, 23)], 4) == [("s/a", 0, 13), ("s/a", 14, 18)]
    assert within_budget([chunk(0, 13), chunk(14, 23)], 3) == [("s/a", 0, 13)]
    assert within_budget([chunk(0, 13)], 99) == [("s/a", 0, 13)]
    assert within_budget([], 5) == []


def test_shared_words_are_paid_for_twice() -> None:
    assert within_budget([chunk(0, 13), chunk(4, 18)], 4) == [("s/a", 0, 13), ("s/a", 4, 7)]


def test_a_budget_holds_a_word() -> None:
    with pytest.raises(ValueError, match="max_words must be at least 1, got 0"):
        within_budget([chunk(0, 3)], 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=5), st.integers(1, 20))
def test_the_budget_is_kept_to_the_word(picks: list[tuple[int, int]], budget: int) -> None:
    starts, ends = (0, 4, 8, 14, 19, 24), (3, 7, 13, 18, 23, 27)
    ranking = [chunk(starts[first], ends[min(first + n, 6) - 1]) for first, n in picks]
    kept = sum(len(TEXT[start:end].split()) for _, start, end in within_budget(ranking, budget))
    assert kept == min(budget, sum(len(one.text.split()) for one in ranking))


# ---------------------------------------------------------------- is the question answered by the context?


def test_all_spans_are_needed_unless_one_will_do() -> None:
    gold = [("s/a", 0, 7), ("s/b", 0, 3)]
    ranking = [chunk(0, 13), chunk(0, 3, "s/b")]
    assert spans_found(ranking, gold, max_words=4) == 1
    assert spans_found(ranking, gold, max_words=3) == 0  # the second passage no longer fits
    assert spans_found(ranking, gold, max_words=3, any_gold=True) == 1
    assert spans_found(ranking[1:], gold, max_words=9, any_gold=True) == 1
    assert spans_found([chunk(0, 27, "s/c")], gold, max_words=9) == 0  # the same offsets in another document


def test_a_span_may_stand_in_two_neighbours() -> None:
    gold = [("s/a", 4, 18)]
    assert spans_found([chunk(14, 27), chunk(0, 13)], gold, max_words=6) == 1
    assert spans_found([chunk(14, 27), chunk(0, 7)], gold, max_words=6) == 0


def test_a_question_without_gold_has_no_recall() -> None:
    with pytest.raises(ValueError, match="gold must hold at least one span"):
        spans_found([chunk(0, 3)], [], max_words=5)


# ---------------------------------------------------------------- the fate of a span


def test_fates_by_hand() -> None:
    parts = [chunk(0, 7), chunk(8, 18), chunk(14, 27)]
    expected = {(0, 7): "whole", (8, 18): "whole", (14, 23): "whole", (4, 13): "cut", (19, 27): "whole"}
    assert {span: fate(span, parts) for span in expected} == expected
    assert fate((0, 3), parts[1:]) == "missing"
    assert fate((0, 3), []) == "missing"
