"""A map of meaning: sentences as points in a plane, and where a sentence of yours falls."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.validate import FloatArray, require_k, require_matrix, require_text
from course_lib.widgets.show import PALETTE, show_widget

if TYPE_CHECKING:
    import ipywidgets

WIDTH, HEIGHT, MARGIN = 640, 420, 24
SHAPES = ("circle", "square", "triangle", "diamond")


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
        self.kept_variance_ = float((sizes[:2] ** 2).sum() / (sizes**2).sum())
        return self

    def place(self, text: str, vector: FloatArray, k: int) -> Placement:
        """Return where text with this vector (dim,) falls. Neighbours are found in all dimensions, not in the plane."""
        require_k(k, len(self.sentences_), of="sentences on the map")
        vector = require_matrix(np.asarray(vector)[None, :], name="vector", dim=self.embeddings_.shape[1])[0]
        x, y = (vector - self.mean_) @ self.axes_.T
        cosines = self.embeddings_ @ vector  # (n,)
        nearest = np.lexsort((np.arange(len(cosines)), -cosines))[:k]
        return Placement(text, (float(x), float(y)), tuple((int(i), float(cosines[i])) for i in nearest))

    def svg(self, placement: Placement | None = None) -> str:
        """Return the map as SVG with a text alternative; the placement's neighbours are joined to it by lines."""
        points = self.points_ if placement is None else np.vstack([self.points_, placement.point])
        low, high = points.min(axis=0), points.max(axis=0)
        scale = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN - 30]) / np.maximum(high - low, 1e-9)
        screen = MARGIN + (points - low) * scale
        screen[:, 1] = HEIGHT - 30 - screen[:, 1]
        kinds = sorted(set(self.groups_))
        parts = []
        if placement:
            x, y = screen[-1]
            for i, _ in placement.neighbours:
                parts.append(f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{screen[i][0]:.0f}" y2="{screen[i][1]:.0f}" stroke="#888"/>')
        for (x, y), sentence, group in zip(screen, self.sentences_, self.groups_, strict=False):
            parts.append(_mark(x, y, kinds.index(group), html.escape(sentence)))
        if placement:
            x, y = screen[-1]
            label = html.escape(placement.text if len(placement.text) < 50 else placement.text[:47] + "...")
            anchor = "start" if x < WIDTH / 2 else "end"
            parts.append(f'<path d="M{x - 8:.0f} {y:.0f}h16M{x:.0f} {y - 8:.0f}v16" stroke="#000" stroke-width="3"/>')
            parts.append(f'<text x="{x + (12 if anchor == "start" else -12):.0f}" y="{y - 8:.0f}" text-anchor="{anchor}" font-weight="bold">{label}</text>')
        for number, kind in enumerate(kinds):
            x = MARGIN + number * (WIDTH - 2 * MARGIN) / len(kinds)
            parts.append(_mark(x, HEIGHT - 12, number, ""))
            parts.append(f'<text x="{x + 12:.0f}" y="{HEIGHT - 8}">{html.escape(kind)}</text>')
        return (
            f'<svg role="img" aria-label="{html.escape(self.alt(placement), quote=True)}" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'style="max-width:{WIDTH}px;width:100%;background:#fff;font:13px sans-serif" xmlns="http://www.w3.org/2000/svg">'
            + "".join(parts)
            + "</svg>"
        )

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
    rows = "".join(
        f"<tr><td>{cosine:.2f}</td><td>{html.escape(map_.groups_[i])}</td>"
        f'<td style="text-align:left">{html.escape(map_.sentences_[i])}</td></tr>'
        for i, cosine in placement.neighbours
    )
    return f"<table><tr><th>cosine</th><th>group</th><th>neighbour</th></tr>{rows}</table>"


def meaning_map_widget(map_: MeaningMap, embedder: Embedder, *, text: str, k: int = 3) -> ipywidgets.VBox:
    """Return the demo: a text field, the number of neighbours, the map and the table. Usable by keyboard alone."""
    import ipywidgets

    field = ipywidgets.Text(value=text, description="Sentence", continuous_update=False, layout={"width": "95%"})
    slider = ipywidgets.IntSlider(value=k, min=1, max=min(8, len(map_.sentences_)), description="Neighbours")
    picture, table = ipywidgets.HTML(), ipywidgets.HTML()

    def draw(_: object = None) -> None:
        try:
            typed = require_text(field.value, name="sentence")
        except ValueError as error:
            table.value = f'<p role="alert">{html.escape(str(error))}</p>'
            return
        placement = map_.place(typed, embedder([typed])[0], slider.value)
        picture.value, table.value = map_.svg(placement), neighbour_table(map_, placement)

    field.observe(draw, names="value")
    slider.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([field, slider, picture, table])


def meaning_map_demo(map_: MeaningMap, embedder: Embedder, *, text: str, k: int = 3) -> None:
    """Display the demo; readers without a kernel see the map of the first sentence."""
    placement = map_.place(text, embedder([text])[0], k)
    static = map_.svg(placement) + neighbour_table(map_, placement)
    show_widget(meaning_map_widget(map_, embedder, text=text, k=k), static, map_.alt(placement))
