"""Real answers of the course's language model, each labelled by hand: does the passage that it was shown support it?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from course_lib.core.types import Chunk, Document
from course_lib.corpus.load import COLLECTIONS, load_documents

LABELS = ("supported", "partly", "not")
ERRORS = {
    "invented": "says something of which the passage has nothing",
    "wrong relation": "takes words or figures of the passage, and ties them to something else",
    "wrong number": "gives another figure than the passage",
    "no statement": "repeats the question or loops, and answers nothing",
    "contradicts": "says the contrary of the passage",
    "wrong entity": "names another person, place or thing than the passage",
    "cut off": "breaks off before it answers; what stands there is copied",
}


@dataclass(frozen=True)
class LabelledAnswer:
    """One answer and the one passage that the model was shown.

    passage: as it was shown, with the title and date of its document, which may have been edited since; its offsets
    therefore count from the passage's own beginning.
    label: "supported" if all it says follows from the passage, "partly" if some of it does, otherwise "not". error: one
    of ERRORS, None for a supported answer. note: what the reader saw. Every question is of the train split.
    """

    label_id: str
    question_id: str
    question: str
    passage: Chunk
    answer: str
    label: str
    error: str | None
    note: str

    @property
    def supported(self) -> bool:
        """Whether all that the answer says follows from the passage."""
        return self.label == "supported"


def labelled_answer_from_json(entry: dict[str, Any], documents: dict[str, Document]) -> LabelledAnswer:
    """Return the LabelledAnswer that one line describes; documents: by doc_id.

    Raises ValueError for a label or error that is not known, or an error that does not fit its label; KeyError where
    the document is not there.
    """
    label_id, label, error = entry["label_id"], entry["label"], entry["error"]
    if label not in LABELS:
        raise ValueError(f"label must be one of {', '.join(LABELS)}, got {label!r} in {label_id}")
    if error is not None and error not in ERRORS:
        raise ValueError(f"error must be one of {', '.join(ERRORS)}, got {error!r} in {label_id}")
    if (error is None) != (label == "supported"):
        raise ValueError(f"error must be null for a supported answer and only there, got {error!r} in {label_id}")
    document = documents[entry["chunk_id"].partition("#")[0]]
    text = entry["passage"]
    passage = Chunk(entry["chunk_id"], document.doc_id, document.title, document.date, text, 0, len(text))
    kept = {name: entry[name] for name in ("label_id", "question_id", "question", "answer", "label", "error", "note")}
    return LabelledAnswer(passage=passage, **kept)


@cache
def _all() -> tuple[LabelledAnswer, ...]:
    documents = {document.doc_id: document for document in load_documents()}
    path = COLLECTIONS / "questions" / "grounded_answers.jsonl"
    with path.open(encoding="utf-8") as file:
        answers = [labelled_answer_from_json(json.loads(line), documents) for line in file]
    return tuple(sorted(answers, key=lambda answer: answer.label_id))


def load_labelled_answers() -> list[LabelledAnswer]:
    """Return the labelled answers in order of label_id. One reader labelled them; see SHEET.md for what that means."""
    return list(_all())
