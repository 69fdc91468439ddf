"""The labelled answers: their counts, their passages, and what a broken line says."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

import pytest

from course_lib.core.types import Document
from course_lib.corpus.labelled_answers import ERRORS, LABELS, labelled_answer_from_json, load_labelled_answers
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions

DOCUMENT = Document("shelf/one", "shelf", "A title", datetime.date(2026, 7, 19), "Before. Spain won. After.")
LINE = {
    "label_id": "ground-000", "question_id": "q", "question": "Who won?", "chunk_id": "shelf/one#00",
    "passage": "Spain won.", "answer": "Spain", "label": "supported", "error": None, "note": "",
}  # fmt: skip


def read(**changed: Any) -> Any:
    return labelled_answer_from_json({**LINE, **changed}, {"shelf/one": DOCUMENT})


def test_a_line_becomes_an_answer_with_its_passage_in_place() -> None:
    answer = read()
    assert answer.supported
    assert (answer.passage.text, answer.passage.start, answer.passage.end) == ("Spain won.", 0, 10)
    assert (answer.passage.title, answer.passage.date) == (DOCUMENT.title, DOCUMENT.date)
    assert not read(label="partly", error="invented").supported


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": "yes"}, "label must be one of supported, partly, not, got 'yes' in ground-000"),
        ({"label": "not", "error": "odd"}, "error must be one of invented, .*, got 'odd'"),
        ({"error": "invented"}, "error must be null for a supported answer"),
        ({"label": "not"}, "error must be null for a supported answer and only there, got None"),
    ],
)
def test_a_broken_line_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(**changed)


def test_the_collection_holds_150_answers_with_every_label_and_error() -> None:
    answers = load_labelled_answers()
    assert len(answers) == len({answer.label_id for answer in answers}) == 150
    labels = Counter(answer.label for answer in answers)
    assert set(labels) == set(LABELS)
    assert min(labels.values()) >= 15
    assert {answer.error for answer in answers} == {None, *ERRORS}


def test_an_unknown_document_is_refused() -> None:
    with pytest.raises(KeyError, match="shelf/two"):
        read(chunk_id="shelf/two#00")


def test_passages_carry_the_title_of_their_document() -> None:
    titles = {document.doc_id: document.title for document in load_documents()}
    for answer in load_labelled_answers():
        assert answer.passage.title == titles[answer.passage.doc_id]
        assert answer.passage.text


def test_questions_are_of_the_train_split_only() -> None:
    train = {question.question_id for question in load_questions(split="train")}
    assert {answer.question_id for answer in load_labelled_answers()} <= train


def test_a_list_of_ones_own_is_returned() -> None:
    load_labelled_answers().clear()
    assert load_labelled_answers()
