"""How much of the encoder should learn: accuracy, seconds, memory and forgetting by depth and decay, over several seeds."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from course_lib.assets.models import encoder_source, load_encoder, model_id
from course_lib.core.seeds import SEED, thread_count
from course_lib.corpus.load import COLLECTIONS
from course_lib.corpus.messages import intents, load_messages
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.tuning.forgetting import matched, text_vectors
from course_lib.tuning.freezing import freeze, trainable_table
from course_lib.tuning.heads import TextClassifier, new_classifier
from course_lib.tuning.step_memory import step_memory
from course_lib.tuning.training import TrainingSettings, train
from course_lib.workshop.bench import interval_words, remembered

PAIRS = COLLECTIONS / "neurology" / "plain_words_pairs.jsonl"
SEEDS = (13, 14, 15, 16, 17)
MAX_TOKENS, EPOCHS, BATCH = 96, 3, 16
BASELINE = "TF-IDF + logistic regression"
# frozen layers, embeddings frozen, decay of the rate from one layer to the one below
CHOICES = (
    (6, True, 1.0), (5, True, 1.0), (4, True, 1.0), (2, True, 1.0), (2, True, 0.5), (0, True, 1.0),
    (0, False, 1.0), (0, False, 0.8), (0, False, 0.5),
)  # fmt: skip
# Fixed before the first run, as in lesson 10; nothing is chosen on the test split.
RECIPE = {"learning_rate": 2e-4, "head_learning_rate": 2e-3, "epochs": EPOCHS, "batch_size": BATCH}
HEAD_RECIPE = {"learning_rate": 1e-2, "epochs": 20, "batch_size": 32}
Say = Callable[[str], None]
Pairs = list[tuple[str, str]]
Values = npt.NDArray[np.float64]


def examples(split: str) -> Pairs:
    """Return the messages of a split with their intents."""
    return [(message.text, message.intent) for message in load_messages(split)]


def fresh(seed: int) -> TextClassifier:
    """Return the pre-trained encoder with a new head."""
    return new_classifier(*load_encoder(), list(intents()), max_tokens=MAX_TOKENS, seed=seed)


def held_task(model: TextClassifier) -> Values:
    """Return (n,) 1 where a clinician's sentence finds the same in plain words."""
    held = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    first, second = (text_vectors(model, [each[side] for each in held]) for side in ("clinician", "patient"))
    return matched(first, second)


def macro_f1(truth: list[str], guess: list[str]) -> float:
    """Return the mean of F1 over the intents."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, guess, average="macro"))


def baseline() -> list[str]:
    """Return what logistic regression over TF-IDF weights says of the test messages, with lesson 09's settings."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    training = examples("train")
    counting = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    features = counting.fit_transform([text for text, _ in training])
    model = LogisticRegression(C=10, max_iter=2000).fit(features, [label for _, label in training])
    return [str(label) for label in model.predict(counting.transform([text for text, _ in examples("test")]))]


def one_run(choice: tuple[int, bool, float], seed: int) -> dict[str, Any]:
    """Train with one choice and seed; return predictions, seconds, memory of a step and what became of the held task."""
    frozen, embeddings, decay = choice
    model, training = fresh(seed), examples("train")
    freeze(model, frozen, embeddings=embeddings)
    recipe: dict[str, Any] = HEAD_RECIPE if frozen == 6 else RECIPE
    settings = TrainingSettings(**recipe, layer_decay=decay, seed=seed)
    started = time.perf_counter()
    result = train(model, training, settings)
    seconds = time.perf_counter() - started
    memory = step_memory(model, training[:BATCH])
    return {
        "predictions": model.predict([text for text, _ in examples("test")]),
        "held": held_task(model).tolist(),
        "seconds": seconds,
        "trainable": trainable_table(model).n_trainable,
        "megabytes": memory.for_training / 1e6,
        "activations_megabytes": memory.activations / 1e6,
        "last_loss": float(np.mean(result.losses[-10:])),
        "truncated": result.truncated,
    }


def run(say: Say) -> dict[str, Any]:
    """Train each choice with each seed, all choices in turn; a run that was made before is remembered."""
    test = examples("test")
    digest = hashlib.sha256(repr((examples("train"), test, PAIRS.read_bytes())).encode()).hexdigest()[:16]
    truth = [label for _, label in test]
    runs: dict[tuple[int, bool, float], list[dict[str, Any]]] = {choice: [] for choice in CHOICES}
    for seed in SEEDS:
        for choice in CHOICES:
            depends = {
                "data": digest, "choice": list(choice), "seed": seed, "recipe": [RECIPE, HEAD_RECIPE, MAX_TOKENS],
                "model": model_id(encoder_source()), "torch": torch.__version__, "threads": thread_count(),
            }  # fmt: skip

            def compute(choice: tuple[int, bool, float] = choice, seed: int = seed) -> dict[str, Any]:
                say(f"seed {seed}, frozen layers {choice[0]}, embeddings frozen {choice[1]}, decay {choice[2]}")
                return one_run(choice, seed)

            runs[choice].append(remembered("freezing", depends, compute))
    before = held_task(fresh(SEED))
    guess = baseline()
    of_baseline = _right(truth, guess)
    accuracy = {
        choice: np.mean([_right(truth, each["predictions"]) for each in runs[choice]], axis=0) for choice in CHOICES
    }
    rows = []
    for choice in CHOICES:
        made = runs[choice]
        held = np.mean([each["held"] for each in made], axis=0)  # (n_pairs,)
        scores = [macro_f1(truth, each["predictions"]) for each in made]
        by_seed = [float(_right(truth, each["predictions"]).mean()) for each in made]
        rows.append(
            {
                "frozen": choice[0], "embeddings": choice[1], "decay": choice[2], "trainable": made[0]["trainable"],
                "accuracy": bootstrap_interval(accuracy[choice]).as_dict(),
                "by_seed": [round(value, 4) for value in by_seed],
                "macro_f1": {"mean": round(float(np.mean(scores)), 4), "by_seed": [round(score, 4) for score in scores]},
                "minus_baseline": paired_difference(accuracy[choice], of_baseline).as_dict(),
                "minus_head_only": paired_difference(accuracy[choice], accuracy[CHOICES[0]]).as_dict(),
                "seconds": round(float(np.median([each["seconds"] for each in made])), 1),
                "megabytes": round(made[0]["megabytes"], 1),
                "activations_megabytes": round(made[0]["activations_megabytes"], 1),
                "forgetting": paired_difference(held, before).as_dict(),
                "last_loss": round(float(np.mean([each["last_loss"] for each in made])), 3),
            }
        )  # fmt: skip
    return {
        "n_train": len(examples("train")),
        "n_test": len(test),
        "n_held": len(before),
        "seeds": len(SEEDS),
        "epochs": EPOCHS,
        "batch": BATCH,
        "held_before": bootstrap_interval(before).as_dict(),
        "baseline": {
            "accuracy": bootstrap_interval(of_baseline).as_dict(),
            "macro_f1": round(macro_f1(truth, guess), 4),
        },
        "rows": rows,
    }


def _right(truth: list[str], guess: list[str]) -> Values:
    return np.asarray(np.array(truth) == np.array(guess), dtype=np.float64)


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    first = figures["baseline"]
    lines = [
        "# How much of the encoder should learn",
        "",
        f"{figures['n_train']} messages of the help desk, 14 intents, {figures['n_test']} test messages; MiniLM with a new "
        f"output layer, {figures['epochs']} epochs, batches of {figures['batch']}, float32, {figures['seeds']} seeds (of the "
        "new layer and the order of the messages). The head alone: 20 epochs at a higher rate. Settings were fixed beforehand. "
        "Accuracy is the mean over the seeds, brackets the 95 % bootstrap interval over the test messages; differences are paired.",
        "",
        f"The held task: {figures['n_held']} passages written for clinicians, each of which should find the same in plain words among "
        f"all {figures['n_held']}; the encoder before tuning finds {interval_words(figures['held_before'])}. Megabytes are what a step "
        "of 16 messages needs beside the weights, counted tensor by tensor; seconds are the median of the seeds.",
        "",
        "| frozen layers | embeddings | decay | learning parameters | accuracy | least to most of the seeds | macro F1 | "
        "minus TF-IDF | minus head only | seconds | MB | held task, change |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        f"| {BASELINE} | | | | {interval_words(first['accuracy'])} | | {first['macro_f1']:.3f} | | | | | |",
    ]
    for row in figures["rows"]:
        lines.append(
            f"| {row['frozen']} | {'frozen' if row['embeddings'] else 'free'} | {row['decay']:g} | {row['trainable']:,} | "
            f"{interval_words(row['accuracy'])} | {min(row['by_seed']):.3f} to {max(row['by_seed']):.3f} | "
            f"{row['macro_f1']['mean']:.3f} | {interval_words(row['minus_baseline'], sign=True)} | "
            f"{interval_words(row['minus_head_only'], sign=True)} | {row['seconds']:.0f} | {row['megabytes']:,.0f} | "
            f"{interval_words(row['forgetting'], sign=True)} |"
        )
    return "\n".join(lines)
