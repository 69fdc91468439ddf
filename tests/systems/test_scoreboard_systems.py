"""The named systems: names that can be typed, an oracle that holds the gold, and keys that notice other data."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.scoreboard import COMPARISON, HEADLINE
from course_lib.retrieval.cross_encoder import RERANKER
from course_lib.systems import scoreboard_named, scoreboard_systems
from course_lib.systems.scoreboard_named import N_QUICK, key_of, measure_system
from course_lib.systems.scoreboard_systems import SYSTEMS, find


def test_names_and_slugs_differ_and_find_their_systems() -> None:
    assert len({system.slug for system in SYSTEMS}) == len(SYSTEMS) == len({system.name for system in SYSTEMS})
    for system in SYSTEMS:
        assert find(system.slug) is find(system.name) is system
        assert system.how.endswith(".") and len(system.lesson) == 2
    assert find("late-interaction").name == "+ late interaction"
    with pytest.raises(ValueError, match="system must be one of closed-book, .*, got 'x'"):
        find("x")


def test_the_board_has_what_every_lesson_compares_with() -> None:
    wanted = {"closed-book", "bm25", "minilm", "rrf", "z-score-fusion", "late-interaction", "latest-version-first"}
    assert {*wanted, "cross-encoder", "query-likelihood", "oracle-passage"} <= {system.slug for system in SYSTEMS}


def test_what_was_trained_is_read_from_the_adapters_card() -> None:
    card = json.loads((RERANKER / "card.json").read_text(encoding="utf-8"))
    assert find("cross-encoder").trained() == (card["minutes"], card["trained_parameters"])
    assert {system.trained() for system in SYSTEMS if system.slug != "cross-encoder"} == {(0.0, 0)}


def test_the_oracle_shows_what_holds_the_gold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoreboard_systems, "load_cached_language_model", lambda: None)
    built = find("oracle-passage").build()
    documents = {document.doc_id: document for document in load_documents()}
    assert built.retriever is None  # its order is no ranking that a search made
    gold = built.system.retriever  # type: ignore[attr-defined]
    for question in load_questions(split="test"):
        if not question.gold:
            with pytest.raises(KeyError):
                gold.search(question.text, 1)
            continue
        shown = [gold.chunk(hit.chunk_id) for hit in gold.search(question.text, built.system.k)]  # type: ignore[attr-defined]
        needed = question.gold[:1] if question.any_gold else question.gold
        for span in needed:
            start = documents[span.doc_id].text.index(span.quote)
            held = [min(start + len(span.quote), c.end) - max(start, c.start) for c in shown if c.doc_id == span.doc_id]
            assert max(held) * 2 >= len(span.quote), question.question_id


def test_a_key_notices_other_data_and_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    system = find("bm25")
    key = key_of(system, quick=False)
    assert key == key_of(system, quick=False) and key != key_of(system, quick=True)
    assert key != key_of(replace(system, how="Otherwise."), quick=False)
    monkeypatch.setattr(scoreboard_named, "VERSION", 99)
    assert key != key_of(system, quick=False)
    monkeypatch.undo()
    monkeypatch.setattr(scoreboard_named, "_digest_of_data", lambda: "other questions")
    assert key != key_of(system, quick=False)


def test_repeating_the_question_answers_comparisons_only() -> None:
    """Why comparisons stay out of the headline: a reply without any answer is marked right for half of them."""
    row = measure_system(find("question-repeated"))
    contained = row.quality["contained"]
    assert contained[HEADLINE].mean < 0.03 and contained[COMPARISON].low > 0.3
    assert row.control and row.quality["abstention recall"]["unanswerable"].mean == 0.0


def test_quick_takes_few_questions_of_every_kind() -> None:
    row = measure_system(find("question-repeated"), quick=True)
    assert row.quick and row.n_timed == 3
    n = {group: interval.n for group, interval in row.quality["contained"].items()}
    assert n["answerable"] + row.quality["abstention recall"]["unanswerable"].n == N_QUICK and n["latest"] == 4
