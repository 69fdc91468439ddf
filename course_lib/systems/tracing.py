"""A question on its way through a simple hybrid system, with everything that a diagnosis needs kept as a Trace."""

from __future__ import annotations

import copy
import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk, Document, Question, Ranking
from course_lib.core.validate import FloatArray
from course_lib.corpus.chunking import Chunker, chunk_documents
from course_lib.corpus.judgements import gold_ranges, judge_chunks
from course_lib.evaluation.answers import abstains
from course_lib.generation.cached import CachedGenerator
from course_lib.generation.citing import shared_words
from course_lib.generation.prompting import rag_messages
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.diversity import crowding
from course_lib.retrieval.embedding import ContextualEmbedder, cached_embeddings
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import fuse
from course_lib.systems.failures import ALIKE, Trace

ABSTENTION = "I do not know."
_NUMBER = re.compile(r"^\[\d+\] ", re.MULTILINE)
DEPTH, FIRST = 100, 5  # hits searched; hits kept of each list
MAX_NEW_TOKENS = 48


@dataclass
class Room:
    """Documents cut, indexed and asked: BM25 and MiniLM fused by rank, the first k passages in the prompt."""

    name: str
    documents: Sequence[Document]
    embedder: ContextualEmbedder
    k: int = 1
    chunker: Chunker | None = None
    until: datetime.date | None = None
    vectors: dict[str, FloatArray] = field(default_factory=dict)

    def fit(self) -> Self:
        """Cut and index; documents after `until` are judged, but not indexed."""
        self.by_id_ = {document.doc_id: document for document in self.documents}
        chunks = chunk_documents(self.documents, chunker=self.chunker)
        self.chunks_ = {chunk.chunk_id: chunk for chunk in chunks}
        indexed = [chunk for chunk in chunks if self.until is None or chunk.date <= self.until]
        embeddings = cached_embeddings([indexed_text(chunk) for chunk in indexed], self.embedder)
        self.by_document_: dict[str, list[Chunk]] = {}
        for chunk in chunks:
            self.by_document_.setdefault(chunk.doc_id, []).append(chunk)
        self.found_: dict[str, dict[str, Ranking]] = {}
        self.indexed_ = {chunk.chunk_id for chunk in indexed}
        self.vectors = {chunk.chunk_id: vector for chunk, vector in zip(indexed, embeddings, strict=True)}
        self.dense_ = DenseRetriever(self.embedder).fit(indexed, embeddings)
        self.words_ = FastBM25Retriever().fit(indexed)
        return self

    @property
    def shelves(self) -> set[str]:
        """The shelves that the documents come from."""
        return {document.shelf for document in self.documents}

    def with_k(self, k: int, name: str) -> Self:
        """Return the same room, index and all, that shows k passages."""
        room = copy.copy(self)
        room.k, room.name = k, name
        return room

    def lists(self, question: Question) -> dict[str, Ranking]:
        """Return the rankings of both retrievers and the fused one, DEPTH hits each; a question is searched once."""
        if question.question_id not in self.found_:
            self.found_[question.question_id] = self._search(question)
        return self.found_[question.question_id]

    def _search(self, question: Question) -> dict[str, Ranking]:
        depth = min(DEPTH, len(self.indexed_))
        found = {"BM25": self.words_.search(question.text, depth), "MiniLM": self.dense_.search(question.text, depth)}
        return {**found, "fused": fuse([found["MiniLM"], found["BM25"]])[:DEPTH]}

    def trace(
        self, question: Question, shown: Sequence[str] | None = None, lists: Mapping[str, Ranking] | None = None
    ) -> Trace:
        """Return the trace of a question up to the prompt, with no answer yet. shown: the k best of the fused list by default."""
        lists = lists or self.lists(question)
        gold = self.gold(question)
        names = tuple(shown if shown is not None else (hit.chunk_id for hit in lists["fused"][: self.k]))
        ranks = {
            name: {one: next((r for r, hit in enumerate(hits, 1) if hit.chunk_id == one), None) for one in gold}
            for name, hits in lists.items()
        }
        first = {name: tuple(hits[:FIRST]) for name, hits in lists.items()}
        named = {*gold, *names, *(hit.chunk_id for hits in first.values() for hit in hits)}
        chunks = {name: self.chunks_[name] for name in sorted(named)}
        vectors = [self.vectors[name] for name in names if name in self.vectors]
        return Trace(
            question=question, system=self.name, gold=gold,
            missing=self.missing(question), cut=self.cut(question), lists=first, ranks=ranks, shown=names,
            other_versions=tuple(name for name in names if self._other_version(name, gold)),
            alike=crowding(np.stack(vectors) @ np.stack(vectors).T, threshold=ALIKE) if len(vectors) > 1 else 0.0,
            answer="", cited=(), chunks=chunks,
        )  # fmt: skip

    def gold(self, question: Question) -> tuple[str, ...]:
        """Return the ids of the chunks that answer, indexed or not."""
        of_gold = [self.by_id_[span.doc_id] for span in question.gold]
        chunks = [chunk for document in of_gold for chunk in self.by_document_[document.doc_id]]
        return tuple(judge_chunks([question], chunks, of_gold).get(question.question_id, ()))

    def missing(self, question: Question) -> tuple[str, ...]:
        """Return those of the gold chunks that the index lacks."""
        return tuple(name for name in self.gold(question) if name not in self.indexed_)

    def cut(self, question: Question) -> bool:
        """Return whether a gold span stands whole in no chunk."""
        return any(
            not any(chunk.start <= start and end <= chunk.end for chunk in self.by_document_[doc_id])
            for doc_id, start, end in gold_ranges(question, self.by_id_)
        )

    def _other_version(self, name: str, gold: Sequence[str]) -> bool:
        """Whether a chunk is of a version of a gold document, but of none that is gold itself."""
        wanted = {self.chunks_[one].doc_id for one in gold}
        doc_id = self.chunks_[name].doc_id
        return doc_id not in wanted and bool(wanted & set(self._chain(doc_id)))

    def _chain(self, doc_id: str) -> list[str]:
        chain = [doc_id]
        for step in ("supersedes", "superseded_by"):
            at = self.by_id_[doc_id]
            while (name := getattr(at, step)) and name in self.by_id_ and name not in chain:
                chain.append(name)
                at = self.by_id_[name]
        return chain


def answered(traces: Sequence[Trace], model: CachedGenerator) -> list[Trace]:
    """Return the traces with the model's answers and their citations; one without passages abstains."""
    asked = [trace for trace in traces if trace.shown]
    conversations = [prompt_of(trace) for trace in asked]
    replies = iter(model.generate_many(conversations, max_new_tokens=MAX_NEW_TOKENS) if asked else [])
    return [
        with_answer(trace, next(replies)) if trace.shown else replace(trace, answer=ABSTENTION, cited=())
        for trace in traces
    ]


def prompt_of(trace: Trace) -> list[Message]:
    """Return the conversation of a trace; without the numbers before its passages where it is not numbered."""
    messages = rag_messages(trace.question.text, [trace.chunks[name] for name in trace.shown])
    if trace.numbered:
        return messages
    return [{**message, "content": _NUMBER.sub("", message["content"])} for message in messages]


def with_answer(trace: Trace, answer: str) -> Trace:
    """Return the trace with an answer; cited is the passage that holds most of its words, unless it abstains."""
    passages = [trace.chunks[name] for name in trace.shown]
    shares = shared_words([answer], [indexed_text(chunk) for chunk in passages]).reshape(-1)  # (n_passages,)
    cited = () if abstains(answer) or not shares.any() else (passages[int(shares.argmax())].chunk_id,)
    return replace(trace, answer=answer, cited=cited)
