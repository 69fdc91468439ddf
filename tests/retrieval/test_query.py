"""A query made into several texts: what is searched, how it is put together, and what changes nothing."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.core.validate import FloatArray
from course_lib.retrieval.bm25 import BM25Retriever
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import reciprocal_rank_fusion
from course_lib.retrieval.query import (
    Transformed,
    TransformedRetriever,
    in_turns,
    mean_vector,
    same_words,
    transformed,
    unchanged,
)

TEXTS = {
    "dam/hoover": "The Hoover dam on the Colorado is 221 metres tall",
    "dam/alta": "The Alta dam in Norway is 145 metres tall",
    "dam/list": "A list of every dam: tall dams, taller dams, the Hoover dam, the Alta dam and others",
    "sun/cells": "Solar cells turn light into power",
    "sun/roof": "Panels on the roof feed the grid",
    "wind/mill": "A turbine turns in the wind",
}


def chunk(name: str, text: str) -> Chunk:
    return Chunk(f"{name}#00", name, name, datetime.date(2024, 1, 1), text, 0, len(text))


CHUNKS = [chunk(name, text) for name, text in TEXTS.items()]


@pytest.fixture(scope="module")
def dense() -> DenseRetriever:
    return DenseRetriever(TfidfEmbedder().fit([indexed_text(one) for one in CHUNKS])).fit(CHUNKS)


@pytest.fixture(scope="module")
def bm25() -> BM25Retriever:
    return BM25Retriever().fit(CHUNKS)


def names(ranking: Ranking) -> list[str]:
    return [hit.chunk_id.removesuffix("#00") for hit in ranking]


def ranking_of(*letters: str) -> Ranking:
    return [Hit(letter, 1 - 0.1 * place) for place, letter in enumerate(letters)]


# ---------------------------------------------------------------- what is searched


def test_the_query_comes_first_and_no_text_twice() -> None:
    made = transformed("How tall is it?", ["The height", "how tall  is it", " the HEIGHT. ", "", "Its size"])
    assert made.texts == ("How tall is it?", "The height", "Its size")
    assert (made.query, made.fuse, made.note) == ("How tall is it?", "rank", "")


def test_the_query_can_be_left_out() -> None:
    assert transformed("How tall is it?", ["The height"], keep_original=False).texts == ("The height",)


@pytest.mark.parametrize(
    ("made", "keep"), list(itertools.product([[], ["", "  "], ["how tall is IT"], ["?", "..."]], [True, False]))
)
def test_where_nothing_was_made_the_query_is_searched_and_a_note_says_so(made: list[str], keep: bool) -> None:
    result = transformed("How tall is it?", made, keep_original=keep)
    assert [same_words(text) for text in result.texts] == ["how tall is it"]
    assert result.note == "nothing was made of the query: it is searched as it stands"


def test_a_note_that_is_given_is_kept() -> None:
    assert transformed("x y", [], note="the model refused").note == "the model refused"


def test_unchanged_is_the_query_alone() -> None:
    assert unchanged("How tall?") == Transformed("How tall?", ("How tall?",))


@given(st.lists(st.text(), max_size=5), st.text(min_size=1).filter(lambda text: bool(same_words(text))), st.booleans())
def test_texts_always_differ_and_never_fail(made: list[str], query: str, keep: bool) -> None:
    texts = transformed(query, made, keep_original=keep).texts
    assert texts and len({same_words(text) for text in texts}) == len(texts)
    assert texts[0] == query.strip() or not keep


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("q", ()), "texts must hold at least one text to search, got none for the query 'q'"),
        (("q", ("a", "A ")), "texts must differ from one another"),
        (("q", ("a", " ")), "texts must not be empty"),
        (("q", ("a",), "sum"), "fuse must be one of rank, turns, mean, got 'sum'"),
    ],
)
def test_what_cannot_be_searched_is_refused(arguments: tuple[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Transformed(*arguments)


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_is_refused(query: str, bm25: BM25Retriever) -> None:
    retriever = TransformedRetriever(bm25, lambda text: Transformed(text, ("a dam",)))
    calls: list[Callable[[], object]] = [
        lambda: unchanged(query),
        lambda: transformed(query, ["a"]),
        lambda: retriever.search(query, 1),
        lambda: retriever.explain(query, 1),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="query must not be empty"):
            call()


def test_a_query_of_marks_only_is_searched_as_it_stands() -> None:
    assert transformed("???", ["...", "!"]).texts == ("???",)


# ---------------------------------------------------------------- the mean


def test_the_mean_by_hand() -> None:
    """(1, 0) and (0, 1): mean (.5, .5), of length sqrt(.5), scaled to (.7071, .7071). (1, 0) twice stays (1, 0)."""
    np.testing.assert_allclose(mean_vector(np.array([[1, 0], [0, 1]], np.float32)), [0.70711, 0.70711], atol=1e-5)
    np.testing.assert_allclose(mean_vector(np.array([[1, 0], [1, 0]], np.float32)), [1, 0])


@given(st.integers(1, 6), st.integers(2, 7), st.integers(0, 99))
def test_the_mean_has_length_one_and_knows_no_order(n: int, dim: int, seed: int) -> None:
    vectors = np.abs(np.random.default_rng(seed).standard_normal((n, dim))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = mean_vector(vectors)
    assert np.linalg.norm(mean) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(mean, mean_vector(vectors[::-1]), atol=1e-5)
    assert (vectors @ mean).sum() >= max((vectors @ vector).sum() for vector in vectors) - 1e-4


def test_no_mean_of_nothing_or_of_opposites() -> None:
    with pytest.raises(ValueError, match="at least one vector"):
        mean_vector(np.empty((0, 3), np.float32))
    with pytest.raises(ValueError, match="cancel out"):
        mean_vector(np.array([[1, 0], [-1, 0]], np.float32))
    with pytest.raises(ValueError, match="finite"):
        mean_vector(np.array([[np.nan, 0]], np.float32))


# ---------------------------------------------------------------- in turns


def test_turns_by_hand() -> None:
    """a b c, b d, e: first places a b e, second places b (there already) d, third c. Scores 1, 1/2, 1/3, 1/4, 1/5."""
    fused = in_turns([ranking_of("a", "b", "c"), ranking_of("b", "d"), ranking_of("e")])
    assert names(fused) == ["a", "b", "e", "d", "c"]
    assert [hit.score for hit in fused] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert in_turns([]) == [] and in_turns([[], []]) == []


@given(st.lists(st.permutations("abcdef").map(lambda letters: ranking_of(*letters[:4])), min_size=1, max_size=4))
def test_turns_give_every_ranking_its_share(rankings: list[Ranking]) -> None:
    fused = in_turns(rankings)
    found = names(fused)
    assert sorted(found) == sorted({hit.chunk_id for ranking in rankings for hit in ranking})
    for depth in (1, 2, 3):
        first = {hit.chunk_id for ranking in rankings for hit in ranking[:depth]}
        assert set(found[: len(first)]) == first, "the first of each come before the next of any"
    assert all(a.score > b.score for a, b in itertools.pairwise(fused))


def test_rrf_wants_agreement_and_turns_do_not() -> None:
    """x stands at the third place of both rankings and wins RRF, 2 / 63 > 1 / 61; in turns, the first of each come first.

    This is why the sides of a comparison, which have different passages, are taken in turns.
    """
    sides = [ranking_of("a", "b", "x"), ranking_of("c", "d", "x")]
    assert names(reciprocal_rank_fusion(sides))[0] == "x"
    assert names(in_turns(sides)) == ["a", "c", "b", "d", "x"]


# ---------------------------------------------------------------- the retriever


def made_of(*texts: str, fuse: str = "rank") -> Callable[[str], Transformed]:
    return lambda query: Transformed(query, texts, fuse)  # type: ignore[arg-type]


@pytest.mark.parametrize("fuse", ["rank", "turns", "mean"])
def test_one_text_gives_exactly_the_inner_ranking(fuse: str, dense: DenseRetriever) -> None:
    """Scores included: an unchanged query is the baseline, whatever the fusion."""
    outer = TransformedRetriever(dense, made_of("How tall is the Hoover dam?", fuse=fuse))
    for k in range(1, len(CHUNKS) + 1):
        assert outer.search("anything", k) == dense.search("How tall is the Hoover dam?", k)


def test_rank_fusion_is_rrf_of_what_each_text_finds(bm25: BM25Retriever) -> None:
    texts = ("the Hoover dam", "the Alta dam in Norway", "solar power")
    trace = TransformedRetriever(bm25, made_of(*texts)).explain("q", 6)
    rankings = [bm25.search(text, 6) for text in texts]
    assert list(trace.rankings) == rankings and trace.transformed.texts == texts
    assert trace.fused == reciprocal_rank_fusion(rankings)[:6]


def test_turns_bring_both_sides_of_a_comparison_first(bm25: BM25Retriever) -> None:
    whole = names(bm25.search("Which dam is taller: the list of every dam?", 1))
    assert whole == ["dam/list"]
    trace = TransformedRetriever(bm25, made_of("Hoover Colorado", "Alta Norway", fuse="turns")).explain("q", 2)
    assert names(trace.fused) == ["dam/hoover", "dam/alta"]


def test_the_mean_searches_once_between_its_texts(dense: DenseRetriever) -> None:
    texts = ("Solar cells", "A turbine in the wind")
    trace = TransformedRetriever(dense, made_of(*texts, fuse="mean")).explain("q", 2)
    vectors = dense.embedder(texts)
    assert trace.fused == dense.index_.search(mean_vector(vectors), 2)
    assert set(names(trace.fused)) == {"sun/cells", "wind/mill"}
    assert [names(ranking)[0] for ranking in trace.rankings] == ["sun/cells", "wind/mill"]


def test_the_trace_says_which_text_found_a_chunk(bm25: BM25Retriever) -> None:
    trace = TransformedRetriever(bm25, made_of("Hoover dam Colorado", "solar cells light"), depth=2).explain("q", 2)
    assert (1, 1) in trace.sources("dam/hoover#00") and (2, 1) in trace.sources("sun/cells#00")
    assert trace.sources("nowhere#00") == []
    for hit in trace.fused:
        for text, rank in trace.sources(hit.chunk_id):
            assert trace.rankings[text - 1][rank - 1].chunk_id == hit.chunk_id


def test_vectors_of_a_retriever_without_any(bm25: BM25Retriever) -> None:
    with pytest.raises(TypeError, match="fuse='mean' averages vectors, but BM25Retriever is not searched by vector"):
        TransformedRetriever(bm25, made_of("a dam", "the wind", fuse="mean")).search("q", 1)


@pytest.mark.parametrize("k", [0, -1, 7, 100])
def test_k_out_of_range(k: int, dense: DenseRetriever) -> None:
    with pytest.raises(ValueError, match=f"k must be between 1 and the 6 indexed chunks, got {k}"):
        TransformedRetriever(dense, unchanged).search("a dam", k)


def test_k_beyond_depth_still_gives_k(dense: DenseRetriever) -> None:
    assert len(TransformedRetriever(dense, made_of("dam", "wind"), depth=1).search("q", 5)) == 5


def test_depth_must_hold_a_hit(dense: DenseRetriever) -> None:
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        TransformedRetriever(dense, unchanged, depth=0)


def test_it_is_a_retriever_itself(dense: DenseRetriever) -> None:
    outer = TransformedRetriever(TransformedRetriever(dense, unchanged), unchanged)
    assert len(outer) == 6 and outer.chunk("sun/roof#00") is dense.chunk("sun/roof#00")
    assert outer.search("panels", 3) == dense.search("panels", 3)
    with pytest.raises(KeyError):
        outer.chunk("nowhere")


def test_each_text_is_embedded_once_for_a_mean() -> None:
    class Counts:
        def __init__(self) -> None:
            self.inner, self.n = TfidfEmbedder().fit([indexed_text(one) for one in CHUNKS]), 0

        def __call__(self, texts: Sequence[str]) -> FloatArray:
            self.n += len(texts)
            return self.inner(texts)

    embedder = Counts()
    retriever = DenseRetriever(embedder).fit(CHUNKS)
    before = embedder.n
    TransformedRetriever(retriever, made_of("a dam", "the wind", "solar", fuse="mean")).search("q", 3)
    assert embedder.n - before == 3
