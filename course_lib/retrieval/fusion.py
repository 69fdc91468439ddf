"""Several rankings into one."""

from __future__ import annotations

from collections.abc import Sequence

from course_lib.core.protocols import Retriever
from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import require_k


def reciprocal_rank_fusion(rankings: Sequence[Ranking], *, rank_constant: int = 60) -> Ranking:
    """Add 1 / (rank_constant + rank) over all rankings, rank counted from 1 (Cormack et al., 2009).

    Looks at ranks only, so scores of different kinds need no scaling. A chunk that a ranking lacks gets nothing from
    it. Raises ValueError if rank_constant is negative.
    """
    if rank_constant < 0:
        raise ValueError(f"rank_constant must be at least 0, got {rank_constant}; 60 is usual")
    fused: dict[str, float] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, start=1):
            fused[hit.chunk_id] = fused.get(hit.chunk_id, 0.0) + 1 / (rank_constant + rank)
    return ranked(Hit(chunk_id, score) for chunk_id, score in fused.items())


class FusedRetriever:
    """Several retrievers over the same chunks, fused by rank. depth: how many hits of each are fused."""

    def __init__(self, *retrievers: Retriever, depth: int = 100, n_chunks: int) -> None:
        self.retrievers, self.depth, self.n_chunks = retrievers, depth, n_chunks

    def __len__(self) -> int:
        return self.n_chunks

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks; scores are sums of 1 / (60 + rank), scaled so that first in all is 1."""
        require_k(k, self.n_chunks, of="indexed chunks")
        depth = min(max(self.depth, k), self.n_chunks)
        fused = reciprocal_rank_fusion([retriever.search(query, depth) for retriever in self.retrievers])
        best = len(self.retrievers) / 61
        return [Hit(hit.chunk_id, hit.score / best) for hit in fused[:k]]

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.retrievers[0].chunk(chunk_id)
