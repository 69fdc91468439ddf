"""Many ways to order the same candidates: every stage scores them once, then any mixture of stages is a ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from course_lib.core.types import Hit, ranked
from course_lib.core.validate import FloatArray
from course_lib.generation.language_model import LanguageModel
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.retrieval.late_interaction import ContextualTokens, TokenStore, max_sims
from course_lib.retrieval.reranking import likelihood_prompt, standardised

PairScorer = Callable[[Sequence[str], Sequence[str]], Sequence[float] | FloatArray]


@dataclass(frozen=True)
class Candidates:
    """For each query the ids that a first stage found, and the scores that stages gave them.

    queries: id -> text; ids: query id -> candidates; scores: stage -> query id -> (n_candidates,), larger is better.
    """

    queries: dict[str, str]
    ids: dict[str, list[str]]
    scores: dict[str, dict[str, FloatArray]] = field(default_factory=dict)

    def with_stage(self, name: str, scores: Mapping[str, Sequence[float] | FloatArray]) -> Candidates:
        """Return the same with one stage more. Raises ValueError unless it scores every candidate."""
        table = {query: np.asarray(values, dtype=np.float32) for query, values in scores.items()}
        for query, ids in self.ids.items():
            if len(table.get(query, ())) != len(ids):
                raise ValueError(
                    f"stage {name} must score all {len(ids)} candidates of query {query}, got {len(table.get(query, ()))}"
                )
        return replace(self, scores={**self.scores, name: table})

    def scored_by(self, name: str, scorer: PairScorer, texts: Mapping[str, str]) -> Candidates:
        """Return the same with a stage that reads pairs of query and text, all pairs handed over at once."""
        pairs = [(query, candidate) for query, ids in self.ids.items() for candidate in ids]
        values = np.asarray(
            scorer([self.queries[query] for query, _ in pairs], [texts[candidate] for _, candidate in pairs]),
            dtype=np.float32,
        )
        table, start = {}, 0
        for query, ids in self.ids.items():
            table[query] = values[start : start + len(ids)]
            start += len(ids)
        return self.with_stage(name, table)

    def only(self, queries: Sequence[str]) -> Candidates:
        """Return the same for these queries alone. Raises KeyError for one that is not there."""
        return Candidates(
            {name: self.queries[name] for name in queries},
            {name: self.ids[name] for name in queries},
            {stage: {name: table[name] for name in queries} for stage, table in self.scores.items()},
        )

    def ranking(self, weights: Mapping[str, float], query: str) -> list[str]:
        """Return the candidates of a query by the weighted sum of the standardised scores of the stages named."""
        total = sum(
            (weight * standardised(self.scores[stage][query]) for stage, weight in weights.items()),
            start=np.zeros(len(self.ids[query]), dtype=np.float32),
        )
        return [
            hit.chunk_id
            for hit in ranked(Hit(name, float(score)) for name, score in zip(self.ids[query], total, strict=True))
        ]

    def rankings(self, weights: Mapping[str, float]) -> dict[str, list[str]]:
        """Return the ranking of every query. Raises ValueError for a stage that was not scored."""
        for stage in weights:
            if stage not in self.scores:
                raise ValueError(f"stage must be one of {', '.join(self.scores)}, got {stage!r}")
        return {query: self.ranking(weights, query) for query in self.ids}


def late_interaction_pairs(embedder: ContextualEmbedder) -> PairScorer:
    """Return a scorer of pairs by late interaction; every text is read once, its token vectors kept as int8."""

    def scores(queries: Sequence[str], texts: Sequence[str]) -> FloatArray:
        store = TokenStore(ContextualTokens(embedder), number_format="int8")
        store.add({text: text for text in texts})
        of_query: dict[str, list[int]] = {}
        for position, query in enumerate(queries):
            of_query.setdefault(query, []).append(position)
        values = np.zeros(len(texts), dtype=np.float32)
        for positions, vectors in zip(of_query.values(), store.encode(list(of_query)), strict=True):
            values[positions] = max_sims(vectors, [store[texts[i]] for i in positions])
        return values

    return scores


def likelihood_pairs(model: LanguageModel, *, cut: int | None = None, progress: str = "") -> PairScorer:
    """Return a scorer of pairs by query likelihood; a text that several queries share is read once.

    cut: characters of a text that are read, all by default.
    """

    def scores(queries: Sequence[str], texts: Sequence[str]) -> list[float]:
        prompts = {text: likelihood_prompt(text[:cut]) for text in texts}
        pairs = [(prompts[text], query) for query, text in zip(queries, texts, strict=True)]
        return model.mean_log_likelihoods(pairs, progress=progress)

    return scores


def best_weights(
    candidates: Candidates,
    stages: Sequence[str],
    score: Callable[[dict[str, list[str]]], float],
    *,
    grid: Sequence[float] = (0.0, 0.5, 1.0, 1.5, 2.0),
) -> dict[str, float]:
    """Return the weights with the largest score, found one stage after another until none improves (coordinate ascent).

    Begins with all at 1. Ties go to the weights that came first. score: of all rankings, larger is better.
    """
    weights = dict.fromkeys(stages, 1.0)
    best = score(candidates.rankings(weights))
    improved = True
    while improved:
        improved = False
        for stage in stages:
            for value in grid:
                trial = {**weights, stage: value}
                if not any(trial.values()):
                    continue
                reached = score(candidates.rankings(trial))
                if reached > best + 1e-6:
                    weights, best, improved = trial, reached, True
    return weights
