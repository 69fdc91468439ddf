"""What the glass pipeline made of one question: every list, every prompt, every sentence, and the seconds they took."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from course_lib.core.types import Answer, Chunk, Citation, Document, Ranking
from course_lib.core.validate import FloatArray
from course_lib.evaluation.answers import abstains
from course_lib.generation.citing import Support
from course_lib.generation.prompting import Prompt
from course_lib.retrieval.filtering import ANYTHING, Filter, dated, latest_version, on_shelf

SWITCHES: Mapping[str, str] = {
    "words": "words (BM25)",
    "meaning": "meaning (MiniLM)",
    "fusion": "fusion",
    "versions": "latest version",
    "rerank": "late interaction",
    "answer": "answer",
    "support": "support",
    "closed_book": "closed book",
}
STEPS: Mapping[str, str] = {
    "filters": "Filters",
    "vector": "Query vector",
    "words": "Search by words (BM25)",
    "meaning": "Search by meaning (MiniLM)",
    "fusion": "Fusion",
    "versions": "Latest version",
    "rerank": "Read again (late interaction)",
    "prompt": "Prompt",
    "answer": "Answer",
    "support": "Support",
    "closed_book": "Closed book",
}
NEEDS: Mapping[str, tuple[str, ...]] = {  # step -> the switches that must be on for it
    **{step: (step,) if step in SWITCHES else () for step in STEPS},
    "vector": ("meaning",),
    "support": ("answer", "support"),
}
LISTS = ("words", "meaning", "fusion", "versions", "rerank")  # the steps that make a list of hits, in order


@dataclass(frozen=True)
class Settings:
    """Which steps are on, and their knobs.

    on: names out of SWITCHES. k: passages for the prompt, best first. budget: tokens of the whole prompt. shelf, since,
    until, in_force: filters; in_force leaves out every superseded document, whatever is asked.
    """

    on: frozenset[str] = frozenset(SWITCHES)
    k: int = 1
    budget: int = 1200
    max_new_tokens: int = 48
    shelf: str | None = None
    since: datetime.date | None = None
    until: datetime.date | None = None
    in_force: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.on) - set(SWITCHES))
        if unknown:
            raise ValueError(f"on must hold names among {', '.join(SWITCHES)}, got {', '.join(unknown)}")
        if not {"words", "meaning"} & self.on:
            raise ValueError("words, meaning or both must be on: with neither, nothing is searched")
        for name in ("k", "budget", "max_new_tokens"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.filter()  # raises for dates in the wrong order

    def filter(self) -> Filter:
        """Return the rule that a document must pass."""
        parts = [on_shelf(self.shelf)] if self.shelf else []
        if self.since or self.until:
            parts.append(dated(since=self.since, until=self.until))
        if self.in_force:
            parts.append(latest_version())
        if not parts:
            return ANYTHING
        words = " and ".join(part.words for part in parts)
        return Filter(lambda document: all(part(document) for part in parts), words)


@dataclass(frozen=True)
class Match:
    """A word of the question and the word of a passage that is nearest to it. lead: its similarity above the mean of all
    passages that were read: what tells this passage from the others.
    """

    query: str
    passage: str
    similarity: float
    lead: float


@dataclass(frozen=True)
class GlassTrace:
    """One question, step by step; what a step that is off would have made is empty or None.

    rankings: step -> hits, best first, of every step of LISTS that ran. matches: chunk_id -> what reranking found in it.
    dropped: chunk_ids that a step took out from before the places that were kept. n_passing: chunks that pass the
    filters, of n_chunks. notes: step -> one sentence on what it did. seconds: step -> how long it took; kept: steps whose
    reply was there from before (the seconds are those of the first time).
    """

    question: str
    settings: Settings
    n_chunks: int
    n_passing: int = 0
    vector: FloatArray | None = None
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    matches: Mapping[str, tuple[Match, ...]] = field(default_factory=dict)
    prompt: Prompt | None = None
    prompt_tokens: Mapping[str, int] = field(default_factory=dict)
    reply: str = ""
    supports: tuple[Support, ...] = ()
    closed_book: str = ""
    chunks: Mapping[str, Chunk] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    finished: bool = False

    def timed(self, step: str, seconds: float, *, note: str = "", **changes: Any) -> GlassTrace:
        """Return the trace after a step: its seconds, its sentence, and what it made."""
        notes = {**self.notes, step: note} if note else self.notes
        return replace(self, seconds={**self.seconds, step: seconds}, notes=notes, **changes)

    def with_ranking(self, step: str, ranking: Ranking) -> Mapping[str, Ranking]:
        """Return the rankings with that of a step."""
        return {**self.rankings, step: ranking}

    @property
    def last_list(self) -> str:
        """The step whose list the prompt is made from."""
        return [step for step in LISTS if step in self.rankings][-1]

    @property
    def abstained(self) -> bool:
        """Whether the reply says that it does not know."""
        return bool(self.reply) and abstains(self.reply)

    def rank(self, step: str, chunk_id: str) -> int | None:
        """Return the rank of a chunk in the list of a step, from 1; None if it is not there."""
        ranking = self.rankings.get(step, [])
        return next((rank for rank, hit in enumerate(ranking, start=1) if hit.chunk_id == chunk_id), None)

    def before(self, step: str) -> tuple[str, ...]:
        """Return the steps whose lists the list of a step was made from."""
        if step in ("words", "meaning"):
            return ()
        if step == "fusion":
            return tuple(name for name in ("words", "meaning") if name in self.rankings)
        earlier = [name for name in LISTS[: LISTS.index(step)] if name in self.rankings]
        return (earlier[-1],)

    def move(self, step: str, chunk_id: str) -> str:
        """Return how a chunk moved against the list before: "▲ 3", "▼ 2", "=", or "new" where it was not there."""
        (previous,) = self.before(step)
        old, new = self.rank(previous, chunk_id), self.rank(step, chunk_id)
        if old is None or new is None:
            return "new"
        return "=" if old == new else f"{'▲' if new < old else '▼'} {abs(old - new)}"

    def answer(self) -> Answer:
        """Return what `course_lib.systems.rag.RAG` would: reply, citations of supported sentences, passages, seconds."""
        shown = self.prompt.shown if self.prompt else ()
        scores = {hit.chunk_id: hit.score for hit in self.rankings[self.last_list]} if self.rankings else {}
        return Answer(
            question=self.question,
            text=self.reply,
            citations=() if self.abstained else citations(self.supports, shown),
            passages=tuple((chunk, scores[chunk.chunk_id]) for chunk in shown),
            prompt=self.prompt.messages[-1]["content"] if self.prompt else "",
            seconds=dict(self.seconds),
        )


def citations(supports: Iterable[Support], shown: tuple[Chunk, ...]) -> tuple[Citation, ...]:
    """Return the passages that support a sentence, each once, in the order of the prompt."""
    numbers = sorted({support.number for support in supports if support.number is not None})
    passages = [(number, shown[number - 1]) for number in numbers]
    return tuple(Citation(number, c.chunk_id, c.doc_id, c.title, c.date) for number, c in passages)


def distinctive(similarities: FloatArray) -> FloatArray:
    """Return how far each query token's best match in each passage lies above its mean over the passages.

    similarities: (n_query, n_passages), the largest similarity of each query token to a token of the passage. Returns
    (n_query, n_passages); the mean of each row is 0. Raises ValueError without passages.
    """
    if similarities.ndim != 2 or not similarities.shape[1]:
        raise ValueError(f"similarities must be (n_query, n_passages), at least one passage, got {similarities.shape}")
    return np.asarray(similarities - similarities.mean(axis=1, keepdims=True), dtype=np.float32)


def whole_words(text: str, offsets: Iterable[tuple[int, int]]) -> list[str]:
    """Return for each token, given by its (start, end) in text, the whole word it belongs to.

    A token that is no letter or digit stands for itself.
    """
    words = []
    for start, end in offsets:
        if text[start:end].isalnum():
            while start > 0 and text[start - 1].isalnum():
                start -= 1
            while end < len(text) and text[end].isalnum():
                end += 1
        words.append(text[start:end])
    return words
