"""What is freed goes back to the system."""

from __future__ import annotations

import platform
import sys

import pytest

from course_lib.core import heap


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc keeps freed memory; this is another C library")
def test_freed_memory_goes_back() -> None:
    """Many pieces below the size at which glibc asks the system for each, freed but for the last, which stands above."""
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()
    pieces = [b"x" * 60_000 for _ in range(2_000)]  # 120 MB
    last = pieces.pop()
    del pieces
    before = process.memory_info().rss
    heap.return_freed_memory()
    assert len(last) == 60_000 and before - process.memory_info().rss > 60e6


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ctypes.CDLL", lambda _: pytest.fail("no C library of that name there"))
    heap.return_freed_memory()
