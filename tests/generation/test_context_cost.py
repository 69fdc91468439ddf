"""The cost of a context: numbers by hand, fits that find what made the data, and what is said to be extrapolated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.generation.context_cost import Price, Rates, context_cost, fit_decoding, fit_reading

RATES = Rates(reading=(0.001, 1e-7), decoding=(0.05, 1e-5), kv_bytes=100, longest=8000)
POSITIVE = st.floats(1e-6, 1e-2)


@given(POSITIVE, POSITIVE, st.lists(st.integers(1, 9000), min_size=2, max_size=6, unique=True))
def test_the_fit_finds_what_made_the_seconds(a: float, b: float, lengths: list[int]) -> None:
    x = np.array(lengths, dtype=float)
    assert fit_reading(x, a * x + b * x**2) == pytest.approx((a, b), rel=1e-3, abs=1e-9)
    c, d = fit_decoding(x, a + b * x)
    assert c + d * x == pytest.approx(a + b * x, rel=1e-3)


def test_no_part_is_negative() -> None:
    """Seconds that grow more slowly than the length: the best quadratic part would be below 0."""
    lengths, seconds = [100, 200, 400], [1.0, 1.8, 3.0]
    a, b = fit_reading(lengths, seconds)
    ratio = np.array(lengths) / np.array(seconds)
    assert b == 0 and a == pytest.approx(ratio.sum() / (ratio**2).sum())
    assert fit_decoding(lengths, [3.0, 2.0, 1.0])[1] == 0


@pytest.mark.parametrize(
    ("lengths", "seconds"),
    [([5], [1.0]), ([5, 5], [1.0, 2.0]), ([5, 6], [1.0]), ([5, 6], [0.0, 1.0]), ([5, 6], [1, np.nan])],
)
def test_runs_that_say_nothing(lengths: list[float], seconds: list[float]) -> None:
    for fit in (fit_reading, fit_decoding):
        with pytest.raises(ValueError, match="lengths and seconds must"):
            fit(lengths, seconds)


def test_reading_in_two_parts_takes_as_long_as_in_one() -> None:
    whole = RATES.read_seconds(3000)
    assert RATES.read_seconds(1000) + RATES.read_seconds(2000, after=1000) == pytest.approx(whole)


def test_by_hand() -> None:
    """1,000 tokens + 50: read 1.05 + 0.11025 = 1.16025 s; a reply of 10 after 1,050: 10 x (0.05 + 0.01055) = 0.6055 s.

    Cached, a question is 0.05 + 1e-7 x (1050^2 - 1000^2) = 0.06025 s.
    """
    plain = context_cost(1000, RATES, n_questions=3, question_tokens=50, reply_tokens=10)
    assert plain.first_seconds == pytest.approx(1.16025) and plain.seconds == pytest.approx(3 * (1.16025 + 0.6055))
    assert plain.tokens_read == 3150 and plain.kv_bytes == 106_000 and plain.money is None
    cached = context_cost(1000, RATES, n_questions=3, question_tokens=50, reply_tokens=10, cached=True)
    assert cached.seconds == pytest.approx(1.16025 + 2 * 0.06025 + 3 * 0.6055)
    assert cached.tokens_read == 1150 and cached.first_seconds == plain.first_seconds


def test_money_by_hand() -> None:
    """Of 3 x 1,050 tokens 2,000 come from the cache: (1,150 x 2 + 2,000 x 0.5 + 30 x 8) / 10^6."""
    price = Price(read=2.0, read_cached=0.5, written=8.0)
    options = {"n_questions": 3, "question_tokens": 50, "reply_tokens": 10, "price": price}
    assert context_cost(1000, RATES, cached=True, **options).money == pytest.approx(3540 / 1e6)
    assert context_cost(1000, RATES, **options).money == pytest.approx((3150 * 2 + 240) / 1e6)


def test_what_is_extrapolated_is_called_so() -> None:
    """7,955 + 25 + 20 = 8,000 was measured, one token more was not."""
    assert context_cost(7955, RATES).basis == {"seconds": "measured range", "kv_bytes": "formula"}
    beyond = context_cost(7956, RATES, price=Price(1, 1, 1))
    assert beyond.basis == {"seconds": "extrapolated", "kv_bytes": "formula", "money": "price"}


@given(st.integers(1, 10**6), st.integers(1, 50))
def test_a_cache_never_costs_more(n_tokens: int, n_questions: int) -> None:
    plain, cached = (context_cost(n_tokens, RATES, n_questions=n_questions, cached=cached) for cached in (False, True))
    assert cached.seconds <= plain.seconds + 1e-9 and cached.kv_bytes == plain.kv_bytes
    assert n_questions > 1 or cached.seconds == plain.seconds


@pytest.mark.parametrize("name", ["n_tokens", "n_questions", "question_tokens", "reply_tokens"])
def test_counts_below_one(name: str) -> None:
    options = {"n_tokens": 5, name: 0}
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        context_cost(options.pop("n_tokens"), RATES, **options)


def test_no_price_below_nothing() -> None:
    with pytest.raises(ValueError, match="read_cached must be a price of at least 0"):
        Price(1, -0.1, 1)
