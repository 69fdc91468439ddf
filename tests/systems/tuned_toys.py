"""A Llama of a few thousand random numbers that chats in 21 words, and adapters that change what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from course_lib.core.protocols import Message
from course_lib.generation.language_model import LanguageModel
from course_lib.tuning.adapters import Adapters

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
WORDS = (
    "who", "won", "the", "cup", "in", "which", "year", "did", "it", "rain", "paris", "spain", "germany", "nobody", "three",
    "goals", "two", "brothers", "ask", "say", "and",
)  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}say {{ m['content'] }}[END] {% endfor %}{% if add_generation_prompt %}ask {% endif %}"
)


def toy_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[END]", *WORDS])}
    words = Tokenizer(models.WordLevel(names, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", eos_token="[END]", padding_side="right"
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def toy_model(seed: int = 0) -> LanguageModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=37, hidden_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=40, max_position_embeddings=96, initializer_range=0.2, tie_word_embeddings=True,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LanguageModel(toy_tokenizer(), LlamaForCausalLM(config).eval())


def asked(text: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": text},)


def write_toy(folder: Path, seed: int, scale: float = 2.0) -> Path:
    """An adapter of the toy model with B drawn at random, so that it says other words."""
    adapters = Adapters(toy_model().model)
    adapters.add("toy", 3, 6, targets=TARGETS, seed=seed)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in adapters.layers("toy").values():
            layer.B.copy_(torch.randn(layer.B.shape, generator=rng) * scale)
    return adapters.save("toy", folder)
