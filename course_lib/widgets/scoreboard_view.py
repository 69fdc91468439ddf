"""The scoreboard as a picture: quality against seconds, a marker and a colour for each system."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from course_lib.evaluation.scoreboard import HEADLINE, LEARNER, Row
from course_lib.evaluation.scoreboard_tables import amount, figure, label
from course_lib.widgets.show import PALETTE, show_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
METRIC = "contained"


def drawn(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that have a place in the picture: no controls, and both quality and seconds are known."""
    return [row for row in rows if not row.control and row.seconds and row.get(METRIC, HEADLINE) is not None]


def alt_text(rows: Sequence[Row]) -> str:
    """Return in words what the picture shows: each system's share of right answers and its seconds."""
    shown = drawn(rows)
    if not shown:
        return "The scoreboard is empty."
    parts = [f"{label(row)} {figure(row.get(METRIC, HEADLINE))} in {amount(row.seconds)} s" for row in shown]
    return (
        f"Share of right answers, comparisons left out, against median seconds a question (logarithmic), with 95 % intervals, "
        f"for {len(shown)} systems: {'; '.join(parts)}."
    )


def scoreboard_figure(rows: Sequence[Row]) -> Figure:
    """Return the picture of the rows. The learner's own have hollow markers. Raises ValueError if none can be drawn."""
    import matplotlib.pyplot as plt

    shown = drawn(rows)
    if not shown:
        raise ValueError("rows must hold at least one with seconds and right answers, got none; measure one first")
    picture, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
    for i, row in enumerate(shown):
        interval, colour = row.get(METRIC, HEADLINE), PALETTE[i % len(PALETTE)]
        assert interval is not None and row.seconds is not None
        axes.errorbar(
            row.seconds,
            interval.mean,
            yerr=[[interval.mean - interval.low], [interval.high - interval.mean]],
            fmt=MARKERS[i % len(MARKERS)],
            color=colour,
            markerfacecolor="white" if row.whose == LEARNER else colour,
            markeredgecolor="black" if row.whose != LEARNER else colour,
            markersize=9,
            capsize=3,
            elinewidth=1.2,
            ecolor="0.4",
            label=label(row),
        )
    axes.set_xscale("log")
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(_some) if _narrow(shown) else NullFormatter())
    axes.set_ylim(-0.02, _top(shown))
    seconds = [row.seconds for row in shown if row.seconds]
    axes.set_xlim(min(seconds) / 1.4, max(seconds) * 1.4)
    axes.set_xlabel("median seconds a question, asked one by one (logarithmic)")
    axes.set_ylabel("share of right answers (gold answer contained)")
    axes.grid(alpha=0.3)
    handles, names = axes.get_legend_handles_labels()
    picture.legend(handles, names, loc="outside right center", frameon=False, fontsize=9)
    return picture


def _top(rows: Sequence[Row]) -> float:
    """Return where the upward axis ends: the next tenth above the highest interval, at most just above 1."""
    highest = max(interval.high for row in rows if (interval := row.get(METRIC, HEADLINE)))
    return min(math.ceil((highest + 0.05) * 10) / 10, 1.02)


def _narrow(rows: Sequence[Row]) -> bool:
    """Whether the seconds span less than a factor of 30: then powers of ten alone are too few ticks."""
    seconds = [row.seconds for row in rows if row.seconds]
    return max(seconds) < 30 * min(seconds)


def _some(value: float, _: object) -> str:
    """Label a minor tick if its first digit is 2, 3, 5 or 7."""
    return f"{value:g}" if f"{value:e}"[0] in "2357" else ""


def show_scoreboard(rows: Sequence[Row]) -> None:
    """Display the picture with its alt text in a notebook."""
    show_figure(scoreboard_figure(rows), alt_text(rows))
