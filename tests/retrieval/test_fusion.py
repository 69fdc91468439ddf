"""Reciprocal rank fusion: by hand, and what it must not depend on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Hit
from course_lib.retrieval.fusion import reciprocal_rank_fusion


def ranking(*ids: str) -> list[Hit]:
    return [Hit(chunk_id, float(len(ids) - i)) for i, chunk_id in enumerate(ids)]


def test_hand_worked_number() -> None:
    # "a" is 1st and 2nd: 1/61 + 1/62 = 0.0325225; "b" is 2nd and 1st: the same; "c" is 3rd once: 1/63 = 0.0158730
    fused = reciprocal_rank_fusion([ranking("a", "b", "c"), ranking("b", "a")])
    assert [(hit.chunk_id, round(hit.score, 6)) for hit in fused] == [("a", 0.032522), ("b", 0.032522), ("c", 0.015873)]


@given(st.permutations(list("abcdef")), st.permutations(list("abcdef")), st.floats(0.1, 100))
def test_only_ranks_count(first: list[str], second: list[str], scale: float) -> None:
    scaled = [Hit(hit.chunk_id, hit.score * scale) for hit in ranking(*first)]
    plain = reciprocal_rank_fusion([ranking(*first), ranking(*second)])
    assert plain == reciprocal_rank_fusion([scaled, ranking(*second)])
    assert plain == reciprocal_rank_fusion([ranking(*second), ranking(*first)])


def test_one_ranking_keeps_its_order_and_none_gives_none() -> None:
    assert [hit.chunk_id for hit in reciprocal_rank_fusion([ranking("z", "a", "m")])] == ["z", "a", "m"]
    assert reciprocal_rank_fusion([]) == []
    with pytest.raises(ValueError, match="rank_constant must be at least 0, got -1"):
        reciprocal_rank_fusion([ranking("a")], rank_constant=-1)
