"""Prompts decoded side by side over one beginning must say what each says alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from course_lib.generation.side_by_side import SHARED, decode_side_by_side, end_tokens, may_see_own

BEGINNING = [7, 3, 9, 11, 30, 2, 8]
RESTS = [[5], [6, 7, 8], [12, 5], [40, 41, 42, 43]]


@pytest.fixture(scope="module")
def small() -> Any:
    """A tiny model with large random weights, so that no two words tie."""
    torch.manual_seed(11)
    config = LlamaConfig(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.7, eos_token_id=49,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def begun(model: Any) -> Any:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([BEGINNING]), use_cache=True).past_key_values


def alone(model: Any, prompt: list[int], n: int) -> list[int]:
    """Greedy by hand: the whole prompt is read again for every token."""
    tokens: list[int] = []
    with torch.inference_mode():
        while len(tokens) < n and not (tokens and tokens[-1] == 49):
            tokens.append(int(model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0, -1].argmax()))
    return tokens


def test_each_sees_the_beginning_and_itself() -> None:
    held, new = torch.tensor([SHARED, SHARED, 0, 1]), torch.tensor([0, 1, 1])
    assert may_see_own(held, new)[0, 0].int().tolist() == [
        [1, 1, 1, 0, 1, 0, 0],
        [1, 1, 0, 1, 0, 1, 0],
        [1, 1, 0, 1, 0, 1, 1],
    ]


@pytest.mark.parametrize("n_rests", [1, 2, 4])
def test_the_same_tokens_as_alone(small: Any, n_rests: int) -> None:
    expected = [alone(small, [*BEGINNING, *rest], 6) for rest in RESTS[:n_rests]]
    assert len({tuple(tokens) for tokens in expected}) == n_rests, "the prompts must tell the model apart"
    assert decode_side_by_side(small, begun(small), RESTS[:n_rests], max_new_tokens=6) == expected


def test_without_a_beginning(small: Any) -> None:
    from transformers import DynamicCache

    expected = [alone(small, rest, 4) for rest in RESTS]
    assert decode_side_by_side(small, DynamicCache(), RESTS, max_new_tokens=4) == expected


def test_one_that_has_ended_is_fed_no_more(small: Any) -> None:
    whole = decode_side_by_side(small, begun(small), RESTS, max_new_tokens=6)
    cache = begun(small)
    short = decode_side_by_side(small, cache, RESTS, max_new_tokens=6, ended=lambda row, tokens: row < 2)
    assert short == [whole[0][:1], whole[1][:1], whole[2], whole[3]]
    n_read = len(BEGINNING) + sum(map(len, RESTS)) + len(whole[2]) + len(whole[3]) - 2  # a reply's last is not read
    assert cache.get_seq_length() == n_read


def test_the_models_own_mark_ends_a_reply(small: Any) -> None:
    (first, *_) = decode_side_by_side(small, begun(small), RESTS[:1], max_new_tokens=6)
    small.generation_config.eos_token_id = [48, first[2]]
    try:
        assert end_tokens(small) == {48, first[2]}
        until = first[: first.index(first[2]) + 1]
        assert decode_side_by_side(small, begun(small), RESTS[:1], max_new_tokens=6) == [until]
        small.generation_config.eos_token_id = None
        assert end_tokens(small) == set()
    finally:
        small.generation_config.eos_token_id = 49


def test_an_empty_rest_predicts_nothing(small: Any) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        decode_side_by_side(small, begun(small), [[1], []], max_new_tokens=3)
