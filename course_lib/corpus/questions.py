"""The question set: one for all lessons, by type, with gold spans and splits."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from course_lib.core.types import GoldSpan, Question
from course_lib.corpus.load import COLLECTIONS, SHELVES

KINDS = {
    "exact_term": "asks by a code, name or term that stands in the passage",
    "paraphrase": "shares no content word with the passage that answers it",
    "number_or_date": "asks for a figure or a date",
    "latest": "asks for the version in force or the record as it stands, of several that were true once",
    "comparison": "needs two passages",
    "unanswerable": "sounds as if the collection held the answer, but it does not",
}
SPLITS = ("train", "dev", "test")


def question_from_json(entry: dict[str, Any]) -> Question:
    """Return the Question that one line describes. Raises ValueError for an unknown kind, shelf or split."""
    for field, known in (("kind", KINDS), ("shelf", SHELVES), ("split", SPLITS)):
        if entry[field] not in known:
            raise ValueError(
                f"{field} must be one of {', '.join(known)}, got {entry[field]!r} in {entry['question_id']}"
            )
    gold = tuple(GoldSpan(**span) for span in entry["gold"])
    return Question(**{**entry, "answers": tuple(entry["answers"]), "gold": gold})


@cache
def _all_questions() -> tuple[Question, ...]:
    questions = []
    for path in sorted((COLLECTIONS / "questions").glob("*.questions.jsonl")):
        with path.open(encoding="utf-8") as file:
            questions += [question_from_json(json.loads(line)) for line in file]
    return tuple(sorted(questions, key=lambda question: question.question_id))


def load_questions(*, split: str | None = None, kind: str | None = None, shelf: str | None = None) -> list[Question]:
    """Return the questions of a split, kind and shelf (all where None), in order of question_id.

    Raises ValueError for a split, kind or shelf that does not exist.
    """
    for name, value, known in (("split", split, SPLITS), ("kind", kind, KINDS), ("shelf", shelf, SHELVES)):
        if value is not None and value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    return [
        question
        for question in _all_questions()
        if split in (None, question.split) and kind in (None, question.kind) and shelf in (None, question.shelf)
    ]
