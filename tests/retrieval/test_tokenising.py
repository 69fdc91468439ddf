"""Tokenisers: forms of a word meet, grammar goes, codes stay whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from course_lib.retrieval.counting import words
from course_lib.retrieval.tokenising import codes, content_stems, stems, stems_and_codes


def test_stems_by_hand() -> None:
    assert stems("The meters REFUNDED the refunds; don't panic") == [
        *("the", "meter", "refund", "the", "refund", "don't", "panic")
    ]


def test_content_stems_leave_grammar_out() -> None:
    assert content_stems("Which of the meters is it?") == ["meter"]
    assert content_stems("Which of these is it?") == []


def test_a_code_is_kept_whole_beside_its_parts() -> None:
    assert stems_and_codes("Error E-2041!") == ["error", "e", "2041", "e-2041"]
    assert codes("E-2041, F-31. Then 3.5 kW, 12:30 and 2026-07-19; HP-F4") == [
        *("e-2041", "f-31", "3.5", "12:30", "2026-07-19", "hp-f4")
    ]


def test_words_joined_without_a_digit_are_no_code() -> None:
    assert codes("half-time, and/or MAO-B. One. Two") == []


def test_texts_without_a_word() -> None:
    for tokenise in (stems, content_stems, codes, stems_and_codes):
        assert tokenise("") == tokenise(" ?! - ... ") == []


@given(st.text(max_size=60))
def test_one_stem_a_word_and_codes_come_on_top(text: str) -> None:
    assert len(stems(text)) == len(words(text))
    assert stems_and_codes(text) == stems(text) + codes(text)
    assert len(content_stems(text)) <= len(stems(text))
    assert stems(text) == stems(text)  # from the cache, the same
