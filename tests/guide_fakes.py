"""Made-up rows for the tests of the decision guide. No number here was measured."""

from __future__ import annotations

import math

from course_lib.evaluation.significance import Interval
from course_lib.systems.guide_rows import Row, Rows


def share(mean: float, width: float = 0.04, n: int = 200) -> Interval:
    """A made-up share with a made-up interval."""
    return Interval(mean, max(0.0, mean - width), min(1.0, mean + width), n)


def text(
    approach: str, right: float, style: float, cited: float, seconds: float, fresh: float, examples: int | None = None
) -> Row:
    """A made-up row for answers in words; training takes two thirds of the time until a new document is answered."""
    return Row(
        approach, "text", "all", share(right), share(style), share(cited), seconds, 900.0, fresh, examples,
        None if examples is None else 4.0,
    )  # fmt: skip


def labels(
    approach: str, right: float, seconds: float, memory: float, fresh: float, examples: int | None = None
) -> Row:
    """A made-up row for one of a fixed set of labels."""
    return Row(approach, "labels", "all", share(right), None, None, seconds, memory, fresh, examples)


MADE_UP = Rows(
    (
        text("prompt", 0.05, 0.2, 0.0, 1.0, math.inf),
        text("long_context", 0.30, 0.25, 0.7, 30.0, 0.5),
        text("rag", 0.50, 0.3, 0.75, 3.0, 2.0),
        text("tuning", 0.12, 0.9, 0.0, 1.0, 600.0, 100),
        text("tuning", 0.15, 0.93, 0.0, 1.0, 1200.0, 800),
        text("hybrid", 0.70, 0.9, 0.86, 3.0, 2.0, 100),
        labels("prompt", 0.55, 0.8, 900, math.inf),
        labels("rag", 0.70, 2.0, 1_000, 2.0),
        labels("tuning", 0.93, 0.8, 900, 600.0, 4_000),
        labels("classifier", 0.95, 0.01, 200, 30.0, 4_000),
    ),
    {"by": "tests"},
    made_up=True,
)
