"""What the parts of a system must be able to do, so that one can be exchanged for another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from course_lib.core.types import Chunk, Ranking
from course_lib.core.validate import FloatArray

Message = dict[str, str]


class Embedder(Protocol):
    """Turns texts into vectors."""

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim) float32, each row of length 1."""
        ...


class Retriever(Protocol):
    """Finds chunks for a query."""

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks, best first."""
        ...

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        ...


class Generator(Protocol):
    """Continues a conversation."""

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int) -> str:
        """Return the next message of the assistant, decoded greedily."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the model reads text as."""
        ...
