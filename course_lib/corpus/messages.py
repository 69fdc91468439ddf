"""Messages to the help desk: clean with splits, for training; and the raw export with flaws planted on purpose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from course_lib.corpus.load import COLLECTIONS
from course_lib.corpus.questions import SPLITS

FOLDER = COLLECTIONS / "help_desk"


@dataclass(frozen=True)
class Message:
    """What a customer wrote, and what it is about. split: "" for the raw export, which has none."""

    message_id: str
    text: str
    intent: str
    split: str = ""


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a raw message. truth: the right intent, "" where there is none. Known to the teacher only."""

    message_id: str
    flaw: str
    truth: str
    note: str


@cache
def _rows(name: str) -> tuple[dict[str, Any], ...]:
    with (FOLDER / f"{name}.jsonl").open(encoding="utf-8") as file:
        return tuple(json.loads(line) for line in file)


def intents() -> dict[str, str]:
    """Return every intent with its definition, in order of name."""
    entries = json.loads((FOLDER / "intents.json").read_text(encoding="utf-8"))
    return {name: str(definition) for name, definition in sorted(entries.items())}


def load_messages(split: str | None = None) -> list[Message]:
    """Return the clean messages of a split (all where None). Raises ValueError for a split that does not exist."""
    if split not in (None, *SPLITS):
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    rows = (Message(row["message_id"], row["text"], row["intent"], row["split"]) for row in _rows("messages"))
    return [message for message in rows if split in (None, message.split)]


def load_raw_messages() -> list[Message]:
    """Return the raw export as it came: labels misspelt, texts twice, in other languages, broken or empty."""
    return [Message(row["raw_id"], row["text"], row["intent"]) for row in _rows("messages_raw")]


def load_flaws() -> list[Flaw]:
    """Return what was planted in the raw export, to measure how much of it a cleaning finds."""
    return [Flaw(row["raw_id"], row["flaw"], row["truth"], row["note"]) for row in _rows("messages_raw_key")]
