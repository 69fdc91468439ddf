"""Resolve pyproject.toml into requirements.lock: exact pins for every platform, without CUDA."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TORCH = "2.13.0"
HEADER = """\
# Exact versions for Python 3.11 and later on Linux, macOS and Windows. Made by `course lock`; do not edit.
# torch's CUDA packages are left out: `course.py` installs the CPU build first, and pip then finds torch satisfied.
"""
_CUDA = re.compile(r"^(nvidia-|cuda-|triton\b)")


def lock(root: Path) -> str:
    """Return the text of requirements.lock, resolved now. Raises RuntimeError with uv's words if that fails."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "torch.txt"
        pins.write_text(f"torch=={TORCH}\n", encoding="utf-8")
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--all-extras"]
        command += ["--no-annotate", "--no-header", "--constraint", str(pins), str(root / "pyproject.toml")]
        result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if result.returncode:
        raise RuntimeError(f"the versions cannot be resolved:\n{result.stderr}")
    lines = [line for line in result.stdout.splitlines() if line and not _CUDA.match(line)]
    return HEADER + "\n".join(lines) + "\n"
