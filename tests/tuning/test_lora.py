"""The layer by hand, placement, and peft as the oracle: same output, same gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lora_toys import BERT_TARGETS, LLAMA_TARGETS, bert, bits, in_peft, llama, output, same_bits, shake, tokens
from torch import nn

from course_lib.tuning.lora import (
    LoRALinear,
    add_lora,
    lora_layers,
    lora_size,
    matching,
    trainable_parameters,
)

MODELS = [(bert, BERT_TARGETS), (llama, LLAMA_TARGETS)]


def linear_layer(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def test_layer_by_hand() -> None:
    layer = LoRALinear(linear_layer([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]], [0.5, 0.0]), rank=1, alpha=3)
    with torch.no_grad():
        layer.A.copy_(torch.tensor([[1.0, 2.0, 0.0]]))
        layer.B.copy_(torch.tensor([[2.0], [-1.0]]))
    # x = (1, 1, 1): base gives (3.5, 1); A x = 3; B 3 = (6, -3); times alpha / rank = 3: (18, -9); sum (21.5, -8)
    assert layer(torch.ones(3)).tolist() == [21.5, -8.0]
    assert layer.update().tolist() == [[6.0, 12.0, 0.0], [-3.0, -6.0, 0.0]]


def test_scaling() -> None:
    base = nn.Linear(6, 5)
    assert LoRALinear(base, 4, 8).scaling == 2
    assert LoRALinear(base, 4, 8, rslora=True).scaling == 4
    with torch.no_grad():
        one, half = LoRALinear(base, 4, 8), LoRALinear(base, 4, 4)
        one.B.fill_(0.25)
        half.B.fill_(0.25)
    x = torch.randn(7, 6)
    torch.testing.assert_close(one(x) - base(x), 2 * (half(x) - base(x)))


@pytest.mark.parametrize(("make", "targets"), MODELS)
def test_wrapping_changes_nothing(make: Any, targets: Any) -> None:
    model, ids = make(), tokens()
    before, weights = output(model, ids), bits(model)
    assert add_lora(model, 4, 8, targets=targets) is model
    assert torch.equal(output(model, ids), before)
    assert same_bits(bits(model), weights)
    assert all(torch.count_nonzero(layer.B) == 0 for layer in lora_layers(model).values())


def test_a_is_drawn_within_its_bound_and_from_the_seed() -> None:
    def first(seed: int) -> torch.Tensor:
        layers = lora_layers(add_lora(llama(), 4, 8, targets=LLAMA_TARGETS, seed=seed))
        return torch.cat([layer.A.detach().flatten() for layer in layers.values()])

    torch.manual_seed(1)
    a = first(3)
    state = torch.random.get_rng_state()
    assert torch.equal(a, first(3)) and not torch.equal(a, first(4))
    torch.manual_seed(9)
    assert torch.equal(a, first(3))
    bound = 1 / math.sqrt(24)
    assert a.abs().max() <= bound and a.abs().max() > 0.95 * bound  # uniform, as kaiming_uniform_(a=sqrt(5)) draws it
    assert a.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert state.shape == torch.random.get_rng_state().shape


def test_making_layers_leaves_the_global_generator_alone() -> None:
    model = llama()
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    add_lora(model, 4, 8, targets=LLAMA_TARGETS)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("make", "targets"), MODELS)
@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-3), (torch.float64, 1e-10)])
def test_equal_to_peft(make: Any, targets: Any, rslora: bool, dtype: torch.dtype, near: float) -> None:
    ours, ids = shake(add_lora(make(), 5, 10, targets=targets, rslora=rslora)).to(dtype), tokens()
    theirs = in_peft(make(), targets, use_rslora=rslora).to(dtype)
    named = dict(theirs.named_parameters())
    partners = {}
    for path, layer in lora_layers(ours).items():
        for side, value in (("A", layer.A), ("B", layer.B)):
            partner = named[f"base_model.model.{path}.lora_{side}.default.weight"]
            partner.data.copy_(value.data)
            partners[f"{path}.{side}"] = (value, partner)
    assert len(partners) == sum(value.requires_grad for value in named.values())  # placed where peft places
    mine, other = output(ours, ids), output(theirs, ids)
    torch.testing.assert_close(mine, other, rtol=near, atol=near)
    weight = torch.randn(mine.shape, generator=torch.Generator().manual_seed(6), dtype=dtype)
    (mine * weight).sum().backward()
    (other * weight).sum().backward()
    for name, (value, partner) in partners.items():
        assert value.grad is not None and torch.count_nonzero(value.grad), name
        torch.testing.assert_close(
            value.grad, partner.grad, rtol=near, atol=10 * near, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize(
    "targets",
    [["query"], ["encoder.layer.1.attention.self.value", "key"], r".*layer\.[02]\..*(query|value)", ["dense"]],
)
def test_placed_where_peft_places(targets: Any) -> None:
    theirs = in_peft(bert(), targets)
    expected = {
        name.removeprefix("base_model.model.").removesuffix(".lora_A.default")
        for name, _ in theirs.named_modules()
        if name.endswith(".lora_A.default")
    }
    assert set(matching(bert(), targets)) == expected
    assert set(lora_layers(add_lora(bert(), 5, 10, targets=targets))) == expected


@pytest.mark.parametrize(("make", "targets"), MODELS)
def test_training_moves_a_and_b_alone_and_can_learn_one_batch_by_heart(make: Any, targets: Any) -> None:
    model, ids = add_lora(make(), 4, 8, targets=targets), tokens(4, 6)
    weights = bits(model)
    before = [value.detach().clone() for value in trainable_parameters(model)]
    goal = torch.arange(5, 9)  # each text a class of its own
    optimizer = torch.optim.AdamW(trainable_parameters(model), lr=2e-2)
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(output(model, ids)[:, -1], goal)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 5
    assert torch.equal(output(model, ids)[:, -1].argmax(1), goal)
    assert same_bits(bits(model), weights)
    assert all(value.grad is None for name, value in model.named_parameters() if not name.endswith((".A", ".B")))
    after = trainable_parameters(model)
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


@given(
    rank=st.integers(1, 9),
    d_in=st.integers(1, 12),
    d_out=st.integers(1, 12),
    alpha=st.floats(0.5, 64),
    n=st.integers(0, 4),
)
def test_update_has_the_rank_and_the_count_that_it_says(rank: int, d_in: int, d_out: int, alpha: float, n: int) -> None:
    layer = LoRALinear(nn.Linear(d_in, d_out), rank, alpha)
    assert sum(value.numel() for value in trainable_parameters([layer])) == lora_size(d_in, d_out, rank)
    rng = torch.Generator().manual_seed(rank)
    with torch.no_grad():
        layer.B.copy_(torch.randn(layer.B.shape, generator=rng))
    assert torch.linalg.matrix_rank(layer.update(), rtol=1e-4) <= min(rank, d_in, d_out)
    x = torch.randn(n, d_in, generator=rng)
    expected = nn.functional.linear(x, layer.base.weight + layer.update(), layer.base.bias)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4 * alpha)


def test_count_of_a_model_by_the_formula() -> None:
    model = add_lora(llama(), 3, 6, targets=LLAMA_TARGETS)
    # per layer q and o: 24 -> 24, k and v: 24 -> 12 (two of four heads): 3 * (2 * 48 + 2 * 36) = 504; three layers
    assert sum(value.numel() for value in trainable_parameters(model)) == 1512
    assert 3 * (2 * lora_size(24, 24, 3) + 2 * lora_size(24, 12, 3)) == 1512
    assert sum(value.numel() for value in model.parameters() if value.requires_grad) == 1512


def test_dropout_drops_inputs_of_the_update_alone_and_only_in_training() -> None:
    layer, x = LoRALinear(nn.Linear(50, 3), 4, 8, dropout=0.5), torch.ones(2, 50)
    assert torch.equal(layer.train()(x), layer.base(x))  # B is zero: what is dropped of the update does not show
    with torch.no_grad():
        layer.B.fill_(1.0)
    torch.manual_seed(5)
    dropped = layer(x)
    torch.manual_seed(5)
    assert torch.equal(layer(x), dropped) and not torch.equal(layer(x), dropped)
    # by hand: the same mask, the kept inputs doubled
    torch.manual_seed(5)
    inputs = nn.functional.dropout(x, 0.5)
    assert set(inputs.unique().tolist()) == {0.0, 2.0}
    torch.testing.assert_close(dropped, layer.base(x) + inputs @ layer.A.T @ layer.B.T * 2)
    torch.testing.assert_close(layer.eval()(x), layer.base(x) + x @ layer.A.T @ layer.B.T * 2)


def test_a_and_b_stay_in_float32_beside_a_base_in_bfloat16() -> None:
    model, ids = add_lora(llama().to(torch.bfloat16), 4, 8, targets=LLAMA_TARGETS), tokens()
    made = output(shake(model), ids)
    made.float().pow(2).sum().backward()
    assert made.dtype is torch.bfloat16
    for value in trainable_parameters(model):
        assert value.dtype is torch.float32 and value.grad is not None and value.grad.dtype is torch.float32
    # a small update is not lost, as it would be in bfloat16, where 1 + 1/1024 is 1
    with torch.no_grad():
        value.fill_(1.0).add_(1 / 1024)
    assert value.flatten()[0] == 1 + 1 / 1024


def test_gradients_end_at_the_lowest_adapter() -> None:
    model, seen = add_lora(llama(), 4, 8, targets=r".*layers\.[12]\..*q_proj"), {}
    for number, layer in enumerate(model.model.layers):
        layer.register_forward_hook(lambda _m, _i, made, n=number: seen.__setitem__(n, made.requires_grad))
    output(model, tokens())
    assert seen == {0: False, 1: True, 2: True}


def test_what_lies_outside_the_model_stays_free() -> None:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.head = bert(), nn.Linear(24, 3)

    model = Classifier()
    add_lora(model.encoder, 2, 4, targets=BERT_TARGETS)
    free = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {"head.weight", "head.bias"} < free and all(name.startswith("head") or name[-1] in "AB" for name in free)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (["valeu"], "'valeu' matches nothing.*query"),
        (["query", "valeu"], "'valeu' matches nothing"),
        ("query", "'query' matches nothing as a whole path"),
        ("query(", "must be a regular expression"),
        ([], "'' matches nothing"),
    ],
)
def test_targets_that_match_nothing(targets: Any, words: str) -> None:
    model = bert()
    with pytest.raises(ValueError, match=words):
        add_lora(model, 4, 8, targets=targets)
    assert not lora_layers(model) and all(value.requires_grad for value in model.parameters())


def test_targets_that_are_not_linear() -> None:
    with pytest.raises(TypeError, match=r"word_embeddings.* must be an nn.Linear, got Embedding"):
        add_lora(bert(), 4, 8, targets=["word_embeddings"])
    with pytest.raises(TypeError, match="base must be an nn.Linear, got Embedding"):
        LoRALinear(nn.Embedding(3, 4), 1, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rank", "alpha", "dropout", "error", "words"),
    [
        (0, 8, 0.0, ValueError, "rank must be at least 1, got 0"),
        (-2, 8, 0.0, ValueError, "rank must be at least 1"),
        (2.0, 8, 0.0, TypeError, "rank must be a whole number"),
        (True, 8, 0.0, TypeError, "rank must be a whole number"),
        (4, 0, 0.0, ValueError, "alpha must be above 0"),
        (4, math.nan, 0.0, ValueError, "alpha must be above 0"),
        (4, math.inf, 0.0, ValueError, "alpha must be above 0"),
        (4, 8, 1.0, ValueError, "dropout must be at least 0 and below 1"),
        (4, 8, -0.1, ValueError, "dropout must be at least 0"),
    ],
)
def test_settings_that_make_no_sense(rank: Any, alpha: Any, dropout: float, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        LoRALinear(nn.Linear(3, 4), rank, alpha, dropout=dropout)
    model = bert()
    with pytest.raises(error, match=words):
        add_lora(model, rank, alpha, targets=["query"], dropout=dropout)
    assert not lora_layers(model) and all(value.requires_grad for value in model.parameters())


def test_twice_is_refused_and_nothing_to_train_is_said() -> None:
    model = add_lora(bert(), 4, 8, targets=["query"])
    with pytest.raises(ValueError, match="must not have LoRA layers yet, this one has 3"):
        add_lora(model, 4, 8, targets=["value"])
    assert len(lora_layers(model)) == 3
    with pytest.raises(ValueError, match="must have LoRA layers that learn"):
        trainable_parameters(bert())


def test_rank_above_the_sizes_is_allowed_and_shown() -> None:
    layer = LoRALinear(nn.Linear(3, 4), 9, 18)
    assert layer(torch.ones(2, 3)).shape == (2, 4)
    assert "rank=9, alpha=18, scaling=2" in repr(layer)
