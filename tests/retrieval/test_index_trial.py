"""Recall by hand and against counting sets, and what a trial reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.retrieval.faiss_index import FaissIndex
from course_lib.retrieval.index_trial import neighbour_recall, run_trial, sweep


def test_recall_by_hand() -> None:
    """Of 1, 2, 3, 4 the first row holds 4 and 1: 2 / 4. The second holds none of 5, 6, 7, 8; -1 is no neighbour."""
    found = np.array([[4, 9, 1, -1], [-1, -1, -1, -1]])
    true = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert neighbour_recall(found, true).tolist() == [0.5, 0.0]


@given(st.integers(1, 12), st.integers(1, 8), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_recall_is_what_sets_say(n_queries: int, k: int, depth: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = np.stack([rng.permutation(20)[:k] for _ in range(n_queries)])
    found = np.stack([rng.permutation(20)[:depth] for _ in range(n_queries)])
    expected = [len(set(a) & set(b)) / k for a, b in zip(found.tolist(), true.tolist(), strict=True)]
    np.testing.assert_allclose(neighbour_recall(found, true), expected)
    assert neighbour_recall(true, true).tolist() == [1.0] * n_queries


@pytest.mark.parametrize(("found", "true"), [((2, 3), (3, 3)), ((2,), (2, 3)), ((2, 3), (2, 0))])
def test_recall_of_what_does_not_agree(found: tuple[int, ...], true: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"found and true must be \(n_queries, k\) of the same queries, got"):
        neighbour_recall(np.zeros(found, int), np.zeros(true, int))


def test_a_sweep_turns_the_knob_and_leaves_the_index_as_built() -> None:
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((400, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [str(i) for i in range(400)]
    true: Any = FaissIndex("flat").fit(vectors, ids).nearest(vectors[:30], 5)[1]
    index = FaissIndex("ivf", nlist=8, nprobe=1).fit(vectors, ids)
    trials = sweep(index, vectors[:30], true, [{"nprobe": 1}, {"nprobe": 8}], n_timed=10)
    assert [trial.name for trial in trials] == ["ivf nlist=8 nprobe=1", "ivf nlist=8 nprobe=8"]
    assert trials[0].recall.mean() < trials[1].recall.mean() == 1
    for trial in trials:
        assert trial.recall.shape == (30,) and trial.seconds.shape == (10,)
        assert trial.queries_per_second == pytest.approx(1 / np.median(trial.seconds))
        assert trial.bytes_per_vector == index.n_bytes / 400 and trial.build_seconds == index.seconds_
    one = run_trial(FaissIndex("flat").fit(vectors, ids), vectors[:30], true)
    assert (one.name, one.recall.mean(), len(one.seconds)) == ("flat", 1.0, 30)
