"""Measure a whole system for the scoreboard: what it answers, how long it takes, and the row that says so."""

from __future__ import annotations

import datetime
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from course_lib.assets import models
from course_lib.classroom.progress import progress_file
from course_lib.core.protocols import Retriever
from course_lib.core.seeds import SEED, thread_count
from course_lib.core.types import Answer, Chunk, Question
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.answers import abstains
from course_lib.evaluation.grounding_features import claim_of
from course_lib.evaluation.scoreboard import LEARNER, Row, merged, put_row, quality, read_rows, right_answers
from course_lib.evaluation.scoreboard_tables import Board
from course_lib.systems.asking import DEPTH, AnswerSystem, Remembered, replies_of, seconds_of, spread, with_parts
from course_lib.systems.grounding_models import load_groundedness

Judgements = dict[str, dict[str, float]]
Grounds = Callable[[Sequence[tuple[str, str, Sequence[Chunk]]]], Sequence[bool]]
SHIPPED = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "scoreboard.json"
N_TIMED = 20


def learner_file() -> Path:
    """Return where the learner's own rows are kept: beside the record of progress, never in the course's files."""
    return progress_file().with_name("scoreboard.json")


def scoreboard() -> Board:
    """Return the course's rows and the learner's own, as a table that a notebook shows."""
    return Board(tuple(merged(read_rows(SHIPPED), read_rows(learner_file(), whose=LEARNER))))


def supported(asked: Sequence[tuple[str, str, Sequence[Chunk]]]) -> list[bool]:
    """Return whether the passages support each (question, reply, passages), by the course's own groundedness."""
    return [verdict.supported for verdict in load_groundedness().many(asked)]


def grounded_replies(answers: Mapping[str, Answer], grounds: Grounds) -> dict[str, float]:
    """Return 1.0 or 0.0 for each reply that claims something and was shown passages: whether they support it."""
    claiming = {
        name: (answer.question, answer.text, [chunk for chunk, _ in answer.passages])
        for name, answer in answers.items()
        if answer.passages and not abstains(answer.text) and claim_of(answer.text)
    }
    verdicts = grounds(list(claiming.values())) if claiming else []
    return {name: float(holds) for name, holds in zip(claiming, verdicts, strict=True)}


def measure(
    row: Row,
    system: AnswerSystem,
    questions: Sequence[Question],
    *,
    retriever: Retriever | None = None,
    judgements: Judgements | None = None,
    timed: int = N_TIMED,
    warm_up: str | None = None,
    grounds: Grounds | None = None,
    peak: Callable[[], float | None] | None = None,
    progress: bool = False,
) -> Row:
    """Return row with the figures of a system: first seconds and memory, one question at a time, then the quality.

    retriever: whose ranking is scored, by judgements. timed: how many answerable questions are timed; warm_up: one
    that is asked before them. grounds: says of (question, reply, passages) whether the passages support it. peak: called after the timing, before prompts are decoded together, for the memory that
    answering took.
    """
    sample = spread([question for question in questions if question.gold], timed)
    spent = seconds_of(system, sample, warm_up=warm_up or sample[0].text) if sample else []
    memory = peak() if peak else None
    remembered = Remembered(retriever) if retriever is not None else None
    if remembered is not None:
        system = with_parts(system, retriever=remembered)
    answers = replies_of(system, questions, progress=progress)
    rankings = None
    if remembered is not None and judgements:
        rankings = {
            question.question_id: [hit.chunk_id for hit in remembered.search(question.text, DEPTH)]
            for question in questions
            if question.gold
        }
    replies = {name: answer.text for name, answer in answers.items()}
    return replace(
        row,
        marks=right_answers(questions, replies),
        quality=quality(
            questions,
            replies,
            rankings=rankings,
            judgements=judgements,
            grounded=grounded_replies(answers, grounds) if grounds else None,
        ),
        seconds=float(f"{statistics.median(spent):.3g}") if spent else None,
        n_timed=len(spent),
        peak_gb=round(memory, 3) if memory else None,
    )


def add_row(
    name: str,
    system: AnswerSystem,
    *,
    lesson: str,
    how: str,
    n_questions: int | None = None,
    chunks: Sequence[Chunk] | None = None,
    index_bytes: int | None = None,
    training_minutes: float = 0.0,
    trained_parameters: int = 0,
    progress: bool = True,
) -> Board:
    """Measure a system on the test questions, keep it as a row of the learner's own, and return the whole board.

    system: called with a question, returns an Answer, such as RAG(retriever, generator). how: in a sentence, how it is
    built. n_questions: fewer questions, spread over the kinds; the row is then marked as quick. chunks: what its
    retriever has indexed, the course's own by default. index_bytes: None if unknown. Memory is not measured: a
    notebook holds more than the system. Raises ValueError for an empty name, or a negative price.
    """
    questions = load_questions(split="test")
    quick = n_questions is not None and n_questions < len(questions)
    if n_questions is not None:
        if n_questions < 2:
            raise ValueError(
                f"n_questions must be at least 2, got {n_questions}; 60 tell systems apart that differ a lot"
            )
        questions = spread(questions, n_questions)
    row = Row(
        name, lesson, how, {}, index_bytes=index_bytes, training_minutes=training_minutes,
        trained_parameters=trained_parameters, quick=quick, measured=_when_and_where(), whose=LEARNER,
    )  # fmt: skip
    retriever = getattr(system, "retriever", None)
    judgements = None
    if retriever is not None:
        documents = load_documents()
        judgements = judge_chunks(questions, chunks or chunk_documents(documents), documents)
    filled = measure(
        row, system, questions, retriever=retriever, judgements=judgements, warm_up=warm_up_question(),
        grounds=supported, progress=progress,
    )  # fmt: skip
    put_row(learner_file(), filled)
    return scoreboard()


def warm_up_question() -> str:
    """Return a question that is asked before any is timed: the first one of dev that can be answered."""
    return next(question.text for question in load_questions(split="dev") if question.gold)


def _when_and_where() -> dict[str, Any]:
    return {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "number_format": str(models.compute_dtype()).removeprefix("torch."),
        "threads": thread_count(),
        "seed": SEED,
    }
