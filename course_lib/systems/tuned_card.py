"""The card of a tuned generator: what a user must know before using it."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from course_lib.assets import models
from course_lib.systems.tuned_scores import Scores
from course_lib.systems.tuning_sets import TuningSet
from course_lib.tuning.settings import TrainingResult, TrainingSettings

BASE = "SmolLM2-135M-Instruct"


def card_of(
    what: str,
    limits: str,
    settings: TrainingSettings,
    made: TuningSet,
    result: TrainingResult,
    scores: Mapping[str, Mapping[str, Scores]],
    *,
    rank: int,
    alpha: float,
    trained_parameters: int,
) -> dict[str, Any]:
    """Return the card as plain data: base, data and its digest, command, minutes, size, losses, scores, limits."""
    last = result.losses[-10:]
    return {
        "what": f"LoRA adapter of the language model: {what}",
        "name": made.name,
        "base": BASE,
        "base weights": models.model_id(models.generator_source()),
        "number format": str(models.compute_dtype()).removeprefix("torch."),
        "command": f"course train {made.name}",
        "date": datetime.date.today().isoformat(),
        "data": {part: len(examples) for part, examples in made.parts.items()},
        "data digest": made.digest(),
        "kinds": dict(Counter(each.kind for each in made.train)),
        "rank": rank,
        "alpha": alpha,
        "settings": asdict(settings),
        "steps": result.n_steps,
        "minutes": round(result.minutes, 1),
        "tokens per second": round(result.tokens_per_second),
        "trained_parameters": trained_parameters,
        "final loss": round(sum(last) / len(last), 3),
        "dev loss": [round(each.loss, 3) for each in result.validation],
        "scores": {
            part: {who: {name: _rounded(value) for name, value in found.items()} for who, found in both.items()}
            for part, both in scores.items()
        },
        "licence": "Apache-2.0",
        "limits": limits,
    }


def _rounded(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else round(value, 3)


def card_text(card: Mapping[str, Any]) -> str:
    """Return the card as a page for people."""
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in card["kinds"].items())
    parts = ", ".join(f"{n:,} in {part}" for part, n in card["data"].items())
    settings = card["settings"]
    lines = [
        f"# {card['name']}",
        "",
        f"{card['what']}. Base: {card['base']} (weights {card['base weights']}). Licence: {card['licence']}.",
        "",
        f"Made on {card['date']} by `{card['command']}` in {card['minutes']:g} minutes ({card['number format']}): "
        f"{card['steps']} steps of {settings['batch_size']} examples, learning rate {settings['learning_rate']:g}, rank "
        f"{card['rank']}, {card['trained_parameters']:,} trained parameters, seed {settings['seed']}.",
        "",
        f"Data (digest {card['data digest']}): {parts}. Learnt: {kinds}. No question of dev or test is among them, nor a "
        "passage that answers one.",
        "",
        f"Loss at the end {card['final loss']:g}; on held-out examples after each epoch "
        f"{', '.join(f'{loss:g}' for loss in card['dev loss'])}.",
    ]
    for part, both in card["scores"].items():
        lines += ["", f"| {part} | base | tuned |", "|---|---|---|"]
        lines += [
            f"| {name} | {_shown(value)} | {_shown(both['tuned'][name])} |" for name, value in both["base"].items()
        ]
    return "\n".join([*lines, "", f"Limits: {card['limits']}"]) + "\n"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
