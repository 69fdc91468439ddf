"""Makes course_lib/corpus/collections/world_cup/facts.jsonl from the openfootball World Cup data (CC0).

    python -m course_lib.workshop.world_cup_facts path/to/worldcup

One line a match, in order of date. Scores are [team1, team2]: ht at half-time, ft after 90 minutes, et after extra
time, p in the shoot-out. A goal is [scorer, minute] or [scorer, minute, "pen" | "og"]; own goals stand with the team
they count for. No goals1 and goals2: the source does not know the scorers. walk_over: who went through without playing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FACTS = Path(__file__).parents[1] / "corpus" / "collections" / "world_cup" / "facts.jsonl"

_SECOND_GROUP_STAGE = {1974, 1978, 1982}  # first groups 1-6, then groups A-D
_ROUNDS = {"quarter-final": "Quarter-finals", "semi-final": "Semi-finals", "final round": "Final round"}
_CITIES = {"München": "Munich", "Köln": "Cologne", "Nürnberg": "Nuremberg", "Hannover": "Hanover", "Zürich": "Zurich",
           "St. Petersburg": "Saint Petersburg"}  # fmt: skip


def compact_facts(folder: Path) -> list[dict[str, Any]]:
    """Return every match of the tournaments in folder, one flat dict each, in order of date."""
    stadiums = {
        s["city"]: s["name"]
        for path in sorted(folder.glob("*.stadiums.json"))
        for s in json.loads(path.read_text(encoding="utf-8"))["stadiums"]
    }
    facts: list[dict[str, Any]] = []
    for path in sorted(folder.glob("[0-9][0-9][0-9][0-9].json")):
        entries = json.loads(path.read_text(encoding="utf-8"))["matches"]
        grounds = {entry["ground"] for entry in entries}
        year = [_compact(entry, int(path.stem), grounds, stadiums) for entry in entries]
        for fact in year:
            if fact.pop("canceled", False):
                fact["walk_over"] = _who_played_on(fact, year)
        facts += sorted(year, key=lambda fact: str(fact["date"]))  # a stable sort: the source's order within a day
    return facts


def _compact(entry: dict[str, Any], year: int, grounds: set[str], stadiums: dict[str, str]) -> dict[str, Any]:
    ground, city = _ground_and_city(entry["ground"], grounds, stadiums)
    fact: dict[str, Any] = {"year": year, "date": entry["date"]}
    if "UTC" in entry.get("time", ""):  # without its offset, a time may be local or not
        fact["time"] = entry["time"]
    fact["round"] = _round(entry, year)
    if "group" in entry:
        fact["group"] = entry["group"]
    fact |= {"ground": ground, "city": city, "team1": entry["team1"], "team2": entry["team2"]}
    fact |= {key: entry["score"][key] for key in ("ht", "ft", "et", "p") if key in entry.get("score", {})}
    fact |= {key: [_goal(goal) for goal in entry[key]] for key in ("goals1", "goals2") if key in entry}
    if entry.get("status") == "canceled":
        fact["canceled"] = True
    return fact


def _round(entry: dict[str, Any], year: int) -> str:
    name = str(entry["round"])
    if "group" in entry:
        second = year in _SECOND_GROUP_STAGE and entry["group"][-1].isalpha()
        return "Second group stage" if second else "Group stage"
    if "third" in name.lower():
        return "Third-place match"
    if "replay" in name.lower():
        return name.replace("finals, Replays", "final replay").replace("round, Replays", "round replay")
    plain = name.lower().replace("quarterfinal", "quarter-final").replace("semifinal", "semi-final").removesuffix("s")
    return _ROUNDS.get(plain, name)


def _ground_and_city(ground: str, grounds: set[str], stadiums: dict[str, str]) -> tuple[str, str]:
    if ground in stadiums:  # 2026 names the city only
        return stadiums[ground], ground
    if ", " not in ground:  # one entry of 1982 left the city out; the others have it
        ground = next(other for other in sorted(grounds) if other.startswith(ground + ", "))
    name, city = ground.rsplit(", ", 1)
    return name, _CITIES.get(city, city)


def _goal(goal: dict[str, Any]) -> list[Any]:
    minute = str(goal["minute"]) + (f"+{goal['offset']}" if goal.get("offset") else "")
    compact: list[Any] = [goal["name"], int(minute) if minute.isdigit() else minute]
    if goal.get("penalty"):
        compact.append("pen")
    if goal.get("owngoal"):
        compact.append("og")
    return compact


def _who_played_on(fact: dict[str, Any], year: list[dict[str, Any]]) -> str:
    later = {team for other in year if other["date"] > fact["date"] for team in (other["team1"], other["team2"])}
    (through,) = later & {fact["team1"], fact["team2"]}
    return str(through)


def main(folder: str) -> None:
    """Write facts.jsonl anew."""
    lines = [json.dumps(fact, ensure_ascii=False) + "\n" for fact in compact_facts(Path(folder))]
    FACTS.write_text("".join(lines), encoding="utf-8")
    print(f"{len(lines)} matches -> {FACTS}")


if __name__ == "__main__":
    main(sys.argv[1])
