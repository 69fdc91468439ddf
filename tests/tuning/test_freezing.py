"""Freezing: parts by name, counts by hand, rates by layer, layers set free one after another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_lib.tuning.freezing import (
    count_layers,
    freeze,
    gradual_unfreezing,
    layer_groups,
    lowest_trainable,
    part_of,
    trainable_table,
)
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.training import TrainingSettings, train

Weights = Callable[[nn.Module], dict[str, torch.Tensor]]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("encoder.embeddings.word_embeddings.weight", "embeddings"),
        ("encoder.embeddings.LayerNorm.bias", "embeddings"),
        ("encoder.encoder.layer.0.attention.self.query.weight", "layer 1"),
        ("model.layers.11.mlp.up_proj.weight", "layer 12"),
        ("base_model.model.model.layers.2.self_attn.q_proj.lora_A.default.weight", "layer 3"),
        ("model.embed_tokens.weight", "embeddings"),
        ("wte.weight", "embeddings"),
        ("h.3.attn.c_attn.weight", "layer 4"),
        ("encoder.transformer.layer.5.ffn.lin1.weight", "layer 6"),
        ("model.norm.weight", "above the layers"),
        ("encoder.pooler.dense.weight", "above the layers"),
        ("head.weight", "head"),
        ("lm_head.weight", "head"),
    ],
)
def test_parts_by_name(name: str, part: str) -> None:
    assert part_of(name) == part


def free_parts(model: nn.Module) -> set[str]:
    return {part_of(name) for name, value in model.named_parameters() if value.requires_grad}


def test_freeze(tiny: TextClassifier) -> None:
    assert count_layers(tiny) == 3
    assert free_parts(freeze(tiny, 2)) == {"layer 3", "head"} and lowest_trainable(tiny) == 3
    assert free_parts(freeze(tiny, 3)) == {"head"} and lowest_trainable(tiny) == 4
    assert free_parts(freeze(tiny, 0)) == {"layer 1", "layer 2", "layer 3", "head"} and lowest_trainable(tiny) == 1
    assert "embeddings" in free_parts(freeze(tiny, 0, embeddings=False)) and lowest_trainable(tiny) == 0


def test_table_by_hand(tiny: TextClassifier) -> None:
    """dim 24, inner 40: a layer has 4 * (24 * 24 + 24) + (24 * 40 + 40) + (40 * 24 + 24) + 2 * 48 = 4,480 parameters."""
    freeze(tiny, 2)
    table = trainable_table(tiny)
    rows = {row.part: (row.n_parameters, row.n_trainable) for row in table.rows}
    assert rows["layer 1"] == (4480, 0) and rows["layer 3"] == (4480, 4480)
    assert rows["head"] == (3 * 24 + 3, 75) and rows["embeddings"][1] == 0
    assert [row.part for row in table.rows] == ["embeddings", "layer 1", "layer 2", "layer 3", "head"]
    assert table.n_trainable == 4555 and table.n_parameters == sum(value.numel() for value in tiny.parameters())
    assert "layer 3" in str(table) and f"{table.share:.2%}" in str(table)


def test_frozen_weights_stay_to_the_bit(
    tiny: TextClassifier, examples: list[tuple[str, str]], weights: Weights
) -> None:
    for cache in (True, False):
        before = weights(freeze(tiny, 2))
        train(tiny, examples, TrainingSettings(learning_rate=0.01, epochs=2, batch_size=4, cache=cache))
        for name, value in weights(tiny).items():
            frozen = part_of(name) in ("embeddings", "layer 1", "layer 2")
            assert torch.equal(value, before[name]) is frozen, name


def test_a_frozen_layer_that_is_not_frozen_would_be_seen(
    tiny: TextClassifier, examples: list[tuple[str, str]], weights: Weights
) -> None:
    before = weights(freeze(tiny, 0, embeddings=False))
    train(tiny, examples, TrainingSettings(learning_rate=0.01, epochs=1, batch_size=4))
    assert not torch.equal(
        weights(tiny)["encoder.embeddings.LayerNorm.weight"], before["encoder.embeddings.LayerNorm.weight"]
    )


def test_rates_by_layer(tiny: TextClassifier) -> None:
    freeze(tiny, 0, embeddings=False)
    rates = {group.name: group.learning_rate for group in layer_groups(tiny, 0.8, 0.5, head=3.0)}
    assert rates == {
        "embeddings": 0.1, "layer 1": 0.2, "layer 2": 0.4, "layer 3": 0.8, "head": 3.0,
        "embeddings, no decay": 0.1, "layer 1, no decay": 0.2, "layer 2, no decay": 0.4, "layer 3, no decay": 0.8,
        "head, no decay": 3.0,
    }  # fmt: skip
    assert {group.learning_rate for group in layer_groups(tiny, 0.8)} == {0.8}


def test_groups_decay_what_transformers_decays(tiny: TextClassifier) -> None:
    """The oracle: transformers' Trainer keeps weight decay from biases and norms."""
    from transformers.trainer_pt_utils import get_parameter_names

    freeze(tiny, 0, embeddings=False)
    theirs = set(get_parameter_names(tiny, [nn.LayerNorm], [r"bias", r"layernorm", r"(?:^|\.)norm(?:$|\.)"]))
    ours = {id(value) for group in layer_groups(tiny, 0.1) if group.decays for value in group.parameters}
    assert {name for name, value in tiny.named_parameters() if id(value) in ours} == theirs


@given(st.integers(0, 3), st.floats(0.1, 1.0))
def test_every_trainable_parameter_is_in_one_group(lowest: int, decay: float) -> None:
    model = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(2, 3) for _ in range(3)]), "head": nn.Linear(3, 5)})
    freeze(model, lowest)
    grouped = [id(value) for group in layer_groups(model, 0.1, decay) for value in group.parameters]
    assert sorted(grouped) == sorted(id(value) for value in model.parameters() if value.requires_grad)


def test_frozen_parameters_join_the_groups_when_they_will_be_free(tiny: TextClassifier) -> None:
    freeze(tiny, 3)
    assert len(layer_groups(tiny, 0.1)) == 2
    assert len(layer_groups(tiny, 0.1, frozen=True)) == 10


def test_gradual_unfreezing(tiny: TextClassifier) -> None:
    lowest = [lowest_trainable(gradual_unfreezing(tiny, epoch)) for epoch in range(6)]
    assert lowest == [4, 3, 2, 1, 0, 0]  # the head alone, then a layer more each epoch, the embeddings last
    assert lowest_trainable(gradual_unfreezing(tiny, 1, per_epoch=2)) == 2


def test_training_sets_layers_free_as_it_goes(
    tiny: TextClassifier, examples: list[tuple[str, str]], weights: Weights
) -> None:
    start, seen = weights(tiny), []

    def look(report: object) -> None:
        changed = {part_of(name) for name, value in weights(tiny).items() if not torch.equal(value, start[name])}
        seen.append(changed)

    settings = TrainingSettings(learning_rate=0.01, epochs=3, batch_size=13, warmup=0.0, unfreeze=1)
    result = train(tiny, examples, settings, on_step=look)
    assert seen == [
        {"head"}, {"head"}, {"head", "layer 3"}, {"head", "layer 3"},
        {"head", "layer 3", "layer 2"}, {"head", "layer 3", "layer 2"},
    ]  # fmt: skip
    assert result.cached_layers == 0


def test_bad_freezing(tiny: TextClassifier) -> None:
    for lowest in (4, -1, True, 1.0):
        with pytest.raises(ValueError, match="lowest must be a whole number between 0 and the model's 3 layers"):
            freeze(tiny, lowest)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="embeddings must be frozen, too, below 2 frozen layers"):
        freeze(tiny, 2, embeddings=False)
    with pytest.raises(ValueError, match="Linear shows none"):
        freeze(nn.Linear(2, 3), 1)
    with pytest.raises(ValueError, match="epoch must be at least 0"):
        gradual_unfreezing(tiny, -1)
    with pytest.raises(ValueError, match="per_epoch at least 1"):
        gradual_unfreezing(tiny, 1, per_epoch=0)
    for arguments in ((0.0, 1.0), (0.1, 0.0), (0.1, 1.5)):
        with pytest.raises(ValueError, match="learning_rate and head must be above 0"):
            layer_groups(tiny, *arguments)
    with pytest.raises(ValueError, match="learning_rate and head must be above 0"):
        layer_groups(tiny, 0.1, head=0.0)
    with pytest.raises(ValueError, match="must have parameters, ReLU has none"):
        trainable_table(nn.ReLU())
    with pytest.raises(ValueError, match="all are frozen"):
        lowest_trainable(tiny.requires_grad_(False))
