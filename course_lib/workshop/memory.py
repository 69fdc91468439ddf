"""Peak memory of this process."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_gb() -> float:
    """Return the largest resident memory this process has had, in GB (10^9 bytes); 0.0 where no system call tells."""
    status = Path("/proc/self/status")
    if status.is_file():  # VmHWM starts anew with each program; getrusage would count the parent's memory, too
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e9
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
