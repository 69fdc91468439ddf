"""What the generator does with what it is shown: closed book, retrieved, oracle, crowded, displaced, wrong and false."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.core.seeds import SEED
from course_lib.core.types import Chunk, Question
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.answers import abstains, contains
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.generation.cached import CachedGenerator, load_cached_language_model
from course_lib.generation.prompting import in_order
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.threshold import separation
from course_lib.systems.contexts import (
    Poison,
    conversation,
    distractors,
    gold_passages,
    placed,
    poisoned,
    shuffled_words,
    spread_sample,
    states_answer,
)
from course_lib.systems.reading_room import reading_room
from course_lib.workshop.bench import interval_words

N_QUESTIONS = 48  # of the test questions with one gold passage that states the answer word for word
MAX_NEW_TOKENS = 48
SLICE = 16
PAIRS = (
    ("gold last of 5", "oracle + 4 distractors"), ("retrieved, k = 5", "retrieved, k = 1"),
    ("k = 5, best last", "retrieved, k = 1"), ("k = 5, best last", "retrieved, k = 5"),
)  # fmt: skip
CONDITIONS = (
    "oracle", "oracle + 1 distractor", "oracle + 2 distractors", "oracle + 4 distractors", "gold third of 5",
    "gold last of 5", "retrieved, k = 1", "retrieved, k = 2", "retrieved, k = 3", "retrieved, k = 5",
    "k = 2, best last", "k = 3, best last", "k = 5, best last", "wrong passage",
    "oracle, words shuffled", "closed book",
)  # fmt: skip
Say = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """A question with every context that it is asked in, and the largest cosine of a passage."""

    question: Question
    contexts: dict[str, list[Chunk]]
    cosine: float
    poison: Poison | None = None


@dataclass(frozen=True)
class Cases:
    """answerable: a sample with all contexts; numeric: one with true and false passage; unanswerable: all of them."""

    answerable: list[Case]
    numeric: list[Case]
    unanswerable: list[Case]


@cache
def cases() -> Cases:
    """Return the test questions that are asked, with their contexts."""
    room = reading_room()
    chunks = list(room.chunks_.values())
    documents = {document.doc_id: document for document in load_documents()}
    search = FusedRetriever(room, FastBM25Retriever().fit(chunks), n_chunks=len(chunks), method="z_score")
    test = load_questions(split="test")
    judged = judge_chunks(test, chunks, documents.values())

    def found(question: Question, k: int) -> list[Chunk]:
        return [room.chunk(hit.chunk_id) for hit in search.search(question.text, k)]

    def cosine(question: Question) -> float:
        return room.search(question.text, 1)[0].score

    def case(question: Question) -> Case:
        (gold,) = gold_passages(question, chunks, documents)
        hits = found(question, 40)
        near = distractors(question, hits, judged[question.question_id], 4)
        contexts: dict[str, list[Chunk]] = {
            "closed book": [],
            "oracle": [gold],
            "wrong passage": near[:1],
            "oracle, words shuffled": [shuffled_words(gold, np.random.default_rng(SEED))],
            "gold third of 5": placed([gold], near, "middle"),
            "gold last of 5": placed([gold], near, "last"),
        }
        contexts |= {f"oracle + {n} distractor{'s' * (n > 1)}": [gold, *near[:n]] for n in (1, 2, 4)}
        contexts |= {f"retrieved, k = {k}": hits[:k] for k in (1, 2, 3, 5)}
        contexts |= {f"k = {k}, best last": in_order(hits[:k], "best_last") for k in (2, 3, 5)}
        return Case(question, contexts, cosine(question))

    stated = states_answer(test, chunks, documents)
    falsified = {}
    for question, gold in stated.items():
        with contextlib.suppress(ValueError):
            falsified[question] = (gold, poisoned(gold, question))
    numeric = []
    for question in spread_sample(list(falsified), N_QUESTIONS, np.random.default_rng(SEED)):
        gold, poison = falsified[question]
        passages = {"true passage": [gold], "false passage": [poison.chunk]}
        numeric.append(Case(question, passages, cosine(question), poison))
    return Cases(
        [case(question) for question in spread_sample(list(stated), N_QUESTIONS, np.random.default_rng(SEED))],
        numeric,
        [Case(q, {"retrieved, k = 1": found(q, 1)}, cosine(q)) for q in test if not q.gold],
    )


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
    everything = cases()
    answerable, unanswerable = everything.answerable, everything.unanswerable
    model = load_cached_language_model()
    said = {}
    for condition in CONDITIONS:
        say(f"{condition}: {len(answerable)} questions")
        said[condition] = replies(model, condition, answerable)
    right = {
        condition: [contains(reply, case.question.answers) for reply, case in zip(rows, answerable, strict=True)]
        for condition, rows in said.items()
    }
    kinds = sorted({case.question.kind for case in answerable})
    rows = {}
    for condition in CONDITIONS:
        row = {
            "right": bootstrap_interval(right[condition]).as_dict(),
            "abstained": float(np.mean([abstains(reply) for reply in said[condition]])),
            "by_kind": {
                kind: float(
                    np.mean([r for r, c in zip(right[condition], answerable, strict=True) if c.question.kind == kind])
                )
                for kind in kinds
            },
        }
        if condition != "oracle":
            row["minus_oracle"] = paired_difference(right[condition], right["oracle"]).as_dict()
        rows[condition] = row
    gold = [gold_shown(case) for case in answerable]
    say(f"unanswerable: {len(unanswerable)} questions")
    vain = replies(model, "retrieved, k = 1", unanswerable)
    say("signals for abstaining")
    return {
        "n": len(answerable),
        "kinds": kinds,
        "conditions": rows,
        "pairs": [
            {"first": one, "second": two, "difference": paired_difference(right[one], right[two]).as_dict()}
            for one, two in PAIRS
        ],
        "falsehood": falsehood(
            everything.numeric,
            replies(model, "true passage", everything.numeric),
            replies(model, "false passage", everything.numeric),
        ),
        "gold_among_retrieved": {str(k): float(np.mean([k >= place for place in gold])) for k in (1, 2, 3, 5)},
        "unanswerable": {"n": len(vain), "abstained": sum(abstains(reply) for reply in vain)},
        "signals": signals(model, answerable, said["retrieved, k = 1"], unanswerable, vain),
        "max_new_tokens": MAX_NEW_TOKENS,
    }


def gold_shown(case: Case) -> int:
    """Return the place of the oracle's passage among the five retrieved, 99 if it is not there."""
    (gold,) = case.contexts["oracle"]
    ids = [chunk.chunk_id for chunk in case.contexts["retrieved, k = 5"]]
    return ids.index(gold.chunk_id) + 1 if gold.chunk_id in ids else 99


def falsehood(group: Sequence[Case], from_true: Sequence[str], from_false: Sequence[str]) -> dict[str, Any]:
    """Return how often the number in the passage is given, true or false, and what becomes of the truth."""
    poisons = [case.poison for case in group if case.poison]
    states_true = [contains(reply, [poison.true]) for reply, poison in zip(from_true, poisons, strict=True)]
    states_false = [contains(reply, [poison.false]) for reply, poison in zip(from_false, poisons, strict=True)]
    by_chance = [contains(reply, [poison.false]) for reply, poison in zip(from_true, poisons, strict=True)]
    kept = [contains(reply, case.question.answers) for reply, case in zip(from_false, group, strict=True)]
    read = [i for i, value in enumerate(states_true) if value]
    return {
        "states_the_true_number": bootstrap_interval(states_true).as_dict(),
        "states_the_false_number": bootstrap_interval(states_false).as_dict(),
        "false_minus_true": paired_difference(states_false, states_true).as_dict(),
        "false_number_from_the_true_passage": sum(by_chance),
        "keeps_the_truth_against_the_passage": sum(kept),
        "abstains": sum(abstains(reply) for reply in from_false),
        "of_those_who_read_the_truth": {"n": len(read), "follow": sum(states_false[i] for i in read)},
        "reply_unchanged": sum(a == b for a, b in zip(from_true, from_false, strict=True)),
    }


def signals(
    model: CachedGenerator,
    answerable: Sequence[Case],
    said: Sequence[str],
    unanswerable: Sequence[Case],
    vain: Sequence[str],
) -> dict[str, Any]:
    """Return how well each signal tells answerable from unanswerable questions: area under the ROC curve, 0.5 is chance."""
    both = [
        (case, reply) for case, reply in zip([*answerable, *unanswerable], [*said, *vain], strict=True) if reply.strip()
    ]
    shown = [(conversation(case.question.text, case.contexts["retrieved, k = 1"]), reply) for case, reply in both]
    alone = [(conversation(case.question.text, []), reply) for case, reply in both]
    language_model: Any = model.generator
    with_passage, without = (np.array(language_model.mean_log_likelihoods(pairs)) for pairs in (shown, alone))
    values = {
        "cosine of the best passage": np.array([case.cosine for case, _ in both]),
        "likelihood of the reply": with_passage,
        "likelihood with the passage minus without": with_passage - without,
    }
    can = np.array([bool(case.question.gold) for case, _ in both])
    return {name: _area(scores, can) for name, scores in values.items()}


def _area(scores: npt.NDArray[np.float64], wanted: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The area with a bootstrap interval: answerable and unanswerable questions drawn apart."""
    rng = np.random.default_rng(SEED)
    good, bad = scores[wanted], scores[~wanted]
    draws = [separation(rng.choice(good, len(good)), rng.choice(bad, len(bad))) for _ in range(2000)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": round(separation(good, bad), 4), "low": round(float(low), 4), "high": round(float(high), 4),
            "n": len(scores)}  # fmt: skip


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
        "| context | right | minus oracle | " + " | ".join(kind.replace("_", " ") for kind in figures["kinds"]) + " |",
        "|---" * (3 + len(figures["kinds"])) + "|",
    ]
    for condition, row in figures["conditions"].items():
        difference = interval_words(row["minus_oracle"], digits=2, sign=True) if "minus_oracle" in row else ""
        kinds = " | ".join(f"{row['by_kind'][kind]:.2f}" for kind in figures["kinds"])
        lines.append(f"| {condition} | {interval_words(row['right'], digits=2)} | {difference} | {kinds} |")
    lines += ["", "| difference | right |", "|---|---|"]
    lines += [
        f"| {pair['first']} minus {pair['second']} | {interval_words(pair['difference'], digits=2, sign=True)} |"
        for pair in figures["pairs"]
    ]
    false, retrieved = figures["falsehood"], figures["gold_among_retrieved"]
    read = false["of_those_who_read_the_truth"]
    lines += [
        "",
        "The gold passage is among the first k retrieved: "
        + ", ".join(f"k = {k} {share:.2f}" for k, share in retrieved.items()) + ".",
        "",
        f"**False passage.** {false['false_minus_true']['n']} questions answered by a number. From the gold passage it was stated for "
        f"{interval_words(false['states_the_true_number'], digits=2)}; once it was replaced by a false number, the false one for "
        f"{interval_words(false['states_the_false_number'], digits=2)}, difference {interval_words(false['false_minus_true'], digits=2, sign=True)}. Of the {read['n']} "
        f"whose true number was stated, {read['follow']:.0f} stated the false one. The truth was kept against the passage "
        f"{false['keeps_the_truth_against_the_passage']:.0f} times; {false['abstains']} replies abstained; "
        f"{false['reply_unchanged']} replies were the same word for word.",
        "",
        f"**Unanswerable questions.** {figures['unanswerable']['abstained']} of {figures['unanswerable']['n']} replies abstained.",
        "",
        "How well a signal tells answerable from unanswerable questions: area under the ROC curve, 0.5 is a coin.",
        "",
        "| signal | area |",
        "|---|---|",
        *(f"| {name} | {interval_words(area, digits=2)} |" for name, area in figures["signals"].items()),
    ]  # fmt: skip
    return "\n".join(lines)
