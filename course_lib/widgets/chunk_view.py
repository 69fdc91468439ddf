"""A view of chunks: a document with the borders of its chunks, their overlaps, and what became of a gold span."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from course_lib.core.protocols import Embedder
from course_lib.core.types import Chunk, Document
from course_lib.corpus.chunking import (
    Span,
    fixed_chunks,
    recursive_chunks,
    semantic_chunks,
    sentence_chunks,
    sentence_spans,
)
from course_lib.evaluation.spans import fate
from course_lib.widgets.show import show_widget

if TYPE_CHECKING:
    import ipywidgets

METHODS = ("fixed", "sentence", "recursive", "semantic")
TINTS = ("#cfe5f5", "#fbe7c0", "#c9ecdf")  # light enough for black text on each
SHARED = "background:#ddd repeating-linear-gradient(45deg,#d4d4d4 0 3px,#f4f4f4 3px 7px)"
_BOX = (
    "line-height:1.7;max-width:60em;white-space:pre-wrap;overflow-wrap:anywhere;color:#000;background:#fff;padding:.5em"
)


@dataclass(frozen=True)
class Segment:
    """A stretch of the document that the same chunks hold (by number, from 0), and whether it is of the gold span."""

    start: int
    end: int
    chunks: tuple[int, ...]
    gold: bool


def segments(text: str, chunks: Sequence[Chunk], gold: Span | None = None) -> list[Segment]:
    """Cut a text at every border of a chunk and of the gold span; together the segments are the whole text."""
    borders = {0, len(text), *(border for chunk in chunks for border in (chunk.start, chunk.end)), *(gold or ())}
    places = sorted(borders)
    return [
        Segment(
            start,
            end,
            tuple(i for i, chunk in enumerate(chunks) if chunk.start <= start and end <= chunk.end),
            gold is not None and gold[0] <= start and end <= gold[1],
        )
        for start, end in pairwise(places)
    ]


@dataclass(frozen=True)
class ChunkView:
    """A document cut in one way: `chunks`, and what a learner sees of them."""

    document: Document
    chunks: tuple[Chunk, ...]
    gold: Span | None = None

    @property
    def stored_words(self) -> int:
        """Words in all chunks together: what overlaps is stored twice."""
        return sum(len(chunk.text.split()) for chunk in self.chunks)

    def fate(self) -> str:
        """Return in words what became of the gold span; chunks are counted from 1."""
        if self.gold is None:
            return "No span is marked."
        start, end = self.gold
        touched = [i for i, chunk in enumerate(self.chunks, start=1) if chunk.start < end and chunk.end > start]
        names = " and ".join(filter(None, [", ".join(map(str, touched[:-1])), str(touched[-1])])) if touched else ""
        if fate(self.gold, self.chunks) == "whole":
            holders = [i for i in touched if self.chunks[i - 1].start <= start and end <= self.chunks[i - 1].end]
            return f"The answer stands whole in chunk {' and in chunk '.join(map(str, holders))}."
        return f"The answer is cut: its parts stand in chunks {names}." if touched else "The answer is in no chunk."

    def alt(self) -> str:
        """Return in words what the view shows."""
        lengths = [len(chunk.text.split()) for chunk in self.chunks]
        if not lengths:
            return "No chunks: the document holds no words."
        n_words = len(self.document.text.split())
        size = f"{min(lengths)} to {max(lengths)}" if min(lengths) < max(lengths) else f"{max(lengths)}"
        return (
            f"{len(lengths)} chunk{'s' if len(lengths) > 1 else ''} of {size} words; "
            f"{self.stored_words} words are stored for {n_words} of the document. {self.fate()}"
        )

    def html(self) -> str:
        """Return the text with its chunks tinted in turn and numbered, overlaps hatched, the gold span underlined."""
        parts, opened = [], set[int]()
        for segment in segments(self.document.text, self.chunks, self.gold):
            for i in segment.chunks:
                if i not in opened:
                    opened.add(i)
                    parts.append(f'<sup style="font-weight:bold">[{i + 1}</sup>')
            style = ""
            if len(segment.chunks) == 1:
                style = f"background:{TINTS[segment.chunks[0] % len(TINTS)]}"
            elif segment.chunks:
                style = SHARED
            if segment.gold:
                style += ";font-weight:bold;border-bottom:3px solid #000"
            words = html.escape(self.document.text[segment.start : segment.end])
            parts.append(f'<span style="{style.strip(";")}">{words}</span>' if style else words)
            parts += [
                f'<sup style="font-weight:bold">{i + 1}]</sup>'
                for i in segment.chunks
                if self.chunks[i].end == segment.end
            ]
        return f'<div role="region" aria-label="Chunks" style="{_BOX}">{"".join(parts)}</div>'

    def legend(self) -> str:
        """Return in HTML what the marks mean, and the summary."""
        shared = f'<span style="{SHARED};color:#000">&nbsp;hatched&nbsp;</span> stands in two chunks or more'
        gold = '<span style="font-weight:bold;border-bottom:3px solid">underlined</span> is the answer'
        marks = "<strong>[1</strong> and <strong>1]</strong> are where chunk 1 begins and ends"
        summary = (
            f'<p role="status" style="margin:.4em 0;line-height:1.5"><strong>{html.escape(self.alt())}</strong></p>'
        )
        return f'{summary}<p style="margin:.4em 0;line-height:1.5">{marks}; {shared}; {gold}.</p>'


def cut(
    document: Document,
    *,
    method: str,
    max_words: int,
    overlap: float = 0.0,
    gold: Span | None = None,
    embedder: Embedder | None = None,
) -> ChunkView:
    """Return the view of a document cut by a method of METHODS; overlap is a share of max_words, 0 to below 1.

    Sentence chunks repeat as many sentences as the share holds on average; semantic chunks do not overlap and need an
    embedder. Raises ValueError for an unknown method, a share out of range or a missing embedder.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be a share from 0 to below 1, got {overlap}; 0.25 repeats a quarter")
    n_words = int(overlap * max_words)
    if method == "fixed":
        chunks = fixed_chunks(document, max_words=max_words, overlap=n_words)
    elif method == "recursive":
        chunks = recursive_chunks(document, max_words=max_words, overlap=n_words)
    elif method == "sentence":
        mean = len(document.text.split()) / max(len(sentence_spans(document.text)), 1)
        chunks = sentence_chunks(document, max_words=max_words, overlap=round(n_words / mean) if mean else 0)
    elif embedder is None:
        raise ValueError("embedder must be given for semantic chunks: they compare the vectors of sentences")
    else:
        chunks = semantic_chunks(document, embedder, max_words=max_words)
    return ChunkView(document, tuple(chunks), gold)


def chunk_view_widget(
    document: Document,
    gold: Span | None = None,
    *,
    embedder: Embedder | None = None,
    max_words: int = 60,
    overlap: float = 0.0,
) -> ipywidgets.VBox:
    """Return the demo: method, size and overlap, and the text below. Usable by keyboard alone."""
    import ipywidgets

    wide = {"width": "95%", "max_width": "32em"}
    methods = METHODS if embedder else METHODS[:-1]
    method = ipywidgets.Dropdown(options=methods, value="fixed", description="Method", layout=wide)
    size = ipywidgets.IntSlider(value=max_words, min=10, max=200, step=5, description="Words", layout=wide)
    share = ipywidgets.IntSlider(
        value=round(100 * overlap), min=0, max=75, step=5, description="Overlap %", layout=wide
    )
    legend, text = (ipywidgets.HTML(layout={"width": "95%"}) for _ in range(2))

    def draw(_: object = None) -> None:
        share.disabled = method.value == "semantic"
        view = cut(
            document,
            method=method.value,
            max_words=size.value,
            overlap=0.0 if share.disabled else share.value / 100,
            gold=gold,
            embedder=embedder,
        )
        legend.value, text.value = view.legend(), view.html()

    for control in (method, size, share):
        control.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([method, size, share, legend, text])


def chunk_view_demo(
    document: Document,
    gold: Span | None = None,
    *,
    embedder: Embedder | None = None,
    max_words: int = 60,
    overlap: float = 0.0,
) -> None:
    """Display the demo; readers without a kernel see the document in fixed chunks."""
    view = cut(document, method="fixed", max_words=max_words, overlap=overlap, gold=gold)
    widget = chunk_view_widget(document, gold, embedder=embedder, max_words=max_words, overlap=overlap)
    show_widget(widget, view.legend() + view.html(), view.alt())
