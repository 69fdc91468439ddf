"""AUC, balanced error and Wilson's interval: by hand, against scikit-learn and SciPy, properties, edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from course_lib.evaluation.verdicts import auc, balanced_error, share_interval


def test_hand_worked_numbers() -> None:
    scores, labels = [0.9, 0.4, 0.6, 0.4, 0.1], [True, True, False, False, False]
    # pairs: .9 beats all three; .4 loses to .6, ties with .4, beats .1: (3 + 0 + .5 + 1) / 6
    assert auc(scores, labels) == pytest.approx(4.5 / 6)
    # at .5: one of two true refused, one of three false passed: (1/2 + 1/3) / 2
    assert balanced_error(scores, labels, threshold=0.5) == pytest.approx(5 / 12)
    assert balanced_error(scores, labels, threshold=0.4) == pytest.approx((0 + 2 / 3) / 2)  # reaching it is enough


CASES = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2).filter(
    lambda pairs: 0 < sum(label for _, label in pairs) < len(pairs)
)


@given(CASES)
def test_oracle_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = [score for score, _ in pairs], [label for _, label in pairs]
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    passed = [score >= 1 for score in scores]
    assert balanced_error(scores, labels, threshold=1) == pytest.approx(1 - balanced_accuracy_score(labels, passed))


@given(CASES)
def test_auc_knows_order_only(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([float(score) for score, _ in pairs]), np.array([label for _, label in pairs])
    assert auc(np.exp(scores), labels) == pytest.approx(auc(scores, labels))
    assert auc(-scores, labels) == pytest.approx(1 - auc(scores, labels))
    assert auc(scores, ~labels) == pytest.approx(1 - auc(scores, labels))
    assert auc(np.zeros(len(scores)), labels) == balanced_error(np.zeros(len(scores)), labels, threshold=0.5) == 0.5


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_share_interval_is_that_of_scipy(case: tuple[int, int]) -> None:
    hits, n = case
    interval = share_interval(hits, n)
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert interval.mean == hits / n
    assert interval.n == n
    assert interval.low == pytest.approx(expected.low, abs=1e-4)
    assert interval.high == pytest.approx(expected.high, abs=1e-4)


def test_share_interval_has_a_width_at_the_ends() -> None:
    assert share_interval(0, 12).low == 0
    assert share_interval(0, 12).high > 0.2
    assert share_interval(12, 12).high == 1
    assert share_interval(5, 10, confidence=0.99).high > share_interval(5, 10, confidence=0.9).high


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1, 2], [True], r"two lists of one length, got \(2,\) and \(1,\)"),
        ([[1, 2]], [[True, False]], "two lists of one length"),
        ([1, 2], [True, True], "labels must hold both kinds, got 2 of 2 true"),
        ([1, 2], [False, False], "labels must hold both kinds, got 0 of 2 true"),
        ([], [], "labels must hold both kinds"),
        ([1.0, np.nan], [True, False], "scores must be finite, but position 1 is not"),
    ],
)
def test_undefined_cases_raise(scores: list[float], labels: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        auc(scores, labels)
    with pytest.raises(ValueError, match=message):
        balanced_error(scores, labels, threshold=0)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_shares_are_checked(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"hits must be between 0 and n, and n at least 1, got {hits} of {n}"):
        share_interval(hits, n)


def test_confidence_is_checked() -> None:
    with pytest.raises(ValueError, match=r"confidence must be one of 0\.9, 0\.95, 0\.99, got 95"):
        share_interval(1, 2, confidence=95)
