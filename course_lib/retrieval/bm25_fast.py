"""BM25 made fast: every score that a term can give is computed when the index is built, so that a query only adds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.core.validate import NotFittedError, require_k, require_text
from course_lib.retrieval.bm25 import Array, by_id, require_parameters
from course_lib.retrieval.bm25_file import chunks_to_rows, read_index, rows_to_chunks, write_index
from course_lib.retrieval.exact import indexed_text
from course_lib.retrieval.tokenising import Tokeniser, stems

Whole = npt.NDArray[np.integer[Any]]
COMMON = 4  # a term in more than one document in 4 is kept as a row of all documents: adding rows needs no look-up
BLOCK = 256
_ARRAYS = ("rows_", "dense_", "documents_", "weights_", "starts_")


def kth_largest(scores: Array, k: int) -> float:
    """Return the k-th largest of scores (n,), without sorting or copying them all.

    k of the maxima of blocks are k scores, so the k-th largest maximum is a bound from below; few scores reach it.
    """
    n_blocks = len(scores) // BLOCK
    if n_blocks >= 2 * k:
        maxima = scores[: n_blocks * BLOCK].reshape(n_blocks, BLOCK).max(axis=1)  # (n_blocks,)
        scores = scores[scores >= np.partition(maxima, -k)[-k]]
    return float(np.partition(scores, -k)[-k])


def count_postings(token_lists: Iterable[Sequence[str]]) -> tuple[dict[str, int], Whole, Whole, Whole, Whole]:
    """Return what an inverted index holds: vocabulary (term -> number), and per posting its term, document and count.

    Postings are sorted by term, then document, shape (n_postings,) each; last the tokens of each document, (n_docs,).
    """
    vocabulary: dict[str, int] = {}
    lengths: list[int] = []

    def numbers() -> Iterable[int]:
        for tokens in token_lists:
            lengths.append(len(tokens))
            for token in tokens:
                yield vocabulary.setdefault(token, len(vocabulary))

    terms = np.fromiter(numbers(), dtype=np.int64)  # (n_tokens,)
    doc_len = np.array(lengths, dtype=np.int64)  # (n_docs,)
    n_docs = max(len(doc_len), 1)
    pairs = terms * n_docs + np.repeat(np.arange(len(doc_len)), doc_len)  # a term and its document in one number
    pairs.sort()
    first = np.flatnonzero(np.diff(pairs, prepend=-1))  # (n_postings,): where a new pair begins
    counts = np.diff(first, append=len(pairs))
    return vocabulary, pairs[first] // n_docs, pairs[first] % n_docs, counts, doc_len


class FastBM25Retriever:
    """Chunks searched by words, with the rankings of `BM25Retriever`, from an index that holds finished scores.

    For each term: the chunks that hold it and the score it gives each, after Lu (2024), BM25S. k1 and b are fixed when
    the index is built.
    """

    def __init__(self, *, k1: float = 1.2, b: float = 0.75, tokenise: Tokeniser = stems) -> None:
        require_parameters(k1, b)
        self.k1, self.b, self.tokenise = k1, b, tokenise

    def fit(self, chunks: Sequence[Chunk]) -> Self:
        """Index the chunks. Raises ValueError if there are none, or an id comes twice."""
        named = by_id(chunks)
        self.chunks_ = {name: named[name] for name in sorted(named)}  # by id, so that ties fall by position
        self.ids_ = list(self.chunks_)
        return self._fit_tokens(self.tokenise(indexed_text(chunk)) for chunk in self.chunks_.values())

    def _fit_tokens(self, token_lists: Iterable[Sequence[str]]) -> Self:
        self.vocabulary_, terms, documents, tf, doc_len = count_postings(token_lists)
        n_docs, n_terms = len(doc_len), len(self.vocabulary_)
        df = np.bincount(terms, minlength=n_terms)  # (n_terms,)
        length_norm = 1 - self.b + self.b * doc_len / max(doc_len.mean(), 1e-9)  # (n_docs,)
        idf = np.log1p((n_docs - df + 0.5) / (df + 0.5))  # (n_terms,)
        weights = idf[terms] * (tf / (tf + self.k1 * length_norm[documents]))  # (n_postings,)
        common = df > max(n_docs / COMMON, 1)  # (n_terms,)
        self.rows_ = np.full(n_terms, -1, dtype=np.int32)  # (n_terms,): its row if a term is common
        self.rows_[common] = np.arange(common.sum())
        in_row = common[terms]  # (n_postings,)
        self.dense_ = np.zeros((int(common.sum()), n_docs))  # (n_common, n_docs)
        self.dense_[self.rows_[terms[in_row]], documents[in_row]] = weights[in_row]
        self.documents_ = documents[~in_row].astype(np.int32)  # (n_postings of rare terms,)
        self.weights_ = weights[~in_row]
        self.starts_ = np.concatenate([[0], np.cumsum(np.where(common, 0, df))])  # (n_terms + 1,)
        return self

    def __len__(self) -> int:
        return len(getattr(self, "chunks_", ()))

    @property
    def n_bytes(self) -> int:
        """Bytes of the arrays; the vocabulary and the chunks come on top."""
        return sum(int(getattr(self, name).nbytes) for name in _ARRAYS)

    def score_tokens(self, tokens: Iterable[str], scores: Array | None = None) -> Array:
        """Return the score of every chunk, (n_docs,), in order of chunk_id; a token that comes twice counts once.

        scores: a float64 array (n_docs,) to write into, so that many queries share one.
        """
        if not hasattr(self, "vocabulary_"):
            raise NotFittedError("this retriever is empty: call fit(chunks) first")
        if scores is None:
            scores = np.zeros(self.dense_.shape[1])
        else:
            scores.fill(0)
        for token in dict.fromkeys(tokens):
            term = self.vocabulary_.get(token, -1)
            if term < 0:
                continue
            row, start, end = self.rows_[term], self.starts_[term], self.starts_[term + 1]
            if row >= 0:
                scores += self.dense_[row]
            else:
                np.add.at(scores, self.documents_[start:end], self.weights_[start:end])
        return scores

    def search_tokens(self, tokens: Iterable[str], k: int, scores: Array | None = None) -> Ranking:
        """Return the k best chunks for tokens that are cut already; scores as in `score_tokens`."""
        found = self.score_tokens(tokens, scores).astype(np.float32)  # so that sums in another order tie, too
        require_k(k, len(found), of="indexed chunks")
        kth = kth_largest(found, k)
        above = np.flatnonzero(found > kth)
        chosen = np.concatenate([above, np.flatnonzero(found == kth)[: k - len(above)]])  # (k,)
        chosen = chosen[np.lexsort((chosen, -found[chosen]))]
        return [Hit(self.ids_[i], score) for i, score in zip(chosen.tolist(), found[chosen].tolist(), strict=True)]

    def search(self, query: str, k: int) -> Ranking:
        """Return the k chunks with the highest scores. A query without any known term finds nothing: all scores are 0."""
        return self.search_tokens(self.tokenise(require_text(query, name="query")), k)

    def search_many(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """Return a ranking for each query, as `search` does, without new memory for each."""
        if isinstance(queries, str):
            raise TypeError(f"queries must be a list of str, got one str; write [{queries!r:.40}]")
        scores = np.zeros(len(self))
        tokens = [self.tokenise(require_text(query, name="query")) for query in queries]
        return [self.search_tokens(each, k, scores) for each in tokens]

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.chunks_[chunk_id]

    def save(self, path: str | Path) -> None:
        """Write the index with its chunks to a file. Raises NotFittedError before fit."""
        if not hasattr(self, "vocabulary_"):
            raise NotFittedError("this retriever is empty: call fit(chunks) first")
        header = {
            "k1": self.k1,
            "b": self.b,
            "tokeniser": _name(self.tokenise),
            "terms": list(self.vocabulary_),
            "chunks": chunks_to_rows(list(self.chunks_.values())),
        }
        write_index(Path(path), header, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def load(cls, path: str | Path, *, tokenise: Tokeniser = stems) -> Self:
        """Return the index that `save` wrote; tokenise: the function it was built with, which no file can hold.

        Raises FileNotFoundError, or ValueError for a damaged file, another version, or a tokeniser of another name.
        """
        header, arrays = read_index(Path(path), _ARRAYS)
        if header["tokeniser"] != _name(tokenise):
            raise ValueError(
                f"tokenise must be the function that {path} was built with, {header['tokeniser']}, "
                f"got {_name(tokenise)}: other tokens would not meet"
            )
        loaded = cls(k1=header["k1"], b=header["b"], tokenise=tokenise)
        loaded.chunks_ = {chunk.chunk_id: chunk for chunk in rows_to_chunks(header["chunks"])}
        loaded.ids_ = list(loaded.chunks_)
        loaded.vocabulary_ = {term: number for number, term in enumerate(header["terms"])}
        for name, array in arrays.items():
            setattr(loaded, name, array)
        return loaded


def _name(tokenise: Tokeniser) -> str:
    return getattr(tokenise, "__qualname__", type(tokenise).__qualname__)
