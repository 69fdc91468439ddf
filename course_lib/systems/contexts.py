"""What a generator may be shown for a question: right, wrong, false, shuffled or crowded passages. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk, Document, Question
from course_lib.corpus.chunking import sentence_spans
from course_lib.corpus.judgements import gold_ranges
from course_lib.corpus.question_quality import holds_answer
from course_lib.generation.prompting import closed_book_messages, rag_messages

POSITIONS = ("first", "middle", "last")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DAY = re.compile(
    r"\d{1,2}(?= (?:January|February|March|April|May|June|July|August|September|October|November|December)\b)"
)
_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b", re.IGNORECASE)


def conversation(question: str, passages: Sequence[Chunk]) -> list[Message]:
    """Return the conversation that asks question of the passages in this order, closed book where there are none."""
    return rag_messages(question, passages) if passages else closed_book_messages(question)


def gold_passages(question: Question, chunks: Iterable[Chunk], documents: Mapping[str, Document]) -> list[Chunk]:
    """Return the oracle's passages: for each gold span the chunk that covers most of it, without repetition.

    Where any gold span answers alone (`any_gold`), that of the first. documents: by doc_id. Raises ValueError for a
    question without gold, or if no chunk touches a span.
    """
    if not question.gold:
        raise ValueError(f"{question.question_id} is unanswerable: it has no gold passage")
    by_document: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        by_document.setdefault(chunk.doc_id, []).append(chunk)
    found: dict[str, Chunk] = {}
    for doc_id, start, end in gold_ranges(question, dict(documents))[: 1 if question.any_gold else None]:
        covered = [(min(end, c.end) - max(start, c.start), -c.start, c) for c in by_document.get(doc_id, ())]
        length, _, best = max(covered, key=lambda entry: entry[:2], default=(0, 0, None))
        if best is None or length <= 0:
            raise ValueError(f"{question.question_id}: no chunk touches its gold span in {doc_id}")
        found[best.chunk_id] = best
    return list(found.values())


def states_answer(
    questions: Iterable[Question], chunks: Collection[Chunk], documents: Mapping[str, Document]
) -> dict[Question, Chunk]:
    """Return the questions whose only gold passage states an answer word for word, with that passage.

    A copyist could answer them all, so that a wrong reply is a fault of the reader.
    """
    found = {}
    for question in questions:
        if len(question.gold) == 1:
            (gold,) = gold_passages(question, chunks, documents)
            if holds_answer(gold.text, question.answers):
                found[question] = gold
    return found


def distractors(question: Question, found: Iterable[Chunk], gold: Collection[str], n: int) -> list[Chunk]:
    """Return the n best of the chunks found that do not answer: near the question, and of no use.

    found: best first. gold: chunk_ids that answer. A chunk that holds one of the gold answers is left out, too: it
    might help. Raises ValueError if n < 0 or fewer than n are left.
    """
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}")
    useless = [
        chunk
        for chunk in found
        if chunk.chunk_id not in gold and not holds_answer(f"{chunk.title} {chunk.text}", question.answers)
    ]
    if len(useless) < n:
        raise ValueError(f"{question.question_id}: {n} distractors wanted, {len(useless)} found; search deeper")
    return useless[:n]


def placed(gold: Sequence[Chunk], others: Sequence[Chunk], position: str) -> list[Chunk]:
    """Return gold among others: before them ("first"), behind half of them ("middle") or behind all ("last").

    Of an odd number of others, the larger half comes before the middle. Raises ValueError for another position.
    """
    if position not in POSITIONS:
        raise ValueError(f"position must be one of {', '.join(POSITIONS)}, got {position!r}")
    before = {"first": 0, "middle": (len(others) + 1) // 2, "last": len(others)}[position]
    return [*others[:before], *gold, *others[before:]]


def _changed(chunk: Chunk, text: str, how: str) -> Chunk:
    """A chunk with another text; its id says that no document holds it so."""
    return replace(chunk, chunk_id=f"{chunk.chunk_id}~{how}", text=text, start=0, end=len(text))


def shuffled_words(chunk: Chunk, rng: np.random.Generator) -> Chunk:
    """Return the chunk with its words in random order: the same words, no statement."""
    words = chunk.text.split()
    return _changed(chunk, " ".join(words[i] for i in rng.permutation(len(words))), "shuffled-words")


def shuffled_sentences(chunk: Chunk, rng: np.random.Generator) -> Chunk:
    """Return the chunk with its sentences in random order: every statement whole, the thread lost."""
    sentences = [chunk.text[start:end] for start, end in sentence_spans(chunk.text)]
    return _changed(chunk, " ".join(sentences[i] for i in rng.permutation(len(sentences))), "shuffled-sentences")


@dataclass(frozen=True)
class Poison:
    """A passage in which a false answer stands wherever the true one stood."""

    chunk: Chunk
    true: str
    false: str


def false_number(answer: str) -> str:
    """Return answer with every number changed a little: a day of a month by a week, others in their last digit but zeros.

    The digit d becomes d + 2, or d - 2 from 8 on, so 3,600 becomes 3,800; of words, "two" to "twelve" are known and "two"
    becomes "four" ("one" is too often no number). Raises ValueError if there is no number but zero.
    """

    def in_digits(match: re.Match[str]) -> str:
        digits = match.group()
        if _DAY.match(answer, match.start()):
            return str(int(digits) + 7 if int(digits) < 15 else int(digits) - 7)
        place = max((i for i, digit in enumerate(digits) if digit in "123456789"), default=-1)
        if place < 0:
            return digits
        digit = int(digits[place])
        return digits[:place] + str(digit + 2 if digit < 8 else digit - 2) + digits[place + 1 :]

    def in_words(match: re.Match[str]) -> str:
        place = _WORDS.index(match.group().lower())
        word = _WORDS[place + 2 if place < 9 else place - 2]
        return word.capitalize() if match.group()[0].isupper() else word

    changed = _NUMBER_WORD.sub(in_words, _NUMBER.sub(in_digits, answer))
    if changed == answer:
        raise ValueError(f"answer must hold a number in digits or two to twelve in words, got {answer!r}")
    return changed


def holds_number(answer: str) -> bool:
    """Whether `false_number` can change answer."""
    return bool(_NUMBER.search(answer) or _NUMBER_WORD.search(answer))


def _whole(answer: str) -> re.Pattern[str]:
    """Matches answer as whole words, and never within a longer number."""
    return re.compile(rf"(?<!\w)(?<!\d[.,]){re.escape(answer)}(?!\w)(?![.,]\d)", re.IGNORECASE)


def poisoned(chunk: Chunk, question: Question) -> Poison:
    """Return the chunk with the number that answers question replaced by a false one, everywhere in title and text.

    Of the answer's aliases with a number, the shortest that stands in the text is taken. Raises ValueError where none
    does, the false number stands there already, or another form of the answer remains: not every answer can be
    falsified by replacing, and a name put for a name rarely makes sense.
    """
    there = [answer for answer in question.answers if holds_number(answer) and _whole(answer).search(chunk.text)]
    if not there:
        raise ValueError(f"{question.question_id}: no gold answer with a number stands in {chunk.chunk_id}")
    true = min(there, key=lambda answer: (len(answer), answer))
    false = false_number(true)
    if holds_answer(f"{chunk.title} {chunk.text} {question.text}", [false]):
        raise ValueError(f"{question.question_id}: the false answer {false!r} stands in {chunk.chunk_id} already")
    title, text = (_whole(true).sub(lambda _: false, part) for part in (chunk.title, chunk.text))
    if holds_answer(f"{title} {text}", question.answers) or holds_answer(false, question.answers):
        raise ValueError(f"{question.question_id}: another form of the answer remains in {chunk.chunk_id}")
    return Poison(replace(_changed(chunk, text, "poisoned"), title=title), true, false)


def spread_sample(questions: Sequence[Question], n: int, rng: np.random.Generator) -> list[Question]:
    """Return n questions drawn at random with the kinds as even as they can be, in order of question_id.

    Kinds take turns in alphabetical order; one that has run out is passed over. Raises ValueError unless
    0 <= n <= len(questions).
    """
    if not 0 <= n <= len(questions):
        raise ValueError(f"n must be between 0 and the {len(questions)} questions, got {n}")
    queues: dict[str, list[Question]] = {}
    for i in rng.permutation(len(questions)):
        queues.setdefault(questions[i].kind, []).append(questions[i])
    drawn: list[Question] = []
    while len(drawn) < n:
        for kind in sorted(queues):
            if queues[kind] and len(drawn) < n:
                drawn.append(queues[kind].pop())
    return sorted(drawn, key=lambda question: question.question_id)
