"""The order in which examples are read, the parts that a batch is read in, and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

Row = dict[str, Any]


class Trainable(Protocol):
    """What `train` needs of a model, beside being a torch module: `TextClassifier` has it, any other may.

    A row is one encoded example: a dict with "input_ids" or "n_tokens", and "n_labels" where it has more than one label
    (a language model's row has one a token that it learns to write).
    """

    def encode(self, examples: Sequence[Any]) -> list[Row]:
        """Return one row an example; called once, before the first step."""
        ...

    def collate(self, rows: Sequence[Row]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the inputs of the model, padded, and the numbers of the right classes, (n_labels,)."""
        ...

    def __call__(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n_labels, n_classes)."""
        ...


def length_of(row: Row) -> int:
    """Return how many tokens a row has, without padding."""
    return int(row["n_tokens"]) if "n_tokens" in row else len(row["input_ids"])


def labels_of(row: Row) -> int:
    """Return how many labels a row has: one, unless it says otherwise."""
    return int(row.get("n_labels", 1))


def steps_per_epoch(n_examples: int, batch_size: int) -> int:
    """Return how many updates an epoch takes; its last batch may be smaller."""
    return math.ceil(n_examples / batch_size)


def order_of(n_examples: int, epoch: int, seed: int) -> list[int]:
    """Return the examples' positions in the order of one epoch: another each epoch, the same for the same seed.

    It depends on nothing else, so a run that is resumed needs no state of a random generator.
    """
    return [int(i) for i in np.random.default_rng([seed, epoch]).permutation(n_examples)]


def batch_of(n_examples: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Return the positions that the update after `step` others reads; every example once an epoch."""
    epoch, place = divmod(step, steps_per_epoch(n_examples, batch_size))
    return order_of(n_examples, epoch, seed)[place * batch_size : (place + 1) * batch_size]


def parts_of(rows: Sequence[Row], accumulation: int = 1, part_tokens: int | None = None) -> list[list[Row]]:
    """Split a batch into parts that fit in memory; their gradients add up to those of the whole batch.

    At most ceil(n / accumulation) rows a part. With part_tokens, rows of similar length stand together, and a part holds
    at most so many tokens, padding counted, or a single row.
    """
    if not rows:
        return []
    size = math.ceil(len(rows) / accumulation)
    if part_tokens is None:
        return [list(rows[start : start + size]) for start in range(0, len(rows), size)]
    parts: list[list[Row]] = []
    width = 0
    for row in sorted(rows, key=length_of, reverse=True):
        if not parts or len(parts[-1]) == size or (len(parts[-1]) + 1) * width > part_tokens:
            parts.append([])
            width = length_of(row)
        parts[-1].append(row)
    return parts


def linear_schedule(step: int, n_steps: int, n_warmup: int) -> float:
    """Return the share of the full learning rate after `step` updates: it rises from 0 to 1, then falls to 0.

    As transformers' get_linear_schedule_with_warmup: with a warm-up, the first update has the rate 0 and changes nothing.
    """
    if step < n_warmup:
        return step / max(1, n_warmup)
    return max(0.0, (n_steps - step) / max(1, n_steps - n_warmup))


def warmup_steps(warmup: float, n_steps: int) -> int:
    """Return how many updates the learning rate rises for, of a share of all: rounded up, as in transformers."""
    return math.ceil(n_steps * warmup)


def set_learning_rate(optimizer: torch.optim.Optimizer, share: float) -> float:
    """Give every group share times its full rate (its "full"), and return the largest."""
    for group in optimizer.param_groups:
        group["lr"] = group["full"] * share
    return max(float(group["lr"]) for group in optimizer.param_groups)
