"""Which approach fits a project? Rules that a reader can follow, over measured rows; every verdict names its figure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from course_lib.systems.guide_rows import APPROACHES, Approach, Row, Rows
from course_lib.systems.guide_rules import FAILS, HOLDS, UNKNOWN, Finding, Profile, findings

ORDER = (
    "Fewest failed rules first, then fewest that no row can tell, then the larger share of right answers, then fewer parts "
    "to look after."
)


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one approach. row: the row that speaks for it, None where none was measured."""

    approach: Approach
    row: Row | None
    findings: tuple[Finding, ...]

    def of(self, state: str) -> tuple[Finding, ...]:
        """The findings with this state."""
        return tuple(finding for finding in self.findings if finding.state == state)

    @property
    def state(self) -> str:
        """FAILS if one rule fails, else UNKNOWN if one cannot tell, else HOLDS."""
        return FAILS if self.of(FAILS) else UNKNOWN if self.of(UNKNOWN) else HOLDS


def order(verdict: Verdict) -> tuple[int, int, float, int, str, float, int]:
    """Return the sort key of ORDER, best first; the one place where ties are broken (by name, then by seconds, examples)."""
    row = verdict.row
    right = row.right.mean if row and row.right else -1.0  # not measured: after all that was
    seconds = row.seconds if row and row.seconds is not None else math.inf
    examples = row.examples if row and row.examples is not None else 0
    return (
        len(verdict.of(FAILS)),
        len(verdict.of(UNKNOWN)),
        -right,
        len(verdict.approach.parts),
        verdict.approach.name,
        seconds,
        examples,
    )


@dataclass(frozen=True)
class Advice:
    """All approaches, best first by ORDER, each with its reasons. made_up: the rows were not measured."""

    profile: Profile
    verdicts: tuple[Verdict, ...]
    made_up: bool

    @property
    def recommended(self) -> Verdict | None:
        """The first approach, if all rules hold for it; None where nothing is known to fit."""
        return self.verdicts[0] if self.verdicts[0].state == HOLDS else None

    def summary(self) -> str:
        """Return the answer in a few sentences: what fits, what cannot be told from it, what is still to be measured."""
        first = self.verdicts[0]
        words = ["The rows are made up: they show how the guide works and measure nothing."] if self.made_up else []
        if first.state == HOLDS:
            words.append(f"{_begin(first)} meets everything that you ask for.")
            words += self._as_good()
        elif first.state == UNKNOWN:
            words.append(f"Nothing is known to meet everything. Measure {first.approach.name} next:")
            words += [finding.sentence for finding in first.of(UNKNOWN)]
        else:
            words.append(f"No approach meets everything. {_begin(first)} comes nearest; what it fails:")
            words += [finding.sentence for finding in first.of(FAILS)]
        return " ".join(words)

    def _as_good(self) -> Iterable[str]:
        """Say which others fit, too, with a share of right answers whose interval reaches that of the first."""
        first = self.verdicts[0]
        best = first.row.right if first.row else None
        for other in self.verdicts[1:]:
            right = other.row.right if other.row else None
            if other.state == HOLDS and best and right and right.high >= best.low:
                fewer = len(other.approach.parts) < len(first.approach.parts)
                yield (
                    f"{_begin(other)} meets it too, and the intervals of right answers overlap ({best} and {right})"
                    + (": it has fewer parts to look after." if fewer else ".")
                )


def _begin(verdict: Verdict) -> str:
    """The name of the approach as a sentence begins with it."""
    return verdict.approach.name[:1].upper() + verdict.approach.name[1:]


def guide(profile: Profile, rows: Rows) -> Advice:
    """Judge every approach by the rows of the profile's task and domain; of several rows, the one first in ORDER speaks.

    Rows of another domain are not used: what was not measured stays unknown. Nothing is weighed or summed up in a score.
    """
    verdicts = []
    for key, approach in APPROACHES.items():
        mine = [row for row in rows.rows if (row.approach, row.task, row.domain) == (key, profile.task, profile.domain)]
        candidates: list[Row | None] = [*mine] or [None]
        verdicts.append(
            min((Verdict(approach, row, findings(profile, approach, row)) for row in candidates), key=order)
        )
    return Advice(profile, tuple(sorted(verdicts, key=order)), rows.made_up)
