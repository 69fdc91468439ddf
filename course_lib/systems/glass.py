"""The glass pipeline: search, prompt, answer, support; every step on or off, each with what it made and its seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Self, cast

from course_lib.core.protocols import Generator, Message
from course_lib.core.types import Chunk, Document
from course_lib.evaluation.grounding import Grounding
from course_lib.evaluation.grounding_features import claim_of
from course_lib.generation.citing import Support, cite_sentences, sentences, shared_words
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.prompting import Prompt, build_prompt, closed_book_messages, format_passage
from course_lib.generation.streaming import Streams, stream
from course_lib.systems.glass_search import GlassSearch
from course_lib.systems.glass_trace import GlassTrace, Settings
from course_lib.systems.room import Room

Judge = Callable[[str, str, Sequence[Chunk]], Grounding]  # of question, answer and passages


@dataclass(frozen=True)
class GlassPipeline:
    """A system as a value: what is searched, who answers, and settings that say which steps are on.

    judge: says of each sentence of a reply whether the passages support it; without one, shared words decide (more than
    half of a sentence's). Replies are remembered by prompt, so that a switch that changes no prompt costs nothing.
    """

    room: Room
    generator: Generator
    settings: Settings = field(default_factory=Settings)
    judge: Judge | None = None
    replies: dict[str, tuple[str, float]] = field(default_factory=dict, repr=False, compare=False)

    def having(self, **changes: Any) -> Self:
        """Return the pipeline with other settings: having(k=3, shelf="energy"). Raises as `Settings`."""
        return replace(self, settings=replace(self.settings, **changes))

    def without(self, *steps: str) -> Self:
        """Return the pipeline with these steps off. Raises ValueError for a name that is not in SWITCHES."""
        replace(self.settings, on=self.settings.on | set(steps))  # raises for an unknown name
        return self.having(on=self.settings.on - set(steps))

    def with_document(self, document: Document) -> Self:
        """Return the pipeline with a document more in its room."""
        return replace(self, room=self.room.with_document(document))

    def without_yours(self) -> Self:
        """Return the pipeline without the documents that were added."""
        return replace(self, room=self.room.without_yours())

    @property
    def retriever(self) -> GlassSearch:
        """The search alone."""
        return GlassSearch(self.room, self.settings)

    def __call__(self, question: str) -> GlassTrace:
        """Return the finished trace. Raises as `watch`."""
        *_, trace = self.watch(question)
        return trace

    def watch(self, question: str) -> Iterator[GlassTrace]:
        """Yield the trace after each step, and after each piece of the reply; the last one is finished.

        Raises TypeError or ValueError for a question that is none, filters that nothing passes, or a prompt that does
        not fit.
        """
        trace = GlassTrace("", self.settings, len(self.room))
        for step in self.retriever.steps(question):
            yield (trace := step)
        started = perf_counter()
        chunks = [self.room.chunk(hit.chunk_id) for hit in trace.rankings[trace.last_list][: self.settings.k]]
        prompt = build_prompt(
            trace.question, chunks, generator=self.generator, budget=self.settings.budget, shorten=True
        )
        parts = self._parts(trace.question, prompt)
        trace = trace.timed("prompt", perf_counter() - started, prompt=prompt, prompt_tokens=parts)
        yield trace
        if "answer" in self.settings.on:
            for step in self._answered(trace, "answer", "reply", prompt.messages):
                yield (trace := step)
            if "support" in self.settings.on:
                yield (trace := self._supported(trace, prompt))
        if "closed_book" in self.settings.on:
            for step in self._answered(trace, "closed_book", "closed_book", closed_book_messages(trace.question)):
                yield (trace := step)
        yield replace(trace, finished=True)

    def _parts(self, question: str, prompt: Prompt) -> dict[str, int]:
        count = self.generator.count_tokens
        parts = {"instructions": count(prompt.messages[0]["content"])}
        for number, chunk in enumerate(prompt.shown, start=1):
            parts[f"passage {number}"] = count(format_passage(number, chunk))
        parts["question"] = count(f"Question: {question}")
        return parts | {"template": max(0, prompt.n_tokens - sum(parts.values()))}

    def _answered(self, trace: GlassTrace, step: str, name: str, messages: Sequence[Message]) -> Iterator[GlassTrace]:
        n_tokens = self.settings.max_new_tokens
        key = json.dumps([list(messages), n_tokens])
        if key in self.replies:
            reply, seconds = self.replies[key]
            yield trace.timed(step, seconds, **{name: reply}, kept=trace.kept | {step})
            return
        started, reply = perf_counter(), ""
        for piece in _pieces(self.generator, messages, n_tokens):
            reply += piece
            yield trace.timed(step, perf_counter() - started, **{name: reply})
        self.replies[key] = (reply, perf_counter() - started)
        yield trace.timed(step, self.replies[key][1], **{name: reply})

    def _supported(self, trace: GlassTrace, prompt: Prompt) -> GlassTrace:
        started = perf_counter()
        claims = any(claim_of(trace.reply[start:end]) for start, end in sentences(trace.reply))
        if not claims or trace.abstained:
            note = "The model claims nothing: nothing to support."
            return trace.timed("support", perf_counter() - started, note=note)
        if self.judge:
            supports = supports_of(self.judge(trace.question, trace.reply, prompt.shown))
        else:
            supports = cite_sentences(trace.reply, prompt.shown, shared_words, threshold=0.5)
        return trace.timed("support", perf_counter() - started, supports=supports)


def supports_of(grounding: Grounding) -> tuple[Support, ...]:
    """Return the verdict on an answer, sentence by sentence, with the passages numbered as printed."""
    return tuple(
        Support(s.sentence, s.start, s.end, s.passage + 1, s.score, s.quote, s.span)
        if s.supported
        else Support(s.sentence, s.start, s.end, None, s.score, "", (0, 0))
        for s in grounding.sentences
    )


def _pieces(generator: Generator, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
    if isinstance(generator, LanguageModel) or hasattr(generator, "stream"):
        yield from stream(cast("LanguageModel | Streams", generator), messages, max_new_tokens=max_new_tokens)
    else:
        yield generator.generate(messages, max_new_tokens=max_new_tokens)
