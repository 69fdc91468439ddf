"""The variants of BM25: numbers worked by hand, bm25s' method of the same name, and rank_bm25 where it has one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.retrieval.bm25 import Array, bm25_scores
from course_lib.retrieval.bm25_variants import (
    VARIANTS,
    bm25_variant_scores,
    idf_okapi,
    idf_robertson,
    saturation_bm25l,
)

WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=15)
CORPORA = st.lists(WORDS, min_size=2, max_size=12)
K1, B = 1.3, 0.7


def counted(documents: list[list[str]], query: list[str]) -> dict[str, Any]:
    """What the formulas take, for the terms of the query that stand somewhere."""
    terms = [term for term in query if any(term in document for document in documents)]
    tf = np.array([[float(document.count(term)) for document in documents] for term in terms])
    doc_len = np.array([float(len(document)) for document in documents])
    return {
        "tf": tf.reshape(len(terms), len(documents)),
        "df": (tf > 0).sum(axis=1).astype(float) if terms else np.zeros(0),
        "doc_len": doc_len,
        "n_docs": len(documents),
        "mean_len": float(doc_len.mean()),
        "terms": terms,
    }


def ours(documents: list[list[str]], query: list[str], **options: Any) -> Array:
    data = counted(documents, query)
    return bm25_variant_scores(
        **{name: value for name, value in data.items() if name != "terms"}, k1=K1, b=B, **options
    )


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        # one term, tf = 2, in df = 1 of n = 4 documents, length 6, mean 4, k1 = 1.2, b = 0.75: norm = 0.25 + 0.75 * 1.5
        # = 1.375; k1 * norm = 1.65; 2 / 3.65 = 0.547945; * 2.2 = 1.205479; c = 2 / 1.375 = 1.454545
        ("lucene", 0.659711),  # ln(1 + 3.5 / 1.5) = ln 3.333333 = 1.203973
        ("robertson", 0.464272),  # ln(3.5 / 1.5) = 0.847298
        ("atire", 1.671149),  # ln 4 = 1.386294
        ("bm25l", 1.641150),  # ln(5 / 1.5) = 1.203973; 2.2 * 1.954545 / (1.2 + 1.954545) = 1.363112
        ("bm25+", 3.549583),  # ln 5 = 1.609438; 1.205479 + 1 = 2.205479
    ],
)
def test_hand_worked_numbers(variant: str, expected: float) -> None:
    score = bm25_variant_scores(
        np.array([[2.0]]), np.array([1.0]), np.array([6.0]), variant=variant, n_docs=4, mean_len=4.0
    )
    assert score == pytest.approx([expected], abs=2e-6)


def test_robertson_below_zero_by_hand() -> None:
    """In 3 of 4 documents: ln(1.5 / 3.5) = -0.847298. In half of them: ln 1 = 0."""
    assert idf_robertson(np.array([3.0, 2.0]), 4) == pytest.approx([-0.847298, 0], abs=1e-6)
    assert ours([["a"], ["a"], ["a"], ["b"]], ["a"], variant="robertson").tolist() == [0, 0, 0, 0]


def test_okapi_floor_by_hand() -> None:
    """Vocabulary a (3 of 4), b and c (1 of 4 each): mean (-0.847298 + 2 * 0.847298) / 3 = 0.282433; a quarter 0.070608."""
    idf = idf_okapi(np.array([3.0, 1.0]), 4, vocabulary_df=np.array([3.0, 1.0, 1.0]))
    assert idf == pytest.approx([0.070608, 0.847298], abs=1e-6)


# ---------------------------------------------------------------- the libraries


@pytest.mark.parametrize("variant", list(VARIANTS))
@given(CORPORA, st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True))
def test_equal_to_bm25s(variant: str, documents: list[list[str]], query: list[str]) -> None:
    import bm25s

    delta = VARIANTS[variant].delta
    theirs = bm25s.BM25(method=variant, k1=K1, b=B, delta=delta, dtype="float64")
    theirs.index(documents, show_progress=False)
    terms = counted(documents, query)["terms"]
    expected = theirs.get_scores(terms) if terms else np.zeros(len(documents))
    np.testing.assert_allclose(ours(documents, query, variant=variant), expected, atol=1e-9)


@given(CORPORA, st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True))
def test_equal_to_rank_bm25(documents: list[list[str]], query: list[str]) -> None:
    """Okapi is the ATIRE saturation with the floored idf; Plus is BM25+; BM25L of rank_bm25 multiplies by tf once more."""
    import rank_bm25

    vocabulary = sorted({term for document in documents for term in document})
    vocabulary_df = counted(documents, vocabulary)["df"]
    data = counted(documents, query)
    idf = idf_okapi(data["df"], len(documents), vocabulary_df=vocabulary_df)
    okapi = rank_bm25.BM25Okapi(documents, k1=K1, b=B).get_scores(query)
    np.testing.assert_allclose(ours(documents, query, variant="atire", idf=idf), okapi, atol=1e-9)
    plus = rank_bm25.BM25Plus(documents, k1=K1, b=B, delta=1).get_scores(query)
    np.testing.assert_allclose(ours(documents, query, variant="bm25+"), plus, atol=1e-9)
    length_norm = 1 - B + B * data["doc_len"] / data["mean_len"]
    times_tf = data["tf"] * saturation_bm25l(data["tf"], length_norm, K1, 0.5)
    long = rank_bm25.BM25L(documents, k1=K1, b=B, delta=0.5).get_scores(query)
    np.testing.assert_allclose(VARIANTS["bm25l"].idf(data["df"], len(documents)) @ times_tf, long, atol=1e-9)


# ---------------------------------------------------------------- what holds between them


@given(CORPORA, st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True))
def test_lucene_is_the_form_of_the_course(documents: list[list[str]], query: list[str]) -> None:
    data = counted(documents, query)
    del data["terms"]
    np.testing.assert_allclose(ours(documents, query, variant="lucene"), bm25_scores(**data, k1=K1, b=B), atol=1e-12)


@given(CORPORA, st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True), st.floats(0, 3))
def test_delta_of_bm25_plus_moves_all_documents_alike(
    documents: list[list[str]], query: list[str], delta: float
) -> None:
    """So it changes no ranking in either library; present_only, as the paper has it, it does."""
    moved = ours(documents, query, variant="bm25+", delta=delta) - ours(documents, query, variant="bm25+", delta=0)
    np.testing.assert_allclose(moved, moved[0], atol=1e-9)


def test_present_only_gives_nothing_for_a_missing_term() -> None:
    documents = [["a", "b"], ["b", "c"], ["c"]]
    for variant in VARIANTS:
        scores = ours(documents, ["a"], variant=variant, present_only=True)
        assert scores[0] > 0 and scores[1:].tolist() == [0, 0]
    both = [ours(documents, ["a", "c"], variant="bm25l", present_only=flag) for flag in (False, True)]
    assert not np.allclose(*both)


def test_no_known_term_scores_nothing_and_an_unknown_variant_is_refused() -> None:
    for variant in VARIANTS:
        assert ours([["a"], ["b", "c"]], ["z"], variant=variant).tolist() == [0, 0]
    with pytest.raises(
        ValueError, match="variant must be one of lucene, robertson, atire, bm25l, bm25\\+, got 'okapi'"
    ):
        ours([["a"]], ["a"], variant="okapi")
