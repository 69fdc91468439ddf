"""Examine this installation: Python, disk, memory, packages, models, kernel, processor."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from course_lib.assets import models, store
from course_lib.classroom.doctor import Finding

SETUP = "python course.py lab"


def findings(root: Path) -> Iterator[Finding]:
    """Yield one finding after another, in the order in which a fault is best mended."""
    yield _python()
    yield _disk()
    yield _memory()
    yield _threads()
    yield from _packages(root)
    yield from _models()
    yield _kernel()
    yield from _processor()


def _python() -> Finding:
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < (3, 11):
        return Finding("Python", "fault", version, "install Python 3.11 or later, delete .venv, run: " + SETUP)
    return Finding("Python", "ok", version)


def _disk() -> Finding:
    home = store.course_home()
    place = home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    detail = f"{free:.1f} GB free for the cache"
    if not os.access(place, os.W_OK):
        return Finding(
            "disk", "fault", f"the cache folder {home} cannot be written", "set COURSE_HOME to a folder of yours"
        )
    if free < 1:
        return Finding("disk", "fault", detail, f"free 1 GB at {home}, or set COURSE_HOME to another disk")
    return Finding("disk", "ok", detail)


def _memory() -> Finding:
    import psutil

    total = min(psutil.virtual_memory().total, _container_limit()) / 1e9
    if total < 1.9:
        return Finding(
            "memory", "fault", f"{total:.1f} GB", "lessons need 2 GB: close programs or ask for a larger container"
        )
    return Finding("memory", "ok", f"{total:.1f} GB")


def _container_limit() -> float:
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            return float(text)
    return float("inf")


def _threads() -> Finding:
    from course_lib.core.seeds import thread_count

    try:
        threads = thread_count()
    except ValueError as error:
        return Finding("threads", "fault", str(error), "unset COURSE_THREADS")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    detail = f"{threads} used, {cores} cores here"
    if cores < threads:
        return Finding(
            "threads", "note", detail, f"set COURSE_THREADS={cores}: more threads than cores slow down every lesson"
        )
    return Finding("threads", "ok", detail)


def _packages(root: Path) -> Iterator[Finding]:
    lock = root / "requirements.lock"
    if not lock.is_file():
        yield Finding("packages", "note", "no requirements.lock here (installed as a package): versions not compared")
        return
    pins = pinned_versions(lock.read_text(encoding="utf-8"))
    wrong, missing = [], []
    needed = _needed()
    if not needed:
        yield Finding("course", "note", "course_lib is not installed, only found on the path", f"run: {SETUP}")
    for name, version in pins.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name in needed:
                missing.append(name)
            continue
        if found.split("+")[0] != version:
            wrong.append(f"{name} {found} instead of {version}")
    if missing:
        yield Finding("packages", "fault", f"missing: {', '.join(missing)}", f"delete .venv and run: {SETUP}")
    if wrong:
        yield Finding("packages", "note", f"not as locked: {'; '.join(wrong)}", f"delete .venv and run: {SETUP}")
    if not missing and not wrong:
        yield Finding("packages", "ok", f"{len(pins)} pins compared with requirements.lock")


def pinned_versions(lock: str) -> dict[str, str]:
    """Return name -> version of the lines of a lock whose marker holds on this machine."""
    from packaging.requirements import Requirement

    pins = {}
    for line in lock.splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                pins[requirement.name] = str(requirement.specifier).removeprefix("==")
    return pins


def _needed() -> set[str]:
    """Names of what a learner needs: the package's own requirements and those of the extra "lab"."""
    try:
        lines = metadata.requires("rag-and-fine-tuning-measured") or []
    except metadata.PackageNotFoundError:
        return set()
    own = [line for line in lines if "extra ==" not in line or re.search(r"extra == ['\"]lab['\"]", line)]
    return {re.split(r"[ <>=!~;\[]", line, maxsplit=1)[0].lower() for line in own}


def _models() -> Iterator[Finding]:
    for asset in store.manifest().values():
        variable = f"COURSE_{asset.name.upper()}"
        if own := os.environ.get(variable):
            yield Finding(
                asset.name, "note", f"{variable}={own}", "figures in the lessons hold for the pinned model only"
            )
            continue
        folders = [(store.course_home() / asset.name, asset.files)]
        if asset.gguf:
            folders.append((store.course_home() / models.CONVERTED, {}))
        problems = [
            problem for folder, files in folders if (problem := store.damage(folder, thorough=True, expected=files))
        ]
        if problems:
            yield Finding(asset.name, "fault", f"{asset.model}: {'; '.join(problems)}", "python course.py prepare")
        else:
            yield Finding(asset.name, "ok", f"{asset.model}, every file has its sha256")


def _kernel() -> Finding:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return Finding("kernel", "fault", "JupyterLab has no kernel python3", f"delete .venv and run: {SETUP}")
    interpreter = shutil.which(spec.argv[0]) or spec.argv[0]
    if (
        "{" not in interpreter
        and spec.argv[0] not in ("python", "python3")
        and Path(interpreter) != Path(sys.executable)
    ):
        return Finding(
            "kernel",
            "note",
            f"python3 starts {interpreter}",
            f"notebooks use another Python: start the Lab with {SETUP}",
        )
    return Finding("kernel", "ok", "python3 starts this environment")


def _processor() -> Iterator[Finding]:
    import torch

    pays = models.bf16_pays()
    yield Finding(
        "number format",
        "ok",
        "bfloat16, which this processor computes in hardware" if pays else "float32 (bfloat16 would not pay here)",
    )
    if torch.cuda.is_available():
        yield Finding("GPU", "ok", f"{torch.cuda.get_device_name()} (the course does not need it)")
    else:
        yield Finding("GPU", "ok", "none, and none is needed")
