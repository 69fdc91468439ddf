"""Guards for the two assistants, fitted to the dev prompts and to examples: classifiers, thresholds, known addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from course_lib.core.validate import FloatArray
from course_lib.corpus.chunking import sentence_spans
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.corpus.safety import ASSISTANTS, SafetyPrompt, load_guard_texts, load_safety_prompts
from course_lib.retrieval.embedding import ContextualEmbedder, cached_embeddings, load_embedder
from course_lib.retrieval.exact import DenseRetriever
from course_lib.retrieval.routing import ClassifierRouter
from course_lib.retrieval.threshold import threshold_for
from course_lib.systems.grounding_models import load_groundedness
from course_lib.systems.guard import Guard
from course_lib.systems.guard_text import addresses

KEEP_QUESTIONS = 0.95  # of the dev questions that belong to the assistant, the scope check lets pass at least these
KEEP_FINE = 0.95  # of the dev questions that ask for no advice
KEEP_SENTENCES = 0.995  # of the sentences of documents that the classifier never saw
REPEATS = 20  # planted sentences count so often: documents have some hundred times as many
L2, RATE, STEPS = 1e-4, 5.0, 400  # of both classifiers


@dataclass(frozen=True)
class Fitted:
    """A guard and the figures of its fit: thresholds, and what leave-one-out says of the dev prompts."""

    guard: Guard
    figures: dict[str, Any]


class Remembering:
    """An embedder that keeps the vectors of texts it has seen in memory: a classifier is fitted many times."""

    def __init__(self, embedder: ContextualEmbedder) -> None:
        self.embedder = embedder
        self._known: dict[str, FloatArray] = {}

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim); from the disk where a text was embedded before."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, cached_embeddings(new, self.embedder), strict=True))
        return np.stack([self._known[text] for text in texts])


def request_label(prompt: SafetyPrompt) -> str:
    """Return what the question of a prompt is to the classifier of requests: "advice", "emergency" or "fine"."""
    if prompt.kind != "advice":
        return "fine"
    return "emergency" if prompt.topic == "emergency" else "advice"


def fit_router(embed: Remembering, examples: Sequence[tuple[str, str]]) -> ClassifierRouter:
    """Return softmax regression on the vectors of (text, label)."""
    router = ClassifierRouter(embed, l2=L2, rate=RATE, n_steps=STEPS)
    return router.fit([text for text, _ in examples], [label for _, label in examples])


def shares(router: ClassifierRouter, text: str) -> dict[str, float]:
    """Return the probability of each label for one text."""
    return {label: float(share) for label, share in zip(router.shelves, router.scores([text])[0], strict=True)}


def request_examples(shelf: str) -> list[tuple[str, str]]:
    """Return (text, label) of the examples, and the train and dev questions of a shelf as "fine"."""
    asked = [question.text for split in ("train", "dev") for question in load_questions(split=split, shelf=shelf)]
    return [*load_guard_texts("advice", "emergency", "fine"), *((text, "fine") for text in asked)]


def fit_requests(
    embed: Remembering, dev: Sequence[SafetyPrompt], shelf: str
) -> tuple[ClassifierRouter, float, dict[str, Any]]:
    """Return the classifier of requests, the threshold on "fine", and its figures on the dev prompts, each left out in turn."""
    others = request_examples(shelf)
    own = [(prompt.question, request_label(prompt)) for prompt in dev]
    left_out = [shares(fit_router(embed, others + own[:i] + own[i + 1 :]), own[i][0]) for i in range(len(own))]
    fine = [share["fine"] for share, (_, label) in zip(left_out, own, strict=True) if label == "fine"]
    asking = [share["fine"] for share, (_, label) in zip(left_out, own, strict=True) if label != "fine"]
    threshold = threshold_for(fine, keep=KEEP_FINE)
    figures = {
        "threshold": round(threshold, 4),
        "dev_caught": sum(value < threshold for value in asking),
        "dev_asking": len(asking),
        "dev_let_pass": sum(value >= threshold for value in fine),
        "dev_fine": len(fine),
    }
    return fit_router(embed, others + own), threshold, figures


def fit_scope(
    embed: Remembering, dense: DenseRetriever, dev: Sequence[SafetyPrompt], shelf: str
) -> tuple[Callable[[str], float], float, dict[str, Any]]:
    """Return the nearness of a question to a shelf, the threshold on it, and what it does to the dev questions."""

    def nearness(question: str) -> float:
        return float((dense.index_.embeddings_ @ embed([question])[0]).max())

    belong = [prompt.question for prompt in dev if prompt.kind in ("benign", "injection")]
    belong += [question.text for question in load_questions(split="dev", shelf=shelf)]
    foreign = [nearness(prompt.question) for prompt in dev if prompt.kind == "out_of_scope"]
    threshold = threshold_for([nearness(question) for question in belong], keep=KEEP_QUESTIONS)
    caught = sum(value < threshold for value in foreign)
    return nearness, threshold, {
        "threshold": round(threshold, 4), "dev_caught": caught, "dev_foreign": len(foreign), "dev_belong": len(belong),
    }  # fmt: skip


@cache
def clean_sentences() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the different sentences of every second document of both shelves, and those of the others."""
    halves: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for number, document in enumerate(load_documents(*ASSISTANTS.values())):
        halves[number % 2].update((document.text[start:end], None) for start, end in sentence_spans(document.text))
    return tuple(halves[0]), tuple(sentence for sentence in halves[1] if sentence not in halves[0])


def planted_sentences(prompts: Sequence[SafetyPrompt]) -> list[str]:
    """Return the sentences that are planted in the passages of injections."""
    return [
        prompt.injected[start:end]
        for prompt in prompts
        if prompt.kind == "injection"
        for start, end in sentence_spans(prompt.injected)
    ]


def fit_instructions(embed: Remembering) -> tuple[Callable[[Sequence[str]], list[float]], float, dict[str, Any]]:
    """Return the classifier of sentences that speak to the machine, the threshold on it, and its figures.

    Fitted to the dev injections of both assistants and to examples, against half of the shelves' sentences; the threshold
    comes from the other half. dev_caught: injections of the dev split of which some sentence was found by a fit without it.
    """
    dev = load_safety_prompts(split="dev", kind="injection")
    learn, held_out = clean_sentences()
    clean = [(sentence, "clean") for sentence in learn]
    examples = [text for text, _ in load_guard_texts("instruction")]

    def fitted(prompts: Sequence[SafetyPrompt]) -> ClassifierRouter:
        planted = [(text, "planted") for text in [*examples, *planted_sentences(prompts)]] * REPEATS
        return fit_router(embed, clean + planted)

    def scores(router: ClassifierRouter, sentences: Sequence[str]) -> list[float]:
        return [float(value) for value in router.scores(sentences)[:, router.shelves.index("planted")]]

    def threshold_of(router: ClassifierRouter) -> float:  # just above the largest clean score that is to be kept
        return float(
            np.nextafter(-threshold_for([-value for value in scores(router, held_out)], keep=KEEP_SENTENCES), 2.0)
        )

    found = 0
    for fold in range(4):
        rest = [prompt for i, prompt in enumerate(dev) if i % 4 != fold]
        router = fitted(rest)
        limit = threshold_of(router)
        found += sum(max(scores(router, planted_sentences([p]))) >= limit for i, p in enumerate(dev) if i % 4 == fold)
    router = fitted(dev)
    threshold = threshold_of(router)
    figures = {"threshold": round(threshold, 4), "dev_caught": found, "dev_planted": len(dev),
               "clean_sentences": len(learn), "held_out_sentences": len(held_out)}  # fmt: skip
    return lambda sentences: scores(router, sentences), threshold, figures


@cache
def _instructions() -> tuple[Callable[[Sequence[str]], list[float]], float, Mapping[str, Any]]:
    return fit_instructions(_embedder())


@cache
def _embedder() -> Remembering:
    return Remembering(load_embedder())


def fit_guard(assistant: str, dense: DenseRetriever) -> Fitted:
    """Return the guard of an assistant over the chunks of dense, with the figures of its fit.

    Seconds, once the sentences of the shelves are embedded. Raises ValueError for an assistant that does not exist.
    """
    dev = load_safety_prompts(split="dev", assistant=assistant)
    shelf, embed = ASSISTANTS[assistant], _embedder()
    nearness, scope, scope_figures = fit_scope(embed, dense, dev, shelf)
    instructions, sentence, sentence_figures = _instructions()
    figures: dict[str, Any] = {"scope": scope_figures, "instructions": dict(sentence_figures)}
    parts: dict[str, Any] = {
        "nearness": nearness, "scope_threshold": scope, "instructions": instructions, "sentence_threshold": sentence,
        "known_addresses": frozenset().union(*(addresses(document.text) for document in load_documents(shelf))),
        "judge": load_groundedness(),
    }  # fmt: skip
    if assistant == "patient":
        router, fine, figures["requests"] = fit_requests(embed, dev, shelf)
        parts |= {"requests": lambda question: shares(router, question), "fine_threshold": fine, "advises": True}
    return Fitted(Guard(assistant, embed, **parts), figures)
