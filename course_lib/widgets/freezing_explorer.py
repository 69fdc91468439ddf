"""The freezing explorer: choose what learns, and see the model's parts beside what that choice was measured to give."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from course_lib.evaluation.significance import Interval
from course_lib.tuning.freezing import HEAD_NAME, PartCount, height_of
from course_lib.widgets.show import PALETTE, show_widget

if TYPE_CHECKING:
    import ipywidgets

WIDTH, BAR, GAP, TOP = 480, 22, 8, 30
NAME, NUMBER = 92, 138  # room for names on the left and for words on the right
_FRAME = "display:block;width:100%;max-width:640px;background:#fff;border:1px solid #bbb"


@dataclass(frozen=True)
class Choice:
    """What learns. frozen: the lowest layers that do not; embeddings: whether they are frozen; decay: from one layer to
    the one below.
    """

    frozen: int
    embeddings: bool = True
    decay: float = 1.0

    def __str__(self) -> str:
        layers = f"{self.frozen} layer{'' if self.frozen == 1 else 's'} frozen"
        return f"{layers}, embeddings {'frozen' if self.embeddings else 'free'}, decay {self.decay:g}"


@dataclass(frozen=True)
class FreezingRow:
    """What a choice was measured to give. accuracy: on the test; forgetting: change on the held task, below 0 if worse;
    seconds of training; megabytes: for training, beside the weights.
    """

    choice: Choice
    accuracy: Interval
    macro_f1: float
    seconds: float
    megabytes: float
    forgetting: Interval


class FreezingExplorer:
    """The parts of a model, from the text upwards, and measured rows; every view of them answers at once."""

    def fit(self, parts: Sequence[PartCount], rows: Sequence[FreezingRow]) -> Self:
        """Keep parts (`trainable_table(model).rows`) and rows.

        Raises ValueError without numbered layers or rows, for a choice that comes twice, or one that the model cannot have.
        """
        self.parts_, self.rows_ = list(parts), list(rows)
        self.n_layers_ = sum(part.part.startswith("layer ") for part in parts)
        if not self.n_layers_:
            raise ValueError("parts must hold numbered layers: pass trainable_table(model).rows")
        if not rows:
            raise ValueError("rows must hold at least one measured choice, got none")
        if len({row.choice for row in rows}) != len(rows):
            raise ValueError("rows must be of different choices: one comes twice")
        for row in rows:
            self.require(row.choice)
        return self

    def require(self, choice: Choice) -> Choice:
        """Return choice. Raises ValueError for one that the model cannot have."""
        if not 0 <= choice.frozen <= self.n_layers_:
            raise ValueError(f"frozen must be between 0 and the model's {self.n_layers_} layers, got {choice.frozen}")
        if choice.frozen and not choice.embeddings:
            raise ValueError(
                f"embeddings must be frozen, too, below {choice.frozen} frozen layers; write embeddings=True"
            )
        if not 0 < choice.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, got {choice.decay}")
        return choice

    def shares(self, choice: Choice) -> list[tuple[PartCount, float]]:
        """Return each part with its share of the highest layer's learning rate, 0 if frozen; from the text upwards."""
        self.require(choice)
        floor = choice.frozen if choice.embeddings else -1
        result = []
        for part in self.parts_:
            height = height_of(part.part, self.n_layers_)
            share = choice.decay ** max(0, self.n_layers_ - height) if height > floor else 0.0
            result.append((part, share))
        return result

    def n_trainable(self, choice: Choice) -> int:
        """Return how many numbers learn."""
        return sum(part.n_parameters for part, share in self.shares(choice) if share)

    def measured(self, choice: Choice) -> FreezingRow | None:
        """Return the row of this choice, None if it was not measured."""
        return next((row for row in self.rows_ if row.choice == choice), None)

    def nearest(self, choice: Choice) -> FreezingRow:
        """Return the measured row whose frozen parts, then decay, differ least; of equally near ones the first."""

        def distance(row: FreezingRow) -> tuple[float, float]:
            other = row.choice
            return abs((other.frozen + other.embeddings) - (choice.frozen + choice.embeddings)), abs(
                other.decay - choice.decay
            )

        return min(self.rows_, key=distance)

    # ------------------------------------------------------------ views

    def headline(self, choice: Choice) -> str:
        """Return in words what learns, and what that was measured to give."""
        total = sum(part.n_parameters for part in self.parts_)
        learns = self.n_trainable(choice)
        words = f"{choice}: {learns:,} of {total:,} parameters learn ({learns / total:.1%})."
        row = self.measured(choice)
        if row is None:
            return f"{words} This was not measured. The nearest that was ({self.nearest(choice).choice}) is marked."
        return (
            f"{words} Accuracy {row.accuracy}, macro F1 {row.macro_f1:.2f}, {row.seconds:.0f} s, "
            f"{row.megabytes:,.0f} MB for training, held task {_signed(row.forgetting)}."
        )

    def alt(self, choice: Choice) -> str:
        """Return in words what the picture shows."""
        kept = [part.part for part, share in self.shares(choice) if not share]
        return f"{self.headline(choice)} Frozen: {', '.join(kept) or 'nothing'}."

    def svg(self, choice: Choice) -> str:
        """Return the parts as bars, the text below and the head above: length for parameters, hatched where frozen."""
        shares = self.shares(choice)[::-1]
        height = TOP + len(shares) * (BAR + GAP) + 6
        room = WIDTH - NAME - NUMBER
        largest = max(part.n_parameters for part, _ in shares)
        body = [
            '<defs><pattern id="ice" width="6" height="6" patternUnits="userSpaceOnUse">'
            '<rect width="6" height="6" fill="#eee"/><path d="M0 6L6 0" stroke="#888"/></pattern></defs>',
            f'<text x="{NAME}" y="16">numbers, and their rate</text>',
        ]
        for row, (part, share) in enumerate(shares):
            y = TOP + row * (BAR + GAP)
            length = max(2.0, room * part.n_parameters / largest)
            rate = "frozen" if not share else "own rate" if part.part == HEAD_NAME else f"rate x {share:.2g}"
            fill = f'fill="{PALETTE[0]}" fill-opacity="{0.35 + 0.65 * share:.2f}"' if share else 'fill="url(#ice)"'
            body.append(f'<text x="{NAME - 8}" y="{y + 16}" text-anchor="end">{html.escape(part.part)}</text>')
            body.append(
                f'<rect x="{NAME}" y="{y}" width="{length:.1f}" height="{BAR}" {fill} stroke="#000">'
                f"<title>{html.escape(part.part)}: {part.n_parameters:,}, {rate}</title></rect>"
            )
            x = NAME + room + 6
            body.append(f'<text x="{x}" y="{y + 16}">{_short(part.n_parameters)}, {rate}</text>')
        alt = html.escape(self.alt(choice), quote=True)
        return (
            f'<svg role="img" aria-label="{alt}" viewBox="0 0 {WIDTH} {height}" style="{_FRAME}" font-size="12" '
            f'font-family="sans-serif" xmlns="http://www.w3.org/2000/svg">{"".join(body)}</svg>'
        )

    def picture(self, choice: Choice) -> str:
        """Return the same picture as an img element: front ends remove SVG from notebooks that they do not trust yet."""
        data = base64.b64encode(self.svg(choice).encode()).decode("ascii")
        alt = html.escape(self.alt(choice), quote=True)
        return f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}" style="{_FRAME}">'

    def table(self, choice: Choice) -> str:
        """Return the headline and all measured rows as HTML; the chosen one, or the nearest, is marked."""
        marked = self.nearest(choice)
        cell = 'style="text-align:left;vertical-align:top;padding:.15em 1em .15em 0"'
        heads = ("", "choice", "accuracy", "macro F1", "seconds", "MB", "held task")
        lines = ["<tr>" + "".join(f'<th scope="col" {cell}>{name}</th>' for name in heads) + "</tr>"]
        for row in self.rows_:
            values = (
                "►" if row == marked else "",
                str(row.choice),
                str(row.accuracy),
                f"{row.macro_f1:.2f}",
                f"{row.seconds:.0f}",
                f"{row.megabytes:,.0f}",
                _signed(row.forgetting),
            )
            lines.append("<tr>" + "".join(f"<td {cell}>{html.escape(value)}</td>" for value in values) + "</tr>")
        words = html.escape(self.headline(choice))
        return (
            f'<p style="margin:.3em 0;line-height:1.4">{words}</p><div style="overflow-x:auto">'
            f'<table style="margin:0;line-height:1.3">{"".join(lines)}</table></div>'
        )


def _short(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 1e6 else f"{number / 1e3:.1f} k" if number >= 1e3 else str(number)


def _signed(interval: Interval) -> str:
    return f"{interval.mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def rows_from(figures: Mapping[str, Any]) -> list[FreezingRow]:
    """Return the rows that `course bench freezing` stored, in their order. figures: those of its result file."""

    def interval(value: Mapping[str, Any]) -> Interval:
        return Interval(value["mean"], value["low"], value["high"], value["n"])

    return [
        FreezingRow(
            Choice(row["frozen"], row["embeddings"], row["decay"]),
            interval(row["accuracy"]),
            row["macro_f1"]["mean"],
            row["seconds"],
            row["megabytes"],
            interval(row["forgetting"]),
        )
        for row in figures["rows"]
    ]


def freezing_explorer_widget(explorer: FreezingExplorer, *, choice: Choice | None = None) -> ipywidgets.VBox:
    """Return the demo: frozen layers, embeddings, decay, the picture and the table. Usable by keyboard alone."""
    import ipywidgets

    start = explorer.require(choice or explorer.rows_[0].choice)
    wide = {"width": "95%"}
    rates = sorted({1.0, 0.8, 0.5, start.decay, *(row.choice.decay for row in explorer.rows_)}, reverse=True)
    layers = ipywidgets.IntSlider(
        value=start.frozen, min=0, max=explorer.n_layers_, description="Frozen", layout={"max_width": "95%"}
    )
    embeddings = ipywidgets.Checkbox(value=start.embeddings, description="Embeddings frozen", layout=wide)
    decay = ipywidgets.SelectionSlider(options=rates, value=start.decay, description="Decay", layout=wide)
    picture, table = ipywidgets.HTML(layout=wide), ipywidgets.HTML(layout=wide)

    def draw(_: object = None) -> None:
        embeddings.disabled = layers.value > 0
        if layers.value and not embeddings.value:
            embeddings.value = True  # it is observed, too, and draws
            return
        chosen = Choice(layers.value, embeddings.value, decay.value)
        picture.value, table.value = explorer.svg(chosen), explorer.table(chosen)

    for knob in (layers, embeddings, decay):
        knob.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([layers, embeddings, decay, picture, table])


def freezing_explorer_demo(explorer: FreezingExplorer, *, choice: Choice | None = None) -> None:
    """Display the demo; readers without a kernel see this choice, or that of the first row."""
    shown = explorer.require(choice or explorer.rows_[0].choice)
    static = explorer.picture(shown) + explorer.table(shown)
    show_widget(freezing_explorer_widget(explorer, choice=shown), static, explorer.alt(shown))
