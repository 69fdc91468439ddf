"""Texts that occur twice, letter by letter or nearly so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from scipy.sparse import csr_matrix

from course_lib.tuning.prepare import Removed, Step, without

SHINGLE = 5  # letters


@dataclass(frozen=True)
class Pair:
    """Two texts by position, first < second, and how alike they are, 0 to 1."""

    first: int
    second: int
    similarity: float


def plain(text: str) -> str:
    """Return a text in small letters with single spaces and without punctuation: what two copies still share."""
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())


def shingles(text: str, size: int = SHINGLE) -> set[str]:
    """Return the runs of size letters of the plain text; a shorter text is one run."""
    letters = plain(text)
    return {letters[i : i + size] for i in range(max(1, len(letters) - size + 1))}


def jaccard(a: set[str], b: set[str]) -> float:
    """Return the share of the elements of either set that are in both; 0 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 0.0


def near_pairs(texts: Sequence[str], *, threshold: float = 0.5, against: Sequence[str] | None = None) -> list[Pair]:
    """Return the pairs of texts whose shingles have a Jaccard similarity of at least threshold, the likest first.

    against: pairs of one of texts and one of these instead. Every pair is compared, by one sparse product: fine for tens
    of thousands; above that, hash (MinHash). Empty texts are like nothing. Raises ValueError unless 0 < threshold <= 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")
    within = against is None
    sides = (texts, texts if against is None else against)
    sets = [[shingles(text) if plain(text) else set() for text in side] for side in sides]
    place: dict[str, int] = {}
    for each in sets[0] + sets[1]:
        for shingle in sorted(each):
            place.setdefault(shingle, len(place))
    left, right = (_incidence(side, place) for side in sets)  # (n, n_shingles), (m, n_shingles)
    shared = (left @ right.T).tocoo()
    pairs = []
    for i, j, both in zip(shared.row.tolist(), shared.col.tolist(), shared.data.tolist(), strict=True):
        similarity = both / (len(sets[0][i]) + len(sets[1][j]) - both)
        if similarity >= threshold and (i < j or not within):
            pairs.append(Pair(i, j, float(similarity)))
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def _incidence(sets: Sequence[set[str]], place: dict[str, int]) -> csr_matrix:
    rows = [i for i, each in enumerate(sets) for _ in each]
    columns = [place[shingle] for each in sets for shingle in each]
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(sets), max(1, len(place))))


def without_exact(dataset: Dataset) -> Step:
    """Keep the first of the texts that are the same but for case, space and punctuation."""
    first: dict[str, str] = {}
    removed = []
    for name, text in zip(dataset["id"], dataset["text"], strict=True):
        letters = plain(text)
        if letters and letters in first:
            removed.append(Removed(name, "the same text", first[letters]))
        first.setdefault(letters, name)
    return without(dataset, removed)


def without_near(dataset: Dataset, *, threshold: float = 0.5) -> Step:
    """Keep the first of the texts that are nearly the same; a text is compared with those that stay."""
    names, gone = list(dataset["id"]), {}
    for pair in sorted(near_pairs(dataset["text"], threshold=threshold), key=lambda pair: (pair.second, pair.first)):
        if pair.first not in gone and pair.second not in gone:
            gone[pair.second] = Removed(names[pair.second], "nearly the same text", names[pair.first])
    return without(dataset, [gone[i] for i in sorted(gone)])


def conflicts(dataset: Dataset, *, threshold: float = 0.5) -> list[Pair]:
    """Return the pairs that are nearly the same text with different labels: one of the two is wrong."""
    labels = list(dataset["label"])
    return [
        pair for pair in near_pairs(dataset["text"], threshold=threshold) if labels[pair.first] != labels[pair.second]
    ]
