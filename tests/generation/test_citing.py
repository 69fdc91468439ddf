"""Sentences, numbers and the words behind them: by hand, then whatever the text."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk
from course_lib.corpus.chunking import sentence_spans
from course_lib.generation.citing import (
    cite_sentences,
    cited_numbers,
    cited_spans,
    passage_sentences,
    sentences,
    shared_words,
    without_numbers,
)


def chunk(name: str, text: str) -> Chunk:
    return Chunk(f"shelf/{name}#00", f"shelf/{name}", name, datetime.date(2026, 7, 9), text, 100, 100 + len(text))


FINAL = chunk("final", "The final was played in New Jersey. Spain beat Argentina 1-0.\n\nFerran Torres scored.")
SEMI = chunk("semi", "France lost the semi-final. Spain went through.")
PASSAGES = [SEMI, FINAL]
ANSWER = "Spain beat Argentina 1-0. [2] Torres scored late [2, 1]. Rain fell. [3]"


def texts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


# ---------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" \n", []),
        ("Spain won", ["Spain won"]),
        ("Spain won. Norway lost.", ["Spain won.", "Norway lost."]),
        ("Spain won. [1] Norway lost. [2][3]", ["Spain won. [1]", "Norway lost. [2][3]"]),
        ("Spain won [1]. Norway lost [2].", ["Spain won [1].", "Norway lost [2]."]),
        ("[1] Spain won. [2] Norway lost.", ["[1] Spain won.", "[2] Norway lost."]),
        ("Spain won. [1, ", ["Spain won. [1,"]),
        ("Spain won.\n[1]\nNorway lost.", ["Spain won.\n[1]", "Norway lost."]),
        ("1. Solar\n2. Wind", ["1. Solar", "2. Wind"]),
        ("Solar.\n1.", ["Solar.", "1."]),
        ("[1]", ["[1]"]),
    ],
)
def test_sentences_by_hand(text: str, parts: list[str]) -> None:
    assert texts(text) == parts


@given(st.text(alphabet=" \n.?![]()\"'0123,;aAB", max_size=50))
def test_sentences_lie_in_order_and_lose_nothing(text: str) -> None:
    spans = sentences(text)
    assert all(start < end for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    kept = "".join("".join(text[start:end].split()) for start, end in spans)
    assert kept == "".join(text.split())


@given(st.text(alphabet=" \n.?!()\"'aAB", max_size=50))
def test_without_numbers_they_are_those_of_the_corpus(text: str) -> None:
    assert sentences(text) == sentence_spans(text)


# ---------------------------------------------------------------- numbers in brackets


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Spain won.", ()),
        ("Spain won [1].", (1,)),
        ("Spain won [1, 2].", (1, 2)),
        ("Spain won [2][1] [2].", (2, 1)),
        ("Spain won [ 3;1 ].", (3, 1)),
        ("[0] [12] [2026]", (0, 12, 2026)),
        ("It ended [2-1], [a], [], [1.5], [1 to 3], 4]", ()),
        (f"[{'9' * 5000}]", ()),  # too long for a number of anything
    ],
)
def test_numbers_by_hand(text: str, numbers: tuple[int, ...]) -> None:
    assert cited_numbers(text) == numbers


def test_a_text_without_its_numbers() -> None:
    assert without_numbers("Spain won [1, 2]. Norway lost. [3]") == "Spain won. Norway lost."


@given(st.lists(st.integers(0, 99), max_size=5))
def test_numbers_in_any_of_three_ways(numbers: list[int]) -> None:
    each = tuple(dict.fromkeys(numbers))
    assert cited_numbers("So" + "".join(f"[{n}]" for n in numbers)) == each
    assert cited_numbers("So [" + ", ".join(map(str, numbers)) + "]") == each
    assert cited_numbers(" ".join(f"So [{n}]." for n in numbers)) == each


# ---------------------------------------------------------------- the sentence that supports


def test_words_shared_by_hand() -> None:
    """ "spain won": 1 of 2 words in the first, 2 of 2 in the second, none in the third; twice a word counts once."""
    scores = shared_words(["Spain won, Spain!"], ["Spain lost.", "Who won? Spain.", "Norway."])
    assert scores.tolist() == [[0.5, 1.0, 0.0]]
    assert shared_words([], ["a"]).shape == (0, 1) and shared_words(["a"], []).shape == (1, 0)
    assert shared_words(["?!"], ["a"]).tolist() == [[0.0]]


def test_columns_are_the_sentences_as_printed() -> None:
    places = passage_sentences(PASSAGES)
    assert [number for number, _ in places] == [1, 1, 2, 2, 2]
    assert [PASSAGES[n - 1].text[a:b] for n, (a, b) in places][3] == "Spain beat Argentina 1-0."


def test_each_sentence_is_tied_to_the_words_that_support_it() -> None:
    first, second, third = cite_sentences(ANSWER, PASSAGES, shared_words)
    assert (first.sentence, first.number, first.quote) == (
        "Spain beat Argentina 1-0. [2]",
        2,
        "Spain beat Argentina 1-0.",
    )
    assert first.score == 1.0  # the number in brackets is not among its words
    assert (second.sentence, second.number, second.quote) == ("Torres scored late [2, 1].", 2, "Ferran Torres scored.")
    assert second.score == pytest.approx(2 / 3)
    assert (third.sentence, third.number, third.quote, third.span, third.score) == (
        "Rain fell. [3]",
        None,
        "",
        (0, 0),
        0,
    )
    for found in (first, second):
        assert found.number is not None
        assert PASSAGES[found.number - 1].text[slice(*found.span)] == found.quote
        assert ANSWER[found.start : found.end] == found.sentence


def test_support_moves_with_the_passage_and_goes_with_it() -> None:
    swapped = cite_sentences(ANSWER, [FINAL, SEMI], shared_words)
    assert swapped[0].number == 1 and swapped[0].quote == "Spain beat Argentina 1-0."
    alone = cite_sentences(ANSWER, [SEMI], shared_words)
    assert alone[0].score < 0.5 and alone[1].number is None


def test_a_matrix_does_what_its_function_does() -> None:
    said = [without_numbers(part) for part in texts(ANSWER)]
    read = [PASSAGES[n - 1].text[a:b] for n, (a, b) in passage_sentences(PASSAGES)]
    assert cite_sentences(ANSWER, PASSAGES, shared_words(said, read)) == cite_sentences(ANSWER, PASSAGES, shared_words)


def test_the_earlier_one_where_two_tie() -> None:
    assert cite_sentences("Yes.", PASSAGES, np.ones((1, 5)))[0].quote == "France lost the semi-final."


@pytest.mark.parametrize(("threshold", "number"), [(0.49, 2), (0.5, None), (-1.0, 2)])
def test_a_score_must_be_above_the_threshold(threshold: float, number: int | None) -> None:
    found = cite_sentences("Yes.", PASSAGES, np.array([[0, 0, 0.5, 0, 0]]), threshold=threshold)[0]
    assert (found.number, found.score) == (number, 0.5)


def test_nothing_to_cite_and_nothing_to_say() -> None:
    def refuses(answers: Sequence[str], candidates: Sequence[str]) -> Any:
        raise AssertionError("nothing should be scored")

    (alone,) = cite_sentences("Spain won.", [], refuses)
    assert (alone.number, alone.score, alone.quote) == (None, -np.inf, "")
    assert cite_sentences("", PASSAGES, refuses) == ()
    assert cited_spans(" ", PASSAGES, refuses).supports == ()


# ---------------------------------------------------------------- what the answer says itself


def test_numbers_are_followed_to_the_words_and_those_without_a_passage_reported() -> None:
    cited = cited_spans(ANSWER, PASSAGES, shared_words)
    assert [(one.number, one.quote) for one in cited.supports] == [
        (2, "Spain beat Argentina 1-0."),
        (2, "Ferran Torres scored."),
        (1, "France lost the semi-final."),  # a wrong citation: followed all the same, its score tells
    ]
    assert cited.supports[2].score == 0
    assert cited.out_of_range == (3,)


def test_every_number_is_either_followed_or_reported() -> None:
    cited = cited_spans("Spain won. [0][1][2][3][1]", PASSAGES, shared_words)
    assert [one.number for one in cited.supports] == [1, 2] and cited.out_of_range == (0, 3)
    assert cited_spans("Spain won. [1]", [], shared_words).out_of_range == (1,)


@pytest.mark.parametrize("read", [cite_sentences, cited_spans])
@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (np.ones((3, 4)), r"a row for each of 3 answer sentences and a column for each of 5 .* got shape \(3, 4\)"),
        (np.ones(15), r"got shape \(15,\)"),
        (np.full((3, 5), np.nan), "supports must hold numbers, got NaN"),
        (lambda answers, candidates: np.ones((1, 1)), r"got shape \(1, 1\); see passage_sentences"),
    ],
)
def test_bad_scores(read: Any, scores: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(ANSWER, PASSAGES, scores)
