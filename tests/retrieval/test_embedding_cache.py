"""Vectors kept on disk: round trips, damage, several writers. No model is needed."""

from __future__ import annotations

import errno
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.assets import store
from course_lib.retrieval import embedding_cache
from course_lib.retrieval.embedding_cache import KEY_BYTES, EmbeddingCache

DIM = 5


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingCache:
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return EmbeddingCache(tmp_path / "embeddings" / "some-256", DIM)


def keys(*numbers: int) -> list[bytes]:
    """Keys that end in zero bytes and begin with some, which text types of NumPy would strip."""
    return [b"\0\0" + number.to_bytes(4, "big") + b"\0" * (KEY_BYTES - 6) for number in numbers]


def rows(*numbers: float) -> np.ndarray:
    return np.array([[number + j / 10 for j in range(DIM)] for number in numbers], np.float32).reshape(-1, DIM)


def test_an_empty_cache_holds_nothing(cache: EmbeddingCache) -> None:
    vectors, found = cache.read(keys(1, 2))
    assert vectors.shape == (2, DIM) and not vectors.any() and found.tolist() == [False, False]
    assert not cache.path.parent.exists()
    assert cache.read([])[0].shape == (0, DIM)


def test_written_and_read(cache: EmbeddingCache) -> None:
    cache.add(keys(1, 2, 3), rows(1, 2, 3))
    cache.add(keys(4), rows(4))
    vectors, found = cache.read(keys(4, 9, 2, 4))
    assert found.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(vectors, np.vstack([rows(4), np.zeros((1, DIM)), rows(2), rows(4)]))
    assert cache.keys_path.stat().st_size == 4 * 20 and cache.vectors_path.stat().st_size == 4 * DIM * 4


@given(data=st.data())
def test_a_cache_is_a_dictionary(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any series of additions: afterwards each key has its last vector."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("COURSE_HOME", str(home))
        cache = EmbeddingCache(home / "embeddings" / "x", DIM)
        expected: dict[bytes, np.ndarray] = {}
        for part in data.draw(st.lists(st.lists(st.tuples(st.integers(0, 6), st.floats(-9, 9, width=32))), max_size=5)):
            names, values = keys(*(name for name, _ in part)), rows(*(value for _, value in part))
            cache.add(names, values)
            expected.update(zip(names, values, strict=True))
        asked = keys(*data.draw(st.lists(st.integers(0, 8))))
        vectors, found = cache.read(asked)
        for key, vector, there in zip(asked, vectors, found, strict=True):
            assert there == (key in expected)
            np.testing.assert_array_equal(vector, expected.get(key, np.zeros(DIM)))


def cut(n: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:-n] if n else b""


def scribbled(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0x55 for byte in data[middle : middle + 3]) + data[middle + 3 :]


@pytest.mark.parametrize("harm", [cut(1), cut(0), cut(21), scribbled, lambda data: b"x" + data, lambda data: data * 2])
@pytest.mark.parametrize("ending", ["keys", "vectors"])
def test_damage_never_gives_a_wrong_vector_and_is_mended(
    harm: Callable[[bytes], bytes], ending: str, cache: EmbeddingCache
) -> None:
    names, values = keys(*range(8)), rows(*range(8))
    cache.add(names, values)
    file = cache.path.with_name(f"{cache.path.name}.{ending}")
    file.write_bytes(harm(file.read_bytes()))
    vectors, found = cache.read(names)
    np.testing.assert_array_equal(vectors[found], values[found])
    assert not vectors[~found].any()
    missing = np.flatnonzero(~found)
    cache.add([names[i] for i in missing], values[missing])
    vectors, found = cache.read(names)
    assert found.all()
    np.testing.assert_array_equal(vectors, values)


@pytest.mark.parametrize("ending", ["keys", "vectors"])
def test_a_lost_file_is_a_lost_cache(ending: str, cache: EmbeddingCache) -> None:
    cache.add(keys(1, 2), rows(1, 2))
    cache.path.with_name(f"{cache.path.name}.{ending}").unlink()
    assert not cache.read(keys(1, 2))[1].any()
    cache.add(keys(1, 2), rows(1, 2))
    np.testing.assert_array_equal(cache.read(keys(2, 1))[0], rows(2, 1))


@pytest.mark.parametrize("dies_at", ["vectors", "keys"])
def test_a_write_that_dies_leaves_the_rest(
    dies_at: str, cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it writes the vectors, or after them while it writes the keys."""
    cache.add(keys(1, 2), rows(1, 2))
    write = embedding_cache._write_at

    def dies(path: Path, offset: int, data: bytes) -> None:
        if path.suffix == f".{dies_at}":
            write(path, offset, data[: len(data) // 2 + 1])
            raise KeyboardInterrupt
        write(path, offset, data)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(embedding_cache, "_write_at", dies)
        cache.add(keys(3, 4, 5), rows(3, 4, 5))
    vectors, found = cache.read(keys(1, 2, 3, 4, 5))
    assert found[:2].all() and not found[4]
    np.testing.assert_array_equal(vectors[found], rows(1, 2, 3, 4, 5)[found])
    cache.add(keys(6, 7), rows(6, 7))
    np.testing.assert_array_equal(cache.read(keys(1, 2, 6, 7))[0], rows(1, 2, 6, 7))


def test_only_the_rows_asked_for_are_read(cache: EmbeddingCache) -> None:
    """All vectors but one are spoiled behind the cache's back: whoever asks for that one does not notice."""
    cache.add(keys(*range(50)), rows(*range(50)))
    data = bytearray(cache.vectors_path.read_bytes())
    row = DIM * 4
    data[: 30 * row] = b"\xff" * (30 * row)
    cache.vectors_path.write_bytes(bytes(data[: 31 * row]))
    vectors, found = cache.read(keys(30))
    assert found.all()
    np.testing.assert_array_equal(vectors, rows(30))


def test_several_may_write_at_once(cache: EmbeddingCache) -> None:
    """Each thread opens the files and takes the lock by itself, as a process does."""

    def write(first: int) -> None:
        for number in range(first, first + 10):
            EmbeddingCache(cache.path, DIM).add(keys(number), rows(number))

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vectors, found = cache.read(keys(*range(30)))
    assert found.all()
    np.testing.assert_array_equal(vectors, rows(*range(30)))


@pytest.mark.parametrize("shape", [(2, DIM + 1), (3, DIM), (2,), (0, DIM)])
def test_vectors_of_another_shape_are_refused(shape: tuple[int, ...], cache: EmbeddingCache) -> None:
    with pytest.raises(ValueError, match=r"vectors must have shape \(2, 5\), one row a key, got"):
        cache.add(keys(1, 2), np.ones(shape, np.float32))
    assert not cache.path.parent.exists()


def test_a_full_disk_is_named(cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.add(keys(1), rows(1))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(embedding_cache, "_write_at", full)
        with pytest.raises(
            store.AssetError, match=r"cannot be kept in .*embeddings \(No space left on device\).*COURSE_HOME"
        ):
            cache.add(keys(2), rows(2))
    assert cache.read(keys(1, 2))[1].tolist() == [True, False]


def test_a_folder_that_is_a_file_is_named(cache: EmbeddingCache) -> None:
    cache.path.parent.write_text("in the way")
    with pytest.raises(store.AssetError, match="cannot be kept in"):
        cache.add(keys(1), rows(1))


def test_rows_are_grouped() -> None:
    wanted = sorted(itertools.product([3, 1], [0, 2]))
    assert list(embedding_cache._grouped(wanted)) == [(1, [0, 2]), (3, [0, 2])]
    assert list(embedding_cache._grouped([])) == []
