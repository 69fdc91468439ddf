"""The row of a named system: built, measured on the test questions, with a key that says when it is out of date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache

from course_lib.assets import models
from course_lib.core.seeds import SEED
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.scoreboard import Row
from course_lib.systems.asking import spread
from course_lib.systems.scoreboard import N_TIMED, measure, supported, warm_up_question
from course_lib.systems.scoreboard_systems import System, collection_chunks

VERSION = 1  # of how a row is measured: raise it, and every row counts as old
N_QUICK, N_TIMED_QUICK = 24, 3


@cache
def _digest_of_data() -> str:
    digest = hashlib.sha256()
    for question in load_questions(split="test"):
        digest.update(repr(question).encode())
    for chunk in collection_chunks():
        digest.update(f"{chunk.chunk_id} {chunk.date} {chunk.text}".encode())
    return digest.hexdigest()


def key_of(system: System, *, quick: bool) -> str:
    """Return what names all that a row depends on: data, models, seed, how it is built and measured.

    Neither the machine nor the code of the library is part of it: after a change that matters, measure with --fresh.
    """
    parts = [VERSION, system.name, system.how, quick, SEED, _digest_of_data()]
    parts += [models.model_id(models.encoder_source()), models.model_id(models.generator_source()), system.trained()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def measure_system(
    system: System, *, quick: bool = False, peak: Callable[[], float | None] | None = None, progress: bool = False
) -> Row:
    """Build a system and return its row on the test questions, N_QUICK of them if quick.

    peak: returns the peak memory of this process in GB; it tells of this system only in a process of its own.
    """
    questions = load_questions(split="test")
    if quick:
        questions = spread(questions, N_QUICK)
    if system.answerable_only:
        questions = [question for question in questions if question.gold]
    minutes, parameters = system.trained()
    built = system.build()
    row = Row(
        system.name, system.lesson, system.how, {}, index_bytes=built.index_bytes, training_minutes=minutes,
        trained_parameters=parameters, quick=quick, control=system.control, key=key_of(system, quick=quick),
    )  # fmt: skip
    judgements = judge_chunks(questions, collection_chunks(), load_documents()) if built.retriever is not None else None
    return measure(
        row, built.system, questions, retriever=built.retriever, judgements=judgements, peak=peak, progress=progress,
        timed=N_TIMED_QUICK if quick else N_TIMED, warm_up=warm_up_question(), grounds=supported,
    )  # fmt: skip
