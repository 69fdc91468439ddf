"""What one training step holds in memory: weights, gradients, the optimiser's moments, and activations for backward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from course_lib.tuning.activations import CachedActivations, frozen_layers
from course_lib.tuning.heads import TextClassifier


@dataclass(frozen=True)
class StepMemory:
    """Bytes of one update. moments: the two that AdamW keeps of each trained number. activations: kept until backward."""

    weights: int
    gradients: int
    moments: int
    activations: int

    @property
    def for_training(self) -> int:
        """What training needs beside the weights."""
        return self.gradients + self.moments + self.activations

    def __str__(self) -> str:
        parts = (("weights", self.weights), ("gradients", self.gradients), ("moments", self.moments))
        words = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in (*parts, ("activations", self.activations)))
        return f"{words} MB"


def step_memory(model: TextClassifier, examples: Sequence[tuple[str, str]], *, cache: bool = True) -> StepMemory:
    """Return what an update on this batch of (text, label) holds, counted tensor by tensor: the same on every machine.

    cache: frozen lower layers are read beforehand, as `train` does; the kept activations of other batches are not counted,
    nor is what the forward pass holds for a moment only. The model is left as it was. Raises ValueError for no examples,
    or if nothing is trainable.
    """
    if not examples:
        raise ValueError("examples must hold one batch, got none")
    frozen = frozen_layers(model)  # raises if nothing is trainable
    reader: Any = CachedActivations(model) if cache and frozen else model
    inputs, labels = reader.collate(reader.encode(list(examples)))
    own = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:  # saved tensors stay alive, so that no two share an address
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would hold its graph, which holds the tensor: never freed

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = cross_entropy(reader(**inputs).float(), labels)
    del loss
    trained = sum(value.nbytes for value in model.parameters() if value.requires_grad)
    weights = sum(value.nbytes for value in model.parameters())
    return StepMemory(weights, trained, 2 * trained, sum(kept.values()))
