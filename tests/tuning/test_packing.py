"""Wasted places: padded, bucketed, packed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.tuning.packing import bucketed_places, packed_rows, padded_places, wasted_tokens

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def test_by_hand() -> None:
    lengths = [2, 9, 3, 8, 7]
    # (2, 9), (3, 8), (7): 18 + 16 + 7; sorted (2, 3), (7, 8), (9): 6 + 16 + 9
    assert padded_places(lengths, 2) == 41 and bucketed_places(lengths, 2) == 31
    # rows of 11: 9 and 2, 8 and 3, 7
    assert packed_rows(lengths, 11) == [[1, 0], [3, 2], [4]]
    assert wasted_tokens(lengths, batch_size=2, row_tokens=11) == {"padded": 12, "bucketed": 2, "packed": 4}


def test_each_text_alone_wastes_nothing() -> None:
    assert padded_places([5, 1, 9], 1) == 15
    assert wasted_tokens([4, 4, 4, 4], batch_size=2, row_tokens=8) == {"padded": 0, "bucketed": 0, "packed": 0}


@given(lengths=LENGTHS, batch_size=st.integers(1, 9), room=st.integers(0, 20))
def test_bounds(lengths: list[int], batch_size: int, room: int) -> None:
    row = max(lengths) + room
    waste = wasted_tokens(lengths, batch_size=batch_size, row_tokens=row)
    assert min(waste.values()) >= 0
    if len(lengths) % batch_size == 0:  # a smaller last batch can upset it
        assert waste["bucketed"] <= waste["padded"]
    rows = packed_rows(lengths, row)
    assert sorted(i for each in rows for i in each) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in each) <= row for each in rows)
    # any two rows together overfill one, or first fit would have put the later text into the earlier row
    sums = [sum(lengths[i] for i in each) for each in rows]
    assert all(one + other > row for i, one in enumerate(sums) for other in sums[i + 1 :])


@pytest.mark.parametrize(
    ("lengths", "batch_size", "row_tokens", "words"),
    [
        ([], 2, 9, "lengths must hold at least one text"),
        ([3, 0], 2, 9, "every text must have at least 1 token, got 0"),
        ([3], 0, 9, "batch_size must be at least 1, got 0"),
        ([3], 2, 0, "row_tokens must be at least 1, got 0"),
        ([3, 10], 2, 9, "row_tokens must hold the longest text \\(10 tokens\\), got 9"),
    ],
)
def test_errors(lengths: list[int], batch_size: int, row_tokens: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wasted_tokens(lengths, batch_size=batch_size, row_tokens=row_tokens)
