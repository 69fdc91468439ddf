"""The scoreboard as a table: text for a terminal, Markdown for a page, HTML for a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.evaluation.scoreboard import (
    ANSWERABLE,
    COMPARISON,
    EVERY,
    GROUNDED,
    HEADLINE,
    LEARNER,
    PRECISION,
    RECALL,
    UNANSWERABLE,
    Row,
    difference,
)
from course_lib.evaluation.significance import Interval

KINDS = ("exact_term", "paraphrase", "number_or_date", "latest", COMPARISON)
NOTHING = "-"
Cells = list[str]


def figure(interval: Interval | None, *, n: bool = False) -> str:
    """Return "0.31 [0.26, 0.37]", with n on demand; a dash where there is no figure."""
    if interval is None:
        return NOTHING
    words = f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{words} n={interval.n}" if n else words


def amount(value: float | None, *, digits: int = 2) -> str:
    """Return a number with so many significant digits and no exponent; "unknown" for None."""
    if value is None:
        return "unknown"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(decimals, 0)}f}"


def shared_n(rows: Sequence[Row], metric: str, group: str) -> int | None:
    """Return the n of a metric and group if all rows that have a figure agree on it, else None."""
    found = {interval.n for row in rows if (interval := row.get(metric, group)) is not None}
    return found.pop() if len(found) == 1 else None


def column(rows: Sequence[Row], metric: str, group: str, title: str) -> tuple[str, Cells]:
    """Return a column of figures; n stands in the head where it is one for all, else in each cell."""
    n = shared_n(rows, metric, group)
    head = f"{title} (n={n})" if n is not None else title
    return head, [figure(row.get(metric, group), n=n is None) for row in rows]


def label(row: Row) -> str:
    """Return a row's name, marked where it is the learner's or was measured on few questions."""
    marks = [words for words, holds in (("yours", row.whose == LEARNER), ("quick", row.quick)) if holds]
    return f"{row.name} ({', '.join(marks)})" if marks else row.name


def summary(rows: Sequence[Row]) -> list[tuple[str, Cells]]:
    """Return the columns that everybody sees first: quality beside its price."""
    return [
        ("system", [label(row) for row in rows]),
        ("lesson", [row.lesson or NOTHING for row in rows]),
        column(rows, "contained", HEADLINE, "right answers"),
        column(rows, "recall@5", ANSWERABLE, "recall@5"),
        column(rows, RECALL, UNANSWERABLE, "abstains when it should"),
        ("seconds a question", [amount(row.seconds) for row in rows]),
        ("peak memory, GB", [amount(row.peak_gb) for row in rows]),
        ("trained parameters", [f"{row.trained_parameters:,}" for row in rows]),
    ]


def by_kind(rows: Sequence[Row], metric: str, *, totals: Sequence[tuple[str, str]]) -> list[tuple[str, Cells]]:
    """Return a metric by kind of question; totals: (group, title) of further columns."""
    columns = [("system", [label(row) for row in rows])]
    columns += [column(rows, metric, kind, kind.replace("_", " ")) for kind in KINDS]
    return columns + [column(rows, metric, group, title) for group, title in totals]


def against(rows: Sequence[Row], base: Row) -> list[tuple[str, Cells]]:
    """Return how many more right answers each system gives than base, on the same questions."""
    found = [difference(row, base) for row in rows]
    words = [NOTHING if i is None else f"{i.mean:+.2f} [{i.low:+.2f}, {i.high:+.2f}]" for i in found]
    clear = [NOTHING if i is None else "yes" if i.clear_of_zero else "no" for i in found]
    return [("system", [label(row) for row in rows]), (f"minus {base.name}", words), ("interval clear of zero", clear)]


def abstention(rows: Sequence[Row]) -> list[tuple[str, Cells]]:
    """Return how rightly each system says that it does not know, and how often its claims rest on its passages."""
    return [
        ("system", [label(row) for row in rows]),
        column(rows, PRECISION, EVERY, "abstention precision"),
        column(rows, RECALL, UNANSWERABLE, "abstention recall"),
        column(rows, GROUNDED, EVERY, "grounded"),
    ]


def price(rows: Sequence[Row]) -> list[tuple[str, Cells]]:
    """Return what each system costs: time, memory, disk, training."""
    return [
        ("system", [label(row) for row in rows]),
        ("seconds a question", [amount(row.seconds) for row in rows]),
        ("peak memory, GB", [amount(row.peak_gb) for row in rows]),
        ("index, MB", ["unknown" if row.index_bytes is None else amount(row.index_bytes / 1e6) for row in rows]),
        ("training, minutes", [amount(row.training_minutes) for row in rows]),
        ("trained parameters", [f"{row.trained_parameters:,}" for row in rows]),
    ]


def markdown(columns: Sequence[tuple[str, Cells]]) -> str:
    """Return columns as a Markdown table; all but the first are set to the right."""
    head = [title for title, _ in columns]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *zip(*(cells for _, cells in columns), strict=True)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def text(columns: Sequence[tuple[str, Cells]]) -> str:
    """Return columns as lines of even width for a terminal or a screen reader."""
    padded: list[list[str]] = []
    for title, cells in columns:
        width = max(len(cell) for cell in (title, *cells))
        align = str.ljust if not padded else str.rjust
        padded.append([align(cell, width) for cell in (title, *cells)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*padded, strict=True))


def as_html(columns: Sequence[tuple[str, Cells]], caption: str) -> str:
    """Return columns as an HTML table with a caption and headers that a screen reader can follow."""
    heads = "".join(f'<th scope="col">{html.escape(title)}</th>' for title, _ in columns)
    lines = []
    for first, *cells in zip(*(cells for _, cells in columns), strict=True):
        rest = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row" style="text-align:left">{html.escape(first)}</th>{rest}</tr>')
    return (
        f'<div style="overflow-x:auto"><table><caption style="text-align:left">{html.escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


@dataclass(frozen=True)
class Board:
    """Rows as a value that a notebook shows as a table, and print as text; controls are kept and not shown."""

    rows: tuple[Row, ...]

    @property
    def shown(self) -> list[Row]:
        """The rows of systems, without controls."""
        return [row for row in self.rows if not row.control]

    @property
    def caption(self) -> str:
        """What the table shows, in a sentence."""
        return (
            f"{len(self.shown)} systems, test questions. Right answers: the reply contains the gold answer, comparisons left "
            "out. Brackets: 95 % bootstrap interval."
        )

    def __str__(self) -> str:
        return text(summary(self.shown)) if self.shown else "The scoreboard is empty."

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        table = as_html(summary(self.shown), self.caption) if self.shown else f"<p>{self}</p>"
        return {"text/html": table, "text/plain": f"{self.caption}\n{self}"}
