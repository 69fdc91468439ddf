"""Cut documents into chunks that keep their offsets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from course_lib.core.types import Chunk, Document

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])|\n+")
_NOT_AN_END = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof|St|No|vs|e\.g|i\.e|approx|[A-Z])\.[\"')\]]*\s+$")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of every sentence, without the white space between them.

    A rule, not a parser: a full stop, question or exclamation mark before a capital or digit, or a new line, ends a
    sentence, but not after an initial ("J. Smith") or a common abbreviation.
    """
    borders = [0]
    for match in _SENTENCE_END.finditer(text):
        if not _NOT_AN_END.search(text[borders[-1] : match.end()]):
            borders.append(match.end())
    borders.append(len(text))
    spans = []
    for start, end in pairwise(borders):
        stretch = text[start:end]
        if stretch.strip():
            spans.append((start + len(stretch) - len(stretch.lstrip()), start + len(stretch.rstrip())))
    return spans


def sentence_chunks(document: Document, *, max_words: int = 120) -> list[Chunk]:
    """Pack whole sentences into chunks of at most max_words words, of about equal length.

    A sentence longer than max_words is a chunk of its own. Raises ValueError if max_words < 1.
    """
    if max_words < 1:
        raise ValueError(f"max_words must be at least 1, got {max_words}")
    spans = sentence_spans(document.text)
    lengths = [len(document.text[start:end].split()) for start, end in spans]
    n_chunks = -(-sum(lengths) // max_words)
    target = sum(lengths) / max(n_chunks, 1)
    groups: list[list[int]] = [[]]
    words = 0
    for i, length in enumerate(lengths):
        if groups[-1] and (words + length > max_words or words + length / 2 > target):
            groups.append([])
            words = 0
        groups[-1].append(i)
        words += length
    return [_chunk(document, spans[group[0]][0], spans[group[-1]][1], n) for n, group in enumerate(groups) if group]


def _chunk(document: Document, start: int, end: int, number: int) -> Chunk:
    text = document.text[start:end]
    return Chunk(f"{document.doc_id}#{number:02d}", document.doc_id, document.title, document.date, text, start, end)


def chunk_documents(documents: Iterable[Document], *, max_words: int = 120) -> list[Chunk]:
    """Return the sentence chunks of all documents, in their order."""
    return [chunk for document in documents for chunk in sentence_chunks(document, max_words=max_words)]
