"""Asking many: together or one by one, the answers are the same; each query is searched once; the clock sees no cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scoreboard_fakes import CHUNKS, KINDS, QUESTIONS, Found, N, Reader, oracle, shuffled

from course_lib.core.protocols import Message
from course_lib.core.types import Answer
from course_lib.systems.asking import Remembered, replies_of, seconds_of, spread, with_parts
from course_lib.systems.rag import RAG


def test_prompts_are_decoded_together_and_the_answers_are_those_of_one_by_one() -> None:
    together, alone = Reader(), Reader()
    many = replies_of(RAG(Found(shuffled), together, k=3), QUESTIONS)
    assert together.batches == [48, 12] and together.n_single == 0
    one = {q.question_id: RAG(Found(shuffled), alone, k=3)(q.text) for q in QUESTIONS}
    assert {name: answer.text for name, answer in many.items()} == {name: answer.text for name, answer in one.items()}
    assert many["q07"].passages == one["q07"].passages


def test_a_second_prompt_may_depend_on_the_first_reply() -> None:
    @dataclass(frozen=True)
    class Twice:
        generator: Any

        def __call__(self, question: str) -> Answer:
            number = re.findall(r"\d+", question)[0]
            first = self.generator.generate(
                [{"role": "user", "content": f"Code {number} means more. {question}"}], max_new_tokens=8
            )
            again = f"Code {number} means {'done' if 'more' in first else 'nothing'}. {question}"
            return Answer(question, self.generator.generate([{"role": "user", "content": again}], max_new_tokens=8))

    reader = Reader()
    found = replies_of(Twice(reader), QUESTIONS[:5])
    assert {answer.text for answer in found.values()} == {"It means done."}
    # what was asked after the neutral reply is thrown away; no prompt is decoded one by one
    assert reader.n_single == 0


def test_a_system_without_such_a_generator_is_asked_one_by_one() -> None:
    found = replies_of(lambda question: Answer(question, question.upper()), QUESTIONS[:3])
    assert found["q01"].text == "WHAT DOES CODE 1 MEAN?"


def test_seconds_are_measured_uncached_and_without_the_first() -> None:
    class Kept:
        """Looks like a cached generator."""

        n_made = 0

        def __init__(self, generator: Reader) -> None:
            self.generator = generator

        def generate(self, messages: Sequence[Message], **_: Any) -> str:
            raise AssertionError("the cache must not be asked")

        def count_tokens(self, text: str) -> int:
            return 1

    reader = Reader()
    spent = seconds_of(RAG(Found(oracle), Kept(reader), k=1), QUESTIONS[:4], warm_up=QUESTIONS[9].text)  # type: ignore[arg-type]
    assert len(spent) == 4 and min(spent) > 0 and reader.n_single == 5


def test_remembered_searches_deep_enough() -> None:
    inner = Found(oracle)
    retriever = Remembered(inner)
    first = retriever.search("code 5 ", 1)
    assert [hit.chunk_id for hit in first] == ["shelf/d05#00"] and len(retriever.search("code 5 ", 10)) == 10
    assert inner.asked == 1 and len(retriever.search("code 5 ", 20)) == 20 and inner.asked == 2 and len(retriever) == N
    assert retriever.chunk("shelf/d05#00") == CHUNKS[5]


def test_parts_are_exchanged_only_where_there_are_such_parts() -> None:
    system = RAG(Found(oracle), Reader(), k=1)
    other = with_parts(system, generator="x", reader="y")
    assert other.generator == "x" and other.k == 1 and system.generator != "x"  # type: ignore[attr-defined]
    function = len
    assert with_parts(function, generator="x") is function  # type: ignore[arg-type]


def test_a_spread_sample_takes_the_kinds_in_turn() -> None:
    drawn = spread(QUESTIONS, 10)
    assert {kind: sum(q.kind == kind for q in drawn) for kind in KINDS} == dict.fromkeys(KINDS, 2)
    assert drawn == sorted(drawn, key=lambda q: q.question_id) and drawn == spread(QUESTIONS, 10)
    assert spread(QUESTIONS, 999) == QUESTIONS
