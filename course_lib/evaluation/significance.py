"""How sure a measured number is: bootstrap intervals, a paired test, and Holm's correction for several tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from course_lib.core.seeds import SEED

Values = npt.ArrayLike


@dataclass(frozen=True)
class Interval:
    """A mean with the range that holds it with the given confidence, and the number of values behind it."""

    mean: float
    low: float
    high: float
    n: int
    confidence: float = 0.95

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}] n={self.n}"

    def as_dict(self, digits: int = 4) -> dict[str, float]:
        """Return mean, low and high, rounded, and n, as they are written to result files."""
        rounded = {name: round(getattr(self, name), digits) for name in ("mean", "low", "high")}
        return {**rounded, "n": self.n}

    @property
    def clear_of_zero(self) -> bool:
        """Whether the whole range lies above zero, or the whole range below it."""
        return self.low > 0 or self.high < 0


def _checked(values: Values, name: str) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"{name} must be a list of at least two numbers, one a query, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but position {int(np.argmin(np.isfinite(array)))} is not")
    return array


def bootstrap_interval(
    values: Values, *, confidence: float = 0.95, n_draws: int = 10_000, seed: int = SEED
) -> Interval:
    """Return the mean of values with its percentile bootstrap interval (Efron, 1979).

    values: (n,), one a query. Each draw takes n of them with replacement. The range is a little too narrow for n
    below about 30, and has no width where all values are equal: the draws know nothing but the sample. Raises
    ValueError for fewer than two values, NaN, a confidence outside 0 to 1, or fewer than 100 draws.
    """
    array = _checked(values, "values")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}; 0.95 is usual")
    _check_draws(n_draws)
    rng = np.random.default_rng(seed)
    means = np.concatenate(  # in parts, so that memory stays small
        [
            array[rng.integers(0, len(array), size=(part, len(array)))].mean(axis=1)
            for part in _parts(n_draws, len(array))
        ]
    )  # (n_draws,)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(array.mean()), float(low), float(high), len(array), confidence)


def _check_draws(n_draws: int) -> None:
    if n_draws < 100:
        raise ValueError(f"n_draws must be at least 100, got {n_draws}; 10,000 is usual")


def _parts(n_draws: int, n: int) -> list[int]:
    size = max(1, 2_000_000 // n)
    return [min(size, n_draws - start) for start in range(0, n_draws, size)]


def paired_difference(
    a: Values, b: Values, *, confidence: float = 0.95, n_draws: int = 10_000, seed: int = SEED
) -> Interval:
    """Return the mean of a - b, query by query, with its bootstrap interval. Raises ValueError if they are not paired.

    Pairing matters: some queries are hard for every system, and their difference is small all the same.
    """
    return bootstrap_interval(_differences(a, b), confidence=confidence, n_draws=n_draws, seed=seed)


def _differences(a: Values, b: Values) -> npt.NDArray[np.float64]:
    first, second = _checked(a, "a"), _checked(b, "b")
    if len(first) != len(second):
        raise ValueError(f"a and b must be of the same queries, got {len(first)} and {len(second)} values")
    return first - second


def permutation_test(a: Values, b: Values, *, n_draws: int = 10_000, seed: int = SEED) -> float:
    """Return the two-sided p of a paired permutation test: how often chance alone makes a difference as large.

    If the systems were alike, each query's two values could be swapped: the sign of its difference is drawn at random
    n_draws times. p = (1 + draws at least as extreme) / (1 + n_draws), so it is never 0 (Phipson & Smyth, 2010).
    Raises ValueError as paired_difference does.
    """
    differences = _differences(a, b)
    _check_draws(n_draws)
    observed = abs(differences.mean())
    rng = np.random.default_rng(seed)
    extreme = 0
    for part in _parts(n_draws, len(differences)):
        signs = rng.integers(0, 2, size=(part, len(differences))) * 2 - 1
        extreme += int((np.abs((signs * differences).mean(axis=1)) >= observed - 1e-12).sum())
    return (1 + extreme) / (1 + n_draws)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return the p of each test corrected for their number (Holm, 1979), in the order given.

    The smallest is multiplied by m, the next by m - 1, and so on; none falls below one before it or exceeds 1. Raises
    ValueError for a p outside 0 to 1.
    """
    for name, p in p_values.items():
        if not 0 <= p <= 1:
            raise ValueError(f"p must lie between 0 and 1, got {p} for {name}")
    corrected: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, p_values[name] * (len(p_values) - place)))
        corrected[name] = largest
    return {name: corrected[name] for name in p_values}
