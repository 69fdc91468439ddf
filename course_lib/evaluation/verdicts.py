"""How good scores are at telling two kinds apart: AUC, balanced error, and a share with its interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from course_lib.evaluation.significance import Interval

Z = {0.9: 1.6449, 0.95: 1.96, 0.99: 2.5758}  # how many standard errors hold that share of a normal curve


def _sides(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The scores of those that are, and of those that are not."""
    values, kinds = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    if values.ndim != 1 or values.shape != kinds.shape:
        raise ValueError(f"scores and labels must be two lists of one length, got {values.shape} and {kinds.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"scores must be finite, but position {int(np.argmin(np.isfinite(values)))} is not")
    if kinds.all() or not kinds.any():
        raise ValueError(
            f"labels must hold both kinds, got {int(kinds.sum())} of {len(kinds)} true: undefined otherwise"
        )
    return values[kinds], values[~kinds]


def auc(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the share of pairs (one true, one false) that scores put in the right order; ties count half.

    The area under the ROC curve (Hanley & McNeil, 1982): 0.5 is chance, 1 perfect, whatever the threshold. scores,
    labels: (n,). Raises ValueError where one of the labels is missing, or for scores that are not finite.
    """
    true, false = _sides(scores, labels)
    difference = true[:, None] - false[None, :]  # (n_true, n_false)
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def balanced_error(scores: npt.ArrayLike, labels: npt.ArrayLike, *, threshold: float) -> float:
    """Return the mean of two shares: the true that score below threshold, and the false that reach it.

    0.5 for a verdict that is always the same, however rare one label is. Raises as `auc`.
    """
    true, false = _sides(scores, labels)
    return float(((true < threshold).mean() + (false >= threshold).mean()) / 2)


def share_interval(hits: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return hits / n with Wilson's interval (1927), which has a width even for none and for all.

    The bootstrap has none there. Raises ValueError unless 0 <= hits <= n with n >= 1, and for a confidence not in Z.
    """
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"hits must be between 0 and n, and n at least 1, got {hits} of {n}")
    if confidence not in Z:
        raise ValueError(f"confidence must be one of {', '.join(map(str, Z))}, got {confidence}")
    z, share = Z[confidence], hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), n, confidence)
