"""A second, slower reading of the best hits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from course_lib.core.protocols import Message, Retriever
from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import FloatArray, require_k

ASK = "Write a question that this passage answers."


class LikelihoodModel(Protocol):
    """A language model that can say how likely a reply is."""

    def mean_log_likelihood(self, conversations: Sequence[Sequence[Message]], reply: str) -> list[float]:
        """Return, for each conversation, the mean of ln p(token) over the reply's tokens."""
        ...


def likelihood_prompt(passage: str) -> list[Message]:
    """Return the conversation after which the query's likelihood is measured: a passage, and the wish for a question."""
    return [{"role": "user", "content": f"{passage}\n\n{ASK}"}]


def standardised(values: FloatArray) -> FloatArray:
    """Return values with mean 0 and standard deviation 1; all zeros if they are all equal."""
    values = np.asarray(values, dtype=np.float32)
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


class SecondReading:
    """A retriever whose best hits are read again: what every reranker of this kind shares.

    The depth best hits are scored anew by `scores`; their final score is the standardised new score plus weight times the
    standardised score of the first stage; weight 0 leaves the first stage out. Hits below depth keep their order after
    them, with scores one below the lowest. Raises ValueError for a depth below 1 or a weight below 0.
    """

    def __init__(self, retriever: Retriever, *, depth: int, weight: float) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        if weight < 0:
            raise ValueError(f"weight must be at least 0, got {weight}; 0 leaves the first stage out")
        self.retriever, self.depth, self.weight = retriever, depth, weight

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.retriever.chunk(chunk_id)

    def scores(self, query: str, chunk_ids: Sequence[str]) -> FloatArray:
        """Return how well each chunk answers the query, shape (n,); larger is better, comparable for one query only."""
        raise NotImplementedError(f"{type(self).__name__} must say how it reads: define scores")

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks. Raises ValueError if k is larger than depth: no hit below it was read."""
        require_k(k, self.depth, of="hits that are read again (depth)")
        return self.rerank(query, self.retriever.search(query, self.depth))[:k]

    def rerank(self, query: str, ranking: Ranking) -> Ranking:
        """Return the hits of ranking in their new order, with their new scores."""
        head, tail = ranking[: self.depth], ranking[self.depth :]
        if not head:
            return []
        read = standardised(self.scores(query, [hit.chunk_id for hit in head]))  # (n,)
        first_stage = standardised(np.array([hit.score for hit in head]))  # (n,)
        new = read + self.weight * first_stage  # (n,)
        order = ranked(Hit(hit.chunk_id, float(score)) for hit, score in zip(head, new, strict=True))
        below = order[-1].score - 1 - (tail[0].score if tail else 0)
        return order + [Hit(hit.chunk_id, below + hit.score) for hit in tail]


class QueryLikelihoodReranker(SecondReading):
    """Rerank the hits of a retriever by how likely the query is, given each passage (Sachan et al., 2022)."""

    def __init__(self, retriever: Retriever, model: LikelihoodModel, *, depth: int = 10, weight: float = 1.0) -> None:
        super().__init__(retriever, depth=depth, weight=weight)
        self.model = model

    def scores(self, query: str, chunk_ids: Sequence[str]) -> FloatArray:
        """Return the mean ln p of the query's tokens after each passage, shape (n,), each <= 0."""
        chunks = [self.chunk(name) for name in chunk_ids]
        conversations = [likelihood_prompt(f"{chunk.title} ({chunk.date:%B %Y}). {chunk.text}") for chunk in chunks]
        return np.asarray(self.model.mean_log_likelihood(conversations, query), dtype=np.float32)
