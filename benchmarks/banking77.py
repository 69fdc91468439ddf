"""Banking77 (Casanueva et al., 2020; CC BY 4.0): the course's ways to classify, on the official test split."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from course_lib.assets import store
from course_lib.assets.models import compute_dtype, encoder_source, load_encoder, model_id
from course_lib.core.seeds import SEED, thread_count
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.tuning.freezing import freeze, trainable_table
from course_lib.tuning.heads import TextClassifier, new_classifier
from course_lib.tuning.lora import add_lora
from course_lib.tuning.training import TrainingSettings, train
from course_lib.workshop.bench import BenchmarkSkipped, interval_words, remembered

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "banking77"
BASELINE = "TF-IDF + logistic regression"
MAX_TOKENS, PUBLISHED = 96, 93.0
DRAWS = 2_000
# Fixed before the first run; nothing is chosen on the test split.
RECIPES: dict[str, dict[str, Any]] = {
    "head only": {"lowest": 6, "learning_rate": 1e-2, "epochs": 20, "batch_size": 64},
    "top layer": {"lowest": 5, "learning_rate": 3e-4, "head_learning_rate": 3e-3, "epochs": 6, "batch_size": 32},
    "top 2 layers": {"lowest": 4, "learning_rate": 3e-4, "head_learning_rate": 3e-3, "epochs": 6, "batch_size": 32},
    "all layers": {"lowest": 0, "learning_rate": 2e-4, "head_learning_rate": 3e-3, "epochs": 5, "batch_size": 32},
    "LoRA": {"rank": 8, "learning_rate": 1e-3, "head_learning_rate": 3e-3, "epochs": 6, "batch_size": 32},
    "LoRA, all linear layers": {
        "rank": 8, "targets": ["query", "key", "value", "dense"],
        "learning_rate": 1e-3, "head_learning_rate": 3e-3, "epochs": 6, "batch_size": 32,
    },
}  # fmt: skip
Say = Callable[[str], None]
Pairs = list[tuple[str, str]]
Numbers = npt.NDArray[np.int64]


def read(split: str, folder: Path | None = None) -> Pairs:
    """Return the messages of a split with their intents. Raises BenchmarkSkipped if the data are not there."""
    path = (folder or DATA) / f"{split}.csv"
    if not path.is_file():
        raise BenchmarkSkipped("Banking77 (shared/data/banking77) is not there")
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"].strip(), row["category"]) for row in csv.DictReader(file)]


def macro_f1(truth: Numbers, guess: Numbers, n_classes: int) -> float:
    """Return the mean over the classes of 2 hits / (times guessed + times true); a class in neither is left out."""
    hits = np.bincount(truth[truth == guess], minlength=n_classes)  # (n_classes,)
    total = np.bincount(truth, minlength=n_classes) + np.bincount(guess, minlength=n_classes)  # (n_classes,)
    return float((2 * hits[total > 0] / total[total > 0]).mean())


def macro_f1_interval(truth: Numbers, guess: Numbers, n_classes: int) -> list[float]:
    """Return the 95 % bootstrap interval of macro F1 over the test messages."""
    rng = np.random.default_rng(SEED)
    draws = (rng.integers(0, len(truth), len(truth)) for _ in range(DRAWS))
    values = [macro_f1(truth[rows], guess[rows], n_classes) for rows in draws]
    return [round(float(value), 4) for value in np.quantile(values, [0.025, 0.975])]


def baseline(train_set: Pairs, texts: Sequence[str]) -> dict[str, Any]:
    """Return the predictions of logistic regression over TF-IDF weights of words and word pairs, and its minutes."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    started = time.perf_counter()
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(vectoriser, LogisticRegression(C=10.0, max_iter=300, random_state=SEED))
    model.fit([text for text, _ in train_set], [label for _, label in train_set])
    minutes = (time.perf_counter() - started) / 60
    return {"predictions": [str(label) for label in model.predict(list(texts))], "minutes": minutes, "trainable": 0}


def with_adapter(model: TextClassifier, rank: int, targets: Sequence[str]) -> TextClassifier:
    """Freeze the encoder and give the layers that targets names a LoRA update of this rank; the head learns as well."""
    add_lora(model.encoder, rank=rank, alpha=2 * rank, dropout=0.0, targets=targets, seed=SEED)
    model.head.requires_grad_(True)
    return model


def tuned(recipe: dict[str, Any], name: str, train_set: Pairs, texts: Sequence[str], say: Say) -> dict[str, Any]:
    """Train by a recipe, going on where an interrupted run was; return predictions, minutes and speed."""
    recipe = dict(recipe)
    labels = sorted({label for _, label in train_set})
    model = new_classifier(*load_encoder(), labels, max_tokens=MAX_TOKENS, seed=SEED)
    if "rank" in recipe:
        model = with_adapter(model, recipe.pop("rank"), recipe.pop("targets", ("query", "value")))
    else:
        lowest = recipe.pop("lowest")
        freeze(model, lowest, embeddings=lowest > 0)
    settings = TrainingSettings(**recipe, part_tokens=1024, save_every=60, precision=_number_format())
    recipe_id = hashlib.sha256(repr((settings, MAX_TOKENS, len(train_set))).encode()).hexdigest()[:8]
    folder = store.course_home() / "benchmarks" / f"banking77-{name.replace(' ', '-')}-{recipe_id}"

    def report(step: Any) -> None:
        if step.step % max(1, step.n_steps // 10) == 0:
            left = f", about {step.seconds_left / 60:.0f} min left" if step.seconds_left else ""
            say(f"{name}: step {step.step} of {step.n_steps}, loss {step.loss:.2f}{left}")

    result = train(model, train_set, settings, folder=folder, on_step=report)
    return {
        "predictions": model.predict(texts),
        "minutes": result.minutes,
        "trainable": trainable_table(model).n_trainable,
        "tokens_per_second": round(result.tokens_per_second),
        "truncated": result.truncated,
        "last_loss": round(float(np.mean(result.losses[-20:])), 4),
    }


def _number_format() -> str:
    return str(compute_dtype()).removeprefix("torch.")


def run(say: Say) -> dict[str, Any]:
    """Classify the test split in every way; each way's predictions are remembered, an interrupted training goes on."""
    train_set, test_set = read("train"), read("test")
    digest = hashlib.sha256(repr((train_set, test_set)).encode()).hexdigest()[:16]
    texts = [text for text, _ in test_set]
    labels = sorted({label for _, label in train_set})
    number = {label: i for i, label in enumerate(labels)}
    truth = np.array([number[label] for _, label in test_set])
    outcomes: dict[str, dict[str, Any]] = {}
    common = {"data": digest, "seed": SEED}
    outcomes[BASELINE] = remembered("banking77", {**common, "way": BASELINE}, lambda: baseline(train_set, texts))
    for name, recipe in RECIPES.items():
        depends = {
            **common, "way": name, "recipe": recipe, "model": model_id(encoder_source()), "max_tokens": MAX_TOKENS,
            "precision": _number_format(), "torch": torch.__version__, "threads": thread_count(),
        }  # fmt: skip
        compute = lambda name=name, recipe=recipe: tuned(recipe, name, train_set, texts, say)  # noqa: E731
        outcomes[name] = remembered("banking77", depends, compute)
    right = {
        name: (np.array([number[label] for label in each["predictions"]]) == truth) for name, each in outcomes.items()
    }
    rows = {}
    for name, outcome in outcomes.items():
        guess = np.array([number[label] for label in outcome["predictions"]])
        row = {key: value for key, value in outcome.items() if key != "predictions"}
        row["minutes"] = round(outcome["minutes"], 2)
        row["accuracy"] = bootstrap_interval(right[name].astype(float)).as_dict()
        f1 = round(macro_f1(truth, guess, len(labels)), 4)
        row["macro_f1"] = {"mean": f1, "interval": macro_f1_interval(truth, guess, len(labels))}
        if name != BASELINE:
            row["minus_baseline"] = paired_difference(right[name], right[BASELINE]).as_dict()
        if name.startswith("LoRA"):
            row["minus_all_layers"] = paired_difference(right[name], right["all layers"]).as_dict()
            row["share"] = outcome["trainable"] / outcomes["all layers"]["trainable"]
        rows[name] = row
    sizes = {"n_train": len(train_set), "n_test": len(test_set), "n_classes": len(labels)}
    return {**sizes, "precision": _number_format(), "recipes": RECIPES, "rows": rows}


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    lines = [
        "# Banking77: six ways to tune an encoder, and one without it",
        "",
        f"{figures['n_train']:,} training messages, {figures['n_classes']} intents, the official test split of "
        f"{figures['n_test']:,}. MiniLM (22 M parameters), mean pooling, one new output layer. Settings were fixed beforehand "
        "and are in the result file; nothing was chosen on the test split. Brackets: 95 % bootstrap interval over the test "
        "messages; one seed, so it says nothing about how much another seed would change. Differences are paired. LoRA has "
        "rank 8, on query and value unless said.",
        "",
        "| way | learning parameters | accuracy | macro F1 | minus the baseline | minus all layers | minutes | tokens/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in figures["rows"].items():
        f1 = row["macro_f1"]
        gains = [
            interval_words(row[key], sign=True) if key in row else "" for key in ("minus_baseline", "minus_all_layers")
        ]
        learning = f"{row['trainable']:,}" if row["trainable"] else ""
        speed = f"{row['tokens_per_second']:,}" if "tokens_per_second" in row else ""
        lines.append(
            f"| {name} | {learning} | {interval_words(row['accuracy'])} | "
            f"{f1['mean']:.3f} [{f1['interval'][0]:.3f}, {f1['interval'][1]:.3f}] | "
            f"{' | '.join(gains)} | {row['minutes']:.1f} | {speed} |"
        )
    lines += [
        "",
        f"Published full fine-tuning of encoders of this kind stands at about {PUBLISHED:.0f} % accuracy. Minutes are those of "
        f"training, in {figures['precision']}, with the activations of frozen layers computed once.",
    ]
    return "\n".join(lines)
