"""Search with other words than the question's: a query becomes one or more texts, their results become one ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.core.validate import FloatArray, require_k, require_matrix, require_text
from course_lib.retrieval.fusion import reciprocal_rank_fusion

Fuse = Literal["rank", "turns", "mean"]
FUSES = ("rank", "turns", "mean")


@dataclass(frozen=True)
class Transformed:
    """What a query became: the texts to search, and how their results are put together.

    texts: different from one another, at least one. fuse: "rank" searches each and fuses the rankings by RRF, "turns"
    takes hits from each in turn, "mean" searches once, with the mean of their vectors. reply: what a language model
    said, letter for letter. note: why the query is searched as it stands, if nothing could be made of it, else empty.
    """

    query: str
    texts: tuple[str, ...]
    fuse: Fuse = "rank"
    reply: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.fuse not in FUSES:
            raise ValueError(f"fuse must be one of {', '.join(FUSES)}, got {self.fuse!r}")
        if not self.texts:
            raise ValueError(f"texts must hold at least one text to search, got none for the query {self.query!r}")
        for text in self.texts:
            require_text(text, name="texts")
        if len({same_words(text) for text in self.texts}) != len(self.texts):
            raise ValueError(f"texts must differ from one another, got {list(self.texts)}; use transformed(...)")


Transformation = Callable[[str], Transformed]


def same_words(text: str) -> str:
    """Return text in lower case with single spaces and without marks at its ends: texts with equal keys are one text."""
    return " ".join(text.lower().split()).strip(" .?!\"'")


def transformed(
    query: str,
    made: Sequence[str],
    *,
    fuse: Fuse = "rank",
    keep_original: bool = True,
    reply: str = "",
    note: str = "",
) -> Transformed:
    """Return the texts made of a query as a Transformed: the query first unless switched off, no text twice.

    If nothing was made, the query itself is searched, and a note says so even if none is given.
    """
    require_text(query, name="query")
    texts = {same_words(query): query.strip()} if keep_original else {}
    for text in made:
        if same_words(text):
            texts.setdefault(same_words(text), text.strip())
    if set(texts) <= {same_words(query)}:
        note = note or "nothing was made of the query: it is searched as it stands"
    return Transformed(query, tuple(texts.values()) or (query.strip(),), fuse, reply, note)


def unchanged(query: str) -> Transformed:
    """Return the query as the only text: what every transformation is compared with."""
    return Transformed(require_text(query, name="query"), (query,))


def mean_vector(vectors: FloatArray) -> FloatArray:
    """Return the mean of vectors of length 1, scaled to length 1 again: the HyDE query (Gao et al., 2022).

    vectors: (n, dim). Returns (dim,). Raises ValueError if there are none or they cancel out.
    """
    vectors = require_matrix(vectors, name="vectors")  # (n, dim)
    if not len(vectors):
        raise ValueError("vectors must hold at least one vector, got none")
    mean = vectors.mean(axis=0)  # (dim,)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise ValueError("vectors cancel out: their mean has no direction")
    return np.asarray(mean / length, dtype=np.float32)


def in_turns(rankings: Sequence[Ranking]) -> Ranking:
    """Take the first hit of each ranking, then the second of each, and so on; a chunk that is there already is skipped.

    Unlike RRF, it asks for no agreement: each ranking gets its share of the first places. Scores are 1 / place.
    """
    places: dict[str, None] = {}
    for rank in range(max((len(ranking) for ranking in rankings), default=0)):
        for ranking in rankings:
            if rank < len(ranking):
                places.setdefault(ranking[rank].chunk_id)
    return [Hit(chunk_id, 1 / place) for place, chunk_id in enumerate(places, start=1)]


class SizedRetriever(Protocol):
    """A retriever that knows how many chunks it holds."""

    def search(self, query: str, k: int) -> Ranking: ...

    def chunk(self, chunk_id: str) -> Chunk: ...

    def __len__(self) -> int: ...


class VectorIndex(Protocol):
    """An index that is searched by vector."""

    def search(self, query: FloatArray, k: int) -> Ranking: ...


@dataclass(frozen=True)
class Trace:
    """A search step by step: the texts, the ranking of each, and the ranking they were made into."""

    transformed: Transformed
    rankings: tuple[Ranking, ...]
    fused: Ranking

    def sources(self, chunk_id: str) -> list[tuple[int, int]]:
        """Return (number of the text, rank) for every text that found the chunk, both counted from 1."""
        return [
            (number, rank)
            for number, ranking in enumerate(self.rankings, start=1)
            for rank, hit in enumerate(ranking, start=1)
            if hit.chunk_id == chunk_id
        ]


class TransformedRetriever:
    """A retriever around another that searches what a transformation makes of the query.

    depth: how many hits of each text are fused. One text alone gives exactly the ranking of the inner retriever.
    """

    def __init__(self, retriever: SizedRetriever, transformation: Transformation, *, depth: int = 50) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        self.retriever, self.transformation, self.depth = retriever, transformation, depth

    def __len__(self) -> int:
        return len(self.retriever)

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.retriever.chunk(chunk_id)

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks for what the query was made into."""
        return self.explain(query, k).fused

    def explain(self, query: str, k: int) -> Trace:
        """Return the search with all its steps; `fused` holds k hits."""
        return self.search_texts(self.transformation(require_text(query, name="query")), k)

    def search_texts(self, texts: Transformed, k: int) -> Trace:
        """Return the search for texts that were made already, or changed by hand.

        Raises TypeError if vectors are to be averaged and the inner retriever is not searched by vector.
        """
        require_k(k, len(self), of="indexed chunks")
        depth = min(max(self.depth, k), len(self))
        if texts.fuse == "mean":
            embedder, index = _vectors_of(self.retriever)
            vectors = embedder(texts.texts)  # (n_texts, dim)
            rankings = tuple(index.search(vector, depth) for vector in vectors)
            fused = index.search(mean_vector(vectors), k) if len(vectors) > 1 else rankings[0]
        else:
            rankings = tuple(self.retriever.search(text, depth) for text in texts.texts)
            together = in_turns if texts.fuse == "turns" else reciprocal_rank_fusion
            fused = together(rankings) if len(rankings) > 1 else rankings[0]
        return Trace(texts, rankings, fused[:k])


def _vectors_of(retriever: object) -> tuple[Embedder, VectorIndex]:
    embedder, index = getattr(retriever, "embedder", None), getattr(retriever, "index_", None)
    if embedder is None or index is None:
        raise TypeError(
            f"fuse='mean' averages vectors, but {type(retriever).__name__} is not searched by vector; wrap a "
            "DenseRetriever that was fitted, and fuse it with the others afterwards"
        )
    return embedder, index
