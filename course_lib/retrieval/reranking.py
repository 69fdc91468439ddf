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


class QueryLikelihoodReranker:
    """Rerank the hits of a retriever by how likely the query is, given each passage (Sachan et al., 2022).

    The depth best hits are read by the language model; their final score is the standardised log-likelihood of the
    query plus weight times the standardised score of the first stage. Hits below depth keep their order after them.
    """

    def __init__(self, retriever: Retriever, model: LikelihoodModel, *, depth: int = 10, weight: float = 1.0) -> None:
        self.retriever, self.model, self.depth, self.weight = retriever, model, depth, weight

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.retriever.chunk(chunk_id)

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks. Raises ValueError if k is larger than depth: no hit below it was read."""
        require_k(k, self.depth, of="hits that are read again (depth)")
        return self.rerank(query, self.retriever.search(query, self.depth))[:k]

    def rerank(self, query: str, ranking: Ranking) -> Ranking:
        """Return the hits of ranking in their new order, with their new scores."""
        if not ranking:
            return []
        chunks = [self.chunk(hit.chunk_id) for hit in ranking]
        conversations = [likelihood_prompt(f"{chunk.title} ({chunk.date:%B %Y}). {chunk.text}") for chunk in chunks]
        likelihood = standardised(np.array(self.model.mean_log_likelihood(conversations, query)))  # (n,)
        first_stage = standardised(np.array([hit.score for hit in ranking]))  # (n,)
        scores = likelihood + self.weight * first_stage  # (n,)
        return ranked(Hit(hit.chunk_id, float(score)) for hit, score in zip(ranking, scores, strict=True))
