"""Rules over traces: each failure made by hand is found, its neighbour is not, and the earliest cause is named."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from course_lib.core.types import Chunk, GoldSpan, Hit, Question
from course_lib.systems.failures import FAR, KINDS, NEAR, RULES, Trace, diagnose, failed, numbers

TEXTS = {
    "fee": "The fee rose from 70 to 80 euros in May.",
    "old": "The fee is 60 euros. It is due in June.",
    "loan": "A meter lends 6 euros to Captain Vera Holm.",
    "wind": "Storms stop the turbine at 90 kilometres an hour.",
}
YEARS = {"fee": 2026, "old": 2021, "loan": 2024, "wind": 2024}


def chunk(name: str) -> Chunk:
    text = TEXTS[name]
    return Chunk(f"s/{name}#00", f"s/{name}", f"On the {name}", datetime.date(YEARS[name], 3, 5), text, 0, len(text))


def ids(*names: str) -> tuple[str, ...]:
    return tuple(f"s/{name}#00" for name in names)


def trace(**changes: Any) -> Trace:
    """What is right: the fee is asked, its passage first in every list and alone in the prompt, 80 euros said and cited."""
    question = Question(
        "q1", "What does a late bill cost?", "number_or_date", "help_desk", "dev", ("80 euros", "EUR 80"),
        (GoldSpan("s/fee", "from 70 to 80 euros"),),
    )  # fmt: skip
    hits = tuple(Hit(name, 1.0 - place / 10) for place, name in enumerate(ids("fee", "old", "loan", "wind")))
    given: dict[str, Any] = {
        "question": question,
        "system": "one passage",
        "gold": ids("fee"),
        "missing": (),
        "cut": False,
        "lists": {"BM25": hits, "MiniLM": hits, "fused": hits},
        "ranks": {name: {"s/fee#00": 1} for name in ("BM25", "MiniLM", "fused")},
        "shown": ids("fee"),
        "other_versions": (),
        "alike": 0.0,
        "answer": "It costs 80 euros.",
        "cited": ids("fee"),
        "chunks": {f"s/{name}#00": chunk(name) for name in TEXTS},
    }
    return Trace(**{**given, **changes})


def ranks(bm25: int | None, dense: int | None, fused: int | None) -> dict[str, dict[str, int | None]]:
    return {"BM25": {"s/fee#00": bm25}, "MiniLM": {"s/fee#00": dense}, "fused": {"s/fee#00": fused}}


UNANSWERABLE = Question("q2", "What colour is the fee?", "unanswerable", "help_desk", "dev")
FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "unanswerable answered": (
        {"question": UNANSWERABLE, "gold": (), "ranks": {}, "answer": "It is blue."},
        "no gold passage",
    ),
    "stale index": ({"missing": ids("fee"), "shown": ids("old"), "answer": "60 euros."}, "05 March 2026"),
    "bad chunk border": ({"cut": True, "answer": "70 euros."}, "begin in one and end in another"),
    "wrong version": (
        {"shown": ids("old"), "other_versions": ids("old"), "answer": "60 euros."},
        "Passage 1 is the version of 05 March 2021; that of 05 March 2026 is asked",
    ),
    "near-duplicate crowding": (
        {"shown": ids("old", "loan", "wind"), "alike": 0.5, "ranks": ranks(4, 6, 5), "answer": "6 euros."},
        "1 of 3 passages repeat one above them (cosine of at least 0.8); a gold passage waits at rank 5",
    ),
    "lexical gap": (
        {"shown": ids("old"), "ranks": ranks(None, NEAR, 9), "answer": "60 euros."},
        "MiniLM has the gold passage at rank 3, BM25 nowhere; fused, it falls to rank 9",
    ),
    "made-up passage": ({"answer": "[2] On the bill (5 March 2026)"}, "cites [2], and the prompt holds 1 passage."),
    "distractor": (
        {"shown": ids("fee", "wind"), "answer": "It costs 90 euros."},
        "90 of the answer: in passage 2, not in the gold passage",
    ),
    "number misread": (
        {"answer": "It costs 70 euros."},
        "70 of the answer stands in the gold passage, beside '80 euros'",
    ),
    "invented": ({"answer": "It costs 44 euros."}, "44 of the answer: in no passage"),
    "lost in the middle": (
        {"shown": ids("wind", "fee", "loan"), "answer": "It costs much."},
        "number 2 of 3",
    ),
    "wrong citation": ({"shown": ids("old", "fee"), "cited": ids("old")}, "cites [1]; the gold passage is [2]"),
}


def test_a_right_answer_is_no_failure() -> None:
    assert trace().right and not failed(trace()) and diagnose(trace()) is None
    assert not any(RULES[kind](trace()) for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_failure_made_by_hand_is_named_with_its_evidence(kind: str) -> None:
    changes, words = FAILURES[kind]
    found = diagnose(trace(**changes))
    assert found is not None and found[0] == kind and words in found[1]


def test_every_kind_has_a_rule_in_the_order_of_the_pipeline() -> None:
    assert list(RULES) == list(KINDS) == list(FAILURES)


NO_FAILURES: dict[str, dict[str, Any]] = {
    "unanswerable answered": {"question": UNANSWERABLE, "gold": (), "ranks": {}, "answer": "I do not know."},
    "wrong version": {"shown": ids("old", "fee"), "other_versions": ids("old"), "answer": "much"},
    "near-duplicate crowding": {"shown": ids("old", "loan", "wind"), "alike": 0.49, "ranks": ranks(4, 6, 5)},
    "lexical gap": {"shown": ids("old"), "ranks": ranks(FAR, NEAR, 9), "answer": "60 euros."},
    "made-up passage": {"shown": ids("fee", "wind"), "answer": "It costs 70 euros [2]."},
    "distractor": {"shown": ids("wind", "fee"), "answer": "It costs 70 euros."},
    "number misread": {"answer": "It costs 44 euros."},
    "invented": {"answer": "It costs 70 euros.", "shown": ids("fee")},
    "lost in the middle": {"shown": ids("fee", "wind", "loan"), "answer": "It costs much."},
    "wrong citation": {"shown": ids("old", "fee"), "cited": ids("fee")},
}


@pytest.mark.parametrize("kind", NO_FAILURES)
def test_what_lies_just_beside_a_failure_is_not_called_one(kind: str) -> None:
    assert RULES[kind](trace(**NO_FAILURES[kind])) == ""


@pytest.mark.parametrize("shown", [ids("fee", "wind", "loan"), ids("wind", "loan", "fee"), ids("wind", "fee")])
def test_first_and_last_are_not_the_middle(shown: tuple[str, ...]) -> None:
    assert RULES["lost in the middle"](trace(shown=shown, answer="It costs much.")) == ""


def test_the_right_number_is_not_misread() -> None:
    said = trace(answer="It costs 80 dollars.")
    assert not said.right and RULES["number misread"](said) == ""


def test_the_earliest_cause_is_named() -> None:
    """The index is stale, and the version shown is another one: both rules fire."""
    both = trace(missing=ids("fee"), shown=ids("old"), other_versions=ids("old"), answer="60 euros.")
    assert RULES["wrong version"](both) and RULES["stale index"](both)
    found = diagnose(both)
    assert found is not None and found[0] == "stale index"


def test_a_gap_needs_both_sides() -> None:
    for bm25, dense, expected in ((None, 1, True), (FAR + 1, NEAR, True), (FAR + 1, NEAR + 1, False), (2, 1, False)):
        found = RULES["lexical gap"](trace(shown=ids("old"), ranks=ranks(bm25, dense, 9), answer="60"))
        assert bool(found) is expected, (bm25, dense)


def test_one_of_several_gold_passages_is_enough_only_where_the_question_says_so() -> None:
    two = trace(gold=ids("fee", "loan"))
    assert two.left_out == ids("loan")
    assert replace(two, question=replace(two.question, any_gold=True)).left_out == ()
    assert trace(shown=ids("old")).left_out == ids("fee")


def test_what_the_question_and_the_header_say_is_no_evidence() -> None:
    """5 March stands in the header of every passage, and 2026 in that of the gold passage."""
    assert RULES["distractor"](trace(shown=ids("wind", "fee"), answer="On 5 March.")) == ""
    asked = replace(trace().question, text="What does it cost at 90 kilometres an hour?")
    assert RULES["distractor"](trace(question=asked, shown=ids("fee", "wind"), answer="It costs 90.")) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("EUR 1,184 in all", {"1184"}), ("19 July 2026.", {"19", "2026"}), ("two of 3.5 per cent", {"2", "3.5"}), ("none", set())],
)  # fmt: skip
def test_numbers_in_one_way_of_writing(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_the_number_of_a_passage() -> None:
    assert trace(shown=ids("old", "fee")).number("s/fee#00") == 2
    with pytest.raises(ValueError, match="not in tuple"):
        trace().number("s/old#00")
