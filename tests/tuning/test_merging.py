"""Merged equals unmerged, and the way back is exact."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lora_toys import BERT_TARGETS, LLAMA_TARGETS, bert, bits, calm, in_peft, llama, output, same_bits, shake, tokens
from torch import nn

from course_lib.tuning.lora import add_lora, lora_layers, trainable_parameters
from course_lib.tuning.merging import merge, merged_weight, remove_lora, unmerge

MODELS = [(bert, BERT_TARGETS), (llama, LLAMA_TARGETS)]


def test_merged_weight_by_hand() -> None:
    weight, update = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, -3.0]])
    assert merged_weight(weight, update).tolist() == [[1.5, -1.0]]
    assert weight.tolist() == [[1.0, 2.0]]
    # bfloat16 has 8 significant bits: from 1 upwards its steps are 1/128, so 1 + 1/512 is 1 and 1 + 1/100 is 1 + 1/128
    small = merged_weight(torch.ones(1, 2, dtype=torch.bfloat16), torch.tensor([[1 / 512, 1 / 100]]))
    assert small.dtype is torch.bfloat16 and small.tolist() == [[1.0, 1 + 1 / 128]]


@pytest.mark.parametrize(("make", "targets"), MODELS)
@pytest.mark.parametrize("rslora", [False, True])
def test_merged_equals_unmerged_and_the_way_back_is_exact(make: Any, targets: Any, rslora: bool) -> None:
    model, ids = make(), tokens()
    plain, before = output(model, ids), bits(model)
    shake(add_lora(model, 5, 10, targets=targets, rslora=rslora))
    adapted = output(model, ids)
    assert (adapted - plain).abs().max() > 0.1
    assert merge(model) is model
    assert not same_bits(bits(model), before)
    torch.testing.assert_close(output(model, ids), adapted, rtol=1e-4, atol=1e-5)
    assert unmerge(model) is model
    assert same_bits(bits(model), before)
    assert torch.equal(output(model, ids), adapted)


def test_subtracting_would_not_bring_back_the_bits() -> None:
    """The reason for the copy."""
    model = shake(add_lora(llama(), 5, 10, targets=LLAMA_TARGETS))
    layers = lora_layers(model).values()
    merged = [merged_weight(layer.base.weight, layer.update()) for layer in layers]
    back = [weight - layer.update() for weight, layer in zip(merged, layers, strict=True)]
    assert not all(torch.equal(one, layer.base.weight) for one, layer in zip(back, layers, strict=True))


def test_equal_to_peft_merged() -> None:
    ours, theirs, ids = (
        shake(add_lora(llama(), 5, 10, targets=LLAMA_TARGETS)),
        in_peft(llama(), LLAMA_TARGETS),
        tokens(),
    )
    named = dict(theirs.named_parameters())
    with torch.no_grad():
        for path, layer in lora_layers(ours).items():
            named[f"base_model.model.{path}.lora_A.default.weight"].copy_(layer.A)
            named[f"base_model.model.{path}.lora_B.default.weight"].copy_(layer.B)
    with calm():
        plain = theirs.merge_and_unload()
    mine = remove_lora(merge(ours))
    assert [name for name, _ in mine.named_parameters()] == [name for name, _ in plain.named_parameters()]
    for (name, one), other in zip(mine.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=lambda text, n=name: f"{n}: {text}")
    torch.testing.assert_close(output(mine, ids), output(plain, ids), rtol=1e-5, atol=1e-6)


def test_what_is_merged_does_not_learn_until_it_is_unmerged() -> None:
    model = add_lora(bert(), 4, 8, targets=BERT_TARGETS)
    first = next(iter(lora_layers(model).values()))
    first.A.requires_grad_(False)
    merge(model)
    with pytest.raises(ValueError, match="add_lora first, or unmerge"):
        trainable_parameters(model)
    unmerge(model)
    assert not first.A.requires_grad and first.B.requires_grad
    assert len(trainable_parameters(model)) == 2 * 6 - 1


def test_remove_gives_back_plain_layers() -> None:
    model, ids = bert(), tokens()
    plain, before, kinds = output(model, ids), bits(model), [type(module) for module in model.modules()]
    shake(add_lora(model, 4, 8, targets=BERT_TARGETS))
    assert remove_lora(model) is model
    assert [type(module) for module in model.modules()] == kinds
    assert same_bits(bits(model), before) and torch.equal(output(model, ids), plain)
    shake(add_lora(model, 4, 8, targets=BERT_TARGETS))
    adapted = output(model, ids)
    layers = list(lora_layers(merge(model)).values())
    remove_lora(model)
    assert [type(module) for module in model.modules()] == kinds and all(layer.kept is None for layer in layers)
    torch.testing.assert_close(output(model, ids), adapted, rtol=1e-4, atol=1e-5)


def test_order_of_steps_is_kept() -> None:
    model = shake(add_lora(bert(), 4, 8, targets=BERT_TARGETS))
    with pytest.raises(ValueError, match="must be merged to be unmerged"):
        unmerge(model)
    merged = bits(merge(model))
    with pytest.raises(ValueError, match=r"must not be merged yet, but encoder\.layer\.0"):
        merge(model)
    assert same_bits(bits(model), merged)
    for act in (merge, unmerge, remove_lora):
        with pytest.raises(ValueError, match="must have LoRA layers, this BertModel has none"):
            act(bert())


def test_a_shared_matrix_is_not_merged() -> None:
    model = shake(add_lora(llama(), 4, 8, targets=["q_proj", "lm_head"]))
    before = bits(model)
    with pytest.raises(ValueError, match="lm_head must have weights of its own .*embed_tokens"):
        merge(model)
    assert same_bits(bits(model), before) and not any(layer.merged for layer in lora_layers(model).values())


def test_bfloat16_comes_back_bit_for_bit_too() -> None:
    model = llama().to(torch.bfloat16)
    before = bits(model)
    shake(add_lora(model, 4, 8, targets=LLAMA_TARGETS))
    unmerge(merge(model))
    assert same_bits(bits(model), before)


def test_merging_does_not_hang_on_train_or_eval() -> None:
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh()), torch.ones(2, 3)
    shake(add_lora(model, 2, 4, targets=["0"]))
    weight = model[0].base.weight.clone()
    model.eval()
    model.train()
    assert torch.equal(model[0].base.weight, weight) and not model[0].merged
    merge(model).train()
    assert model[0].merged and model(x).shape == (2, 4)
