"""Scaling, against scikit-learn; the test part never moves what was learned."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from course_lib.tuning.scaling import Standardiser


def test_equal_to_scikit_learn_and_blind_to_the_test_part() -> None:
    rng = np.random.default_rng(3)
    train, test = rng.normal(5, 3, size=(40, 3)), rng.normal(50, 3, size=(7, 3))
    train[:, 2] = 4  # never varies
    ours, theirs = Standardiser().fit(train), StandardScaler().fit(train)
    for part in (train, test):
        assert ours(part) == pytest.approx(theirs.transform(part))
    assert ours(train).mean(axis=0) == pytest.approx(0, abs=1e-12)
    means = ours.means_.copy()
    ours(test)
    assert (ours.means_ == means).all()


def test_by_hand() -> None:
    # 1, 3: mean 2, deviation 1
    assert Standardiser().fit([[1], [3]])([[5]]).tolist() == [[3]]


def test_bad_input() -> None:
    with pytest.raises(NotFittedError, match="fit the standardiser"):
        Standardiser()([[1.0]])
    with pytest.raises(ValueError, match="got nan in row 1, column 0"):
        Standardiser().fit([[1.0], [np.nan]])
    with pytest.raises(ValueError, match="at least one row"):
        Standardiser().fit(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="must have 1 columns"):
        Standardiser().fit([[1.0]])([[1.0, 2.0]])
