"""Cutting documents: offsets hold, nothing but white space is lost, limits are kept."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Document
from course_lib.core.validate import FloatArray
from course_lib.corpus.chunking import (
    chunk_documents,
    fixed_chunks,
    recursive_chunks,
    semantic_borders,
    semantic_chunks,
    sentence_chunks,
    sentence_spans,
    word_spans,
)
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


def test_a_sentence_goes_where_more_of_it_fits() -> None:
    """12 words, at most 8: two chunks of about 6. The second sentence would reach from 4 to 8; its middle is at 6, not
    beyond, so it stays with the first. The third does not fit."""
    text = "One two three four. Five six seven eight. Nine ten eleven twelve."
    assert [len(chunk.text.split()) for chunk in sentence_chunks(document(text), max_words=8)] == [8, 4]


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


# ---------------------------------------------------------------- what every chunker must do


def counted(texts: Sequence[str]) -> FloatArray:
    """An honest small embedder: which letters a text holds, scaled to length 1."""
    vectors = np.array([[1 + text.lower().count(letter) for letter in "aeiost"] for text in texts], np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


Cut = Callable[[Document, int], list[Chunk]]
CHUNKERS: dict[str, Cut] = {
    "fixed": lambda document, size: fixed_chunks(document, max_words=size),
    "fixed, overlapping": lambda document, size: fixed_chunks(document, max_words=size, overlap=size // 2),
    "sentence": lambda document, size: sentence_chunks(document, max_words=size),
    "sentence, overlapping": lambda document, size: sentence_chunks(document, max_words=size, overlap=2),
    "recursive": lambda document, size: recursive_chunks(document, max_words=size),
    "recursive, overlapping": lambda document, size: recursive_chunks(document, max_words=size, overlap=size // 2),
    "semantic": lambda document, size: semantic_chunks(document, counted, max_words=size, percentile=30),
}
every_chunker = pytest.mark.parametrize("cut", CHUNKERS.values(), ids=CHUNKERS)


@every_chunker
@given(text=any_text, size=st.integers(1, 25))
def test_chunks_point_into_the_document_and_lose_nothing(cut: Cut, text: str, size: int) -> None:
    chunks = cut(document(text), size)
    assert [chunk.chunk_id for chunk in chunks] == [f"shelf/slug#{number:02d}" for number in range(len(chunks))]
    assert all(chunk.text == text[chunk.start : chunk.end] == chunk.text.strip() for chunk in chunks)
    assert all(chunk.text for chunk in chunks)
    held = {i for chunk in chunks for i in range(chunk.start, chunk.end)}
    assert all(text[i].isspace() for i in set(range(len(text))) - held)


@every_chunker
@given(text=any_text, size=st.integers(1, 25))
def test_each_chunk_goes_further_than_the_one_before(cut: Cut, text: str, size: int) -> None:
    for before, after in pairwise(cut(document(text), size)):
        assert before.start < after.start and before.end < after.end


@every_chunker
@given(text=any_text, size=st.integers(1, 25))
def test_chunks_keep_to_the_limit(cut: Cut, text: str, size: int) -> None:
    for chunk in cut(document(text), size):
        assert len(chunk.text.split()) <= size or len(sentences(chunk.text)) == 1


@every_chunker
@pytest.mark.parametrize("text", ["", " \n\t "])
def test_a_document_without_words_has_no_chunk(cut: Cut, text: str) -> None:
    assert cut(document(text), 5) == []


@every_chunker
@pytest.mark.parametrize("size", [0, -1])
def test_a_chunk_needs_room_for_a_word(cut: Cut, size: int) -> None:
    with pytest.raises(ValueError, match=f"max_words must be at least 1, got {size}"):
        cut(document("Some text."), size)


@every_chunker
@pytest.mark.parametrize("size", [2.5, "9", True, None])
def test_a_size_is_a_whole_number(cut: Cut, size: int) -> None:
    with pytest.raises(TypeError):
        cut(document("Some text."), size)


@pytest.mark.parametrize("chunker", [fixed_chunks, recursive_chunks, sentence_chunks])
def test_an_overlap_is_not_negative_and_whole(chunker: Callable[..., list[Chunk]]) -> None:
    with pytest.raises(ValueError, match="overlap must be at least 0, got -1"):
        chunker(document("Some text."), overlap=-1)
    with pytest.raises(TypeError, match="overlap must be a whole number, got 0.25"):
        chunker(document("Some text."), overlap=0.25)


@pytest.mark.parametrize("chunker", [fixed_chunks, recursive_chunks])
@pytest.mark.parametrize("overlap", [6, 7])
def test_an_overlap_leaves_room_for_new_words(chunker: Callable[..., list[Chunk]], overlap: int) -> None:
    with pytest.raises(ValueError, match=rf"overlap must be smaller than max_words \(6 words\), got {overlap}"):
        chunker(document("Some text."), max_words=6, overlap=overlap)


# ---------------------------------------------------------------- fixed


def texts(chunks: list[Chunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


def test_words_are_found_where_they_stand() -> None:
    assert word_spans(" a  bc\nd ") == [(1, 2), (4, 6), (7, 8)]


def test_fixed_windows_by_hand() -> None:
    """Seven words, four a chunk, one shared: each chunk begins 4 - 1 = 3 words after the one before, at 0 and 3. The
    chunk at 6 would hold the seventh word only, which the second chunk (3 to 6) holds already: there is none."""
    text = "one two  three four five six\nseven"
    assert texts(fixed_chunks(document(text), max_words=4, overlap=1)) == [
        "one two  three four",
        "four five six\nseven",
    ]
    assert texts(fixed_chunks(document(text), max_words=4)) == ["one two  three four", "five six\nseven"]
    assert texts(fixed_chunks(document("one two"), max_words=4, overlap=3)) == ["one two"]


@given(prose, st.integers(1, 20), st.data())
def test_fixed_neighbours_share_exactly_the_overlap(text: str, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    chunks = fixed_chunks(document(text), max_words=size, overlap=overlap)
    assert all(len(chunk.text.split()) == size for chunk in chunks[:-1])
    for before, after in pairwise(chunks):
        assert before.text.split()[size - overlap :] == after.text.split()[:overlap]
        assert len(after.text.split()) > overlap


# ---------------------------------------------------------------- sentences that overlap


def test_overlapping_sentences_by_hand() -> None:
    """Four sentences of 3 words, at most 7 a chunk: two sentences fit. Each further chunk carries the last sentence
    of the one before and has room for one that is new."""
    text = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
    assert texts(sentence_chunks(document(text), max_words=7, overlap=1)) == [
        "One two three. Four five six.",
        "Four five six. Seven eight nine.",
        "Seven eight nine. Ten eleven twelve.",
    ]


def test_a_chunk_is_never_repeated_whole() -> None:
    """20 words, at most 14: two chunks of about 10. 6 + 4 words make the first; it could be carried whole, 10 + 4 words
    fit, but then the second chunk would hold all of the first. Only its last sentence is carried, and so again."""
    text = "a b c d e f. G h i j. K l m n. O p q r s t."
    assert texts(sentence_chunks(document(text), max_words=14, overlap=2)) == [
        "a b c d e f. G h i j.",
        "G h i j. K l m n.",
        "K l m n. O p q r s t.",
    ]


def test_no_sentence_is_carried_where_there_is_no_room() -> None:
    """2 + 6 words exceed 7: the long sentence stands alone, and nothing of it fits before the last one."""
    text = "One two. Three four five six seven eight. Nine ten."
    assert texts(sentence_chunks(document(text), max_words=7, overlap=1)) == [
        "One two.",
        "Three four five six seven eight.",
        "Nine ten.",
    ]


# ---------------------------------------------------------------- recursive


def test_recursive_chunks_by_hand() -> None:
    """At most 5 words. The first two paragraphs have 2 + 3 = 5 words and are packed; the third has 8, so it is cut at
    its sentences, 3 and 5, which do not fit together; the last has 6 in one sentence, so it is cut at words: 5 and 1."""
    text = "One two.\n\nThree four five.\n\nSix seven eight. Nine ten eleven twelve thirteen.\n\na b c d e f"
    assert texts(recursive_chunks(document(text), max_words=5)) == [
        "One two.\n\nThree four five.",
        "Six seven eight.",
        "Nine ten eleven twelve thirteen.",
        "a b c d e",
        "f",
    ]


def test_lines_come_before_sentences() -> None:
    text = "One two. Three\nfour five six"
    assert texts(recursive_chunks(document(text), max_words=3)) == ["One two. Three", "four five six"]


def test_pieces_of_two_levels_are_not_packed_together() -> None:
    """The rest of a long paragraph, "Six.", would fit before "Seven eight." but belongs to another paragraph."""
    text = "One two three. Four five. Six.\n\nSeven eight."
    assert texts(recursive_chunks(document(text), max_words=5)) == ["One two three. Four five.", "Six.", "Seven eight."]


def test_recursive_overlap_repeats_whole_pieces_only() -> None:
    """One paragraph of 9 words in sentences of 3. At most 6 words: two sentences; an overlap of 3 repeats one of
    them, an overlap of 2 none."""
    text = "One two three. Four five six. Seven eight nine."
    assert texts(recursive_chunks(document(text), max_words=6, overlap=3)) == [
        "One two three. Four five six.",
        "Four five six. Seven eight nine.",
    ]
    assert texts(recursive_chunks(document(text), max_words=6, overlap=2)) == [
        "One two three. Four five six.",
        "Seven eight nine.",
    ]


def test_recursive_overlap_leaves_room_for_the_next_piece() -> None:
    """Sentences of 2, 4 and 4 words, at most 6: the second has the 4 words that the overlap allows, but with it the
    third chunk would hold 8."""
    text = "One two. Three four five six. Seven eight nine ten."
    assert texts(recursive_chunks(document(text), max_words=6, overlap=4)) == [
        "One two. Three four five six.",
        "Seven eight nine ten.",
    ]


# ---------------------------------------------------------------- semantic

RIGHT, UP = (1.0, 0.0), (0.0, 1.0)


def test_semantic_borders_by_hand() -> None:
    """Neighbours have the cosines 1, 0, 1, 0.6. The 25th percentile of 0, 0.6, 1, 1 is 0 + 0.75 * 0.6 = 0.45: only
    the 0 lies below, so one border, before sentence 2. The 50th is 0.8: 0 and 0.6, before sentences 2 and 4."""
    vectors = np.array([RIGHT, RIGHT, UP, UP, (0.8, 0.6)], np.float32)
    assert semantic_borders(vectors, percentile=25) == [2]
    assert semantic_borders(vectors, percentile=50) == [2, 4]
    assert semantic_borders(vectors, percentile=100) == [1, 2, 3, 4]


@pytest.mark.parametrize("n", [0, 1])
def test_one_sentence_has_no_neighbour(n: int) -> None:
    assert semantic_borders(np.ones((n, 3), np.float32), percentile=50) == []


@pytest.mark.parametrize("percentile", [-1, 100.5])
def test_a_percentile_has_bounds(percentile: float) -> None:
    with pytest.raises(ValueError, match=f"percentile must lie between 0 and 100, got {percentile}"):
        semantic_borders(np.ones((3, 2), np.float32), percentile=percentile)


def test_semantic_borders_refuse_nan() -> None:
    with pytest.raises(ValueError, match="vectors must be finite, but row 1"):
        semantic_borders(np.array([[1, 0], [np.nan, 0]], np.float32), percentile=50)


def test_semantic_chunks_part_where_the_subject_changes() -> None:
    def by_subject(sentences: Sequence[str]) -> FloatArray:
        return np.array([RIGHT if "match" in text else UP for text in sentences], np.float32)

    text = "The match began. The match ended. A meter ran. Meters run. The match was long."
    cut = semantic_chunks(document(text), by_subject, max_words=50, percentile=40)
    assert texts(cut) == ["The match began. The match ended.", "A meter ran. Meters run.", "The match was long."]
    short = semantic_chunks(document(text), by_subject, max_words=3, percentile=40)
    assert texts(short) == sentences(text)  # too long a stretch is cut at its sentences


# ---------------------------------------------------------------- many documents


def test_another_chunker_is_used_for_all_documents() -> None:
    two = [document("one two three"), Document("shelf/other", "shelf", "Other", DAY, "four five")]
    chunks = chunk_documents(two, chunker=partial(fixed_chunks, max_words=2))
    assert [(chunk.chunk_id, chunk.text) for chunk in chunks] == [
        ("shelf/slug#00", "one two"),
        ("shelf/slug#01", "three"),
        ("shelf/other#00", "four five"),
    ]


def test_a_size_beside_a_chunker_is_refused() -> None:
    with pytest.raises(ValueError, match=r"max_words must go into the chunker, got 60 beside it"):
        chunk_documents([], max_words=60, chunker=fixed_chunks)


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
