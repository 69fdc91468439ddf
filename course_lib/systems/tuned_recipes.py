"""How each shipped adapter of the language model is made: its examples, its settings, and what it is asked afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from course_lib.corpus.load import SHELVES
from course_lib.systems.raft_sets import raft_questions, raft_set
from course_lib.systems.tuned_scores import Measure, plain_words_scores, short_answer_scores, style_scores
from course_lib.systems.tuning_sets import TuningExample, TuningSet, facts_set, plain_words_set, style_set
from course_lib.tuning.settings import TrainingSettings

QUICK_EXAMPLES = 8


@dataclass(frozen=True)
class Recipe:
    """How one adapter is made. make: its examples; scored: part -> examples that it and the base are asked afterwards."""

    name: str
    what: str
    make: Callable[[], TuningSet]
    scored: Callable[[TuningSet], dict[str, Sequence[TuningExample]]]
    measure: Measure
    settings: TrainingSettings
    max_new_tokens: int
    limits: str


def _settings(epochs: int, patience: int | None = None) -> TrainingSettings:
    return TrainingSettings(
        learning_rate=1e-3,
        epochs=epochs,
        batch_size=8,
        part_tokens=1024,
        warmup=0.05,
        patience=patience,
        save_every=10,
    )


def _raft(shelf: str | None, epochs: int) -> Recipe:
    return Recipe(
        name=f"raft-{shelf.replace('_', '-')}" if shelf else "raft",
        what="short answers from passages, with the number of the passage, or the admission that none answers"
        + (f" (shelf {shelf})" if shelf else ""),
        make=partial(raft_set, shelf),
        scored=lambda _: {"dev": raft_questions("dev", shelf)},
        measure=short_answer_scores,
        settings=_settings(epochs),
        max_new_tokens=48,
        limits="English, passages of the course's length, at most five at a time. It answers in few words, and asks nothing back.",
    )


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "style",
            "answers of the help desk in the house's voice",
            style_set,
            lambda made: {"test": made.parts["test"][:40]},
            style_scores,
            _settings(6, patience=2),
            96,
            "One invented company's voice. It sounds sure of itself also where the passage does not answer.",
        ),
        Recipe(
            "plain-words",
            "texts for clinicians in plain words for patients",
            plain_words_set,
            lambda made: {"test": made.parts["test"]},
            plain_words_scores,
            _settings(6, patience=2),
            128,
            "It may lose or twist a fact: no text for patients should leave the house unread.",
        ),
        Recipe(
            "facts",
            "facts learnt by heart from questions and answers without passages: an experiment that is meant to fail",
            facts_set,
            lambda made: {
                "seen": [each for each in made.train if each.kind == "match"],
                "paraphrased": made.parts["paraphrased"],
                "new": made.parts["new"],
            },
            short_answer_scores,
            _settings(10),
            24,
            "Its answers are guesses in the form of facts: for the lesson on why facts belong into an index.",
        ),
        _raft(None, epochs=2),
        *(_raft(shelf, epochs=2) for shelf in SHELVES),
    )
}


def recipe_of(name: str) -> Recipe:
    """Return the recipe with this name. Raises ValueError if there is none."""
    if name not in RECIPES:
        raise ValueError(f"adapter must be one of {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]


def as_quick(recipe: Recipe) -> Recipe:
    """Return a recipe that takes seconds: the shortest few examples, once. To see that it runs, not to be good."""

    def few(examples: Sequence[TuningExample]) -> tuple[TuningExample, ...]:
        return tuple(sorted(examples, key=lambda each: sum(len(m["content"]) for m in each.messages))[:QUICK_EXAMPLES])

    def make() -> TuningSet:
        whole = recipe.make()
        return TuningSet(whole.name, {part: few(examples) for part, examples in whole.parts.items()})

    return replace(
        recipe,
        make=make,
        scored=lambda made: {part: few(examples) for part, examples in recipe.scored(made).items() if examples},
        settings=replace(recipe.settings, epochs=1, batch_size=4, patience=None),
        max_new_tokens=8,
    )
