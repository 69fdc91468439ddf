"""Questions about the latest state of things: leave out what was superseded, and prefer what is newer."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Protocol

from course_lib.core.protocols import Retriever
from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import require_k

_CUES = re.compile(
    r"\b(latest|newest|most recent|current|currently|now|today|nowadays|reigning|present|presently|at the moment"
    r"|these days|as things stand|in force|still|up to date|so far|last)\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"\b(18|19|20)\d\d\b")
_PAST = re.compile(
    r"\b(did|was|were|had|ago|before|earlier|older|newer|first|originally|formerly|than|compared|between)\b",
    re.IGNORECASE,
)


class Sized(Retriever, Protocol):
    """A retriever that knows how many chunks it holds."""

    def __len__(self) -> int: ...


def asks_for_latest(query: str) -> bool:
    """Whether a query asks for the state of things today: it holds a cue such as "latest" or "now", and no year.

    A rule, not an understanding: it misses a question without a cue, and takes "the last goal" for one.
    """
    return bool(_CUES.search(query)) and not _YEAR.search(query)


def looks_back(query: str) -> bool:
    """Whether a query asks about what was, or compares: it names a year, or holds a word such as "did" or "than".

    A rule, not an understanding: it takes "the first step" for one that looks back, and misses "the Hi-MO 9 of old".
    """
    return bool(_YEAR.search(query) or _PAST.search(query))


def freshness(years_old: float, *, half_life: float) -> float:
    """Return 0.5 ** (years_old / half_life): 1 for the newest, one half after each half-life in years."""
    return float(0.5 ** (years_old / half_life))


class LatestFirst:
    """A retriever around another: for questions about the latest, superseded documents go and newer ones rise.

    The pool_size best chunks that are in force are scored again: score + weight * freshness, with age counted from
    the newest chunk of the pool. Other questions pass through unchanged.
    """

    def __init__(
        self,
        retriever: Sized,
        superseded: Collection[str] = (),
        *,
        weight: float = 0.2,
        half_life: float = 3.0,
        pool_size: int = 50,
    ) -> None:
        self.retriever = retriever
        self.superseded = frozenset(superseded)
        self.weight, self.half_life, self.pool_size = weight, half_life, pool_size

    def __len__(self) -> int:
        return len(self.retriever)

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.retriever.chunk(chunk_id)

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks. Raises ValueError unless 1 <= k <= the number of chunks."""
        require_k(k, len(self), of="indexed chunks")
        if not asks_for_latest(query):
            return self.retriever.search(query, k)
        wide = self.retriever.search(query, min(len(self), max(3 * self.pool_size, 3 * k)))
        pool = [hit for hit in wide if self.chunk(hit.chunk_id).doc_id not in self.superseded]
        pool = pool[: max(self.pool_size, k)]
        if not pool:
            return wide[:k]
        dates = {hit.chunk_id: self.chunk(hit.chunk_id).date for hit in pool}
        newest = max(dates.values())
        return ranked(
            Hit(
                hit.chunk_id,
                hit.score
                + self.weight * freshness((newest - dates[hit.chunk_id]).days / 365.25, half_life=self.half_life),
            )
            for hit in pool
        )[:k]
