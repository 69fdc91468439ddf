"""Ask a system many questions: prompts decoded together, each query searched once, or one by one with a clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np

from course_lib.core.protocols import Message, Retriever
from course_lib.core.seeds import SEED
from course_lib.core.types import Answer, Chunk, Question, Ranking

AnswerSystem = Callable[[str], Answer]
DEPTH = 10  # of a ranking that is scored
PART = 48  # questions decoded together; what is done is kept, so that a run that is stopped goes on there


@dataclass
class Remembered:
    """A retriever around another that searches for each query once, at least DEPTH deep."""

    retriever: Retriever
    found: dict[str, Ranking] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.retriever)  # type: ignore[arg-type]

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks."""
        limit = len(self) if hasattr(self.retriever, "__len__") else DEPTH
        if k > len(self.found.get(query, ())):
            self.found[query] = self.retriever.search(query, max(k, min(DEPTH, limit)))
        return self.found[query][:k]

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.retriever.chunk(chunk_id)


class Collecting:
    """A generator that only notes what it is asked, so that all of it can be decoded together afterwards."""

    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self.wanted: dict[str, tuple[list[Message], dict[str, Any]]] = {}
        self.known: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.generator, name)

    def generate(self, messages: Sequence[Message], **options: Any) -> str:
        """Return the reply if it has been decoded; else note the prompt and abstain, which every system can take."""
        key = json.dumps([list(messages), options], sort_keys=True, default=str)
        if key not in self.known:
            self.wanted[key] = (list(messages), options)
            return "I do not know."
        return self.known[key]

    def decode(self) -> None:
        """Decode all that was noted, prompts with the same options together."""
        by_options: dict[str, list[str]] = {}
        for key, (_, options) in self.wanted.items():
            by_options.setdefault(json.dumps(options, sort_keys=True, default=str), []).append(key)
        for keys in by_options.values():
            options = self.wanted[keys[0]][1]
            replies = self.generator.generate_many([self.wanted[key][0] for key in keys], **options)
            self.known.update(zip(keys, replies, strict=True))
        self.wanted.clear()


def with_parts(system: AnswerSystem, **parts: Any) -> AnswerSystem:
    """Return the system with other parts, where it is a dataclass that has them; else the system itself."""
    if not is_dataclass(system) or isinstance(system, type):
        return system
    names = {each.name for each in fields(system)}
    found: AnswerSystem = replace(system, **{name: part for name, part in parts.items() if name in names})
    return found


def replies_of(system: AnswerSystem, questions: Sequence[Question], *, progress: bool = False) -> dict[str, Answer]:
    """Return the answer to every question, by question_id; prompts are decoded many at a time where that can be.

    It can where the system is a dataclass with a generator that has `generate_many`. A system whose second prompt
    depends on its first reply is asked again, until it has no new prompt.
    """
    from tqdm.auto import tqdm

    generator = getattr(system, "generator", None)
    answers: dict[str, Answer] = {}
    off = {} if progress else {"disable": True}  # not disable=False: TQDM_DISABLE holds, too
    bar = tqdm(total=len(questions), desc="Answering", unit="question", leave=False, **off)
    with bar:
        for start in range(0, len(questions), PART):
            part = questions[start : start + PART]
            asked = system
            if hasattr(generator, "generate_many"):
                collecting = Collecting(generator)
                asked = with_parts(system, generator=collecting)
                for question in part:
                    asked(question.text)
                while collecting.wanted:
                    collecting.decode()
                    for question in part:
                        asked(question.text)
            answers |= {question.question_id: asked(question.text) for question in part}
            bar.update(len(part))
    return answers


def seconds_of(system: AnswerSystem, questions: Sequence[Question], *, warm_up: str) -> list[float]:
    """Return the seconds of each question, asked one by one, replies decoded anew; warm_up is asked first, untimed."""
    generator: Any = getattr(system, "generator", None)
    fresh = with_parts(system, generator=generator.generator) if hasattr(generator, "n_made") else system
    fresh(warm_up)
    spent = []
    for question in questions:
        started = time.perf_counter()
        fresh(question.text)
        spent.append(time.perf_counter() - started)
    return spent


def spread(questions: Sequence[Question], n: int) -> list[Question]:
    """Return n questions drawn with the course's seed, kinds in turn, in the order of questions; all if n is larger."""
    order = np.random.default_rng(SEED).permutation(len(questions))
    turn: dict[str, int] = {}
    places: list[tuple[int, int, int]] = []
    for i in order.tolist():
        turn[questions[i].kind] = turn.get(questions[i].kind, 0) + 1
        places.append((turn[questions[i].kind], len(places), i))
    return [questions[i] for i in sorted(i for _, _, i in sorted(places)[:n])]
