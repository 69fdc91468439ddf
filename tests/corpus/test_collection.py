"""The documents of the four shelves: form, versions, size, near duplicates, and the facts of the World Cup."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from course_lib.core.types import Document
from course_lib.corpus.chunking import sentence_spans
from course_lib.corpus.load import COLLECTIONS, SHELVES, as_dataset, document_from_json, load_documents
from course_lib.corpus.quality import broken_links, chain_roots, chains, near_duplicates, repeated_openings
from course_lib.corpus.world_cup import match_reports
from course_lib.workshop.data_documents import NEAR_DUPLICATE

SOURCE = Path(__file__).parents[2].parent / "shared/data/worldcup"
needs_source = pytest.mark.skipif(not SOURCE.is_dir(), reason=f"the openfootball files are not at {SOURCE}")

LATEST_DATE = datetime.date(2026, 11, 1)
FIRST_WORLD_CUP = datetime.date(1930, 7, 13)
DOC_ID = re.compile(r"(world_cup|neurology|energy|help_desk)/[a-z0-9]+(-[a-z0-9]+)*")
TYPOGRAPHIC = re.compile("[\u2010-\u2015\u2018-\u201f\u2026\u00a0\u202f\t\r]")


@cache
def reports() -> frozenset[str]:
    return frozenset(report.doc_id for report in match_reports())


def by_hand(*shelves: str) -> list[Document]:
    return [document for document in load_documents(*shelves) if document.doc_id not in reports()]


def lines() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(COLLECTIONS.glob("*/*.documents.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield path, json.loads(line)


# ---------------------------------------------------------------- form


def test_every_line_has_every_field_and_no_other() -> None:
    names = {field.name for field in fields(Document)}
    assert not [f"{path.name}: {entry.get('doc_id')}" for path, entry in lines() if set(entry) != names]


def test_every_line_lies_in_the_folder_of_its_shelf() -> None:
    wrong = [
        entry["doc_id"]
        for path, entry in lines()
        if not path.parent.name == entry["shelf"] == entry["doc_id"].split("/")[0]
    ]
    assert not wrong


def test_ids_are_unique_and_well_formed() -> None:
    ids = [document.doc_id for document in load_documents()]
    assert len(set(ids)) == len(ids)
    assert not [doc_id for doc_id in ids if not DOC_ID.fullmatch(doc_id)]


def test_ids_and_texts_are_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from course_lib.corpus.load import load_documents\n"
        "print(hashlib.sha256(repr([(d.doc_id, d.text) for d in load_documents()]).encode()).hexdigest())"
    )
    here = hashlib.sha256(repr([(d.doc_id, d.text) for d in load_documents()]).encode()).hexdigest()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=COLLECTIONS.parents[2]
        )
        assert result.stdout.strip() == here, result.stderr


def test_documents_come_in_order_of_id_within_a_shelf() -> None:
    for shelf in SHELVES:
        ids = [document.doc_id for document in load_documents(shelf)]
        assert ids == sorted(ids)


def test_titles_texts_and_sources_are_filled_and_tidy() -> None:
    wrong = [
        f"{document.doc_id}: {name}"
        for document in load_documents()
        for name in ("title", "text", "sources")
        if not (value := getattr(document, name)).strip() or value != value.strip() or TYPOGRAPHIC.search(value)
    ]
    assert not wrong


def test_titles_differ_within_a_shelf() -> None:
    titles: dict[tuple[str, str], list[str]] = defaultdict(list)
    for document in load_documents():
        titles[document.shelf, document.title].append(document.doc_id)
    assert not [ids for ids in titles.values() if len(ids) > 1]


def test_dates_are_neither_in_the_future_nor_before_the_subject() -> None:
    wrong = [
        f"{document.doc_id}: {document.date}"
        for document in load_documents()
        if document.date > LATEST_DATE or (document.shelf == "world_cup" and document.date < FIRST_WORLD_CUP)
    ]
    assert not wrong


def test_only_neurology_has_registers_and_has_both() -> None:
    registers = {document.register for document in load_documents("neurology")}
    assert registers == {"clinician", "patient"}
    assert {document.register for document in load_documents("world_cup", "energy", "help_desk")} == {None}


def test_pieces_have_120_to_400_words() -> None:
    lengths = {document.doc_id: len(document.text.split()) for document in by_hand()}
    assert not {doc_id: n for doc_id, n in lengths.items() if not 120 <= n <= 400}


def test_a_line_without_a_field_is_refused() -> None:
    entry = {"doc_id": "energy/x", "shelf": "energy", "title": "T", "date": "2024-02-30", "text": "T"}
    with pytest.raises(ValueError, match="day"):
        document_from_json(entry)
    with pytest.raises(TypeError, match="text"):
        document_from_json({key: value for key, value in entry.items() if key != "text"} | {"date": "2024-02-29"})


def test_a_dataset_holds_what_the_documents_hold() -> None:
    documents = load_documents("energy")[:3]
    dataset = as_dataset(documents)
    assert dataset.column_names == [field.name for field in fields(Document)]
    assert [Document(**row) for row in dataset] == documents
    assert as_dataset([]).features == dataset.features


# ---------------------------------------------------------------- versions


def test_versions_are_linked_both_ways_and_go_forward_in_time() -> None:
    assert broken_links(load_documents()) == []


def test_broken_links_are_found() -> None:
    old, new = chains(load_documents("energy"))[0][:2]
    alone = replace(new, superseded_by=None)
    old = replace(old, supersedes=None)
    assert broken_links([old, alone]) == []
    assert len(broken_links([old])) == len(broken_links([alone])) == 1
    assert broken_links([replace(old, superseded_by=None), alone])
    assert broken_links([old, replace(alone, date=old.date)]) == [
        f"{new.doc_id}: not later than {old.doc_id}, which it supersedes"
    ]


def test_every_linked_document_is_in_a_chain() -> None:
    """A circle has no oldest version, so that its documents would be in no chain."""
    linked = {document.doc_id for document in load_documents() if document.supersedes or document.superseded_by}
    assert {version.doc_id for chain in chains(load_documents()) for version in chain} == linked


# ---------------------------------------------------------------- size


def test_the_shelves_are_large_enough() -> None:
    essays = [document for document in by_hand("world_cup") if re.search(r"/tournament-\d{4}$", document.doc_id)]
    assert len(reports()) == 1069
    assert len(essays) == 23
    assert len(by_hand("world_cup")) - len(essays) >= 60
    assert len(load_documents("neurology")) >= 80
    assert len(load_documents("energy")) >= 80
    assert len(load_documents("help_desk")) >= 100


def test_there_are_enough_versions() -> None:
    assert len(chains(load_documents("energy"))) >= 15
    policies = [chain for chain in chains(load_documents("help_desk")) if 2 <= len(chain) <= 4]
    assert len(policies) >= 30


# ---------------------------------------------------------------- variety


@pytest.mark.parametrize("shelf", SHELVES)
def test_no_opening_of_five_words_comes_more_than_three_times(shelf: str) -> None:
    assert repeated_openings({d.doc_id: d.text for d in by_hand(shelf)}, more_than=3) == {}


@pytest.mark.parametrize("shelf", SHELVES)
def test_near_duplicates_are_versions_of_one_chain(shelf: str) -> None:
    documents = load_documents(shelf)
    roots = chain_roots(documents)
    pairs = near_duplicates({document.doc_id: document.text for document in documents}, threshold=NEAR_DUPLICATE)
    assert not [pair for pair in pairs if roots[pair.first] != roots[pair.second]]


# ---------------------------------------------------------------- facts


SCORE = re.compile(r"(?<![\d-])(\d{1,2})-(\d{1,2})(?![\d-])")
MONTHS = [datetime.date(2000, month, 1).strftime("%B") for month in range(1, 13)]
FULL_DATE = re.compile(rf"(?<!\d)(\d{{1,2}}) ({'|'.join(MONTHS)}) (\d{{4}})")
YEAR = re.compile(r"(?<![\d-])(?:19[3-9]\d|20[0-2]\d)(?!\d)")
CLAUSE_END = re.compile(r"[;:]|, (?:and|but|while|where|when|which|in which|who|whose) ")
SAME_TEAM = {"United States": "USA", "Côte d'Ivoire": "Ivory Coast"} | dict.fromkeys(
    ("Bosnia & Herzegovina", "Bosnia and Herzegovina"), "Bosnia-Herzegovina"
)
WINNING = re.compile(r"\b(?:beat|beats|beaten|beating|defeat(?:s|ed|ing)?)\b")
DRAWN_AT = re.compile(r"\b(?:drew|drawn|drawing)\s+$")


@dataclass(frozen=True)
class Played:
    """One match of the source: scores by kind (ft, et, ht, p), the teams in the source's order."""

    year: int
    date: datetime.date
    round: str
    teams: tuple[str, str]
    scores: dict[str, tuple[int, int]]

    @property
    def end(self) -> tuple[int, int]:
        return self.scores.get("et") or self.scores["ft"]


def team(name: str) -> str:
    return SAME_TEAM.get(name, name)


@cache
def played() -> tuple[Played, ...]:
    found = []
    for path in sorted(SOURCE.glob("[12]???.json")):
        for entry in json.loads(path.read_text(encoding="utf-8"))["matches"]:
            scores = {kind: (score[0], score[1]) for kind, score in entry.get("score", {}).items()}
            if scores:
                teams = (team(entry["team1"]), team(entry["team2"]))
                date = datetime.date.fromisoformat(entry["date"])
                found.append(Played(int(path.stem), date, entry["round"], teams, scores))
    return tuple(found)


@cache
def team_names() -> re.Pattern[str]:
    names = {name for match in played() for name in match.teams} | set(SAME_TEAM)
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(rf"(?<![A-Za-z])(?:{'|'.join(map(re.escape, longest_first))})(?![A-Za-z])")


def matches_with(one: str, other: str, score: tuple[int, int], kinds: tuple[str, ...], ordered: bool) -> list[Played]:
    """The matches of two teams with this score: one's goals first where ordered, else either way round."""
    found = []
    for match in played():
        if set(match.teams) != {one, other}:
            continue
        mirrored = match.teams != (one, other)
        scores = {match.end, *(match.scores[kind] for kind in kinds if kind in match.scores)}
        scores = {s[::-1] if mirrored else s for s in scores}
        if score in scores or (not ordered and score[::-1] in scores):
            found.append(match)
    return found


def possible_teams(sentence: str, place: int) -> list[tuple[re.Match[str], re.Match[str]]]:
    """The pairs of teams that a score at this place can belong to.

    The last two named before it; and the last before it with the first of another name after it ("Spain won 3-2 against
    Chile"), unless a verb of winning between the two before it has settled the matter.
    """
    before: dict[str, re.Match[str]] = {}
    after: dict[str, re.Match[str]] = {}
    for mention in team_names().finditer(sentence):
        name = team(mention.group())
        if mention.start() < place:
            before.pop(name, None)  # the last mention counts
            before[name] = mention
        else:
            after.setdefault(name, mention)
    named = list(before.values())
    pairs = [(named[-2], named[-1])] if len(named) > 1 else []
    settled = any(WINNING.search(sentence[one.end() : two.start()]) for one, two in pairs)
    others = [mention for name, mention in after.items() if named and name != team(named[-1].group())]
    return pairs + [(named[-1], other) for other in others[:1] if not settled]


def agreeing(sentence: str, found: re.Match[str], pair: tuple[re.Match[str], re.Match[str]]) -> list[Played]:
    """The matches of the source that a score between two teams agrees with, as the words around it read it."""
    one, other = (team(mention.group()) for mention in pair)
    score = (int(found.group(1)), int(found.group(2)))
    low = sentence.lower()
    kinds = tuple(
        kind
        for kind, cue in (("ht", r"half-time|interval|break"), ("p", r"penalt|shoot-out|spot|went through"))
        if re.search(cue, low)
    )
    won = bool(WINNING.search(sentence[pair[0].end() : pair[1].start()]))
    drew = bool(DRAWN_AT.search(sentence[: found.start()]))
    if (won and score[0] < score[1]) or (drew and score[0] != score[1]):
        return []
    return matches_with(one, other, score, kinds, ordered=won)


def wrong_facts(document: Document) -> tuple[list[str], int]:
    """What a piece says about matches that the source contradicts, and how many scores and dates were compared."""
    wrong, n_checked = [], 0
    essay = re.search(r"/tournament-(\d{4})$", document.doc_id)
    sentences = [document.title] + [document.text[start:end] for start, end in sentence_spans(document.text)]
    for sentence in sentences:
        named = {team(mention.group()) for mention in team_names().finditer(sentence)}
        years = {int(year) for year in YEAR.findall(sentence)} | ({int(essay.group(1))} if essay else set())
        with_score: list[tuple[int, list[Played]]] = []
        for found in SCORE.finditer(sentence):
            if not named:
                continue
            n_checked += 1
            pairs = possible_teams(sentence, found.start())
            matches = [match for pair in pairs for match in agreeing(sentence, found, pair)]
            if len(named) == 1:  # "by beating Croatia 4-2": some match of the one team that is named
                score = (int(found.group(1)), int(found.group(2)))
                matches = [match for match in played() if named <= set(match.teams) and set(match.end) == set(score)]
            if essay:
                matches = [match for match in matches if match.year in years]
            if not matches:
                wrong.append(f"{document.doc_id}: {found.group()}: {sentence}")
            with_score.append((found.start(), matches))
        for found in FULL_DATE.finditer(sentence) if with_score else ():
            n_checked += 1
            day = datetime.date(int(found.group(3)), MONTHS.index(found.group(2)) + 1, int(found.group(1)))
            here = clause_of(sentence, found.start())
            together = [matches for place, matches in with_score if clause_of(sentence, place) == here]
            if together:
                right = any(match.date == day for matches in together for match in matches)
            else:  # the date of another match, of one of the teams
                right = any(match.date == day and named & set(match.teams) for match in played())
            if not right:
                wrong.append(f"{document.doc_id}: {found.group()}: {sentence}")
    return wrong, n_checked


def clause_of(sentence: str, place: int) -> int:
    return sum(end.start() < place for end in CLAUSE_END.finditer(sentence))


@needs_source
def test_scores_and_dates_in_the_pieces_and_essays_are_those_of_the_source() -> None:
    wrong, n_checked = [], 0
    for document in by_hand("world_cup"):
        found, n = wrong_facts(document)
        wrong += found
        n_checked += n
    assert not wrong, "\n".join(wrong)
    assert n_checked >= 300  # the pieces are full of scores: fewer would mean that the test has stopped reading them


@needs_source
@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("On 19 July 2026 Spain beat Argentina 1-0.", True),
        ("On 18 July 2026 Spain beat Argentina 1-0.", False),
        ("Spain beat Argentina 2-0 in the final.", False),
        ("Argentina beat Spain 1-0.", False),
        ("Argentina beat Spain 0-1.", False),
        ("In the final of 1994 Brazil and Italy drew 0-0, and Brazil won 3-2 on penalties.", True),
        ("In the final of 1994 Brazil and Italy drew 0-0, and Brazil won 4-2 on penalties.", False),
        ("Brazil and Italy drew 3-2.", False),
        ("They won it by beating Croatia 4-2 in Moscow on 15 July 2018.", True),
        ("They won it by beating Croatia 4-1 in Moscow on 15 July 2018.", False),
        ("They won it by beating Croatia 4-2 in Moscow on 14 July 2018.", False),
        ("In 1990 the Soviet Union and Cameroon drew 0-4.", False),
        ("Krul came on for the shoot-out, which the Netherlands won 4-3 against Costa Rica.", True),
        ("Krul came on for the shoot-out, which the Netherlands won 4-2 against Costa Rica.", False),
        ("Germany, after Brazil 7-1, met Argentina.", True),
        ("Italy beat West Germany 3-1, and on 5 July 1982 in Barcelona it had beaten the favourites.", True),
        ("Italy beat West Germany 3-1, and on 6 July 1982 in Barcelona it had beaten the favourites.", False),
    ],
)
def test_a_wrong_fact_is_found(sentence: str, right: bool) -> None:
    piece = replace(by_hand("world_cup")[0], doc_id="world_cup/test", title="Test", text=sentence)
    wrong, n_checked = wrong_facts(piece)
    assert n_checked >= 1
    assert (wrong == []) is right


@needs_source
def test_an_essay_is_read_against_its_own_year() -> None:
    text = "Italy beat Hungary 4-2."  # the final of 1938
    for year, right in ((1938, True), (1934, False)):
        essay = replace(by_hand("world_cup")[0], doc_id=f"world_cup/tournament-{year}", title="Test", text=text)
        assert (wrong_facts(essay)[0] == []) is right


def champion(year: int) -> str:
    """The winner of the final, or in 1950 the first of the final round."""
    finals = [match for match in played() if match.year == year and match.round == "Final"]
    if finals:
        (final,) = finals
        one, two = final.scores.get("p") or final.end
        return final.teams[0 if one > two else 1]
    points: dict[str, int] = defaultdict(int)
    for match in played():
        if match.year == year and match.round == "Final Round":
            one, two = match.end
            points[match.teams[0]] += 2 if one > two else one == two
            points[match.teams[1]] += 2 if two > one else one == two
    return max(points, key=points.__getitem__)


@needs_source
def test_essay_titles_name_the_winner() -> None:
    titles = {document.doc_id: document.title for document in by_hand("world_cup") if "/tournament-" in document.doc_id}
    years = sorted({match.year for match in played()})
    assert titles == {
        f"world_cup/tournament-{year}": f"The {year} World Cup, won by {champion(year)}" for year in years
    }
