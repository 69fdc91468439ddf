"""A retriever asked all questions: its rankings and the seconds of each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.core.protocols import Retriever


@dataclass(frozen=True)
class Run:
    """What one retriever found: query id -> ids, best first, and the seconds of each search in the same order."""

    rankings: dict[str, list[str]]
    seconds: tuple[float, ...]

    @property
    def median_seconds(self) -> float:
        """The median over the queries: a slow first one does not count."""
        return float(np.median(self.seconds))


def run_queries(retriever: Retriever, queries: Mapping[str, str], k: int, *, progress: str = "") -> Run:
    """Search every query (id -> text) for its k best, one after another, and time each.

    progress: what to call the bar; none is shown by default. Raises ValueError if there are no queries.
    """
    from tqdm.auto import tqdm

    if not queries:
        raise ValueError("queries must hold at least one query, got none")
    rankings: dict[str, list[str]] = {}
    seconds: list[float] = []
    for name, text in tqdm(queries.items(), desc=progress, unit="query", disable=not progress, leave=False):
        started = time.perf_counter()
        hits = retriever.search(text, k)
        seconds.append(time.perf_counter() - started)
        rankings[name] = [hit.chunk_id for hit in hits]
    return Run(rankings, tuple(seconds))


def as_documents(ranking: Sequence[str]) -> list[str]:
    """Return the documents of a ranking of chunks, each once, where its best chunk stands.

    The document of chunk "shelf/slug#03" is "shelf/slug".
    """
    return list(dict.fromkeys(name.rpartition("#")[0] or name for name in ranking))
