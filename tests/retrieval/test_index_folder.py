"""Saved indexes: whole or refused, replaced in one step, never mixed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from course_lib.retrieval.index_folder import MANIFEST, SavedIndexError, ids_hash, read_index, write_index

IDS = ["a#00", "ü#01", "c'#02"]


def save(folder: Path, text: str = "vectors", *, ids: list[str] = IDS, **changes: Any) -> None:
    options: dict[str, Any] = {
        "kind": "flat",
        "library": "faiss 1.15.1",
        "embeddings_shape": (len(ids), 5),
        "ids": ids,
        "knobs": {"nlist": 4},
        "seconds": 1.23456,
        "writers": {"index.faiss": lambda path: path.write_text(text)},
    }
    write_index(folder, **{**options, **changes})


def load(folder: Path, **changes: Any) -> Any:
    return read_index(folder, **{"kinds": ["flat", "ivf"], "library": "faiss 1.15.7", **changes})


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    save(tmp_path / "new" / "index")
    manifest, paths, ids = load(tmp_path / "new" / "index", dim=5)
    assert ids == IDS and paths["index.faiss"].read_text() == "vectors"
    assert (manifest.kind, manifest.library, manifest.n, manifest.dim) == ("flat", "faiss 1.15.1", 3, 5)
    assert manifest.knobs == {"nlist": 4} and manifest.seconds == 1.235
    assert manifest.ids_sha256 == ids_hash(IDS)


def test_the_hash_of_ids_minds_order_and_borders() -> None:
    hashes = {ids_hash(ids) for ids in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""], ['a", "b'], [])}
    assert len(hashes) == 6
    assert ids_hash(["a", "b"]) == ids_hash(("a", "b"))


def test_saving_again_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    save(tmp_path, "one")
    save(tmp_path, "two", ids=["x", "y", "z"])
    _, paths, ids = load(tmp_path)
    assert paths["index.faiss"].read_text() == "two" and ids == ["x", "y", "z"]
    assert len(list(tmp_path.iterdir())) == 3  # index, ids, manifest
    save(tmp_path, "two", ids=["x", "y", "z"])  # the same once more: the files that are there are kept
    assert load(tmp_path)[2] == ["x", "y", "z"]


def test_a_save_that_fails_loses_nothing(tmp_path: Path) -> None:
    save(tmp_path, "one")

    def fails(path: Path) -> None:
        path.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, writers={"index.faiss": fails})
    _, paths, ids = load(tmp_path)
    assert paths["index.faiss"].read_text() == "one" and ids == IDS
    assert len(list(tmp_path.iterdir())) == 3


def test_a_process_killed_before_the_manifest_leaves_the_old_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, "one")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("course_lib.retrieval.index_folder.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, "two")
    monkeypatch.undo()
    assert load(tmp_path)[1]["index.faiss"].read_text() == "one"
    save(tmp_path, "three")
    assert load(tmp_path)[1]["index.faiss"].read_text() == "three"
    assert len(list(tmp_path.iterdir())) == 3  # what the killed one left is gone


def test_a_folder_of_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SavedIndexError, match="holds other files than a saved index: name a new or an empty folder"):
        save(tmp_path)
    with pytest.raises(SavedIndexError, match="holds other files"):
        save(tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_without_an_index(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(SavedIndexError, match=r"holds no saved index \(manifest.json is missing\)"):
            load(folder)


def changed(folder: Path, **entries: Any) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_an_index_of_another_version(tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(
        SavedIndexError, match=r"saved with faiss 1\.15\.1, here is faiss 1\.9\.0: build the index again"
    ):
        load(tmp_path, library="faiss 1.9.0")
    with pytest.raises(SavedIndexError, match=r"here is faiss 2\.15\.1"):
        load(tmp_path, library="faiss 2.15.1")
    with pytest.raises(SavedIndexError, match=r"here is npy 1\.15"):
        load(tmp_path, library="npy 1.15")
    changed(tmp_path, format=2)
    with pytest.raises(SavedIndexError, match="saved in format 2, this course reads format 1"):
        load(tmp_path)


def test_an_index_of_another_kind_or_dim(tmp_path: Path) -> None:
    save(tmp_path, kind="hnsw")
    with pytest.raises(SavedIndexError, match="an index of kind 'hnsw', this class reads flat, ivf"):
        load(tmp_path)
    save(tmp_path)
    with pytest.raises(
        SavedIndexError, match="vectors of 5 dimensions, 6 are asked for: it was made with another model"
    ):
        load(tmp_path, dim=6)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 1, "extra": 2}', "null"])
def test_a_manifest_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(SavedIndexError, match="manifest.json cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize("role", ["index.faiss", "ids.json"])
def test_files_that_are_missing_short_or_altered(role: str, tmp_path: Path) -> None:
    save(tmp_path)
    path = load(tmp_path)[1][role]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(
        SavedIndexError, match=f"has {len(whole) - 1} bytes instead of {len(whole)}: build the index again"
    ):
        load(tmp_path)
    path.write_bytes(whole[:-1] + b"~")
    with pytest.raises(SavedIndexError, match="is damaged"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(SavedIndexError, match="is missing from"):
        load(tmp_path)
    path.write_bytes(whole)
    assert load(tmp_path)[2] == IDS
