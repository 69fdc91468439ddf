"""Where an answer comes from: its sentences, the numbers it cites, and the words of the passages that support it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from course_lib.core.types import Chunk
from course_lib.core.validate import FloatArray
from course_lib.corpus.chunking import sentence_spans

Span = tuple[int, int]
Scores = npt.NDArray[np.floating]
SupportScorer = Callable[[Sequence[str], Sequence[str]], Scores]

_NUMBERS = r"\[\s*[0-9]{1,9}(?:\s*[,;]\s*[0-9]{1,9})*\s*\]"
_MARKER = re.compile(_NUMBERS)
_MARKERS = re.compile(rf"(?:{_NUMBERS}\s*)+")
_UNFINISHED = re.compile(r"\[[0-9,;\s]*$")
_LIST_NUMBER = re.compile(r"\(?[0-9]{1,2}[.)]")


def sentences(text: str) -> list[Span]:
    """Return (start, end) of every sentence, without the white space between them.

    As `corpus.chunking.sentence_spans`, but for answers: "[1]" after a full stop belongs to the sentence before it,
    unless the text begins with such a mark, and the "1." of a list to the sentence after it.
    """
    marks_come_first = _MARKERS.match(text) is not None
    spans: list[Span] = []
    begin = None  # of a list number that waits for its sentence
    for start, end in sentence_spans(text):
        if spans and begin is None and not marks_come_first:
            marks = _MARKERS.match(text, start, end)
            rest = marks.end() if marks else start
            unfinished = _UNFINISHED.match(text, rest) if end == len(text.rstrip()) else None
            kept = end if unfinished else rest
            if kept > start:
                spans[-1] = (spans[-1][0], start + len(text[start:kept].rstrip()))
            start = kept
            if start >= end:
                continue
        start = start if begin is None else begin
        begin = start if _LIST_NUMBER.fullmatch(text, start, end) else None
        if begin is None:
            spans.append((start, end))
    return spans if begin is None else [*spans, (begin, len(text.rstrip()))]


@dataclass(frozen=True)
class Support:
    """A sentence of an answer and the sentence of a passage that supports it most.

    answer[start:end] == sentence. number: the passage as printed, from 1, or None if nothing supports the sentence.
    score: how much, in the units of the scorer; -inf without passages. quote == passage.text[span[0]:span[1]]; "" and
    (0, 0) where number is None.
    """

    sentence: str
    start: int
    end: int
    number: int | None
    score: float
    quote: str
    span: Span


@dataclass(frozen=True)
class Cited:
    """What an answer says about its own sources: supports for the numbers that exist, and the numbers that do not."""

    supports: tuple[Support, ...]
    out_of_range: tuple[int, ...]


def cited_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers that a text cites, each once, as first met: [2], [1, 3], [1; 3] and [1][3] are read.

    Numbers without a passage are among them: `cited_spans` tells which. Ranges such as [1-3] are not read, because a
    football score looks the same.
    """
    numbers = (int(number) for marker in _MARKER.findall(text) for number in re.findall("[0-9]+", marker))
    return tuple(dict.fromkeys(numbers))


def without_numbers(text: str) -> str:
    """Return a text without the numbers that it cites, nor the white space before them."""
    return re.sub(rf"\s*{_NUMBERS}", "", text).strip()


def shared_words(answers: Sequence[str], candidates: Sequence[str]) -> FloatArray:
    """Return the share of each answer's distinct words that each candidate holds, (n_answers, n_candidates) in 0..1.

    The simplest scorer: it knows neither synonyms nor negation.
    """
    asked, held = ([set(re.findall(r"\w+", text.lower())) for text in texts] for texts in (answers, candidates))
    return np.array([[len(a & b) / max(len(a), 1) for b in held] for a in asked], dtype=np.float32).reshape(
        len(answers), len(candidates)
    )


def passage_sentences(passages: Sequence[Chunk]) -> list[tuple[int, Span]]:
    """Return (number, span) of every sentence of the passages as printed: the columns of a support matrix."""
    return [(number, span) for number, chunk in enumerate(passages, start=1) for span in sentences(chunk.text)]


def cite_sentences(
    answer: str, passages: Sequence[Chunk], supports: SupportScorer | Scores, *, threshold: float = 0.0
) -> tuple[Support, ...]:
    """Return for each sentence of an answer the passage sentence that supports it most; the earlier one where two tie.

    supports: a function of n answer sentences (numbers in brackets taken out) and m passage sentences that returns
    (n, m) scores, larger is better, or that matrix itself, columns as in `passage_sentences`. A best score that is not
    above threshold supports nothing. Raises ValueError if the matrix has another shape or holds NaN.
    """
    places = passage_sentences(passages)
    scores = _matrix(answer, passages, supports)
    found = []
    for (start, end), row in zip(sentences(answer), scores, strict=True):
        found.append(_support(answer, start, end, passages, places, row, list(range(len(places))), threshold))
    return tuple(found)


def cited_spans(answer: str, passages: Sequence[Chunk], supports: SupportScorer | Scores) -> Cited:
    """Return the words behind each number that an answer cites: of the passage named, the sentence that supports most.

    One Support for each sentence and number, in the order written, whatever its score, so that a wrong citation can be
    seen by it. Numbers that no passage has stand in out_of_range. supports: as in `cite_sentences`, with its errors.
    """
    places = passage_sentences(passages)
    scores = _matrix(answer, passages, supports)
    found = []
    for (start, end), row in zip(sentences(answer), scores, strict=True):
        for number in cited_numbers(answer[start:end]):
            columns = [column for column, (other, _) in enumerate(places) if other == number]
            if 1 <= number <= len(passages):
                found.append(_support(answer, start, end, passages, places, row, columns, -np.inf))
    missing = tuple(number for number in cited_numbers(answer) if not 1 <= number <= len(passages))
    return Cited(tuple(found), missing)


def _matrix(answer: str, passages: Sequence[Chunk], supports: SupportScorer | Scores) -> Scores:
    texts = [without_numbers(answer[start:end]) for start, end in sentences(answer)]
    candidates = [passages[number - 1].text[start:end] for number, (start, end) in passage_sentences(passages)]
    shape = (len(texts), len(candidates))
    if 0 in shape:
        return np.zeros(shape, dtype=np.float32)
    scores = np.asarray(supports(texts, candidates) if callable(supports) else supports)
    if scores.shape != shape:
        raise ValueError(
            f"supports must have a row for each of {shape[0]} answer sentences and a column for each of {shape[1]} "
            f"passage sentences, got shape {scores.shape}; see passage_sentences"
        )
    if np.isnan(scores).any():
        raise ValueError("supports must hold numbers, got NaN; look at the texts that were scored")
    return scores


def _support(
    answer: str,
    start: int,
    end: int,
    passages: Sequence[Chunk],
    places: Sequence[tuple[int, Span]],
    row: Scores,
    columns: Sequence[int],
    threshold: float,
) -> Support:
    best = max(columns, key=lambda column: row[column], default=None)  # the first of equals
    score = -np.inf if best is None else float(row[best])
    if best is None or not (score > threshold or threshold == -np.inf):
        return Support(answer[start:end], start, end, None, score, "", (0, 0))
    number, span = places[best]
    quote = passages[number - 1].text[span[0] : span[1]]
    return Support(answer[start:end], start, end, number, score, quote, span)
