"""Transformations by a language model: the prompts, the reading of its replies, and what happens when they are no use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from course_lib.core.protocols import Generator, Message
from course_lib.core.validate import require_text
from course_lib.retrieval.query import Fuse, Transformed, same_words, transformed

MAX_WORDS = 500


@dataclass(frozen=True)
class Prompt:
    """How a language model is asked to transform a query.

    system: what it should do. shots: (query, reply) pairs that show it. limit: texts that are taken from a reply, at
    most. fuse: how their results are put together. max_new_tokens: where a reply ends. template: what is said to the
    model for a query, which stands in the place of {}.
    """

    system: str
    shots: tuple[tuple[str, str], ...]
    limit: int
    max_new_tokens: int
    fuse: Fuse = "rank"
    template: str = "{}"

    def messages(self, query: str) -> list[Message]:
        """Return the conversation that asks for query. Raises ValueError for an empty query or one over 500 words."""
        n_words = len(require_text(query, name="query").split())
        if n_words > MAX_WORDS:
            raise ValueError(f"query must have at most {MAX_WORDS} words, got {n_words}; search it in parts")
        turns: list[Message] = [{"role": "system", "content": self.system}]
        for asked, reply in self.shots:
            turns += [self._asking(asked), {"role": "assistant", "content": reply}]
        return [*turns, self._asking(query.strip())]

    def _asking(self, query: str) -> Message:
        return {"role": "user", "content": self.template.format(query)}


# Written for a small model: examples in the form of the question, because without them it answers instead. Chosen on
# 20 questions of the dev split, four of a kind.
PROMPTS = {
    "rewriting": Prompt(
        "You write search queries.",
        (
            (
                "Hello, I would love to know how long a passport is good for once I have it, can you help?",
                "passport validity period",
            ),
            ("What was it again that the X-200 does when its red lamp is on?", "X-200 red lamp meaning"),
            ("Who was it that painted the ceiling of the chapel in Rome?", "painter of the chapel ceiling in Rome"),
            (
                "By how many years is the university of Bologna older than that of Oxford?",
                "founding year university of Bologna, university of Oxford",
            ),
        ),
        limit=1,
        max_new_tokens=24,
        template="Write a search query for this question: {}",
    ),
    "sub-queries": Prompt(
        "You split questions. You do not answer them.",
        (
            ("Which is longer, the Nile or the Amazon?", "1. How long is the Nile?\n2. How long is the Amazon?"),
            (
                "By how many years is the university of Bologna older than that of Oxford?",
                "1. When was the university of Bologna founded?\n2. When was the university of Oxford founded?",
            ),
            (
                "How much did the fare rise from the timetable of 1998 to that of 2003?",
                "1. What was the fare in the timetable of 1998?\n2. What was the fare in the timetable of 2003?",
            ),
            (
                "How many more seats has the Globe than the Lyceum?",
                "1. How many seats has the Globe?\n2. How many seats has the Lyceum?",
            ),
        ),
        limit=3,
        max_new_tokens=64,
        fuse="turns",
        template="Split into two simple questions: {}",
    ),
    "several queries": Prompt(
        "You rephrase questions. You do not answer them.",
        (
            (
                "Why do cats purr?",
                "1. What makes a cat purr?\n2. For what reason do cats make a purring sound?\n"
                "3. What does purring mean in felines?",
            ),
            (
                "How do I get my money back for a late train?",
                "1. How is a delayed train refunded?\n2. How can I claim back the fare after a rail delay?\n"
                "3. What compensation is there when a train arrives late?",
            ),
            (
                "Which painter cut off his own ear?",
                "1. Which artist mutilated his ear?\n2. Who was the painter that lost an ear by his own hand?\n"
                "3. What was the name of the artist who sliced off his ear?",
            ),
        ),
        limit=3,
        max_new_tokens=72,
        template="Ask this question in three other ways: {}",
    ),
    "HyDE": Prompt(
        "You write articles of an encyclopedia and of customer help pages.",
        (
            (
                "Why do cats purr?",
                "Cats purr by moving the muscles of the larynx rapidly while they breathe in and out. They purr when "
                "they are content, but also when they are in pain.",
            ),
            (
                "How do I get my money back for a late train?",
                "If your train arrives more than 30 minutes late, you can claim a refund of part of the fare. Send the "
                "form with your ticket within 28 days of the journey.",
            ),
        ),
        limit=1,
        max_new_tokens=64,
        fuse="mean",
        template="Write a passage that answers: {}",
    ),
    "step-back": Prompt(
        "You ask more general questions.",
        (
            ("In which year did Marie Curie move to Paris?", "What were the stages of Marie Curie's life?"),
            ("What does error 17 on the X-200 mean?", "Which errors does the X-200 report?"),
            ("How much does a child's ticket to the zoo cost on a Sunday?", "What are the ticket prices of the zoo?"),
        ),
        limit=1,
        max_new_tokens=28,
        template="Ask a more general question about the subject of: {}",
    ),
}

_MARK = re.compile(r"^\s*(?:[-*•–>]+\s+|\(?\d{1,2}[.):](?!\d)\s*|\(?[a-e][.)]\s+|#+\s*)+")
_LABEL = re.compile(
    r"^(?:rewritten |rephrased |alternative |search |sub-?|step-back |general |hypothetical )?"
    r"(?:quer(?:y|ies)|questions?|passage|answer|variants?|step|version)\s*\d*\s*:\s*",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"^(?:(?:sure|certainly|of course|okay|ok|great|absolutely)\b.*[:!.]|here (?:are|is)\b.*:|here's\b.*:|.*:)$"
    r"|^(?:i hope|let me know|is there anything|feel free|these (?:questions|queries))\b.*",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:cannot|can't|can not|do not|don't) (?:help|assist|answer|know|have)"
    r"|as an ai|language model|i apologi[sz]e)\b",
    re.IGNORECASE,
)
_INLINE = re.compile(r"\s+(?=\(?[1-9][.)]\s+[A-Z\"'“])")


def parse_lines(reply: str, *, limit: int) -> list[str]:
    """Return the texts that a reply lists, at most limit, without numbers, bullets, labels, quotes and chatter.

    A list on one line ("1. ... 2. ...") is taken apart. Lines that repeat another, refuse, announce ("Here are three:")
    or hold no letter are left out; [] if nothing is left. Raises ValueError if limit < 1.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    found: dict[str, str] = {}
    for line in reply.replace("```", "\n").splitlines():
        for part in _INLINE.split(line):
            text = _bare(part)
            if any(letter.isalpha() for letter in text) and not _CHATTER.match(text) and not _REFUSAL.search(text):
                found.setdefault(same_words(text), text)
    return list(found.values())[:limit]


def parse_passage(reply: str) -> str:
    """Return the passage that a reply holds, on one line, without labels and chatter; "" if it refuses or is empty."""
    lines = [_bare(line) for line in reply.replace("```", "\n").splitlines()]
    kept = [line for line in lines if any(letter.isalpha() for letter in line) and not _CHATTER.match(line)]
    return "" if any(_REFUSAL.search(line) for line in kept) else " ".join(kept)


def _bare(text: str) -> str:
    before = None
    while text != before:
        before = text
        text = _LABEL.sub("", _MARK.sub("", text)).strip().strip("*_`").strip()
        if len(text) > 1 and text[0] in "\"'“‘" and text[-1] in "\"'”’":
            text = text[1:-1].strip()
    return text


@dataclass(frozen=True)
class ByModel:
    """A transformation by a language model: query -> texts to search, and how they are put together.

    keep_original: search the query as it stands, too. A reply that is empty, refuses or repeats the query leaves the
    query alone, and `note` says so.
    """

    generator: Generator
    prompt: Prompt
    keep_original: bool = True

    def __call__(self, query: str) -> Transformed:
        reply = self.generator.generate(self.prompt.messages(query), max_new_tokens=self.prompt.max_new_tokens)
        return self.read(query, reply)

    def many(self, queries: Sequence[str]) -> list[Transformed]:
        """Return what each query becomes; a generator that decodes several at once is asked for all of them at once."""
        conversations = [self.prompt.messages(query) for query in queries]
        at_once = getattr(self.generator, "generate_many", None)
        if at_once is None:
            return [self(query) for query in queries]
        replies = at_once(conversations, max_new_tokens=self.prompt.max_new_tokens)
        return [self.read(query, reply) for query, reply in zip(queries, replies, strict=True)]

    def read(self, query: str, reply: str) -> Transformed:
        """Return what a reply makes of the query."""
        if self.prompt.fuse == "mean":
            passage = parse_passage(reply)
            made = [passage] if passage else []
        else:
            made = parse_lines(reply, limit=self.prompt.limit)
        note = ""
        if not reply.strip():
            note = "the model said nothing: the query is searched as it stands"
        elif not made:
            note = "the reply holds no text to search: the query is searched as it stands"
        elif {same_words(text) for text in made} == {same_words(query)}:
            note, made = "the model repeated the query: it is searched as it stands", []
        return transformed(query, made, fuse=self.prompt.fuse, keep_original=self.keep_original, reply=reply, note=note)


def by_model(name: str, generator: Generator, *, keep_original: bool = True) -> ByModel:
    """Return the transformation of this name in PROMPTS. Raises ValueError for another name."""
    if name not in PROMPTS:
        raise ValueError(f"name must be one of {', '.join(PROMPTS)}, got {name!r}")
    return ByModel(generator, PROMPTS[name], keep_original)
