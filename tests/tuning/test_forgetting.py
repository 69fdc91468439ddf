"""Vectors before and after tuning: equal to pooling by hand; partners found by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.tuning.forgetting import matched, text_vectors
from course_lib.tuning.heads import TextClassifier, mean_pool

TEXTS = ["my bill is wrong", "please help", "the meter reading of my solar panel is wrong", "price"]


def test_vectors_are_what_the_head_reads(tiny: TextClassifier) -> None:
    """One text at a time, without padding."""
    vectors = text_vectors(tiny, TEXTS, part_tokens=8)
    assert vectors.shape == (4, 24)
    for text, vector in zip(TEXTS, vectors, strict=True):
        inputs, _ = tiny.collate(tiny.tokenise([text]))
        with torch.no_grad():
            pooled = mean_pool(tiny.encoder(**inputs).last_hidden_state, inputs["attention_mask"])[0].numpy()
        np.testing.assert_allclose(vector, pooled / np.linalg.norm(pooled), atol=1e-5)


def test_the_mode_stays(tiny: TextClassifier) -> None:
    tiny.train()
    text_vectors(tiny, TEXTS[:1])
    assert tiny.training
    assert text_vectors(tiny, []).shape == (0, 24)
    with pytest.raises(TypeError, match="texts must be a list of str"):
        text_vectors(tiny, "my bill")


def test_matched_by_hand() -> None:
    """Cosines of row 0: .6 and .8, so it is taken for its neighbour's partner; row 1: 0 and 1. One of two."""
    first, second = np.array([[0.6, 0.8], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(matched(first, second), [0, 1])


def test_of_equally_near_rows_the_first_counts() -> None:
    row = np.array([[0.6, 0.8]])
    np.testing.assert_array_equal(matched(np.tile(row, (3, 1)), np.tile(row, (3, 1))), [1, 0, 0])


@given(st.integers(2, 9), st.integers(5, 9), st.integers(0, 500))
def test_vectors_find_themselves_and_order_does_not_matter(n: int, dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    others = rng.standard_normal((n, dim))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    assert matched(vectors, vectors).all()
    order = rng.permutation(n)
    np.testing.assert_array_equal(matched(vectors[order], others[order]), matched(vectors, others)[order])


def test_partners_must_be_equally_many() -> None:
    with pytest.raises(ValueError, match="got 3 and 2 rows"):
        matched(np.eye(3), np.eye(3)[:2])
    with pytest.raises(ValueError, match="second must"):
        matched(np.eye(3), np.eye(2))
