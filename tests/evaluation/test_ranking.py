"""Metrics of a ranking: by hand, and against trec_eval on random runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from course_lib.evaluation import ranking as ranking_module
from course_lib.evaluation.ranking import (
    METRICS,
    average_precision,
    metric_values,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
    success_at_k,
)

RANKING = ["a", "x", "b", "y", "c"]
GAINS = {"a": 1.0, "b": 3.0, "d": 2.0, "y": 0.0}  # "d" is not found; "y" was judged and is not relevant
ALL = (
    lambda ranking, gains: recall_at_k(ranking, gains, 3),
    lambda ranking, gains: precision_at_k(ranking, gains, 3),
    lambda ranking, gains: success_at_k(ranking, gains, 3),
    reciprocal_rank,
    average_precision,
    lambda ranking, gains: ndcg_at_k(ranking, gains, 3),
)
NAMES = [f"id{i}" for i in range(12)]


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(("k", "expected"), [(1, 1 / 3), (2, 1 / 3), (3, 2 / 3), (5, 2 / 3), (99, 2 / 3)])
def test_recall_by_hand(k: int, expected: float) -> None:
    """Relevant are a, b and d. The first place holds a; the third adds b; d is never found."""
    assert recall_at_k(RANKING, GAINS, k) == pytest.approx(expected)


@pytest.mark.parametrize(("k", "expected"), [(1, 1), (2, 1 / 2), (3, 2 / 3), (5, 2 / 5), (10, 2 / 10)])
def test_precision_by_hand(k: int, expected: float) -> None:
    """Ten places asked for and five filled: the empty ones count against the ranking."""
    assert precision_at_k(RANKING, GAINS, k) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ranking", "k", "expected"), [(RANKING, 1, 1), (["x", "a"], 1, 0), (["x", "a"], 2, 1), (["y", "x"], 9, 0)]
)
def test_success_by_hand(ranking: list[str], k: int, expected: float) -> None:
    assert success_at_k(ranking, GAINS, k) == expected


@pytest.mark.parametrize(
    ("ranking", "expected"), [(RANKING, 1), (["x", "y", "b", "a"], 1 / 3), (["x", "y"], 0), ([], 0)]
)
def test_reciprocal_rank_by_hand(ranking: list[str], expected: float) -> None:
    """ "y" was judged, with gain 0: it is as irrelevant as "x"."""
    assert reciprocal_rank(ranking, GAINS) == pytest.approx(expected)


def test_average_precision_by_hand() -> None:
    """a at place 1: precision 1/1. b at place 3: 2/3. d is missing: 0. (1 + 2/3 + 0) / 3 = 5/9."""
    assert average_precision(RANKING, GAINS) == pytest.approx(5 / 9)


def test_ndcg_by_hand() -> None:
    """DCG of a, x, b: 1/log2(2) + 0/log2(3) + 3/log2(4) = 1 + 0 + 1.5 = 2.5.
    Best order b, d, a: 3/1 + 2/1.58496 + 1/2 = 3 + 1.26186 + 0.5 = 4.76186. 2.5 / 4.76186 = 0.525005.
    With 2 ** gain - 1 it would be (1 + 7/2) / (7 + 3/1.58496 + 0.5) = 0.4788; with log2(rank) in place of
    log2(1 + rank), or a discount that starts at the third place, other numbers again."""
    assert ndcg_at_k(RANKING, GAINS, 3) == pytest.approx(0.525005, abs=1e-6)


def test_ndcg_looks_at_k_places_of_the_best_order_too() -> None:
    """At 1, the best order has b, gain 3; the ranking has a, gain 1."""
    assert ndcg_at_k(RANKING, GAINS, 1) == pytest.approx(1 / 3)


def test_a_negative_gain_counts_as_none() -> None:
    harmful = {**GAINS, "x": -2.0}
    for metric in ALL:
        assert metric(RANKING, harmful) == metric(RANKING, GAINS)


# ---------------------------------------------------------------- against trec_eval


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[str], dict[str, float]]:
    """A ranking of 0 to 12 ids, and gains 0 to 3 for some of them and others; at least one is relevant."""
    ranking = draw(st.permutations(NAMES))[: draw(st.integers(0, len(NAMES)))]
    judged = draw(st.dictionaries(st.sampled_from([*NAMES, "p", "q", "r"]), st.integers(0, 3), max_size=15))
    judged[draw(st.sampled_from([*NAMES, "p"]))] = draw(st.integers(1, 3))
    return ranking, {name: float(gain) for name, gain in judged.items()}


def by_trec_eval(ranking: list[str], gains: dict[str, float], k: int) -> dict[str, float]:
    measures = {f"recall.{k}", f"P.{k}", f"success.{k}", f"ndcg_cut.{k}", "recip_rank", "map"}
    judged = {"q": {name: int(gain) for name, gain in gains.items()}}
    run = {"q": {name: float(len(ranking) - place) for place, name in enumerate(ranking)}}
    result: dict[str, float] = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(run)["q"]
    return result


@given(runs(), st.integers(1, 15))
def test_equal_to_trec_eval(run: tuple[list[str], dict[str, float]], k: int) -> None:
    ranking, gains = run
    if not ranking:
        for metric in ALL:
            assert metric(ranking, gains) == 0  # trec_eval leaves a query without results out
        return
    theirs = by_trec_eval(ranking, gains, k)
    ours = {
        f"recall_{k}": recall_at_k(ranking, gains, k),
        f"P_{k}": precision_at_k(ranking, gains, k),
        f"success_{k}": success_at_k(ranking, gains, k),
        f"ndcg_cut_{k}": ndcg_at_k(ranking, gains, k),
        "recip_rank": reciprocal_rank(ranking, gains),
        "map": average_precision(ranking, gains),
    }
    assert ours == pytest.approx(theirs, abs=1e-6)


TREC_NAMES = {
    "recall@5": "recall.5", "recall@10": "recall.10", "precision@5": "P.5", "success@1": "success.1",
    "success@5": "success.5", "MRR": "recip_rank", "MAP": "map", "nDCG@10": "ndcg_cut.10",
}  # fmt: skip


def test_every_named_metric_is_trec_evals_metric_of_that_name() -> None:
    assert set(TREC_NAMES) == set(METRICS)
    rng = np.random.default_rng(5)
    rankings, judgements = {}, {}
    for query in ("q1", "q2", "q3", "q4", "q5", "q6", "q7"):
        rankings[query] = [str(name) for name in rng.permutation(40)[:30]]
        judgements[query] = {str(name): float(rng.integers(0, 4)) for name in rng.permutation(50)[:18]}
    run = {query: {name: 100.0 - i for i, name in enumerate(names)} for query, names in rankings.items()}
    integers = {query: {name: int(gain) for name, gain in gains.items()} for query, gains in judgements.items()}
    theirs = pytrec_eval.RelevanceEvaluator(integers, set(TREC_NAMES.values())).evaluate(run)
    for ours, name in TREC_NAMES.items():
        expected = [theirs[query][name.replace(".", "_")] for query in judgements]
        np.testing.assert_allclose(metric_values(ours, rankings, judgements), expected, atol=1e-6)


@pytest.mark.parametrize("discount", [lambda rank: math.log2(rank) if rank > 1 else 1.0, lambda rank: rank, math.exp])
def test_a_wrong_discount_would_be_seen(discount: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds and order hold for any falling discount, so only a number can tell: break it, and the numbers must say so.
    The first is the discount of the original paper, which treats places 1 and 2 alike."""

    def dcg(gains: list[float]) -> float:
        return sum(gain / discount(rank) for rank, gain in enumerate(gains, start=1))

    monkeypatch.setattr(ranking_module, "_dcg", dcg)
    with pytest.raises(AssertionError):
        test_ndcg_by_hand()
    assert ndcg_at_k(RANKING, GAINS, 3) != pytest.approx(by_trec_eval(RANKING, GAINS, 3)["ndcg_cut_3"], abs=1e-3)


# ---------------------------------------------------------------- properties


@given(runs())
def test_a_metric_lies_between_0_and_1(run: tuple[list[str], dict[str, float]]) -> None:
    for metric in ALL:
        assert 0 <= metric(*run) <= 1 + 1e-12


@given(runs())
def test_the_best_order_scores_1_and_a_worse_one_less(run: tuple[list[str], dict[str, float]]) -> None:
    _, gains = run
    relevant = sorted((name for name in gains if gains[name] > 0), key=lambda name: -gains[name])
    k = len(relevant)
    assert recall_at_k(relevant, gains, k) == precision_at_k(relevant, gains, k) == 1
    assert reciprocal_rank(relevant, gains) == average_precision(relevant, gains) == 1
    assert ndcg_at_k(relevant, gains, k) == pytest.approx(1)
    later = ["nothing", *relevant]
    assert ndcg_at_k(later, gains, k + 1) < 1 and average_precision(later, gains) < 1
    assert reciprocal_rank(later, gains) == 1 / 2


@given(runs(), st.integers(0, 10), st.floats(0.1, 9))
def test_what_a_metric_may_not_depend_on(run: tuple[list[str], dict[str, float]], place: int, scale: float) -> None:
    """The order of the judgements; ids judged irrelevant that nobody found; the unit of the gains."""
    ranking, gains = run
    for metric in ALL:
        value = metric(ranking, gains)
        assert metric(ranking, dict(reversed(gains.items()))) == pytest.approx(value)
        assert metric(ranking, {**gains, "unseen": 0.0}) == pytest.approx(value)
        assert metric(ranking, {name: gain * scale for name, gain in gains.items()}) == pytest.approx(value)
        assert metric(tuple(ranking), gains) == value


@given(runs(), st.integers(0, 10))
def test_moving_a_relevant_id_up_never_hurts(run: tuple[list[str], dict[str, float]], place: int) -> None:
    ranking, gains = run
    if place + 1 >= len(ranking) or gains.get(ranking[place + 1], 0) < gains.get(ranking[place], 0):
        return
    better = [*ranking[:place], ranking[place + 1], ranking[place], *ranking[place + 2 :]]
    for metric in ALL:
        assert metric(better, gains) >= metric(ranking, gains) - 1e-12


@given(runs())
def test_recall_and_success_grow_with_k(run: tuple[list[str], dict[str, float]]) -> None:
    for metric in (recall_at_k, success_at_k):
        values = [metric(*run, k) for k in range(1, 15)]
        assert values == sorted(values)
        assert all(success_at_k(*run, k) >= recall_at_k(*run, k) for k in range(1, 15))


def test_chance_scores_about_chance() -> None:
    """10 of 100 are relevant: among 10 places drawn blindly, one is relevant on average, so recall is about 0.1."""
    rng = np.random.default_rng(3)
    gains = {str(i): 1.0 for i in range(10)}
    values = [recall_at_k([str(i) for i in rng.permutation(100)], gains, 10) for _ in range(2000)]
    assert np.mean(values) == pytest.approx(0.1, abs=0.01)


# ---------------------------------------------------------------- metric_values


def test_one_value_a_query_in_the_order_of_the_judgements() -> None:
    """q2 was never answered: it scores 0. q9 was never judged: it does not count."""
    rankings = {"q9": ["a"], "q1": ["x", "a"], "q3": ["c"]}
    judgements = {"q3": {"c": 1.0}, "q1": {"a": 1.0}, "q2": {"b": 1.0}}
    values = metric_values("MRR", rankings, judgements)
    assert values.tolist() == [1, 0.5, 0] and values.dtype == np.float32
    assert metric_values(lambda ranking, gains: float(len(ranking)), rankings, judgements).tolist() == [1, 2, 0]


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ValueError, match=r"metric must be one of recall@5, .*nDCG@10, got 'ndcg@10'"):
        metric_values("ndcg@10", {}, {"q": {"a": 1.0}})


def test_no_judgement_is_no_mean() -> None:
    with pytest.raises(ValueError, match="judgements must hold at least one query, got none"):
        metric_values("MRR", {"q": ["a"]}, {})


@pytest.mark.parametrize(
    ("ranking", "gains", "error", "message"),
    [
        (["a"], {"a": 0.0}, ValueError, "query 'q': gains must hold an id with a gain above 0"),
        (["a", "b", "a"], {"a": 1.0}, ValueError, "query 'q': ranking must hold each id once, but 'a' comes twice"),
        ("abc", {"a": 1.0}, TypeError, "query 'q': ranking must be a list of ids, best first, got one str: 'abc'"),
    ],
)
def test_the_query_that_is_refused_is_named(ranking: Any, gains: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        metric_values("nDCG@10", {"q": ranking}, {"q": gains})


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("gains", [{}, {"a": 0.0}, {"a": -1.0}])
def test_a_query_without_a_relevant_id_has_no_score(metric: Any, gains: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="gains must hold an id with a gain above 0"):
        metric(["a"], gains)


@pytest.mark.parametrize("metric", ALL)
def test_an_id_stands_in_a_ranking_once(metric: Any) -> None:
    with pytest.raises(ValueError, match="ranking must hold each id once, but 'x' comes twice; keep its best place"):
        metric(["a", "x", "b", "x"], GAINS)


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("gain", [math.nan, math.inf])
def test_a_gain_is_finite(metric: Any, gain: float) -> None:
    with pytest.raises(ValueError, match=f"gains must be finite numbers, got {gain} for 'b'"):
        metric(["a"], {"a": 1.0, "b": gain})


@pytest.mark.parametrize("metric", [recall_at_k, precision_at_k, success_at_k, ndcg_at_k])
@pytest.mark.parametrize("k", [0, -1, True, 2.0, "3"])
def test_k_is_a_whole_number(metric: Any, k: Any) -> None:
    with pytest.raises(ValueError, match="k must be a whole number of at least 1, got"):
        metric(RANKING, GAINS, k)
