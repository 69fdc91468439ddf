"""Frozen layers need no second reading: their activations are computed once and kept for every epoch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from course_lib.tuning.batches import Row, length_of
from course_lib.tuning.freezing import REST, count_layers, lowest_trainable, part_of
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.modes import mode

PART_TOKENS = 2048


class _Given(nn.Module):
    """Stands where the embeddings stood: hands on the vectors that the encoder was given."""

    def forward(self, *, inputs_embeds: torch.Tensor, **_: Any) -> torch.Tensor:
        return inputs_embeds


def _view(encoder: Any, layers: Sequence[nn.Module], embeddings: nn.Module) -> Any:
    """Return an encoder with these layers and embeddings only, which shares every weight with the whole one."""
    view, stack = copy.copy(encoder), copy.copy(encoder.encoder)
    stack._modules = {**encoder.encoder._modules, "layer": nn.ModuleList(layers)}
    view._modules = {**encoder._modules, "embeddings": embeddings, "encoder": stack}
    return view


def frozen_layers(model: nn.Module) -> int:
    """Return how many of the lowest layers could be read once: 0 unless they and the embeddings are frozen.

    0 for models other than a `TextClassifier` on an encoder built like BERT (embeddings, then encoder.layer), and for one
    that trains what all layers share (MPNet's table of distances). Raises ValueError if nothing is trainable.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(model, TextClassifier) or not isinstance(encoder, nn.Module):
        return 0
    stack = encoder._modules.get("encoder")
    if "embeddings" not in encoder._modules or stack is None or "layer" not in stack._modules:
        return 0
    if any(value.requires_grad and part_of(name) == REST for name, value in model.named_parameters()):
        return 0
    return max(0, min(lowest_trainable(model) - 1, count_layers(model)))


class CachedActivations:
    """A classifier that is given, instead of texts, what its frozen lowest layers made of them.

    `encode` reads each text through the lower layers once; `collate` and the call take over from there, with the same
    logits to rounding. With nothing but the head to train, one pooled vector a text is kept, else one a token: n_bytes
    says how many bytes in all. The model must compute without dropout. Raises ValueError if no layer is frozen.
    """

    def __init__(self, model: TextClassifier, *, precision: str = "float32") -> None:
        self.n_layers = frozen_layers(model)
        if self.n_layers < 1:
            raise ValueError(
                "model must have frozen embeddings and at least one frozen layer above them, so that there is something "
                "to keep; freeze(model, 4) freezes four layers"
            )
        self.model, self.precision, self.n_bytes = model, precision, 0
        layers = list(model.encoder.encoder.layer)
        self.lower = _view(model.encoder, layers[: self.n_layers], model.encoder.embeddings)
        self.upper = _view(model.encoder, layers[self.n_layers :], _Given())
        self.pooled = self.n_layers == len(layers)  # nothing but the head learns

    def encode(self, examples: Sequence[tuple[str, str]]) -> list[Row]:
        """Return one row an example: "hidden", (n_tokens, dim) or (dim,), its label and its number of tokens."""
        rows = self.model.encode(examples)
        cached: list[Row] = [{} for _ in rows]
        order = sorted(range(len(rows)), key=lambda i: (-length_of(rows[i]), i))
        with mode(self.model):
            while order:
                size = max(1, PART_TOKENS // length_of(rows[order[0]]))
                part, order = order[:size], order[size:]
                for i, hidden in zip(part, self._read([rows[i] for i in part]), strict=True):
                    cached[i] = {"hidden": hidden, "label": rows[i]["label"], "n_tokens": length_of(rows[i])}
                    self.n_bytes += hidden.numel() * hidden.element_size()
        return cached

    def _read(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        inputs, _ = self.model.collate(rows)
        device = inputs["input_ids"].device
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            hidden = self.lower(**inputs).last_hidden_state  # (n, n_tokens, dim)
            if self.pooled:
                return list(self.model.pool(hidden, inputs["attention_mask"]))
        return [vectors[mask.bool()].clone() for vectors, mask in zip(hidden, inputs["attention_mask"], strict=True)]

    def collate(self, rows: Sequence[Row]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return padded activations, their mask (none where they are pooled) and the label numbers, (n,)."""
        hidden = [row["hidden"] for row in rows]
        labels = torch.tensor([row["label"] for row in rows], device=hidden[0].device)  # (n,)
        if self.pooled:
            return {"hidden": torch.stack(hidden)}, labels  # (n, dim)
        lengths = torch.tensor([len(vectors) for vectors in hidden], device=hidden[0].device)
        padded = nn.utils.rnn.pad_sequence(hidden, batch_first=True)  # (n, n_tokens, dim)
        mask = (torch.arange(padded.shape[1], device=padded.device)[None, :] < lengths[:, None]).long()
        return {"hidden": padded, "attention_mask": mask}, labels

    def __call__(self, hidden: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits, (n, n_classes), from the activations of the frozen layers."""
        if attention_mask is None:
            return torch.as_tensor(self.model.head(hidden))
        above = self.upper(inputs_embeds=hidden, attention_mask=attention_mask).last_hidden_state
        return torch.as_tensor(self.model.head(self.model.pool(above, attention_mask)))
