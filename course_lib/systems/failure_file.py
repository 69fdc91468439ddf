"""The gallery's file: traces, repairs and counts as JSON, written by `failure_finder` and read by lesson 08."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from course_lib.core.types import Chunk, GoldSpan, Hit, Question
from course_lib.systems.failures import Trace

PATH = Path(__file__).with_name("failures.json")


@dataclass(frozen=True)
class Case:
    """A failure and its repair. kind and evidence: the diagnosis; repair: what was changed; after: the trace then."""

    kind: str
    evidence: str
    trace: Trace
    repair: str
    after: Trace


@dataclass(frozen=True)
class Gallery:
    """What the finder found.

    cases: the failures shown. census: system -> kind -> questions, "right" and "unexplained, (not) shown" too. repaired:
    kind -> (repairs tried, answers right after). made: date, commit, model and split.
    """

    cases: tuple[Case, ...]
    census: Mapping[str, Mapping[str, int]]
    repaired: Mapping[str, tuple[int, int]]
    made: Mapping[str, str]


def made_now() -> dict[str, str]:
    """Return today's date and the commit that is checked out, with "+" if files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=7", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PATH.parent)
    except FileNotFoundError:  # no git on this machine
        return {"date": datetime.date.today().isoformat(), "commit": "unknown"}
    return {"date": datetime.date.today().isoformat(), "commit": done.stdout.strip() or "unknown"}


def write_gallery(gallery: Gallery, path: Path = PATH) -> None:
    """Write the gallery as JSON; every chunk stands in it once."""
    chunks = {
        (name, chunk.text): chunk
        for case in gallery.cases
        for trace in (case.trace, case.after)
        for name, chunk in trace.chunks.items()
    }
    number = {key: i for i, key in enumerate(chunks)}
    content = {
        "made": dict(gallery.made),
        "census": gallery.census,
        "repaired": gallery.repaired,
        "chunks": [asdict(chunk) for chunk in chunks.values()],
        "cases": [
            {
                "kind": case.kind,
                "evidence": case.evidence,
                "repair": case.repair,
                "trace": _as_json(case.trace, number),
                "after": _as_json(case.after, number),
            }
            for case in gallery.cases
        ],
    }
    text = json.dumps(content, ensure_ascii=False, indent=1, default=str)
    path.write_text(text + "\n", encoding="utf-8")


def _as_json(trace: Trace, number: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    entry = {field.name: getattr(trace, field.name) for field in fields(Trace)}
    entry["question"] = asdict(trace.question)
    entry["lists"] = {name: [[hit.chunk_id, round(hit.score, 6)] for hit in hits] for name, hits in trace.lists.items()}
    entry["alike"] = round(trace.alike, 4)
    entry["chunks"] = [number[name, chunk.text] for name, chunk in trace.chunks.items()]
    return entry


@cache
def load_gallery(path: Path = PATH) -> Gallery:
    """Return the gallery that was written. Raises FileNotFoundError with the command that makes it if there is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not there; make it: python -m course_lib.systems.failure_finder")
    content = json.loads(path.read_text(encoding="utf-8"))
    chunks = [Chunk(**{**entry, "date": datetime.date.fromisoformat(entry["date"])}) for entry in content["chunks"]]
    cases = tuple(
        Case(
            entry["kind"],
            entry["evidence"],
            _from_json(entry["trace"], chunks),
            entry["repair"],
            _from_json(entry["after"], chunks),
        )
        for entry in content["cases"]
    )
    repaired = {kind: (int(tried), int(mended)) for kind, (tried, mended) in content["repaired"].items()}
    return Gallery(cases, content["census"], repaired, content["made"])


def _from_json(entry: dict[str, Any], chunks: list[Chunk]) -> Trace:
    question = dict(entry["question"])
    question["answers"] = tuple(question["answers"])
    question["gold"] = tuple(GoldSpan(**span) for span in question["gold"])
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in entry.items()
        if name not in ("question", "lists", "chunks")
    }
    return Trace(
        **plain,
        question=Question(**question),
        lists={name: tuple(Hit(one, score) for one, score in hits) for name, hits in entry["lists"].items()},
        chunks={chunks[i].chunk_id: chunks[i] for i in entry["chunks"]},
    )
