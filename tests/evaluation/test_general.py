"""General prompts: each mark passes a right reply, fails a wrong one, and none passes them all."""

from __future__ import annotations

from collections import Counter

import pytest

from course_lib.evaluation.general import GENERAL_PROMPTS, REFERENCE_TEXTS, general_marks

RIGHT = (
    "2 + 3 = 5.", "It is 12.", "6", "The product is 18.", "20 / 4 = 5", "100", "120 minutes", "You have seven apples.",
    "The capital is Paris.", "Rome", "Mercury is.", "William Shakespeare wrote it.", "H2O", "A spider has eight legs.",
    "The Pacific Ocean.", "They take in carbon dioxide.", "The opposite of hot is cold.", "puppy", "doctor away",
    "Tuesday", "April comes after it.", "The next number is 10.", "Bonjour.", "RIVER", "stone stone Stone.",
    '"Tomorrow I shall rest."', "Yes, it is.", "No.", "red\nblue\n\ngreen", "The cat sat on the roof.",
)  # fmt: skip
WRONG = (
    "2 + 3 = 6.", "It is 13, not 120.", "16", "The product is 9.", "20 / 4 = 4", "1,000", "60 minutes", "You have 12.",
    "The capital is Rome.", "Paris", "Venus is.", "Charles Dickens.", "HO2", "A spider has six legs.", "The Atlantic.",
    "Oxygen.", "The opposite of hot is warm.", "kitten", "A day away.", "Wednesday", "May.", "It is 12.", "Good morning.",
    "river", "stone stone", "I shall go tomorrow.", "It is cold, yes.", "Nothing can. Yes.", "red, blue, green",
    "The dog sat on the roof.",
)  # fmt: skip


@pytest.mark.parametrize(("place", "reply"), enumerate(RIGHT))
def test_a_right_reply_passes(place: int, reply: str) -> None:
    assert GENERAL_PROMPTS[place].mark(reply), GENERAL_PROMPTS[place].text


@pytest.mark.parametrize(("place", "reply"), enumerate(WRONG))
def test_a_wrong_reply_fails(place: int, reply: str) -> None:
    assert not GENERAL_PROMPTS[place].mark(reply), GENERAL_PROMPTS[place].text


def test_the_marks_by_hand() -> None:
    assert general_marks(RIGHT) == [1.0] * 30 and general_marks(WRONG) == [0.0] * 30
    assert general_marks(["Paris", "Paris"], GENERAL_PROMPTS[8:10]) == [1.0, 0.0]


@pytest.mark.parametrize("reply", ["", "I do not know.", "Yes", "5", "Next step: call us."])
def test_one_answer_to_everything_earns_little(reply: str) -> None:
    assert sum(general_marks([reply] * 30)) <= 2


def test_there_are_thirty_prompts_of_four_kinds_and_no_text_twice() -> None:
    assert Counter(prompt.kind for prompt in GENERAL_PROMPTS) == {
        "arithmetic": 8,
        "knowledge": 8,
        "completion": 6,
        "instruction": 8,
    }
    assert len({prompt.text for prompt in GENERAL_PROMPTS}) == 30
    assert len({request for request, _ in REFERENCE_TEXTS}) == len(REFERENCE_TEXTS) == 12
    assert all(25 <= len(text.split()) <= 45 for _, text in REFERENCE_TEXTS)


def test_replies_must_fit_the_prompts() -> None:
    with pytest.raises(ValueError, match="one reply to each of the 30 prompts, got 2"):
        general_marks(["a", "b"])
