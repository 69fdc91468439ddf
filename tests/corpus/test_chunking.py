"""Cutting documents: offsets hold, nothing but white space is lost, limits are kept."""

from __future__ import annotations

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Document
from course_lib.corpus.chunking import chunk_documents, sentence_chunks, sentence_spans
from course_lib.corpus.load import load_documents

DAY = datetime.date(2024, 3, 1)
pieces = st.sampled_from(
    [
        "One",
        "two",
        "Dr.",
        "e.g.",
        "J.",
        "3.5",
        "end.",
        "What?",
        "No!",
        '"Yes."',
        "(So.)",
        "\n",
        "\n\n",
        "  ",
        "\t",
        "It",
        "été",
        "日本。",
    ]
)
prose = st.lists(pieces, max_size=60).map(" ".join)
any_text = st.one_of(prose, st.text(max_size=80), st.text("aB1. \n?\"')(!", max_size=60))


def document(text: str) -> Document:
    return Document("shelf/slug", "shelf", "A title", DAY, text)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


# ---------------------------------------------------------------- sentence_spans


def test_spans_by_hand() -> None:
    """ "It rained. " is 11 characters: the first sentence is 0 to 10, the second begins at 11 and ends before the \\n."""
    assert sentence_spans("It rained. We won 1-0!\n So what?") == [(0, 10), (11, 22), (24, 32)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two? Three! Four", ["One.", "Two?", "Three!", "Four"]),
        ("Dr. Smith met J. Brown and Mrs. Green. They left.", ["Dr. Smith met J. Brown and Mrs. Green.", "They left."]),
        ("Some drugs, e.g. Valproate, i.e. Old ones. Stop.", ["Some drugs, e.g. Valproate, i.e. Old ones.", "Stop."]),
        ("It took approx. 5 minutes vs. 7 before. Good.", ["It took approx. 5 minutes vs. 7 before.", "Good."]),
        ("At St. Gallen, Prof. Ito saw No. 7.", ["At St. Gallen, Prof. Ito saw No. 7."]),
        ("Take 3.5 mg. Then rest.", ["Take 3.5 mg.", "Then rest."]),
        ("It fell by 5 %. 3 of 4 agreed.", ["It fell by 5 %.", "3 of 4 agreed."]),
        ("wait... then go. and on", ["wait... then go. and on"]),  # no capital follows
        ('She said "Go." He went. (Twice.) Done.', ['She said "Go."', "He went.", "(Twice.)", "Done."]),
        ("A line\nAnother line\n\n\nA third", ["A line", "Another line", "A third"]),
        ("  spaces  around  ", ["spaces  around"]),
        (
            "1. Open the lid. 2. Press.",
            ["1.", "Open the lid.", "2.", "Press."],
        ),  # a list in one line is cut at its numbers
    ],
)
def test_where_a_sentence_ends(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize("text", ["", " ", "\n\n \t"])
def test_no_text_has_no_sentence(text: str) -> None:
    assert sentence_spans(text) == []


@given(any_text)
def test_spans_go_forward_and_lose_white_space_only(text: str) -> None:
    spans = sentence_spans(text)
    borders = [0, *(border for span in spans for border in span), len(text)]
    assert borders == sorted(borders)
    between = [text[end:start] for end, start in zip(borders[::2], borders[1::2], strict=True)]
    assert "".join(between).strip() == ""
    assert all(text[start:end] and text[start:end] == text[start:end].strip() for start, end in spans)


# ---------------------------------------------------------------- sentence_chunks


def test_chunks_by_hand() -> None:
    """12 words in 4 sentences of 3. At most 7 words a chunk: ceil(12 / 7) = 2 chunks of 12 / 2 = 6 words, so two
    sentences each: adding a third would make 9. The second chunk begins after "One two three. Four five six. "."""
    text = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
    chunks = sentence_chunks(document(text), max_words=7)
    assert [chunk.text for chunk in chunks] == ["One two three. Four five six.", "Seven eight nine. Ten eleven twelve."]
    assert [(chunk.start, chunk.end) for chunk in chunks] == [(0, 29), (30, 66)]
    assert [chunk.chunk_id for chunk in chunks] == ["shelf/slug#00", "shelf/slug#01"]
    assert {(chunk.doc_id, chunk.title, chunk.date) for chunk in chunks} == {("shelf/slug", "A title", DAY)}


@given(any_text, st.integers(1, 25))
def test_offsets_hold_and_nothing_is_lost(text: str, max_words: int) -> None:
    chunks = sentence_chunks(document(text), max_words=max_words)
    assert all(chunk.text == text[chunk.start : chunk.end] for chunk in chunks)
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join(text.split())
    starts = [border for chunk in chunks for border in (chunk.start, chunk.end)]
    assert starts == sorted(starts)
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)


@given(any_text, st.integers(1, 25))
def test_no_chunk_is_too_long_unless_one_sentence_is(text: str, max_words: int) -> None:
    for chunk in sentence_chunks(document(text), max_words=max_words):
        assert len(chunk.text.split()) <= max_words or len(sentences(chunk.text)) == 1


@given(prose, st.integers(1, 25))
def test_sentences_stay_whole(text: str, max_words: int) -> None:
    starts, ends = zip(*sentence_spans(text), strict=True) if text.strip() else ((), ())
    for chunk in sentence_chunks(document(text), max_words=max_words):
        assert chunk.start in starts and chunk.end in ends


def test_chunks_are_of_about_equal_length() -> None:
    """130 words at 120 a chunk: 65 and 65, not 120 and a rest of 10, which would be a poor passage."""
    text = " ".join("Five words make a sentence." for _ in range(26))
    assert [len(chunk.text.split()) for chunk in sentence_chunks(document(text), max_words=120)] == [65, 65]


def test_a_long_sentence_is_a_chunk_of_its_own() -> None:
    text = "Short one. A" + " word" * 30 + " " + "end. Short two."
    assert [len(chunk.text.split()) for chunk in sentence_chunks(document(text), max_words=10)] == [2, 32, 2]


def test_an_empty_document_has_no_chunk() -> None:
    assert sentence_chunks(document("")) == sentence_chunks(document(" \n ")) == []


@pytest.mark.parametrize("max_words", [0, -3])
def test_max_words_must_leave_room(max_words: int) -> None:
    with pytest.raises(ValueError, match=f"max_words must be at least 1, got {max_words}"):
        sentence_chunks(document("Some text."), max_words=max_words)


def test_documents_follow_one_another() -> None:
    two = [document("One. Two."), Document("shelf/other", "shelf", "Other", DAY, "Three.")]
    assert [chunk.doc_id for chunk in chunk_documents(two, max_words=1)] == ["shelf/slug", "shelf/slug", "shelf/other"]
    assert chunk_documents([]) == []


# ---------------------------------------------------------------- the collection itself


def test_the_collection_is_cut_well() -> None:
    """Every shelf: offsets, limit, and no passage that ends in an abbreviation of a name or title."""
    documents = {one.doc_id: one for one in load_documents()}
    chunks = chunk_documents(documents.values())
    assert {chunk.doc_id for chunk in chunks} == set(documents)
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)
    for chunk in chunks:
        text = documents[chunk.doc_id].text
        assert chunk.text == text[chunk.start : chunk.end]
        assert len(chunk.text.split()) <= 120 or len(sentences(chunk.text)) == 1, chunk.chunk_id
        assert not re.search(r"\b(Dr|Mr|Mrs|Prof|e\.g|i\.e)\.$", chunk.text), chunk.chunk_id
