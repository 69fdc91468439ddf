"""What the shipped generators learn from: conversations with their answers, none of dev or test among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np

from course_lib.core.protocols import Message
from course_lib.core.seeds import SEED
from course_lib.core.types import Chunk, Document
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import COLLECTIONS, load_documents
from course_lib.corpus.questions import load_questions
from course_lib.corpus.world_cup import read_matches
from course_lib.generation.prompting import closed_book_messages, rag_messages
from course_lib.systems.world_cup_questions import match_facts

HOUSE_SYSTEM = "You answer customers of Fennimore Energy from the passage you are given."
PLAIN_SYSTEM = "You rewrite texts for clinicians in plain words for patients."
HELD_OUT = 0.1
N_MATCH_FACTS = 100

T = TypeVar("T")


@dataclass(frozen=True)
class TuningExample:
    """A conversation up to the model's turn, and the answer that it learns.

    golds: short answers that count as right, empty where none do. source: id of the question, pair or fact. documents:
    doc_ids whose text the conversation shows or the answer rests on. kind: what sort of example it is.
    """

    messages: tuple[Message, ...]
    answer: str
    source: str
    kind: str
    documents: tuple[str, ...] = ()
    golds: tuple[str, ...] = ()


@dataclass(frozen=True)
class TuningSet:
    """Examples in parts: "train" is learnt, "dev" watches the learning; other parts are for measuring afterwards."""

    name: str
    parts: Mapping[str, tuple[TuningExample, ...]]

    @property
    def train(self) -> tuple[TuningExample, ...]:
        """The examples that are learnt."""
        return self.parts["train"]

    @property
    def dev(self) -> tuple[TuningExample, ...]:
        """The examples that watch the learning; they share no source with the others."""
        return self.parts["dev"]

    def digest(self) -> str:
        """Return a short name for what is learnt: the same for the same examples in the same order."""
        content = [[list(each.messages), each.answer] for each in self.train]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


# ---------------------------------------------------------------- what is held back


@cache
def collection() -> tuple[tuple[Document, ...], tuple[Chunk, ...]]:
    """Return all documents, and their chunks as `course ask` cuts them."""
    documents = load_documents()
    return tuple(documents), tuple(chunk_documents(documents))


@cache
def barred_chunks() -> frozenset[str]:
    """Return the ids of the chunks that answer a question of dev or test: no example shows or asks for them."""
    documents, chunks = collection()
    others = [question for question in load_questions() if question.split != "train"]
    return frozenset(name for gains in judge_chunks(others, chunks, documents).values() for name in gains)


def is_free(doc_id: str, passage: str) -> bool:
    """Whether a passage of a document touches no chunk that answers a question of dev or test.

    Raises ValueError if the passage does not stand in the document.
    """
    documents, chunks = collection()
    (document,) = [document for document in documents if document.doc_id == doc_id]
    start = document.text.find(passage)
    if start < 0:
        raise ValueError(f"the passage {passage[:40]!r} does not stand in {doc_id}")
    touched = [c for c in chunks if c.doc_id == doc_id and c.start < start + len(passage) and c.end > start]
    return not any(chunk.chunk_id in barred_chunks() for chunk in touched)


def held_out(groups: Iterable[str], share: float = HELD_OUT, seed: int = SEED) -> set[str]:
    """Return a share of the distinct groups, at least one, drawn with seed: what belongs to them goes to dev."""
    names = sorted(set(groups))
    rng = np.random.default_rng(seed)
    return {names[i] for i in rng.permutation(len(names))[: max(1, round(share * len(names)))]}


def in_two(items: Sequence[T], group: Callable[[T], str], seed: int = SEED) -> tuple[list[T], list[T]]:
    """Return items as (train, dev): what shares a group stays together."""
    dev = held_out(map(group, items), seed=seed)
    return [item for item in items if group(item) not in dev], [item for item in items if group(item) in dev]


def _rows(*path: str) -> list[dict[str, Any]]:
    text = COLLECTIONS.joinpath(*path).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _set_of(name: str, pairs: Sequence[TuningExample], free: Collection[str]) -> TuningSet:
    """Pairs whose source is free for train and dev, by document; the others, whose passages dev and test ask for, as test."""
    train, dev = in_two([each for each in pairs if each.source in free], lambda each: each.documents[0])
    test = [each for each in pairs if each.source not in free]
    return TuningSet(name, {"train": tuple(train), "dev": tuple(dev), "test": tuple(test)})


# ---------------------------------------------------------------- three of the sets


def style_messages(question: str, passage: str, document: Document) -> tuple[Message, ...]:
    """Return the conversation that asks for an answer in the house's voice from one passage of a document."""
    chunk = Chunk(document.doc_id, document.doc_id, document.title, document.date, passage, 0, len(passage))
    return tuple(rag_messages(question, [chunk], system=HOUSE_SYSTEM))


def style_set() -> TuningSet:
    """Return the help desk's pairs: question and passage, answered in house style."""
    by_id = {document.doc_id: document for document in collection()[0]}
    rows = _rows("help_desk", "style_pairs.jsonl")
    pairs = [
        TuningExample(
            style_messages(row["question"], row["passage"], by_id[row["doc_id"]]),
            row["house_answer"],
            row["pair_id"],
            "style",
            (row["doc_id"],),
        )
        for row in rows
    ]
    return _set_of("style", pairs, {row["pair_id"] for row in rows if is_free(row["doc_id"], row["passage"])})


def plain_messages(clinician: str) -> tuple[Message, ...]:
    """Return the conversation that asks for a text in plain words."""
    return ({"role": "system", "content": PLAIN_SYSTEM}, {"role": "user", "content": clinician})


def plain_words_set() -> TuningSet:
    """Return the neurology shelf's pairs: a text for clinicians, rewritten for patients. golds: what must be kept."""
    rows = _rows("neurology", "plain_words_pairs.jsonl")
    pairs = [
        TuningExample(
            plain_messages(row["clinician"]),
            row["patient"],
            row["pair_id"],
            "plain words",
            (row["doc_id"],),
            tuple(row["must_keep"]),
        )
        for row in rows
    ]
    return _set_of("plain-words", pairs, {row["pair_id"] for row in rows if is_free(row["doc_id"], row["clinician"])})


def facts_set() -> TuningSet:
    """Return questions with short answers and no passage: does a model learn facts so?

    train: the train questions that have an answer, and facts of matches in one wording. paraphrased: those facts in
    another wording. new: facts of matches that are not learnt. dev: train questions held out.
    """
    asked = [
        TuningExample(
            tuple(closed_book_messages(question.text)),
            question.answers[0],
            question.question_id,
            "question",
            tuple(span.doc_id for span in question.gold),
            question.answers,
        )
        for question in load_questions(split="train")
        if question.answers
    ]
    train, dev = in_two(asked, lambda each: each.source)
    facts = [fact for fact in match_facts(read_matches(), load_questions()) if fact.kind != "date"]
    order = np.random.default_rng(SEED).permutation(len(facts))
    wordings: list[list[TuningExample]] = [
        [
            TuningExample(
                tuple(closed_book_messages(fact.wordings[wording])),
                fact.answers[0],
                fact.fact_id,
                "match",
                (fact.doc_id,),
                fact.answers,
            )
            for fact in (facts[i] for i in order[: 2 * N_MATCH_FACTS])
        ]
        for wording in (0, 1)
    ]
    seen, unseen = slice(None, N_MATCH_FACTS), slice(N_MATCH_FACTS, None)
    return TuningSet(
        "facts",
        {
            "train": (*train, *wordings[0][seen]),
            "dev": tuple(dev),
            "paraphrased": tuple(wordings[1][seen]),
            "new": tuple(wordings[0][unseen]),
        },
    )
