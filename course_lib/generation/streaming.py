"""A reply as it grows: text pieces that joined are what `generate` returns."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from course_lib.core.protocols import Message
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.stopping import FIRST_SENTENCE, Stop, pieces, stop_rules

__all__ = ["FIRST_SENTENCE", "Streams", "stream"]


class Streams(Protocol):
    """A generator with a way of its own to stream: `Endpoint` and `CachedGenerator` have one."""

    def stream(self, messages: Sequence[Message], *, max_new_tokens: int, stop: Stop = ()) -> Iterator[str]:
        """Return the pieces of the next message."""
        ...


def stream(
    model: LanguageModel | Streams, messages: Sequence[Message], *, max_new_tokens: int = 48, stop: Stop = ()
) -> Iterator[str]:
    """Return the pieces of the model's next message while it is decoded; joined, they are what `generate` returns.

    No piece is empty, holds half a character, or text that a stop rule removes in the end. The model decodes in a
    thread of its own, which ends with the iterator: leaving the loop early ends it after the token under way. Raises
    what `generate` raises, at the call where the arguments are wrong; TypeError if the model cannot stream.
    """
    rules = stop_rules(stop)
    if isinstance(model, LanguageModel):
        model.prompt_tokens(messages, max_new_tokens=max_new_tokens)  # raises here, not at the first piece
        return pieces(_growing(model, messages, max_new_tokens, rules), rules)
    if not hasattr(model, "stream"):
        raise TypeError(f"model must be a LanguageModel or have a method stream, got {type(model).__name__}")
    return model.stream(messages, max_new_tokens=max_new_tokens, stop=stop)


def _growing(
    model: LanguageModel, messages: Sequence[Message], max_new_tokens: int, rules: tuple[str, ...]
) -> Iterator[str]:
    """The text so far after each token, and the reply at last; decoding ends when the iterator is closed."""
    texts: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
    left = threading.Event()

    def watch(text: str) -> bool:
        texts.put(text)
        return left.is_set()

    def decode() -> None:
        try:
            model.generate(messages, max_new_tokens=max_new_tokens, stop=rules, watch=watch)
        except BaseException as error:  # whatever it is, it belongs to the one who waits for the text
            texts.put(error)
        finally:
            texts.put(None)

    thread = threading.Thread(target=decode, name="decoding", daemon=True)
    thread.start()
    try:
        while (text := texts.get()) is not None:
            if isinstance(text, BaseException):
                raise text
            yield text
    finally:
        left.set()
        thread.join()
