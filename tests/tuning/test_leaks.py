"""Leaks: a planted one is found, a clean split is not accused."""

from __future__ import annotations

import pytest

from course_lib.corpus.messages import load_messages
from course_lib.tuning.leaks import find_leaks, names_its_label

TRAIN = ["The meter in the cellar shows nothing since Monday.", "Please send the bill to my daughter."]


def test_each_kind_of_leak_is_named() -> None:
    test = [
        "the meter in the cellar shows nothing since monday",
        "Please send that bill to my daughter!",
        "Where is my refund?",
        "Who are you?",
    ]
    leaks = find_leaks(TRAIN, test, train_groups=["ann", "ben"], test_groups=["x", "y", "ben", "z"])
    assert [(leak.test, leak.train, leak.why) for leak in leaks.found] == [
        (0, 0, "the same text"),
        (1, 1, "nearly the same text"),
        (2, 1, "the same group, ben"),
    ]
    assert leaks.share == 0.75
    with pytest.raises(ValueError, match=r"3 of 4 test examples leak into training \(allowed: 10%\)"):
        leaks.check(at_most=0.1)
    leaks.check(at_most=0.75)


def test_the_shipped_splits_do_not_leak() -> None:
    train, test = ([message.text for message in load_messages(split)] for split in ("train", "test"))
    find_leaks(train, test).check()
    leaked = find_leaks([*train, *test[:5]], test)
    assert [leak.test for leak in leaked.found] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="5 of"):
        leaked.check()


def test_labels_in_texts_and_bad_input() -> None:
    assert names_its_label(["[meter-fault] dark screen", "a default meter"], ["meter_fault", "meter_fault"]) == [0]
    assert find_leaks([], ["a"]).share == 0
    with pytest.raises(ValueError, match="test must hold"):
        find_leaks(TRAIN, [])
    with pytest.raises(ValueError, match="train_groups must name a group for each of 2"):
        find_leaks(TRAIN, ["a"], train_groups=["x"])
