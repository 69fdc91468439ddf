"""The language model with a prompt cache: many questions about the same documents, which are read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from course_lib.core.protocols import Message
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.prompt_cache import (
    Entry,
    PromptCache,
    Tokens,
    alike,
    fingerprint,
    kv_bytes_per_token,
    require_full_attention,
    shared_beginning,
)
from course_lib.generation.side_by_side import decode_side_by_side
from course_lib.generation.stopping import cut_at

MIN_TOKENS = 64  # a shorter beginning is not worth an entry


@dataclass(frozen=True)
class PromptCachingModel(LanguageModel):
    """A `LanguageModel` that keeps the keys and values of what it reads, and goes on from them where a prompt begins alike.

    Nothing has to be marked: the longest beginning that a prompt shares with an entry is found by comparing tokens. In
    float32 the replies are those of `LanguageModel`; in bfloat16 a close choice between two words can fall otherwise.
    Before each call the model is probed (`fingerprint`), so that an entry of another adapter is never used. min_tokens:
    shorter beginnings are neither used nor kept.
    """

    cache: PromptCache = field(default_factory=PromptCache)
    min_tokens: int = MIN_TOKENS

    def __post_init__(self) -> None:
        require_full_attention(self.model.config)
        if self.min_tokens < 1:
            raise ValueError(f"min_tokens must be at least 1, got {self.min_tokens}; {MIN_TOKENS} is the default")

    def kv_bytes(self, n_tokens: int) -> int:
        """Return the bytes that the keys and values of n_tokens take, by the formula."""
        return n_tokens * kv_bytes_per_token(self.model.config, bytes_per_number=self.model.dtype.itemsize)

    def read(self, conversations: Sequence[Sequence[Message]]) -> int:
        """Read what the conversations begin with alike, and keep it; return its number of tokens.

        Two that differ in their question are enough. Raises ValueError if they share fewer than min_tokens, a prompt does
        not fit into the context, or the cache has no room for it.
        """
        names = [f" for conversation {i}" for i in range(len(conversations))]
        prompts = self._prompts_tokens(conversations, 1, names)
        tokens = _beginning(prompts)
        if len(tokens) < self.min_tokens:
            raise ValueError(f"conversations must share at least {self.min_tokens} tokens, got {len(tokens)}")
        _, n_begun = self._begun(tokens)
        if self.cache.longest(fingerprint(self.model), tokens)[1] < n_begun:
            raise ValueError(
                f"the cache must have room for {self.kv_bytes(len(tokens)):,} bytes, its limit is "
                f"{self.cache.limit_bytes:,}; raise limit_bytes, or read less"
            )
        return n_begun

    def _batches(self, prompts: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
        """Positions of prompts that begin alike; what a whole group shares is read before its first batch."""
        for group in alike(prompts):
            if len(group) > batch_size:
                self._begun(_beginning([prompts[i] for i in group]))
            for start in range(0, len(group), batch_size):
                yield list(group[start : start + batch_size])

    def _decode(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        rules: Sequence[str],
        watch: Callable[[str], bool] | None = None,
    ) -> Any:
        """New tokens of each prompt; watch is told the text of the first."""
        before = self.cache.n_read
        cache, n_begun = self._begun(_beginning(prompts))
        rests = [prompt[n_begun:] for prompt in prompts]
        self.cache.n_read += sum(map(len, rests))
        self.cache.n_reused += sum(map(len, prompts)) - (self.cache.n_read - before)

        def ended(row: int, tokens: list[int]) -> bool:
            text = self.text(tokens) if rules or (watch and row == 0) else ""
            told = watch(text) if watch and row == 0 else False
            return told or bool(rules and cut_at(text.lstrip(), rules) is not None)

        return decode_side_by_side(self.model, cache, rests, max_new_tokens=max_new_tokens, ended=ended)

    def _begun(self, tokens: Tokens) -> tuple[Any, int]:
        """A cache that begins with tokens, from an entry or read now, and how many of them it holds."""
        import torch
        from transformers import DynamicCache

        mark = fingerprint(self.model)
        entry, n_found = self.cache.longest(mark, tokens)
        if entry is None or n_found < self.min_tokens:
            entry, n_found = None, 0
        cache: Any = entry.cache(n_found) if entry else DynamicCache()
        if len(tokens) - n_found < self.min_tokens:
            return cache, n_found  # what is missing is short: it is read with the rest
        with torch.inference_mode():
            self.model(
                input_ids=torch.tensor([tokens[n_found:]]), past_key_values=cache, use_cache=True, logits_to_keep=1
            )
        self.cache.n_read += len(tokens) - n_found
        self.cache.keep(Entry(mark, tokens, tuple((layer.keys, layer.values) for layer in cache.layers)))
        return cache, len(tokens)


def _beginning(prompts: Sequence[Sequence[int]]) -> Tokens:
    """What the prompts share, without the last token of the shortest: it has to be read, to predict what follows."""
    return shared_beginning(prompts)[: min(map(len, prompts)) - 1]


def with_prompt_cache(model: LanguageModel, *, limit_bytes: int = 512 * 2**20) -> PromptCachingModel:
    """Return the same model with an empty prompt cache of limit_bytes.

    Raises TypeError for a model with a way of its own to decode, such as one that puts its adapter in place for each
    call: it would be left out. Put the adapter in place around the calls of the plain model with its cache instead.
    """
    if type(model)._decode not in (LanguageModel._decode, PromptCachingModel._decode):
        raise TypeError(
            f"model must be a plain LanguageModel, got {type(model).__name__}, which decodes in its own way; put its "
            "adapter in place around the calls of the plain model with a prompt cache"
        )
    return PromptCachingModel(model.tokenizer, model.model, PromptCache(limit_bytes=limit_bytes))
