"""The prompt cache: what is shared, what it weighs, who goes first, and whose keys and values they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from course_lib.generation.prompt_cache import (
    Entry,
    PromptCache,
    alike,
    fingerprint,
    kv_bytes_per_token,
    require_full_attention,
    shared_beginning,
    shared_length,
)

PROMPT = st.lists(st.integers(0, 2), max_size=6)


def entry(*tokens: int, mark: str = "m", n_numbers: int = 4) -> Entry:
    """An entry of one layer whose keys and values take 2 x n_numbers x 4 bytes a token."""
    part = torch.zeros(1, 1, len(tokens), n_numbers)
    return Entry(mark, tokens, ((part, part.clone()),))


@pytest.fixture(scope="module")
def small() -> Any:
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def test_what_two_prompts_share() -> None:
    assert shared_length([5, 6, 7, 8], [5, 6, 9, 8]) == 2  # the equal 8 after the difference does not count
    assert shared_length([5, 6], [5, 6, 7]) == 2 and shared_length([], [1]) == 0 == shared_length([1], [2])


@given(st.lists(PROMPT, min_size=1, max_size=5))
def test_what_many_share_is_the_longest_that_all_begin_with(prompts: list[list[int]]) -> None:
    shared = list(shared_beginning(prompts))
    assert all(prompt[: len(shared)] == shared for prompt in prompts)
    longer = len(shared) + 1
    assert any(len(p) < longer for p in prompts) or len({tuple(p[:longer]) for p in prompts}) > 1


def test_no_prompts_share_nothing() -> None:
    with pytest.raises(ValueError, match="at least one prompt"):
        shared_beginning([])


def test_prompts_that_begin_alike_are_grouped() -> None:
    """Prompts 0 and 2 share 3 of 4 tokens, 1 and 4 share 2 of 3; 3 shares nothing."""
    prompts = [[1, 2, 3, 4], [7, 8, 1], [1, 2, 3, 9], [5], [7, 8, 2, 2]]
    assert alike(prompts) == [[0, 2], [1, 4], [3]]
    assert alike([]) == [] and alike([[1, 2]]) == [[0]]
    assert alike([[1, 2, 3, 4, 5], [1, 6, 7, 8, 9]]) == [[0], [1]]  # one of five: a system prompt, say


@given(st.lists(PROMPT, max_size=7))
def test_grouping_loses_nothing(prompts: list[list[int]]) -> None:
    assert sorted(i for group in alike(prompts) for i in group) == list(range(len(prompts)))


def test_bytes_by_hand(small: Any) -> None:
    """Keys and values (2) x 3 layers x 2 key-value heads x head size 24 / 4 = 6 x 4 bytes = 288."""
    assert kv_bytes_per_token(small.config, bytes_per_number=4) == 288
    assert kv_bytes_per_token(small.config) == 144


@pytest.mark.parametrize("n_tokens", [1, 17])
def test_bytes_measured_equal_the_formula(small: Any, n_tokens: int) -> None:
    with torch.inference_mode():
        cache = small(input_ids=torch.ones(1, n_tokens, dtype=torch.long), use_cache=True).past_key_values
    kept = Entry("m", (1,) * n_tokens, tuple((layer.keys, layer.values) for layer in cache.layers))
    assert kept.n_bytes == n_tokens * kv_bytes_per_token(small.config, bytes_per_number=4)


def test_a_sliding_window_is_refused() -> None:
    config = LlamaConfig()
    config.layer_types = ["full_attention", "sliding_attention"]
    with pytest.raises(ValueError, match="whole context in every layer, but has layers of sliding_attention"):
        require_full_attention(config)
    with pytest.raises(ValueError, match="whole context"):
        kv_bytes_per_token(config)


@pytest.mark.parametrize("n_tokens", [1, 5, 9])
def test_going_on_from_an_entry_gives_the_logits_of_the_whole(small: Any, n_tokens: int) -> None:
    tokens = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6, 5, 35, 8, 9]])
    with torch.inference_mode():
        whole = small(input_ids=tokens).logits[0, -1]
        begun = small(input_ids=tokens[:, :9], use_cache=True).past_key_values
        kept = Entry("m", tuple(tokens[0, :9].tolist()), tuple((x.keys, x.values) for x in begun.layers))
        before = [keys.clone() for keys, _ in kept.layers]
        for _ in range(2):  # a second time: the first must not have written into the entry
            rest = small(input_ids=tokens[:, n_tokens:], past_key_values=kept.cache(n_tokens), logits_to_keep=1)
            assert torch.allclose(rest.logits[0, -1], whole, atol=1e-5)
    assert all(torch.equal(keys, old) for (keys, _), old in zip(kept.layers, before, strict=True))
    assert kept.n_bytes == 9 * kv_bytes_per_token(small.config, bytes_per_number=4)


@pytest.mark.parametrize("n_tokens", [0, 4])
def test_an_entry_gives_no_more_than_it_has(n_tokens: int) -> None:
    with pytest.raises(ValueError, match=f"between 1 and the entry's 3, got {n_tokens}"):
        entry(1, 2, 3).cache(n_tokens)


def test_the_longest_beginning_is_found() -> None:
    cache = PromptCache()
    for tokens in ((1, 2), (1, 2, 3, 4), (9,)):
        cache.keep(entry(*tokens))
    found, length = cache.longest("m", (1, 2, 3, 7))
    assert found is not None and found.tokens == (1, 2, 3, 4) and length == 3
    assert cache.longest("m", (8, 1, 2)) == (None, 0) == cache.longest("another model", (1, 2, 3))


def test_the_least_recently_used_goes_first() -> None:
    """A token takes 32 bytes, so 192 bytes hold six: (1,1) is used again, so (2,2) has to go for (4,4)."""
    cache = PromptCache(limit_bytes=192)
    for tokens in ((1, 1), (2, 2), (3, 3)):
        assert cache.keep(entry(*tokens))
    assert cache.n_bytes == 192
    cache.longest("m", (1, 1, 5))
    assert cache.keep(entry(4, 4))
    assert [each.tokens for each in cache.entries] == [(3, 3), (1, 1), (4, 4)] and cache.n_evicted == 1
    assert cache.n_bytes <= cache.limit_bytes


def test_what_is_larger_than_the_limit_is_not_kept_and_drives_nobody_out() -> None:
    cache = PromptCache(limit_bytes=96)
    cache.keep(entry(1, 2))
    assert not cache.keep(entry(5, 6, 7, 8)) and len(cache) == 1 and cache.n_evicted == 0


def test_a_beginning_of_the_new_entry_has_nothing_of_its_own() -> None:
    cache = PromptCache()
    for kept in (entry(1, 2), entry(1, 2, mark="other"), entry(1, 3), entry(1, 2, 3)):
        cache.keep(kept)
    assert [(each.mark, each.tokens) for each in cache.entries] == [("other", (1, 2)), ("m", (1, 3)), ("m", (1, 2, 3))]
    cache.clear()
    assert len(cache) == 0 == cache.n_bytes


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="limit_bytes must be at least 1, got 0"):
        PromptCache(limit_bytes=0)


def test_another_number_in_the_weights_is_another_model(small: Any) -> None:
    before = fingerprint(small)
    assert fingerprint(small) == before
    weight = small.model.layers[0].self_attn.v_proj.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[0, 0] += 0.5
    assert fingerprint(small) != before
    with torch.no_grad():
        weight.copy_(kept)
    assert fingerprint(small) == before


def test_a_model_in_training_has_no_name(small: Any) -> None:
    small.train()
    try:
        with pytest.raises(ValueError, match="evaluation mode"):
            fingerprint(small)
    finally:
        small.eval()
