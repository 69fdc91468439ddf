"""Questions on matches: right answers, several wordings, and no tournament that dev or test ask about."""

from __future__ import annotations

import datetime
from dataclasses import replace

from course_lib.core.types import GoldSpan, Question
from course_lib.corpus.load import load_documents
from course_lib.corpus.question_quality import holds_answer
from course_lib.corpus.questions import load_questions
from course_lib.corpus.world_cup import Match, read_matches
from course_lib.systems.world_cup_questions import FORMS, N_WORDINGS, match_facts, touched_years

MATCH = Match(
    1978, datetime.date(1978, 6, 25), "Final", None, "Estadio Monumental", "Buenos Aires", ("Argentina", "Netherlands"),
    full_time=(1, 1), half_time=(1, 0), extra_time=(3, 1),
)  # fmt: skip


def question(split: str, text: str, **fields: object) -> Question:
    return Question("wc-1", text, "paraphrase", "world_cup", split, **fields)  # type: ignore[arg-type]


def test_one_match_by_hand() -> None:
    facts = {fact.kind: fact for fact in match_facts([MATCH], [])}
    assert facts["winner"].answers == ("Argentina",)
    assert facts["score"].answers == ("3-1", "1-3")
    assert facts["half time"].answers == ("1-0",)
    assert facts["stage"].answers == ("final",)
    assert facts["city"].answers == ("Buenos Aires",)
    assert facts["date"].answers == ("25 June 1978", "25 June")
    assert facts["ground"].wordings[0] == "In which stadium did Argentina play the Netherlands at the 1978 World Cup?"
    assert facts["ground"].fact_id == "1978-06-25-argentina-netherlands:ground"
    assert facts["winner"].doc_id == "world_cup/1978-06-25-argentina-netherlands"


def test_what_is_left_out() -> None:
    out = replace(MATCH, shoot_out=(4, 2), extra_time=(1, 1))
    kinds = {fact.kind for fact in match_facts([out], [])}
    assert "winner" in kinds and "score" not in kinds  # a shoot-out has two scores
    drawn = replace(MATCH, extra_time=None)
    assert "winner" not in {fact.kind for fact in match_facts([drawn], [])}
    assert match_facts([MATCH, replace(MATCH, date=datetime.date(1978, 6, 20))], []) == []  # which of the two?
    assert match_facts([replace(MATCH, walk_over="Argentina")], []) == []
    assert match_facts([MATCH], [question("test", "Who won in 1978?")]) == []


def test_years_that_dev_and_test_touch() -> None:
    asked = [
        question("dev", "What happened in 1950?", near="world_cup/ball-of-1966"),
        question("test", "Who?", answers=("in 1938",), gold=(GoldSpan("world_cup/tournament-1954", "It was 1930, not 19300."),)),
        question("train", "Who won in 2018?"),
        replace(question("dev", "2002?"), shelf="energy"),
    ]  # fmt: skip
    assert touched_years(asked) == {1930, 1938, 1950, 1954, 1966}


def test_facts_of_the_collection() -> None:
    questions, documents = load_questions(), {document.doc_id: document for document in load_documents("world_cup")}
    facts = match_facts(read_matches(), questions)
    assert len(facts) > 500 and len({fact.fact_id for fact in facts}) == len(facts)
    assert {fact.kind for fact in facts} == set(FORMS)
    assert all(len(set(fact.wordings)) == N_WORDINGS for fact in facts)
    years = {int(fact.fact_id[:4]) for fact in facts}
    others = [each for each in questions if each.split != "train" and each.shelf == "world_cup"]
    assert len(years) >= 3 and not any(str(year) in each.text for year in years for each in others)
    stated = [holds_answer(f"{documents[f.doc_id].title} {documents[f.doc_id].text}", f.answers) for f in facts]
    assert sum(stated) > 0.8 * len(facts)  # reports leave half-time scores and grounds out now and then
