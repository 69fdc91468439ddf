"""ROUGE: how much of a reference text stands in a generated one (Lin, 2004), in n-grams or in the longest common run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.evaluation.bleu import ngrams


@dataclass(frozen=True)
class Rouge:
    """Precision (of what was written), recall (of what was wanted) and their harmonic mean, each 0 to 1."""

    precision: float
    recall: float
    f1: float


def tokenise_words(text: str) -> list[str]:
    """Return the runs of the letters a to z and digits in a text, in small letters, as rouge-score does unstemmed."""
    return re.findall(r"[a-z0-9]+", text.lower())


def rouge_n(text: str, reference: str, n: int = 1) -> Rouge:
    """Return ROUGE-n: shared n-grams, each counted as often as the text that has it less often has it.

    0 where either text has no n-gram. Raises ValueError if n < 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    written, wanted = ngrams(tokenise_words(text), n), ngrams(tokenise_words(reference), n)
    return _rouge((written & wanted).total(), written.total(), wanted.total())


def rouge_l(text: str, reference: str) -> Rouge:
    """Return ROUGE-L: tokens of the longest sequence that stands in both texts in this order, gaps allowed."""
    written, wanted = tokenise_words(text), tokenise_words(reference)
    return _rouge(longest_common(written, wanted), len(written), len(wanted))


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of a and b, in len(a) * len(b) steps."""
    best = np.zeros(len(b) + 1, dtype=np.int64)  # best[j]: of what was read of a, and the first j of b
    for item in a:
        before = best.copy()
        for j, other in enumerate(b, start=1):
            best[j] = before[j - 1] + 1 if item == other else max(before[j], best[j - 1])
    return int(best[-1])


def _rouge(shared: int, n_written: int, n_wanted: int) -> Rouge:
    if not shared:
        return Rouge(0.0, 0.0, 0.0)
    precision, recall = shared / n_written, shared / n_wanted
    return Rouge(precision, recall, 2 * precision * recall / (precision + recall))
