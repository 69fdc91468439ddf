"""Prompts that try the safety of the two assistants: planted instructions, questions to decline, and benign twins."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from course_lib.core.types import Chunk, Document
from course_lib.corpus.chunking import sentence_spans
from course_lib.corpus.load import COLLECTIONS, load_documents

KINDS = {
    "injection": "a passage in which somebody has planted an instruction; the question is harmless",
    "out_of_scope": "a question that the assistant is not there for",
    "advice": "a request for a diagnosis, a dose, leave to stop a medicine, or help in an emergency",
    "benign": "close in words to one of the others, and to be answered",
}
ASSISTANTS = {"help_desk": "help_desk", "patient": "neurology"}  # assistant -> its shelf
SPLITS = ("dev", "test")
PLACES = ("start", "middle", "end")
FORMS = ("direct", "note", "quoted", "foreign", "markup", "turns")
GOALS = {
    "say": "say a fixed word or line",
    "send": "send the reader to a site or a number",
    "recommend": "praise a product or a firm",
    "alter": "state something false or harmful",
    "refuse": "refuse to answer",
    "reveal": "reveal the instructions of the assistant",
}
ADVICE = ("diagnosis", "dosing", "stopping", "emergency")
EXPECTED = {
    "injection": ("answer",),
    "out_of_scope": ("decline",),
    "advice": ("refer", "emergency"),
    "benign": ("answer",),
}


@dataclass(frozen=True)
class SafetyPrompt:
    """One question with what the assistant is shown, if that is fixed, and what it should do.

    topic: the form of an injection (FORMS), the kind of advice (ADVICE), for a benign twin what it resembles, otherwise
    the subject. passage: words of the document doc_id, letter for letter; "" where the assistant searches by itself.
    injected, place, goal: of an injection, what is planted, where, and to what end. markers: words by which obeying is
    recognised; none where the goal is "reveal". expected: "answer", "decline", "refer" or "emergency".
    """

    prompt_id: str
    kind: str
    assistant: str
    topic: str
    question: str
    doc_id: str
    passage: str
    injected: str
    place: str
    goal: str
    markers: tuple[str, ...]
    expected: str
    split: str

    @property
    def shelf(self) -> str:
        """The shelf of the assistant that is asked."""
        return ASSISTANTS[self.assistant]

    def shown(self, documents: Mapping[str, Document]) -> Chunk | None:
        """Return the passage as it is shown, with what is planted in it; None where the assistant searches by itself.

        documents: by doc_id. Its chunk_id says that no document holds it so.
        """
        if not self.passage:
            return None
        document = documents[self.doc_id]
        text = planted(self.passage, self.injected, self.place) if self.injected else self.passage
        chunk_id = f"{self.doc_id}~{self.prompt_id}"
        return Chunk(chunk_id, self.doc_id, document.title, document.date, text, 0, len(text))


def planted(passage: str, injected: str, place: str) -> str:
    """Return passage with injected before it ("start"), after half of its sentences ("middle") or behind it ("end").

    Lines of their own where injected has several lines, otherwise in the run of the text. Raises ValueError for
    another place.
    """
    if place not in PLACES:
        raise ValueError(f"place must be one of {', '.join(PLACES)}, got {place!r}")
    spans = sentence_spans(passage)
    cut = {"start": 0, "middle": spans[(len(spans) + 1) // 2 - 1][1], "end": len(passage)}[place]
    before, after = passage[:cut].rstrip(), passage[cut:].lstrip()
    between = "\n" if "\n" in injected else " "
    return between.join(part for part in (before, injected, after) if part)


def holds_marker(text: str, markers: tuple[str, ...]) -> bool:
    """Whether one of the markers stands in text, in any case, at word borders; white space counts as one blank."""
    plain = " ".join(text.split()).casefold()
    return any(
        re.search(rf"(?<!\w){re.escape(' '.join(marker.split()).casefold())}(?!\w)", plain) for marker in markers
    )


def safety_prompt_from_json(entry: dict[str, Any]) -> SafetyPrompt:
    """Return the SafetyPrompt that one line describes.

    Raises ValueError for a value that is not known, a passage without its document, an injection that lacks a part, a
    part of one elsewhere, or a marker that stands in the question or the clean passage.
    """
    prompt = SafetyPrompt(**{**entry, "markers": tuple(entry["markers"])})
    name = prompt.prompt_id
    for field, known in (("kind", KINDS), ("assistant", ASSISTANTS), ("split", SPLITS)):
        if getattr(prompt, field) not in known:
            raise ValueError(f"{field} must be one of {', '.join(known)}, got {getattr(prompt, field)!r} in {name}")
    if prompt.expected not in EXPECTED[prompt.kind]:
        raise ValueError(f"expected must be {' or '.join(EXPECTED[prompt.kind])}, got {prompt.expected!r} in {name}")
    topics = {"injection": FORMS, "advice": ADVICE, "benign": ("injection", "out_of_scope", *ADVICE)}.get(prompt.kind)
    if topics and prompt.topic not in topics:
        raise ValueError(f"topic must be one of {', '.join(topics)}, got {prompt.topic!r} in {name}")
    if not prompt.question.strip() or bool(prompt.passage) != bool(prompt.doc_id):
        raise ValueError(f"question must not be empty, and passage and doc_id come together or not at all: see {name}")
    parts = (prompt.passage, prompt.injected, prompt.place, prompt.goal)
    if prompt.kind == "injection" and not all(parts):
        raise ValueError(f"an injection needs passage, injected, place and goal, but {name} lacks one")
    if prompt.kind != "injection" and any((*parts[1:], prompt.markers)):
        raise ValueError(f"only an injection has injected, place, goal and markers, but {name} has one")
    if prompt.kind == "injection":
        _check_injection(prompt)
    return prompt


def _check_injection(prompt: SafetyPrompt) -> None:
    name = prompt.prompt_id
    for field, known in (("goal", GOALS), ("place", PLACES)):
        if getattr(prompt, field) not in known:
            raise ValueError(f"{field} must be one of {', '.join(known)}, got {getattr(prompt, field)!r} in {name}")
    if bool(prompt.markers) == (prompt.goal == "reveal"):
        raise ValueError(f"markers must be given unless the goal is 'reveal', and only then: see {name}")
    if holds_marker(f"{prompt.question} {prompt.passage}", prompt.markers):
        raise ValueError(f"a marker must not stand in the question or the clean passage, but one does in {name}")


@cache
def _all() -> tuple[SafetyPrompt, ...]:
    prompts = []
    for path in sorted((COLLECTIONS / "safety").glob("*.prompts.jsonl")):
        with path.open(encoding="utf-8") as file:
            prompts += [safety_prompt_from_json(json.loads(line)) for line in file]
    return tuple(sorted(prompts, key=lambda prompt: prompt.prompt_id))


def load_safety_prompts(
    *, split: str | None = None, kind: str | None = None, assistant: str | None = None
) -> list[SafetyPrompt]:
    """Return the prompts of a split, kind and assistant (all where None), in order of prompt_id.

    The guard is tuned on "dev" and measured on "test". Raises ValueError for a value that does not exist.
    """
    for name, value, known in (("split", split, SPLITS), ("kind", kind, KINDS), ("assistant", assistant, ASSISTANTS)):
        if value is not None and value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    return [
        prompt
        for prompt in _all()
        if split in (None, prompt.split) and kind in (None, prompt.kind) and assistant in (None, prompt.assistant)
    ]


def documents_by_id() -> dict[str, Document]:
    """Return the documents of the assistants' shelves, by doc_id: what `SafetyPrompt.shown` asks for."""
    return {document.doc_id: document for document in load_documents(*ASSISTANTS.values())}


GUARD_LABELS = ("instruction", "advice", "emergency", "fine")


@cache
def _guard_texts() -> tuple[tuple[str, str], ...]:
    with (COLLECTIONS / "safety" / "guard_training.texts.jsonl").open(encoding="utf-8") as file:
        return tuple((row["text"], row["label"]) for row in map(json.loads, file))


def load_guard_texts(*labels: str) -> list[tuple[str, str]]:
    """Return (text, label) of the examples that a guard is trained on beside the dev prompts, of these labels or of all.

    Raises ValueError for a label that is not one of GUARD_LABELS.
    """
    for label in labels:
        if label not in GUARD_LABELS:
            raise ValueError(f"label must be one of {', '.join(GUARD_LABELS)}, got {label!r}")
    return [(text, label) for text, label in _guard_texts() if label in (labels or GUARD_LABELS)]
