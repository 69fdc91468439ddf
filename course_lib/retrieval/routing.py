"""Which shelf does a query belong to: by rule, by centroid, by trained classifier; and when not to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from course_lib.core.protocols import Embedder
from course_lib.core.validate import FloatArray, NotFittedError, require_matrix
from course_lib.retrieval.embedding import normalise
from course_lib.retrieval.tokenising import stems

KEYWORDS: dict[str, tuple[str, ...]] = {
    "world_cup": (
        "world cup", "football", "match", "goal", "scored", "final", "penalty", "referee", "team", "tournament", "FIFA",
        "coach", "captain", "stadium", "goalkeeper", "striker", "squad", "played", "ball", "won",
    ),
    "neurology": (
        "disease", "Parkinson", "Alzheimer", "ALS", "Huntington", "dementia", "brain", "patient", "drug", "symptom",
        "tremor", "trial", "gene", "neurologist", "levodopa", "memory", "nerve", "protein", "therapy", "doctor",
    ),
    "energy": (
        "solar", "wind", "turbine", "power", "plant", "gigawatt", "megawatt", "hydrogen", "battery", "grid", "reactor",
        "dam", "nuclear", "panel", "geothermal", "electricity", "offshore", "fusion", "capacity", "renewable",
    ),
    "help_desk": (
        "meter", "bill", "tariff", "account", "display", "my", "I", "you", "your", "Fennimore", "refund", "customer",
        "policy", "payment", "warranty", "appliance", "complaint", "code", "charge", "contract",
    ),
}  # fmt: skip


class Router(Protocol):
    """Scores every shelf for a query, larger is better; what the numbers mean depends on the router."""

    def scores(self, queries: Sequence[str]) -> FloatArray: ...

    @property
    def shelves(self) -> tuple[str, ...]: ...


class KeywordRouter:
    """Counts the keywords of each shelf in a query; words are compared by their stems, a phrase stem by stem."""

    def __init__(self, keywords: Mapping[str, Sequence[str]] = KEYWORDS) -> None:
        if not keywords or not all(keywords.values()):
            raise ValueError("keywords must name at least one shelf and at least one word for each")
        self.keywords = {shelf: [tuple(stems(word)) for word in words] for shelf, words in keywords.items()}

    @property
    def shelves(self) -> tuple[str, ...]:
        return tuple(self.keywords)

    def scores(self, queries: Sequence[str]) -> FloatArray:
        """Return how many keywords of each shelf stand in each query, (n, n_shelves)."""
        counts = np.zeros((len(queries), len(self.keywords)), dtype=np.float32)  # (n, n_shelves)
        for row, query in enumerate(queries):
            terms = stems(query)
            for column, phrases in enumerate(self.keywords.values()):
                counts[row, column] = sum(_holds(terms, phrase) for phrase in phrases)
        return counts


def _holds(terms: list[str], phrase: tuple[str, ...]) -> bool:
    return any(tuple(terms[i : i + len(phrase)]) == phrase for i in range(len(terms) - len(phrase) + 1))


def centroids(embeddings: FloatArray, labels: Sequence[str], classes: Sequence[str]) -> FloatArray:
    """Return the mean vector of each class, scaled to length 1.

    embeddings: (n, dim), one label each. Returns (n_classes, dim). Raises ValueError for a class without a member.
    """
    embeddings = require_matrix(embeddings, name="embeddings")  # (n, dim)
    if len(labels) != len(embeddings):
        raise ValueError(f"labels must be one for each of the {len(embeddings)} embeddings, got {len(labels)}")
    names = np.array(labels)
    for name in classes:
        if not (names == name).any():
            raise ValueError(f"classes must have at least one member each, but {name!r} has none")
    return normalise(np.stack([embeddings[names == name].mean(axis=0) for name in classes]))  # (n_classes, dim)


class CentroidRouter:
    """Cosine of a query with the mean vector of each shelf's chunks: no question is needed to build it."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def fit(self, embeddings: FloatArray, labels: Sequence[str]) -> Self:
        """Keep the centroids of embeddings (n, dim), one label each."""
        self.shelves_ = tuple(sorted(set(labels)))
        self.centroids_ = centroids(embeddings, labels, self.shelves_)  # (n_shelves, dim)
        return self

    @property
    def shelves(self) -> tuple[str, ...]:
        return tuple(_fitted(self, "shelves_"))

    def scores(self, queries: Sequence[str]) -> FloatArray:
        """Return the cosines, (n, n_shelves). Raises NotFittedError before fit."""
        return np.asarray(self.embedder(list(queries)) @ _fitted(self, "centroids_").T, dtype=np.float32)


def softmax(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return exp(logits) over their sum, row by row: probabilities, (n, n_classes)."""
    logits = np.asarray(logits, dtype=np.float64)  # (n, n_classes)
    shifted = logits - logits.max(axis=1, keepdims=True)  # the same result, and no overflow
    exponentials = np.exp(shifted)  # (n, n_classes)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float64)


class ClassifierRouter:
    """Softmax regression on the vectors of questions whose shelf is known, trained by gradient descent.

    Minimises the mean cross-entropy plus l2 / 2 times the squared weights; the intercepts are not held down. scores
    are probabilities and add up to 1.
    """

    def __init__(self, embedder: Embedder, *, l2: float = 1e-3, rate: float = 5.0, n_steps: int = 500) -> None:
        if l2 < 0 or rate <= 0 or n_steps < 1:
            raise ValueError(f"l2 must be >= 0, rate > 0 and n_steps >= 1, got {l2}, {rate} and {n_steps}")
        self.embedder, self.l2, self.rate, self.n_steps = embedder, l2, rate, n_steps

    def fit(self, queries: Sequence[str], labels: Sequence[str]) -> Self:
        """Learn from queries with one label each. Raises ValueError for fewer than two different labels."""
        self.shelves_ = tuple(sorted(set(labels)))
        if len(labels) != len(queries) or len(self.shelves_) < 2:
            raise ValueError(
                f"labels must be one for each of the {len(queries)} queries and of two kinds at least, got "
                f"{len(labels)} of {len(self.shelves_)} kinds"
            )
        vectors = self.embedder(list(queries)).astype(np.float64)  # (n, dim)
        targets = np.array([[label == shelf for shelf in self.shelves_] for label in labels], dtype=np.float64)
        self.weights_ = np.zeros((vectors.shape[1], len(self.shelves_)))  # (dim, n_shelves)
        self.intercepts_ = np.zeros(len(self.shelves_))  # (n_shelves,)
        self.losses_: list[float] = []
        for _ in range(self.n_steps):
            probabilities = softmax(vectors @ self.weights_ + self.intercepts_)  # (n, n_shelves)
            error = (probabilities - targets) / len(targets)  # (n, n_shelves)
            penalty = self.l2 / 2 * float((self.weights_**2).sum())
            self.losses_.append(-float((targets * np.log(probabilities)).sum() / len(targets)) + penalty)
            self.weights_ -= self.rate * (vectors.T @ error + self.l2 * self.weights_)
            self.intercepts_ -= self.rate * error.sum(axis=0)
        return self

    @property
    def shelves(self) -> tuple[str, ...]:
        return tuple(_fitted(self, "shelves_"))

    def scores(self, queries: Sequence[str]) -> FloatArray:
        """Return the probability of each shelf, (n, n_shelves). Raises NotFittedError before fit."""
        weights = _fitted(self, "weights_")
        return np.asarray(softmax(self.embedder(list(queries)) @ weights + self.intercepts_), dtype=np.float32)


def _fitted(router: object, name: str) -> Any:
    if not hasattr(router, name):
        raise NotFittedError(f"this {type(router).__name__} knows no shelf yet: call fit(...) first")
    return getattr(router, name)
