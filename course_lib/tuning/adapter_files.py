"""Adapters on disk in peft's format: what `peft.PeftModel.from_pretrained` reads, and what it writes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from course_lib.tuning.lora import LoRALinear, matching, require_linear, unwrapped

CONFIG, WEIGHTS, CARD = "adapter_config.json", "adapter_model.safetensors", "base.json"
PREFIX = "base_model.model."
# What peft can do and these layers cannot: each must be off in a file that is read here.
FOREIGN = (
    "use_dora", "use_qalora", "lora_bias", "fan_in_fan_out", "modules_to_save", "trainable_token_indices", "target_parameters",
    "layer_replication", "exclude_modules",
)  # fmt: skip


class AdapterError(ValueError):
    """Raised when a stored adapter is damaged or does not fit the model; neither file nor model is changed."""


@dataclass(frozen=True)
class StoredAdapter:
    """What a folder holds: peft's settings, path -> (A, B) in float32, and the card, {} where peft wrote the folder."""

    folder: Path
    config: dict[str, Any]
    matrices: dict[str, tuple[torch.Tensor, torch.Tensor]]
    card: dict[str, Any]


def base_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return a short name for frozen weights, path -> (d_out, d_in): the same for a model in float32 and in bfloat16."""
    digest = hashlib.sha256()
    for path, weight in sorted(weights.items()):
        digest.update(f"{path} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().to(torch.bfloat16).contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def write_adapter(
    model: nn.Module,
    layers: Mapping[str, LoRALinear],
    folder: Path | str,
    *,
    note: str = "",
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write layers, which belong to model, into folder and return it; a former adapter there is replaced once all is written.

    Beside peft's two files stands a card that names the base by its weights, so that another base is noticed. dtype: of
    the stored matrices; bfloat16 halves the file and rounds them. Raises ValueError without layers, FileExistsError if
    folder holds anything but an adapter.
    """
    folder = Path(folder)
    if not layers:
        raise ValueError(f"model must have LoRA layers to be saved, this {type(model).__name__} has none")
    if folder.exists() and not (folder / CONFIG).is_file() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} holds something that is no adapter: name a new or empty folder")
    tensors = {}
    for path, layer in layers.items():
        tensors[f"{PREFIX}{path}.lora_A.weight"] = layer.A.detach().cpu().to(dtype).contiguous()
        tensors[f"{PREFIX}{path}.lora_B.weight"] = layer.B.detach().cpu().to(dtype).contiguous()
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        save_file(tensors, aside / WEIGHTS, {"format": "pt"})
        _write_json(aside / CONFIG, _config(model, layers))
        weights = {path: layer.base.weight if layer.kept is None else layer.kept for path, layer in layers.items()}
        card = {
            "format": 1,
            "note": note,
            "base": _name_of(model),
            "class": type(model).__name__,
            "digest": base_digest(weights),
            "sha256": {name: _sha256(aside / name) for name in (CONFIG, WEIGHTS)},
        }
        _write_json(aside / CARD, card)
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _config(model: nn.Module, layers: Mapping[str, LoRALinear]) -> dict[str, Any]:
    first = next(iter(layers.values()))
    if len({layer.rslora for layer in layers.values()}) > 1:
        raise ValueError("layers must all be scaled with rslora or none: peft has one setting for an adapter")
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if type(model).__name__.endswith("ForCausalLM") else None,
        "base_model_name_or_path": _name_of(model) or None,
        "r": first.rank,
        "lora_alpha": first.alpha,
        "lora_dropout": first.dropout.p,
        "use_rslora": first.rslora,
        "target_modules": list(layers),
        "rank_pattern": {path: layer.rank for path, layer in layers.items() if layer.rank != first.rank},
        "alpha_pattern": {path: layer.alpha for path, layer in layers.items() if layer.alpha != first.alpha},
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def read_adapter(folder: Path | str) -> StoredAdapter:
    """Read what `write_adapter` or peft wrote into folder.

    Raises FileNotFoundError if a file is missing, AdapterError if one is cut short, damaged or was changed, or if it is no
    LoRA that plain layers can hold (DoRA, biases, whole modules beside it).
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no whole adapter: {name} is missing; save_adapter writes one")
    config, card = _read_json(folder / CONFIG), _read_json(folder / CARD) if (folder / CARD).is_file() else {}
    for name, sha256 in card.get("sha256", {}).items():
        if _sha256(folder / name) != sha256:
            raise AdapterError(f"{folder / name} is cut short, damaged or was changed: save or copy the adapter again")
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, ValueError, OSError) as error:
        raise AdapterError(f"{folder / WEIGHTS} is cut short or damaged ({error}): save or copy it again") from error
    if config.get("peft_type") != "LORA":
        raise AdapterError(f"{folder} must hold a LoRA adapter, it says peft_type={config.get('peft_type')!r}")
    on = [name for name in FOREIGN if config.get(name)]
    if on or config.get("bias", "none") != "none":
        what = on[0] if on else "bias"
        raise AdapterError(f"{folder} uses {what}={config[what]!r}, which LoRALinear does not have: load it with peft")
    return StoredAdapter(folder, config, _pairs(folder, tensors), card)


def _pairs(folder: Path, tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Path -> (A, B). Raises AdapterError for a matrix without its partner, or anything that is neither A nor B."""
    pairs = {}
    for name in tensors:
        path, found, _ = name.removeprefix(PREFIX).rpartition(".lora_A.weight")
        partner = name.removesuffix("lora_A.weight") + "lora_B.weight"
        if found and partner in tensors:
            pairs[path] = (tensors[name].float(), tensors[partner].float())
    if not pairs or 2 * len(pairs) != len(tensors):
        whole = {f"{PREFIX}{path}.lora_{side}.weight" for path in pairs for side in "AB"}
        odd = sorted(set(tensors) - whole)
        raise AdapterError(f"{folder / WEIGHTS} must hold pairs of A and B, and has {odd[0] if odd else 'none'}")
    return pairs


def fitting_layers(model: nn.Module, stored: StoredAdapter, *, trainable: bool = False) -> dict[str, LoRALinear]:
    """Return path -> new layers for model with the stored matrices; model is not changed.

    Raises AdapterError if the adapter was made for another base: a path that model lacks or that has other sizes, a target
    of model without matrices, or, where the folder has a card, other weights.
    """
    bases, config, name = unwrapped(model), stored.config, type(model).__name__
    weights: dict[str, torch.Tensor] = {}
    for path, (a, b) in stored.matrices.items():
        if not isinstance(bases.get(path), nn.Linear):
            raise _other(stored, f"it has matrices for {path}, where this {name} has no linear layer")
        base = require_linear(bases[path], path)
        if (a.shape[1], b.shape[0]) != (base.in_features, base.out_features) or a.shape[0] != b.shape[1]:
            raise _other(
                stored,
                f"its {path} goes from {a.shape[1]} to {b.shape[0]} numbers, this model's from {base.in_features} to "
                f"{base.out_features}",
            )
        if (rank := _at(path, config, "rank_pattern", "r")) != a.shape[0]:
            raise AdapterError(f"{stored.folder / CONFIG} says rank {rank} for {path}, the matrix has {a.shape[0]}")
        weights[path] = base.weight
    targets = config.get("target_modules")
    if targets and config.get("layers_to_transform") is None:
        lacking = [path for path in _reached(model, targets) if path not in stored.matrices]
        if lacking:
            raise _other(stored, f"it has no matrices for {lacking[0]} of this model")
    if stored.card.get("digest", base_digest(own := _unmerged(model, weights))) != base_digest(own):
        raise _other(stored, "the frozen weights of this model differ from those it was trained on")
    layers = {}
    for path, (a, b) in stored.matrices.items():
        alpha, drop = _at(path, config, "alpha_pattern", "lora_alpha"), config["lora_dropout"]
        base = require_linear(bases[path], path)
        layer = LoRALinear(base, a.shape[0], alpha, dropout=drop, rslora=config.get("use_rslora", False))
        with torch.no_grad():
            layer.A.copy_(a)
            layer.B.copy_(b)
        layer.A.requires_grad_(trainable)
        layer.B.requires_grad_(trainable)
        layers[path] = layer.train(model.training)
    return layers


def _unmerged(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights with a merged layer's own in place of what stands there now."""
    kept = {
        path: module.kept
        for path, module in model.named_modules()
        if isinstance(module, LoRALinear) and module.kept is not None
    }
    return {path: kept.get(path, weight) for path, weight in weights.items()}


def _reached(model: nn.Module, targets: str | Iterable[str]) -> list[str]:
    """The linear layers that peft's target_modules reach in model; names that reach nothing are passed over, as in peft."""
    try:
        return matching(model, targets if isinstance(targets, str) else list(targets))
    except (ValueError, TypeError):
        return []


def _at(path: str, config: Mapping[str, Any], pattern: str, default: str) -> Any:
    """The setting of one layer: of the first pattern that its path ends with, as in peft, else the default."""
    found = (value for key, value in (config.get(pattern) or {}).items() if re.fullmatch(rf"(.*\.)?({key})", path))
    return next(found, config[default])


def _other(stored: StoredAdapter, why: str) -> AdapterError:
    base = stored.card.get("base") or stored.config.get("base_model_name_or_path") or "a model without a name"
    return AdapterError(f"the adapter in {stored.folder} belongs to another base ({base}): {why}. Nothing was changed")


def _name_of(model: nn.Module) -> str:
    """The base's name, without the folder that it was loaded from."""
    return str(getattr(getattr(model, "config", None), "_name_or_path", "") or "").rstrip("/").rpartition("/")[2]


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise AdapterError(f"{path} is cut short or damaged ({error}): save or copy the adapter again") from error
    if not isinstance(value, dict):
        raise AdapterError(f"{path} must hold settings by name, got {type(value).__name__}: save the adapter again")
    return value


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
