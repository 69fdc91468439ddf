"""The collection, searchable: every shelf chunked, embedded (once) and indexed."""

from __future__ import annotations

from collections.abc import Callable

from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import load_documents
from course_lib.generation.language_model import load_language_model
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.embedding import cached_embeddings, load_embedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.recency import LatestFirst
from course_lib.retrieval.reranking import QueryLikelihoodReranker
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


def reading_room_rag(
    *shelves: str, k: int = 1, progress: bool = False, say: Callable[[str], None] | None = None
) -> RAG:
    """Return the system behind `course ask`: words and meaning fused, versions minded, the ten best read again.

    One passage is shown by default: a model of this size answers worse from three.
    """
    dense = reading_room(*shelves, progress=progress, say=say)
    chunks = list(dense.chunks_.values())
    fused = FusedRetriever(dense, FastBM25Retriever().fit(chunks), n_chunks=len(chunks))
    model = load_language_model()
    latest = LatestFirst(fused, superseded(*shelves), weight=0.3)
    return RAG(QueryLikelihoodReranker(latest, model, depth=max(10, k)), model, k=k)
