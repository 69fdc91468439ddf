"""Maximal marginal relevance: each next hit is to be relevant, and unlike the hits above it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from course_lib.core.protocols import Retriever
from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.core.validate import FloatArray, require_k, require_matrix


def maximal_marginal_relevance(
    relevance: npt.ArrayLike, similarities: FloatArray, *, k: int, relevance_weight: float = 0.7
) -> list[int]:
    """Return k positions in the order in which they are picked (Carbonell & Goldstein, 1998).

    Next comes the largest w * relevance - (1 - w) * (similarity to the most similar one picked), w = relevance_weight;
    the first has nothing to be similar to. relevance: (n,); similarities: (n, n). Equal ones in order of position.
    Raises ValueError unless 0 <= w <= 1 and 1 <= k <= n, if shapes disagree, and for NaN or infinity.
    """
    relevant = np.asarray(relevance, dtype=np.float64)  # (n,)
    similarities = require_matrix(similarities, name="similarities")  # (n, n)
    n = len(similarities)
    if relevant.shape != (n,) or similarities.shape != (n, n):
        raise ValueError(
            f"relevance must be (n,) and similarities (n, n), got {relevant.shape} and {similarities.shape}"
        )
    if not np.isfinite(relevant).all():
        raise ValueError(f"relevance must be finite, but position {int(np.argmin(np.isfinite(relevant)))} is not")
    if not 0 <= relevance_weight <= 1:
        raise ValueError(f"relevance_weight must lie between 0 and 1, got {relevance_weight}; 1 keeps the order")
    require_k(k, n, of="hits to choose from")
    nearest = np.zeros(n)  # (n,) similarity to the most similar one picked
    left = np.ones(n, dtype=bool)
    picked: list[int] = []
    for _ in range(k):
        marginal = relevance_weight * relevant - (1 - relevance_weight) * nearest  # (n,)
        best = int(np.argmax(np.where(left, marginal, -np.inf)))
        nearest = similarities[best].copy() if not picked else np.maximum(nearest, similarities[best])
        picked.append(best)
        left[best] = False
    return picked


def crowding(similarities: FloatArray, *, threshold: float = 0.8) -> float:
    """Return the share of the hits below the first that repeat one above: similarity at least threshold, 0 to 1.

    similarities: (k, k) between the hits, in order of rank. Raises ValueError for fewer than two hits.
    """
    similarities = require_matrix(similarities, name="similarities")
    if len(similarities) != similarities.shape[1] or len(similarities) < 2:
        raise ValueError(f"similarities must be (k, k) of at least two hits, got {similarities.shape}")
    return float(np.mean([similarities[i, :i].max() >= threshold for i in range(1, len(similarities))]))


def diversified(
    ranking: Ranking, vectors: Mapping[str, FloatArray], *, relevance_weight: float = 0.7, depth: int = 20
) -> Ranking:
    """Return a ranking whose depth best hits stand in an order of maximal marginal relevance; the others follow.

    vectors: chunk_id -> (dim,), of length 1. Relevance is the score, scaled to 0 (the lowest of the depth best) to 1, so
    that any first stage will do. The new scores are the old ones, moved to the places: larger is better, and nothing
    more. Raises KeyError for a hit without a vector.
    """
    head = ranking[:depth]
    if not head:
        return []
    scores = np.array([hit.score for hit in head])  # (n,)
    spread = scores.max() - scores.min()
    relevance = (scores - scores.min()) / spread if spread > 0 else np.ones(len(head))
    matrix = np.stack([vectors[hit.chunk_id] for hit in head])  # (n, dim)
    order = maximal_marginal_relevance(relevance, matrix @ matrix.T, k=len(head), relevance_weight=relevance_weight)
    return [Hit(head[i].chunk_id, hit.score) for i, hit in zip(order, head, strict=True)] + ranking[depth:]


class MMRReranker:
    """A retriever around another whose best hits are put in an order of maximal marginal relevance.

    vectors: chunk_id -> (dim,), of length 1. The depth best hits are reordered by `diversified`.
    """

    def __init__(
        self,
        retriever: Retriever,
        vectors: Mapping[str, FloatArray],
        *,
        relevance_weight: float = 0.7,
        depth: int = 20,
    ) -> None:
        if not 0 <= relevance_weight <= 1:
            raise ValueError(f"relevance_weight must lie between 0 and 1, got {relevance_weight}; 1 keeps the order")
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        self.retriever, self.vectors, self.relevance_weight, self.depth = retriever, vectors, relevance_weight, depth

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.retriever.chunk(chunk_id)

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks. Raises ValueError if k is larger than depth: no hit below it is reordered."""
        require_k(k, self.depth, of="hits that are reordered (depth)")
        return self.rerank(query, self.retriever.search(query, self.depth))[:k]

    def rerank(self, query: str, ranking: Ranking) -> Ranking:
        """Return the hits of ranking in their new order, as `diversified` makes it."""
        return diversified(ranking, self.vectors, relevance_weight=self.relevance_weight, depth=self.depth)
