"""The right answers of lesson 10's exercise, with NumPy alone; the checks compare with these and build slips from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def softmax(logits: Floats) -> Floats:
    """Return probabilities of each row, (n, n_classes)."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))  # (n, n_classes)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def cross_entropy(logits: Floats, labels: Ints) -> float:
    """Return the mean of -ln p of the right classes, in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)  # (n, n_classes)
    log_sum = np.log(np.exp(shifted).sum(axis=1))  # (n,)
    return float((log_sum - shifted[np.arange(len(labels)), labels]).mean())


def head_gradients(vectors: Floats, weight: Floats, bias: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """Return the gradients of the mean cross-entropy: of the weight, (n_classes, dim), and of the bias, (n_classes,)."""
    at_logits = softmax(vectors @ weight.T + bias)  # (n, n_classes)
    at_logits[np.arange(len(labels)), labels] -= 1
    at_logits /= len(labels)
    return at_logits.T @ vectors, at_logits.sum(axis=0)


def clip(gradients: Sequence[Floats], largest: float) -> list[Floats]:
    """Return the gradients, scaled by one factor so that their common norm is at most largest."""
    norm = float(np.sqrt(sum((gradient**2).sum() for gradient in gradients)))
    factor = min(1.0, largest / norm) if norm > 0 else 1.0
    return [gradient * factor for gradient in gradients]


def adamw(
    weight: Floats, gradient: Floats, m: Floats, v: Floats, step: int, rate: float, decay: float
) -> tuple[Floats, Floats, Floats]:
    """Return weight, m and v after one update (Loshchilov & Hutter, 2019)."""
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    direction = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return weight * (1 - rate * decay) - rate * direction, m, v


def trainable_names(names: Sequence[str], lowest: int, embeddings: bool) -> list[str]:
    """Return the names that learn when the lowest layers, and the embeddings if asked, are frozen."""

    def learns(name: str) -> bool:
        if ".layer." in name:
            return int(name.split(".layer.")[1].split(".")[0]) >= lowest
        return not (embeddings and "embeddings" in name)

    return [name for name in names if learns(name)]


def layer_rates(n_layers: int, rate: float, decay: float, frozen: int) -> Floats:
    """Return (n_layers + 1,) rates from the embeddings upwards; 0 for what is frozen."""
    rates = np.array([rate * decay ** (n_layers - height) for height in range(n_layers + 1)])
    if frozen:
        rates[: frozen + 1] = 0
    return rates


def f1_by_class(truth: Ints, guess: Ints, n_classes: int) -> Floats:
    """Return F1 of each class, NaN for one that is never true and never guessed."""
    values = np.full(n_classes, np.nan)
    for c in range(n_classes):
        total = int((truth == c).sum() + (guess == c).sum())
        if total:
            values[c] = 2 * int(((truth == c) & (guess == c)).sum()) / total
    return values
