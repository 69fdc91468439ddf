"""Training curves: a plot that grows while a run trains, and stored runs to pick by learning rate, batch size and epochs."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from course_lib.tuning.settings import StepReport, TrainingSettings
from course_lib.tuning.stored_runs import StoredRun, runs_of, smoothed
from course_lib.widgets.show import PALETTE, show_widget

if TYPE_CHECKING:
    import ipywidgets

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 300, 52, 12, 14, 44
FIRST, SECOND = PALETTE[0], PALETTE[5]
_FRAME = "display:block;width:100%;max-width:640px;background:#fff;border:1px solid #bbb"


def alt(runs: Sequence[StoredRun]) -> str:
    """Return in words what the picture of runs with one setting shows. Raises ValueError for none, or several settings."""
    rate, batch, epochs = _one_setting(runs)
    parts = [f"Learning rate {rate:g}, batches of {batch}, {epochs} epochs, {len(runs)} seed{'s' * (len(runs) > 1)}."]
    for run in runs:
        last = smoothed(run.losses, _window(run))[-1]
        short = "" if len(run.losses) >= run.n_steps else f" of {run.n_steps}"
        words = f"Seed {run.seed}: after {len(run.losses)}{short} updates the training loss is {last:.2f}"
        if run.best:
            end = run.validation[-1]
            words += (
                f"; validation loss lowest at update {run.best.step}, {run.best.loss:.2f}; at the end {end.loss:.2f}, "
                f"{end.accuracy:.2f} right"
            )
        parts.append(words + ".")
    return " ".join(parts)


def svg(runs: Sequence[StoredRun], *, highest: float | None = None) -> str:
    """Return the losses of runs with one setting as SVG: a line for training, squares for validation, ◆ for the lowest.

    highest: the loss at the upper edge, for pictures that are to be compared; losses above it lie on the edge. Raises
    ValueError for no runs, or several settings.
    """
    words = html.escape(alt(runs), quote=True)
    top = highest or max(max([*run.losses, *(each.loss for each in run.validation)]) for run in runs)
    top = max(float(top), 1e-9)
    n_steps = max(max(run.n_steps, len(run.losses)) for run in runs)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / n_steps

    def y(loss: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(loss, top) / top

    parts = [
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#444"/>',
        _text(LEFT - 6, TOP + 6, f"{top:.1f}", "end"), _text(LEFT - 6, HEIGHT - BOTTOM, "0", "end"),
        _text(LEFT, HEIGHT - BOTTOM + 18, "0"), _text(WIDTH - RIGHT, HEIGHT - BOTTOM + 18, str(n_steps), "end"),
        _text((LEFT + WIDTH - RIGHT) // 2, HEIGHT - 8, "updates", "middle"),
        f'<text transform="translate(16 {(HEIGHT - BOTTOM + TOP) // 2}) rotate(-90)" text-anchor="middle" '
        'font-family="sans-serif" font-size="15">loss (nats)</text>',
    ]  # fmt: skip
    for run in runs:
        curve = enumerate(smoothed(run.losses, _window(run)), start=1)
        points = " ".join(f"{x(step):.1f},{y(loss):.1f}" for step, loss in curve)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{FIRST}" stroke-width="2"/>')
        if run.validation:
            ends = " ".join(f"{x(each.step):.1f},{y(each.loss):.1f}" for each in run.validation)
            parts.append(
                f'<polyline points="{ends}" fill="none" stroke="{SECOND}" stroke-width="2" stroke-dasharray="5 3"/>'
            )
        for each in run.validation:
            shape = "m0 -8l8 8l-8 8l-8 -8z" if each == run.best else "m-4 -4h8v8h-8z"
            tip = f"<title>update {each.step}: {each.loss:.2f}, {each.accuracy:.2f} right</title>"
            parts.append(f'<path d="M{x(each.step):.1f} {y(each.loss):.1f}{shape}" fill="{SECOND}">{tip}</path>')
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 {WIDTH} {HEIGHT}" style="{_FRAME}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def picture(runs: Sequence[StoredRun], *, highest: float | None = None) -> str:
    """Return the same as an img element: front ends remove SVG from notebooks that they do not trust yet."""
    data = base64.b64encode(svg(runs, highest=highest).encode()).decode("ascii")
    return f'<img alt="{html.escape(alt(runs), quote=True)}" src="data:image/svg+xml;base64,{data}" style="{_FRAME}">'


def legend() -> str:
    """Return in HTML which mark is what."""
    marks = ((FIRST, "▬", "training, smoothed"), (SECOND, "■", "validation"), (SECOND, "◆", "lowest validation"))
    items = "".join(
        f'<span style="display:inline-block;margin-right:1.5em"><span aria-hidden="true" style="color:{colour}">{symbol}'
        f"</span> {words}</span>"
        for colour, symbol, words in marks
    )
    return f'<p style="margin:.4em 0;line-height:1.5">{items}</p>'


def status(report: StepReport) -> str:
    """Return in words how far a run is, and how long the rest takes once that is known."""
    words = f"Update {report.step} of {report.n_steps}, epoch {report.epoch:.1f}, loss {report.loss:.2f}"
    if report.step < report.n_steps and report.seconds_left is not None:
        words += f", about {max(1, round(report.seconds_left))} s left"
    return words


class LivePlot:
    """An `on_step` for `train`: draws the losses in the cell's output while the run goes on; the last picture stays.

    every: updates between two drawings; each evaluation is drawn as well. One plot is for one run. Raises ValueError
    below 1.
    """

    def __init__(self, settings: TrainingSettings, *, every: int = 10) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 update, got {every}")
        self.settings, self.every = settings, every
        self.reports: list[StepReport] = []
        self._shown: Any = None

    def __call__(self, report: StepReport) -> None:
        """Note an update, and draw when it is time; never asks the run to stop."""
        self.reports.append(report)
        if report.step % self.every == 0 or report.step == report.n_steps or report.evaluation:
            self.draw()

    def run(self) -> StoredRun:
        """Return what was reported so far. Raises ValueError before the first update."""
        settings, validation = self.settings, [each.evaluation for each in self.reports if each.evaluation]
        return StoredRun(
            settings.learning_rate, settings.batch_size, settings.epochs, settings.seed,
            tuple(each.loss for each in self.reports), tuple(validation), self.reports[-1].n_steps if self.reports else 0,
        )  # fmt: skip

    def draw(self) -> None:
        """Draw what was reported so far, in place of the picture before."""
        from IPython.display import display

        run = self.run()
        page = f"{picture([run])}{legend()}<p>{html.escape(status(self.reports[-1]))}</p>"
        bundle = {"text/html": page, "text/plain": alt([run])}
        if self._shown is None:
            self._shown = display(bundle, raw=True, display_id=True)
        else:
            self._shown.update(bundle, raw=True)


def training_curves_widget(runs: Sequence[StoredRun], chosen: tuple[float, int, int]) -> ipywidgets.VBox:
    """Return the picker: three sliders, and the curves of the runs with that setting. Usable by keyboard alone.

    All pictures have one scale. Raises ValueError if no run has the setting `chosen`.
    """
    import ipywidgets

    runs_of(runs, *chosen)
    highest = _highest(runs)
    layout, style = {"width": "95%", "max_width": "560px"}, {"description_width": "8em"}
    sliders = [
        ipywidgets.SelectionSlider(
            options=[(f"{value:g}", value) for value in sorted({run.setting[i] for run in runs})],
            value=chosen[i], description=name, continuous_update=False, layout=layout, style=style,
        )
        for i, name in enumerate(("learning rate", "batch size", "epochs"))
    ]  # fmt: skip
    drawing, words = ipywidgets.HTML(layout={"width": "95%"}), ipywidgets.HTML(layout={"width": "95%"})

    def draw(_: object = None) -> None:
        try:
            found = runs_of(runs, *(slider.value for slider in sliders))
        except ValueError as error:
            drawing.value, words.value = "", f'<p role="alert">{html.escape(str(error))}</p>'
            return
        drawing.value = svg(found, highest=highest) + legend()
        words.value = f'<p role="status" style="line-height:1.4">{html.escape(alt(found))}</p>'

    draw()
    for slider in sliders:
        slider.observe(draw, names="value")
    return ipywidgets.VBox([*sliders, drawing, words])


def training_curves_demo(runs: Sequence[StoredRun], chosen: tuple[float, int, int]) -> None:
    """Display the picker; readers without a kernel see the runs with the setting `chosen`."""
    found = runs_of(runs, *chosen)
    words = html.escape(alt(found))
    static = f'{picture(found, highest=_highest(runs))}{legend()}<p style="line-height:1.4">{words}</p>'
    show_widget(training_curves_widget(runs, chosen), static, alt(found))


def _highest(runs: Sequence[StoredRun]) -> float:
    """The largest first loss: what a run begins with; a run that blows up is drawn along the edge."""
    return 1.25 * max(run.losses[0] for run in runs)


def _window(run: StoredRun) -> int:
    return max(1, len(run.losses) // 20)


def _one_setting(runs: Sequence[StoredRun]) -> tuple[float, int, int]:
    settings = {run.setting for run in runs}
    if len(settings) != 1:
        raise ValueError(f"runs must be at least one, and all of one setting, got {len(settings)} settings")
    return settings.pop()


def _text(x: int, y: int, words: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-family="sans-serif" font-size="15">{html.escape(words)}</text>'
