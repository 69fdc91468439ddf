"""Fusion: by hand, against an oracle, what each method must not depend on, and every message."""

from __future__ import annotations

import datetime
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.retrieval.bm25 import BM25Retriever
from course_lib.retrieval.fusion import (
    METHODS,
    FusedRetriever,
    fuse,
    min_max,
    reciprocal_rank_fusion,
    says_nothing,
    weighted_fusion,
    z_score,
)

SCORES = st.lists(st.integers(-50, 50).map(lambda n: n / 4), min_size=1, max_size=20)
RANKINGS = st.lists(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(-9, 9), max_size=8).map(
        lambda scores: ranked(Hit(name, float(score)) for name, score in scores.items())
    ),
    min_size=1,
    max_size=4,
)


def ranking(*ids: str) -> Ranking:
    return [Hit(chunk_id, float(len(ids) - i)) for i, chunk_id in enumerate(ids)]


def scored(**scores: float) -> Ranking:
    return ranked(Hit(name, score) for name, score in scores.items())


def ids(hits: Ranking) -> list[str]:
    return [hit.chunk_id for hit in hits]


# ---------------------------------------------------------------- scales


def test_min_max_by_hand() -> None:
    assert min_max([2, 6, 4]).tolist() == [0, 1, 0.5]


def test_z_score_by_hand() -> None:
    """Mean 4, squares of the distances 4, 4 and 0: variance 8 / 3, deviation 1.632993; 2 / 1.632993 = 1.224745."""
    assert z_score([2, 6, 4]) == pytest.approx([-1.224745, 1.224745, 0], abs=1e-6)


@given(SCORES)
def test_scales_are_those_of_sklearn_and_scipy(scores: list[float]) -> None:
    from scipy.stats import zscore
    from sklearn.preprocessing import minmax_scale

    assume(len(set(scores)) > 1)
    np.testing.assert_allclose(min_max(scores), minmax_scale(scores), atol=1e-12)
    np.testing.assert_allclose(z_score(scores), zscore(scores), atol=1e-12)


@given(SCORES, st.floats(0.1, 100), st.floats(-50, 50))
def test_scales_forget_unit_and_origin(scores: list[float], unit: float, origin: float) -> None:
    for scale in (min_max, z_score):
        np.testing.assert_allclose(scale([unit * s + origin for s in scores]), scale(scores), atol=1e-6)


@pytest.mark.parametrize("scale", [min_max, z_score])
def test_equal_scores_tell_nothing_apart(scale: Any) -> None:
    for scores in ([0.1] * 7, [0.0], [-3, -3]):
        assert scale(scores).tolist() == [0] * len(scores)


@pytest.mark.parametrize("scale", [min_max, z_score])
def test_scores_that_cannot_be_scaled(scale: Any) -> None:
    with pytest.raises(ValueError, match="scores must be finite, but position 1 is not"):
        scale([1, math.nan, 3])
    with pytest.raises(ValueError, match="scores must be finite, but position 0 is not"):
        scale([math.inf, 1])
    for nothing in ([], [[1, 2]]):
        with pytest.raises(ValueError, match="at least one number, got shape"):
            scale(nothing)


# ---------------------------------------------------------------- reciprocal rank fusion


def test_rrf_by_hand() -> None:
    # "a" is 1st and 2nd: 1/61 + 1/62 = 0.0325225; "b" is 2nd and 1st: the same; "c" is 3rd once: 1/63 = 0.0158730
    fused = reciprocal_rank_fusion([ranking("a", "b", "c"), ranking("b", "a")])
    assert [(hit.chunk_id, round(hit.score, 6)) for hit in fused] == [("a", 0.032522), ("b", 0.032522), ("c", 0.015873)]


def test_weighted_rrf_by_hand() -> None:
    """rank_constant 1: "a" 3 / 2 = 1.5; "b" 3 / 3 + 1 / 2 = 1.5; "c" 1 / 3."""
    fused = reciprocal_rank_fusion([ranking("a", "b"), ranking("b", "c")], rank_constant=1, weights=[3, 1])
    assert [(hit.chunk_id, round(hit.score, 6)) for hit in fused] == [("a", 1.5), ("b", 1.5), ("c", 0.333333)]


@given(st.permutations(list("abcdef")), st.permutations(list("abcdef")), st.floats(0.1, 100))
def test_only_ranks_count(first: list[str], second: list[str], scale: float) -> None:
    scaled = [Hit(hit.chunk_id, hit.score * scale) for hit in ranking(*first)]
    plain = reciprocal_rank_fusion([ranking(*first), ranking(*second)])
    assert plain == reciprocal_rank_fusion([scaled, ranking(*second)])
    assert plain == reciprocal_rank_fusion([ranking(*second), ranking(*first)])


@given(RANKINGS, st.randoms(use_true_random=False))
def test_the_order_of_rankings_does_not_matter(rankings: list[Ranking], random: Any) -> None:
    """Not even for ties: sums in another order must not differ in their last digit."""
    for method in METHODS:
        shuffled = random.sample(rankings, len(rankings))
        assert ids(fuse(shuffled, method=method)) == ids(fuse(rankings, method=method))


def test_ties_are_exact_whatever_the_order_of_the_sum() -> None:
    """b and a have the ranks 1, 2, 7 in other orders: added one by one, their sums differ in the last digit for some."""
    for first, second in itertools.permutations(itertools.permutations((1, 2, 7)), 2):
        if any(one == other for one, other in zip(first, second, strict=True)):
            continue
        rankings = []
        for number, places in enumerate(zip(first, second, strict=True)):
            ids = [f"x{number}{rank}" for rank in range(1, 8)]
            ids[places[0] - 1], ids[places[1] - 1] = "b", "a"
            rankings.append(ranking(*ids))
        (best, one), (next_best, other) = [(h.chunk_id, h.score) for h in reciprocal_rank_fusion(rankings)][:2]
        assert (best, next_best) == ("a", "b") and one == other


def test_one_ranking_keeps_its_order_and_none_gives_none() -> None:
    for method in METHODS:
        assert ids(fuse([ranking("z", "a", "m")], method=method)) == ["z", "a", "m"]
        assert fuse([], method=method) == []
        assert fuse([[], []], method=method) == []
        assert ids(fuse([[], ranking("b", "a")], method=method)) == ["b", "a"]


# ---------------------------------------------------------------- weighted fusion


def test_weighted_fusion_by_hand() -> None:
    """First: a 1, b 0.5, c 0. Second: d 1, b 0.75, a 0; c is missing there: 0. d is missing in the first: 0.
    With 0.6 and 0.4: a 0.6, b 0.3 + 0.3 = 0.6, c 0, d 0.4."""
    first, second = scored(a=10, b=8, c=6), scored(d=0.9, b=0.8, a=0.5)
    fused = weighted_fusion([first, second], weights=[0.6, 0.4])
    assert [(hit.chunk_id, hit.score) for hit in fused] == [("a", 0.6), ("b", 0.6), ("d", 0.4), ("c", 0.0)]


def test_a_missing_chunk_gets_the_lowest_of_that_ranking() -> None:
    """z-scores of (3, 1): 1 and -1. "c" stands only in the second: -0.5 + 0.5 = 0; "a" 0.5 - 0.5 = 0; "b" -1."""
    fused = weighted_fusion([scored(a=3, b=1), scored(c=3, b=1)], scale=z_score)
    assert [(hit.chunk_id, hit.score) for hit in fused] == [("a", 0.0), ("c", 0.0), ("b", -1.0)]


@given(RANKINGS, st.lists(st.floats(0.1, 9), min_size=4, max_size=4), st.sampled_from([min_max, z_score]))
def test_equal_to_loops(rankings: list[Ranking], weights: list[float], scale: Any) -> None:
    weights = weights[: len(rankings)]
    expected = {hit.chunk_id: 0.0 for ranking in rankings for hit in ranking}
    for each, weight in zip(rankings, weights, strict=True):
        if each:
            scaled = dict(zip(ids(each), scale([hit.score for hit in each]), strict=True))
            for name in expected:
                expected[name] += weight / sum(weights) * scaled.get(name, min(scaled.values()))
    fused = weighted_fusion(rankings, weights=weights, scale=scale)
    assert {hit.chunk_id: hit.score for hit in fused} == pytest.approx(expected, abs=1e-9)
    assert fused == ranked(fused)
    if scale is min_max:
        assert all(0 <= hit.score <= 1 for hit in fused)


@given(RANKINGS, st.floats(0.1, 50), st.floats(-20, 20))
def test_units_of_scores_do_not_matter(rankings: list[Ranking], unit: float, origin: float) -> None:
    other = [[Hit(hit.chunk_id, unit * hit.score + origin) for hit in rankings[0]], *rankings[1:]]
    for scale in (min_max, z_score):
        before, after = weighted_fusion(rankings, scale=scale), weighted_fusion(other, scale=scale)
        assert {h.chunk_id: h.score for h in after} == pytest.approx({h.chunk_id: h.score for h in before}, abs=1e-6)


def test_all_the_weight_on_one_gives_its_order() -> None:
    first, second = scored(a=3, b=2, c=1), scored(c=3, b=2, a=1)
    for scale in (min_max, z_score):
        assert ids(weighted_fusion([first, second], weights=[1, 0], scale=scale)) == ["a", "b", "c"]
        assert ids(weighted_fusion([first, second], weights=[0, 5], scale=scale)) == ["c", "b", "a"]


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("method", METHODS)
def test_errors(method: str) -> None:
    two = [ranking("a"), ranking("b")]
    with pytest.raises(ValueError, match="weights must be one for each of the 2 rankings, got 3"):
        fuse(two, method=method, weights=[1, 1, 1])
    for weights in ([0, 0], [-1, 2], [math.nan, 1], [math.inf, 1]):
        with pytest.raises(ValueError, match="weights must be at least 0 and not all 0"):
            fuse(two, method=method, weights=weights)
    with pytest.raises(ValueError, match="ranking 2 holds one twice"):
        fuse([ranking("a"), ranking("b", "b")], method=method)


def test_errors_of_one_method() -> None:
    with pytest.raises(ValueError, match="rank_constant must be at least 0, got -1"):
        reciprocal_rank_fusion([ranking("a")], rank_constant=-1)
    with pytest.raises(ValueError, match="scores must be finite"):
        weighted_fusion([[Hit("a", math.nan)]])
    with pytest.raises(ValueError, match="method must be one of rrf, min_max, z_score, got 'borda'"):
        fuse([], method="borda")


# ---------------------------------------------------------------- the retriever

CHUNKS = [
    Chunk(f"s/{name}#00", f"s/{name}", "", datetime.date(2024, 1, 1), text, 0, len(text))
    for name, text in (("a", "meter and bill"), ("b", "bill of the flat"), ("c", "storm"), ("d", "storm at sea"))
]


class Fixed:
    """A retriever that gives the same scores whatever is asked, and counts how often."""

    def __init__(self, **scores: float) -> None:
        self.ranking, self.depths = ranked(Hit(f"s/{name}#00", score) for name, score in scores.items()), list[int]()

    def search(self, query: str, k: int) -> Ranking:
        self.depths.append(k)
        return self.ranking[:k]

    def chunk(self, chunk_id: str) -> Chunk:
        return next(chunk for chunk in CHUNKS if chunk.chunk_id == chunk_id)


def test_as_it_has_been_used() -> None:
    """1st in both is 1; 2nd in both 61 / 62 = 0.983871."""
    first = Fixed(a=9, b=8, c=7, d=6)
    fused = FusedRetriever(first, Fixed(a=1, b=0.5, c=0.2, d=0.1), n_chunks=4)
    assert [(hit.chunk_id, round(hit.score, 6)) for hit in fused.search("x", 2)] == [
        ("s/a#00", 1.0),
        ("s/b#00", 0.983871),
    ]
    assert first.depths == [4]  # depth 100, but there are only 4
    assert len(fused) == 4 and fused.chunk("s/c#00").text == "storm"


@pytest.mark.parametrize("method", METHODS)
def test_it_fuses_what_its_retrievers_find(method: str) -> None:
    retrievers = Fixed(a=9, b=5, c=2, d=1), Fixed(d=0.9, a=0.2, b=0.1, c=0)
    found = FusedRetriever(*retrievers, n_chunks=4, method=method, weights=[2, 1], rank_constant=3).search("x", 4)
    expected = fuse([r.ranking for r in retrievers], method=method, weights=[2, 1], rank_constant=3)
    assert ids(found) == ids(expected)
    ratio = (2 + 1) / (3 + 1) if method == "rrf" else 1
    assert [hit.score * ratio for hit in found] == pytest.approx([hit.score for hit in expected])


def test_depth_is_what_is_fused_and_at_least_k() -> None:
    first = Fixed(a=9, b=5, c=2, d=1)
    fused = FusedRetriever(first, depth=2, n_chunks=4)
    assert (len(fused.search("x", 1)), len(fused.search("x", 3)), first.depths) == (1, 3, [2, 3])


def test_words_that_nobody_knows_leave_the_other_ranking_as_it_is() -> None:
    """BM25 gives 0 to all and so orders by id: no evidence, and no vote."""
    dense = Fixed(d=0.9, c=0.5, b=0.2, a=0.1)
    for method in METHODS:
        fused = FusedRetriever(dense, BM25Retriever().fit(CHUNKS), n_chunks=4, method=method)
        assert ids(fused.search("quark", 4)) == ids(dense.ranking)
    nothing = FusedRetriever(Fixed(a=0, b=0), Fixed(a=1, b=1), n_chunks=4)
    assert ids(nothing.search("x", 2)) == ["s/a#00", "s/b#00"]
    assert says_nothing(scored(a=0, b=0)) and not says_nothing(scored(a=0)) and not says_nothing([])


def test_a_weight_of_zero_silences_a_retriever() -> None:
    fused = FusedRetriever(Fixed(a=2, b=1), Fixed(c=9, d=3), n_chunks=4, weights=[0, 1])
    assert ids(fused.search("x", 2)) == ["s/c#00", "s/d#00"]


def test_errors_of_the_retriever() -> None:
    for options, words in (
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"method": "borda"}, "method must be one of"),
        ({"weights": [1, 2]}, "weights must be one for each of the 1 rankings"),
        ({"rank_constant": -1}, "rank_constant must be at least 0"),
    ):
        with pytest.raises(ValueError, match=words):
            FusedRetriever(Fixed(a=1), n_chunks=4, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="retrievers must be at least one"):
        FusedRetriever(n_chunks=4)
    with pytest.raises(ValueError, match="k must be between 1 and the 4 indexed chunks, got 5"):
        FusedRetriever(Fixed(a=1), n_chunks=4).search("x", 5)
