"""Cut documents into chunks that keep their offsets: by words, by sentences, by separators, by change of subject."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.types import Chunk, Document
from course_lib.core.validate import FloatArray, require_matrix

Span = tuple[int, int]
Chunker = Callable[[Document], list[Chunk]]

_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])|\n+")
_NOT_AN_END = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof|St|No|vs|e\.g|i\.e|approx|[A-Z])\.[\"')\]]*\s+$")


def word_spans(text: str) -> list[Span]:
    """Return (start, end) of every word; words are what white space divides."""
    return [match.span() for match in _WORD.finditer(text)]


def _trimmed(text: str, start: int, end: int) -> list[Span]:
    """The stretch without the white space at its ends; none if there is nothing else."""
    stretch = text[start:end]
    kept = stretch.strip()
    lead = start + len(stretch) - len(stretch.lstrip())
    return [(lead, lead + len(kept))] if kept else []


def sentence_spans(text: str) -> list[Span]:
    """Return (start, end) of every sentence, without the white space between them.

    A rule, not a parser: a full stop, question or exclamation mark before a capital or digit, or a new line, ends a
    sentence, but not after an initial ("J. Smith") or a common abbreviation.
    """
    borders = [0]
    for match in _SENTENCE_END.finditer(text):
        if not _NOT_AN_END.search(text[borders[-1] : match.end()]):
            borders.append(match.end())
    borders.append(len(text))
    return [span for start, end in pairwise(borders) for span in _trimmed(text, start, end)]


def _require_size(max_words: int, overlap: int, *, unit: str, below: int | None = None) -> None:
    for name, value, least in (("max_words", max_words, 1), ("overlap", overlap, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be a whole number, got {value!r} ({type(value).__name__})")
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if below is not None and overlap >= below:
        raise ValueError(f"overlap must be smaller than max_words ({below} {unit}), got {overlap}; a quarter is much")


def _chunks(document: Document, spans: Iterable[Span]) -> list[Chunk]:
    """A chunk for each span, numbered in order: "doc_id#00", "doc_id#01" and so on."""
    return [
        Chunk(
            f"{document.doc_id}#{number:02d}",
            document.doc_id,
            document.title,
            document.date,
            document.text[start:end],
            start,
            end,
        )
        for number, (start, end) in enumerate(spans)
    ]


def fixed_chunks(document: Document, *, max_words: int = 120, overlap: int = 0) -> list[Chunk]:
    """Cut every max_words words, wherever that falls; each chunk repeats the last `overlap` words of the one before.

    The last chunk may be shorter, but always holds a word that is new. Raises ValueError unless
    0 <= overlap < max_words.
    """
    _require_size(max_words, overlap, unit="words", below=max_words)
    words = word_spans(document.text)
    starts = range(0, max(len(words) - overlap, min(len(words), 1)), max_words - overlap)
    return _chunks(document, ((words[i][0], words[min(i + max_words, len(words)) - 1][1]) for i in starts))


def sentence_chunks(document: Document, *, max_words: int = 120, overlap: int = 0) -> list[Chunk]:
    """Pack whole sentences into chunks of at most max_words words, of about equal length.

    overlap: in sentences; each chunk begins with the last ones of the chunk before, as many as leave room for a new
    one. A sentence longer than max_words is a chunk of its own. Raises ValueError if max_words < 1 or overlap < 0.
    """
    _require_size(max_words, overlap, unit="words")
    spans = sentence_spans(document.text)
    lengths = [len(document.text[start:end].split()) for start, end in spans]
    n_chunks = -(-sum(lengths) // max_words)
    target = sum(lengths) / max(n_chunks, 1)
    groups: list[list[int]] = [[]]
    words = 0
    for i, length in enumerate(lengths):
        if groups[-1] and (words + length > max_words or words + length / 2 > target):
            carried = groups[-1][max(1, len(groups[-1]) - overlap) :]  # never the whole chunk again
            while carried and sum(lengths[j] for j in carried) + length > max_words:
                carried = carried[1:]
            groups.append(list(carried))
            words = sum(lengths[j] for j in carried)
        groups[-1].append(i)
        words += length
    return _chunks(document, ((spans[group[0]][0], spans[group[-1]][1]) for group in groups if group))


def _paragraph_spans(text: str) -> list[Span]:
    borders = [0, *(match.end() for match in re.finditer(r"\n[ \t]*\n\s*", text)), len(text)]
    return [span for start, end in pairwise(borders) for span in _trimmed(text, start, end)]


def _line_spans(text: str) -> list[Span]:
    borders = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    return [span for start, end in pairwise(borders) for span in _trimmed(text, start, end)]


# From the border that divides most to the one that divides least.
SEPARATORS: tuple[Callable[[str], list[Span]], ...] = (_paragraph_spans, _line_spans, sentence_spans, word_spans)


def recursive_chunks(document: Document, *, max_words: int = 120, overlap: int = 0) -> list[Chunk]:
    """Cut at paragraphs; what is still too long at lines, then at sentences, then at words; pack short neighbours.

    Pieces are packed only with pieces of the same level, so that a chunk does not run from inside one paragraph into
    the next. overlap: in words; a chunk repeats the last pieces of the one before, if whole pieces fit. Raises
    ValueError unless 0 <= overlap < max_words.
    """
    _require_size(max_words, overlap, unit="words", below=max_words)
    return _chunks(document, _divided(document.text, 0, len(document.text), 0, max_words, overlap))


def _divided(text: str, start: int, end: int, level: int, max_words: int, overlap: int) -> list[Span]:
    found: list[Span] = []
    short: list[Span] = []  # neighbours that wait to be packed
    for piece_start, piece_end in SEPARATORS[level](text[start:end]):
        span = (start + piece_start, start + piece_end)
        if len(text[slice(*span)].split()) <= max_words:
            short.append(span)
            continue
        found += _packed(text, short, max_words, overlap)
        short = []
        found += _divided(text, *span, level + 1, max_words, overlap)
    return found + _packed(text, short, max_words, overlap)


def _packed(text: str, pieces: Sequence[Span], max_words: int, overlap: int) -> list[Span]:
    """Join neighbours while they fit; a new stretch begins with the last pieces that hold at most `overlap` words."""
    lengths = [len(text[start:end].split()) for start, end in pieces]
    groups: list[list[int]] = [[]]
    for i, length in enumerate(lengths):
        group = groups[-1]
        if group and sum(lengths[j] for j in group) + length > max_words:
            group = list(group)
            while group and sum(lengths[j] for j in group) > min(overlap, max_words - length):
                group.pop(0)
            groups.append(group)
        groups[-1].append(i)
    return [(pieces[group[0]][0], pieces[group[-1]][1]) for group in groups if group]


def semantic_borders(vectors: FloatArray, *, percentile: float) -> list[int]:
    """Return the positions of the sentences that begin a new stretch: where the cosine to the one before is low.

    vectors: (n_sentences, dim), rows of length 1. Low means at or below that percentile of the cosines of all
    neighbours, so at least one border is found wherever there are two sentences. Raises ValueError unless
    0 <= percentile <= 100.
    """
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile must lie between 0 and 100, got {percentile}; 20 cuts at a fifth of the borders")
    vectors = require_matrix(vectors, name="vectors")
    if len(vectors) < 2:
        return []
    cosines = (vectors[1:] * vectors[:-1]).sum(axis=1)  # (n_sentences - 1,)
    return [int(i) + 1 for i in np.flatnonzero(cosines <= np.percentile(cosines, percentile))]


def semantic_chunks(
    document: Document, embedder: Embedder, *, max_words: int = 120, percentile: float = 20.0
) -> list[Chunk]:
    """Cut where the subject changes: where the vectors of neighbouring sentences are least alike (Kamradt, 2023).

    A stretch longer than max_words is cut further, by packing its sentences. Chunks may be as short as one sentence;
    nothing overlaps. Costs one vector a sentence. Raises ValueError as semantic_borders does.
    """
    _require_size(max_words, 0, unit="words")
    spans = sentence_spans(document.text)
    if not spans:
        return []
    borders = semantic_borders(embedder([document.text[start:end] for start, end in spans]), percentile=percentile)
    found: list[Span] = []
    for first, after in pairwise([0, *borders, len(spans)]):
        start, end = spans[first][0], spans[after - 1][1]
        stretch = replace(document, text=document.text[start:end])
        found += [(start + c.start, start + c.end) for c in sentence_chunks(stretch, max_words=max_words)]
    return _chunks(document, found)


def chunk_documents(
    documents: Iterable[Document], *, max_words: int | None = None, chunker: Chunker | None = None
) -> list[Chunk]:
    """Return the chunks of all documents, in their order: those of chunker, or sentences packed to max_words (120).

    A chunker with settings is `partial(fixed_chunks, max_words=60, overlap=15)`. Raises ValueError if both are given.
    """
    if chunker is not None and max_words is not None:
        raise ValueError(f"max_words must go into the chunker, got {max_words} beside it: partial(..., max_words=...)")
    cut = chunker or partial(sentence_chunks, max_words=120 if max_words is None else max_words)
    return [chunk for document in documents for chunk in cut(document)]
