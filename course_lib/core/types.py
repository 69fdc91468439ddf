"""The values that flow through the course: documents, chunks, hits, questions, answers."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Document:
    """One piece of the collection, as published on `date`.

    doc_id: "shelf/slug", stable for ever. register: "clinician" or "patient" where a shelf has registers.
    supersedes, superseded_by: doc_id of the version before and after, where there are versions.
    sources: in words, where the facts come from.
    """

    doc_id: str
    shelf: str
    title: str
    date: datetime.date
    text: str
    register: str | None = None
    supersedes: str | None = None
    superseded_by: str | None = None
    sources: str = ""


@dataclass(frozen=True)
class Chunk:
    """A stretch of a document: `text == document.text[start:end]`, offsets in characters."""

    chunk_id: str
    doc_id: str
    title: str
    date: datetime.date
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Hit:
    """A chunk found for a query, with its score; larger is better, comparable within one ranking only."""

    chunk_id: str
    score: float


Ranking = list[Hit]


def ranked(hits: Iterable[Hit]) -> Ranking:
    """Sort hits best first; equal scores in order of chunk_id. The one place where ties are broken."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))


@dataclass(frozen=True)
class GoldSpan:
    """The words of a document that answer a question: `quote` stands in the document's text, letter for letter."""

    doc_id: str
    quote: str


@dataclass(frozen=True)
class Question:
    """A question of the question set.

    kind: one of `course_lib.corpus.questions.KINDS`. answers: short gold answers, the first is the canonical one,
    empty for a question that the collection cannot answer. split: "train", "dev" or "test". any_gold: each gold span
    answers alone, otherwise all are needed. derived: how the answer follows where it does not stand in a span.
    near: the document that makes an unanswerable question look answerable. written: "hand" or "template".
    """

    question_id: str
    text: str
    kind: str
    shelf: str
    split: str
    answers: tuple[str, ...] = ()
    gold: tuple[GoldSpan, ...] = ()
    any_gold: bool = False
    derived: str = ""
    near: str | None = None
    written: str = "hand"


@dataclass(frozen=True)
class Citation:
    """A passage that an answer rests on: its number in the prompt, its chunk and document."""

    number: int
    chunk_id: str
    doc_id: str
    title: str
    date: datetime.date


@dataclass(frozen=True)
class Answer:
    """What a system said to one question, with every passage it was shown and the seconds of each step."""

    question: str
    text: str
    citations: tuple[Citation, ...] = ()
    passages: tuple[tuple[Chunk, float], ...] = ()
    prompt: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
