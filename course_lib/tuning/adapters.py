"""Adapters: one to a file and back, or several on one base, switched without loading anything again."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from course_lib.core.seeds import SEED
from course_lib.tuning.adapter_files import AdapterError, fitting_layers, read_adapter, write_adapter
from course_lib.tuning.lora import LoRALinear, Targets, lora_layers, new_layers, put, trainable_parameters

__all__ = ["AdapterError", "Adapters", "load_adapter", "save_adapter"]


def save_adapter(model: nn.Module, folder: Path | str, *, note: str = "") -> Path:
    """Write the LoRA layers in model, and nothing of the base, into folder in peft's format; return folder.

    Raises as `write_adapter` does: ValueError without LoRA layers, FileExistsError for a folder of something else.
    """
    return write_adapter(model, lora_layers(model), folder, note=note)


def load_adapter(model: nn.Module, folder: Path | str, *, trainable: bool = False) -> nn.Module:
    """Freeze model, wrap its layers with the adapter in folder, saved here or by peft, and return model.

    trainable: A and B go on learning. Raises FileNotFoundError or AdapterError as `read_adapter` and `fitting_layers` do,
    ValueError if model has LoRA layers already; model is then as it was.
    """
    _require_plain(model)
    layers = fitting_layers(model, read_adapter(folder), trainable=trainable)
    model.requires_grad_(False)
    put(model, layers)
    return model


class Adapters:
    """Several adapters on one base, by name; at most one is in use, and the base's weights exist once.

    `use(name)` puts that adapter's layers in place, `off()` the plain ones: nothing is copied, so the base computes
    exactly what it did. An adapter that is not in use stays out of model.parameters(): train the one in use. Raises
    ValueError if model has LoRA layers already.
    """

    def __init__(self, model: nn.Module) -> None:
        _require_plain(model)
        self.model = model.requires_grad_(False)
        self._layers: dict[str, dict[str, LoRALinear]] = {}
        self.active: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters there are, in the order they came."""
        return tuple(self._layers)

    def add(
        self,
        name: str,
        rank: int,
        alpha: float,
        *,
        targets: Targets,
        dropout: float = 0.0,
        rslora: bool = False,
        seed: int = SEED,
    ) -> None:
        """Make a new adapter that changes nothing yet; `use(name)` to train it. Raises as `add_lora` does."""
        self._require_new(name)
        self._layers[name] = new_layers(
            self.model, rank, alpha, targets=targets, dropout=dropout, rslora=rslora, seed=seed
        )

    def load(self, name: str, folder: Path | str, *, trainable: bool = False) -> None:
        """Read an adapter from folder under a name; which one is in use stays. Raises as `load_adapter` does."""
        self._require_new(name)
        self._layers[name] = fitting_layers(self.model, read_adapter(folder), trainable=trainable)

    def save(self, name: str, folder: Path | str, *, note: str = "") -> Path:
        """Write one adapter into folder in peft's format, in use or not; raises as `save_adapter` does."""
        return write_adapter(self.model, self.layers(name), folder, note=note)

    def layers(self, name: str) -> dict[str, LoRALinear]:
        """Return path -> layer of one adapter. Raises KeyError for a name that there is not."""
        if name not in self._layers:
            raise KeyError(f"adapter must be one of {', '.join(self._layers) or '(none yet)'}, got {name!r}")
        return self._layers[name]

    def parameters(self, name: str) -> list[nn.Parameter]:
        """Return the A and B of one adapter that learn; raises ValueError if none do."""
        return trainable_parameters(self.layers(name).values())

    def use(self, name: str) -> nn.Module:
        """Put one adapter to work in place of the former, and return model. Raises ValueError while one is merged."""
        layers = self.layers(name)
        self.off()
        for layer in layers.values():
            layer.to(layer.base.weight.device).train(self.model.training)
        put(self.model, layers)
        self.active = name
        return self.model

    def off(self) -> nn.Module:
        """Put the plain layers back, and return model. Raises ValueError while the adapter in use is merged."""
        if self.active is not None:
            layers = self._layers[self.active]
            if any(layer.merged for layer in layers.values()):
                raise ValueError(f"adapter {self.active!r} must not be merged to be switched: unmerge(model) first")
            put(self.model, {path: layer.base for path, layer in layers.items()})
            self.active = None
        return self.model

    def remove(self, name: str) -> None:
        """Forget one adapter; it is switched off if it is in use. Files stay."""
        self.layers(name)
        if self.active == name:
            self.off()
        del self._layers[name]

    def _require_new(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"name must be a word for the adapter, got {name!r}")
        if name in self._layers:
            raise ValueError(f"name must be new, but there is an adapter {name!r} already; remove({name!r}) first")


def _require_plain(model: nn.Module) -> None:
    if lora_layers(model):
        raise ValueError("model must not have LoRA layers yet; save_adapter(model, ...) and remove_lora(model) first")
