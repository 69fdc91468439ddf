"""Splits: shares kept, groups whole, the same for the same seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.tuning.splits import counts_by_part, folds_of, groups_of, stratified_split

LABELS = st.lists(st.sampled_from("abc"), max_size=60).map(lambda found: found + list("aaabbbccc"))


@settings(max_examples=60, deadline=None)
@given(LABELS, st.integers(0, 5))
def test_every_label_is_divided_to_within_one(labels: list[str], seed: int) -> None:
    shares = (0.6, 0.2, 0.2)
    parts = stratified_split(labels, shares, seed=seed)
    for label, counts in counts_by_part(labels, parts).items():
        for count, share in zip(counts + [0] * (3 - len(counts)), shares, strict=True):
            assert abs(count - share * Counter(labels)[label]) <= 1, (label, counts)
    assert (parts == stratified_split(labels, shares, seed=seed)).all()


def test_another_seed_is_another_split() -> None:
    labels = ["a", "b"] * 30
    splits = {tuple(stratified_split(labels, (0.5, 0.5), seed=seed).tolist()) for seed in range(5)}
    assert len(splits) == 5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20)), min_size=30, max_size=80))
def test_groups_stay_whole(rows: list[tuple[str, int]]) -> None:
    rows += [("a", 100), ("a", 101), ("b", 102), ("b", 103)]
    labels, groups = [label for label, _ in rows], [group for _, group in rows]
    parts = stratified_split(labels, (0.7, 0.3), groups=groups)
    for group in set(groups):
        assert len({int(part) for part, each in zip(parts, groups, strict=True) if each == group}) == 1
    if max(Counter(groups).values()) <= 0.15 * len(groups):
        assert 0.5 <= np.mean(parts == 0) <= 0.9


def test_folds_and_groups_from_pairs() -> None:
    folds = folds_of(list("aabbccaabbcc"), 4)
    assert sorted(Counter(folds.tolist()).values()) == [3, 3, 3, 3]
    assert groups_of(6, [(0, 3), (3, 5), (1, 2)]).tolist() == [0, 1, 1, 0, 2, 0]


@pytest.mark.parametrize(
    ("labels", "shares", "words"),
    [
        (["a"] * 9, (1.0,), "at least two"),
        (["a"] * 9, (0.5, 0.6), "add up to 1"),
        (["a"] * 9, (1.2, -0.2), "positive"),
        (["a"] * 9 + ["b"], (0.5, 0.5), "'b' has 1"),
    ],
)
def test_bad_input(labels: list[str], shares: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        stratified_split(labels, shares)
    with pytest.raises(ValueError, match="a group for each of"):
        stratified_split(labels, (0.5, 0.5), groups=["g"])
    with pytest.raises(ValueError, match="n_folds"):
        folds_of(labels, 1)
