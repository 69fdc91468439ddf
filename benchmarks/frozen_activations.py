"""Frozen layers read once, against read in every epoch: the same losses, and the time that it saves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_lib.assets.models import encoder_source, load_encoder, model_id
from course_lib.core.seeds import SEED, thread_count
from course_lib.corpus.load import COLLECTIONS
from course_lib.tuning.freezing import freeze, trainable_table
from course_lib.tuning.heads import new_classifier
from course_lib.tuning.training import TrainingResult, TrainingSettings, train
from course_lib.workshop.bench import remembered

MESSAGES = COLLECTIONS / "help_desk" / "messages.jsonl"
N_MESSAGES, EPOCHS, REPEATS, BATCH, MAX_TOKENS = 112, 5, 3, 16, 96
LOWEST = (2, 4, 5, 6)
Say = Callable[[str], None]


def messages(path: Path = MESSAGES) -> list[tuple[str, str]]:
    """Return the first training messages of the help desk, as many of each intent."""
    with path.open(encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    training = [(entry["text"], entry["intent"]) for entry in entries if entry["split"] == "train"]
    labels = sorted({label for _, label in training})
    each = N_MESSAGES // len(labels)
    return [pair for label in labels for pair in [pair for pair in training if pair[1] == label][:each]]


def one_run(lowest: int, *, cache: bool, epochs: int = EPOCHS) -> tuple[TrainingResult, int]:
    """Train the classifier above its `lowest` frozen layers; return the result and how many parameters learnt."""
    examples = messages()
    labels = sorted({label for _, label in examples})
    model = new_classifier(*load_encoder(), labels, max_tokens=MAX_TOKENS, seed=SEED)
    freeze(model, lowest)
    rate = 1e-2 if lowest == 6 else 2e-4
    settings = TrainingSettings(
        learning_rate=rate, head_learning_rate=1e-2, epochs=epochs, batch_size=BATCH, cache=cache
    )
    return train(model, examples, settings), trainable_table(model).n_trainable


def one_pair(lowest: int, repeat: int, say: Say) -> dict[str, Any]:
    """Train with and without the cache, one after the other, first the one and then the other, by turns."""
    say(f"lowest {lowest} layers frozen, repeat {repeat + 1} of {REPEATS}")
    one_run(lowest, cache=True, epochs=1)  # a first run pays for what is loaded and allocated
    order = (True, False) if repeat % 2 else (False, True)
    results = {cache: one_run(lowest, cache=cache) for cache in order}
    (kept, n_trainable), (read, _) = results[True], results[False]
    return {
        "trainable": n_trainable,
        "seconds": {"kept": kept.minutes * 60, "read": read.minutes * 60},
        "tokens_per_second": {"kept": kept.tokens_per_second, "read": read.tokens_per_second},
        "gap": float(np.abs(np.subtract(kept.losses, read.losses)).max()),
    }


def summary(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of the repeats, and the ratio of each pair."""
    ratios = [pair["seconds"]["read"] / pair["seconds"]["kept"] for pair in pairs]
    return {
        "trainable": pairs[0]["trainable"],
        **{
            f"tokens_per_second_{way}": round(float(np.median([pair["tokens_per_second"][way] for pair in pairs])))
            for way in ("kept", "read")
        },
        "seconds": [{way: round(value, 2) for way, value in pair["seconds"].items()} for pair in pairs],
        "times_as_fast": {"median": round(float(np.median(ratios)), 2), "all": [round(ratio, 2) for ratio in ratios]},
        "largest_loss_difference": max(pair["gap"] for pair in pairs),
    }


def run(say: Say) -> dict[str, Any]:
    """Measure each depth of freezing; a pair of runs that was measured before is remembered."""
    pairs: dict[int, list[dict[str, Any]]] = {lowest: [] for lowest in LOWEST}
    for repeat in range(REPEATS):  # all depths in turn, so that a busy moment meets each of them
        for lowest in LOWEST:
            depends = {
                "model": model_id(encoder_source()),
                "setting": [N_MESSAGES, EPOCHS, BATCH, MAX_TOKENS, lowest, repeat, SEED],
                "torch": torch.__version__,
                "threads": thread_count(),
            }
            compute = lambda lowest=lowest, repeat=repeat: one_pair(lowest, repeat, say)  # noqa: E731
            pairs[lowest].append(remembered("frozen-activations", depends, compute))
    rows = {str(lowest): summary(each) for lowest, each in pairs.items()}
    return {"n_messages": len(messages()), "epochs": EPOCHS, "batch": BATCH, "repeats": REPEATS, "rows": rows}


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    lines = [
        "# Frozen layers, read once",
        "",
        "What lies below the lowest trainable layer makes the same of a text in every epoch. The course's training loop "
        f"therefore reads it once and keeps the activations. {figures['n_messages']} help-desk messages, "
        f"{figures['epochs']} epochs, batches of {figures['batch']}, float32; runs with and without the kept activations "
        f"in turn, {figures['repeats']} of each; the first reading is counted. Speed is in tokens of the texts a second, "
        "each text counted in every epoch.",
        "",
        "| frozen layers of 6 | trainable parameters | tokens/s, read every time | tokens/s, kept | times as fast: median (all) | largest difference of a loss |",
        "|---|---|---|---|---|---|",
    ]
    for lowest, row in figures["rows"].items():
        speed = row["times_as_fast"]
        lines.append(
            f"| {lowest} | {row['trainable']:,} | {row['tokens_per_second_read']:,} | {row['tokens_per_second_kept']:,} | "
            f"{speed['median']:.2f} ({', '.join(f'{value:.2f}' for value in speed['all'])}) | "
            f"{row['largest_loss_difference']:.0e} |"
        )
    lines += [
        "",
        f"The saving grows with the epochs, because the first reading is paid once: these are figures for {figures['epochs']}. "
        "With the head alone to train, one pooled vector a text is kept, else one vector a token.",
    ]
    return "\n".join(lines)
