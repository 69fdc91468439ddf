"""The fusion explorer: one question, the list of BM25, the fused list and the dense list side by side."""

from __future__ import annotations

import base64
import html
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_lib.core.protocols import Retriever
from course_lib.core.types import Question, Ranking
from course_lib.core.validate import require_text
from course_lib.retrieval.fusion import METHODS, fuse, says_nothing
from course_lib.widgets.show import PALETTE, show_widget

if TYPE_CHECKING:
    import ipywidgets

WIDTH, ROW, TOP = 480, 34, 40
COLUMNS = {"BM25": 90, "fused": 240, "dense": 390}
COLOURS = {"BM25": PALETTE[0], "fused": PALETTE[7], "dense": PALETTE[5]}
_FRAME = "display:block;width:100%;max-width:560px;background:#fff;border:1px solid #bbb"
_LABELS = {"rrf": "RRF", "min_max": "min-max", "z_score": "z-score"}
OWN = "(your own question, typed below)"


@dataclass(frozen=True)
class Place:
    """One chunk in the three lists: its letter, and its rank in each (None where it is not among the hits)."""

    letter: str
    chunk_id: str
    title: str
    text: str
    gold: bool
    ranks: Mapping[str, int | None]


@dataclass(frozen=True)
class Lists:
    """The first k of each list for one question, and what was done to fuse them."""

    query: str
    k: int
    setting: str
    places: tuple[Place, ...]

    def alt(self) -> str:
        """Return in words what the picture shows."""
        parts = []
        for name in COLUMNS:
            titles = [place.title + (" (answers)" if place.gold else "") for place in self.shown(name)]
            words = "; ".join(f"{rank}. {title}" for rank, title in enumerate(titles, 1))
            parts.append(f"{name}: {words}.")
        return f'"{self.query}", {self.setting}. ' + " ".join(parts)

    def shown(self, name: str) -> list[Place]:
        """Return the places among the first k of a list, in its order."""
        within = [place for place in self.places if (place.ranks[name] or self.k + 1) <= self.k]
        return sorted(within, key=lambda place: place.ranks[name] or 0)


def compare_lists(
    query: str,
    rankings: Mapping[str, Ranking],
    retriever: Retriever,
    *,
    method: str = "rrf",
    alpha: float = 0.5,
    rank_constant: int = 60,
    k: int = 5,
    gold: Collection[str] = (),
) -> Lists:
    """Fuse two rankings and set them beside the result.

    rankings: "dense" and "BM25". alpha: the weight of dense, 0 to 1; BM25 has 1 - alpha. gold: chunk_ids that answer.
    Letters follow the fused list, then BM25, then dense. Raises ValueError for alpha or a method out of range.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie between 0 (BM25 alone) and 1 (dense alone), got {alpha}")
    weights = {"dense": alpha, "BM25": 1 - alpha}
    kept = [name for name in ("dense", "BM25") if weights[name] > 0 and not says_nothing(rankings[name])] or ["dense"]
    shares = [weights[name] or 1.0 for name in kept]
    fused = fuse([rankings[name] for name in kept], method=method, weights=shares, rank_constant=rank_constant)
    lists = {"fused": fused, "BM25": rankings["BM25"], "dense": rankings["dense"]}
    found = {name: {hit.chunk_id: rank for rank, hit in enumerate(hits, 1)} for name, hits in lists.items()}
    names = list(dict.fromkeys(hit.chunk_id for hits in lists.values() for hit in hits[:k]))
    places = []
    for number, chunk_id in enumerate(names):
        chunk = retriever.chunk(chunk_id)
        letter = chr(ord("A") + number) if number < 26 else str(number + 1)
        ranks = {name: found[name].get(chunk_id) for name in COLUMNS}
        places.append(Place(letter, chunk_id, chunk.title, chunk.text, chunk_id in gold, ranks))
    how = f"{_LABELS[method]}, alpha {alpha:.2f}" + (f", rank constant {rank_constant}" if method == "rrf" else "")
    return Lists(query, k, how, tuple(places))


def svg(lists: Lists) -> str:
    """Return the three lists as SVG: a letter for each chunk, lines between the places of one chunk."""
    height = TOP + lists.k * ROW + 6
    parts = []
    for name, x in COLUMNS.items():
        style = f'text-anchor="middle" font-family="sans-serif" font-size="17" fill="{COLOURS[name]}"'
        parts.append(f'<text x="{x}" y="24" {style} font-weight="bold">{name}</text>')
    for place in lists.places:
        for name in ("BM25", "dense"):
            here, there = place.ranks[name], place.ranks["fused"]
            if here and there and max(here, there) <= lists.k:
                ends = f'x1="{COLUMNS[name]}" y1="{_y(here)}" x2="{COLUMNS["fused"]}" y2="{_y(there)}"'
                dash = "" if name == "BM25" else ' stroke-dasharray="7 4"'
                parts.append(f'<line {ends} stroke="{COLOURS[name]}" stroke-width="2.5"{dash}/>')
    for name, x in COLUMNS.items():
        for place in lists.shown(name):
            parts.append(_mark(x, _y(place.ranks[name] or 0), place, COLOURS[name]))
    alt = html.escape(lists.alt(), quote=True)
    return (
        f'<svg role="img" aria-label="{alt}" viewBox="0 0 {WIDTH} {height}" style="{_FRAME}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _y(rank: int) -> int:
    return TOP + (rank - 1) * ROW + ROW // 2


def _mark(x: int, y: int, place: Place, colour: str) -> str:
    """A circle with the letter; a square on a dark ground for a chunk that answers."""
    style = 'text-anchor="middle" font-family="sans-serif" font-size="17"'
    shape, ink = f'<circle cx="{x}" cy="{y}" r="14" fill="#fff" stroke="{colour}" stroke-width="2"/>', "#000"
    if place.gold:
        shape, ink = f'<rect x="{x - 14}" y="{y - 14}" width="28" height="28" fill="{colour}"/>', "#fff"
    title = f"<title>{html.escape(place.title)}</title>"
    return f'<g>{title}{shape}<text x="{x}" y="{y + 6}" {style} fill="{ink}">{place.letter}</text></g>'


def picture(lists: Lists) -> str:
    """Return the same as an img element: front ends remove SVG from notebooks that they do not trust yet."""
    data = base64.b64encode(svg(lists).encode()).decode("ascii")
    return f'<img alt="{html.escape(lists.alt(), quote=True)}" src="data:image/svg+xml;base64,{data}" style="{_FRAME}">'


def table(lists: Lists) -> str:
    """Return the chunks as an HTML table: letter; ranks, title and the beginning of the text, to fit a phone."""
    base = "text-align:left;vertical-align:top;padding:.2em .9em .2em 0;white-space:"
    rows = ""
    for place in lists.places:
        ranks = ", ".join(f"{name} {place.ranks[name] or '–'}" for name in ("fused", "BM25", "dense"))
        letter = f"<strong>{place.letter}</strong>" + (" ■" if place.gold else "")
        passage = (
            f"<em>{html.escape(place.title)}</em>. {html.escape(textwrap.shorten(place.text, 90, placeholder=' …'))}"
        )
        words = f'<td style="{base}normal;overflow-wrap:anywhere">{passage}<br/>{ranks}</td>'
        rows += f'<tr><td style="{base}nowrap">{letter}</td>{words}</tr>'
    note = "■ answers the question. " if any(place.gold for place in lists.places) else ""
    note += "Numbers are ranks; – stands for none among the hits that were fused."
    return f'<table style="margin:0;line-height:1.4">{rows}</table><p style="margin:.3em 0">{note}</p>'


def fusion_explorer_widget(
    dense: Retriever,
    bm25: Retriever,
    questions: Sequence[Question],
    gold: Mapping[str, Collection[str]],
    *,
    method: str = "rrf",
    k: int = 5,
    depth: int = 100,
) -> ipywidgets.VBox:
    """Return the demo: a question, the method, alpha and the rank constant. Usable by keyboard alone.

    gold: question_id -> chunk_ids that answer it. Raises ValueError if there is no question.
    """
    import ipywidgets

    if not questions:
        raise ValueError("questions must hold at least one question, got none")
    wide = {"width": "95%", "max_width": "640px"}
    style = {"description_width": "7.5em"}
    options = {f"{question.kind.replace('_', ' ')}: {question.text}": question for question in questions}
    chooser = ipywidgets.Dropdown(options=[*options, OWN], description="Question", layout=wide, style=style)
    field = ipywidgets.Text(
        value=questions[0].text, description="or type", continuous_update=False, layout=wide, style=style
    )
    methods = [(_LABELS[name], name) for name in METHODS]
    chosen = ipywidgets.Dropdown(options=methods, value=method, description="Method", layout=wide, style=style)
    alpha = ipywidgets.FloatSlider(
        value=0.5, min=0, max=1, step=0.05, description="alpha (dense)", layout=wide, style=style
    )
    constant = ipywidgets.IntSlider(value=60, min=0, max=100, description="rank constant", layout=wide, style=style)
    drawing, below = ipywidgets.HTML(layout={"width": "95%"}), ipywidgets.HTML(layout={"width": "95%"})
    cache: dict[str, dict[str, Ranking]] = {}
    by_text = {question.text: question for question in questions}

    def draw(_: object = None) -> None:
        try:
            query = require_text(field.value, name="question")
        except ValueError as error:
            below.value = f'<p role="alert">{html.escape(str(error))}</p>'
            return
        if query not in cache:
            cache[query] = {"dense": dense.search(query, depth), "BM25": bm25.search(query, depth)}
        known = by_text.get(query)
        lists = compare_lists(
            query,
            cache[query],
            dense,
            method=chosen.value,
            alpha=alpha.value,
            rank_constant=constant.value,
            k=k,
            gold=gold.get(known.question_id, ()) if known else (),
        )
        constant.disabled = chosen.value != "rrf"
        drawing.value, below.value = svg(lists), table(lists)

    def pick(change: Mapping[str, str]) -> None:
        if change["new"] in options:
            field.value = options[change["new"]].text

    def typed(change: Mapping[str, str]) -> None:
        known = by_text.get(change["new"])
        chooser.value = next((label for label, question in options.items() if question is known), OWN)
        draw()

    chooser.observe(pick, names="value")
    field.observe(typed, names="value")
    for control in (chosen, alpha, constant):
        control.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([chooser, field, chosen, alpha, constant, drawing, below])


def fusion_explorer_demo(
    dense: Retriever,
    bm25: Retriever,
    questions: Sequence[Question],
    gold: Mapping[str, Collection[str]],
    *,
    method: str = "rrf",
    k: int = 5,
    depth: int = 100,
) -> None:
    """Display the demo; readers without a kernel see the three lists of the first question."""
    widget = fusion_explorer_widget(dense, bm25, questions, gold, method=method, k=k, depth=depth)
    first = questions[0]
    rankings = {"dense": dense.search(first.text, depth), "BM25": bm25.search(first.text, depth)}
    lists = compare_lists(first.text, rankings, dense, method=method, k=k, gold=gold.get(first.question_id, ()))
    show_widget(widget, picture(lists) + table(lists), lists.alt())
