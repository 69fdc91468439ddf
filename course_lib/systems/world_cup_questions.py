"""Questions by template on matches of tournaments that no dev or test question touches, each in three wordings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from course_lib.core.types import Question
from course_lib.corpus.world_cup import Match, half_time, stage_in_words, winner

_WITH_ARTICLE = (
    "Netherlands",
    "Soviet Union",
    "United States",
    "United Arab Emirates",
    "Czech Republic",
    "Dutch East Indies",
)


@dataclass(frozen=True)
class MatchFact:
    """One fact of one match, asked in several wordings. answers: the first is the canonical one."""

    fact_id: str
    doc_id: str
    kind: str
    teams: tuple[str, str]
    wordings: tuple[str, ...]
    answers: tuple[str, ...]


def _winner(match: Match) -> tuple[str, ...]:
    won = winner(match)
    return () if won is None else (won,)


def _score(match: Match) -> tuple[str, ...]:
    if match.shoot_out or match.full_time is None:
        return ()
    one, two = match.score
    return (f"{one}-{two}",) if one == two else (f"{one}-{two}", f"{two}-{one}")


def _at_half_time(match: Match) -> tuple[str, ...]:
    score = half_time(match)
    return () if score is None or score == match.score else (f"{score[0]}-{score[1]}",)


def _date(match: Match) -> tuple[str, ...]:
    day = f"{match.date.day} {match.date:%B}"
    return (f"{day} {match.year}", day)


Read = Callable[[Match], tuple[str, ...]]
FORMS: dict[str, tuple[Read, tuple[str, str, str]]] = {
    "winner": (
        _winner,
        (
            "Who won the match between {a} and {b} at the {year} World Cup?",
            "{A} against {b}, {year}: which side came out ahead?",
            "Which team was victorious when {a} met {b} in {year}?",
        ),
    ),
    "score": (
        _score,
        (
            "How did the match between {a} and {b} end at the World Cup of {year}?",
            "What was the final score of {a} against {b} in {year}?",
            "{A} played {b} at the {year} World Cup. Give the result.",
        ),
    ),
    "half time": (
        _at_half_time,
        (
            "What was the half-time score between {a} and {b} at the {year} World Cup?",
            "How did it stand at the interval when {a} played {b} in {year}?",
            "After 45 minutes of {a} against {b} in {year}, what was the score?",
        ),
    ),
    "stage": (
        lambda match: (stage_in_words(match),),
        (
            "At which stage of the {year} World Cup did {a} meet {b}?",
            "In which round or group did {a} play {b} in {year}?",
            "{A} and {b} faced each other in {year}. What part of the tournament was it?",
        ),
    ),
    "ground": (
        lambda match: (match.ground,),
        (
            "In which stadium did {a} play {b} at the {year} World Cup?",
            "Where exactly was {a} against {b} played in {year}: at what ground?",
            "Name the venue of the {year} match between {a} and {b}.",
        ),
    ),
    "city": (
        lambda match: (re.sub(r" \(.*\)", "", match.city),),
        (
            "In which city did {a} meet {b} at the World Cup of {year}?",
            "Which town was host to {a} against {b} in {year}?",
            "Supporters who wanted to see {a} play {b} in {year} had to travel where?",
        ),
    ),
    "date": (
        _date,
        (
            "On what date did {a} and {b} play each other at the {year} World Cup?",
            "When was {a} against {b} played in {year}?",
            "Which day of {year} saw {a} meet {b}?",
        ),
    ),
}  # fmt: skip
N_WORDINGS = 3


def touched_years(questions: Iterable[Question]) -> set[int]:
    """Return the years that the World Cup questions of dev and test name: in question, answers, gold or doc_id."""
    years: set[int] = set()
    for question in questions:
        if question.split != "train" and question.shelf == "world_cup":
            spans = [part for span in question.gold for part in (span.doc_id, span.quote)]
            text = " ".join([question.text, *question.answers, *spans, question.near or ""])
            years |= {int(year) for year in re.findall(r"(?<!\d)(?:19[3-9]\d|20[0-2]\d)(?!\d)", text)}
    return years


def match_facts(matches: Sequence[Match], questions: Iterable[Question]) -> list[MatchFact]:
    """Return the facts of all matches in untouched tournaments, in order of match and form.

    Two teams that met twice in a tournament are left out, as a question would fit both matches, and so are walk-overs.
    """
    touched = touched_years(questions)
    met = Counter((match.year, frozenset(match.teams)) for match in matches)
    facts = []
    for match in matches:
        if match.year in touched or match.walk_over or met[match.year, frozenset(match.teams)] > 1:
            continue
        a, b = (f"the {team}" if team in _WITH_ARTICLE else team for team in match.teams)
        for kind, (read, wordings) in FORMS.items():
            answers = read(match)
            if answers:
                asked = tuple(each.format(a=a, b=b, A=a[0].upper() + a[1:], year=match.year) for each in wordings)
                name = f"{match.doc_id.removeprefix('world_cup/')}:{kind.replace(' ', '-')}"
                facts.append(MatchFact(name, match.doc_id, kind, match.teams, asked, answers))
    return facts
