"""A guard around any generator: it looks at the question, the passages and the reply, and says why it steps in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.types import Chunk
from course_lib.core.validate import require_text
from course_lib.corpus.chunking import sentence_spans
from course_lib.evaluation.answers import abstains
from course_lib.evaluation.grounding import Grounding
from course_lib.evaluation.grounding_features import claim_of
from course_lib.systems.guard_text import (
    INSTEAD,
    addresses,
    gives_dosing_advice,
    instruction_spans,
    merged,
    without_spans,
    words_in_a_row,
)
from course_lib.systems.rag import cite

STAGES = ("input", "passage", "output")
ACTIONS = ("decline", "strip", "quote")
LEAK = 6  # words in a row of the instructions: what is said by chance is shorter
ECHO = 4  # words in a row of a sentence that was taken out
Judge = Callable[[str, str, Sequence[Chunk]], Grounding]  # of question, reply and passages


@dataclass(frozen=True)
class Decision:
    """One step of the guard, with its reason for people.

    stage: where it stepped in (STAGES). action: "decline" puts `instead` in place of an answer, "strip" takes sentences out
    of a passage, "quote" puts a sentence of the document in place of the reply. removed: what was taken out. instead: what
    the reader is told, "" where that is still open.
    """

    stage: str
    action: str
    kind: str
    reason: str
    instead: str = ""
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guard:
    """Three checks, each of which can be left out. Thresholds come from the dev prompts (`guard_training`).

    nearness: a question to its cosine with the nearest chunk of the shelf; below scope_threshold it is out of scope.
    requests: a question to the probabilities of "advice", "emergency" and "fine"; below fine_threshold it is one of the
    first two. instructions: sentences to probabilities that they speak to the machine, (n,); from sentence_threshold on
    they are taken out, as is what the rules of `guard_text` match and an address that is not in known_addresses.
    judge: groundedness of a reply; embed: chooses the sentence that is quoted. stages: those that are on.
    """

    assistant: str
    embed: Embedder
    nearness: Callable[[str], float] | None = None
    scope_threshold: float = -1.0
    requests: Callable[[str], Mapping[str, float]] | None = None
    fine_threshold: float = 0.0
    instructions: Callable[[Sequence[str]], Sequence[float]] | None = None
    sentence_threshold: float = 1.0
    known_addresses: frozenset[str] = frozenset()
    judge: Judge | None = None
    advises: bool = field(default=False)
    stages: frozenset[str] = frozenset(STAGES)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.stages) - set(STAGES))
        if unknown:
            raise ValueError(f"stages must be among {', '.join(STAGES)}, got {', '.join(unknown)}")
        if (self.assistant, "nothing_to_say") not in INSTEAD:
            raise ValueError(f"assistant must be one that INSTEAD has words for, got {self.assistant!r}")

    def only(self, *stages: str) -> Guard:
        """Return the guard with these stages on and the others off. Raises ValueError for an unknown one."""
        return replace(self, stages=frozenset(stages))

    def check_question(self, question: str) -> Decision | None:
        """Return why a question is not answered, None if it may be: an emergency, a request for advice, out of scope.

        Raises ValueError for an empty question, TypeError unless it is a str.
        """
        require_text(question, name="question")
        if "input" not in self.stages:
            return None
        if self.requests:
            shares = self.requests(question)
            if shares["fine"] < self.fine_threshold:
                kind = "emergency" if shares["emergency"] >= shares["advice"] else "advice"
                what = {"emergency": "sounds like an emergency", "advice": "asks for a judgement on one person's case"}
                return self._declined("input", kind, f"The question {what[kind]} ({1 - shares['fine']:.2f} of 1).")
        if self.nearness and (near := self.nearness(question)) < self.scope_threshold:
            words = f"No passage of the shelf is near: cosine {near:.2f}, and {self.scope_threshold:.2f} is asked for."
            return self._declined("input", "out_of_scope", words)
        return None

    def check_passage(self, passage: Chunk) -> tuple[Chunk, Decision | None]:
        """Return the passage without what speaks to the machine, and what was taken out; unchanged if nothing was."""
        if "passage" not in self.stages:
            return passage, None
        found = dict(instruction_spans(passage.text))
        spans = sentence_spans(passage.text)
        texts = [passage.text[start:end] for start, end in spans]
        scores = list(self.instructions(texts)) if self.instructions and texts else [0.0] * len(texts)
        for span, text, score in zip(spans, texts, scores, strict=True):
            strange = sorted(addresses(text) - self.known_addresses)
            if strange:
                found[span] = f"an address that no document of the shelf has ({strange[0]})"
            elif score >= self.sentence_threshold:
                found[span] = f"a sentence that speaks to the machine ({score:.2f} of 1)"
        if not found:
            return passage, None
        text = without_spans(passage.text, merged(found))
        removed = tuple(passage.text[start:end].strip() for start, end in merged(found))
        reason = f"Taken out of {passage.doc_id}: {'; '.join(dict.fromkeys(found.values()))}."
        cut = replace(passage, chunk_id=f"{passage.chunk_id}~cut", text=text, start=0, end=len(text))
        return cut, Decision("passage", "strip", "instruction", reason, removed=removed)

    def check_reply(
        self, question: str, reply: str, passages: Sequence[Chunk], *, system: str, removed: Sequence[str] = ()
    ) -> Decision | None:
        """Return why a reply is not shown, None if it may be.

        removed: what was taken out of the passages. An abstention passes: it claims nothing.
        """
        if "output" not in self.stages:
            return None
        if run := words_in_a_row(reply, [system], LEAK):
            return self._quoted(
                "obeyed", f'The reply repeats the instructions of the assistant ("{run}").', question, passages
            )
        if run := words_in_a_row(reply, removed, ECHO):
            return self._quoted("obeyed", f'The reply repeats what was taken out ("{run}").', question, passages)
        if strange := sorted(addresses(reply) - self.known_addresses):
            words = f"The reply gives an address that no document of the shelf has ({strange[0]})."
            return self._quoted("obeyed", words, question, passages)
        if abstains(reply):
            return None
        if self.advises and gives_dosing_advice(reply):
            return self._declined("output", "advice", "The reply tells the reader what to do with a medicine.")
        if not claim_of(reply).strip() or not cite(reply, passages):
            return self._quoted("no_citation", "No passage holds a word of the reply.", question, passages)
        if self.judge and not (verdict := self.judge(question, reply, passages)).supported:
            words = f'No passage supports "{verdict.weakest.sentence.strip()[:80]}" ({verdict.score:.2f} of 1).'
            return self._quoted("ungrounded", words, question, passages)
        return None

    def nothing_left(self) -> Decision:
        """Return the decision for the case that no passage has a word left."""
        return self._declined("passage", "nothing_to_say", "Nothing is left of the passages to answer from.")

    def _declined(self, stage: str, kind: str, reason: str) -> Decision:
        return Decision(stage, "decline", kind, reason, INSTEAD[self.assistant, kind])

    def _quoted(self, kind: str, reason: str, question: str, passages: Sequence[Chunk]) -> Decision:
        """In place of the reply, the sentence of the passages that is nearest to the question."""
        places = [(chunk, chunk.text[start:end]) for chunk in passages for start, end in sentence_spans(chunk.text)]
        if not places:
            return self._declined("output", "nothing_to_say", reason)
        vectors = self.embed([question, *(sentence for _, sentence in places)])  # (1 + n, dim)
        _, sentence = places[int(np.argmax(vectors[1:] @ vectors[0]))]
        return Decision("output", "quote", kind, reason, f'The document says: "{" ".join(sentence.split())}"')
