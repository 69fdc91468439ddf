"""The language model: chat template, greedy decoding, token counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.assets import models
from course_lib.core.protocols import Message
from course_lib.generation.likelihood import mean_log_likelihoods


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

    def generate_many(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        batch_size: int = 8,
        progress: bool = False,
    ) -> list[str]:
        """Return the model's next message for each conversation, in the order given: several are decoded at once.

        Longest first, padded on the left, so that every answer begins at the same place. In float32 the answers equal
        those of `generate`; in bfloat16 a close choice between two words can fall otherwise. Raises ValueError if a
        prompt and its answer do not fit into the context, or batch_size or max_new_tokens < 1.
        """
        import torch
        from tqdm.auto import tqdm

        for name, value in (("batch_size", batch_size), ("max_new_tokens", max_new_tokens)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        prompts = [
            self.tokenizer(self.prompt(messages), add_special_tokens=False)["input_ids"] for messages in conversations
        ]
        for i, prompt in enumerate(prompts):
            if len(prompt) + max_new_tokens > self.context_length:
                raise ValueError(
                    f"prompt and answer must fit into {self.context_length} tokens, got {len(prompt)} + "
                    f"{max_new_tokens} for conversation {i}; pass fewer or shorter passages"
                )
        order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
        replies = [""] * len(prompts)
        bar = tqdm(total=len(prompts), desc="Generating", unit="reply", disable=not progress, leave=False)
        with torch.inference_mode(), bar:
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                longest = len(prompts[rows[0]])
                ids = torch.full((len(rows), longest), int(self.tokenizer.pad_token_id))  # (n, n_tokens)
                mask = torch.zeros_like(ids)
                for row, i in enumerate(rows):
                    ids[row, longest - len(prompts[i]) :] = torch.tensor(prompts[i])
                    mask[row, longest - len(prompts[i]) :] = 1
                output = self.model.generate(
                    input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=max_new_tokens
                )[:, longest:]  # (n, n_new_tokens)
                for i, tokens in zip(rows, output, strict=True):
                    replies[i] = str(self.tokenizer.decode(tokens, skip_special_tokens=True)).strip()
                bar.update(len(rows))
        return replies

    def mean_log_likelihood(self, conversations: Sequence[Sequence[Message]], reply: str) -> list[float]:
        """Return how likely the model finds reply as the next message of each conversation.

        The mean over the reply's tokens of ln p(token), each <= 0; larger is likelier. Raises ValueError if reply is
        empty.
        """
        return self.mean_log_likelihoods([(messages, reply) for messages in conversations])

    def mean_log_likelihoods(
        self, pairs: Sequence[tuple[Sequence[Message], str]], *, progress: str = ""
    ) -> list[float]:
        """Return how likely the model finds each reply after its conversation; a shared conversation is read once.

        progress: what to call the bar; none is shown by default. Raises ValueError if a reply is empty or a pair does
        not fit into the context.
        """
        for _, reply in pairs:
            if not reply.strip():
                raise ValueError("reply must hold at least one token, got none")
        prompts = {id(messages): self.prompt(messages) for messages, _ in pairs}
        texts = [*prompts.values(), *(reply for _, reply in pairs)]
        ids = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        tokens = {name: tuple(row) for name, row in zip(prompts, ids, strict=False)}
        replies = [tuple(row) for row in ids[len(prompts) :]]
        by_tokens = [(tokens[id(messages)], reply) for (messages, _), reply in zip(pairs, replies, strict=True)]
        return [float(value) for value in mean_log_likelihoods(self.model, by_tokens, progress=progress)]


def load_language_model() -> LanguageModel:
    """Return the course's language model."""
    return LanguageModel(*models.load_generator())
