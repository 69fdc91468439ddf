"""The match reports, checked against the openfootball files themselves, not against the templates' own data."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from course_lib.core.types import Document
from course_lib.corpus.world_cup import (
    FACTS,
    Goal,
    Match,
    goals_in_order,
    half_time,
    match_reports,
    read_matches,
    result_in_words,
    scorers_in_words,
    stage_in_words,
    title_of,
    winner,
)
from course_lib.workshop.world_cup_facts import compact_facts

SOURCE = Path(__file__).parents[2].parent / "shared/data/worldcup"
needs_source = pytest.mark.skipif(not SOURCE.is_dir(), reason=f"the openfootball files are not at {SOURCE}")

N_MATCHES = 1069
CHAMPIONS = {
    1930: "Uruguay", 1934: "Italy", 1938: "Italy", 1950: "Uruguay", 1954: "West Germany", 1958: "Brazil",
    1962: "Brazil", 1966: "England", 1970: "Brazil", 1974: "West Germany", 1978: "Argentina", 1982: "Italy",
    1986: "Argentina",
    1990: "West Germany", 1994: "Brazil", 1998: "France", 2002: "Brazil", 2006: "Italy", 2010: "Spain", 2014: "Germany",
    2018: "France", 2022: "Argentina", 2026: "Spain",
}  # fmt: skip
MONTHS = ["", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December"]  # fmt: skip
ENGLISH = {"München": "Munich", "Köln": "Cologne", "Nürnberg": "Nuremberg", "Hannover": "Hanover", "Zürich": "Zurich",
           "St. Petersburg": "Saint Petersburg"}  # fmt: skip
NO_SCORE = {"ft": [0, 0]}


# ---------------------------------------------------------------- reports and source side by side


@cache
def reports() -> tuple[Document, ...]:
    return tuple(match_reports())


@cache
def source() -> tuple[dict[str, Any], ...]:
    entries = []
    for path in sorted(SOURCE.glob("[12]???.json")):
        year = json.loads(path.read_text(encoding="utf-8"))["matches"]
        entries += [{**entry, "year": int(path.stem)} for entry in year]
    return tuple(entries)


@cache
def pairs() -> tuple[tuple[dict[str, Any], Document], ...]:
    """Every entry of the source beside its report, found by date and title."""
    found: dict[tuple[str, str, str], Document] = {}
    for report in reports():
        teams = re.match(r"(.+?) (?:\d+-\d+|v) (.+?)(?: \(.*?\))?, ", report.title)
        assert teams, report.title
        found[str(report.date), teams[1], teams[2]] = report
    return tuple((entry, found[entry["date"], entry["team1"], entry["team2"]]) for entry in source())


def final_score(entry: dict[str, Any]) -> list[int]:
    score = entry.get("score", NO_SCORE)
    return list(score.get("et") or score["ft"])


def side_that_won(entry: dict[str, Any]) -> int | None:
    """0 or 1; None after a draw."""
    one, two = entry.get("score", NO_SCORE).get("p") or final_score(entry)
    return None if one == two else int(two > one)


def both_ways(score: list[int]) -> set[str]:
    return {f"{score[0]}-{score[1]}", f"{score[1]}-{score[0]}"}


def clock(goal: dict[str, Any]) -> str:
    return f"{goal['minute']}" + (f"+{goal['offset']}" if goal.get("offset") else "")


def goals(entry: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    for side in (0, 1):
        for goal in entry.get(f"goals{side + 1}", []):
            yield side, goal


def played(entries: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    return [entry for entry in entries if "score" in entry]


def report_of(doc_id: str) -> Document:
    return next(report for report in reports() if report.doc_id == doc_id)


# ---------------------------------------------------------------- the facts


def test_every_match_of_every_tournament_has_one_report() -> None:
    assert len(reports()) == len(read_matches()) == N_MATCHES
    assert len({report.doc_id for report in reports()}) == N_MATCHES
    assert sorted({report.date.year for report in reports()}) == sorted(CHAMPIONS)
    assert all(report.shelf == "world_cup" and "openfootball" in report.sources for report in reports())
    assert all(re.fullmatch(r"world_cup/\d{4}-\d\d-\d\d(-[a-z]+)+", report.doc_id) for report in reports())


@needs_source
def test_the_facts_file_is_what_the_maker_makes_of_the_source() -> None:
    lines = [json.loads(line) for line in FACTS.read_text(encoding="utf-8").splitlines()]
    assert lines == compact_facts(SOURCE)
    assert len(pairs()) == N_MATCHES


def test_facts_are_in_order_of_date() -> None:
    dates = [match.date for match in read_matches()]
    assert dates == sorted(dates)


# ---------------------------------------------------------------- what a report must say


@needs_source
@pytest.mark.parametrize("year", sorted(CHAMPIONS))
def test_reports_name_teams_date_year_stage_and_ground(year: int) -> None:
    stadiums = json.loads((SOURCE / "2026.stadiums.json").read_text(encoding="utf-8"))["stadiums"]
    by_city = {stadium["city"]: stadium["name"] for stadium in stadiums}
    for entry, report in pairs():
        if entry["year"] != year:
            continue
        day = date.fromisoformat(entry["date"])
        assert report.date == day
        wanted = [entry["team1"], entry["team2"], f"{day.day} {MONTHS[day.month]} {year}", "World Cup"]
        if year == 2026:
            wanted += [by_city[entry["ground"]], *re.findall(r"[^()]+", entry["ground"].replace(" (", "("))]
        else:
            wanted += [ENGLISH.get(part, part) for part in entry["ground"].split(", ")]
        wanted += ["second round"] if year in (1974, 1978, 1982) and entry.get("group", "1")[-1].isalpha() else []
        wanted += [entry["group"]] if "group" in entry else []
        text = report.text.replace("-round", " round").replace("round-of-", "round of ")
        for words in wanted:
            assert words in text, (report.doc_id, words)
        if "group" in entry:
            assert f"{entry['group']} of the" in report.title
        else:
            stages = r"play-off|replay|round of \d\d|quarter-?final|semi-?final|third|final|(first|preliminary) round"
            stage = re.search(stages, entry["round"].lower())
            assert stage, entry["round"]
            assert re.sub("^(quarter|semi)f", r"\1-f", stage[0]) in text.lower(), report.doc_id


@needs_source
def test_titles_give_the_score_in_the_order_of_the_teams() -> None:
    for entry, report in pairs():
        if "score" not in entry:
            continue
        score = final_score(entry)
        assert f"{entry['team1']} {score[0]}-{score[1]} {entry['team2']}" in report.title
        assert ("on penalties" in report.title) == ("p" in entry["score"])
        assert ("after extra time" in report.title) == ("et" in entry["score"] and "p" not in entry["score"])
    spain = report_of("world_cup/2026-07-19-spain-argentina")
    assert spain.title == "Spain 1-0 Argentina (after extra time), final of the 2026 World Cup"


SENTENCE_END = re.compile(r"(?<=[a-z0-9)]\.) (?=[A-Z0-9])")
# How a reader takes it that {W} won and {L} lost.
CLAIMS = (
    "{W},? (beat|won|defeated|edged|overwhelmed|knocked|took (?!a point)|reached|prevailed|recovered|became)",
    "{W} (went through|came out)",
    "{W} (kept a clean sheet|had the better|got the better|needed|left {L}|finished third|trailed .*still won)",
    "{W} (were the winners|were \\w+ goals too good|met {L} .* and won \\d|had beaten {L} \\d)",
    "{W},? ((were )?\\d+-\\d+ winners|who (beat|won|prevailed|came|were the new)|as champions: they beat {L})",
    "{L} (lost|were (well )?beaten|went (down|out)|failed|found no way|got no further|finished fourth)",
    "{L} were only one goal short|ended for {L}|[Ff]or {L}, .* defeat",
    "(beaten|defeat)( \\d+-\\d+)?( after extra time)? by {W}|(win|winners)( after extra time)? over {L}",
    "won by {W}, \\d",
    "(win for|time for|carried|gave|helped|as|it was|to) {W} (over|into|a \\d+-\\d+ win|to beat|beat|who)",
    "\\d+-\\d+( after extra time)? to {W}|went to {W}, \\d|in favour of {W}\\.|took {W} past {L}",
    "^{W} (?!(\\d+)-\\1 )\\d+-\\d+ {L}|match went to {W}",
)


def winners_claimed(text: str, entry: dict[str, Any]) -> set[str]:
    """Who won, to a reader of the report as far as the sentence with the final score."""
    score = final_score(entry)
    read = []
    for sentence in SENTENCE_END.split(text):
        read.append(sentence)
        if both_ways(score) & set(re.findall(r"\d+-\d+", sentence)):
            break
    claimed = set()
    for team, other in ((entry["team1"], entry["team2"]), (entry["team2"], entry["team1"])):
        names = {"W": f"(?:[Tt]he )?{re.escape(team)}", "L": f"(?:[Tt]he )?{re.escape(other)}"}
        if any(re.search(claim.format(**names), " ".join(read)) for claim in CLAIMS):
            claimed.add(team)
    return claimed


@needs_source
def test_every_report_states_the_right_score() -> None:
    for entry, report in pairs():
        if "score" not in entry:
            continue
        side, score = side_that_won(entry), final_score(entry)
        first = 0 if side is None else side
        before = report.text[: report.text.index(f"{score[first]}-{score[1 - first]}")]
        assert len(before.split()) < 60, report.doc_id  # it stands near the beginning
        if "p" in entry["score"]:
            out = entry["score"]["p"]
            assert f"{out[first]}-{out[1 - first]}" in report.text
            assert re.search("penalties|shoot-out", report.text)
        elif "et" in entry["score"]:
            assert "extra time" in report.text, report.doc_id
        else:
            assert not re.search("shoot-out|[Ee]xtra time brought", report.text), report.doc_id


@needs_source
def test_every_report_names_the_winner_and_no_other() -> None:
    for entry, report in pairs():
        if "score" not in entry:
            continue
        side = side_that_won(entry)
        right = set() if side is None else {entry[f"team{side + 1}"]}
        assert winners_claimed(report.text, entry) == right, (report.doc_id, report.text)
        if side is None:
            drawn = r"\bdr(aw|ew)|level|shared|no winner|[Nn]either|point each|0-0|It (finished|ended)|divided|result"
            assert re.search(drawn, report.text), report.doc_id


# ---------------------------------------------------------------- what a report may say


@cache
def meetings() -> dict[tuple[str, str], list[tuple[str, int, int, dict[str, Any]]]]:
    """(team, other) -> [(date, goals for, goals against, entry)], both ways."""
    found = defaultdict(list)
    for entry in played(source()):
        one, two = final_score(entry)
        found[entry["team1"], entry["team2"]].append((entry["date"], one, two, entry))
        found[entry["team2"], entry["team1"]].append((entry["date"], two, one, entry))
    return found


@needs_source
def test_every_result_mentioned_was_a_result() -> None:
    """Whatever a report says of a match, "Brazil beat Chile 4-1", "lost to Peru 2-0", is in the source by that date."""
    names = {entry[key] for entry in source() for key in ("team1", "team2")}
    team = "(?:the )?(" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + ")"
    beat = re.compile(rf"{team} (?:had )?beat(?:en)? {team} (\d+)-(\d+)( on penalties)?")
    lost = re.compile(rf"{team} (?:had )?lost to {team} (\d+)-(\d+)")
    late = "(?: after extra time)?"
    drew = re.compile(rf"{team} and {team} drew (\d+)-(\d+)|{team} had drawn (\d+)-(\d+){late} with {team}")
    n_checked = 0
    for entry, report in pairs():
        said = [(m[1], m[2], int(m[3]), int(m[4]), bool(m[5])) for m in beat.finditer(report.text)]
        said += [(m[2], m[1], int(m[3]), int(m[4]), False) for m in lost.finditer(report.text)]
        for m in drew.finditer(report.text):
            one, two, goals_one = (m[1], m[2], int(m[3])) if m[1] else (m[5], m[8], int(m[6]))
            said.append((one, two, goals_one, goals_one, False))
        for one, two, x, y, out in said:
            known = [m for m in meetings()[one, two] if m[0] <= entry["date"]]
            if {x, y} == set(entry.get("score", {}).get("p", ())) and {one, two} == {entry["team1"], entry["team2"]}:
                out = True
            if out:
                sides = [m[3]["score"].get("p", []) for m in known]
                assert [x, y] in sides or [y, x] in sides, (report.doc_id, one, two, x, y)
            else:
                assert (x, y) in {m[1:3] for m in known}, (report.doc_id, one, two, x, y)
        n_checked += len(said)
    assert n_checked > 1500


@needs_source
def test_every_score_in_a_report_belongs_to_the_match_or_to_an_earlier_one_of_its_teams() -> None:
    for entry, report in pairs():
        allowed: set[str] = set()
        teams = {entry["team1"], entry["team2"]}
        for other in played(source()):
            if other["date"] < entry["date"] and teams & {other["team1"], other["team2"]}:
                allowed |= both_ways(final_score(other)) | both_ways(other["score"].get("p", [0, 0]))
            if other["date"] < entry["date"] and {"Germany", "United States", "Ivory Coast"} & teams:
                allowed |= both_ways(final_score(other))  # these also played under other names
        for key in ("ht", "ft", "et", "p"):
            allowed |= both_ways(entry.get("score", {}).get(key, [0, 0]))
        score = [0, 0]
        minute = {id(goal): [int(n) for n in clock(goal).split("+")] for _, goal in goals(entry)}
        by_half = [0, 0]
        for side, goal in sorted(goals(entry), key=lambda pair: minute[id(pair[1])]):
            score[side] += 1
            by_half[side] += minute[id(goal)][0] <= 45
            allowed |= both_ways(score)
        allowed |= both_ways(by_half) if "goals1" in entry else set()
        assert set(re.findall(r"(?<![\d+])\d+-\d+(?!\d)", report.text)) <= allowed, report.doc_id


@needs_source
def test_known_scorers_are_all_there_with_their_minutes() -> None:
    n_goals = 0
    for entry, report in pairs():
        for _, goal in goals(entry):
            assert goal["name"] in report.text, (report.doc_id, goal)
            minute = re.escape(clock(goal))
            told = re.search(rf"(?<![\d+-]){minute}(st|nd|rd|th|'|\)|,| and| pen| own)", report.text)
            assert told, (report.doc_id, goal)
            n_goals += 1
        for flag, words in (("owngoal", "own goal"), ("penalty", r"\bpen\b|penalty spot")):
            known = any(goal.get(flag) for _, goal in goals(entry))
            assert bool(re.search(words, report.text)) == known, (report.doc_id, flag)
    assert n_goals == 1149


def score_after(entry: dict[str, Any], minute: str) -> list[int]:
    """The score after all goals up to this minute, as (team1, team2)."""
    until = [int(n) for n in minute.split("+")]
    score = [0, 0]
    for side, goal in goals(entry):
        score[side] += [int(n) for n in clock(goal).split("+")] <= until
    return score


@needs_source
def test_the_goals_are_told_as_they_fell() -> None:
    """Scores, equalisers and running lists fit the minutes; a winning goal called late was late."""
    n_checked = Counter[str]()
    for entry, report in pairs():
        if "goals1" not in entry:
            continue
        clause = r"\((?:[\d+' pen]+ and )?([\d+]+)'?(?: pen)?\)(?:(?! before | and )[^;.,(])*?"
        for minute, told in re.findall(clause + r"(?:made it|to|ahead|lead to|a) (\d+-\d+)", report.text):
            assert sorted(map(int, told.split("-"))) == sorted(score_after(entry, minute)), (report.doc_id, told)
            n_checked["made it"] += 1
        level = re.findall(clause + r"(?:equalised|levelled| level)", report.text)
        level += re.findall(r"level (?:again )?through [^(.;]+ \(([\d+]+)", report.text)
        for minute in level:
            one, two = score_after(entry, minute)
            assert one == two, (report.doc_id, minute)
            n_checked["level"] += 1
        first = r"(?:, |with |from )(?:the )?([A-Z][\w &'-]+?)(?:'s?)? (?:first|named first|score first|side):?"
        if steps := re.search(first, report.text):
            turn = 1 if steps[1] == entry["team1"] else -1
            for told, minute in re.findall(r"(\d+-\d+) [^\d]+ \(([\d+]+)", report.text[steps.end() :]):
                assert [int(n) for n in told.split("-")] == score_after(entry, minute)[::turn], (report.doc_id, told)
                n_checked["steps"] += 1
        late = r"(?:decided only|settled it fell|winning goal came late,|long time coming: it fell) [^.]*?(\d+)"
        for told in re.findall(late, report.text):
            assert int(told) >= (115 if "et" in entry["score"] else 85), (report.doc_id, told)
            before = score_after(entry, str(int(told) - 1))
            side = side_that_won(entry)
            assert side is not None and before[side] <= before[1 - side], report.doc_id
            n_checked["late"] += 1
    assert min(n_checked[what] for what in ("made it", "level", "steps", "late")) >= 10, n_checked


@needs_source
def test_unknown_scorers_are_passed_over_in_silence() -> None:
    """Where the source lists none, a report names no minute and does not pretend that nobody scored."""
    players = {goal["name"] for entry in source() for _, goal in goals(entry) if len(goal["name"]) > 5}
    n_unknown = 0
    for entry, report in pairs():
        if "goals1" in entry:
            continue
        hints = r"\d(st|nd|rd|th) minute|\d'|\(\d\d?\)|scorer|hat-trick|goals? (by|from)|through [A-Z]"
        assert not re.search(hints, report.text), report.doc_id
        elsewhere = report.text.replace("Luigi Ferraris", "")
        assert not {name for name in players if name in elsewhere}, report.doc_id
        if sum(final_score(entry)):
            n_unknown += 1
            if not {"ht", "et"} & set(entry["score"]):
                assert not re.search(r"[Gg]oalless|no goals|Neither side scored", report.text), report.doc_id
    assert n_unknown > 500


@needs_source
def test_half_times_that_contradict_the_scorers_are_left_out() -> None:
    """The source has Japan 0-1 Poland (2018) at half-time and its only goal in the 59th minute."""
    poland = report_of("world_cup/2018-06-28-japan-poland").text
    assert not re.search("half-time|interval|break|first half", poland)
    assert "59" in poland


@needs_source
def test_final_points_and_who_went_on() -> None:
    """Tables, counted again here (2 points a win before 1994), and "went on to" against what was played later."""
    names = {entry[key] for entry in source() for key in ("team1", "team2")}
    team = "(?:[Tt]he )?(" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + ")"
    stages = r"(second round|final round|final|semi-finals|quarter-finals|round of \d\d|Group \d play-off|third-place)"
    verbs = "went on to|went through to|moved on to|were through to|had a place in"
    onward = re.compile(rf"{team} (?:{verbs}) the {stages}")
    table = re.compile(rf"{team} (\d) points?(?=[,. ])(?! from| after| in )")
    n_tables = n_onward = 0
    for entry, report in pairs():
        for m in onward.finditer(report.text):
            after = [e for e in source() if e["year"] == entry["year"] and m[1] in (e["team1"], e["team2"])]
            after = [e for e in after if e["date"] > entry["date"] and e.get("group") != entry.get("group", "-")]
            assert after, (report.doc_id, m[0])
            following = min(after, key=lambda e: e["date"])
            if m[2] == "second round":
                assert following["group"][-1] in "ABCD"
            elif m[2].startswith("round of"):
                assert following["round"] == m[2].capitalize()
            else:
                assert re.split(r"\W", m[2].lower())[0] in following["round"].lower(), (report.doc_id, m[0])
            n_onward += 1
        told = table.search(report.text)
        if told and re.search("ended with|points in|stood like this", report.text):
            group = [e for e in played(source()) if e["year"] == entry["year"] and e.get("group") == entry.get("group")]
            group = [e for e in group if "group" in entry or e["round"] == entry["round"]]
            points: Counter[str] = Counter()
            for e in group:
                side = side_that_won(e)
                for i in (0, 1):
                    win = 3 if entry["year"] >= 1994 else 2
                    points[e[f"team{i + 1}"]] += 1 if side is None else win * (side == i)
            assert points[told[1]] == int(told[2]) == max(points.values()), (report.doc_id, told[0], points)
            n_tables += 1
    assert n_onward > 150 and n_tables > 60


@needs_source
def test_points_told_are_right() -> None:
    """Such as "Brazil now had 4 points": counted here up to that day; "finished top with 7 points": to the end."""
    names = {entry[key] for entry in source() for key in ("team1", "team2")}
    team = "(?:the )?(" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + ")"
    so_far = re.compile(rf"{team} (?:now had|had|with) (\d) points?")
    top = re.compile(rf"{team} (?:finished top of|won) Group \w+ with (\d) points?")
    checked = 0
    for entry, report in pairs():
        if "group" not in entry:
            continue
        group = [e for e in played(source()) if (e["year"], e.get("group")) == (entry["year"], entry["group"])]
        for pattern, until in ((so_far, entry["date"]), (top, "9999")):
            for m in pattern.finditer(report.text):
                points = 0
                for e in group:
                    if e["date"] <= until and m[1] in (e["team1"], e["team2"]):
                        side = side_that_won(e)
                        win = 3 if entry["year"] >= 1994 else 2
                        points += 1 if side is None else win * (e[f"team{side + 1}"] == m[1])
                assert points == int(m[2]), (report.doc_id, m[0], points)
                checked += 1
    assert checked > 150


# ---------------------------------------------------------------- titles, and the two odd cases


@pytest.mark.parametrize("year", sorted(CHAMPIONS))
def test_one_report_a_tournament_says_who_became_world_champion(year: int) -> None:
    own = [report for report in reports() if report.date.year == year]
    wins = rf"became world champions|were world champions|won the {year} World Cup|World Cup went to (?!pen)"
    wins += rf"|with .* as champions|World champions in {year}|the new world champions|world title of {year}"
    deciders = [report for report in own if re.search(wins, report.text)]
    assert len(deciders) == 1
    (decider,) = deciders
    title = re.search(r"final (round )?of", decider.title)
    assert title and decider.date == max(report.date for report in own)
    champion = re.escape(CHAMPIONS[year])
    assert re.search(
        rf"{champion} (won the {year}|became world|were (world )?champions)|went to (the )?{champion}, |"
        rf"{champion},? (who were the new world|as champions|took the world title)|{champion}, who beat|"
        rf"{champion} beat .*(champions|won the {year})",
        decider.text,
    ), decider.text


def test_title_counts() -> None:
    assert "fifth" in report_of("world_cup/2002-06-30-germany-brazil").text
    assert "second" in report_of("world_cup/2026-07-19-spain-argentina").text
    assert "fourth" in report_of("world_cup/2014-07-13-germany-argentina").text
    assert "West Germany" in report_of("world_cup/2014-07-13-germany-argentina").text


def test_the_walk_over_has_no_score_and_no_winner_on_the_field() -> None:
    report = report_of("world_cup/1938-06-05-sweden-austria")
    assert "walk-over" in report.title and "walk-over" in report.text
    assert not re.search(r"\d-\d|\bbeat\b|\bwon\b|drew", report.title + report.text)
    assert "Cuba" in report.text and "quarter-finals" in report.text


def test_1950_was_decided_without_a_final() -> None:
    report = report_of("world_cup/1950-07-16-uruguay-brazil")
    assert report.title == "Uruguay 2-1 Brazil, final round of the 1950 World Cup"
    assert "no final" in report.text and "5 points" in report.text and "A draw would have made Brazil" in report.text
    assert not any(re.search(r", final of", r.title) for r in reports() if r.date.year == 1950)


# ---------------------------------------------------------------- language


def test_lengths() -> None:
    """A report fits into one chunk of 120 words."""
    lengths = [len(report.text.split()) for report in reports()]
    assert min(lengths) >= 60 and max(lengths) <= 120
    assert 80 <= sum(lengths) / len(lengths) <= 100


def test_clean_prose() -> None:
    blemish = re.compile(
        r"[{}]|  | [,.;:]|\.\.|,,|None|\b(\w+) \1\b|\ba [aeiou](?!n?e |ni)|\ban [^aeiouAEIO8]|s's|\(\)|\n|\t"
        r"|\b1 points\b|\bone (goals|matches|wins)\b|no scorers",
    )
    for report in reports():
        found = blemish.search(report.text)
        assert not found, (report.doc_id, found, report.text)
        assert report.text == report.text.strip() and report.text.endswith((".", ")."))
        assert all(s[0].isupper() or s[0].isdigit() for s in SENTENCE_END.split(report.text)), report.text


def shingles(text: str, n: int = 5) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w'+-]+", text.lower())
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def test_no_two_reports_are_nearly_alike() -> None:
    """Jaccard similarity of 5-word shingles, over all pairs: at most 0.2 (0.17 measured)."""
    sets = [shingles(report.text) for report in reports()]
    holders = defaultdict(list)
    for i, own in enumerate(sets):
        for shingle in own:
            holders[shingle].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for indices in holders.values():
        shared.update((i, j) for k, i in enumerate(indices) for j in indices[k + 1 :])
    (i, j), most = max(shared.items(), key=lambda x: x[1] / (len(sets[x[0][0]]) + len(sets[x[0][1]]) - x[1]))
    similarity = most / (len(sets[i]) + len(sets[j]) - most)
    assert similarity <= 0.2, (similarity, reports()[i].text, reports()[j].text)


@needs_source
def test_many_kinds_of_opening_and_never_the_same_twice_running() -> None:
    """Openings with everything that belongs to the match itself struck out: teams, ground, date, numbers, players."""
    openings = {}
    grounds = {match.doc_id: (match.ground, match.city) for match in read_matches()}
    for entry, report in pairs():
        opening = " ".join(SENTENCE_END.split(report.text)[:2])
        opening = opening if len(opening.split(".")[0].split()) < 9 else SENTENCE_END.split(opening)[0]  # a dateline
        players = [goal["name"] for _, goal in goals(entry)]
        for words in sorted([entry["team1"], entry["team2"], *grounds[report.doc_id], *players], key=len, reverse=True):
            opening = opening.replace(words, "_")
        opening = re.sub(r"[\d_]\S*", "_", re.sub("|".join(MONTHS[1:]), "_", opening))
        openings[report.doc_id] = re.sub(r"\b[Tt]he (?=_)", "", opening)
    assert len(set(openings.values())) >= 500, len(set(openings.values()))
    assert Counter(openings.values()).most_common(1)[0][1] <= 0.03 * len(openings)
    in_order = [openings[report.doc_id] for report in reports()]
    assert all(a != b for a, b in pairwise(in_order))


def test_the_text_is_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from course_lib.corpus.world_cup import match_reports;"
        "print(hashlib.sha256(''.join(r.doc_id + r.title + r.text for r in match_reports()).encode()).hexdigest())"
    )
    here = hashlib.sha256("".join(r.doc_id + r.title + r.text for r in reports()).encode()).hexdigest()
    for seed in ("1", "2718"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True,
                              cwd=Path(__file__).parents[2])  # fmt: skip
        assert done.stdout.strip() == here


# ---------------------------------------------------------------- the pure functions

FINAL = Match(1999, date(1999, 7, 1), "Final", None, "Park", "Town", ("Aland", "USA"), (1, 1), half_time=(1, 0))


def test_winner() -> None:
    assert winner(FINAL) is None
    assert winner(replace(FINAL, extra_time=(1, 2))) == "USA"
    assert winner(replace(FINAL, extra_time=(1, 1), shoot_out=(4, 3))) == "Aland"
    assert winner(replace(FINAL, full_time=None, walk_over="USA")) == "USA"


def test_result_in_words() -> None:
    assert result_in_words(FINAL) == "Aland and the USA drew 1-1"
    assert result_in_words(replace(FINAL, extra_time=(1, 2))) == "the USA beat Aland 2-1 after extra time"
    out = replace(FINAL, extra_time=(1, 1), shoot_out=(3, 4))
    assert result_in_words(out) == "the USA beat Aland 4-3 on penalties after a 1-1 draw"
    assert title_of(out) == "Aland 1-1 USA (3-4 on penalties), final of the 1999 World Cup"


@pytest.mark.parametrize(
    ("name", "group", "words"),
    [
        ("Final", None, "final"),
        ("Quarter-finals", None, "quarter-final"),
        ("Quarter-final replay", None, "quarter-final replay"),
        ("First round replay", None, "first-round replay"),
        ("Round of 16", None, "round of 16"),
        ("Third-place match", None, "third-place match"),
        ("Group 2 Play-off", None, "Group 2 play-off"),
        ("Group stage", "Group C", "Group C"),
        ("Second group stage", "Group A", "Group A of the second round"),
        ("Final round", None, "final round"),
    ],
)
def test_stage_in_words(name: str, group: str | None, words: str) -> None:
    assert stage_in_words(replace(FINAL, round=name, group=group)) == words


def test_half_time_is_counted_from_the_scorers_and_dropped_if_they_contradict_it() -> None:
    scored = ((Goal("A", 45, 2),), (Goal("B", 46),))
    assert half_time(FINAL) == (1, 0)
    assert half_time(replace(FINAL, goals=scored)) == (1, 0)
    assert half_time(replace(FINAL, half_time=None, goals=scored)) == (1, 0)
    assert half_time(replace(FINAL, half_time=(1, 1), goals=scored)) is None
    assert half_time(replace(FINAL, half_time=None)) is None


def test_goals_in_the_same_minute_have_no_known_order() -> None:
    assert goals_in_order(FINAL) is None
    late, early = Goal("A", 90, 2), Goal("B", 90, 1)
    assert goals_in_order(replace(FINAL, goals=((late,), (early,)))) == [(1, early), (0, late)]
    assert goals_in_order(replace(FINAL, goals=((late,), (late,)))) is None


def test_scorers_in_words() -> None:
    scored = [Goal("Rahn", 84), Goal("Rahn", 18), Goal("Posipal", 51, own_goal=True), Goal("Kroos", 90, 5, True)]
    assert scorers_in_words(scored) == "Rahn (18 and 84), an own goal by Posipal (51) and Kroos (90+5 pen)"
    assert scorers_in_words(scored[:2], style="'") == "Rahn (18' and 84')"
    assert scorers_in_words(scored[:2], style="minute") == "Rahn in the 18th and 84th minutes"
    assert scorers_in_words(scored[3:], style="minute") == "Kroos from the penalty spot in stoppage time (90+5)"
