"""BM25: a number worked by hand, the plain formula as oracle, and the edges."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest

from course_lib.core.types import Chunk
from course_lib.core.validate import NotFittedError
from course_lib.retrieval.bm25 import BM25Retriever, bm25_scores, stems

DAY = datetime.date(2024, 1, 1)


def chunk(name: str, text: str) -> Chunk:
    return Chunk(f"s/{name}#00", f"s/{name}", "", DAY, text, 0, len(text))


def test_hand_worked_number() -> None:
    # One term in 1 of 3 documents, once, in a document of average length:
    # idf = ln(1 + (3 - 1 + 0.5) / (1 + 0.5)) = ln(2.6667) = 0.98083; saturation = 1 / (1 + 1.2) = 0.45455; product 0.44583
    scores = bm25_scores(
        np.array([[1.0, 0.0, 0.0]]), np.array([1.0]), np.array([4.0, 4.0, 4.0]), n_docs=3, mean_len=4.0
    )
    assert scores == pytest.approx([0.44583, 0, 0], abs=1e-4)


def test_equals_the_formula_written_with_loops() -> None:
    texts = ["the meter reads the meter", "a bill for the flat", "meter and bill", "storm", "the the the bill"]
    retriever = BM25Retriever(k1=1.5, b=0.6).fit([chunk(str(i), text) for i, text in enumerate(texts)])
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
            expected[f"s/{i}#00"] = score
        hits = retriever.search(query, 5)
        assert {hit.chunk_id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-5)
        assert [hit.chunk_id for hit in hits] == sorted(expected, key=lambda key: (-round(expected[key], 6), key))


def test_a_rare_word_counts_more_and_repetition_saturates() -> None:
    retriever = BM25Retriever().fit([chunk("a", "zebra x x"), chunk("b", "cat x x"), chunk("c", "cat x x")])
    assert retriever.search("zebra cat", 1)[0].chunk_id == "s/a#00"
    tf = np.array([[1.0, 2.0, 50.0]])
    once, twice, often = bm25_scores(tf, np.array([3.0]), np.array([50.0] * 3), n_docs=3, mean_len=50.0)
    assert twice < 2 * once
    assert often < (1 + 1.2) * once


def test_stems_let_forms_of_a_word_meet() -> None:
    retriever = BM25Retriever().fit([chunk("a", "They refunded the fee."), chunk("b", "They raised the fee.")])
    assert retriever.search("refunds", 1)[0].chunk_id == "s/a#00"


def test_edges() -> None:
    retriever = BM25Retriever().fit([chunk("b", "one"), chunk("a", "two")])
    unknown = retriever.search("quark", 2)
    assert [(hit.chunk_id, hit.score) for hit in unknown] == [("s/a#00", 0.0), ("s/b#00", 0.0)]  # ties by id
    with pytest.raises(ValueError, match="k must be between 1 and the 2 indexed chunks, got 3"):
        retriever.search("one", 3)
    with pytest.raises(ValueError, match="query must not be empty"):
        retriever.search(" ", 1)
    with pytest.raises(ValueError, match="at least one chunk"):
        BM25Retriever().fit([])
    with pytest.raises(NotFittedError):
        BM25Retriever().search("one", 1)
