"""The prompt: numbered passages, the question, and a budget of tokens."""

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from course_lib.core.protocols import Generator, Message
from course_lib.core.types import Chunk
from course_lib.core.validate import require_text
from course_lib.generation.citing import sentences

SYSTEM = "You answer questions from the passages you are given. Answer in one short sentence. If the passages do not say, answer: I do not know."
CITING_SYSTEM = f"{SYSTEM} End each sentence with the number of the passage it comes from, in square brackets."
CLOSED_BOOK_SYSTEM = "You answer questions. Answer in one short sentence."
ORDERS = ("best_first", "best_last", "best_at_ends")


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


def rag_messages(question: str, passages: Sequence[Chunk], *, system: str = SYSTEM) -> list[Message]:
    """Return the conversation that asks question of the passages, in the order given.

    Raises ValueError without passages: ask `closed_book_messages` then.
    """
    require_text(question, name="question")
    if not passages:
        raise ValueError("passages must hold at least one passage, got none")
    shown = "\n\n".join(format_passage(number, chunk) for number, chunk in enumerate(passages, start=1))
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": f"{shown}\n\nQuestion: {question.strip()}"},
    ]


def closed_book_messages(question: str) -> list[Message]:
    """Return the conversation that asks the model alone, without any passage."""
    require_text(question, name="question")
    return [{"role": "system", "content": CLOSED_BOOK_SYSTEM}, {"role": "user", "content": question.strip()}]


def in_order(passages: Sequence[Chunk], order: str) -> list[Chunk]:
    """Return passages, given best first, in the order in which they are printed.

    "best_first": as given. "best_last": the best nearest to the question. "best_at_ends": ranks 1, 3, 5, ... 6, 4, 2,
    so that the weakest stand in the middle (Liu et al., 2024). Raises ValueError for another order.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")
    if order == "best_first":
        return list(passages)
    if order == "best_last":
        return list(passages)[::-1]
    return [*passages[::2], *passages[1::2][::-1]]


def conversation_tokens(messages: Sequence[Message], generator: Generator) -> int:
    """Return how many tokens the generator reads for a conversation, with those that its chat template adds.

    A generator without `count_conversation` does not know its template: then the texts of the messages are counted.
    """
    count: Callable[[Sequence[Message]], int] | None = getattr(generator, "count_conversation", None)
    return count(messages) if count else sum(generator.count_tokens(message["content"]) for message in messages)


@dataclass(frozen=True)
class Prompt:
    """A conversation that fits its budget, and what had to be done to make it fit.

    shown: the passages as printed, so that passage [n] is shown[n - 1]. left_out: those that did not fit, best first.
    shortened: a note for people on each passage that was cut. n_tokens: the whole conversation, with what the chat
    template adds; an estimate if `estimated`. budget: the most that n_tokens could have been.
    """

    messages: list[Message]
    shown: tuple[Chunk, ...]
    left_out: tuple[Chunk, ...]
    shortened: tuple[str, ...]
    n_tokens: int
    budget: int
    estimated: bool = False


def build_prompt(
    question: str,
    passages: Sequence[Chunk],
    *,
    generator: Generator,
    budget: int = 1200,
    order: str = "best_first",
    shorten: bool = False,
    system: str = SYSTEM,
) -> Prompt:
    """Return the conversation that asks question of as many passages as fit, best first, into budget tokens.

    budget: tokens of the whole conversation: instructions, passages, question, and what the chat template adds.
    Passages are left out whole, the last ranks first. shorten: the first one that does not fit is shown up to the last
    sentence that does, and `shortened` says so. Raises TypeError or ValueError for a bad argument; ValueError if a
    passage holds no text, budget leaves the model no room to answer, or not even the first passage fits.
    """
    require_text(question, name="question")
    _require_budget(budget, generator)
    in_order([], order)
    if not passages:
        raise ValueError("passages must hold at least one passage, got none; ask closed_book_messages instead")
    for position, chunk in enumerate(passages):
        if not chunk.text.strip():
            raise ValueError(f"passages must hold text, but passages[{position}] ({chunk.chunk_id}) is empty; drop it")

    def size(chosen: Sequence[Chunk]) -> int:
        return conversation_tokens(rag_messages(question, in_order(chosen, order), system=system), generator)

    chosen: list[Chunk] = []
    while len(chosen) < len(passages) and size([*chosen, passages[len(chosen)]]) <= budget:
        chosen.append(passages[len(chosen)])
    left_out = passages[len(chosen) :]
    notes: list[str] = []
    if shorten and left_out:
        whole = left_out[0]
        borders = [end for _, end in sentences(whole.text)]
        n_kept = bisect_right(borders, budget, hi=len(borders) - 1, key=lambda end: size([*chosen, _cut(whole, end)]))
        if n_kept:
            chosen.append(_cut(whole, borders[n_kept - 1]))
            number = in_order(chosen, order).index(chosen[-1]) + 1
            notes.append(f"passage [{number}] ({whole.title}): the first {n_kept} of {len(borders)} sentences")
            left_out = left_out[1:]
    if not chosen:
        asked, best = generator.count_tokens(question), passages[0]
        if shorten:
            first = _cut(best, sentences(best.text)[0][1])
            _refuse(size([first]), budget, asked, "the best passage's first sentence", "raise budget")
        remedy = "raise budget, use shorter chunks or pass shorten=True"
        _refuse(size([best]), budget, asked, "at least the best passage", remedy)
    return Prompt(
        messages=rag_messages(question, in_order(chosen, order), system=system),
        shown=tuple(in_order(chosen, order)),
        left_out=tuple(left_out),
        shortened=tuple(notes),
        n_tokens=size(chosen),
        budget=budget,
        estimated=bool(getattr(generator, "estimates_tokens", False)),
    )


def _cut(chunk: Chunk, end: int) -> Chunk:
    """The chunk up to a character of its text; its offsets stay true."""
    return replace(chunk, text=chunk.text[:end], end=chunk.start + end)


def _require_budget(budget: int, generator: Generator) -> None:
    if isinstance(budget, bool) or not isinstance(budget, int):
        raise TypeError(f"budget must be a whole number of tokens, got {budget!r} ({type(budget).__name__})")
    context: int | None = getattr(generator, "context_length", None)
    if context is not None and budget >= context:
        raise ValueError(
            f"budget must be below the {context} tokens that prompt and answer share in this model, got {budget}; "
            "leave room for the answer"
        )


def _refuse(needed: int, budget: int, asked: int, what: str, remedy: str) -> NoReturn:
    """Raise the ValueError that says what is too long: the question, or even the best passage."""
    if 2 * asked >= budget:
        raise ValueError(
            f"budget must hold the question and {what} ({needed} tokens, {asked} of them the question), got {budget}; "
            "ask a shorter question or raise budget"
        )
    raise ValueError(f"budget must hold the question and {what} ({needed} tokens), got {budget}; {remedy}")
