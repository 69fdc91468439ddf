"""BM25 in its readable form: a number worked by hand, the formula with loops, two libraries, and the edges."""

from __future__ import annotations

import datetime
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk
from course_lib.core.validate import NotFittedError
from course_lib.retrieval.bm25 import BM25Retriever, bm25_scores
from course_lib.retrieval.bm25_variants import bm25_variant_scores
from course_lib.retrieval.tokenising import content_stems, stems

DAY = datetime.date(2024, 1, 1)


def chunk(name: str, text: str) -> Chunk:
    return Chunk(f"s/{name}#00", f"s/{name}", "", DAY, text, 0, len(text))


def chunks(*texts: str) -> list[Chunk]:
    return [chunk(f"{number:03d}", text) for number, text in enumerate(texts)]


# ---------------------------------------------------------------- the formula


def test_hand_worked_number() -> None:
    # One term in 1 of 3 documents, once, in a document of average length:
    # idf = ln(1 + (3 - 1 + 0.5) / (1 + 0.5)) = ln(2.6667) = 0.98083; saturation = 1 / (1 + 1.2) = 0.45455; product 0.44583
    scores = bm25_scores(
        np.array([[1.0, 0.0, 0.0]]), np.array([1.0]), np.array([4.0, 4.0, 4.0]), n_docs=3, mean_len=4.0
    )
    assert scores == pytest.approx([0.44583, 0, 0], abs=1e-4)


def test_hand_worked_length() -> None:
    # Twice as long as the mean, b = 0.75: 1 - 0.75 + 0.75 * 2 = 1.75; saturation = 2 / (2 + 1.2 * 1.75) = 0.48780;
    # the term stands in 2 of 4 documents: idf = ln(1 + 2.5 / 2.5) = 0.69315; product 0.33812
    scores = bm25_scores(np.array([[2.0]]), np.array([2.0]), np.array([8.0]), n_docs=4, mean_len=4.0)
    assert scores == pytest.approx([0.33812], abs=1e-5)


def test_equals_the_formula_written_with_loops() -> None:
    texts = ["the meter reads the meter", "a bill for the flat", "meter and bill", "storm", "the the the bill"]
    retriever = BM25Retriever(k1=1.5, b=0.6).fit(chunks(*texts))
    documents = [stems(text) for text in texts]
    mean_len = sum(map(len, documents)) / len(documents)
    for query in ("meter bill", "the storm", "flat flat"):
        expected = {}
        for i, document in enumerate(documents):
            score = 0.0
            for term in dict.fromkeys(stems(query)):
                df = sum(term in other for other in documents)
                tf = document.count(term)
                idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
                score += idf * tf / (tf + 1.5 * (1 - 0.6 + 0.6 * len(document) / mean_len))
            expected[f"s/{i:03d}#00"] = score
        hits = retriever.search(query, 5)
        assert {hit.chunk_id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-5)
        assert [hit.chunk_id for hit in hits] == sorted(expected, key=lambda key: (-round(expected[key], 6), key))


@given(st.integers(1, 40), st.integers(1, 60), st.floats(0.1, 3), st.floats(0, 1))
def test_bounds_and_order(tf: int, length: int, k1: float, b: float) -> None:
    """Between 0 and idf; more occurrences score more, but never twice as much for twice as many; longer scores less."""
    df = np.array([3.0])

    def score(tf: float, length: float) -> float:
        scores = bm25_scores(np.array([[tf]]), df, np.array([length]), n_docs=10, mean_len=20, k1=k1, b=b)
        return float(scores[0])

    assert 0 < score(tf, length) < math.log(1 + 7.5 / 3.5)
    assert score(tf, length) < score(2 * tf, length) < 2 * score(tf, length)
    assert score(tf, 2 * length) <= score(tf, length)
    assert b < 0.01 or score(tf, 2 * length) < score(tf, length)


def test_a_rare_word_counts_more_and_repetition_saturates() -> None:
    retriever = BM25Retriever().fit([chunk("a", "zebra x x"), chunk("b", "cat x x"), chunk("c", "cat x x")])
    assert retriever.search("zebra cat", 1)[0].chunk_id == "s/a#00"
    tf = np.array([[1.0, 2.0, 50.0]])
    once, twice, often = bm25_scores(tf, np.array([3.0]), np.array([50.0] * 3), n_docs=3, mean_len=50.0)
    assert twice < 2 * once
    assert often < (1 + 1.2) * once


WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12)


@given(st.lists(WORDS, min_size=2, max_size=12), st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True))
def test_equal_to_bm25s(documents: list[list[str]], query: list[str]) -> None:
    """To 1e-5: bm25s adds in float32."""
    import bm25s

    theirs = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    theirs.index(documents, show_progress=False)
    known = [term for term in query if any(term in document for document in documents)]
    expected = theirs.get_scores(known) if known else np.zeros(len(documents))
    retriever = BM25Retriever(tokenise=str.split).fit(
        [Chunk(f"{i:03d}", "d", ".", DAY, " ".join(document), 0, 1) for i, document in enumerate(documents)]
    )
    retriever = _without_titles(retriever, documents)
    np.testing.assert_allclose(retriever.scores(" ".join(query)), expected, atol=1e-5)


def _without_titles(retriever: BM25Retriever, documents: list[list[str]]) -> BM25Retriever:
    """The titles count as words, too; take the token that they add ("..") out of index and lengths."""
    assert retriever.postings_.pop("..").keys() == set(range(len(documents)))
    retriever.doc_len_ = retriever.doc_len_ - 1
    return retriever


# ---------------------------------------------------------------- the retriever


def test_stems_let_forms_of_a_word_meet() -> None:
    retriever = BM25Retriever().fit([chunk("a", "They refunded the fee."), chunk("b", "They raised the fee.")])
    assert retriever.search("refunds", 1)[0].chunk_id == "s/a#00"


def test_the_title_is_searched_too() -> None:
    named = Chunk("s/x#00", "s/x", "The Mooring charger", DAY, "It has no display.", 0, 18)
    retriever = BM25Retriever().fit([*chunks("A charger.", "No display at all."), named])
    assert retriever.search("mooring", 1)[0].chunk_id == "s/x#00"


def test_the_tokeniser_is_used_for_chunks_and_query() -> None:
    retriever = BM25Retriever(tokenise=content_stems).fit(chunks("the and of", "the storm"))
    assert list(retriever.postings_) == ["storm"]
    assert [hit.score for hit in retriever.search("the of", 2)] == [0, 0]


def test_another_formula_can_score() -> None:
    texts = ["the meter", "the the bill", "meter and the bill"]
    atire = BM25Retriever(score=partial(bm25_variant_scores, variant="atire")).fit(chunks(*texts))
    assert atire.scores("the").tolist() == [0, 0, 0]  # in every document: ln(3 / 3) = 0
    assert BM25Retriever().fit(chunks(*texts)).scores("the").min() > 0


def test_a_word_asked_twice_counts_once_and_order_does_not_matter() -> None:
    retriever = BM25Retriever().fit(chunks("meter bill", "bill bill storm", "storm"))
    assert retriever.search("bill storm", 3) == retriever.search("storm bill bill STORM", 3)


def test_a_query_of_ten_thousand_words() -> None:
    retriever = BM25Retriever().fit(chunks("w1 w2 w3", "w2 w9000", *(f"w{i}" for i in range(300))))
    long = " ".join(f"w{i}" for i in range(10_000))
    expected = sum(retriever.scores(f"w{i}")[0] for i in (1, 2, 3))
    assert retriever.scores(long)[0] == pytest.approx(expected, rel=1e-6)


def test_unknown_words_find_nothing_and_ties_fall_by_id() -> None:
    retriever = BM25Retriever().fit([chunk("b", "one"), chunk("a", "two")])
    unknown = retriever.search("quark", 2)
    assert [(hit.chunk_id, hit.score) for hit in unknown] == [("s/a#00", 0.0), ("s/b#00", 0.0)]


def test_one_chunk_and_chunks_without_a_word() -> None:
    alone = BM25Retriever().fit([chunk("a", "storm")])
    assert alone.search("storm", 1)[0].score == pytest.approx(math.log(1 + 0.5 / 1.5) / 2.2)
    for b in (0.0, 0.75, 1.0):
        retriever = BM25Retriever(b=b).fit([chunk("a", "?!"), chunk("b", "storm storm")])
        assert [hit.chunk_id for hit in retriever.search("storm", 2)] == ["s/b#00", "s/a#00"]
        assert BM25Retriever(b=b).fit([chunk("a", "?!")]).search("storm", 1)[0].score == 0


def test_lengths_and_chunks_are_kept() -> None:
    retriever = BM25Retriever().fit(chunks("one two", "three"))
    assert len(retriever) == 2 and len(BM25Retriever()) == 0
    assert retriever.chunk("s/001#00").text == "three"
    with pytest.raises(KeyError):
        retriever.chunk("s/9#00")


def test_errors() -> None:
    retriever = BM25Retriever().fit([chunk("b", "one"), chunk("a", "two")])
    with pytest.raises(ValueError, match="k must be between 1 and the 2 indexed chunks, got 3"):
        retriever.search("one", 3)
    with pytest.raises(TypeError, match="k must be a whole number"):
        retriever.search("one", 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="query must not be empty"):
        retriever.search(" ", 1)
    with pytest.raises(TypeError, match="query must be a str"):
        retriever.search(7, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one chunk"):
        BM25Retriever().fit([])
    with pytest.raises(ValueError, match="'s/b#00' comes twice"):
        BM25Retriever().fit([chunk("a", "x"), chunk("b", "x"), chunk("b", "y")])
    with pytest.raises(NotFittedError, match=r"call fit\(chunks\) first"):
        BM25Retriever().search("one", 1)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"k1": 0}, "k1 must be above 0"),
        ({"k1": -1}, "k1 must be above 0"),
        ({"k1": math.inf}, "k1 must be above 0 and finite, got inf"),
        ({"b": 1.1}, "b must lie between 0"),
        ({"b": -0.1}, "b must lie between 0"),
        ({"b": math.nan}, "b must lie between 0"),
        ({"k1": math.nan}, "k1 must be above 0"),
    ],
)
def test_parameters_out_of_range(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        BM25Retriever(**parameters)
