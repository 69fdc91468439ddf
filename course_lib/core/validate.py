"""Errors that name the argument, the rule, the value and the remedy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


class NotFittedError(RuntimeError):
    """Raised when an object is used before `fit`."""


def require_k(k: int, n: int, *, of: str) -> None:
    """Raise unless k is a whole number between 1 and n; `of` says what is counted ("indexed chunks")."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)):
        raise TypeError(f"k must be a whole number, got {k!r} ({type(k).__name__}); write k=5, for example")
    if n == 0:
        raise ValueError(f"there are no {of}: add some before you search")
    if not 1 <= k <= n:
        raise ValueError(f"k must be between 1 and the {n} {of}, got {k}")


def require_text(text: object, *, name: str) -> str:
    """Return text unchanged; raise TypeError unless it is a str, ValueError if it holds nothing but white space."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, got {type(text).__name__}: {text!r:.60}")
    if not text.strip():
        raise ValueError(f"{name} must not be empty; got {text!r}: type at least one word")
    return text


def require_matrix(array: object, *, name: str, dim: int | None = None) -> FloatArray:
    """Return array as float32 of shape (n, dim); raise on another number of axes, another dim, NaN or infinity."""
    matrix = np.asarray(array, dtype=np.float32)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must have two axes (n, dim), got shape {matrix.shape}; one vector is x[None, :]")
    if dim is not None and matrix.shape[1] != dim:
        raise ValueError(
            f"{name} must have {dim} columns like the index, got {matrix.shape[1]}; embed both with the same model"
        )
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise ValueError(f"{name} must be finite, but row {row} holds NaN or infinity; look at the text of that row")
    return matrix
