"""Where a reply ends, letter by letter, and what may be shown of it before it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.generation.stopping import FIRST_SENTENCE, cut_at, finished, pieces, showable, stop_rules

# Letters that mean something to the rules, so that random texts hit them: ends, openings, citations, half characters.
TEXTS = st.text(alphabet=" \n.?!\"'()[]0123,;aABé\ufffd", max_size=40)
RULES = st.lists(st.one_of(st.just(FIRST_SENTENCE), st.text(alphabet=" \n.[]1aAB", min_size=1, max_size=4)), max_size=3)


def growth(text: str, cuts: list[int]) -> list[str]:
    """The text so far at each cut, and the whole text at last."""
    return [*(text[:cut] for cut in sorted(cuts) if cut <= len(text)), text]


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("stop", "rules"),
    [((), ()), ("", None), ("\n", ("\n",)), (["b", "a", "b"], ("a", "b")), (FIRST_SENTENCE, (FIRST_SENTENCE,))],
)
def test_rules_are_a_sorted_tuple(stop: Any, rules: Any) -> None:
    """One string is one rule, not one rule a letter."""
    if rules is None:
        with pytest.raises(ValueError, match="stop must hold no empty string: .* leave it out"):
            stop_rules(stop)
    else:
        assert stop_rules(stop) == rules


@pytest.mark.parametrize("stop", [(3,), (None,), (b"x",)])
def test_a_rule_is_a_string(stop: Any) -> None:
    with pytest.raises(TypeError, match=r"stop must hold strings, got .*; write stop="):
        stop_rules(stop)


@pytest.mark.parametrize(
    ("text", "rules", "reply"),
    [
        ("  Spain won.\n", (), "Spain won."),
        ("Spain won.\nNorway lost.", ("\n",), "Spain won."),
        (
            "\n\nSpain won.\nNorway lost.",
            ("\n",),
            "Spain won.",
        ),  # a reply that begins with the stop string is not empty
        ("Spain won", ("x",), "Spain won"),
        ("abcd", ("abcd", "bc"), "a"),  # "bc" is complete one letter before "abcd"
        ("abcd", ("abcd", "cd"), ""),  # both at the same letter: the one that cuts more
        ("END", ("END",), ""),
        ("Spain won. Norway lost.", (FIRST_SENTENCE,), "Spain won."),
        ("Spain beat Dr. Smith's team 2.5 to 1", (FIRST_SENTENCE,), "Spain beat Dr. Smith's team 2.5 to 1"),
        ("Spain won. [1] [2] Norway lost. [3]", (FIRST_SENTENCE,), "Spain won. [1] [2]"),
        ("Spain won. [1st of June] It rained.", (FIRST_SENTENCE,), "Spain won."),
        ('Spain "won." Norway lost.', (FIRST_SENTENCE,), 'Spain "won."'),
        ("1. Solar\n2. Wind", (FIRST_SENTENCE,), "1. Solar"),
        ("Spain won. Norway lost.", ("Spain won. No", FIRST_SENTENCE), "Spain won."),  # a sentence begins with its N
        ("Spain won. Norway lost.", (". N", FIRST_SENTENCE), "Spain won"),
        ("", ("\n", FIRST_SENTENCE), ""),
    ],
)
def test_where_a_reply_ends(text: str, rules: tuple[str, ...], reply: str) -> None:
    assert finished(text, rules) == reply
    assert "".join(pieces([text[:n] for n in range(len(text) + 1)], rules)) == reply


# ---------------------------------------------------------------- what may be shown


def test_what_is_held_back_by_hand() -> None:
    """ "won. " may be the end; "[1" may become [1], which belongs to this sentence; "EN" may become END."""
    assert showable("Spain won. ") == "Spain won."
    assert showable("caf\ufffd") == "caf"
    assert showable("Spain won. [1", (FIRST_SENTENCE,)) == "Spain won."
    assert showable("Spain won. [1]", (FIRST_SENTENCE,)) == "Spain won. [1]"
    assert showable('Spain won. "', (FIRST_SENTENCE,)) == "Spain won."
    assert showable("Spain won EN", ("END",)) == "Spain won"
    assert showable("Spain won ENT", ("END",)) == "Spain won ENT"
    assert showable("aab", ("aabaac",)) == "" and showable("aabaab", ("aabaac",)) == "aab"


@given(TEXTS, RULES, st.lists(st.integers(0, 40), max_size=8))
def test_pieces_joined_are_the_reply_wherever_the_tokens_end(text: str, rules: list[str], cuts: list[int]) -> None:
    """However the text is cut into tokens, the reply is the same, and no piece is empty."""
    found = list(pieces(growth(text, cuts), stop_rules(rules)))
    assert "".join(found) == finished(text, stop_rules(rules))
    assert all(found)


@given(TEXTS, RULES, st.integers(0, 40))
def test_what_is_shown_stays(text: str, rules: list[str], n: int) -> None:
    made = stop_rules(rules)
    assert showable(text, made).startswith(showable(text[:n], made))
    assert finished(text, made).startswith(showable(text[:n], made))


@given(TEXTS, RULES, st.integers(0, 40))
def test_a_rule_that_has_decided_stays_decided(text: str, rules: list[str], n: int) -> None:
    made = stop_rules(rules)
    if (cut := cut_at(text[:n], made)) is not None:
        assert cut_at(text, made) == cut


@given(st.text(max_size=30), st.lists(st.integers(0, 120), max_size=8))
def test_half_a_character_is_never_shown(text: str, cuts: list[int]) -> None:
    """Cut between bytes, as byte-level tokens are: é is two of them, 🙂 four."""
    data = text.encode()
    decoded = [part.decode("utf-8", "replace") for part in (*(data[:cut] for cut in sorted(cuts)), data)]
    found = list(pieces(decoded))
    assert "".join(found) == text.strip()


def test_nothing_is_read_after_the_end_and_what_is_open_is_closed() -> None:
    read, closed = [], []

    def growing() -> Iterator[str]:
        try:
            for text in ("one", "one\n", "one\ntwo"):
                read.append(text)
                yield text
        finally:
            closed.append(True)

    assert "".join(pieces(growing(), ("\n",))) == "one"
    assert read == ["one", "one\n"] and closed == [True]
    left = pieces(growing())
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert closed == [True, True]


def test_a_text_that_takes_back_what_was_shown_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="must grow at its end, but 'one' was taken back; use generate instead"):
        list(pieces(["one", "two"]))


def test_nothing_at_all() -> None:
    assert list(pieces([])) == [] and list(pieces(["", " \n"])) == []
