"""From the bytes of a file to text: plain text in its encodings, Markdown, HTML and PDF."""

from __future__ import annotations

import datetime
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course_lib.corpus.markdown import markdown_text

_BYTE_ORDER_MARKS = (  # four bytes before two: the mark of UTF-32 begins like that of UTF-16
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


class UnreadableDocument(ValueError):
    """A file that cannot be made into a document; the message says why, and what to do."""


@dataclass(frozen=True)
class RawText:
    """What a reader found in a file, before cleaning."""

    pages: Sequence[str]
    title: str = ""
    date: datetime.date | None = None
    has_pages: bool = False


# ---------------------------------------------------------------- plain text


def decode(data: bytes, *, name: str, encoding: str | None = None) -> str:
    """Return bytes as text: by the encoding named, by the byte order mark, else as UTF-8, else as Windows-1252.

    Raises UnreadableDocument naming the byte that fits none of them, or if the bytes are no text at all, LookupError
    for an encoding that Python does not know.
    """
    marked = next((kind for mark, kind in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    kinds = [encoding] if encoding else [marked] if marked else ["utf-8", "cp1252"]
    if not encoding and not marked and b"\0" in data:
        remedy = "it may be UTF-16 without a mark: name encoding='utf-16-le' or 'utf-16-be', or it is no text file"
        raise UnreadableDocument(f"{name} holds a zero byte at position {data.index(0)}, which no text has; {remedy}")
    for kind in kinds:
        try:
            return data.decode(kind)
        except UnicodeDecodeError as error:
            failed = error
    byte = failed.object[failed.start]
    raise UnreadableDocument(
        f"{name} is not text in {' or '.join(kinds)}: byte 0x{byte:02x} at position {failed.start} means nothing there; "
        "save the file as UTF-8, or name the encoding it has: read_document(path, encoding='latin-1')"
    )


def read_text(path: Path, encoding: str | None) -> RawText:
    """Return the text of a plain file; form feeds divide its pages."""
    pages = decode(path.read_bytes(), name=path.name, encoding=encoding).split("\f")
    return RawText(pages, has_pages=len(pages) > 1)


# ---------------------------------------------------------------- formats with marks


def read_markdown(path: Path, encoding: str | None) -> RawText:
    """Return the text of a Markdown file, with the title and date that its front matter gives."""
    text, front = markdown_text(decode(path.read_bytes(), name=path.name, encoding=encoding))
    return RawText([text], front.get("title", ""), _as_date(front.get("date", "")))


def _as_date(text: str) -> datetime.date | None:
    match = re.match(r"\d{4}-\d\d-\d\d", text)
    try:
        return datetime.date.fromisoformat(match[0]) if match else None
    except ValueError:
        return None


_DROPPED = ("script", "style", "noscript", "template", "nav", "aside", "footer", "head", "title", "svg")
_BLOCKS = (
    *("address", "article", "blockquote", "caption", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption"),
    *("figure", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section"),
    *("summary", "table", "tr", "ul"),
)
_PARAGRAPHS = ("article", "h1", "h2", "h3", "h4", "h5", "h6", "p", "section", "table", "ul", "ol")
_LINE, _PARAGRAPH = "\x01", "\x02"  # where a block begins or ends; no page holds these two characters


def html_text(markup: str) -> tuple[str, str]:
    """Return the visible text of a page, a block a line, and its title (that of the head, else the first heading).

    Scripts, styles, navigation, side notes and footers are dropped, and what is marked hidden.
    """
    from bs4 import BeautifulSoup
    from bs4.element import Comment, NavigableString

    soup = BeautifulSoup(markup, "html.parser")
    named = soup.title or soup.find("h1")
    title = named.get_text(" ", strip=True) if named else ""
    for tag in soup.find_all(lambda tag: tag.name in _DROPPED or tag.has_attr("hidden")):
        tag.extract()
    for string in list(soup.find_all(string=True)):
        if isinstance(string, Comment) or type(string) is not NavigableString:
            string.extract()
        elif not string.find_parent("pre"):
            string.replace_with(re.sub(r"\s+", " ", string))
    for tag in soup.find_all(["br", "td", "th", *_BLOCKS]):
        border = " " if tag.name in ("td", "th") else _PARAGRAPH if tag.name in _PARAGRAPHS else _LINE
        tag.insert_after(border)
        if tag.name in _BLOCKS:
            tag.insert_before(border)
    text = re.sub(rf"[\s{_LINE}]*{_PARAGRAPH}[\s{_LINE}{_PARAGRAPH}]*", "\n\n", soup.get_text())
    return re.sub(rf"[ ]*{_LINE}[\s{_LINE}]*", "\n", text).strip(), " ".join(title.split())


def read_html(path: Path, encoding: str | None) -> RawText:
    """Return the visible text of a page, in the encoding that it declares. Raises UnreadableDocument if there is none."""
    data = path.read_bytes()
    declared = re.search(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", data[:4096], re.IGNORECASE)
    marked = any(data.startswith(mark) for mark, _ in _BYTE_ORDER_MARKS)
    if not encoding and not marked and declared:
        encoding = declared[1].decode("ascii")
    try:
        text, title = html_text(decode(data, name=path.name, encoding=encoding))
    except LookupError:
        raise UnreadableDocument(
            f"{path.name} says it is in {encoding!r}, which is no encoding; name one yourself"
        ) from None
    if not text.strip():
        raise UnreadableDocument(f"{path.name} holds no text: a script may build it in the browser; save it from there")
    return RawText([text], title)


# ---------------------------------------------------------------- PDF


def read_pdf(path: Path, encoding: str | None) -> RawText:
    """Return the text of each page. Raises UnreadableDocument if it is locked, damaged, cut short or only pictures."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it tells of every repair; what fails is raised below
    try:
        reader = pypdf.PdfReader(path)
        locked = reader.is_encrypted and not reader.decrypt("")
    except Exception as error:  # whatever pypdf meets in bytes that are not what they should be
        raise UnreadableDocument(f"{path.name} is cut short or is no PDF ({error}); fetch the file again") from error
    if locked:
        raise UnreadableDocument(f"{path.name} is locked with a password; save a copy without one and read that")
    pages: list[str] = []
    try:
        for page in reader.pages:
            pages.append(page.extract_text())
    except Exception as error:
        raise UnreadableDocument(
            f"{path.name} is damaged on page {len(pages) + 1} ({error}); fetch the file again"
        ) from error
    if not any(page.strip() for page in pages):
        raise UnreadableDocument(
            f"{path.name} holds no text on its {len(pages)} pages: they are pictures; run text recognition first"
        )
    found = reader.metadata
    date = found.creation_date.date() if found and found.creation_date else None
    return RawText(pages, (found.title or "").strip() if found else "", date, has_pages=True)
