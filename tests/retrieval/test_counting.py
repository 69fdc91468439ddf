"""Counting words: by hand, and against scikit-learn's vectoriser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from course_lib.core.validate import NotFittedError
from course_lib.retrieval.counting import TfidfEmbedder, count_vectors, inverse_document_frequency, words

TOKEN_PATTERN = r"\w+(?:'\w+)*"
pieces = st.sampled_from(
    ["cat", "Cat", "dog's", "the", "The", "7", "x-ray", "ÉTÉ", "naïve", "ΣΑΣ", "İ", "...", "'", "_", "日本"]
)
texts_of_words = st.lists(st.lists(pieces, max_size=9).map(" ".join), min_size=1, max_size=6)
any_texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=6)


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat's 2 x-rays, don't!", ["the", "cat's", "2", "x", "rays", "don't"]),
        ("'quoted' o'clock '", ["quoted", "o'clock"]),
        ("", []),
        ("... -- ?", []),
        ("Größe été\n1-0", ["größe", "été", "1", "0"]),
    ],
)
def test_words_by_hand(text: str, expected: list[str]) -> None:
    assert words(text) == expected


# ---------------------------------------------------------------- count_vectors


def test_counts_by_hand() -> None:
    """ "cat" stands twice in text 0 and not in text 1; "owl" is in no text; "dog" is not in the vocabulary."""
    counts = count_vectors([["cat", "sat", "cat"], ["dog", "sat"]], ["owl", "cat", "sat"])
    np.testing.assert_array_equal(counts, [[0, 2, 1], [0, 0, 1]])
    assert counts.dtype == np.float32


def test_counts_of_nothing() -> None:
    assert count_vectors([], ["a", "b"]).shape == (0, 2)
    assert count_vectors([["a"], []], []).shape == (2, 0)


def test_a_word_may_stand_in_the_vocabulary_once() -> None:
    with pytest.raises(ValueError, match="vocabulary must not hold a word twice"):
        count_vectors([["a"]], ["a", "b", "a"])


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=8), max_size=5), st.permutations("abcd"))
def test_counts_follow_the_vocabulary(token_lists: list[list[str]], vocabulary: list[str]) -> None:
    counts = count_vectors(token_lists, vocabulary)
    assert counts.sum() == sum(token != "e" for tokens in token_lists for token in tokens)
    np.testing.assert_array_equal(counts_sorted(counts, vocabulary), count_vectors(token_lists, "abcd"))
    np.testing.assert_array_equal(count_vectors([tokens[::-1] for tokens in token_lists], vocabulary), counts)


def counts_sorted(counts: np.ndarray, vocabulary: list[str]) -> np.ndarray:
    return counts[:, np.argsort(vocabulary)]


# ---------------------------------------------------------------- inverse_document_frequency


def test_idf_by_hand() -> None:
    """4 texts; word 0 stands in all of them: ln(5/5) + 1 = 1. Word 1 in one: ln(5/2) + 1 = 1.9163.
    Word 2 in none: ln(5/1) + 1 = 2.6094. How often it stands in a text does not matter."""
    counts = np.array([[3, 0, 0], [1, 7, 0], [1, 0, 0], [2, 0, 0]], np.float32)
    np.testing.assert_allclose(inverse_document_frequency(counts), [1, 1.9163, 2.6094], atol=1e-4)


# ---------------------------------------------------------------- TfidfEmbedder


def test_tfidf_by_hand() -> None:
    """Two texts, "a a b" and "a". idf(a) = ln(3/3) + 1 = 1, idf(b) = ln(3/2) + 1 = 1.4055.
    Text 0: (2 * 1, 1 * 1.4055), of length sqrt(4 + 1.9753) = 2.4445, so (0.8182, 0.5750). Text 1: (1, 0)."""
    embedder = TfidfEmbedder().fit(["a a b", "a"])
    assert embedder.vocabulary_ == ["a", "b"]
    np.testing.assert_allclose(embedder(["a a b", "a"]), [[0.8182, 0.5750], [1, 0]], atol=1e-4)


def compare_with_sklearn(train: list[str], queries: list[str]) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    assume(any(words(text) for text in train))
    ours = TfidfEmbedder().fit(train)
    theirs = TfidfVectorizer(token_pattern=TOKEN_PATTERN).fit(train)
    assert ours.vocabulary_ == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(ours.idf_, theirs.idf_, rtol=1e-6)
    np.testing.assert_allclose(ours([*train, *queries]), theirs.transform([*train, *queries]).toarray(), atol=1e-6)


@given(texts_of_words, texts_of_words)
def test_equal_to_sklearn(train: list[str], queries: list[str]) -> None:
    compare_with_sklearn(train, queries)


@given(any_texts, any_texts)
def test_equal_to_sklearn_on_any_text(train: list[str], queries: list[str]) -> None:
    compare_with_sklearn(train, queries)


@given(texts_of_words)
def test_rows_have_length_one_or_nothing(texts: list[str]) -> None:
    assume(any(words(text) for text in texts))
    lengths = np.linalg.norm(TfidfEmbedder().fit(texts)(texts), axis=1)
    np.testing.assert_allclose(lengths, [1.0 if words(text) else 0.0 for text in texts], atol=1e-6)


def test_a_text_of_unknown_words_is_like_nothing() -> None:
    embedder = TfidfEmbedder().fit(["cat dog"])
    np.testing.assert_array_equal(embedder(["owl", "", "cat"]), [[0, 0], [0, 0], [1, 0]])
    assert embedder([]).shape == (0, 2)


def test_a_rare_word_weighs_more() -> None:
    """Take idf away and both would be level."""
    embedder = TfidfEmbedder().fit(["the cat", "the dog", "the owl"])
    vector = dict(zip(embedder.vocabulary_, embedder(["the cat"])[0], strict=True))
    assert vector["cat"] > vector["the"] > 0


@pytest.mark.parametrize("texts", [[], ["", "..."]])
def test_there_must_be_a_word(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="texts must hold at least one word, got none"):
        TfidfEmbedder().fit(texts)


def test_before_fit() -> None:
    with pytest.raises(NotFittedError, match=r"call fit\(texts\) first"):
        TfidfEmbedder()(["cat"])
