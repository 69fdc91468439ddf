"""Which chunks answer a question: spans whole, cut by a border, or in an overlap."""

from __future__ import annotations

import datetime
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Document, GoldSpan, Question
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.judgements import gold_ranges, judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions

DAY = datetime.date(2026, 7, 19)
TEXT = "0123456789abcdefghijklmnopqrstuvwxyz"


def document(name: str = "shelf/one", text: str = TEXT) -> Document:
    return Document(name, name.split("/")[0], "Title", DAY, text)


def chunk(number: int, start: int, end: int, name: str = "shelf/one") -> Chunk:
    return Chunk(f"{name}#{number:02}", name, "Title", DAY, TEXT[start:end], start, end)


def question(*spans: tuple[str, str], name: str = "q1") -> Question:
    gold = tuple(GoldSpan(doc_id, quote) for doc_id, quote in spans)
    return Question(name, "What?", "exact_term", "shelf", "train", ("answer",), gold)


def judged(quote: str, *chunks: Chunk) -> list[str]:
    (gains,) = judge_chunks([question(("shelf/one", quote))], chunks, [document()]).values()
    assert set(gains.values()) == {1.0}
    return sorted(name[-2:] for name in gains)


def test_a_gold_range_by_hand() -> None:
    """ "abcd" begins at character 10, after the ten digits."""
    ranges = gold_ranges(question(("shelf/one", "abcd"), ("shelf/one", "0")), {"shelf/one": document()})
    assert ranges == [("shelf/one", 10, 14), ("shelf/one", 0, 1)]


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        ("2345", ["00"]),  # whole, in chunk 0 (0 to 12)
        ("89abcd", ["00"]),  # 8 to 14: 4 of 6 in chunk 0, 2 in chunk 1
        ("abcd", ["00", "01"]),  # 10 to 14: two of four in each, and half is enough
        ("bcdefg", ["01"]),  # 11 to 17: one in chunk 0, five in chunk 1
        ("abcdefghijklmnopqr", ["01"]),  # 10 to 28: 2, 12 and 4: chunk 1 has twelve of eighteen
        ("9abcdefghijklmnopqrstuvwxyz", ["01", "02"]),  # 9 to 36: 3, 12 and 12 of 27: none has half, the longest count
        (TEXT, ["00", "01", "02"]),  # three equal thirds
    ],
)
def test_a_span_cut_by_borders(quote: str, expected: list[str]) -> None:
    assert judged(quote, chunk(0, 0, 12), chunk(1, 12, 24), chunk(2, 24, 36)) == expected


def test_a_span_in_an_overlap_is_in_both() -> None:
    assert judged("abcd", chunk(0, 0, 16), chunk(1, 8, 30)) == ["00", "01"]
    assert judged("abcdefgh", chunk(0, 0, 13), chunk(1, 8, 30)) == ["01"]  # 3 of 8 in the first
    assert judged("abcdefgh", chunk(0, 0, 15), chunk(1, 8, 30)) == ["00", "01"]  # 5 of 8: the half is enough


def test_a_border_is_exclusive() -> None:
    """Chunk 0 ends at 10, where the span begins: it holds none of it."""
    assert judged("abcd", chunk(0, 0, 10), chunk(1, 10, 20)) == ["01"]


def test_a_span_longer_than_every_chunk_has_its_longest_piece() -> None:
    assert judged(TEXT, chunk(0, 0, 5), chunk(1, 5, 15), chunk(2, 15, 20)) == ["01"]


def test_several_spans_and_documents() -> None:
    """Both spans count; a chunk of another document with the same offsets does not."""
    asked = question(("shelf/one", "0123"), ("shelf/two", "wxyz"))
    chunks = [chunk(0, 0, 18), chunk(1, 18, 36), chunk(0, 0, 18, "shelf/two"), chunk(1, 18, 36, "shelf/two")]
    gains = judge_chunks([asked], chunks, [document(), document("shelf/two")])
    assert gains == {"q1": {"shelf/one#00": 1.0, "shelf/two#01": 1.0}}


def test_an_unanswerable_question_is_left_out() -> None:
    unanswerable = Question("q2", "Who?", "unanswerable", "shelf", "train")
    asked = [unanswerable, question(("shelf/one", "0123"), name="q3")]
    assert judge_chunks(asked, [chunk(0, 0, 36)], [document()]) == {"q3": {"shelf/one#00": 1.0}}
    assert judge_chunks([], [], []) == {}


def test_a_missing_document_is_named() -> None:
    with pytest.raises(KeyError, match="q1: its gold document shelf/two is not among the documents"):
        judge_chunks([question(("shelf/two", "0"))], [chunk(0, 0, 36)], [document()])


def test_a_quote_that_does_not_stand_there_is_named() -> None:
    with pytest.raises(ValueError, match="q1: the quote does not stand in shelf/one"):
        judge_chunks([question(("shelf/one", "zyx"))], [chunk(0, 0, 36)], [document()])


@pytest.mark.parametrize("chunks", [[], [chunk(0, 0, 36, "shelf/two")], [chunk(0, 20, 36)]])
def test_a_span_that_no_chunk_touches_is_named(chunks: list[Chunk]) -> None:
    with pytest.raises(ValueError, match="q1: no chunk holds its gold span in shelf/one; chunk the same documents"):
        judge_chunks([question(("shelf/one", "0123"))], chunks, [document()])


@given(
    st.tuples(st.integers(0, 35), st.integers(1, 36)).map(sorted).filter(lambda pair: pair[0] < pair[1]),
    st.sets(st.integers(1, 35), max_size=8),
)
def test_one_to_two_chunks_hold_half_and_there_is_always_one(span: list[int], borders: set[int]) -> None:
    """Chunks that tile the text: at least one is relevant, and each relevant one touches the span."""
    start, end = span
    edges = [0, *sorted(borders), 36]
    chunks = [chunk(i, left, right) for i, (left, right) in enumerate(itertools.pairwise(edges))]
    names = judged(TEXT[start:end], *chunks)
    assert names
    shares = {f"{i:02}": min(end, c.end) - max(start, c.start) for i, c in enumerate(chunks)}
    assert all(shares[name] > 0 for name in names)
    assert max(shares, key=lambda name: shares[name]) in names
    if max(shares.values()) >= (end - start) / 2:
        assert len(names) <= 2


def test_every_answerable_question_of_the_course_has_a_chunk() -> None:
    documents = load_documents()
    chunks = chunk_documents(documents)
    questions = load_questions()
    judgements = judge_chunks(questions, chunks, documents)
    assert list(judgements) == [q.question_id for q in questions if q.gold]
    by_id = {c.chunk_id: c for c in chunks}
    for asked in questions:
        for span in asked.gold:
            held = [by_id[name] for name in judgements[asked.question_id] if by_id[name].doc_id == span.doc_id]
            assert held, asked.question_id
    assert all(1 <= len(gains) <= 8 for gains in judgements.values())
