"""The collection, searchable: every shelf chunked, embedded (once) and indexed."""

from __future__ import annotations

from collections.abc import Callable

from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import load_documents
from course_lib.generation.language_model import load_language_model
from course_lib.retrieval.embedding import cached_embeddings, load_embedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.recency import LatestFirst
from course_lib.systems.rag import RAG


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


def reading_room_rag(*shelves: str, k: int = 1, progress: bool = False, say: Callable[[str], None] | None = None) -> RAG:
    """Return the course's first complete system: dense retrieval that minds versions, then the language model."""
    retriever = LatestFirst(reading_room(*shelves, progress=progress, say=say), superseded(*shelves))
    return RAG(retriever, load_language_model(), k=k)
