"""The right answers of lesson 12's exercise, with NumPy alone; the checks compare with these and build slips from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Shapes = list[tuple[int, int]]


def adapter_size(shapes: Shapes, rank: int) -> int:
    """Return how many numbers A and B hold in layers of these shapes (d_out, d_in)."""
    return sum(rank * (d_out + d_in) for d_out, d_in in shapes)


def placed(paths: Sequence[str], targets: Sequence[str]) -> list[str]:
    """Return the paths that are one of the names, or end with a dot and one of them."""
    return [path for path in paths if any(path == name or path.endswith("." + name) for name in targets)]


def forward(x: Array, weight: Array, a: Array, b: Array, alpha: float) -> Array:
    """Return the output of the frozen layer plus its scaled update, (n, d_out)."""
    result: Array = x @ weight.T + alpha / len(a) * (x @ a.T) @ b.T
    return result


def gradients(x: Array, a: Array, b: Array, alpha: float, g: Array) -> tuple[Array, Array]:
    """Return the gradients of A, (rank, d_in), and of B, (d_out, rank); g: that of the output, (n, d_out)."""
    scaling = alpha / len(a)
    return scaling * (g @ b).T @ x, scaling * g.T @ (x @ a.T)


def share_kept(values: Array, rank: int) -> float:
    """Return the share of the squares that the first `rank` values hold."""
    squares = values**2
    return float(squares[:rank].sum() / squares.sum())


def to_bfloat16(values: Array) -> Array:
    """Return the nearest numbers with 8 significant bits."""
    fraction, exponent = np.frexp(values)
    rounded: Array = np.ldexp(np.round(fraction * 256) / 256, exponent)
    return rounded
