"""Retrieval-aware examples (RAFT, Zhang et al., 2024): the right passage among near misses, and a share without it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from course_lib.core.seeds import SEED
from course_lib.core.types import Chunk, Document, Question
from course_lib.corpus.load import COLLECTIONS
from course_lib.corpus.question_quality import holds_answer
from course_lib.corpus.questions import load_questions, question_from_json
from course_lib.corpus.world_cup import read_matches
from course_lib.generation.prompting import SYSTEM, rag_messages
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.systems.contexts import gold_passages
from course_lib.systems.reranker_data import versions_of
from course_lib.systems.tuning_sets import TuningExample, TuningSet, barred_chunks, collection, in_two
from course_lib.systems.world_cup_questions import N_WORDINGS, match_facts

ABSTAIN = "I do not know."
RAFT_SYSTEM = SYSTEM  # the base's own prompt: to cite is learnt, and a demand for numbers confuses the base
MORE = COLLECTIONS / "questions" / "more_train.jsonl"
N_DISTRACTORS = (0, 1, 2, 2, 3, 4)  # as likely each
WITHOUT_GOLD = 0.2
N_DRAWS = 3
N_MATCHES = 200
POOL = 40


@dataclass(frozen=True)
class Asked:
    """A question with the passages that answer it, none if nothing does.

    related: documents that may answer it as well, in another version, or that make it sound answerable. subjects: words
    without which no passage answers it, so that a passage with the answer's words alone may be a near miss.
    """

    source: str
    text: str
    kind: str
    shelf: str
    answers: tuple[str, ...]
    gold: tuple[Chunk, ...]
    related: frozenset[str]
    subjects: tuple[str, ...] = ()

    def answered_by(self, chunk: Chunk) -> bool:
        """Whether a passage states one of the answers together with all subjects."""
        text = f"{chunk.title} {chunk.text}"
        return holds_answer(text, self.answers) and all(holds_answer(text, [name]) for name in self.subjects)


def asked_questions(
    questions: Iterable[Question], chunks: Sequence[Chunk], documents: Sequence[Document]
) -> list[Asked]:
    """Return questions of the set with their gold passages; of unanswerable ones, `related` names the near document."""
    by_id, chains = {document.doc_id: document for document in documents}, versions_of(documents)
    asked = []
    for question in questions:
        gold = tuple(gold_passages(question, chunks, by_id)) if question.gold else ()
        names = [chunk.doc_id for chunk in gold] + ([question.near] if question.near else [])
        related = frozenset(name for each in names for name in chains[each])
        asked.append(
            Asked(question.question_id, question.text, question.kind, question.shelf, question.answers, gold, related)
        )
    return asked


def asked_matches(chunks: Sequence[Chunk], questions: Iterable[Question], n: int, seed: int = SEED) -> list[Asked]:
    """Return n questions on matches, one fact a time and drawn with seed, each in one of its wordings."""
    by_document: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        by_document.setdefault(chunk.doc_id, []).append(chunk)
    rng = np.random.default_rng(seed)
    asked: list[Asked] = []
    facts = match_facts(read_matches(), questions)
    for i in rng.permutation(len(facts)):
        fact = facts[i]
        gold = [c for c in by_document[fact.doc_id] if holds_answer(f"{c.title} {c.text}", fact.answers)]
        if gold and len(asked) < n:
            words = fact.wordings[int(rng.integers(N_WORDINGS))]
            related = frozenset([fact.doc_id])
            asked.append(
                Asked(fact.fact_id, words, fact.kind, "world_cup", fact.answers, (gold[0],), related, fact.teams)
            )
    return asked


def cited(answer: str, numbers: Iterable[int]) -> str:
    """Return an answer as the tuned generator gives it: the answer, then each passage's number, as in "Spain [2]"."""
    return " ".join([answer.strip(), "".join(f"[{number}]" for number in sorted(set(numbers)))]).strip()


def quoted(answers: Sequence[str], gold: Sequence[Chunk]) -> str:
    """Return the first of the answers that a gold passage states word for word, so that it is a quotation; else the first."""
    text = " ".join(f"{chunk.title} {chunk.text}" for chunk in gold)
    return next((answer for answer in answers if holds_answer(text, [answer])), answers[0])


def raft_example(
    asked: Asked, found: Sequence[Chunk], *, n_distractors: int, with_gold: bool, rng: np.random.Generator
) -> TuningExample:
    """Return one example: gold passages, if they are shown, at random places among n_distractors near misses.

    found: best first; a chunk that states the answer is no near miss, and without gold neither is one of a related
    document. At least one passage is shown. Raises ValueError if too few are found.
    """
    shown_gold = asked.gold if with_gold else ()
    gold_ids = {chunk.chunk_id for chunk in asked.gold}
    misses = [
        chunk
        for chunk in found
        if chunk.chunk_id not in gold_ids
        and not asked.answered_by(chunk)
        and not (asked.gold and not with_gold and chunk.doc_id in asked.related)
    ]
    n = n_distractors if shown_gold else max(1, n_distractors)
    if len(misses) < n:
        raise ValueError(f"{asked.source}: {n} near misses wanted, {len(misses)} found; search deeper")
    near = misses[: n + 2]  # the nearest, but not always the same ones
    chosen = [near[i] for i in sorted(rng.choice(len(near), size=n, replace=False))]
    passages = [*shown_gold, *chosen]
    passages = [passages[i] for i in rng.permutation(len(passages))]
    numbers = [number for number, chunk in enumerate(passages, start=1) if chunk.chunk_id in gold_ids]
    answer = cited(quoted(asked.answers, shown_gold), numbers) if shown_gold else ABSTAIN
    return TuningExample(
        tuple(rag_messages(asked.text, passages, system=RAFT_SYSTEM)),
        answer,
        asked.source,
        asked.kind if shown_gold or not asked.gold else "gold left out",
        tuple(chunk.chunk_id for chunk in passages),
        asked.answers if shown_gold else (),
    )


def raft_examples(
    asked: Sequence[Asked],
    chunks: Sequence[Chunk],
    *,
    n_draws: int = 1,
    n_distractors: Sequence[int] = N_DISTRACTORS,
    without_gold: float = WITHOUT_GOLD,
    seed: int = SEED,
) -> list[TuningExample]:
    """Return n_draws examples of each question, each with other near misses, found by words among chunks.

    without_gold: the share of all examples in which the model must abstain; the unanswerable questions count, and the
    rest are answerable ones whose gold passages are left out. Each example depends on its question and draw alone.
    """
    n_unanswerable = sum(not each.gold for each in asked)
    rest = len(asked) - n_unanswerable
    share = max(0.0, (without_gold * len(asked) - n_unanswerable) / rest) if rest else 0.0
    retriever = FastBM25Retriever().fit(list(chunks))
    examples = []
    for each in asked:
        found = [retriever.chunk(hit.chunk_id) for hit in retriever.search(each.text, POOL)]
        for draw in range(n_draws):
            rng = np.random.default_rng([seed, draw, zlib.crc32(each.source.encode())])
            n, hide = int(rng.choice(list(n_distractors))), rng.random() < share
            with_gold = bool(each.gold) and not hide
            examples.append(raft_example(each, found, n_distractors=n, with_gold=with_gold, rng=rng))
    return examples


@cache
def more_questions() -> tuple[Question, ...]:
    """Return further train questions, on passages that the question set does not ask about: for learning alone."""
    lines = MORE.read_text(encoding="utf-8").splitlines()
    return tuple(question_from_json(json.loads(line)) for line in lines)


@cache
def free_chunks() -> tuple[Chunk, ...]:
    """Return the chunks that answer no question of dev or test: gold passages and near misses come from these alone."""
    return tuple(chunk for chunk in collection()[1] if chunk.chunk_id not in barred_chunks())


def raft_set(shelf: str | None = None, *, n_draws: int = N_DRAWS, n_matches: int = N_MATCHES) -> TuningSet:
    """Return the retrieval-aware examples of all shelves or one: its train questions, and those on matches.

    dev: a tenth of the questions, held out, shown once each. Raises ValueError as `load_questions` does.
    """
    documents, _ = collection()
    chunks, questions = free_chunks(), load_questions(split="train", shelf=shelf)
    train, dev = in_two(asked_questions(questions, chunks, documents), lambda each: each.source)
    more = [question for question in more_questions() if shelf in (None, question.shelf)]
    train += asked_questions(more, chunks, documents)
    examples = raft_examples(train, chunks, n_draws=n_draws)
    if shelf in (None, "world_cup"):
        examples += raft_examples(asked_matches(chunks, load_questions(), n_matches), chunks)
    order = np.random.default_rng(SEED).permutation(len(examples))
    return TuningSet(
        f"raft-{shelf.replace('_', '-')}" if shelf else "raft",
        {"train": tuple(examples[i] for i in order), "dev": tuple(raft_examples(dev, chunks))},
    )


def raft_questions(split: str, shelf: str | None = None, *, n_distractors: int = 2) -> list[TuningExample]:
    """Return the questions of a split as the tuned generator meets them: gold among near misses from the whole collection.

    For measuring, never for learning; unanswerable questions get n_distractors + 1 near misses.
    """
    documents, chunks = collection()
    asked = asked_questions(load_questions(split=split, shelf=shelf), chunks, documents)
    answerable = raft_examples(
        [each for each in asked if each.gold], chunks, n_distractors=[n_distractors], without_gold=0.0
    )
    return answerable + raft_examples(
        [each for each in asked if not each.gold], chunks, n_distractors=[n_distractors + 1]
    )
