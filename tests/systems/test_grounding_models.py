"""Groundedness with the course's own models: gold answers in gold passages, and what breaks them."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk
from course_lib.corpus.labelled_answers import load_labelled_answers
from course_lib.evaluation.grounding import Groundedness, Grounding, read_rule
from course_lib.generation.prompting import closed_book_messages, rag_messages
from course_lib.systems.grounding_models import RULE, likelihood_ratios, load_groundedness

RESULT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "groundedness.json"


def chunk(text: str, title: str) -> Chunk:
    return Chunk(f"{title}#00", title, title, datetime.date(2026, 7, 19), text, 0, len(text))


SPARROW = chunk(
    "When the balance of a Sparrow meter falls below EUR 1, the word LEND appears. Press 2 and then the blue key, and "
    "the meter lends you EUR 6. It is taken back in full from your next top-up.",
    "Emergency credit on the Sparrow meter",
)
MATCH = chunk(
    "A crowd of 78,000 came to the stadium. Spain beat Argentina 1-0 after extra time. Ferran Torres scored in minute 106.",
    "Spain - Argentina, 19 July 2026",
)
BATH = chunk(
    "A shower is cheaper than a bath. A bath of 140 litres at 38 degrees takes 4.2 kilowatt-hours. Fill it less.",
    "Hot water",
)
CASES = [
    ("How much emergency credit does a Sparrow lend?", "It lends EUR 6.", SPARROW, "EUR 6", "EUR 9"),
    (
        "In which minute did Ferran Torres score?",
        "Ferran Torres scored in minute 106.",
        MATCH,
        "minute 106",
        "minute 63",
    ),
    ("How much electricity goes into a bath of 140 litres?", "The answer is: 4.2 kilowatt-hours.", BATH, "4.2", "7.5"),
]


@cache
def judge() -> Groundedness:
    return load_groundedness()


@cache
def verdicts() -> list[tuple[Grounding, Grounding, Grounding, Grounding]]:
    """For each case: the gold passage, its sentence removed, another passage, its number changed."""
    asked = []
    for place, (question, answer, passage, figure, other) in enumerate(CASES):
        sentence = next(part for part in re.split(r"(?<=\.) ", passage.text) if figure in part)
        removed = chunk(passage.text.replace(sentence, "").strip(), passage.title)
        changed = chunk(passage.text.replace(figure, other), passage.title)
        asked += [(question, answer, [shown]) for shown in (passage, removed, CASES[place - 1][2], changed)]
    found = judge().many(asked)
    return [tuple(found[start : start + 4]) for start in range(0, len(found), 4)]  # type: ignore[misc]


def test_gold_answers_in_their_passages_are_supported_but_for_a_known_miss() -> None:
    """The Sparrow is refused: the nearest sentence names meter and EUR 1, the figure stands in the next one."""
    assert [gold.supported for gold, *_ in verdicts()] == [False, True, True]
    (missed,) = verdicts()[0][0].sentences
    assert missed.features["figures"] == 0
    assert "EUR 6" not in missed.quote


def test_on_dev_questions_gold_answers_pass_and_broken_ones_do_not() -> None:
    cases = json.loads(RESULT.read_text(encoding="utf-8"))["figures"]["made_cases"]
    gold = cases.pop("gold answer in its passage")
    assert len(cases) == 3
    for broken in cases.values():
        assert gold["supported"]["low"] > 0.5 > broken["supported"]["high"]
        assert gold["score"]["low"] > broken["score"]["high"]


@pytest.mark.parametrize("broken", [1, 2, 3], ids=["support removed", "passage swapped", "number changed"])
def test_the_score_falls_when_the_support_is_broken(broken: int) -> None:
    for case in verdicts():
        assert case[broken].score < case[0].score
        assert not case[broken].supported


def test_the_supporting_passage_and_sentence_are_found_among_several() -> None:
    passages = [SPARROW, MATCH, BATH]
    for question, answer, passage, figure, _ in CASES:
        (sentence,) = judge()(question, answer, passages).sentences
        assert passages[sentence.passage] is passage
        assert figure in sentence.quote or passage is SPARROW


def test_the_shipped_rule_is_the_one_that_the_benchmark_measured() -> None:
    result = json.loads(RESULT.read_text(encoding="utf-8"))["figures"]
    kept = json.loads(RULE.read_text(encoding="utf-8"))
    assert kept["rule"] == result["rule"]
    assert kept["n"] == result["n"] == len(load_labelled_answers())
    assert list(read_rule(RULE).features) == result["rules"][result["shipped"]]["features"]
    assert min(read_rule(RULE).weights) > 0


def test_labelled_answers_are_told_apart() -> None:
    """In-sample, so only a coarse bound: supported answers score higher by far."""
    answers = load_labelled_answers()
    found = judge().many([(a.question, a.answer, [a.passage]) for a in answers])
    scores, labels = np.array([v.score for v in found]), np.array([a.supported for a in answers])
    assert (scores[labels][:, None] > scores[~labels][None, :]).mean() > 0.8


class Reader:
    """Stands in for the language model: remembers what it read; a reply is likelier after more characters."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Sequence[Message], str]] = []

    def mean_log_likelihoods(
        self, pairs: Sequence[tuple[Sequence[Message], str]], *, progress: str = ""
    ) -> list[float]:
        self.pairs = list(pairs)
        return [-1000.0 / sum(len(message["content"]) for message in messages) for messages, _ in pairs]


def test_ratios_compare_the_same_claim_with_and_without_passages() -> None:
    reader: Any = Reader()
    claims = [("Who won?", "Spain", (MATCH,)), ("Who won?", "Italy", (MATCH,)), ("Who won?", "Spain", (BATH, MATCH))]
    ratios = likelihood_ratios(reader)(claims)
    assert all(ratio > 0 for ratio in ratios)
    assert ratios[0] == ratios[1] < ratios[2]
    assert [reply for _, reply in reader.pairs] == ["Spain", "Italy", "Spain"] * 2
    assert reader.pairs[0][0] == rag_messages("Who won?", [MATCH])
    assert reader.pairs[3][0] == closed_book_messages("Who won?")
    assert reader.pairs[0][0] is reader.pairs[1][0]  # one object, so that the model reads the prompt once
    assert len({id(messages) for messages, _ in reader.pairs}) == 3
    assert likelihood_ratios(reader)([]) == []
