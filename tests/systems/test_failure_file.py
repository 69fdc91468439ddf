"""The gallery's file: it comes back as it was written, and what ships still is what the systems do."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from course_lib.corpus.chunking import fixed_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.generation.language_model import LanguageModel
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.systems.failure_file import Case, load_gallery, made_now, write_gallery
from course_lib.systems.failure_finder import BORDER_WORDS, REPAIRS, mended, recovered
from course_lib.systems.failures import KINDS, diagnose
from course_lib.systems.tracing import Room, answered, prompt_of

CASES = load_gallery().cases


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "gallery.json"
    write_gallery(load_gallery(), path)
    assert load_gallery(path) == load_gallery()


def test_without_the_file_the_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="python -m course_lib.systems.failure_finder"):
        load_gallery(tmp_path / "none.json")


def test_at_least_ten_failures_of_ten_kinds_none_from_the_test_questions() -> None:
    assert len(CASES) >= 10 and len({case.kind for case in CASES}) >= 10
    assert {case.kind for case in CASES} <= set(KINDS)
    known = {question.question_id: question for question in load_questions()}
    for case in CASES:
        assert case.trace.question == known[case.trace.question.question_id]
        assert case.trace.question.split in ("train", "dev")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.trace.question.question_id}")
def test_the_rule_still_names_the_kind_and_the_repair_helps(case: Case) -> None:
    assert diagnose(case.trace) == (case.kind, case.evidence)
    assert case.repair == REPAIRS[case.kind]
    assert mended(case.kind, case.after) or recovered(case.kind, case.trace, case.after)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.trace.question.question_id}")
def test_the_trace_is_of_the_collection_as_it_is(case: Case) -> None:
    texts = {document.doc_id: document.text for document in load_documents()}
    for trace in (case.trace, case.after):
        for chunk in trace.chunks.values():
            assert texts[chunk.doc_id][chunk.start : chunk.end] == chunk.text


def test_the_census_counts_every_dev_question() -> None:
    gallery = load_gallery()
    for system in ("one passage", "three passages"):
        assert sum(gallery.census[system].values()) == len(load_questions(split="dev"))
    for tried, right in gallery.repaired.values():
        assert 0 <= right <= tried


@pytest.mark.slow
def test_bad_borders_are_found_again(embedder: ContextualEmbedder) -> None:
    """A shelf of short chunks, cut and searched anew: the same lists, ranks and prompt."""
    cases = [case for case in CASES if case.kind == "bad chunk border"]
    desk = load_documents("help_desk")
    cut = Room("cut", desk, embedder, chunker=partial(fixed_chunks, max_words=BORDER_WORDS)).fit()
    whole = Room("whole", desk, embedder).fit()
    assert cases
    for case in cases:
        for room, kept in ((cut, case.trace), (whole, case.after)):
            trace = room.trace(kept.question)
            assert (trace.gold, trace.cut, trace.shown) == (kept.gold, kept.cut, kept.shown)
            assert trace.ranks["BM25"] == kept.ranks["BM25"]


@pytest.mark.slow
def test_most_answers_come_again(language_model: LanguageModel) -> None:
    """In bfloat16 a close choice can differ on another processor: a majority is asked for."""
    traces = [trace for case in CASES[:6] for trace in (case.trace, case.after)]
    again = [language_model.generate(prompt_of(trace), max_new_tokens=48) == trace.answer for trace in traces]
    assert sum(again) >= 8


def test_date_and_commit_are_kept() -> None:
    made = load_gallery().made
    assert set(made) == {"date", "commit", "split", "model"} and made["date"] >= "2026-11-23"
    assert set(made_now()) == {"date", "commit"}


def test_a_trace_without_passages_abstains() -> None:
    class Silent:
        def generate_many(self, *_: object, **__: object) -> list[str]:
            raise AssertionError("nothing to ask")

    (trace,) = answered([replace(CASES[0].trace, shown=())], Silent())  # type: ignore[arg-type]
    assert trace.answer == "I do not know." and trace.cited == ()
