"""Merging: the update goes into the frozen weights, so that the adapted model costs no more than the plain one."""

from __future__ import annotations

import torch
from torch import nn

from course_lib.tuning.lora import LoRALinear, lora_layers, put


def merged_weight(weight: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
    """Return weight + update, (d_out, d_in), added in float32 and rounded once to the format of weight.

    In bfloat16, with 8 significant bits, a change below about 1/512 of a weight is rounded away.
    """
    return (weight.float() + update.float()).to(weight.dtype)


def merge(model: nn.Module) -> nn.Module:
    """Add every update to its layer's weights, in place, and return model: its layers then cost what plain ones do.

    A copy of the frozen weights is kept until `unmerge` or `remove_lora`, which takes the memory of the wrapped layers
    once more: subtracting the update would not bring back the same bits. Meanwhile A and B do not learn. Raises ValueError
    without LoRA layers, if they are merged already, or if a weight is shared with another layer, which would change, too.
    """
    layers = _layers(model)
    merged = [path for path, layer in layers.items() if layer.merged]
    if merged:
        raise ValueError(f"model must not be merged yet, but {merged[0]} is; unmerge(model) first")
    uses: dict[int, list[str]] = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        uses.setdefault(id(value), []).append(name)
    for path, layer in layers.items():
        others = [name for name in uses[id(layer.base.weight)] if not name.startswith(f"{path}.")]
        if others:
            raise ValueError(
                f"{path} must have weights of its own to be merged, but {others[0]} is the same matrix and would change, "
                "too; leave the layer out of targets"
            )
    with torch.no_grad():
        for layer in layers.values():
            weight = layer.base.weight
            layer.kept = weight.detach().clone()
            weight.copy_(merged_weight(weight, layer.update()))
            layer.learned = (layer.A.requires_grad, layer.B.requires_grad)
            layer.A.requires_grad_(False)
            layer.B.requires_grad_(False)
    return model


def unmerge(model: nn.Module) -> nn.Module:
    """Put the kept weights back, bit for bit, and return model. Raises ValueError if nothing is merged."""
    layers = [layer for layer in _layers(model).values() if layer.merged]
    if not layers:
        raise ValueError("model must be merged to be unmerged, but no layer is; merge(model) first")
    with torch.no_grad():
        for layer in layers:
            assert layer.kept is not None
            layer.base.weight.copy_(layer.kept)
            layer.kept = None
            for value, learned in zip((layer.A, layer.B), layer.learned, strict=True):
                value.requires_grad_(learned)
    return model


def remove_lora(model: nn.Module) -> nn.Module:
    """Put plain linear layers back in place of the wrapped ones, and return model: an unmerged update is gone.

    A merged one stays in the weights for good, and the copy of the former weights is dropped: merge, then remove, to ship
    a model that needs no LoRA code. What is frozen stays frozen. Raises ValueError without LoRA layers.
    """
    layers = _layers(model)
    put(model, {path: layer.base for path, layer in layers.items()})
    for layer in layers.values():
        layer.kept = None
    return model


def _layers(model: nn.Module) -> dict[str, LoRALinear]:
    layers = lora_layers(model)
    if not layers:
        raise ValueError(f"model must have LoRA layers, this {type(model).__name__} has none; add_lora first")
    return layers
