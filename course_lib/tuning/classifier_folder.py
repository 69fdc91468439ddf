"""A trained classifier on disk: encoder, tokenizer, head, labels, and a card that says what it is."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_lib.tuning.heads import TextClassifier

RECORD = "classifier.json"
HEAD = "head.safetensors"
CARD = "README.md"
FORMAT = 1


def save_classifier(model: TextClassifier, folder: Path, *, note: str = "") -> Path:
    """Write model into folder and return it; a former classifier there is replaced once the new one is whole.

    note: a sentence for the card: on what it was trained, how well it does. Raises FileExistsError if folder holds
    anything else, ValueError if the encoder has layers that its class lacks, as an adapter that was not merged.
    """
    from safetensors.torch import save_file

    if folder.exists() and not (folder / RECORD).is_file() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} holds something that is no classifier: name a new or empty folder")
    _require_plain(model.encoder)
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        model.encoder.save_pretrained(aside)
        model.tokenizer.save_pretrained(aside)
        head = {"weight": model.head.weight.detach().cpu(), "bias": model.head.bias.detach().cpu()}
        save_file({name: value.contiguous() for name, value in head.items()}, aside / HEAD)
        (aside / CARD).write_text(_card(model, note), encoding="utf-8")
        record = {
            "format": FORMAT,
            "labels": list(model.labels),
            "max_tokens": model.max_tokens,
            "pooling": model.pooling,
            "files": {path.name: _sha256(path) for path in sorted(aside.iterdir()) if path.name != CARD},
        }
        (aside / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def load_classifier(folder: Path) -> TextClassifier:
    """Read what `save_classifier` wrote, in evaluation mode.

    Raises FileNotFoundError if folder holds no classifier or lacks a file, ValueError if a file is damaged.
    """
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    from course_lib.assets.models import quiet

    path = folder / RECORD
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no classifier ({RECORD} is missing); model.save(folder) makes one")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: save the classifier again") from error
    for name, sha256 in record["files"].items():
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing: save the classifier again")
        if _sha256(folder / name) != sha256:
            raise ValueError(f"{folder / name} is damaged or was changed: save the classifier again")
    quiet()
    encoder = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    values = load_file(folder / HEAD)
    head = nn.Linear(values["weight"].shape[1], values["weight"].shape[0])
    head.load_state_dict(values)
    model = TextClassifier(tokenizer, encoder, head, record["labels"], record["max_tokens"], record["pooling"])
    return model.eval()


def _require_plain(encoder: Any) -> None:
    """Raise ValueError unless the encoder has the weights that its class reads back."""
    with torch.device("meta"):
        plain = set(type(encoder)(encoder.config).state_dict())
    odd = sorted(set(encoder.state_dict()) - plain)
    if odd:
        raise ValueError(
            f"the encoder has weights that {type(encoder).__name__} lacks ({odd[0]}, ...): merge the adapter first, or save "
            "the adapter by itself"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _card(model: TextClassifier, note: str) -> str:
    n_parameters = sum(value.numel() for value in model.parameters())
    lines = [
        "# A text classifier, trained in the course",
        "",
        f"- encoder: {type(model.encoder).__name__}, {model.encoder.config.num_hidden_layers} layers, "
        f"{n_parameters:,} parameters with the head",
        f"- classes: {len(model.labels)}: {', '.join(model.labels)}",
        f"- input: text of up to {model.max_tokens} tokens; a longer one is cut there; {model.pooling} pooling",
        "- it always names one of its classes, also for a text that belongs to none",
    ]
    return "\n".join([*lines, *([f"- {note}"] if note else []), ""])
