"""BM25: search by the words that query and chunk share, rare words first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import NotFittedError, require_k, require_text
from course_lib.retrieval.exact import indexed_text
from course_lib.retrieval.tokenising import Tokeniser, stems

Array = npt.NDArray[np.floating[Any]]
TERMS_AT_ONCE = 128  # of a query of 10,000 words, so many rows of (n_terms, n_docs) are in memory together


class Scorer(Protocol):
    """A formula such as `bm25_scores`: (n_terms, n_docs) occurrences to (n_docs,) scores."""

    def __call__(
        self, tf: Array, df: Array, doc_len: Array, *, n_docs: int, mean_len: float, k1: float, b: float
    ) -> Array: ...


def bm25_scores(
    tf: Array, df: Array, doc_len: Array, *, n_docs: int, mean_len: float, k1: float = 1.2, b: float = 0.75
) -> Array:
    """Score every document for one query, as Lucene does (Robertson & Zaragoza, 2009).

    tf: (n_terms, n_docs) occurrences; df: (n_terms,) documents that hold the term; doc_len: (n_docs,) tokens.
    Returns (n_docs,) scores >= 0, comparable within one query only. `bm25_variants` has the other forms.
    """
    idf = np.log1p((n_docs - df + 0.5) / (df + 0.5))  # (n_terms,)
    length_norm = 1 - b + b * doc_len / mean_len  # (n_docs,)
    saturation = tf / (tf + k1 * length_norm)  # (n_terms, n_docs), each < 1
    return np.asarray(idf @ saturation)  # (n_docs,)


def require_parameters(k1: float, b: float) -> None:
    """Raise ValueError unless k1 is above 0 and b between 0 and 1."""
    if not 0 < k1 < np.inf:
        raise ValueError(f"k1 must be above 0 and finite, got {k1}; 1.2 is usual, and near 0 repeats hardly count")
    if not 0 <= b <= 1:
        raise ValueError(f"b must lie between 0 (length ignored) and 1 (length in full), got {b}; 0.75 is usual")


def by_id(chunks: Sequence[Chunk]) -> dict[str, Chunk]:
    """Return chunk_id -> chunk. Raises ValueError if there is no chunk or an id comes twice."""
    if not chunks:
        raise ValueError("chunks must hold at least one chunk, got none")
    named = {chunk.chunk_id: chunk for chunk in chunks}
    if len(named) < len(chunks):
        twice = Counter(chunk.chunk_id for chunk in chunks).most_common(1)[0][0]
        raise ValueError(f"chunk_id must differ from chunk to chunk, but {twice!r} comes twice; give each its own")
    return named


class BM25Retriever:
    """Chunks searched by words: an inverted index and the formula above, computed anew for each query.

    This is the form to read. `FastBM25Retriever` returns the same rankings, from scores computed beforehand.
    """

    def __init__(
        self, *, k1: float = 1.2, b: float = 0.75, tokenise: Tokeniser = stems, score: Scorer = bm25_scores
    ) -> None:
        require_parameters(k1, b)
        self.k1, self.b, self.tokenise, self.score = k1, b, tokenise, score

    def fit(self, chunks: Sequence[Chunk]) -> Self:
        """Index the chunks: for each term, which hold it and how often. Raises ValueError for none, or an id twice."""
        self.chunks_ = by_id(chunks)
        self.ids_ = list(self.chunks_)
        self.postings_: dict[str, dict[int, int]] = {}  # term -> {position of the chunk: occurrences}
        lengths = []
        for row, chunk in enumerate(self.chunks_.values()):
            terms = self.tokenise(indexed_text(chunk))
            lengths.append(len(terms))
            for term, count in Counter(terms).items():
                self.postings_.setdefault(term, {})[row] = count
        self.doc_len_ = np.array(lengths, dtype=np.float64)  # (n_docs,)
        return self

    def __len__(self) -> int:
        return len(getattr(self, "chunks_", ()))

    def scores(self, query: str) -> Array:
        """Return the score of every chunk, (n_docs,), in the order of fit; a term that comes twice counts once."""
        if not hasattr(self, "postings_"):
            raise NotFittedError("this retriever is empty: call fit(chunks) first")
        terms = [term for term in dict.fromkeys(self.tokenise(query)) if term in self.postings_]
        total = np.zeros(len(self.ids_))  # (n_docs,)
        for start in range(0, len(terms), TERMS_AT_ONCE):
            rows = [self.postings_[term] for term in terms[start : start + TERMS_AT_ONCE]]
            tf = np.zeros((len(rows), len(self.ids_)))  # (n_terms, n_docs)
            for row, counts in enumerate(rows):
                tf[row, list(counts)] = list(counts.values())
            total += self.score(
                tf,
                np.array([len(counts) for counts in rows], dtype=np.float64),
                np.maximum(self.doc_len_, 1),  # an empty chunk holds no term, whatever its length
                n_docs=len(self.ids_),
                mean_len=float(self.doc_len_.mean()),
                k1=self.k1,
                b=self.b,
            )
        return total.astype(np.float32)  # so that sums in another order tie, too

    def search(self, query: str, k: int) -> Ranking:
        """Return the k chunks with the highest scores. A query without any known term finds nothing: all scores are 0."""
        scores = self.scores(require_text(query, name="query"))
        require_k(k, len(self.ids_), of="indexed chunks")
        kth = np.partition(scores, -k)[-k]
        return ranked(Hit(self.ids_[i], float(scores[i])) for i in np.flatnonzero(scores >= kth))[:k]

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.chunks_[chunk_id]
