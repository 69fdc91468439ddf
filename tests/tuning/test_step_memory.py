"""The memory of a step: counted by hand for the head, and growing with every layer that is set free."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch

from course_lib.tuning.freezing import freeze, trainable_table
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.step_memory import StepMemory, step_memory

Make = Callable[..., TextClassifier]
Examples = list[tuple[str, str]]


def test_the_head_alone_by_hand(tiny: TextClassifier, examples: Examples) -> None:
    """7 texts, 24 dimensions, 3 classes, 4 bytes: the head's input 7*24*4 = 672, log-probabilities 7*3*4 = 84, labels
    7*8 = 56, and one number of the mean: 4. Gradients (24*3 + 3) * 4 = 300, moments twice that."""
    freeze(tiny, 3)
    memory = step_memory(tiny, examples[:7])
    assert (memory.gradients, memory.moments) == (300, 600)
    assert memory.activations in (672 + 84 + 56, 672 + 84 + 56 + 4)
    assert memory.for_training == 900 + memory.activations
    assert memory.weights == 4 * trainable_table(tiny).n_parameters


def test_every_layer_that_is_free_costs(make_tiny: Make, examples: Examples) -> None:
    sizes = []
    for lowest in (3, 2, 1, 0):
        model = make_tiny()
        freeze(model, lowest)
        memory = step_memory(model, examples[:7])
        assert memory.gradients == 4 * trainable_table(model).n_trainable
        sizes.append(memory.activations)
    assert sizes == sorted(set(sizes))


def test_the_batch_grows_activations_alone(tiny: TextClassifier) -> None:
    batch = [("my bill is wrong", "billing"), ("the meter is wrong", "metering"), ("my solar panel", "solar")]
    once, twice = step_memory(tiny, batch), step_memory(tiny, batch * 2)
    assert 1.8 * once.activations < twice.activations <= 2 * once.activations
    assert (once.gradients, once.moments, once.weights) == (twice.gradients, twice.moments, twice.weights)


def test_nothing_below_the_lowest_free_layer_is_kept(make_tiny: Make, examples: Examples) -> None:
    """With or without the cache: what no gradient passes through is not saved, but for the input."""
    model = make_tiny()
    freeze(model, 2)
    kept, read = step_memory(model, examples[:5]), step_memory(model, examples[:5], cache=False)
    assert kept.activations == pytest.approx(read.activations, rel=0.05)


def test_the_model_is_left_alone(tiny: TextClassifier, examples: Examples) -> None:
    tiny.train()
    before = [value.detach().clone() for value in tiny.parameters()]
    step_memory(tiny, examples[:4])
    assert tiny.training and all(value.grad is None for value in tiny.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, tiny.parameters(), strict=True))


def test_nothing_stays_behind(make_tiny: Make, examples: Examples) -> None:
    model = make_tiny()
    weight = weakref.ref(next(model.parameters()))
    step_memory(model, examples[:4])
    del model
    gc.collect()
    assert weight() is None


def test_words() -> None:
    assert str(StepMemory(2_000_000, 300_000, 600_000, 40_000)) == (
        "weights 2.0, gradients 0.3, moments 0.6, activations 0.0 MB"
    )


def test_what_it_refuses(tiny: TextClassifier, examples: Examples) -> None:
    with pytest.raises(ValueError, match="examples must hold one batch"):
        step_memory(tiny, [])
    tiny.requires_grad_(False)
    with pytest.raises(ValueError, match="model must have a trainable parameter"):
        step_memory(tiny, examples[:2])
