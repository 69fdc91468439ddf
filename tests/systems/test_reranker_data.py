"""The examples of the reranker: nothing of dev and test in them, near misses that are misses."""

from __future__ import annotations

import datetime

import pytest

from course_lib.core.types import Chunk, Document, Hit, Ranking
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.systems.reranker_data import (
    Seed,
    held_back,
    question_seeds,
    sampled,
    sentence_seeds,
    versions_of,
    with_near_misses,
)

DAY = datetime.date(2024, 1, 1)


def document(
    name: str, text: str = "A first sentence stands here. A second sentence stands here.", **fields: str
) -> Document:
    return Document(name, "help_desk", name.upper(), DAY, text, **fields)


def test_a_chain_of_versions_is_one() -> None:
    documents = [
        document("a", superseded_by="b"),
        document("b", supersedes="a", superseded_by="c"),
        document("c", supersedes="b"),
        document("d"),
    ]
    chains = versions_of(documents)
    assert chains["a"] == chains["c"] == {"a", "b", "c"}
    assert chains["d"] == {"d"}


def test_only_train_questions_become_examples() -> None:
    documents = load_documents("help_desk")
    chunks = chunk_documents(documents)
    with pytest.raises(ValueError, match="questions must be of the train split"):
        question_seeds(load_questions(shelf="help_desk", split="dev"), chunks, documents)
    train = load_questions(shelf="help_desk", split="train")
    seeds = question_seeds(train, chunks, documents)
    assert {seed.query for seed in seeds} == {question.text for question in train if question.gold}
    for seed in seeds:
        assert any(seed.passage.endswith(chunk.text) and chunk.doc_id in seed.off_limits for chunk in chunks)


def test_documents_that_answer_dev_or_test_are_known() -> None:
    questions = load_questions()
    barred = held_back(questions)
    assert {span.doc_id for q in questions if q.split == "test" for span in q.gold} <= barred
    assert barred < {document.doc_id for document in load_documents()}


def test_a_sentence_is_taken_out_of_its_passage() -> None:
    chunks = chunk_documents([document(f"d{i}") for i in range(40)])
    seeds = sentence_seeds(chunks, [document(f"d{i}") for i in range(40)], keep=0.0)
    assert len(seeds) == 40
    assert all(seed.query not in seed.passage and seed.passage.strip() for seed in seeds)
    assert 5 < sum(seed.passage.startswith("D") for seed in seeds) < 35  # about half have their title
    kept = sentence_seeds(chunks, [document(f"d{i}") for i in range(40)], keep=1.0)
    assert all(seed.query in seed.passage for seed in kept)
    assert sentence_seeds(chunk_documents([document("one", "Only one sentence is here.")]), [document("one")]) == []


class Ordered:
    def search(self, query: str, k: int) -> Ranking:
        return [Hit(f"d{i}#00", 1.0) for i in range(k)]

    def chunk(self, chunk_id: str) -> Chunk:
        return Chunk(chunk_id, chunk_id.removesuffix("#00"), "T", DAY, f"text of {chunk_id}", 0, 9)


def test_near_misses_come_from_the_top_and_never_from_documents_off_limits() -> None:
    seeds = [Seed(f"q{i}", "good", frozenset({"d0", "d2"}), "question") for i in range(50)]
    examples = with_near_misses(seeds, Ordered(), n_passages=4, pool=10)
    assert examples == with_near_misses(seeds, Ordered(), n_passages=4, pool=10)
    seen = [passage for example in examples for passage in example.passages[1:]]
    assert all(len(example.passages) == 4 and example.passages[0] == "good" for example in examples)
    assert not any("d0#" in passage or "d2#" in passage for passage in seen)
    assert sum("d1#" in passage for passage in seen) > sum("d9#" in passage for passage in seen) > 0


def test_sampling_keeps_order_and_all_if_few() -> None:
    chunks = chunk_documents([document(f"d{i:02d}") for i in range(20)])
    drawn = sampled(chunks, 5, seed=1)
    assert len(drawn) == 5 and drawn == sorted(drawn, key=lambda chunk: chunk.chunk_id)
    assert sampled(chunks, 100, seed=1) == chunks
