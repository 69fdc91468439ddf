"""The state of a training run on disk: written whole or not at all, and refused if it belongs to another run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_lib.tuning.settings import CheckpointError

FILE = "training-state.pt"
FORMAT = 1
State = dict[str, Any]


def digest_of(examples: Sequence[Any]) -> str:
    """Return a short name for the examples: the same examples in the same order have the same."""
    parts = [list(map(str, each)) if isinstance(each, (tuple, list)) else [repr(each)] for each in examples]
    text = json.dumps(parts, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def digest_of_weights(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return a short name for weights: the same for the same names and the same bits."""
    digest = hashlib.sha256()
    for name, value in tensors.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def write_state(folder: Path, state: State) -> None:
    """Replace the checkpoint in folder by state; if this fails half-way, the former one stands."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / (FILE + ".part")
    try:
        torch.save({"format": FORMAT, **state}, aside)
        aside.replace(folder / FILE)
    finally:
        aside.unlink(missing_ok=True)


def read_state(folder: Path, run: Mapping[str, Any]) -> State | None:
    """Return the state in folder, None if there is none.

    run: what the state must belong to (settings, data, model, processes), as plain data under the state's "run". Raises
    CheckpointError if the file is cut short or belongs to another run; the file stays as it is.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        state: State = torch.load(path, weights_only=True, map_location="cpu")
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise ValueError("it is no training state of this version")
    except Exception as error:  # torch raises whatever its reader meets in half a file
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise CheckpointError(
            f"the checkpoint {path} is cut short or damaged ({reason}). It is left as it is: train into another folder, "
            "or move the file away to begin anew"
        ) from error
    differences = _differences(json.loads(state["run"]), dict(run))
    if differences:
        raise CheckpointError(
            f"the checkpoint {path} belongs to another run: {'; '.join(differences)}. It is left as it is: train into "
            "another folder, or go back to those settings to resume"
        )
    return state


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    return [
        f"{name} is {there.get(name)!r} there, {here.get(name)!r} here"
        for name in sorted(set(there) | set(here))
        if there.get(name) != here.get(name)
    ]


def copy_of(parameters: Mapping[str, nn.Parameter]) -> dict[str, torch.Tensor]:
    """Return the values of parameters as they are now, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in parameters.items()}


def put_back(parameters: Mapping[str, nn.Parameter], values: Mapping[str, torch.Tensor]) -> None:
    """Write the values into the parameters of the same names. Raises CheckpointError if names differ."""
    if set(parameters) != set(values):
        missing = sorted(set(parameters) ^ set(values))
        raise CheckpointError(f"the weights of the checkpoint are of another model: {', '.join(missing[:3])} ...")
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)
