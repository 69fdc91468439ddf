"""Files and folders as documents that know their file and page: nothing lost, every failure told."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Document
from course_lib.corpus.chunking import fixed_chunks, sentence_chunks
from course_lib.corpus.readers import Source, UnreadableDocument, join_pages, read_document, read_folder

DAY = datetime.date(2024, 3, 1)


def source(text: str, pages: tuple[int, ...]) -> Source:
    return Source(Document("s/a", "s", "T", DAY, text), Path("handbook.pdf"), pages)


def text_pdf(path: Path, *pages: str) -> Path:
    """A PDF drawn by matplotlib, a line of text each."""
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    with PdfPages(path, metadata={"Title": "Handbook", "CreationDate": datetime.datetime(2024, 5, 6)}) as pdf:
        for page in pages:
            figure = Figure(figsize=(6, 4))
            for i, line in enumerate(page.split("\n")):
                figure.text(0.1, 0.9 - 0.1 * i, line)
            pdf.savefig(figure)
    return path


# ---------------------------------------------------------------- pages


def test_pages_are_joined_by_hand() -> None:
    """ "the bill" goes on in small letters, so a space; "ends." ends, so an empty line. The second page begins after
    8 + 1 characters, the third after 9 + 9 + 2."""
    assert join_pages(["the bill", "then ends.", "New"]) == ("the bill then ends.\n\nNew", (0, 9, 21))
    assert join_pages(["One", "Two"]) == ("One\n\nTwo", (0, 5))  # a capital begins something new
    assert join_pages(["", "a", "", "b"]) == ("a b", (0, 0, 1, 2))
    assert join_pages([]) == ("", ())


@given(st.lists(st.text("aB. \n", max_size=8).map(str.strip), max_size=6))
def test_each_page_stands_where_it_is_said_to(pages: list[str]) -> None:
    text, starts = join_pages(pages)
    assert len(starts) == len(pages)
    for page, start in zip(pages, starts, strict=True):
        assert text[start : start + len(page)] == page
    assert "".join(text.split()) == "".join("".join(page.split()) for page in pages)
    read = source(text, starts)
    for number, (page, start) in enumerate(zip(pages, starts, strict=True), start=1):
        assert all(read.page_of(offset) == number for offset in range(start, start + len(page)))


def test_a_citation_by_hand() -> None:
    """Pages of 10 characters begin at 0, 10 and 20. Words of 4 characters and a space: the third is 10 to 14."""
    read = source("aaaa bbbb cccc dddd eeee", (0, 10, 20))
    first, second, third = fixed_chunks(read.document, max_words=2)
    assert read.cite(first) == "handbook.pdf, page 1, characters 0-9"
    assert read.cite(second) == "handbook.pdf, page 2, characters 10-19"
    assert read.cite(third) == "handbook.pdf, page 3, characters 20-24"
    (whole,) = fixed_chunks(read.document, max_words=9)
    assert read.cite(whole) == "handbook.pdf, pages 1-3, characters 0-24"
    assert source("aaaa bbbb cccc dddd eeee", ()).cite(second) == "handbook.pdf, characters 10-19"


@pytest.mark.parametrize("offset", [-1, 24, 999])
def test_an_offset_outside_the_text(offset: int) -> None:
    with pytest.raises(ValueError, match=f"offset must lie in the 24 characters of the text, got {offset}"):
        source("aaaa bbbb cccc dddd eeee", (0, 10)).page_of(offset)


def test_a_text_file_has_no_page() -> None:
    with pytest.raises(ValueError, match=r"handbook\.pdf has no pages; cite characters"):
        source("text", ()).page_of(0)


def test_a_chunk_of_another_document() -> None:
    other = fixed_chunks(Document("s/b", "s", "T", DAY, "text"), max_words=2)[0]
    with pytest.raises(ValueError, match="the chunk must come from s/a, got one of s/b"):
        source("text", ()).cite(other)


# ---------------------------------------------------------------- one file


def test_a_pdf_from_file_to_page(tmp_path: Path) -> None:
    path = text_pdf(
        tmp_path / "The Handbook.pdf",
        "Saltmarsh Energy\nThe meter of every home is read on the\nfirst of the month.\n1",
        "Saltmarsh Energy\nThe bill follows a week after that, and the\nrefund another week later.\n2",
        "Saltmarsh Energy\nOur telephones are answered from eight in\nthe morning until six.\n3",
    )
    read = read_document(path, shelf="mine")
    document = read.document
    assert (document.doc_id, document.shelf, document.title) == ("mine/the-handbook-pdf", "mine", "Handbook")
    assert (document.date, document.sources) == (datetime.date(2024, 5, 6), "The Handbook.pdf")
    assert document.text.split("\n\n") == [
        "The meter of every home is read on the first of the month.",
        "The bill follows a week after that, and the refund another week later.",
        "Our telephones are answered from eight in the morning until six.",
    ]
    assert read.cleaning.counts()["running lines"] == read.cleaning.counts()["page numbers"] == 3
    chunks = sentence_chunks(document, max_words=14)
    assert [read.cite(chunk).split(", ")[1] for chunk in chunks] == ["page 1", "page 2", "page 3"]
    assert all(chunk.text == document.text[chunk.start : chunk.end] for chunk in chunks)


@pytest.mark.parametrize(
    ("name", "content", "title", "text"),
    [
        ("a_guide.txt", "Größe\r\n", "a guide", "Größe"),
        ("b.md", "# The *guide*\n\nSee [this](x).\n\n    code", "The guide", "The guide\n\nSee this.\n\ncode"),
        ("C.HTML", "<title>T</title><p>a</p><p>b</p>", "T", "a\n\nb"),
    ],
)
def test_files_with_marks_and_without(name: str, content: str, title: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    read = read_document(str(tmp_path / name))
    assert (read.document.title, read.document.text, read.pages) == (title, text, ())
    assert read.document.shelf == "documents"


def test_a_file_without_a_date_has_that_of_its_last_change(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text")
    os.utime(path, (0, 86400 * 365))
    assert read_document(path).document.date == datetime.date(1971, 1, 1)


def test_an_encoding_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Größe".encode("utf-16-le"))
    assert read_document(tmp_path / "a.txt", encoding="utf-16-le").document.text == "Größe"


@pytest.mark.parametrize("name", ["a.docx", "a", ".md", "a.pdf.exe"])
def test_a_kind_without_a_reader(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("text")
    with pytest.raises(UnreadableDocument, match=r"has no reader: \.txt, \.md, .* can be read; convert it"):
        read_document(tmp_path / name)


@pytest.mark.parametrize("content", ["", " \n\n ", "\ufeff"])
@pytest.mark.parametrize("suffix", ["txt", "md", "html"])
def test_an_empty_file(suffix: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UnreadableDocument, match=rf"a\.{suffix} (is empty: it|holds no text)"):
        read_document(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not there or is a folder"):
        read_document(tmp_path / "a.txt")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(FileNotFoundError, match="is not there or is a folder"):
        read_document(tmp_path / "folder.md")


# ---------------------------------------------------------------- a folder


def test_a_folder_loses_nothing(tmp_path: Path) -> None:
    good = {"b.txt": "two", "a/Deep One.md": "# Deep", "a/deep-one.md": "other", "c.html": "<p>three</p>"}
    bad = {"broken.pdf": "%PDF-1.4 nothing", "empty.txt": "", "table.xlsx": "PK", ".hidden": "x"}
    for name, content in {**good, **bad}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    reading = read_folder(tmp_path, shelf="mine")
    assert {one.document.sources for one in reading.sources} == set(good)
    assert set(reading.unread) == {*bad, "gone.txt"}
    assert [one.doc_id for one in reading.documents] == [
        "mine/a-deep-one-md",
        "mine/a-deep-one-md-2",
        "mine/b-txt",
        "mine/c-html",
    ]
    assert "cut short or is no PDF" in reading.unread["broken.pdf"] and "is empty" in reading.unread["empty.txt"]
    assert str(reading).startswith("4 documents read, 5 files not read\n  .hidden has no reader")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert (read_folder(tmp_path).sources, read_folder(tmp_path).unread) == ((), {})


@pytest.mark.parametrize("name", ["nowhere", "file.txt"])
def test_no_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("text")
    with pytest.raises(NotADirectoryError, match="folder must be a folder that exists"):
        read_folder(tmp_path / name)
