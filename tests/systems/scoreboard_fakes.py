"""A small course whose scores are known beforehand: passages, questions, searches, and a reader that copies."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk, GoldSpan, Hit, Question, Ranking

KINDS = ("exact_term", "paraphrase", "number_or_date", "latest", "comparison")
N = 60
CHUNKS = [
    Chunk(
        f"shelf/d{i:02d}#00",
        f"shelf/d{i:02d}",
        f"Piece {i}",
        datetime.date(2026, 1, 1),
        f"Code {i} means word{i}.",
        0,
        20,
    )
    for i in range(N)
]
QUESTIONS = [
    Question(
        f"q{i:02d}",
        f"What does code {i} mean?",
        KINDS[i % 5],
        "energy",
        "test",
        (f"word{i}",),
        (GoldSpan(f"shelf/d{i:02d}", "x"),),
    )
    for i in range(N)
]
JUDGED = {f"q{i:02d}": {CHUNKS[i].chunk_id: 1.0} for i in range(N)}


class Found:
    """A retriever that puts the passages of the documents given first, in the order given."""

    def __init__(self, order: Any) -> None:
        self.order, self.asked = order, 0

    def __len__(self) -> int:
        return N

    def search(self, query: str, k: int) -> Ranking:
        self.asked += 1
        number = int(re.findall(r"\d+", query)[0])
        return [Hit(CHUNKS[i].chunk_id, 1.0 - place / N) for place, i in enumerate(self.order(number)[:k])]

    def chunk(self, chunk_id: str) -> Chunk:
        return next(chunk for chunk in CHUNKS if chunk.chunk_id == chunk_id)


def oracle(number: int) -> list[int]:
    return [number, *(i for i in range(N) if i != number)]


def wrong(number: int) -> list[int]:
    return [i for i in range(N) if i != number]


def shuffled(number: int) -> list[int]:
    return np.random.default_rng(number).permutation(N).tolist()


@dataclass
class Reader:
    """A generator that says the word which the prompt gives for the code asked for; without it, it does not know."""

    batches: list[int] = field(default_factory=list)
    n_single: int = 0

    def _say(self, messages: Sequence[Message]) -> str:
        prompt = messages[-1]["content"]
        asked = re.findall(r"code (\d+) mean", prompt)[-1]
        found = re.search(rf"Code {asked} means (\w+)", prompt)
        return f"It means {found[1]}." if found else "I do not know."

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int = 48, **_: Any) -> str:
        self.n_single += 1
        return self._say(messages)

    def generate_many(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int, **_: Any) -> list[str]:
        self.batches.append(len(conversations))
        return [self._say(messages) for messages in conversations]

    def count_tokens(self, text: str) -> int:
        return len(text.split())
