"""The run file: complete, true to the collection, and the passages reach the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.systems.answer_runs import METHODS, ask, first_passages, load_runs


def test_every_test_question_has_an_answer_and_a_passage_that_exists() -> None:
    names = {question.question_id for question in load_questions(split="test")}
    chunks = {chunk.chunk_id for chunk in chunk_documents(load_documents())}
    runs = load_runs()
    assert set(runs) == set(METHODS)
    for run in runs.values():
        assert set(run.answers) == set(run.shown) == names
        assert all(len(ids) == 1 and set(ids) <= chunks for ids in run.shown.values())
        assert all(answer.strip() for answer in run.answers.values())


def test_the_two_systems_were_shown_different_passages_and_answered_alike_where_they_were_not() -> None:
    rrf, z_score = (load_runs()[name] for name in METHODS)
    same = [rrf.shown[name] == z_score.shown[name] for name in rrf.shown]
    assert 0.5 < np.mean(same) < 1
    assert all(rrf.answers[n] == z_score.answers[n] for n, alike in zip(rrf.shown, same, strict=True) if alike)


def test_without_the_file_the_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="python -m course_lib.systems.answer_runs"):
        load_runs(tmp_path / "none.json")


def test_first_passages_are_those_of_the_fused_list() -> None:
    documents = load_documents("help_desk")[:60]
    chunks = chunk_documents(documents)
    embedder = TfidfEmbedder().fit([indexed_text(chunk) for chunk in chunks])
    room = DenseRetriever(embedder).fit(chunks)
    questions = load_questions(split="train", shelf="help_desk")[:5]
    found = first_passages(room, questions, k=2)
    assert set(found) == set(METHODS)
    for shown in found.values():
        assert list(shown) == [question.question_id for question in questions]
        assert all(len(set(ids)) == 2 and set(ids) <= set(room.chunks_) for ids in shown.values())


def test_the_passage_shown_is_what_the_model_reads() -> None:
    class Echo:
        def generate_many(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
            return [messages[-1]["content"] for messages in conversations]

    questions = {question.question_id: question for question in load_questions(split="dev")[:2]}
    chunks: dict[str, Chunk] = {chunk.chunk_id: chunk for chunk in chunk_documents(load_documents("energy")[:2])}
    shown = dict(zip(questions, ([name] for name in list(chunks)[:2]), strict=True))
    replies = ask(shown, questions, chunks, Echo())  # type: ignore[arg-type]
    for name, (chunk_id,) in shown.items():
        assert chunks[chunk_id].text in replies[name] and questions[name].text in replies[name]
