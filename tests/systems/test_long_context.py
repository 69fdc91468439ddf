"""Documents in the prompt: whole, in the order asked for, within the budget, and none lost without a word."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk, Document, Hit, Ranking
from course_lib.generation.prompting import rag_messages
from course_lib.systems.long_context import QUESTION_TOKENS, LongContext, arranged, by_relevance, packed, whole


def document(name: str, n_words: int = 10, *, year: int = 2020, replaced_by: str | None = None) -> Document:
    text = " ".join([name.upper(), *["word"] * (n_words - 1)])
    return Document(f"shelf/{name}", "shelf", name, datetime.date(year, 1, 1), text, superseded_by=replaced_by)


class Words:
    """A generator that reads words as tokens and repeats the question; it notes what it was asked."""

    context_length = 1000

    def __init__(self) -> None:
        self.asked: list[list[Message]] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int) -> str:
        self.asked.append(list(messages))
        return messages[-1]["content"].split("Question: ")[1]

    def generate_many(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        return [self.generate(messages, max_new_tokens=max_new_tokens) for messages in conversations]


class Fixed:
    """A retriever that finds chunks of documents in a fixed order."""

    def __init__(self, *names: str) -> None:
        day = datetime.date(2020, 1, 1)
        self.chunks = {f"shelf/{n}#00": Chunk(f"shelf/{n}#00", f"shelf/{n}", n, day, n, 0, 1) for n in names}

    def __len__(self) -> int:
        return len(self.chunks)

    def search(self, query: str, k: int) -> Ranking:
        return [Hit(name, -float(i)) for i, name in enumerate(self.chunks)][:k]

    def chunk(self, chunk_id: str) -> Chunk:
        return self.chunks[chunk_id]


SHELF = (
    document("b", year=2021), document("a", year=2019, replaced_by="shelf/b"), document("d", year=2023, replaced_by="shelf/x"),
    document("c", year=2022),
)  # fmt: skip


def names(documents: Sequence[Document]) -> str:
    return "".join(each.title for each in documents)


def test_a_document_is_a_passage() -> None:
    chunk = whole(SHELF[0])
    assert (chunk.text, chunk.start, chunk.end) == (SHELF[0].text, 0, len(SHELF[0].text))
    assert chunk.doc_id == "shelf/b" and chunk.chunk_id == "shelf/b#whole"


@pytest.mark.parametrize(
    ("order", "expected"), [("shelf", "abcd"), ("newest_first", "dcba"), ("current_first", "cbda")]
)
def test_orders(order: str, expected: str) -> None:
    assert names(arranged(SHELF, order)) == expected == names(arranged(SHELF[::-1], order))


def test_no_such_order() -> None:
    with pytest.raises(ValueError, match="order must be one of shelf, newest_first, current_first, got 'random'"):
        arranged(SHELF, "random")


def test_by_relevance_what_is_not_found_comes_last_as_it_was() -> None:
    assert names(by_relevance("?", SHELF, Fixed("c", "a"), depth=2)) == "cabd"


def size(documents: Sequence[Document]) -> int:
    messages = rag_messages("?", [whole(each) for each in documents])
    return sum(len(message["content"].split()) for message in messages)


def test_one_that_is_too_long_makes_room_for_shorter_ones() -> None:
    """Just enough for the first and the third: the second is left out, and said to be."""
    first, second, third = document("a", 10), document("b", 40), document("c", 12)
    budget = size([first, third]) + QUESTION_TOKENS
    found = packed([first, second, third], generator=Words(), budget=budget)
    assert found.shown == (first, third) and found.left_out == (second,)
    assert found.n_tokens == size([first, third]) == budget - QUESTION_TOKENS and found.share == 2 / 3
    assert packed([first, second, third], generator=Words(), budget=budget - 1).shown == (first,)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(100, 500))
def test_nothing_is_lost_and_the_budget_holds(lengths: list[int], budget: int) -> None:
    documents = [document(f"n{i:02d}", n) for i, n in enumerate(lengths)]
    try:
        found = packed(documents, generator=Words(), budget=budget)
    except ValueError:
        assert all(size([each]) + QUESTION_TOKENS > budget for each in documents)
        return
    assert found.n_tokens == size(found.shown) <= budget - QUESTION_TOKENS
    assert sorted([*found.shown, *found.left_out], key=lambda each: each.doc_id) == documents
    for each in found.left_out:
        assert size([*found.shown, each]) > budget - QUESTION_TOKENS


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="below the model's 1000 tokens, got 1000"):
        packed(SHELF, generator=Words(), budget=1000)
    with pytest.raises(ValueError, match="at least one document and a question, got 80"):
        packed(SHELF, generator=Words(), budget=80)


def test_the_same_beginning_for_every_question() -> None:
    generator = Words()
    system = LongContext(SHELF, generator, 900, order="newest_first")
    for question in ("Who?", "Why so?"):
        assert system(question).text == question
    first, second = (messages[-1]["content"] for messages in generator.asked)
    assert first.split("Question:")[0] == second.split("Question:")[0]
    assert [first.index(f"\n{letter} ") for letter in "DCBA"] == sorted(
        first.index(f"\n{letter} ") for letter in "DCBA"
    )
    answer = system("Who?")
    assert [chunk.title for chunk, _ in answer.passages] == list("dcba") and set(answer.seconds) == {"pack", "generate"}
    assert answer.prompt == first


def test_many_at_once_are_the_same_answers() -> None:
    system = LongContext(SHELF, Words(), 900)
    questions = ["Word?", "Why so?"]
    together = system.ask_many(questions)
    assert [answer.text for answer in together] == questions
    assert [answer.citations for answer in together] == [system(question).citations for question in questions]
    assert together[0].citations and together[0].citations[0].title == "a" and system.ask_many([]) == []


def test_by_relevance_each_question_has_its_own_prompt() -> None:
    system = LongContext(SHELF, Words(), size(SHELF[:2]) + QUESTION_TOKENS, retriever=Fixed("d", "a", "b", "c"))
    assert names(system.packed_for("Who?").shown) == "da" and names(system.packed_for("Who?").left_out) == "bc"
    backwards = LongContext(system.documents, Words(), system.budget, retriever=system.retriever, printed="best_last")
    assert [chunk.title for chunk in backwards.passages("Who?")] == ["a", "d"]


@pytest.mark.parametrize(
    ("question", "words"),
    [("word " * (QUESTION_TOKENS + 1), "at most 64 tokens, got 65"), (" ", "question must not be empty")],
)
def test_bad_questions(question: str, words: Any) -> None:
    with pytest.raises(ValueError, match=words):
        LongContext(SHELF, Words(), 900)(question)
