"""Vectors kept on disk by key: two files that only grow, read row by row, safe with several processes at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from course_lib.assets import store
from course_lib.core.validate import FloatArray

KEY_BYTES = 16
ENTRY = np.dtype([("key", f"V{KEY_BYTES}"), ("crc", "<u4")])
VECTOR = np.dtype("<f4")


@dataclass(frozen=True)
class EmbeddingCache:
    """Row i of PATH.keys is a key and the CRC-32 of row i of PATH.vectors, which is dim float32 numbers.

    Rows are only ever added. A vector whose CRC is wrong, or that is cut short, counts as missing: it is made again
    and stored in a new row, and of two rows with one key the later holds.
    """

    path: Path
    dim: int

    @property
    def keys_path(self) -> Path:
        """The file of keys: 20 bytes a row."""
        return self.path.with_name(self.path.name + ".keys")

    @property
    def vectors_path(self) -> Path:
        """The file of vectors: 4 * dim bytes a row."""
        return self.path.with_name(self.path.name + ".vectors")

    def read(self, keys: Sequence[bytes]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Return (len(keys), dim) vectors and, for each key, whether it was found; rows not found hold zeros.

        Only the rows asked for are read, so memory grows with the question and not with the cache.
        """
        vectors = np.zeros((len(keys), self.dim), dtype=np.float32)  # (n, dim)
        found = np.zeros(len(keys), dtype=bool)  # (n,)
        entries = self._entries()
        row_of = {key: row for row, key in enumerate(entries["key"].tolist())}
        wanted = sorted((row_of[key], place) for place, key in enumerate(keys) if key in row_of)
        if not wanted or not self.vectors_path.is_file():
            return vectors, found
        with self.vectors_path.open("rb") as file:
            for row, places in _grouped(wanted):
                file.seek(row * self._row_bytes)
                data = file.read(self._row_bytes)
                if len(data) == self._row_bytes and zlib.crc32(data) == entries["crc"][row]:
                    vectors[places] = np.frombuffer(data, dtype=VECTOR)
                    found[places] = True
        return vectors, found

    def add(self, keys: Sequence[bytes], vectors: FloatArray) -> None:
        """Append vectors (n, dim) under their keys. Raises AssetError if the disk is full or the folder not writable.

        Vectors are written before keys, so that a process killed in between leaves no key without its vector.
        """
        rows = np.ascontiguousarray(vectors, dtype=VECTOR)  # (n, dim)
        if rows.shape != (len(keys), self.dim):
            raise ValueError(f"vectors must have shape ({len(keys)}, {self.dim}), one row a key, got {rows.shape}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with store.lock(self.path.parent.name):
                n_rows = len(self._entries())
                new = np.empty(len(keys), dtype=ENTRY)
                new["key"] = [np.void(key) for key in keys]
                new["crc"] = [zlib.crc32(row.tobytes()) for row in rows]
                _write_at(self.vectors_path, n_rows * self._row_bytes, rows.tobytes())
                _write_at(self.keys_path, n_rows * ENTRY.itemsize, new.tobytes())
        except OSError as error:
            raise store.AssetError(
                f"Embeddings cannot be kept in {self.path.parent} ({error.strerror or error}). "
                "Free some space there, or set COURSE_HOME to a folder of yours."
            ) from error

    @property
    def _row_bytes(self) -> int:
        return self.dim * VECTOR.itemsize

    def _entries(self) -> npt.NDArray[np.void]:
        data = self.keys_path.read_bytes() if self.keys_path.is_file() else b""
        return np.frombuffer(data[: len(data) // ENTRY.itemsize * ENTRY.itemsize], dtype=ENTRY)


def _grouped(wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    """Yield each row once, with all the places that want it; wanted: (row, place), sorted."""
    places: list[int] = []
    for i, (row, place) in enumerate(wanted):
        places.append(place)
        if i + 1 == len(wanted) or wanted[i + 1][0] != row:
            yield row, places
            places = []


def _write_at(path: Path, offset: int, data: bytes) -> None:
    """Write data at offset, over what a killed process left there half written.

    A file that is too short is filled with zeros up to there, whose CRC is wrong.
    """
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.seek(offset)
        file.write(data)
