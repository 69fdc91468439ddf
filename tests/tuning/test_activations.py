"""Kept activations: the same losses to rounding, the lower layers read once, and as many bytes as it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.tuning.activations import CachedActivations, frozen_layers
from course_lib.tuning.freezing import freeze
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.training import TrainingSettings, evaluate, train

Make = Callable[..., TextClassifier]
Examples = list[tuple[str, str]]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("lowest", [1, 2, 3])
def test_the_same_losses_to_rounding(lowest: int, pooling: str, make_tiny: Make, examples: Examples) -> None:
    runs = []
    for cache in (True, False):
        model = make_tiny(pooling=pooling)
        freeze(model, lowest)
        settings = TrainingSettings(learning_rate=0.01, epochs=3, batch_size=4, cache=cache)
        runs.append((train(model, examples, settings, validation=examples[:7]), evaluate(model, examples)))
    (kept, kept_after), (read, read_after) = runs
    assert (kept.cached_layers, read.cached_layers) == (lowest, 0)
    np.testing.assert_allclose(kept.losses, read.losses, rtol=2e-4)
    np.testing.assert_allclose([v.loss for v in kept.validation], [v.loss for v in read.validation], rtol=2e-4)
    assert kept_after == pytest.approx(read_after, rel=1e-3)


@pytest.mark.parametrize("lowest", [1, 2, 3])
def test_the_same_logits(lowest: int, tiny: TextClassifier, examples: Examples) -> None:
    freeze(tiny, lowest)
    reader = CachedActivations(tiny)
    inputs, labels = reader.collate(reader.encode(examples))
    expected, numbers = tiny.collate(tiny.encode(examples))
    torch.testing.assert_close(reader(**inputs), tiny(**expected), rtol=1e-5, atol=1e-6)
    assert torch.equal(labels, numbers)


def test_frozen_layers_are_read_once_a_text(tiny: TextClassifier, examples: Examples) -> None:
    freeze(tiny, 2)
    seen = {"lower": 0, "upper": 0}

    def count(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
            seen[name] += len(arguments[0])

        return hook

    tiny.encoder.encoder.layer[1].register_forward_pre_hook(count("lower"))
    tiny.encoder.encoder.layer[2].register_forward_pre_hook(count("upper"))
    train(tiny, examples, TrainingSettings(epochs=4, batch_size=4))
    assert seen == {"lower": 26, "upper": 4 * 26}


def test_the_head_alone_keeps_one_vector_a_text(tiny: TextClassifier, examples: Examples) -> None:
    n_tokens = sum(len(row["input_ids"]) for row in tiny.encode(examples))
    reader = CachedActivations(freeze(tiny, 3))  # type: ignore[arg-type]
    assert {row["hidden"].shape for row in reader.encode(examples)} == {(24,)} and reader.n_bytes == 26 * 24 * 4
    reader = CachedActivations(freeze(tiny, 2))  # type: ignore[arg-type]
    assert all(row["hidden"].shape == (row["n_tokens"], 24) for row in reader.encode(examples))
    assert reader.n_bytes == n_tokens * 24 * 4


def test_a_layer_that_trains_is_not_kept(tiny: TextClassifier) -> None:
    assert frozen_layers(freeze(tiny, 2)) == 2 and frozen_layers(freeze(tiny, 3)) == 3
    assert frozen_layers(freeze(tiny, 0)) == 0 and frozen_layers(freeze(tiny, 0, embeddings=False)) == 0
    freeze(tiny, 3)
    tiny.encoder.encoder.layer[1].output.LayerNorm.bias.requires_grad_(True)  # one bias in the second layer
    assert frozen_layers(tiny) == 1
    freeze(tiny, 2)
    tiny.encoder.encoder.distances = nn.Parameter(torch.zeros(3))  # shared by all layers, and it learns
    assert frozen_layers(tiny) == 0
    tiny.encoder.encoder.distances.requires_grad_(False)
    assert frozen_layers(tiny) == 2 and frozen_layers(nn.Linear(2, 3)) == 0
    freeze(tiny, 0)
    with pytest.raises(ValueError, match="at least one frozen layer above them"):
        CachedActivations(tiny)


def test_dropout_and_unfreezing_need_every_reading(make_tiny: Make, examples: Examples) -> None:
    for change in ({"dropout": True}, {"unfreeze": 1}, {"cache": False}):
        model = freeze(make_tiny(dropout=0.2), 3)
        settings = TrainingSettings(epochs=1, batch_size=8, **change)  # type: ignore[arg-type]
        assert train(model, examples, settings).cached_layers == 0


def test_the_model_is_whole_afterwards(tiny: TextClassifier, examples: Examples) -> None:
    names = list(dict(tiny.named_modules()))
    freeze(tiny, 2)
    tiny.train()
    reader = CachedActivations(tiny)
    reader.encode(examples)
    assert tiny.training and list(dict(tiny.named_modules())) == names and len(tiny.encoder.encoder.layer) == 3
