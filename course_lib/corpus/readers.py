"""Read files into documents that know where each character came from: a file, its pages, a whole folder."""

from __future__ import annotations

import datetime
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from course_lib.core.types import Chunk, Document
from course_lib.corpus.cleaning import GENTLE_STEPS, STEPS, Cleaned, clean_pages
from course_lib.corpus.formats import RawText, UnreadableDocument, read_html, read_markdown, read_pdf, read_text

_SENTENCE_GOES_ON = re.compile(r"[^.!?:\s\"')\]]$")
READERS: dict[
    str, tuple[Callable[[Path, str | None], RawText], bool]
] = {  # suffix -> reader, whether lines are wrapped
    ".txt": (read_text, True),
    ".md": (read_markdown, False),
    ".markdown": (read_markdown, False),
    ".html": (read_html, False),
    ".htm": (read_html, False),
    ".pdf": (read_pdf, True),
}


@dataclass(frozen=True)
class Source:
    """A document with its file: path as given, pages the offset at which each page begins (none without pages)."""

    document: Document
    path: Path
    pages: tuple[int, ...] = ()
    cleaning: Cleaned = field(default_factory=lambda: Cleaned(()))

    def page_of(self, offset: int) -> int:
        """Return the page, from 1, that holds the character at offset. Raises ValueError if there is no such page."""
        if not self.pages:
            raise ValueError(f"{self.path.name} has no pages; cite characters instead")
        if not 0 <= offset < max(len(self.document.text), 1):
            raise ValueError(f"offset must lie in the {len(self.document.text)} characters of the text, got {offset}")
        return bisect_right(self.pages, offset)

    def cite(self, chunk: Chunk) -> str:
        """Return where a chunk stands, in words: "handbook.pdf, page 3, characters 4,120-4,655"."""
        if chunk.doc_id != self.document.doc_id:
            raise ValueError(f"the chunk must come from {self.document.doc_id}, got one of {chunk.doc_id}")
        where = [self.path.name]
        if self.pages:
            first, last = self.page_of(chunk.start), self.page_of(max(chunk.start, chunk.end - 1))
            where.append(f"page {first}" if first == last else f"pages {first}-{last}")
        return ", ".join([*where, f"characters {chunk.start:,}-{chunk.end:,}"])


def _slug(path: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path.as_posix().lower()).strip("-") or "unnamed"


def read_document(
    path: Path | str, *, shelf: str = "documents", encoding: str | None = None, root: Path | str | None = None
) -> Source:
    """Read a .txt, .md, .html or .pdf file, clean it, and keep where each page begins in the text.

    encoding: of text files, if it is not found right. root: the folder that names are relative to. Dated by its front
    matter or metadata, else by the file. Raises UnreadableDocument for a file without text or one that no reader can
    read, FileNotFoundError if it is not there.
    """
    path = Path(path)
    if path.suffix.lower() not in READERS:
        raise UnreadableDocument(
            f"{path.name} has no reader: {', '.join(READERS)} can be read; convert it to one of them"
        )
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file, but {path} is not there or is a folder; see read_folder")
    reader, wrapped = READERS[path.suffix.lower()]
    raw = reader(path, encoding)
    cleaned = clean_pages(raw.pages, steps=STEPS if wrapped else GENTLE_STEPS)
    text, starts = join_pages(cleaned.pages)
    if not text:
        raise UnreadableDocument(f"{path.name} is empty: it holds no text to read")
    named = path.relative_to(root) if root else Path(path.name)
    date = raw.date or datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).date()
    title = raw.title or path.stem.replace("_", " ").replace("-", " ")
    document = Document(f"{shelf}/{_slug(named)}", shelf, title, date, text, sources=named.as_posix())
    return Source(document, path, starts if raw.has_pages else (), cleaned)


def join_pages(pages: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Return the pages as one text, and the offset at which each begins.

    A space stands between two pages if a sentence runs on from one to the next, else an empty line. An empty page
    begins where the text before it ends.
    """
    text, starts = "", []
    for page in pages:
        if text and page:
            text += " " if _SENTENCE_GOES_ON.search(text) and page[0].islower() else "\n\n"
        starts.append(len(text))
        text += page
    return text, tuple(starts)


@dataclass(frozen=True)
class Reading:
    """A folder as read: the sources, and each file that is not among them with the reason."""

    sources: tuple[Source, ...]
    unread: dict[str, str]

    @property
    def documents(self) -> list[Document]:
        """The documents, to be cut and indexed."""
        return [source.document for source in self.sources]

    def __str__(self) -> str:
        lines = [f"{len(self.sources)} documents read, {len(self.unread)} files not read"]
        for name, reason in self.unread.items():
            short = reason.removeprefix(Path(name).name)
            lines.append(f"  {name}{short}" if short != reason else f"  {name}: {reason}")
        return "\n".join(lines)


def read_folder(folder: Path | str, *, shelf: str = "documents") -> Reading:
    """Read every file of a folder and its subfolders, in order of name; one that fails stops no other.

    Every file is in the result: as a source, or in `unread` with the reason. Raises NotADirectoryError if there is no
    such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"folder must be a folder that exists, got {root}")
    sources, unread, taken = [], dict[str, str](), set[str]()
    for path in sorted(path for path in root.rglob("*") if not path.is_dir()):
        name = path.relative_to(root).as_posix()
        try:
            source = read_document(path, shelf=shelf, root=root)
        except (UnreadableDocument, OSError) as error:
            unread[name] = str(error)
            continue
        number, doc_id = 2, source.document.doc_id
        while source.document.doc_id in taken:  # "a b.md" and "a-b.md"
            source = replace(source, document=replace(source.document, doc_id=f"{doc_id}-{number}"))
            number += 1
        taken.add(source.document.doc_id)
        sources.append(source)
    return Reading(tuple(sources), unread)
