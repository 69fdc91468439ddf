"""The language model: the template, the counts, the limit, and the same answer every time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from course_lib.generation.language_model import LanguageModel

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
