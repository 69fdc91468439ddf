"""The systems on the scoreboard, by name, each with how it is built."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from course_lib.core.protocols import Retriever
from course_lib.core.types import Answer, Chunk, Hit, Ranking
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.generation.cached import load_cached_language_model
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.cross_encoder import RERANKER, CrossEncoderReranker, load_cross_encoder
from course_lib.retrieval.exact import DenseRetriever
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.late_interaction import ContextualTokens, LateInteractionReranker, TokenStore
from course_lib.retrieval.reranking import QueryLikelihoodReranker
from course_lib.systems.asking import AnswerSystem
from course_lib.systems.contexts import gold_passages
from course_lib.systems.rag import RAG, ClosedBook
from course_lib.systems.reading_room import reading_room, reading_room_glass


@dataclass(frozen=True)
class Built:
    """A system that can be asked. retriever: whose ranking is scored, None where there is none; index_bytes: in memory."""

    system: AnswerSystem
    retriever: Retriever | None = None
    index_bytes: int = 0


@dataclass(frozen=True)
class System:
    """A system by name. lesson: that builds it; how: in a sentence; build: makes it, nothing is loaded before.

    answerable_only: it knows the right passage, and an unanswerable question has none. control: a floor, no system.
    slow: many minutes, so it is measured only by name.
    trained: minutes and parameters of what was trained for it.
    """

    name: str
    lesson: str
    how: str
    build: Callable[[], Built]
    answerable_only: bool = False
    control: bool = False
    slow: bool = False
    trained: Callable[[], tuple[float, int]] = lambda: (0.0, 0)

    @property
    def slug(self) -> str:
        """The name as it is typed in a command: "+ late interaction" is late-interaction."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


# ---------------------------------------------------------------- parts, each made once in a process


@cache
def collection_chunks() -> tuple[Chunk, ...]:
    """Return the chunks of the whole collection, cut as `course ask` cuts them."""
    return tuple(chunk_documents(load_documents()))


@cache
def _words() -> FastBM25Retriever:
    return FastBM25Retriever().fit(collection_chunks())


@cache
def _dense() -> DenseRetriever:
    return reading_room()


def _fused(method: str) -> FusedRetriever:
    return FusedRetriever(_dense(), _words(), n_chunks=len(collection_chunks()), method=method)


def _answering(retriever: Retriever, index_bytes: int) -> Built:
    return Built(RAG(retriever, load_cached_language_model(), k=1), retriever, index_bytes)


def _bytes_of_both() -> int:
    return _words().n_bytes + _dense().index_.n_bytes


# ---------------------------------------------------------------- systems


def _closed_book() -> Built:
    return Built(ClosedBook(load_cached_language_model()))


def _bm25() -> Built:
    return _answering(_words(), _words().n_bytes)


def _minilm() -> Built:
    return _answering(_dense(), _dense().index_.n_bytes)


def _rrf() -> Built:
    return _answering(_fused("rrf"), _bytes_of_both())


def _z_score() -> Built:
    return _answering(_fused("z_score"), _bytes_of_both())


def _late(first: Retriever) -> LateInteractionReranker:
    encode = ContextualTokens(_dense().embedder)  # type: ignore[arg-type]
    return LateInteractionReranker(first, TokenStore(encode, number_format="int8"))


def _late_interaction() -> Built:
    return _answering(_late(_fused("z_score")), _bytes_of_both())


def _latest_version() -> Built:
    cached = load_cached_language_model()
    glass = reading_room_glass(dense=_dense(), generator=cached)
    return Built(RAG(glass.retriever, cached, k=1), glass.retriever, _bytes_of_both())


def _cross_encoder() -> Built:
    return _answering(CrossEncoderReranker(_fused("z_score"), load_cross_encoder()), _bytes_of_both())


def _query_likelihood() -> Built:
    cached = load_cached_language_model()
    reader = QueryLikelihoodReranker(_fused("z_score"), cached.generator)  # type: ignore[arg-type]
    return Built(RAG(reader, cached, k=1), reader, _bytes_of_both())


class GoldPassages:
    """The oracle: for a question it knows, the passages that hold its gold spans. It searches nothing."""

    def __init__(self, gold: dict[str, list[Chunk]]) -> None:
        self.gold = gold
        self.chunks = {chunk.chunk_id: chunk for found in gold.values() for chunk in found}

    def search(self, query: str, k: int) -> Ranking:
        """Return at most k gold chunks. Raises KeyError for a question that it does not know."""
        return [Hit(chunk.chunk_id, 1.0) for chunk in self.gold[query][:k]]

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.chunks[chunk_id]


def _oracle() -> Built:
    documents = {document.doc_id: document for document in load_documents()}
    questions = [question for split in ("dev", "test") for question in load_questions(split=split) if question.gold]
    gold = {question.text: gold_passages(question, collection_chunks(), documents) for question in questions}
    return Built(RAG(GoldPassages(gold), load_cached_language_model(), k=max(map(len, gold.values()))))


def _repeat() -> Built:
    return Built(lambda question: Answer(question=question, text=question))


def _card() -> tuple[float, int]:
    card = json.loads((RERANKER / "card.json").read_text(encoding="utf-8"))
    return float(card["minutes"]), int(card["trained_parameters"])


ONE = "the best passage goes to the language model"
SYSTEMS = (
    System("closed book", "00", "The language model alone, without documents.", _closed_book),
    System("BM25", "04", f"Search by words (k1 1.2, b 0.75); {ONE}.", _bm25),
    System("MiniLM", "02", f"Search by meaning: one vector a passage, all compared; {ONE}.", _minilm),
    System("RRF", "04", f"BM25 and MiniLM fused by rank (constant 60, alike in weight); {ONE}.", _rrf),
    System("z-score fusion", "04", f"BM25 and MiniLM fused by standardised score, alike in weight; {ONE}.", _z_score),
    System(
        "+ late interaction",
        "06",
        f"Z-score fusion, its 50 best read again by late interaction; {ONE}. Token vectors are made when a passage is first read.",
        _late_interaction,
    ),
    System(
        "+ latest version first",
        "06",
        f"What `course ask` does: z-score fusion, superseded versions left out unless the question looks back, the 50 best read again by late interaction; {ONE}.",
        _latest_version,
    ),
    System(
        "+ cross-encoder",
        "06",
        f"Z-score fusion, its 20 best read again by the course's trained cross-encoder; {ONE}.",
        _cross_encoder,
        trained=_card,
    ),
    System(
        "+ query likelihood",
        "06",
        f"Z-score fusion, its 10 best read again by how likely the language model finds the question; {ONE}.",
        _query_likelihood,
        slow=True,
    ),
    System(
        "oracle passage",
        "07",
        "The passages that hold the gold sentences, no search: what the language model can reach. Answerable questions only.",
        _oracle,
        answerable_only=True,
    ),
    System(
        "question repeated", "08", "The reply is the question itself: what a measure gives to no answer at all.", _repeat,
        control=True,
    ),
)  # fmt: skip
NAMES = tuple(system.name for system in SYSTEMS)


def find(name: str, systems: Sequence[System] = SYSTEMS) -> System:
    """Return the system with this name or slug. Raises ValueError if there is none."""
    for system in systems:
        if name in (system.name, system.slug):
            return system
    raise ValueError(f"system must be one of {', '.join(each.slug for each in systems)}, got {name!r}")
