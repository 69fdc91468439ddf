"""The query workbench: what a transformation makes of a question, each text yours to edit, and who found which hit."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from course_lib.core.types import Chunk
from course_lib.core.validate import require_text
from course_lib.retrieval.query import (
    Fuse,
    Trace,
    Transformation,
    Transformed,
    TransformedRetriever,
    same_words,
    unchanged,
)
from course_lib.retrieval.routed import Route, route
from course_lib.retrieval.routing import Router
from course_lib.widgets.show import PALETTE, show_widget

if TYPE_CHECKING:
    import ipywidgets

_CELL = 'style="text-align:left;vertical-align:top;padding:.2em .9em .2em 0;white-space:normal;overflow-wrap:anywhere"'
_HEAD = _CELL.replace("anywhere", "normal")  # a heading breaks between words only, however narrow its column
_FUSE_WORDS = {"rank": "by rank (RRF)", "turns": "in turns", "mean": "mean of the vectors"}
_HOW_TO = "<em>One text a line. Change, add or delete lines, then leave the field with Tab: the search runs again.</em>"


@dataclass(frozen=True)
class Found:
    """One hit: its place, the chunk, (text, rank) for each text that found it, and its rank for the question alone."""

    place: int
    chunk: Chunk
    sources: tuple[tuple[int, int], ...]
    before: int | None
    answers: bool


@dataclass(frozen=True)
class Board:
    """What the workbench shows: the texts, the hits, and where the router would go."""

    transformed: Transformed
    hits: tuple[Found, ...]
    route: Route | None

    def alt(self) -> str:
        """Return in words what is shown."""
        texts = "; ".join(f"{letter(i)}: {text}" for i, text in enumerate(self.transformed.texts, start=1))
        hits = "; ".join(
            f"{hit.place}. {hit.chunk.title}{' (answers)' if hit.answers else ''}, found by {_found_by(hit)}"
            for hit in self.hits
        )
        where = f" Router: {verdict(self.route)}" if self.route else ""
        return f'"{self.transformed.query}" searched as {texts}. Hits: {hits}.{where}'


def letter(number: int) -> str:
    """Return the letter of a text, numbered from 1: A, B, ... Z, then its number."""
    return chr(ord("A") + number - 1) if number <= 26 else str(number)


def _found_by(hit: Found) -> str:
    return " ".join(f"{letter(number)}{rank}" for number, rank in hit.sources) or "none alone"


def verdict(where: Route) -> str:
    """Return in words where a query goes."""
    if where.shelf is None:
        return f"not sure (lead {where.lead:.2f}): all shelves."
    return f"{where.shelf.replace('_', ' ')} (lead {where.lead:.2f})."


@dataclass(frozen=True)
class Workbench:
    """Questions made into texts and searched step by step.

    transformations: name -> transformation; "unchanged" is always there. answers: question -> chunk_ids that answer it,
    marked among the hits. min_lead: how far the router's best shelf must be ahead of the second.
    """

    retriever: TransformedRetriever
    transformations: Mapping[str, Transformation]
    router: Router | None = None
    min_lead: float = 0.0
    answers: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The transformations to choose from."""
        return list({"unchanged": None} | dict.fromkeys(self.transformations))

    def transform(self, query: str, name: str) -> Transformed:
        """Return what a transformation makes of a query. Raises ValueError for another name or an empty query."""
        require_text(query, name="question")
        if name not in self.names:
            raise ValueError(f"name must be one of {', '.join(self.names)}, got {name!r}")
        return self.transformations.get(name, unchanged)(query)

    def search(self, made: Transformed, k: int = 5) -> Board:
        """Search the texts and say which of them found each hit among its first 50."""
        trace: Trace = self.retriever.search_texts(made, k)
        alone = self.retriever.search_texts(unchanged(made.query), k).rankings[0]
        before = {hit.chunk_id: rank for rank, hit in enumerate(alone, start=1)}
        gold = self.answers.get(made.query, ())
        hits = tuple(
            Found(
                place,
                self.retriever.chunk(hit.chunk_id),
                tuple(trace.sources(hit.chunk_id)),
                before.get(hit.chunk_id),
                hit.chunk_id in gold,
            )
            for place, hit in enumerate(trace.fused, start=1)
        )
        where = route(self.router, [made.query], min_lead=self.min_lead)[0] if self.router else None
        return Board(made, hits, where)


def edited(query: str, lines: str, fuse: Fuse) -> Transformed:
    """Return what a learner typed, one text a line, as a Transformed. Raises ValueError if no line holds a word."""
    texts: dict[str, str] = {}
    for line in lines.splitlines():
        if same_words(line):
            texts.setdefault(same_words(line), line.strip())
    if not texts:
        raise ValueError("texts must hold at least one line with a word: type one, or choose a transformation again")
    return Transformed(query, tuple(texts.values()), fuse)


def hit_table(board: Board) -> str:
    """Return the hits as an HTML table: place, which text found it at which rank, its rank before, title and words."""
    rows = ""
    for hit in board.hits:
        chips = " ".join(
            f'<span style="white-space:nowrap;border-bottom:3px solid {PALETTE[(number - 1) % len(PALETTE)]}">'
            f"{letter(number)}{rank}</span>"
            for number, rank in hit.sources
        )
        mark = " <strong>■ holds the answer</strong>" if hit.answers else ""
        words = html.escape(textwrap.shorten(hit.chunk.text, 90, placeholder=" …"))
        rows += (
            f"<tr><td {_CELL}>{hit.place}</td><td {_CELL}>{chips or 'none alone'}</td><td {_CELL}>{hit.before or '–'}</td>"
            f"<td {_CELL}><strong>{html.escape(hit.chunk.title)}</strong>{mark}<br/>{words}</td></tr>"
        )
    head = "".join(f'<th scope="col" {_HEAD}>{name}</th>' for name in ("place", "found by", "before", "passage"))
    return (
        '<p style="margin:.3em 0;line-height:1.4">A3: text A alone has it third. Before: its place for the question as '
        f'typed.</p><table style="margin:0;line-height:1.4"><tr>{head}</tr>{rows}</table>'
    )


def text_list(board: Board) -> str:
    """Return the texts as HTML, each with its letter, and the note if nothing was made of the question."""
    items = "".join(
        f'<li style="list-style:none;line-height:1.4"><span style="border-bottom:3px solid '
        f'{PALETTE[(number - 1) % len(PALETTE)]}"><strong>{letter(number)}</strong></span> {html.escape(text)}</li>'
        for number, text in enumerate(board.transformed.texts, start=1)
    )
    note = f'<p role="status"><em>{html.escape(board.transformed.note)}</em></p>' if board.transformed.note else ""
    how = _FUSE_WORDS[board.transformed.fuse]
    return (
        f'<p style="margin:.3em 0">Searched, put together {how}:</p><ul style="margin:0;padding:0">{items}</ul>{note}'
    )


def route_table(where: Route | None) -> str:
    """Return the router's verdict and its scores as bars, widest for the best; the empty string without a router."""
    if where is None:
        return ""
    top = max(max(where.scores.values()), 1e-9)
    rows = "".join(
        f"<tr><td {_CELL}>{html.escape(shelf.replace('_', ' '))}</td><td {_CELL}>{score:.2f}</td><td {_CELL}>"
        f'<div style="background:{PALETTE[0]};height:.8em;width:{max(0.0, score) / top * 7:.1f}em"></div></td></tr>'
        for shelf, score in sorted(where.scores.items(), key=lambda item: -item[1])
    )
    return (
        f'<p style="margin:.6em 0 .2em">Router: <strong>{html.escape(verdict(where))}</strong></p>'
        f'<table style="margin:0;line-height:1.2">{rows}</table>'
    )


def query_workbench_widget(bench: Workbench, *, question: str, name: str = "unchanged", k: int = 5) -> ipywidgets.VBox:
    """Return the demo: question, transformation, its texts to edit, how they are put together, hits, router."""
    import ipywidgets

    wide = {"width": "95%"}
    typed = ipywidgets.Text(value=question, description="Question", continuous_update=False, layout=wide)
    choice = ipywidgets.Dropdown(options=bench.names, value=name, description="Transform", layout={"max_width": "95%"})
    texts = ipywidgets.Textarea(description="Texts", continuous_update=False, rows=4, layout=wide)
    fuse = ipywidgets.Dropdown(
        options=[(words, kind) for kind, words in _FUSE_WORDS.items()], description="Fuse", layout={"max_width": "95%"}
    )
    notice, shown = ipywidgets.HTML(value=_HOW_TO, layout=wide), ipywidgets.HTML(layout=wide)
    filling = False

    def alert(error: Exception) -> None:
        notice.value = f'<p role="alert">{html.escape(str(error))}</p>'

    def search(made: Transformed) -> None:
        board = bench.search(made, k)
        notice.value = f"<em>{html.escape(made.note)}.</em>" if made.note else _HOW_TO
        shown.value = hit_table(board) + route_table(board.route)

    def make(_: object = None) -> None:
        nonlocal filling
        filling = True  # the fields below are filled by the program now, not by the learner
        notice.value = "<em>Working ...</em>"
        try:
            made = bench.transform(typed.value, choice.value)
            texts.value, fuse.value = "\n".join(" ".join(text.split()) for text in made.texts), made.fuse
            search(made)
        except (ValueError, TypeError) as error:
            alert(error)
        finally:
            filling = False

    def use(_: object = None) -> None:
        if filling:
            return
        try:
            search(edited(require_text(typed.value, name="question"), texts.value, fuse.value))
        except (ValueError, TypeError) as error:
            alert(error)

    for control in (typed, choice):
        control.observe(make, names="value")
    for control in (texts, fuse):
        control.observe(use, names="value")
    make()
    return ipywidgets.VBox([typed, choice, texts, fuse, notice, shown])


def query_workbench_demo(bench: Workbench, *, question: str, name: str = "unchanged", k: int = 5) -> None:
    """Display the demo; readers without a kernel see the first question, its texts, hits and route."""
    board = bench.search(bench.transform(question, name), k)
    heading = f"<p><strong>{html.escape(question)}</strong> ({html.escape(name)})</p>"
    static = heading + text_list(board) + hit_table(board) + route_table(board.route)
    show_widget(query_workbench_widget(bench, question=question, name=name, k=k), static, board.alt())
