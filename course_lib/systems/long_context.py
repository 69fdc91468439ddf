"""Long context: whole documents in the prompt, as many as fit, and the question asked of all of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from course_lib.core.protocols import Generator, Message, Retriever
from course_lib.core.types import Answer, Chunk, Document
from course_lib.core.validate import require_text
from course_lib.evaluation.answers import abstains
from course_lib.generation.prompting import conversation_tokens, format_passage, in_order, rag_messages
from course_lib.systems.rag import cite

QUESTION_TOKENS = 64  # kept free for the question
ORDERS = ("shelf", "newest_first", "current_first")


def whole(document: Document) -> Chunk:
    """Return a document as one passage; its chunk_id ends in #whole."""
    return Chunk(
        f"{document.doc_id}#whole", document.doc_id, document.title, document.date, document.text, 0, len(document.text)
    )


def arranged(documents: Iterable[Document], order: str) -> list[Document]:
    """Return documents in an order that no question is needed for; equal ones in order of doc_id.

    "shelf": by doc_id. "newest_first": by date, the latest first. "current_first": those that no later version replaces,
    then the others, each part newest first. Raises ValueError for another order.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")
    found = sorted(documents, key=lambda document: document.doc_id)
    if order != "shelf":
        found.sort(key=lambda document: document.date, reverse=True)
    if order == "current_first":
        found.sort(key=lambda document: document.superseded_by is not None)
    return found


def by_relevance(question: str, documents: Sequence[Document], retriever: Retriever, *, depth: int) -> list[Document]:
    """Return documents in the order in which the first chunk of each is found, then those not found, as given."""
    place: dict[str, int] = {}
    for rank, hit in enumerate(retriever.search(question, depth)):
        place.setdefault(retriever.chunk(hit.chunk_id).doc_id, rank)
    return sorted(documents, key=lambda document: place.get(document.doc_id, depth))


@dataclass(frozen=True)
class Packed:
    """Documents that share a prompt, in the order in which they were offered, and those that found no room.

    n_tokens: of the conversation with an empty question; with one of at most QUESTION_TOKENS it stays within budget.
    """

    shown: tuple[Document, ...]
    left_out: tuple[Document, ...]
    n_tokens: int
    budget: int

    @property
    def share(self) -> float:
        """The share of the documents that is shown."""
        return len(self.shown) / max(1, len(self.shown) + len(self.left_out))


def packed(documents: Sequence[Document], *, generator: Generator, budget: int) -> Packed:
    """Return as many documents as fit into budget tokens with a question: each whole, in turn, if there is room for it.

    One that is too long for what is left is left out, and shorter ones after it may still come in. budget: tokens of the
    conversation, without the answer. Raises ValueError if the model's context is not larger than budget, or no document
    fits.
    """
    context = getattr(generator, "context_length", None)
    if context is not None and budget >= context:
        raise ValueError(f"budget must be below the model's {context} tokens, got {budget}: the answer needs room, too")
    room = budget - QUESTION_TOKENS

    def size(chosen: Sequence[Document]) -> int:
        return conversation_tokens(rag_messages("?", [whole(document) for document in chosen]), generator)

    sizes = {
        document.doc_id: generator.count_tokens(format_passage(10, whole(document)) + "\n\n") for document in documents
    }
    chosen: list[Document] = []
    used = size(documents[:1]) - sizes[documents[0].doc_id] if documents else 0  # what is there without passages
    for document in documents:
        if used + sizes[document.doc_id] <= room:
            chosen.append(document)
            used += sizes[document.doc_id]
    while chosen and size(chosen) > room:  # passages side by side can read as a few tokens more than each alone
        chosen.pop()
    if not chosen:
        raise ValueError(f"budget must hold at least one document and a question, got {budget} tokens; raise it")
    ids = {document.doc_id for document in chosen}
    left_out = tuple(document for document in documents if document.doc_id not in ids)
    return Packed(tuple(chosen), left_out, size(chosen), budget)


@dataclass(frozen=True)
class LongContext:
    """Answers from whole documents in the prompt, without a search or with one that says which documents come first.

    budget: tokens of the prompt. order: of `ORDERS`, used where there is no retriever: then every question has the same
    beginning, and a generator with a prompt cache reads it once. retriever: documents are packed by relevance, anew for
    each question. printed: of `generation.prompting.ORDERS`, how those packed are printed.
    """

    documents: tuple[Document, ...]
    generator: Generator
    budget: int = 8000
    order: str = "shelf"
    retriever: Retriever | None = None
    printed: str = "best_first"
    max_new_tokens: int = 48

    @cached_property
    def shared(self) -> Packed:
        """What every question is asked of, where there is no retriever."""
        return packed(arranged(self.documents, self.order), generator=self.generator, budget=self.budget)

    def packed_for(self, question: str) -> Packed:
        """Return the documents that this question is asked of, and those left out."""
        require_text(question, name="question")
        if self.retriever is None:
            return self.shared
        retriever: Any = self.retriever
        depth = len(retriever) if hasattr(retriever, "__len__") else 100
        found = by_relevance(question, self.documents, self.retriever, depth=depth)
        return packed(found, generator=self.generator, budget=self.budget)

    def passages(self, question: str) -> list[Chunk]:
        """Return the passages as printed."""
        return in_order([whole(document) for document in self.packed_for(question).shown], self.printed)

    def messages(self, question: str) -> list[Message]:
        """Return the conversation that asks question. Raises ValueError if it is longer than QUESTION_TOKENS."""
        return self._messages(question, self.passages(question))

    def _messages(self, question: str, shown: Sequence[Chunk]) -> list[Message]:
        n_asked = self.generator.count_tokens(question)
        if n_asked > QUESTION_TOKENS:
            raise ValueError(f"question must be at most {QUESTION_TOKENS} tokens, got {n_asked}; ask more shortly")
        return rag_messages(question, shown)

    def __call__(self, question: str) -> Answer:
        started = time.perf_counter()
        shown = self.passages(question)
        messages = self._messages(question, shown)
        packed_in = time.perf_counter()
        text = self.generator.generate(messages, max_new_tokens=self.max_new_tokens)
        seconds = {"pack": packed_in - started, "generate": time.perf_counter() - packed_in}
        return _answer(question, text, shown, seconds)

    def ask_many(self, questions: Sequence[str]) -> list[Answer]:
        """Return the answer to each question; a generator with a prompt cache decodes them side by side.

        seconds of an answer: its share of all of them. Raises AttributeError if the generator has no `generate_many`.
        """
        started = time.perf_counter()
        shown = [self.passages(question) for question in questions]
        asked = [self._messages(question, passages) for question, passages in zip(questions, shown, strict=True)]
        generator: Any = self.generator
        texts = generator.generate_many(asked, max_new_tokens=self.max_new_tokens)
        seconds = {"generate": (time.perf_counter() - started) / max(1, len(questions))}
        return [_answer(*row, seconds) for row in zip(questions, texts, shown, strict=True)]


def _answer(question: str, text: str, shown: Sequence[Chunk], seconds: dict[str, float]) -> Answer:
    return Answer(
        question=question,
        text=text,
        citations=() if abstains(text) else cite(text, shown),
        passages=tuple((chunk, 0.0) for chunk in shown),  # not scored
        prompt=rag_messages(question, shown)[-1]["content"],
        seconds=seconds,
    )
