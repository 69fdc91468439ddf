"""BM25: search by the words that query and chunk share, rare words first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import snowballstemmer

from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import FloatArray, NotFittedError, require_k, require_text
from course_lib.retrieval.counting import words
from course_lib.retrieval.exact import indexed_text

_STEMMER = snowballstemmer.stemmer("english")


def stems(text: str) -> list[str]:
    """Return the words of a text cut to their stems (Porter, 2001), so that "refunded" meets "refund"."""
    return [str(stem) for stem in _STEMMER.stemWords(words(text))]


def bm25_scores(
    tf: FloatArray,
    df: FloatArray,
    doc_len: FloatArray,
    *,
    n_docs: int,
    mean_len: float,
    k1: float = 1.2,
    b: float = 0.75,
) -> FloatArray:
    """Score every document for one query, as Lucene does (Robertson & Zaragoza, 2009).

    tf: (n_terms, n_docs) occurrences; df: (n_terms,) documents that hold the term; doc_len: (n_docs,) tokens.
    Returns (n_docs,) scores >= 0, comparable within one query only.
    """
    idf = np.log1p((n_docs - df + 0.5) / (df + 0.5))  # (n_terms,)
    length_norm = 1 - b + b * doc_len / mean_len  # (n_docs,)
    saturation = tf / (tf + k1 * length_norm)  # (n_terms, n_docs), each < 1
    return np.asarray(idf @ saturation, dtype=np.float32)  # (n_docs,)


class BM25Retriever:
    """Chunks searched by words: an inverted index and the formula above."""

    def __init__(self, *, k1: float = 1.2, b: float = 0.75) -> None:
        self.k1, self.b = k1, b

    def fit(self, chunks: Sequence[Chunk]) -> Self:
        """Index the chunks: for each term, which chunks hold it and how often. Raises ValueError if there are none."""
        if not chunks:
            raise ValueError("chunks must hold at least one chunk, got none")
        self.chunks_ = {chunk.chunk_id: chunk for chunk in chunks}
        self.ids_ = list(self.chunks_)
        term_lists = [stems(indexed_text(chunk)) for chunk in self.chunks_.values()]
        self.doc_len_ = np.array([len(terms) for terms in term_lists], dtype=np.float32)  # (n_docs,)
        postings: dict[str, dict[int, int]] = {}
        for row, terms in enumerate(term_lists):
            for term in terms:
                counts = postings.setdefault(term, {})
                counts[row] = counts.get(row, 0) + 1
        self.postings_: dict[str, tuple[npt.NDArray[np.int64], FloatArray]] = {
            term: (np.array(list(counts), dtype=np.int64), np.array(list(counts.values()), dtype=np.float32))
            for term, counts in postings.items()
        }
        return self

    def __len__(self) -> int:
        return len(getattr(self, "chunks_", ()))

    def search(self, query: str, k: int) -> Ranking:
        """Return the k chunks with the highest scores. A query without any known term finds nothing: all scores are 0."""
        if not hasattr(self, "postings_"):
            raise NotFittedError("this retriever is empty: call fit(chunks) first")
        require_text(query, name="query")
        require_k(k, len(self.ids_), of="indexed chunks")
        terms = [term for term in dict.fromkeys(stems(query)) if term in self.postings_]
        tf = np.zeros((len(terms), len(self.ids_)), dtype=np.float32)  # (n_terms, n_docs)
        for row, term in enumerate(terms):
            documents, counts = self.postings_[term]
            tf[row, documents] = counts
        df = np.array([len(self.postings_[term][0]) for term in terms], dtype=np.float32)  # (n_terms,)
        scores = bm25_scores(
            tf, df, self.doc_len_, n_docs=len(self.ids_), mean_len=float(self.doc_len_.mean()), k1=self.k1, b=self.b
        )
        kth = np.partition(scores, -k)[-k]
        return ranked(Hit(self.ids_[i], float(scores[i])) for i in np.flatnonzero(scores >= kth))[:k]

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.chunks_[chunk_id]
