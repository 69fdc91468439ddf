"""The cleaning bench: steps switched on and off over a raw export, what each takes out, and what a probe then scores."""

from __future__ import annotations

import base64
import html
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from course_lib.core.seeds import SEED
from course_lib.core.validate import FloatArray
from course_lib.tuning.duplicates import near_pairs, without_exact, without_near
from course_lib.tuning.outliers import in_language, of_usual_length
from course_lib.tuning.prepare import Changed, Prepared, Step, prepare
from course_lib.tuning.repairs import repaired_labels, repaired_texts
from course_lib.tuning.splits import groups_of
from course_lib.widgets.show import PALETTE, show_widget

if TYPE_CHECKING:
    import ipywidgets
    from datasets import Dataset

Embed = Callable[[Sequence[str]], FloatArray]
WIDTH, ROW, TOP = 480, 34, 10
_FRAME = "display:block;width:100%;max-width:560px;background:#fff;border:1px solid #bbb"


@dataclass(frozen=True)
class Settings:
    """Which steps run. shortest: least words, 0 is off; near: least likeness of two texts, 0 is off."""

    spelling: bool = False
    characters: bool = False
    shortest: int = 0
    language: bool = False
    exact: bool = False
    near: float = 0.0


ALL = Settings(True, True, 2, True, True, 0.5)


@dataclass(frozen=True)
class Report:
    """What the steps did, and the cross-validated accuracy of a probe before and after."""

    prepared: Prepared
    before: float
    after: float
    n_labels: tuple[int, int]

    def counts(self) -> list[tuple[str, int, int]]:
        """Return for each step its name, how many examples it removed, and how many it changed."""
        return [(step.name, len(step.removed), len(step.changed)) for step in self.prepared.steps]

    def alt(self) -> str:
        """Return in words what the picture shows."""
        did = "; ".join(f"{name}: {out} removed, {new} changed" for name, out, new in self.counts()) or "no step is on"
        return (
            f"{self.prepared.n_before} examples came in, {len(self.prepared.dataset)} go on. {did}. Cross-validated "
            f"accuracy {self.before:.2f} before and {self.after:.2f} after; {self.n_labels[0]} spellings of labels before, "
            f"{self.n_labels[1]} after."
        )


def steps_of(settings: Settings, labels: Collection[str]) -> dict[str, Callable[[Dataset], Step]]:
    """Return the steps that are on, in the order in which they run. Raises ValueError for a threshold out of range."""
    if settings.shortest < 0:
        raise ValueError(f"shortest must be at least 0 words (0 is off), got {settings.shortest}")
    if not 0 <= settings.near <= 1:
        raise ValueError(f"near must be between 0 (off) and 1, got {settings.near}")
    steps: dict[str, tuple[float, Callable[[Dataset], Step]]] = {
        "labels": (settings.spelling, lambda data: repaired_labels(data, labels)),
        "characters": (settings.characters, repaired_texts),
        "lengths": (settings.shortest, lambda data: of_usual_length(data, least_words=settings.shortest)),
        "language": (settings.language, in_language),
        "same text": (settings.exact, without_exact),
        "nearly same": (settings.near, lambda data: without_near(data, threshold=settings.near)),
    }
    return {name: step for name, (is_on, step) in steps.items() if is_on}


def cross_validated(
    vectors: FloatArray, labels: Sequence[str], groups: npt.ArrayLike, *, n_folds: int = 5, seed: int = SEED
) -> npt.NDArray[np.float64]:
    """Return for each example 1 where a model that did not see its group is right, else 0, shape (n,).

    The model: logistic regression on vectors (n, dim). A label that the other folds lack is missed. Raises ValueError
    for fewer groups than folds, or a fold whose training has a single label.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    group, own = np.asarray(groups), np.asarray(labels)
    names = np.unique(group)
    if len(names) < n_folds:
        raise ValueError(f"groups must be at least as many as the {n_folds} folds, got {len(names)}")
    fold = (np.random.default_rng(seed).permutation(len(names)) % n_folds)[np.searchsorted(names, group)]  # (n,)
    right = np.zeros(len(own))
    for held in range(n_folds):
        rest, here = fold != held, fold == held
        with threadpool_limits(1, user_api="blas"):  # so small a problem is slower on two threads
            model = LogisticRegression(C=10, max_iter=2000).fit(vectors[rest], own[rest])
        right[here] = model.predict(vectors[here]) == own[here]
    return right


def score(dataset: Dataset, embed: Embed) -> float:
    """Return the cross-validated accuracy on a dataset; texts that are nearly the same stay in one fold."""
    texts = list(dataset["text"])
    groups = groups_of(len(texts), [(pair.first, pair.second) for pair in near_pairs(texts)])
    return float(cross_validated(embed(texts), list(dataset["label"]), groups).mean())


def run_bench(
    dataset: Dataset, labels: Collection[str], embed: Embed, settings: Settings, *, before: float | None = None
) -> Report:
    """Run the steps that are on and score what is left. before: the score of dataset, where it is known already."""
    prepared = prepare(dataset, steps_of(settings, labels))
    first = score(dataset, embed) if before is None else before
    after = score(prepared.dataset, embed) if prepared.steps else first
    return Report(prepared, first, after, (len(set(dataset["label"])), len(set(prepared.dataset["label"]))))


def svg(report: Report) -> str:
    """Return the report as SVG: a bar for what each step removed or changed, then the two accuracies."""
    most = max([out + new for _, out, new in report.counts()] or [1]) or 1
    parts, y = [], TOP
    for name, out, new in report.counts():
        wide, changed = 250 * out / most, 250 * new / most
        parts.append(_text(8, y + 21, name))
        parts.append(f'<rect x="130" y="{y + 4}" width="{wide:.1f}" height="24" fill="{PALETTE[5]}"/>')
        parts.append(
            f'<rect x="{130 + wide:.1f}" y="{y + 6}" width="{changed:.1f}" height="20" fill="#fff" '
            f'stroke="{PALETTE[0]}" stroke-width="2" stroke-dasharray="5 3"/>'
        )
        words = " ".join(word for word in (f"−{out}" if out else "", f"~{new}" if new else "") if word) or "0"
        parts.append(_text(int(136 + wide + changed), y + 21, words))
        y += ROW
    for name, value in (("before", report.before), ("after", report.after)):
        parts.append(_text(8, y + 21, name))
        parts.append(f'<rect x="130" y="{y + 4}" width="{250 * value:.1f}" height="24" fill="{PALETTE[2]}"/>')
        parts.append(_text(int(136 + 250 * value), y + 21, f"{value:.2f} right"))
        y += ROW
    return (
        f'<svg role="img" aria-label="{html.escape(report.alt(), quote=True)}" viewBox="0 0 {WIDTH} {y + 8}" style="{_FRAME}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _text(x: int, y: int, words: str) -> str:
    return f'<text x="{x}" y="{y}" font-family="sans-serif" font-size="17">{html.escape(words)}</text>'


def picture(report: Report) -> str:
    """Return the same as an img element: front ends remove SVG from notebooks that they do not trust yet."""
    data = base64.b64encode(svg(report).encode()).decode("ascii")
    return (
        f'<img alt="{html.escape(report.alt(), quote=True)}" src="data:image/svg+xml;base64,{data}" style="{_FRAME}">'
    )


def examples(report: Report, dataset: Dataset, *, n: int = 3) -> str:
    """Return as HTML up to n examples of what each step removed or changed, with the reason."""
    text_of = dict(zip(dataset["id"], dataset["text"], strict=True))
    parts = []
    for step in report.prepared.steps:
        lines = [
            f"<em>{html.escape(each.why)}</em>{f' as {html.escape(each.like)}' if each.like else ''}: {_short(text_of[each.id])}"
            for each in step.removed[:n]
        ]
        lines += [
            f"<em>{html.escape(each.why)}</em>: {_short(each.before[_since(each) :])} → {_short(each.after[_since(each) :])}"
            for each in step.changed[: n - len(lines)]
        ]
        items = "".join(f"<li>{line}</li>" for line in lines) or "<li>nothing</li>"
        parts.append(f'<p style="margin:.4em 0 0"><strong>{step.name}</strong></p><ul style="margin:0">{items}</ul>')
    left = len(report.prepared.dataset)
    head = f"{report.prepared.n_before} examples came in, {left} go on; − removed, ~ changed. {report.n_labels[1]} spellings of labels."
    return f'<div style="line-height:1.4;overflow-wrap:anywhere"><p>{head}</p>{"".join(parts)}</div>'


def _since(change: Changed) -> int:
    """Where to begin to show a change: a few letters before the two texts part."""
    parted = (i for i, (old, new) in enumerate(zip(change.before, change.after, strict=False)) if old != new)
    place = next(parted, min(len(change.before), len(change.after)))
    return place - 30 if place > 40 else 0


def _short(text: str) -> str:
    return html.escape(textwrap.shorten(text, 70, placeholder=" …")) or "(empty)"


def cleaning_bench_widget(dataset: Dataset, labels: Collection[str], embed: Embed) -> ipywidgets.VBox:
    """Return the demo: a switch or a threshold for each step, and the report. Usable by keyboard alone."""
    import ipywidgets

    wide = {"width": "95%", "max_width": "560px"}
    style = {"description_width": "8.5em"}

    def switch(words: str) -> ipywidgets.Checkbox:
        return ipywidgets.Checkbox(value=False, description=words, indent=False, layout=wide)

    spelling, characters = switch("mend the spelling of labels"), switch("mend characters and markup")
    language, exact = switch("English only"), switch("no text twice")
    shortest = ipywidgets.IntSlider(
        value=0, min=0, max=8, description="least words", continuous_update=False, layout=wide, style=style
    )
    near = ipywidgets.FloatSlider(
        value=0,
        min=0,
        max=1,
        step=0.1,
        description="nearly the same",
        continuous_update=False,
        layout=wide,
        style=style,
    )
    drawing, below = ipywidgets.HTML(layout={"width": "95%"}), ipywidgets.HTML(layout={"width": "95%"})
    known: dict[Settings, Report] = {}

    def draw(_: object = None) -> None:
        settings = Settings(spelling.value, characters.value, shortest.value, language.value, exact.value, near.value)
        if settings not in known:
            try:
                first = known[Settings()].before if known else None
                known[settings] = run_bench(dataset, labels, embed, settings, before=first)
            except ValueError as error:
                below.value = f'<p role="alert">{html.escape(str(error))}</p>'
                return
        drawing.value, below.value = svg(known[settings]), examples(known[settings], dataset)

    draw()
    controls = [spelling, characters, shortest, language, exact, near]
    for control in controls:
        control.observe(draw, names="value")
    return ipywidgets.VBox([*controls, drawing, below])


def cleaning_bench_demo(dataset: Dataset, labels: Collection[str], embed: Embed) -> None:
    """Display the demo; readers without a kernel see what all steps together do."""
    report = run_bench(dataset, labels, embed, ALL)
    show_widget(
        cleaning_bench_widget(dataset, labels, embed), picture(report) + examples(report, dataset), report.alt()
    )
