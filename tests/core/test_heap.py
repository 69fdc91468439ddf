"""What is freed goes back to the system. In a process of its own: the setting holds for the whole process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from course_lib.core import heap

GLIBC = platform.libc_ver()[0] == "glibc"
FRAGMENTED = """
import numpy as np
from course_lib.core.heap import return_large_blocks
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
{call}
np.ones(30_000_000, dtype=np.uint8)  # freed at once: glibc takes it for the size of things here
blocks = [np.ones(4_000_000, dtype=np.uint8) for _ in range(40)]  # 160 MB
before = resident()
last = blocks[-1]
del blocks
print(before - resident())
"""


def freed(call: str) -> int:
    """The bytes that the system gets back when 39 blocks of 4 MB are freed below one that stays."""
    done = subprocess.run(
        [sys.executable, "-c", FRAGMENTED.format(call=call)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not GLIBC, reason="glibc keeps freed memory; this is another C library")
def test_large_blocks_go_back_when_they_are_freed() -> None:
    assert freed("") < 20e6  # the reason for it: if this fails, glibc has changed and the function is needless
    assert freed("return_large_blocks()") > 120e6


@pytest.mark.skipif(not GLIBC, reason="glibc keeps freed memory; this is another C library")
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


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 1 byte, got 0"):
        heap.return_large_blocks(0)


@pytest.mark.parametrize("call", [heap.return_freed_memory, heap.return_large_blocks])
def test_other_systems_are_left_alone(call: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ctypes.CDLL", lambda _: pytest.fail("no C library of that name there"))
    call()  # type: ignore[operator]
