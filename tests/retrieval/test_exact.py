"""Exact search against brute force and faiss, with ties, edges, and every message."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from course_lib.core.types import Chunk, Hit, ranked
from course_lib.core.validate import FloatArray, NotFittedError
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.exact import DenseRetriever, ExactIndex, indexed_text, k_best, top_k
from course_lib.retrieval.index_folder import SavedIndexError

DAY = datetime.date(2026, 7, 19)


def brute_force(similarities: FloatArray, k: int) -> list[int]:
    """Sort everything: by value, then by position."""
    return sorted(range(len(similarities)), key=lambda i: (-float(similarities[i]), i))[:k]


# ---------------------------------------------------------------- ranked: the one place where ties are broken


def test_equal_scores_fall_by_id() -> None:
    hits = [Hit("c", 1.0), Hit("b", 2.0), Hit("a", 1.0), Hit("d", -1.0)]
    assert [hit.chunk_id for hit in ranked(hits)] == ["b", "a", "c", "d"]
    assert [hit.chunk_id for hit in hits] == ["c", "b", "a", "d"]  # left as it was


# ---------------------------------------------------------------- top_k


def test_top_k_by_hand() -> None:
    """0.9 is the largest; then come two of 0.5, at 1 and 4, the earlier first; the 0.5 at 5 is one too many."""
    assert top_k(np.array([0.1, 0.5, 0.9, -0.3, 0.5, 0.5]), 3) == [2, 1, 4]


@given(arrays(np.float32, st.integers(1, 60), elements=st.floats(-1, 1, width=32)), st.data())
@example(np.array([0.0, -0.0, 0.0], np.float32), None)
def test_top_k_equals_a_full_sort(similarities: FloatArray, data: Any) -> None:
    k = 2 if data is None else data.draw(st.integers(1, len(similarities)))
    assert top_k(similarities, k) == brute_force(similarities, k)


@given(arrays(np.int64, st.integers(1, 40), elements=st.integers(-2, 2)), st.data())
def test_top_k_with_many_ties(similarities: Any, data: Any) -> None:
    """Whole numbers between -2 and 2: nearly everything is level with something."""
    k = data.draw(st.integers(1, len(similarities)))
    before = similarities.copy()
    assert top_k(similarities, k) == brute_force(similarities, k)
    np.testing.assert_array_equal(similarities, before)


@given(arrays(np.float64, 30, elements=st.floats(-5, 5)), st.integers(1, 29))
def test_one_more_keeps_what_was_there(similarities: Any, k: int) -> None:
    assert top_k(similarities, k + 1)[:k] == top_k(similarities, k)


def test_top_k_takes_infinities_and_lists() -> None:
    assert top_k([np.inf, 1.0, -np.inf], 3) == [0, 1, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_beyond_what_is_there(k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be between 1 and the 3 similarities, got {k}"):
        top_k(np.array([1.0, 2.0, 3.0]), k)


@pytest.mark.parametrize("k", [1.0, "1", None, True])
def test_k_of_another_kind(k: Any) -> None:
    with pytest.raises(TypeError, match="k must be a whole number"):
        top_k(np.array([1.0, 2.0]), k)


def test_k_may_be_a_number_of_numpy() -> None:
    assert top_k(np.array([1.0, 2.0]), np.int64(1)) == [1]  # type: ignore[arg-type]


def test_nothing_to_choose_from() -> None:
    with pytest.raises(ValueError, match="there are no similarities: add some before you search"):
        top_k(np.array([]), 1)


def test_nan_is_not_ranked() -> None:
    """NaN compares false with everything: a sort would put it anywhere."""
    with pytest.raises(ValueError, match="similarities must not be NaN, but position 1 is"):
        top_k(np.array([1.0, np.nan, np.nan]), 1)


# ---------------------------------------------------------------- ExactIndex


def test_search_by_hand() -> None:
    """Query (0.6, 0.8): its dot products are 0.6 with a, 0.8 with b, 0.6 * -1 = -0.6 with c, 0.36 + 0.64 = 1 with d."""
    index = ExactIndex().fit(np.array([[1, 0], [0, 1], [-1, 0], [0.6, 0.8]]), ["a", "b", "c", "d"])
    found = index.search(np.array([0.6, 0.8]), 3)
    assert [hit.chunk_id for hit in found] == ["d", "b", "a"]
    np.testing.assert_allclose([hit.score for hit in found], [1.0, 0.8, 0.6], rtol=1e-6)


@given(st.integers(1, 50), st.integers(1, 9), st.integers(0, 2**32 - 1), st.data())
def test_equal_to_brute_force_and_to_faiss(n: int, dim: int, seed: int, data: Any) -> None:
    import faiss

    k = data.draw(st.integers(1, n))
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, dim)).astype(np.float32)  # (n, dim)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = rng.standard_normal(dim).astype(np.float32)  # (dim,)
    query /= np.linalg.norm(query)
    ids = [f"{i:03d}" for i in rng.permutation(n)]
    found = ExactIndex().fit(vectors, ids).search(query, k)

    similarities = (vectors.astype(np.float64) @ query.astype(np.float64)).tolist()
    expected = sorted(zip(similarities, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))[:k]
    np.testing.assert_allclose([hit.score for hit in found], [score for score, _ in expected], atol=1e-6)
    theirs = faiss.IndexFlatIP(dim)
    theirs.add(vectors)
    scores, positions = theirs.search(query[None, :], k)
    np.testing.assert_allclose([hit.score for hit in found], scores[0], atol=1e-6)
    gaps = np.diff(sorted(similarities))
    if len(gaps) == 0 or gaps.min() > 1e-5:  # no two are level within rounding
        assert [hit.chunk_id for hit in found] == [name for _, name in expected] == [ids[i] for i in positions[0]]


@given(arrays(np.float32, (12, 3), elements=st.sampled_from([-1.0, 0.0, 1.0])), st.integers(1, 12), st.randoms())
def test_ties_fall_by_id_whatever_the_order(vectors: FloatArray, k: int, random: Any) -> None:
    """Small whole numbers are exact in float32, so what is level is level to the bit."""
    ids = [f"{i:02d}" for i in range(12)]
    query = np.array([1, 1, -1], np.float32)
    found = ExactIndex().fit(vectors, ids).search(query, k)
    assert found == ranked(Hit(name, float(vector @ query)) for name, vector in zip(ids, vectors, strict=True))[:k]
    order = list(range(12))
    random.shuffle(order)
    assert ExactIndex().fit(vectors[order], [ids[i] for i in order]).search(query, k) == found


def test_copies_of_one_vector_are_level_whatever_their_place() -> None:
    """The same 384 numbers twice must score the same to the bit, or the order of ties would depend on the machine."""
    rng = np.random.default_rng(5)
    vector = rng.standard_normal(384).astype(np.float32)
    vector /= np.linalg.norm(vector)
    for n in (2, 3, 5, 7, 17, 33, 100, 1001):
        query = rng.standard_normal(384).astype(np.float32)
        ids = [f"{i:04d}" for i in range(n)]
        found = ExactIndex().fit(np.tile(vector, (n, 1)), ids).search(query / np.linalg.norm(query), min(n, 5))
        assert [hit.chunk_id for hit in found] == ids[: min(n, 5)], n


def test_the_index_finds_what_it_holds() -> None:
    vectors = np.eye(5, 7, dtype=np.float32)
    index = ExactIndex().fit(vectors, list("edcba"))
    for name, vector in zip("edcba", vectors, strict=True):
        assert index.search(vector, 1) == [Hit(name, 1.0)]


def test_search_before_fit() -> None:
    with pytest.raises(NotFittedError, match=r"this index is empty: call fit\(embeddings, ids\) first"):
        ExactIndex().search(np.ones(3), 1)


def test_an_index_of_nothing() -> None:
    with pytest.raises(ValueError, match="there are no indexed chunks: add some before you search"):
        ExactIndex().fit(np.empty((0, 3)), []).search(np.ones(3), 1)


@pytest.mark.parametrize("k", [0, 3])
def test_k_beyond_the_index(k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be between 1 and the 2 indexed chunks, got {k}"):
        ExactIndex().fit(np.eye(2, 3), ["a", "b"]).search(np.ones(3), k)


def test_a_query_of_another_model() -> None:
    with pytest.raises(
        ValueError, match="query must have 3 columns like the index, got 4; embed both with the same model"
    ):
        ExactIndex().fit(np.eye(2, 3), ["a", "b"]).search(np.ones(4), 1)


def test_a_query_with_two_axes() -> None:
    with pytest.raises(ValueError, match="query must have two axes"):
        ExactIndex().fit(np.eye(2, 3), ["a", "b"]).search(np.ones((1, 3)), 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_in_a_query_or_a_vector(bad: float) -> None:
    vectors = np.eye(4, 3)
    with pytest.raises(ValueError, match="query must be finite, but row 0 holds NaN or infinity"):
        ExactIndex().fit(vectors, list("abcd")).search(np.array([1, bad, 0]), 1)
    vectors[2, 1] = bad
    with pytest.raises(ValueError, match="embeddings must be finite, but row 2 holds NaN or infinity"):
        ExactIndex().fit(vectors, list("abcd"))


def test_ids_and_vectors_must_agree() -> None:
    with pytest.raises(ValueError, match="ids must be one for each of the 3 embeddings, got 2"):
        ExactIndex().fit(np.eye(3), ["a", "b"])
    with pytest.raises(ValueError, match="an id comes twice"):
        ExactIndex().fit(np.eye(3), ["a", "b", "a"])
    with pytest.raises(ValueError, match=r"embeddings must have two axes \(n, dim\), got shape \(3,\)"):
        ExactIndex().fit(np.ones(3), ["a", "b", "c"])


# ---------------------------------------------------------------- many queries, ties, saving


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.data())
def test_many_queries_are_what_each_alone_is(n: int, seed: int, data: Any) -> None:
    """Whole numbers are exact in float32, so the two ways of multiplying agree to the bit, ties included."""
    k = data.draw(st.integers(1, n))
    rng = np.random.default_rng(seed)
    index = ExactIndex().fit(rng.integers(-2, 3, size=(n, 5)), [f"{i:03d}" for i in rng.permutation(n)])
    queries = rng.integers(-2, 3, size=(7, 5)).astype(np.float32)
    assert index.search_many(queries, k) == [index.search(query, k) for query in queries]


def test_more_queries_than_fit_into_one_block() -> None:
    rng = np.random.default_rng(3)
    index = ExactIndex().fit(rng.integers(-2, 3, size=(30, 4)), [f"{i:02d}" for i in range(30)])
    queries = rng.integers(-2, 3, size=(300, 4)).astype(np.float32)
    found = index.search_many(queries, 2)
    assert len(found) == 300 and found[299] == index.search(queries[299], 2)
    assert index.search_many(np.empty((0, 4)), 2) == []


def test_search_many_refuses_what_search_refuses() -> None:
    index = ExactIndex().fit(np.eye(3, 4), ["a", "b", "c"])
    with pytest.raises(ValueError, match="k must be between 1 and the 3 indexed chunks, got 4"):
        index.search_many(np.ones((2, 4)), 4)
    with pytest.raises(ValueError, match="queries must have 4 columns like the index, got 5"):
        index.search_many(np.ones((2, 5)), 1)
    with pytest.raises(ValueError, match="queries must be finite, but row 1"):
        index.search_many(np.array([[1, 0, 0, 0], [np.nan, 0, 0, 0]]), 1)
    with pytest.raises(NotFittedError):
        ExactIndex().search_many(np.ones((2, 4)), 1)


def test_size_by_hand() -> None:
    """3 vectors of 5 numbers of 4 bytes: 60."""
    index = ExactIndex().fit(np.eye(3, 5), ["a", "b", "c"])
    assert (len(index), index.n_bytes) == (3, 60)
    assert len(ExactIndex()) == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 9), st.integers(0, 99))
def test_k_best_settles_ties_of_any_search(scores: list[int], k: int, margin: int, seed: int) -> None:
    """A search that shuffles what ties, asked through k_best, gives what a full sort by score and id gives."""
    k, rng = min(k, len(scores)), np.random.default_rng(seed)
    hits = [Hit(f"{i:02d}", float(score)) for i, score in enumerate(scores)]

    def fetch(depth: int) -> list[Hit]:
        return sorted((hits[i] for i in rng.permutation(len(hits))), key=lambda hit: -hit.score)[:depth]

    assert k_best(fetch, k, len(hits), margin=margin) == ranked(hits)[:k]


def test_k_best_of_a_search_that_finds_fewer() -> None:
    assert k_best(lambda depth: [Hit("b", 1.0), Hit("a", 1.0)][:depth], 5, 100) == [Hit("a", 1.0), Hit("b", 1.0)]
    assert k_best(lambda depth: [], 5, 100) == []


def test_k_best_asks_no_deeper_than_it_must() -> None:
    asked = []

    def fetch(depth: int) -> list[Hit]:
        asked.append(depth)
        return [Hit(f"{i:03d}", 1.0 - i) for i in range(depth)]

    k_best(fetch, 5, 1000, margin=3)
    assert asked == [8]


def test_saved_and_loaded_it_answers_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    vectors = rng.standard_normal((20, 6)).astype(np.float32)
    index = ExactIndex().fit(vectors, [f"shelf/é{i:02d}" for i in range(20)])
    index.save(tmp_path / "index")
    again = ExactIndex.load(tmp_path / "index", dim=6)
    np.testing.assert_array_equal(again.embeddings_, vectors)
    assert again.search(vectors[3], 5) == index.search(vectors[3], 5)
    with pytest.raises(SavedIndexError, match="holds vectors of 6 dimensions, 7 are asked for"):
        ExactIndex.load(tmp_path / "index", dim=7)
    with pytest.raises(NotFittedError):
        ExactIndex().save(tmp_path / "other")


# ---------------------------------------------------------------- DenseRetriever

TEXTS = {
    "a": "Spain won the final at the stadium",
    "b": "A heat pump warms the house in winter",
    "c": "Seizures that last are an emergency",
    "d": "The heat pump failed and the house was cold",
    "e": "The final went to extra time and penalties",
}


def chunk(doc_id: str, number: int = 0, *, text: str = "", title: str = "Report") -> Chunk:
    text = text or TEXTS[doc_id]
    return Chunk(f"{doc_id}#{number:02d}", doc_id, title, DAY, text, 0, len(text))


CHUNKS = [chunk(name) for name in TEXTS]


class Counting:
    """An honest embedder, TF-IDF, and a note of what it was asked for."""

    def __init__(self) -> None:
        self.inner = TfidfEmbedder().fit([indexed_text(one) for one in CHUNKS])
        self.asked: list[list[str]] = []

    def __call__(self, texts: Any) -> FloatArray:
        self.asked.append(list(texts))
        return self.inner(texts)


@pytest.fixture
def embedder() -> Counting:
    return Counting()


@pytest.fixture
def retriever(embedder: Counting) -> DenseRetriever:
    return DenseRetriever(embedder).fit(CHUNKS)


def found(retriever: DenseRetriever, query: str, k: int) -> list[str]:
    return [hit.chunk_id for hit in retriever.search(query, k)]


def test_the_title_is_embedded_with_the_text() -> None:
    assert indexed_text(chunk("a", title="Madrid")) == "Madrid. Spain won the final at the stadium"
    index = DenseRetriever(TfidfEmbedder().fit(["Madrid Oslo won"]))
    index.fit([chunk("x", text="won", title="Oslo"), chunk("y", text="won", title="Madrid")])
    assert found(index, "Madrid", 1) == ["y#00"]


def test_search_finds_by_words(retriever: DenseRetriever) -> None:
    assert set(found(retriever, "heat pump house", 2)) == {"b#00", "d#00"}
    assert found(retriever, "seizures emergency", 1) == ["c#00"]
    assert retriever.chunk("c#00") is CHUNKS[2]
    assert len(retriever) == 5


def test_scores_are_cosines_and_fall(retriever: DenseRetriever) -> None:
    scores = [hit.score for hit in retriever.search("the final in the cold house", 5)]
    assert scores == sorted(scores, reverse=True)
    assert all(-1e-6 <= score <= 1 + 1e-6 for score in scores)
    assert retriever.search(indexed_text(CHUNKS[3]), 1)[0].score == pytest.approx(1, abs=1e-6)


def test_given_embeddings_are_not_computed_again(embedder: Counting) -> None:
    embeddings = embedder([indexed_text(one) for one in CHUNKS])
    embedder.asked.clear()
    retriever = DenseRetriever(embedder).fit(CHUNKS, embeddings)
    assert embedder.asked == []
    assert retriever.search("heat pump", 5) == DenseRetriever(embedder).fit(CHUNKS).search("heat pump", 5)


def test_add_embeds_only_what_is_new(retriever: DenseRetriever, embedder: Counting) -> None:
    embedder.asked.clear()
    new = chunk("f", text="The emergency room was cold")
    wider = retriever.add([new])
    assert embedder.asked == [[indexed_text(new)]]
    assert len(wider) == 6 and len(retriever) == 5  # the old one is as it was
    assert "f#00" in found(wider, "cold emergency room", 2)
    whole = DenseRetriever(embedder).fit([*CHUNKS, new])
    assert wider.search("the cold final", 6) == whole.search("the cold final", 6)


def test_add_refuses_an_id_that_is_there(retriever: DenseRetriever) -> None:
    with pytest.raises(ValueError, match="ids must differ"):
        retriever.add([chunk("a")])


def test_without_forgets_every_chunk_of_a_document(embedder: Counting) -> None:
    both = DenseRetriever(embedder).fit([*CHUNKS, chunk("b", 1, text="The heat pump stands in the cellar")])
    embedder.asked.clear()
    narrower = both.without("b", "c")
    assert embedder.asked == []
    assert found(narrower, "heat pump", 3)[0] == "d#00"
    assert {hit.chunk_id for hit in narrower.search("heat pump", 3)} == {"a#00", "d#00", "e#00"}
    assert len(both) == 6
    with pytest.raises(KeyError):
        narrower.chunk("b#01")


def test_without_then_add_is_where_it_was(retriever: DenseRetriever) -> None:
    back = retriever.without("c").add([CHUNKS[2]])
    assert back.search("the emergency house", 5) == retriever.search("the emergency house", 5)


def test_without_a_document_that_is_not_there(retriever: DenseRetriever) -> None:
    with pytest.raises(ValueError, match="doc_id must be in the index, but x, y is not"):
        retriever.without("a", "y", "x")


def test_without_the_last_document(retriever: DenseRetriever) -> None:
    with pytest.raises(ValueError, match="there are no indexed chunks"):
        retriever.without(*TEXTS).search("heat pump", 1)


def test_before_fit() -> None:
    for use in (lambda r: r.search("x", 1), lambda r: r.add(CHUNKS), lambda r: r.without("a")):
        with pytest.raises(NotFittedError, match=r"this retriever is empty: call fit\(chunks\) first"):
            use(DenseRetriever(Counting()))


@pytest.mark.parametrize(
    ("query", "error"), [("", ValueError), (" \n", ValueError), (None, TypeError), (b"heat", TypeError)]
)
def test_a_query_that_is_no_query(query: Any, error: type[Exception], retriever: DenseRetriever) -> None:
    with pytest.raises(error, match="query must"):
        retriever.search(query, 1)


def test_an_unknown_word_is_like_nothing(retriever: DenseRetriever) -> None:
    """TF-IDF knows no such word: every score is 0, and ties fall by id."""
    hits = retriever.search("xylophone", 5)
    assert [hit.score for hit in hits] == [0.0] * 5
    assert [hit.chunk_id for hit in hits] == ["a#00", "b#00", "c#00", "d#00", "e#00"]


def test_chunk_that_is_not_there(retriever: DenseRetriever) -> None:
    with pytest.raises(KeyError):
        retriever.chunk("nothing#00")


def test_k_beyond_the_chunks(retriever: DenseRetriever) -> None:
    with pytest.raises(ValueError, match="k must be between 1 and the 5 indexed chunks, got 6"):
        retriever.search("heat", 6)
