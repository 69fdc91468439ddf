"""Five projects as profiles for the decision guide. Their limits are examples: change them and see what changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from course_lib.systems.guide_rows import Rows
from course_lib.systems.guide_rules import Profile


@dataclass(frozen=True)
class Case:
    """A project. story: what it needs, in words. shelf: the shelf of the reading room that stands in for its domain."""

    story: str
    shelf: str
    profile: Profile


CASES = {
    "curriculum content": Case(
        "A publisher writes exercises in its own tone. The curriculum changes twice a year, and editors have marked 1,000 "
        "examples. Nobody waits for an answer, and no source is shown to pupils.",
        "world_cup",
        Profile("curriculum content", updates_per_day=2 / 365, labelled_examples=1_000, min_style=0.8),
    ),
    "market data": Case(
        "Analysts ask about prices that change every minute. Each figure must carry its source, within 10 seconds. There are "
        "no labelled examples.",
        "energy",
        Profile("market data", updates_per_day=1_440, max_seconds=10, min_cited=0.6),
    ),
    "support": Case(
        "A help desk answers in house style from policies of which one changes every week. Answers name the policy and its "
        "year, and come within 20 seconds; 200 model answers are at hand.",
        "help_desk",
        Profile("support", updates_per_day=1 / 7, labelled_examples=200, max_seconds=20, min_cited=0.6, min_style=0.8),
    ),
    "medical information": Case(
        "Patients read about their illness in plain words, with the source of every statement. Evidence changes every month; "
        "100 passages have been rewritten by hand. A wrong answer can harm.",
        "neurology",
        Profile("medical information", updates_per_day=1 / 30, labelled_examples=100, min_cited=0.8, min_style=0.7, min_right=0.6),
    ),
    "spam filtering": Case(
        "Every message that comes in is spam or not, within a twentieth of a second, on a small machine. 5,000 messages are "
        "labelled, and spam changes every week.",
        "help_desk",
        Profile(
            "spam filtering", task="labels", updates_per_day=1 / 7, labelled_examples=5_000, max_seconds=0.05,
            max_memory_mb=500, min_right=0.8,
        ),
    ),
}  # fmt: skip


def nearest_profile(case: Case, rows: Rows) -> Profile:
    """Return the case's profile on its shelf where rows measure that, otherwise on all shelves together."""
    measured = {row.domain for row in rows.rows if row.task == case.profile.task}
    return replace(case.profile, domain=case.shelf if case.shelf in measured else "all")
