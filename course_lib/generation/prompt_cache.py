"""Prompt caching: keys and values of a prompt's beginning, kept for the prompts that begin with the same tokens."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Tokens = tuple[int, ...]


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two prompts begin with alike."""
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


def shared_beginning(prompts: Sequence[Sequence[int]]) -> Tokens:
    """Return the longest beginning that all prompts share, in tokens. Raises ValueError without prompts."""
    if not prompts:
        raise ValueError("prompts must hold at least one prompt, got none")
    ordered = sorted(map(tuple, prompts))  # the first and the last of them differ first
    return ordered[0][: shared_length(ordered[0], ordered[-1])]


def alike(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the positions of the prompts in groups: in each, neighbours share at least half of the shorter one.

    Groups are in order of their first prompt, so that one prompt alone, or prompts that differ from the start, come out
    as they went in.
    """
    order = sorted(range(len(prompts)), key=lambda i: (tuple(prompts[i]), i))
    groups: list[list[int]] = []
    for place, i in enumerate(order):
        before = prompts[order[place - 1]] if place else ()
        if place and 2 * shared_length(before, prompts[i]) >= min(len(before), len(prompts[i])):
            groups[-1].append(i)
        else:
            groups.append([i])
    return sorted((sorted(group) for group in groups), key=lambda group: group[0])


def kv_bytes_per_token(config: Any, *, bytes_per_number: int = 2) -> int:
    """Return the bytes that one token's keys and values take: 2 x layers x key-value heads x head size x bytes a number.

    config: of a transformers model whose layers all look at the whole context. bytes_per_number: 2 for bfloat16, 4 for
    float32. Raises ValueError for a model with a sliding window: what it keeps does not grow with every token.
    """
    require_full_attention(config)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * head_dim * bytes_per_number)


def require_full_attention(config: Any) -> None:
    """Raise ValueError if some layer of the model looks at a window of the context only."""
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if kinds:
        raise ValueError(f"the model must attend to the whole context in every layer, but has layers of {min(kinds)}")


def fingerprint(model: Any) -> str:
    """Return a short name for what a model computes now: a hash of its logits after a fixed probe of 16 tokens.

    Another adapter, merged or trained weights, or another number format give another name. Costs one short forward pass.
    Raises ValueError while the model is in training mode: dropout would change it at every call.
    """
    import torch

    if model.training:
        raise ValueError("model must be in evaluation mode, got one in training; call model.eval() first")
    n_vocabulary = int(model.config.vocab_size)
    probe = torch.arange(16)[None] * max(1, n_vocabulary // 17) % n_vocabulary  # (1, 16)
    with torch.inference_mode():
        logits = model(input_ids=probe, use_cache=False, logits_to_keep=1).logits
    return hashlib.sha256(logits.float().numpy().tobytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Entry:
    """Keys and values of a beginning: layers holds a pair a layer, each (1, n_heads, n_tokens, head_dim).

    mark: the fingerprint of the model that computed them. They are never written to: a cache that goes on from them
    makes tensors of its own.
    """

    mark: str
    tokens: Tokens
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    @property
    def n_bytes(self) -> int:
        """Bytes of memory that the entry holds on to, measured."""
        return sum(int(part.untyped_storage().nbytes()) for pair in self.layers for part in pair)

    def cache(self, n_tokens: int) -> Any:
        """Return a transformers cache that begins with the first n_tokens; nothing is copied.

        Raises ValueError unless 1 <= n_tokens <= the entry's.
        """
        from transformers.cache_utils import Cache, DynamicLayer

        if not 1 <= n_tokens <= len(self.tokens):
            raise ValueError(f"n_tokens must be between 1 and the entry's {len(self.tokens)}, got {n_tokens}")
        layers: list[Any] = []
        for keys, values in self.layers:
            layer = DynamicLayer()
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys[:, :, :n_tokens], values[:, :, :n_tokens]
            layers.append(layer)
        return Cache(layers=layers)


class PromptCache:
    """Entries by their tokens, within a limit of bytes; the one least recently used goes first.

    An entry of another model, or of the same with another adapter, is never found: what does not fit any more goes when
    room is needed. n_read, n_reused: tokens of prompts that were computed, and that did not have to be. n_evicted: entries
    that went for want of room. Entries share no memory with one another.
    """

    def __init__(self, *, limit_bytes: int = 512 * 2**20) -> None:
        if limit_bytes < 1:
            raise ValueError(f"limit_bytes must be at least 1, got {limit_bytes}; 512 * 2**20 is half a gigabyte")
        self.limit_bytes = limit_bytes
        self.n_reused = self.n_read = self.n_evicted = 0
        self._entries: OrderedDict[tuple[str, Tokens], Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is kept, the least recently used first."""
        return tuple(self._entries.values())

    @property
    def n_bytes(self) -> int:
        """Bytes that all entries take."""
        return sum(entry.n_bytes for entry in self._entries.values())

    def longest(self, mark: str, tokens: Sequence[int]) -> tuple[Entry | None, int]:
        """Return the entry of this model that begins most like tokens, and how many tokens they share; it counts as used.

        (None, 0) where no entry shares a token.
        """
        found, length = None, 0
        for entry in self._entries.values():
            if entry.mark == mark and (shared := shared_length(entry.tokens, tokens)) > length:
                found, length = entry, shared
        if found is not None:
            self._entries.move_to_end((found.mark, found.tokens))
        return found, length

    def keep(self, entry: Entry) -> bool:
        """Keep an entry as the most recently used, dropping others for it; return whether it fits at all.

        One that is the beginning of the new one goes, too: it has nothing of its own.
        """
        for key, other in list(self._entries.items()):
            if other.mark == entry.mark and other.tokens == entry.tokens[: len(other.tokens)]:
                del self._entries[key]
        if entry.n_bytes > self.limit_bytes:
            return False
        while self.n_bytes + entry.n_bytes > self.limit_bytes:
            self._entries.popitem(last=False)
            self.n_evicted += 1
        self._entries[entry.mark, entry.tokens] = entry
        return True

    def clear(self) -> None:
        """Forget every entry; the counts stay."""
        self._entries.clear()
