"""Transformations by rule: what the patterns see, what they leave alone, and what they get wrong."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk
from course_lib.corpus.questions import load_questions
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.query import mean_vector
from course_lib.retrieval.query_rules import Feedback, by_parts, split_comparison, strip_chatter, without_chatter


@pytest.mark.parametrize(
    ("query", "stripped"),
    [
        ("Hi there! Could you please tell me when you read my meter? Many thanks", "when you read my meter?"),
        ("Hello, I was wondering, what does E-2014 mean? Thanks in advance!", "what does E-2014 mean?"),
        ("Sorry to bother you, but do you know who won in 2022?", "who won in 2022?"),
        ("Good morning all, quick question: how long is the guarantee, please?", "how long is the guarantee?"),
        ("please, please tell me: is it safe, thank you so much", "is it safe"),
        ("What is it, please?!", "What is it?!"),
    ],
)
def test_chatter_goes(query: str, stripped: str) -> None:
    assert strip_chatter(query) == stripped


@pytest.mark.parametrize(
    "query",
    [
        "What is the module efficiency of the Hi-MO 9?",
        "I have asked for my credit balance in the app. How soon will it be in my bank account?",
        "Who said thanks to the referee in 1966?",
        "How many takers were there for N-10.1 and N-10.2?",
        "Whose voice reads the commentary of G'olé!?",
        "Which Hellomatic boiler is it?",
        "Whose case was first, August H. from Prague or Auguste Deter?",
    ],
)
def test_what_only_looks_like_chatter_stays(query: str) -> None:
    assert strip_chatter(query) == query


@pytest.mark.parametrize("query", ["Thanks!", "Hi there", "Hello. Thank you very much.", "please"])
def test_a_query_of_chatter_alone_is_returned_whole(query: str) -> None:
    assert strip_chatter(query) == query


def test_small_talk_that_the_list_lacks_stays() -> None:
    """What the docstring admits."""
    assert strip_chatter("My cat is fine. When is my bill due?") == "My cat is fine. When is my bill due?"


@given(st.text(min_size=1).filter(lambda text: bool(text.strip())))
def test_stripping_never_fails_never_empties_and_is_done_at_once(query: str) -> None:
    once = strip_chatter(query)
    assert once.strip()
    assert strip_chatter(once) == once


def test_the_question_set_holds_hardly_any_chatter() -> None:
    """The set is tidier than what people type: of all questions, not one is changed."""
    assert [q.text for q in load_questions() if strip_chatter(q.text) != q.text] == []


@pytest.mark.parametrize(
    ("query", "sides"),
    [
        ("A-1 and B-2: which is newer?", ["which is newer: A-1", "which is newer: B-2"]),
        ("Which is longer, the Nile or the Amazon?", ["Which is longer: the Nile", "Which is longer: the Amazon"]),
        ("Compared with 2021, how much was built in 2024?", ["how much was built in 2024", "2021"]),
        ("How many seats more than the Lyceum has the Globe?", ["the Lyceum", "the Globe"]),
        ("How many years after Gajdusek did Prusiner win?", ["Gajdusek", "Prusiner win"]),
        ("How much more did it rain in May than in June?", ["How much more did it rain in May", "How much more did it rain in June"]),
        ("By how many panels does Al Rihla exceed the Jabulani?", ["By how many panels does Al Rihla", "the Jabulani"]),
        ("How far is it from Rome to Pisa?", []),
        (
            "By how many homes did the register grow from 2023 to 2026?",
            ["By how many homes did the register grow 2023", "By how many homes did the register grow 2026"],
        ),
        (
            "How many years lie between the first card and the first replay?",
            ["How many years lie the first card", "How many years lie the first replay"],
        ),
    ],
)  # fmt: skip
def test_the_sides_of_a_comparison(query: str, sides: list[str]) -> None:
    assert split_comparison(query) == sides
    assert by_parts(query).texts == (query, *sides)


@pytest.mark.parametrize(
    "query",
    [
        "Who won the final?",
        "What does E-2014 mean?",
        "Which part needed swapping after relocating?",
        "Is a Kite 3 newer?",
        "From which two words is the term made?",
        "What lies between MPTP and MPP+?",
    ],
)
def test_a_question_that_compares_nothing_is_searched_as_it_stands(query: str) -> None:
    assert split_comparison(query) == []
    made = by_parts(query)
    assert made.texts == (query,) and made.note == "no pattern of a comparison: it is searched as it stands"


def test_a_choice_that_is_no_comparison_is_split_all_the_same() -> None:
    """What the docstring admits."""
    assert len(split_comparison("Which way did the wind blow, north or northwest?")) == 2


@given(st.text(min_size=1).filter(lambda text: bool(text.strip())))
def test_splitting_never_fails_and_gives_two_sides_or_none(query: str) -> None:
    sides = split_comparison(query)
    assert len(sides) in (0, 2) and all(side.strip() for side in sides)
    assert by_parts(query).texts[0] == query.strip()


def test_most_comparisons_are_seen_and_few_others() -> None:
    """On the questions that the patterns were written for; the lesson measures those of the test split."""
    known = [q for q in load_questions() if q.split != "test"]
    seen = {kind: [bool(split_comparison(q.text)) for q in known if q.kind == kind] for kind in {q.kind for q in known}}
    assert sum(seen["comparison"]) / len(seen["comparison"]) > 0.9
    others = [hit for kind, hits in seen.items() if kind != "comparison" for hit in hits]
    assert sum(others) / len(others) < 0.03


@pytest.mark.parametrize("call", [strip_chatter, split_comparison, by_parts, without_chatter])
def test_nothing_typed(call: object) -> None:
    with pytest.raises(ValueError, match="query must not be empty"):
        call("  ")  # type: ignore[operator]


def test_without_chatter_searches_the_rest_only() -> None:
    assert without_chatter("Hello, who won in 2022?").texts == ("who won in 2022?",)
    plain = without_chatter("Who won in 2022?")
    assert plain.texts == ("Who won in 2022?",) and plain.note


def test_feedback_searches_between_the_query_and_its_first_hits() -> None:
    texts = ["the dam is tall", "a tall tower", "solar cells", "wind turns the mill"]
    chunks = [Chunk(f"s/{i}#00", f"s/{i}", "t", datetime.date(2024, 1, 1), t, 0, len(t)) for i, t in enumerate(texts)]
    dense = DenseRetriever(TfidfEmbedder().fit([indexed_text(one) for one in chunks])).fit(chunks)
    made = Feedback(dense, n=2)("how tall is the dam")
    assert made.fuse == "mean" and made.texts == ("how tall is the dam", "t. the dam is tall", "t. a tall tower")
    assert mean_vector(dense.embedder(made.texts)).shape == (len(dense.embedder.vocabulary_),)  # type: ignore[attr-defined]
