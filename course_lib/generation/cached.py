"""Replies kept on disk: the same prompt to the same model is decoded once."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from course_lib.assets import models, store
from course_lib.core.protocols import Message
from course_lib.generation.language_model import load_language_model

FRESH = "COURSE_FRESH_REPLIES"


class BatchGenerator(Protocol):
    """A generator that continues several conversations at once."""

    def generate_many(
        self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int, batch_size: int
    ) -> list[str]: ...

    def count_tokens(self, text: str) -> int: ...


class CachedGenerator:
    """A generator around another that remembers its replies in a file, and how long each took when it was made.

    identity: names weights and number format; another model has another file. seconds: what the replies returned so far
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

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the model reads text as."""
        return self.generator.count_tokens(text)

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int = 48) -> str:
        """Return the model's next message."""
        return self.generate_many([messages], max_new_tokens=max_new_tokens)[0]

    def generate_many(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Return the model's next message for each conversation; only those that are new are decoded, each once."""
        keys = [self._key(messages, max_new_tokens) for messages in conversations]
        new = {key: messages for key, messages in zip(keys, conversations, strict=True) if key not in self._known}
        if new:
            started = time.perf_counter()
            replies = self.generator.generate_many(
                list(new.values()), max_new_tokens=max_new_tokens, batch_size=self.batch_size
            )
            share = (time.perf_counter() - started) / len(new)
            entries = {key: (reply, share) for key, reply in zip(new, replies, strict=True)}
            self._known.update(entries)
            self.n_made += len(entries)
            _append(self.path, entries)
        self.seconds += sum(self._known[key][1] for key in keys)
        return [self._known[key][0] for key in keys]

    def _key(self, messages: Sequence[Message], max_new_tokens: int) -> str:
        content = json.dumps([self.identity, list(messages), max_new_tokens], ensure_ascii=False, sort_keys=True)
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
