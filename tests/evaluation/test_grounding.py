"""The rule and the verdict, with a tiny honest encoder: hashed words, so that shared words are near."""

from __future__ import annotations

import datetime
import json
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk
from course_lib.core.validate import FloatArray
from course_lib.evaluation.grounding import Groundedness, Rule, read_rule
from course_lib.evaluation.grounding_features import FEATURES

DIM = 64


def rule(**changed: Any) -> Rule:
    values = {
        "features": ("words", "figures", "gain"), "means": (0.5, 0.5, 0.0), "scales": (0.5, 0.5, 0.1),
        "weights": (1.0, 2.0, 1.0), "bias": -0.5, **changed,
    }  # fmt: skip
    return Rule(**values)


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower())) - {"the", "was", "in", "it"}


def embed(texts: Sequence[str]) -> FloatArray:
    vectors = np.full((len(texts), DIM), 0.01, dtype=np.float32)
    for row, text in enumerate(texts):
        for word in words(text):
            vectors[row, zlib.crc32(word.encode()) % DIM] += 1
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def split(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"[^.\s][^.]*\.?", text)]


def chunk(text: str, number: int = 0, title: str = "Final") -> Chunk:
    return Chunk(f"s/d#{number:02}", "s/d", title, datetime.date(2026, 7, 19), text, 0, len(text))


judge = Groundedness(rule(), embed, split, words)
QUESTION = "In which minute did Torres score"
GOLD = chunk("It was hot in New Jersey. Torres scored in minute 106. The crowd numbered 82500.")


def test_hand_worked_score() -> None:
    # z = -0.5 + 1 * (1 - .5) / .5 + 2 * (1 - .5) / .5 + 1 * (.1 - 0) / .1 = 3.5
    score = rule()({"words": 1.0, "figures": 1.0, "gain": 0.1, "other": 7.0})
    assert score == pytest.approx(1 / (1 + math.exp(-3.5)))
    # at the means z is the bias
    assert rule(bias=0.0)({"words": 0.5, "figures": 0.5, "gain": 0.0}) == 0.5


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_scores_are_bounded_and_rise_with_a_feature_of_positive_weight(one: float, other: float) -> None:
    low, high = (rule()({"words": value, "figures": 0.5, "gain": 0.0}) for value in sorted((one, other)))
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"features": ("words", "taste", "gain")}, "features must be among words, .*, got words, taste, gain"),
        ({"features": (), "means": (), "scales": (), "weights": ()}, "features must be among .*, got none"),
        ({"means": (0.5, 0.5)}, r"means must be 3 finite numbers, one a feature, got \(0.5, 0.5\)"),
        ({"weights": (1.0, math.nan, 1.0)}, "weights must be 3 finite numbers"),
        ({"scales": (0.5, 0.0, 0.1)}, "scales must be larger than 0"),
    ],
)
def test_a_rule_is_checked(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule(**changed)


def test_a_rule_wants_its_features() -> None:
    with pytest.raises(ValueError, match="the rule needs figures, gain, got words; pass what computes it"):
        rule()({"words": 1.0})


def test_a_rule_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "rule.json"
    path.write_text(json.dumps({"made_by": "a test", "rule": rule().as_json()}), encoding="utf-8")
    assert read_rule(path) == rule()


def test_a_verdict_names_the_sentence_that_supports() -> None:
    verdict = judge(QUESTION, "The answer is: minute 106 [1].", [chunk("Nobody knows.", 1), GOLD])
    (only,) = verdict.sentences
    assert verdict.supported
    assert only.sentence == "The answer is: minute 106 [1]."
    assert (only.passage, only.quote) == (1, "Torres scored in minute 106.")
    assert GOLD.text[slice(*only.span)] == only.quote
    assert only.features["figures"] == only.features["words"] == 1
    assert set(only.features) == set(FEATURES) - {"ratio"}


def test_an_answer_is_as_good_as_its_weakest_sentence() -> None:
    answer = "Torres scored in minute 106. Messi wept for 40 days."
    verdict = judge(QUESTION, answer, [GOLD])
    good, bad = verdict.sentences
    assert good.supported
    assert not bad.supported
    assert verdict.weakest is bad
    assert verdict.score == bad.score < good.score
    assert not verdict.supported
    assert [answer[s.start : s.end] for s in verdict.sentences] == [s.sentence for s in verdict.sentences]
    assert judge(QUESTION, "Torres scored in minute 106.", [GOLD]).score == pytest.approx(good.score)


@pytest.mark.parametrize(
    "passage",
    [
        "It was hot in New Jersey. The crowd numbered 82500.",  # the support removed
        "Shearing begins in spring. A fleece weighs 4 kilograms.",  # swapped
        "It was hot in New Jersey. Torres scored in minute 63. The crowd numbered 82500.",  # its number changed
        "It was hot in New Jersey. Torres scored. The crowd numbered 106.",  # the number elsewhere
    ],
)
def test_the_score_falls_when_the_support_goes(passage: str) -> None:
    assert judge(QUESTION, "Minute 106.", [chunk(passage)]).score < judge(QUESTION, "Minute 106.", [GOLD]).score


def test_the_score_falls_when_the_answer_changes_its_number() -> None:
    assert judge(QUESTION, "Minute 63.", [GOLD]).score < judge(QUESTION, "Minute 106.", [GOLD]).score


def test_many_agrees_with_one_by_one_and_embeds_each_text_once() -> None:
    seen: list[list[str]] = []

    def counted(texts: Sequence[str]) -> FloatArray:
        seen.append(list(texts))
        return embed(texts)

    asked = [(QUESTION, "Minute 106.", [GOLD]), (QUESTION, "Hot. Minute 3.", [GOLD, chunk("A crowd.", 1)])] * 2
    together = Groundedness(rule(), counted, split, words).many(asked)
    assert len(seen) == 1
    assert len(seen[0]) == len(set(seen[0]))
    assert together == [judge(*one) for one in asked]
    assert judge.many([]) == []


def test_ratios_are_asked_for_every_claim_and_reach_the_rule() -> None:
    asked: list[Any] = []

    def ratios(claims: Sequence[Any]) -> list[float]:
        asked.extend(claims)
        return [2.0, -2.0, 0.0][: len(claims)]

    by_ratio = Rule(("ratio",), (0.0,), (1.0,), (1.0,), 0.0)
    first, second = Groundedness(by_ratio, embed, split, words, ratios).many(
        [(QUESTION, "Minute 106 [1]. Hot.", [GOLD]), (QUESTION, "Cold.", [GOLD])]
    )
    assert asked == [(QUESTION, claim, (GOLD,)) for claim in ("Minute 106.", "Hot.", "Cold.")]
    assert [s.features["ratio"] for s in first.sentences] == [2.0, -2.0]
    assert first.score == pytest.approx(1 / (1 + math.exp(2)))
    assert second.score == 0.5
    with pytest.raises(ValueError, match="the rule needs ratio"):
        Groundedness(by_ratio, embed, split, words)(QUESTION, "Hot.", [GOLD])


@pytest.mark.parametrize(
    ("question", "answer", "passages", "message"),
    [
        (" ", "Minute 106.", [GOLD], "question must not be empty"),
        (QUESTION, "", [GOLD], "answer must not be empty"),
        (QUESTION, "[1]", [GOLD], r"answer must hold more than citations, got '\[1\]'"),
        (QUESTION, "Minute 106.", [], "passages must hold at least one sentence, got none"),
        (QUESTION, "Minute 106.", [chunk(" ")], "passages must hold at least one sentence, got none"),
    ],
)
def test_what_cannot_be_judged_is_refused(question: str, answer: str, passages: list[Chunk], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge(question, answer, passages)
