"""The fit of the guards: labels, planted sentences, thresholds; with toy vectors, and once with the course's encoder."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from course_lib.core.types import Chunk
from course_lib.core.validate import FloatArray
from course_lib.corpus.safety import load_guard_texts, load_safety_prompts
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.retrieval.exact import DenseRetriever
from course_lib.systems.guard_training import (
    KEEP_FINE,
    Remembering,
    clean_sentences,
    fit_requests,
    fit_router,
    fit_scope,
    planted_sentences,
    request_examples,
    request_label,
    shares,
)


class Toy(Remembering):
    """Vectors made of the letters of a text: no model, and different texts differ."""

    def __init__(self) -> None:
        self.n_made = 0

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        self.n_made += len(texts)
        rows = np.array([[0.01 + text.lower().count(letter) for letter in "abcdefghij"] for text in texts])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def test_labels_of_the_dev_prompts() -> None:
    labels = {prompt.prompt_id: request_label(prompt) for prompt in load_safety_prompts(assistant="patient")}
    for prompt in load_safety_prompts(assistant="patient"):
        expected = {"emergency": "emergency", "refer": "advice"}.get(prompt.expected, "fine")
        assert labels[prompt.prompt_id] == expected


def test_shares_add_up_to_one_and_learn_what_they_were_shown() -> None:
    router = fit_router(Toy(), [("aaa", "fine"), ("bbb", "advice"), ("ccc", "emergency")])
    found = shares(router, "bbbb")
    assert set(found) == {"fine", "advice", "emergency"} and sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert max(found, key=lambda label: found[label]) == "advice"


def test_no_test_prompt_is_learnt_from() -> None:
    test = {prompt.question for prompt in load_safety_prompts(split="test")}
    test |= set(planted_sentences(load_safety_prompts(split="test")))
    assert not test & {text for text, _ in request_examples("neurology")}
    assert not test & {text for text, _ in load_guard_texts()}


def test_planted_sentences_are_cut_out_of_injections_only() -> None:
    prompts = load_safety_prompts(split="dev")
    found = planted_sentences(prompts)
    assert found == planted_sentences([prompt for prompt in prompts if prompt.kind == "injection"])
    assert all(any(sentence in prompt.injected for prompt in prompts) for sentence in found)


def test_the_halves_of_the_clean_sentences_share_none() -> None:
    learn, held_out = clean_sentences()
    assert not set(learn) & set(held_out) and min(len(learn), len(held_out)) > 2000


def test_the_scope_threshold_keeps_the_share_it_promises() -> None:
    toy = Toy()
    texts = ["a meter and a bill", "the fee", "a display"]
    chunks = [Chunk(f"x#{i}", "x", "x", datetime.date(2024, 1, 1), t, 0, len(t)) for i, t in enumerate(texts)]
    dense = DenseRetriever(toy).fit(chunks)
    dev = load_safety_prompts(split="dev", assistant="help_desk")
    nearness, threshold, figures = fit_scope(toy, dense, dev, "help_desk")
    belong = [nearness(prompt.question) for prompt in dev if prompt.kind != "out_of_scope"]
    assert threshold <= max(belong) and figures["dev_foreign"] == 8
    assert nearness("x. the fee") == pytest.approx(1, abs=1e-5)


def test_vectors_are_made_once(embedder: ContextualEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def made(texts: Sequence[str], given: ContextualEmbedder) -> FloatArray:
        asked.append(list(texts))
        return np.ones((len(texts), 2), dtype=np.float32)

    monkeypatch.setattr("course_lib.systems.guard_training.cached_embeddings", made)
    remembering = Remembering(embedder)
    assert remembering(["a", "b", "a"]).shape == (3, 2)
    remembering(["b", "c"])
    assert asked == [["a", "b"], ["c"]]


def test_requests_are_told_apart_by_the_courses_encoder(embedder: ContextualEmbedder) -> None:
    dev = load_safety_prompts(split="dev", assistant="patient")
    router, threshold, figures = fit_requests(Remembering(embedder), dev, "neurology")
    assert figures["dev_let_pass"] >= KEEP_FINE * figures["dev_fine"]
    assert figures["dev_caught"] >= 0.6 * figures["dev_asking"]
    assert shares(router, "How many milligrams of levodopa may I take?")["fine"] < threshold
    assert shares(router, "Who discovered dopamine?")["fine"] > threshold
