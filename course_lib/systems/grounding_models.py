"""Groundedness with the course's own models: the encoder always, the language model where the rule asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk
from course_lib.corpus.chunking import sentence_spans
from course_lib.corpus.quality import content_words
from course_lib.evaluation import grounding
from course_lib.evaluation.grounding import Groundedness, LikelihoodRatios, Rule, read_rule
from course_lib.generation.prompting import closed_book_messages, rag_messages
from course_lib.retrieval.embedding import cached_embeddings, load_embedder

if TYPE_CHECKING:
    from course_lib.core.validate import FloatArray
    from course_lib.generation.language_model import LanguageModel

RULE = Path(grounding.__file__).with_name("grounding_rule.json")


def likelihood_ratios(model: LanguageModel, *, progress: str = "") -> LikelihoodRatios:
    """Return a function from (question, claim, passages) to ln p(claim | passages, question) - ln p(claim | question).

    Means over the claim's tokens, as the model's next message after the course's prompts. Many are read in batches; a
    prompt that several claims share is read once.
    """

    def ratios(claims: Sequence[tuple[str, str, Sequence[Chunk]]]) -> list[float]:
        conversations: dict[tuple[str, tuple[Chunk, ...]], list[Message]] = {}  # one object a prompt: read once
        for question, _, passages in claims:
            conversations.setdefault((question, tuple(passages)), rag_messages(question, passages))
            conversations.setdefault((question, ()), closed_book_messages(question))
        pairs = [(conversations[question, tuple(passages)], claim) for question, claim, passages in claims]
        pairs += [(conversations[question, ()], claim) for question, claim, _ in claims]
        values = model.mean_log_likelihoods(pairs, progress=progress)
        with_passages, without = values[: len(claims)], values[len(claims) :]
        return [one - other for one, other in zip(with_passages, without, strict=True)]

    return ratios


def groundedness(rule: Rule, *, ratios: LikelihoodRatios | None = None) -> Groundedness:
    """Return a rule at work with the course's encoder, sentences and content words. Vectors are kept on the disk."""
    embedder = load_embedder()

    def embed(texts: Sequence[str]) -> FloatArray:
        return cached_embeddings(texts, embedder)

    return Groundedness(rule, embed, sentence_spans, content_words, ratios)


def load_groundedness() -> Groundedness:
    """Return the course's groundedness: g(question, answer, passages) and g.many([(question, answer, passages), ...]).

    Its rule was chosen and fitted on the labelled answers; how often it errs stands in docs/benchmarks/groundedness.md.
    The language model is loaded only if that rule reads its likelihood ratio.
    """
    rule = read_rule(RULE)
    if "ratio" not in rule.features:
        return groundedness(rule)
    from course_lib.generation.language_model import load_language_model

    return groundedness(rule, ratios=likelihood_ratios(load_language_model()))
