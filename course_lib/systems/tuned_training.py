"""`course train NAME`: make the examples, train an adapter of the language model, score it, and save it with a card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from course_lib.assets import store
from course_lib.generation.cached import CachedGenerator
from course_lib.generation.language_model import LanguageModel, load_language_model
from course_lib.systems.tuned_card import card_of, card_text
from course_lib.systems.tuned_generator import ADAPTERS, CARD, TunedModels, base_identity
from course_lib.systems.tuned_recipes import Recipe, as_quick, recipe_of
from course_lib.systems.tuned_scores import Scores
from course_lib.systems.tuning_sets import TuningExample, TuningSet
from course_lib.tuning.settings import TrainingResult, TrainingSettings

Say = Callable[[str], None]
RANK, ALPHA, TARGETS = 8, 16, ("q_proj", "k_proj", "v_proj", "o_proj")
BASE_NAME = "SmolLM2-135M-Instruct"
TOKENS_PER_SECOND = 450  # of training, on two cores that multiply bfloat16; a third of it elsewhere


def pairs_of(tokenizer: Any, examples: Sequence[TuningExample]) -> list[tuple[str, str]]:
    """Return examples as `CausalTuner` reads them: (prompt with its chat template, answer)."""
    from course_lib.tuning.instruct import example_of

    return [example_of(tokenizer, each.messages, each.answer) for each in examples]


def train_adapter(
    base: LanguageModel,
    made: TuningSet,
    settings: TrainingSettings,
    folder: Path,
    *,
    work: Path | None = None,
    say: Say = print,
    progress: bool = True,
) -> TrainingResult:
    """Train a new adapter on base and write it into folder in peft's format; base is as before afterwards.

    work: the run's state is kept there, and an interrupted run with the same examples goes on from it. Raises as
    `train` does.
    """
    import torch

    from course_lib.tuning.adapter_files import write_adapter
    from course_lib.tuning.adapters import Adapters
    from course_lib.tuning.causal import CausalTuner
    from course_lib.tuning.training import train

    train_pairs, dev_pairs = pairs_of(base.tokenizer, made.train), pairs_of(base.tokenizer, made.dev)
    n_tokens = sum(map(base.count_tokens, (text for pair in train_pairs for text in pair)))
    minutes = n_tokens * settings.epochs / TOKENS_PER_SECOND / 60
    say(
        f"{made.name}: {len(train_pairs):,} examples of {n_tokens / len(train_pairs):.0f} tokens, {settings.epochs} "
        f"times: about {max(1, round(minutes))} minutes on two cores that multiply bfloat16, longer on others"
    )
    adapters = Adapters(base.model)
    adapters.add(made.name, RANK, ALPHA, targets=TARGETS, seed=settings.seed)
    adapters.use(made.name)
    try:
        tuner = CausalTuner(base.tokenizer, base.model)
        result = train(tuner, train_pairs, settings, validation=dev_pairs, folder=work, progress=progress)
        base.model.config._name_or_path = BASE_NAME
        note = f"course train {made.name}, examples {made.digest()}"
        write_adapter(base.model, adapters.layers(made.name), folder, note=note, dtype=torch.bfloat16)
    finally:
        adapters.off()
    return result


def n_parameters(folder: Path) -> int:
    """Return how many numbers an adapter holds."""
    from course_lib.tuning.adapter_files import read_adapter

    return sum(a.numel() + b.numel() for a, b in read_adapter(folder).matrices.values())


def scores_of(
    recipe: Recipe, made: TuningSet, folder: Path, *, base: LanguageModel, replies: Path | None = None
) -> dict[str, dict[str, Scores]]:
    """Return part -> "base" and "tuned" -> scores, both asked the same conversations; replies are kept on disk."""
    tuned = TunedModels(base).load(recipe.name, folder)
    identity = base_identity()
    asked = {
        "base": CachedGenerator(base, identity, folder=replies),
        "tuned": CachedGenerator(tuned, f"{identity}-{recipe.name}-{tuned.digest}", folder=replies),
    }
    return {
        part: {
            who: recipe.measure(
                examples,
                model.generate_many([each.messages for each in examples], max_new_tokens=recipe.max_new_tokens),
            )
            for who, model in asked.items()
        }
        for part, examples in recipe.scored(made).items()
    }


def train_and_save(
    name: str, folder: Path | None = None, *, quick: bool = False, progress: bool = True, say: Say = print
) -> dict[str, Any]:
    """Make the examples of an adapter, train it, score it as it will be used, save it with its card; return the card.

    folder: where it goes, the course's own by default. quick: a few short examples once, to see that it runs; it goes
    into the cache folder, so that nothing shipped is replaced. An interrupted run goes on where it was.
    """
    recipe = recipe_of(name)
    if quick:
        recipe, folder = as_quick(recipe), folder or store.course_home() / "adapters" / f"{name}-quick"
    folder = folder or ADAPTERS / name
    work = store.course_home() / "training" / (f"{name}-quick" if quick else name)
    base, made = load_language_model(), recipe.make()
    aside = folder.with_name(folder.name + ".new")
    result = train_adapter(base, made, recipe.settings, aside, work=work, say=say, progress=progress)
    say(f"{made.name}: {result.minutes:.1f} minutes of training; now its answers beside the base's")
    scores = scores_of(recipe, made, aside, base=base)
    card = card_of(
        recipe.what,
        recipe.limits,
        recipe.settings,
        made,
        result,
        scores,
        rank=RANK,
        alpha=ALPHA,
        trained_parameters=n_parameters(aside),
    )
    card["command"] += " --quick" if quick else ""
    (aside / CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (aside / "README.md").write_text(card_text(card), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(folder)
    shutil.rmtree(work, ignore_errors=True)
    say(f"{made.name}: written to {folder}")
    return card
