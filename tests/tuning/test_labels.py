"""Labels as numbers, and labels that others contradict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder as Theirs

from course_lib.tuning.labels import LabelEncoder, out_of_fold, suspects


def logistic(train: Any, numbers: Any, held: Any) -> Any:
    return LogisticRegression().fit(train, numbers).predict_proba(held)


def blobs(n: int = 60, seed: int = 5) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    numbers = np.repeat([0, 1, 2], n // 3)
    centres = np.array([[4, 0], [0, 4], [-4, -4]])
    return centres[numbers] + rng.normal(size=(n, 2)), numbers


def test_encoding_is_that_of_scikit_learn_and_round_trips() -> None:
    labels = ["moving", "bill", "meter", "bill"]
    ours, theirs = LabelEncoder.fit(labels), Theirs().fit(labels)
    assert ours.encode(labels).tolist() == theirs.transform(labels).tolist()
    assert ours.decode(ours.encode(labels)) == labels
    assert ours.one_hot(["bill"]).tolist() == [[1, 0, 0]]


def test_unknown_labels_and_numbers() -> None:
    encoder = LabelEncoder.fit(["a", "b"])
    with pytest.raises(ValueError, match="label must be one of a, b, got 'c'"):
        encoder.encode(["a", "c"])
    with pytest.raises(ValueError, match="number must be between 0 and 1, got 2"):
        encoder.decode([0, 2])
    with pytest.raises(ValueError, match="at least two different ones, got a"):
        LabelEncoder.fit(["a", "a"])


def test_planted_wrong_labels_are_found_first() -> None:
    features, numbers = blobs()
    wrong = [3, 25, 47]
    given = numbers.copy()
    given[wrong] = (given[wrong] + 1) % 3
    found = suspects(out_of_fold(features, given, logistic), given)
    assert sorted(each.position for each in found[:3]) == wrong
    assert [each.suggested for each in found[:3]] == [int(numbers[each.position]) for each in found[:3]]
    assert not suspects(out_of_fold(features, numbers, logistic), numbers)


def test_no_model_has_seen_what_it_judges() -> None:
    features, numbers = blobs(30)
    features = np.hstack([features, np.arange(30)[:, None]])

    def spy(train: Any, known: Any, held: Any) -> Any:
        assert not set(train[:, -1]) & set(held[:, -1]) and len(train) == len(known)
        return np.full((len(held), 3), 1 / 3)

    assert out_of_fold(features, numbers, spy, n_folds=3) == pytest.approx(np.full((30, 3), 1 / 3))


def test_a_class_without_examples() -> None:
    with pytest.raises(ValueError, match="class 1 has none"):
        suspects(np.full((2, 3), 1 / 3), np.array([0, 2]))
