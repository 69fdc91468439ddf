"""Vectors from counting words: bag of words and TF-IDF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

import numpy as np

from course_lib.core.validate import FloatArray, NotFittedError


def words(text: str) -> list[str]:
    """Return the words of a text in lower case: runs of letters, digits and apostrophes inside a word."""
    return re.findall(r"\w+(?:'\w+)*", text.lower())


def count_vectors(token_lists: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> FloatArray:
    """Count how often each word of the vocabulary stands in each text; other words are left out.

    Returns (n, n_words), columns in the order of the vocabulary. Raises ValueError if a word repeats in it.
    """
    column = {word: j for j, word in enumerate(vocabulary)}
    if len(column) != len(vocabulary):
        raise ValueError("vocabulary must not hold a word twice")
    counts = np.zeros((len(token_lists), len(vocabulary)), dtype=np.float32)  # (n, n_words)
    for i, tokens in enumerate(token_lists):
        for token in tokens:
            if token in column:
                counts[i, column[token]] += 1
    return counts


def inverse_document_frequency(counts: FloatArray) -> FloatArray:
    """Return ln((1 + n) / (1 + df)) + 1 for each word: rare words weigh more, none weighs 0 (scikit-learn's form).

    counts: (n, n_words). Returns (n_words,). Sparck Jones (1972) with one document added that holds every word.
    """
    document_frequency = (np.asarray(counts) > 0).sum(axis=0)  # (n_words,)
    return np.asarray(np.log((1 + len(counts)) / (1 + document_frequency)) + 1, dtype=np.float32)


class TfidfEmbedder:
    """Texts as TF-IDF vectors of length 1. A text without any known word is a row of zeros: it is like nothing."""

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn vocabulary and weights from texts. Raises ValueError if they hold no word."""
        token_lists = [words(text) for text in texts]
        self.vocabulary_ = sorted({token for tokens in token_lists for token in tokens})
        if not self.vocabulary_:
            raise ValueError("texts must hold at least one word, got none")
        self.idf_ = inverse_document_frequency(count_vectors(token_lists, self.vocabulary_))  # (n_words,)
        return self

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        if not hasattr(self, "idf_"):
            raise NotFittedError("this embedder knows no words yet: call fit(texts) first")
        weighted = count_vectors([words(text) for text in texts], self.vocabulary_)  # (n, n_words)
        weighted *= self.idf_  # in place: these arrays are large
        lengths = np.linalg.norm(weighted, axis=1, keepdims=True)  # (n, 1), 0 for a text without known words
        weighted /= np.where(lengths > 0, lengths, 1)
        return weighted
