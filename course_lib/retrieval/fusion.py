"""Several rankings into one: by rank, or by scores that were brought to one scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.core.protocols import Retriever
from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import require_k

Scores = npt.NDArray[np.float64]
Scale = Callable[[npt.ArrayLike], Scores]


def _finite(scores: npt.ArrayLike) -> Scores:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"scores must be a list of at least one number, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"scores must be finite, but position {int(np.argmin(np.isfinite(array)))} is not")
    return array


def min_max(scores: npt.ArrayLike) -> Scores:
    """Return scores (n,) moved and stretched so that the lowest is 0 and the highest 1.

    Where all are equal, 0 / 0 is undefined: all become 0, for they tell nothing apart. Raises ValueError for NaN.
    """
    array = _finite(scores)  # (n,)
    low, high = array.min(), array.max()
    return np.zeros_like(array) if low == high else (array - low) / (high - low)


def z_score(scores: npt.ArrayLike) -> Scores:
    """Return scores (n,) as distances from their mean in standard deviations (of the n, not of n - 1).

    One hit far above the rest keeps its lead, which min-max would cut to 1. All equal: all 0, as in `min_max`. Raises
    ValueError for NaN.
    """
    array = _finite(scores)  # (n,)
    return np.zeros_like(array) if array.min() == array.max() else (array - array.mean()) / array.std()


SCALES: Mapping[str, Scale] = {"min_max": min_max, "z_score": z_score}
METHODS = ("rrf", *SCALES)


def require_weights(weights: Sequence[float] | None, n: int) -> list[float]:
    """Return one weight for each of n rankings, 1 each for None; raise ValueError for another number or a negative."""
    if weights is None:
        return [1.0] * n
    if len(weights) != n:
        raise ValueError(f"weights must be one for each of the {n} rankings, got {len(weights)}")
    if not all(0 <= weight < np.inf for weight in weights) or (n and not sum(weights) > 0):
        raise ValueError(f"weights must be at least 0 and not all 0, got {list(weights)}")
    return [float(weight) for weight in weights]


def _require_different(rankings: Sequence[Ranking]) -> None:
    for number, ranking in enumerate(rankings, start=1):
        if len({hit.chunk_id for hit in ranking}) < len(ranking):
            raise ValueError(f"a chunk must stand once in a ranking, but ranking {number} holds one twice")


def reciprocal_rank_fusion(
    rankings: Sequence[Ranking], *, rank_constant: int = 60, weights: Sequence[float] | None = None
) -> Ranking:
    """Add weight / (rank_constant + rank) over all rankings, rank counted from 1 (Cormack et al., 2009).

    Looks at ranks only, so scores of different kinds need no scaling. A chunk that a ranking lacks gets nothing from
    it. weights: one a ranking, 1 each by default. Raises ValueError if rank_constant or a weight is negative, or a
    ranking holds a chunk twice.
    """
    if rank_constant < 0:
        raise ValueError(f"rank_constant must be at least 0, got {rank_constant}; 60 is usual")
    _require_different(rankings)
    parts: dict[str, list[float]] = {}
    for ranking, weight in zip(rankings, require_weights(weights, len(rankings)), strict=True):
        for rank, hit in enumerate(ranking, start=1):
            parts.setdefault(hit.chunk_id, []).append(weight / (rank_constant + rank))
    return ranked(Hit(name, math.fsum(each)) for name, each in parts.items())  # fsum: the same in whatever order


def weighted_fusion(
    rankings: Sequence[Ranking], *, weights: Sequence[float] | None = None, scale: Scale = min_max
) -> Ranking:
    """Add the scaled scores of all rankings, times their weights; weights are first divided by their sum.

    scale: `min_max` (scores 0 to 1) or `z_score`, applied to each ranking by itself. A chunk that a ranking lacks gets
    the lowest scaled score of that ranking. An empty ranking counts for nothing. Raises ValueError for NaN, weights
    that do not fit, or a ranking that holds a chunk twice.
    """
    _require_different(rankings)
    shares = np.array(require_weights(weights, len(rankings)))
    names = list(dict.fromkeys(hit.chunk_id for ranking in rankings for hit in ranking))
    row = {name: i for i, name in enumerate(names)}
    total = np.zeros(len(names))  # (n_chunks,)
    for ranking, share in zip(rankings, shares / max(shares.sum(), 1e-300), strict=True):
        if ranking:
            scaled = scale([hit.score for hit in ranking])  # (n_hits,)
            column = np.full(len(names), scaled.min())
            column[[row[hit.chunk_id] for hit in ranking]] = scaled
            total += share * column
    return ranked(Hit(name, score) for name, score in zip(names, total.round(12).tolist(), strict=True))


def fuse(
    rankings: Sequence[Ranking],
    *,
    method: str = "rrf",
    weights: Sequence[float] | None = None,
    rank_constant: int = 60,
) -> Ranking:
    """Fuse by one of METHODS: rrf, min_max, z_score. rank_constant is for rrf only. Raises ValueError for another."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "rrf":
        return reciprocal_rank_fusion(rankings, rank_constant=rank_constant, weights=weights)
    return weighted_fusion(rankings, weights=weights, scale=SCALES[method])


def says_nothing(ranking: Ranking) -> bool:
    """Whether all scores of a ranking are equal: then its order is that of the ids, and no evidence."""
    return len(ranking) > 1 and ranking[0].score == ranking[-1].score


class FusedRetriever:
    """Several retrievers over the same chunks, fused. depth: how many hits of each are fused.

    method: "rrf" (by rank), "min_max" or "z_score" (by scaled score). weights: one a retriever, alike by default.
    """

    def __init__(
        self,
        *retrievers: Retriever,
        depth: int = 100,
        n_chunks: int,
        method: str = "rrf",
        weights: Sequence[float] | None = None,
        rank_constant: int = 60,
    ) -> None:
        if not retrievers:
            raise ValueError("retrievers must be at least one, got none")
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}; 100 is usual")
        self.options: dict[str, Any] = {"method": method, "rank_constant": rank_constant}
        fuse([], **self.options)  # raises for what does not exist
        self.retrievers, self.depth, self.n_chunks = retrievers, depth, n_chunks
        self.weights = require_weights(weights, len(retrievers))

    def __len__(self) -> int:
        return self.n_chunks

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks. Scores of rrf are scaled so that first in all is 1.

        A ranking that says nothing, because no word of the query is known, is left out.
        """
        require_k(k, self.n_chunks, of="indexed chunks")
        depth = min(max(self.depth, k), self.n_chunks)
        rankings = [retriever.search(query, depth) for retriever in self.retrievers]
        kept = [i for i, ranking in enumerate(rankings) if not says_nothing(ranking) and self.weights[i] > 0]
        if not kept:
            kept = list(range(len(rankings)))
        fused = fuse([rankings[i] for i in kept], weights=[self.weights[i] for i in kept], **self.options)
        best = sum(self.weights) / (self.options["rank_constant"] + 1) if self.options["method"] == "rrf" else 1.0
        return [Hit(hit.chunk_id, hit.score / best) for hit in fused[:k]]

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.retrievers[0].chunk(chunk_id)
