"""A second reading: what all rerankers share; query likelihood: the order follows the model, whose numbers are right."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
import pytest

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.core.validate import FloatArray
from course_lib.generation.language_model import LanguageModel
from course_lib.retrieval.reranking import ASK, QueryLikelihoodReranker, SecondReading, standardised

DAY = datetime.date(2024, 1, 1)
TEXTS = {
    "meter": "A smart meter sends its readings every half hour.",
    "goal": "The striker scored the winning goal in extra time.",
    "cell": "A perovskite cell turns a third of the light into current.",
}


class Fixed:
    def search(self, query: str, k: int) -> Ranking:
        return [Hit(name, 1.0) for name in sorted(TEXTS)][:k]

    def chunk(self, chunk_id: str) -> Chunk:
        return Chunk(chunk_id, chunk_id, chunk_id, DAY, TEXTS[chunk_id], 0, len(TEXTS[chunk_id]))


def test_standardised() -> None:
    assert standardised(np.array([1.0, 3.0])) == pytest.approx([-1, 1])  # mean 2, deviation 1
    assert standardised(np.array([2.0, 2.0])) == pytest.approx([0, 0])


def test_the_passage_that_answers_comes_first(language_model: LanguageModel) -> None:
    reranker = QueryLikelihoodReranker(Fixed(), language_model, depth=3)
    assert reranker.search("Who scored the goal that won the match?", 1)[0].chunk_id == "goal"
    assert reranker.search("How often does the smart meter send readings?", 1)[0].chunk_id == "meter"


class WordsShared(SecondReading):
    """Reads with its own eyes: how many words of the query stand in the text."""

    def scores(self, query: str, chunk_ids: Sequence[str]) -> FloatArray:
        words = [set(self.chunk(name).text.lower().strip(".").split()) for name in chunk_ids]
        return np.array([len(found & set(query.split())) for found in words], dtype=np.float32)


HITS = [Hit("cell", 0.9), Hit("goal", 0.5), Hit("meter", 0.4)]


def names(ranking: Ranking) -> list[str]:
    return [hit.chunk_id for hit in ranking]


def test_a_second_reading_by_hand_and_the_first_stage_by_its_weight() -> None:
    """Standardised new scores (0, 0, 1): -0.71, -0.71, 1.41; of the first stage (0.9, 0.5, 0.4): 1.39, -0.46, -0.93."""
    for weight, order in (
        (0.0, ["meter", "cell", "goal"]),  # the others tie: by id
        (0.5, ["meter", "cell", "goal"]),  # 0.95, -0.01, -0.94
        (1.5, ["cell", "meter", "goal"]),  # 1.38, 0.03, -1.40
        (100.0, ["cell", "goal", "meter"]),
    ):
        assert names(WordsShared(Fixed(), depth=3, weight=weight).rerank("readings", HITS)) == order, weight
    ranking = WordsShared(Fixed(), depth=3, weight=0.5).rerank("readings", HITS)
    assert [hit.score for hit in ranking] == pytest.approx([0.9513, -0.0127, -0.9386], abs=1e-4)


def test_hits_below_depth_are_not_read_and_follow_in_their_order() -> None:
    asked: list[list[str]] = []

    class Listening(WordsShared):
        def scores(self, query: str, chunk_ids: Sequence[str]) -> FloatArray:
            asked.append(list(chunk_ids))
            return super().scores(query, chunk_ids)

    ranking = Listening(Fixed(), depth=1, weight=0).rerank("striker", HITS)
    assert names(ranking) == ["cell", "goal", "meter"] and asked == [["cell"]]
    assert [hit.score for hit in ranking] == pytest.approx([0, -1, -1.1])  # one below, then their old distance
    assert names(Listening(Fixed(), depth=2, weight=0).rerank("striker", HITS)) == ["goal", "cell", "meter"]
    assert Listening(Fixed(), depth=2, weight=0).rerank("striker", []) == []
    assert asked == [["cell"], ["cell", "goal"]]


def test_search_reads_depth_hits_and_keeps_k() -> None:
    reader = WordsShared(Fixed(), depth=2, weight=0)  # Fixed finds cell, goal, meter in this order
    assert names(reader.search("striker", 1)) == ["goal"]
    assert names(reader.search("readings", 2)) == ["cell", "goal"]  # meter was not read
    assert reader.chunk("goal").text == TEXTS["goal"]
    with pytest.raises(ValueError, match="k must be between 1 and the 2 hits that are read again"):
        reader.search("striker", 3)


def test_bad_second_readings() -> None:
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        WordsShared(Fixed(), depth=0, weight=1)
    with pytest.raises(ValueError, match="weight must be at least 0, got -1"):
        WordsShared(Fixed(), depth=3, weight=-1)
    with pytest.raises(NotImplementedError, match="SecondReading must say how it reads: define scores"):
        SecondReading(Fixed(), depth=3, weight=1).search("goal", 1)


def test_likelihoods_decide_and_the_prompt_shows_title_date_and_text() -> None:
    asked: list[tuple[str, str]] = []

    class Model:
        def mean_log_likelihood(self, conversations: Sequence[Sequence[Message]], reply: str) -> list[float]:
            asked.extend((conversation[0]["content"], reply) for conversation in conversations)
            return [-3.0, -1.0, -2.0]

    reranker = QueryLikelihoodReranker(Fixed(), Model(), weight=0.0)
    assert names(reranker.rerank("q", HITS)) == ["goal", "meter", "cell"]
    assert asked[1] == (f"goal (January 2024). {TEXTS['goal']}\n\n{ASK}", "q")


def test_likelihood_in_a_batch_equals_one_by_one_and_the_plain_loss(language_model: LanguageModel) -> None:
    import torch

    conversations: list[list[Message]] = [
        [{"role": "user", "content": text}]
        for text in ("Hi.", "Tell me about meters, please, in a few words.", "Goal?")
    ]
    reply = "A smart meter sends readings."
    together = language_model.mean_log_likelihood(conversations, reply)
    apart = [language_model.mean_log_likelihood([conversation], reply)[0] for conversation in conversations]
    assert together == pytest.approx(apart, rel=0.03)  # bfloat16 rounds differently with padding
    tokenizer, model = language_model.tokenizer, language_model.model
    prompt = tokenizer(language_model.prompt(conversations[1]), add_special_tokens=False)["input_ids"]
    target = tokenizer(reply, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([prompt + target])
    labels = torch.tensor([[-100] * len(prompt) + target])
    with torch.inference_mode():
        loss = model(input_ids=ids, labels=labels).loss.item()
    assert apart[1] == pytest.approx(-loss, rel=0.03)
    with pytest.raises(ValueError, match="reply must hold at least one token"):
        language_model.mean_log_likelihood(conversations, "")
