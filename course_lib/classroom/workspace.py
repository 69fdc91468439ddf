"""The learner's own copies of the exercises: laid out once, never overwritten."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

RECORD = ".laid_out.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lay_out_exercises(exercises: Path, work: Path) -> list[str]:
    """Copy each exercise into the learner's folder; return what to tell the learner.

    A copy that the learner has not touched follows the course's updates. A copy that was touched is left alone, and
    a newer version is laid beside it under a name with "-new". Nothing of the learner's is ever deleted or overwritten.
    """
    messages: list[str] = []
    if not exercises.is_dir():
        return messages
    work.mkdir(parents=True, exist_ok=True)
    record = _read_record(work / RECORD)
    for source in sorted(exercises.glob("*.ipynb")):
        target = work / source.name
        new, laid_out = _digest(source), record.get(source.name)
        if new == laid_out and target.exists():
            continue
        if not target.exists():
            _copy(source, target)
        elif _digest(target) == laid_out:
            _copy(source, target)
            messages.append(f"{target.name}: updated; you had not begun it.")
        elif _digest(target) != new:
            beside = _free_name(target)
            _copy(source, beside)
            messages.append(
                f"{target.name}: there is a newer version, laid beside yours as {beside.name}. Yours is untouched."
            )
        record[source.name] = new
    aside = work / f"{RECORD}.tmp"
    aside.write_text(json.dumps(record, indent=1), encoding="utf-8")
    os.replace(aside, work / RECORD)
    return messages


def _read_record(path: Path) -> dict[str, str]:
    """Return the digest of each exercise as it was laid out. If the record is lost, all copies count as touched."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _copy(source: Path, target: Path) -> None:
    """Copy in one step: half a copy, after a power cut, would count as the learner's own work."""
    aside = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, aside)
    os.replace(aside, target)


def _free_name(target: Path) -> Path:
    number = 1
    while True:
        beside = target.with_name(f"{target.stem}-new{number if number > 1 else ''}.ipynb")
        if not beside.exists():
            return beside
        number += 1
