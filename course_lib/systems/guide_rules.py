"""What a project needs, and the rules that say whether an approach meets it, each with its sentence and its figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from course_lib.evaluation.significance import Interval
from course_lib.systems.guide_rows import TASKS, Approach, Row, require_choice

HOLDS, UNKNOWN, FAILS = "holds", "unknown", "fails"
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Profile:
    """What a project needs. None: not asked for.

    task: a key of TASKS. domain: the measured domain that is nearest to the project's. updates_per_day: how often facts
    change, 0 for never. labelled_examples: how many there are. max_seconds: for one question. max_memory_mb: to answer.
    min_cited, min_style, min_right: shares from 0 to 1 that answers must reach (see Row). Raises ValueError for others.
    """

    name: str = "my project"
    task: str = "text"
    domain: str = "all"
    updates_per_day: float = 0.0
    labelled_examples: int = 0
    max_seconds: float | None = None
    max_memory_mb: float | None = None
    min_cited: float | None = None
    min_style: float | None = None
    min_right: float | None = None

    def __post_init__(self) -> None:
        require_choice(self.task, TASKS, "task")
        for name in ("updates_per_day", "labelled_examples"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number of at least 0, got {getattr(self, name)}; 0 for none")
        for name in ("max_seconds", "max_memory_mb"):
            limit: float | None = getattr(self, name)
            if limit is not None and not 0 < limit < math.inf:
                raise ValueError(f"{name} must be above 0, got {limit}; None if it does not matter")
        for name in ("min_cited", "min_style", "min_right"):
            share: float | None = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {share}; None if it does not matter")


@dataclass(frozen=True)
class Finding:
    """What one rule says of one approach. state: HOLDS, UNKNOWN or FAILS. sentence: why, with the figure."""

    rule: str
    state: str
    sentence: str


Judge = Callable[[Profile, Approach, Row | None], "tuple[str, str] | None"]  # state and sentence; None: not asked


@dataclass(frozen=True)
class Rule:
    """One rule. sentence: the rule as a reader would apply it by hand."""

    name: str
    sentence: str
    judge: Judge


def duration(seconds: float) -> str:
    """Return a time as people say it: 0.4 s, 90 s, 12 min, 5 h, 30 days."""
    for unit, size, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 2 * DAY)):
        if seconds < below:
            return f"{seconds / size:.2g} {unit}" if seconds / size < 10 else f"{seconds / size:.0f} {unit}"
    return f"{seconds / DAY:.0f} days"


def _task(profile: Profile, approach: Approach, row: Row | None) -> tuple[str, str]:
    if profile.task == "text" and not approach.writes:
        return FAILS, "It chooses a label and cannot write an answer."
    return HOLDS, f"It can give {TASKS[profile.task]}."


def _updates(profile: Profile, approach: Approach, row: Row | None) -> tuple[str, str] | None:
    if not profile.updates_per_day:
        return None
    between = DAY / profile.updates_per_day
    every = f"a change comes every {duration(between)}"
    if row is None or row.fresh_seconds is None:
        return UNKNOWN, f"No row measures how long a new document takes until it is answered rightly; {every}."
    if row.fresh_seconds == math.inf:
        return FAILS, f"It never answered from a new document; {every}."
    state = HOLDS if row.fresh_seconds <= between else FAILS
    return state, f"It needs {duration(row.fresh_seconds)} until it answers from a new document; {every}."


def _citations(profile: Profile, approach: Approach, row: Row | None) -> tuple[str, str] | None:
    if profile.min_cited is None:
        return None
    if not approach.reads:
        return FAILS, "It reads no document when it answers: a source that it names was remembered or made up."
    return _share("answers that cite rightly", profile.min_cited, row.cited if row else None)


def _examples(profile: Profile, approach: Approach, row: Row | None) -> tuple[str, str]:
    has = profile.labelled_examples
    if "labelled examples" not in approach.parts:
        return HOLDS, "It learns from no examples."
    if row is None or row.examples is None:
        return UNKNOWN, f"No row says with how many examples it was measured; you have {has:,}."
    return (
        HOLDS if row.examples <= has else FAILS,
        f"Its figures were reached with {row.examples:,} examples; you have {has:,}.",
    )


def _limit(what: str, limit: str, measure: str, say: Callable[[float], str]) -> Judge:
    def judge(profile: Profile, approach: Approach, row: Row | None) -> tuple[str, str] | None:
        most: float | None = getattr(profile, limit)
        if most is None:
            return None
        value: float | None = getattr(row, measure) if row else None
        if value is None:
            return UNKNOWN, f"No row measures {what}; at most {say(most)} is asked for."
        return HOLDS if value <= most else FAILS, f"Measured {what}: {say(value)}; at most {say(most)} is asked for."

    return judge


def _wanted(what: str, least: str, measure: str) -> Judge:
    def judge(profile: Profile, approach: Approach, row: Row | None) -> tuple[str, str] | None:
        wanted: float | None = getattr(profile, least)
        return None if wanted is None else _share(what, wanted, getattr(row, measure) if row else None)

    return judge


def _share(what: str, wanted: float, share: Interval | None) -> tuple[str, str]:
    asked = f"{wanted:.2f} is asked for"
    if share is None:
        return UNKNOWN, f"No row measures {what}; {asked}."
    state = HOLDS if share.low >= wanted else FAILS if share.high < wanted else UNKNOWN
    unsure = " The interval holds both sides: more questions would tell." if state == UNKNOWN else ""
    return state, f"Measured {what}: {share}; {asked}.{unsure}"


RULES = (
    Rule("task", "It must give what is asked for: a classifier alone cannot write answers.", _task),
    Rule(
        "updates",
        "The work after a change must be done before the next change comes.",
        _updates,
    ),
    Rule(
        "citations",
        "Only what reads documents when it answers can cite them; the interval of its right citations must lie at or above "
        "the share asked for.",
        _citations,
    ),
    Rule("examples", "Figures count if they were reached with no more labelled examples than there are.", _examples),
    Rule(
        "latency",
        "The seconds a question must not exceed the limit.",
        _limit("time for a question", "max_seconds", "seconds", duration),
    ),
    Rule(
        "memory",
        "The memory to answer must not exceed the limit.",
        _limit("memory", "max_memory_mb", "memory_mb", lambda value: f"{value:,.0f} MB"),
    ),
    Rule(
        "style",
        "The interval of the style score must lie at or above the one asked for.",
        _wanted("style score", "min_style", "style"),
    ),
    Rule(
        "right",
        "The interval of right answers must lie at or above the share asked for.",
        _wanted("share of right answers", "min_right", "right"),
    ),
)


def findings(profile: Profile, approach: Approach, row: Row | None) -> tuple[Finding, ...]:
    """Apply every rule that the profile asks for to one row, or to an approach that no row measures."""
    said = [(rule.name, rule.judge(profile, approach, row)) for rule in RULES]
    return tuple(Finding(name, *found) for name, found in said if found)
