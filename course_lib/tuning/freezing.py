"""Which parameters learn, and how fast: freezing, rates by layer, and layers set free one after another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

LAYER = re.compile(r"(?:^|\.)(?:layer|layers|h|block|blocks)\.(\d+)\.")
EMBEDDING = re.compile(r"(?:^|\.)(?:\w*embed\w*|wte|wpe)\.")
HEAD = re.compile(r"^(?:head|classifier|lm_head|score)\.")
EMBEDDINGS, REST, HEAD_NAME = "embeddings", "above the layers", "head"


def part_of(name: str) -> str:
    """Return the part of a model that a parameter's name puts it in: "embeddings", "layer 1", ..., "head" or the rest.

    Reads names as transformers gives them (BERT, DistilBERT, ModernBERT, Llama, GPT-2 and their kin), adapters included.
    Layers count from 1, from the text upwards.
    """
    if HEAD.search(name):
        return HEAD_NAME
    if found := LAYER.search(name):
        return f"layer {int(found[1]) + 1}"
    return EMBEDDINGS if EMBEDDING.search(name) else REST


def height_of(part: str, n_layers: int) -> int:
    """Return how far a part stands above the text: 0 for the embeddings, 1 to n_layers, n_layers + 1 for what is above."""
    if part == EMBEDDINGS:
        return 0
    return int(part.split()[1]) if part.startswith("layer ") else n_layers + 1


def count_layers(model: nn.Module) -> int:
    """Return how many layers a model has. Raises ValueError if the names of its parameters show none."""
    heights = [height_of(part_of(name), 0) for name, _ in model.named_parameters() if LAYER.search(name)]
    if not heights:
        raise ValueError(
            f"model must have numbered layers (encoder.layer.0, layers.0, h.0, ...), {type(model).__name__} shows none: "
            "set requires_grad by hand"
        )
    return max(heights)


def freeze(model: nn.Module, lowest: int = 0, *, embeddings: bool = True) -> nn.Module:
    """Freeze the lowest layers, and the embeddings unless told otherwise; set all the rest free; return model.

    lowest: 0 to the number of layers; all of them leave the head alone to learn. `freeze(model, 0, embeddings=False)` sets
    everything free. Not for a model with an adapter, whose base must stay frozen. Raises ValueError for another lowest,
    or for free embeddings under frozen layers, which the gradient would have to pass through to reach them.
    """
    n_layers = count_layers(model)
    if isinstance(lowest, bool) or not isinstance(lowest, int) or not 0 <= lowest <= n_layers:
        raise ValueError(f"lowest must be a whole number between 0 and the model's {n_layers} layers, got {lowest!r}")
    if lowest and not embeddings:
        raise ValueError(f"embeddings must be frozen, too, below {lowest} frozen layers; write embeddings=True")
    floor = lowest if embeddings else -1
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(height_of(part_of(name), n_layers) > floor)
    return model


def lowest_trainable(model: nn.Module) -> int:
    """Return the height of the lowest part with a trainable parameter: 0 embeddings, 1 the first layer, ... (`height_of`).

    Nothing below it needs a gradient, and its activations stay the same for the whole training. Raises ValueError if
    nothing is trainable.
    """
    n_layers = count_layers(model)
    heights = [height_of(part_of(name), n_layers) for name, value in model.named_parameters() if value.requires_grad]
    if not heights:
        raise ValueError(
            "model must have a trainable parameter, but all are frozen; freeze(model, n) leaves the head free"
        )
    return min(heights)


def gradual_unfreezing(model: nn.Module, epoch: int, *, per_epoch: int = 1) -> nn.Module:
    """Set per_epoch more layers free in each epoch, from the top: the head alone in epoch 0 (Howard & Ruder, 2018).

    The embeddings follow one epoch after the first layer. Returns model. Raises ValueError for a negative epoch or a
    per_epoch below 1. `TrainingSettings(unfreeze=per_epoch)` calls it at the start of every epoch.
    """
    if epoch < 0 or per_epoch < 1:
        raise ValueError(f"epoch must be at least 0 and per_epoch at least 1, got {epoch} and {per_epoch}")
    n_layers, free = count_layers(model), epoch * per_epoch
    return freeze(model, max(0, n_layers - free), embeddings=free <= n_layers)


@dataclass
class ParameterGroup:
    """Parameters that share a learning rate; decays: whether weight decay pulls at them (not at biases and norms)."""

    name: str
    learning_rate: float
    decays: bool
    parameters: list[nn.Parameter] = field(default_factory=list)


def layer_groups(
    model: nn.Module, learning_rate: float, decay: float = 1.0, *, head: float | None = None, frozen: bool = False
) -> list[ParameterGroup]:
    """Return the trainable parameters in groups with rates of their own (discriminative rates; Howard & Ruder, 2018).

    The highest layer learns with learning_rate, each layer below with decay times the rate of the one above; the head
    with head, or with learning_rate. As in transformers, biases and norms are groups of their own that do not decay.
    frozen: frozen parameters, too, because they will be set free. Raises ValueError for a rate of 0 or less.
    """
    if not learning_rate > 0 or not 0 < decay <= 1 or (head is not None and not head > 0):
        raise ValueError(
            f"learning_rate and head must be above 0, decay in (0, 1], got {learning_rate}, {head}, {decay}"
        )
    n_layers = count_layers(model) if decay != 1 else 0
    norms = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if "norm" in type(module).__name__.lower()
        for name, _ in module.named_parameters(recurse=False)
    }
    groups: dict[tuple[str, bool], ParameterGroup] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad and not frozen:
            continue
        part = part_of(name)
        if part == HEAD_NAME:
            rate = learning_rate if head is None else head
        else:
            rate = learning_rate * decay ** max(0, n_layers - height_of(part, n_layers))
        decays = name not in norms and not name.endswith("bias")
        label = part if decays else f"{part}, no decay"
        groups.setdefault((part, decays), ParameterGroup(label, rate, decays)).parameters.append(parameter)
    return list(groups.values())


@dataclass(frozen=True)
class PartCount:
    """How many numbers a part of the model holds, and how many of them learn."""

    part: str
    n_parameters: int
    n_trainable: int


@dataclass(frozen=True)
class TrainableTable:
    """The parameters of a model, part by part from the text upwards; print it."""

    rows: tuple[PartCount, ...]

    @property
    def n_parameters(self) -> int:
        """All numbers of the model."""
        return sum(row.n_parameters for row in self.rows)

    @property
    def n_trainable(self) -> int:
        """Those that learn."""
        return sum(row.n_trainable for row in self.rows)

    @property
    def share(self) -> float:
        """The share that learns, between 0 and 1."""
        return self.n_trainable / self.n_parameters

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{'part':<18}{'parameters':>12}{'trainable':>12}"
        for row in (*self.rows, PartCount("all", self.n_parameters, self.n_trainable)):
            yield f"{row.part:<18}{row.n_parameters:>12,}{row.n_trainable:>12,}"
        yield f"{self.share:.2%} of the parameters learn"


def trainable_table(model: nn.Module) -> TrainableTable:
    """Count the parameters of each part and those that learn; a shared matrix counts once.

    Raises ValueError for a model without parameters.
    """
    counts: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        row = counts.setdefault(part_of(name), [0, 0])
        row[0] += parameter.numel()
        row[1] += parameter.numel() * parameter.requires_grad
    if not counts:
        raise ValueError(f"model must have parameters, {type(model).__name__} has none")
    top = max([0, *(height_of(part, 0) for part in counts if part.startswith("layer "))])
    ordered = sorted(counts, key=lambda part: (height_of(part, top), part == HEAD_NAME))
    return TrainableTable(tuple(PartCount(part, *counts[part]) for part in ordered))
