"""The collection, searchable and ready to answer: every shelf chunked, embedded (once) and indexed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from course_lib.core.protocols import Generator
from course_lib.core.types import Chunk
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import load_documents
from course_lib.evaluation.grounding import Groundedness, Grounding
from course_lib.generation.language_model import load_language_model
from course_lib.retrieval.embedding import cached_embeddings, load_embedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.systems.glass import GlassPipeline
from course_lib.systems.glass_search import GlassSearch
from course_lib.systems.glass_trace import Settings
from course_lib.systems.grounding_models import load_groundedness
from course_lib.systems.rag import RAG
from course_lib.systems.room import Room


def reading_room(*shelves: str, progress: bool = False, say: Callable[[str], None] | None = None) -> DenseRetriever:
    """Return a retriever over the shelves named (all if none is); vectors come from the cache where they are there.

    say: is told once if vectors must be computed.
    """
    chunks = chunk_documents(load_documents(*shelves))
    embedder = load_embedder(progress=progress)
    embeddings = cached_embeddings([indexed_text(chunk) for chunk in chunks], embedder, say=say)
    return DenseRetriever(embedder).fit(chunks, embeddings)


def superseded(*shelves: str) -> set[str]:
    """Return the doc_ids of all documents that a later version has replaced."""
    return {document.doc_id for document in load_documents(*shelves) if document.superseded_by}


def reading_room_glass(
    *shelves: str,
    k: int = 1,
    dense: DenseRetriever | None = None,
    generator: Generator | None = None,
    progress: bool = False,
    say: Callable[[str], None] | None = None,
) -> GlassPipeline:
    """Return the system behind `course ask`, every step to be seen and switched.

    Words and meaning are fused by z-score, superseded versions go unless the question looks back, and late interaction
    reads the 50 best again: chosen on the dev questions. One passage is shown by default: a model of this size answers
    worse from three. dense, generator: a retriever over these shelves and a model that are loaded already.
    """
    room = _room(*shelves, dense=dense, progress=progress, say=say)
    return GlassPipeline(room, generator or load_language_model(), Settings(k=k), _judge)


def reading_room_rag(
    *shelves: str, k: int = 1, progress: bool = False, say: Callable[[str], None] | None = None
) -> RAG:
    """Return the same system as `RAG`: the search of `reading_room_glass`, its prompt, its answer."""
    return RAG(GlassSearch(_room(*shelves, progress=progress, say=say)), load_language_model(), k=k)


@cache
def _groundedness() -> Groundedness:
    return load_groundedness()


def _judge(question: str, answer: str, passages: Sequence[Chunk]) -> Grounding:
    """Groundedness, loaded when the first answer is judged."""
    return _groundedness()(question, answer, passages)


def _room(
    *shelves: str, dense: DenseRetriever | None = None, progress: bool, say: Callable[[str], None] | None
) -> Room:
    dense = dense or reading_room(*shelves, progress=progress, say=say)
    held = {chunk.doc_id for chunk in dense.chunks_.values()}
    return Room.of(dense, {document.doc_id: document for document in load_documents() if document.doc_id in held})
