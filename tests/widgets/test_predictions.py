"""Predictions: recorded as they are made, chosen again later, and set beside what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from course_lib.classroom.progress import read_progress
from course_lib.widgets.predictions import compare_predictions, predict, prediction_widget

OPTIONS = ["it rises", "it falls", "it stays"]


def ask(name: str = "recall", options: list[str] = OPTIONS) -> Any:
    return prediction_widget("02", name, "What will happen to recall?", options)


def recorded() -> dict[str, Any]:
    return read_progress()["predictions"]


def test_nothing_is_chosen_or_recorded_at_first(progress_path: Path) -> None:
    question, buttons, saved = ask().children
    assert buttons.value is None and "Noted" not in saved.value
    assert "What will happen to recall?" in question.value
    assert list(buttons.options) == OPTIONS
    assert recorded() == {} and not progress_path.exists()


def test_a_choice_is_recorded_and_acknowledged(progress_path: Path) -> None:
    _, buttons, saved = ask().children
    buttons.value = "it falls"
    assert recorded() == {"02/recall": "it falls"}
    assert "Noted" in saved.value
    assert json.loads(progress_path.read_text(encoding="utf-8"))["predictions"] == {"02/recall": "it falls"}


def test_the_last_choice_counts() -> None:
    _, buttons, _ = ask().children
    for option in ("it falls", "it rises", "it stays"):
        buttons.value = option
    assert recorded() == {"02/recall": "it stays"}


def test_an_earlier_choice_is_chosen_again() -> None:
    ask().children[1].value = "it falls"
    assert ask().children[1].value == "it falls"
    assert ask("precision").children[1].value is None  # another question is another question


def test_a_choice_that_is_no_longer_offered_is_dropped() -> None:
    ask().children[1].value = "it stays"
    assert ask(options=["up", "down"]).children[1].value is None


def test_a_damaged_record_does_not_stop_the_lesson(progress_path: Path) -> None:
    progress_path.parent.mkdir(parents=True)
    progress_path.write_text('{"checks": {}, "predictions": {"02/recall": ["a", "list"]}}')
    assert ask().children[1].value is None
    progress_path.write_text("{")
    _, buttons, _ = ask().children
    buttons.value = "it falls"
    assert recorded() == {"02/recall": "it falls"}


def test_a_question_is_shown_not_run() -> None:
    widget = prediction_widget("02", "x", "Is 1 < 2 & <b>bold</b>?", OPTIONS)
    assert "Is 1 &lt; 2 &amp; &lt;b&gt;bold&lt;/b&gt;?" in widget.children[0].value


@pytest.mark.parametrize("options", [[], ["only one"], ["a", "b", "a"]])
def test_there_must_be_a_choice(options: list[str]) -> None:
    with pytest.raises(ValueError, match="options must be at least two different answers, got"):
        ask(options=options)


def test_without_a_kernel_question_and_options_show_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle))
    predict("02", "recall", "What will happen to recall < 1?", ["it rises", "it falls & stays"])
    (bundle,) = shown
    assert "What will happen to recall &lt; 1?" in bundle["text/html"]
    assert "<li>it rises</li><li>it falls &amp; stays</li>" in bundle["text/html"]
    assert bundle["text/plain"] == "Prediction. What will happen to recall < 1? it rises / it falls & stays"
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]


# ---------------------------------------------------------------- beside the outcome


def test_predictions_stand_beside_outcomes() -> None:
    ask().children[1].value = "it falls"
    table = compare_predictions("02", {"recall": "it rises", "speed": "slower & <2x"})
    assert table.rows == [("recall", "it falls", "it rises"), ("speed", "(none)", "slower & <2x")]
    assert table == "recall: you it falls; measured it rises\nspeed: you (none); measured slower & <2x"
    html = table._repr_html_()
    assert "<tr><td>recall</td><td>it falls</td><td>it rises</td></tr>" in html
    assert "slower &amp; &lt;2x" in html
    assert "<caption>" in html and html.count("<th>") == 3


def test_another_lessons_prediction_is_not_taken() -> None:
    ask().children[1].value = "it falls"
    assert compare_predictions("03", {"recall": "it rises"}).rows == [("recall", "(none)", "it rises")]


def test_nothing_to_compare() -> None:
    assert compare_predictions("02", {}) == "" and compare_predictions("02", {}).rows == []


def test_a_later_prediction_does_not_change_an_earlier_table() -> None:
    _, buttons, _ = ask().children
    buttons.value = "it falls"
    table = compare_predictions("02", {"recall": "it rises"})
    buttons.value = "it rises"
    assert table.rows[0][1] == "it falls"
