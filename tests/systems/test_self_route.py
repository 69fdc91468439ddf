"""Self-Route: the long system is asked where the short one is unsure, and nowhere else."""

from __future__ import annotations

import datetime
import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Answer, Chunk, Hit
from course_lib.systems.self_route import (
    BestScore,
    ReplyLikelihood,
    RoutePoint,
    ScoreGap,
    SelfRoute,
    best_point,
    did_not_abstain,
    route_curve,
    route_point,
    was_routed,
)

PASSAGE = Chunk("a#00", "a", "A", datetime.date(2020, 1, 1), "Text.", 0, 5)


def found(*scores: float) -> Any:
    return SimpleNamespace(search=lambda query, k: [Hit(str(i), score) for i, score in enumerate(scores)][:k])


def test_the_signals() -> None:
    known, unknown = Answer("Why?", "Because."), Answer("Why?", "I do not know.")
    assert (did_not_abstain(known), did_not_abstain(unknown)) == (1.0, 0.0)
    assert ScoreGap(found(2.5, 1.0, 0.9))(known) == 1.5 and BestScore(found(2.5, 1.0))(known) == 2.5
    with pytest.raises(ValueError, match="two hits to tell a gap, got 1 for 'Why\\?'"):
        ScoreGap(found(2.5))(known)


def test_the_likelihood_is_of_the_answer_after_its_passages() -> None:
    asked: list[Any] = []

    def likelihood(conversations: Any, reply: str) -> list[float]:
        asked.append((conversations, reply))
        return [-0.5]

    model: Any = SimpleNamespace(mean_log_likelihood=likelihood)
    assert ReplyLikelihood(model)(Answer("Why?", "Because.", passages=((PASSAGE, 1.0),))) == -0.5
    (((messages,), reply),) = asked
    assert reply == "Because." and "Text." in messages[-1]["content"] and "Why?" in messages[-1]["content"]


@pytest.mark.parametrize(("text", "routed"), [("Because.", False), ("I do not know.", True)])
def test_only_the_unsure_are_routed(text: str, routed: bool) -> None:
    asked: list[str] = []

    def long(question: str) -> Answer:
        asked.append(question)
        return Answer(question, "From the whole library.", seconds={"generate": 9.0})

    system = SelfRoute(lambda question: Answer(question, text, seconds={"search": 1.0}), long, did_not_abstain, 0.5)
    answer = system("Why?")
    assert was_routed(answer) is routed and asked == ["Why?"] * routed
    assert answer.text == ("From the whole library." if routed else text)
    assert answer.seconds == {"short search": 1.0, **({"long generate": 9.0} if routed else {})}


def test_at_the_threshold_it_is_sure() -> None:
    system = SelfRoute(lambda q: Answer(q, "x"), lambda q: Answer(q, "long"), lambda answer: 0.5, 0.5)
    assert system("Why?").text == "x"


SURE, SHORT, LONG = [0.9, 0.1, 0.5, 0.2], [1, 0, 1, 1], [0, 1, 1, 0]


def test_by_hand() -> None:
    """Below 0.3 lie the second and the fourth: right 1, 1, 1, 0; cost 1 + 10 for two of four, 1 for the others."""
    point = route_point(0.3, SURE, SHORT, LONG, [1] * 4, [10] * 4)
    assert (point.routed, point.right, point.cost) == (0.5, 0.75, 6.0)
    assert route_point(0.2, SURE, SHORT, LONG, [1] * 4, [10] * 4).routed == 0.25  # at the threshold it is sure


def test_the_curve_goes_from_never_to_always() -> None:
    points = route_curve(SURE, SHORT, LONG, [1] * 4, [10] * 4)
    assert [point.routed for point in points] == [0, 0.25, 0.5, 0.75, 1.0]
    assert [point.right for point in points] == [0.75, 1.0, 0.75, 0.75, 0.5]
    assert points[0].threshold == -math.inf and points[-1].threshold == math.inf
    assert points[1].threshold == pytest.approx(0.15)
    assert best_point(points) == points[1] and best_point(points, tolerance=0.25) == points[0]


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.7]), st.booleans(), st.booleans()), min_size=1, max_size=9))
def test_the_best_is_never_worse_than_never_or_always(rows: list[tuple[float, bool, bool]]) -> None:
    sure, short, long = (list(column) for column in zip(*rows, strict=True))
    points = route_curve(sure, short, long, [1] * len(rows), [5] * len(rows))
    best = best_point(points)
    assert best.right >= max(np.mean(short), np.mean(long)) and best.right <= np.mean(np.maximum(short, long))
    assert all(a.routed <= b.routed for a, b in pairwise(points))


def test_lists_that_do_not_match() -> None:
    with pytest.raises(ValueError, match="one value a question"):
        route_point(0.5, [1.0, 2.0], [1], [1, 0], [1, 1], [1, 1])
    with pytest.raises(ValueError, match="one value a question"):
        route_point(0.5, [], [], [], [], [])


def test_nothing_to_choose_from() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        best_point([])
    with pytest.raises(ValueError, match="tolerance must be at least 0"):
        best_point([RoutePoint(0, 0, 1, 1)], tolerance=-0.1)
