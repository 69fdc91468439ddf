"""The fast form against the readable one: the same rankings and scores, saved and loaded, with every message."""

from __future__ import annotations

import datetime
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from course_lib.core.types import Chunk
from course_lib.core.validate import NotFittedError
from course_lib.retrieval import bm25_fast, bm25_file
from course_lib.retrieval.bm25 import BM25Retriever
from course_lib.retrieval.bm25_fast import FastBM25Retriever, count_postings, kth_largest
from course_lib.retrieval.tokenising import content_stems

DAY = datetime.date(2024, 2, 29)
WORDS = [f"w{i}" for i in range(12)]


def chunks(*texts: str) -> list[Chunk]:
    return [Chunk(f"s/{i:03d}#00", "s/x", "", DAY, text, 0, len(text)) for i, text in enumerate(texts)]


# ---------------------------------------------------------------- counting


def test_postings_by_hand() -> None:
    """a is term 0, b 1, c 2. a: once in document 0, twice in 2. b: once in 0. c: once in 2."""
    vocabulary, terms, documents, tf, doc_len = count_postings([["a", "b"], [], ["a", "c", "a"]])
    assert vocabulary == {"a": 0, "b": 1, "c": 2}
    assert terms.tolist() == [0, 0, 1, 2]
    assert documents.tolist() == [0, 2, 0, 2]
    assert tf.tolist() == [1, 2, 1, 1]
    assert doc_len.tolist() == [2, 0, 3]


def test_nothing_to_count() -> None:
    for token_lists in ([], [[]], [[], []]):
        vocabulary, *rest, doc_len = count_postings(token_lists)
        assert vocabulary == {} and [len(array) for array in rest] == [0, 0, 0] and len(doc_len) == len(token_lists)


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=9), max_size=9))
def test_postings_hold_every_word(token_lists: list[list[str]]) -> None:
    vocabulary, terms, documents, tf, doc_len = count_postings(token_lists)
    assert {
        (term, document, count)
        for term, document, count in zip(terms.tolist(), documents.tolist(), tf.tolist(), strict=True)
    } == {(vocabulary[word], row, tokens.count(word)) for row, tokens in enumerate(token_lists) for word in set(tokens)}
    assert tf.sum() == doc_len.sum() == sum(map(len, token_lists))
    assert (np.diff(terms * 1000 + documents) > 0).all()


@given(arrays(np.float32, st.integers(1, 60), elements=st.integers(-3, 3)), st.integers(1, 8), st.data())
def test_kth_largest_is_that_of_a_sort(scores: Any, block: int, data: Any) -> None:
    k = data.draw(st.integers(1, len(scores)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bm25_fast, "BLOCK", block)
        assert kth_largest(scores, k) == np.sort(scores)[-k]


def test_kth_largest_of_many() -> None:
    scores = np.random.default_rng(13).exponential(size=20_011).astype(np.float32)
    for k in (1, 10, 39, 40, 100, 20_011):
        assert kth_largest(scores, k) == np.sort(scores)[-k]


# ---------------------------------------------------------------- equal to the readable form

TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join), min_size=1, max_size=40)


@given(TEXTS, st.lists(st.sampled_from([*WORDS, "unknown"]), min_size=1, max_size=9), st.data())
def test_the_same_ranking_and_scores(texts: list[str], query: list[str], data: Any) -> None:
    """Few words, so that many chunks tie; ids in another order than the chunks, so that ties by position would show."""
    k1, b = data.draw(st.floats(0.1, 3)), data.draw(st.floats(0, 1))
    k = data.draw(st.integers(1, len(texts)))
    common = data.draw(st.sampled_from([1, 2, 16, 10**6]))
    shuffled = data.draw(st.permutations(chunks(*texts)))
    readable = BM25Retriever(k1=k1, b=b).fit(shuffled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bm25_fast, "COMMON", common)
        fast = FastBM25Retriever(k1=k1, b=b).fit(shuffled)
    text = " ".join(query)
    ours, theirs = fast.search(text, k), readable.search(text, k)
    assert [hit.chunk_id for hit in ours] == [hit.chunk_id for hit in theirs]
    np.testing.assert_allclose([hit.score for hit in ours], [hit.score for hit in theirs], rtol=1e-6, atol=1e-6)
    assert fast.search_many([text, text], k) == [ours, ours]


def test_sums_in_another_order_tie() -> None:
    """Two chunks get the same three scores from other terms, added in other orders: they differ in the last digit of
    float64 for some document frequencies, and must tie all the same."""
    differ = 0
    for m, n in itertools.product(range(2, 9), range(9, 16)):
        fillers = ["a1 a2 b1 b2"] * m + ["b1 b2"] * n + ["c1 c2" + " x" * 99]
        fast = FastBM25Retriever().fit(chunks("b1 c1 a1", "a2 b2 c2", *fillers))
        first, second, *_ = fast.score_tokens(["a2", "b1", "c1", "b2", "c2", "a1"])
        differ += first != second
        assert [hit.chunk_id for hit in fast.search("a2 b1 c1 b2 c2 a1", 2)] == ["s/000#00", "s/001#00"]
    assert differ, "else the test shows nothing"


@pytest.fixture(scope="module")
def collection() -> list[Chunk]:
    from course_lib.corpus.chunking import chunk_documents
    from course_lib.corpus.load import load_documents

    return chunk_documents(load_documents("neurology", "help_desk"))


def test_the_same_on_the_collection(collection: list[Chunk]) -> None:
    from course_lib.corpus.questions import load_questions

    questions = [question.text for question in load_questions(split="train")]
    readable, fast = BM25Retriever().fit(collection), FastBM25Retriever().fit(collection)
    assert (fast.rows_ >= 0).sum() > 20 and len(fast.weights_) > 10_000  # both kinds of terms are met
    for question, ranking in zip(questions, fast.search_many(questions, 50), strict=True):
        expected = readable.search(question, 50)
        assert [hit.chunk_id for hit in ranking] == [hit.chunk_id for hit in expected]
        assert [hit.score for hit in ranking] == pytest.approx([hit.score for hit in expected], abs=1e-6)


def test_scores_in_order_of_chunk_id() -> None:
    fast = FastBM25Retriever().fit([*reversed(chunks("meter", "bill meter", "storm"))])
    scores = fast.score_tokens(["meter"])
    assert fast.ids_ == ["s/000#00", "s/001#00", "s/002#00"]
    assert scores[0] > scores[1] > scores[2] == 0


def test_a_buffer_is_used_and_cleared() -> None:
    fast = FastBM25Retriever().fit(chunks("meter", "bill", "storm"))
    buffer = np.full(3, 99.0)
    assert fast.score_tokens(["bill"], buffer) is buffer
    assert buffer.tolist() == fast.score_tokens(["bill"]).tolist()
    assert buffer[0] == buffer[2] == 0


# ---------------------------------------------------------------- edges


def test_edges() -> None:
    fast = FastBM25Retriever().fit(chunks("one", "two"))
    assert [(hit.chunk_id, hit.score) for hit in fast.search("quark", 2)] == [("s/000#00", 0.0), ("s/001#00", 0.0)]
    assert FastBM25Retriever().fit(chunks("storm")).search("storm", 1)[0].score > 0
    assert fast.search_many([], 1) == []
    assert len(fast) == 2 and len(FastBM25Retriever()) == 0
    assert fast.chunk("s/001#00").text == "two"
    for b in (0.0, 1.0):
        wordless = FastBM25Retriever(b=b).fit(chunks("?!", "storm"))
        assert [hit.chunk_id for hit in wordless.search("storm", 2)] == ["s/001#00", "s/000#00"]
        assert FastBM25Retriever(b=b).fit(chunks("?!", ".")).search("storm", 1)[0].score == 0


def test_a_query_of_ten_thousand_words() -> None:
    texts = [f"w{i} w{i + 1}" for i in range(300)]
    long = " ".join(f"w{i % 400}" for i in range(10_000))
    fast, readable = (kind().fit(chunks(*texts)) for kind in (FastBM25Retriever, BM25Retriever))
    assert [hit.chunk_id for hit in fast.search(long, 300)] == [hit.chunk_id for hit in readable.search(long, 300)]


def test_errors() -> None:
    fast = FastBM25Retriever().fit(chunks("one", "two"))
    with pytest.raises(ValueError, match="k must be between 1 and the 2 indexed chunks, got 3"):
        fast.search("one", 3)
    with pytest.raises(ValueError, match="k must be between 1 and the 2 indexed chunks, got 0"):
        fast.search_many(["one"], 0)
    with pytest.raises(TypeError, match="k must be a whole number"):
        fast.search("one", True)
    with pytest.raises(ValueError, match="query must not be empty"):
        fast.search_many(["one", " "], 1)
    with pytest.raises(TypeError, match="queries must be a list of str"):
        fast.search_many("one", 1)
    with pytest.raises(ValueError, match="at least one chunk"):
        FastBM25Retriever().fit([])
    with pytest.raises(ValueError, match="comes twice"):
        FastBM25Retriever().fit([*chunks("one"), *chunks("two")])
    with pytest.raises(ValueError, match="k1 must be above 0"):
        FastBM25Retriever(k1=0)
    for call in (lambda r: r.search("one", 1), lambda r: r.search_many(["one"], 1), lambda r: r.save("x")):
        with pytest.raises(NotFittedError, match=r"call fit\(chunks\) first"):
            call(FastBM25Retriever())


# ---------------------------------------------------------------- the file


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    texts = ["meter bill", "the bill: 日本", 'storm "quoted"', *["the bill"] * 30]
    FastBM25Retriever(k1=1.5, b=0.5).fit(chunks(*texts)).save(tmp_path / "new" / "words.index")
    return tmp_path / "new" / "words.index"


def test_what_is_loaded_is_what_was_saved(saved: Path) -> None:
    texts = ["meter bill", "the bill: 日本", 'storm "quoted"', *["the bill"] * 30]
    before, loaded = FastBM25Retriever(k1=1.5, b=0.5).fit(chunks(*texts)), FastBM25Retriever.load(saved)
    assert (loaded.k1, loaded.b, loaded.ids_, loaded.n_bytes) == (1.5, 0.5, before.ids_, before.n_bytes)
    assert loaded.chunks_ == before.chunks_
    for query in ("bill", "日本 meter", "storm the"):
        assert loaded.search(query, 9) == before.search(query, 9)
    assert [path.name for path in saved.parent.iterdir()] == ["words.index"]  # nothing is left beside it


def test_a_failed_save_leaves_what_was_there(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        FastBM25Retriever().fit(chunks("other")).save(saved)
    assert saved.read_bytes() == before


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no index at .*; build one"):
        FastBM25Retriever.load(tmp_path / "none")


def test_damaged_files(saved: Path) -> None:
    whole = saved.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for content in (b"", b"hello", whole[: len(whole) // 2], bytes(flipped)):
        saved.write_bytes(content)
        with pytest.raises(ValueError, match="is no BM25 index, or is damaged; build it again"):
            FastBM25Retriever.load(saved)


def test_an_archive_of_something_else(saved: Path) -> None:
    for header in ({"format": "other", "version": 1}, {}, [1]):
        with saved.open("wb") as file:
            np.savez(file, header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8))
        with pytest.raises(ValueError, match="is no BM25 index"):
            FastBM25Retriever.load(saved)


def test_another_version(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bm25_file, "VERSION", 2)
    with pytest.raises(ValueError, match="was saved as version 1, but version 2 is read here; build it again"):
        FastBM25Retriever.load(saved)


def test_another_tokeniser(saved: Path) -> None:
    with pytest.raises(ValueError, match="was built with, stems, got content_stems"):
        FastBM25Retriever.load(saved, tokenise=content_stems)
