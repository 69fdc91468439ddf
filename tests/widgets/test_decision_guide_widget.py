"""The decision guide's table, alt text, and the widget driven by its traits."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from guide_fakes import MADE_UP, share

from course_lib.systems.decision_guide import guide
from course_lib.systems.guide_cases import CASES
from course_lib.systems.guide_rows import Row, Rows
from course_lib.systems.guide_rules import RULES, Profile
from course_lib.widgets.decision_guide import OWN, alt, decision_guide_demo, decision_guide_widget, table

SUPPORT = guide(CASES["support"].profile, MADE_UP)


def page(markup: str) -> ElementTree.Element:
    """The whole as a tree, which proves that it is sound markup."""
    return ElementTree.fromstring(f"<page>{markup.replace('<br>', '<br/>')}</page>")


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


# ---------------------------------------------------------------- the table


def test_every_approach_is_there_in_order_with_all_its_reasons() -> None:
    rows = page(table(SUPPORT)).findall("table/tr")[1:]
    assert len(rows) == len(SUPPORT.verdicts) == 6
    for row, verdict in zip(rows, SUPPORT.verdicts, strict=True):
        assert words(row.find("th")).startswith(verdict.approach.name)  # type: ignore[arg-type]
        said = [words(item) for item in row.iter("li")]
        assert len(said) == len(verdict.findings)
        for item, finding in zip(said, verdict.findings, strict=True):
            assert finding.sentence in item and finding.rule in item


def test_marks_are_told_apart_without_colour_and_read_aloud() -> None:
    markup = table(SUPPORT)
    spans = {(span.get("aria-label"), span.text) for span in page(markup).iter("span")}
    assert spans == {("holds", "✓"), ("fails", "✗"), ("unknown", "?")}
    assert "color" not in markup
    unknown = table(guide(Profile(max_seconds=1), Rows((), {})))
    assert "not measured" in unknown and "? open" in unknown


def test_the_rules_stand_below_each_with_its_sentence() -> None:
    rules = page(table(SUPPORT)).findall("details/ul/li")
    assert [words(rule) for rule in rules] == [f"{rule.name}: {rule.sentence}" for rule in RULES]


def test_made_up_rows_are_called_made_up() -> None:
    status = page(table(SUPPORT)).find("p[@role='status']")
    assert status is not None and "The rows are made up" in words(status)
    assert "made up:" not in table(guide(CASES["support"].profile, Rows(MADE_UP.rows, {})))


def test_examples_and_training_are_named_where_there_were_any() -> None:
    markup = table(SUPPORT)
    assert "100 examples, 4 min of training" in markup  # made up
    plain = guide(Profile(), Rows((Row("rag", right=share(0.5)),), {}))
    assert "training" not in words(page(table(plain)).findall("table/tr")[1])


def test_what_is_shown_is_not_run() -> None:
    advice = guide(Profile(name="<script>alert(1)</script>"), MADE_UP)
    assert "<script" not in table(advice) and "&lt;script" in table(advice)


def test_the_alt_text_says_the_answer_and_why_the_others_are_out() -> None:
    said = alt(SUPPORT)
    assert said.startswith("For support: The rows are made up")
    assert "1. RAG + fine-tuning: meets all." in said
    assert "fine-tuning: fails citations." in said
    assert "RAG: fails style." in said
    assert "not known: latency" in alt(guide(Profile(max_seconds=3), Rows((), {})))


# ---------------------------------------------------------------- the widget


@pytest.fixture
def widget() -> Any:
    return decision_guide_widget(MADE_UP, Profile("a test", labelled_examples=1_000))


def control(widget: Any, description: str) -> Any:
    return next(child for child in widget.children if getattr(child, "description", "") == description)


def answer(widget: Any) -> str:
    return words(page(widget.children[-1].value))


def first(widget: Any) -> str:
    row = page(widget.children[-1].value).findall("table/tr")[1]
    return (row.find("th").text or "").strip()  # type: ignore[union-attr]


def test_it_begins_with_the_profile_given(widget: Any) -> None:
    assert widget.children[-1].value == table(guide(Profile("a test", labelled_examples=1_000), MADE_UP))
    assert first(widget) == "RAG + fine-tuning"


def test_every_control_has_a_name_and_takes_the_keyboard(widget: Any) -> None:
    """Sliders and dropdowns of ipywidgets take arrow keys; nothing needs a mouse."""
    kinds = {type(child).__name__ for child in widget.children}
    assert kinds == {"Dropdown", "HTML", "SelectionSlider"}
    for child in widget.children:
        if type(child).__name__ != "HTML":
            assert child.description and child.options


@pytest.mark.parametrize(("name", "value", "then"), [("Examples", 30, "RAG"), ("Seconds", 1, "fine-tuning")])
def test_a_need_changes_the_answer(widget: Any, name: str, value: float, then: str) -> None:
    control(widget, name).value = value
    assert first(widget) == then


def test_citations_rule_out_tuning_alone(widget: Any) -> None:
    assert "remembered or made up" not in answer(widget)
    control(widget, "Citations").value = 0.5
    assert (
        "✗ citations: It reads no document when it answers: a source that it names was remembered or made up."
        in answer(widget)
    )


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_case_fills_the_controls(widget: Any, case: str) -> None:
    control(widget, "Worked case").value = case
    assert widget.children[-1].value == table(guide(CASES[case].profile, MADE_UP))
    assert CASES[case].story in words(page(widget.children[1].value))
    # From there on the reader turns the controls.
    control(widget, "Right").value = 1.0
    assert "No approach meets everything" in answer(widget) or "Nothing is known" in answer(widget)
    control(widget, "Worked case").value = OWN
    assert "Set what your project needs." in widget.children[1].value


def test_a_shelf_can_be_chosen_where_it_was_measured() -> None:
    widget = decision_guide_widget(Rows((*MADE_UP.rows, Row("rag", domain="energy", right=share(0.4))), {}))
    assert control(widget, "Domain").options == ("all", "energy")
    control(widget, "Worked case").value = "market data"
    assert control(widget, "Domain").value == "energy" and "not measured" in answer(widget)


def test_values_beside_the_usual_steps_are_offered() -> None:
    odd = Profile(
        "odd", updates_per_day=0.37, labelled_examples=237, max_seconds=7.5, max_memory_mb=333, min_style=0.85
    )
    widget = decision_guide_widget(MADE_UP, odd)
    assert control(widget, "Style").value == 0.85 and control(widget, "Facts change").label == "0.37 a day"
    assert widget.children[-1].value == table(guide(odd, MADE_UP))


def test_without_rows_everything_is_open() -> None:
    assert "Nothing is known to meet everything" in answer(decision_guide_widget(Rows((), {}), Profile(max_seconds=1)))


def test_readers_without_a_kernel_see_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append(bundle))
    decision_guide_demo(MADE_UP, CASES["support"].profile)
    (bundle,) = shown
    assert bundle["text/html"] == table(SUPPORT) and bundle["text/plain"] == alt(SUPPORT)
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]


def test_it_begins_on_what_was_measured() -> None:
    rows = Rows((Row("rag", domain="energy", right=share(0.4)),), {})
    assert control(decision_guide_widget(rows), "Domain").value == "energy"
