"""A vector database in a folder: chunks, vectors and metadata in LanceDB, searched by meaning, by words, or by both.

Every change is one version of the table, committed whole: another process reads the one before or the one after.
No server runs; with a folder, nothing leaves the machine.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from lancedb.index import FTS
from lancedb.query import MatchQuery

from course_lib.core.protocols import Embedder
from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.core.validate import FloatArray, require_k, require_matrix, require_text
from course_lib.retrieval.exact import DIGITS, indexed_text, k_best
from course_lib.retrieval.fusion import reciprocal_rank_fusion
from course_lib.retrieval.store_filter import EVERYTHING, Where, quoted
from course_lib.retrieval.store_table import (
    FORMAT,
    TABLE,
    VectorStoreError,
    connect,
    explained,
    identity,
    place,
    replaced_on,
    rows_of,
    schema_of,
)

__all__ = ["EVERYTHING", "StoreView", "VectorStore", "VectorStoreError", "Where", "replaced_on"]

DEPTH = 100  # hits of each kind that a hybrid query fuses
UNINDEXED = 500  # new rows that full text may scan before they are folded into its index
Mode = Literal["meaning", "words", "both"]


class VectorStore:
    """Chunks in a LanceDB table on disk, and the embedder that made their vectors. Use create or open to make one.

    As a retriever it searches by meaning in all chunks; view() gives one with a filter or another mode.
    """

    def __init__(self, folder: Path | str, table: Any, embedder: Embedder) -> None:
        self.folder, self.embedder = folder, embedder
        self._open_table: Any = table

    @classmethod
    def create(
        cls, folder: Path | str, embedder: Embedder, *, storage_options: Mapping[str, str] | None = None
    ) -> Self:
        """Make an empty store in a new or empty folder, or at a URI such as s3://bucket/store.

        storage_options: region, keys and the like for a URI, as LanceDB names them. Raises VectorStoreError if
        something is there already or the place cannot be written.
        """
        folder = place(folder)
        if isinstance(folder, Path) and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise VectorStoreError(f"{folder} is not empty: use VectorStore.open for a store, another folder otherwise")
        dim = int(embedder(["dimensions"]).shape[1])
        with explained(f"{folder} cannot be made a store"):
            database = connect(folder, storage_options)
            table = database.create_table(TABLE, schema=schema_of(dim, identity(embedder)))
        return cls(folder, table, embedder)

    @classmethod
    def open(cls, folder: Path | str, embedder: Embedder, *, storage_options: Mapping[str, str] | None = None) -> Self:
        """Open the store in folder or at a URI; what other processes write is seen from the next call on.

        Raises VectorStoreError if there is none, if it is damaged, or if its vectors are another embedder's.
        """
        folder = place(folder)
        if isinstance(folder, Path) and not (folder / f"{TABLE}.lance").is_dir():
            raise VectorStoreError(f"{folder} holds no store: make one with VectorStore.create")
        with explained(f"{folder} cannot be opened as a store"):
            table = connect(folder, storage_options).open_table(TABLE)
            metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if metadata.get("format") != FORMAT:
            found = metadata.get("format", "none")
            raise VectorStoreError(
                f"{folder} is of format {found}, this course reads {FORMAT}: make it again with create"
            )
        if metadata.get("embedder") != identity(embedder):
            raise VectorStoreError(
                f"{folder} holds vectors of {metadata.get('embedder')}, not of {identity(embedder)}: numbers of two "
                "models cannot be compared; open it with the first, or make a new store"
            )
        return cls(folder, table, embedder)

    def close(self) -> None:
        """Let go of the table; every later use raises VectorStoreError. All that was written is on disk already."""
        self._open_table = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _table(self) -> Any:
        if self._open_table is None:
            raise VectorStoreError(f"the store in {self.folder} is closed: open it again with VectorStore.open")
        return self._open_table

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return int(self._table.schema.field("vector").type.list_size)

    @property
    def version(self) -> int:
        """The number of the table's version: every change adds at least one."""
        return int(self._table.version)

    def __len__(self) -> int:
        return self.count()

    def count(self, where: Where = EVERYTHING) -> int:
        """Return how many chunks pass the filter."""
        with explained(f"the store in {self.folder} cannot be read"):
            return int(self._table.count_rows(where.sql() or None))

    def upsert(
        self,
        chunks: Sequence[Chunk],
        *,
        embeddings: FloatArray | None = None,
        replaced: Mapping[str, datetime.date] | None = None,
        whole: bool = False,
    ) -> tuple[int, int]:
        """Add new chunks and overwrite those whose chunk_id is there; return how many of each, in one commit.

        embeddings (n, dim): of `indexed_text` of each chunk, if they are known. replaced: doc_id -> day on which a later
        version took its place. whole: chunks of the same documents that are not among these go. Raises ValueError for a
        chunk_id that comes twice, or embeddings of another number or dim; the store is unchanged then.
        """
        names = [chunk.chunk_id for chunk in chunks]
        if len(set(names)) != len(names):
            raise ValueError("chunk_id must differ from one another: an id comes twice")
        if not chunks:
            return 0, 0
        if embeddings is None:
            embeddings = self.embedder([indexed_text(chunk) for chunk in chunks])
        vectors = require_matrix(embeddings, name="embeddings", dim=self.dim)
        if len(vectors) != len(chunks):
            raise ValueError(f"embeddings must be one for each of the {len(chunks)} chunks, got {len(vectors)}")
        rows = rows_of(chunks, vectors, replaced or {}, self._table.schema)
        merge = self._table.merge_insert("chunk_id").when_matched_update_all().when_not_matched_insert_all()
        if whole:
            merge = merge.when_not_matched_by_source_delete(f"doc_id IN ({quoted({chunk.doc_id for chunk in chunks})})")
        with explained(f"the store in {self.folder} cannot be written"):
            result = merge.execute(rows)
            self._index_words()
        return int(result.num_inserted_rows), int(result.num_updated_rows)

    def _index_words(self) -> None:
        indexes = {index.name for index in self._table.list_indices()}
        if not indexes:
            self._table.create_index("words", config=FTS(), name="words")
        elif self._table.index_stats("words").num_unindexed_rows > UNINDEXED:
            self._table.optimize()

    def delete(self, *, doc_ids: Sequence[str] = (), chunk_ids: Sequence[str] = ()) -> int:
        """Delete the chunks of these documents and these chunks; return how many went.

        Raises ValueError if one of them is not there, and deletes nothing then.
        """
        conditions = []
        for column, names in (("doc_id", doc_ids), ("chunk_id", chunk_ids)):
            if isinstance(names, str):
                raise TypeError(f"{column}s must be a list of str, got one str; write [{names!r:.60}]")
            if names:
                conditions.append(f"{column} IN ({quoted(names)})")
                missing = set(names) - set(self._values(column, conditions[-1]))
                if missing:
                    raise ValueError(f"{column} must be in the store, but {', '.join(sorted(missing))} is not")
        if not conditions:
            return 0
        with explained(f"the store in {self.folder} cannot be written"):
            return int(self._table.delete(" OR ".join(conditions)).num_deleted_rows)

    def mark_replaced(self, doc_id: str, on: datetime.date) -> int:
        """Note that a later version took the place of a document on a day; return how many chunks that concerns.

        Raises ValueError if the document is not there.
        """
        condition = f"doc_id = {quoted([doc_id])}"
        if not self._values("doc_id", condition):
            raise ValueError(f"doc_id must be in the store, but {doc_id} is not")
        with explained(f"the store in {self.folder} cannot be written"):
            return int(self._table.update(where=condition, values={"replaced_on": on}).rows_updated)

    def _values(self, column: str, condition: str) -> list[str]:
        with explained(f"the store in {self.folder} cannot be read"):
            found = self._table.search().where(condition).select([column]).limit(None).to_arrow()
        return [str(value) for value in found[column].to_pylist()]

    def nearest(self, vector: FloatArray, k: int, where: Where = EVERYTHING) -> Ranking:
        """Return the k chunks nearest to vector (dim,) among those that pass the filter, fewer if fewer pass.

        Exact: no index of vectors is built. Score: cosine, -1 to 1. The filter goes first, then the search.
        """
        query = require_matrix(np.asarray(vector)[None, :], name="vector", dim=self.dim)[0]
        return self._best(lambda: self._table.search(query).distance_type("cosine"), "_distance", k, where)

    def full_text(self, query: str, k: int, where: Where = EVERYTHING) -> Ranking:
        """Return the k chunks that match the words of query best, by LanceDB's BM25; only those that share a word.

        Words are lower-cased and stemmed, English stop words left out; query is text, never a query language.
        """
        match = MatchQuery(require_text(query, name="query"), "words")  # type: ignore[call-arg]
        return self._best(lambda: self._table.search(match, query_type="fts"), "_score", k, where)

    def hybrid(self, query: str, k: int, where: Where = EVERYTHING) -> Ranking:
        """Return the k best by meaning and words together: reciprocal rank fusion of the DEPTH best of each."""
        require_text(query, name="query")
        n = len(self)
        require_k(k, n, of="stored chunks")
        vector, depth = self.embedder([query])[0], min(max(DEPTH, k), n)
        rankings = [self.nearest(vector, depth, where), self.full_text(query, depth, where)]
        return reciprocal_rank_fusion(rankings)[:k]

    def _best(self, search: Any, column: str, k: int, where: Where) -> Ranking:
        n = len(self)
        require_k(k, n, of="stored chunks")
        condition = where.sql()

        def fetch(depth: int) -> list[Hit]:
            query = search().select(["chunk_id", column]).limit(depth)
            if condition:
                query = query.where(condition, prefilter=True)
            with explained(f"the store in {self.folder} cannot be read"):
                found = query.to_arrow()
            scores = np.array(found[column].to_pylist(), dtype=np.float64)
            scores = (1 - scores if column == "_distance" else scores).round(DIGITS)
            return [
                Hit(str(name), score)
                for name, score in zip(found["chunk_id"].to_pylist(), scores.tolist(), strict=True)
            ]

        return k_best(fetch, k, n)

    def search(self, query: str, k: int, *, where: Where = EVERYTHING, mode: Mode = "meaning") -> Ranking:
        """Return the k best chunks for a question, best first, fewer if fewer pass the filter."""
        if mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
        if mode == "words":
            return self.full_text(query, k, where)
        if mode == "both":
            return self.hybrid(query, k, where)
        return self.nearest(self.embedder([require_text(query, name="query")])[0], k, where)

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        columns = ["chunk_id", "doc_id", "title", "date", "text", "start", "end"]
        with explained(f"the store in {self.folder} cannot be read"):
            found = self._table.search().where(f"chunk_id = {quoted([chunk_id])}").select(columns).limit(1).to_list()
        if not found:
            raise KeyError(chunk_id)
        return Chunk(**{name: found[0][name] for name in columns})

    def view(self, *, where: Where = EVERYTHING, mode: Mode = "meaning") -> StoreView:
        """Return a retriever over the chunks that pass the filter; it reads the store, it copies nothing."""
        return StoreView(self, where, mode)


@dataclass(frozen=True)
class StoreView:
    """A store seen through a filter, searched in one mode: a retriever."""

    store: VectorStore
    where: Where = EVERYTHING
    mode: Mode = "meaning"

    def __len__(self) -> int:
        return self.store.count(self.where)

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks that pass the filter, fewer if fewer do."""
        return self.store.search(query, k, where=self.where, mode=self.mode)

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.store.chunk(chunk_id)
