"""Set a text as printed pages, with all that makes pages hard to read back: to try readers and cleaning on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

LONG_WORD = 7  # letters from which on a word may be divided at the end of a line


def set_lines(paragraph: str, *, width: int) -> Iterator[str]:
    """Yield the lines of a paragraph, at most width characters; a long word that does not fit is divided by a hyphen.

    Raises ValueError if width is under 20.
    """
    if width < 20:
        raise ValueError(f"width must be at least 20 characters, got {width}")
    line = ""
    for word in paragraph.split():
        room = width - len(line) - 2  # for the first letters, after a space and before the hyphen
        if not line:
            line = word
        elif len(line) + 1 + len(word) <= width:
            line += f" {word}"
        elif word.isalpha() and word.islower() and len(word) >= LONG_WORD and 3 <= room <= len(word) - 3:
            yield f"{line} {word[:room]}-"
            line = word[room:]
        else:
            yield line
            line = word
    if line:
        yield line


def typeset_pages(text: str, *, header: str, width: int = 60, lines_per_page: int = 18) -> list[str]:
    """Return the pages of a text: divided words, ligatures, a header and "Page 1 of 3" on each, no empty page.

    Paragraphs are divided by an empty line, which is lost where a page ends. Raises ValueError if lines_per_page < 1.
    """
    if lines_per_page < 1:
        raise ValueError(f"lines_per_page must be at least 1, got {lines_per_page}")
    lines: list[str] = []
    for paragraph in filter(str.strip, text.split("\n")):
        lines += [*set_lines(paragraph, width=width), ""]
    bodies = ["\n".join(lines[i : i + lines_per_page]).strip("\n") for i in range(0, len(lines), lines_per_page)]
    bodies = [body.replace("fi", "ﬁ").replace("fl", "ﬂ") for body in bodies if body.strip()]
    return [f"{header}\n{body}\nPage {i} of {len(bodies)}" for i, body in enumerate(bodies, start=1)]


def write_pdf(pages: Sequence[str], path: Path, *, title: str = "") -> None:
    """Write pages of text as a PDF that holds its letters, not pictures of them."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    with rc_context({"pdf.fonttype": 42}), PdfPages(path, metadata={"Title": title}) as pdf:
        for page in pages:
            figure = Figure(figsize=(5, 7))
            for i, line in enumerate(page.split("\n")):
                figure.text(0.1, 0.92 - 0.042 * i, line, fontsize=9)
            pdf.savefig(figure)
