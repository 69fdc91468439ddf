"""Static vectors: the mean of a table's rows, one row for each piece of a word, whatever stands around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from course_lib.core.validate import FloatArray
from course_lib.retrieval.embedding import ContextualEmbedder, checked_texts, normalise


@dataclass(frozen=True)
class StaticEmbedder:
    """A table of word pieces as a function from texts to vectors of length 1, shape (n, dim), float32.

    table: (n_pieces, dim), row i for piece i of the tokeniser. A piece that the tokeniser does not know is left out;
    nothing is cut, however long a text is.
    """

    tokenizer: Any
    table: FloatArray

    @classmethod
    def of(cls, embedder: ContextualEmbedder) -> Self:
        """Return the embedder that stops at the first layer of an encoder: its input table, without positions."""
        table = embedder.model.get_input_embeddings().weight.detach().float().numpy()  # (n_pieces, dim)
        return cls(embedder.tokenizer, table)

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim). Raises ValueError for a text without a known piece, and TypeError as checked_texts does."""
        texts = checked_texts(texts)
        means = np.empty((len(texts), self.table.shape[1]), dtype=np.float32)  # (n, dim)
        ids = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        for place, row in enumerate(ids):
            known = [piece for piece in row if piece != self.tokenizer.unk_token_id]
            if not known:
                raise ValueError(
                    f"text {place} holds no piece that the table knows, so it has no vector: {texts[place]!r:.60}; "
                    "leave it out"
                )
            means[place] = self.table[known].mean(axis=0)
        return normalise(means)
