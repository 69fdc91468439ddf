"""Open the course with two commands and nothing but Python 3.11 or later:

    python course.py lab      opens JupyterLab on the course
    python course.py test     runs every test

This file makes the virtual environment .venv, installs what requirements.lock pins, and hands over to course_lib.cli.
What is done once is skipped the next time; what was interrupted is repaired.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "course-installed.json"
FREE_BYTES = 4_000_000_000
# Which extras of pyproject.toml a command needs; every other command is a learner's and needs "lab".
EXTRAS = {
    command: ["lab", "build", "test"] for command in ("test", "build", "data", "grade", "lock", "bench", "setup-all")
}


def main(arguments: list[str]) -> int:
    """Set up what the command needs, then run it. Returns its exit status."""
    if sys.version_info < (3, 11):
        print(f"The course needs Python 3.11 or later; this is {sys.version.split()[0]} at {sys.executable}.")
        print("Install a newer one from python.org and run: python3.11 course.py lab")
        return 1
    try:
        install(EXTRAS.get(arguments[0] if arguments else "", ["lab"]))
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again: it goes on where it was.", file=sys.stderr)
        return 130
    if arguments[:1] == ["setup-all"]:
        return 0
    try:
        return subprocess.run([python(), "-m", "course_lib.cli", *arguments]).returncode
    except KeyboardInterrupt:
        return 130


class SetupError(Exception):
    """The set-up cannot go on; the message says why and what to do."""


def python() -> str:
    """The interpreter of .venv."""
    return str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def lock_hash() -> str:
    """What the installed packages depend on: a change of it means to install again."""
    files = [LOCK, ROOT / "pyproject.toml"]
    place = str(ROOT)  # the environment knows its own path, so a moved folder needs a new one
    return hashlib.sha256(b"".join(file.read_bytes() for file in files) + place.encode()).hexdigest()


def installed() -> dict:
    """What the last complete installation recorded; empty if there is none."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        return stamp if isinstance(stamp, dict) and Path(python()).exists() else {}
    except (OSError, ValueError):
        return {}


def install(extras: list[str]) -> None:
    """Make .venv hold the pinned packages of these extras."""
    stamp = installed()
    if stamp.get("lock") == lock_hash() and set(extras) <= set(stamp.get("extras", [])):
        return
    same_place = stamp.get("root") == str(ROOT)
    extras = sorted({*extras, *stamp.get("extras", [])})
    free = shutil.disk_usage(ROOT).free
    if free < FREE_BYTES:
        raise SetupError(
            f"The course needs 4 GB of disk, but {ROOT} has {free / 1e9:.1f} GB free. Free some and run it again."
        )
    STAMP.unlink(missing_ok=True)  # from here on the environment counts as unfinished
    if not sound(VENV) or (stamp and not same_place):
        step("Making the virtual environment .venv")
        make_venv()
    step("Installing torch, the CPU build (about 200 MB to download)")
    install_torch()
    size = "300 MB" if extras == ["lab"] else "450 MB"
    step(f"Installing the other packages of requirements.lock (about {size} to download)")
    pip("setuptools")
    pip("--no-build-isolation", "--editable", f".[{','.join(extras)}]")
    STAMP.write_text(json.dumps({"lock": lock_hash(), "extras": extras, "root": str(ROOT)}), encoding="utf-8")


def step(words: str) -> None:
    """Say what happens next."""
    print(f"--> {words}", flush=True)


def sound(venv: Path) -> bool:
    """Whether .venv holds an interpreter that starts, of a version that will do, with pip."""
    if not Path(python()).exists():
        return False
    code = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([python(), "-c", code], capture_output=True).returncode == 0


def make_venv() -> None:
    """Make .venv anew."""
    result = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True)
    if result.returncode:
        raise SetupError(
            f"Python could not make a virtual environment:\n{(result.stderr or result.stdout).strip()}\n"
            f"On Debian or Ubuntu install it with: sudo apt install python3-venv. Or delete {VENV} and try again."
        )


def pip(*arguments: str) -> None:
    """Run pip in .venv with the pins of requirements.lock."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    command = [python(), "-m", "pip", "install", *quiet, "--disable-pip-version-check", "--no-warn-script-location"]
    run([*command, "--constraint", str(LOCK), *arguments])


def run(command: list[str]) -> None:
    """Run an installer in the course's folder; turn a failure into advice."""
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode:
        raise SetupError(
            "The installation did not finish: the reason stands above.\n"
            "No network? Connect and run the same command again; it goes on where it was.\n"
            "Disk full? Free 4 GB first. Behind a proxy or mirror? Set it in pip's own configuration."
        )


def install_torch() -> None:
    """Install torch without CUDA.

    pip is asked first which build it would take. If that one wants CUDA (the index's default on Linux), uv
    is used instead, which knows where torch's CPU builds lie.
    """
    pin = next(line for line in LOCK.read_text(encoding="utf-8").splitlines() if line.startswith("torch=="))
    question = [python(), "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", "--no-deps", pin]
    answer = subprocess.run(question, capture_output=True, text=True, cwd=ROOT)
    report = json.loads(answer.stdout) if answer.returncode == 0 else {"install": []}
    wanted = [need for item in report["install"] for need in item["metadata"].get("requires_dist", [])]
    cuda = any(need.startswith(("nvidia-", "cuda-", "triton")) for need in wanted)
    if answer.returncode == 0 and (not cuda or sys.platform != "linux"):  # elsewhere the default is the CPU build
        pip(pin)
        return
    pip("uv")
    run([python(), "-m", "uv", "pip", "install", "--python", python(), "--torch-backend", "cpu", "--no-deps", pin])
    pip(pin)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
