"""LoRA on MiniLM for the help desk's intents: beside full and frozen fine-tuning, and over ranks and placements."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from course_lib.assets.models import compute_dtype, encoder_source, load_encoder, model_id
from course_lib.core.seeds import SEED, thread_count
from course_lib.corpus.messages import load_messages
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.tuning.freezing import freeze, trainable_table
from course_lib.tuning.heads import TextClassifier, new_classifier
from course_lib.tuning.lora import add_lora
from course_lib.tuning.training import TrainingResult, TrainingSettings, train
from course_lib.workshop.bench import interval_words, remembered
from course_lib.workshop.memory import peak_gb

BASELINE = "TF-IDF + logistic regression"
SEEDS, FEWER = (1, 2, 3, 4, 5), (1, 2, 3)
EPOCHS, HEAD_EPOCHS, BATCH, HEAD_RATE, MAX_TOKENS = 4, 20, 16, 3e-3, 128
# The rates that are tried on dev, with the first seed; nothing is chosen on test.
RATES: dict[str, tuple[float, ...]] = {
    "head only": (1e-2, 3e-2),
    "LoRA": (1e-3, 2e-3, 4e-3),
    "LoRA, all linear layers": (1e-3, 2e-3, 4e-3),
    "all layers": (1e-4, 2e-4, 5e-4),
}
RANK, SCALING = 8, 2  # alpha is SCALING times the rank, so that every rank has the same scaling
PLACEMENT: tuple[str, ...] = ("query", "value")
LINEAR: tuple[str, ...] = ("query", "key", "value", "dense")
RANKS = (1, 2, 4, 8, 16, 64)
LINEAR_RANKS = (1, 2, 4, 8, 16)
PLACEMENTS: dict[str, tuple[str | tuple[str, ...], int]] = {
    "query": (("query",), RANK),
    "query, twice the rank": (("query",), 2 * RANK),
    "query and value": (PLACEMENT, RANK),
    "query and value, top 2 layers": (r"encoder\.layer\.[45]\..*\.(query|value)", RANK),
    "all linear layers": (LINEAR, RANK),
}
MEMORY_STEPS = 20
Say = Callable[[str], None]
Pairs = list[tuple[str, str]]
Right = npt.NDArray[np.float64]


def pairs(split: str) -> Pairs:
    """Return (text, intent) of a split's messages."""
    return [(message.text, message.intent) for message in load_messages(split)]


def number_format() -> str:
    """Return the number format that training computes in; weights stay in float32."""
    return str(compute_dtype()).removeprefix("torch.")


def new_model(way: str, rank: int, targets: str | Sequence[str], seed: int) -> TextClassifier:
    """Return a classifier of which the parts that `way` names will learn."""
    labels = sorted({label for _, label in pairs("train")})
    model = new_classifier(*load_encoder(), labels, max_tokens=MAX_TOKENS, seed=seed)
    if way.startswith("LoRA"):
        add_lora(model.encoder, rank, SCALING * rank, targets=targets, seed=seed)
    elif way == "head only":
        freeze(model, 6)
    return model


def settings_of(way: str, rate: float, seed: int) -> TrainingSettings:
    """Return the settings of one run."""
    return TrainingSettings(
        learning_rate=rate,
        head_learning_rate=None if way == "head only" else HEAD_RATE,
        epochs=HEAD_EPOCHS if way == "head only" else EPOCHS,
        batch_size=BATCH,
        precision=number_format(),
        seed=seed,
    )


def one_run(way: str, rate: float, seed: int, split: str, rank: int, targets: str | Sequence[str]) -> dict[str, Any]:
    """Train once; return the predictions for a split, seconds, and how many numbers learnt."""
    model = new_model(way, rank, targets, seed)
    result: TrainingResult = train(model, pairs("train"), settings_of(way, rate, seed))
    table = trainable_table(model)
    return {
        "predictions": model.predict([text for text, _ in pairs(split)]),
        "seconds": result.minutes * 60,
        "trainable": table.n_trainable,
        "share": table.share,
        "state_mb": state_bytes(table.n_parameters, table.n_trainable) / 1e6,
    }


def state_bytes(n_parameters: int, n_trainable: int) -> int:
    """Return the bytes of weights, gradients and AdamW's two means in float32; activations are not counted."""
    return 4 * (n_parameters + 3 * n_trainable)


def baseline(split: str) -> dict[str, Any]:
    """Return the predictions of logistic regression over TF-IDF weights of words and word pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(vectoriser, LogisticRegression(C=10.0, max_iter=300, random_state=SEED))
    texts, labels = zip(*pairs("train"), strict=True)
    model.fit(texts, labels)
    return {"predictions": [str(label) for label in model.predict([text for text, _ in pairs(split)])]}


def targets_of(way: str) -> tuple[str, ...]:
    """Return where the update of a way goes."""
    return LINEAR if way == "LoRA, all linear layers" else PLACEMENT


class Bench:
    """Runs that are remembered one by one, so that an interrupted benchmark goes on where it was."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.common = {
            "data": [len(pairs(split)) for split in ("train", "dev", "test")],
            "setting": [EPOCHS, HEAD_EPOCHS, BATCH, HEAD_RATE, MAX_TOKENS, SCALING],
            "model": model_id(encoder_source()),
            "precision": number_format(),
            "torch": torch.__version__,
            "threads": thread_count(),
        }

    def run(
        self, way: str, rate: float, seed: int, split: str, rank: int = RANK, targets: str | Sequence[str] = PLACEMENT
    ) -> dict[str, Any]:
        """Return what `one_run` does."""
        if way == "LoRA, all linear layers":
            way, targets = "LoRA", LINEAR
        depends = {**self.common, "run": [way, rate, seed, split, rank, targets]}

        def compute() -> dict[str, Any]:
            self.say(f"{way}, rate {rate:g}, rank {rank}, seed {seed}, {split}")
            return one_run(way, rate, seed, split, rank, targets)

        return remembered("lora-sweep", depends, compute)

    def row(self, runs: Sequence[dict[str, Any]], split: str) -> tuple[dict[str, Any], Right]:
        """Return the figures of several seeds, and the share of seeds that got each message right, (n,)."""
        from sklearn.metrics import f1_score

        truth = np.array([label for _, label in pairs(split)])
        right = np.array([np.array(run["predictions"]) == truth for run in runs], dtype=float)  # (n_seeds, n)
        each = [float(f1_score(truth, run["predictions"], average="macro")) for run in runs]
        row: dict[str, Any] = {
            "accuracy": bootstrap_interval(right.mean(axis=0)).as_dict(),
            "by_seed": [round(float(value), 4) for value in right.mean(axis=1)],
            "macro_f1": {"mean": round(float(np.mean(each)), 4), "by_seed": [round(value, 4) for value in each]},
        }
        if "seconds" in runs[0]:
            row |= {
                "seconds": round(float(np.median([run["seconds"] for run in runs])), 1),
                **{name: runs[0][name] for name in ("trainable", "share", "state_mb")},
            }
        return row, right.mean(axis=0)


def chosen_rates(bench: Bench) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return the best rate of each way on dev with the first seed, and the accuracy of each that was tried."""
    tried = {
        way: {f"{rate:g}": bench.row([bench.run(way, rate, SEEDS[0], "dev")], "dev")[0]["by_seed"][0] for rate in rates}
        for way, rates in RATES.items()
    }
    return {way: max(RATES[way], key=lambda rate: tried[way][f"{rate:g}"]) for way in RATES}, tried


def run(say: Say) -> dict[str, Any]:
    """Choose rates on dev; measure four ways on test with five seeds, ranks and placements on dev with three."""
    bench = Bench(say)
    rates, tried = chosen_rates(bench)
    test: dict[str, dict[str, Any]] = {}
    right: dict[str, Right] = {}
    test[BASELINE], right[BASELINE] = bench.row([baseline("test")], "test")
    for way in RATES:
        runs = [bench.run(way, rates[way], seed, "test") for seed in SEEDS]
        test[way], right[way] = bench.row(runs, "test")
        test[way]["peak_gb"] = peak_of(way, rates[way], bench)
    for way in ("head only", "LoRA", "LoRA, all linear layers", BASELINE):
        test[way]["minus_all_layers"] = paired_difference(right[way], right["all layers"]).as_dict()
    ranks = {}
    for rank in RANKS:
        runs = [bench.run("LoRA", rates["LoRA"], seed, "dev", rank) for seed in FEWER]
        ranks[str(rank)] = bench.row(runs, "dev")[0]
    linear_ranks = {}
    for rank in LINEAR_RANKS:
        runs = [
            bench.run("LoRA, all linear layers", rates["LoRA, all linear layers"], seed, "dev", rank) for seed in FEWER
        ]
        linear_ranks[str(rank)] = bench.row(runs, "dev")[0]
    places = {}
    for name, (targets, rank) in PLACEMENTS.items():
        runs = [bench.run("LoRA", rates["LoRA"], seed, "dev", rank, targets) for seed in FEWER]
        places[name] = bench.row(runs, "dev")[0]
    on_dev = {
        way: bench.row([bench.run(way, rates[way], seed, "dev") for seed in FEWER], "dev")[0]
        for way in ("head only", "all layers")
    }
    return {
        **{f"n_{split}": len(pairs(split)) for split in ("train", "dev", "test")},
        "n_classes": len({label for _, label in pairs("train")}),
        "seeds": list(SEEDS),
        "seeds_of_sweeps": list(FEWER),
        "epochs": EPOCHS,
        "precision": number_format(),
        "rank": RANK,
        "alpha": SCALING * RANK,
        "rates": rates,
        "rates_tried_on_dev": tried,
        "test": test,
        "dev": on_dev,
        "ranks": ranks,
        "ranks_all_linear": linear_ranks,
        "placements": places,
    }


def peak_of(way: str, rate: float, bench: Bench) -> float:
    """Return the peak memory in GB of a fresh process that trains for a few updates."""

    def compute() -> float:
        command = [sys.executable, __file__, way, str(rate)]
        root = str(Path(__file__).resolve().parents[1])
        done = subprocess.run(
            command, cwd=root, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=True
        )
        return float(done.stdout.split()[-1])

    return remembered("lora-sweep-memory", {**bench.common, "memory": [way, rate, MEMORY_STEPS]}, compute)


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    seeds, fewer = len(figures["seeds"]), len(figures["seeds_of_sweeps"])
    lines = [
        "# LoRA on a small encoder: ways, ranks, placements",
        "",
        f"{figures['n_train']} training messages of {figures['n_classes']} intents, MiniLM, mean pooling, a new output layer. "
        f"LoRA has rank {figures['rank']} and alpha {figures['alpha']}, on query and value unless said, and the output layer learns, too. "
        f"The learning rate of each way is the best of those tried on dev with one seed. Accuracy is the mean over {seeds} "
        f"seeds; brackets: 95 % bootstrap interval over the {figures['n_test']} test messages; the difference is paired.",
        "",
        "| way | learning parameters | accuracy | seeds from, to | macro F1 | accuracy minus all layers | seconds | training state, MB | peak, GB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for way, row in figures["test"].items():
        gap = interval_words(row["minus_all_layers"], sign=True) if "minus_all_layers" in row else ""
        cost = " | | "
        learning = ""
        if "seconds" in row:
            learning = f"{row['trainable']:,} ({row['share']:.2%})"
            cost = f"{row['seconds']:.0f} | {row['state_mb']:.0f} | {row['peak_gb']:.2f}"
        lines.append(
            f"| {way} | {learning} | {interval_words(row['accuracy'])} | {_span(row)} | {row['macro_f1']['mean']:.3f} | {gap} | {cost} |"
        )
    lines += [
        "",
        "Training state: weights, gradients and AdamW's two means, by formula. Peak: of a fresh process that loads the model "
        f"and trains for {MEMORY_STEPS} updates, libraries included. The baseline is logistic regression without a choice of settings.",
        "",
        f"Ranks and placements, on the {figures['n_dev']} dev messages, {fewer} seeds each, alpha twice the rank:",
        "",
        "| what is tuned | learning parameters | accuracy | seeds from, to | macro F1 |",
        "|---|---|---|---|---|",
    ]
    rows = {f"LoRA, rank {rank}, query and value": row for rank, row in figures["ranks"].items()}
    rows |= {f"LoRA, rank {rank}, all linear layers": row for rank, row in figures["ranks_all_linear"].items()}
    rows |= {
        f"LoRA, {name}": row
        for name, row in figures["placements"].items()
        if name not in ("query and value", "all linear layers")
    }
    for name, row in {**rows, **figures["dev"]}.items():
        lines.append(
            f"| {name} | {row['trainable']:,} ({row['share']:.2%}) | {interval_words(row['accuracy'])} | {_span(row)} | "
            f"{row['macro_f1']['mean']:.3f} |"
        )
    return "\n".join(lines)


def _span(row: dict[str, Any]) -> str:
    return f"{min(row['by_seed']):.3f}, {max(row['by_seed']):.3f}"


if __name__ == "__main__":  # a fresh process, for its peak memory alone
    chosen, learning_rate = sys.argv[1], float(sys.argv[2])
    classifier = new_model(chosen, RANK, targets_of(chosen), SEEDS[0])
    train(
        classifier,
        pairs("train"),
        settings_of(chosen, learning_rate, SEEDS[0]),
        on_step=lambda report: report.step >= MEMORY_STEPS,
    )
    print(peak_gb())
