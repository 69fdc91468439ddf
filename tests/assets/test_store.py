"""The cache of models, with small fake wheels: what is fetched, refused, noticed, repaired and said."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from course_lib.assets import store
from course_lib.assets.store import Asset, AssetError, damage, fetch

FILES = {"weights.bin": b"0123456789" * 1000, "config.json": b'{"dim": 5}'}
WHEEL = "tiny_model-1.2.3-py3-none-any.whl"
ROOT = Path(__file__).resolve().parents[2]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_wheel(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    """A wheel that pip accepts, with the model's files in tiny_model/model; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    info = "tiny_model-1.2.3.dist-info"
    entries = {f"tiny_model/model/{name}": data for name, data in files.items()}
    entries[f"{info}/METADATA"] = b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.2.3\n"
    entries[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    entries[f"{info}/RECORD"] = b""
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, in a place with a space; the hub is not asked."""
    path = tmp_path / "my cache"
    monkeypatch.setenv("COURSE_HOME", str(path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return path


@pytest.fixture
def asset(tmp_path: Path) -> Asset:
    wheel = write_wheel(tmp_path / "index")
    return Asset(
        name="tiny",
        model="TinyModel",
        what="a model for tests",
        licence="CC0-1.0",
        wheel="tiny-model",
        wheel_version="1.2.3",
        wheel_sha256=sha256(wheel.read_bytes()),
        wheel_bytes=wheel.stat().st_size,
        wheel_folder="tiny_model/model",
        hub="nobody/tiny",
        hub_revision="0" * 40,
        files={name: sha256(data) for name, data in FILES.items()},
    )


@pytest.fixture
def beside(home: Path, tmp_path: Path, asset: Asset) -> Path:
    """The wheel, laid into home/wheels by hand as the offline message says."""
    (home / "wheels").mkdir(parents=True)
    return Path(shutil.copy(tmp_path / "index" / WHEEL, home / "wheels"))


@pytest.fixture
def said() -> list[str]:
    return []


def no_pip(
    monkeypatch: pytest.MonkeyPatch, stderr: str = "ERROR: No matching distribution found for tiny-model"
) -> None:
    failure = SimpleNamespace(returncode=1, stdout="", stderr=stderr)
    monkeypatch.setattr(store.subprocess, "run", lambda *_, **__: failure)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != store.RECORD}


def leftovers(home: Path) -> list[str]:
    """What lies in the cache beside the folders, locks and wheels that belong there."""
    return sorted(path.name for path in home.iterdir() if path.name not in ("tiny", "tiny.lock", "wheels"))


# ---------------------------------------------------------------- fetching


def test_fetched_from_a_wheel_laid_beside(beside: Path, home: Path, asset: Asset, said: list[str]) -> None:
    folder = fetch(asset, say=said.append)
    assert folder == home / "tiny"
    assert contents(folder) == FILES
    assert damage(folder, thorough=True, expected=asset.files) == ""
    assert leftovers(home) == []
    assert said == []  # nothing was downloaded, so nothing is announced


def test_fetched_with_pip_by_its_hash(
    home: Path, tmp_path: Path, asset: Asset, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real pip, from a folder in place of an index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", (tmp_path / "index").as_uri())
    assert contents(fetch(asset, say=said.append)) == FILES
    assert leftovers(home) == []
    assert len(said) == 1 and "Downloading TinyModel (a model for tests)" in said[0]


def test_pip_refuses_another_hash(
    home: Path, tmp_path: Path, asset: Asset, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", (tmp_path / "index").as_uri())
    with pytest.raises(AssetError, match="TinyModel could not be fetched"):
        fetch(replace(asset, wheel_sha256="0" * 64), say=said.append)
    assert not (home / "tiny").exists() and leftovers(home) == []


def test_a_wheel_beside_with_another_hash_is_refused(beside: Path, home: Path, asset: Asset, said: list[str]) -> None:
    beside.write_bytes(beside.read_bytes() + b"x")
    with pytest.raises(AssetError, match="another sha256 than the pinned one: copy it again"):
        fetch(asset, say=said.append)
    assert not (home / "tiny").exists() and leftovers(home) == []


def test_a_file_in_the_wheel_with_another_hash_is_refused(beside: Path, home: Path, asset: Asset) -> None:
    """The manifest pins each file, too: a wheel that is as pinned but holds something else is a fault of ours."""
    with pytest.raises(AssetError, match=r"config\.json came with another sha256"):
        fetch(replace(asset, files=asset.files | {"config.json": "0" * 64}), say=print)
    assert not (home / "tiny").exists()


def test_the_second_fetch_touches_nothing(
    beside: Path, home: Path, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch(asset)
    beside.unlink()
    no_pip(monkeypatch)

    def never(path: Path) -> str:
        raise AssertionError(f"{path} was hashed again: every start would take seconds")

    monkeypatch.setattr(store, "sha256_of", never)
    assert fetch(asset) == folder


def test_a_cache_can_be_shared_by_a_class(beside: Path, asset: Asset) -> None:
    folder = fetch(asset)
    if os.name != "nt":
        assert folder.stat().st_mode & 0o777 == 0o755
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_the_manifest_pins_everything() -> None:
    assets = store.manifest()
    assert set(assets) == {"encoder", "generator"}
    for name, entry in assets.items():
        assert entry.name == name and entry.licence and entry.wheel_bytes > 1e6
        assert all(len(digest) == 64 for digest in (entry.wheel_sha256, *entry.files.values()))
        assert len(entry.hub_revision) == 40
    assert assets["generator"].gguf in assets["generator"].files


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "a" / ".." / "b"))
    assert store.course_home() == tmp_path / "b"
    monkeypatch.setenv("COURSE_HOME", "~/here")
    assert store.course_home() == (Path.home() / "here").resolve()
    monkeypatch.delenv("COURSE_HOME")
    assert store.course_home().name.startswith("rag-and-fine-tuning")


# ---------------------------------------------------------------- damage: noticed, named, repaired


def truncate(folder: Path) -> None:
    os.truncate(folder / "weights.bin", 9_000)


def scribble(folder: Path) -> None:
    """As many bytes as before, one of them another; the time of the file tells."""
    path = folder / "weights.bin"
    before = path.stat().st_mtime_ns
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def remove(folder: Path) -> None:
    (folder / "config.json").unlink()


def garble_record(folder: Path) -> None:
    (folder / store.RECORD).write_bytes(b'{"weights.bin": {"sha2')


def remove_record(folder: Path) -> None:
    (folder / store.RECORD).unlink()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (truncate, "weights.bin has 9,000 bytes instead of 10,000"),
        (scribble, "weights.bin is damaged: its sha256 is not the recorded one"),
        (remove, "config.json is missing"),
        (garble_record, "verified.json cannot be read"),
        (remove_record, "left unfinished"),
    ],
)
def test_damage_is_named_and_mended(
    harm: Callable[[Path], None], words: str, beside: Path, home: Path, asset: Asset, said: list[str]
) -> None:
    folder = fetch(asset)
    harm(folder)
    assert damage(folder) == words
    assert contents(fetch(asset, say=said.append)) == FILES
    assert said == [f"TinyModel: {words}; fetching it again."]
    assert damage(folder, thorough=True, expected=asset.files) == "" and leftovers(home) == []


def test_silent_damage_is_noticed_by_the_thorough_check_only(beside: Path, asset: Asset) -> None:
    """A disk that lies changes neither size nor time: doctor hashes every file, a start does not."""
    folder = fetch(asset)
    status = (folder / "weights.bin").stat()
    scribble(folder)
    os.utime(folder / "weights.bin", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert damage(folder) == ""
    assert damage(folder, thorough=True) == "weights.bin is damaged: its sha256 is not the recorded one"


def test_a_new_time_alone_is_no_damage(beside: Path, asset: Asset) -> None:
    """A cache that was copied or unpacked has other times, but the same bytes."""
    folder = fetch(asset)
    os.utime(folder / "weights.bin", (1, 1))
    assert damage(folder) == ""


@pytest.mark.parametrize(
    "record", ["", "null", "3", "[]", '["a"]', '{"weights.bin": 1}', '{"weights.bin": {}}', '{"weights.bin": {"sha256": "x"}}',
               '{"weights.bin": {"sha256": "x", "signature": 3}}', "\ufeff{}"],
)  # fmt: skip
def test_an_unreadable_record_is_damage(record: str, beside: Path, asset: Asset) -> None:
    folder = fetch(asset)
    (folder / store.RECORD).write_text(record, encoding="utf-8")
    assert damage(folder, expected=asset.files) == "verified.json cannot be read"


def test_a_record_that_is_no_text_is_damage(beside: Path, asset: Asset) -> None:
    folder = fetch(asset)
    (folder / store.RECORD).write_bytes(b"\xff\xfe\x00\x80")
    assert damage(folder) == "verified.json cannot be read"


@pytest.mark.parametrize("signature", ["[]", '["10000"]'])
def test_a_record_with_half_a_signature_is_no_crash(signature: str, beside: Path, asset: Asset) -> None:
    folder = fetch(asset)
    record = {name: {"sha256": digest, "signature": json.loads(signature)} for name, digest in asset.files.items()}
    (folder / store.RECORD).write_text(json.dumps(record))
    damage(folder)  # may find fault with the record or hash the files, but says so
    assert contents(fetch(asset, say=lambda _: None)) == FILES


def test_an_older_version_is_fetched_anew(beside: Path, asset: Asset, said: list[str]) -> None:
    folder = fetch(asset)
    (folder / "config.json").write_bytes(b'{"dim": 4}')
    store.write_record(folder, {name: store.sha256_of(folder / name) for name in FILES})
    assert damage(folder, thorough=True) == ""  # sound in itself
    assert damage(folder, expected=asset.files) == "config.json is not the pinned version"
    assert contents(fetch(asset, say=said.append)) == FILES


def test_nothing_there_is_told_from_something_unfinished(tmp_path: Path) -> None:
    assert damage(tmp_path / "none") == "not fetched yet"
    assert damage(tmp_path) == "left unfinished"


def test_repair_that_fails_keeps_what_is_there(
    beside: Path, home: Path, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a model is worth more than none: another file of it may be what the learner needs."""
    folder = fetch(asset)
    remove(folder)
    beside.unlink()
    no_pip(monkeypatch)
    with pytest.raises(AssetError):
        fetch(asset, say=lambda _: None)
    assert contents(folder) == {"weights.bin": FILES["weights.bin"]} and leftovers(home) == []


# ---------------------------------------------------------------- what is said when it cannot be had


def test_offline_names_the_wheel_and_the_folder(
    home: Path, asset: Asset, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_pip(monkeypatch)
    with pytest.raises(AssetError) as caught:
        fetch(asset, say=said.append)
    words = str(caught.value)
    assert words.startswith("TinyModel could not be fetched.")
    assert "package index: No matching distribution found for tiny-model" in words
    assert "hub: not asked, because HF_HUB_OFFLINE=1" in words
    assert WHEEL in words and str(home / "wheels") in words
    assert "Connect to the network and run the command again" in words
    (home / "wheels").mkdir()  # the learner does what the message says
    write_wheel(home / "wheels")
    assert contents(fetch(asset, say=said.append)) == FILES


def ask_hub_offline(
    asset: Asset, said: list[str], reached_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[float]]:
    """The message, and the seconds waited between tries: the hub's real client behind the guard of conftest.py."""
    waited: list[float] = []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", waited.append)
    no_pip(monkeypatch)
    with pytest.raises(AssetError) as caught:
        fetch(asset, say=said.append)
    assert reached_out, "the hub was never asked"
    reached_out.clear()
    return str(caught.value), waited


def test_the_hub_is_asked_second_and_may_be_out_of_reach(
    home: Path, asset: Asset, said: list[str], reached_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, _ = ask_hub_offline(asset, said, reached_out, monkeypatch)
    assert re.search(r"hub: .*nobody/tiny cannot be reached|hub: \w*Error", words)
    assert WHEEL in words and str(home / "wheels") in words
    assert said[-1] == "Trying the model hub: nobody/tiny"
    assert not (home / "tiny").exists() and leftovers(home) == []


def test_offline_is_told_at_once(
    home: Path, asset: Asset, said: list[str], reached_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, waited = ask_hub_offline(asset, said, reached_out, monkeypatch)
    assert sum(waited) < 5


def test_the_hub_helps_out_where_the_index_has_nothing(
    home: Path, asset: Asset, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_hub_answers", lambda: True)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    no_pip(monkeypatch)
    import huggingface_hub

    def download(repo: str, file: str, *, revision: str, local_dir: Path, **_: Any) -> str:
        assert (repo, revision) == (asset.hub, asset.hub_revision)
        (local_dir / ".cache").mkdir(exist_ok=True)
        (local_dir / file).write_bytes(FILES[file])
        return str(local_dir / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert contents(fetch(asset, say=said.append)) == FILES


def fail_with(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_full_disk_is_named(beside: Path, home: Path, asset: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.shutil, "copyfileobj", fail_with(errno.ENOSPC))
    with pytest.raises(AssetError, match=r"The disk is full \([\d.]+ GB free at .*\)\. Free 1 GB there") as caught:
        fetch(asset)
    assert str(home) in str(caught.value) and "COURSE_HOME" in str(caught.value)
    assert not (home / "tiny").exists() and leftovers(home) == []


def test_a_full_disk_under_pip_is_named(home: Path, asset: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    no_pip(monkeypatch, "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device")
    with pytest.raises(AssetError, match="The disk is full"):
        fetch(asset, say=lambda _: None)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_cache_that_cannot_be_written_is_named(
    number: int, beside: Path, home: Path, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.tempfile, "mkdtemp", fail_with(number))
    with pytest.raises(AssetError, match="cannot be written. Set COURSE_HOME to a folder of yours") as caught:
        fetch(asset)
    assert str(home) in str(caught.value)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not hold for this user")
def test_a_read_only_folder_is_named(home: Path, asset: Asset) -> None:
    home.mkdir()
    home.chmod(0o555)
    with pytest.raises(AssetError, match="cannot be written"):
        fetch(asset)
    home.chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="needs a mount point that cannot be written")
def test_a_folder_that_cannot_be_made_is_named(asset: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc refuses even root."""
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc here")
    monkeypatch.setenv("COURSE_HOME", "/proc/course")
    with pytest.raises(AssetError, match="Set COURSE_HOME to"):
        fetch(asset)


def test_a_file_in_the_place_of_the_cache_is_named(home: Path, asset: Asset) -> None:
    home.write_text("not a folder")
    with pytest.raises(AssetError, match="Set COURSE_HOME to"):
        fetch(asset)


def test_a_shared_cache_that_cannot_be_written_is_read(
    beside: Path, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instructor's cache for the whole class: no lock is taken, nothing is written."""
    folder = fetch(asset)
    monkeypatch.setattr(store, "lock", fail_with(errno.EROFS))
    assert fetch(asset) == folder


# ---------------------------------------------------------------- several processes, and one that dies

CHILD = """
import json, pathlib, sys, time
from course_lib.assets import store

asset = store.Asset(**json.loads(sys.argv[1]))
take = store._from_wheel

def slow(asset, aside, say):
    print("fetches", flush=True)
    take(asset, aside, say)
    print("fetching", flush=True)
    time.sleep(float(sys.argv[2]))

store._from_wheel = slow
print("starts", flush=True)
sys.stdin.readline()
print(store.fetch(asset), flush=True)
"""


def child(asset: Asset, home: Path, *, seconds: float) -> subprocess.Popen[str]:
    """A process that fetches once it is told to, and takes these seconds over it."""
    command = [sys.executable, "-c", CHILD, json.dumps(vars(asset)), str(seconds)]
    environment = os.environ | {"COURSE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None and process.stdout.readline() == "starts\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_at_once_leave_one_sound_folder(beside: Path, home: Path, asset: Asset) -> None:
    children = [child(asset, home, seconds=1) for _ in range(3)]
    for process in children:
        go(process)
    outcomes = [process.communicate(timeout=120) for process in children]
    assert [process.returncode for process in children] == [0, 0, 0], outcomes
    assert all(stdout.endswith(f"{home / 'tiny'}\n") for stdout, _ in outcomes)
    assert sum("fetching" in stdout for stdout, _ in outcomes) == 1, "one fetches, the others wait for it"
    assert contents(home / "tiny") == FILES
    assert damage(home / "tiny", thorough=True, expected=asset.files) == "" and leftovers(home) == []


def killed_while_fetching(asset: Asset, home: Path) -> None:
    process = child(asset, home, seconds=600)
    try:
        go(process)
        assert process.stdout is not None
        assert any(line == "fetching\n" for line in iter(process.stdout.readline, ""))
        assert list(home.glob("tiny.*/config.json")), "it should be in the midst of it"
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_killed_while_fetching_leaves_nothing_half_in_place(beside: Path, home: Path, asset: Asset) -> None:
    killed_while_fetching(asset, home)
    assert not (home / "tiny").exists()
    assert damage(home / "tiny") == "not fetched yet"
    assert contents(fetch(asset)) == FILES  # the lock died with its holder
    assert damage(home / "tiny", thorough=True, expected=asset.files) == ""


def test_killed_while_mending_leaves_the_old_folder(beside: Path, home: Path, asset: Asset) -> None:
    remove(fetch(asset))
    killed_while_fetching(asset, home)
    assert damage(home / "tiny") == "config.json is missing"
    assert contents(fetch(asset, say=lambda _: None)) == FILES


def test_what_a_killed_fetch_left_behind_is_cleared_away(beside: Path, home: Path, asset: Asset) -> None:
    """Else every interrupted start costs the disk another 90 MB for ever."""
    killed_while_fetching(asset, home)
    assert leftovers(home)
    fetch(asset)
    assert leftovers(home) == []
