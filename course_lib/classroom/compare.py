"""Compares what a learner's function returned with what is right. Nothing here raises, whatever was returned."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def describe(value: Any) -> str:
    """Say in a few words what a value is: its type, and shape or length where it has one."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, (list, tuple, dict, str, set)):
        article = "an" if type(value).__name__[0].lower() in "aeiou" else "a"
        return f"{article} {type(value).__name__} of length {len(value)}"
    return f"{_shown(value)} ({type(value).__name__})"


def _shown(value: Any) -> str:
    try:
        return repr(value)[:60]
    except Exception:  # a whole number of 5000 digits, or a __repr__ of the learner's that fails
        return "something that cannot be shown"


def real_numbers(value: Any) -> FloatArray | None:
    """Return an array or a nested list as float64; None if it is ragged or holds text, complex numbers or the like.

    In arrays, booleans count as 0 and 1.
    """
    if not isinstance(value, (np.ndarray, list, tuple)) or not _only_numbers(value, 0):
        return None
    try:
        with np.errstate(all="ignore"):
            return np.asarray(value).astype(np.float64)
    except (ValueError, TypeError, OverflowError):  # ragged, or a whole number beyond all floats
        return None


def _only_numbers(value: Any, depth: int) -> bool:
    """Looked at before NumPy does: from a list with one long text, it would make an array of long texts."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return value.dtype.kind in "biuf"
    if isinstance(value, (np.ndarray, list, tuple)):
        items = value.flat if isinstance(value, np.ndarray) else value
        return depth < 20 and all(_only_numbers(item, depth + 1) for item in items)
    return isinstance(value, (numbers.Real, np.bool_))


def agree(value: Any, expected: Any, tolerance: float) -> bool:
    """Whether value equals expected: numbers within tolerance (relative and absolute), all else exactly.

    Lists and tuples count as alike, and so do arrays where numbers are expected; a single number is never a bool. Never
    raises, whatever value is.
    """
    if isinstance(expected, np.ndarray):
        array = real_numbers(value)
        if array is None or array.shape != expected.shape:
            return False
        return bool(np.allclose(array, expected, rtol=tolerance, atol=tolerance))
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value.item()
    if isinstance(expected, (bool, np.bool_)):
        return isinstance(value, (bool, np.bool_)) and bool(value) == bool(expected)
    if isinstance(expected, (int, float, np.integer, np.floating)):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
            return False
        try:
            return bool(np.isclose(float(value), float(expected), rtol=tolerance, atol=tolerance))
        except OverflowError:
            return False
    if isinstance(expected, (list, tuple)):
        if not isinstance(value, (list, tuple, np.ndarray)) or len(value) != len(expected):
            return False
        items = value.tolist() if isinstance(value, np.ndarray) else value
        return all(agree(a, b, tolerance) for a, b in zip(items, expected, strict=True))
    if isinstance(expected, dict):
        if not isinstance(value, dict) or len(value) != len(expected) or set(value) != set(expected):
            return False
        return all(agree(value[key], expected[key], tolerance) for key in expected)
    if type(expected) is str and isinstance(value, np.str_):
        value = str(value)
    return type(value) is type(expected) and bool(value == expected)


def unchanged(after: Any, before: Any) -> bool:
    """Whether an argument still is what it was: in kind, shape and every value. NaN equals NaN here."""
    if after is before:
        return True
    if isinstance(before, np.ndarray):
        alike = isinstance(after, np.ndarray) and (after.dtype, after.shape) == (before.dtype, before.shape)
        return alike and np.array_equal(after, before, equal_nan=before.dtype.kind in "fc")
    if type(after) is not type(before):
        return False
    if isinstance(before, (list, tuple)):
        return len(after) == len(before) and all(map(unchanged, after, before))
    if isinstance(before, dict):
        return list(after) == list(before) and all(unchanged(after[key], before[key]) for key in before)
    if isinstance(before, float) and before != before:
        return bool(after != after)
    if hasattr(before, "__dict__"):
        return unchanged(vars(after), vars(before))
    return bool(after == before)
