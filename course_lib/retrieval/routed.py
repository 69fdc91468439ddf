"""Search only the shelf that a query belongs to, or all of them where the router is not sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.core.types import Chunk, Ranking
from course_lib.core.validate import require_k, require_text
from course_lib.retrieval.query import SizedRetriever
from course_lib.retrieval.routing import Router


@dataclass(frozen=True)
class Route:
    """Where a query goes: a shelf, or None for all of them, with the score of every shelf and the lead of the best."""

    query: str
    shelf: str | None
    scores: dict[str, float]
    lead: float


def route(router: Router, queries: Sequence[str], *, min_lead: float = 0.0) -> list[Route]:
    """Return where each query goes: to the shelf with the highest score, or to all shelves if it leads by too little.

    min_lead: how far the best shelf must be ahead of the second, in the router's own units; a tie is never a lead.
    Raises ValueError if min_lead is negative.
    """
    if min_lead < 0:
        raise ValueError(f"min_lead must be at least 0, got {min_lead}")
    routes = []
    for query, scores in zip(queries, router.scores(queries), strict=True):
        order = np.argsort(-scores, kind="stable")
        lead = float(scores[order[0]] - scores[order[1]]) if len(scores) > 1 else float("inf")
        sure = lead > 0 and lead >= min_lead
        named = {shelf: float(score) for shelf, score in zip(router.shelves, scores, strict=True)}
        routes.append(Route(query, router.shelves[order[0]] if sure else None, named, lead))
    return routes


class RoutedRetriever:
    """A retriever per shelf, and one for all: the router chooses which is searched."""

    def __init__(
        self,
        router: Router,
        shelves: Mapping[str, SizedRetriever],
        everything: SizedRetriever,
        *,
        min_lead: float = 0.0,
    ) -> None:
        missing = set(router.shelves) - set(shelves)
        if missing:
            raise ValueError(
                f"shelves must hold a retriever for each shelf of the router; {sorted(missing)} is missing"
            )
        self.router, self.shelves, self.everything, self.min_lead = router, dict(shelves), everything, min_lead

    def __len__(self) -> int:
        return len(self.everything)

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.everything.chunk(chunk_id)

    def route(self, query: str) -> Route:
        """Return where this query goes."""
        return route(self.router, [require_text(query, name="query")], min_lead=self.min_lead)[0]

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks of the shelf that the query goes to; fewer if the shelf holds fewer."""
        require_k(k, len(self), of="indexed chunks")
        shelf = self.route(query).shelf
        retriever = self.everything if shelf is None else self.shelves[shelf]
        return retriever.search(query, min(k, len(retriever)))


def confusion(true: Sequence[str], routed: Sequence[str | None], classes: Sequence[str]) -> list[list[int]]:
    """Return how many queries of each class (row) went to each class (column); the last column counts those to all.

    Raises ValueError if the lists differ in length or name a class that `classes` lacks.
    """
    if len(true) != len(routed):
        raise ValueError(f"true and routed must be equally long, got {len(true)} and {len(routed)}")
    unknown = ({*true} | {name for name in routed if name is not None}) - set(classes)
    if unknown:
        raise ValueError(f"classes must hold every class, but {', '.join(sorted(unknown))} is missing")
    column = {name: number for number, name in enumerate(classes)}
    table = [[0] * (len(classes) + 1) for _ in classes]
    for truth, choice in zip(true, routed, strict=True):
        table[column[truth]][len(classes) if choice is None else column[choice]] += 1
    return table
