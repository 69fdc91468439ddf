"""Query likelihood: the order follows the model, and the model's numbers are right."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
import pytest

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.generation.language_model import LanguageModel
from course_lib.retrieval.reranking import QueryLikelihoodReranker, standardised

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
    with pytest.raises(ValueError, match="k must be between 1 and the 3 hits that are read again"):
        reranker.search("x", 4)


def test_the_first_stage_counts_by_its_weight() -> None:
    class Model:
        def mean_log_likelihood(self, conversations: Sequence[Sequence[Message]], reply: str) -> list[float]:
            return [-1.0 - i for i in range(len(conversations))]

    hits = [Hit("cell", 0.1), Hit("goal", 0.2), Hit("meter", 0.9)]
    by_model = QueryLikelihoodReranker(Fixed(), Model(), weight=0.0).rerank("q", hits)
    assert [hit.chunk_id for hit in by_model] == ["cell", "goal", "meter"]
    by_first = QueryLikelihoodReranker(Fixed(), Model(), weight=100.0).rerank("q", hits)
    assert [hit.chunk_id for hit in by_first] == ["meter", "goal", "cell"]
    assert QueryLikelihoodReranker(Fixed(), Model()).rerank("q", []) == []


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
