"""Seeds and threads: one number each, shown wherever it is used."""

from __future__ import annotations

import os

SEED = 13
THREADS = 2


def thread_count() -> int:
    """Threads that the course computes with: COURSE_THREADS if set, else 2, the cores that a lesson is measured on.

    Raises ValueError if COURSE_THREADS is not a whole number of at least 1.
    """
    value = os.environ.get("COURSE_THREADS", str(THREADS))
    if not value.isdigit() or int(value) < 1:
        raise ValueError(
            f"COURSE_THREADS must be a whole number of at least 1, got {value!r}; unset it to use {THREADS}"
        )
    return int(value)
