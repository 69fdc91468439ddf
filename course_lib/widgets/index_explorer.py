"""The index explorer: turn the knobs of an approximate index, and see what it gains and which neighbours it misses."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from course_lib.evaluation.significance import Interval, bootstrap_interval
from course_lib.retrieval.faiss_index import Positions
from course_lib.retrieval.index_trial import Trial
from course_lib.widgets.show import PALETTE, show_widget

if TYPE_CHECKING:
    import ipywidgets

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 34, 28, 40
NAMES = {"flat": "Flat", "ivf": "IVF", "hnsw": "HNSW", "pq": "PQ", "ivf_pq": "IVF-PQ"}
SYMBOLS = {"flat": "■", "ivf": "●", "hnsw": "▲", "pq": "◆", "ivf_pq": "▼"}
SHAPES = {
    "flat": "m-5 -5h10v10h-10z",
    "ivf": "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "hnsw": "m0 -6l6 11h-12z",
    "pq": "m0 -7l7 7l-7 7l-7 -7z",
    "ivf_pq": "m0 6l6 -11h-12z",
}
_FRAME = "display:block;width:100%;max-width:640px;background:#fff;border:1px solid #bbb"


class IndexExplorer:
    """Trials of several settings of several kinds, measured once; every view of them answers at once.

    The first trial must be Flat, the exact baseline.
    """

    def fit(self, trials: Sequence[Trial], true: Positions, queries: Sequence[str], texts: Sequence[str]) -> Self:
        """Keep trials, the true neighbours (n_queries, k), the queries' texts (the first of them are examples) and the
        indexed texts. Raises ValueError if the first trial is not Flat, if a setting comes twice, or numbers disagree.
        """
        if not trials or trials[0].kind != "flat":
            raise ValueError("trials must begin with one of kind 'flat', the exact baseline")
        names = [trial.name for trial in trials]
        if len(set(names)) != len(names):
            raise ValueError("trials must be of different settings: a setting comes twice")
        if not 1 <= len(queries) <= len(true) or any(trial.found.shape != true.shape for trial in trials):
            raise ValueError(
                f"queries must be 1 to {len(true)} texts, and every trial of the same {len(true)} queries, got "
                f"{len(queries)} texts and {sorted({trial.found.shape for trial in trials})}"
            )
        self.trials_, self.true_ = list(trials), true
        self.queries_, self.texts_ = list(queries), texts
        self.intervals_: dict[str, Interval] = {trial.name: bootstrap_interval(trial.recall) for trial in trials}
        return self

    @property
    def kinds(self) -> list[str]:
        """The kinds there are trials of, in their order."""
        return list(dict.fromkeys(trial.kind for trial in self.trials_))

    def settings(self, kind: str) -> dict[str, Trial]:
        """Return label -> trial of the settings of a kind; the label names the knobs that differ between them."""
        trials = [trial for trial in self.trials_ if trial.kind == kind]
        if not trials:
            raise ValueError(f"kind must be one of {', '.join(self.kinds)}, got {kind!r}")
        turned = [name for name in trials[0].knobs if len({trial.knobs[name] for trial in trials}) > 1]
        return {", ".join(f"{name} = {trial.knobs[name]}" for name in turned) or "no knob": trial for trial in trials}

    def missed(self, trial: Trial, example: int) -> list[tuple[str, bool]]:
        """Return (text, was it found) of the true neighbours of an example query, nearest first."""
        if not 0 <= example < len(self.queries_):
            raise ValueError(f"example must be between 0 and {len(self.queries_) - 1}, got {example}")
        found = set(trial.found[example].tolist())
        return [(self.texts_[i], i in found) for i in self.true_[example].tolist()]

    def headline(self, trial: Trial) -> str:
        """Return in words what a setting gives, beside exact search."""
        exact, interval = self.trials_[0], self.intervals_[trial.name]
        k = self.true_.shape[1]
        return (
            f"{NAMES[trial.kind]}: recall@{k} {interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}] "
            f"(n={interval.n}), {_round(trial.queries_per_second)} queries a second (Flat: "
            f"{_round(exact.queries_per_second)}), {trial.bytes_per_vector:,.0f} bytes a vector (Flat: "
            f"{exact.bytes_per_vector:,.0f}), built in {trial.build_seconds:.1f} s."
        )

    def alt(self, trial: Trial, example: int) -> str:
        """Return in words what the picture and the table show."""
        rows = self.missed(trial, example)
        lost = [text for text, found in rows if not found]
        words = f"{self.headline(trial)} Of the {len(rows)} nearest to “{self.queries_[example]}” it misses {len(lost)}"
        return words + (f": {'; '.join(lost)}" if lost else ".")

    def svg(self, trial: Trial, example: int) -> str:
        """Return all settings as points, queries a second (log) against recall, the chosen one ringed."""
        rates = [math.log10(each.queries_per_second) for each in self.trials_]
        low_x, high_x = math.floor(min(rates)), math.ceil(max(rates))
        high_x = max(high_x, low_x + 1)
        low_y = math.floor(10 * min(float(each.recall.mean()) for each in self.trials_)) / 10
        low_y = min(low_y, 0.9)

        def point(each: Trial) -> tuple[float, float]:
            x = LEFT + (math.log10(each.queries_per_second) - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)
            return x, _height(float(each.recall.mean()), low_y)

        parts = []
        for step in range(10, round(10 * low_y) - 1, -1 if low_y >= 0.5 else -2):
            y = _height(step / 10, low_y)
            parts.append(f'<path d="M{LEFT} {y:.0f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{step / 10:.1f}</text>')
        for power in range(low_x, high_x + 1):
            x = LEFT + (power - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)
            parts.append(f'<path d="M{x:.0f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
            parts.append(f'<text x="{x:.0f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{10**power:,}</text>')
        parts.append(
            f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">queries a second</text>'
        )
        parts.append('<text x="4" y="14">recall</text>')
        for each in self.trials_:
            x, y = point(each)
            tip = html.escape(f"{each.name}: {each.recall.mean():.2f}")
            colour = PALETTE[list(NAMES).index(each.kind)]
            parts.append(f'<path d="M{x:.1f} {y:.1f}{SHAPES[each.kind]}" fill="{colour}"><title>{tip}</title></path>')
        x, y = point(trial)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="11" fill="none" stroke="#000" stroke-width="2.5"/>')
        alt = html.escape(self.alt(trial, example), quote=True)
        return (
            f'<svg role="img" aria-label="{alt}" viewBox="0 0 {WIDTH} {HEIGHT}" style="{_FRAME}" font-size="12" '
            f'font-family="sans-serif" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
        )

    def picture(self, trial: Trial, example: int) -> str:
        """Return the same picture as an img element: front ends remove SVG from notebooks that they do not trust yet."""
        data = base64.b64encode(self.svg(trial, example).encode()).decode("ascii")
        alt = html.escape(self.alt(trial, example), quote=True)
        return f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}" style="{_FRAME}">'

    def legend(self) -> str:
        """Return in HTML which mark is which kind; the ring is the chosen setting."""
        items = "".join(
            f'<span style="display:inline-block;margin-right:1.2em"><span aria-hidden="true" '
            f'style="color:{PALETTE[list(NAMES).index(kind)]}">{SYMBOLS[kind]}</span> {NAMES[kind]}</span>'
            for kind in self.kinds
        )
        return f'<p style="margin:.4em 0;line-height:1.5">{items}<span>◯ chosen</span></p>'

    def table(self, trial: Trial, example: int) -> str:
        """Return the headline, and the true neighbours of the example with a mark for each: found or missed."""
        cell = 'style="text-align:left;vertical-align:top;padding:.15em 1em .15em 0"'
        rows = "".join(
            f"<tr><td {cell}>{number}</td><td {cell}>{'✔&nbsp;found' if found else '<strong>✘&nbsp;missed</strong>'}</td>"
            f"<td {cell}>{html.escape(text)}</td></tr>"
            for number, (text, found) in enumerate(self.missed(trial, example), start=1)
        )
        head = "".join(f'<th scope="col" {cell}>{name}</th>' for name in ("rank", "here", "true neighbour"))
        return (
            f'<p style="margin:.3em 0;line-height:1.4">{html.escape(self.headline(trial))}</p>'
            f'<p style="margin:.3em 0;line-height:1.4">Query: <em>{html.escape(self.queries_[example])}</em></p>'
            f'<table style="margin:0;line-height:1.3"><tr>{head}</tr>{rows}</table>'
        )


def _height(recall: float, low: float) -> float:
    return HEIGHT - BOTTOM - (recall - low) / (1 - low) * (HEIGHT - TOP - BOTTOM)


def _round(number: float) -> str:
    """Return two significant digits: timings hold no more."""
    digits = max(0, math.floor(math.log10(number)) - 1) if number > 0 else 0
    return f"{round(number, -digits):,.0f}"


def index_explorer_widget(explorer: IndexExplorer, *, kind: str = "ivf", example: int = 0) -> ipywidgets.VBox:
    """Return the demo: kind, setting, example query (counted from 1). Usable by keyboard alone."""
    import ipywidgets

    wide = {"width": "95%"}
    kinds = ipywidgets.Dropdown(
        options=[(NAMES[name], name) for name in explorer.kinds],
        value=kind,
        description="Index",
        layout={"max_width": "95%"},
    )
    setting = ipywidgets.SelectionSlider(
        options=list(explorer.settings(kind)), description="Knobs", continuous_update=False, layout=wide
    )
    number = ipywidgets.IntSlider(
        value=example + 1, min=1, max=len(explorer.queries_), description="Query", continuous_update=False, layout=wide
    )
    picture, table = ipywidgets.HTML(layout=wide), ipywidgets.HTML(layout=wide)

    def draw(_: object = None) -> None:
        trial = explorer.settings(kinds.value)[setting.value]
        picture.value = explorer.svg(trial, number.value - 1) + explorer.legend()
        table.value = explorer.table(trial, number.value - 1)

    def other_kind(_: object) -> None:
        setting.unobserve(draw, names="value")
        setting.options = list(explorer.settings(kinds.value))
        setting.value = setting.options[0]
        setting.observe(draw, names="value")
        draw()

    kinds.observe(other_kind, names="value")
    setting.observe(draw, names="value")
    number.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([kinds, setting, number, picture, table])


def index_explorer_demo(explorer: IndexExplorer, *, kind: str = "ivf", example: int = 0) -> None:
    """Display the demo; readers without a kernel see the first setting of the kind and this example query."""
    trial = next(iter(explorer.settings(kind).values()))
    static = explorer.picture(trial, example) + explorer.legend() + explorer.table(trial, example)
    show_widget(index_explorer_widget(explorer, kind=kind, example=example), static, explorer.alt(trial, example))
