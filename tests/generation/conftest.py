"""Small chat models made here: their own tokenizer, random weights, float32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PLAIN = (
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
REFUSAL = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
SILENCE = PLAIN.replace("in messages %}", "in messages if message['role'] != 'system' %}")
TEMPLATES = {"plain": PLAIN, "refuses system": REFUSAL + PLAIN, "drops system": SILENCE, "none": None}
MakeFolder = Callable[..., Path]


def tiny_config(architecture: str, n_tokens: int) -> Any:
    """A configuration whose sizes all differ; large weights, so that no two words tie."""
    import transformers

    shared = {"vocab_size": n_tokens, "bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.7}
    if architecture == "GPT2":
        return transformers.GPT2Config(n_embd=24, n_layer=2, n_head=3, n_positions=160, **shared)
    if architecture == "Bloom":
        return transformers.BloomConfig(hidden_size=24, n_layer=2, n_head=3, **shared)
    kind = getattr(transformers, f"{architecture}Config")
    return kind(
        hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        max_position_embeddings=160, **shared,
    )  # fmt: skip


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> MakeFolder:
    """Makes the folder of a tiny chat model: byte-level BPE of 300 tokens, so that most characters beyond ASCII take two."""

    def make(architecture: str = "Llama", *, template: str = "plain", pad: str | None = None) -> Path:
        import torch
        import transformers
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        letters = Tokenizer(models.BPE())
        letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        letters.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        letters.train_from_iterator(["The final was played on Sunday. Spain won the final. Who won?"] * 5, trainer)
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=letters, bos_token="<s>", eos_token="</s>", pad_token=pad
        )
        tokenizer.chat_template = TEMPLATES[template]
        folder = tmp_path_factory.mktemp(architecture.lower())
        tokenizer.save_pretrained(folder)
        torch.manual_seed(3)
        kind = getattr(transformers, "GPT2LMHeadModel" if architecture == "GPT2" else f"{architecture}ForCausalLM")
        kind(tiny_config(architecture, len(tokenizer))).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_model(chat_folder: MakeFolder) -> Any:
    """A tiny Llama with random weights: it says nonsense, half characters among it, and always the same."""
    from course_lib.generation.chat_models import load_chat_model

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_DTYPE", "float32")
        return load_chat_model(chat_folder())
