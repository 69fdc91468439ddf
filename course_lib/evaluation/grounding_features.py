"""What speaks for an answer standing in its passages: shared words, figures, nearness, likelihood. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from course_lib.core.validate import FloatArray
from course_lib.evaluation.normalising import normalise

FEATURES = {
    "words": "share of the content words of the sentence that stand in the passages",
    "figures": "share of its figures that stand in the passage sentence nearest to question and sentence together",
    "similarity": "cosine of question and sentence together with the nearest passage sentence",
    "gain": "how much nearer to a passage sentence the question comes when the sentence is added to it",
    "ratio": "ln p(sentence | passages, question) - ln p(sentence | question), mean over its tokens",
}
NO_FIGURES = 0.5  # speaks neither for nor against: between a figure that is found and one that is not

_CITATION = re.compile(r"\s*\[\d+(?:\s*[,;-]\s*\d+)*\]")
_LEAD = re.compile(r"^\W*(?:the|my|an)\s+answer(?:\s+to\s+(?:this|the|that|your)\s+question)?\s+is\b\s*:?\s*", re.I)


def claim_of(sentence: str) -> str:
    """Return sentence without citations ([1], [2, 3]) and without "The answer is:", which claim nothing."""
    return _LEAD.sub("", _CITATION.sub("", sentence)).strip()


def figures(text: str) -> frozenset[str]:
    """Return the numbers, dates and codes of text in one way of writing: words of `normalise` that hold a digit."""
    return frozenset(word for word in normalise(text).split() if any(letter.isdigit() for letter in word))


def share_of_words(claimed: AbstractSet[str], evidence: AbstractSet[str]) -> float:
    """Return the share of the claimed content words that stand in the evidence, in 0 to 1; 0 where none is claimed.

    A claim without content words ("Yes.") has nothing that could be found: it is not counted as found.
    """
    return len(claimed & evidence) / len(claimed) if claimed else 0.0


def share_of_figures(claimed: AbstractSet[str], asked: AbstractSet[str], evidence: AbstractSet[str]) -> float:
    """Return the share of the claimed figures, those of the question left out, that stand in the evidence, in 0 to 1.

    NO_FIGURES where the claim adds none to the question.
    """
    added = claimed - asked
    return len(added & evidence) / len(added) if added else NO_FIGURES


def nearest(vector: FloatArray, evidence: FloatArray) -> tuple[int, float]:
    """Return the row of evidence with the largest cosine to vector, the first of equal ones, and that cosine.

    vector: (dim,), evidence: (n, dim), rows of length 1. Raises ValueError without evidence or with another dim.
    """
    if evidence.ndim != 2 or not len(evidence):
        raise ValueError(f"evidence must hold at least one vector (n, dim), got shape {evidence.shape}")
    if vector.shape != evidence.shape[1:]:
        raise ValueError(f"vector must be ({evidence.shape[1]},) like the evidence, got shape {vector.shape}")
    cosines = evidence @ vector  # (n,)
    row = int(np.argmax(cosines))
    return row, float(cosines[row])


def sentence_features(
    claim: str,
    question: str,
    evidence: Sequence[str],
    *,
    claimed_words: AbstractSet[str],
    evidence_words: AbstractSet[str],
    with_claim: FloatArray,
    question_alone: FloatArray,
    evidence_vectors: FloatArray,
    ratio: float | None = None,
) -> tuple[dict[str, float], int]:
    """Return the FEATURES of one claim and the row of the evidence sentence that supports it most.

    with_claim, question_alone: (dim,), vectors of "question claim" and of the question; evidence_vectors: (n, dim), one
    a sentence of evidence. "ratio" is there if it is given. Raises ValueError if evidence and its vectors do not agree.
    """
    if len(evidence) != len(evidence_vectors):
        raise ValueError(
            f"evidence_vectors must have a row for each of the {len(evidence)} sentences, got {len(evidence_vectors)}"
        )
    row, similarity = nearest(with_claim, evidence_vectors)
    features = {
        "words": share_of_words(claimed_words, evidence_words),
        "figures": share_of_figures(figures(claim), figures(question), figures(evidence[row])),
        "similarity": similarity,
        "gain": similarity - nearest(question_alone, evidence_vectors)[1],
    }
    if ratio is not None:
        features["ratio"] = ratio
    return features, row
