"""Exact search: compare the query with every vector and keep the k nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import FloatArray, NotFittedError, require_k, require_matrix, require_text


def top_k(similarities: FloatArray, k: int) -> list[int]:
    """Return the positions of the k largest similarities, largest first, equal ones in order of position.

    similarities: (n,). Takes O(n + k log k): a partial selection, then a sort of what was selected.
    Raises ValueError unless 1 <= k <= n, or if a similarity is NaN.
    """
    similarities = np.asarray(similarities)  # (n,)
    require_k(k, len(similarities), of="similarities")
    if np.isnan(similarities).any():
        raise ValueError(f"similarities must not be NaN, but position {int(np.isnan(similarities).argmax())} is")
    kth = np.partition(similarities, -k)[-k]  # the k-th largest value; all above it are in
    above = np.flatnonzero(similarities > kth)
    equal = np.flatnonzero(similarities == kth)[: k - len(above)]
    chosen = np.concatenate([above, equal])
    return [int(i) for i in chosen[np.lexsort((chosen, -similarities[chosen]))]]


class ExactIndex:
    """Vectors of length 1 in memory; every search compares the query with all of them."""

    def fit(self, embeddings: FloatArray, ids: Sequence[str]) -> Self:
        """Keep embeddings (n, dim) and their ids. Raises ValueError if their numbers differ or an id comes twice."""
        self.embeddings_ = require_matrix(embeddings, name="embeddings")
        self.ids_ = list(ids)
        if len(self.ids_) != len(self.embeddings_):
            raise ValueError(
                f"ids must be one for each of the {len(self.embeddings_)} embeddings, got {len(self.ids_)}"
            )
        if len(set(self.ids_)) != len(self.ids_):
            raise ValueError("ids must differ from one another: an id comes twice")
        return self

    def search(self, query: FloatArray, k: int) -> Ranking:
        """Return the k ids nearest to query (dim,), by dot product. Raises NotFittedError before fit."""
        if not hasattr(self, "embeddings_"):
            raise NotFittedError("this index is empty: call fit(embeddings, ids) first")
        query = require_matrix(np.asarray(query)[None, :], name="query", dim=self.embeddings_.shape[1])[0]
        require_k(k, len(self.ids_), of="indexed chunks")
        similarities = (self.embeddings_ @ query).round(6)  # (n,); equal vectors differ in the 7th digit by their place
        # all that tie with the k-th are candidates, so that ranked() lets ties fall by id
        kth = similarities[top_k(similarities, k)[-1]]
        candidates = np.flatnonzero(similarities >= kth)
        return ranked(Hit(self.ids_[i], float(similarities[i])) for i in candidates)[:k]


def indexed_text(chunk: Chunk) -> str:
    """Return what is embedded for a chunk: its title, then its text."""
    return f"{chunk.title}. {chunk.text}"


class DenseRetriever:
    """Chunks searched by meaning: an embedder and an exact index."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def fit(self, chunks: Sequence[Chunk], embeddings: FloatArray | None = None) -> Self:
        """Index the chunks; embeddings (n, dim), if given, are those of `indexed_text` of each chunk."""
        self.chunks_ = {chunk.chunk_id: chunk for chunk in chunks}
        if embeddings is None:
            embeddings = self.embedder([indexed_text(chunk) for chunk in chunks])
        self.index_ = ExactIndex().fit(embeddings, [chunk.chunk_id for chunk in chunks])
        return self

    def __len__(self) -> int:
        return len(getattr(self, "chunks_", ()))

    def add(self, chunks: Sequence[Chunk]) -> Self:
        """Return a new retriever that also knows these chunks; only they are embedded."""
        if not hasattr(self, "index_"):
            raise NotFittedError("this retriever is empty: call fit(chunks) first")
        embeddings = np.vstack([self.index_.embeddings_, self.embedder([indexed_text(chunk) for chunk in chunks])])
        return type(self)(self.embedder).fit([*self.chunks_.values(), *chunks], embeddings)

    def without(self, *doc_ids: str) -> Self:
        """Return a new retriever that has forgotten every chunk of these documents."""
        if not hasattr(self, "index_"):
            raise NotFittedError("this retriever is empty: call fit(chunks) first")
        missing = set(doc_ids) - {chunk.doc_id for chunk in self.chunks_.values()}
        if missing:
            raise ValueError(f"doc_id must be in the index, but {', '.join(sorted(missing))} is not")
        keep = [i for i, chunk in enumerate(self.chunks_.values()) if chunk.doc_id not in doc_ids]
        chunks = list(self.chunks_.values())
        return type(self)(self.embedder).fit([chunks[i] for i in keep], self.index_.embeddings_[keep])

    def search(self, query: str, k: int) -> Ranking:
        """Return the k chunks whose vectors are nearest to the query's; score: cosine, -1 to 1."""
        if not hasattr(self, "index_"):
            raise NotFittedError("this retriever is empty: call fit(chunks) first")
        require_text(query, name="query")
        return self.index_.search(self.embedder([query])[0], k)

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.chunks_[chunk_id]
