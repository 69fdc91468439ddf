"""What all tests share: real models, a progress file of their own, and the proof that every test is offline."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from course_lib.generation.language_model import LanguageModel, load_language_model
from course_lib.retrieval.embedding import ContextualEmbedder, load_embedder

os.environ["MPLBACKEND"] = "Agg"
# A busy machine must not fail a test: no deadlines, and the same examples on every run.
hypothesis.settings.register_profile(
    "course", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("course")


class ReachedOut(OSError):
    """A test tried to reach a machine outside this one."""


_guarding = False
_attempts: list[str] = []


def _stays_here(host: object) -> bool:
    """Whether a host, as sockets take it, is this machine: loopback, the unspecified address, or its own name."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: sees every connection and look-up, from whichever library, before it leaves the process."""
    if not _guarding or not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if not isinstance(address, tuple) or len(address) < 2 or not isinstance(address[0], (str, bytes)):
            return  # a unix socket, a netlink socket, or a socket that is connected already
        host = address[0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _stays_here(host):
        _attempts.append(f"{event} {host!r}")
        raise ReachedOut(f"tests are offline, but this one tried to reach {host!r} ({event})")


sys.addaudithook(_guard)


def _checked(method: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
    """A method of socket that is guarded before it looks up a name, which the audit event comes too late for."""

    def connect(self: socket.socket, address: Any) -> Any:
        _guard("socket.connect", (self, address))
        return method(self, address)

    return connect


@pytest.fixture(scope="session", autouse=True)
def _guarded() -> Iterator[None]:
    global _guarding
    _guarding = True
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _checked(getattr(socket.socket, name)))
        yield
    _guarding = False


@pytest.fixture(autouse=True)
def reached_out(_guarded: None) -> Iterator[list[str]]:
    """What this test tried to reach outside this machine: it fails if there is anything, even if the code hid the error.

    A test that means to see how the code behaves offline takes this fixture and clears the list.
    """
    yield _attempts
    attempts = _attempts.copy()
    _attempts.clear()
    if attempts:
        pytest.fail("tests are offline, but this one tried: " + "; ".join(attempts), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _pinned_models() -> Iterator[None]:
    """Tests hold for the pinned models, whatever the learner has set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COURSE_ENCODER", "COURSE_GENERATOR", "COURSE_DTYPE", "COURSE_THREADS"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def progress_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The progress file of this test; the learner's own is never touched."""
    path = tmp_path / "progress" / "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS", str(path))
    return path


@pytest.fixture(scope="session")
def embedder(_guarded: None, _pinned_models: None) -> ContextualEmbedder:
    """The course's encoder, loaded once."""
    return load_embedder(dtype="float32")


@pytest.fixture(scope="session")
def language_model(_guarded: None, _pinned_models: None) -> LanguageModel:
    """The course's language model, loaded once."""
    return load_language_model()
