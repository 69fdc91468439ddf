"""The language model: chat template, greedy decoding, token counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.assets import models
from course_lib.core.protocols import Message
from course_lib.generation.likelihood import mean_log_likelihoods
from course_lib.generation.stopping import Stop, cut_at, finished, stop_rules


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

    def count_conversation(self, messages: Sequence[Message]) -> int:
        """Return how many tokens the model reads for a conversation, with those that the chat template adds."""
        return self.count_tokens(self.prompt(messages))

    def prompt_tokens(self, messages: Sequence[Message], *, max_new_tokens: int) -> list[int]:
        """Return the tokens of the prompt.

        Raises ValueError if max_new_tokens < 1, or if prompt and answer do not fit into the context: nothing is cut
        silently.
        """
        return self._prompts_tokens([messages], max_new_tokens, [""])[0]

    def _prompts_tokens(
        self, conversations: Sequence[Sequence[Message]], max_new_tokens: int, names: Sequence[str]
    ) -> list[list[int]]:
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
        prompts = []
        for messages, name in zip(conversations, names, strict=True):
            prompt = list(self.tokenizer(self.prompt(messages), add_special_tokens=False)["input_ids"])
            if len(prompt) + max_new_tokens > self.context_length:
                raise ValueError(
                    f"prompt and answer must fit into {self.context_length} tokens, got {len(prompt)} + "
                    f"{max_new_tokens}{name}; pass fewer or shorter passages"
                )
            prompts.append(prompt)
        return prompts

    def text(self, tokens: Any) -> str:
        """Return the text of tokens of a reply, marks of the template left out."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int = 48,
        stop: Stop = (),
        watch: Callable[[str], bool] | None = None,
    ) -> str:
        """Return the model's next message.

        stop: strings that end the reply and are no part of it, or FIRST_SENTENCE of `stopping`. watch: is told the text
        so far after each token, and ends the decoding by returning True. Raises ValueError if prompt and answer do not
        fit into the context: nothing is cut silently.
        """
        rules = stop_rules(stop)
        prompt = self.prompt_tokens(messages, max_new_tokens=max_new_tokens)
        (tokens,) = self._decode([prompt], max_new_tokens, rules, watch)
        return finished(self.text(tokens), rules)

    def generate_many(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        batch_size: int = 8,
        progress: bool = False,
        stop: Stop = (),
    ) -> list[str]:
        """Return the model's next message for each conversation, in the order given: several are decoded at once.

        Longest first, padded on the left, so that every answer begins at the same place. In float32 the answers equal
        those of `generate`; in bfloat16 a close choice between two words can fall otherwise. stop: as in `generate`;
        an answer that has ended waits for the others of its batch. Raises ValueError if a prompt and its answer do not
        fit into the context, or batch_size or max_new_tokens < 1.
        """
        from tqdm.auto import tqdm

        rules = stop_rules(stop)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        names = [f" for conversation {i}" for i in range(len(conversations))]
        prompts = self._prompts_tokens(conversations, max_new_tokens, names)
        replies = [""] * len(prompts)
        with tqdm(total=len(prompts), desc="Generating", unit="reply", disable=not progress, leave=False) as bar:
            for rows in self._batches(prompts, batch_size):
                for i, tokens in zip(
                    rows, self._decode([prompts[i] for i in rows], max_new_tokens, rules), strict=True
                ):
                    replies[i] = finished(self.text(tokens), rules)
                bar.update(len(rows))
        return replies

    def _batches(self, prompts: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
        """Positions of the prompts that are decoded together: the longest first."""
        order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
        for start in range(0, len(order), batch_size):
            yield order[start : start + batch_size]

    def _decode(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        rules: Sequence[str],
        watch: Callable[[str], bool] | None = None,
    ) -> Any:
        """New tokens of each prompt, (n, n_new_tokens), padded on the left; watch is told the text of the first."""
        import torch

        longest = max(map(len, prompts))
        pad = self.tokenizer.pad_token_id
        ids = torch.full((len(prompts), longest), 0 if pad is None else int(pad))  # (n, n_tokens)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        options: dict[str, Any] = {}
        if rules or watch:

            def ended(so_far: torch.Tensor, _scores: Any, **_: Any) -> torch.Tensor:
                texts = [self.text(row[longest:]) for row in so_far]
                told = watch(texts[0]) if watch else False
                done = [told or cut_at(text.lstrip(), rules) is not None for text in texts]
                return torch.tensor(done, dtype=torch.bool, device=so_far.device)

            options["stopping_criteria"] = [ended]
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=max_new_tokens, **options
            )
        return output[:, longest:]

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
