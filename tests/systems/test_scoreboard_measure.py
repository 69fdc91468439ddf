"""Measuring a system: fakes whose scores are known beforehand, and what breaks when the context is taken away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from scoreboard_fakes import CHUNKS, JUDGED, QUESTIONS, Found, N, Reader, oracle, shuffled, wrong

from course_lib.core.protocols import Message, Retriever
from course_lib.core.types import Chunk
from course_lib.evaluation.scoreboard import ANSWERABLE, HEADLINE, LEARNER, Row, put_row, read_rows
from course_lib.systems import scoreboard
from course_lib.systems.rag import RAG, ClosedBook
from course_lib.systems.scoreboard import measure

ROW = Row("fake", "04", "By hand.", {})


def measured(retriever: Retriever | None, generator: Any = None, **options: Any) -> Row:
    generator = generator or Reader()
    system = ClosedBook(generator) if retriever is None else RAG(retriever, generator, k=1)
    return measure(ROW, system, QUESTIONS, retriever=retriever, judgements=JUDGED, timed=3, **options)


def share(row: Row, metric: str, group: str = ANSWERABLE) -> float:
    interval = row.get(metric, group)
    assert interval is not None
    return interval.mean


# ---------------------------------------------------------------- counterfactuals


def test_an_oracle_scores_1_everywhere() -> None:
    row = measured(Found(oracle))
    assert share(row, "recall@5") == share(row, "nDCG@10") == share(row, "contained") == 1.0
    assert row.quality["contained"][HEADLINE].n == 48 and row.quality["contained"]["latest"].n == 12


def test_the_wrong_passage_brings_the_answers_down_and_not_the_ranking_alone() -> None:
    row = measured(Found(wrong))
    assert share(row, "recall@5") == 0.0 and share(row, "contained") == 0.0
    assert share(row, "abstention precision", "all") == 0.0  # it abstains, though all can be answered


def test_a_random_ranking_is_near_chance() -> None:
    interval = measured(Found(shuffled)).get("recall@5", ANSWERABLE)
    assert interval is not None and interval.low <= 5 / N <= interval.high


def test_without_its_context_a_system_falls_to_closed_book() -> None:
    """The generator sees the question alone: whatever the search finds, the answers are those of closed book."""

    @dataclass
    class Blind(Reader):
        def _say(self, messages: Sequence[Message]) -> str:
            last = messages[-1]["content"]
            question = last[last.rfind("What does") :]
            return super()._say([{"role": "user", "content": question}])

    blind, closed = measured(Found(oracle), Blind()), measured(None)
    assert share(blind, "recall@5") == 1.0
    for metric in ("contained", "exact match", "token F1"):
        assert blind.quality[metric] == closed.quality[metric]


def test_closed_book_has_no_ranking() -> None:
    row = measured(None)
    assert "recall@5" not in row.quality and "nDCG@10" not in row.quality


def test_groundedness_falls_when_the_support_is_removed() -> None:
    """A judge by hand: the last word of the reply must stand in a passage that was shown."""

    def grounds(asked: Sequence[tuple[str, str, Sequence[Chunk]]]) -> list[bool]:
        return [any(reply.split()[-1].strip(".") in chunk.text for chunk in shown) for _, reply, shown in asked]

    @dataclass
    class Headstrong(Reader):
        def _say(self, messages: Sequence[Message]) -> str:
            return f"It means word{re.findall('code ([0-9]+)', messages[-1]['content'])[-1]}."

    with_support = measured(Found(oracle), Headstrong(), grounds=grounds)
    without = measured(Found(wrong), Headstrong(), grounds=grounds)
    assert share(with_support, "grounded", "all") == 1.0 and share(without, "grounded", "all") < 0.2
    assert share(without, "contained") == 1.0  # right, but from nowhere
    assert "grounded" not in measured(None, Headstrong(), grounds=grounds).quality  # closed book was shown nothing
    assert "grounded" not in measured(Found(wrong), grounds=grounds).quality  # who abstains claims nothing


# ---------------------------------------------------------------- how it is measured


def test_memory_is_read_after_the_timing_and_before_the_rest() -> None:
    reader = Reader()
    seen: list[tuple[int, int]] = []

    def peak() -> float:
        seen.append((reader.n_single, len(reader.batches)))
        return 1.25

    row = measured(Found(oracle), reader, peak=peak)
    assert seen == [(4, 0)] and row.peak_gb == 1.25  # 3 timed and one before them
    assert measured(Found(oracle), peak=lambda: None).peak_gb is None


def test_each_query_is_searched_once_for_quality() -> None:
    retriever = Found(oracle)
    measured(retriever)
    assert retriever.asked == 4 + N


# ---------------------------------------------------------------- the learner's own rows


@pytest.fixture
def small_course(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The course with the fake questions, and one shipped row."""
    shipped = tmp_path / "course" / "scoreboard.json"
    put_row(shipped, replace(ROW, name="shipped"))
    monkeypatch.setattr(scoreboard, "SHIPPED", shipped)
    monkeypatch.setattr(scoreboard, "load_questions", lambda **_: QUESTIONS)
    monkeypatch.setattr(scoreboard, "load_documents", lambda: [])
    monkeypatch.setattr(scoreboard, "judge_chunks", lambda *_: JUDGED)
    monkeypatch.setattr(scoreboard, "supported", lambda asked: [True] * len(asked))
    return shipped


def test_a_lesson_adds_its_row_in_one_call(small_course: Path, progress_path: Path) -> None:
    before = small_course.read_bytes()
    board = scoreboard.add_row(
        "mine", RAG(Found(oracle), Reader(), k=1), lesson="04", how="By an oracle.", chunks=CHUNKS, progress=False
    )
    assert [(row.name, row.whose) for row in board.rows] == [("shipped", "course"), ("mine", LEARNER)]
    assert "mine (yours)" in str(board) and small_course.read_bytes() == before
    (row,) = read_rows(progress_path.with_name("scoreboard.json"))
    assert share(row, "contained") == share(row, "recall@5") == 1.0
    assert row.seconds and row.n_timed == 20 and row.peak_gb is None and row.measured["seed"] == 13 and not row.quick


def test_a_row_of_few_questions_is_marked(small_course: Path) -> None:
    board = scoreboard.add_row("few", ClosedBook(Reader()), lesson="00", how="Alone.", n_questions=10, progress=False)
    row = board.rows[-1]
    assert row.quick and row.quality["contained"][ANSWERABLE].n == 10 and "few (yours, quick)" in str(board)
    with pytest.raises(ValueError, match="n_questions must be at least 2, got 1"):
        scoreboard.add_row("few", ClosedBook(Reader()), lesson="00", how="Alone.", n_questions=1)


def test_the_learners_file_lies_beside_the_record_of_progress(progress_path: Path) -> None:
    assert scoreboard.learner_file() == progress_path.with_name("scoreboard.json")
