"""What a LoRA of some rank, placement and alpha costs and keeps: the numbers behind the LoRA explorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BARS = 64  # singular values that are drawn
Shape = tuple[int, int]
Shapes = Mapping[str, Shape]
Measured = tuple[str, int, Mapping[str, float]]


@dataclass(frozen=True)
class Budget:
    """What one setting costs and keeps. largest: the shape (d_out, d_in) of the largest matrix that is changed.

    values: singular values of an update, the largest first, with squares that sum to 1. accuracy: what was measured of
    this rank and placement ("mean", "low", "high", "n"), None where nothing was.
    """

    placement: str
    rank: int
    alpha: float
    n_layers: int
    n_wrapped: int
    n_learning: int
    n_base: int
    largest: Shape
    values: tuple[float, ...]
    accuracy: Mapping[str, float] | None = None

    @property
    def scaling(self) -> float:
        """What the product B A is multiplied by."""
        return self.alpha / self.rank

    @property
    def kept(self) -> float:
        """The share of the squared update that the rank can hold, 0 to 1."""
        return float(sum(value**2 for value in self.values[: self.rank]))

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return what there is to say, as pairs of a name and a value."""
        d_out, d_in = self.largest
        accuracy = self.accuracy
        words = "not measured at this rank and placement"
        if accuracy is not None:
            words = f"{accuracy['mean']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}] n={accuracy['n']:.0f}"
        return (
            ("matrices changed", f"{self.n_layers}, the largest {d_out} x {d_in}"),
            (
                "learn in A and B",
                f"{self.n_learning:,}, {self.n_learning / self.n_base:.2%} of the model's {self.n_base:,}",
            ),
            ("of the changed matrices", f"{self.n_learning / self.n_wrapped:.1%} of their {self.n_wrapped:,} numbers"),
            ("scaling", f"alpha / rank = {self.alpha:g} / {self.rank} = {self.scaling:.3g}"),
            ("best share kept", f"{self.kept:.0%} of the squared change of the example matrix"),
            ("accuracy", words),
        )

    def alt(self) -> str:
        """Return in words what the picture shows."""
        (d_out, d_in), drawn = self.largest, min(BARS, len(self.values))
        said = "; ".join(f"{name}: {value}" for name, value in self.facts())
        return (
            f"Rank {self.rank} on {self.placement}. A matrix of {d_out} x {d_in} beside B, {d_out} x {self.rank}, and A, "
            f"{self.rank} x {d_in}, to scale. Below, {drawn} of {len(self.values)} singular "
            f"values, the first {min(self.rank, drawn)} of them kept. {said}."
        )


def explore(
    shapes: Shapes,
    placements: Mapping[str, Sequence[str]],
    *,
    placement: str,
    rank: int,
    alpha: float,
    n_base: int,
    singular_values: npt.ArrayLike,
    measured: Sequence[Measured] = (),
) -> Budget:
    """Count what a LoRA of this rank on this placement learns, by rank * (d_in + d_out) a matrix.

    shapes: path -> (d_out, d_in) of the model's linear layers; placements: name -> what their paths end with. measured:
    (placement, rank, accuracy). Raises ValueError for an unknown placement, one that fits no path, a rank beyond the shorter side
    of a matrix, an alpha of 0 or less, or singular values that are no falling list.
    """
    if placement not in placements:
        raise ValueError(f"placement must be one of {', '.join(placements)}, got {placement!r}")
    if not alpha > 0:
        raise ValueError(f"alpha must be above 0, got {alpha}; twice the rank is usual")
    ends = tuple(f".{name}" for name in placements[placement])
    changed = [shape for path, shape in shapes.items() if f".{path}".endswith(ends)]
    if not changed:
        raise ValueError(f"placement {placement!r} must fit a layer, but no path ends with {', '.join(ends)}")
    most = min(min(shape) for shape in changed)
    if not 1 <= rank <= most:
        raise ValueError(f"rank must be between 1 and {most}, the shorter side of a matrix, got {rank}")
    found = [row for where, at, row in measured if (where, at) == (placement, rank)]
    return Budget(
        placement,
        rank,
        alpha,
        n_layers=len(changed),
        n_wrapped=sum(d_out * d_in for d_out, d_in in changed),
        n_learning=sum(rank * (d_out + d_in) for d_out, d_in in changed),
        n_base=n_base,
        largest=max(changed, key=lambda shape: (shape[0] * shape[1], shape)),
        values=_normed(singular_values),
        accuracy=found[0] if found else None,
    )


def _normed(values: npt.ArrayLike) -> tuple[float, ...]:
    array = np.asarray(values, dtype=np.float64)
    falling = array.ndim == 1 and len(array) > 0 and np.isfinite(array).all() and (np.diff(array) <= 0).all()
    if not falling or array[-1] < 0 or array[0] <= 0:
        raise ValueError("singular_values must be a falling list of numbers of at least 0, the first above 0")
    return tuple(float(value) for value in array / np.linalg.norm(array))
