"""The haystack: its length to the word, its needles whole and where they belong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.evaluation.answers import contains
from course_lib.evaluation.needle import NEEDLES, haystack


def words(text: str) -> int:
    return len(text.split())


HAY = [f"Sentence {number} is about hay." for number in range(30)]  # five words each


def test_by_hand() -> None:
    """20 words: a needle of 2 leaves 18 of hay: three sentences and three words; the middle border is after two."""
    made = haystack(HAY, [(0.5, "Needle here.")], n_tokens=20, count=words)
    assert made.text == (
        "Sentence 0 is about hay. Sentence 1 is about hay. Needle here. Sentence 2 is about hay. Sentence 3 is"
    )
    assert made.n_tokens == 20 and made.depths == (10 / 20,) and made.n_sentences == 4


@given(st.integers(12, 120), st.lists(st.floats(0, 1), max_size=4))
def test_the_length_comes_out_and_every_needle_is_whole(n_tokens: int, depths: list[float]) -> None:
    needles = [(depth, f"Needle {number}.") for number, depth in enumerate(depths)]
    made = haystack(HAY, needles, n_tokens=n_tokens, count=words)
    assert made.n_tokens == n_tokens == words(made.text)
    for (wanted, needle), depth in zip(needles, made.depths, strict=True):
        assert made.text.count(needle) == 1 and words(made.text.split(needle)[0]) == round(depth * n_tokens)
        assert abs(depth - wanted) <= (5 / 2 + 2 * len(needles) + 1) / n_tokens  # half a sentence and the other needles


def test_the_ends() -> None:
    made = haystack(HAY, [(0.0, "First."), (1.0, "Last.")], n_tokens=40, count=words)
    assert made.text.startswith("First. Sentence 0") and made.text.endswith("Last.") and made.depths == (0.0, 39 / 40)


def test_tokens_longer_than_words_never_overflow() -> None:
    """Three tokens a word: 50 is no multiple, so two are left over."""
    made = haystack(HAY, [(0.3, "Needle.")], n_tokens=50, count=lambda text: 3 * words(text))
    assert made.n_tokens == 48


@pytest.mark.parametrize("depth", [-0.1, 1.01])
def test_no_such_depth(depth: float) -> None:
    with pytest.raises(ValueError, match="depth must lie between 0 and 1"):
        haystack(HAY, [(depth, "Needle.")], n_tokens=20, count=words)


def test_too_little_room_or_hay() -> None:
    with pytest.raises(ValueError, match="must hold the needles, got 2"):
        haystack(HAY, [(0.5, "Three words long.")], n_tokens=2, count=words)
    with pytest.raises(ValueError, match="at least 152 tokens long"):
        haystack(HAY, [(0.5, "Needle.")], n_tokens=152, count=words)


def test_the_needles_answer_their_own_questions_alone() -> None:
    for needle in NEEDLES:
        assert contains(needle.sentence, needle.answers)
        assert not contains(needle.question, needle.answers)
        assert not any(contains(other.sentence, needle.answers) for other in NEEDLES if other is not needle)
