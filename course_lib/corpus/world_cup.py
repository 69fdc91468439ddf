"""Every match of the men's World Cups 1930-2026 as a short report in prose, written from facts by templates.

Three layers: `Match` and pure functions of one match (winner, result, stage, scorers); `_History`, what one match means
beside all the others; and banks of sentence forms, from which a report is put together. What the facts do not settle
(standings between teams level on points, scorers that the source does not know) is left out. Which form a report takes
follows from a hash of its doc_id and from the forms used just before it, so that neighbours do not sound alike and the
text is the same on every machine.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from course_lib.core.types import Document

FACTS = Path(__file__).with_name("collections") / "world_cup" / "facts.jsonl"
SOURCES = "openfootball World Cup data (CC0)"

Score = tuple[int, int]


# ---------------------------------------------------------------- one match


@dataclass(frozen=True)
class Goal:
    """minute 90, added 4: scored in the fourth minute of stoppage time, 90+4."""

    name: str
    minute: int
    added: int = 0
    penalty: bool = False
    own_goal: bool = False

    @property
    def time(self) -> tuple[int, int]:
        return self.minute, self.added

    @property
    def clock(self) -> str:
        return f"{self.minute}+{self.added}" if self.added else str(self.minute)


@dataclass(frozen=True)
class Match:
    """One match; scores and goals are (team1, team2).

    full_time: after 90 minutes, None if the match was not played. goals: None where the scorers are not known; an own
    goal stands with the team it counts for. walk_over: the team that went through without playing.
    """

    year: int
    date: datetime.date
    round: str
    group: str | None
    ground: str
    city: str
    teams: tuple[str, str]
    full_time: Score | None = None
    half_time: Score | None = None
    extra_time: Score | None = None
    shoot_out: Score | None = None
    goals: tuple[tuple[Goal, ...], tuple[Goal, ...]] | None = None
    walk_over: str | None = None
    kick_off: str | None = None

    @property
    def doc_id(self) -> str:
        return f"world_cup/{self.date}-{_slug(self.teams[0])}-{_slug(self.teams[1])}"

    @property
    def score(self) -> Score:
        """The score at the end of play, shoot-out apart; (0, 0) if the match was not played."""
        return self.extra_time or self.full_time or (0, 0)

    @property
    def in_group(self) -> bool:
        return self.group is not None or self.round == "Final round"


def match_from_facts(fact: Mapping[str, Any]) -> Match:
    """Return the match that one line of facts.jsonl describes."""
    scores = {key: (fact[key][0], fact[key][1]) if key in fact else None for key in ("ft", "ht", "et", "p")}
    goals = None
    if "goals1" in fact:
        goals = (_goals(fact["goals1"]), _goals(fact["goals2"]))
    return Match(
        year=fact["year"],
        date=datetime.date.fromisoformat(fact["date"]),
        round=fact["round"],
        group=fact.get("group"),
        ground=fact["ground"],
        city=fact["city"],
        teams=(fact["team1"], fact["team2"]),
        full_time=scores["ft"],
        half_time=scores["ht"],
        extra_time=scores["et"],
        shoot_out=scores["p"],
        goals=goals,
        walk_over=fact.get("walk_over"),
        kick_off=fact.get("time"),
    )


def read_matches(path: Path = FACTS) -> list[Match]:
    """Return every match, in order of date."""
    return [match_from_facts(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def winner(match: Match) -> str | None:
    """Return the team that won, in a shoot-out if there was one, or went through by a walk-over; None after a draw."""
    one, two = match.shoot_out or match.score
    return match.walk_over or (None if one == two else match.teams[0] if one > two else match.teams[1])


def loser(match: Match) -> str | None:
    """Return the other team than the winner; None after a draw."""
    won = winner(match)
    return None if won is None else _other(match, won)


def half_time(match: Match) -> Score | None:
    """Return the score at half-time, counted from the scorers where the source does not give it.

    None where it is unknown, and where the source's score and its scorers contradict each other.
    """
    if match.goals is None:
        return match.half_time
    one, two = (sum(goal.minute <= 45 for goal in goals) for goals in match.goals)
    return (one, two) if match.half_time in (None, (one, two)) else None


def stage_in_words(match: Match) -> str:
    """Return the stage without article: "final", "quarter-final", "Group C", "Group A of the second round"."""
    if match.round == "Second group stage":
        return f"{match.group} of the second round"
    if match.group:
        return match.group
    if match.round.startswith("Group"):
        return match.round.replace("Play-off", "play-off")
    return match.round.lower().replace("finals", "final").replace("round replay", "-round replay").replace(" -", "-")


def result_in_words(match: Match) -> str:
    """Return the result as a clause: "Spain beat Argentina 1-0 after extra time"."""
    a, b = (_the(team) for team in match.teams)
    won = winner(match)
    if match.walk_over:
        return f"{_the(match.walk_over)} had a walk-over against {_the(_other(match, match.walk_over))}"
    late = " after extra time" if match.extra_time else ""
    if won is None:
        return f"{a} and {b} drew {_score(match.score)}{late}"
    against = _the(_other(match, won))
    if match.shoot_out:
        out = _score(match.shoot_out, first=match.teams.index(won))
        return f"{_the(won)} beat {against} {out} on penalties after a {_score(match.score)} draw"
    return f"{_the(won)} beat {against} {_score(match.score, first=match.teams.index(won))}{late}"


def title_of(match: Match) -> str:
    """Return the report's title: "Spain 1-0 Argentina (after extra time), final of the 2026 World Cup"."""
    a, b = match.teams
    stage = f"{stage_in_words(match)} of the {match.year} World Cup"
    if match.walk_over:
        return f"{a} v {b} (walk-over), {stage}"
    note = " (after extra time)" if match.extra_time else ""
    if match.shoot_out:
        note = f" ({_score(match.shoot_out)} on penalties)"
    return f"{a} {_score(match.score)} {b}{note}, {stage}"


def goals_in_order(match: Match) -> list[tuple[int, Goal]] | None:
    """Return (0 or 1, goal) in the order scored; None if unknown, also where both teams scored in the same minute."""
    if match.goals is None:
        return None
    if {goal.time for goal in match.goals[0]} & {goal.time for goal in match.goals[1]}:
        return None
    return sorted(((side, goal) for side in (0, 1) for goal in match.goals[side]), key=lambda pair: pair[1].time)


# ---------------------------------------------------------------- words

_WITH_ARTICLE = {"Netherlands", "Soviet Union", "United States", "USA", "United Arab Emirates", "Czech Republic",
                 "Dutch East Indies"}  # fmt: skip
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_GROUND_ARTICLE = re.compile(
    r"^(Estadio|Estádio|Stade|Stadio|Parc|Nuevo Estadio|Vélodrome|Arena|International) |"
    r"[Ss]tadion$|Arena$|-Arena$| Bowl$| Dome$|Silverdome$|^Wankdorf|^Hardturm"
)


def _the(team: str) -> str:
    return f"the {team}" if team in _WITH_ARTICLE else team


def _of(team: str) -> str:
    return _the(team) + ("'" if team.endswith("s") else "'s")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _other(match: Match, team: str) -> str:
    return match.teams[1] if team == match.teams[0] else match.teams[0]


def _score(score: Score, first: int = 0) -> str:
    return f"{score[first]}-{score[1 - first]}"


def _number(n: int) -> str:
    return _NUMBERS[n] if n < len(_NUMBERS) else str(n)


def _nth(n: int) -> str:
    return _ORDINALS[n] if n < len(_ORDINALS) else _ordinal(n)


def _ordinal(n: int) -> str:
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{_number(n)} times")


def _list(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def _date(date: datetime.date) -> str:
    return f"{date.day} {date:%B} {date.year}"


def _town(city: str) -> str:
    region = re.fullmatch(r"(.+) \((.+)\)", city)  # "Miami (Miami Gardens)"
    return f"{region[2]} ({region[1]})" if region else city


def _stadium(ground: str) -> str:
    return f"the {ground}" if _GROUND_ARTICLE.search(ground) else ground


def _place(match: Match) -> str:
    ground = _stadium(match.ground)
    return ground if match.city in match.ground else f"{ground} in {_town(match.city)}"


def _when(goal: Goal) -> str:
    spot = "from the penalty spot " if goal.penalty else ""
    if goal.added:
        half = {45: "first-half stoppage time", 105: "stoppage time in extra time", 120: "stoppage time in extra time"}
        return f"{spot}in {half.get(goal.minute, 'stoppage time')} ({goal.clock})"
    return f"{spot}in the {_ordinal(goal.minute)} minute"


def _whens(goals: Sequence[Goal]) -> str:
    if len(goals) > 1 and not any(goal.penalty or goal.added for goal in goals):
        return f"in the {_list([_ordinal(goal.minute) for goal in goals])} minutes"
    return _list([_when(goal) for goal in goals])


def _clocks(goals: Sequence[Goal], tick: str) -> str:
    return f"({_list([goal.clock + tick + (' pen' if goal.penalty else '') for goal in goals])})"


def scorers_in_words(goals: Sequence[Goal], *, style: str = "") -> str:
    """Return the scorers of one team as a list: "Rahn (18 and 84) and an own goal by Posipal (51)".

    style: what follows a minute in brackets ("" or "'"), or "minute" for "Rahn in the 18th and 84th minutes".
    """
    by_player: dict[tuple[str, bool], list[Goal]] = defaultdict(list)
    for goal in sorted(goals, key=lambda goal: goal.time):
        by_player[goal.name, goal.own_goal].append(goal)
    items = []
    for (name, own_goal), scored in by_player.items():
        times = _whens(scored) if style == "minute" else _clocks(scored, style)
        many = "an own goal" if len(scored) == 1 else f"{_number(len(scored))} own goals"
        items.append(f"{many} by {name} {times}" if own_goal else f"{name} {times}")
    return _list(items)


# ---------------------------------------------------------------- one match among all

_SAME_TEAM = {"USA": "United States", "Côte d'Ivoire": "Ivory Coast", "Bosnia-Herzegovina": "Bosnia & Herzegovina",
              "West Germany": "Germany"}  # fmt: skip
_SUCCESSORS = (
    {"Germany", "East Germany"},
    {"Soviet Union", "Russia"},
    {"Yugoslavia", "Serbia and Montenegro", "Serbia"},
    {"Czechoslovakia", "Czech Republic", "Slovakia"},
    {"Zaire", "DR Congo"},
)


def _team_key(team: str) -> str:
    return _SAME_TEAM.get(team, team)


def _kin(team: str) -> set[str]:
    key = _team_key(team)
    return next((family for family in _SUCCESSORS if key in family), {key})


@dataclass
class Row:
    """One team's line in a group table."""

    played: int = 0
    won: int = 0
    drawn: int = 0
    lost: int = 0
    scored: int = 0
    conceded: int = 0
    points: int = 0


class _History:
    """All matches, and what follows from them about one."""

    def __init__(self, matches: Sequence[Match]) -> None:
        self.matches = list(matches)
        self.by_year: dict[int, list[Match]] = defaultdict(list)
        for match in self.matches:
            self.by_year[match.year].append(match)

    def of_team(self, team: str, year: int) -> list[Match]:
        return [match for match in self.by_year[year] if team in match.teams]

    def previous(self, match: Match, team: str) -> Match | None:
        before = [other for other in self.of_team(team, match.year) if other.date < match.date]
        return before[-1] if before else None

    def next(self, match: Match, team: str) -> Match | None:
        return next((other for other in self.of_team(team, match.year) if other.date > match.date), None)

    def group(self, match: Match) -> list[Match]:
        key = (match.round, match.group)
        return [other for other in self.by_year[match.year] if (other.round, other.group) == key]

    def table(self, match: Match, *, final: bool) -> dict[str, Row]:
        """The group of this match as it stood that evening for the two teams, or at the end."""
        rows: dict[str, Row] = defaultdict(Row)
        for other in self.group(match):
            rows[other.teams[0]], rows[other.teams[1]] = rows[other.teams[0]], rows[other.teams[1]]
            if final or other.date <= match.date:
                for team, (own, against) in zip(other.teams, (other.score, other.score[::-1]), strict=True):
                    row = rows[team]
                    row.played += 1
                    row.won += own > against
                    row.drawn += own == against
                    row.lost += own < against
                    row.scored += own
                    row.conceded += against
                    row.points = row.drawn + row.won * (3 if match.year >= 1994 else 2)
        return rows

    def last_in_group(self, match: Match, team: str) -> bool:
        return not any(team in other.teams and other.date > match.date for other in self.group(match))

    def earlier(self, match: Match, *teams: str) -> list[Match]:
        """Matches of all these teams before this one, under any name by which they are the same team."""
        keys = {_team_key(team) for team in teams}
        return [m for m in self.matches if m.date < match.date and keys <= {_team_key(team) for team in m.teams}]

    def kin_met(self, match: Match) -> bool:
        """Whether a predecessor or successor of one met one of the other before."""
        one, two = (_kin(team) for team in match.teams)
        return any(
            m.date < match.date and ((x in one and y in two) or (x in two and y in one))
            for m in self.matches
            for x, y in [tuple(_team_key(team) for team in m.teams)]
        )

    def kin_played(self, match: Match, team: str) -> bool:
        family = _kin(team)
        return any(m.date < match.date and family & {_team_key(t) for t in m.teams} for m in self.matches)

    @cached_property
    def deciders(self) -> dict[int, Match]:
        """The match that decided each title: the final, or the champion's last match of a final round."""
        found = {}
        for year, matches in self.by_year.items():
            finals = [match for match in matches if match.round == "Final"]
            if not finals:
                last = [match for match in matches if match.round == "Final round"][-1]
                table = self.table(last, final=True)
                top = max(row.points for row in table.values())
                (champion,) = (team for team, row in table.items() if row.points == top)
                finals = [match for match in self.group(last) if champion in match.teams]
            found[year] = finals[-1]
        return found

    @cached_property
    def champions(self) -> dict[int, str]:
        return {year: str(winner(match)) for year, match in self.deciders.items()}

    def titles(self, match: Match, team: str) -> list[str]:
        """The names under which a team has won the title, this tournament included."""
        return [
            name for year, name in self.champions.items() if year <= match.year and _team_key(name) == _team_key(team)
        ]

    def fared(self, team: str, year: int) -> str:
        """How a team's tournament ended, as a participle: "lost the final", "gone out in the quarter-finals"."""
        last = [m for m in self.by_year[year] if _team_key(team) in map(_team_key, m.teams)][-1]
        won = _team_key(str(winner(last))) == _team_key(team)
        if _team_key(self.champions[year]) == _team_key(team):
            return "won the title"
        if last.round == "Final":
            return "lost the final"
        if last.round == "Third-place match":
            return "finished third" if won else "finished fourth"
        if last.round == "Final round":
            return "reached the final round"
        stages = {"Group stage": "in the first round", "Second group stage": "in the second round"}
        return f"gone out {stages.get(last.round) or _at(last)}"

    def holders(self, match: Match) -> str | None:
        before = [year for year in self.champions if year < match.year]
        if not before:
            return None
        return next((t for t in match.teams if _team_key(t) == _team_key(self.champions[max(before)])), None)


# ---------------------------------------------------------------- forms of sentences
# Slots: w, l winner, loser; a, b the teams as listed; ws, ls possessives; s the score, winner first; p the shoot-out;
# aet " after extra time" or nothing; place ground and town; at "in the quarter-finals"; at_cup the same with the
# tournament; a_tie "a quarter-final", a_tie_cup with the tournament; cup "the 1998 World Cup". {W} is {w} with a
# capital. In the goals: p scorer, m minute, t his team, o the other, sc the score then.

_WIN = (
    "{W} beat {l} {s}{aet} {at_cup}, played at {place} on {date}.",
    "On {date} {w} beat {l} {s}{aet} at {place}, {at_cup}.",
    "{Town}, {date}. {W} beat {l} {s}{aet} at {stadium}, {at_cup}.",
    "{W} won {s}{aet} against {l} at {place} on {date}, {at_cup}.",
    "{L} were beaten {s}{aet} by {w} at {place} on {date}, {at_cup}.",
    "At {place}, on {date}, {w} defeated {l} {s}{aet} {at_cup}.",
    "{A_tie_cup}, played at {place} on {date}, ended in a {s} win{aet} for {w} over {l}.",
    "{Place} saw {w} beat {l} {s}{aet} on {date}, {at_cup}.",
    "When {a} and {b} met at {place} on {date}, {at_cup}, {w} won {s}{aet}.",
    "For {w}, {date} brought a {s} win{aet} over {l} {at_cup}; the match was played at {place}.",
    "For {l}, {date} meant a {s} defeat{aet} by {w} at {place}, {at_cup}.",
    "{W} met {l} at {place} on {date}, {at_cup}, and won {s}{aet}.",
    "{W} were {s} winners{aet} over {l} on {date}, when the two met at {place} {at_cup}.",
    "{W} beat {l} {s}{aet} {at_cup}.",
    "{At_cup}, {w} beat {l} {s}{aet}.",
    "{W} won {a_tie_cup} against {l}, {s}{aet}.",
    "It was {w} who prevailed {at_cup} when they played {l}: the score was {s}{aet}.",
    "{L} lost {s}{aet} to {w} {at_cup}.",
    "{W} had the better of {l} {at_cup}, winning {s}{aet}.",
    "{A_tie_cup} between {a} and {b} went to {w}, {s}{aet}.",
    "{L} went down {s}{aet} to {w} {at_cup}.",
    "{W} came out of {a_tie_cup} with a {s} win{aet} over {l}.",
    "{W} beat {l} {s}{aet} on {date}, {at_cup}.",
    "On {date}, {at_cup}, {l} lost {s}{aet} to {w}.",
    "{W} beat {l} {s}{aet} at {place} {at_cup}.",
    "{W} {s} {l}{aet}: that was the result at {place} on {date}.",
    "{W} defeated {l} {s}{aet} at {place} on {date}.",
)
_SCENE = (
    "{A} and {b} met at {place} on {date}, {at_cup}.",
    "On {date} {place} was the setting for {a_tie_cup}, between {a} and {b}.",
    "{A_tie_cup} brought {a} and {b} to {place} on {date}.",
    "{A} played {b} at {place} on {date}; it was {a_tie_cup}.",
    "{A} faced {b} {at_cup} on {date}, at {place}.",
    "{Place} staged {a_tie_cup} on {date}, {a} against {b}.",
    "{A} against {b}, {date}, {place}: {a_tie_cup}.",
    "{B} were the opponents of {a} at {place} on {date}, {at_cup}.",
)
_RESULT_WIN = (
    "{W} won {s}{aet}.",
    "The score was {s}{aet}, in favour of {w}.",
    "It finished {s}{aet} to {w}.",
    "{W} were the winners, {s}{aet}.",
    "The match went to {w}, {s}{aet}.",
    "{W} took it {s}{aet}.",
    "{L} lost it to {w}, {s}{aet}.",
    "It was {w} who won, {s}{aet}.",
    "{W} beat {l} {s}{aet}.",
)
_WIN_BY_ONE = (
    "One goal separated {a} and {b} {at_cup}: {w} won {s}{aet}.",
    "{W} edged {l} out {s}{aet} {at_cup}, at {place} on {date}.",
    "{L} were only one goal short of {w} {at_cup}, losing {s}{aet}.",
    "There was a single goal between {a} and {b} at {place} on {date}, and it was {w} who won, {s}{aet}, {at_cup}.",
    "{At_cup} {w} beat {l} by the odd goal, {s}{aet}.",
)
_WIN_CLEARLY = (
    "{W} won by {margin} clear goals, {s}, against {l} {at_cup}.",
    "{W} were {margin} goals too good for {l} at {place} on {date}, winning {s} {at_cup}.",
    "{L} were well beaten by {w}, {s}, {at_cup}.",
    "{W} left {l} {margin} goals behind, {s}, {at_cup}, at {place} on {date}.",
    "{Margin} goals lay between {a} and {b} at {place} on {date}: {w} won {s} {at_cup}.",
    "{W} overwhelmed {l} {s} {at_cup}.",
)
_WIN_TO_NIL = (
    "{W} won without conceding a goal, {s}{aet} against {l}, {at_cup}.",
    "{L} failed to score against {w} {at_cup} and lost {s}{aet}.",
    "{W} kept a clean sheet and beat {l} {s}{aet} at {place} on {date}, {at_cup}.",
    "{L} found no way past {w} at {place} on {date}, losing {s}{aet} {at_cup}.",
)
_MANY_GOALS = (
    "There were {n} goals when {w} beat {l} {s}{aet} {at_cup}.",
    "{N} goals were scored at {place} on {date}: {w} beat {l} {s}{aet} {at_cup}.",
    "{A} and {b} shared {n} goals {at_cup}, and {w} won {s}{aet}.",
    "{W} had the better of {a_tie_cup} with {n} goals in it, beating {l} {s}{aet}.",
)
_SOLE_SCORER = (
    "A goal by {scorer} {when} gave {w} a {s} win{aet} over {l} {at_cup}.",
    "{Scorer} scored the only goal {when} as {w} beat {l} {s}{aet} at {place} on {date}, {at_cup}.",
    "The only goal of the match, by {scorer} {when}, took {w} past {l}, {s}{aet}, {at_cup}.",
    "One goal settled {a_tie_cup}: {scorer} scored it {when}, and {w} beat {l} {s}{aet}.",
    "{W} beat {l} {s}{aet} at {place} on {date}, {at_cup}, with a goal by {scorer} {when}.",
    "{L} lost {s}{aet} to {w} {at_cup}, beaten by a goal from {scorer} {when}.",
)
_HERO = (
    "{Hero} scored {hero_times} as {w} beat {l} {s}{aet} {at_cup}.",
    "{W} beat {l} {s}{aet} {at_cup}, and {hero} scored {hero_goals} of the goals.",
    "{Hero_goals} goals by {hero} helped {w} to beat {l} {s}{aet} at {place} on {date}, {at_cup}.",
    "With {hero_goals} goals from {hero}, {w} won {s}{aet} against {l} {at_cup}.",
)
_COMEBACK = (
    "{L} led {ht_l} at half-time, but {w} won {s}{aet} {at_cup}.",
    "Behind {ht_l} at half-time, {w} recovered to beat {l} {s}{aet} {at_cup}.",
    "{W} trailed {l} {ht_l} at the interval at {place} on {date} and still won {s}{aet}, {at_cup}.",
)
_KNOCKED_OUT = (
    "{L} went out of {cup} {at}, beaten {s}{aet} by {w}.",
    "{W} knocked {l} out of {cup} {at}, winning {s}{aet}.",
    "{Cup} ended for {l} on {date}, when they lost {s}{aet} to {w} at {place} {at}.",
    "{L} got no further than {a_tie_cup}: {w} beat them {s}{aet}.",
)
_THROUGH = (
    "{W} reached {next_stage} of {cup} by beating {l} {s}{aet} {at}.",
    "A {s} win{aet} over {l} {at} carried {w} into {next_stage} of {cup}.",
    "{W} went through to {next_stage} of {cup} with a {s} win{aet} over {l} {at}.",
)
_THIRD_PLACE = (
    "Third place at {cup} went to {w}, who beat {l} {s}{aet} at {place} on {date}.",
    "{W} finished third at {cup} by beating {l} {s}{aet} in the match for third place, at {place} on {date}.",
    "{L} finished fourth at {cup}: {w} beat them {s}{aet} in the third-place match.",
    "{W} took third place at {cup} with a {s} win{aet} over {l} on {date}.",
)
_TOURNAMENT_OPENED = (
    "{Cup} opened at {place} on {date}, and {w} beat {l} {s}{aet} {at}.",
    "The first match of {cup}, on {date}, was won by {w}, {s}{aet} against {l} {at}.",
)
_EXTRA_TIME = (
    "It took extra time for {w} to beat {l} {s} {at_cup}.",
    "{W} needed extra time to get past {l}, {s}, {at_cup}.",
    "Level after ninety minutes, {a} and {b} went into extra time {at_cup}, and {w} won {s}.",
    "Ninety minutes were not enough at {place} on {date}; after extra time {w} had beaten {l} {s} {at_cup}.",
)
_FINAL = (
    "{W} won the {year} World Cup by beating {l} {s}{aet} in the final at {place} on {date}.",
    "{W} became world champions on {date}, beating {l} {s}{aet} in the final of {cup} at {place}.",
    "The {year} World Cup went to {w}, {s} winners{aet} over {l} in the final.",
    "On {date} {w} beat {l} {s}{aet} in the final at {place}, and with that won the {year} World Cup.",
    "{L} lost the final of {cup} {s}{aet} to {w}, who were the new world champions.",
    "{Place} staged the final of {cup} on {date}, and {w} became world champions there with a {s} win{aet} over {l}.",
    "{W} took the world title of {year}, beating {l} {s}{aet} in the World Cup final.",
    "{Cup} ended on {date} with {w} as champions: they beat {l} {s}{aet} in the final at {place}.",
    "World champions in {year}: {w}, who beat {l} {s}{aet} in the World Cup final at {place}.",
    "In the {year} World Cup final {w} beat {l} {s}{aet} and became world champions.",
)
_FINAL_PENALTIES = (
    "{W} won the {year} World Cup on penalties, beating {l} {p} in the shoot-out after a {s} draw in the final.",
    "The final of {cup}, at {place} on {date}, ended {s}; {w} beat {l} {p} on penalties and became world champions.",
    "{W} became world champions on {date}: the final of {cup} against {l} ended {s}, and the shoot-out {p}.",
)
_DECIDER = (
    "{W} won the {year} World Cup by beating {l} {s} at {place} on {date}, at the end of the final round.",
    "{W} beat {l} {s} at {place} on {date}, at the end of the final round, and so won the {year} World Cup.",
)
_DRAW = (
    "{A} and {b} drew {s}{aet} {at_cup}, at {place} on {date}.",
    "Neither {a} nor {b} could win {at_cup}: it finished {s}{aet}.",
    "It ended {s}{aet} between {a} and {b} at {place} on {date}, {at_cup}.",
    "There was no winner when {a} met {b} {at_cup}; the score was {s}{aet}.",
    "{A_tie_cup} between {a} and {b}, played at {place} on {date}, was drawn {s}{aet}.",
    "{A} {s} {b}{aet} was the result at {place} on {date}, {at_cup}.",
    "{Place} saw {a} and {b} draw {s}{aet} on {date}, {at_cup}.",
    "{A} drew {s}{aet} with {b} {at_cup}.",
    "{B} drew {s}{aet} with {a} at {place} {at_cup}.",
    "Honours were even at {place} on {date}: {a} and {b} drew {s}{aet} {at_cup}.",
    "{Town}, {date}. {A} and {b} drew {s}{aet} at {stadium}, {at_cup}.",
    "{A} and {b} could not be separated {at_cup}, drawing {s}{aet}.",
    "On {date} {a} and {b} finished level at {s}{aet} {at_cup}.",
    "{At_cup}, {a} and {b} drew {s}{aet}.",
    "A {s} draw{aet} was all that {a} and {b} could manage {at_cup}.",
)
_RESULT_DRAW = (
    "It finished {s}{aet}.",
    "The score was {s}{aet}, so neither side won.",
    "They drew {s}{aet}.",
    "The match was drawn, {s}{aet}.",
    "Neither side won: it was {s}{aet}.",
    "The two drew {s}{aet}.",
)
_POINT_EACH = (
    "{A} and {b} shared the points in a {s} draw{aet} {at_cup}.",
    "{A} and {b} took a point each from {a_tie_cup}, which ended {s}{aet}.",
    "The points were shared at {place} on {date}, {s}{aet} between {a} and {b}, {at_cup}.",
)
_GOALLESS = (
    "{A} and {b} played out a goalless draw, 0-0{aet}, {at_cup}.",
    "There were no goals at {place} on {date}, where {a} and {b} drew 0-0{aet} {at_cup}.",
    "Neither side scored when {a} and {b} drew 0-0{aet} {at_cup}.",
    "{A} and {b} could not find a goal between them {at_cup} and drew 0-0{aet}.",
    "Goalless: {a} 0-0 {b}{aet}, at {place} on {date}, {at_cup}.",
    "No goal was scored between {a} and {b}, 0-0{aet}, {at_cup} on {date}.",
)
_MANY_GOALS_DRAW = (
    "{N} goals were evenly divided {at_cup}: {a} and {b} drew {s}{aet}.",
    "{A} and {b} scored {each} goals each and drew {s}{aet} {at_cup}.",
)
_LEAD_LOST = (
    "{Ht_leader} led {ht_lead} at half-time but had to settle for a {s} draw{aet} with {ht_other} {at_cup}.",
    "From {ht_lead} down at half-time, {ht_other} came back to draw {s}{aet} with {ht_leader} {at_cup}.",
)
_PENALTIES = (
    "{W} beat {l} {p} on penalties after a {s} draw {at_cup}.",
    "It took a shoot-out to separate {a} and {b} {at_cup}: after a {s} draw {w} won it {p}.",
    "{A} and {b} drew {s} after extra time {at_cup}, and {w} won the penalty shoot-out {p}.",
    "Penalties decided {a_tie_cup} at {place} on {date}: {w} beat {l} {p} in the shoot-out after a {s} draw.",
    "{L} lost to {w} on penalties, {p}, {at_cup}, after the match had ended {s}.",
    "A shoot-out settled it at {place} on {date}, {at_cup}: {s} after extra time, then {w} beat {l} {p} on penalties.",
    "{Town}, {date}. {W} beat {l} {p} on penalties at {stadium}, {at_cup}, after a {s} draw.",
    "Ninety minutes and extra time left {a} and {b} level at {s} {at_cup}; {w} won {p} on penalties.",
    "On {date}, at {place}, {w} got the better of {l} in a penalty shoot-out, {p}, after drawing {s} {at_cup}.",
    "{W} won a penalty shoot-out {p} against {l} {at_cup}; the match itself was drawn {s}.",
    "Nothing but penalties could part {a} and {b} {at_cup}: it was {s} after extra time, and {w} won {p}.",
    "At {s} after extra time, {a_tie_cup} went to penalties, and {w} beat {l} {p}.",
)
_RESULT_PENALTIES = (
    "It was {s} after extra time, and {w} won {p} on penalties.",
    "After extra time the score stood at {s}; {w} won the penalty shoot-out {p}.",
    "They drew {s}, and {w} went through {p} on penalties.",
    "{W} won it {p} on penalties, after a {s} draw.",
)
_KNOCKED_OUT_PENALTIES = (
    "{W} knocked {l} out of {cup} {at} on penalties, {p}, after a {s} draw.",
    "{L} went out of {cup} on penalties {at}: {s} after extra time, {p} to {w} in the shoot-out.",
)

# What the opening left unsaid about place, day and occasion.
_SETTING: dict[frozenset[str], tuple[str, ...]] = {
    frozenset({"date", "ground"}): (
        "The match was played at {place} on {date}.",
        "The setting was {place}, the date {date}.",
        "It took place on {date} at {place}.",
        "{Place} was the ground, {date} the date.",
        "The teams met at {place} on {date}.",
        "The game, at {place}, was played on {date}.",
        "{Place} staged the match on {date}.",
        "This was on {date}, at {place}.",
        "The venue on {date} was {place}.",
        "They played at {place}; the date was {date}.",
        "Ground and date: {place}, {date}.",
        "The meeting on {date} was held at {place}.",
        "The match dates from {date} and was played at {place}.",
    ),
    frozenset({"ground"}): (
        "The match was played at {place}.",
        "{Place} was the venue.",
        "The venue was {place}.",
        "The teams met at {place}.",
        "{Place} staged the match.",
        "The ground was {place}.",
        "It was played at {place}.",
    ),
    frozenset({"date"}): (
        "The date was {date}.",
        "The match was played on {date}.",
        "This was on {date}.",
        "The day was {date}.",
        "They met on {date}.",
    ),
    frozenset({"stage"}): (
        "It was {a_tie_cup}.",
        "This was {a_tie_cup}.",
        "The occasion was {a_tie_cup}.",
        "The match was {a_tie_cup}.",
        "The two had met in {a_tie_cup}.",
    ),
}

_FIRST = (
    "{p} put {t} ahead{m}",
    "{p} opened the scoring for {t}{m}",
    "{p} gave {t} the lead{m}",
    "{t} took the lead{m} through {p}",
    "{p} scored first for {t}{m}",
    "the first goal was scored for {t} by {p}{m}",
    "{t} went in front{m} with a goal by {p}",
    "the opening goal came from {p} of {t}{m}",
)
_ONLY = (
    "{p} scored the only goal{m}",
    "the only goal came from {p}{m}",
    "one goal was enough, scored by {p}{m}",
    "{p} scored for {t}{m}, and nobody else did",
    "the goal that decided it was scored by {p}{m}",
    "{ts} goal came from {p}{m}",
)
_ONLY_OWN_GOAL = ("{p} decided the match{m}", "the only goal was {p}{m}", "{p} was all that {t} needed{m}")
_BY_A_PLAYER = re.compile("scored|added|pulled|equalised|struck|goal by {p}|from {p}")  # no words for an own goal
_EQUAL = (
    "{p} equalised for {t}{m}",
    "{p} brought {t} level{m}",
    "{p} made it {sc}{m}",
    "{t} drew level{m} through {p}",
    "{p} levelled the score{m}",
    "{t} were level again{m} through {p}",
    "{p} equalised{m}",
)
_EXTEND = (
    "{p} made it {sc}{m}",
    "{p} added another{m}",
    "{p} took the score to {sc}{m}",
    "{p} increased the lead{m}",
    "{p} stretched it to {sc}{m}",
)
_EXTEND_AGAIN = ("{p} made it {sc} to {t}{m}", "{p} gave {t} a {sc} lead{m}", "{t} went {sc} up{m} through {p}")
_REDUCE = (
    "{p} pulled one back for {t}{m}",
    "{p} cut {os} lead to {sc}{m}",
    "{p} scored for {t}{m} to make it {sc}",
    "{p} gave {t} a goal{m}",
    "{t} got one back{m} through {p}",
    "{p} cut the lead to {sc}{m}",
)
_AHEAD = ("{p} put {t} {sc} ahead{m}", "{p} put {t} in front{m}", "{p} gave {t} a {sc} lead{m}",
          "{p} gave them a {sc} lead{m}", "{p} put them {sc} ahead{m}")  # fmt: skip
_AHEAD_AGAIN = ("{p} restored {ts} lead{m}", "{p} put {t} ahead again{m}", "{t} regained the lead{m} through {p}")
_TURNED = ("{p} turned the match round for {t}{m}", "{p} put {t} in front for the first time{m}")
_RUN = (
    "{p} scored {k} for {t}{m} to make it {sc}",
    "{p} scored {k}{m} to make it {sc}",
    "{p} struck {k} for {t}{m} to make it {sc}",
    "{k_goals} goals by {p} for {t}{m} made it {sc}",
)
_RUN_AHEAD = ("{p} took {t} to {sc} with {k_goals} goals{m}", "{t} went to {sc} with {k_goals} goals by {p}{m}")
_BOTH_LISTS = (
    "{T} scored through {sw}, {o} through {so}.",
    "For {t} the {tg} came from {sw}; for {o}, from {so}.",
    "{Ts} {tg} came from {sw}, and {os} from {so}.",
    "Goals: for {t}, {sw}; for {o}, {so}.",
    "{T} had their {tg} from {sw}, {o} theirs from {so}.",
)
_BOTH_LISTS_PLAYERS = (
    "{Sw} scored for {t}, {so} for {o}.",
    "The scorers were {sw} for {t} and {so} for {o}.",
    "{Sw} found the net for {t}, with {so} scoring for {o}.",
    "The goals came from {sw} for {t} and {so} for {o}.",
    "{So} scored for {o}; {ts} {tg} came from {sw}.",
    "Names on the scoresheet: {sw} for {t}, {so} for {o}.",
)
_ONE_LIST = (
    "{T} scored through {sw}.",
    "The goals came from {sw}.",
    "{Ts} goals: {sw}.",
    "All the goals were {ts}: {sw}.",
    "{T} had goals from {sw}.",
)
_RUNNING = (
    "Goal by goal, {t} first: {steps}.",
    "The score, with {t} named first, moved like this: {steps}.",
    "The goals in order, with {ts} score first: {steps}.",
    "Step by step, from {ts} side: {steps}.",
)

_HT_LED = (
    "{W} led {ht_w} at half-time.",
    "It was {ht_w} to {w} at half-time.",
    "At the interval {w} were {ht_w} up.",
    "By half-time it was {ht_w} to {w}.",
    "{L} were {ht_w} down at the break.",
    "The first half went to {w}, {ht_w}.",
)
_HT_LEVEL = (
    "It was {ht} at half-time.",
    "The sides were level at {ht} at the interval.",
    "Half-time came with the score at {ht}.",
    "At the break it stood at {ht}.",
    "The first half ended {ht}.",
)
_HT_GOALLESS = (
    "Half-time came without a goal.",
    "There had been no goals before half-time.",
    "It was still 0-0 at the interval.",
    "The first half was goalless.",
    "All the scoring was done after half-time.",
)
_HT_TRAILED = (
    "At half-time {l} had led {ht_l}.",
    "{L} were {ht_l} up at half-time and lost the match after it.",
    "{W} had been {ht_l} down at the interval.",
    "The first half had gone to {l}, {ht_l}.",
)
_HT_FINAL = (
    "All the goals came before half-time.",
    "The score was the same at half-time.",
    "There were no goals after the interval.",
    "Nothing changed after half-time, when it was already {ht_w}.",
)
_HT_DRAW_LED = ("{Ht_leader} led {ht_lead} at half-time.", "At the interval {ht_leader} were {ht_lead} ahead.",
                "{Ht_other} were {ht_lead} down at the break.")  # fmt: skip
_NINETY = (
    "It was {ft} after ninety minutes.",
    "The ninety minutes had ended {ft}.",
    "Normal time had left the sides level at {ft}.",
    "After ninety minutes the score was {ft}.",
    "It had stood at {ft} at the end of normal time.",
    "{Ft} was the score when extra time began.",
)
_NINETY_GOALLESS = (
    "There had been no goals in ninety minutes.",
    "Ninety minutes had passed without a goal.",
    "Normal time had been goalless.",
    "It had been 0-0 at the end of ninety minutes.",
)
_ET_ONE = (
    "The one goal of extra time was {ws}.",
    "{W} scored the only goal of extra time.",
    "A single goal in extra time, {ws}, decided it.",
)
_ET_MORE = (
    "In extra time {w} scored {et_w} and {l} {et_l}.",
    "Extra time brought {et_n} goals: {et_w} for {w}, {et_l} for {l}.",
)
_ET_ONLY_W = (
    "{W} scored {et_times} in extra time.",
    "Extra time brought {et_w} goals, all for {w}.",
)
_ET_NONE = (
    "Extra time brought no goals.",
    "Nobody scored in extra time.",
    "There was no goal in extra time.",
)
_ET_EACH = ("Each side scored in extra time.", "Both teams found the net in extra time.")
_CAME_BACK = (
    "{W} had to come from behind to win.",
    "{W} had been behind in the course of the match.",
    "{L} had held the lead before they lost it.",
    "{W} won after falling behind.",
)
_CAME_BACK_TWO = ("{W} had been two goals down.", "{L} had thrown away a two-goal lead.")
_LATE = (
    "The winning goal came late, {late}.",
    "It was decided only {late}.",
    "The goal that settled it fell {late}.",
    "The winning goal was a long time coming: it fell {late}.",
)
_LATE_LEVEL = (
    "The last goal, which made it {s}, came only {late}.",
    "The equaliser came late, {late}.",
    "{Late_team} were saved by a goal {late}.",
)

_CHAMPIONS = (
    "{W} were world champions {for_nth}.",
    "The win made {w} world champions {for_nth}.",
    "So it was {w} who won the {year} World Cup, {their_nth}.",
    "With that {w} won the {year} World Cup; it was {their_nth}.",
    "{W} had won the {year} World Cup, {their_nth}.",
    "The champions of {cup} were {w}, {for_nth}.",
    "The winners of the {year} World Cup were therefore {w}; it was {their_nth}.",
)
_TITLE_COUNT = (
    "For {w} it was {their_nth}.",
    "{W} were champions {for_nth}.",
    "{W} were world champions {for_nth}.",
    "{W} had won the World Cup {for_nth}.",
)
_RUNNERS_UP = ("{L} were the runners-up.", "{L} finished second.", "{L} were the beaten finalists.")
_NO_FINAL = (
    "There was no final in {year}. Four teams played a final round: {w} ended on {w_points} points, {l} on {l_points}.",
)
_DRAW_ENOUGH = ("A draw would have made {l} the champions.",)
_NEXT = (
    "{W} went on to meet {opp} {next_at}.",
    "Next for {w} came {opp}, {next_at}.",
    "{Opp} were the next opponents of {w}, {next_at}.",
    "The win took {w} to {next_stage}, against {opp}.",
    "{Opp} were waiting for {w} {next_at}.",
    "{W} were through to {next_stage}, where they played {opp}.",
    "The reward for {w} was a place in {next_stage}, against {opp}.",
)
_OUT = (
    "{L} were out.",
    "For {l} the tournament was over.",
    "It was the end of {cup} for {l}.",
    "{L} went out.",
    "{L} played no further part in the tournament.",
)
_TO_THIRD_PLACE = (
    "{L} were left to play {opp_l} for third place.",
    "{L} had the third-place match to come, against {opp_l}.",
    "For {l} there remained the match for third place, against {opp_l}.",
)
_THIRD = ("{W} finished third, {l} fourth.", "Third place was {ws}.", "{W} came third and {l} fourth.")
_REPLAY_NEXT = (
    "The two had to meet again, in a replay on {replay}.",
    "A replay followed on {replay}.",
    "It had to be played again, on {replay}.",
)
_REPLAY_OF = (
    "It was a replay: {first_result} on {first_date}.",
    "The replay was needed because {first_result} on {first_date}.",
    "At the first attempt, on {first_date}, {first_result}.",
)
_BEATEN_BEFORE = (
    "On the way {w} had beaten {beaten}.",
    "{W} had put out {beaten} before this.",
    "To get this far {w} had beaten {beaten}.",
)
_BOTH_BEATEN_BEFORE = (
    "{W} had beaten {beaten} in the round before, {l} {beaten_l}.",
    "To get there {w} had beaten {beaten}, and {l} had beaten {beaten_l}.",
)
_CAME_FROM = (
    "Before this match {a} had {before_a}, and {b} had {before_b}.",
    "{A} had {before_a} in their previous match, {b} had {before_b}.",
    "Coming into the match, {a} had {before_a}; {b} had {before_b}.",
    "In their matches before, {a} had {before_a} and {b} had {before_b}.",
)
_FIRST_MATCHES = (
    "Neither team had played a match at the tournament yet.",
    "It was where both teams started.",
    "It was the first match of the tournament for both.",
    "Both sides were beginning their tournament.",
    "For both it was the start of the tournament.",
    "Both teams were opening their account in {group}.",
)
_POINTS_WIN = (
    "It left {w} with {w_points} from {w_played} and {l} with {l_points}.",
    "{W} now had {w_points} from {w_played}, {l} {l_points}.",
    "In {group} that gave {w} {w_points} from {w_played}; {l} had {l_points}.",
    "After {w_played} each, {w} had {w_points} in {group} and {l} had {l_points}.",
)
_POINTS_DRAW = (
    "It left {a} with {a_points} and {b} with {b_points}, after {a_played} each.",
    "In {group} {a} now had {a_points} and {b} {b_points}.",
    "After {a_played}, {a} had {a_points} and {b} {b_points}.",
)
_POINTS_LEVEL = (
    "It left both with {a_points} from {a_played}.",
    "Both now had {a_points} in {group}.",
    "After {a_played} each, both stood at {a_points}.",
)
_NEXT_IN_GROUP = (
    "{A} played {next_a} next, {b} {next_b}.",
    "Still to come in {group} were {next_a} for {a} and {next_b} for {b}.",
    "The next opponents were {next_a} for {a}, {next_b} for {b}.",
)
_SAME_NEXT = (
    "Both had {next_a} still to play in {group}.",
    "Next for both came a match against {next_a}.",
    "Each of them had {next_a} left to play in {group}.",
)
_RECORD = (
    "{X} ended {group} with {x_record}.",
    "{Xs} record in {group} was {x_record}.",
    "In all {x} had {x_record} in {group}.",
    "{Group} had brought {x} {x_record}.",
)
_RECORDS = (
    "{X} ended {group} with {x_record}, {y} with {y_record}.",
    "{X} had {x_record} in {group}; {y} had {y_record}.",
    "Over the whole of {group}, {x} had {x_record} and {y} {y_record}.",
)
_SAME_RECORDS = ("Both ended {group} with {x_record}.", "Each had {x_record} in {group}.")
_TALLY = (
    "It was {xs} {nth} match of the tournament; in the earlier ones they had scored {goals} and conceded {against}.",
    "Before this match {x} had scored {goals} at the tournament and conceded {against}.",
    "{X} had come with {goals} scored and {against} conceded in {k}.",
    "In {k} up to then {x} had scored {goals} and let in {against}.",
)
_BOTH_TALLIES = (
    "Up to then {x} had scored {goals} at the tournament and conceded {against}, {y} {goals_y} and {against_y}.",
    "{X} had come with {goals} scored and {against} conceded, {y} with {goals_y} and {against_y}.",
    "Before this match {x} had {goals} for and {against} against, {y} {goals_y} for and {against_y} against.",
)
_OTHER_TIE = (
    "The other {stage} was between {ties}.",
    "The other {stage} was played by {ties}.",
    "{Ties} met in the other {stage}.",
)
_OTHER_TIES = (
    "The other {stage}s were {ties}.",
    "Elsewhere in the {stage}s it was {ties}.",
    "The rest of the {stage}s: {ties}.",
    "The {stage}s also had {ties}.",
)
_BOTH_THROUGH = (
    "Both teams went on to {stage_x}.",
    "Both went through to {stage_x}.",
    "It was enough for both: they went on to {stage_x}.",
    "{A} and {b} had both reached {stage_x}.",
)
_NEITHER_THROUGH = (
    "Neither team went any further.",
    "Both teams went out.",
    "For both it was the last match of the tournament.",
    "Neither got beyond {group}.",
)
_ONE_THROUGH = (
    "{X} went on to {stage_x}, {y} went out.",
    "{X} went through to {stage_x}; for {y} it was the last match of the tournament.",
    "It was the end of the tournament for {y}, while {x} went on to {stage_x}.",
    "{X} were through to {stage_x}, and {y} were out.",
    "While {x} moved on to {stage_x}, {y} did not get beyond {group}.",
)
_TWO_WAYS = ("{X} went on to {stage_x}, {y} to {stage_y}.", "For {x} it was {stage_x} next, for {y} {stage_y}.")
_THROUGH_ALONE = (
    "{X} went on to {stage_x}.",
    "{X} were through to {stage_x}.",
    "{X} had a place in {stage_x}.",
    "From here {x} went on to {stage_x}.",
)
_HOME_ALONE = (
    "{Y} went out.",
    "For {y} it was the last match of the tournament.",
    "{Y} did not get beyond {group}.",
    "{Y} had no more matches to play.",
)
_TOP = (
    "{X} finished top of {group} with {x_points}.",
    "{X} won {group} with {x_points}.",
    "{Group} was won by {x}, with {x_points}.",
)
_BOTTOM = (
    "{Y} finished bottom of {group} with {y_points}.",
    "{Y} ended {group} in last place, with {y_points}.",
    "Last place in {group} went to {y}, with {y_points}.",
)
_TABLE = (
    "{Group} ended with {table}.",
    "The points in {group}: {table}.",
    "In the end {group} stood like this: {table}.",
    "Final points in {group}: {table}.",
)
_COMPANIONS = (
    "The other teams in {group} were {others}.",
    "Also in {group}: {others}.",
    "{Group} was completed by {others}.",
    "They shared {group} with {others}.",
)
_COMPANION = (
    "The other team in {group} was {others}.",
    "The third team in {group} was {others}.",
)
_ALONE = ("{Group} had no other teams, so this was its only match.",)
_FIRST_MEETING = (
    "The two had never met at a World Cup before.",
    "It was the first World Cup meeting of the two teams.",
    "{A} and {b} were meeting for the first time at a World Cup.",
    "No earlier World Cup had brought these two teams together.",
    "At World Cups this was new: the two had not met before.",
    "They had no World Cup history with each other.",
)
_ONE_MEETING = (
    "Their one earlier World Cup meeting was in {ly}: {last}.",
    "They had met once before at a World Cup: in {ly} {last}.",
    "At their only earlier World Cup meeting, in {ly}, {last}.",
    "The two had met before, in {ly}, when {last}.",
    "There had been one World Cup match between them until then, in {ly}: {last}.",
)
_MANY_MEETINGS = (
    "It was their {nth} World Cup meeting; in the one before, in {ly}, {last}.",
    "They had met {k} before at World Cups, most recently in {ly}, when {last}.",
    "This was World Cup meeting number {number} between them; in the previous one, in {ly}, {last}.",
    "Their last World Cup meeting had been in {ly}: {last}. In all there had been {k_meetings}.",
)
_MET_ALREADY = (
    "The two had already met at this World Cup: {last} on {last_date}.",
    "They had played each other earlier in the tournament, when {last}.",
)
_REVENGE = (
    "{W} had their revenge for {ly}, when {last}.",
    "It was revenge for {ly}, when {last}.",
    "In {ly} {last}; this time {w} had the last word.",
    "{W} made up for {ly}, when {last}.",
)
_SAME_AGAIN = (
    "{W} had won their last World Cup meeting as well: in {ly} {last}.",
    "As in {ly}, when {last}, it was {w} who came out on top.",
    "{L} had lost to {w} in {ly} too, when {last}.",
)

_WIDEST = (
    "No other match at {cup} was won by such a margin.",
    "It was the widest margin of {cup}.",
    "Nobody else won by as much at {cup}.",
)
_NONE_WIDER = ("No match at {cup} was won by more.", "There was no wider margin at {cup}.")
_MOST_GOALS = (
    "No other match at {cup} had as many goals.",
    "It was the match with the most goals at {cup}.",
)
_NONE_MORE_GOALS = ("No match at {cup} had more goals.", "More goals than that were not seen in any match of {cup}.")
_WIDEST_EVER = ("No World Cup match before it had been won by so many goals.",)
_MOST_GOALS_EVER = ("No World Cup match before it had seen so many goals.",)
_ONLY_GOALLESS = ("It was the only goalless match of {cup}.", "No other match at {cup} ended without a goal.")
_OPENING_DAY = (
    "It was played on the opening day of {cup}.",
    "It was one of the matches with which {cup} began.",
    "{Cup} began with this match and others on the same day.",
)
_OPENING_MATCH = ("It was the opening match of {cup}.", "With this match {cup} began.", "{Cup} began with this match.")
_HAT_TRICK = (
    "{Hero} had a hat-trick.",
    "The three goals by {hero} made a hat-trick.",
    "{Hero} left with a hat-trick.",
    "{Hero} scored three times in the match.",
)
_TWO_HAT_TRICKS = ("{Hero} and {second} had a hat-trick each.", "There were hat-tricks by {hero} and {second}.")
_MORE_THAN_HAT_TRICK = ("{Hero} scored {k} times in the match.", "{Hero} alone had {k} goals.")
_FIRST_SHOOT_OUT_EVER = ("No World Cup match had been decided on penalties before.",)
_FIRST_SHOOT_OUT = (
    "{X} had not been in a World Cup shoot-out before.",
    "It was {xs} first penalty shoot-out at a World Cup.",
    "For {x} it was a first World Cup shoot-out.",
)
_DEBUT = (
    "{X} had never played at a World Cup before.",
    "It was {xs} first match at a World Cup.",
    "For {x} it was a World Cup debut.",
    "{X} were new to the World Cup.",
)
_RETURN = (
    "{X} were back at the World Cup for the first time since {since}.",
    "{X} had last played at a World Cup in {since}.",
    "It was {xs} first World Cup match since {since}.",
)
_FARED = (
    "At their last World Cup, in {when_x}, {x} had {fared_x}.",
    "{X} had {fared_x} in {when_x}.",
    "In {when_x} {x} had {fared_x}.",
    "The last time {x} played at a World Cup, in {when_x}, they had {fared_x}.",
)
_BOTH_FARED = (
    "{X} had {fared_x} in {when_x}, {y} had {fared_y} in {when_y}.",
    "At their last World Cups, {x} had {fared_x} ({when_x}) and {y} had {fared_y} ({when_y}).",
    "The last time round {x} had {fared_x} ({when_x}); {y} had {fared_y} ({when_y}).",
)
_FARED_ALIKE = ("Both had {fared_x} in {when_x}.", "In {when_x} both teams had {fared_x}.")
_FARED_THEN = (
    "In {when_x} {x} had {fared_x} and {y} had {fared_y}.",
    "At the World Cup of {when_x}, {x} had {fared_x}, and {y} had {fared_y}.",
    "{X} had {fared_x} in {when_x}, and {y} had {fared_y}.",
)
_APPEARANCE = (
    "It was {xs} {nth} World Cup.",
    "{X} were at the World Cup for the {nth} time.",
    "For {x} it was World Cup number {number}.",
    "{X} had played at {k} World Cups before.",
)
_FIRST_WIN = (
    "It was {xs} first win at a World Cup.",
    "{X} had never won a World Cup match before.",
    "For {x} it was a first World Cup win.",
)
_TEAM_RECORD = (
    "{X} had never scored as many in a World Cup match.",
    "It was the most goals {x} had scored in a World Cup match up to then.",
)
_STREAK = (
    "It was {xs} {nth} win in {k} matches at the tournament.",
    "{X} had now won all {k} of their matches.",
    "{X} kept up a perfect record: {k} matches, {k} wins.",
)
_NONE_CONCEDED = (
    "{X} had still not conceded a goal at the tournament.",
    "After {k} matches {x} had yet to concede a goal.",
    "Nobody had scored against {x} in {k} matches.",
)
_HOLDERS = (
    "{X} had come as holders.",
    "{X} were the defending champions.",
    "{X} had won the World Cup before this one.",
)
_HOLDERS_OUT = (
    "The holders, {x}, were out.",
    "That was the end for {x}, the defending champions.",
    "The title would not stay with {x}, who were out.",
)
_HOLDERS_BEATEN = ("{X} had been the holders of the title.", "{X} were the outgoing champions.")
_LOST_ALL = (
    "{Y} had lost {all_k} of their matches.",
    "There was nothing for {y} from {k} matches but defeats.",
    "{Y} lost every match they played.",
)
_NO_GOAL = ("{Y} had not scored a goal.", "{Y} went out without having scored.", "{Y} never scored at the tournament.")
_KICK_OFF = (
    "Kick-off was at {clock} ({zone}).",
    "It kicked off at {clock} ({zone}).",
    "The match began at {clock} ({zone}).",
)


class _Chooser:
    """Picks forms by hash, from the half of a bank that was used longest ago."""

    def __init__(self) -> None:
        self._clock = 0
        self._used: dict[str, int] = {}

    def pick(self, options: Sequence[str], key: str) -> str:
        self._clock += 1
        ordered = sorted(options, key=lambda option: (self._used.get(option, 0), _hash(key, option)))
        choice = min(ordered[: (len(ordered) + 1) // 2], key=lambda option: _hash(key, option))
        self._used[choice] = self._clock
        return choice


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("|".join(parts).encode()).digest()[:8], "big")


# ---------------------------------------------------------------- words that need the stage


def _at(match: Match) -> str:
    """Where in the tournament: "in the quarter-finals", "in Group C"."""
    stage = stage_in_words(match)
    if stage.startswith("Group") and "play-off" not in stage:
        return f"in {stage}"
    if "-final" in stage:
        return f"in a {stage}" if "replay" in stage else f"in the {stage}s"
    return f"in a {stage}" if "replay" in stage else f"in the {stage}"


def _a_tie(match: Match) -> str:
    """The match by its stage: "a quarter-final", "the final", "a Group C match"."""
    stage = stage_in_words(match)
    if match.round == "Second group stage":
        return f"a second-round match in {match.group}"
    if match.group:
        return f"a {match.group} match"
    if stage in ("final", "third-place match") or "play-off" in stage:
        return f"the {stage}"
    if "-final" in stage or "replay" in stage:
        return f"a {stage}"
    return f"a {stage.replace(' ', '-')} match"


def _at_cup(match: Match, cup: str) -> list[str]:
    forms = [f"{_at(match)} of {cup}", f"{_at(match)} at {cup}"]
    stage, year = stage_in_words(match), match.year
    if match.round == "Second group stage":
        return [*forms, f"in second-round {match.group} of {cup}", f"in a second-round match of {cup} in {match.group}"]
    if match.group:
        return [*forms, f"in a {stage} match of {cup}", f"in a {stage} match at {cup}"]
    if match.round in ("Quarter-finals", "Semi-finals"):
        more = [f"in a {stage} of {cup}", f"in a {year} World Cup {stage}", f"in the {year} World Cup {stage}s"]
        return [forms[0], *more]
    if match.round == "Final":
        return [forms[0], f"in the {year} World Cup final"]
    if match.round == "Third-place match":
        return [*forms, f"in the match for third place at {cup}"]
    if _a_tie(match).startswith("a ") and "replay" not in stage:
        return [*forms, f"in {_a_tie(match)} of {cup}", f"in {_a_tie(match)} at {cup}"]
    return forms


def _a_tie_cup(match: Match, cup: str) -> list[str]:
    forms = [f"{_a_tie(match)} of {cup}", f"{_a_tie(match)} at {cup}"]
    if match.round in ("Quarter-finals", "Semi-finals"):
        return [forms[0], f"a {match.year} World Cup {stage_in_words(match)}"]
    return forms[:1] if match.round == "Final" else forms


def _the_stage(match: Match) -> str:
    """A later stage as something to reach: "the second round", "the quarter-finals", "a replay"."""
    if match.round == "Second group stage":
        return "the second round"
    if "replay" in match.round:
        return "a replay"
    return _at(match).removeprefix("in ")


def _participle(match: Match, team: str) -> str:
    """What a team had done: "beaten Brazil 2-1", "drawn 0-0 with Spain"."""
    won, other = winner(match), _the(_other(match, team))
    late = " after extra time" if match.extra_time and not match.shoot_out else ""
    if won is None:
        return f"drawn {_score(match.score)}{late} with {other}"
    score = " on penalties" if match.shoot_out else f" {_score(match.score, match.teams.index(won))}{late}"
    return f"beaten {other}{score}" if won == team else f"lost to {other}{score}"


# ---------------------------------------------------------------- the goals as a story

_JOINTS = (", and ", "; ", " before ", ", and ", "; then ")


class _GoalStory:
    """Tells the goals one after the other, each by what it did to the score."""

    def __init__(self, match: Match, order: Iterable[tuple[int, Goal]], style: str, pick: Callable[..., str]) -> None:
        self.teams, self.style, self.pick = match.teams, style, pick
        self.runs = [list(run) for _, run in groupby(order, key=lambda x: (x[0], x[1].name, x[1].own_goal))]
        self.score, self.led, self.spoke_of = [0, 0], {0: False, 1: False}, -1

    def text(self) -> str:
        if len(self.runs) == 1 and len(self.runs[0]) == 1:
            return _upper(self._clause(self.runs[0], _ONLY)) + "."
        clauses = [self._told(run) for run in self.runs]
        sentences = []
        while clauses:
            n = 3 if len(clauses) == 3 and len(" ".join(clauses).split()) < 30 else 2
            now, clauses = clauses[:n], clauses[n:]
            sentences.append(_upper(_list(now) if len(now) == 3 else self.pick(_JOINTS).join(now)) + ".")
        return " ".join(sentences)

    def _told(self, run: Sequence[tuple[int, Goal]]) -> str:
        side = run[0][0]
        own, other = self.score[side], self.score[1 - side]
        if len(run) > 1:
            forms: Sequence[str] = [*_RUN, *(_RUN_AHEAD if own + len(run) >= other else ())]
        elif own == other == 0:
            forms = _FIRST
        elif own + 1 == other:
            forms = _EQUAL
        elif own < other:
            forms = _REDUCE
        elif own == other:
            forms = [*_AHEAD, *(_AHEAD_AGAIN if self.led[side] else _TURNED if self.led[1 - side] else ())]
        else:
            forms = _EXTEND if self.spoke_of == side else _EXTEND_AGAIN
        same = self.spoke_of == side  # then the team need not be named again
        return self._clause(run, [form for form in forms if same != ("{t}" in form or "{ts}" in form)] or forms)

    def _clause(self, run: Sequence[tuple[int, Goal]], forms: Sequence[str]) -> str:
        (side, goal), goals = run[0], [goal for _, goal in run]
        self.score[side] += len(run)
        ahead = self.score[side] > self.score[1 - side]
        self.led[side] |= ahead
        self.spoke_of = side
        shown = sorted(self.score, reverse=True)
        if goal.own_goal:
            forms = [form for form in forms if not _BY_A_PLAYER.search(form)] or _ONLY_OWN_GOAL
        name = f"an own goal by {goal.name}" if goal.own_goal else goal.name
        in_words = self.style == "minute"
        slots = {
            "p": name if in_words else f"{name} {_clocks(goals, self.style)}",
            "m": f" {_whens(goals)}" if in_words else "",
            "t": _the(self.teams[side]), "ts": _of(self.teams[side]), "os": _of(self.teams[1 - side]),
            "sc": f"{shown[0]}-{shown[1]}", "k": _times(len(run)), "k_goals": _number(len(run)),
        }  # fmt: skip
        return self.pick(forms).format_map(slots)


# ---------------------------------------------------------------- a report


class _Slots(dict[str, str]):
    """{W} is {w} with a capital first letter; a slot that nothing fills is a KeyError."""

    def __missing__(self, key: str) -> str:
        if not key[0].isupper():
            raise KeyError(key)
        return _upper(self[key[0].lower() + key[1:]])


@dataclass(frozen=True)
class _Part:
    """A sentence that a report may hold: its place, how much it is wanted (3 or more: always), its forms and slots.

    Of the parts with one topic, a report holds one.
    """

    about: str
    weight: float
    forms: Sequence[str]
    slots: Mapping[str, str]
    topic: str = ""


_ORDERS = (
    ("setting", "scorers", "play", "note", "meaning", "before", "frame"),
    ("scorers", "play", "setting", "note", "meaning", "before", "frame"),
    ("before", "scorers", "play", "note", "meaning", "frame", "setting"),
    ("play", "scorers", "note", "before", "meaning", "setting", "frame"),
    ("setting", "frame", "before", "play", "scorers", "note", "meaning"),
    ("scorers", "play", "note", "meaning", "frame", "setting", "before"),
    ("frame", "setting", "play", "scorers", "meaning", "before", "note"),
    ("note", "scorers", "play", "meaning", "before", "setting", "frame"),
    ("meaning", "setting", "scorers", "play", "note", "before", "frame"),
    ("setting", "before", "scorers", "play", "note", "frame", "meaning"),
)
_TOLD_BY = {"ground": r"\{(place|Place|stadium)\}", "date": r"\{date\}", "stage": r"[At]_cup|a_tie|[cC]up\}|\{year\}"}
_MIN_WORDS = 60
_MAX_WORDS = 118  # a report fits into one chunk


def match_reports() -> list[Document]:
    """Return one Document a match, in order of date."""
    matches = read_matches()
    history = _History(matches)
    documents = []
    for _, year in groupby(matches, key=lambda match: match.year):
        chooser = _Chooser()
        for match in year:
            text = _walk_over(match, history) if match.walk_over else _Writer(match, history, chooser).text()
            documents.append(Document(match.doc_id, "world_cup", title_of(match), match.date, text, sources=SOURCES))
    return documents


def _walk_over(match: Match, history: _History) -> str:
    through = str(match.walk_over)
    out = _other(match, through)
    after = history.next(match, through)
    if after is None or history.next(match, out):
        raise ValueError(f"{match.doc_id}: a walk-over needs a next match for {through} and none for {out}")
    return (
        f"The match between {_the(match.teams[0])} and {_the(match.teams[1])} in the {stage_in_words(match)} of the "
        f"{match.year} World Cup was never played. It was fixed for {_date(match.date)} at {_place(match)}, but was "
        f"cancelled, and there is no score: {_the(through)} went through by a walk-over. Their next opponents were "
        f"{_the(_other(after, through))}, {_at(after)}, on {_date(after.date)}. {_upper(_the(out))} played no match "
        "at the tournament."
    )


class _Writer:
    """Puts the report of one match together."""

    def __init__(self, match: Match, history: _History, chooser: _Chooser) -> None:
        self.match, self.history, self.chooser = match, history, chooser
        self.won, self.lost = winner(match), loser(match)
        self.first = match.teams.index(self.won) if self.won else 0
        self.decider = history.deciders[match.year] == match
        self.ht = half_time(match)
        self.order = goals_in_order(match)
        self.replay = next((m for m in self._after() if "replay" in m.round), None)
        self.slots = self._slots()

    # ------------------------------------------------ putting together

    def text(self) -> str:
        opening = self._pick(self._openings())
        sentences = [self._fill(opening)]
        if opening in _SCENE:
            sentences.append(self._fill(self._pick(self._results())))
        missing = {what for what, slots in _TOLD_BY.items() if not re.search(slots, opening)}
        if "stage" in missing:
            sentences.append(self._fill(self._pick(_SETTING[frozenset({"stage"})])))
            missing.remove("stage")
        parts = [part for part in self._parts() if not self._told(part, opening)]
        if self.decider and re.search("champions|won the", opening):
            parts = [replace(part, forms=_TITLE_COUNT) if part.topic == "title" else part for part in parts]
        if missing:
            parts.append(_Part("setting", 9, _SETTING[frozenset(missing)], {}))
        chosen = self._choose(parts, n_words=len(" ".join(sentences).split()))
        order = _ORDERS[int(self._pick([str(i) for i in range(len(_ORDERS))]))]
        for about in order:
            sentences += [sentence for part, sentence in chosen if part.about == about]
        return " ".join(sentences).replace("..", ".")

    def _choose(self, parts: Sequence[_Part], n_words: int) -> list[tuple[_Part, str]]:
        """What must be said, and of the rest the most wanted until the length drawn for this report is reached."""
        wish = _MIN_WORDS + 10 + self._draw("length") % 38
        ranked = sorted(parts, key=lambda part: -part.weight - self._draw(part.forms[0]) % 100 / 60)
        chosen: dict[int, str] = {}
        topics: set[str] = set()
        for part in sorted(ranked, key=lambda part: part.weight < 3):
            if part.topic in topics or (part.weight < 3 and n_words >= wish):
                continue
            sentence = self._fill(self._pick(part.forms), part.slots)
            length = len(sentence.split())
            if part.weight < 3 and n_words + length > _MAX_WORDS:
                continue
            chosen[id(part)] = sentence
            topics |= {part.topic} - {""}
            n_words += length
        return [(part, chosen[id(part)]) for part in parts if id(part) in chosen]

    def _told(self, part: _Part, opening: str) -> bool:
        """Whether the opening has said already what this part says."""
        return (
            ("corer}" in opening and part.about == "scorers")
            or ("{ht_l" in opening and part.forms in (_HT_TRAILED, _HT_DRAW_LED, _CAME_BACK))
            or ("out of {cup}" in opening and part.forms == _OUT)
            or ("{L} got no further" in opening and part.forms == _OUT)
            or ("ended for {l}" in opening and part.forms == _OUT)
            or ("ero" in opening and part.forms in (_HAT_TRICK, _MORE_THAN_HAT_TRICK))
            or ("{next_stage}" in opening and part.forms == _NEXT)
            or (opening in _THIRD_PLACE and part.forms == _THIRD)
            or (opening in _TOURNAMENT_OPENED and part.forms == _OPENING_MATCH)
            or (opening in _GOALLESS and part.forms == _ONLY_GOALLESS)
        )

    def _pick(self, forms: Sequence[str]) -> str:
        return self.chooser.pick(forms, self.match.doc_id)

    def _draw(self, what: str) -> int:
        return _hash(self.match.doc_id, what)

    def _fill(self, form: str, extra: Mapping[str, str] | None = None) -> str:
        return _upper(form.format_map(_Slots({**self.slots, **(extra or {})})))

    def _after(self) -> Iterator[Match]:
        """The next match of both, if they meet in it."""
        one, two = (self.history.next(self.match, team) for team in self.match.teams)
        if one is not None and one is two:
            yield one

    def _slots(self) -> dict[str, str]:
        match = self.match
        a, b = match.teams
        slots = {
            "a": _the(a), "b": _the(b), "s": _score(match.score, self.first), "date": _date(match.date),
            "place": _place(match), "stadium": _stadium(match.ground), "town": _town(match.city),
            "year": str(match.year), "at": _at(match), "a_tie": _a_tie(match),
            "group": match.group or "the final round",
            "aet": " after extra time" if match.extra_time and not match.shoot_out else "",
            "n": _number(sum(match.score)), "each": _number(match.score[0]),
        }  # fmt: skip
        slots["cup"] = self._pick([f"the {match.year} World Cup"] * 2 + [f"the World Cup of {match.year}"])
        slots["at_cup"] = self._pick(_at_cup(match, slots["cup"]))
        slots["a_tie_cup"] = self._pick(_a_tie_cup(match, slots["cup"]))
        if self.won and self.lost:
            slots |= {"w": _the(self.won), "l": _the(self.lost), "ws": _of(self.won), "ls": _of(self.lost)}
            slots["margin"] = _number(abs(match.score[0] - match.score[1]))
        if match.shoot_out:
            slots["p"] = _score(match.shoot_out, self.first)
        if self.ht:
            lead = 1 if self.ht[1] > self.ht[0] else 0
            slots |= {"ht": _score(self.ht), "ht_lead": _score(self.ht, lead), "ht_w": _score(self.ht, self.first)}
            slots |= {"ht_l": _score(self.ht, 1 - self.first)}
            slots |= {"ht_leader": _the(match.teams[lead]), "ht_other": _the(match.teams[1 - lead])}
        return slots

    # ------------------------------------------------ the opening

    def _openings(self) -> list[str]:
        match, score = self.match, self.match.score
        if match.round == "Final":
            return list(_FINAL_PENALTIES if match.shoot_out else _FINAL)
        if self.decider:
            return list(_DECIDER)
        if match.shoot_out:
            forms = [*_PENALTIES, *_SCENE]
            return forms if match.round == "Semi-finals" else [*forms, *_KNOCKED_OUT_PENALTIES]
        if self.won is None:
            return self._draw_openings()
        margin = abs(score[0] - score[1])
        forms = [*_WIN, *_SCENE]
        forms += _WIN_BY_ONE if margin == 1 else ()
        forms += _WIN_CLEARLY if margin >= 4 else ()
        forms += _WIN_TO_NIL if min(score) == 0 else ()
        forms += _MANY_GOALS if sum(score) >= 6 else ()
        forms += _EXTRA_TIME if match.extra_time else ()
        forms += self._scorer_openings()
        if self.ht and self.ht[self.first] < self.ht[1 - self.first]:
            forms += _COMEBACK
        if match.round == "Third-place match":
            forms = [*_THIRD_PLACE, *_THIRD_PLACE, *forms[: len(_WIN)]]
        elif not match.in_group:
            after = self.history.next(match, str(self.won))
            if not self.history.next(match, str(self.lost)):
                forms += _KNOCKED_OUT
            if after:
                self.slots["next_stage"] = _the_stage(after)
                forms += _THROUGH
        if self._only_one_that_day() and match.date == self.history.by_year[match.year][0].date:
            forms = list(_TOURNAMENT_OPENED)
        return forms

    def _draw_openings(self) -> list[str]:
        match = self.match
        forms = [*_DRAW, *_SCENE, *(_POINT_EACH if match.in_group else ())]
        if match.score == (0, 0):
            forms = [*_GOALLESS, *_GOALLESS, *forms]
        if match.score[0] >= 3:
            forms += _MANY_GOALS_DRAW
        if self.ht and self.ht[0] != self.ht[1]:
            forms += _LEAD_LOST
        return forms

    def _scorer_openings(self) -> tuple[str, ...]:
        goals = self.match.goals[self.first] if self.match.goals else ()
        if sum(self.match.score) == 1 and goals and not goals[0].own_goal:
            self.slots |= {"scorer": goals[0].name, "when": _when(goals[0])}
            return (*_SOLE_SCORER, *_SOLE_SCORER)
        heroes = [(len(scored), name) for name, scored in _by_player(goals).items() if len(scored) >= 2]
        if len(heroes) == 1 and heroes[0][0] < sum(self.match.score):
            n, name = heroes[0]
            self.slots |= {"hero": name, "hero_times": _times(n), "hero_goals": _number(n)}
            return (*_HERO, *(_HERO if n >= 3 else ()))
        return ()

    def _results(self) -> Sequence[str]:
        if self.match.shoot_out:
            return _RESULT_PENALTIES
        return _RESULT_WIN if self.won else _RESULT_DRAW

    def _only_one_that_day(self) -> bool:
        return sum(other.date == self.match.date for other in self.history.by_year[self.match.year]) == 1

    # ------------------------------------------------ the rest

    def _parts(self) -> list[_Part]:
        parts = [*self._scorers(), *self._play(), *self._notes(), *self._meaning(), *self._past()]
        return [part for part in parts if part.forms]

    def _scorers(self) -> Iterator[_Part]:
        match = self.match
        if match.goals is None or match.score == (0, 0):
            return
        order, n = self.order, sum(match.score)
        styles = []
        if order is not None and n <= 7:
            styles += ["told"] * (4 if n <= 5 else 2)
        if order is not None and n >= 4:
            styles += ["running"]
        styles += ["list"] * 3
        style = styles[self._draw("scorers") % len(styles)]
        tick = ("", "'", "minute" if n <= 4 else "")[self._draw("tick") % 3]
        if style == "told" and order is not None:
            sentence = _GoalStory(match, order, tick, self._pick).text()
        elif style == "running" and order is not None:
            sentence = self._running(order, "'" if tick == "'" else "")
        else:
            sentence = self._list_of_scorers(tick)
        yield _Part("scorers", 9, [sentence.replace("{", "{{")], {})

    def _list_of_scorers(self, tick: str) -> str:
        goals = self.match.goals or ((), ())
        first = self.first if goals[self.first] else 1 - self.first
        own, others = goals[first], goals[1 - first]
        t, o = self.match.teams[first], self.match.teams[1 - first]
        slots = _Slots(t=_the(t), ts=_of(t), o=_the(o), os=_of(o), sw=scorers_in_words(own, style=tick))
        slots["tg"] = "goal" if len(own) == 1 else "goals"
        any_own_goal = any(goal.own_goal for goal in (*own, *others))
        if others:
            slots["so"] = scorers_in_words(others, style=tick)
            forms = [*_BOTH_LISTS, *(() if any_own_goal else _BOTH_LISTS_PLAYERS)]
            return _upper(self._pick(forms).format_map(slots))
        if len(own) == 1:
            goal = own[0]
            subject = f"an own goal by {goal.name}" if goal.own_goal else goal.name
            forms = list(_ONLY_OWN_GOAL if goal.own_goal else _ONLY)
            return _upper(self._pick(forms).format_map(_Slots(slots, p=subject, m=" " + _when(goal)))) + "."
        return _upper(self._pick(_ONE_LIST).format_map(slots))

    def _running(self, order: Sequence[tuple[int, Goal]], tick: str) -> str:
        score, steps = [0, 0], []
        for side, goal in order:
            score[side] += 1
            note = " own goal" if goal.own_goal else " pen" if goal.penalty else ""
            steps.append(f"{_score((score[0], score[1]), self.first)} {goal.name} ({goal.clock}{tick}{note})")
        first = self.match.teams[self.first]
        return self._pick(_RUNNING).format_map(_Slots(t=_the(first), ts=_of(first), steps=", ".join(steps)))

    def _play(self) -> Iterator[_Part]:
        match, ht, full = self.match, self.ht, self.match.full_time
        if match.extra_time and full and self.won:
            added = [match.extra_time[i] - full[i] for i in (self.first, 1 - self.first)]
            slots = {"ft": _score(full), "et_w": _number(added[0]), "et_l": _number(added[1])}
            slots |= {"et_n": _number(sum(added)), "et_times": _times(added[0])}
            if sum(added) or match.shoot_out is None:
                yield _Part("play", 3, _NINETY if sum(full) else _NINETY_GOALLESS, slots)
            forms: Sequence[str]
            if match.shoot_out:
                forms = _ET_NONE if not sum(added) else _ET_EACH if added == [1, 1] else ()
                yield _Part("play", 1.5, forms, slots)
            else:
                both = _ET_MORE if added[1] else _ET_ONLY_W
                yield _Part("play", 2, _ET_ONE if added == [1, 0] else both, slots)
        if ht and sum(match.score):
            lead = ht[self.first] - ht[1 - self.first]
            if ht == match.score and not match.extra_time:
                forms = _HT_FINAL
            elif ht == (0, 0):
                forms = _HT_GOALLESS
            elif lead == 0:
                forms = _HT_LEVEL
            elif self.won is None or match.shoot_out:
                forms = _HT_DRAW_LED
            else:
                forms = _HT_LED if lead > 0 else _HT_TRAILED
            yield _Part("play", 1.6, forms, {})
        yield from self._course_of_play()

    def _course_of_play(self) -> Iterator[_Part]:
        if self.order is None or not self.order:
            return
        score, worst, decisive = [0, 0], 0, self.order[-1]
        for side, goal in self.order:
            level = score[0] == score[1]
            score[side] += 1
            worst = min(worst, score[self.first] - score[1 - self.first])
            if level and side == self.first:
                decisive = (side, goal)
        late = 115 if self.match.extra_time else 85
        when = {"late": _when(Goal("", *decisive[1].time))}
        if self.won and not self.match.shoot_out:
            half_behind = self.ht is not None and self.ht[self.first] < self.ht[1 - self.first]
            if worst <= -2:
                yield _Part("note", 2.5, _CAME_BACK_TWO, {})
            elif worst < 0 and not half_behind:
                yield _Part("note", 1.5, _CAME_BACK, {})
            if decisive[1].minute >= late and sum(self.match.score) > 1:
                yield _Part("note", 1.5, _LATE, when)
        elif not self.won and decisive[1].minute >= late:
            yield _Part("note", 2, _LATE_LEVEL, when | {"late_team": _the(self.match.teams[decisive[0]])})

    # ------------------------------------------------ what is notable

    def _notes(self) -> Iterator[_Part]:
        match, history = self.match, self.history
        year = [other for other in history.by_year[match.year] if not other.walk_over]
        before = [other for other in history.matches if other.date < match.date and not other.walk_over]
        margins = sorted((_margin(other) for other in year), reverse=True)
        totals = sorted((sum(other.score) for other in year), reverse=True)
        if _margin(match) == margins[0]:
            yield _Part("note", 2.5, _WIDEST if margins[1] < margins[0] else _NONE_WIDER, {}, "extreme")
        if sum(match.score) == totals[0]:
            yield _Part("note", 2.5, _MOST_GOALS if totals[1] < totals[0] else _NONE_MORE_GOALS, {}, "extreme")
        if match.year > 1930 and _margin(match) > max(_margin(other) for other in before):
            yield _Part("note", 2.8, _WIDEST_EVER, {}, "extreme")
        if match.year > 1930 and sum(match.score) > max(sum(other.score) for other in before):
            yield _Part("note", 2.8, _MOST_GOALS_EVER, {}, "extreme")
        if match.score == (0, 0) and sum(total == 0 for total in totals) == 1:
            yield _Part("note", 2, _ONLY_GOALLESS, {})
        if match.date == year[0].date and not self._only_one_that_day():
            yield _Part("frame", 1.5, _OPENING_DAY, {})
        elif match.date == year[0].date:
            yield _Part("frame", 2, _OPENING_MATCH, {})
        yield from self._hat_tricks()
        yield from self._shoot_out_notes(before)
        for team in match.teams:
            yield from self._team_notes(team)
        yield from self._how_they_fared()
        if match.kick_off:
            clock, zone = match.kick_off.split()
            yield _Part("frame", 0.4, _KICK_OFF, {"clock": clock, "zone": zone})

    def _how_they_fared(self) -> Iterator[_Part]:
        """How the teams had done at the World Cup they last took part in, said at their first match of this one."""
        match, fared = self.match, []
        for team in match.teams:
            ever = [m for m in self.history.earlier(match, team) if not m.walk_over]
            if ever and ever[-1].year < match.year and (len(_kin(team)) == 1 or team in ever[-1].teams):
                fared.append((_the(team), str(ever[-1].year), self.history.fared(team, ever[-1].year)))
        if fared:
            x = fared[0]
            slots = {"x": x[0], "when_x": x[1], "fared_x": x[2]}
            if len(fared) == 2:
                y = fared[1]
                slots |= {"y": y[0], "when_y": y[1], "fared_y": y[2]}
                forms = _FARED_ALIKE if x[1:] == y[1:] else _FARED_THEN if x[1] == y[1] else _BOTH_FARED
                yield _Part("before", 1.6, forms, slots, "fared")
            else:
                yield _Part("before", 1.6, _FARED, slots, "fared")

    def _hat_tricks(self) -> Iterator[_Part]:
        players = [item for goals in self.match.goals or () for item in _by_player(goals).items()]
        threes = [name for name, scored in players if len(scored) == 3]
        if len(threes) == 2:
            yield _Part("note", 2.8, _TWO_HAT_TRICKS, {"hero": threes[0], "second": threes[1]})
        elif threes:
            yield _Part("note", 2.5, _HAT_TRICK, {"hero": threes[0]})
        for name, scored in players:
            if len(scored) > 3:
                yield _Part("note", 2.5, _MORE_THAN_HAT_TRICK, {"hero": name, "k": _number(len(scored))})

    def _shoot_out_notes(self, before: Sequence[Match]) -> Iterator[_Part]:
        if not self.match.shoot_out:
            return
        earlier = [other for other in before if other.shoot_out]
        if not earlier:
            yield _Part("note", 2.8, _FIRST_SHOOT_OUT_EVER, {})
            return
        for team in self.match.teams:
            own = [other for other in earlier if _team_key(team) in map(_team_key, other.teams)]
            if not own and len(_kin(team)) == 1:
                yield _Part("before", 1.2, _FIRST_SHOOT_OUT, {"x": _the(team), "xs": _of(team)}, "shoot-out")

    def _team_notes(self, team: str) -> Iterator[_Part]:
        match, history = self.match, self.history
        slots = {"x": _the(team), "xs": _of(team)}
        own = match.teams.index(team)
        ever, this_cup = history.earlier(match, team), history.of_team(team, match.year)
        ever = [other for other in ever if not other.walk_over]
        so_far = [other for other in this_cup if other.date < match.date and not other.walk_over]
        if not ever and match.year > 1930 and not history.kin_played(match, team):
            yield _Part("before", 2.6, _DEBUT, slots, "debut")
        elif not so_far and ever and match.year - ever[-1].year > 12:
            yield _Part("before", 2.2, _RETURN, slots | {"since": str(ever[-1].year)}, "debut")
        cups = {other.year for other in ever} - {match.year}
        if not so_far and len(cups) >= 2 and (len(_kin(team)) == 1):
            slots |= {"nth": _nth(len(cups) + 1), "number": str(len(cups) + 1), "k": _number(len(cups))}
            yield _Part("before", 0.7, _APPEARANCE, slots, "appearance")
        wins = [other for other in ever if _team_key(str(winner(other))) == _team_key(team)]
        if team == self.won and ever and not wins and not match.shoot_out and len(_kin(team)) == 1:
            yield _Part("note", 2.6, _FIRST_WIN, slots)
        scored = [other.score[[_team_key(t) for t in other.teams].index(_team_key(team))] for other in ever]
        if len(ever) >= 5 and match.score[own] >= 4 and match.score[own] > max(scored) and len(_kin(team)) == 1:
            yield _Part("note", 2, _TEAM_RECORD, slots)
        n = len(so_far) + 1
        if team == self.won and n >= 3 and not match.shoot_out:
            if all(winner(other) == team and not other.shoot_out for other in so_far):
                yield _Part("note", 1.8, _STREAK, slots | {"nth": _nth(n), "k": _number(n)}, "run")
            conceded = [other.score[1 - other.teams.index(team)] for other in [*so_far, match]]
            if not any(conceded):
                yield _Part("note", 1.8, _NONE_CONCEDED, slots | {"k": _number(n)}, "run")
        if history.holders(match) == team:
            if team == self.lost and not history.next(match, team):
                out = match.round not in ("Third-place match", "Final", "Final round")
                yield _Part("note", 2.4, _HOLDERS_OUT if out else _HOLDERS_BEATEN, slots)
            elif not so_far:
                yield _Part("before", 2.2, _HOLDERS, slots, "fared")

    # ------------------------------------------------ what it meant

    def _meaning(self) -> Iterator[_Part]:
        if self.decider:
            yield from self._title()
        elif self.match.in_group:
            yield from self._group()
        else:
            yield from self._knock_out()

    def _title(self) -> Iterator[_Part]:
        match, won = self.match, str(self.won)
        names = self.history.titles(match, won)
        n, under_other = len(names), len([name for name in names if name != won])
        note = f", counting {_number(under_other)} won as West Germany" if under_other else ""
        slots = {"for_nth": f"for the {_nth(n)} time{note}", "their_nth": f"their {_nth(n)} title{note}"}
        yield _Part("meaning", 9, _CHAMPIONS, slots, "title")
        if match.in_group:
            rows = self.history.table(match, final=True)
            slots = {"w_points": str(rows[won].points), "l_points": str(rows[str(self.lost)].points)}
            yield _Part("note", 9, _NO_FINAL, slots)
            if rows[str(self.lost)].points + 1 > rows[won].points - 1:
                yield _Part("note", 9, _DRAW_ENOUGH, {})
        else:
            yield _Part("meaning", 0.8, _RUNNERS_UP, {})
            yield from self._road()
            yield from self._tallies()

    def _knock_out(self) -> Iterator[_Part]:
        match, history = self.match, self.history
        if self.replay:
            yield _Part("meaning", 3, _REPLAY_NEXT, {"replay": _date(self.replay.date)})
            return
        after_w, after_l = history.next(match, str(self.won)), history.next(match, str(self.lost))
        if after_w and after_w.round != "Third-place match":
            slots = {"opp": _the(_other(after_w, str(self.won))), "next_at": _at(after_w)}
            yield _Part("meaning", 2.2, _NEXT, slots | {"next_stage": _the_stage(after_w)})
        if after_l and match.round == "Semi-finals":
            yield _Part("meaning", 1.4, _TO_THIRD_PLACE, {"opp_l": _the(_other(after_l, str(self.lost)))})
        elif not after_l and match.round not in ("Third-place match", "Semi-finals"):
            yield _Part("meaning", 1, _OUT, {})
        if match.round == "Third-place match":
            yield _Part("meaning", 1.8, _THIRD, {})
        yield from self._road()
        yield from self._tallies()
        yield from self._other_ties()

    def _road(self) -> Iterator[_Part]:
        """How the two came as far as this."""
        match, history = self.match, self.history
        if "replay" in match.round:
            return
        yield from self._came_from()
        if match.round == "Third-place match":
            return
        before = [history.previous(match, team) for team in (str(self.won), str(self.lost))]
        beaten = [_the(str(loser(m))) for m in before if m and not m.in_group and not m.walk_over and winner(m)]
        same_round = len({m.round for m in before if m}) == 1
        if len(beaten) == 2 and same_round:
            yield _Part("before", 1.6, _BOTH_BEATEN_BEFORE, {"beaten": beaten[0], "beaten_l": beaten[1]}, "road")
        victims = [m for m in history.of_team(str(self.won), match.year) if m.date < match.date and not m.in_group]
        victims = [m for m in victims if not m.walk_over and winner(m) == self.won]
        if victims:
            names = _list([f"{_the(str(loser(m)))} {_at(m)}" for m in victims])
            yield _Part("before", 1.4, _BEATEN_BEFORE, {"beaten": names}, "road")

    def _tallies(self) -> Iterator[_Part]:
        """Goals for and against up to this match: both teams where they play for a place, else one of them."""
        x, y = self.match.teams
        n_x, goals, against = self._goals_before(x)
        _, goals_y, against_y = self._goals_before(y)
        slots = {"x": _the(x), "xs": _of(x), "nth": _nth(n_x + 1), "k": f"{_number(n_x)} matches"}
        slots |= {"goals": _goals_in_words(goals), "against": _number(against) if against else "none"}
        if self.match.round in ("Final", "Third-place match"):
            conceded = _number(against_y) if against_y else "none"
            slots |= {"y": _the(y), "goals_y": _number(goals_y), "against_y": conceded}
            yield _Part("before", 1.2, _BOTH_TALLIES, slots)
        elif n_x >= 2:
            yield _Part("before", 1, _TALLY, slots, "road")

    def _goals_before(self, team: str) -> tuple[int, int, int]:
        """Matches, goals for and goals against of a team in this tournament, before this match."""
        before = [m for m in self.history.of_team(team, self.match.year) if m.date < self.match.date]
        before = [m for m in before if not m.walk_over]
        goals = sum(m.score[m.teams.index(team)] for m in before)
        return len(before), goals, sum(sum(m.score) for m in before) - goals

    def _other_ties(self) -> Iterator[_Part]:
        match = self.match
        if match.round in ("Quarter-finals", "Semi-finals"):
            others = [m for m in self.history.by_year[match.year] if m.round == match.round and m != match]
            joint = " and " if len(others) == 1 else " against "
            ties = _list([joint.join(_the(team) for team in m.teams) for m in others])
            slots = {"stage": stage_in_words(match), "ties": ties}
            yield _Part("frame", 0.8, _OTHER_TIE if len(others) == 1 else _OTHER_TIES, slots)

    def _group(self) -> Iterator[_Part]:
        match, history = self.match, self.history
        now, end = history.table(match, final=False), history.table(match, final=True)
        last = [history.last_in_group(match, team) for team in match.teams]
        played = [now[team].played for team in match.teams]
        if played == [1, 1] and not any(last):
            if match.round != "Second group stage" and match.round != "Final round":
                yield _Part("meaning", 1, _FIRST_MATCHES, {})
        elif not all(last) and played[0] == played[1]:
            yield self._points(now, played[0])
        if not any(last):
            a, b = (_the(_other(after, t)) for t in match.teams for after in [history.next(match, t)] if after)
            yield _Part("meaning", 1.1, _SAME_NEXT if a == b else _NEXT_IN_GROUP, {"next_a": a, "next_b": b})
        yield from self._came_from()
        if match.round != "Final round":
            yield from self._who_went_on(last, end)
        yield from self._final_table(last, end)
        others = [_the(team) for team in end if team not in match.teams]
        forms = _COMPANIONS if len(others) > 1 else _COMPANION if others else _ALONE
        yield _Part("frame", 0.9, forms, {"others": _list(others) if others else ""})

    def _came_from(self) -> Iterator[_Part]:
        before = [(self.history.previous(self.match, team), team) for team in self.match.teams]
        if all(m is not None and not m.walk_over for m, _ in before):
            a, b = (_participle(m, team) for m, team in before if m)
            yield _Part("before", 1.3, _CAME_FROM, {"before_a": a, "before_b": b}, "road")

    def _points(self, now: Mapping[str, Row], n: int) -> _Part:
        a, b = self.match.teams
        played = f"{_number(n)} match{'es' if n > 1 else ''}"
        slots = {"w_played": played, "a_played": played}
        slots |= {"a_points": _points(now[a].points), "b_points": str(now[b].points or "none")}
        if now[a].points == now[b].points:
            return _Part("meaning", 1.5, _POINTS_LEVEL, slots, "table")
        if self.won and self.lost:
            slots |= {"w_points": _points(now[self.won].points), "l_points": str(now[self.lost].points or "none")}
        return _Part("meaning", 1.5, _POINTS_WIN if self.won else _POINTS_DRAW, slots, "table")

    def _who_went_on(self, last: Sequence[bool], end: Mapping[str, Row]) -> Iterator[_Part]:
        match = self.match
        after = [self._next_stage(team) for team in match.teams]
        if all(last) and any(after):
            x = 0 if after[0] else 1
            one, two = _the(match.teams[x]), _the(match.teams[1 - x])
            slots = {"x": one, "y": two, "stage_x": after[x] or "", "stage_y": after[1 - x] or ""}
            forms = _ONE_THROUGH if not all(after) else _BOTH_THROUGH if after[0] == after[1] else _TWO_WAYS
            yield _Part("meaning", 2.4, forms, slots)
        elif all(last):
            yield _Part("meaning", 2.4, _NEITHER_THROUGH, {})
        else:
            for is_last, team, stage in zip(last, match.teams, after, strict=True):
                if is_last:
                    slots = {"x": _the(team), "y": _the(team), "stage_x": stage or ""}
                    yield _Part("meaning", 1.8, _THROUGH_ALONE if stage else _HOME_ALONE, slots)

    def _next_stage(self, team: str) -> str | None:
        group = self.history.group(self.match)
        later = [m for m in self.history.of_team(team, self.match.year) if m not in group and m.date > self.match.date]
        return _the_stage(later[0]) if later else None

    def _final_table(self, last: Sequence[bool], end: Mapping[str, Row]) -> Iterator[_Part]:
        match = self.match
        points = sorted((row.points for row in end.values()), reverse=True)
        group = self.history.group(match)
        complete = all(other.date <= match.date for other in group)
        if complete and len(set(points)) == len(points) > 2:
            ordered = sorted(end, key=lambda team: -end[team].points)
            texts = [f"{_the(ordered[0])} {_points(points[0])}"] + [f"{_the(t)} {end[t].points}" for t in ordered[1:]]
            yield _Part("meaning", 1.5, _TABLE, {"table": _list(texts)}, "table")
        if match.round == "Final round" or len(points) < 3:
            return
        for is_last, team in zip(last, match.teams, strict=True):
            row = end[team]
            if is_last and points[0] == row.points > points[1]:
                yield _Part("meaning", 1.4, _TOP, {"x": _the(team), "x_points": _points(points[0])}, "table")
            elif is_last and points[-1] == row.points < points[-2]:
                yield _Part("meaning", 1.2, _BOTTOM, {"y": _the(team), "y_points": _points(points[-1])}, "table")
            elsewhere = any(m not in group for m in self.history.of_team(team, match.year))
            if is_last and row.lost == row.played > 1 and not elsewhere:
                slots = {"k": _number(row.played), "all_k": "both" if row.played == 2 else f"all {_number(row.played)}"}
                yield _Part("meaning", 1.6, _LOST_ALL, {"y": _the(team), **slots}, "record")
            if is_last and row.scored == 0 and not elsewhere:
                yield _Part("meaning", 1.6, _NO_GOAL, {"y": _the(team)}, "record")
        x, y = match.teams if self.won != match.teams[1] else match.teams[::-1]
        slots = {"x": _the(x), "y": _the(y), "xs": _of(x), "x_record": _record(end[x]), "y_record": _record(end[y])}
        if all(last):
            same = slots["x_record"] == slots["y_record"]
            yield _Part("meaning", 0.9, _SAME_RECORDS if same else _RECORDS, slots, "record")
        elif any(last):
            team = match.teams[last.index(True)]
            slots = {"x": _the(team), "xs": _of(team), "x_record": _record(end[team])}
            yield _Part("meaning", 0.9, _RECORD, slots, "record")

    # ------------------------------------------------ what had been before

    def _past(self) -> Iterator[_Part]:
        match, history = self.match, self.history
        met = [other for other in history.earlier(match, *match.teams) if not other.walk_over]
        if "replay" in match.round:
            first = met[-1]
            slots = {"first_result": result_in_words(first), "first_date": _date(first.date)}
            yield _Part("before", 3, _REPLAY_OF, slots)
            return
        if not met:
            if not history.kin_met(match) and match.year > 1930:
                yield _Part("before", 1.4, _FIRST_MEETING, {})
            return
        last = met[-1]
        words = result_in_words(last) + ("" if last.in_group else f" {_at(last)}")
        slots = {"last": words, "ly": str(last.year), "last_date": _date(last.date), "number": str(len(met) + 1)}
        slots |= {"nth": _nth(len(met) + 1), "k": _times(len(met)), "k_meetings": _number(len(met))}
        if last.year == match.year:
            yield _Part("before", 2.5, _MET_ALREADY, slots)
            return
        forms: Sequence[str] = _ONE_MEETING if len(met) == 1 else _MANY_MEETINGS
        if self.won and winner(last) and set(match.teams) == set(last.teams):
            again = _team_key(str(winner(last))) == _team_key(self.won)
            forms = [*forms, *(_SAME_AGAIN if again else _REVENGE)]
        yield _Part("before", 1.7, forms, slots)


def _by_player(goals: Iterable[Goal]) -> dict[str, list[Goal]]:
    by_player: dict[str, list[Goal]] = defaultdict(list)
    for goal in goals:
        if not goal.own_goal:
            by_player[goal.name].append(goal)
    return by_player


def _goals(goals: Iterable[Sequence[Any]]) -> tuple[Goal, ...]:
    made = []
    for name, clock, *notes in goals:
        minute, _, added = str(clock).partition("+")
        made.append(Goal(name, int(minute), int(added or 0), penalty="pen" in notes, own_goal="og" in notes))
    return tuple(made)


def _margin(match: Match) -> int:
    return abs(match.score[0] - match.score[1])


def _points(n: int) -> str:
    return "1 point" if n == 1 else f"{n} points" if n else "no points"


def _record(row: Row) -> str:
    """A line of a table in words: "two wins and a draw"."""
    counts = ((row.won, "win", "wins"), (row.drawn, "draw", "draws"), (row.lost, "defeat", "defeats"))
    return _list([f"a {one}" if n == 1 else f"{_number(n)} {many}" for n, one, many in counts if n])


def _goals_in_words(n: int) -> str:
    return f"{_number(n)} goal{'' if n == 1 else 's'}"
