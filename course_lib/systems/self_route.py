"""Self-Route: answer from retrieval, and read the long context only when that answer is unsure (Li et al., 2024)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from course_lib.core.protocols import Retriever
from course_lib.core.types import Answer
from course_lib.evaluation.answers import abstains
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.prompting import rag_messages
from course_lib.systems.asking import AnswerSystem

Sureness = Callable[[Answer], float]


def did_not_abstain(answer: Answer) -> float:
    """Return 1.0 if the answer answers, 0.0 if it says that it does not know: the signal of the paper."""
    return float(not abstains(answer.text))


@dataclass(frozen=True)
class ScoreGap:
    """The best hit's score minus the second's: how clearly retrieval decided. Raises ValueError below two hits."""

    retriever: Retriever

    def __call__(self, answer: Answer) -> float:
        hits = self.retriever.search(answer.question, 2)
        if len(hits) < 2:
            raise ValueError(f"the retriever must find two hits to tell a gap, got {len(hits)} for {answer.question!r}")
        return hits[0].score - hits[1].score


@dataclass(frozen=True)
class BestScore:
    """The best hit's score; give it a retriever whose scores mean the same for every question, such as a cosine."""

    retriever: Retriever

    def __call__(self, answer: Answer) -> float:
        return self.retriever.search(answer.question, 1)[0].score


@dataclass(frozen=True)
class ReplyLikelihood:
    """The mean ln p of the answer's tokens, given the passages it was shown, <= 0. Raises ValueError for an empty one."""

    model: LanguageModel

    def __call__(self, answer: Answer) -> float:
        messages = rag_messages(answer.question, [chunk for chunk, _ in answer.passages])
        return self.model.mean_log_likelihood([messages], answer.text)[0]


@dataclass(frozen=True)
class SelfRoute:
    """Ask the short system; where its sureness is below threshold, ask the long one and take its answer.

    Seconds of both are kept, those of the first with "short " before the step; a routed answer costs both.
    """

    short: AnswerSystem
    long: AnswerSystem
    sureness: Sureness
    threshold: float

    def __call__(self, question: str) -> Answer:
        first = self.short(question)
        seconds = {f"short {step}": value for step, value in first.seconds.items()}
        if self.sureness(first) >= self.threshold:
            return replace(first, seconds=seconds)
        second = self.long(question)
        return replace(second, seconds={**seconds, **{f"long {step}": v for step, v in second.seconds.items()}})


def was_routed(answer: Answer) -> bool:
    """Whether `SelfRoute` took the long system's answer."""
    return any(step.startswith("long ") for step in answer.seconds)


@dataclass(frozen=True)
class RoutePoint:
    """What a threshold does: the share of questions below it, the mean of right answers and of the costs."""

    threshold: float
    routed: float
    right: float
    cost: float


def route_point(
    threshold: float,
    sure: npt.ArrayLike,
    short_right: npt.ArrayLike,
    long_right: npt.ArrayLike,
    short_cost: npt.ArrayLike,
    long_cost: npt.ArrayLike,
) -> RoutePoint:
    """Return what routing below threshold gives; each list holds one value a question, (n,).

    A routed question has the long system's answer and the costs of both. Raises ValueError for lists of unequal length
    or without questions.
    """
    columns = [np.asarray(each, dtype=np.float64) for each in (sure, short_right, long_right, short_cost, long_cost)]
    if len({column.shape for column in columns}) > 1 or columns[0].ndim != 1 or not len(columns[0]):
        raise ValueError(f"each list must hold one value a question, got shapes {[each.shape for each in columns]}")
    sureness, short, long, cheap, dear = columns
    routed = sureness < threshold  # (n,)
    right = np.where(routed, long, short)
    return RoutePoint(threshold, float(routed.mean()), float(right.mean()), float((cheap + routed * dear).mean()))


def route_curve(
    sure: Sequence[float],
    short_right: npt.ArrayLike,
    long_right: npt.ArrayLike,
    short_cost: npt.ArrayLike,
    long_cost: npt.ArrayLike,
) -> list[RoutePoint]:
    """Return a point for every threshold that makes a difference: from never routing (-inf) to always (inf)."""
    values = np.unique(np.asarray(sure, dtype=np.float64))
    thresholds = [-np.inf, *((values[1:] + values[:-1]) / 2).tolist(), np.inf]
    return [route_point(each, sure, short_right, long_right, short_cost, long_cost) for each in thresholds]


def best_point(points: Sequence[RoutePoint], *, tolerance: float = 0.0) -> RoutePoint:
    """Return the cheapest point whose share of right answers is within tolerance of the best; choose it on dev.

    Of equal costs the one that routes least. Raises ValueError without points or for a negative tolerance.
    """
    if not points:
        raise ValueError("points must hold at least one point, got none")
    if tolerance < 0:
        raise ValueError(f"tolerance must be at least 0, got {tolerance}; 0.01 gives up one answer in a hundred")
    best = max(point.right for point in points)
    return min(
        (point for point in points if point.right >= best - tolerance - 1e-12),
        key=lambda each: (each.cost, each.routed),
    )
