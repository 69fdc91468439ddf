"""`course bench`: run a benchmark, keep its result with all that it depends on, and write its page from the result."""

from __future__ import annotations

import datetime
import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import psutil

from course_lib.assets import models, store
from course_lib.core.seeds import SEED, thread_count

LIBRARIES = (
    "torch", "transformers", "sentence-transformers", "peft", "numpy", "faiss-cpu", "lancedb", "bm25s", "rank-bm25",
    "scikit-learn",
)  # fmt: skip
HEADER = "<!-- Made by `course bench` from benchmarks/results/{name}.json; do not edit. -->\n"
OTHERS = {"scoreboard"}  # results that no benchmark writes: `course scoreboard` makes and checks their pages
Say = Callable[[str], None]


class BenchmarkSkipped(Exception):
    """Raised by a benchmark whose data are not there; the message says which."""


T = TypeVar("T")


def interval_words(interval: dict[str, float], *, digits: int = 3, sign: bool = False) -> str:
    """Return an interval of a result file, with mean, low and high, as a page prints it; sign: for a difference."""
    form = f"{{:{'+' if sign else ''}.{digits}f}}"
    return f"{form.format(interval['mean'])} [{form.format(interval['low'])}, {form.format(interval['high'])}]"


def remembered(name: str, depends_on: Any, compute: Callable[[], T]) -> T:
    """Return compute(), from the cache if it was computed before for the same depends_on: for what takes many minutes.

    depends_on: plain data that names all that the result depends on, models included. The result is plain data, too.
    """
    key = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:24]
    path = store.course_home() / "benchmarks" / f"{name}-{key}.json"
    if path.is_file():
        kept: T = json.loads(path.read_text(encoding="utf-8"))
        return kept
    values = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(values), encoding="utf-8")
    aside.replace(path)
    return values


def names(root: Path) -> list[str]:
    """Return the benchmarks: files of benchmarks/ that define `run` and `page`."""
    found = []
    for path in sorted((root / "benchmarks").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "def run(" in text and "def page(" in text:
            found.append(path.stem)
    return found


def load(root: Path, name: str) -> ModuleType:
    """Return the benchmark as a module. Raises ValueError if there is none of this name."""
    if name not in names(root):
        raise ValueError(f"benchmark must be one of {', '.join(names(root))}, got {name!r}")
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", root / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def circumstances(root: Path) -> dict[str, Any]:
    """Return what a figure depends on: date, commit, versions, models, machine, threads, seed."""
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.date.today().isoformat(),
        "commit": _commit(root),
        "python": platform.python_version(),
        "versions": versions,
        "models": {name: asset.model for name, asset in store.manifest().items()},
        "number_format": str(models.compute_dtype()).removeprefix("torch."),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "threads": thread_count(),
        "seed": SEED,
    }


def _commit(root: Path) -> str:
    """The commit that was checked out, with "+" if files differed from it."""
    try:
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True)
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "") if head.returncode == 0 else "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def run(root: Path, name: str, *, say: Say) -> Path:
    """Run a benchmark; write benchmarks/results/NAME.json and docs/benchmarks/NAME.md. Returns the result's path.

    Raises BenchmarkSkipped if it needs data that are not there; results of before stay then.
    """
    module = load(root, name)
    models.quiet()
    started = time.perf_counter()
    figures = module.run(say)
    result = {"benchmark": name, **circumstances(root), "minutes": round((time.perf_counter() - started) / 60, 1)}
    result["figures"] = figures
    path = root / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    aside.replace(path)
    page = root / "docs" / "benchmarks" / f"{name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(page_of(root, name), encoding="utf-8")
    return path


def page_of(root: Path, name: str) -> str:
    """Return the page of a benchmark, made from its stored result. Raises FileNotFoundError if it was never run."""
    result = json.loads((root / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    body = str(load(root, name).page(result)).strip()
    return f"{HEADER.format(name=name)}{body}\n\n{measured_where(result)}\n"


def measured_where(result: dict[str, Any]) -> str:
    """Return the line that says when, on what and with what a result was measured."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"Measured {result['date']} at commit {result['commit']} in {result['minutes']:g} minutes: {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, {result['threads']} threads, "
        f"{result['number_format']}, seed {result['seed']}; Python {result['python']}, {versions}. "
        f"Again with: `python course.py bench {result['benchmark']}`."
    )


def stale_pages(root: Path) -> list[str]:
    """Return a line for each page that differs from what its stored result makes, and for results without a page."""
    problems = []
    for path in sorted((root / "benchmarks" / "results").glob("*.json")):
        if path.stem in OTHERS:
            continue
        page = root / "docs" / "benchmarks" / f"{path.stem}.md"
        if path.stem not in names(root):
            problems.append(f"benchmarks/results/{path.name} has no benchmarks/{path.stem}.py")
        elif not page.is_file() or page.read_text(encoding="utf-8") != page_of(root, path.stem):
            problems.append(f"docs/benchmarks/{page.name} is stale; run: python course.py bench --pages")
    return problems


def write_pages(root: Path) -> list[str]:
    """Write every page anew from the stored results; return their names."""
    (root / "docs" / "benchmarks").mkdir(parents=True, exist_ok=True)
    done = []
    for path in sorted((root / "benchmarks" / "results").glob("*.json")):
        if path.stem in names(root):
            (root / "docs" / "benchmarks" / f"{path.stem}.md").write_text(page_of(root, path.stem), encoding="utf-8")
            done.append(path.stem)
    return done
