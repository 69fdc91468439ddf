"""The rules of the decision guide one by one: at the limit, beside it, unknown, and impossible by construction."""

from __future__ import annotations

import math
from typing import Any

import pytest

from course_lib.evaluation.significance import Interval
from course_lib.systems.guide_rows import APPROACHES, Row
from course_lib.systems.guide_rules import FAILS, HOLDS, RULES, UNKNOWN, Profile, duration, findings


def found(
    rule: str, profile: dict[str, Any], row: dict[str, Any] | None, approach: str = "rag"
) -> tuple[str, str] | None:
    """State and sentence of one rule, or None where it is not asked for."""
    measured = None if row is None else Row(approach, **row)
    matches = [each for each in findings(Profile(**profile), APPROACHES[approach], measured) if each.rule == rule]
    return (matches[0].state, matches[0].sentence) if matches else None


def state(*args: Any, **options: Any) -> str | None:
    said = found(*args, **options)
    return said[0] if said else None


def test_a_profile_that_asks_for_nothing_is_judged_by_what_always_counts() -> None:
    names = [finding.rule for finding in findings(Profile(), APPROACHES["rag"], None)]
    assert names == ["task", "examples"]


def test_every_rule_can_be_asked_for_and_comes_in_the_order_of_the_list() -> None:
    full = Profile("all", "text", "x", 1, 10, 1, 1, 0.5, 0.5, 0.5)
    assert [finding.rule for finding in findings(full, APPROACHES["hybrid"], None)] == [rule.name for rule in RULES]


def test_updates_by_hand() -> None:
    """24 changes a day: one every 3,600 s. 3,600 s of work is just in time, 3,601 s is not."""
    asked = {"updates_per_day": 24}
    assert found("updates", asked, {"fresh_seconds": 3600}) == (
        HOLDS, "It needs 60 min until it answers from a new document; a change comes every 60 min.",
    )  # fmt: skip
    assert state("updates", asked, {"fresh_seconds": 3601}) == FAILS
    assert state("updates", {"updates_per_day": 1 / 365}, {"fresh_seconds": 364 * 86400}) == HOLDS
    said = found("updates", asked, {"fresh_seconds": math.inf})
    assert said == (FAILS, "It never answered from a new document; a change comes every 60 min.")
    assert state("updates", asked, {}) == state("updates", asked, None) == UNKNOWN
    assert state("updates", {}, {"fresh_seconds": math.inf}) is None


@pytest.mark.parametrize("approach", ["prompt", "tuning", "classifier"])
def test_what_reads_nothing_cannot_cite_whatever_was_measured(approach: str) -> None:
    """A tuned model can learn to write "(Refunds policy, 2025)"; it has not looked it up."""
    said = found("citations", {"min_cited": 0.01}, {"cited": Interval(0.95, 0.9, 1.0, 50)}, approach=approach)
    assert said is not None and said[0] == FAILS and "remembered or made up" in said[1]
    assert state("citations", {}, {}, approach=approach) is None


@pytest.mark.parametrize("approach", ["rag", "hybrid", "long_context"])
def test_what_reads_must_have_been_measured_to_cite(approach: str) -> None:
    asked = {"min_cited": 0.6}
    assert state("citations", asked, {"cited": Interval(0.7, 0.6, 0.8, 50)}, approach=approach) == HOLDS
    assert state("citations", asked, {"cited": Interval(0.7, 0.59, 0.8, 50)}, approach=approach) == UNKNOWN
    assert state("citations", asked, {"cited": Interval(0.5, 0.4, 0.59, 50)}, approach=approach) == FAILS
    assert state("citations", asked, None, approach=approach) == UNKNOWN


@pytest.mark.parametrize(
    ("rule", "asked", "measure"), [("style", "min_style", "style"), ("right", "min_right", "right")]
)
def test_a_share_is_judged_by_its_interval(rule: str, asked: str, measure: str) -> None:
    row = {measure: Interval(0.7, 0.6, 0.8, 50)}
    assert [state(rule, {asked: wanted}, row) for wanted in (0.5, 0.6, 0.61, 0.8, 0.81)] == [
        HOLDS, HOLDS, UNKNOWN, UNKNOWN, FAILS,
    ]  # fmt: skip
    said = found(rule, {asked: 0.7}, row)
    assert said is not None and "0.70 [0.60, 0.80] n=50; 0.70 is asked for" in said[1] and "more questions" in said[1]
    assert state(rule, {asked: 0.5}, {}) == UNKNOWN and state(rule, {}, row) is None


@pytest.mark.parametrize(
    ("rule", "asked", "measure"), [("latency", "max_seconds", "seconds"), ("memory", "max_memory_mb", "memory_mb")]
)
def test_a_limit_may_be_reached(rule: str, asked: str, measure: str) -> None:
    row = {measure: 5.0}
    assert [state(rule, {asked: most}, row) for most in (4.9, 5.0, 5.1)] == [FAILS, HOLDS, HOLDS]
    assert state(rule, {asked: 5.0}, {}) == state(rule, {asked: 5.0}, None) == UNKNOWN
    assert state(rule, {}, row) is None


def test_the_figure_stands_in_the_sentence() -> None:
    assert found("latency", {"max_seconds": 2}, {"seconds": 3.04}) == (
        FAILS, "Measured time for a question: 3 s; at most 2 s is asked for.",
    )  # fmt: skip
    assert found("memory", {"max_memory_mb": 2000}, {"memory_mb": 1234.4}) == (
        HOLDS, "Measured memory: 1,234 MB; at most 2,000 MB is asked for.",
    )  # fmt: skip


@pytest.mark.parametrize("approach", ["tuning", "hybrid", "classifier"])
def test_examples_count_for_what_learns(approach: str) -> None:
    assert state("examples", {"labelled_examples": 100}, {"examples": 100}, approach=approach) == HOLDS
    said = found("examples", {"labelled_examples": 1_099}, {"examples": 1_100}, approach=approach)
    assert said == (FAILS, "Its figures were reached with 1,100 examples; you have 1,099.")
    assert state("examples", {"labelled_examples": 100}, {}, approach=approach) == UNKNOWN
    assert state("examples", {}, None, approach="rag") == HOLDS


def test_a_classifier_writes_no_answers() -> None:
    assert state("task", {"task": "text"}, None, approach="classifier") == FAILS
    assert state("task", {"task": "labels"}, None, approach="classifier") == HOLDS
    assert state("task", {"task": "labels"}, None, approach="rag") == HOLDS


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (0.05, "0.05 s"), (0.4, "0.4 s"), (12, "12 s"), (119, "119 s"), (120, "2 min"), (3600, "60 min"),
        (7200, "2 h"), (86400, "24 h"), (172800, "2 days"), (182.5 * 86400, "182 days"),
    ],
)  # fmt: skip
def test_times_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "poems"}, "task must be one of text, labels"),
        ({"updates_per_day": -1}, "updates_per_day must be a number of at least 0"),
        ({"updates_per_day": math.inf}, "updates_per_day"),
        ({"updates_per_day": math.nan}, "updates_per_day"),
        ({"labelled_examples": -5}, "labelled_examples must be"),
        ({"max_seconds": 0}, "max_seconds must be above 0, got 0; None if it does not matter"),
        ({"max_memory_mb": -1}, "max_memory_mb must be above 0"),
        ({"min_cited": 0}, "min_cited must be above 0 and at most 1"),
        ({"min_style": 1.2}, "min_style must be"),
        ({"min_right": math.nan}, "min_right must be"),
    ],
)
def test_a_profile_that_cannot_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Profile(**change)
