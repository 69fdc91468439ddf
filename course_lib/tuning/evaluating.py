"""What validation says, and when a run has learnt enough: early stopping keeps the weights of the best evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.tuning.batches import Row, parts_of
from course_lib.tuning.checkpoints import copy_of
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.modes import mode
from course_lib.tuning.settings import Evaluation

EVALUATION_TOKENS = 2048


def evaluate_rows(model: Any, rows: Sequence[Row], *, precision: str = "float32") -> tuple[float, float]:
    """Return the mean cross-entropy in nats and the accuracy, between 0 and 1, on rows that model.encode made.

    Computed without gradients; dropout as the model's mode says. Raises ValueError for no rows.
    """
    if not rows:
        raise ValueError("examples must not be empty: the mean loss of nothing is undefined")
    loss = right = n = 0.0
    for part in parts_of(rows, 1, EVALUATION_TOKENS):
        inputs, labels = model.collate(part)
        with torch.no_grad(), torch.autocast(labels.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(**inputs).float()  # (n_labels, n_classes)
        loss += float(cross_entropy(logits, labels, reduction="sum"))
        right += float((logits.argmax(dim=1) == labels).sum())
        n += len(labels)
    return loss / n, right / n


def evaluate(model: Any, examples: Sequence[Any], *, precision: str = "float32") -> tuple[float, float]:
    """Return the mean cross-entropy in nats and the accuracy, between 0 and 1, of model on examples, without dropout.

    Raises ValueError for no examples, and as model.encode does.
    """
    with mode(model):
        return evaluate_rows(model, model.encode(list(examples)), precision=precision)


def require_classes(model: TextClassifier, examples: Sequence[Any], least: int) -> None:
    """Raise ValueError unless every class of model has at least `least` examples: a head cannot learn what it never sees."""
    model.label_ids([label for _, label in examples])
    counts = Counter(label for _, label in examples)
    for label in model.labels:
        if counts[label] < least:
            raise ValueError(
                f"every class needs at least {least} training examples, but {label!r} has {counts[label]}: add some, "
                f"merge it with another class, or allow it with min_per_class={counts[label]}"
            )


class EarlyStopping:
    """Remembers evaluations; with patience, also the weights of the lowest loss, and when to give up waiting for a lower.

    Of equal losses, the first is the best. Without patience nothing is stopped and no weights are kept.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.evaluations: list[Evaluation] = []
        self.best_step: int | None = None
        self.weights: dict[str, torch.Tensor] | None = None

    def note(self, evaluation: Evaluation, parameters: Mapping[str, nn.Parameter]) -> str:
        """Add an evaluation of the model with these parameters; return why to stop, or the empty string."""
        lowest = min((each.loss for each in self.evaluations), default=float("inf"))
        self.evaluations.append(evaluation)
        if evaluation.loss < lowest:
            self.best_step = evaluation.step
            if self.patience is not None:
                self.weights = copy_of(parameters)
        waited = sum(each.step > (self.best_step or 0) for each in self.evaluations)
        if self.patience is None or waited < self.patience:
            return ""
        return f"no lower validation loss in {waited} evaluations; the weights are those of step {self.best_step}"
