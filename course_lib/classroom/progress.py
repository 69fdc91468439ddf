"""The learner's own record: predictions and checks, in one file on the learner's machine and nowhere else."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

LOCK_SECONDS = 10


def progress_file() -> Path:
    """Return the path of the progress file: COURSE_PROGRESS if set, else in the user's data folder."""
    if value := os.environ.get("COURSE_PROGRESS"):
        return Path(value).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("rag-and-fine-tuning", appauthor=False)) / "progress.json"


def read_progress() -> dict[str, Any]:
    """Return what is recorded: {"checks": {...}, "predictions": {...}}; both empty if there is nothing to read.

    A damaged file is kept beside it as progress.damaged1.json. One that cannot be opened is left alone.
    """
    path = progress_file()
    try:
        return _parse(path)
    except OSError:
        return _empty()
    except ValueError:
        try:
            with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
                return _parse_or_set_aside(path)
        except OSError:
            return _empty()


def _empty() -> dict[str, Any]:
    return {"checks": {}, "predictions": {}}


def _parse(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if isinstance(record, dict) and all(isinstance(record.get(section), dict) for section in _empty()):
        return record
    raise ValueError("not a progress file")


def _parse_or_set_aside(path: Path) -> dict[str, Any]:
    """Read the file while holding its lock: without it, another process may just have put a good one in its place."""
    try:
        return _parse(path)
    except FileNotFoundError:
        return _empty()
    except ValueError:
        number = 1
        while (aside := path.with_suffix(f".damaged{number}.json")).exists():
            number += 1
        path.replace(aside)
        return _empty()


def _update(section: str, key: str, change: Callable[[Any], Any]) -> None:
    """Put change(what was there, or None) in the place of one entry; other processes wait meanwhile."""
    path = progress_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
            record = _parse_or_set_aside(path)
            record[section][key] = change(record[section].get(key))
            _write(path, json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True))
    except OSError as error:
        print(f"(Your progress could not be saved in {path}: {error}. Set COURSE_PROGRESS to a file you can write.)")


def _write(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        for wait in (0.05, 0.1, 0.2, None):
            try:
                return os.replace(name, path)
            except PermissionError:  # Windows, while another process reads it
                if wait is None:
                    raise
                time.sleep(wait)
    finally:
        Path(name).unlink(missing_ok=True)


def record_check(lesson: str, task: str, status: str) -> None:
    """Record a verdict. A pass is never overwritten by a later try; tries are counted."""

    def change(before: Any) -> dict[str, Any]:
        known = before if isinstance(before, dict) else {}
        tries = known.get("tries", 0)
        best = "passed" if known.get("status") == "passed" else status
        return {"status": best, "tries": (tries if isinstance(tries, int) else 0) + 1}

    _update("checks", f"{lesson}/{task}", change)


def record_prediction(lesson: str, question: str, choice: str) -> None:
    """Record what the learner expects, before the cell that shows it."""
    _update("predictions", f"{lesson}/{question}", lambda before: choice)
