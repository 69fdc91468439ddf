"""Is an answer supported by its passages? Sentence by sentence, without a judge model: features, a fitted rule, a verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.types import Chunk
from course_lib.core.validate import require_text
from course_lib.evaluation.grounding_features import FEATURES, claim_of, sentence_features

Span = tuple[int, int]
Asked = tuple[str, str, Sequence[Chunk]]  # question, answer, passages
LikelihoodRatios = Callable[
    [Sequence[tuple[str, str, Sequence[Chunk]]]], Sequence[float]
]  # of (question, claim, passages)


@dataclass(frozen=True)
class Rule:
    """A logistic rule over features: score = 1 / (1 + e^-z), z = bias + sum of weights x (feature - mean) / scale.

    Fitted to labelled answers by benchmarks/groundedness.py, never typed in. Supported means a score of at least 0.5;
    the two labels weighed the same in the fit, so that a score is no probability where one of them is rarer.
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def __post_init__(self) -> None:
        unknown = [name for name in self.features if name not in FEATURES]
        if unknown or not self.features:
            raise ValueError(f"features must be among {', '.join(FEATURES)}, got {', '.join(self.features) or 'none'}")
        for name in ("means", "scales", "weights"):
            values = getattr(self, name)
            if len(values) != len(self.features) or not all(math.isfinite(value) for value in values):
                raise ValueError(f"{name} must be {len(self.features)} finite numbers, one a feature, got {values}")
        if min(self.scales) <= 0:
            raise ValueError(
                f"scales must be larger than 0, got {self.scales}; a feature that never varies tells nothing"
            )

    def __call__(self, features: Mapping[str, float]) -> float:
        """Return the score in 0 to 1. Raises ValueError if a feature of the rule is not given."""
        missing = [name for name in self.features if name not in features]
        if missing:
            raise ValueError(f"the rule needs {', '.join(missing)}, got {', '.join(features)}; pass what computes it")
        parts = zip(self.features, self.means, self.scales, self.weights, strict=True)
        z = self.bias + sum(weight * (features[name] - mean) / scale for name, mean, scale, weight in parts)
        return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))  # neither overflows

    def as_json(self) -> dict[str, Any]:
        """Return the rule as plain data."""
        return asdict(self)


def read_rule(path: Path) -> Rule:
    """Return the rule that a JSON file holds. Raises FileNotFoundError, or ValueError for a rule that cannot be."""
    entry = json.loads(path.read_text(encoding="utf-8"))["rule"]
    lists = {name: tuple(entry[name]) for name in ("features", "means", "scales", "weights")}
    return Rule(**lists, bias=float(entry["bias"]))


@dataclass(frozen=True)
class SentenceGrounding:
    """One sentence of an answer, answer[start:end], and the passage sentence that supports it most.

    score: in 0 to 1; supported: score >= 0.5. passage: its place in the passages given; quote: the sentence there,
    passages[passage].text[span[0]:span[1]]. features: see FEATURES.
    """

    sentence: str
    start: int
    end: int
    score: float
    passage: int
    quote: str
    span: Span
    features: dict[str, float]

    @property
    def supported(self) -> bool:
        """Whether the rule takes the sentence for supported."""
        return self.score >= 0.5


@dataclass(frozen=True)
class Grounding:
    """The verdict on an answer: as good as its weakest sentence."""

    sentences: tuple[SentenceGrounding, ...]

    @property
    def weakest(self) -> SentenceGrounding:
        """The sentence with the lowest score, the first of equal ones."""
        return min(self.sentences, key=lambda sentence: sentence.score)

    @property
    def score(self) -> float:
        """The lowest score of a sentence, in 0 to 1."""
        return self.weakest.score

    @property
    def supported(self) -> bool:
        """Whether every sentence is supported."""
        return self.weakest.supported


@dataclass(frozen=True)
class Groundedness:
    """Says of an answer whether its passages support it; what it needs of models is passed in.

    rule: over features; embed: texts to vectors of length 1; split: a text to the (start, end) of its sentences; words:
    a text to its content words; ratios: likelihood ratios of claims, needed only where the rule uses "ratio". An
    abstention claims nothing about the world: leave it out (`abstains`) before you ask.
    """

    rule: Rule
    embed: Embedder
    split: Callable[[str], Sequence[Span]]
    words: Callable[[str], AbstractSet[str]]
    ratios: LikelihoodRatios | None = None

    def __call__(self, question: str, answer: str, passages: Sequence[Chunk]) -> Grounding:
        """Return the verdict on one answer. Raises ValueError for an empty question or answer, or without passages."""
        return self.many([(question, answer, passages)])[0]

    def many(self, asked: Sequence[Asked]) -> list[Grounding]:
        """Return the verdict on each (question, answer, passages); every different text is embedded once.

        Raises as a single call does.
        """
        cases = [_Case(question, answer, passages, self.split) for question, answer, passages in asked]
        texts = {text: None for case in cases for text in case.texts()}
        vectors = self.embed(list(texts)) if texts else np.zeros((0, 1), dtype=np.float32)  # (n, dim)
        rows = {text: row for row, text in enumerate(texts)}
        claims = [(case.question, claim, case.passages) for case in cases for claim in case.claims]
        ratios = iter(self.ratios(claims) if self.ratios else [None] * len(claims))
        verdicts = []
        for case in cases:
            evidence_words = frozenset().union(*(self.words(text) for text in case.read))
            sentences = []
            for (start, end), claim in zip(case.spans, case.claims, strict=True):
                features, place = sentence_features(
                    claim,
                    case.question,
                    case.evidence,
                    claimed_words=self.words(claim),
                    evidence_words=evidence_words,
                    with_claim=vectors[rows[f"{case.question} {claim}"]],
                    question_alone=vectors[rows[case.question]],
                    evidence_vectors=vectors[[rows[text] for text in case.evidence]],
                    ratio=next(ratios),
                )
                passage, span = case.places[place]
                score = self.rule(features)
                quote = case.evidence[place]
                sentences.append(
                    SentenceGrounding(case.answer[start:end], start, end, score, passage, quote, span, features)
                )
            verdicts.append(Grounding(tuple(sentences)))
        return verdicts


class _Case:
    """One question with its answer cut into claims and its passages cut into sentences."""

    def __init__(
        self, question: str, answer: str, passages: Sequence[Chunk], split: Callable[[str], Sequence[Span]]
    ) -> None:
        self.question = require_text(question, name="question").strip()
        self.answer = require_text(answer, name="answer")
        self.passages = tuple(passages)
        spans = [span for span in split(answer) if claim_of(answer[slice(*span)])]
        if not spans:
            raise ValueError(f"answer must hold more than citations, got {answer!r:.60}: it claims nothing")
        self.spans, self.claims = spans, [claim_of(answer[slice(*span)]) for span in spans]
        self.places = [(i, span) for i, passage in enumerate(self.passages) for span in split(passage.text)]
        if not self.places:
            raise ValueError(
                "passages must hold at least one sentence, got none; an answer needs something to stand in"
            )
        self.evidence = [self.passages[i].text[slice(*span)] for i, span in self.places]
        # A title and a date are shown with their passage: what stands there counts as read.
        self.read = [f"{chunk.title} ({chunk.date.day} {chunk.date:%B %Y})" for chunk in self.passages] + self.evidence

    def texts(self) -> list[str]:
        """What has to be embedded."""
        return [self.question, *self.evidence, *(f"{self.question} {claim}" for claim in self.claims)]
