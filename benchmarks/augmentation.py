"""What the generator does with what it is shown: closed book, retrieved, oracle, crowded, displaced, wrong and false."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from course_lib.core.seeds import SEED
from course_lib.core.types import Chunk, Question
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.answers import abstains, contains
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.generation.cached import CachedGenerator, load_cached_language_model
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.recency import LatestFirst
from course_lib.systems.contexts import (
    conversation,
    distractors,
    gold_passages,
    placed,
    poisoned,
    shuffled_words,
    spread_sample,
    substitutes_for,
)
from course_lib.systems.reading_room import reading_room, superseded

N_QUESTIONS = 64  # of the test questions with one gold passage that states the answer word for word
KINDS = ("exact_term", "latest", "number_or_date", "paraphrase")
MAX_NEW_TOKENS = 32
SLICE = 16
CONDITIONS = (
    "closed book", "oracle", "retrieved, k = 1", "false passage", "oracle + 4 distractors", "retrieved, k = 3",
    "wrong passage", "gold last of 5", "gold third of 5", "oracle + 2 distractors", "retrieved, k = 5",
    "oracle, words shuffled", "oracle + 1 distractor", "retrieved, k = 2",
)  # fmt: skip
Say = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """A question with every context it is asked in, and the poison of its false passage."""

    question: Question
    contexts: dict[str, list[Chunk]]
    true: str
    false: str


@cache
def cases() -> tuple[list[Case], list[Case]]:
    """Return the sampled answerable test questions, and all unanswerable ones, with their contexts."""
    room = reading_room()
    chunks = list(room.chunks_.values())
    documents = {document.doc_id: document for document in load_documents()}
    fused = FusedRetriever(room, FastBM25Retriever().fit(chunks), n_chunks=len(chunks), method="z_score")
    search = LatestFirst(fused, superseded(), weight=0.3)

    def found(question: Question) -> list[Chunk]:
        return [room.chunk(hit.chunk_id) for hit in search.search(question.text, 40)]

    everything, test = load_questions(), load_questions(split="test")
    fit = []
    for question in test:
        if question.kind in KINDS and len(question.gold) == 1:
            (gold,) = gold_passages(question, chunks, documents)
            try:
                fit.append((question, gold, poisoned(gold, question, substitutes_for(question, everything))))
            except ValueError:
                continue
    drawn = {q.question_id for q in spread_sample([q for q, *_ in fit], N_QUESTIONS, np.random.default_rng(SEED))}
    judged = judge_chunks(test, chunks, documents.values())
    answerable = []
    for question, gold, poison in fit:
        if question.question_id in drawn:
            hits = found(question)
            near = distractors(question, hits, judged[question.question_id], 4)
            contexts: dict[str, list[Chunk]] = {
                "closed book": [],
                "oracle": [gold],
                "false passage": [poison.chunk],
                "wrong passage": near[:1],
                "oracle, words shuffled": [shuffled_words(gold, np.random.default_rng(SEED))],
                "gold third of 5": placed([gold], near, "middle"),
                "gold last of 5": placed([gold], near, "last"),
            }
            contexts |= {f"oracle + {n} distractor{'s' * (n > 1)}": [gold, *near[:n]] for n in (1, 2, 4)}
            contexts |= {f"retrieved, k = {k}": hits[:k] for k in (1, 2, 3, 5)}
            answerable.append(Case(question, contexts, poison.true, poison.false))
    unanswerable = [
        Case(question, {"retrieved, k = 1": found(question)[:1]}, "", "")
        for question in test
        if question.kind == "unanswerable"
    ]
    return answerable, unanswerable


def slices(model: CachedGenerator, condition: str, group: Sequence[Case]) -> Iterator[list[str]]:
    """Yield the replies of a condition, a few at a time, so that what is made is kept."""
    for start in range(0, len(group), SLICE):
        part = [conversation(case.question.text, case.contexts[condition]) for case in group[start : start + SLICE]]
        yield model.generate_many(part, max_new_tokens=MAX_NEW_TOKENS)


def replies(model: CachedGenerator, condition: str, group: Sequence[Case]) -> list[str]:
    """Return the replies of a condition, in the order of group."""
    return [reply for part in slices(model, condition, group) for reply in part]


def run(say: Say) -> dict[str, Any]:
    """Return the share of right answers in each context, with differences from the oracle, and what poison does."""
    answerable, unanswerable = cases()
    model = load_cached_language_model()
    said = {}
    for condition in CONDITIONS:
        say(f"{condition}: {len(answerable)} questions")
        said[condition] = replies(model, condition, answerable)
    right = {
        condition: [contains(reply, case.question.answers) for reply, case in zip(rows, answerable, strict=True)]
        for condition, rows in said.items()
    }
    rows = {}
    for condition in CONDITIONS:
        row = {
            "right": _interval(bootstrap_interval(right[condition])),
            "abstained": float(np.mean([abstains(reply) for reply in said[condition]])),
            "by_kind": {
                kind: float(
                    np.mean([r for r, c in zip(right[condition], answerable, strict=True) if c.question.kind == kind])
                )
                for kind in KINDS
            },
        }
        if condition != "oracle":
            row["minus_oracle"] = _interval(paired_difference(right[condition], right["oracle"]))
        rows[condition] = row
    gold = [gold_shown(case) for case in answerable]
    say(f"unanswerable: {len(unanswerable)} questions")
    declined = [abstains(reply) for reply in replies(model, "retrieved, k = 1", unanswerable)]
    return {
        "n": len(answerable),
        "conditions": rows,
        "falsehood": falsehood(answerable, said["oracle"], said["false passage"], said["closed book"]),
        "gold_among_retrieved": {str(k): float(np.mean([k >= place for place in gold])) for k in (1, 2, 3, 5)},
        "unanswerable": {"n": len(declined), "abstained": sum(declined)},
        "max_new_tokens": MAX_NEW_TOKENS,
    }


def gold_shown(case: Case) -> int:
    """Return the place of the oracle's passage among the five retrieved, 99 if it is not there."""
    (gold,) = case.contexts["oracle"]
    ids = [chunk.chunk_id for chunk in case.contexts["retrieved, k = 5"]]
    return ids.index(gold.chunk_id) + 1 if gold.chunk_id in ids else 99


def falsehood(
    group: Sequence[Case], from_true: Sequence[str], from_false: Sequence[str], alone: Sequence[str]
) -> dict[str, Any]:
    """Return how often the answer in the passage is given, true or false, and what becomes of the truth."""
    states_true = [contains(reply, [case.true]) for reply, case in zip(from_true, group, strict=True)]
    states_false = [contains(reply, [case.false]) for reply, case in zip(from_false, group, strict=True)]
    by_chance = [contains(reply, [case.false]) for reply, case in zip(from_true, group, strict=True)]
    truth_kept = [contains(reply, case.question.answers) for reply, case in zip(from_false, group, strict=True)]
    read = [i for i, value in enumerate(states_true) if value]
    return {
        "states_the_true_answer": _interval(bootstrap_interval(states_true)),
        "states_the_false_answer": _interval(bootstrap_interval(states_false)),
        "false_minus_true": _interval(paired_difference(states_false, states_true)),
        "false_answer_without_the_false_passage": sum(by_chance),
        "keeps_the_truth_against_the_passage": sum(truth_kept),
        "abstains": sum(abstains(reply) for reply in from_false),
        "of_those_who_read_the_truth": {"n": len(read), "follow": sum(states_false[i] for i in read)},
        "reply_unchanged": sum(a == b for a, b in zip(from_true, from_false, strict=True)),
        "oracle_reply_is_the_closed_book_reply": sum(a == b for a, b in zip(from_true, alone, strict=True)),
    }


def _interval(interval: Any) -> dict[str, Any]:
    return {
        "mean": round(interval.mean, 4), "low": round(interval.low, 4), "high": round(interval.high, 4), "n": interval.n,
    }  # fmt: skip


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    lines = [
        "# What the generator does with its passages",
        "",
        f"{figures['n']} test questions with one gold passage that states the answer word for word, drawn with the seed, the "
        f"kinds alike in number; greedy decoding of at most {figures['max_new_tokens']} tokens. A reply is right if it holds a "
        "gold answer. Brackets: 95 % bootstrap interval. Differences are paired, question by question.",
        "",
        "| context | right | minus oracle | " + " | ".join(kind.replace("_", " ") for kind in KINDS) + " |",
        "|---" * (3 + len(KINDS)) + "|",
    ]
    for condition, row in figures["conditions"].items():
        difference = _words(row["minus_oracle"], sign=True) if "minus_oracle" in row else ""
        kinds = " | ".join(f"{row['by_kind'][kind]:.2f}" for kind in KINDS)
        lines.append(f"| {condition} | {_words(row['right'])} | {difference} | {kinds} |")
    false, retrieved = figures["falsehood"], figures["gold_among_retrieved"]
    read = false["of_those_who_read_the_truth"]
    lines += [
        "",
        "The gold passage is among the first k retrieved: "
        + ", ".join(f"k = {k} {share:.2f}" for k, share in retrieved.items()) + ".",
        "",
        f"**False passage.** The answer that stood in the gold passage was stated for {_words(false['states_the_true_answer'])}; "
        f"after it was replaced by a false one, the false one for {_words(false['states_the_false_answer'])}, difference "
        f"{_words(false['false_minus_true'], sign=True)}. Of the {read['n']} questions whose true answer was read, "
        f"{read['follow']:.0f} followed the false one. The truth was kept against the passage "
        f"{false['keeps_the_truth_against_the_passage']:.0f} times; {false['abstains']} replies abstained.",
        "",
        f"**Unanswerable questions.** {figures['unanswerable']['abstained']} of {figures['unanswerable']['n']} replies abstained.",
    ]  # fmt: skip
    return "\n".join(lines)


def _words(interval: dict[str, float], *, sign: bool = False) -> str:
    form = "{:+.2f}" if sign else "{:.2f}"
    return f"{form.format(interval['mean'])} [{form.format(interval['low'])}, {form.format(interval['high'])}]"
