"""Where a gold span stands in what was retrieved: whole, cut or missing, and within how many words of context."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from course_lib.core.types import Chunk

Range = tuple[str, int, int]
GAP = 2  # characters of white space that may lie between two chunks that follow one another


def coverage(span: tuple[int, int], stretches: Iterable[tuple[int, int]]) -> float:
    """Return the share of a span's characters that stand in the stretches together, 0 to 1.

    All are (start, end) in one document. What two stretches share counts once; a gap of at most GAP characters
    between two of them is the white space between neighbours and counts as covered. Raises ValueError if the span is
    empty.
    """
    start, end = span
    if start >= end:
        raise ValueError(f"span must end after it starts, got ({start}, {end})")
    covered, reached = 0, None
    for left, right in sorted(stretches):
        if reached is not None and left - reached <= GAP:
            left = reached
        covered += max(0, min(right, end) - max(left, start))
        reached = right if reached is None else max(right, reached)
    return covered / (end - start)


def within_budget(ranking: Sequence[Chunk], max_words: int) -> list[Range]:
    """Return (doc_id, start, end) of what fits into max_words words of context: best first, the last one cut to fit.

    Words that two chunks share are paid for twice, as in a prompt. Raises ValueError if max_words < 1.
    """
    if max_words < 1:
        raise ValueError(f"max_words must be at least 1, got {max_words}")
    kept: list[Range] = []
    left = max_words
    for chunk in ranking:
        words = chunk.text.split()
        end = chunk.end
        if len(words) > left:
            end = chunk.start + _length_of(chunk.text, left)
        kept.append((chunk.doc_id, chunk.start, end))
        left -= len(words)
        if left <= 0:
            break
    return kept


def _length_of(text: str, n_words: int) -> int:
    """How many characters the first n_words words take, with the white space between them."""
    position = 0
    for word in text.split()[:n_words]:
        position = text.index(word, position) + len(word)
    return position


def spans_found(ranking: Sequence[Chunk], gold: Sequence[Range], *, max_words: int, any_gold: bool = False) -> float:
    """Return 1 if the context of max_words words holds what the question needs, else 0.

    gold: (doc_id, start, end), all of them needed, or one of them if any_gold. A span counts if all of it stands in
    the context, in one chunk or in neighbours together. Raises ValueError without a gold span.
    """
    if not gold:
        raise ValueError("gold must hold at least one span: an unanswerable question has no recall; leave it out")
    context = within_budget(ranking, max_words)
    whole = [
        coverage((start, end), [(left, right) for name, left, right in context if name == doc_id]) == 1.0
        for doc_id, start, end in gold
    ]
    return float(any(whole) if any_gold else all(whole))


def fate(span: tuple[int, int], chunks: Iterable[Chunk]) -> str:
    """Return what cutting a document has done to a span of it: "whole" in one chunk at least, "cut" or "missing"."""
    shares = [coverage(span, [(chunk.start, chunk.end)]) for chunk in chunks]
    return "whole" if 1.0 in shares else "cut" if any(shares) else "missing"
