"""Runs of answers as a file, as trec_eval has run files: what a system showed its model and what it answered.

`python -m course_lib.systems.answer_runs` asks the test questions anew and writes answer_runs.json: minutes, so that
lesson 08 reads it and decodes only a sample again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from course_lib.assets import models
from course_lib.core.types import Chunk, Question
from course_lib.corpus.questions import load_questions
from course_lib.generation.cached import CachedGenerator, load_cached_language_model
from course_lib.generation.prompting import rag_messages
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.exact import DenseRetriever
from course_lib.retrieval.fusion import fuse
from course_lib.systems.failure_file import made_now
from course_lib.systems.reading_room import reading_room

PATH = Path(__file__).with_name("answer_runs.json")
DEPTH, MAX_NEW_TOKENS = 100, 48
METHODS = {"RRF": "rrf", "z-score": "z_score"}


@dataclass(frozen=True)
class AnswerRun:
    """One system's answers: question_id -> the ids of the passages shown, and the answer."""

    system: str
    shown: Mapping[str, tuple[str, ...]]
    answers: Mapping[str, str]


def first_passages(
    room: DenseRetriever, questions: Sequence[Question], *, k: int = 1
) -> dict[str, dict[str, list[str]]]:
    """Return system -> question_id -> the first k chunk ids of BM25 and MiniLM, fused by each of METHODS."""
    words = FastBM25Retriever().fit(list(room.chunks_.values()))
    vectors = room.embedder([question.text for question in questions])  # (n_questions, dim)
    found: dict[str, dict[str, list[str]]] = {name: {} for name in METHODS}
    for question, vector in zip(questions, vectors, strict=True):
        both = [room.index_.search(vector, DEPTH), words.search(question.text, DEPTH)]
        for name, method in METHODS.items():
            found[name][question.question_id] = [hit.chunk_id for hit in fuse(both, method=method)[:k]]
    return found


def ask(
    shown: Mapping[str, Sequence[str]],
    questions: Mapping[str, Question],
    chunks: Mapping[str, Chunk],
    model: CachedGenerator,
) -> dict[str, str]:
    """Return question_id -> the model's answer from the passages shown to it."""
    conversations = [rag_messages(questions[name].text, [chunks[one] for one in ids]) for name, ids in shown.items()]
    return dict(zip(shown, model.generate_many(conversations, max_new_tokens=MAX_NEW_TOKENS), strict=True))


def write_runs(path: Path = PATH, *, split: str = "test", say: Callable[[str], None] = print) -> None:
    """Ask all questions of a split, one passage each, and write the runs with date and model."""
    room, model = reading_room(), load_cached_language_model()
    questions = {question.question_id: question for question in load_questions(split=split)}
    runs = {}
    for system, shown in first_passages(room, list(questions.values())).items():
        answers = ask(shown, questions, room.chunks_, model)
        runs[system] = {name: {"shown": ids, "answer": answers[name]} for name, ids in shown.items()}
        say(f"{system}: {len(answers)} answers, {model.n_made} decoded so far")
    made = {
        **made_now(),
        "split": split,
        "model": models.model_id(models.generator_source()),
        "number format": str(models.compute_dtype()).removeprefix("torch."),
    }
    path.write_text(json.dumps({"made": made, "runs": runs}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@cache
def load_runs(path: Path = PATH) -> dict[str, AnswerRun]:
    """Return the runs by system. Raises FileNotFoundError with the command that makes them if the file is not there."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not there; make it: python -m course_lib.systems.answer_runs")
    content = json.loads(path.read_text(encoding="utf-8"))
    return {
        system: AnswerRun(
            system,
            {name: tuple(entry["shown"]) for name, entry in entries.items()},
            {name: str(entry["answer"]) for name, entry in entries.items()},
        )
        for system, entries in content["runs"].items()
    }


if __name__ == "__main__":
    write_runs()
