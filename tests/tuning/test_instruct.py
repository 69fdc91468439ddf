"""Conversations as examples: the label mask token by token, beside the one that transformers makes from the template."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lora_toys import WORDS, llama, word_tokenizer
from torch.nn.functional import cross_entropy

from course_lib.core.protocols import Message
from course_lib.tuning.causal import CausalTuner
from course_lib.tuning.instruct import (
    IGNORED,
    Masked,
    example_of,
    examples_of,
    mask_conversation,
    prompt_of,
    side_by_side,
)

TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}ask {% generation %}{{ m['content'] + '[END]' }}"
    "{% endgeneration %} {% else %}say {{ m['content'] }} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ask {% endif %}"
)
TURN: Message = {"role": "user", "content": "who won"}
ANSWER: Message = {"role": "assistant", "content": "spain"}


def talking(template: str = TEMPLATE) -> Any:
    tokenizer = word_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def one_of(words: list[str]) -> str:
    return " ".join(words)


TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(one_of)
CONVERSATION = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3).map(
    lambda pairs: [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
)


def test_mask_by_hand() -> None:
    conversation = [TURN, ANSWER, {"role": "user", "content": "rain"}, {"role": "assistant", "content": "nobody say"}]
    masked = mask_conversation(talking(), conversation)
    # "say who won ask spain [END] say rain ask nobody say [END]": say=22, who=3, won=4, ask=21, spain=14, rain=12, nobody=16
    assert masked.tokens == (22, 3, 4, 21, 14, 2, 22, 12, 21, 16, 22, 2)
    assert masked.labels == (*[IGNORED] * 4, 14, 2, *[IGNORED] * 3, 16, 22, 2)
    assert masked.n_labels == 5
    assert side_by_side(talking(), masked)[3:7] == [("ask", ""), ("spain", "spain"), ("[END]", "[END]"), ("say", "")]


def test_examples_by_hand() -> None:
    conversation = [TURN, ANSWER, {"role": "user", "content": "rain"}, {"role": "assistant", "content": " nobody "}]
    first, second = examples_of(talking(), conversation)
    assert first == ("say who won ask ", "spain")
    assert second == ("say who won ask spain[END] say rain ask ", "nobody")
    assert example_of(talking(), [TURN], " spain ") == first


@given(conversation=CONVERSATION)
def test_mask_is_that_of_transformers(conversation: list[Message]) -> None:
    tokenizer = talking()
    masked = mask_conversation(tokenizer, conversation)
    theirs = tokenizer.apply_chat_template(
        conversation, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    assert list(masked.tokens) == list(theirs["input_ids"])
    assert [int(label != IGNORED) for label in masked.labels] == list(theirs["assistant_masks"])
    assert all(label in (IGNORED, token) for label, token in zip(masked.labels, masked.tokens, strict=True))


@given(conversation=CONVERSATION)
def test_examples_hold_the_labels_of_the_mask(conversation: list[Message]) -> None:
    tokenizer = talking()
    masked = mask_conversation(tokenizer, conversation)
    rows = CausalTuner(tokenizer, llama(n_layers=1)).encode(examples_of(tokenizer, conversation))
    counted = [label for label in masked.labels if label != IGNORED]
    assert [label for row in rows for label in row["labels"]] == counted
    # the last turn's example is the whole conversation, shifted by one: its row ends before the end token
    assert rows[-1]["input_ids"] == list(masked.tokens[:-1])


def test_loss_is_that_of_a_causal_model_with_these_labels() -> None:
    tokenizer, model = talking(), llama()
    masked = mask_conversation(tokenizer, [TURN, ANSWER])
    ids, labels = torch.tensor([masked.tokens]), torch.tensor([masked.labels])
    theirs = model(input_ids=ids, labels=labels).loss  # transformers shifts and leaves -100 out
    tuner = CausalTuner(tokenizer, model)
    inputs, mine = tuner.collate(tuner.encode(examples_of(tokenizer, [TURN, ANSWER])))
    torch.testing.assert_close(cross_entropy(tuner(**inputs), mine), theirs)


def test_labels_are_those_that_a_collator_pads() -> None:
    from transformers import DataCollatorForSeq2Seq

    tokenizer = talking()
    longer = [TURN, {"role": "assistant", "content": "nobody say"}]
    masks = [mask_conversation(tokenizer, each) for each in ([TURN, ANSWER], longer)]
    rows = [{"input_ids": list(mask.tokens), "labels": list(mask.labels)} for mask in masks]
    batch = DataCollatorForSeq2Seq(tokenizer)(rows)
    assert batch["labels"].tolist() == [[*masks[0].labels, IGNORED], list(masks[1].labels)]


def test_the_courses_own_tokenizer_and_template() -> None:
    from transformers import AutoTokenizer

    from course_lib.assets import models

    tokenizer = AutoTokenizer.from_pretrained(models.generator_source())
    assert tokenizer.eos_token == "<|im_end|>"  # what ends a turn is what the model stops at
    turn = "'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'"
    marked = tokenizer.chat_template.replace(
        "{{" + turn + "}}",
        "{% if message['role'] == 'assistant' %}{{'<|im_start|>assistant\n'}}{% generation %}"
        "{{message['content'] + '<|im_end|>'}}{% endgeneration %}{{'\n'}}{% else %}{{" + turn + "}}{% endif %}",
    )
    assert marked != tokenizer.chat_template
    conversation = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "[1] A title\nText.\n\nQuestion: Who won?"},
        {"role": "assistant", "content": "Spain [2]"},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "34.85 % (Kočka, 2025)\n\nYes"},
    ]
    masked = mask_conversation(tokenizer, conversation)
    theirs = tokenizer.apply_chat_template(
        conversation, chat_template=marked, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    n = len(masked.tokens)
    assert list(masked.tokens) == list(theirs["input_ids"])[:n]
    assert tokenizer.decode(theirs["input_ids"][n:]) == "\n"  # what follows the last end of turn is left out
    assert [int(label != IGNORED) for label in masked.labels] == list(theirs["assistant_masks"])[:n]
    rows = CausalTuner(tokenizer, llama(n_layers=1), max_tokens=500).encode(examples_of(tokenizer, conversation))
    assert rows[-1]["input_ids"] == list(masked.tokens[:-1])
    assert rows[-1]["labels"][-1] == tokenizer.eos_token_id == masked.labels[-1]


@pytest.mark.parametrize(
    ("conversation", "words"),
    [
        ([], "must hold at least one message"),
        ([TURN, ANSWER], "must end before the assistant's turn"),
    ],
)
def test_bad_prompts(conversation: list[Message], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prompt_of(talking(), conversation)


def test_what_cannot_be_masked() -> None:
    with pytest.raises(ValueError, match="must hold a turn of the assistant"):
        mask_conversation(talking(), [TURN])
    with pytest.raises(ValueError, match="must hold a turn of the assistant"):
        examples_of(talking(), [TURN])
    with pytest.raises(ValueError, match="tokenizer must have a chat template"):
        prompt_of(word_tokenizer(), [TURN])
    for changed in (
        TEMPLATE.replace("'[END]'", "' and'"),
        TEMPLATE.replace("m['content'] +", "m['content'] | upper +"),
    ):
        with pytest.raises(ValueError, match="must print the assistant's turn 'spain' as it stands and end it with"):
            mask_conversation(talking(changed), [TURN, ANSWER])
    assert Masked((1, 2), (IGNORED, IGNORED)).n_labels == 0
