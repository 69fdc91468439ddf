"""Stored runs: smoothing by hand, what a run keeps, files, and finding the runs of a setting."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.tuning.settings import Evaluation, TrainingResult, TrainingSettings
from course_lib.tuning.stored_runs import StoredRun, runs_of, smoothed, stored_run


def run(rate: float = 1e-3, batch: int = 8, epochs: int = 3, seed: int = 0, *ends: float) -> StoredRun:
    validation = tuple(Evaluation(4 * i, float(i), loss, 1 - loss / 4) for i, loss in enumerate(ends, start=1))
    return StoredRun(rate, batch, epochs, seed, (2.0, 1.5, 1.0, 0.5), validation, 12)


def test_smoothed_by_hand() -> None:
    """Windows of two: 4; (4 + 2) / 2 = 3; (2 + 0) / 2 = 1; (0 + 5) / 2 = 2.5."""
    assert smoothed([4, 2, 0, 5], 2) == [4, 3, 1, 2.5]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30), st.integers(1, 40))
def test_smoothed_is_as_pandas_has_it(losses: list[float], window: int) -> None:
    import pandas

    theirs = pandas.Series(losses).rolling(window, min_periods=1).mean()
    np.testing.assert_allclose(smoothed(losses, window), theirs, atol=1e-9)
    assert smoothed(losses, 1) == losses


def test_a_window_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        smoothed([1.0], 0)


def test_the_best_evaluation_is_the_first_of_the_lowest() -> None:
    best = run(1e-3, 8, 3, 0, 1.5, 0.75, 0.75, 1.0).best
    assert best is not None and best.step == 8
    assert run().best is None


def test_a_run_that_has_not_begun_is_none() -> None:
    with pytest.raises(ValueError, match="losses must hold one number an update, got none"):
        StoredRun(1e-3, 8, 3, 0, ())


def test_a_file_gives_back_what_it_was_given() -> None:
    for each in (run(), run(3e-4, 16, 5, 7, 1.0, 0.5)):
        assert StoredRun.from_dict(json.loads(json.dumps(each.as_dict()))) == each


def test_what_is_kept_of_a_result() -> None:
    settings = TrainingSettings(learning_rate=5e-4, batch_size=4, epochs=2, seed=9)
    evaluations = [Evaluation(3, 1.0, 0.9, 0.5)]
    result = TrainingResult([2.0, 1.0, 0.7], evaluations, 3, 0.1, 100.0, "all epochs done", 6)
    kept = stored_run(settings, result)
    assert kept == StoredRun(5e-4, 4, 2, 9, (2.0, 1.0, 0.7), tuple(evaluations), 6)
    assert kept.setting == (5e-4, 4, 2)


def test_the_runs_of_a_setting_by_seed() -> None:
    runs = [run(seed=2), run(1e-4), run(seed=1), run(batch=16)]
    assert [each.seed for each in runs_of(runs, 1e-3, 8, 3)] == [1, 2]


def test_a_setting_that_is_not_stored_names_the_nearest() -> None:
    runs = [run(1e-4, 8, 3), run(1e-3, 16, 3), run(1e-2, 32, 9)]
    with pytest.raises(
        ValueError, match="rate 0.001, batches of 8 and 3 epochs is stored|learning rate 0.001"
    ) as error:
        runs_of(runs, 1e-3, 8, 3)
    assert str(error.value).endswith("there is: rate 0.0001, batch 8, 3 epochs; rate 0.001, batch 16, 3 epochs")
    with pytest.raises(ValueError, match="there is: none"):
        runs_of([], 1e-3, 8, 3)
