"""The training loop: forward, loss, backward, clip, update, and the schedule of the learning rate, all in sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from course_lib.tuning.batches import labels_of, linear_schedule, parts_of, set_learning_rate
from course_lib.tuning.evaluating import evaluate
from course_lib.tuning.run import Run
from course_lib.tuning.settings import (
    CheckpointError,
    Evaluation,
    StepReport,
    TrainingDiverged,
    TrainingResult,
    TrainingSettings,
)

__all__ = [
    "CheckpointError", "Evaluation", "StepReport", "TrainingDiverged", "TrainingResult", "TrainingSettings", "evaluate",
    "train",
]  # fmt: skip


def train(
    model: Any,
    examples: Sequence[Any],
    settings: TrainingSettings,
    *,
    validation: Sequence[Any] | None = None,
    folder: Path | str | None = None,
    on_step: Callable[[StepReport], object] | None = None,
    progress: bool = False,
) -> TrainingResult:
    """Train what is not frozen in model, in place; examples and validation are (text, label) pairs for a classifier.

    model: a `TextClassifier`, or any module that is `Trainable`. folder: the run's state is kept there, and a run that was
    interrupted goes on from it bit for bit. on_step: told of every update; the run stops when it returns True.
    progress: a bar, and after three updates the time that is left. Under `accelerate launch`, an update reads batch_size
    examples in each process. Raises ValueError for examples that the model cannot learn from, CheckpointError for a
    state that is damaged or of another run, TrainingDiverged for a loss that is no number: the last state is kept.
    """
    with Run(model, examples, settings, validation, folder, on_step, progress) as run:
        reader, optimizer, team = run.reader, run.optimizer, run.team
        for step, batch in run.batches():
            rate = set_learning_rate(optimizer, linear_schedule(step, run.n_steps, run.n_warmup))  # schedule
            n_labels, loss = sum(map(labels_of, batch)), 0.0
            for part in parts_of(team.share(batch), settings.accumulation, settings.part_tokens):
                inputs, labels = reader.collate(part)
                with run.number_format():
                    logits = reader(**inputs)  # forward: (n_labels, n_classes)
                part_loss: Any = cross_entropy(logits.float(), labels, reduction="sum") / n_labels  # loss
                part_loss.backward()  # backward: adds to the gradients
                loss += float(part_loss.detach())
            team.sum_gradients(run.parameters)
            norm = float(torch.nn.utils.clip_grad_norm_(run.parameters, settings.clip))  # clip
            loss = run.finite(step, team.total(loss), norm, rate)
            optimizer.step()  # update
            optimizer.zero_grad()
            if run.after(step, batch, loss, norm, rate):
                break
    return run.result()
