"""The forms of BM25 that libraries call by one name: how each weighs a term, and how each saturates its occurrences.

Compared in Kamphuis et al. (2020), Which BM25 do you mean? `bm25.bm25_scores` is the form called "lucene" here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from course_lib.retrieval.bm25 import Array


def idf_lucene(df: Array, n_docs: int) -> Array:
    """Return ln(1 + (n - df + 0.5) / (df + 0.5)): above 0 for every term."""
    return np.asarray(np.log1p((n_docs - df + 0.5) / (df + 0.5)))


def idf_robertson(df: Array, n_docs: int) -> Array:
    """Return ln((n - df + 0.5) / (df + 0.5)), the original form (Robertson & Sparck Jones, 1976).

    Below 0 for a term in more than half of the documents: holding it would then count against a document.
    """
    return np.asarray(np.log((n_docs - df + 0.5) / (df + 0.5)))


def idf_robertson_floored(df: Array, n_docs: int) -> Array:
    """Return the original form, 0 where it is below 0: such a term is ignored (bm25s' "robertson")."""
    return np.maximum(idf_robertson(df, n_docs), 0)


def idf_okapi(df: Array, n_docs: int, *, vocabulary_df: Array, epsilon: float = 0.25) -> Array:
    """Return the original form, with epsilon times the vocabulary's mean where it is below 0 (rank_bm25's BM25Okapi).

    vocabulary_df: (n_vocabulary,) document frequencies of all terms of the index. The mean, and so the floor, may
    itself be below 0 where most terms stand in most documents.
    """
    idf = idf_robertson(df, n_docs)
    return np.where(idf < 0, epsilon * idf_robertson(vocabulary_df, n_docs).mean(), idf)


def idf_atire(df: Array, n_docs: int) -> Array:
    """Return ln(n / df): 0 for a term in every document (Trotman et al., 2012)."""
    return np.asarray(np.log(n_docs / df))


def idf_bm25l(df: Array, n_docs: int) -> Array:
    """Return ln((n + 1) / (df + 0.5)), above 0 (Lv & Zhai, 2011)."""
    return np.asarray(np.log((n_docs + 1) / (df + 0.5)))


def idf_bm25_plus(df: Array, n_docs: int) -> Array:
    """Return ln((n + 1) / df), above 0 (Lv & Zhai, 2011)."""
    return np.asarray(np.log((n_docs + 1) / df))


def saturation_lucene(tf: Array, length_norm: Array, k1: float, delta: float = 0.0) -> Array:
    """Return tf / (tf + k1 * length_norm), 0 to 1; delta is not used."""
    return tf / (tf + k1 * length_norm)


def saturation_atire(tf: Array, length_norm: Array, k1: float, delta: float = 0.0) -> Array:
    """Return the same times k1 + 1, so that one occurrence in a document of mean length is 1; delta is not used."""
    return (k1 + 1) * saturation_lucene(tf, length_norm, k1)


def saturation_bm25l(tf: Array, length_norm: Array, k1: float, delta: float) -> Array:
    """Return (k1 + 1)(c + delta) / (k1 + c + delta), c = tf / length_norm: long documents are penalised less."""
    shifted = tf / length_norm + delta
    return (k1 + 1) * shifted / (k1 + shifted)


def saturation_bm25_plus(tf: Array, length_norm: Array, k1: float, delta: float) -> Array:
    """Return the ATIRE form plus delta: what one occurrence is worth at least, in however long a document."""
    return saturation_atire(tf, length_norm, k1) + delta


@dataclass(frozen=True)
class Variant:
    """A form of BM25. delta: the usual value of its third parameter; 0 where it has none."""

    idf: Callable[[Array, int], Array]
    saturation: Callable[[Array, Array, float, float], Array]
    delta: float = 0.0


VARIANTS = {
    "lucene": Variant(idf_lucene, saturation_lucene),
    "robertson": Variant(idf_robertson_floored, saturation_lucene),
    "atire": Variant(idf_atire, saturation_atire),
    "bm25l": Variant(idf_bm25l, saturation_bm25l, 0.5),
    "bm25+": Variant(idf_bm25_plus, saturation_bm25_plus, 1.0),
}


def bm25_variant_scores(
    tf: Array,
    df: Array,
    doc_len: Array,
    *,
    variant: str,
    n_docs: int,
    mean_len: float,
    k1: float = 1.2,
    b: float = 0.75,
    delta: float | None = None,
    idf: Array | None = None,
    present_only: bool = False,
) -> Array:
    """Score every document for one query by a variant; shapes and range as in `bm25_scores`.

    delta: the variant's own if None. idf: (n_terms,) weights to use instead of the variant's, such as `idf_okapi`.
    present_only: a document gets nothing for a term it lacks, as Lv & Zhai have it. bm25s and rank_bm25 add delta's
    part there, too: then delta of BM25+ lifts all documents alike and changes no ranking. Raises ValueError for an
    unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    form = VARIANTS[variant]
    weights = form.idf(df, n_docs) if idf is None else idf  # (n_terms,)
    length_norm = 1 - b + b * doc_len / mean_len  # (n_docs,)
    saturation = form.saturation(tf, length_norm, k1, form.delta if delta is None else delta)  # (n_terms, n_docs)
    return np.asarray(weights @ (np.where(tf > 0, saturation, 0) if present_only else saturation))  # (n_docs,)
