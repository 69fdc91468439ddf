"""The question set: form, gold spans and answers, kinds that keep their promise, splits, difficulty."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from course_lib.assets import models
from course_lib.core.types import Document, GoldSpan, Question
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import COLLECTIONS, load_documents
from course_lib.corpus.quality import chain_roots, chains
from course_lib.corpus.question_quality import (
    answer_in_span,
    documents_asked,
    found_by_kind,
    holds_answer,
    older_versions_that_agree,
    shared_between_splits,
    shared_with_gold,
)
from course_lib.corpus.questions import KINDS, SPLITS, load_questions, question_from_json
from course_lib.evaluation.answers import contains
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.workshop.data_difficulty import bm25_documents, closed_book_share, dense_documents, read_closed_book

SHELF_CODES = {"world_cup": "wc", "neurology": "ne", "energy": "en", "help_desk": "hd"}
KIND_CODES = {
    "exact_term": "term", "paraphrase": "para", "number_or_date": "num", "latest": "latest", "comparison": "comp",
    "unanswerable": "none",
}  # fmt: skip


@cache
def documents() -> dict[str, Document]:
    return {document.doc_id: document for document in load_documents()}


@cache
def chain_of() -> dict[str, list[Document]]:
    return {version.doc_id: chain for chain in chains(documents().values()) for version in chain}


def lines() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((COLLECTIONS / "questions").glob("*.questions.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield path, json.loads(line)


def answerable(kind: str | None = None) -> list[Question]:
    return [question for question in load_questions(kind=kind) if question.kind != "unanswerable"]


# ---------------------------------------------------------------- form


def test_every_line_has_every_field_and_lies_in_the_file_of_its_shelf() -> None:
    names = {field.name for field in fields(Question)}
    wrong = [
        entry["question_id"]
        for path, entry in lines()
        if set(entry) != names or not path.name.startswith(f"{entry['shelf']}.")
    ]
    assert not wrong


def test_ids_are_unique_and_say_shelf_and_kind() -> None:
    ids = [question.question_id for question in load_questions()]
    assert len(set(ids)) == len(ids)
    wrong = [
        question.question_id
        for question in load_questions()
        if not re.fullmatch(rf"{SHELF_CODES[question.shelf]}-{KIND_CODES[question.kind]}-\d{{3}}", question.question_id)
    ]
    assert not wrong


def test_texts_are_unique_and_tidy() -> None:
    texts = [question.text for question in load_questions()]
    assert not [text for text, n in Counter(map(str.casefold, texts)).items() if n > 1]
    assert not [text for text in texts if text != text.strip() or len(text.split()) < 4]


def test_written_is_hand_or_template() -> None:
    assert {question.written for question in load_questions()} <= {"hand", "template"}


def test_answers_gold_and_near_fit_the_kind() -> None:
    wrong = []
    for question in load_questions():
        if question.kind == "unanswerable":
            fits = not question.answers and not question.gold and question.near in documents()
        else:
            fits = bool(question.answers) and bool(question.gold) and question.near is None
        if not fits or len(set(question.answers)) != len(question.answers):
            wrong.append(question.question_id)
    assert not wrong


def test_documents_asked_are_on_the_shelf_of_the_question() -> None:
    wrong = [
        question.question_id
        for question in load_questions()
        for doc_id in documents_asked(question)
        if doc_id not in documents() or documents()[doc_id].shelf != question.shelf
    ]
    assert not wrong


def test_an_unknown_kind_is_refused() -> None:
    _, entry = next(lines())
    with pytest.raises(ValueError, match="kind must be one of"):
        question_from_json({**entry, "kind": "riddle"})
    with pytest.raises(ValueError, match="split must be one of"):
        load_questions(split="validation")


# ---------------------------------------------------------------- size


def test_there_are_enough_questions() -> None:
    questions = load_questions()
    assert len(questions) >= 600
    assert sum(question.written == "hand" for question in questions) >= 350


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_enough_of_every_kind(kind: str) -> None:
    assert len(load_questions(kind=kind)) >= 80


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_in_every_split(kind: str) -> None:
    assert {question.split for question in load_questions(kind=kind)} == set(SPLITS)


# ---------------------------------------------------------------- gold and answers


def test_every_gold_quote_stands_in_its_document() -> None:
    wrong = [
        question.question_id
        for question in load_questions()
        for span in question.gold
        if span.quote not in documents()[span.doc_id].text
    ]
    assert not wrong


def test_every_answer_stands_in_its_span_or_is_marked_derived() -> None:
    assert not [q.question_id for q in answerable() if not answer_in_span(q) and not q.derived.strip()]


def test_no_question_holds_its_answer() -> None:
    """A comparison may name what it compares ("Which came first, A or B?")."""
    assert not [q.question_id for q in answerable() if q.kind != "comparison" and holds_answer(q.text, q.answers)]


def test_an_answer_in_the_question_is_found() -> None:
    question = replace(
        load_questions(kind="number_or_date")[0], text="Is it really 55 euros?", answers=("€55", "55 Euros")
    )
    assert holds_answer(question.text, question.answers)
    assert not holds_answer("Is it really 155 euros?", question.answers)


# ---------------------------------------------------------------- kinds


def test_paraphrases_share_no_content_word_with_their_gold() -> None:
    shared = {
        question.question_id: sorted(shared_with_gold(question)) for question in load_questions(kind="paraphrase")
    }
    assert not {question_id: words for question_id, words in shared.items() if words}


def test_exact_terms_share_a_content_word_with_their_gold() -> None:
    assert not [q.question_id for q in load_questions(kind="exact_term") if not shared_with_gold(q)]


def test_comparisons_need_two_documents() -> None:
    wrong = [
        question.question_id
        for question in load_questions(kind="comparison")
        if question.any_gold or len({span.doc_id for span in question.gold}) < 2
    ]
    assert not wrong


def test_latest_asks_for_the_newest_version() -> None:
    wrong = [
        question.question_id
        for question in load_questions(kind="latest")
        for span in question.gold
        if span.doc_id not in chain_of() or chain_of()[span.doc_id][-1].doc_id != span.doc_id
    ]
    assert not wrong


def test_no_older_version_gives_the_same_answer_in_the_place_of_the_quote() -> None:
    agreeing = {
        question.question_id: older_versions_that_agree(question, chain_of()[question.gold[0].doc_id])
        for question in load_questions(kind="latest")
    }
    assert not {question_id: doc_ids for question_id, doc_ids in agreeing.items() if doc_ids}


def test_an_older_version_that_agrees_is_found() -> None:
    question = next(q for q in load_questions(kind="latest") if len(chain_of()[q.gold[0].doc_id]) > 1)
    old, new = chain_of()[question.gold[0].doc_id][-2:]
    same = replace(old, text=new.text)
    assert older_versions_that_agree(question, [same, new]) == [old.doc_id]
    assert older_versions_that_agree(question, [new]) == []


# ---------------------------------------------------------------- splits


def test_no_passage_is_shared_between_splits() -> None:
    roots = chain_roots(list(documents().values()))
    assert shared_between_splits(load_questions(), roots) == {}


def test_a_leak_through_a_chain_is_found() -> None:
    chain = next(iter(chain_of().values()))
    roots = chain_roots(chain)
    base = load_questions(kind="number_or_date")[0]
    one = replace(base, question_id="a", split="train", gold=(GoldSpan(chain[0].doc_id, "x"),))
    other = replace(base, question_id="b", split="test", gold=(GoldSpan(chain[1].doc_id, "y"),))
    assert shared_between_splits([one, other], roots) == {chain[0].doc_id: {"train": ["a"], "test": ["b"]}}
    assert shared_between_splits([one, replace(other, split="train")], roots) == {}
    near = replace(other, gold=(), near=chain[1].doc_id)
    assert shared_between_splits([one, near], roots)


# ---------------------------------------------------------------- difficulty


@pytest.fixture(scope="module")
def recall(embedder: ContextualEmbedder) -> dict[str, dict[str, float]]:
    """recall@5 of BM25 and MiniLM by kind."""
    chunks, questions = chunk_documents(documents().values()), answerable()
    found = {
        "BM25": found_by_kind(questions, bm25_documents(chunks, questions)),
        "MiniLM": found_by_kind(questions, dense_documents(chunks, questions, embedder)),
    }
    return {name: {kind: sum(yes) / len(yes) for kind, yes in kinds.items()} for name, kinds in found.items()}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "unanswerable"])
def test_no_kind_is_trivial_and_none_is_hopeless(kind: str, recall: dict[str, dict[str, float]]) -> None:
    both = [recall[system][kind] for system in ("BM25", "MiniLM")]
    assert min(both) <= 0.97, "too easy for both"
    assert max(both) >= 0.2, "out of reach for both"


def test_words_and_vectors_fail_on_different_kinds(recall: dict[str, dict[str, float]]) -> None:
    """What lesson 04 rests on: BM25 leads where a term is asked for, vectors where no word is shared."""
    assert recall["BM25"]["exact_term"] > recall["MiniLM"]["exact_term"]
    assert recall["BM25"]["paraphrase"] < recall["MiniLM"]["paraphrase"]


def test_the_language_model_knows_little_without_documents() -> None:
    stored = read_closed_book(models.model_id(models.generator_source()))
    right = closed_book_share(answerable(), stored.answers)
    assert sum(right) / len(right) < 0.15


def test_batches_say_what_single_questions_say() -> None:
    stored = read_closed_book(models.model_id(models.generator_source()))
    assert stored.checked >= 5
    assert stored.agreed == stored.checked


def test_a_question_that_was_never_asked_is_named() -> None:
    question = replace(answerable()[0], text="Was this ever asked?")
    with pytest.raises(KeyError, match=f"{question.question_id}.*course data report"):
        closed_book_share([question], {})


def test_both_ways_to_find_an_answer_agree_on_every_gold_span() -> None:
    """`holds_answer` picks the data, `contains` marks replies. They differ where a comma follows 27,000, and only there."""
    differ = {
        question.question_id
        for question in load_questions()
        for span in question.gold
        if question.answers and holds_answer(span.quote, question.answers) != contains(span.quote, question.answers)
    }
    assert differ == {"en-num-031", "hd-num-003", "hd-num-018", "hd-num-023"}
