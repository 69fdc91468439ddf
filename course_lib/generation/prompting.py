"""The prompt: numbered passages, the question, and a budget of tokens."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk
from course_lib.core.validate import require_text

SYSTEM = "You answer questions from the passages you are given. Answer in one short sentence. If the passages do not say, answer: I do not know."
CLOSED_BOOK_SYSTEM = "You answer questions. Answer in one short sentence."


def written_date(date: datetime.date) -> str:
    """Return a date as prose writes it: 19 July 2026."""
    return f"{date.day} {date:%B %Y}"


def format_passage(number: int, chunk: Chunk) -> str:
    """Return a passage as the model sees it: its number, title, date and text."""
    return f"[{number}] {chunk.title} ({written_date(chunk.date)})\n{chunk.text}"


def within_budget(passages: Sequence[Chunk], count_tokens: Callable[[str], int], budget: int) -> list[Chunk]:
    """Return the longest prefix of passages that takes at most budget tokens together.

    Whole passages only. Raises ValueError if not even the first fits.
    """
    kept: list[Chunk] = []
    used = 0
    for number, chunk in enumerate(passages, start=1):
        used += count_tokens(format_passage(number, chunk) + "\n\n")
        if used > budget:
            break
        kept.append(chunk)
    if passages and not kept:
        raise ValueError(
            f"budget must hold at least the first passage ({used} tokens), got {budget}; use shorter chunks"
        )
    return kept


def rag_messages(question: str, passages: Sequence[Chunk]) -> list[Message]:
    """Return the conversation that asks question of the passages, best passage first.

    Raises ValueError without passages: ask `closed_book_messages` then.
    """
    require_text(question, name="question")
    if not passages:
        raise ValueError("passages must hold at least one passage, got none")
    shown = "\n\n".join(format_passage(number, chunk) for number, chunk in enumerate(passages, start=1))
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"{shown}\n\nQuestion: {question.strip()}"},
    ]


def closed_book_messages(question: str) -> list[Message]:
    """Return the conversation that asks the model alone, without any passage."""
    require_text(question, name="question")
    return [{"role": "system", "content": CLOSED_BOOK_SYSTEM}, {"role": "user", "content": question.strip()}]
