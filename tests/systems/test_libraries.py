"""Small libraries: every question's documents stand in its library, and the length holds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from course_lib.core.types import GoldSpan, Question
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.generation.prompting import rag_messages
from course_lib.systems.libraries import Library, libraries, needed, that_fit
from course_lib.systems.long_context import QUESTION_TOKENS, whole

WORDS = SimpleNamespace(count_tokens=lambda text: len(text.split()), context_length=8192)
DOCUMENTS = load_documents("help_desk")
BY_ID = {document.doc_id: document for document in DOCUMENTS}
QUESTIONS = load_questions(split="dev", shelf="help_desk")


def question(*doc_ids: str, **fields: object) -> Question:
    return Question("q", "Why?", "latest", "help_desk", "dev", gold=tuple(GoldSpan(d, "x") for d in doc_ids), **fields)  # type: ignore[arg-type]


def test_what_a_question_needs() -> None:
    one, two = (document.doc_id for document in DOCUMENTS[:2])
    assert needed(question(one, two, one), BY_ID) == (BY_ID[one], BY_ID[two])
    assert needed(question(one, two, any_gold=True), BY_ID) == (BY_ID[one],)
    assert needed(question(near=two), BY_ID) == (BY_ID[two],) and needed(question(), BY_ID) == ()


@pytest.mark.parametrize("budget", [700, 1500, 5000])
def test_each_question_once_and_its_documents_beside_it(budget: int) -> None:
    questions = that_fit(QUESTIONS, DOCUMENTS, generator=WORDS, budget=budget)  # type: ignore[arg-type]
    made = libraries(questions, DOCUMENTS, generator=WORDS, budget=budget, seed=3)  # type: ignore[arg-type]
    assert sorted(q.question_id for each in made for q in each.questions) == [q.question_id for q in questions]
    for each in made:
        assert len(set(each.documents)) == len(each.documents)
        assert all(set(needed(q, BY_ID)) <= set(each.documents) for q in each.questions)
        messages = rag_messages("?", [whole(document) for document in each.documents])
        assert each.n_tokens == sum(len(message["content"].split()) for message in messages) <= budget - QUESTION_TOKENS
        assert each.n_tokens > 0.6 * (budget - QUESTION_TOKENS), "filled up with others of the shelf"
    assert made == libraries(questions, DOCUMENTS, generator=WORDS, budget=budget, seed=3)  # type: ignore[arg-type]
    assert made != libraries(questions, DOCUMENTS, generator=WORDS, budget=budget, seed=4)  # type: ignore[arg-type]


def test_answers_stand_anywhere() -> None:
    made = libraries(QUESTIONS, DOCUMENTS, generator=WORDS, budget=6000, seed=3)  # type: ignore[arg-type]
    depths = [each.depth(q) for each in made for q in each.questions if q.gold]
    assert min(depths) < 0.2 and max(depths) > 0.7 and all(0 <= depth <= 1 for depth in depths)


def test_depth_by_hand() -> None:
    library = Library(tuple(DOCUMENTS[:5]), (), 0)
    assert library.depth(question(DOCUMENTS[3].doc_id)) == 0.75
    assert library.depth(question(DOCUMENTS[4].doc_id, DOCUMENTS[1].doc_id)) == 0.25
    with pytest.raises(ValueError, match="q is unanswerable"):
        library.depth(question())


def test_what_does_not_fit_is_named() -> None:
    few = that_fit(QUESTIONS, DOCUMENTS, generator=WORDS, budget=450)  # type: ignore[arg-type]
    assert 0 < len(few) < len(QUESTIONS)
    with pytest.raises(ValueError, match="documents do not fit into 450 tokens"):
        libraries(QUESTIONS, DOCUMENTS, generator=WORDS, budget=450, seed=3)  # type: ignore[arg-type]
