"""The LoRA explorer: what a rank, a placement and alpha mean in numbers that learn, and what was measured of them."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from course_lib.widgets.lora_budget import BARS, Budget, Measured, Shapes, explore
from course_lib.widgets.show import PALETTE, show_widget

if TYPE_CHECKING:
    import ipywidgets

WIDTH, HEIGHT, SIDE, BASE = 480, 380, 120, 366
_FRAME = "display:block;width:100%;max-width:560px;background:#fff;border:1px solid #bbb"
_FONT = 'font-family="sans-serif" font-size="15"'


def svg(budget: Budget) -> str:
    """Return the matrices to scale, the share that learns, and the singular values, as SVG."""
    d_out, d_in = budget.largest
    unit = SIDE / max(d_out, d_in)
    high, wide, thin = d_out * unit, d_in * unit, max(budget.rank * unit, 1.5)
    left, top = 16.0, 34.0
    b_left = left + wide + 42
    a_left = b_left + thin + 26
    share = budget.n_learning / budget.n_wrapped
    shown = budget.values[:BARS]
    step = (WIDTH - 32) / len(shown)
    tallest = 96 / budget.values[0]
    parts = [
        _text(left, 22, f"W {d_out} x {d_in}, frozen"),
        _box(left, top, wide, high, "#ddd", "W"),
        _text(left + wide + 14, top + high / 2, "+"),
        _box(b_left, top, thin, high, PALETTE[0], "B"),
        _box(a_left, top, wide, thin, PALETTE[5], "A"),
        _text(b_left, top + high + 18, "B"),
        _text(a_left, top + thin + 18, "A"),
        _text(left, 222, f"of the changed matrices, {share:.1%} learns"),
        _box(left, 230, WIDTH - 32, 14, "#ddd", "all"),
        _box(left, 230, max((WIDTH - 32) * min(share, 1.0), 1.5), 14, PALETTE[0], "learning"),
        _text(left, 264, f"singular values; rank {budget.rank} keeps {budget.kept:.0%} of their squares"),
    ]
    for number, value in enumerate(shown):
        tall = max(value * tallest, 0.5)
        name = "kept" if number < budget.rank else "lost"
        colour = PALETTE[0] if name == "kept" else "#fff"
        parts.append(_box(left + number * step, BASE - tall, step * 0.8, tall, colour, name))
    alt = html.escape(budget.alt(), quote=True)
    return (
        f'<svg role="img" aria-label="{alt}" viewBox="0 0 {WIDTH} {HEIGHT}" style="{_FRAME}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _box(x: float, y: float, wide: float, high: float, colour: str, name: str) -> str:
    place = f'x="{x:.2f}" y="{y:.2f}" width="{wide:.2f}" height="{high:.2f}"'
    return f'<rect {place} fill="{colour}" stroke="#555" stroke-width="0.8"><title>{name}</title></rect>'


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {_FONT}>{html.escape(words)}</text>'


def picture(budget: Budget) -> str:
    """Return the same as an img element: front ends remove SVG from notebooks that they do not trust yet."""
    data = base64.b64encode(svg(budget).encode()).decode("ascii")
    return (
        f'<img alt="{html.escape(budget.alt(), quote=True)}" src="data:image/svg+xml;base64,{data}" style="{_FRAME}">'
    )


def table(budget: Budget, measured: Sequence[Measured] = ()) -> str:
    """Return the facts, and below them all that was measured, as HTML tables that fit a phone."""
    cell = "text-align:left;vertical-align:top;padding:.2em .9em .2em 0;white-space:normal"
    facts = "".join(
        f'<tr><th scope="row" style="{cell}">{html.escape(name)}</th><td style="{cell}">{html.escape(value)}</td></tr>'
        for name, value in budget.facts()
    )
    rows = "".join(
        f'<tr><td style="{cell}">{mark} {html.escape(where)}</td><td style="{cell}">{rank}</td>'
        f'<td style="{cell}">{row["mean"]:.3f} [{row["low"]:.3f}, {row["high"]:.3f}]</td></tr>'
        for where, rank, row in measured
        for mark in ["▶" if (where, rank) == (budget.placement, budget.rank) else ""]
    )
    names = "".join(f'<th scope="col" style="{cell}">{name}</th>' for name in ("measured", "rank", "accuracy"))
    below = f'<table style="margin:.6em 0;line-height:1.4"><tr>{names}</tr>{rows}</table>' if rows else ""
    return f'<table style="margin:0;line-height:1.4">{facts}</table>{below}'


def lora_explorer_widget(
    shapes: Shapes,
    placements: Mapping[str, Sequence[str]],
    *,
    n_base: int,
    singular_values: npt.ArrayLike,
    measured: Sequence[Measured] = (),
    rank: int = 8,
    placement: str | None = None,
) -> ipywidgets.VBox:
    """Return the demo: placement, rank and alpha. Usable by keyboard alone. Raises ValueError as `explore` does."""
    import ipywidgets

    first = placement or next(iter(placements))
    most = min(min(shape) for shape in shapes.values())
    layout, style = {"width": "95%", "max_width": "640px"}, {"description_width": "6em"}
    common: dict[str, Any] = {"layout": layout, "style": style}
    chooser = ipywidgets.Dropdown(options=list(placements), value=first, description="Placement", **common)
    ranks = ipywidgets.SelectionSlider(options=_steps(most, rank), value=rank, description="Rank", **common)
    alpha = ipywidgets.IntSlider(value=2 * rank, min=1, max=max(128, 2 * rank), description="alpha", **common)
    drawing, below = ipywidgets.HTML(layout={"width": "95%"}), ipywidgets.HTML(layout={"width": "95%"})

    def draw(_: object = None) -> None:
        budget = explore(
            shapes,
            placements,
            placement=chooser.value,
            rank=ranks.value,
            alpha=alpha.value,
            n_base=n_base,
            singular_values=singular_values,
            measured=measured,
        )
        drawing.value, below.value = svg(budget), table(budget, measured)

    for control in (chooser, ranks, alpha):
        control.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([chooser, ranks, alpha, drawing, below])


def _steps(most: int, rank: int) -> list[int]:
    """Return the powers of two up to most, most itself, and rank."""
    if not 1 <= rank <= most:
        raise ValueError(f"rank must be between 1 and {most}, the shorter side of a matrix, got {rank}")
    return sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most, rank})


def lora_explorer_demo(
    shapes: Shapes,
    placements: Mapping[str, Sequence[str]],
    *,
    n_base: int,
    singular_values: npt.ArrayLike,
    measured: Sequence[Measured] = (),
    rank: int = 8,
    placement: str | None = None,
) -> None:
    """Display the demo; readers without a kernel see the first setting."""
    first = placement or next(iter(placements))
    options: dict[str, Any] = {"n_base": n_base, "singular_values": singular_values, "measured": measured}
    widget = lora_explorer_widget(shapes, placements, rank=rank, placement=first, **options)
    budget = explore(shapes, placements, placement=first, rank=rank, alpha=2 * rank, **options)
    show_widget(widget, picture(budget) + table(budget, measured), budget.alt())
