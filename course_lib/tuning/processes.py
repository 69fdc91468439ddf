"""The processes that train one model together: one, unless `accelerate launch` or torchrun started several."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """How many processes train together, and which this one is.

    Each reads its share of a batch; the gradients are summed over all, so every process makes the same update and no
    model has to be sent around. device: where the model has to be, None for wherever it is.
    """

    n: int = 1
    rank: int = 0
    device: torch.device | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def share(self, rows: Sequence[T]) -> list[T]:
        """Return this process's rows: every n-th, from its own number on; none is read twice or left out."""
        return list(rows[self.rank :: self.n])

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Add the gradients of all processes up, in each of them; one that had no row adds zeros."""
        if self.n == 1:
            return
        learning = [value for value in parameters if value.requires_grad]
        for value in learning:
            if value.grad is None:
                value.grad = torch.zeros_like(value)
        flat = torch.cat([value.grad.flatten() for value in learning if value.grad is not None])
        torch.distributed.all_reduce(flat)
        start = 0
        for value in learning:
            value.grad = flat[start : start + value.numel()].view_as(value)
            start += value.numel()

    def total(self, value: float) -> float:
        """Return the sum of value over all processes."""
        if self.n == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor)
        return float(tensor)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.n > 1:
            torch.distributed.barrier()

    def broadcast(self, values: Sequence[torch.Tensor]) -> None:
        """Give every process the values of the first, in place: a head drawn with another seed would differ."""
        if self.n > 1:
            for value in values:
                torch.distributed.broadcast(value, src=0)


def processes() -> Processes:
    """Return the processes that were launched; the environment says how many (WORLD_SIZE)."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Processes()
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return Processes(int(state.num_processes), int(state.process_index), state.device)
