"""The style classifier: held-out documents, no way to learn the topic, weights that can be read."""

from __future__ import annotations

import json
import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.validate import NotFittedError
from course_lib.corpus.load import COLLECTIONS
from course_lib.evaluation.style_score import HeldOut, StyleScore, grouped_folds, held_out_scores, without_marks


@cache
def rows() -> tuple[dict[str, str], ...]:
    text = (COLLECTIONS / "help_desk" / "style_pairs.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def pairs() -> list[tuple[str, str]]:
    return [(row["house_answer"], row["plain_answer"]) for row in rows()]


def groups() -> list[str]:
    return [row["doc_id"] for row in rows()]


@cache
def held(marks: bool = True) -> HeldOut:
    return held_out_scores(pairs(), groups(), marks=marks)


# ---------------------------------------------------------------- what it learns


@pytest.mark.parametrize("marks", [True, False])
def test_house_answers_of_unseen_documents_are_told_apart(marks: bool) -> None:
    """Even by the voice alone, without source and "Next step:"."""
    assert held(marks).accuracy.low > 0.95 and held(marks).in_order.low > 0.98
    assert held(marks).accuracy.n == len(rows())
    assert held(marks).house.mean() > 0.85 and held(marks).plain.mean() < 0.25


def test_the_marks_are_not_seen_where_they_are_taken_away() -> None:
    score = StyleScore(marks=False).fit(pairs()[:100])
    text = pairs()[120][1]
    marked = text + " (Late payment policy, 2025) Next step:"
    assert score([text])[0] == score([marked])[0]
    seen = StyleScore().fit(pairs()[:100])
    assert seen([marked])[0] > seen([text])[0] + 0.2


def test_without_marks() -> None:
    assert without_marks("Yes, we do (Late payment policy, 2025). Next step: ask.") == "Yes, we do. ask."
    assert without_marks("Yes (we think, so) and (2025).") == "Yes (we think, so) and (2025)."


def test_labels_that_chance_gave_cannot_be_learned() -> None:
    """House and plain swapped in half of the pairs: topic is all that is left, and both sides share it."""
    accuracies = []
    for seed in range(2):
        rng = random.Random(seed)
        swapped = [pair if rng.random() < 0.5 else pair[::-1] for pair in pairs()]
        accuracies.append(held_out_scores(swapped, groups()).accuracy.mean)
    assert abs(np.mean(accuracies) - 0.5) < 0.06


def test_turning_the_pairs_turns_the_score() -> None:
    first, second = StyleScore().fit(pairs()), StyleScore().fit([pair[::-1] for pair in pairs()])
    texts = [text for pair in pairs()[:20] for text in pair]
    assert second(texts) == pytest.approx(1 - first(texts), abs=1e-3)


def test_words_of_form_weigh_most() -> None:
    house, plain = StyleScore(marks=False).fit(pairs()).strongest(5)
    assert {"we", "you", "your"} <= set(house) and {"is", "be"} <= set(plain)
    topics = {"meter", "bill", "tariff", "battery", "policy", "refund"}
    assert not topics & {*house, *plain}


def test_the_policy_itself_is_in_between() -> None:
    """Copying the passage is not house style, but it says "we" as well: the voice alone is fooled now and then."""
    score = StyleScore(marks=False).fit(pairs())
    passages = score([row["passage"] for row in rows()]).mean()
    assert held(False).plain.mean() + 0.1 < passages < held(False).house.mean() - 0.1


def test_no_document_is_on_both_sides() -> None:
    names = groups()
    for fold in grouped_folds(names):
        inside = {names[i] for i in fold}
        assert not inside & {names[i] for i in range(len(names)) if i not in set(fold)}


# ---------------------------------------------------------------- folds


def test_folds_by_hand() -> None:
    """Groups of 3, 2, 1, 1 dealt to two folds, the largest first: 3 | 2, then 1 to the smaller (3 | 3), then 1: 4 | 3."""
    folds = grouped_folds(list("aaabbcd"), n_folds=2)
    assert sorted(map(len, folds)) == [3, 4] and sorted(folds[0] + folds[1]) == list(range(7))
    assert [0, 1, 2] in ([i for i in fold if i < 3] for fold in folds)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=8), st.integers(2, 4), st.integers(0, 99))
def test_folds_part_the_groups(names: list[str], n_folds: int, seed: int) -> None:
    if n_folds > len(set(names)):
        with pytest.raises(ValueError, match="n_folds must be between 2 and"):
            grouped_folds(names, n_folds=n_folds, seed=seed)
        return
    folds = grouped_folds(names, n_folds=n_folds, seed=seed)
    assert sorted(i for fold in folds for i in fold) == list(range(len(names))) and all(folds)
    owners = {name: {k for k, fold in enumerate(folds) if any(names[i] == name for i in fold)} for name in names}
    assert all(len(owner) == 1 for owner in owners.values())
    assert folds == grouped_folds(names, n_folds=n_folds, seed=seed)


# ---------------------------------------------------------------- edges


def test_edges() -> None:
    score = StyleScore().fit(pairs()[:30])
    assert score([]).shape == (0,)
    unknown = score(["Xyzzy plugh.", "Qwerty."])
    assert unknown[0] == unknown[1] and 0 < unknown[0] < 1
    many = score([text for pair in pairs() for text in pair])
    assert many.shape == (2 * len(rows()),) and ((many > 0) & (many < 1)).all()


@pytest.mark.parametrize("name", ["call", "strongest"])
def test_before_fit(name: str) -> None:
    with pytest.raises(NotFittedError, match="call fit with pairs"):
        StyleScore()(["A."]) if name == "call" else StyleScore().strongest()


def test_bad_input() -> None:
    score = StyleScore().fit(pairs()[:30])
    with pytest.raises(TypeError, match="write .answer."):
        score("We do.")
    with pytest.raises(ValueError, match="text must not be empty"):
        score(["We do.", " "])
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        score.strongest(0)
    with pytest.raises(ValueError, match="at least two pairs of answers, got 1"):
        StyleScore().fit(pairs()[:1])
    with pytest.raises(ValueError, match="must differ in what the score reads"):
        StyleScore(marks=False).fit([*pairs()[:2], ("We do (Policy, 2025).", "We do.")])
    with pytest.raises(ValueError, match="one group for each of the 3 pairs, got 2"):
        held_out_scores(pairs()[:3], groups()[:2])
