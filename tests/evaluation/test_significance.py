"""How sure a number is: by hand, against SciPy, and by simulation."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from course_lib.evaluation import significance
from course_lib.evaluation.significance import Interval, bootstrap_interval, holm, paired_difference, permutation_test

# Recall of ten questions under two systems: the second finds three more and loses one.
A = [1, 1, 0, 1, 1, 1, 0, 1, 1, 0]
B = [1, 0, 0, 1, 0, 1, 1, 1, 0, 0]
numbers = st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=12)


# ---------------------------------------------------------------- Interval


def test_an_interval_says_what_it_rests_on() -> None:
    assert str(Interval(0.456, 0.3, 0.61234, 71)) == "0.46 [0.30, 0.61] n=71"
    assert Interval(-0.1, -0.2, 0.0, 9).confidence == 0.95


@pytest.mark.parametrize(
    ("low", "high", "clear"),
    [(0.1, 0.3, True), (-0.3, -0.1, True), (-0.1, 0.1, False), (0.0, 0.2, False), (-0.2, 0, False)],
)
def test_clear_of_zero(low: float, high: float, clear: bool) -> None:
    assert Interval(0.05, low, high, 10).clear_of_zero is clear


# ---------------------------------------------------------------- bootstrap_interval


def test_bootstrap_by_hand() -> None:
    """Of (0, 1), the four equally likely draws are 00, 01, 10 and 11, so the mean is 0, 1/2 or 1 with chances 1/4, 1/2
    and 1/4. The middle 40 % of that are all 1/2; the middle 95 % reach from 0 to 1."""
    middle = bootstrap_interval([0, 1], confidence=0.4)
    assert (middle.mean, middle.low, middle.high, middle.n) == (0.5, 0.5, 0.5, 2)
    wide = bootstrap_interval([0, 1])
    assert (wide.low, wide.high) == (0, 1)


def test_bootstrap_of_shares_follows_the_binomial() -> None:
    """30 of 100: the number of ones in a draw is binomial(100, 0.3), whose quantiles at 2.5 and 97.5 % are 21 and 39."""
    interval = bootstrap_interval([1] * 30 + [0] * 70)
    assert scipy.stats.binom.ppf([0.025, 0.975], 100, 0.3).tolist() == [21, 39]
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.3, 0.21, 0.39), abs=0.0101)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_bootstrap_agrees_with_scipy(confidence: float) -> None:
    values = np.random.default_rng(0).gamma(2, size=60)  # skewed, as reciprocal ranks are
    ours = bootstrap_interval(values, confidence=confidence)
    theirs = scipy.stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=confidence,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)
    assert ours.mean == pytest.approx(values.mean()) and ours.confidence == confidence


@pytest.mark.parametrize(("n", "lowest"), [(50, 0.91), (200, 0.92)])
def test_the_interval_holds_the_truth_as_often_as_it_says(n: int, lowest: float) -> None:
    """400 samples of questions of which 70 % are answerable: about 95 % of the intervals hold 0.7."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        interval = bootstrap_interval(rng.random(n) < 0.7, n_draws=1000)
        held += interval.low <= 0.7 <= interval.high
    assert lowest <= held / 400 <= 0.985


def test_more_questions_make_a_narrower_interval() -> None:
    values = [0, 1, 1, 0, 1, 1, 1, 0]
    few, many = bootstrap_interval(values), bootstrap_interval(values * 16)
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.2)  # root of 16


@given(numbers, st.floats(-3, 3), st.floats(0.5, 4))
def test_bootstrap_moves_with_its_values(values: list[float], shift: float, scale: float) -> None:
    interval = bootstrap_interval(values, n_draws=200)
    moved = bootstrap_interval(np.array(values) * scale + shift, n_draws=200)
    for name in ("mean", "low", "high"):
        assert getattr(moved, name) == pytest.approx(getattr(interval, name) * scale + shift, abs=1e-6)
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9


def test_values_that_are_all_alike_have_no_width() -> None:
    """The bootstrap knows nothing but the sample: 12 of 12 says 1 to 1, and the docstring warns of it."""
    interval = bootstrap_interval([1] * 12)
    assert (interval.low, interval.high) == (1, 1)


def test_the_same_seed_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bootstrap_interval(A) == bootstrap_interval(A)
    assert bootstrap_interval(np.linspace(0, 1, 9), seed=1) != bootstrap_interval(np.linspace(0, 1, 9), seed=2)
    expected = bootstrap_interval(A, n_draws=1000)
    monkeypatch.setattr(significance, "_parts", lambda n_draws, n: [1] * n_draws)  # how memory is saved changes nothing
    assert bootstrap_interval(A, n_draws=1000) == expected


def test_values_are_left_alone() -> None:
    values = np.array([0.5, 0.1, 0.9], np.float32)
    bootstrap_interval(values)
    np.testing.assert_array_equal(values, np.array([0.5, 0.1, 0.9], np.float32))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"values must be a list of at least two numbers, one a query, got shape \(0,\)"),
        ([0.5], r"got shape \(1,\)"),
        ([[0, 1], [1, 0]], r"got shape \(2, 2\)"),
        (0.5, r"got shape \(\)"),
        ([0, 1, np.nan], "values must be finite, but position 2 is not"),
        ([np.inf, 1], "values must be finite, but position 0 is not"),
    ],
)
def test_what_has_no_interval(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, np.nan])
def test_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1, got"):
        bootstrap_interval(A, confidence=confidence)


@pytest.mark.parametrize("n_draws", [0, 99])
def test_there_must_be_draws(n_draws: int) -> None:
    with pytest.raises(ValueError, match=f"n_draws must be at least 100, got {n_draws}"):
        bootstrap_interval(A, n_draws=n_draws)
    with pytest.raises(ValueError, match=f"n_draws must be at least 100, got {n_draws}"):
        permutation_test(A, B, n_draws=n_draws)


@pytest.mark.parametrize("n", [1, 7, 2_000_000, 5_000_000])
def test_parts_are_small_and_all(n: int) -> None:
    parts = significance._parts(250, n)
    assert sum(parts) == 250 and all(part >= 1 and (part - 1) * n < 2_000_000 for part in parts)


# ---------------------------------------------------------------- paired_difference


def test_the_difference_is_taken_query_by_query() -> None:
    """A - B: three wins, one loss, six level: (3 - 1) / 10 = 0.2."""
    assert paired_difference(A, B).mean == pytest.approx(0.2)
    assert paired_difference(A, B) == bootstrap_interval(np.subtract(A, B))
    assert paired_difference(B, A).mean == pytest.approx(-0.2)


def test_pairing_tells_what_two_intervals_hide() -> None:
    """One system is always 0.05 better, on queries that differ widely: apart, the intervals overlap; paired, zero is
    clear. Take the pairs away, and the difference drowns."""
    rng = np.random.default_rng(4)
    b = rng.random(60)
    a = b + 0.05 + rng.normal(0, 0.02, 60)
    assert bootstrap_interval(a).low < bootstrap_interval(b).high
    assert paired_difference(a, b).clear_of_zero
    assert not paired_difference(rng.permutation(a), b).clear_of_zero


@pytest.mark.parametrize("function", [paired_difference, permutation_test])
def test_pairs_are_needed(function: Any) -> None:
    with pytest.raises(ValueError, match="a and b must be of the same queries, got 10 and 9 values"):
        function(A, B[:9])
    with pytest.raises(ValueError, match="b must be finite, but position 1 is not"):
        function([1, 2], [1, np.nan])
    with pytest.raises(ValueError, match="a must be a list of at least two numbers"):
        function([1], [1])


# ---------------------------------------------------------------- permutation_test


def test_permutation_by_hand() -> None:
    """Differences 1, 1, 1, 1: of the 16 ways to draw the signs, two (all plus, all minus) are as extreme: p = 1/8."""
    assert permutation_test([2, 3, 4, 5], [1, 2, 3, 4]) == pytest.approx(1 / 8, abs=0.01)


def exact_p(differences: np.ndarray) -> float:
    signs = np.array(list(itertools.product([-1, 1], repeat=len(differences))))  # (2 ** n, n)
    means = np.abs((signs * differences).mean(axis=1))  # (2 ** n,)
    return float((means >= abs(differences.mean()) - 1e-12).mean())


def test_permutation_agrees_with_counting_all_signs() -> None:
    """Three wins, one loss, six level. Only the four that differ matter: of 16 signs, the sum is at least 2 away from 0
    in 1 + 4 + 4 + 1 = 10. p = 10/16."""
    assert exact_p(np.subtract(A, B)) == 10 / 16
    assert permutation_test(A, B) == pytest.approx(10 / 16, abs=0.015)


def test_permutation_agrees_with_scipy() -> None:
    rng = np.random.default_rng(6)
    for shift in (0.0, 0.3, 0.8):
        a, b = rng.normal(shift, 1, 12), rng.normal(0, 1, 12)
        theirs = scipy.stats.permutation_test(
            (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
        ).pvalue
        assert permutation_test(a, b) == pytest.approx(theirs, abs=0.015)


@given(numbers, st.randoms(use_true_random=False))
def test_the_test_has_no_favourite(values: list[float], random: Any) -> None:
    other = [random.uniform(-5, 5) for _ in values]
    p = permutation_test(values, other, n_draws=200)
    assert 1 / 201 <= p <= 1
    assert permutation_test(other, values, n_draws=200) == p


def test_no_difference_is_no_evidence() -> None:
    assert permutation_test(A, A) == 1


def test_p_is_never_zero() -> None:
    """Thirty clear wins: chance would need 2 ** -29. What 10,000 draws can say is 1 in 10,001."""
    assert permutation_test([1] * 30, [0] * 30) == pytest.approx(1 / 10_001)


def test_false_alarms_are_as_rare_as_promised() -> None:
    """400 pairs of equal systems: p < 0.05 in about 5 %."""
    rng = np.random.default_rng(7)
    alarms = sum(permutation_test(rng.random(25), rng.random(25), n_draws=400) < 0.05 for _ in range(400))
    assert 0.02 <= alarms / 400 <= 0.08


def test_the_test_is_the_same_each_time() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.random(15), rng.random(15)
    assert permutation_test(a, b) == permutation_test(a, b)
    assert len({permutation_test(a, b, seed=seed) for seed in range(8)}) > 1


# ---------------------------------------------------------------- holm


def test_holm_by_hand() -> None:
    """Sorted: .01 * 4 = .04; .02 * 3 = .06; .03 * 2 = .06; .5 * 1 = .5."""
    assert holm({"c": 0.03, "a": 0.01, "d": 0.5, "b": 0.02}) == pytest.approx(
        {"c": 0.06, "a": 0.04, "d": 0.5, "b": 0.06}
    )


def test_holm_never_lets_a_larger_p_overtake() -> None:
    """.02 * 3 = .06; .025 * 2 = .05, but .06 stands before it; .9 stays."""
    assert holm({"a": 0.02, "b": 0.025, "c": 0.9}) == pytest.approx({"a": 0.06, "b": 0.06, "c": 0.9})


def test_holm_of_one_and_of_none() -> None:
    assert holm({"a": 0.03}) == {"a": 0.03}
    assert holm({}) == {}
    assert holm({"a": 0.7, "b": 0.6}) == {"a": 1.0, "b": 1.0}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_holm_lies_between_none_and_bonferroni(p_values: dict[str, float]) -> None:
    corrected = holm(p_values)
    assert list(corrected) == list(p_values)
    for name, p in p_values.items():
        assert p <= corrected[name] <= min(1, p * len(p_values)) + 1e-12
    by_p = sorted(p_values, key=lambda name: p_values[name])
    assert [corrected[name] for name in by_p] == sorted(corrected.values())


def test_holm_keeps_the_family_safe() -> None:
    """Five true null hypotheses, 4,000 times: without a correction 1 - .95 ** 5 = 23 % have a false alarm, with it 5 %."""
    draws = np.random.default_rng(10).random((4000, 5))
    plain = (draws.min(axis=1) < 0.05).mean()
    safe = np.mean([min(holm(dict(enumerate(row))).values()) < 0.05 for row in draws])  # type: ignore[arg-type]
    assert plain == pytest.approx(0.226, abs=0.03) and safe == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_p_is_a_share(p: float) -> None:
    with pytest.raises(ValueError, match="p must lie between 0 and 1, got .* for b"):
        holm({"a": 0.5, "b": p})


def test_an_interval_as_plain_data() -> None:
    interval = Interval(0.123456, -0.00004, 2 / 3, 7)
    assert interval.as_dict() == {"mean": 0.1235, "low": -0.0, "high": 0.6667, "n": 7}
    assert interval.as_dict(digits=1) == {"mean": 0.1, "low": -0.0, "high": 0.7, "n": 7}
