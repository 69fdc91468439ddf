"""Filters on the metadata of a store, as a value that becomes SQL; text in it is always quoted, never read as SQL."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass


def quoted(texts: Iterable[str]) -> str:
    """Return texts as SQL literals with commas between them: it's -> 'it''s'. Raises TypeError for anything but str.

    A quote within a text is doubled, which is the only way out of a literal, so no text can end it.
    """
    literals = []
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"a filter compares with text, got {text!r:.60} ({type(text).__name__})")
        literals.append("'" + text.replace("'", "''") + "'")
    return ", ".join(literals)


@dataclass(frozen=True)
class Where:
    """Which chunks a search may find. All conditions that are given must hold.

    shelves: on one of these. since, until: published on or between these days. in_force: no later version has replaced
    it. on: published by that day and not replaced by then, the state of things as of it.
    Raises TypeError for a day that is no datetime.date, ValueError if since comes after until.
    """

    shelves: tuple[str, ...] = ()
    since: datetime.date | None = None
    until: datetime.date | None = None
    in_force: bool = False
    on: datetime.date | None = None

    def __post_init__(self) -> None:
        if isinstance(self.shelves, str):
            raise TypeError(f"shelves must be a tuple of str, got one str; write ({self.shelves!r:.60},)")
        quoted(self.shelves)
        for name in ("since", "until", "on"):
            day = getattr(self, name)
            if day is not None and type(day) is not datetime.date:
                raise TypeError(f"{name} must be a datetime.date such as date(2026, 7, 19), got {day!r:.60}")
        if self.since and self.until and self.since > self.until:
            raise ValueError(f"since must not come after until, got {self.since} and {self.until}")

    def sql(self) -> str:
        """Return the condition as LanceDB reads it; the empty string if everything passes."""
        parts = []
        if self.shelves:
            parts.append(f"shelf IN ({quoted(self.shelves)})")
        if self.since:
            parts.append(f"date >= DATE '{self.since}'")
        if self.until:
            parts.append(f"date <= DATE '{self.until}'")
        if self.in_force:
            parts.append("replaced_on IS NULL")
        if self.on:
            parts.append(f"date <= DATE '{self.on}' AND (replaced_on IS NULL OR replaced_on > DATE '{self.on}')")
        return " AND ".join(parts)


EVERYTHING = Where()
