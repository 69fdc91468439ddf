"""Read the collection: every shelf as Documents."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.core.types import Document
from course_lib.corpus.world_cup import match_reports

if TYPE_CHECKING:
    import datasets

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


def as_dataset(documents: Iterable[Document]) -> datasets.Dataset:
    """Return documents as a Hugging Face dataset, a column for each field of Document, in their order.

    Columns that are empty on a shelf are strings all the same, so that shelves can be joined.
    """
    import datasets

    features = datasets.Features({field.name: datasets.Value("string") for field in fields(Document)})
    features["date"] = datasets.Value("date32")
    rows = list(documents)
    columns = {name: [getattr(document, name) for document in rows] for name in features}
    return datasets.Dataset.from_dict(columns, features=features)
