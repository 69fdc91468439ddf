"""The language model: chat template, greedy decoding, token counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.assets import models
from course_lib.core.protocols import Message


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with a chat template, decoded greedily: the same prompt gives the same answer."""

    tokenizer: Any
    model: Any

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may take together."""
        return int(self.model.config.max_position_embeddings)

    def prompt(self, messages: Sequence[Message]) -> str:
        """Return the text that the model reads for a conversation, up to where its own turn begins."""
        return str(self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the model reads text as."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int = 48) -> str:
        """Return the model's next message.

        Raises ValueError if prompt and answer do not fit into the context: nothing is cut silently.
        """
        import torch

        inputs = self.tokenizer(self.prompt(messages), add_special_tokens=False, return_tensors="pt")
        n_tokens = inputs["input_ids"].shape[1]
        if n_tokens + max_new_tokens > self.context_length:
            raise ValueError(
                f"prompt and answer must fit into {self.context_length} tokens, got {n_tokens} + {max_new_tokens}; "
                "pass fewer or shorter passages"
            )
        with torch.inference_mode():
            output = self.model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
        return str(self.tokenizer.decode(output[0, n_tokens:], skip_special_tokens=True)).strip()


def load_language_model() -> LanguageModel:
    """Return the course's language model."""
    return LanguageModel(*models.load_generator())
