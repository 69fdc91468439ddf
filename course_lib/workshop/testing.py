"""Run every test: style, types, built files, then pytest over library, notebooks, graders and front end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

# Two workers share the cores: a thread that spins while it waits takes the core that the other needs.
PATIENT = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


def run_all(root: Path, pytest_arguments: list[str]) -> int:
    """Run all steps, even after one has failed; return 0 if all pass. Arguments go to pytest."""
    python = sys.executable
    steps = {
        "style": [python, "-m", "ruff", "check", "."],
        "format": [python, "-m", "ruff", "format", "--check", "course_lib", "tests", "course.py"],
        "types": [python, "-m", "mypy"],
        "built files": [python, "-m", "course_lib.cli", "build", "--check"],
        "notebooks": [
            *(python, "-m", "pytest", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"),
            *("--nbval-cell-timeout=600", "-q", "-n", "2", "--dist", "loadscope", "notebooks", "solutions"),
        ],
        "tests": [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadscope", *pytest_arguments],
    }
    if pytest_arguments:
        steps = {"tests": steps["tests"]}
    environment = os.environ | PATIENT
    failed = []
    for name, command in steps.items():
        print(f"\n=== {name}: {' '.join(command[1:])}", flush=True)
        started = time.perf_counter()
        status = subprocess.run(command, cwd=root, env=environment).returncode
        print(f"=== {name}: {'failed' if status else 'passed'} in {time.perf_counter() - started:.0f} s", flush=True)
        if status:
            failed.append(name)
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll steps passed.", flush=True)
    return 1 if failed else 0
