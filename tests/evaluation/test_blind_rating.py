"""Blind rating: order, keys, and what the levels say, by hand and against the functions they rest on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.evaluation.blind_rating import (
    Agreement,
    GeneratedText,
    agreements,
    blind_order,
    levels_by_system,
    levels_given,
    require_rubric,
)
from course_lib.evaluation.rubric import Criterion, Rating, agreement

TONE = Criterion("tone", "Does it sound like us?", ("no", "partly", "yes"))
FACTS = Criterion("facts", "Is it right?", ("wrong", "right"))
TEXTS = [
    GeneratedText(f"q{i}/{system}", f"Question {i}?", f"Answer {i} of {i % 3}", system)
    for i in range(6)
    for system in ("plain", "tuned")
]


def rated(rater: str, text: GeneratedText, **levels: int) -> Rating:
    return Rating(text.key, rater, levels)


def test_a_key_changes_with_what_is_read_and_not_with_who_wrote_it() -> None:
    text = TEXTS[0]
    assert text.key.startswith("q0/plain#") and len(text.key) == len("q0/plain#") + 8
    assert replace(text, system="tuned").key == text.key
    others = {replace(text, text="Answer").key, replace(text, prompt="Question?").key, replace(text, text_id="x").key}
    assert len(others | {text.key}) == 4
    assert replace(text, prompt="ab", text="c").key != replace(text, prompt="a", text="bc").key


@given(st.permutations(TEXTS), st.integers(0, 5))
def test_the_order_does_not_depend_on_how_the_texts_were_given(given_order: list[GeneratedText], seed: int) -> None:
    ordered = blind_order(given_order, rater="ann", seed=seed)
    assert ordered == blind_order(TEXTS, rater="ann", seed=seed)
    assert sorted(text.text_id for text in ordered) == sorted(text.text_id for text in TEXTS)


def test_raters_and_seeds_have_orders_of_their_own() -> None:
    orders = {
        tuple(text.text_id for text in blind_order(TEXTS, rater=rater, seed=seed))
        for rater in ("ann", "ben")
        for seed in (1, 2)
    }
    assert len(orders) == 4 and tuple(text.text_id for text in TEXTS) not in orders


def test_every_text_comes_first_for_about_as_many_seeds() -> None:
    first = [blind_order(TEXTS[:4], rater="ann", seed=seed)[0].text_id for seed in range(400)]
    assert all(60 <= first.count(text.text_id) <= 140 for text in TEXTS[:4])  # 100 expected, 8.7 its deviation


def test_a_text_that_is_added_leaves_the_others_in_their_order() -> None:
    before = blind_order(TEXTS[:-1], rater="ann")
    assert [text for text in blind_order(TEXTS, rater="ann") if text != TEXTS[-1]] == before


def test_levels_by_system_by_hand() -> None:
    # plain: q0 has 0 and 1 from two raters: 0.5; q1 has 2 from one. tuned: q0 has 2.
    plain0, tuned0, plain1 = TEXTS[:3]
    ratings = [
        rated("ann", plain0, tone=0),
        rated("ben", plain0, tone=1),
        rated("ann", tuned0, tone=2),
        rated("ann", plain1, tone=2, facts=1),
    ]
    assert levels_by_system(TEXTS, ratings, TONE) == {"plain": [0.5, 2.0], "tuned": [2.0]}
    assert levels_by_system(TEXTS, ratings, FACTS) == {"plain": [1.0], "tuned": []}


def test_of_two_ratings_by_one_rater_the_later_counts() -> None:
    ratings = [rated("ann", TEXTS[0], tone=0), rated("ann", TEXTS[0], tone=2)]
    assert levels_given(TEXTS, ratings, TONE) == {"ann": {TEXTS[0].key: 2}}


def test_ratings_of_other_texts_or_of_no_level_do_not_count() -> None:
    changed = replace(TEXTS[0], text="written anew")
    ratings = [rated("ann", changed, tone=2), rated("ann", TEXTS[1], tone=3), rated("ann", TEXTS[2], tone=-1)]
    assert levels_given(TEXTS, ratings, TONE) == {}


def test_agreement_is_that_of_the_rubric() -> None:
    levels = [(0, 0), (1, 2), (2, 2), (0, 1), (2, 2)]
    ratings = [rated("ann", text, tone=a, facts=1) for text, (a, _) in zip(TEXTS, levels, strict=False)]
    ratings += [rated("ben", text, tone=b, facts=1) for text, (_, b) in zip(TEXTS, levels, strict=False)]
    ratings.append(rated("ann", TEXTS[7], tone=0, facts=0))  # ben has not seen this one
    tone, facts = agreements(TEXTS, ratings, [TONE, FACTS])
    assert tone == Agreement("tone", ("ann", "ben"), 5, agreement(ratings, TONE)[0])
    assert (facts.n, facts.kappa) == (5, None) and "always chose level 1" in facts.why


def test_every_two_of_three_raters_are_compared_where_they_met() -> None:
    ratings = [rated("ann", text, tone=i % 3) for i, text in enumerate(TEXTS[:4])]
    ratings += [rated("ben", text, tone=i % 3) for i, text in enumerate(TEXTS[:4])]
    ratings += [rated("cat", text, tone=2 - i % 3) for i, text in enumerate(TEXTS[2:4], start=2)]
    ratings.append(rated("dan", TEXTS[9], tone=1))
    found = agreements(TEXTS, ratings, [TONE])
    assert [(each.raters, each.n) for each in found] == [
        (("ann", "ben"), 4),
        (("ann", "cat"), 2),
        (("ben", "cat"), 2),
    ]
    assert found[0].kappa == pytest.approx(1.0)


def test_what_is_no_rubric() -> None:
    with pytest.raises(ValueError, match="texts must hold at least one"):
        require_rubric([], [TONE])
    with pytest.raises(ValueError, match="criteria must hold at least one"):
        require_rubric(TEXTS, [])
    with pytest.raises(ValueError, match="texts must have names of their own, got q0/plain more than once"):
        require_rubric([*TEXTS, TEXTS[0]], [TONE])
    with pytest.raises(ValueError, match="criteria must have names of their own, got tone"):
        require_rubric(TEXTS, [TONE, TONE])
    with pytest.raises(ValueError, match="rater must not be empty"):
        blind_order(TEXTS, rater=" ")
