"""Likelihood of replies: shared prompts read once must give what one pair at a time gives."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from course_lib.generation.language_model import LanguageModel
from course_lib.generation.likelihood import grouped, may_see, mean_log_likelihoods, segments


def test_pairs_with_one_prompt_are_grouped() -> None:
    groups = grouped([((1, 2), (7,)), ((3,), (7,)), ((1, 2), (8,)), ((1, 2), (7,))])
    assert groups == {(1, 2): {(7,): [0, 3], (8,): [2]}, (3,): {(7,): [1]}}


def test_every_reply_stands_right_after_the_prompt() -> None:
    tokens, positions, numbers = segments((5, 6, 7), [(1, 2), (3,)])
    assert tokens == [5, 6, 7, 1, 2, 3]
    assert positions == [0, 1, 2, 3, 4, 3]  # the second reply begins where the first one did
    assert numbers == [0, 0, 0, 1, 1, 2]


def test_a_reply_sees_the_prompt_and_itself_only() -> None:
    seen = may_see(torch.tensor([[0, 0, 1, 1, 2, -1]]))[0, 0].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],  # reply 2 does not see reply 1
        [0, 0, 0, 0, 0, 1],  # padding sees itself, so that no row is empty
    ]


@pytest.fixture(scope="module")
def small() -> Any:
    """A tiny model with random weights: exact in float32, and quick."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def plain(model: Any, prompt: tuple[int, ...], reply: tuple[int, ...]) -> float:
    with torch.inference_mode():
        log_p = model(input_ids=torch.tensor([[*prompt, *reply]])).logits[0].log_softmax(dim=-1)
    return float(sum(log_p[len(prompt) - 1 + i, token] for i, token in enumerate(reply)) / len(reply))


@pytest.mark.parametrize("batch_tokens", [1, 20, 4096])
def test_equal_to_one_pair_at_a_time(small: Any, batch_tokens: int) -> None:
    prompts = [(1, 2, 3, 4, 5, 6, 7), (9, 8), (11, 12, 13, 14)]
    replies = [(20, 21, 22), (30,), (40, 41, 42, 43, 44), (20, 22, 21)]
    pairs = [(prompt, reply) for reply in replies for prompt in prompts] + [(prompts[0], replies[0])]
    together = mean_log_likelihoods(small, pairs, batch_tokens=batch_tokens)
    assert together == pytest.approx([plain(small, *pair) for pair in pairs], abs=1e-5)


def test_one_reply_a_prompt_takes_no_mask(small: Any) -> None:
    pairs = [((1, 2, 3), (4, 5)), ((6,), (7, 8, 9))]
    assert mean_log_likelihoods(small, pairs) == pytest.approx([plain(small, *pair) for pair in pairs], abs=1e-5)
    assert mean_log_likelihoods(small, []).shape == (0,)


def test_a_shared_prompt_is_read_once(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    forward = small.model.forward

    def counting(*args: Any, **kwargs: Any) -> Any:
        read.append(kwargs["input_ids"].numel())
        return forward(*args, **kwargs)

    monkeypatch.setattr(small.model, "forward", counting)
    prompt = tuple(range(1, 31))
    mean_log_likelihoods(small, [(prompt, (token,)) for token in range(40, 46)])
    assert sum(read) == 36  # 30 + 6, where one pair at a time would read 6 * 31


@pytest.mark.parametrize(
    ("pair", "words"),
    [(((), (1,)), "pair 0 lacks one"), (((1,), ()), "pair 0 lacks one"), (((1,) * 60, (2,) * 5), "64 tokens")],
)
def test_bad_pairs(small: Any, pair: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mean_log_likelihoods(small, [pair])


def test_the_course_model_agrees_in_float32(language_model: LanguageModel) -> None:
    model = copy.copy(language_model.model)
    exact = LanguageModel(language_model.tokenizer, copy.deepcopy(model).float())
    conversations = [[{"role": "user", "content": text}] for text in ("A meter is read each May.", "Spain won.")]
    replies = ["When is the meter read?", "Who won the final?"]
    values = exact.mean_log_likelihoods([(talk, reply) for talk in conversations for reply in replies])
    apart = [exact.mean_log_likelihood([talk], reply)[0] for talk in conversations for reply in replies]
    assert values == pytest.approx(apart, abs=1e-4)
    assert values[0] > values[2] and values[3] > values[1]  # each question is likelier after its own passage
    with pytest.raises(ValueError, match="reply must hold at least one token"):
        exact.mean_log_likelihoods([(conversations[0], " ")])
