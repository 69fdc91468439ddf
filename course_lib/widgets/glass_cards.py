"""What each step of the glass pipeline made, as HTML: one function a step; untrusted text is escaped."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from course_lib.core.types import Hit
from course_lib.core.validate import FloatArray
from course_lib.systems.glass_trace import LISTS, GlassTrace
from course_lib.systems.room import YOURS
from course_lib.widgets.show import PALETTE

SHOWN, DROPPED = 5, 3  # hits and left-out passages that a step lists
SCORES = {
    "words": "BM25, to be compared within this list only",
    "meaning": "cosine of question and passage, -1 to 1",
    "rerank": "mean, over the words of the question, of the cosine to the nearest word of the passage",
}
LINE = "rgba(128,128,128,.45)"


def text(value: str) -> str:
    """Return text as HTML: escaped, quotes too."""
    return html.escape(value, quote=True)


def bar(parts: Sequence[tuple[str, float, str]], total: float) -> str:
    """Return a bar with a stretch for each part (name, value, value in words), as long as its share of total.

    The same is said in words below it, so that colour and length are not needed.
    """
    stretches, words = [], []
    for number, (name, value, said) in enumerate(parts):
        colour = PALETTE[number % len(PALETTE)]
        stretches.append(f'<div style="width:{100 * value / max(total, 1e-9):.2f}%;background:{colour}"></div>')
        swatch = f'<span aria-hidden="true" style="background:{colour}">&ensp;</span>'
        words.append(f'<span style="white-space:nowrap">{swatch} {text(name)} {said}</span>')
    return (
        f'<div aria-hidden="true" style="display:flex;height:.8em;overflow:hidden;border:1px solid {LINE}">'
        f'{"".join(stretches)}</div><small style="display:flex;flex-wrap:wrap;gap:0 1em">{"".join(words)}</small>'
    )


def _filters(trace: GlassTrace) -> str:
    words = text(str(trace.settings.filter()))
    return (
        f'<p style="margin:.2em 0">May be found: {words}. {trace.n_passing:,} of {trace.n_chunks:,} passages pass.</p>'
    )


def _vector(trace: GlassTrace) -> str:
    if trace.vector is None:
        return ""
    low, high = float(trace.vector.min()), float(trace.vector.max())
    said = f"The question as {len(trace.vector)} numbers from {low:.2f} (blue) to {high:.2f} (orange), length 1."
    return (
        f'<img alt="{said}" src="data:image/png;base64,{vector_strip(trace.vector)}" '
        f'style="width:100%;height:1.4em;image-rendering:pixelated;display:block"/><small>{said}</small>'
    )


def vector_strip(vector: FloatArray) -> str:
    """Return a vector (dim,) as a picture of dim x 1 pixels, base64 PNG: white for 0, blue below, orange above."""
    ends = {-1: (0, 114, 178), 1: (230, 159, 0)}
    largest = float(np.abs(vector).max()) or 1.0
    row = bytearray([0])  # no filter
    for value in vector.tolist():
        share, end = abs(value) / largest, ends[1 if value > 0 else -1]
        row += bytes(round(255 + share * (channel - 255)) for channel in end)

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", len(vector), 1, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", zlib.compress(bytes(row))) + block(b"IEND", b"")
    return base64.b64encode(png).decode("ascii")


def _named(trace: GlassTrace, chunk_id: str) -> str:
    chunk = trace.chunks[chunk_id]
    document = trace.documents[chunk.doc_id]
    marks = [*(["yours"] if document.shelf == YOURS else []), *(["superseded"] if document.superseded_by else [])]
    return f"<strong>{text(chunk.title)}</strong>, {chunk.date:%d %b %Y}" + "".join(f" ({mark})" for mark in marks)


def _hit(trace: GlassTrace, step: str, hit: Hit) -> str:
    move = ""
    if step in ("versions", "rerank"):
        arrow = trace.move(step, hit.chunk_id)
        said = arrow.replace("▲", "up").replace("▼", "down").replace("=", "where it was")
        move = f' <span role="img" aria-label="{said}" style="white-space:nowrap">{arrow}</span>'
    if step == "fusion":
        ranks = [f"{name} {trace.rank(name, hit.chunk_id) or '–'}" for name in trace.before(step)]
        move = f" <small>({', '.join(ranks)})</small>"
    found = trace.matches.get(hit.chunk_id, ()) if step == "rerank" else ()
    why = " · ".join(f"{text(match.query)} → {text(match.passage)} {match.similarity:.2f}" for match in found)
    return (
        f"<li>{_named(trace, hit.chunk_id)} <code>{hit.score:.3g}</code>{move}"
        + (f"<br/><small>best matches: {why}</small>" if why else "")
        + "</li>"
    )


def _hits(step: str, trace: GlassTrace) -> str:
    lines = "".join(_hit(trace, step, hit) for hit in trace.rankings[step][:SHOWN])
    gone = trace.dropped.get(step, ())
    left = ""
    if gone:
        more = f" and {len(gone) - DROPPED} more" if len(gone) > DROPPED else ""
        left = f"<small>Left out: {'; '.join(_named(trace, name) for name in gone[:DROPPED])}{more}</small>"
    unit = f"<small>Score: {SCORES[step]}.</small>" if step in SCORES else ""
    return f'<ol style="margin:.2em 0;padding-left:1.7em">{lines}</ol>{left}{"<br/>" if left and unit else ""}{unit}'


def _prompt(trace: GlassTrace) -> str:
    prompt = trace.prompt
    if prompt is None:
        return ""
    notes = [f"Shortened: {note}." for note in prompt.shortened]
    if prompt.left_out:
        notes.append(f"Did not fit: {'; '.join(chunk.title for chunk in prompt.left_out)}.")
    return (
        f'<p style="margin:.2em 0">{prompt.n_tokens:,} of {prompt.budget:,} tokens. {text(" ".join(notes))}</p>'
        f"{bar([(part, n, str(n)) for part, n in trace.prompt_tokens.items()], prompt.budget)}"
    )


def messages(trace: GlassTrace) -> str:
    """Return the conversation as the model sees it, folded; "" before there is one."""
    if trace.prompt is None:
        return ""
    style = "white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0;line-height:1.45"
    lines = [
        f'<small><strong>{text(message["role"])}</strong></small><pre style="{style}">{text(message["content"])}</pre>'
        for message in trace.prompt.messages
    ]
    return f'<details style="line-height:1.45"><summary>The prompt as the model sees it</summary>{"".join(lines)}</details>'


def _support(trace: GlassTrace) -> str:
    if trace.prompt is None:
        return ""
    marked = []
    for number, chunk in enumerate(trace.prompt.shown, start=1):
        spans = sorted({support.span for support in trace.supports if support.number == number})
        marked.append(
            f'<p style="margin:.3em 0">[{number}] <strong>{text(chunk.title)}</strong><br/>{_marked(chunk.text, spans)}</p>'
        )
    return "".join(marked)


def _marked(passage: str, spans: Sequence[tuple[int, int]]) -> str:
    parts, position = [], 0
    for start, end in spans:
        parts.append(f"{text(passage[position:start])}<mark>▸{text(passage[start:end])}◂</mark>")
        position = end
    return "".join(parts) + text(passage[position:])


BODIES: Mapping[str, Callable[[GlassTrace], str]] = {
    "filters": _filters,
    "vector": _vector,
    "prompt": _prompt,
    "support": _support,
    **{step: partial(_hits, step) for step in LISTS},
}
