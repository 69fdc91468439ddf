"""Texts to vectors, by hand and against sentence-transformers on the same weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from course_lib.assets import models, store
from course_lib.core.validate import FloatArray
from course_lib.retrieval.embedding import ContextualEmbedder, cached_embeddings, mean_pool, normalise

LONG = "The committee met again in the autumn and put the question off once more. " * 30  # about 480 tokens
TEXTS = [
    "Who won?",
    "Seizures that last longer than five minutes are an emergency.",
    "a",
    LONG,
    "Die Größe der Wärmepumpe — 12 kW, 日本語, עברית, 🙂🙂, e\u0301 and \u00e9",
    "Spain beat Argentina 1-0 after extra time.\n\nThe goal fell in the 106th minute.",
    LONG[: len(LONG) // 2] + "and then it was decided.",
    "...",
    "THE HEAT PUMP",
    "the heat pump",
]

floats = st.floats(-100, 100, width=32)


# ---------------------------------------------------------------- mean_pool


def test_mean_pool_by_hand() -> None:
    """Text 0 has two tokens and one of padding: ((1, 4) + (3, 8)) / 2 = (2, 6). Text 1 has three:
    ((0, 0) + (3, 3) + (6, 0)) / 3 = (3, 1)."""
    vectors = np.array([[[1, 4], [3, 8], [99, 99]], [[0, 0], [3, 3], [6, 0]]], dtype=np.float32)  # (2, 3, 2)
    mask = np.array([[1, 1, 0], [1, 1, 1]], dtype=np.float32)  # (2, 3)
    np.testing.assert_array_equal(mean_pool(vectors, mask), [[2, 6], [3, 1]])


@given(arrays(np.float32, (3, 4, 5), elements=floats), st.lists(st.integers(1, 4), min_size=3, max_size=3))
def test_mean_pool_lies_between_the_tokens_and_ignores_padding(vectors: FloatArray, lengths: list[int]) -> None:
    mask = (np.arange(4)[None, :] < np.array(lengths)[:, None]).astype(np.float32)  # (3, 4)
    pooled = mean_pool(vectors, mask)  # (3, 5)
    for i, length in enumerate(lengths):
        assert (pooled[i] >= vectors[i, :length].min(axis=0) - 1e-4).all()
        assert (pooled[i] <= vectors[i, :length].max(axis=0) + 1e-4).all()
    garbage = np.where(mask[:, :, None] > 0, vectors, np.float32(1e6))
    np.testing.assert_allclose(mean_pool(garbage, mask), pooled, atol=1e-4)
    wider = np.concatenate([vectors, np.full((3, 2, 5), 7, np.float32)], axis=1)  # two more columns of padding
    np.testing.assert_allclose(mean_pool(wider, np.pad(mask, ((0, 0), (0, 2)))), pooled, atol=1e-4)


@pytest.mark.parametrize(
    ("vectors", "mask"), [((2, 3, 4), (2, 4)), ((2, 3, 4), (3, 3)), ((3, 4), (3,)), ((2, 3, 4), (2, 3, 1))]
)
def test_mean_pool_wants_matching_shapes(vectors: tuple[int, ...], mask: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"token_vectors must be \(n, n_tokens, dim\)"):
        mean_pool(np.ones(vectors, np.float32), np.ones(mask, np.float32))


def test_the_mean_of_no_token_is_undefined() -> None:
    with pytest.raises(ValueError, match="text 1 has no token: the mean of nothing is undefined"):
        mean_pool(np.ones((3, 2, 4), np.float32), np.array([[1, 1], [0, 0], [1, 0]], np.float32))


# ---------------------------------------------------------------- normalise


def test_normalise_by_hand() -> None:
    """(3, 4) has length sqrt(9 + 16) = 5, so it becomes (0.6, 0.8)."""
    np.testing.assert_allclose(normalise(np.array([[3, 4], [0, -2]])), [[0.6, 0.8], [0, -1]], rtol=1e-7)


@given(arrays(np.float32, (3, 7), elements=floats), st.floats(2**-6, 64))
def test_normalise_keeps_direction_and_forgets_scale(vectors: FloatArray, scale: float) -> None:
    vectors = vectors + np.eye(3, 7, dtype=np.float32) * 500  # no row is near zero
    before = vectors.copy()
    unit = normalise(vectors)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(normalise(vectors * np.float32(scale)), unit, atol=1e-5)
    np.testing.assert_allclose(normalise(unit), unit, atol=1e-6)
    np.testing.assert_array_equal(vectors, before)


def test_a_row_of_zeros_has_no_direction() -> None:
    with pytest.raises(ValueError, match="row 2 is all zeros and has no direction: look at its text"):
        normalise(np.array([[1, 2], [3, 4], [0, 0]], np.float32))


def test_a_row_with_nan_has_no_direction() -> None:
    with pytest.raises(ValueError, match="row 1"):
        normalise(np.array([[1, 2], [np.nan, 4]], np.float32))


# ---------------------------------------------------------------- the encoder


@pytest.fixture(scope="module")
def embeddings(embedder: ContextualEmbedder) -> FloatArray:
    return embedder(TEXTS)


def test_equal_to_sentence_transformers_on_the_same_weights(embeddings: FloatArray) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer

    transformer = Transformer(models.encoder_source(), max_seq_length=256)
    theirs = SentenceTransformer(modules=[transformer, Pooling(384, "mean"), Normalize()], device="cpu")
    expected = theirs.encode(TEXTS, convert_to_numpy=True)  # (n, dim)
    cosines = (embeddings * expected).sum(axis=1)  # (n,)
    assert (cosines >= 0.9999).all(), dict(zip(TEXTS, cosines, strict=True))
    np.testing.assert_allclose(embeddings, expected, atol=1e-4)


def test_shape_kind_and_length(embeddings: FloatArray) -> None:
    assert embeddings.shape == (len(TEXTS), 384) and embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_the_order_of_the_texts_does_not_matter(embedder: ContextualEmbedder, embeddings: FloatArray) -> None:
    order = np.random.default_rng(3).permutation(len(TEXTS))
    np.testing.assert_allclose(embedder([TEXTS[i] for i in order]), embeddings[order], atol=1e-5)


def test_neither_padding_nor_batching_matters(embedder: ContextualEmbedder, embeddings: FloatArray) -> None:
    """One at a time, nothing is padded; three at a time, short texts lie beside long ones."""
    for size in (1, 3):
        np.testing.assert_allclose(replace(embedder, batch_size=size)(TEXTS), embeddings, atol=1e-5)


def test_case_does_not_matter_to_this_encoder(embeddings: FloatArray) -> None:
    np.testing.assert_allclose(embeddings[-2], embeddings[-1], atol=1e-6)


def test_what_stands_beyond_the_last_token_is_cut(embedder: ContextualEmbedder) -> None:
    """Both texts share their first 256 tokens, and differ only after."""
    same = embedder([LONG + "Spain won.", LONG + "Norway lost."])
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)
    assert embedder(["Spain won.", "Norway lost."])[0] @ same[0] < 0.9
    short = replace(embedder, max_tokens=8)
    assert short([LONG])[0] @ embedder([LONG])[0] < 0.999


def test_no_text_gives_no_row(embedder: ContextualEmbedder) -> None:
    assert embedder([]).shape == (0, 384)


def test_an_empty_text_has_a_vector(embedder: ContextualEmbedder) -> None:
    """The encoder sees its two marks, [CLS] and [SEP]; sentence-transformers does the same."""
    assert np.isfinite(embedder(["", " "])).all()


def test_one_str_is_not_taken_for_a_list_of_letters(embedder: ContextualEmbedder) -> None:
    with pytest.raises(TypeError, match=r"texts must be a list of str, got one str; write \['Who won\?'\]"):
        embedder("Who won?")


def test_the_embedder_knows_meaning(embedder: ContextualEmbedder) -> None:
    """The counterpart to all this plumbing: shuffle the weights and this fails."""
    question, near, far = embedder(["How do I warm my house?", "Heating a home in winter", "The goalkeeper saved it"])
    assert question @ near > question @ far + 0.3


# ---------------------------------------------------------------- cached_embeddings


@dataclass(frozen=True)
class Counting(ContextualEmbedder):
    """The real embedder, and a note of what it was asked for."""

    asked: list[list[str]] = field(default_factory=list)

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        self.asked.append(list(texts))
        return super().__call__(texts)


@pytest.fixture
def counting(embedder: ContextualEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    yield Counting(embedder.tokenizer, embedder.model, "weights/of:this-test")


def cache_file() -> Path:
    (path,) = (store.course_home() / "embeddings").glob("*.npz")
    return path


def test_only_new_texts_are_embedded(counting: Counting) -> None:
    said: list[str] = []
    first = cached_embeddings(["one", "two", "one"], counting, say=said.append)
    assert [sorted(texts) for texts in counting.asked] == [["one", "two"]]  # each text once
    np.testing.assert_array_equal(first[0], first[2])
    second = cached_embeddings(["three", "two", "one"], counting, say=said.append)
    assert counting.asked[1:] == [["three"]]
    np.testing.assert_allclose(second, counting(["three", "two", "one"]), atol=1e-5)
    counting.asked.clear()
    np.testing.assert_array_equal(cached_embeddings(["two", "three"], counting), second[[1, 0]])
    assert counting.asked == []
    assert len(said) == 2 and "2 passages" in said[0] and "1 passages" in said[1]


def test_the_cache_is_kept_apart_by_weights_and_cut(counting: Counting) -> None:
    for other in (counting, replace(counting, identity="others"), replace(counting, max_tokens=8)):
        counting.asked.clear()
        cached_embeddings(["one"], other)
        assert counting.asked == [["one"]]
    assert len(list((store.course_home() / "embeddings").glob("*.npz"))) == 3


def test_no_text_is_no_work(counting: Counting) -> None:
    assert cached_embeddings([], counting).shape == (0, 384)
    assert counting.asked == []


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def scribbled(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(b ^ 0xFF for b in data[middle : middle + 64]) + data[middle + 64 :]


@pytest.mark.parametrize(
    "harm",
    [
        truncated,
        scribbled,
        lambda data: b"",
        lambda data: b"no zip file",
        lambda data: data[:-1],
        lambda data: data[:30],
    ],
)
def test_a_damaged_cache_is_made_again(harm: Any, counting: Counting) -> None:
    first = cached_embeddings(["one", "two"], counting)
    cache_file().write_bytes(harm(cache_file().read_bytes()))
    np.testing.assert_allclose(cached_embeddings(["one", "two"], counting), first, atol=1e-6)
    counting.asked.clear()
    np.testing.assert_allclose(cached_embeddings(["one", "two"], counting), first, atol=1e-6)
    assert counting.asked == [], "the cache should be whole again"


def test_a_cache_of_another_form_is_made_again(counting: Counting) -> None:
    first = cached_embeddings(["one", "two"], counting)
    np.savez(cache_file(), keys=np.array(["a", "b", "c"]), vectors=np.ones((2, 384)))
    np.testing.assert_allclose(cached_embeddings(["one", "two"], counting), first, atol=1e-6)


def test_a_write_that_dies_leaves_the_old_cache(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_embeddings(["one"], counting)

    def dies(path: Path, **_: Any) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np, "savez", dies)
        cached_embeddings(["one", "two"], counting)
    counting.asked.clear()
    np.testing.assert_array_equal(cached_embeddings(["one"], counting), first)
    assert counting.asked == []


@pytest.mark.skipif(os.name == "nt", reason="two handles on one file")
def test_what_another_process_added_meanwhile_is_kept(counting: Counting) -> None:
    @dataclass(frozen=True)
    class Slow(Counting):
        def __call__(self, texts: Sequence[str]) -> FloatArray:
            cached_embeddings(["of another process"], counting)
            return super().__call__(texts)

    cached_embeddings(["mine"], Slow(counting.tokenizer, counting.model, counting.identity))
    counting.asked.clear()
    cached_embeddings(["mine", "of another process"], counting)
    assert counting.asked == []
