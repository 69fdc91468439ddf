"""Late interaction: MaxSim by hand and by a loop, what is kept in how many bytes, and the reranker around it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.core.validate import FloatArray
from course_lib.retrieval.embedding import ContextualEmbedder, normalise
from course_lib.retrieval.late_interaction import (
    PART,
    ContextualTokens,
    LateInteractionReranker,
    TokenStore,
    compressed,
    max_sim,
    max_sims,
)


def by_loops(query: FloatArray, passage: FloatArray) -> float:
    total = 0.0
    for q in query:
        total += max(float(q @ p) for p in passage)
    return total / len(query)


def random_tokens(rng: np.random.Generator, n: int, dim: int = 5) -> FloatArray:
    return normalise(rng.normal(size=(n, dim)).astype(np.float32))


# ---------------------------------------------------------------- the formula


def test_hand_worked_number() -> None:
    """Similarities: the first query token 0.6 and 0.8, the second 0.8 and -0.6. Best: 0.8 and 0.8; mean 0.8."""
    query = np.array([[1, 0], [0, 1]], np.float32)
    passage = np.array([[0.6, 0.8], [0.8, -0.6]], np.float32)
    assert max_sim(query, passage) == pytest.approx(0.8)
    assert max_sim(query, passage[:1]) == pytest.approx(0.7)  # (0.6 + 0.8) / 2
    assert max_sim(query[:1], passage) == pytest.approx(0.8)
    assert max_sim(passage, query) == pytest.approx(0.8)  # 0.8 and 0.8: alike here, not in general
    assert max_sim(passage[1:], query[1:]) == pytest.approx(-0.6)  # a best match may still be a bad one


@given(st.integers(1, 6), st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(0, 10_000))
def test_it_equals_two_loops(n_query: int, lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, passages = random_tokens(rng, n_query), [random_tokens(rng, n) for n in lengths]
    np.testing.assert_allclose(max_sims(query, passages), [by_loops(query, p) for p in passages], atol=1e-5)


@given(st.integers(1, 6), st.integers(2, 7), st.integers(0, 10_000))
def test_order_does_not_count_and_more_tokens_never_lower_it(n_query: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, passage = random_tokens(rng, n_query), random_tokens(rng, n)
    score = max_sim(query, passage)
    assert max_sim(rng.permutation(query), rng.permutation(passage)) == pytest.approx(score, abs=1e-5)
    assert max_sim(query, passage[:-1]) <= score + 1e-6
    assert -1 - 1e-5 <= score <= 1 + 1e-5
    assert max_sim(passage, passage) == pytest.approx(1, abs=1e-5)


def test_no_tokens_and_numbers_that_are_none() -> None:
    two = np.eye(2, dtype=np.float32)
    assert max_sims(two, []).shape == (0,)
    for query, passages in ((two[:0], [two]), (two, [two, two[:0]])):
        with pytest.raises(ValueError, match="must each hold at least one token"):
            max_sims(query, passages)
    with pytest.raises(ValueError, match="passages must have 2 columns like the index, got 3"):
        max_sim(two, np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="query_vectors must be finite"):
        max_sim(two * np.nan, two)


# ---------------------------------------------------------------- what is kept


def table(texts: Sequence[str]) -> list[FloatArray]:
    """Honest and small: each word is a direction of its own, in the order of WORDS."""
    return [np.stack([np.eye(len(WORDS), dtype=np.float32)[WORDS.index(w)] for w in text.split()]) for text in texts]


WORDS = ["meter.", "meter", "reads", "goal.", "goal", "striker", "scores", "cell.", "cell", "light"]
TEXTS = {"meter": "meter reads", "goal": "striker scores goal", "cell": "cell light"}


def test_bytes_by_number_format() -> None:
    """Five dimensions, 7 tokens: 35 numbers of 4 or 2 bytes; in int8, 35 bytes and 7 scales of 4."""
    rng = np.random.default_rng(3)
    given_vectors = {"a": random_tokens(rng, 3), "b": random_tokens(rng, 4)}
    for number_format, n_bytes, error in (("float32", 140, 0), ("float16", 70, 1e-3), ("int8", 63, 5e-3)):
        store = TokenStore(lambda texts: [given_vectors[t] for t in texts], number_format=number_format)  # type: ignore[arg-type]
        store.add({"a": "a", "b": "b"})
        assert (store.n_bytes, len(store)) == (n_bytes, 2)
        for name, vectors in given_vectors.items():
            assert store[name].dtype == np.float32
            np.testing.assert_allclose(store[name], vectors, atol=error)


@given(st.integers(1, 6), st.integers(1, 9), st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_int8_is_off_by_half_a_step_at_most(n: int, dim: int, scale: float, seed: int) -> None:
    vectors = (np.random.default_rng(seed).normal(size=(n, dim)) * scale).astype(np.float32)
    numbers, scales = compressed(vectors, "int8")
    assert numbers.dtype == np.int8 and scales is not None and scales.shape == (n, 1)
    assert (np.abs(numbers * scales - vectors) <= scales * 0.501).all()
    assert (np.abs(numbers).max(axis=1) == 127).all()


def test_int8_of_zeros_is_zeros() -> None:
    numbers, scales = compressed(np.zeros((2, 3), np.float32), "int8")
    assert scales is not None and not (numbers * scales).any()


def test_each_text_is_read_once() -> None:
    asked: list[list[str]] = []

    def encode(texts: Sequence[str]) -> list[FloatArray]:
        asked.append(list(texts))
        return table(texts)

    store = TokenStore(encode)
    store.add({"meter": "meter reads"})
    store.add({"meter": "meter reads", "cell": "cell light"})
    assert asked == [["meter reads"], ["cell light"]]
    assert "cell" in store and "goal" not in store
    asked.clear()
    store.add({f"{i:03d}": "cell " * (1 + i % 2) for i in range(2 * PART)})
    assert [len(part) for part in asked] == [PART, PART]  # never all uncompressed vectors at once
    assert {len(text) for text in asked[0]} == {5}  # the short texts together
    assert store["001"].shape == (2, len(WORDS)) and store["254"].shape == (1, len(WORDS))
    with pytest.raises(KeyError):
        store["goal"]
    with pytest.raises(ValueError, match="number_format must be float32, float16 or int8, got 'int4'"):
        TokenStore(encode, number_format="int4")  # type: ignore[arg-type]


# ---------------------------------------------------------------- around a retriever


class Fixed:
    hits = (Hit("cell", 0.9), Hit("goal", 0.5), Hit("meter", 0.4))

    def search(self, query: str, k: int) -> Ranking:
        return list(self.hits[:k])

    def chunk(self, chunk_id: str) -> Chunk:
        return Chunk(chunk_id, chunk_id, chunk_id, datetime.date(2024, 1, 1), TEXTS[chunk_id], 0, 1)


def names(ranking: Ranking) -> list[str]:
    return [hit.chunk_id for hit in ranking]


def test_scores_by_hand_and_the_new_order() -> None:
    """ "meter reads" meets both its words in meter (1.0) and none elsewhere; the title counts: "goal. striker scores"."""
    reranker = LateInteractionReranker(Fixed(), TokenStore(table), depth=3, weight=0)
    assert reranker.scores("meter reads", ["meter", "goal"]) == pytest.approx([1, 0])
    assert reranker.scores("goal. cell", ["goal", "cell"]) == pytest.approx([0.5, 0.5])
    assert names(reranker.search("meter reads", 3)) == ["meter", "cell", "goal"]  # the others tie: by id
    assert names(reranker.search("meter reads", 1)) == ["meter"]


def test_only_what_is_read_is_kept() -> None:
    reranker = LateInteractionReranker(Fixed(), TokenStore(table), depth=2)
    assert names(reranker.rerank("striker scores", list(Fixed.hits))) == ["goal", "cell", "meter"]
    assert "goal" in reranker.store and "meter" not in reranker.store


# ---------------------------------------------------------------- with the encoder


def test_token_vectors_are_the_encoders_whatever_the_batch(embedder: ContextualEmbedder) -> None:
    import torch

    texts = ["Solar power.", "The panels stopped feeding the grid when the storm came.", "Wind"]
    with_ends = ContextualTokens(embedder, special_tokens=True)(texts)
    without = ContextualTokens(embedder)(texts)
    for text, all_tokens, real in zip(texts, with_ends, without, strict=True):
        batch = embedder.tokenizer([text], return_tensors="pt")
        with torch.inference_mode():
            alone = normalise(embedder.model(**batch).last_hidden_state[0].numpy())  # (n_tokens, dim)
        np.testing.assert_allclose(all_tokens, alone, atol=1e-4)
        np.testing.assert_allclose(real, alone[1:-1], atol=1e-4)
        np.testing.assert_allclose(np.linalg.norm(real, axis=1), 1, atol=1e-4)
    assert ContextualTokens(embedder)([]) == []
    with pytest.raises(ValueError, match="text must not be empty"):
        ContextualTokens(embedder)(["Wind", " "])


def test_a_text_that_is_too_long_is_cut(embedder: ContextualEmbedder) -> None:
    (vectors,) = ContextualTokens(embedder)(["wind " * 10_000])
    assert len(vectors) == embedder.max_tokens - 2


def test_the_passage_that_answers_comes_first(embedder: ContextualEmbedder) -> None:
    chunks = {
        "meter": "A smart meter sends its readings every half hour.",
        "goal": "The striker scored the winning goal in extra time.",
        "cell": "A perovskite cell turns a third of the light into current.",
    }

    class Sentences(Fixed):
        def chunk(self, chunk_id: str) -> Chunk:
            return Chunk(chunk_id, chunk_id, "Note", datetime.date(2024, 1, 1), chunks[chunk_id], 0, 1)

    reranker = LateInteractionReranker(Sentences(), TokenStore(ContextualTokens(embedder)), weight=0)
    for query, best in (("Who scored in extra time?", "goal"), ("How often are readings sent?", "meter")):
        assert names(reranker.search(query, 1)) == [best]
