"""Predictions: the learner says what will happen, before the cell that shows it, and sees both at the end."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from course_lib.classroom.progress import read_progress, record_prediction
from course_lib.widgets.show import show_widget

if TYPE_CHECKING:
    import ipywidgets

# ipywidgets gives an option one line, whatever its length; on a small screen the lines would lie upon each other.
_WRAP = """<style>
.course-options, .course-options .widget-radio-box { height: auto; max-height: none; overflow: visible; }
.course-options.course-options label { display: flex; flex-direction: row-reverse; justify-content: flex-end;
  height: auto; min-height: 20px; line-height: 1.4; white-space: normal; }
.course-options.course-options label input { flex: none; align-self: flex-start; float: none;
  height: 16px; margin: 1px 6px 0 0; }
</style>"""


def prediction_widget(lesson: str, name: str, question: str, options: Sequence[str]) -> ipywidgets.VBox:
    """Return radio buttons that record each choice; an earlier choice is chosen again.

    Raises ValueError for fewer than two options or options that repeat.
    """
    import ipywidgets

    if len(options) < 2 or len(set(options)) != len(options):
        raise ValueError(f"options must be at least two different answers, got {list(options)}")
    earlier = read_progress()["predictions"].get(f"{lesson}/{name}")
    buttons = ipywidgets.RadioButtons(
        options=list(options), value=earlier if earlier in options else None, layout={"width": "95%", "margin": "0 4px"}
    )
    saved = ipywidgets.HTML("<em>Choose with the mouse, or with Tab and the space bar.</em>")

    def record(change: dict[str, str]) -> None:
        record_prediction(lesson, name, change["new"])
        saved.value = "<em>Noted. Run the next cell and compare.</em>"

    buttons.observe(record, names="value")
    buttons.add_class("course-options")
    words = f'{_WRAP}<div style="line-height:1.4"><strong>Prediction.</strong> {html.escape(question)}</div>'
    return ipywidgets.VBox([ipywidgets.HTML(words, layout={"width": "95%"}), buttons, saved])


def predict(lesson: str, name: str, question: str, options: Sequence[str]) -> None:
    """Ask for a prediction in the notebook. Where there is no kernel, question and options show as text."""
    items = "".join(f"<li>{html.escape(option)}</li>" for option in options)
    static = f"<p><strong>Prediction.</strong> {html.escape(question)}</p><ul>{items}</ul>"
    alt = f"Prediction. {question} " + " / ".join(options)
    show_widget(prediction_widget(lesson, name, question, options), static, alt)


class Comparison(str):
    """A table of predictions beside outcomes; a str for terminals, HTML in a notebook."""

    rows: list[tuple[str, str, str]]

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(mine)}</td><td>{html.escape(outcome)}</td></tr>"
            for name, mine, outcome in self.rows
        )
        return (
            "<table><caption>What you predicted, and what happened</caption>"
            f"<tr><th>question</th><th>you</th><th>measured</th></tr>{cells}</table>"
        )


def compare_predictions(lesson: str, outcomes: Mapping[str, str]) -> Comparison:
    """Return the learner's predictions beside what was measured; "(none)" where the learner made none."""
    mine = read_progress()["predictions"]
    rows = [(name, str(mine.get(f"{lesson}/{name}", "(none)")), outcome) for name, outcome in outcomes.items()]
    table = Comparison("\n".join(f"{name}: you {yours}; measured {outcome}" for name, yours, outcome in rows))
    table.rows = rows
    return table
