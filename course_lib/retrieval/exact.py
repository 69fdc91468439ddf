"""Exact search: compare the query with every vector and keep the k nearest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import FloatArray, NotFittedError, require_k, require_matrix, require_text
from course_lib.retrieval.index_folder import read_index, write_index

DIGITS = 6  # of a similarity: equal vectors differ in the 7th by their place in memory
MARGIN = 8  # hits asked for beyond k, so that ties at the k-th place are seen
BLOCK = 128  # queries compared at once
NPY = "npy 1.0"  # the format that NumPy saves arrays in


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


def k_best(fetch: Callable[[int], Sequence[Hit]], k: int, n: int, *, margin: int = MARGIN) -> Ranking:
    """Return the k best of n, ties by id, from a search that breaks its ties in any way.

    fetch: depth -> at most depth hits, best first. It is asked for k + margin, and for more until all that tie with the
    k-th are there. Returns fewer than k where the search finds fewer.
    """
    depth = min(n, k + margin)
    hits = fetch(depth)
    while len(hits) == depth < n and hits[-1].score >= hits[k - 1].score:
        depth = min(n, 2 * depth)
        hits = fetch(depth)
    return ranked(hits)[:k]


def checked(embeddings: FloatArray, ids: Sequence[str]) -> tuple[FloatArray, list[str]]:
    """Return embeddings (n, dim) as float32 and ids as a list; raise ValueError unless there is one id a row, none twice."""
    matrix, names = require_matrix(embeddings, name="embeddings"), list(ids)
    if len(names) != len(matrix):
        raise ValueError(f"ids must be one for each of the {len(matrix)} embeddings, got {len(names)}")
    if len(set(names)) != len(names):
        raise ValueError("ids must differ from one another: an id comes twice")
    return matrix, names


class ExactIndex:
    """Vectors of length 1 in memory; every search compares the query with all of them."""

    kind = "exact"

    def fit(self, embeddings: FloatArray, ids: Sequence[str]) -> Self:
        """Keep embeddings (n, dim) and their ids. Raises ValueError if their numbers differ or an id comes twice."""
        self.embeddings_, self.ids_ = checked(embeddings, ids)
        return self

    def _fitted(self) -> FloatArray:
        if not hasattr(self, "embeddings_"):
            raise NotFittedError("this index is empty: call fit(embeddings, ids) first")
        return self.embeddings_

    def __len__(self) -> int:
        return len(getattr(self, "ids_", ()))

    @property
    def n_bytes(self) -> int:
        """Bytes of the vectors: 4 a number."""
        return int(self._fitted().nbytes)

    def search(self, query: FloatArray, k: int) -> Ranking:
        """Return the k ids nearest to query (dim,), by dot product. Raises NotFittedError before fit."""
        dim = self._fitted().shape[1]
        query = require_matrix(np.asarray(query)[None, :], name="query", dim=dim)[0]
        require_k(k, len(self.ids_), of="indexed chunks")
        return self._rank(self.embeddings_ @ query, k)

    def search_many(self, queries: FloatArray, k: int) -> list[Ranking]:
        """Return the ranking of each query, queries: (n_queries, dim); one matrix product for many of them."""
        queries = require_matrix(queries, name="queries", dim=self._fitted().shape[1])
        require_k(k, len(self.ids_), of="indexed chunks")
        rankings: list[Ranking] = []
        for start in range(0, len(queries), BLOCK):
            similarities = queries[start : start + BLOCK] @ self.embeddings_.T  # (block, n)
            rankings += [self._rank(row, k) for row in similarities]
        return rankings

    def _rank(self, similarities: FloatArray, k: int) -> Ranking:
        similarities = similarities.round(DIGITS)  # (n,)
        # all that tie with the k-th are candidates, so that ranked() lets ties fall by id
        kth = similarities[top_k(similarities, k)[-1]]
        candidates = np.flatnonzero(similarities >= kth)
        return ranked(Hit(self.ids_[i], float(similarities[i])) for i in candidates)[:k]

    def save(self, folder: Path | str) -> None:
        """Write the index to a folder, in place of one that lies there. Raises SavedIndexError, NotFittedError."""
        embeddings = self._fitted()
        write_index(
            folder,
            kind=self.kind,
            library=NPY,
            embeddings_shape=(len(embeddings), embeddings.shape[1]),
            ids=self.ids_,
            knobs={},
            seconds=0.0,
            writers={"embeddings.npy": lambda path: np.save(path, embeddings)},
        )

    @classmethod
    def load(cls, folder: Path | str, *, dim: int | None = None) -> Self:
        """Return the index that was saved in a folder. Raises SavedIndexError if it cannot be used; see read_index."""
        _, paths, ids = read_index(folder, kinds=[cls.kind], library=NPY, dim=dim)
        return cls().fit(np.load(paths["embeddings.npy"], allow_pickle=False), ids)


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
