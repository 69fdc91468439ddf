"""Read the collection: every shelf as Documents."""

from __future__ import annotations

import datetime
import json
from functools import cache
from pathlib import Path
from typing import Any

from course_lib.core.types import Document
from course_lib.corpus.world_cup import match_reports

COLLECTIONS = Path(__file__).with_name("collections")
SHELVES = ("world_cup", "neurology", "energy", "help_desk")


def document_from_json(entry: dict[str, Any]) -> Document:
    """Return the Document that one line of a shelf describes. Raises KeyError or TypeError if it lacks a field."""
    return Document(**{**entry, "date": datetime.date.fromisoformat(entry["date"])})


@cache
def _shelf(shelf: str) -> tuple[Document, ...]:
    documents = match_reports() if shelf == "world_cup" else []
    for path in sorted((COLLECTIONS / shelf).glob("*.documents.jsonl")):
        with path.open(encoding="utf-8") as file:
            documents += [document_from_json(json.loads(line)) for line in file]
    return tuple(sorted(documents, key=lambda document: document.doc_id))


def load_documents(*shelves: str) -> list[Document]:
    """Return the documents of the shelves named (all if none is), in order of doc_id.

    Raises ValueError for a shelf that does not exist.
    """
    for shelf in shelves:
        if shelf not in SHELVES:
            raise ValueError(f"shelf must be one of {', '.join(SHELVES)}, got {shelf!r}")
    return [document for shelf in shelves or SHELVES for document in _shelf(shelf)]
