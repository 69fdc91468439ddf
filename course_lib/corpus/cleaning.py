"""Repair what extraction breaks, page by page, and say what was changed."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

# NFKC would do the ligatures, too, but it also turns "m²" into "m2" and "½" into "1⁄2": it changes what a text says.
LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
INVISIBLE = "\u00ad\u200b\u2060\ufeff\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x1b\x1f\x7f"
SPACES = "\u00a0\u2007\u2009\u200a\u202f\u3000\t\v\f"

_PAGE_NUMBER = re.compile(r"[\s\-–—|·]*(?:page|p\.)?\s*(\d{1,4})(?:\s*(?:/|of)\s*\d{1,4})?[\s\-–—|·]*", re.IGNORECASE)
_BROKEN_WORD = re.compile(r"(\w+)-[ ]*\n[ ]*(\w+)([^\w\s]*)[ ]*\n?")
_LIST_ITEM = re.compile(r"(?:[-*•–]|\(?\w{1,3}[.)])\s")
_RUNS = ((re.compile(r"(?<=\S)[ ]{2,}(?=\S)"), " "), (re.compile(r"^[ ]+(?=\S)", re.MULTILINE), ""))
_ENDS = (
    (re.compile(r"[ ]+$", re.MULTILINE), ""),
    (re.compile(r"\n{3,}"), "\n\n"),
    (re.compile(r"\A\n+|\n+\Z"), ""),
)
_EDGE_LINES = 2  # how many lines at the top and at the foot of a page can be a running header or footer


@dataclass(frozen=True)
class Change:
    """A repair: the step that made it, the page (from 1), what stood there, what stands there now, and how often."""

    step: str
    page: int
    before: str
    after: str
    times: int = 1


@dataclass(frozen=True)
class Cleaned:
    """The pages after cleaning, and every change in order."""

    pages: tuple[str, ...]
    changes: tuple[Change, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return how many repairs each step made; a step that changed nothing is left out."""
        counts: Counter[str] = Counter()
        for change in self.changes:
            counts[change.step] += change.times
        return dict(counts)

    def __str__(self) -> str:
        lines = []
        for step, n in self.counts().items():
            first = next(change for change in self.changes if change.step == step)
            lines.append(f"{step}: {n}; the first on page {first.page}: {first.before!r} -> {first.after!r}")
        return "\n".join(lines) or "nothing to repair"


Step = Callable[[Sequence[str]], Cleaned]


def plain_characters(pages: Sequence[str]) -> Cleaned:
    """Compose accents (NFC), open ligatures, drop invisible characters, make every kind of space a space."""
    changes, cleaned = [], []
    table = LIGATURES | dict.fromkeys(INVISIBLE, "") | dict.fromkeys(SPACES, " ")
    for number, page in enumerate(pages, start=1):
        text = page.replace("\r\n", "\n").replace("\r", "\n")
        for old in sorted(set(text) & set(table)):
            changes.append(Change("characters", number, old, table[old], text.count(old)))
        text = "".join(table.get(character, character) for character in text)
        composed = unicodedata.normalize("NFC", text)
        if composed != text:
            apart = next(c for c in re.findall(r"\w[\u0300-\u036f]+|.", text) if unicodedata.normalize("NFC", c) != c)
            changes.append(
                Change("accents", number, apart, unicodedata.normalize("NFC", apart), len(text) - len(composed) or 1)
            )
        cleaned.append(composed)
    return Cleaned(tuple(cleaned), tuple(changes))


def _edges(page: str) -> list[int]:
    """The positions of the lines of a page that can be a header or a footer."""
    filled = [i for i, line in enumerate(page.split("\n")) if line.strip()]
    return sorted({*filled[:_EDGE_LINES], *filled[-_EDGE_LINES:]})


def _without(step: str, pages: Sequence[str], lines: dict[int, set[int]]) -> Cleaned:
    changes, cleaned = [], []
    for number, page in enumerate(pages):
        kept = []
        for i, line in enumerate(page.split("\n")):
            if i in lines.get(number, ()):
                changes.append(Change(step, number + 1, line.strip(), ""))
            else:
                kept.append(line)
        cleaned.append("\n".join(kept))
    return Cleaned(tuple(cleaned), tuple(changes))


def without_page_numbers(pages: Sequence[str]) -> Cleaned:
    """Drop lines at the edge of a page that hold a number only, if it grows with the pages.

    "7", "- 7 -", "Page 7 of 9": the number less the place of its page must be the same on at least two pages and on
    half of those that have one. A number that stays alone is a figure and stays.
    """
    found: dict[tuple[int, int], int] = {}  # (page, line) -> number less page
    for number, page in enumerate(pages):
        lines = page.split("\n")
        for i in _edges(page):
            if match := _PAGE_NUMBER.fullmatch(lines[i]):
                found[number, i] = int(match[1]) - number
    counts = Counter(found.values()).most_common(1)
    if not counts or counts[0][1] < max(2, len({number for number, _ in found}) / 2):
        return Cleaned(tuple(pages))
    drop: dict[int, set[int]] = {}
    for (number, i), shift in found.items():
        if shift == counts[0][0]:
            drop.setdefault(number, set()).add(i)
    return _without("page numbers", pages, drop)


def without_running_lines(pages: Sequence[str]) -> Cleaned:
    """Drop headers and footers: lines at the edge of a page that stand on at least three pages and on 40 % of them.

    Lines count as the same if they differ in digits only ("Issue 3, page 12"). A document of fewer than three pages
    keeps all its lines.
    """
    places: dict[str, dict[int, int]] = {}
    for number, page in enumerate(pages):
        lines = page.split("\n")
        for i in _edges(page):
            places.setdefault(re.sub(r"\d+", "#", lines[i].strip().lower()), {})[number] = i
    needed = max(3, 0.4 * len(pages))
    drop: dict[int, set[int]] = {}
    for on_pages in places.values():
        if len(on_pages) >= needed:
            for number, i in on_pages.items():
                drop.setdefault(number, set()).add(i)
    return _without("running lines", pages, drop)


def join_broken_words(pages: Sequence[str]) -> Cleaned:
    """Join words that a hyphen divides at the end of a line: "elec-" and "tricity" become "electricity".

    The hyphen stays where it belongs: if the rest begins with a capital or a digit, or if the document writes the
    word with a hyphen more often than without ("well-known"). A word divided by the end of a page stays divided.
    """
    known = Counter(re.findall(r"\w+(?:-\w+)*", "\n".join(pages).lower()))
    changes, cleaned = [], []
    for number, page in enumerate(pages, start=1):

        def joined(match: re.Match[str], page_number: int = number) -> str:
            left, right, mark = match.groups()
            hyphen, plain = f"{left}-{right}", left + right
            keep = not right[0].islower() or left[-1].isdigit() or known[hyphen.lower()] > known[plain.lower()]
            word = hyphen if keep else plain
            changes.append(Change("broken words", page_number, f"{left}-\n{right}", word))
            return f"{word}{mark}\n"

        cleaned.append(_BROKEN_WORD.sub(joined, page))
    return Cleaned(tuple(cleaned), tuple(changes))


def join_wrapped_lines(pages: Sequence[str]) -> Cleaned:
    """Put the lines of a paragraph together again: a line goes on if the next word would not have fitted into it.

    The width is that of the longest lines of the page (90th percentile); lines of over 120 characters or under 30 are
    not taken for wrapped. A heading, the last line of a paragraph and a list item begin a line of their own.
    """
    changes, cleaned = [], []
    for number, page in enumerate(pages, start=1):
        lines = page.split("\n")
        lengths = sorted(len(line.rstrip()) for line in lines if line.strip())
        width = lengths[(9 * len(lengths) - 1) // 10] if lengths else 0
        joined, n_joined, first = lines[:1], 0, ("", "")
        for line, following in pairwise(lines):
            next_word = following.split()[0] if following.strip() else ""
            full = len(line.rstrip()) + 1 + len(next_word) > 0.85 * width
            if 30 <= width <= 120 and line.strip() and next_word and full and not _LIST_ITEM.match(following.lstrip()):
                first = first if n_joined else (f"{line.split()[-1]}\n{next_word}", f"{line.split()[-1]} {next_word}")
                joined[-1] = f"{joined[-1].rstrip()} {following.lstrip()}"
                n_joined += 1
            else:
                joined.append(following)
        if n_joined:
            changes.append(Change("wrapped lines", number, *first, n_joined))
        cleaned.append("\n".join(joined))
    return Cleaned(tuple(cleaned), tuple(changes))


def _spaced(pages: Sequence[str], rules: Sequence[tuple[re.Pattern[str], str]]) -> Cleaned:
    changes, cleaned = [], []
    for number, page in enumerate(pages, start=1):
        for pattern, plain in rules:
            if first := pattern.search(page):
                page, times = pattern.subn(plain, page)
                changes.append(Change("white space", number, first[0], plain, times))
        cleaned.append(page)
    return Cleaned(tuple(cleaned), tuple(changes))


def trimmed_lines(pages: Sequence[str]) -> Cleaned:
    """Leave no space at the ends of lines and at most one empty line; the indent of code stays."""
    return _spaced(pages, _ENDS)


def single_spaces(pages: Sequence[str]) -> Cleaned:
    """Leave one space between words, none at the ends of lines, and at most one empty line."""
    return _spaced(pages, (*_RUNS, *_ENDS))


# In the order in which they can be done: a running line hides a broken word, a broken word a wrapped line.
STEPS: tuple[Step, ...] = (
    plain_characters,
    without_page_numbers,
    without_running_lines,
    join_broken_words,
    join_wrapped_lines,
    single_spaces,
)
GENTLE_STEPS: tuple[Step, ...] = (plain_characters, trimmed_lines)  # for formats that mark their paragraphs


def clean_pages(pages: Sequence[str], *, steps: Sequence[Step] = STEPS) -> Cleaned:
    """Return the pages cleaned by each step in turn, as many as before, with all changes.

    Raises TypeError for a bare str: its characters would be taken for pages.
    """
    if isinstance(pages, str):
        raise TypeError(f"pages must be a list of str, got one str; write [{pages!r:.40}]")
    cleaned = Cleaned(tuple(pages))
    for step in steps:
        result = step(cleaned.pages)
        cleaned = Cleaned(result.pages, cleaned.changes + result.changes)
    return cleaned
