"""Find failures of the course's own system: ask it its own questions, diagnose what went wrong, repair the one cause.

`python -m course_lib.systems.failure_finder` asks anew and writes failures.json, which the gallery of lesson 08 shows:
the replies take minutes. A failure is shown where the repair of its diagnosed cause brings the right answer, or, if too
few answers of that kind come right, the gold passage into the prompt.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from course_lib.assets import models
from course_lib.core.types import Chunk, Document, Question
from course_lib.corpus.chunking import fixed_chunks, sentence_spans
from course_lib.corpus.judgements import gold_ranges
from course_lib.corpus.load import load_documents
from course_lib.corpus.question_quality import question_key
from course_lib.corpus.questions import load_questions
from course_lib.generation.cached import CachedGenerator, load_cached_language_model
from course_lib.generation.citing import cite_sentences
from course_lib.retrieval.diversity import diversified
from course_lib.retrieval.embedding import ContextualEmbedder, load_embedder
from course_lib.retrieval.threshold import threshold_for
from course_lib.systems.failure_file import Case, Gallery, made_now, write_gallery
from course_lib.systems.failures import KINDS, RULES, Trace, diagnose, failed
from course_lib.systems.tracing import ABSTENTION, Room, answered

TRIED, SHOWN = 16, 2  # failures of a kind whose repair is tried, and shown
STALE_SINCE = datetime.date(2025, 12, 31)
BORDER_WORDS = 40
MMR_WEIGHT, MMR_DEPTH = 0.5, 20
KEPT = 0.95
UNEXPLAINED = ("unexplained, not shown", "unexplained, shown")

REPAIRS: dict[str, str] = {
    "unanswerable answered": f"Abstain where the best cosine is below what {KEPT:.0%} of the answerable train questions reach.",
    "stale index": "Build the index anew, with what was published since.",
    "bad chunk border": "Cut at the ends of sentences, 120 words at most.",
    "wrong version": "Leave out the versions that were superseded.",
    "near-duplicate crowding": f"Spread the {MMR_DEPTH} best hits with MMR.",
    "lexical gap": "Take the vectors' list alone.",
    "made-up passage": "Print the passages without their numbers.",
    "distractor": "Take the passages out that do not answer.",
    "number misread": "Show the gold sentence alone.",
    "invented": "Show the gold sentence alone.",
    "lost in the middle": "Show the same passages with the right one first.",
    "wrong citation": "Cite the passage whose sentence is nearest in meaning to the answer.",
}


class Repairs:
    """The repair of each kind, as a new trace without an answer; None where it cannot be done.

    rooms: by name; "fresh" and "sentences" are those that mend a stale index and bad borders.
    """

    def __init__(self, rooms: Mapping[str, Room], embedder: ContextualEmbedder, threshold: float) -> None:
        self.rooms, self.embedder, self.threshold = rooms, embedder, threshold

    def __call__(self, kind: str, trace: Trace, room: Room) -> Trace | None:
        """Return the trace after the repair, with the prompt changed in one thing only."""
        question, lists = trace.question, room.lists(trace.question)
        shown: Sequence[str] | None = None
        if kind == "unanswerable answered":
            if lists["MiniLM"][0].score >= self.threshold:
                return None
            return replace(trace, shown=(), answer=ABSTENTION, cited=(), alike=0.0)
        if kind == "wrong citation":
            return replace(trace, cited=self._cited_by_meaning(trace))
        if kind == "stale index":
            return self.rooms["fresh"].trace(question)
        if kind == "bad chunk border":
            return self.rooms["sentences"].trace(question) if room.name == self.rooms["cut"].name else None
        if kind == "made-up passage":
            return replace(trace, numbered=False, answer="", cited=())
        if kind in ("number misread", "invented"):
            return self._gold_sentence_alone(trace, room)
        if kind == "wrong version":
            old = {name for name, document in room.by_id_.items() if document.superseded_by}
            shown = [hit.chunk_id for hit in lists["fused"] if room.chunks_[hit.chunk_id].doc_id not in old]
        elif kind == "near-duplicate crowding":
            spread = diversified(lists["fused"], room.vectors, relevance_weight=MMR_WEIGHT, depth=MMR_DEPTH)
            shown = [hit.chunk_id for hit in spread]
        elif kind == "lexical gap":
            shown = [hit.chunk_id for hit in lists["MiniLM"]]
        elif kind == "distractor":
            shown = [name for name in trace.shown if name in trace.gold]
        elif kind == "lost in the middle":
            shown = sorted(trace.shown, key=lambda name: name not in trace.gold)
        return room.trace(question, shown[: room.k], lists) if shown else None

    def _cited_by_meaning(self, trace: Trace) -> tuple[str, ...]:
        def similarity(answers: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
            return self.embedder(answers) @ self.embedder(candidates).T

        supports = cite_sentences(trace.answer, [trace.chunks[name] for name in trace.shown], similarity)
        best = max(supports, key=lambda support: support.score)
        return (trace.shown[best.number - 1],) if best.number else ()

    def _gold_sentence_alone(self, trace: Trace, room: Room) -> Trace:
        name = next(name for name in trace.gold if name in trace.shown)
        sentence = gold_sentence(trace.question, trace.chunks[name], room.by_id_)
        return replace(trace, shown=(name,), alike=0.0, answer="", cited=(), chunks={**trace.chunks, name: sentence})


def gold_sentence(question: Question, chunk: Chunk, documents: Mapping[str, Document]) -> Chunk:
    """Return the sentences of a chunk that touch the gold span, as a chunk of its own. Raises ValueError if none does."""
    for doc_id, start, end in gold_ranges(question, dict(documents)):
        if doc_id == chunk.doc_id:
            spans = [(a, b) for a, b in sentence_spans(chunk.text) if a + chunk.start < end and b + chunk.start > start]
            if spans:
                first, last = spans[0][0], spans[-1][1]
                return replace(chunk, text=chunk.text[first:last], start=chunk.start + first, end=chunk.start + last)
    raise ValueError(f"{question.question_id}: no sentence of {chunk.chunk_id} touches its gold span")


def mended(kind: str, after: Trace) -> bool:
    """Whether a repair brought the right answer, and where the citation was wrong, the right citation as well.

    Never for a comparison: its question names both candidates, so that an answer can be right by repeating it.
    """
    if after.question.kind == "comparison":
        return False
    return after.right and (kind != "wrong citation" or set(after.cited) <= set(after.gold))


def recovered(kind: str, before: Trace, after: Trace) -> bool:
    """Whether a repair brought into the prompt what had been left out, or ended the list that the model went on with."""
    if kind == "made-up passage":
        return not RULES[kind](after)
    return bool(before.left_out) and not after.left_out


def _clear(trace: Trace) -> bool:
    """Whether a failure is plain to see: a "not" may be an abstention in words that `abstains` does not know."""
    return bool(trace.question.answers) or not re.search(r"\bnot\b", trace.answer)


def rooms(embedder: ContextualEmbedder) -> dict[str, Room]:
    """Return the systems that are asked: one and three passages, an old index, a bad chunker, and what mends these."""
    everything, desk = load_documents(), load_documents("help_desk")
    cut = partial(fixed_chunks, max_words=BORDER_WORDS)
    stale = f"one passage, index of {STALE_SINCE:%d %B %Y}"
    one = Room("one passage", everything, embedder).fit()
    return {
        "one": one,
        "three": one.with_k(3, "three passages"),
        "two": one.with_k(2, "two passages"),
        "fresh": one,
        "stale": Room(stale, everything, embedder, until=STALE_SINCE).fit(),
        "cut": Room(f"one passage, help desk, cut every {BORDER_WORDS} words", desk, embedder, chunker=cut).fit(),
        "sentences": Room("one passage, help desk", desk, embedder).fit(),
    }


def _asked(name: str, room: Room, question: Question, answered_by_one: Collection[str]) -> bool:
    """Whether a room is asked a question at all."""
    if name == "two" or (name == "three" and question.split == "train"):
        return question.question_id in answered_by_one
    if name == "cut":
        return question.shelf in room.shelves and room.cut(question)
    return name != "stale" or bool(room.missing(question))


def candidates(
    systems: Mapping[str, Room], model: CachedGenerator
) -> tuple[dict[str, list[tuple[Trace, Room]]], dict[str, dict[str, int]]]:
    """Return the failures on dev and train by kind, each with its room, and for each room the counts of kinds on dev.

    The system with three passages is asked fewer of train: what one passage answered, which keeps the time short.
    The old index and the bad chunker are asked only what they must miss; the system with two passages, only what one
    passage answered: what it gets wrong is the second's doing.
    """
    questions = [*load_questions(split="dev"), *load_questions(split="train")]
    found: dict[str, list[tuple[Trace, Room]]] = {kind: [] for kind in KINDS}
    census: dict[str, dict[str, int]] = {}
    answered_by_one: set[str] = set()
    for name in ("one", "three", "two", "stale", "cut"):
        room = systems[name]
        traces = [room.trace(question) for question in questions if _asked(name, room, question, answered_by_one)]
        traces = answered(traces, model)
        if name == "one":
            answered_by_one = {t.question.question_id for t in traces if t.right and t.question.answers}
        counts: Counter[str] = Counter(dict.fromkeys(("right", *KINDS, *UNEXPLAINED), 0))
        for trace in traces:
            diagnosis = diagnose(trace)
            kind = diagnosis[0] if diagnosis else UNEXPLAINED[not trace.left_out] if failed(trace) else "right"
            counts[kind] += trace.question.split == "dev"
            if diagnosis:
                found[kind].append((trace, room))
        census[room.name] = dict(counts)
    return found, census


def find(say: Callable[[str], None] = print) -> Gallery:
    """Ask, diagnose and repair; return what the gallery shows."""
    embedder, model = load_embedder(), load_cached_language_model()
    systems = rooms(embedder)
    train = [q for q in load_questions(split="train") if q.answers]
    best = [systems["one"].dense_.search(q.text, 1)[0].score for q in train]
    repair = Repairs(systems, embedder, threshold_for(best, keep=KEPT))
    found, census = candidates(systems, model)
    cases: list[Case] = []
    repaired: dict[str, tuple[int, int]] = {}
    for kind, failures in found.items():
        pairs = [(trace, repair(kind, trace, room)) for trace, room in failures if _clear(trace)]
        tried = [(trace, after) for trace, after in pairs if after is not None]
        tried.sort(key=lambda pair: pair[0].question.kind == "comparison")  # last: no answer to them can be trusted
        tried = tried[:TRIED]
        asked = [after for _, after in tried if not after.answer]
        replies = iter(answered(asked, model))
        done = [(trace, after if after.answer else next(replies)) for trace, after in tried]
        good = [pair for pair in done if mended(kind, pair[1])]
        repaired[kind] = (len(done), len(good))
        n_right = len(good)
        good += [pair for pair in done if pair not in good and recovered(kind, *pair)]
        different = {trace.question.question_id: (trace, after) for trace, after in reversed(good)}
        for trace, after in list(reversed(different.values()))[:SHOWN]:
            diagnosis = diagnose(trace)
            assert diagnosis is not None
            cases.append(Case(kind, diagnosis[1], trace, REPAIRS[kind], after))
        say(f"{kind:<24} found {len(failures):3}, repair tried {len(done)}, answer right after {n_right}")
    cases.sort(
        key=lambda case: question_key(f"{case.trace.question.question_id} {case.kind}")
    )  # kinds mixed, ever the same way
    made = {**made_now(), "split": "dev and train"}
    return Gallery(tuple(cases), census, repaired, {**made, "model": models.model_id(models.generator_source())})


if __name__ == "__main__":
    write_gallery(find())
