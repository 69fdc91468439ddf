"""LoRA by hand: the low-rank update of a frozen linear layer, and where in a model it goes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn
from torch.nn.functional import linear

from course_lib.core.seeds import SEED

Targets = str | Sequence[str]


class LoRALinear(nn.Module):
    """A frozen linear layer plus a trainable low-rank update (Hu et al., 2021): y = base(x) + (scaling * x A^T) B^T.

    A: (rank, d_in), drawn from rng as peft does; B: (d_out, rank), zero: until the first update, the layer computes what
    base did. scaling: alpha / rank, or alpha / sqrt(rank) with rslora (Kalajdzievski, 2023). Dropout zeroes inputs of the
    update alone. A and B are kept in float32, where small updates count, and used in the format of x. Raises TypeError
    unless base is an nn.Linear, ValueError for a rank, alpha or dropout that makes no sense.
    """

    def __init__(
        self,
        base: nn.Linear,
        rank: int,
        alpha: float,
        *,
        dropout: float = 0.0,
        rslora: bool = False,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        require_linear(base, "base")
        require_settings(rank, alpha, dropout)
        self.base = base.requires_grad_(False)
        self.rank, self.alpha, self.rslora = rank, alpha, rslora
        self.scaling = alpha / (math.sqrt(rank) if rslora else rank)
        device = base.weight.device
        rng = rng if rng is not None else torch.Generator().manual_seed(SEED)
        bound = 1 / math.sqrt(base.in_features)
        a = (torch.rand(rank, base.in_features, generator=rng) * 2 - 1) * bound
        self.A = nn.Parameter(a.to(device))  # (rank, d_in)
        self.B = nn.Parameter(torch.zeros(base.out_features, rank, device=device))  # (d_out, rank)
        self.dropout = nn.Dropout(dropout)
        self.kept: torch.Tensor | None = None  # base's own weights while the update is merged into them
        self.learned = (True, True)  # whether A and B learned before they were merged

    @property
    def merged(self) -> bool:
        """Whether the update stands in base's weights now (see `merging`)."""
        return self.kept is not None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (..., d_out) for x of shape (..., d_in)."""
        y: torch.Tensor = self.base(x)
        if self.merged:
            return y
        down = linear(self.dropout(x), self.A.to(x.dtype))  # (..., rank)
        return y + linear(down * self.scaling, self.B.to(x.dtype))

    def update(self) -> torch.Tensor:
        """Return what the layer adds to base's weights, scaling * B A, (d_out, d_in) in float32."""
        return self.scaling * (self.B.detach() @ self.A.detach())

    def extra_repr(self) -> str:
        """Return what print(model) shows of the layer's settings."""
        return f"rank={self.rank}, alpha={self.alpha:g}, scaling={self.scaling:g}"


def require_settings(rank: int, alpha: float, dropout: float) -> None:
    """Raise unless rank is a whole number of at least 1, alpha is above 0 and dropout lies in [0, 1)."""
    if isinstance(rank, bool) or not isinstance(rank, int):
        raise TypeError(f"rank must be a whole number, got {rank!r} ({type(rank).__name__}); 8 is usual")
    if rank < 1:
        raise ValueError(f"rank must be at least 1, got {rank}; 8 is usual")
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha must be above 0, got {alpha}; twice the rank is usual")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}; 0.05 is usual, 0 drops nothing")


def require_linear(module: object, name: str) -> nn.Linear:
    """Return module; raise TypeError unless it is an nn.Linear."""
    if not isinstance(module, nn.Linear):
        raise TypeError(f"{name} must be an nn.Linear, got {type(module).__name__}; name linear layers only")
    return module


def matching(model: nn.Module, targets: Targets) -> list[str]:
    """Return the paths of the linear layers that targets names, in the model's order, as peft reads it.

    targets: names (["query", "value"]: every path that is the name or ends with a dot and it), or one regular expression
    that the whole path must match (r"encoder\\.layer\\.[45]\\..*query"). A wrapped layer counts as the layer inside. Raises
    ValueError if the expression or one of the names matches nothing, TypeError if it matches what is not linear.
    """
    paths = {name: module for name, module in unwrapped(model).items() if name}
    if isinstance(targets, str):
        try:
            found = [name for name in paths if re.fullmatch(targets, name)]
        except re.error as error:
            raise ValueError(
                f"targets must be a regular expression or a list of names, got {targets!r}: {error}"
            ) from None
        wanting = [] if found else [targets]
    else:
        found = [name for name in paths if any(name == last or name.endswith("." + last) for last in targets)]
        wanting = [
            last for last in targets or [""] if not any(name == last or name.endswith("." + last) for name in found)
        ]
    if wanting:
        known = sorted({name.split(".")[-1] for name, module in paths.items() if isinstance(module, nn.Linear)})
        whole = " as a whole path (write it in a list to match the end of a path)" if isinstance(targets, str) else ""
        raise ValueError(
            f"targets must match at least one layer each, but {wanting[0]!r} matches nothing{whole}; the linear layers "
            f"of this {type(model).__name__} are named {', '.join(known)}"
        )
    for name in found:
        require_linear(paths[name], f"what targets matches ({name})")
    return found


def unwrapped(model: nn.Module) -> dict[str, nn.Module]:
    """Return path -> module as if the model had no LoRA: a wrapped layer's path leads to its base."""
    modules: dict[str, nn.Module] = {}
    inside: set[str] = set()
    for name, module in model.named_modules():
        if name.rpartition(".")[0] in inside:
            continue
        if isinstance(module, LoRALinear):
            inside.add(name)
            module = module.base
        modules[name] = module
    return modules


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """Return path -> layer for the wrapped layers of a model, in its order."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}


def new_layers(
    model: nn.Module,
    rank: int,
    alpha: float,
    *,
    targets: Targets,
    dropout: float = 0.0,
    rslora: bool = False,
    seed: int = SEED,
) -> dict[str, LoRALinear]:
    """Return path -> new LoRA layer for all that targets matches; the model is not changed yet. Raises as `matching`."""
    require_settings(rank, alpha, dropout)
    bases, rng = unwrapped(model), torch.Generator().manual_seed(seed)
    return {
        path: LoRALinear(require_linear(bases[path], path), rank, alpha, dropout=dropout, rslora=rslora, rng=rng)
        for path in matching(model, targets)
    }


def put(model: nn.Module, modules: Mapping[str, nn.Module]) -> None:
    """Put modules at their paths in model, in place of what is there."""
    for path, module in modules.items():
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, module)


def add_lora(
    model: nn.Module,
    rank: int,
    alpha: float,
    *,
    targets: Targets,
    dropout: float = 0.0,
    rslora: bool = False,
    seed: int = SEED,
) -> nn.Module:
    """Freeze model, wrap the layers that targets matches, and return model, changed in place.

    What lies outside model stays free: of a classifier, give the encoder, and the head goes on learning. Raises as
    `matching` and `LoRALinear` do, and ValueError if model has LoRA layers already; model is then as it was.
    """
    if lora_layers(model):
        raise ValueError(
            f"model must not have LoRA layers yet, this one has {len(lora_layers(model))}; take them out with "
            "remove_lora(model), or keep several adapters on one base with Adapters(model)"
        )
    layers = new_layers(model, rank, alpha, targets=targets, dropout=dropout, rslora=rslora, seed=seed)
    for layer in layers.values():
        layer.train(model.training)
    model.requires_grad_(False)
    put(model, layers)
    return model


def trainable_parameters(layers: nn.Module | Iterable[LoRALinear]) -> list[nn.Parameter]:
    """Return the A and B of a model's layers that learn, in its order. Raises ValueError if there are none."""
    each = lora_layers(layers).values() if isinstance(layers, nn.Module) else layers
    found = [value for layer in each for value in (layer.A, layer.B) if value.requires_grad]
    if not found:
        raise ValueError("model must have LoRA layers that learn, found none: add_lora first, or unmerge")
    return found


def lora_size(d_in: int, d_out: int, rank: int) -> int:
    """Return how many numbers the update of one layer holds: rank * (d_in + d_out), instead of d_in * d_out."""
    return rank * (d_in + d_out)
