"""Pages made from texts, and cleaning as their inverse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.corpus.cleaning import clean_pages
from course_lib.corpus.load import load_documents
from course_lib.corpus.readers import read_document
from course_lib.corpus.typesetting import set_lines, typeset_pages, write_pdf

paragraphs = st.lists(
    st.sampled_from(["a", "the", "meter", "registration", "electricity", "E-2041", "well-known", "May,"]), max_size=40
).map(" ".join)


def bare(text: str) -> str:
    """The letters without white space and hyphens."""
    return re.sub(r"[-\s]", "", text)


def test_lines_by_hand() -> None:
    """Width 20. "The meter measures" has 18; "electricity" does not fit, and 20 - 18 - 2 = 0 letters are no part. After
    "electricity and gas" (19) comes "registration" (too long, no room); "to" fits after it, and of "administration" the
    first 20 - 15 - 2 = 3 letters."""
    text = "The meter measures electricity and gas registration to administration"
    assert list(set_lines(text, width=20)) == [
        "The meter measures",
        "electricity and gas",
        "registration to adm-",
        "inistration",
    ]


@given(paragraphs, st.integers(20, 60))
def test_lines_keep_to_the_width_and_lose_nothing(text: str, width: int) -> None:
    lines = list(set_lines(text, width=width))
    assert all(0 < len(line) <= width for line in lines)
    assert bare("".join(lines)) == bare(text)


@given(paragraphs)
def test_only_long_plain_words_are_divided(text: str) -> None:
    for line in set_lines(text, width=24):
        if line.endswith("-"):
            assert any(word.startswith(line.split()[-1][:-1]) for word in ("registration", "electricity"))


def test_pages_by_hand() -> None:
    pages = typeset_pages("One office.\nTwo.\n\nThree.", header="H", lines_per_page=2)
    assert pages == ["H\nOne ofﬁce.\nPage 1 of 3", "H\nTwo.\nPage 2 of 3", "H\nThree.\nPage 3 of 3"]
    assert typeset_pages(" \n ", header="H") == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [("width", "width must be at least 20"), ("lines_per_page", "lines_per_page must be at least 1")],
)
def test_settings_have_bounds(setting: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        typeset_pages("Some text.", header="H", **{setting: 0})


def test_cleaning_undoes_printing() -> None:
    """A shelf as one handbook: of its documents, at least 19 in 20 come back word for word."""
    documents = load_documents("help_desk")
    of_document = [typeset_pages(d.text, header="Fennimore") for d in documents]
    cleaned = iter(clean_pages([page for pages in of_document for page in pages]).pages)
    texts = [" ".join(next(cleaned) for _ in pages) for pages in of_document]
    same = [text.split() == d.text.split() for text, d in zip(texts, documents, strict=True)]
    assert sum(same) >= 0.95 * len(same)


def test_a_pdf_holds_its_letters(tmp_path: Path) -> None:
    text = next(d.text for d in load_documents("energy") if len(d.text.split()) > 250)
    pages = typeset_pages(text, header="Energy, a reader", lines_per_page=12)
    write_pdf(pages, tmp_path / "a.pdf", title="A reader")
    read = read_document(tmp_path / "a.pdf")
    assert len(read.pages) == len(pages) >= 3
    assert read.document.title == "A reader"
    assert bare(read.document.text) == bare(text)
