"""What a context of any length costs in seconds, memory and money, computed from rates that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Rates:
    """Seconds as a function of length: linear and quadratic in the tokens read, linear in the context decoded over.

    reading: (a, b), so that n tokens take a n + b n^2 seconds: a for the layers, b for attention. decoding: (c, d), so
    that a token after n others takes c + d n. longest: the longest length that was measured. kv_bytes: of one token.
    """

    reading: tuple[float, float]
    decoding: tuple[float, float]
    kv_bytes: int
    longest: int

    def read_seconds(self, n_tokens: int, *, after: int = 0) -> float:
        """Return the seconds to read n_tokens more after others that are in the cache."""
        a, b = self.reading
        return a * n_tokens + b * ((after + n_tokens) ** 2 - after**2)

    def decode_seconds(self, n_tokens: int, *, after: int) -> float:
        """Return the seconds to decode n_tokens after others."""
        c, d = self.decoding
        return n_tokens * (c + d * (after + n_tokens / 2))


def _measured(lengths: npt.ArrayLike, seconds: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], ...]:
    x, y = np.asarray(lengths, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(np.unique(x)) < 2:
        raise ValueError(
            f"lengths and seconds must be of the same runs, at two lengths or more, got {x.shape}, {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (x > 0).all() and (y > 0).all()):
        raise ValueError("lengths and seconds must all be finite and above 0")
    return x, y


def _fitted(columns: Sequence[npt.NDArray[np.float64]], seconds: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Two coefficients, none below 0, with the least sum of squared relative errors."""
    rows = np.stack(columns, axis=1) / seconds[:, None]  # (n, 2), so that short runs count like long ones
    ones = np.ones(len(seconds))
    one, two = (float(value) for value in np.linalg.lstsq(rows, ones, rcond=None)[0])
    if one < 0 or two < 0:  # then the best lies on the border, where one of them is 0
        single = [float(column @ ones / (column @ column)) for column in rows.T]
        errors = [float(((column * value - 1) ** 2).sum()) for column, value in zip(rows.T, single, strict=True)]
        one, two = (single[0], 0.0) if errors[0] <= errors[1] else (0.0, single[1])
    return one, two


def fit_reading(lengths: npt.ArrayLike, seconds: npt.ArrayLike) -> tuple[float, float]:
    """Return a, b >= 0 so that reading n tokens takes about a n + b n^2 seconds; relative errors are least squares.

    lengths, seconds: (n_runs,). Raises ValueError below two different lengths, or for values that are not above 0.
    """
    x, y = _measured(lengths, seconds)
    return _fitted([x, x**2], y)


def fit_decoding(lengths: npt.ArrayLike, seconds: npt.ArrayLike) -> tuple[float, float]:
    """Return c, d >= 0 so that one token after n others takes about c + d n seconds; raises as `fit_reading`."""
    x, y = _measured(lengths, seconds)
    return _fitted([np.ones_like(x), x], y)


@dataclass(frozen=True)
class Price:
    """Money for a million tokens, as the caller's provider charges it: read, read from a cache, written. No default."""

    read: float
    read_cached: float
    written: float

    def __post_init__(self) -> None:
        for name in ("read", "read_cached", "written"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be a price of at least 0 a million tokens, got {getattr(self, name)}")


@dataclass(frozen=True)
class Cost:
    """What n_questions about one context cost. basis: figure -> "measured range", "extrapolated", "formula" or "price".

    first_seconds: until the first token of the first answer; seconds: of all. kv_bytes: of one context's keys and
    values. money: None without a price. tokens_read: those that the model computes.
    """

    n_tokens: int
    n_questions: int
    cached: bool
    first_seconds: float
    seconds: float
    kv_bytes: int
    tokens_read: int
    money: float | None
    basis: dict[str, str]


def context_cost(
    n_tokens: int,
    rates: Rates,
    *,
    n_questions: int = 1,
    question_tokens: int = 25,
    reply_tokens: int = 20,
    cached: bool = False,
    price: Price | None = None,
) -> Cost:
    """Return what n_questions about a context of n_tokens cost, one after another.

    cached: the context is read once and its keys and values kept; otherwise it is read for every question. Seconds
    beyond the longest measured context are extrapolated, and `basis` says so: no such model may exist. Raises
    ValueError for a count below 1.
    """
    counts = {"n_tokens": n_tokens, "n_questions": n_questions, "question_tokens": question_tokens,
              "reply_tokens": reply_tokens}  # fmt: skip
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    prompt = n_tokens + question_tokens
    first = rates.read_seconds(prompt)
    again = rates.read_seconds(question_tokens, after=n_tokens) if cached else first
    decode = rates.decode_seconds(reply_tokens, after=prompt)
    money = None
    if price is not None:
        saved = n_tokens * (n_questions - 1) if cached else 0
        full = n_questions * prompt - saved
        money = (full * price.read + saved * price.read_cached + n_questions * reply_tokens * price.written) / 1e6
    beyond = prompt + reply_tokens > rates.longest
    basis = {"seconds": "extrapolated" if beyond else "measured range", "kv_bytes": "formula"}
    return Cost(
        n_tokens=n_tokens,
        n_questions=n_questions,
        cached=cached,
        first_seconds=first,
        seconds=first + (n_questions - 1) * again + n_questions * decode,
        kv_bytes=(prompt + reply_tokens) * rates.kv_bytes,
        tokens_read=prompt + (n_questions - 1) * (question_tokens if cached else prompt),
        money=money,
        basis=basis if price is None else {**basis, "money": "price"},
    )
