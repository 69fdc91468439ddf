"""The vector database: against exact search and rank fusion, its filters, hostile text, damage, two processes."""

from __future__ import annotations

import datetime
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course_lib.core.protocols import Retriever
from course_lib.core.types import Chunk, Document, Hit
from course_lib.core.validate import FloatArray
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import reciprocal_rank_fusion
from course_lib.retrieval.store_filter import Where
from course_lib.retrieval.store_table import VectorStoreError, replaced_on
from course_lib.retrieval.vector_store import DEPTH, UNINDEXED, VectorStore

DAY = datetime.date(2026, 7, 19)
TEXTS = {
    "sport/final": ("Spain won the final in the stadium", 2026),
    "sport/semi": ("The final was reached on penalties", 2022),
    "home/pump": ("A heat pump warms the house in winter", 2021),
    "home/repair": ("The heat pump failed and the house was cold", 2023),
    "home/fee-2020": ("The fee for a late reading is 12 euros", 2020),
    "home/fee-2024": ("The fee for a late reading is 9 euros", 2024),
    "health/seizure": ("Seizures that last are an emergency", 2019),
}


def chunk(doc_id: str, number: int = 0, *, text: str = "", date: datetime.date | None = None) -> Chunk:
    words, year = TEXTS.get(doc_id, (text, 2025))
    text = text or words
    return Chunk(f"{doc_id}#{number:02d}", doc_id, "Report", date or datetime.date(year, 3, 1), text, 5, 5 + len(text))


CHUNKS = [chunk(name) for name in TEXTS]
REPLACED = {"home/fee-2020": datetime.date(2024, 3, 1)}


class Words(TfidfEmbedder):
    """An honest embedder, with a name for its vectors and a note of what it was asked for."""

    identity = "words-1"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def __call__(self, texts: Any) -> FloatArray:
        self.asked.append(list(texts))
        return super().__call__(texts)


@pytest.fixture(scope="module")
def embedder() -> Words:
    return Words().fit([indexed_text(one) for one in CHUNKS])


@pytest.fixture
def store(tmp_path: Path, embedder: Words) -> Iterator[VectorStore]:
    with VectorStore.create(tmp_path / "store", embedder) as store:
        store.upsert(CHUNKS, replaced=REPLACED)
        yield store


def names(ranking: list[Hit]) -> list[str]:
    return [hit.chunk_id.removesuffix("#00") for hit in ranking]


# ---------------------------------------------------------------- searching


def test_nearest_by_hand(tmp_path: Path) -> None:
    """Query (0.6, 0.8): 1 with d, 0.8 with b, 0.6 with a, -0.6 with c."""
    table = {"a": (1, 0), "b": (0, 1), "c": (-1, 0), "d": (0.6, 0.8)}

    def embed(texts: Any) -> FloatArray:
        return np.array([table.get(text[-1], (0.6, 0.8)) for text in texts], np.float32)

    store = VectorStore.create(tmp_path / "s", embed)
    store.upsert([chunk(f"x/{name}", text=name) for name in table])
    assert store.nearest(np.array([0.6, 0.8]), 4) == [
        Hit("x/d#00", 1.0), Hit("x/b#00", 0.8), Hit("x/a#00", 0.6), Hit("x/c#00", -0.6)
    ]  # fmt: skip


def test_equal_to_exact_search(store: VectorStore, embedder: Words) -> None:
    exact = DenseRetriever(embedder).fit(CHUNKS)
    for query in ("the heat pump in the cold house", "the final", "late fee in euros", "emergency"):
        theirs = exact.search(query, 7)
        ours = store.search(query, 7)
        assert [hit.chunk_id for hit in ours] == [hit.chunk_id for hit in theirs]
        np.testing.assert_allclose([hit.score for hit in ours], [hit.score for hit in theirs], atol=2e-6)


def test_it_is_a_retriever(store: VectorStore) -> None:
    def first(retriever: Retriever, query: str) -> Chunk:
        return retriever.chunk(retriever.search(query, 1)[0].chunk_id)

    assert first(store, "seizures") == CHUNKS[6]
    assert first(store.view(mode="both"), "Spain won") == CHUNKS[0]
    assert (len(store), len(store.view(where=Where(shelves=("home",))))) == (7, 4)
    with pytest.raises(KeyError, match="nothing#00"):
        store.chunk("nothing#00")


def test_level_hits_fall_by_id(tmp_path: Path) -> None:
    """Forty chunks with one vector, stored in another order than their ids'."""
    chunks = [chunk(f"x/{i:02d}", text="twins") for i in np.random.default_rng(2).permutation(40)]
    store = VectorStore.create(tmp_path / "s", lambda texts: np.tile(np.float32([0.6, 0.8]), (len(texts), 1)))
    store.upsert(chunks)
    for mode in ("meaning", "words", "both"):
        assert names(store.search("twins", 3, mode=mode)) == ["x/00", "x/01", "x/02"]  # type: ignore[arg-type]


def test_full_text_finds_words_and_only_those(store: VectorStore) -> None:
    assert set(names(store.full_text("pumps", 7))) == {"home/pump", "home/repair"}  # stemmed
    assert names(store.full_text("EMERGENCY", 7)) == ["health/seizure"]
    assert store.full_text("the in on", 7) == [] and store.full_text("xylophone", 7) == []
    scores = [hit.score for hit in store.full_text("the final of Spain in the house", 7)]
    assert len(scores) == 4 and scores == sorted(scores, reverse=True) and scores[0] > scores[-1] > 0


def test_hybrid_is_rank_fusion_of_both_as_the_database_itself_has_it(store: VectorStore, embedder: Words) -> None:
    from lancedb.query import MatchQuery
    from lancedb.rerankers import RRFReranker

    query = "final reading of the cold heat pump"
    vector = embedder([query])[0]
    found = store.hybrid(query, 7)
    assert found == reciprocal_rank_fusion([store.nearest(vector, 7), store.full_text(query, 7)])[:7]
    search = store._table.search(query_type="hybrid").vector(vector).distance_type("cosine")
    theirs = search.text(MatchQuery(query, "words")).rerank(RRFReranker(60)).limit(7).to_list()
    np.testing.assert_allclose([hit.score for hit in found], [row["_relevance_score"] for row in theirs], atol=5e-4)
    # what ties in one of the two rankings falls there as it lies, here by id: one rank apart
    assert [hit.chunk_id for hit in found[:4]] == [row["chunk_id"] for row in theirs[:4]]
    assert DEPTH >= 100


# ---------------------------------------------------------------- filters


def test_shelf_and_dates(store: VectorStore) -> None:
    everything = set(TEXTS)
    for where, expected in (
        (Where(), everything),
        (Where(shelves=("home",)), {name for name in TEXTS if name.startswith("home/")}),
        (Where(shelves=("home", "sport")), everything - {"health/seizure"}),
        (Where(shelves=("no such shelf",)), set()),
        (Where(since=datetime.date(2023, 3, 1)), {"sport/final", "home/repair", "home/fee-2024"}),
        (Where(until=datetime.date(2020, 3, 1)), {"home/fee-2020", "health/seizure"}),
        (Where(since=datetime.date(2021, 3, 1), until=datetime.date(2022, 3, 1)), {"home/pump", "sport/semi"}),
        (Where(in_force=True), everything - {"home/fee-2020"}),
        (Where(on=datetime.date(2024, 2, 29)), everything - {"home/fee-2024", "sport/final"}),
        (Where(on=datetime.date(2024, 3, 1)), everything - {"home/fee-2020", "sport/final"}),
        (Where(shelves=("home",), in_force=True, until=datetime.date(2021, 12, 31)), {"home/pump"}),
    ):
        for mode in ("meaning", "both"):
            assert set(names(store.search("late fee", 7, where=where, mode=mode))) == expected, where  # type: ignore[arg-type]
        assert store.count(where) == len(expected)
        assert set(names(store.full_text("late fee house final", 7, where))) <= expected


def test_the_filter_goes_first(store: VectorStore) -> None:
    """Forty that are better lie on another shelf: filtered after the search, nothing would be left."""
    store.upsert([chunk(f"home/more-{i:02d}", text="The heat pump of the house") for i in range(40)])
    assert not {"sport/final", "sport/semi"}.intersection(names(store.search("heat pump house", 40)))
    found = store.search("heat pump house", 2, where=Where(shelves=("sport",)))
    assert set(names(found)) == {"sport/final", "sport/semi"}
    assert names(store.full_text("heat pump house", 2, Where(until=datetime.date(2021, 12, 31)))) == ["home/pump"]


def test_titles_are_searched_by_words_too(store: VectorStore) -> None:
    store.upsert([replace(chunk("sport/old", text="Nothing of note."), title="Montevideo 1930")])
    assert names(store.full_text("montevideo", 5)) == ["sport/old"]


def test_in_force_follows_what_is_marked(store: VectorStore) -> None:
    view = store.view(where=Where(in_force=True))
    assert "home/pump" in names(view.search("heat pump", 6))
    assert store.mark_replaced("home/pump", DAY) == 1
    assert "home/pump" not in names(view.search("heat pump", 5))
    assert "home/pump" in names(store.search("heat pump", 7))
    with pytest.raises(ValueError, match="doc_id must be in the store, but home/nothing is not"):
        store.mark_replaced("home/nothing", DAY)


def test_days_of_replacement_by_hand() -> None:
    one, two, three = (Document(f"s/{y}", "s", "t", datetime.date(y, 1, 1), "x") for y in (2020, 2022, 2025))
    chain = [replace(one, superseded_by="s/2022"), replace(two, superseded_by="s/2025"), three]
    assert replaced_on(chain) == {"s/2020": datetime.date(2022, 1, 1), "s/2022": datetime.date(2025, 1, 1)}
    with pytest.raises(ValueError, match="must hold s/2025, which replaced s/2022; pass the whole shelf"):
        replaced_on(chain[:2])


HOSTILE = ["o'x", "a\\", "a\\'", "x' OR '1'='1", "x'); DROP TABLE chunks; --", "\x00", "new\nline", "日本🙂", "%", '"']


def test_text_in_a_filter_is_never_read_as_sql(store: VectorStore) -> None:
    for text in HOSTILE:
        assert store.count(Where(shelves=(text,))) == 0
        assert store.search("heat pump", 3, where=Where(shelves=(text,))) == []
        for act in (lambda t=text: store.delete(doc_ids=[t]), lambda t=text: store.delete(chunk_ids=[t]),
                    lambda t=text: store.mark_replaced(t, DAY)):  # fmt: skip
            with pytest.raises(ValueError, match="must be in the store"):
                act()
        with pytest.raises(KeyError):
            store.chunk(text)
    assert len(store) == 7 and store.count(Where(in_force=True)) == 6


def test_hostile_names_are_stored_found_and_deleted(store: VectorStore) -> None:
    """The same ten as ids and shelves: each is found by its own filter, and deleting it takes nothing else along."""
    rows = [replace(chunk("home/pump"), chunk_id=f"{text}/x#00", doc_id=f"{text}/x") for text in HOSTILE]
    assert store.upsert(rows) == (10, 0)
    for text, row in zip(HOSTILE, rows, strict=True):
        assert [hit.chunk_id for hit in store.search("pump", 3, where=Where(shelves=(text,)))] == [row.chunk_id]
        assert store.chunk(row.chunk_id) == row
        assert store.upsert([row], whole=True) == (0, 1)
        assert store.delete(doc_ids=[row.doc_id]) == 1
    assert len(store) == 7


def test_a_query_is_text_not_a_query_language(store: VectorStore) -> None:
    for query in ('"final', "final AND (", "words:final", "final*", "+final -Spain", "final^5", "~final", "final\x00"):
        assert "sport/semi" in names(store.full_text(query, 7)), query
    assert store.full_text("' OR 1=1 --", 7) == []
    long = "pump " * 10_000
    assert names(store.full_text(long, 2)) and names(store.hybrid(long, 2))


# ---------------------------------------------------------------- changing


def test_upsert_adds_and_overwrites(store: VectorStore, embedder: Words) -> None:
    embedder.asked.clear()
    changed = chunk("home/pump", text="A boat crossed the cold sea")
    new = chunk("sport/boats", text="Boats raced in the final")
    assert store.upsert([changed, new]) == (1, 1)
    assert embedder.asked == [[indexed_text(changed), indexed_text(new)]]
    assert len(store) == 8 and store.chunk("home/pump#00") == changed
    assert "home/pump" not in names(store.full_text("winter", 8))
    assert set(names(store.full_text("boats", 8))) == {"home/pump", "sport/boats"}
    assert store.upsert([]) == (0, 0)


def test_upsert_keeps_no_leftover_of_a_document_that_shrank(store: VectorStore) -> None:
    parts = [chunk("home/long", i, text=f"Part {i} of the guide") for i in range(3)]
    store.upsert(parts)
    store.upsert(parts[:1])
    assert store.count() == 10  # by chunk_id alone, the two others stay
    assert store.upsert(parts[:1], whole=True) == (0, 1)
    assert store.count() == 8 and names(store.full_text("guide", 8)) == ["home/long"]


def test_delete_by_document_and_by_chunk(store: VectorStore) -> None:
    store.upsert([chunk("home/pump", 1, text="A second part about the pump")])
    assert store.delete(doc_ids=["home/pump"], chunk_ids=["health/seizure#00"]) == 3
    assert len(store) == 5
    assert names(store.full_text("pump", 5)) == ["home/repair"]
    assert store.delete(doc_ids=["home/repair"], chunk_ids=["home/repair#00"]) == 1  # named twice, gone once
    assert store.delete() == 0


def test_delete_what_is_not_there_deletes_nothing(store: VectorStore) -> None:
    with pytest.raises(ValueError, match="doc_id must be in the store, but a/b, c/d is not"):
        store.delete(doc_ids=["home/pump", "c/d", "a/b"])
    with pytest.raises(ValueError, match="chunk_id must be in the store, but home/pump is not"):
        store.delete(doc_ids=["home/pump"], chunk_ids=["home/pump"])
    with pytest.raises(TypeError, match=r"doc_ids must be a list of str, got one str; write \['home/pump'\]"):
        store.delete(doc_ids="home/pump")
    with pytest.raises(TypeError, match="a filter compares with text"):
        store.delete(chunk_ids=[3])  # type: ignore[list-item]
    assert len(store) == 7


@pytest.mark.parametrize(
    ("embeddings", "words"),
    [
        (np.ones((2, 5)), "embeddings must have .* columns like the index, got 5"),
        (np.ones((1, 99)), "embeddings must have"),
        (np.full((2, 0), 1.0), "embeddings must have"),
    ],
)
def test_vectors_that_do_not_fit_change_nothing(embeddings: Any, words: str, store: VectorStore) -> None:
    before = store.version
    with pytest.raises(ValueError, match=words):
        store.upsert([chunk("home/pump", text="new"), chunk("x/y", text="new")], embeddings=embeddings)
    assert store.version == before and store.chunk("home/pump#00") == CHUNKS[2]


def test_what_upsert_refuses(store: VectorStore) -> None:
    vectors = np.eye(2, store.dim, dtype=np.float32)
    vectors[1, 0] = np.nan
    rows = [chunk("x/y", text="one"), chunk("x/z", text="two")]
    with pytest.raises(ValueError, match="embeddings must be finite, but row 1"):
        store.upsert(rows, embeddings=vectors)
    with pytest.raises(ValueError, match="embeddings must be one for each of the 2 chunks, got 1"):
        store.upsert(rows, embeddings=vectors[:1])
    with pytest.raises(ValueError, match="an id comes twice"):
        store.upsert([rows[0], rows[0]])
    assert len(store) == 7


def test_new_words_are_found_before_and_after_they_are_indexed(store: VectorStore) -> None:
    """Full text scans what its index does not hold yet; past UNINDEXED new rows they are folded in."""
    vectors = np.tile(np.eye(1, store.dim, dtype=np.float32), (UNINDEXED + 1, 1))
    store.upsert([chunk("x/early", text="zanzibar")], embeddings=vectors[:1])
    assert names(store.full_text("zanzibar", 5)) == ["x/early"]
    store.upsert([chunk(f"x/{i:04d}", text=f"row {i}") for i in range(UNINDEXED + 1)], embeddings=vectors)
    assert store._table.index_stats("words").num_unindexed_rows == 0
    assert names(store.full_text("zanzibar", 5)) == ["x/early"]
    assert names(store.full_text("321", 5)) == ["x/0321"]


# ---------------------------------------------------------------- bad queries


@pytest.mark.parametrize("mode", ["meaning", "words", "both"])
@pytest.mark.parametrize(
    ("query", "error"), [("", ValueError), (" \n", ValueError), (None, TypeError), (b"x", TypeError)]
)
def test_a_query_that_is_no_query(mode: Any, query: Any, error: type[Exception], store: VectorStore) -> None:
    with pytest.raises(error, match="query must"):
        store.search(query, 1, mode=mode)


@pytest.mark.parametrize("mode", ["meaning", "words", "both"])
def test_k_out_of_range(mode: Any, store: VectorStore, tmp_path: Path, embedder: Words) -> None:
    for k in (0, 8):
        with pytest.raises(ValueError, match=f"k must be between 1 and the 7 stored chunks, got {k}"):
            store.search("final", k, mode=mode)
    with pytest.raises(TypeError, match="k must be a whole number"):
        store.search("final", 1.5, mode=mode)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there are no stored chunks: add some before you search"):
        VectorStore.create(tmp_path / "empty", embedder).search("final", 1, mode=mode)


def test_a_vector_of_another_model_and_an_unknown_mode(store: VectorStore) -> None:
    with pytest.raises(ValueError, match="vector must have .* columns like the index, got 3"):
        store.nearest(np.ones(3), 1)
    with pytest.raises(ValueError, match="vector must be finite"):
        store.nearest(np.full(store.dim, np.nan), 1)
    with pytest.raises(ValueError, match="mode must be one of meaning, words, both, got 'fuzzy'"):
        store.search("final", 1, mode="fuzzy")  # type: ignore[arg-type]


# ---------------------------------------------------------------- opening, closing, damage


def test_reopened_it_is_as_it_was(store: VectorStore, embedder: Words) -> None:
    before = {mode: store.search("the final of the heat pump", 7, mode=mode) for mode in ("meaning", "words", "both")}  # type: ignore[arg-type]
    store.close()
    with VectorStore.open(store.folder, embedder) as again:
        assert len(again) == 7 and again.chunk("home/pump#00") == CHUNKS[2]
        for mode, ranking in before.items():
            assert again.search("the final of the heat pump", 7, mode=mode) == ranking  # type: ignore[arg-type]
        assert again.count(Where(in_force=True)) == 6


def test_a_uri_in_place_of_a_folder(tmp_path: Path, embedder: Words) -> None:
    """file:// takes the road that s3:// takes, but for the network."""
    uri = f"file://{tmp_path}/store"
    with VectorStore.create(uri, embedder, storage_options={"timeout": "10s"}) as store:
        store.upsert(CHUNKS, replaced=REPLACED)
        before = store.search("heat pump", 3, mode="both")
    with VectorStore.open(uri, embedder) as again:
        assert again.folder == uri and again.search("heat pump", 3, mode="both") == before
    with pytest.raises(VectorStoreError, match="cannot be made a store"):
        VectorStore.create(uri, embedder)
    with pytest.raises(VectorStoreError, match="cannot be opened as a store: Table 'chunks' was not found"):
        VectorStore.open(f"file://{tmp_path}/other", embedder)


def test_closed_is_closed(store: VectorStore) -> None:
    store.close()
    store.close()
    for use in (lambda: store.search("x", 1), lambda: len(store), lambda: store.upsert(CHUNKS), lambda: store.chunk("a"),
                lambda: store.delete(doc_ids=["a"])):  # fmt: skip
        with pytest.raises(VectorStoreError, match=r"is closed: open it again with VectorStore.open"):
            use()


def test_where_there_is_no_store(tmp_path: Path, embedder: Words) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(VectorStoreError, match="holds no store: make one with VectorStore.create"):
            VectorStore.open(folder, embedder)
    assert not (tmp_path / "nothing").exists()  # looking for it did not make it


def test_where_something_else_is(tmp_path: Path, embedder: Words, store: VectorStore) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for folder in (tmp_path, tmp_path / "thesis.txt", store.folder):
        with pytest.raises(VectorStoreError, match="is not empty: use VectorStore.open for a store"):
            VectorStore.create(folder, embedder)
    assert len(store) == 7


def test_vectors_of_another_embedder(store: VectorStore) -> None:
    other = Words().fit(["other words"])
    other.identity = "words-2"  # type: ignore[misc]
    with pytest.raises(VectorStoreError, match="holds vectors of words-1, not of words-2: numbers of two models"):
        VectorStore.open(store.folder, other)


def test_a_store_of_another_format(store: VectorStore, embedder: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.retrieval.vector_store.FORMAT", "2")
    with pytest.raises(VectorStoreError, match="is of format 1, this course reads 2: make it again"):
        VectorStore.open(store.folder, embedder)


def test_a_damaged_store_is_told(store: VectorStore, embedder: Words) -> None:
    store.close()
    for path in (Path(store.folder) / "chunks.lance" / "data").glob("*.lance"):
        path.write_bytes(path.read_bytes()[:64])
    with pytest.raises(VectorStoreError, match="cannot be (opened|read)"):
        VectorStore.open(store.folder, embedder).search("final", 1)
    for path in (Path(store.folder) / "chunks.lance" / "_versions").iterdir():
        path.write_bytes(b"not a manifest")
    with pytest.raises(VectorStoreError, match="cannot be opened as a store"):
        VectorStore.open(store.folder, embedder)


def test_it_works_from_another_thread(store: VectorStore) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(store.search("final", 2)))
    thread.start()
    thread.join()
    assert found == [store.search("final", 2)]


WRITER = """
    import datetime, sys
    import numpy as np
    from course_lib.core.types import Chunk
    from course_lib.retrieval.vector_store import VectorStore

    def embed(texts):
        return np.tile(np.float32([0.6, 0.8]), (len(texts), 1))

    store = VectorStore.open(sys.argv[1], embed)
    for batch in range(8):
        names = [f"x/{batch}-{i:02d}" for i in range(50)]
        store.upsert([Chunk(n + "#00", n, "t", datetime.date(2026, 1, 1), f"batch {batch}", 0, 7) for n in names])
        print(batch, flush=True)
    store.delete(doc_ids=[f"x/0-{i:02d}" for i in range(50)])
    print("done", flush=True)
"""


def test_one_process_reads_while_another_writes(tmp_path: Path) -> None:
    """Fifty rows a commit: a reader that ever saw half a commit would count a number that 50 does not divide."""

    def embed(texts: Any) -> FloatArray:
        return np.tile(np.float32([0.6, 0.8]), (len(texts), 1))

    VectorStore.create(tmp_path / "s", embed).close()
    reader = VectorStore.open(tmp_path / "s", embed)
    code = textwrap.dedent(WRITER)
    counts = []
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "s")], stdout=subprocess.PIPE, text=True
    ) as writer:
        while writer.poll() is None:
            counts.append(len(reader))
            if counts[-1]:
                assert len(reader.nearest(np.array([0.6, 0.8]), 20)) == 20
                assert reader.full_text("batch", 5)
        assert writer.stdout is not None and writer.stdout.read().split() == [*map(str, range(8)), "done"]
    assert all(count % 50 == 0 for count in counts) and len(set(counts)) > 1
    assert len(reader) == 350  # seen without opening again
    assert reader.count(Where(shelves=("x",))) == 350
