"""A threshold on the score: what falls below it is not shown, so that a question without an answer finds nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from course_lib.core.protocols import Retriever
from course_lib.core.types import Chunk, Ranking
from course_lib.core.validate import FloatArray


@dataclass(frozen=True)
class TradeOff:
    """What each threshold lets through: shares (n,) of the wanted and of the unwanted scores, thresholds falling."""

    thresholds: FloatArray
    wanted: FloatArray
    unwanted: FloatArray


def _scores(values: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"{name} must be a list of at least one score, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but position {int(np.argmin(np.isfinite(array)))} is not")
    return array


def threshold_trade_off(wanted: npt.ArrayLike, unwanted: npt.ArrayLike) -> TradeOff:
    """Return the share of wanted and unwanted scores at or above every threshold that makes a difference.

    wanted, unwanted: one score each, the best hit's of questions with and without an answer. The first threshold is
    infinite and lets nothing through, the last lets everything through: the points of a ROC curve.
    """
    good, bad = _scores(wanted, "wanted"), _scores(unwanted, "unwanted")
    thresholds = np.concatenate([[np.inf], np.unique(np.concatenate([good, bad]))[::-1]])  # (n,)
    shares = [(values[None, :] >= thresholds[:, None]).mean(axis=1) for values in (good, bad)]
    return TradeOff(*(np.asarray(column, dtype=np.float32) for column in (thresholds, *shares)))


def separation(wanted: npt.ArrayLike, unwanted: npt.ArrayLike) -> float:
    """Return how often a wanted score is above an unwanted one, a tie counting half: the area under the ROC curve.

    1: a threshold can tell them apart without an error; 0.5: it does no better than a coin (Hanley & McNeil, 1982).
    """
    good, bad = _scores(wanted, "wanted"), _scores(unwanted, "unwanted")
    above = (good[:, None] > bad[None, :]).mean() + 0.5 * (good[:, None] == bad[None, :]).mean()
    return float(above)


def threshold_for(wanted: npt.ArrayLike, *, keep: float = 0.95) -> float:
    """Return the highest threshold that at least the share keep of the wanted scores reaches.

    Raises ValueError unless 0 < keep <= 1.
    """
    good = np.sort(_scores(wanted, "wanted"))[::-1]
    if not 0 < keep <= 1:
        raise ValueError(f"keep must be above 0 and at most 1, got {keep}; 0.95 keeps 95 of 100")
    return float(good[int(np.ceil(round(keep * len(good), 9))) - 1])


class ThresholdRetriever:
    """A retriever around another that drops hits below a threshold: it may find fewer than k, or nothing.

    Give it scores that mean the same for every query: a cosine, not a BM25 score, and not one of fused ranks.
    """

    def __init__(self, retriever: Retriever, threshold: float) -> None:
        if not np.isfinite(threshold):
            raise ValueError(f"threshold must be a finite number, got {threshold}")
        self.retriever, self.threshold = retriever, threshold

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.retriever.chunk(chunk_id)

    def search(self, query: str, k: int) -> Ranking:
        """Return those of the k best chunks whose score is at least threshold; an empty list if none is."""
        return [hit for hit in self.retriever.search(query, k) if hit.score >= self.threshold]
