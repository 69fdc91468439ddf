"""The file of a BM25 index: its arrays, and a header that says what they are and which version wrote them."""

from __future__ import annotations

import datetime
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.core.types import Chunk

FORMAT, VERSION = "course BM25 index", 1
Arrays = Mapping[str, npt.NDArray[Any]]


def write_index(path: Path, header: Mapping[str, Any], arrays: Arrays) -> None:
    """Write header (plain data) and arrays to path, whole or not at all: an index that is there stays until then."""
    text = json.dumps({"format": FORMAT, "version": VERSION, **header}, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    with aside.open("wb") as file:
        np.savez(file, header=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    aside.replace(path)


def read_index(path: Path, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return header and the arrays of these names.

    Raises FileNotFoundError if there is no file, ValueError if it is damaged, no index, or of another version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no index at {path}; build one: FastBM25Retriever().fit(chunks).save(path)")
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            if header["format"] != FORMAT:
                raise KeyError(header["format"])
            arrays = {name: file[name] for name in names} if header["version"] == VERSION else {}
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is no BM25 index, or is damaged; build it again with fit(chunks).save(path)"
        ) from error
    if header["version"] != VERSION:
        raise ValueError(
            f"{path} was saved as version {header['version']}, but version {VERSION} is read here; "
            "build it again with fit(chunks).save(path)"
        )
    return header, arrays


def chunks_to_rows(chunks: Sequence[Chunk]) -> list[list[Any]]:
    """Return chunks as plain data."""
    return [[c.chunk_id, c.doc_id, c.title, c.date.isoformat(), c.text, c.start, c.end] for c in chunks]


def rows_to_chunks(rows: Sequence[Sequence[Any]]) -> list[Chunk]:
    """Return the chunks that `chunks_to_rows` described."""
    return [Chunk(row[0], row[1], row[2], datetime.date.fromisoformat(row[3]), *row[4:]) for row in rows]
