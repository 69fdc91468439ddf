"""What a training run is told, what it reports while it runs, and what it gives at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from course_lib.core.seeds import SEED


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained. A checkpoint remembers these, and is refused by a run with others.

    learning_rate: of the body; head_learning_rate: of the head, the same if None; layer_decay: the factor from one layer
    to the one below. batch_size: examples an update and process, read in accumulation parts, each of at most part_tokens
    tokens (None: no limit). warmup: the share of the steps over which the rate rises. clip: the largest gradient norm.
    patience: evaluations without a lower validation loss before the run stops and the best weights come back; None never
    stops and keeps the last. evaluate_every, save_every: steps, None for once an epoch. unfreeze: layers set free an
    epoch. cache: activations of frozen lower layers are kept (not with dropout or unfreeze). min_per_class: fewer examples
    of a class are refused. precision: bfloat16 computes in it and keeps the weights in float32. Raises ValueError.
    """

    learning_rate: float = 2e-4
    head_learning_rate: float | None = None
    layer_decay: float = 1.0
    epochs: int = 3
    batch_size: int = 16
    accumulation: int = 1
    part_tokens: int | None = None
    warmup: float = 0.1
    clip: float = 1.0
    weight_decay: float = 0.01
    patience: int | None = None
    evaluate_every: int | None = None
    save_every: int | None = None
    unfreeze: int = 0
    dropout: bool = False
    cache: bool = True
    min_per_class: int = 2
    precision: str = "float32"
    seed: int = SEED

    def __post_init__(self) -> None:
        for name in ("learning_rate", "head_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not 0 < rate <= 1:
                raise ValueError(
                    f"{name} must be above 0 and at most 1, got {rate}; 2e-5 to 1e-3 suit an encoder, 1e-2 a head alone"
                )
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay must be above 0 and at most 1, got {self.layer_decay}; 1 decays nothing")
        for name in ("epochs", "batch_size", "accumulation"):
            _whole(name, getattr(self, name), 1)
        for name in ("part_tokens", "patience", "evaluate_every", "save_every"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), 1)
        for name in ("unfreeze", "min_per_class", "seed"):
            _whole(name, getattr(self, name), 0)
        if self.accumulation > self.batch_size:
            raise ValueError(
                f"accumulation must be at most batch_size {self.batch_size}, got {self.accumulation}: "
                "a part holds at least one example"
            )
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be at least 0 and below 1, got {self.warmup}; 0.1 is a tenth of the steps")
        if not self.clip > 0:
            raise ValueError(f"clip must be above 0, got {self.clip}; 1.0 is usual, float('inf') clips nothing")
        if not 0 <= self.weight_decay < 1:
            raise ValueError(f"weight_decay must be at least 0 and below 1, got {self.weight_decay}; 0.01 is usual")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision must be 'float32' or 'bfloat16', got {self.precision!r}")


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {value!r} ({type(value).__name__})")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


@dataclass(frozen=True)
class Evaluation:
    """What the validation examples said after a number of steps: mean cross-entropy in nats, and the share got right."""

    step: int
    epoch: float
    loss: float
    accuracy: float


@dataclass(frozen=True)
class StepReport:
    """What `on_step` is told after every update; step counts from 1.

    learning_rate: the largest of the groups at this step. gradient_norm: before clipping. seconds_left: None in the first
    steps, until their speed is known. evaluation: None unless this step ended with one.
    """

    step: int
    n_steps: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    seconds_left: float | None
    evaluation: Evaluation | None


@dataclass
class TrainingResult:
    """What a run gave. The trained weights are in the model that was passed to `train`.

    losses: the mean loss of each update, before it. best_step: the update with the lowest validation loss, None without
    validation. minutes: of all parts of a resumed run. tokens_per_second: of the texts, padding not counted, each text
    counted in every epoch. truncated: training texts cut at the model's limit. cached_layers: frozen layers whose
    activations were computed once.
    """

    losses: list[float]
    validation: list[Evaluation]
    best_step: int | None
    minutes: float
    tokens_per_second: float
    stopped_because: str
    n_steps: int
    truncated: int = 0
    cached_layers: int = 0
    learning_rates: list[float] = field(default_factory=list)


class TrainingDiverged(ValueError):
    """Raised when a loss or a gradient is no longer a number; the last checkpoint is kept."""


class CheckpointError(ValueError):
    """Raised when a checkpoint cannot be resumed from; it is left where it is."""
