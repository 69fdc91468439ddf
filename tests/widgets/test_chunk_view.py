"""The view of chunks: its segments, its marks, and the widget driven by its traits."""

from __future__ import annotations

import datetime
import html
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Document
from course_lib.core.validate import FloatArray
from course_lib.widgets.chunk_view import (
    METHODS,
    TINTS,
    ChunkView,
    Segment,
    chunk_view_demo,
    chunk_view_widget,
    cut,
    segments,
)

TEXT = (
    "The meter was read in May. The bill <of May> came a week later & was too high.\n\n"
    "Nobody had looked at the roof. A panel was broken there. The refund came in June."
)
DOCUMENT = Document("shelf/slug", "shelf", "Title", datetime.date(2024, 3, 1), TEXT)
QUOTE = "A panel was broken there."
GOLD = (TEXT.index(QUOTE), TEXT.index(QUOTE) + len(QUOTE))


def by_letters(texts: Sequence[str]) -> FloatArray:
    """An honest small embedder: which letters a text holds."""
    vectors = np.array([[1 + text.count(letter) for letter in "aeiost"] for text in texts], np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def view(method: str = "fixed", max_words: int = 8, overlap: float = 0.0, text: str = TEXT) -> ChunkView:
    document = Document("shelf/slug", "shelf", "Title", datetime.date(2024, 3, 1), text)
    gold = GOLD if text == TEXT else None
    return cut(document, method=method, max_words=max_words, overlap=overlap, gold=gold, embedder=by_letters)


# ---------------------------------------------------------------- segments


def test_segments_by_hand() -> None:
    """Words at 0-1, 2-3, 4-5, 6-7. Windows of two words that share one: 0-3, 2-5, 4-7. The gold span is 4-5."""
    document = Document("s/a", "s", "T", datetime.date(2024, 3, 1), "a b c d")
    chunks = cut(document, method="fixed", max_words=2, overlap=0.5).chunks
    assert [(chunk.start, chunk.end) for chunk in chunks] == [(0, 3), (2, 5), (4, 7)]
    assert segments("a b c d", chunks, (4, 5)) == [
        Segment(0, 2, (0,), False),
        Segment(2, 3, (0, 1), False),
        Segment(3, 4, (1,), False),
        Segment(4, 5, (1, 2), True),
        Segment(5, 7, (2,), False),
    ]
    assert segments("", []) == []
    assert segments("ab", []) == [Segment(0, 2, (), False)]


@given(st.text("ab. \n", max_size=60), st.integers(1, 9), st.integers(0, 9), st.sampled_from(METHODS))
def test_segments_are_the_whole_text(text: str, size: int, tenths: int, method: str) -> None:
    shown = view(method, size, tenths / 10, text)
    parts = segments(text, shown.chunks, None)
    assert "".join(text[part.start : part.end] for part in parts) == text
    assert all(before.end == after.start for before, after in pairwise(parts))
    for i, chunk in enumerate(shown.chunks):
        assert "".join(text[part.start : part.end] for part in parts if i in part.chunks) == chunk.text


# ---------------------------------------------------------------- cutting


@pytest.mark.parametrize("method", METHODS)
def test_every_method_cuts(method: str) -> None:
    assert len(view(method).chunks) > 1


def test_an_overlap_is_a_share() -> None:
    """Eight words a window, a quarter is two: "The meter was read in May. The bill" and again from "The bill"."""
    first, second = view(overlap=0.25).chunks[:2]
    assert first.text.endswith("The bill") and second.text.startswith("The bill <of May>")
    # 34 words in 5 sentences: 12 words are 1.8 sentences, so up to two are repeated
    first, second = view("sentence", 24, 0.5).chunks[:2]
    assert first.start < second.start < first.end
    assert view("semantic", overlap=0.5) == view("semantic")


@pytest.mark.parametrize("overlap", [-0.1, 1, 1.5])
def test_a_share_has_bounds(overlap: float) -> None:
    with pytest.raises(ValueError, match=f"overlap must be a share from 0 to below 1, got {overlap}"):
        view(overlap=overlap)


def test_an_unknown_method() -> None:
    with pytest.raises(ValueError, match="method must be one of fixed, sentence, recursive, semantic, got 'magic'"):
        view("magic")


def test_semantic_chunks_need_an_embedder() -> None:
    with pytest.raises(ValueError, match="embedder must be given for semantic chunks"):
        cut(DOCUMENT, method="semantic", max_words=8)


# ---------------------------------------------------------------- what is said


def test_the_fate_of_the_answer() -> None:
    """The five words of the answer are numbers 25 to 29 of 34. Windows of 7 end after 7, 14, 21 and 28: it is cut after its
    fourth word, in the windows 4 and 5. Windows of 2 hold 25-26, 27-28 and 29-30: numbers 13, 14 and 15."""
    assert view("sentence", 12).fate() == "The answer stands whole in chunk 3."
    assert view("fixed", 30).fate() == "The answer stands whole in chunk 1."
    assert view("fixed", 7).fate() == "The answer is cut: its parts stand in chunks 4 and 5."
    assert view("fixed", 2).fate() == "The answer is cut: its parts stand in chunks 13, 14 and 15."
    assert view("fixed", 20, 0.75).fate() == "The answer stands whole in chunk 3 and in chunk 4."
    assert ChunkView(DOCUMENT, (), GOLD).fate() == "The answer is in no chunk."
    assert ChunkView(DOCUMENT, ()).fate() == "No span is marked."


def test_the_numbers_in_words() -> None:
    n = len(TEXT.split())
    assert view("fixed", 100).alt().startswith(f"1 chunk of {n} words; {n} words are stored for {n} of the document")
    ragged = [len(chunk.text.split()) for chunk in view("fixed", 8).chunks]
    assert view("fixed", 8).alt().startswith(f"{len(ragged)} chunks of {min(ragged)} to {max(ragged)} words")
    even = view("fixed", 4, text=" ".join(["word"] * 12))
    assert even.alt().startswith("3 chunks of 4 words; 12 words")
    whole = view("fixed", 8, 0.5)
    assert f"{whole.stored_words} words are stored for {n}" in whole.alt() and whole.stored_words > n
    assert view(text=" ").alt() == "No chunks: the document holds no words."


# ---------------------------------------------------------------- what is shown


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup.replace("&nbsp;", " "))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_the_text_is_shown_whole_and_safe(method: str, overlap: float) -> None:
    shown = view(method, 8, overlap)
    root = parsed(shown.html())
    assert root.get("aria-label") == "Chunks"
    bare = re.sub(r"<sup[^>]*>[^<]*</sup>", "", shown.html())
    assert html.unescape(re.sub(r"<[^>]+>", "", bare)) == TEXT
    assert "<of May>" not in shown.html()
    marks = [mark.text for mark in root.iter("sup")]
    assert sorted(map(str, marks)) == sorted(
        mark for i in range(1, len(shown.chunks) + 1) for mark in (f"[{i}", f"{i}]")
    )  # each chunk begins and ends once, for readers without colours


def test_tints_overlaps_and_the_answer() -> None:
    root = parsed(view("fixed", 8, 0.25).html())
    styles = [(span.text or "", span.get("style") or "") for span in root.iter("span")]
    assert [style for text, style in styles if text.startswith("The meter")] == [f"background:{TINTS[0]}"]
    assert any("repeating-linear-gradient" in style and text == "The bill" for text, style in styles)
    gold = "".join(text for text, style in styles if "border-bottom" in style)
    assert gold == QUOTE
    assert "border-bottom" not in view(text="No answer here at all.").html()


def test_the_legend_says_what_the_marks_mean() -> None:
    legend = view().legend()
    assert html.escape(view().alt()) in legend and 'role="status"' in legend
    assert {"hatched", "underlined"} <= set(re.findall(r"\w+", legend))


# ---------------------------------------------------------------- the widget


@pytest.fixture
def widget() -> Any:
    return chunk_view_widget(DOCUMENT, GOLD, embedder=by_letters, max_words=20)


def test_it_shows_a_result_before_anything_is_touched(widget: Any) -> None:
    method, size, share, legend, text = widget.children
    assert (method.value, size.value, share.value) == ("fixed", 20, 0)
    assert view("fixed", 20).html() == text.value and view("fixed", 20).legend() == legend.value
    assert all(control.description for control in (method, size, share))  # labels, for who reads by ear


def test_every_control_redraws(widget: Any) -> None:
    method, size, share, legend, text = widget.children
    size.value = 10
    assert text.value == view("fixed", 10).html()
    share.value = 50
    assert text.value == view("fixed", 10, 0.5).html()
    method.value = "sentence"
    assert text.value == view("sentence", 10, 0.5).html()
    method.value = "semantic"
    assert (
        share.disabled and text.value == view("semantic", 10).html() and legend.value == view("semantic", 10).legend()
    )
    method.value = "recursive"
    assert not share.disabled and text.value == view("recursive", 10, 0.5).html()


def test_without_an_embedder_there_is_no_semantic_method() -> None:
    assert chunk_view_widget(DOCUMENT).children[0].options == METHODS[:-1]


def test_every_setting_that_can_be_chosen_works(widget: Any) -> None:
    method, size, share, _, text = widget.children
    for name in METHODS:
        method.value = name
        for n in (size.min, size.max):
            size.value = n
            for percent in (share.min, share.max):
                share.value = percent
                parsed(text.value)


def test_readers_without_a_kernel_see_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append(bundle))
    chunk_view_demo(DOCUMENT, GOLD, embedder=by_letters, max_words=8, overlap=0.25)
    (bundle,) = shown
    still = view("fixed", 8, 0.25)
    assert bundle["text/html"] == still.legend() + still.html()
    assert "<svg" not in bundle["text/html"] and "<script" not in bundle["text/html"]
    assert bundle["text/plain"] == still.alt()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
