"""The table under a vector store: its columns, its rows, its connection, and its errors in words."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from course_lib.core.protocols import Embedder
from course_lib.core.seeds import thread_count
from course_lib.core.types import Chunk, Document
from course_lib.core.validate import FloatArray
from course_lib.retrieval.exact import indexed_text

FORMAT = "1"
TABLE = "chunks"


class VectorStoreError(RuntimeError):
    """A store cannot be made, opened, read or written; the message says why and what to do."""


def replaced_on(documents: Iterable[Document]) -> dict[str, datetime.date]:
    """Return doc_id -> the date of the version after it, for every document that a later version replaced.

    Raises ValueError if the later version is not among the documents: its date is not known then.
    """
    dates = {document.doc_id: document for document in documents}
    replaced = {}
    for document in dates.values():
        if document.superseded_by:
            if document.superseded_by not in dates:
                raise ValueError(
                    f"documents must hold {document.superseded_by}, which replaced {document.doc_id}; pass the whole shelf"
                )
            replaced[document.doc_id] = dates[document.superseded_by].date
    return replaced


def place(folder: Path | str) -> Path | str:
    """Return a URI such as s3://bucket/store as it is, anything else as a Path."""
    return folder if isinstance(folder, str) and "://" in folder else Path(folder)


def connect(folder: Path | str, storage_options: Mapping[str, str] | None = None) -> Any:
    """Return LanceDB's connection to a folder or URI; every read looks for what other processes have written."""
    os.environ.setdefault("LANCE_CPU_THREADS", str(thread_count()))
    import lancedb

    options = dict(storage_options) if storage_options else None
    return lancedb.connect(folder, storage_options=options, read_consistency_interval=datetime.timedelta(0))


def identity(embedder: Embedder) -> str:
    """Return the name that an embedder's vectors are told by: its identity, or its class."""
    return str(getattr(embedder, "identity", type(embedder).__name__))


def schema_of(dim: int, embedder: str) -> pa.Schema:
    """Return the columns of a store; its metadata name the format and the embedder."""
    fields = [(name, pa.string()) for name in ("chunk_id", "doc_id", "shelf", "title", "text", "words")]
    fields += [("date", pa.date32()), ("replaced_on", pa.date32()), ("start", pa.int32()), ("end", pa.int32())]
    fields += [("vector", pa.list_(pa.float32(), dim))]
    return pa.schema(fields, metadata={"format": FORMAT, "embedder": embedder})


def rows_of(
    chunks: Sequence[Chunk], vectors: FloatArray, replaced: Mapping[str, datetime.date], schema: pa.Schema
) -> pa.Table:
    """Return chunks with their vectors (n, dim) as a table; shelf is the first part of doc_id."""
    columns: dict[str, Any] = {
        name: [getattr(chunk, name) for chunk in chunks]
        for name in ("chunk_id", "doc_id", "title", "text", "date", "start", "end")
    }
    columns["shelf"] = [chunk.doc_id.partition("/")[0] for chunk in chunks]
    columns["words"] = [indexed_text(chunk) for chunk in chunks]
    columns["replaced_on"] = [replaced.get(chunk.doc_id) for chunk in chunks]
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the errors of the database, of several kinds, into one that says what was tried."""
    try:
        yield
    except VectorStoreError:
        raise
    except (RuntimeError, OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise VectorStoreError(f"{what}: {reason}") from error
