"""What is searched: chunks by meaning and by words, their token vectors, and documents that a learner adds."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from course_lib.core.types import Chunk, Document
from course_lib.core.validate import require_text
from course_lib.corpus.chunking import recursive_chunks
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.embedding import ContextualEmbedder, checked_texts
from course_lib.retrieval.exact import DenseRetriever
from course_lib.retrieval.late_interaction import ContextualTokens, TokenStore

YOURS = "yours"
MAX_TITLE, MAX_TEXT = 200, 20_000  # characters
MAX_YOURS = 20  # documents that can be added to one room


def own_document(title: str, text: str, *, date: datetime.date | None = None) -> Document:
    """Return a document of the learner's own, on the shelf "yours", dated today unless date says otherwise.

    Its doc_id holds a hash of title and text, so that another text never meets the vectors of this one. Raises
    TypeError or ValueError if title or text is empty, too long (MAX_TITLE, MAX_TEXT characters) or not valid Unicode.
    """
    for name, value, most in (("title", title, MAX_TITLE), ("text", text, MAX_TEXT)):
        require_text(value, name=f"the document's {name}")
        if len(value) > most:
            raise ValueError(
                f"the document's {name} must be at most {most:,} characters, got {len(value):,}; "
                + ("use a short name" if name == "title" else "add the part that matters, or two documents")
            )
    checked_texts([title, text])
    title = " ".join(title.split())
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "document"
    digest = hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()[:8]
    return Document(f"{YOURS}/{slug}-{digest}", YOURS, title, date or datetime.date.today(), text)


@dataclass(frozen=True)
class Room:
    """A collection that is ready to be searched; adding a document gives a new room and leaves this one as it was.

    documents: doc_id -> Document, of every chunk. tokens: vectors of chunks' tokens, made when a chunk is first read
    again, and shared by the rooms that come from one another.
    """

    dense: DenseRetriever
    words: FastBM25Retriever
    tokens: TokenStore
    documents: Mapping[str, Document]

    @classmethod
    def of(cls, dense: DenseRetriever, documents: Mapping[str, Document]) -> Self:
        """Return the room of a fitted retriever. Raises ValueError if a chunk's document is not among documents.

        Raises TypeError if its embedder is no encoder: there are no token vectors then.
        """
        missing = {chunk.doc_id for chunk in dense.chunks_.values()} - set(documents)
        if missing:
            raise ValueError(f"documents must hold every document of the index, but {min(missing)} is missing")
        tokens = TokenStore(ContextualTokens(_encoder(dense)), number_format="int8")
        return cls(dense, FastBM25Retriever().fit(list(dense.chunks_.values())), tokens, dict(documents))

    def __len__(self) -> int:
        return len(self.dense)

    @property
    def embedder(self) -> ContextualEmbedder:
        """The encoder of chunks and queries."""
        return _encoder(self.dense)

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.dense.chunk(chunk_id)

    @property
    def yours(self) -> tuple[Document, ...]:
        """The documents that were added, oldest first."""
        return tuple(document for document in self.documents.values() if document.shelf == YOURS)

    def with_document(self, document: Document) -> Self:
        """Return a room that holds this document, too: cut at paragraphs and sentences, embedded, indexed by words.

        Raises ValueError if it is there already, or MAX_YOURS were added.
        """
        if document.doc_id in self.documents:
            raise ValueError(f'"{document.title}" is in the room already, with the same text; change it, or ask')
        if len(self.yours) >= MAX_YOURS:
            raise ValueError(f"a room takes at most {MAX_YOURS} documents of yours; remove them, then add this one")
        dense = self.dense.add(recursive_chunks(document, max_words=120))
        return self._with(dense, {**self.documents, document.doc_id: document})

    def without_yours(self) -> Self:
        """Return the room without the documents that were added."""
        if not self.yours:
            return self
        names = [document.doc_id for document in self.yours]
        kept = {name: document for name, document in self.documents.items() if name not in names}
        return self._with(self.dense.without(*names), kept)

    def _with(self, dense: DenseRetriever, documents: Mapping[str, Document]) -> Self:
        words = FastBM25Retriever().fit(list(dense.chunks_.values()))
        return replace(self, dense=dense, words=words, documents=documents)


def _encoder(dense: DenseRetriever) -> ContextualEmbedder:
    if not isinstance(dense.embedder, ContextualEmbedder):
        raise TypeError(
            f"the retriever's embedder must be a ContextualEmbedder, got {type(dense.embedder).__name__}: reranking "
            "needs a vector for each token"
        )
    return dense.embedder
