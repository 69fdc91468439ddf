"""Mixtures of stages: by hand, and the choice of weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from course_lib.evaluation.ranking import metric_values
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.retrieval.late_interaction import ContextualTokens, max_sim
from course_lib.systems.compare import Candidates, best_weights, late_interaction_pairs

TABLE = Candidates({"q": "who", "r": "when"}, {"q": ["a", "b", "c"], "r": ["b", "d"]})


def test_a_mixture_by_hand() -> None:
    table = TABLE.with_stage("one", {"q": [3, 2, 1], "r": [0, 1]}).with_stage("two", {"q": [0, 9, 0], "r": [1, 0]})
    assert table.rankings({"one": 1}) == {"q": ["a", "b", "c"], "r": ["d", "b"]}
    # standardised: one (1.22, 0, -1.22), two (-0.71, 1.41, -0.71); sums 0.52, 1.41, -1.93
    assert table.rankings({"one": 1, "two": 1})["q"] == ["b", "a", "c"]
    assert table.rankings({"one": 1, "two": 1})["r"] == ["b", "d"]  # they cancel out: the tie falls by id
    assert table.only(["r"]).rankings({"two": 1}) == {"r": ["b", "d"]}


def test_pairs_reach_the_scorer_once_and_come_back_in_place() -> None:
    def scorer(queries: Sequence[str], texts: Sequence[str]) -> list[float]:
        assert list(zip(queries, texts, strict=True)) == [
            ("who", "A"), ("who", "B"), ("who", "C"), ("when", "B"), ("when", "D"),
        ]  # fmt: skip
        return [1, 2, 3, 5, 4]

    table = TABLE.scored_by("s", scorer, {name: name.upper() for name in "abcd"})
    assert table.rankings({"s": 1}) == {"q": ["c", "b", "a"], "r": ["b", "d"]}


def test_bad_stages() -> None:
    with pytest.raises(ValueError, match="stage s must score all 3 candidates of query q, got 2"):
        TABLE.with_stage("s", {"q": [1, 2], "r": [1, 2]})
    with pytest.raises(ValueError, match="stage must be one of"):
        TABLE.with_stage("s", {"q": [1, 2, 3], "r": [1, 2]}).rankings({"t": 1})


def test_weights_are_found_and_a_stage_of_noise_is_left_out() -> None:
    rng = np.random.default_rng(5)
    ids = {f"q{i}": [f"c{j}" for j in range(8)] for i in range(60)}
    judgements = {name: {f"c{rng.integers(8)}": 1.0} for name in ids}
    signal = {
        name: [gains.get(candidate, 0.0) + rng.normal(0, 0.6) for candidate in ids[name]]
        for name, gains in judgements.items()
    }
    noise = {name: rng.normal(size=8) for name in ids}
    table = Candidates(dict.fromkeys(ids, ""), ids).with_stage("signal", signal).with_stage("noise", noise)

    def score(rankings: dict[str, list[str]]) -> float:
        return float(metric_values("nDCG@10", rankings, judgements).mean())

    weights = best_weights(table, ["signal", "noise"], score)
    assert weights["signal"] > 2 * weights["noise"]
    assert score(table.rankings(weights)) >= score(table.rankings({"signal": 1, "noise": 1}))


def test_late_interaction_of_pairs_equals_one_by_one(embedder: ContextualEmbedder) -> None:
    queries = ["who won the cup", "meter reading", "who won the cup"]
    texts = ["Spain won the World Cup.", "The meter is read in May.", "The meter is read in May."]
    scores = late_interaction_pairs(embedder)(queries, texts)
    encode = ContextualTokens(embedder)
    apart = [max_sim(*encode([query, text])) for query, text in zip(queries, texts, strict=True)]
    np.testing.assert_allclose(scores, apart, atol=0.01)  # int8 rounds
