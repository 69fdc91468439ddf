"""Late interaction: query and passage keep a vector for each token, and meet only in the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from course_lib.core.heap import return_freed_memory
from course_lib.core.protocols import Retriever
from course_lib.core.validate import FloatArray, require_matrix, require_text
from course_lib.retrieval.embedding import ContextualEmbedder, length_batches
from course_lib.retrieval.exact import indexed_text
from course_lib.retrieval.reranking import SecondReading

NumberFormat = Literal["float32", "float16", "int8"]
PART = 128  # texts that are encoded at once when many are added
PAD_TO = 16  # tokens: few different shapes, since PyTorch keeps memory for each shape that it has met
TokenEncoder = Callable[[Sequence[str]], list[FloatArray]]


def max_sim(query_vectors: FloatArray, passage_vectors: FloatArray) -> float:
    """Return the mean over query tokens of the similarity to their best passage token (Khattab & Zaharia, 2020).

    query_vectors: (n_query, dim); passage_vectors: (n_passage, dim), rows of length 1. Returns -1 to 1. ColBERT sums
    over the query's tokens; the mean ranks alike and can be compared between queries. Raises ValueError without tokens.
    """
    return float(max_sims(query_vectors, [passage_vectors])[0])


def max_sims(query_vectors: FloatArray, passages: Sequence[FloatArray]) -> FloatArray:
    """Return `max_sim` of one query with many passages, shape (n,): one product, then a maximum for each passage.

    query_vectors: (n_query, dim); passages: each (n_tokens, dim). Raises ValueError if one has no token.
    """
    query = require_matrix(query_vectors, name="query_vectors")  # (n_query, dim)
    lengths = [len(vectors) for vectors in passages]
    if not len(query) or not all(lengths):
        raise ValueError("query and passages must each hold at least one token: the maximum over none is undefined")
    if not lengths:
        return np.zeros(0, dtype=np.float32)
    tokens = require_matrix(np.concatenate(passages), name="passages", dim=query.shape[1])  # (n_all, dim)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])  # (n,)
    best = np.maximum.reduceat(query @ tokens.T, starts, axis=1)  # (n_query, n)
    return np.asarray(best.mean(axis=0), dtype=np.float32)  # (n,)


@dataclass(frozen=True)
class ContextualTokens:
    """The encoder as a function from texts to one vector of length 1 for each token: a list of (n_tokens, dim).

    special_tokens: whether [CLS] and [SEP], which the tokeniser sets around a text, count as tokens. Texts are cut
    where the embedder cuts them.
    """

    embedder: ContextualEmbedder
    special_tokens: bool = False

    def __call__(self, texts: Sequence[str]) -> list[FloatArray]:
        import torch

        for text in texts:
            require_text(text, name="text")
        tokenizer: Any = self.embedder.tokenizer
        ids = tokenizer(list(texts), truncation=True, max_length=self.embedder.max_tokens)["input_ids"] if texts else []
        vectors: list[FloatArray] = [np.empty((0, 0), np.float32)] * len(ids)
        ends = 0 if self.special_tokens else 1
        with torch.inference_mode():
            for rows in length_batches([len(row) for row in ids], self.embedder.batch_tokens):
                batch = tokenizer.pad(
                    {"input_ids": [ids[i] for i in rows]}, return_tensors="pt", pad_to_multiple_of=PAD_TO
                )
                hidden = self.embedder.model(**batch).last_hidden_state.float()  # (n, n_tokens, dim)
                hidden = torch.nn.functional.normalize(hidden, dim=-1).numpy()
                for place, i in enumerate(rows):
                    vectors[i] = hidden[place, ends : len(ids[i]) - ends].copy()  # without the padding
        return vectors


class TokenStore:
    """The token vectors of many texts, each computed once, kept in a small number format.

    float16 takes 2 bytes a number; int8 takes 1, and 4 for each token: its largest entry becomes 127.
    """

    def __init__(self, encode: TokenEncoder, *, number_format: NumberFormat = "float16") -> None:
        if number_format not in ("float32", "float16", "int8"):
            raise ValueError(f"number_format must be float32, float16 or int8, got {number_format!r}")
        self.encode, self.number_format = encode, number_format
        self._kept: dict[str, tuple[npt.NDArray[Any], FloatArray | None]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, name: object) -> bool:
        return name in self._kept

    def __getitem__(self, name: str) -> FloatArray:
        """Return the vectors of a text (n_tokens, dim) as float32; raise KeyError if it was never added."""
        numbers, scales = self._kept[name]
        vectors = numbers.astype(np.float32)
        return vectors if scales is None else vectors * scales

    @property
    def n_bytes(self) -> int:
        """Bytes that the vectors take in memory."""
        return sum(numbers.nbytes + (0 if scales is None else scales.nbytes) for numbers, scales in self._kept.values())

    def add(self, texts: Mapping[str, str]) -> None:
        """Compute and keep the vectors of the texts (name -> text) that are not there yet.

        In parts, texts of similar length together: uncompressed vectors of all would take several times the memory.
        """
        new = sorted((name for name in texts if name not in self._kept), key=lambda name: (len(texts[name]), name))
        for start in range(0, len(new), PART):
            part = new[start : start + PART]
            vectors = self.encode([texts[name] for name in part])
            ends = np.cumsum([len(each) for each in vectors])
            numbers, scales = compressed(np.concatenate(vectors), self.number_format)  # one array for the whole part
            for name, end, each in zip(part, ends.tolist(), vectors, strict=True):
                rows = slice(end - len(each), end)
                self._kept[name] = numbers[rows], None if scales is None else scales[rows]
            del vectors
            return_freed_memory()


def compressed(vectors: FloatArray, number_format: NumberFormat) -> tuple[npt.NDArray[Any], FloatArray | None]:
    """Return vectors (n, dim) in a number format, and for int8 the scale of each row (n, 1) that restores it."""
    vectors = require_matrix(vectors, name="vectors")
    if number_format != "int8":
        return vectors.astype(number_format), None
    largest = np.abs(vectors).max(axis=1, keepdims=True)  # (n, 1)
    scales = np.where(largest > 0, largest, 1).astype(np.float32) / np.float32(127)
    return np.round(vectors / scales).astype(np.int8), scales


class LateInteractionReranker(SecondReading):
    """Rerank the hits of a retriever by `max_sim` over the vectors of their tokens."""

    def __init__(self, retriever: Retriever, store: TokenStore, *, depth: int = 50, weight: float = 0.0) -> None:
        super().__init__(retriever, depth=depth, weight=weight)
        self.store = store

    def scores(self, query: str, chunk_ids: Sequence[str]) -> FloatArray:
        """Return max_sim of the query with each chunk, shape (n,), -1 to 1; token vectors are computed where new."""
        self.store.add({name: indexed_text(self.chunk(name)) for name in chunk_ids})
        return max_sims(self.store.encode([query])[0], [self.store[name] for name in chunk_ids])
