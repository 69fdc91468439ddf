"""Runs as they are kept for comparison: settings, losses and evaluations, found again by learning rate, batch size and epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from course_lib.tuning.settings import Evaluation, TrainingResult, TrainingSettings


@dataclass(frozen=True)
class StoredRun:
    """What is kept of a run: three settings, the seed, a loss an update, and what validation said after some of them."""

    learning_rate: float
    batch_size: int
    epochs: int
    seed: int
    losses: tuple[float, ...]
    validation: tuple[Evaluation, ...] = ()
    n_steps: int = 0

    def __post_init__(self) -> None:
        if not self.losses:
            raise ValueError("losses must hold one number an update, got none: the run has not begun")

    @property
    def setting(self) -> tuple[float, int, int]:
        """What it shares with the runs of other seeds: learning rate, batch size, epochs."""
        return self.learning_rate, self.batch_size, self.epochs

    @property
    def best(self) -> Evaluation | None:
        """The evaluation with the lowest loss, the first of equals; None without validation."""
        return min(self.validation, key=lambda each: each.loss, default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for a file; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> StoredRun:
        """Return what `as_dict` wrote."""
        validation = tuple(Evaluation(**each) for each in entry["validation"])
        return cls(**{**entry, "losses": tuple(entry["losses"]), "validation": validation})


def stored_run(settings: TrainingSettings, result: TrainingResult) -> StoredRun:
    """Return what the curves need of a run that has ended."""
    return StoredRun(
        settings.learning_rate, settings.batch_size, settings.epochs, settings.seed, tuple(result.losses),
        tuple(result.validation), result.n_steps,
    )  # fmt: skip


def smoothed(losses: Sequence[float], window: int) -> list[float]:
    """Return for each update the mean loss of the last `window`, fewer at the start. Raises ValueError below 1."""
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}; 1 smooths nothing")
    return [float(np.mean(losses[max(0, i + 1 - window) : i + 1])) for i in range(len(losses))]


def runs_of(runs: Sequence[StoredRun], learning_rate: float, batch_size: int, epochs: int) -> list[StoredRun]:
    """Return the runs with this setting, by seed. Raises ValueError, naming the settings nearest to it, if there is none."""
    found = sorted(
        (run for run in runs if run.setting == (learning_rate, batch_size, epochs)), key=lambda run: run.seed
    )
    if not found:
        wanted = (learning_rate, batch_size, epochs)
        shared = {run.setting: sum(a == b for a, b in zip(run.setting, wanted, strict=True)) for run in runs}
        near = sorted(setting for setting, n in shared.items() if n == max(shared.values()))
        words = "; ".join(f"rate {rate:g}, batch {batch}, {n} epochs" for rate, batch, n in near)
        raise ValueError(
            f"no run with learning rate {learning_rate:g}, batches of {batch_size} and {epochs} epochs is stored; there "
            f"is: {words or 'none'}"
        )
    return found
