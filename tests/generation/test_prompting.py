"""The prompt, letter for letter; the budget, by hand."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk
from course_lib.generation.prompting import (
    CLOSED_BOOK_SYSTEM,
    SYSTEM,
    closed_book_messages,
    format_passage,
    rag_messages,
    within_budget,
    written_date,
)


def chunk(name: str, text: str) -> Chunk:
    return Chunk(f"shelf/{name}#00", f"shelf/{name}", name.title(), datetime.date(2026, 7, 9), text, 0, len(text))


ONE, TWO = chunk("first match", "Spain won."), chunk("second match", "Norway lost.\nIt rained.")


def n_words(text: str) -> int:
    return len(text.split())


# ---------------------------------------------------------------- what the model reads


@pytest.mark.parametrize(
    ("date", "words"),
    [
        (datetime.date(2026, 7, 19), "19 July 2026"),
        (datetime.date(1930, 1, 1), "1 January 1930"),
        (datetime.date(2024, 2, 29), "29 February 2024"),
    ],
)
def test_a_date_as_prose_writes_it(date: datetime.date, words: str) -> None:
    assert written_date(date) == words


def test_a_passage_shows_number_title_date_and_text() -> None:
    assert format_passage(3, TWO) == "[3] Second Match (9 July 2026)\nNorway lost.\nIt rained."


def test_the_conversation_letter_for_letter() -> None:
    assert rag_messages("  Who won?\n", [ONE, TWO]) == [
        {"role": "system", "content": SYSTEM},
        {
            "role": "user",
            "content": "[1] First Match (9 July 2026)\nSpain won.\n\n"
            "[2] Second Match (9 July 2026)\nNorway lost.\nIt rained.\n\n"
            "Question: Who won?",
        },
    ]


def test_the_model_is_told_how_to_abstain() -> None:
    """`systems.rag` looks for these words."""
    from course_lib.systems.rag import ABSTAINED

    assert ABSTAINED in SYSTEM
    assert ABSTAINED not in CLOSED_BOOK_SYSTEM


def test_a_swapped_passage_reaches_the_prompt() -> None:
    """A prompt that forgets its passages is the fault that a RAG system hides best."""
    assert rag_messages("Who won?", [ONE]) != rag_messages("Who won?", [TWO])
    assert rag_messages("Who won?", [ONE, TWO]) != rag_messages("Who won?", [TWO, ONE])


def test_closed_book_holds_the_question_alone() -> None:
    assert closed_book_messages(" Who won? ") == [
        {"role": "system", "content": CLOSED_BOOK_SYSTEM},
        {"role": "user", "content": "Who won?"},
    ]


def test_without_passages_there_is_nothing_to_ask_of() -> None:
    with pytest.raises(ValueError, match="passages must hold at least one passage, got none"):
        rag_messages("Who won?", [])


@pytest.mark.parametrize(
    ("question", "error"), [("", ValueError), ("\n ", ValueError), (None, TypeError), (3, TypeError)]
)
def test_a_question_must_be_one(question: Any, error: type[Exception]) -> None:
    for build in (lambda: rag_messages(question, [ONE]), lambda: closed_book_messages(question)):
        with pytest.raises(error, match="question must"):
            build()


# ---------------------------------------------------------------- the budget


def test_the_budget_by_hand() -> None:
    """Counted in words: "[1] First Match (9 July 2026)" is 6, "Spain won." 2: 8. Passage 2: 6 + 4 = 10, together 18."""
    assert within_budget([ONE, TWO], n_words, 18) == [ONE, TWO]
    assert within_budget([ONE, TWO], n_words, 17) == [ONE]
    assert within_budget([ONE, TWO], n_words, 8) == [ONE]


def test_not_even_the_first_fits() -> None:
    with pytest.raises(
        ValueError, match=r"budget must hold at least the first passage \(8 tokens\), got 7; use shorter chunks"
    ):
        within_budget([ONE, TWO], n_words, 7)


def test_no_passage_needs_no_budget() -> None:
    assert within_budget([], n_words, 0) == []


def test_a_short_passage_does_not_jump_the_queue() -> None:
    """A prefix is kept: leaving out the second to squeeze in the third would reorder the ranking unseen."""
    long = chunk("long", "word " * 50)
    assert within_budget([ONE, long, TWO], n_words, 40) == [ONE]


@given(st.lists(st.integers(1, 30), max_size=6), st.integers(8, 150))
def test_what_is_kept_fits_and_one_more_would_not(lengths: list[int], budget: int) -> None:
    passages = [chunk(f"p{i}", "word " * length) for i, length in enumerate(lengths)]

    def size(chosen: list[Chunk]) -> int:
        return sum(n_words(format_passage(number, one)) for number, one in enumerate(chosen, start=1))

    if passages and size(passages[:1]) > budget:
        with pytest.raises(ValueError, match="budget must hold"):
            within_budget(passages, n_words, budget)
        return
    kept = within_budget(passages, n_words, budget)
    assert kept == passages[: len(kept)]
    assert size(kept) <= budget
    assert kept == passages or size(passages[: len(kept) + 1]) > budget


def test_the_budget_holds_for_the_prompt_as_the_model_counts(language_model: Any) -> None:
    """Counted passage by passage, but read as one text: the sum must not be less than the whole."""
    passages = [chunk(f"match {i}", "Spain beat Norway 2-1 in Oslo after extra time. " * 3) for i in range(9)]
    kept = within_budget(passages, language_model.count_tokens, 300)
    assert 1 < len(kept) < 9
    shown = rag_messages("Who?", kept)[1]["content"].rpartition("Question:")[0]
    assert language_model.count_tokens(shown) <= 300
