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

    def mean_log_likelihood(
        self, conversations: Sequence[Sequence[Message]], reply: str, *, batch_size: int = 8
    ) -> list[float]:
        """Return how likely the model finds reply as the next message of each conversation.

        The mean over the reply's tokens of ln p(token), each <= 0; larger is likelier. Logits are computed for the
        reply's tokens only. Raises ValueError if reply is empty.
        """
        import torch

        target = self.tokenizer(reply, add_special_tokens=False)["input_ids"]
        if not target:
            raise ValueError("reply must hold at least one token, got none")
        prompts = [
            self.tokenizer(self.prompt(messages), add_special_tokens=False)["input_ids"] for messages in conversations
        ]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        scores = [0.0] * len(prompts)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            longest = max(len(prompts[i]) for i in rows) + len(target)
            ids = torch.full(
                (len(rows), longest), int(self.tokenizer.pad_token_id)
            )  # (n, n_tokens), padded on the left
            mask = torch.zeros_like(ids)
            for row, i in enumerate(rows):
                sequence = torch.tensor([*prompts[i], *target])
                ids[row, -len(sequence) :], mask[row, -len(sequence) :] = sequence, 1
            positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
            with torch.inference_mode():
                logits = self.model(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    logits_to_keep=len(target) + 1,
                    use_cache=False,
                ).logits[:, :-1]  # (n, n_target, n_vocabulary)
            log_p = logits.float().log_softmax(dim=-1)
            chosen = log_p.gather(2, torch.tensor(target)[None, :, None].expand(len(rows), -1, 1))[
                :, :, 0
            ]  # (n, n_target)
            for i, value in zip(rows, chosen.mean(dim=1).tolist(), strict=True):
                scores[i] = float(value)
        return scores


def load_language_model() -> LanguageModel:
    """Return the course's language model."""
    return LanguageModel(*models.load_generator())
