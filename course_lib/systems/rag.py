"""Retrieval-augmented generation: search, build the prompt, answer, cite."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.core.protocols import Generator, Retriever
from course_lib.core.types import Answer, Chunk, Citation
from course_lib.evaluation.answers import abstains
from course_lib.generation.prompting import build_prompt, closed_book_messages


@dataclass(frozen=True)
class RAG:
    """Search the k best chunks, show them to the generator, return its answer and every step of the way.

    budget: tokens of the whole prompt; passages that do not fit are left out whole, the last first.
    """

    retriever: Retriever
    generator: Generator
    k: int = 3
    budget: int = 1200
    max_new_tokens: int = 48

    def __call__(self, question: str) -> Answer:
        started = time.perf_counter()
        ranking = self.retriever.search(question, self.k)
        found = [(self.retriever.chunk(hit.chunk_id), hit.score) for hit in ranking]
        searched = time.perf_counter()
        prompt = build_prompt(question, [chunk for chunk, _ in found], generator=self.generator, budget=self.budget)
        text = self.generator.generate(prompt.messages, max_new_tokens=self.max_new_tokens)
        answered = time.perf_counter()
        return Answer(
            question=question,
            text=text,
            citations=() if abstains(text) else cite(text, prompt.shown),
            passages=tuple(found[: len(prompt.shown)]),
            prompt=prompt.messages[-1]["content"],
            seconds={"search": searched - started, "generate": answered - searched},
        )


@dataclass(frozen=True)
class ClosedBook:
    """The generator alone, without any passage."""

    generator: Generator
    max_new_tokens: int = 48

    def __call__(self, question: str) -> Answer:
        started = time.perf_counter()
        text = self.generator.generate(closed_book_messages(question), max_new_tokens=self.max_new_tokens)
        return Answer(question=question, text=text, seconds={"generate": time.perf_counter() - started})


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def cite(answer: str, passages: Sequence[Chunk]) -> tuple[Citation, ...]:
    """Return the passage that holds most of the answer's words, as a citation; the earlier one where two tie.

    By word overlap: it says where to look, not that the passage proves the answer. `cite_sentences` looks closer.
    """
    words = _words(answer)
    overlap = [len(words & _words(f"{chunk.title} {chunk.text}")) for chunk in passages]
    if not passages or max(overlap) == 0:
        return ()
    best = overlap.index(max(overlap))
    chunk = passages[best]
    return (Citation(best + 1, chunk.chunk_id, chunk.doc_id, chunk.title, chunk.date),)


def answer_as_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as plain data: question, answer, citations, passages with scores, seconds."""
    return {
        "question": answer.question,
        "answer": answer.text,
        "citations": [
            {
                "number": c.number,
                "doc_id": c.doc_id,
                "chunk_id": c.chunk_id,
                "title": c.title,
                "date": c.date.isoformat(),
            }
            for c in answer.citations
        ],
        "passages": [
            {
                "chunk_id": chunk.chunk_id,
                "doc_id": chunk.doc_id,
                "title": chunk.title,
                "date": chunk.date.isoformat(),
                "score": round(score, 4),
                "text": chunk.text,
            }
            for chunk, score in answer.passages
        ],
        "seconds": {step: round(seconds, 3) for step, seconds in answer.seconds.items()},
    }
