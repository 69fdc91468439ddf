"""Static vectors: by hand on a table of six pieces, then on the encoder's own table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.retrieval.static import StaticEmbedder

PIECES = ["[UNK]", "wind", "sun", "power", "##ed"]
TABLE = np.array([[9, 9, 9], [2, 0, 0], [0, 2, 0], [0, 0, 4], [2, 2, 2]], np.float32)  # (5, 3)


class Tokenizer:
    """Splits at spaces; a word that is not in PIECES is piece 0."""

    unk_token_id = 0

    def __call__(self, texts: list[str], *, add_special_tokens: bool) -> dict[str, list[list[int]]]:
        assert not add_special_tokens
        return {"input_ids": [[PIECES.index(w) if w in PIECES else 0 for w in text.split()] for text in texts]}


@pytest.fixture(scope="module")
def static(embedder: ContextualEmbedder) -> StaticEmbedder:
    return StaticEmbedder.of(embedder)


def small() -> StaticEmbedder:
    return StaticEmbedder(Tokenizer(), TABLE)


def test_by_hand() -> None:
    """wind power: ((2, 0, 0) + (0, 0, 4)) / 2 = (1, 0, 2), of length sqrt(5) = 2.23607: (0.44721, 0, 0.89443).
    sun sun wind: (2, 4, 0) / 3, direction (1, 2, 0): (0.44721, 0.89443, 0)."""
    np.testing.assert_allclose(
        small()(["wind power", "sun sun wind"]), [[0.44721, 0, 0.89443], [0.44721, 0.89443, 0]], atol=1e-5
    )


def test_an_unknown_piece_is_left_out() -> None:
    np.testing.assert_array_equal(small()(["quark wind quark"]), small()(["wind"]))


@given(st.permutations(["wind", "sun", "power", "wind", "##ed"]), st.integers(1, 5))
def test_neither_order_nor_repetition_of_the_whole_matters(words: list[str], times: int) -> None:
    expected = small()(["wind sun power wind ##ed"])
    np.testing.assert_allclose(small()([" ".join(words * times)]), expected, atol=1e-6)


def test_it_is_the_first_layer_of_the_encoder(static: StaticEmbedder, embedder: ContextualEmbedder) -> None:
    table = embedder.model.state_dict()["embeddings.word_embeddings.weight"].numpy()  # (n_pieces, dim)
    np.testing.assert_array_equal(static.table, table)
    ids = embedder.tokenizer.convert_tokens_to_ids(["solar", "power"])
    expected = table[ids[0]] + table[ids[1]]
    np.testing.assert_allclose(static(["Solar power"])[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_shape_kind_length_and_no_cut(static: StaticEmbedder) -> None:
    """The last word stands far beyond the 256 tokens that the encoder reads, and still counts."""
    vectors = static(["a short text", "wind " * 5_000, "wind " * 5_000 + "sun " * 5_000])
    assert vectors.shape == (3, 384) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[1] @ vectors[2] < 0.99
    assert static([]).shape == (0, 384)


def test_static_vectors_ignore_order_and_context(static: StaticEmbedder, embedder: ContextualEmbedder) -> None:
    """The encoder tells the two apart, the table cannot."""
    texts = ["spain beat norway", "norway beat spain"]
    one, other = static(texts)
    assert one @ other == pytest.approx(1, abs=1e-6)
    first, second = embedder(texts)
    assert first @ second < 0.999


@pytest.mark.parametrize("text", ["", " \n ", "\U0001f642"])
def test_a_text_without_a_known_piece_is_refused(text: str, static: StaticEmbedder) -> None:
    with pytest.raises(ValueError, match="text 1 holds no piece that the table knows, so it has no vector"):
        static(["fine", text])


@pytest.mark.parametrize("texts", ["one str", ["fine", 3]])
def test_texts_are_a_list_of_str(texts: Any) -> None:
    with pytest.raises(TypeError, match="texts must be a list of str"):
        small()(texts)
