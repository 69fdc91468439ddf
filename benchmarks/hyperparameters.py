"""A larger sweep than lesson 11 has time for: learning rate, batch size and depth, on the dev messages of the help desk."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from course_lib.assets.models import compute_dtype, encoder_source, load_encoder, model_id
from course_lib.core.seeds import SEED, thread_count
from course_lib.corpus.load import COLLECTIONS
from course_lib.corpus.messages import intents, load_messages
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.tuning.forgetting import matched, text_vectors
from course_lib.tuning.freezing import freeze
from course_lib.tuning.heads import TextClassifier, new_classifier
from course_lib.tuning.training import TrainingDiverged, TrainingSettings, train
from course_lib.workshop.bench import interval_words, remembered

RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
BATCHES = (8, 16, 64)
SEEDS = (SEED, SEED + 1, SEED + 2)
EPOCHS, MAX_TOKENS = 5, 64
STYLE = COLLECTIONS / "help_desk" / "style_pairs.jsonl"
# Depth -> how many of the six layers stay frozen, and the batch sizes that are tried there.
DEPTHS: dict[str, tuple[int, tuple[int, ...]]] = {"top 2 layers": (4, BATCHES), "all layers": (0, (16,))}
Say = Callable[[str], None]
Row = dict[str, Any]


def pairs(split: str) -> list[tuple[str, str]]:
    """Return the messages of a split with their intents. The test split is not read by this benchmark."""
    if split not in ("train", "dev"):
        raise ValueError(f"split must be 'train' or 'dev', for settings are chosen here, got {split!r}")
    return [(message.text, message.intent) for message in load_messages(split)]


def fresh(seed: int, lowest: int) -> TextClassifier:
    """Return a new classifier with its lowest layers frozen; 0 sets all free, the embeddings included."""
    model = new_classifier(*load_encoder(), sorted(intents()), max_tokens=MAX_TOKENS, seed=seed)
    freeze(model, lowest, embeddings=lowest > 0)
    return model


def held_task(model: TextClassifier) -> list[float]:
    """Return 1 for each question of the style pairs whose own passage is nearest, else 0: nobody tunes the encoder for it."""
    with STYLE.open(encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    questions, passages = ([entry[field] for entry in entries] for field in ("question", "passage"))
    return [float(value) for value in matched(text_vectors(model, questions), text_vectors(model, passages))]


def one_run(lowest: int, rate: float, batch: int, seed: int) -> Row:
    """Train once; return what dev says of each message, the held task, and the losses' ends."""
    model, dev = fresh(seed, lowest), pairs("dev")
    settings = TrainingSettings(
        learning_rate=rate, batch_size=batch, epochs=EPOCHS, seed=seed, part_tokens=1024,
        precision=str(compute_dtype()).removeprefix("torch."),
    )  # fmt: skip
    try:
        result = train(model, pairs("train"), settings, validation=dev)
    except TrainingDiverged as stop:
        return {"diverged": str(stop)}
    found = model.predict([text for text, _ in dev])
    return {
        "right": [float(one == label) for one, (_, label) in zip(found, dev, strict=True)],
        "held": held_task(model),
        "last_loss": round(float(np.mean(result.losses[-5:])), 4),
        "validation": [round(each.loss, 4) for each in result.validation],
        "best_epoch": min(result.validation, key=lambda each: each.loss).epoch,
    }


def summary(runs: list[Row], before: list[float]) -> Row:
    """Return the figures of one setting from its runs, one a seed."""
    ended = [run for run in runs if "diverged" not in run]
    if len(ended) < len(runs):
        return {"diverged": len(runs) - len(ended), "seeds": len(runs)}
    right = np.array([run["right"] for run in ended])  # (n_seeds, n_messages)
    held = np.mean([run["held"] for run in ended], axis=0)  # (n_questions,)
    return {
        "seeds": len(runs),
        "dev": bootstrap_interval(right.mean(axis=0)).as_dict(),
        "by_seed": [round(float(value), 4) for value in right.mean(axis=1)],
        "held_minus_before": paired_difference(held, before).as_dict(),
        "last_loss": round(float(np.mean([run["last_loss"] for run in ended])), 4),
        "validation": np.round(np.mean([run["validation"] for run in ended], axis=0), 4).tolist(),
        "best_epoch": [run["best_epoch"] for run in ended],
    }


def run(say: Say) -> Row:
    """Train every setting with every seed; a run that was made before is remembered."""
    depends = {
        "model": model_id(encoder_source()), "torch": torch.__version__, "threads": thread_count(),
        "fixed": [EPOCHS, MAX_TOKENS, str(compute_dtype())],
        "data": [pairs("train"), pairs("dev")],
    }  # fmt: skip
    before = remembered("hyperparameters", {**depends, "what": "held"}, lambda: held_task(fresh(SEED, 0)))
    rows = []
    for depth, (lowest, batches) in DEPTHS.items():
        for batch, rate in itertools.product(batches, RATES):
            runs = []
            for seed in SEEDS:
                say(f"{depth}, batch {batch}, rate {rate:g}, seed {seed}")
                setting = [lowest, rate, batch, seed]
                compute = lambda setting=setting: one_run(*setting)  # noqa: E731
                runs.append(remembered("hyperparameters", {**depends, "setting": setting}, compute))
            rows.append({"depth": depth, "batch": batch, "rate": rate, **summary(runs, before)})
    return {
        "n_train": len(pairs("train")), "n_dev": len(pairs("dev")), "n_held": len(before), "epochs": EPOCHS,
        "held_before": bootstrap_interval(before).as_dict(), "rows": rows,
    }  # fmt: skip


def page(result: Row) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    lines = [
        "# Learning rate, batch size and depth",
        "",
        f"{figures['n_train']} training messages of the help desk, 14 intents, {figures['epochs']} epochs; measured on the "
        f"{figures['n_dev']} dev messages, for these are choices, and the test is not touched. Accuracy is averaged message by "
        f"message over {figures['rows'][0]['seeds']} seeds; brackets: 95 % bootstrap interval over the messages. The best of many "
        f"rows is flattered: read the shape, not the winner. Held task: for {figures['n_held']} questions of customers, is their own passage the "
        f"nearest? Before tuning {interval_words(figures['held_before'], digits=2)}; the difference is paired.",
        "",
        "| depth | batch | learning rate | dev accuracy | by seed | last training loss | epoch of the lowest validation loss | held task, minus before |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        start = f"| {row['depth']} | {row['batch']} | {row['rate']:g} |"
        if "diverged" in row:
            lines.append(f"{start} diverged in {row['diverged']} of {row['seeds']} | | | | |")
            continue
        by_seed = ", ".join(f"{value:.2f}" for value in row["by_seed"])
        epochs = ", ".join(f"{value:.0f}" for value in row["best_epoch"])
        lines.append(
            f"{start} {interval_words(row['dev'], digits=2)} | {by_seed} | {row['last_loss']:.2f} | {epochs} | "
            f"{interval_words(row['held_minus_before'], digits=2, sign=True)} |"
        )
    return "\n".join(lines)
