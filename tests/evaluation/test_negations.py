"""Negations: which clauses say no, which survive, and how many of those dropped on purpose are noticed."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.corpus.load import COLLECTIONS
from course_lib.evaluation.negations import compare_negations, content_stems, denied_stems, negated_clauses

NOT = re.compile(
    r"\b(?:(?P<verb>did|do|does|was|were|is|are|has|have|had) not|cannot|never|without|not|none|no|nor|neither|nobody|nothing)\b",
    re.I,
)
TURNED = {
    "cannot": "can", "never": "always", "without": "with", "not": "", "none": "all", "no": "some", "nor": "and",
    "neither": "both", "nobody": "everybody", "nothing": "everything",
}  # fmt: skip


@cache
def rows() -> tuple[dict[str, Any], ...]:
    text = (COLLECTIONS / "neurology" / "plain_words_pairs.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def without(match: re.Match[str]) -> str:
    """The same words without the negation."""
    return match["verb"] or TURNED[match[0].lower()]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("It did not slow decline, but it helped.", ["It did not slow decline"]),
        ("It helped, but it never slowed decline.", ["but it never slowed decline."]),
        ("Nobody fell. All were well. No one left.", ["Nobody fell.", "No one left."]),
        ("It isn't; it wasn’t; it can't; it cannot.", ["It isn't;", "it wasn’t;", "it can't;", "it cannot."]),
        ("Not only the old fall ill, and no doubt more.", []),
        ("Notes on a knot, nothing else.", ["Notes on a knot, nothing else."]),
        ("", []),
    ],
)
def test_clauses_that_say_no(text: str, clauses: list[str]) -> None:
    assert negated_clauses(text) == clauses


def test_stems() -> None:
    assert content_stems("Patients were walking slowly, with them") == {"patie", "walki", "slowl"}
    assert denied_stems("Of the people in this large trial of tremor, the drug did not help any of them walk") == {
        "drug", "help", "walk",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "rewriting", "kept", "lost", "invented"),
    [
        ("It did not slow decline.", "It could not slow the decline.", 1, 0, 0),
        ("It did not slow decline.", "It did slow the decline.", 0, 1, 0),
        ("It did not slow decline.", "The decline went on all the same.", 0, 1, 0),
        ("It did not slow decline.", "The trial missed its goal.", 1, 0, 0),
        ("No benefit was seen.", "They looked for a benefit. They did not find one.", 1, 0, 0),
        ("No benefit was seen; nobody died.", "There was no benefit. Nobody died.", 2, 0, 0),
        ("No benefit was seen; nobody died.", "There was no benefit. Everybody died.", 1, 1, 0),
        ("Nobody slept. Nothing moved.", "Never, never did they eat.", 1, 1, 0),  # one sentence cannot stand for both
        ("The drug slowed decline.", "The drug never slowed the decline.", 0, 0, 1),
        ("The drug slowed decline.", "The drug slowed decline. It cannot be bought.", 0, 0, 0),
        ("It helped.", "It helped.", 0, 0, 0),
    ],
)
def test_by_hand(source: str, rewriting: str, kept: int, lost: int, invented: int) -> None:
    found = compare_negations(source, rewriting)
    assert (len(found.kept), len(found.lost), len(found.invented)) == (kept, lost, invented)


def test_a_clause_keeps_its_words() -> None:
    found = compare_negations("It helped, but it did not cure. Nobody fell.", "It helped, and it cured. No one fell.")
    assert found.kept == ("Nobody fell.",) and found.lost == ("but it did not cure.",)


def test_most_of_those_dropped_from_a_copy_are_noticed() -> None:
    """A model that copies and drops one "not": 19 of 20 are seen. The share is what lesson 13 may rely on."""
    noticed = []
    for row in rows():
        text = row["clinician"]
        for match in NOT.finditer(text):
            wrong = f"{text[: match.start()]}{without(match)}{text[match.end() :]}"
            noticed.append(bool(compare_negations(text, wrong).lost))
    assert len(noticed) > 50 and sum(noticed) / len(noticed) > 0.9


def test_fewer_are_noticed_in_free_wording_and_people_are_not_accused() -> None:
    """The limit of the rule, in figures: of all negations dropped from a rewriting, most are seen; of single ones, few."""
    kept = lost = 0
    single, all_at_once = [], []
    for row in rows():
        source, text = row["clinician"], row["patient"]
        before = compare_negations(source, text)
        kept, lost = kept + len(before.kept), lost + len(before.lost)
        if before.kept:
            all_at_once.append(len(compare_negations(source, NOT.sub(without, text)).lost) > len(before.lost))
            for match in NOT.finditer(text):
                wrong = f"{text[: match.start()]}{without(match)}{text[match.end() :]}"
                single.append(len(compare_negations(source, wrong).lost) > len(before.lost))
    assert lost <= 0.05 * (kept + lost) and kept > 40
    assert sum(all_at_once) / len(all_at_once) > 0.7
    assert 0.25 < sum(single) / len(single) < 0.6, "if this has become better, say so in the docstring"


@pytest.mark.parametrize(("source", "rewriting", "name"), [(" ", "a", "source"), ("a", "", "rewriting")])
def test_bad_input(source: str, rewriting: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must not be empty"):
        compare_negations(source, rewriting)


@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip))
def test_every_negated_clause_is_kept_or_lost(source: str, rewriting: str) -> None:
    found = compare_negations(source, rewriting)
    assert sorted([*found.kept, *found.lost]) == sorted(negated_clauses(source))


@given(st.sampled_from(range(117)))
def test_a_copy_keeps_all(number: int) -> None:
    text = rows()[number]["clinician"]
    found = compare_negations(text, text)
    assert found.lost == () == found.invented
