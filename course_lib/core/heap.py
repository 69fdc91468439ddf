"""What the C library keeps of freed memory, and how to make it give that back. Linux only; elsewhere nothing is done."""

from __future__ import annotations

import contextlib
import ctypes
import sys


def return_freed_memory() -> None:
    """Hand back what was freed: glibc keeps small pieces for later, hundreds of MB of them after many texts."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)
