"""Questions wrapped in small talk: always the same, the question untouched, and half of it beyond any list."""

from __future__ import annotations

import pytest

from course_lib.corpus.as_typed import AFTER, BEFORE, as_typed
from course_lib.corpus.questions import load_questions


def test_the_question_stands_in_it_letter_for_letter() -> None:
    typed = {question.text: as_typed(question.text) for question in load_questions(split="dev")}
    for question, text in typed.items():
        before, after = text.split(question)
        assert before.strip() in BEFORE and after.strip() in AFTER
    assert len({text.split(question)[0] for question, text in typed.items()}) == len(BEFORE), "every phrase is drawn"
    assert len({text.split(question)[1] for question, text in typed.items()}) == len(AFTER)


def test_it_repeats_itself_and_another_seed_does_not() -> None:
    texts = [question.text for question in load_questions(split="dev")]
    first, again, other = (
        [as_typed(t) for t in texts],
        [as_typed(t) for t in texts],
        [as_typed(t, seed=1) for t in texts],
    )
    assert first == again and first != other


def test_nothing_to_ask() -> None:
    with pytest.raises(ValueError, match="question must not be empty"):
        as_typed(" ")
