"""Texts to vectors, by hand and against sentence-transformers on the same weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from course_lib.assets import models, store
from course_lib.core.validate import FloatArray
from course_lib.retrieval import embedding
from course_lib.retrieval.embedding import (
    ContextualEmbedder,
    cached_embeddings,
    length_batches,
    load_embedder,
    mean_pool,
    normalise,
)

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
    """A batch of 1 token is one text, and nothing is padded; of 700, short texts lie beside long ones."""
    for tokens in (1, 40, 700):
        np.testing.assert_allclose(replace(embedder, batch_tokens=tokens)(TEXTS), embeddings, atol=1e-5)


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


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("Who won?", TypeError, r"texts must be a list of str, got one str; write \['Who won\?'\]"),
        (["Who won?", None], TypeError, r"texts must be a list of str, but item 1 is NoneType: None"),
        ([b"Who won?"], TypeError, r"item 0 is bytes: b'Who won\?'"),
        (
            ["fine", "cut \ud83d off"],
            ValueError,
            r"texts must be valid Unicode, but item 1 holds half a character at 4",
        ),
    ],
)
def test_what_is_no_list_of_texts_is_refused(
    texts: Any, error: type[Exception], message: str, embedder: ContextualEmbedder
) -> None:
    with pytest.raises(error, match=message):
        embedder(texts)
    with pytest.raises(error, match=message):
        cached_embeddings(texts, embedder)


def test_the_embedder_knows_meaning(embedder: ContextualEmbedder) -> None:
    """The counterpart to all this plumbing: shuffle the weights and this fails."""
    question, near, far = embedder(["How do I warm my house?", "Heating a home in winter", "The goalkeeper saved it"])
    assert question @ near > question @ far + 0.3


def test_many_texts_are_tokenised_in_parts(embedder: ContextualEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = embedder(TEXTS)
    monkeypatch.setattr(embedding, "TOKENISED_AT_ONCE", 3)
    np.testing.assert_array_equal(embedder(TEXTS), expected)


# ---------------------------------------------------------------- length_batches


def test_batches_by_hand() -> None:
    """Longest first: 9, 5, 5, 2, 1. Two of 9 would be 18 > 12. 5 + 5 fit; a third row of 5 would make 15 > 12.
    2 and 1 make 2 rows of 2 tokens, padding included. Of equal lengths, the first comes first."""
    assert length_batches([5, 1, 9, 5, 2], 12) == [[2], [0, 3], [4, 1]]


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 200))
def test_batches_hold_every_text_once_and_stay_in_the_budget(lengths: list[int], budget: int) -> None:
    batches = length_batches(lengths, budget)
    assert sorted(i for rows in batches for i in rows) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * max(lengths[i] for i in rows) <= budget
    flat = [lengths[i] for rows in batches for i in rows]
    assert flat == sorted(flat, reverse=True)
    for rows in batches[:-1]:  # none ends while the next text would still fit
        assert (len(rows) + 1) * lengths[rows[0]] > budget


def test_sorting_saves_padding() -> None:
    """16 texts of 100 tokens and 16 of 10, in turn. Eight at a time as they come, 4 * 8 * 100 = 3200 tokens are
    computed; here 16 * 100 + 16 * 10 = 1760, and none of them is padding."""
    lengths = [100, 10] * 16
    batches = length_batches(lengths, 800)
    assert sum(len(rows) * lengths[rows[0]] for rows in batches) == sum(lengths) == 1760
    assert [len(rows) for rows in batches] == [8, 8, 16]


def test_no_text_is_no_batch() -> None:
    assert length_batches([], 5) == []


@pytest.mark.parametrize("budget", [0, -3])
def test_a_batch_holds_a_token(budget: int) -> None:
    with pytest.raises(ValueError, match=f"batch_tokens must be at least 1, got {budget}"):
        length_batches([1, 2], budget)


# ---------------------------------------------------------------- bfloat16


HARD_TEXTS = [
    *TEXTS,
    "",
    " \n\t ",
    "Spain",
    "word " * 10_000,
    "🙂",
    "👩\u200d🔬🇪🇸🧠⚽" * 20,
    "Паркинсон — это болезнь",
    "パーキンソン病の治療",
    "مرض باركنسون",
    "אנרגיה מתחדשת",
    "ไข้",
    "0 1 2 3 4 5 6 7 8 9 106' 1-0 E-204 kWh",
    "-" * 3_000,
    "a\u0301" * 50,
]


def test_bfloat16_is_float32_to_three_digits(embedder: ContextualEmbedder) -> None:
    half = load_embedder(dtype="bfloat16")
    assert half.identity == embedder.identity + "-bf16" and half.model.dtype is torch.bfloat16
    vectors = half(HARD_TEXTS)  # (n, dim)
    assert vectors.dtype == np.float32 and np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    cosines = (vectors * embedder(HARD_TEXTS)).sum(axis=1)  # (n,)
    assert (cosines >= 0.999).all(), dict(zip([text[:20] for text in HARD_TEXTS], cosines, strict=True))


@pytest.mark.parametrize("pays", [True, False])
def test_the_number_format_is_the_one_that_pays(pays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "bf16_pays", lambda: pays)
    loaded = load_embedder()
    assert loaded.model.dtype is (torch.bfloat16 if pays else torch.float32)
    assert loaded.identity.endswith("-bf16") is pays
    monkeypatch.setenv("COURSE_DTYPE", "float32")
    assert load_embedder().model.dtype is torch.float32


@pytest.mark.parametrize("dtype", ["float16", "bf16", "", "torch.float32"])
def test_another_number_format_is_refused(dtype: str) -> None:
    with pytest.raises(ValueError, match=f"dtype must be float32 or bfloat16, got '{dtype}'"):
        load_embedder(dtype=dtype)


# ---------------------------------------------------------------- cached_embeddings


@dataclass(frozen=True)
class Counting(ContextualEmbedder):
    """The real embedder, and a note of what it was asked for."""

    asked: list[list[str]] = field(default_factory=list)

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], FloatArray]]:
        self.asked.append(list(texts))
        yield from super().batches(texts)


@pytest.fixture
def counting(embedder: ContextualEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return Counting(embedder.tokenizer, embedder.model, "weights/of:this-test")


def cache_files(ending: str) -> list[Path]:
    return sorted((store.course_home() / "embeddings").glob(f"*.{ending}"))


def test_only_new_texts_are_embedded(counting: Counting) -> None:
    said: list[str] = []
    first = cached_embeddings(["one", "two", "one"], counting, say=said.append)
    assert counting.asked == [["one", "two"]]  # each text once
    np.testing.assert_array_equal(first[0], first[2])
    second = cached_embeddings(["three", "two", "one", "three"], counting, say=said.append)
    assert counting.asked[1:] == [["three"]]
    np.testing.assert_allclose(second, counting(["three", "two", "one", "three"]), atol=1e-5)
    counting.asked.clear()
    np.testing.assert_array_equal(cached_embeddings(["two", "three"], counting), second[[1, 0]])
    assert counting.asked == []
    assert len(said) == 2 and "2 passages" in said[0] and "1 passages" in said[1]


def test_what_comes_back_is_what_was_made_to_the_last_bit(counting: Counting) -> None:
    np.testing.assert_array_equal(cached_embeddings(TEXTS, counting), cached_embeddings(TEXTS, counting))
    order = [4, 1, 1, 7]
    np.testing.assert_array_equal(
        cached_embeddings([TEXTS[i] for i in order], counting), cached_embeddings(TEXTS, counting)[order]
    )
    assert len(counting.asked) == 1


def test_the_cache_is_kept_apart_by_weights_number_format_and_cut(counting: Counting) -> None:
    """ "a/b" and "a:b" share a file, and still not their vectors."""
    names = ("a/b", "a:b", "a/b-bf16")
    others = [counting, *(replace(counting, identity=name) for name in names), replace(counting, max_tokens=8)]
    for other in others:
        counting.asked.clear()
        cached_embeddings(["one"], other)
        assert counting.asked == [["one"]]
    counting.asked.clear()
    for other in others:
        cached_embeddings(["one"], other)
    assert counting.asked == []
    assert len(cache_files("keys")) == len(cache_files("vectors")) == 4


def test_no_text_is_no_work(counting: Counting) -> None:
    assert cached_embeddings([], counting).shape == (0, 384)
    assert counting.asked == [] and not (store.course_home() / "embeddings").exists()


def test_a_cache_of_the_old_form_is_ignored(counting: Counting) -> None:
    folder = store.course_home() / "embeddings"
    folder.mkdir()
    (folder / "weights_of_this-test-256.npz").write_bytes(b"of an older version")
    assert cached_embeddings(["one"], counting).shape == (1, 384)
    assert cached_embeddings(["one"], counting).shape == (1, 384)
    assert counting.asked == [["one"]]


def test_an_interrupted_call_keeps_what_it_made(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two texts at a time are kept; the third batch is interrupted."""
    monkeypatch.setattr(embedding, "KEPT_AT_ONCE", 2)

    @dataclass(frozen=True)
    class Interrupted(Counting):
        def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], FloatArray]]:
            for number, batch in enumerate(super().batches(texts)):
                if number == 3:
                    raise KeyboardInterrupt
                yield batch

    texts = ["a b c d e", "a b c d", "a b c", "a b", "a"]  # longest first, one a batch
    with pytest.raises(KeyboardInterrupt):
        cached_embeddings(texts, Interrupted(counting.tokenizer, counting.model, counting.identity, batch_tokens=1))
    cached_embeddings(texts, counting)
    assert counting.asked == [["a b c", "a b", "a"]]


def test_what_another_process_added_meanwhile_is_kept(counting: Counting) -> None:
    @dataclass(frozen=True)
    class Slow(Counting):
        def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], FloatArray]]:
            cached_embeddings(["of another process", "mine"], counting)
            yield from super().batches(texts)

    first = cached_embeddings(["mine"], Slow(counting.tokenizer, counting.model, counting.identity))
    counting.asked.clear()
    np.testing.assert_allclose(cached_embeddings(["mine", "of another process"], counting)[:1], first, atol=1e-6)
    assert counting.asked == []
