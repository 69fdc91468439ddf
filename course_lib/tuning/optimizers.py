"""The optimiser of a run: which parameters it updates, at which rate, and which of them decay."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from course_lib.tuning.freezing import ParameterGroup, layer_groups
from course_lib.tuning.settings import TrainingSettings


def groups_for(model: nn.Module, settings: TrainingSettings) -> list[ParameterGroup]:
    """Return the parameters that the run trains, or will train once they are set free, with their rates.

    Raises ValueError if there are none, or if one is not in float32: in bfloat16, small updates are rounded away.
    """
    groups = layer_groups(
        model,
        settings.learning_rate,
        settings.layer_decay,
        head=settings.head_learning_rate,
        frozen=settings.unfreeze > 0,
    )
    if not groups:
        raise ValueError(
            "model must have a trainable parameter, but all are frozen; freeze(model, n) leaves the head free"
        )
    odd = {value.dtype for group in groups for value in group.parameters} - {torch.float32}
    if odd:
        raise ValueError(
            f"what is trained must be in float32, some is in {odd.pop()}: small updates would be rounded away. Load the "
            "model in float32, and write precision='bfloat16' to compute in it"
        )
    return groups


def adamw(groups: list[ParameterGroup], weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov & Hutter, 2019) over groups, as transformers' Trainer sets it up, at rate 0 so far.

    A group's "full" is its full rate, which the schedule takes a share of.
    """
    settings: list[dict[str, Any]] = [
        {
            "params": group.parameters,
            "lr": 0.0,
            "full": group.learning_rate,
            "weight_decay": weight_decay if group.decays else 0.0,
        }
        for group in groups
    ]
    return torch.optim.AdamW(settings, fused=True)
