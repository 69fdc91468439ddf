"""The gallery of failures: verdicts with evidence, the trace in HTML, and the widget driven by its traits."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from course_lib.core.types import Chunk, GoldSpan, Hit, Question
from course_lib.systems.failure_file import Case, load_gallery
from course_lib.systems.failures import KINDS, Trace
from course_lib.widgets.failure_gallery import (
    CHOOSE,
    HINTS,
    WOULD_SHOW,
    FailureGallery,
    failure_gallery_demo,
    failure_gallery_widget,
    trace_html,
)

DAY = datetime.date(2024, 1, 2)
TEXTS = {"s/a#00": "The fee <rose> from 70 to 80 euros.", "s/b#00": "A storm & a turbine.", "s/c#00": "Nothing of use."}
CHUNKS = {name: Chunk(name, name[:3], f"Title & {name[2]}", DAY, text, 0, len(text)) for name, text in TEXTS.items()}


def trace(**changes: Any) -> Trace:
    question = Question(
        "q1", "What is <now> the fee?", "latest", "help_desk", "dev", ("80 euros",), (GoldSpan("s/a", "to 80 euros"),)
    )
    hits = tuple(Hit(name, 1.0) for name in TEXTS)
    given: dict[str, Any] = {
        "question": question, "system": "three passages", "gold": ("s/a#00",), "missing": (), "cut": False,
        "lists": {"BM25": hits, "MiniLM": hits[::-1], "fused": hits},
        "ranks": {"BM25": {"s/a#00": 1}, "MiniLM": {"s/a#00": 3}, "fused": {"s/a#00": None}},
        "shown": ("s/b#00", "s/a#00", "s/c#00"), "other_versions": (), "alike": 0.0,
        "answer": "It costs <70> euros.", "cited": ("s/a#00",), "chunks": CHUNKS,
    }  # fmt: skip
    return Trace(**{**given, **changes})


MISREAD = Case(
    "number misread", "70 stands in the gold passage.", trace(), "Show the gold sentence.", trace(answer="80 euros")
)
MIDDLE = Case(
    "lost in the middle", "It is number 2 of 3.", trace(answer="Much."), "Put it first.", trace(answer="Much.")
)


def gallery() -> FailureGallery:
    return FailureGallery([MISREAD, MIDDLE])


def test_a_right_diagnosis_gets_evidence_repair_and_result() -> None:
    verdict = gallery().judge(0, "number misread")
    assert verdict.right
    assert (
        verdict.words == "70 stands in the gold passage. Repair: Show the gold sentence. Then the answer is '80 euros'."
    )


def test_a_repair_that_did_not_bring_the_answer_says_so() -> None:
    assert "It still is not right" in gallery().judge(1, "lost in the middle").words


def test_a_wrong_diagnosis_says_what_the_trace_would_have_to_show() -> None:
    verdict = gallery().judge(0, "stale index")
    assert not verdict.right and WOULD_SHOW["stale index"] in verdict.words and "does not show that" in verdict.words


def test_what_is_true_but_later_is_told_apart() -> None:
    """The passage stands in the middle as well, but its number was read."""
    verdict = gallery().judge(0, "lost in the middle")
    assert not verdict.right and "True as well" in verdict.words and "number 2 of 3" in verdict.words


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_hint_and_words_for_what_it_would_show(kind: str) -> None:
    assert HINTS[kind].strip() and WOULD_SHOW[kind].strip()
    assert kind not in HINTS[kind]  # a hint does not name the answer


def test_the_hint_is_that_of_the_case() -> None:
    assert gallery().hint(1) == HINTS["lost in the middle"]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="at least one failure, got none"):
        FailureGallery([])
    with pytest.raises(ValueError, match="kind must be one of .* got bad luck"):
        FailureGallery([replace(MISREAD, kind="bad luck")])
    with pytest.raises(ValueError, match="kind must be one of .* got 'bad luck'"):
        gallery().judge(0, "bad luck")


def test_the_trace_is_well_formed_and_shows_every_step() -> None:
    page = trace_html(trace())
    ElementTree.fromstring(f"<div>{page}</div>")
    assert "&lt;now&gt;" in page and "<now>" not in page and "&lt;70&gt;" in page
    for words in (
        "BM25 1, MiniLM 3, fused –",
        "[2] ★ Title &amp; a",
        "<mark>to 80 euros</mark>",
        "Cites: [2]",
        "Gold answer: 80 euros",
    ):
        assert words in page
    assert page.count("<li>") == 9  # three places in three lists


def test_gold_that_was_left_out_stands_below_the_prompt() -> None:
    page = trace_html(trace(shown=("s/b#00",), cited=()))
    assert "Gold, but not in the prompt" in page and "outside: ★ Title &amp; a" in page and "Cites: nothing" in page
    assert "Gold, but not in the prompt" not in trace_html(trace())


def test_a_question_without_an_answer_says_so() -> None:
    question = replace(trace().question, answers=(), gold=())
    assert "none: the collection does not say" in trace_html(trace(question=question, gold=(), ranks={}))


def parts(box: Any) -> dict[str, Any]:
    chooser, shown, diagnosis, buttons, said, score = box.children
    check, hint = buttons.children
    return {
        "case": chooser,
        "trace": shown,
        "diagnosis": diagnosis,
        "check": check,
        "hint": hint,
        "said": said,
        "score": score,
    }


def test_the_widget_judges_hints_and_counts_first_tries() -> None:
    box = parts(failure_gallery_widget(gallery()))
    assert "It costs &lt;70&gt; euros." in box["trace"].value and "Diagnosed 0 of 2" in box["score"].value
    box["check"].click()
    assert "Choose a diagnosis first" in box["said"].value and "Diagnosed 0 of 2" in box["score"].value
    box["hint"].click()
    assert HINTS["number misread"] in box["said"].value
    box["diagnosis"].value = "distractor"
    assert KINDS["distractor"] in box["said"].value
    box["check"].click()
    assert "✘ Not this." in box["said"].value and 'role="status"' in box["said"].value
    box["diagnosis"].value = "number misread"
    box["check"].click()
    assert "✔ Right." in box["said"].value and "Diagnosed 1 of 2, 0 of them at the first try" in box["score"].value
    box["case"].value = 1
    assert "Much." in box["trace"].value and box["diagnosis"].value == ""
    box["diagnosis"].value = "lost in the middle"
    box["check"].click()
    box["diagnosis"].value = "invented"
    box["check"].click()  # a case that is solved stays solved
    assert "Diagnosed 2 of 2, 1 of them at the first try" in box["score"].value


def test_the_diagnoses_offered_are_all_kinds() -> None:
    box = parts(failure_gallery_widget(gallery()))
    assert [label for label, _ in box["diagnosis"].options] == [CHOOSE, *KINDS]


def test_the_demo_has_a_static_trace_and_alt_text(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append((bundle, options)))
    failure_gallery_demo(gallery())
    ((bundle, options),) = shown
    assert options == {"raw": True}
    assert trace_html(MISREAD.trace) in bundle["text/html"] and "<summary>Diagnosis</summary>" in bundle["text/html"]
    assert "number misread. 70 stands" in bundle["text/html"]
    assert bundle["text/plain"] == gallery().alt(0)
    assert "Question: What is <now> the fee?" in bundle["text/plain"] and "[2] Title & a (gold)" in bundle["text/plain"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]


def test_every_case_that_ships_can_be_shown_and_solved() -> None:
    shipped = FailureGallery(load_gallery().cases)
    for number, case in enumerate(shipped.cases):
        ElementTree.fromstring(f"<div>{trace_html(case.trace)}</div>")
        verdict = shipped.judge(number, case.kind)
        assert verdict.right and case.evidence in verdict.words
        wrong = [kind for kind in KINDS if kind != case.kind]
        assert not any(shipped.judge(number, kind).right for kind in wrong)
