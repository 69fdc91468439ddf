"""FAISS indexes: Flat equals brute force, the others are measured against it, knobs are checked, saving is safe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.types import ranked
from course_lib.core.validate import FloatArray, NotFittedError
from course_lib.retrieval.exact import ExactIndex
from course_lib.retrieval.faiss_index import FaissIndex, load_faiss
from course_lib.retrieval.faiss_knobs import KNOBS, RANGES
from course_lib.retrieval.index_folder import SavedIndexError
from course_lib.retrieval.index_trial import neighbour_recall

N, DIM = 900, 24
SMALL = {  # knobs that 900 vectors of 24 numbers are enough for
    "flat": {},
    "ivf": {"nlist": 16, "nprobe": 4},
    "hnsw": {"M": 8, "ef_construction": 50, "ef_search": 32},
    "pq": {"m": 12, "nbits": 4},
    "ivf_pq": {"nlist": 16, "nprobe": 4, "m": 12, "nbits": 4},
}


def unit(vectors: Any) -> FloatArray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    """Thirty clouds of thirty vectors: like sentences, near to some and far from most."""
    rng = np.random.default_rng(21)
    centres = rng.standard_normal((30, DIM))
    return unit(np.repeat(centres, 30, axis=0) + 0.5 * rng.standard_normal((N, DIM)))  # (N, DIM)


@pytest.fixture(scope="module")
def queries(vectors: FloatArray) -> FloatArray:
    rng = np.random.default_rng(22)
    return unit(vectors[::15] + 0.1 * rng.standard_normal((60, DIM)))  # (60, DIM)


@pytest.fixture(scope="module")
def ids() -> list[str]:
    return [f"{i:04d}" for i in np.random.default_rng(23).permutation(N)]


@pytest.fixture(scope="module")
def fitted(vectors: FloatArray, ids: list[str]) -> dict[str, FaissIndex]:
    return {kind: FaissIndex(kind, **knobs).fit(vectors, ids) for kind, knobs in SMALL.items()}


@pytest.fixture(scope="module")
def true(fitted: dict[str, FaissIndex], queries: FloatArray) -> Any:
    return fitted["flat"].nearest(queries, 10)[1]  # (60, 10)


def recall(index: FaissIndex, queries: FloatArray, true: Any) -> float:
    return float(neighbour_recall(index.nearest(queries, true.shape[1])[1], true).mean())


# ---------------------------------------------------------------- Flat is exact


def test_flat_by_hand() -> None:
    """Query (0.6, 0.8): 0.36 + 0.64 = 1 with d, 0.8 with b, 0.6 with a, -0.6 with c."""
    index = FaissIndex("flat").fit(np.array([[1, 0], [0, 1], [-1, 0], [0.6, 0.8]]), ["a", "b", "c", "d"])
    found = index.search(np.array([0.6, 0.8]), 3)
    assert [hit.chunk_id for hit in found] == ["d", "b", "a"]
    np.testing.assert_allclose([hit.score for hit in found], [1.0, 0.8, 0.6], rtol=1e-6)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 2**32 - 1), st.data())
def test_flat_equals_brute_force(n: int, dim: int, seed: int, data: Any) -> None:
    """Whole numbers are exact in float32: the rankings agree to the bit, with many ties."""
    k = data.draw(st.integers(1, n))
    rng = np.random.default_rng(seed)
    matrix, names = rng.integers(-2, 3, size=(n, dim)), [f"{i:03d}" for i in rng.permutation(n)]
    flat, exact = FaissIndex("flat").fit(matrix, names), ExactIndex().fit(matrix, names)
    queries = rng.integers(-2, 3, size=(4, dim)).astype(np.float32)
    assert flat.search_many(queries, k) == exact.search_many(queries, k)
    assert flat.search(queries[0], k) == exact.search(queries[0], k)


def test_flat_equals_brute_force_on_real_numbers(
    fitted: dict[str, FaissIndex], vectors: FloatArray, queries: FloatArray, ids: list[str]
) -> None:
    exact = ExactIndex().fit(vectors, ids).search_many(queries, 7)
    for ours, theirs in zip(fitted["flat"].search_many(queries, 7), exact, strict=True):
        assert [hit.chunk_id for hit in ours] == [hit.chunk_id for hit in theirs]
        np.testing.assert_allclose([hit.score for hit in ours], [hit.score for hit in theirs], atol=2e-6)


# ---------------------------------------------------------------- the others, measured against it


@pytest.mark.parametrize(("kind", "least"), [("ivf", 0.9), ("hnsw", 0.9), ("pq", 0.5), ("ivf_pq", 0.45)])
def test_recall_of_each_kind(
    kind: str, least: float, fitted: dict[str, FaissIndex], queries: FloatArray, true: Any
) -> None:
    found = recall(fitted[kind], queries, true)
    assert least < found <= 1
    shuffled = np.random.default_rng(1).permutation(N)[: true.size].reshape(true.shape)
    assert neighbour_recall(shuffled, true).mean() < 0.1  # chance: 10 of 900


def test_every_list_searched_is_exact(fitted: dict[str, FaissIndex], queries: FloatArray, true: Any) -> None:
    index = fitted["ivf"].turn(nprobe=16)
    assert recall(index, queries, true) == 1
    assert index.search_many(queries, 5) == fitted["flat"].search_many(queries, 5)
    index.turn(nprobe=4)


def test_more_probes_find_more(fitted: dict[str, FaissIndex], queries: FloatArray, true: Any) -> None:
    index = fitted["ivf"]
    values = [recall(index.turn(nprobe=nprobe), queries, true) for nprobe in (1, 2, 4, 8, 16)]
    index.turn(nprobe=4)
    assert values == sorted(values) and values[0] < values[-1] == 1


def test_more_candidates_find_more(fitted: dict[str, FaissIndex], queries: FloatArray, true: Any) -> None:
    index = fitted["hnsw"]
    values = [recall(index.turn(ef_search=ef), queries, true) for ef in (10, 400)]
    index.turn(ef_search=32)
    assert values[0] <= values[1] and values[1] > 0.99


def test_more_pieces_find_more_and_take_more(
    vectors: FloatArray, ids: list[str], queries: FloatArray, true: Any
) -> None:
    indexes = [FaissIndex("pq", m=m, nbits=4).fit(vectors, ids) for m in (4, 12, 24)]
    values = [recall(index, queries, true) for index in indexes]
    assert values == sorted(values) and values[0] < values[2]
    assert indexes[0].n_bytes < indexes[1].n_bytes < indexes[2].n_bytes


def test_scores_of_pq_are_estimates(fitted: dict[str, FaissIndex], vectors: FloatArray, queries: FloatArray) -> None:
    scores, positions = fitted["pq"].nearest(queries, 10)
    exact = np.take_along_axis(queries @ vectors.T, positions, axis=1)  # (60, 10)
    assert 0 < np.abs(scores - exact).mean() < 0.2
    for kind in ("ivf", "hnsw"):
        scores, positions = fitted[kind].nearest(queries, 10)
        np.testing.assert_allclose(scores, np.take_along_axis(queries @ vectors.T, positions, axis=1), atol=1e-5)


def test_bytes_by_hand(fitted: dict[str, FaissIndex]) -> None:
    """Flat: 900 x 24 x 4 = 86,400 and a header. PQ: 12 pieces of 4 bits are 6 bytes a vector, and 12 tables of 16
    centres of 2 numbers: 5,400 + 1,536."""
    assert 86_400 <= fitted["flat"].n_bytes < 86_600
    assert 5_400 + 1_536 <= fitted["pq"].n_bytes < 5_400 + 1_536 + 200
    assert fitted["hnsw"].n_bytes > fitted["flat"].n_bytes  # the graph comes on top


# ---------------------------------------------------------------- one interface


@pytest.mark.parametrize("kind", SMALL)
def test_every_kind_finds_what_it_holds(
    kind: str, fitted: dict[str, FaissIndex], vectors: FloatArray, ids: list[str]
) -> None:
    index = fitted[kind]
    assert (len(index), index.dim) == (N, DIM) and index.seconds_ > 0
    hits = index.search(vectors[5], 3)
    assert len(hits) == 3 and ids[5] in [hit.chunk_id for hit in hits]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    (alone,) = index.search_many(vectors[5:6], 3)
    assert alone == hits


@pytest.mark.parametrize("kind", SMALL)
def test_copies_of_one_vector_fall_by_id(kind: str, vectors: FloatArray) -> None:
    """Every vector comes twenty times over, so that ties straddle the tenth place; ids decide, whatever the kind.

    A graph need not reach all copies: they crowd out each other's links.
    """
    matrix = np.repeat(vectors[:45], 20, axis=0)
    names = [f"{i:04d}" for i in np.random.default_rng(5).permutation(N)]
    hits = FaissIndex(kind, **SMALL[kind]).fit(matrix, names).search(vectors[7], 10)
    assert len(hits) == 10 and hits == ranked(hits)
    if kind != "hnsw":
        assert len({hit.score for hit in hits}) == 1
    if kind in ("flat", "ivf"):
        assert [hit.chunk_id for hit in hits] == sorted(names[140:160])[:10]


def test_what_is_built_is_what_was_asked_for(fitted: dict[str, FaissIndex]) -> None:
    ivf, hnsw, pq = (fitted[kind].index_ for kind in ("ivf", "hnsw", "pq"))
    centres = ivf.quantizer.reconstruct_n(0, 16)  # (nlist, DIM)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-5)  # like the vectors
    assert (ivf.nlist, ivf.nprobe, ivf.ntotal) == (16, 4, N)
    assert (hnsw.hnsw.efConstruction, hnsw.hnsw.efSearch, hnsw.hnsw.nb_neighbors(1)) == (50, 32, 8)
    assert (pq.pq.M, pq.pq.nbits, pq.pq.dsub) == (12, 4, 2)


@pytest.mark.parametrize("kind", ["ivf", "ivf_pq"])
def test_a_list_that_holds_fewer_gives_fewer(kind: str, vectors: FloatArray, ids: list[str]) -> None:
    index = FaissIndex(kind, **SMALL[kind] | {"nprobe": 1}).fit(vectors, ids)
    hits = index.search(vectors[0], 500)
    assert 0 < len(hits) < 500
    assert (index.nearest(vectors[:1], 500)[1] == -1).sum() == 500 - len(hits)


def test_the_same_data_gives_the_same_index(vectors: FloatArray, ids: list[str], queries: FloatArray) -> None:
    for kind in ("ivf", "pq", "ivf_pq"):
        one, other = (FaissIndex(kind, **SMALL[kind]).fit(vectors, ids) for _ in range(2))
        assert one.search_many(queries, 5) == other.search_many(queries, 5)


def test_codes_are_made_in_parts(
    fitted: dict[str, FaissIndex],
    vectors: FloatArray,
    ids: list[str],
    queries: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("course_lib.retrieval.faiss_index.ADDED_AT_ONCE", 7)  # 900 is no multiple of 7
    for kind in ("pq", "ivf_pq"):
        parts = FaissIndex(kind, **SMALL[kind]).fit(vectors, ids)
        assert parts.search_many(queries, 5) == fitted[kind].search_many(queries, 5)


def test_the_vectors_given_are_left_alone(vectors: FloatArray, ids: list[str]) -> None:
    before = vectors.copy()
    FaissIndex("ivf_pq", **SMALL["ivf_pq"]).fit(vectors, ids)
    np.testing.assert_array_equal(vectors, before)


def test_threads_are_those_of_the_course(monkeypatch: pytest.MonkeyPatch, vectors: FloatArray, ids: list[str]) -> None:
    monkeypatch.setenv("COURSE_THREADS", "1")
    index = FaissIndex("flat").fit(vectors, ids)
    assert faiss.omp_get_max_threads() == 1
    monkeypatch.setenv("COURSE_THREADS", "2")
    index.search(vectors[0], 1)
    assert faiss.omp_get_max_threads() == 2


def test_on_a_mac_one_thread_and_two_openmps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a Mac, but what we would ask of one; Linux is left alone."""
    monkeypatch.delenv("KMP_DUPLICATE_LIB_OK", raising=False)
    assert load_faiss().omp_get_max_threads() == 2 and "KMP_DUPLICATE_LIB_OK" not in os.environ
    with monkeypatch.context() as patch:
        patch.setattr("course_lib.retrieval.faiss_index.sys.platform", "darwin")
        assert load_faiss().omp_get_max_threads() == 1 and os.environ.pop("KMP_DUPLICATE_LIB_OK") == "TRUE"
    assert load_faiss().omp_get_max_threads() == 2


# ---------------------------------------------------------------- knobs


def test_defaults_are_within_their_ranges() -> None:
    for knobs in KNOBS.values():
        assert all(RANGES[name][0] <= value <= RANGES[name][1] for name, value in knobs.items())
    assert FaissIndex("hnsw", M=4).knobs == KNOBS["hnsw"] | {"M": 4}


@pytest.mark.parametrize(
    ("kind", "knobs", "words"),
    [
        ("annoy", {}, "kind must be one of flat, ivf, hnsw, pq, ivf_pq, got 'annoy'"),
        ("hnsw", {"nprobe": 4}, "nprobe is no knob of kind 'hnsw'; its knobs: M, ef_construction, ef_search"),
        ("flat", {"nlist": 4}, "nlist is no knob of kind 'flat'; its knobs: none"),
        ("ivf", {"nlist": 0}, "nlist must be between 1 and 65536, got 0"),
        ("ivf", {"nlist": 8, "nprobe": 9}, "nprobe must be at most nlist, got 9 of 8 lists"),
        ("pq", {"nbits": 9}, "nbits must be between 4 and 8, got 9"),
        ("hnsw", {"ef_search": -1}, "ef_search must be between 1 and 10000, got -1"),
    ],
)
def test_a_knob_that_is_wrong(kind: str, knobs: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FaissIndex(kind, **knobs)


@pytest.mark.parametrize("value", [2.0, "8", None, True])
def test_a_knob_of_another_kind(value: Any) -> None:
    with pytest.raises(TypeError, match="nprobe must be a whole number"):
        FaissIndex("ivf", nprobe=value)


def test_knobs_that_can_be_turned_and_those_that_cannot(fitted: dict[str, FaissIndex]) -> None:
    index = fitted["ivf"]
    assert index.turn(nprobe=np.int64(2)).knobs["nprobe"] == index.index_.nprobe == 2
    for bad, words in (
        ({"nprobe": 17}, "nprobe must be at most nlist, got 17 of 16"),
        ({"nlist": 4}, "nlist is fixed when the index is built; only nprobe and ef_search can be turned"),
        ({"ef_search": 9}, "ef_search is no knob of kind 'ivf'"),
    ):
        with pytest.raises(ValueError, match=words):
            index.turn(**bad)
        assert index.knobs == SMALL["ivf"] | {"nprobe": 2} and index.index_.nprobe == 2  # as before
    index.turn(nprobe=4)
    with pytest.raises(NotFittedError):
        FaissIndex("ivf").turn(nprobe=1)


# ---------------------------------------------------------------- data that does not fit


def test_too_few_vectors_to_learn_from(vectors: FloatArray, ids: list[str]) -> None:
    """16 centres x 39 = 624."""
    with pytest.raises(
        ValueError, match=r"nlist=16 needs at least 39 x 16 = 624 vectors to learn 16 centres from, got 623"
    ):
        FaissIndex("ivf", **SMALL["ivf"]).fit(vectors[:623], ids[:623])
    FaissIndex("ivf", **SMALL["ivf"]).fit(vectors[:624], ids[:624])
    with pytest.raises(ValueError, match="nbits=8 needs at least 39 x 256 = 9,984 vectors"):
        FaissIndex("pq", m=12).fit(vectors, ids)


def test_faiss_has_nothing_to_complain_about(
    vectors: FloatArray, ids: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """It warns on stderr, from C++, where k-means has too little: what we let through must be silent."""
    FaissIndex("ivf_pq", **SMALL["ivf_pq"]).fit(vectors[:624], ids[:624]).search(vectors[0], 3)
    assert capfd.readouterr().err == ""


def test_pieces_that_do_not_divide(vectors: FloatArray, ids: list[str]) -> None:
    with pytest.raises(ValueError, match=r"m must divide the 24 dimensions, got 7; near it do: \[3, 4, 6, 8\]"):
        FaissIndex("pq", m=7, nbits=4).fit(vectors, ids)


@pytest.mark.parametrize("kind", SMALL)
def test_an_index_of_nothing(kind: str) -> None:
    words = "there are no indexed chunks" if kind == "flat" else "cannot be fitted on none; use 'flat'"
    with pytest.raises(ValueError, match=words):
        FaissIndex(kind, **SMALL[kind]).fit(np.empty((0, DIM)), []).search(np.ones(DIM), 1)


def test_what_is_not_finite_or_does_not_agree(fitted: dict[str, FaissIndex], vectors: FloatArray) -> None:
    broken = vectors.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match="embeddings must be finite, but row 3"):
        FaissIndex("hnsw").fit(broken, [str(i) for i in range(N)])
    with pytest.raises(ValueError, match="ids must be one for each of the 900 embeddings, got 2"):
        FaissIndex("flat").fit(vectors, ["a", "b"])
    with pytest.raises(ValueError, match="an id comes twice"):
        FaissIndex("flat").fit(vectors[:2], ["a", "a"])
    for index in fitted.values():
        with pytest.raises(ValueError, match="query must be finite"):
            index.search(broken[3], 1)
        with pytest.raises(ValueError, match="queries must have 24 columns like the index, got 5"):
            index.search_many(np.ones((2, 5)), 1)
        with pytest.raises(ValueError, match="query must have 24 columns"):
            index.search(np.ones(5), 1)
        for k in (0, N + 1):
            with pytest.raises(ValueError, match=f"k must be between 1 and the 900 indexed chunks, got {k}"):
                index.search(vectors[0], k)
        with pytest.raises(TypeError, match="k must be a whole number"):
            index.search_many(vectors[:2], 2.0)  # type: ignore[arg-type]
        assert index.search_many(np.empty((0, DIM)), 3) == []


@pytest.mark.parametrize("kind", SMALL)
def test_before_fit(kind: str, tmp_path: Path) -> None:
    index = FaissIndex(kind, **SMALL[kind])
    assert len(index) == 0
    for use in (
        lambda: index.search(np.ones(3), 1),
        lambda: index.search_many(np.ones((1, 3)), 1),
        lambda: index.nearest(np.ones((1, 3)), 1),
        lambda: index.n_bytes,
        lambda: index.save(tmp_path / "x"),
    ):
        with pytest.raises(NotFittedError, match=r"call fit\(embeddings, ids\) first"):
            use()


# ---------------------------------------------------------------- saving


@pytest.mark.parametrize("kind", SMALL)
def test_saved_and_loaded_it_answers_alike(
    kind: str, fitted: dict[str, FaissIndex], queries: FloatArray, tmp_path: Path
) -> None:
    index = fitted[kind]
    index.save(tmp_path / "index")
    again = FaissIndex.load(tmp_path / "index", dim=DIM)
    assert (again.kind, again.knobs, again.ids_) == (index.kind, index.knobs, index.ids_)
    assert again.seconds_ == pytest.approx(index.seconds_, abs=1e-3)
    assert again.search_many(queries, 6) == index.search_many(queries, 6)
    file = next((tmp_path / "index").glob("*.faiss"))
    assert file.stat().st_size == index.n_bytes


def test_a_turned_knob_is_saved(fitted: dict[str, FaissIndex], tmp_path: Path) -> None:
    fitted["ivf"].turn(nprobe=2).save(tmp_path)
    again = FaissIndex.load(tmp_path)
    assert again.knobs["nprobe"] == again.index_.nprobe == 2
    fitted["ivf"].turn(nprobe=4)


def test_what_cannot_be_loaded(fitted: dict[str, FaissIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted["pq"].save(tmp_path)
    with pytest.raises(SavedIndexError, match="24 dimensions, 384 are asked for"):
        FaissIndex.load(tmp_path, dim=384)
    with pytest.raises(SavedIndexError, match="kind 'pq', this class reads exact"):
        ExactIndex.load(tmp_path)
    with (
        monkeypatch.context() as patch,
        pytest.raises(SavedIndexError, match=rf"saved with faiss {faiss.__version__}, here is faiss 0\.9"),
    ):
        patch.setattr("course_lib.retrieval.faiss_index._version", lambda: "faiss 0.9")
        FaissIndex.load(tmp_path)
    file = next(tmp_path.glob("*.faiss"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(SavedIndexError, match="has 100 bytes instead of"):
        FaissIndex.load(tmp_path)
    fitted["pq"].save(tmp_path)  # a damaged one can be saved over
    assert len(FaissIndex.load(tmp_path)) == N
