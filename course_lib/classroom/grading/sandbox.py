"""Starts worker processes: inside bubblewrap, where nothing of this machine can be seen, changed or reached.

The sandbox holds Python, its standard library, the site-packages (without course_lib), the worker's one file, and a small
scratch folder in memory. No network, no home, no repository, no other submission, no environment.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from course_lib.classroom.grading.seccomp import seccomp_filter

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]  # the repository, or the site-packages that course_lib was installed into
SCRATCH = "/scratch"
NOT_CONTAINED = "Graded without a sandbox: hostile code in a submission could have read or changed this machine."
_BOOT = "import sys; sys.path[:0] = [sys.argv[1]]; sys.path += sys.argv[3:]; import worker; del sys.path[0]; worker.main(sys.argv[2])"
_REMEDY = (
    "Grading runs the learners' code and needs a sandbox: bubblewrap, on Linux. "
    "Debian or Ubuntu: apt-get install bubblewrap. Windows: grade in WSL 2. macOS: grade in a Linux machine. "
    "Docker: start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined. "
    "Or grade submissions that you trust with --no-sandbox (sandbox=False): "
    "hostile code is then not contained."
)


class SandboxError(RuntimeError):
    """No sandbox can be had here; the message says why and what to do."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Seconds are of the clock; sizes are bytes."""

    call_seconds: float = 10
    cell_seconds: float = 20
    start_seconds: float = 60  # for all cells together, each time that a worker starts
    total_seconds: float = 300
    memory: int = 1 << 30
    scratch: int = 64 << 20
    file: int = 16 << 20
    open_files: int = 64
    processes: int = 64

    def rlimits(self, *, sandbox: bool) -> dict[str, int]:
        """Return the limits that the worker sets for itself, for good, before it runs any learner code."""
        limits = {
            "RLIMIT_AS": self.memory,
            "RLIMIT_CPU": int(self.total_seconds) + 1,
            "RLIMIT_FSIZE": self.file,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }
        # Outside of a sandbox, this one counts all processes of the user.
        return limits | ({"RLIMIT_NPROC": self.processes} if sandbox else {})


def start_worker(limits: Limits, scratch: Path, *, sandbox: bool) -> subprocess.Popen[bytes]:
    """Start a worker. scratch: an empty folder, which it works in if there is no sandbox.

    Raises SandboxError if the process cannot be started.
    """
    settings = json.dumps({"rlimits": limits.rlimits(sandbox=sandbox), "contained": sandbox})
    python = [str(Path(sys.executable).resolve()), "-I", "-S", "-B", "-X", "utf8", "-c", _BOOT]
    environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "bufsize": 0}
    if not sandbox:
        environment |= {name: os.environ[name] for name in ("SYSTEMROOT", "PATH") if name in os.environ}
        home = {name: str(scratch) for name in ("HOME", "TMPDIR", "TEMP", "TMP")}
        command = [*python, str(HERE), settings, *map(str, site_folders())]
        return subprocess.Popen(command, cwd=scratch, env=environment | home, start_new_session=True, **pipes)  # type: ignore[call-overload,no-any-return]
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxError(f"There is no bwrap on this machine. {_REMEDY}")
    program, keep = seccomp_filter(), []
    options = [*bubblewrap_options(limits)]
    for name, value in environment.items():
        options += ["--setenv", name, value]
    if program is not None:
        reading, writing = os.pipe()
        os.write(writing, program)
        os.close(writing)
        keep.append(reading)
        options += ["--seccomp", str(reading)]
    command = [bwrap, *options, "--", *python, "/grading", settings, *map(str, site_folders())]
    try:  # with an empty environment: --clearenv comes too late for what the memory of bwrap itself holds
        return subprocess.Popen(command, env={}, pass_fds=keep, **pipes)  # type: ignore[call-overload,no-any-return]
    except OSError as error:
        raise SandboxError(f"bwrap could not be started: {error}. {_REMEDY}") from error
    finally:
        for descriptor in keep:
            os.close(descriptor)


def site_folders() -> list[Path]:
    """Return the folders that hold installed packages. The repository of an editable install is none of them."""
    names = ("site-packages", "dist-packages")
    return list(dict.fromkeys(Path(entry) for entry in sys.path if Path(entry).name in names and Path(entry).is_dir()))


def bubblewrap_options(limits: Limits) -> list[str]:
    """Return bubblewrap's options: what to unshare, and what of this machine to show, read-only."""
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    mounts: list[tuple[Path, list[str]]] = []
    for path in _shown():
        if path.is_symlink() and not path.is_file():
            mounts.append((path, ["--symlink", os.readlink(path), str(path)]))
        elif path.exists():
            mounts.append((path, ["--ro-bind", str(path.resolve()), str(path)]))
    for path in _hidden():
        if any(path.is_relative_to(shown) for shown, _ in mounts):
            mounts.append((path, ["--tmpfs", str(path), "--remount-ro", str(path)]))
    for _, mount in sorted(mounts, key=lambda mount: len(mount[0].parts)):  # the outer before the inner
        options += mount
    options += ["--dev", "/dev", "--remount-ro", "/dev"]
    options += ["--ro-bind", str(HERE / "worker.py"), "/grading/worker.py"]
    options += ["--size", str(limits.scratch)] if "--size" in _bubblewrap_help() else []
    options += ["--tmpfs", SCRATCH, "--setenv", "HOME", SCRATCH, "--setenv", "TMPDIR", SCRATCH, "--chdir", SCRATCH]
    return [*options, "--remount-ro", "/"]


def _shown() -> list[Path]:
    python, base = Path(sys.executable).resolve(), Path(sys.base_prefix).resolve()
    system = [Path(name) for name in ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")]
    standard = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    found = [*system, python, base / "lib", base / "lib64", *standard, *site_folders()]
    return [
        path
        for path in dict.fromkeys(found)
        if not any(path != other and path.is_relative_to(other) for other in found)
    ]


def _hidden() -> list[Path]:
    places = [*site_folders(), *Path(sys.base_prefix).resolve().glob("lib*/python3*/*-packages"), ROOT]
    names = ("course_lib", "lessons", "solutions", "exercises", "tests", "grading")
    found = [place / "course_lib" for place in places] + [ROOT / name for name in names]
    return [path for path in dict.fromkeys(found) if path.is_dir()]


@functools.cache
def _bubblewrap_help() -> str:
    return subprocess.run(["bwrap", "--help"], capture_output=True, text=True).stdout


@functools.cache
def require_sandbox() -> None:
    """Start Python in the sandbox once. Raises SandboxError, with bubblewrap's words, if that fails."""
    if sys.platform != "linux" or shutil.which("bwrap") is None:
        raise SandboxError(f"There is no bwrap on this machine. {_REMEDY}")
    command = [
        "bwrap",
        *bubblewrap_options(Limits()),
        "--",
        str(Path(sys.executable).resolve()),
        "-I",
        "-S",
        "-c",
        "pass",
    ]
    try:
        trial = subprocess.run(
            command, env={"PATH": os.environ.get("PATH", os.defpath)}, capture_output=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"bwrap could not be started: {error}. {_REMEDY}") from error
    if trial.returncode:
        words = trial.stderr.decode("utf-8", "replace").strip()[-500:]
        raise SandboxError(f"bwrap is here but cannot make a sandbox: {words}\n{_REMEDY}")


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Return an empty folder for a worker without a sandbox; what it cannot delete at the end, it leaves."""
    return tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True)
