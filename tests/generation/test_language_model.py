"""The language model: the template, the counts, the limit, and the same answer every time."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from course_lib.generation.language_model import LanguageModel
from course_lib.generation.stopping import FIRST_SENTENCE, finished, stop_rules

TALK = [
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "What is the capital of France?"},
]


def test_the_prompt_letter_for_letter(language_model: LanguageModel) -> None:
    """SmolLM2's template, ChatML: each turn between two marks, and the assistant's opened."""
    assert language_model.prompt(TALK) == (
        "<|im_start|>system\nAnswer in one word.<|im_end|>\n"
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_the_template_adds_its_own_system_turn_where_there_is_none(language_model: LanguageModel) -> None:
    prompt = language_model.prompt(TALK[1:])
    assert prompt.startswith("<|im_start|>system\n") and prompt.count("<|im_start|>") == 3


def test_the_marks_are_one_token_each(language_model: LanguageModel) -> None:
    """If they were read as letters, the model would not know whose turn it is."""
    assert language_model.count_tokens("<|im_start|>") == language_model.count_tokens("<|im_end|>") == 1


def test_tokens_are_counted_without_hidden_ones(language_model: LanguageModel) -> None:
    assert language_model.count_tokens("") == 0
    assert language_model.count_tokens("Paris") == 1
    assert 3 <= language_model.count_tokens("The capital is Paris.") <= 6


def test_the_model_answers(language_model: LanguageModel) -> None:
    assert "Paris" in language_model.generate(TALK, max_new_tokens=8)


def test_the_same_prompt_gives_the_same_answer(language_model: LanguageModel) -> None:
    import torch

    torch.manual_seed(1)
    first = language_model.generate(TALK, max_new_tokens=6)
    torch.manual_seed(2)
    assert language_model.generate(TALK, max_new_tokens=6) == first


def test_the_answer_is_the_most_likely_word(language_model: LanguageModel) -> None:
    """Greedy by hand: run the model once over the prompt, take the largest logit of the last position."""
    import torch

    ids = language_model.tokenizer(language_model.prompt(TALK), return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        best = int(language_model.model(**ids).logits[0, -1].argmax())
    assert language_model.generate(TALK, max_new_tokens=1) == language_model.tokenizer.decode([best]).strip()


def test_max_new_tokens_ends_the_answer(language_model: LanguageModel) -> None:
    messages = [{"role": "user", "content": "Tell me a long story about a ship."}]
    short = language_model.generate(messages, max_new_tokens=5)
    assert 1 <= language_model.count_tokens(short) <= 5
    assert language_model.generate(messages, max_new_tokens=10).startswith(short)


def test_the_prompt_does_not_come_back(language_model: LanguageModel) -> None:
    answer = language_model.generate(TALK, max_new_tokens=12)
    assert "<|im_" not in answer and "capital of France?" not in answer
    assert answer == answer.strip()


def test_messages_are_left_as_they_were(language_model: LanguageModel) -> None:
    before = [dict(message) for message in TALK]
    language_model.generate(TALK, max_new_tokens=1)
    assert before == TALK


def test_what_does_not_fit_is_refused(language_model: LanguageModel) -> None:
    """8,192 tokens: "word " is one token, so 9,000 of them are too many; nothing is cut in silence."""
    messages = [{"role": "user", "content": "word " * 9000}]
    with pytest.raises(
        ValueError, match=r"prompt and answer must fit into 8192 tokens, got 90\d\d \+ 48; pass fewer or shorter"
    ):
        language_model.generate(messages)


@pytest.mark.parametrize(("room", "fits"), [(0, True), (-1, False)])
def test_the_limit_to_the_token(room: int, fits: bool, language_model: LanguageModel) -> None:
    """Prompt and answer fill the context exactly, or are one token over it."""
    n_tokens = language_model.count_tokens(language_model.prompt(TALK))

    class Narrow:
        """The real model, said to have a context of just so many tokens."""

        config = SimpleNamespace(max_position_embeddings=n_tokens + 4 + room)

        def generate(self, **options: Any) -> Any:
            return language_model.model.generate(**options)

    narrow = LanguageModel(language_model.tokenizer, Narrow())
    if fits:
        assert narrow.generate(TALK, max_new_tokens=4) == language_model.generate(TALK, max_new_tokens=4)
    else:
        with pytest.raises(ValueError, match=rf"got {n_tokens} \+ 4"):
            narrow.generate(TALK, max_new_tokens=4)


# ---------------------------------------------------------------- several at once


TALKS = [
    TALK,
    [{"role": "user", "content": "Name a colour."}],
    [
        {"role": "system", "content": "You are a gardener who speaks briefly."},
        {"role": "user", "content": "When should I plant tulips, and how deep do their bulbs go into the ground?"},
    ],
    [{"role": "user", "content": "Count to five."}],
    [{"role": "user", "content": "What is the capital of Italy? One word."}],
]


@pytest.fixture(scope="module")
def small_model(language_model: LanguageModel) -> LanguageModel:
    """The real tokenizer over a tiny Llama with random weights in float32: large ones, so that no two words tie."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(language_model.tokenizer),
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        max_position_embeddings=128,
        initializer_range=0.7,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    return LanguageModel(language_model.tokenizer, LlamaForCausalLM(config).eval())


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_in_float32_several_at_once_say_what_each_says_alone(batch_size: int, small_model: LanguageModel) -> None:
    """Prompts of five lengths: a wrong mask, a wrong position or a wrong order would change what a row says."""
    alone = [small_model.generate(talk, max_new_tokens=7) for talk in TALKS]
    assert len(set(alone)) == len(alone), "the prompts must tell the model apart, or this test says nothing"
    assert small_model.generate_many(TALKS, max_new_tokens=7, batch_size=batch_size) == alone


def test_the_real_model_several_at_once(language_model: LanguageModel) -> None:
    """In bfloat16 a close choice may fall otherwise, but hardly: what is said in the batch is nearly as likely alone."""
    alone = [language_model.generate(talk, max_new_tokens=6) for talk in TALKS]
    together = language_model.generate_many(TALKS, max_new_tokens=6, batch_size=3)
    for talk, one, other in zip(TALKS, alone, together, strict=True):
        first, second = (language_model.mean_log_likelihood([talk], reply)[0] for reply in (one, other))
        assert abs(first - second) < 0.2, (one, other)
    assert "Paris" in together[0] and "Rome" in together[4]


def test_several_at_once_end_where_they_end(language_model: LanguageModel) -> None:
    """A short answer of a batch is not filled up while a longer one goes on."""
    short, long = language_model.generate_many(
        [TALK, [{"role": "user", "content": "Tell me a long story about a ship."}]], max_new_tokens=12
    )
    assert language_model.count_tokens(short) < 12 <= language_model.count_tokens(long) + 1
    assert "<|" not in short + long


def test_nothing_to_say_to_nobody(language_model: LanguageModel) -> None:
    assert language_model.generate_many([], max_new_tokens=5) == []


def test_one_that_does_not_fit_is_named_before_anything_is_decoded(small_model: LanguageModel) -> None:
    """128 tokens: 60 words and a template fit with 8 more, 200 words do not."""
    talks = [[{"role": "user", "content": "word " * n}] for n in (60, 200, 60)]

    class Refuses:
        config = small_model.model.config

        def generate(self, **options: Any) -> Any:
            raise AssertionError("nothing should be decoded")

    with pytest.raises(
        ValueError, match=r"fit into 128 tokens, got 2\d\d \+ 8 for conversation 1; pass fewer or shorter"
    ):
        LanguageModel(small_model.tokenizer, Refuses()).generate_many(talks, max_new_tokens=8)
    assert len(small_model.generate_many(talks[:1], max_new_tokens=8)) == 1


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("max_new_tokens", 0), ("batch_size", -2)])
def test_sizes_below_one_are_refused(name: str, value: int, small_model: LanguageModel) -> None:
    options = {"max_new_tokens": 3, "batch_size": 2, name: value}
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got {value}"):
        small_model.generate_many(TALKS, **options)


# ---------------------------------------------------------------- stop rules


SHIP = [{"role": "user", "content": "Tell me a long story about a ship."}]


@pytest.mark.parametrize("stop", [("a",), ("e", "is"), (" ",), FIRST_SENTENCE, ("nowhere to be found",)])
@pytest.mark.parametrize("batch_size", [1, 3, 5])
def test_a_stop_rule_takes_the_end_away_and_nothing_else(stop: Any, batch_size: int, tiny_model: LanguageModel) -> None:
    """Alone or in a batch, where rows end at different tokens: what is said is what would be said, cut."""
    rules = stop_rules(stop)
    cut = [finished(tiny_model.generate(talk, max_new_tokens=12), rules) for talk in TALKS]
    assert [tiny_model.generate(talk, max_new_tokens=12, stop=stop) for talk in TALKS] == cut
    assert tiny_model.generate_many(TALKS, max_new_tokens=12, batch_size=batch_size, stop=stop) == cut


def test_a_stop_string_across_token_borders(language_model: LanguageModel) -> None:
    """The end of one token and the beginning of the next: no single token holds the string."""
    whole = language_model.generate(SHIP, max_new_tokens=16)
    tokens = [language_model.text([token]) for token in language_model.tokenizer(whole)["input_ids"]]
    across = tokens[4][-2:] + tokens[5][:2]
    assert not any(across in token for token in tokens)
    reply = language_model.generate(SHIP, max_new_tokens=16, stop=across)
    assert reply == whole[: whole.index(across)].rstrip() and across not in reply


def test_decoding_ends_where_the_rule_says(language_model: LanguageModel) -> None:
    """Told after each token: none is decoded after the one that completes the stop string."""
    whole = language_model.generate(SHIP, max_new_tokens=16)
    word = whole.split()[3]
    told: list[str] = []
    language_model.generate(SHIP, max_new_tokens=16, stop=word, watch=lambda text: bool(told.append(text)))
    assert len(told) < 16 and word in told[-1] and word not in told[-2]


def test_who_watches_is_told_each_token_and_may_end_it(language_model: LanguageModel) -> None:
    told: list[str] = []
    whole = language_model.generate(SHIP, max_new_tokens=6, watch=lambda text: bool(told.append(text)))
    assert len(told) == 6 and told[-1].strip() == whole == language_model.generate(SHIP, max_new_tokens=6)
    assert language_model.generate(SHIP, max_new_tokens=6, watch=lambda text: len(text) > 8) == next(
        text.strip() for text in told if len(text) > 8
    )


def test_the_real_model_in_float32_several_at_once_with_stops(language_model: LanguageModel) -> None:
    exact = LanguageModel(language_model.tokenizer, copy.deepcopy(language_model.model).float())
    for stop in ((), ("\n", "the")):
        alone = [exact.generate(talk, max_new_tokens=8, stop=stop) for talk in TALKS]
        assert exact.generate_many(TALKS, max_new_tokens=8, batch_size=5, stop=stop) == alone


@pytest.mark.parametrize(("stop", "error"), [("", ValueError), (("a", ""), ValueError), ((1,), TypeError)])
def test_bad_stop_rules(stop: Any, error: type[Exception], tiny_model: LanguageModel) -> None:
    with pytest.raises(error, match="stop must hold"):
        tiny_model.generate(TALK, stop=stop)
    with pytest.raises(error, match="stop must hold"):
        tiny_model.generate_many([TALK], max_new_tokens=3, stop=stop)


def test_a_reply_takes_at_least_one_token(tiny_model: LanguageModel) -> None:
    with pytest.raises(ValueError, match="max_new_tokens must be at least 1, got 0"):
        tiny_model.generate(TALK, max_new_tokens=0)


def test_a_conversation_is_counted_with_its_template(language_model: LanguageModel) -> None:
    """ChatML by hand: a mark, the role, a line break, the text, a mark, a line break; then mark, "ass", "istant", line break."""
    texts = sum(language_model.count_tokens(message["content"]) for message in TALK)
    assert language_model.count_conversation(TALK) == texts + 2 * 5 + 4
    assert (
        language_model.prompt_tokens(TALK, max_new_tokens=1)[:2]
        == language_model.tokenizer("<|im_start|>system")["input_ids"]
    )
