"""Resolve pyproject.toml into requirements.lock (exact pins, every platform, no CUDA) and, from it, environment.yml."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TORCH = "2.13.0"
HEADER = """\
# Exact versions for Python 3.11 and later on Linux, macOS and Windows. Made by `course lock`; do not edit.
# torch's CUDA packages are left out: `course.py` installs the CPU build first, and pip then finds torch satisfied.
"""
CUDA = re.compile(r"^(nvidia-|cuda-|triton\b)")

CONDA_PYTHON = "3.12"
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}  # conda-forge's spelling, where it differs
CONDA_HEADER = """\
# What a learner needs, from conda-forge, in the versions of requirements.lock. Made by `course lock`; do not edit.
# environment.yml and binder/environment.yml are the same file. Afterwards: pip install --no-deps .
"""
ENVIRONMENTS = ("environment.yml", "binder/environment.yml")


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
    lines = [line for line in result.stdout.splitlines() if line and not CUDA.match(line)]
    return HEADER + "\n".join(lines) + "\n"


def pins(lock_text: str, *, python: str, platform: str = "linux", machine: str = "x86_64") -> dict[str, str]:
    """Return name -> version of the lines of a lock that hold for a Python version ("3.12") and a platform."""
    system, os_name = {"linux": ("Linux", "posix"), "darwin": ("Darwin", "posix"), "win32": ("Windows", "nt")}[platform]
    place = {"python_version": python, "python_full_version": f"{python}.99", "sys_platform": platform}
    place |= {"platform_system": system, "os_name": os_name, "platform_machine": machine}
    lines = [line for line in lock_text.splitlines() if line.strip() and not line.startswith("#")]
    requirements = [Requirement(line) for line in lines]
    holding = [pin for pin in requirements if pin.marker is None or pin.marker.evaluate(place)]
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in holding}


def required(root: Path, *extras: str) -> list[Requirement]:
    """Return what pyproject.toml asks for: the dependencies, and those of the extras named."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def environment(root: Path) -> str:
    """Return the text of environment.yml: what the package and its extra "lab" ask for, as requirements.lock pins it.

    Raises ValueError if the lock does not pin one of them.
    """
    pinned = pins((root / "requirements.lock").read_text(encoding="utf-8"), python=CONDA_PYTHON)
    lines = []
    for name in sorted({canonicalize_name(requirement.name) for requirement in required(root, "lab")}):
        if name not in pinned:
            raise ValueError(f"requirements.lock does not pin {name}: run course lock")
        lines.append(f"  - {CONDA_NAMES.get(name, name)}=={pinned[name]}")
    head = ["name: rag-and-fine-tuning", "channels:", "  - conda-forge", "dependencies:"]
    return CONDA_HEADER + "\n".join([*head, f"  - python={CONDA_PYTHON}", "  - pip", *lines]) + "\n"


def write_environments(root: Path) -> None:
    """Write environment.yml and binder/environment.yml from the present requirements.lock."""
    for name in ENVIRONMENTS:
        _write(root / name, environment(root))


def write_lock(root: Path) -> None:
    """Resolve anew, and write requirements.lock and both environment files. Nothing is written if that fails."""
    _write(root / "requirements.lock", lock(root))
    write_environments(root)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    aside = path.with_name(f"{path.name}.tmp")
    aside.write_text(text, encoding="utf-8", newline="\n")
    aside.replace(path)


if __name__ == "__main__":  # python -m course_lib.workshop.lock: the environment files alone, without resolving
    write_environments(Path(__file__).parents[2])
