"""A BERT of a few thousand random parameters and a tokenizer of words, so that training takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from course_lib.tuning.heads import TextClassifier, new_classifier

WORDS = [
    "meter",
    "bill",
    "tariff",
    "solar",
    "code",
    "reading",
    "price",
    "panel",
    "when",
    "is",
    "my",
    "the",
    "a",
    "to",
    "of",
    "for",
    "please",
    "help",
    "wrong",
    "new",
]
LABELS = ("billing", "metering", "solar")
TOPICS = {"billing": ("bill", "price", "tariff"), "metering": ("meter", "reading", "code"), "solar": ("solar", "panel")}
Make = Callable[..., TextClassifier]


def tiny_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*special, *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def tiny_encoder(seed: int = 0, dropout: float = 0.0) -> Any:
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS) + 4,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=0.2,
    )
    return BertModel(config).eval()


@pytest.fixture
def make_tiny() -> Make:
    """Return a function that makes the same tiny classifier each time."""

    def make(*, dropout: float = 0.0, pooling: str = "mean", seed: int = 5, max_tokens: int = 16) -> TextClassifier:
        encoder = tiny_encoder(dropout=dropout)
        return new_classifier(tiny_tokenizer(), encoder, LABELS, max_tokens=max_tokens, pooling=pooling, seed=seed)

    return make


@pytest.fixture
def tiny(make_tiny: Make) -> TextClassifier:
    return make_tiny()


@pytest.fixture
def examples() -> list[tuple[str, str]]:
    """26 short messages, whose class is shown by one word."""
    rng, made = np.random.default_rng(3), []
    for number in range(26):
        label = LABELS[number % 3]
        words = [str(rng.choice(WORDS[8:])) for _ in range(int(rng.integers(1, 8)))]
        made.append((" ".join([*words, str(rng.choice(TOPICS[label]))]), label))
    return made


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.fixture
def weights() -> Callable[[torch.nn.Module], dict[str, torch.Tensor]]:
    return weights_of
