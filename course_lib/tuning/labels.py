"""Labels: as numbers, and those that other examples contradict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from course_lib.core.seeds import SEED
from course_lib.tuning.splits import folds_of

IntArray = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
Classify = Callable[
    [Any, IntArray, Any], Probabilities
]  # train features, train numbers, test features -> (n, n_classes)


@dataclass(frozen=True)
class LabelEncoder:
    """Labels to numbers and back: the place of each in the sorted list of those seen in training."""

    labels: tuple[str, ...]

    @classmethod
    def fit(cls, labels: Sequence[str]) -> Self:
        """Return the encoder of these labels. Raises ValueError unless at least two differ."""
        found = tuple(sorted(set(labels)))
        if len(found) < 2:
            raise ValueError(f"labels must hold at least two different ones, got {', '.join(found) or 'none'}")
        return cls(found)

    def encode(self, labels: Sequence[str]) -> IntArray:
        """Return (n,) numbers. Raises ValueError for a label that training did not hold."""
        place = {label: i for i, label in enumerate(self.labels)}
        unknown = sorted({label for label in labels if label not in place})
        if unknown:
            raise ValueError(
                f"label must be one of {', '.join(self.labels)}, got {unknown[0]!r}; mend its spelling, or train with it"
            )
        return np.array([place[label] for label in labels], dtype=np.int64)

    def decode(self, numbers: Sequence[int] | IntArray) -> list[str]:
        """Return the labels of numbers. Raises ValueError for a number that stands for none."""
        wrong = [int(number) for number in numbers if not 0 <= number < len(self.labels)]
        if wrong:
            raise ValueError(f"number must be between 0 and {len(self.labels) - 1}, got {wrong[0]}")
        return [self.labels[int(number)] for number in numbers]

    def one_hot(self, labels: Sequence[str]) -> Probabilities:
        """Return (n, n_classes): 1 in the column of the label, else 0."""
        return np.eye(len(self.labels))[self.encode(labels)]


def out_of_fold(
    features: Any, numbers: IntArray, classify: Classify, *, n_folds: int = 5, seed: int = SEED
) -> Probabilities:
    """Return for each example the class probabilities of a model that did not see it, shape (n, n_classes).

    features: (n, dim) array or sparse matrix. classify: trains on the one part and returns probabilities of the other,
    columns in order of class. Raises ValueError as `folds_of`.
    """
    fold_of = folds_of(numbers.tolist(), n_folds, seed=seed)
    probabilities = np.zeros((len(numbers), int(numbers.max()) + 1))
    for fold in range(n_folds):
        held, rest = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        probabilities[held] = classify(features[rest], numbers[rest], features[held])
    return probabilities


@dataclass(frozen=True)
class Suspect:
    """An example whose label the others contradict: its position, the label suggested, and how sure (0 to 1)."""

    position: int
    suggested: int
    confidence: float


def suspects(probabilities: Probabilities, numbers: IntArray) -> list[Suspect]:
    """Return the examples that are probably mislabelled, the surest first (confident learning, Northcutt et al., 2021).

    probabilities: (n, n_classes), of models that did not see the example. A class claims an example if its probability
    reaches the mean that it has among its own examples. An example that another class claims, and whose own class does
    not lead, is suspect; confidence is the lead. Raises ValueError if a class has no example.
    """
    counts = np.bincount(numbers, minlength=probabilities.shape[1])
    if (counts == 0).any():
        raise ValueError(f"every class needs an example, class {int(np.argmin(counts))} has none")
    usual = np.array([probabilities[numbers == c, c].mean() for c in range(probabilities.shape[1])])  # (n_classes,)
    claimed = np.where(probabilities >= usual, probabilities, -1.0)  # (n, n_classes)
    best = claimed.argmax(axis=1)
    lead = probabilities[np.arange(len(numbers)), best] - probabilities[np.arange(len(numbers)), numbers]
    found = [
        Suspect(i, int(best[i]), float(lead[i]))
        for i in np.flatnonzero((best != numbers) & (claimed.max(axis=1) >= 0) & (lead > 0)).tolist()
    ]
    return sorted(found, key=lambda each: (-each.confidence, each.position))
