"""A BERT and a Llama of a few thousand random numbers, and LoRA layers that already compute something."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from course_lib.tuning.lora import lora_layers

BERT_TARGETS = ["query", "value"]
LLAMA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]


def bert(seed: int = 0, n_layers: int = 3) -> Any:
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=31,
        hidden_size=24,
        num_hidden_layers=n_layers,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.2,
    )
    return BertModel(config).eval()


def llama(seed: int = 0, n_layers: int = 3, hidden: int = 24) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=37,
        hidden_size=hidden,
        num_hidden_layers=n_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=40,
        max_position_embeddings=64,
        initializer_range=0.2,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


def tokens(n: int = 5, n_tokens: int = 7, seed: int = 1, n_words: int = 31) -> torch.Tensor:
    return torch.randint(3, n_words, (n, n_tokens), generator=torch.Generator().manual_seed(seed))


def output(model: Any, ids: torch.Tensor) -> torch.Tensor:
    made = model(input_ids=ids)
    return torch.as_tensor(made.logits if hasattr(made, "logits") else made.last_hidden_state)


def shake(model: torch.nn.Module, seed: int = 2) -> torch.nn.Module:
    """Give every B numbers, as training would, so that the update is no longer zero."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in lora_layers(model).values():
            layer.B.copy_(torch.randn(layer.B.shape, generator=rng) * 0.3)
    return model


def bits(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all weights but A and B, under the names that they have without LoRA."""
    return {
        name.replace(".base.", "."): value.detach().clone()
        for name, value in model.named_parameters()
        if not name.endswith((".A", ".B"))
    }


def same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@contextmanager
def calm() -> Iterator[None]:
    """Let peft warn of what its next version will do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def in_peft(model: Any, targets: Any, rank: int = 5, alpha: float = 10, **options: Any) -> Any:
    import peft

    with calm():
        return peft.get_peft_model(model, peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, **options))


WORDS = (
    "who", "won", "the", "cup", "in", "which", "year", "did", "it", "rain", "paris", "spain", "germany", "nobody", "three",
    "goals", "two", "brothers", "ask", "say", "and",
)  # fmt: skip


def word_tokenizer() -> Any:
    """Words to numbers from 3 on; 0 pads, 1 is an unknown word, 2 ends an answer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[END]", *WORDS])}
    words = Tokenizer(models.WordLevel(names, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", eos_token="[END]", padding_side="right"
    )


def question_pairs(n: int = 12, seed: int = 3, start: str = "") -> list[tuple[str, str]]:
    """Prompts of 2 to 14 words after a common start, answers of 1 to 3."""
    rng = torch.Generator().manual_seed(seed)

    def draw(least: int, most: int) -> str:
        size = int(torch.randint(least, most + 1, (1,), generator=rng))
        return " ".join(WORDS[int(i)] for i in torch.randint(0, len(WORDS), (size,), generator=rng))

    return [(start + draw(2, 14), draw(1, 3)) for _ in range(n)]
