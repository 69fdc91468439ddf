"""An index on disk: a folder of files and a manifest that says what they are.

A file carries a part of its own hash in its name, and the manifest names the files. So a save writes new files beside
the old ones, then replaces the manifest in one step: whoever reads meets the old index or the new one, never a half.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 1
MANIFEST = "manifest.json"
Writer = Callable[[Path], None]


class SavedIndexError(RuntimeError):
    """A folder does not hold an index that can be used here; the message says why and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a saved index is. files: role -> {"name", "bytes", "sha256"}; library: name and version that wrote it."""

    kind: str
    library: str
    dim: int
    n: int
    ids_sha256: str
    knobs: dict[str, int]
    seconds: float
    files: dict[str, dict[str, Any]]
    format: int = FORMAT


def ids_hash(ids: Sequence[str]) -> str:
    """Return the sha256 of the ids in their order: two indexes with equal hashes number the same chunks alike."""
    return hashlib.sha256(json.dumps(list(ids), ensure_ascii=False).encode()).hexdigest()


def write_index(
    folder: Path | str,
    *,
    kind: str,
    library: str,
    embeddings_shape: tuple[int, int],
    ids: Sequence[str],
    knobs: Mapping[str, int],
    seconds: float,
    writers: Mapping[str, Writer],
) -> Manifest:
    """Save an index: each writer makes the file of its role ("index.faiss"), ids.json is added, the manifest comes last.

    An index that lay there is replaced only when the new one is complete. Raises SavedIndexError if folder holds other
    things than a saved index, OSError if it cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).is_file())):
        raise SavedIndexError(f"{folder} holds other files than a saved index: name a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    files: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="saving.", dir=folder) as aside:
        for role, write in {**writers, "ids.json": _ids_writer(ids)}.items():
            path = Path(aside) / role
            write(path)
            digest = _sha256(path)
            name = f"{path.stem}-{digest[:16]}{path.suffix}"
            files[role] = {"name": name, "bytes": path.stat().st_size, "sha256": digest}
            path.replace(folder / name)
        n, dim = embeddings_shape
        manifest = Manifest(kind, library, dim, n, ids_hash(ids), dict(knobs), round(seconds, 3), files)
        draft = Path(aside) / MANIFEST
        draft.write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
        os.replace(draft, folder / MANIFEST)
    kept = {entry["name"] for entry in files.values()} | {MANIFEST}
    for path in before:
        if path.name not in kept and path.is_file():
            path.unlink(missing_ok=True)
    return manifest


def _ids_writer(ids: Sequence[str]) -> Writer:
    def write(path: Path) -> None:
        path.write_text(json.dumps(list(ids), ensure_ascii=False), encoding="utf-8")

    return write


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_index(
    folder: Path | str, *, kinds: Sequence[str], library: str, dim: int | None = None
) -> tuple[Manifest, dict[str, Path], list[str]]:
    """Return manifest, role -> path, and ids of a saved index, once every file is known to be whole.

    kinds: those that can be read here. library: name and version here; the first two numbers of the version must be
    those that saved it. dim: what the index must have, where it matters. Raises SavedIndexError for a folder without
    an index, another kind, version or dim, and a file that is missing or not what was written.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise SavedIndexError(f"{folder} holds no saved index ({MANIFEST} is missing): save one there first")
    again = "build the index again with fit, then save it"
    try:
        entry = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        saved_format = entry["format"]
        manifest = Manifest(**entry) if saved_format == FORMAT else None
    except (ValueError, TypeError, KeyError) as error:
        raise SavedIndexError(f"{folder / MANIFEST} cannot be read ({error}): {again}") from error
    if manifest is None:
        raise SavedIndexError(
            f"{folder} was saved in format {saved_format}, this course reads format {FORMAT}: {again}"
        )
    if manifest.kind not in kinds:
        raise SavedIndexError(f"{folder} holds an index of kind {manifest.kind!r}, this class reads {', '.join(kinds)}")
    if _minor(manifest.library) != _minor(library):
        raise SavedIndexError(f"{folder} was saved with {manifest.library}, here is {library}: {again}")
    if dim is not None and manifest.dim != dim:
        raise SavedIndexError(
            f"{folder} holds vectors of {manifest.dim} dimensions, {dim} are asked for: it was made with another model; {again}"
        )
    paths = {}
    for role, file in manifest.files.items():
        path = paths[role] = folder / file["name"]
        if not path.is_file():
            raise SavedIndexError(f"{path.name} is missing from {folder}: {again}")
        if path.stat().st_size != file["bytes"]:
            raise SavedIndexError(f"{path} has {path.stat().st_size:,} bytes instead of {file['bytes']:,}: {again}")
        if _sha256(path) != file["sha256"]:
            raise SavedIndexError(f"{path} is damaged (its sha256 is not the recorded one): {again}")
    ids = json.loads(paths["ids.json"].read_text(encoding="utf-8"))
    return manifest, paths, ids


def _minor(library: str) -> tuple[str, ...]:
    name, _, version = library.partition(" ")
    return (name, *version.split(".")[:2])
