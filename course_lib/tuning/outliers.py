"""Examples that do not belong: too short, too long, in another language, like nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from course_lib.core.validate import FloatArray, require_matrix
from course_lib.tuning.prepare import Removed, Step, without


def longest_usual(texts: Sequence[str], *, spread: float = 3.0) -> float:
    """Return the largest number of words of a usual text: more is above the quartiles by spread times their distance.

    Tukey's rule (1977), on a log scale because lengths are skewed. There is no lower limit of this kind: "no power" says
    all that is needed. Raises ValueError without a text that has words.
    """
    counts = np.array([len(text.split()) for text in texts if text.split()])
    if not len(counts):
        raise ValueError("texts must hold at least one text with words, got none")
    low, high = np.quantile(np.log(counts), [0.25, 0.75])
    return float(np.exp(high + spread * (high - low)))


def of_usual_length(dataset: Dataset, *, least_words: int = 2, spread: float = 3.0) -> Step:
    """Remove texts that are empty, of fewer than least_words words, or longer than `longest_usual`."""
    longest = longest_usual(dataset["text"], spread=spread)
    removed = []
    for name, text in zip(dataset["id"], dataset["text"], strict=True):
        n = len(text.split())
        if n < least_words:
            removed.append(Removed(name, "too short" if n else "empty"))
        elif n > longest:
            removed.append(Removed(name, "too long"))
    return without(dataset, removed)


def language(text: str) -> tuple[str, float]:
    """Return the likeliest language of a text (ISO 639-1, by py3langid) and its probability; short texts mislead it."""
    from py3langid import langid

    names, scores = zip(*langid.rank(text), strict=True)  # scores: ln of probabilities that are not yet scaled
    probabilities = np.exp(np.array(scores, dtype=np.float64) - max(scores))
    best = int(np.argmax(probabilities))
    return str(names[best]), float(probabilities[best] / probabilities.sum())


def in_language(dataset: Dataset, wanted: str = "en", *, sure: float = 0.9, least_words: int = 4) -> Step:
    """Remove texts in another language, where that is sure and the text has least_words words or more."""
    removed = []
    for name, text in zip(dataset["id"], dataset["text"], strict=True):
        if len(text.split()) >= least_words:
            found, probability = language(text)
            if found != wanted and probability >= sure:
                removed.append(Removed(name, f"in another language ({found})"))
    return without(dataset, removed)


def nearness(vectors: FloatArray, *, k: int = 5) -> npt.NDArray[np.float64]:
    """Return for each vector its mean cosine with its k nearest others, shape (n,): small for one like nothing else.

    vectors: (n, dim), rows of length 1. Raises ValueError unless 1 <= k < n.
    """
    vectors = require_matrix(vectors, name="vectors")
    if not 1 <= k < len(vectors):
        raise ValueError(f"k must be between 1 and the {len(vectors) - 1} other vectors, got {k}")
    cosines = (vectors @ vectors.T).astype(np.float64)  # (n, n)
    np.fill_diagonal(cosines, -np.inf)
    return np.asarray(np.sort(cosines, axis=1)[:, -k:].mean(axis=1))


def alike_to_others(
    dataset: Dataset, embed: Callable[[Sequence[str]], FloatArray], *, least: float, k: int = 5
) -> Step:
    """Remove texts whose `nearness` is below least. Look at what goes: a rare and true message is like nothing, too."""
    values = nearness(embed(list(dataset["text"])), k=k)
    removed = [
        Removed(name, "like nothing else") for name, value in zip(dataset["id"], values, strict=True) if value < least
    ]
    return without(dataset, removed)
