"""A map of meaning: sentences as points in a plane, and where a sentence of yours falls."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.validate import FloatArray, require_k, require_matrix, require_text
from course_lib.widgets.show import PALETTE, show_widget

if TYPE_CHECKING:
    import ipywidgets

WIDTH, HEIGHT, MARGIN = 480, 320, 16
SHAPES = ("circle", "square", "triangle", "diamond")
SYMBOLS = ("●", "■", "▲", "◆")
_FRAME = "display:block;width:100%;max-width:640px;background:#fff;border:1px solid #bbb"


@dataclass(frozen=True)
class Placement:
    """Where a text falls: its point in the plane, and its neighbours (position, cosine), nearest first."""

    text: str
    point: tuple[float, float]
    neighbours: tuple[tuple[int, float], ...]


class MeaningMap:
    """Sentences projected onto the two directions in which their vectors differ most (principal components)."""

    def fit(self, sentences: Sequence[str], groups: Sequence[str], embeddings: FloatArray) -> Self:
        """Keep sentences with a group each, and project embeddings (n, dim) to the plane.

        Raises ValueError for fewer than three sentences or numbers that disagree.
        """
        self.embeddings_ = require_matrix(embeddings, name="embeddings")  # (n, dim)
        if not len(sentences) == len(groups) == len(self.embeddings_) or len(sentences) < 3:
            raise ValueError(
                "sentences, groups and embeddings must be equally many and at least 3, got "
                f"{len(sentences)}, {len(groups)} and {len(self.embeddings_)}"
            )
        self.sentences_, self.groups_ = list(sentences), list(groups)
        self.mean_ = self.embeddings_.mean(axis=0)  # (dim,)
        _, sizes, directions = np.linalg.svd(self.embeddings_ - self.mean_, full_matrices=False)
        signs = np.sign(directions[np.arange(2), np.abs(directions[:2]).argmax(axis=1)])
        self.axes_ = directions[:2] * signs[:, None]  # (2, dim); the sign of a component is arbitrary, so fix it
        self.points_ = (self.embeddings_ - self.mean_) @ self.axes_.T  # (n, 2)
        variance = (sizes**2).sum()
        self.kept_variance_ = (
            float((sizes[:2] ** 2).sum() / variance) if variance > 0 else 1.0
        )  # all alike: nothing lost
        return self

    def place(self, text: str, vector: FloatArray, k: int) -> Placement:
        """Return where text with this vector (dim,) falls. Neighbours are found in all dimensions, not in the plane.

        Raises ValueError for a vector of zeros, which is near nothing.
        """
        require_k(k, len(self.sentences_), of="sentences on the map")
        vector = require_matrix(np.asarray(vector)[None, :], name="vector", dim=self.embeddings_.shape[1])[0]
        if not vector.any():
            raise ValueError(f"no word of {text!r:.60} stands in any sentence of the map, so counting cannot place it")
        x, y = (vector - self.mean_) @ self.axes_.T
        cosines = self.embeddings_ @ vector  # (n,)
        nearest = np.lexsort((np.arange(len(cosines)), -cosines))[:k]
        return Placement(text, (float(x), float(y)), tuple((int(i), float(cosines[i])) for i in nearest))

    def svg(self, placement: Placement | None = None) -> str:
        """Return the map as SVG with a text alternative; the placement's neighbours are joined to it by lines.

        It holds no words, so that it can be as small as a phone's screen: `legend` says what the marks mean.
        """
        points = self.points_ if placement is None else np.vstack([self.points_, placement.point])
        low, high = points.min(axis=0), points.max(axis=0)
        scale = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN]) / np.maximum(high - low, 1e-9)
        screen = MARGIN + (points - low) * scale
        screen[:, 1] = HEIGHT - screen[:, 1]
        kinds = sorted(set(self.groups_))
        parts = []
        if placement:
            x, y = screen[-1]
            for i, _ in placement.neighbours:
                to_x, to_y = screen[i]
                ends = f'x1="{x:.0f}" y1="{y:.0f}" x2="{to_x:.0f}" y2="{to_y:.0f}"'
                parts.append(f'<line {ends} stroke="#767676"/>')
        for (x, y), sentence, group in zip(screen, self.sentences_, self.groups_, strict=False):
            parts.append(_mark(x, y, kinds.index(group), html.escape(sentence)))
        if placement:
            x, y = screen[-1]
            cross = f"M{x - 8:.0f} {y:.0f}h16M{x:.0f} {y - 8:.0f}v16"
            title = f"<title>{html.escape(placement.text)}</title>"
            parts.append(f'<path d="{cross}" stroke="#000" stroke-width="3">{title}</path>')
        alt = html.escape(self.alt(placement), quote=True)
        return (
            f'<svg role="img" aria-label="{alt}" viewBox="0 0 {WIDTH} {HEIGHT}" style="{_FRAME}" '
            f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
        )

    def picture(self, placement: Placement | None = None) -> str:
        """Return the same map as an img element: front ends remove SVG from notebooks that they do not trust yet."""
        data = base64.b64encode(self.svg(placement).encode()).decode("ascii")
        alt = html.escape(self.alt(placement), quote=True)
        return f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}" style="{_FRAME}">'

    def legend(self, placement: Placement | None = None) -> str:
        """Return in HTML which mark is which group, and which is the placement."""
        marks = [("#000;background:#fff", "✚", f"<strong>{html.escape(placement.text)}</strong>")] if placement else []
        for number, kind in enumerate(sorted(set(self.groups_))):
            marks.append((PALETTE[number % len(PALETTE)], SYMBOLS[number % len(SYMBOLS)], html.escape(kind)))
        items = "".join(
            f'<span style="display:inline-block;margin-right:1.5em">'
            f'<span aria-hidden="true" style="color:{colour}">{symbol}</span> {words}</span>'
            for colour, symbol, words in marks
        )
        return f'<p style="margin:.4em 0;line-height:1.5">{items}</p>'

    def alt(self, placement: Placement | None = None) -> str:
        """Return in words what the map shows."""
        words = f"Map of {len(self.sentences_)} sentences in {len(set(self.groups_))} groups."
        if placement:
            near = "; ".join(f"{self.sentences_[i]} ({cosine:.2f})" for i, cosine in placement.neighbours)
            words += f' Nearest to "{placement.text}": {near}'
        return words


def _mark(x: float, y: float, kind: int, title: str) -> str:
    colour, shape = PALETTE[kind % len(PALETTE)], SHAPES[kind % len(SHAPES)]
    tip = f"<title>{title}</title>" if title else ""
    if shape == "circle":
        return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="6" fill="{colour}">{tip}</circle>'
    path = {"square": "m-5 -5h10v10h-10z", "triangle": "m0 -7l7 12h-14z", "diamond": "m0 -7l7 7l-7 7l-7 -7z"}[shape]
    return f'<path d="M{x:.0f} {y:.0f}{path}" fill="{colour}">{tip}</path>'


def neighbour_table(map_: MeaningMap, placement: Placement) -> str:
    """Return the neighbours as an HTML table with their cosines."""
    cell = 'style="text-align:left;vertical-align:top;padding:.2em 1.2em .2em 0"'
    rows = "".join(
        f"<tr><td {cell}>{cosine:.2f}</td><td {cell}>{html.escape(map_.groups_[i])}</td>"
        f"<td {cell}>{html.escape(map_.sentences_[i])}</td></tr>"
        for i, cosine in placement.neighbours
    )
    head = "".join(f'<th scope="col" {cell}>{name}</th>' for name in ("cosine", "group", "neighbour"))
    return f'<table style="margin:0;line-height:1.4"><tr>{head}</tr>{rows}</table>'


def meaning_map_widget(
    map_: MeaningMap,
    embedder: Embedder,
    *,
    text: str,
    k: int = 3,
    others: Mapping[str, tuple[MeaningMap, Embedder]] | None = None,
) -> ipywidgets.VBox:
    """Return the demo: a text field, the number of neighbours, the map and the table. Usable by keyboard alone.

    others: further maps of the same sentences by name, with the embedder of each, to switch to.
    """
    import ipywidgets

    maps = {"contextual": (map_, embedder), **(others or {})}
    field = ipywidgets.Text(value=text, description="Sentence", continuous_update=False, layout={"width": "95%"})
    slider = ipywidgets.IntSlider(
        value=k, min=1, max=min(8, len(map_.sentences_)), description="Neighbours", layout={"max_width": "95%"}
    )
    kind = ipywidgets.RadioButtons(options=list(maps), value="contextual", description="Vectors")
    picture, table = ipywidgets.HTML(layout={"width": "95%"}), ipywidgets.HTML(layout={"width": "95%"})

    def draw(_: object = None) -> None:
        shown, embed = maps[kind.value]
        try:
            typed = require_text(field.value, name="sentence")
            placement = shown.place(typed, embed([typed])[0], slider.value)
        except ValueError as error:
            table.value = f'<p role="alert">{html.escape(str(error))}</p>'
            return
        picture.value = shown.svg(placement) + shown.legend(placement)
        table.value = neighbour_table(shown, placement)

    for knob in (field, slider, kind):
        knob.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([field, slider, *([kind] if others else []), picture, table])


def meaning_map_demo(
    map_: MeaningMap,
    embedder: Embedder,
    *,
    text: str,
    k: int = 3,
    others: Mapping[str, tuple[MeaningMap, Embedder]] | None = None,
) -> None:
    """Display the demo; readers without a kernel see the map of the first sentence."""
    placement = map_.place(text, embedder([text])[0], k)
    static = map_.picture(placement) + map_.legend(placement) + neighbour_table(map_, placement)
    show_widget(meaning_map_widget(map_, embedder, text=text, k=k, others=others), static, map_.alt(placement))
