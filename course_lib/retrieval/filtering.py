"""Filters: which documents may be found at all, and a retriever that searches on until enough of them pass."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from course_lib.core.types import Chunk, Document, Ranking
from course_lib.core.validate import require_k
from course_lib.retrieval.recency import Sized, asks_for_latest, looks_back

Rule = Callable[[Document], bool]


@dataclass(frozen=True)
class Filter:
    """A rule that a document passes or not, with its words; joined by & (and), | (or), negated by ~."""

    rule: Rule
    words: str

    def __call__(self, document: Document) -> bool:
        return self.rule(document)

    def __and__(self, other: Filter) -> Filter:
        return Filter(lambda document: self(document) and other(document), f"({self.words} and {other.words})")

    def __or__(self, other: Filter) -> Filter:
        return Filter(lambda document: self(document) or other(document), f"({self.words} or {other.words})")

    def __invert__(self) -> Filter:
        return Filter(lambda document: not self(document), f"not {self.words}")

    def __str__(self) -> str:
        return self.words


ANYTHING = Filter(lambda document: True, "anything")


def on_shelf(*shelves: str) -> Filter:
    """Pass documents of these shelves. Raises ValueError if none is named."""
    return Filter(lambda document: document.shelf in shelves, f"on {_named(shelves, 'shelf')}")


def in_register(*registers: str | None) -> Filter:
    """Pass documents of these registers; None stands for documents without one. Raises ValueError if none is named."""
    words = _named([str(register) for register in registers], "register")
    return Filter(lambda document: document.register in registers, f"written for {words}")


def _named(values: tuple[str, ...] | list[str], name: str) -> str:
    if not values:
        raise ValueError(f"name at least one {name}, got none: a filter that nothing passes finds nothing")
    return " or ".join(values)


def dated(*, since: datetime.date | None = None, until: datetime.date | None = None) -> Filter:
    """Pass documents published on since or later and on until or earlier; None leaves that side open.

    Raises ValueError if both are None or since is after until.
    """
    if since is None and until is None:
        raise ValueError("give since, until or both: with neither, every document passes")
    if since and until and since > until:
        raise ValueError(f"since must not be after until, got {since} and {until}")
    words = " and ".join([*([f"since {since}"] if since else []), *([f"until {until}"] if until else [])])
    return Filter(
        lambda document: (since is None or document.date >= since) and (until is None or document.date <= until),
        f"dated {words}",
    )


def in_force(documents: Mapping[str, Document], *, start: datetime.date, end: datetime.date | None = None) -> Filter:
    """Pass documents that were in force on some day from start to end (end=None: on start itself).

    A document is in force from its date to the day before its successor's date; one without a successor, for ever.
    documents: doc_id -> Document, to look successors up. Raises ValueError if start is after end, and KeyError, when
    called, if a successor is not among documents.
    """
    last = end or start
    if start > last:
        raise ValueError(f"start must not be after end, got {start} and {last}")

    def rule(document: Document) -> bool:
        if document.date > last:
            return False
        return document.superseded_by is None or documents[document.superseded_by].date > start

    return Filter(rule, f"in force on {start}" if last == start else f"in force between {start} and {last}")


def latest_version() -> Filter:
    """Pass documents that no later one supersedes."""
    return Filter(lambda document: document.superseded_by is None, "not superseded")


def first_version(doc_id: str, documents: Mapping[str, Document]) -> str:
    """Return the doc_id of the oldest version of a document, itself if there is none before: the name of its chain.

    Raises KeyError for an unknown document, ValueError if versions supersede one another in a circle.
    """
    seen = {doc_id}
    while before := documents[doc_id].supersedes:
        if before in seen:
            raise ValueError(f"versions must not supersede one another in a circle, but {before} does")
        seen.add(before)
        doc_id = before
    return doc_id


def versions_asked_for(query: str, *, only_with_cue: bool = False) -> Filter:
    """Return which versions a query asks for: `latest_version()`, or `ANYTHING` if it asks about the past.

    The latest are asked for if the query holds a cue such as "now", or, unless only_with_cue, if it does not look back.
    Rules over words: `asks_for_latest` and `looks_back` say what they miss.
    """
    if asks_for_latest(query) or not (only_with_cue or looks_back(query)):
        return latest_version()
    return ANYTHING


class FilteredRetriever:
    """A retriever around another that finds only what passes a filter.

    keep: a Filter, or a function that returns the Filter for a query. It searches deeper, twice as many hits each
    time, until k pass or all chunks were seen. fewer: what to do if fewer than k exist: "raise" a ValueError that says
    how many, or "return" these. Scores and order are those of the inner retriever.
    """

    def __init__(
        self,
        retriever: Sized,
        documents: Mapping[str, Document],
        keep: Filter | Callable[[str], Filter],
        *,
        fewer: Literal["raise", "return"] = "raise",
    ) -> None:
        if fewer not in ("raise", "return"):
            raise ValueError(f"fewer must be 'raise' or 'return', got {fewer!r}")
        self.retriever, self.documents, self.keep, self.fewer = retriever, documents, keep, fewer

    def __len__(self) -> int:
        return len(self.retriever)

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id, whether it passes or not; raise KeyError if there is none."""
        return self.retriever.chunk(chunk_id)

    def filter_for(self, query: str) -> Filter:
        """Return the filter that this query is searched with."""
        return self.keep if isinstance(self.keep, Filter) else self.keep(query)

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks that pass. Raises KeyError if a chunk's document is not among documents."""
        n_chunks = len(self.retriever)
        require_k(k, n_chunks, of="indexed chunks")
        keep = self.filter_for(query)
        depth = k
        while True:
            hits = self.retriever.search(query, depth)
            passed = [hit for hit in hits if keep(self.documents[self.chunk(hit.chunk_id).doc_id])][:k]
            if len(passed) == k:
                return passed
            if depth >= n_chunks or len(hits) < depth:  # there are no more
                break
            depth = min(2 * depth, n_chunks)
        if self.fewer == "raise":
            raise ValueError(
                f'only {len(passed)} of {n_chunks} chunks pass the filter "{keep}", and k is {k}; '
                "ask for fewer, loosen the filter, or pass fewer='return'"
            )
        return passed
