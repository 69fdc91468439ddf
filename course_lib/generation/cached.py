"""Replies kept on disk: the same prompt to the same model is decoded once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from course_lib.assets import models, store
from course_lib.core.protocols import Message
from course_lib.generation.language_model import load_language_model
from course_lib.generation.prompting import conversation_tokens
from course_lib.generation.stopping import Stop, stop_rules
from course_lib.generation.streaming import stream

FRESH = "COURSE_FRESH_REPLIES"


class BatchGenerator(Protocol):
    """A generator that continues several conversations at once.

    It is asked for `stop` only where there is a stop rule, and for `stream` only when a reply is streamed.
    """

    def generate_many(
        self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int, batch_size: int
    ) -> list[str]: ...

    def count_tokens(self, text: str) -> int: ...


class CachedGenerator:
    """A generator around another that remembers its replies in a file, and how long each took when it was made.

    identity: names weights and number format; another model has another file. Model, prompt, length and stop rules are
    the key of a reply: with another of them it is made anew. seconds: what the replies returned so far
    took when they were made, so that it is the same whether they come from the disk or not. COURSE_FRESH_REPLIES=1 reads
    nothing from the file: then a notebook takes as long as it takes a first time.
    """

    def __init__(
        self, generator: BatchGenerator, identity: str, *, folder: Path | None = None, batch_size: int = 16
    ) -> None:
        self.generator, self.identity, self.batch_size = generator, identity, batch_size
        name = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in identity)
        self.path = (folder or store.course_home() / "replies") / f"{name}.jsonl"
        self.seconds, self.n_made = 0.0, 0
        self._known = {} if os.environ.get(FRESH) == "1" else _read(self.path)

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may take together. Raises AttributeError if the generator does not say."""
        return int(self.generator.context_length)  # type: ignore[attr-defined]

    @property
    def estimates_tokens(self) -> bool:
        """Whether the generator's counts of tokens are estimates."""
        return bool(getattr(self.generator, "estimates_tokens", False))

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the model reads text as."""
        return self.generator.count_tokens(text)

    def count_conversation(self, messages: Sequence[Message]) -> int:
        """Return how many tokens the model reads for a conversation, with those that its chat template adds."""
        return conversation_tokens(messages, self.generator)  # type: ignore[arg-type]

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int = 48, stop: Stop = ()) -> str:
        """Return the model's next message."""
        return self.generate_many([messages], max_new_tokens=max_new_tokens, stop=stop)[0]

    def generate_many(
        self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int, stop: Stop = ()
    ) -> list[str]:
        """Return the model's next message for each conversation; only those that are new are decoded, each once.

        stop: strings that end a reply, or FIRST_SENTENCE, as in `LanguageModel.generate`.
        """
        rules = stop_rules(stop)
        options: dict[str, Any] = {"stop": rules} if rules else {}
        keys = [self._key(messages, max_new_tokens, rules) for messages in conversations]
        new = {key: messages for key, messages in zip(keys, conversations, strict=True) if key not in self._known}
        if new:
            started = time.perf_counter()
            replies = self.generator.generate_many(
                list(new.values()), max_new_tokens=max_new_tokens, batch_size=self.batch_size, **options
            )
            share = (time.perf_counter() - started) / len(new)
            self._keep({key: (reply, share) for key, reply in zip(new, replies, strict=True)})
        self.seconds += sum(self._known[key][1] for key in keys)
        return [self._known[key][0] for key in keys]

    def stream(self, messages: Sequence[Message], *, max_new_tokens: int = 48, stop: Stop = ()) -> Iterator[str]:
        """Return the pieces of the model's next message: words, if it is known, otherwise as they are decoded.

        A reply that was not read to its end is not kept.
        """
        rules = stop_rules(stop)
        key = self._key(messages, max_new_tokens, rules)
        if key in self._known:
            self.seconds += self._known[key][1]
            return iter(re.findall(r"\s*\S+\s*$|\s*\S+", self._known[key][0]))
        decoded = stream(self.generator, messages, max_new_tokens=max_new_tokens, stop=rules)  # type: ignore[arg-type]
        return self._kept(key, decoded)

    def _kept(self, key: str, decoded: Iterator[str]) -> Iterator[str]:
        reply, seconds = "", 0.0
        while True:
            started = time.perf_counter()  # the reader's own time does not count
            piece = next(decoded, None)
            seconds += time.perf_counter() - started
            if piece is None:
                break
            reply += piece
            yield piece
        self._keep({key: (reply, seconds)})
        self.seconds += seconds

    def _keep(self, entries: dict[str, tuple[str, float]]) -> None:
        self._known.update(entries)
        self.n_made += len(entries)
        _append(self.path, entries)

    def _key(self, messages: Sequence[Message], max_new_tokens: int, rules: tuple[str, ...] = ()) -> str:
        settings = [self.identity, list(messages), max_new_tokens, *([list(rules)] if rules else [])]
        content = json.dumps(settings, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:32]


def _read(path: Path) -> dict[str, tuple[str, float]]:
    """A line that was cut short, or is no entry, is left out: its reply is made again."""
    known: dict[str, tuple[str, float]] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split(
            "\n"
        )  # not splitlines: a reply may hold U+2028
    except FileNotFoundError:
        return known
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
            known[str(entry["key"])] = (str(entry["reply"]), float(entry["seconds"]))
        except (ValueError, KeyError, TypeError):
            continue
    return known


def _append(path: Path, entries: dict[str, tuple[str, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"key": key, "reply": reply, "seconds": round(seconds, 4)}, ensure_ascii=False)
        for key, (reply, seconds) in entries.items()
    ]
    with store.lock("replies"), path.open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(lines) + "\n")


def load_cached_language_model() -> CachedGenerator:
    """Return the course's language model with its replies kept on disk, by weights and number format."""
    number_format = str(models.compute_dtype()).removeprefix("torch.")
    return CachedGenerator(load_language_model(), f"{models.model_id(models.generator_source())}-{number_format}")
