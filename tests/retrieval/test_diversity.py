"""MMR: by hand, equal to its definition, and what the weight does at both ends."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.core.validate import FloatArray
from course_lib.retrieval.diversity import MMRReranker, crowding, maximal_marginal_relevance

# "a" and "copy" say the same; "b" is at a right angle to both
VECTORS = {
    "a": np.array([1.0, 0.0], np.float32),
    "copy": np.array([1.0, 0.0], np.float32),
    "b": np.array([0.0, 1.0], np.float32),
    "c": np.array([0.6, 0.8], np.float32),
}
HITS = [Hit("a", 0.9), Hit("copy", 0.8), Hit("b", 0.5), Hit("c", 0.4)]


class Fixed:
    def search(self, query: str, k: int) -> Ranking:
        return HITS[:k]

    def chunk(self, chunk_id: str) -> Chunk:
        return Chunk(chunk_id, chunk_id, chunk_id, datetime.date(2024, 1, 1), chunk_id, 0, 1)


def from_the_definition(relevance: FloatArray, similarities: FloatArray, k: int, weight: float) -> list[int]:
    """Carbonell & Goldstein (1998), line by line."""
    picked: list[int] = []
    while len(picked) < k:
        best, best_value = -1, -np.inf
        for i in range(len(relevance)):
            if i in picked:
                continue
            redundancy = max((float(similarities[i][j]) for j in picked), default=0.0)
            value = weight * float(relevance[i]) - (1 - weight) * redundancy
            if value > best_value:
                best, best_value = i, value
        picked.append(best)
    return picked


def test_hand_worked_order() -> None:
    """Weight 0.5. First a: 0.45. Then copy: 0.4 - 0.5 * 1 = -0.1; b: 0.25 - 0 = 0.25; c: 0.2 - 0.5 * 0.6 = -0.1: b.
    Then copy: 0.4 - 0.5 * max(1, 0) = -0.1; c: 0.2 - 0.5 * max(0.6, 0.8) = -0.2: copy. Then c."""
    vectors = np.stack(list(VECTORS.values()))
    relevance = np.array([0.9, 0.8, 0.5, 0.4])
    order = maximal_marginal_relevance(relevance, vectors @ vectors.T, k=4, relevance_weight=0.5)
    assert order == [0, 2, 1, 3]


@given(st.integers(1, 9), st.integers(2, 6), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 10_000))
def test_it_equals_its_definition(n: int, dim: int, weight: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, dim)).astype(np.float32)
    similarities = vectors @ vectors.T
    relevance = rng.normal(size=n)
    for k in (1, n):
        mine = maximal_marginal_relevance(relevance, similarities, k=k, relevance_weight=weight)
        assert mine == from_the_definition(relevance, similarities, k, weight)
    assert sorted(mine) == list(range(n))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8), st.integers(0, 1000))
def test_weight_one_is_the_order_of_relevance(relevance: list[float], seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(len(relevance), 3)).astype(np.float32)
    order = maximal_marginal_relevance(
        np.array(relevance, np.float32), vectors @ vectors.T, k=len(relevance), relevance_weight=1.0
    )
    assert order == np.argsort(-np.array(relevance, np.float32), kind="stable").tolist()


def test_weight_zero_takes_the_first_position_then_the_least_like() -> None:
    similarities = np.array([[1, 0.9, -0.5], [0.9, 1, 0.2], [-0.5, 0.2, 1]], np.float32)
    assert maximal_marginal_relevance(np.array([0.1, 0.9, 0.5]), similarities, k=3, relevance_weight=0) == [0, 2, 1]


def test_crowding_by_hand() -> None:
    """Below the first: copy repeats a (1.0), b repeats nothing (0.0), c is like b (0.8): 2 of 3 at 0.8, 1 of 3 at 0.9."""
    vectors = np.stack(list(VECTORS.values()))
    assert crowding(vectors @ vectors.T, threshold=0.8) == pytest.approx(2 / 3)
    assert crowding(vectors @ vectors.T, threshold=0.9) == pytest.approx(1 / 3)
    assert crowding(np.eye(4, dtype=np.float32)) == 0
    assert crowding(np.ones((3, 3), np.float32)) == 1
    for wrong in (np.ones((1, 1)), np.ones((2, 3)), np.ones((0, 0))):
        with pytest.raises(ValueError, match="at least two hits"):
            crowding(wrong.astype(np.float32))


def test_bad_numbers() -> None:
    eye = np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match="relevance_weight must lie between 0 and 1, got 1.2"):
        maximal_marginal_relevance(np.ones(3), eye, k=1, relevance_weight=1.2)
    with pytest.raises(ValueError, match="k must be between 1 and the 3 hits to choose from, got 4"):
        maximal_marginal_relevance(np.ones(3), eye, k=4)
    with pytest.raises(
        ValueError, match=r"relevance must be \(n,\) and similarities \(n, n\), got \(2,\) and \(3, 3\)"
    ):
        maximal_marginal_relevance(np.ones(2), eye, k=1)
    with pytest.raises(ValueError, match="relevance must be finite, but position 1 is not"):
        maximal_marginal_relevance(np.array([1, np.nan, 1]), eye, k=1)
    with pytest.raises(ValueError, match="similarities must be finite"):
        maximal_marginal_relevance(np.ones(3), eye * np.nan, k=1)
    with pytest.raises(ValueError, match="there are no hits to choose from"):
        maximal_marginal_relevance(np.ones(0), np.ones((0, 0)), k=1)


# ---------------------------------------------------------------- around a retriever


def names(ranking: Ranking) -> list[str]:
    return [hit.chunk_id for hit in ranking]


def test_the_copy_falls_and_the_scores_stay_in_their_places() -> None:
    """Relevance is scaled to 1, 0.8, 0.2 and 0. Weight 0.5, after a: copy 0.4 - 0.5 = -0.1, b 0.1, c 0 - 0.3: b is next."""
    mmr = MMRReranker(Fixed(), VECTORS, relevance_weight=0.5, depth=4)
    assert names(mmr.search("q", 4)) == ["a", "b", "copy", "c"]
    assert [hit.score for hit in mmr.search("q", 4)] == [0.9, 0.8, 0.5, 0.4]
    assert names(MMRReranker(Fixed(), VECTORS, relevance_weight=1.0, depth=4).search("q", 4)) == names(HITS)


def test_hits_below_depth_keep_their_order() -> None:
    assert names(MMRReranker(Fixed(), VECTORS, relevance_weight=0.1, depth=3).rerank("q", HITS)) == [
        "a",
        "b",
        "copy",
        "c",
    ]
    assert MMRReranker(Fixed(), VECTORS).rerank("q", []) == []
    assert names(MMRReranker(Fixed(), VECTORS, depth=1).rerank("q", HITS)) == names(HITS)


def test_scores_of_any_scale_do() -> None:
    orders = []
    for scale, shift in ((1, 0), (50, 0), (0.01, 3)):
        hits = [Hit(hit.chunk_id, hit.score * scale + shift) for hit in HITS]
        orders.append(names(MMRReranker(Fixed(), VECTORS, relevance_weight=0.5).rerank("q", hits)))
    assert orders[0] == orders[1] == orders[2]
    alike = MMRReranker(Fixed(), VECTORS, relevance_weight=0.5).rerank("q", [Hit(name, 0.3) for name in names(HITS)])
    assert names(alike) == ["a", "b", "c", "copy"]  # equally relevant: only likeness counts


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="relevance_weight must lie between 0 and 1, got -0.1"):
        MMRReranker(Fixed(), VECTORS, relevance_weight=-0.1)
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        MMRReranker(Fixed(), VECTORS, depth=0)
    with pytest.raises(ValueError, match="k must be between 1 and the 3 hits that are reordered"):
        MMRReranker(Fixed(), VECTORS, depth=3).search("q", 4)
    with pytest.raises(KeyError, match="copy"):
        MMRReranker(Fixed(), {"a": VECTORS["a"]}).rerank("q", HITS)
    assert MMRReranker(Fixed(), VECTORS).chunk("a").chunk_id == "a"
