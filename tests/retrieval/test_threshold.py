"""Thresholds: the trade-off by hand and equal to scikit-learn's ROC curve; what is dropped."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.retrieval.threshold import ThresholdRetriever, separation, threshold_for, threshold_trade_off

SCORES = st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=1, max_size=12)


class Fixed:
    hits = (Hit("a", 0.9), Hit("b", 0.5), Hit("c", 0.2))

    def search(self, query: str, k: int) -> Ranking:
        return list(self.hits[:k])

    def chunk(self, chunk_id: str) -> Chunk:
        return Chunk(chunk_id, chunk_id, chunk_id, datetime.date(2024, 1, 1), chunk_id, 0, 1)


def test_the_trade_off_by_hand() -> None:
    """Wanted 0.9, 0.6, 0.4; unwanted 0.6, 0.2. At 0.6: 2 of 3 wanted pass, 1 of 2 unwanted."""
    curve = threshold_trade_off([0.6, 0.9, 0.4], [0.2, 0.6])
    assert curve.thresholds == pytest.approx([np.inf, 0.9, 0.6, 0.4, 0.2])
    assert curve.wanted == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert curve.unwanted == pytest.approx([0, 0, 0.5, 0.5, 1])


def test_separation_by_hand() -> None:
    """Six pairs: 0.9 beats both, 0.6 ties and beats, 0.4 loses and beats: 2 + 1.5 + 1 = 4.5 of 6."""
    assert separation([0.6, 0.9, 0.4], [0.2, 0.6]) == pytest.approx(0.75)
    assert separation([2, 3], [0, 1]) == 1
    assert separation([0, 1], [2, 3]) == 0
    assert separation([1, 1], [1]) == 0.5


@given(SCORES, SCORES)
def test_both_equal_scikit_learn(wanted: list[float], unwanted: list[float]) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    labels = [1] * len(wanted) + [0] * len(unwanted)
    false_rate, true_rate, thresholds = roc_curve(labels, wanted + unwanted, drop_intermediate=False)
    curve = threshold_trade_off(wanted, unwanted)
    np.testing.assert_allclose(curve.thresholds, thresholds, rtol=1e-6)
    np.testing.assert_allclose(curve.wanted, true_rate, atol=1e-6)
    np.testing.assert_allclose(curve.unwanted, false_rate, atol=1e-6)
    assert separation(wanted, unwanted) == pytest.approx(roc_auc_score(labels, wanted + unwanted))
    assert separation(wanted, unwanted) == pytest.approx(1 - separation(unwanted, wanted))


def test_the_threshold_that_keeps_a_share() -> None:
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert threshold_for(scores, keep=0.9) == 0.2  # nine of ten reach 0.2
    assert threshold_for(scores, keep=0.91) == 0.1  # nine are not enough
    assert threshold_for(scores, keep=1.0) == 0.1
    assert threshold_for(scores, keep=0.001) == 1.0
    assert threshold_for(scores, keep=0.7) == 0.4  # 0.7 * 10 is 7.000000000000001 in floats


@given(SCORES, st.floats(0.01, 1))
def test_the_threshold_keeps_enough_and_no_higher_one_does(scores: list[float], keep: float) -> None:
    threshold = threshold_for(scores, keep=keep)
    assert np.mean(np.array(scores) >= threshold) >= keep - 1e-9
    higher = [score for score in scores if score > threshold]
    assert not higher or np.mean(np.array(scores) >= min(higher)) < keep


def test_hits_below_the_threshold_are_dropped() -> None:
    assert [hit.chunk_id for hit in ThresholdRetriever(Fixed(), 0.5).search("q", 3)] == ["a", "b"]
    assert [hit.chunk_id for hit in ThresholdRetriever(Fixed(), 0.5).search("q", 1)] == ["a"]
    assert ThresholdRetriever(Fixed(), 0.95).search("q", 3) == []
    assert ThresholdRetriever(Fixed(), 0.95).chunk("c").chunk_id == "c"


def test_bad_numbers() -> None:
    for wrong in ([], [[0.1]]):
        with pytest.raises(ValueError, match="wanted must be a list of at least one score"):
            separation(wrong, [0.1])
    with pytest.raises(ValueError, match="unwanted must be finite, but position 1 is not"):
        threshold_trade_off([0.1], [0.1, np.nan])
    for keep in (0, 1.1):
        with pytest.raises(ValueError, match=f"keep must be above 0 and at most 1, got {keep}"):
            threshold_for([0.1], keep=keep)
    with pytest.raises(ValueError, match="threshold must be a finite number, got nan"):
        ThresholdRetriever(Fixed(), float("nan"))
