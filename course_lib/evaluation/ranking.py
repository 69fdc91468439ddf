"""How good a ranking is: recall, precision, reciprocal rank, average precision, nDCG, success.

Every metric takes a ranking (ids, best first, none twice) and gains (id -> gain; above 0 is relevant, an id that is
missing has gain 0), and returns a number between 0 and 1. A query without any relevant id has no score: ValueError.
So has a k below 1, an id that comes twice, and a gain that is not finite. The numbers are those of trec_eval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from course_lib.core.validate import FloatArray

Gains = Mapping[str, float]
Metric = Callable[[Sequence[str], Gains], float]


def _relevant(ranking: Sequence[str], gains: Gains, k: int | None = None) -> set[str]:
    if k is not None and (isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1):
        raise ValueError(f"k must be a whole number of at least 1, got {k!r}")
    if isinstance(ranking, str):
        raise TypeError(f"ranking must be a list of ids, best first, got one str: {ranking!r:.60}")
    if len(set(ranking)) != len(ranking):
        twice = next(name for place, name in enumerate(ranking) if name in ranking[:place])
        raise ValueError(f"ranking must hold each id once, but {twice!r} comes twice; keep its best place")
    wrong = next((name for name, gain in gains.items() if not math.isfinite(gain)), None)
    if wrong is not None:
        raise ValueError(f"gains must be finite numbers, got {gains[wrong]} for {wrong!r}")
    relevant = {name for name, gain in gains.items() if gain > 0}
    if not relevant:
        raise ValueError(
            "gains must hold an id with a gain above 0: without one, the metric is undefined; leave it out"
        )
    return relevant


def recall_at_k(ranking: Sequence[str], gains: Gains, k: int) -> float:
    """Return the share of the relevant ids that stand among the first k."""
    relevant = _relevant(ranking, gains, k)
    return len(relevant.intersection(ranking[:k])) / len(relevant)


def precision_at_k(ranking: Sequence[str], gains: Gains, k: int) -> float:
    """Return the share of the first k places that hold a relevant id; a place left empty holds none."""
    relevant = _relevant(ranking, gains, k)
    return len(relevant.intersection(ranking[:k])) / k


def success_at_k(ranking: Sequence[str], gains: Gains, k: int) -> float:
    """Return 1 if a relevant id stands among the first k, else 0."""
    return float(not _relevant(ranking, gains, k).isdisjoint(ranking[:k]))


def reciprocal_rank(ranking: Sequence[str], gains: Gains) -> float:
    """Return 1 / rank of the first relevant id, rank counted from 1; 0 if there is none. Its mean is called MRR."""
    relevant = _relevant(ranking, gains)
    return next((1 / rank for rank, name in enumerate(ranking, start=1) if name in relevant), 0.0)


def average_precision(ranking: Sequence[str], gains: Gains) -> float:
    """Return the mean, over all relevant ids, of the precision at the place where each stands; its mean is MAP.

    A relevant id that the ranking lacks adds 0.
    """
    relevant = _relevant(ranking, gains)
    found, total = 0, 0.0
    for rank, name in enumerate(ranking, start=1):
        if name in relevant:
            found += 1
            total += found / rank
    return total / len(relevant)


def ndcg_at_k(ranking: Sequence[str], gains: Gains, k: int) -> float:
    """Return the gain of the first k, discounted by place, over that of the best possible order.

    Jarvelin & Kekalainen (2002): gain / log2(1 + rank), summed. The gain itself, not 2 ** gain - 1, as in trec_eval;
    negative gains count as 0.
    """
    _relevant(ranking, gains, k)
    ideal = sorted((max(gain, 0.0) for gain in gains.values()), reverse=True)
    return _dcg([max(gains.get(name, 0.0), 0.0) for name in ranking[:k]]) / _dcg(ideal[:k])


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, start=1))


METRICS: dict[str, Metric] = {
    "recall@5": lambda ranking, gains: recall_at_k(ranking, gains, 5),
    "recall@10": lambda ranking, gains: recall_at_k(ranking, gains, 10),
    "precision@5": lambda ranking, gains: precision_at_k(ranking, gains, 5),
    "success@1": lambda ranking, gains: success_at_k(ranking, gains, 1),
    "success@5": lambda ranking, gains: success_at_k(ranking, gains, 5),
    "MRR": reciprocal_rank,
    "MAP": average_precision,
    "nDCG@10": lambda ranking, gains: ndcg_at_k(ranking, gains, 10),
}


def metric_values(
    metric: str | Metric, rankings: Mapping[str, Sequence[str]], judgements: Mapping[str, Gains]
) -> FloatArray:
    """Return one value for each query of judgements, in their order, shape (n_queries,); their mean is the score.

    metric: a name in METRICS, or a function. A query that rankings lacks counts as an empty ranking; rankings of
    queries that nobody judged are left out. Raises ValueError for an unknown name, no judgements at all, or a query
    that the metric refuses.
    """
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
        metric = METRICS[metric]
    if not judgements:
        raise ValueError("judgements must hold at least one query, got none: the mean of nothing is undefined")
    values = []
    for query, gains in judgements.items():
        try:
            values.append(metric(rankings.get(query, ()), gains))
        except (ValueError, TypeError) as error:
            raise type(error)(f"query {query!r}: {error}") from error
    return np.array(values, dtype=np.float32)
