"""A language model that learns answers to prompts, without the work that no label needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, takewhile
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from course_lib.tuning.batches import Row

Example = tuple[str, str]
PACKED = "course_packed"
SHORT = 320


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    lengths: torch.Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of several texts in one row: first what all begin with, then the rest of each.

    query: (1, n_heads, n_tokens, dim); key, value: (1, n_key_heads, n_tokens, dim); lengths: (1 + n,) tokens of the common
    beginning, 0 if there is none, and of each rest, which sees the beginning and itself. Returns (1, n_tokens, n_heads, dim),
    as transformers' AttentionInterface wants it.
    """
    sizes, scale = lengths.tolist(), query.shape[-1] ** -0.5 if scaling is None else scaling
    queries, keys, values = (torch.split(heads, sizes, 2) for heads in (query, key, value))
    parts = [_attend(queries[0], keys[0], values[0], scale, dropout)] if sizes[0] else []
    for q, k, v in zip(queries[1:], keys[1:], values[1:], strict=True):
        if sizes[0]:
            k, v = torch.cat([keys[0], k], 2), torch.cat([values[0], v], 2)
        parts.append(_attend(q, k, v, scale, dropout))
    return torch.cat(parts, 2).transpose(1, 2), None


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, dropout: float) -> torch.Tensor:
    """Causal attention of the last n places of a text of m, (1, n_heads, n, dim).

    Written out for short texts in bfloat16 on a processor, where torch's own takes about twice as long there and back; the
    n * m weights of every head are kept for the way back, which is why not for long ones.
    """
    n_heads, n, dim = query.shape[1:]
    m, groups = key.shape[2], n_heads // key.shape[1]
    sees = None if n == m else torch.ones(n, m, dtype=torch.bool, device=query.device).tril(m - n)
    if m > SHORT or query.dtype is not torch.bfloat16 or query.device.type != "cpu" or dropout:
        return scaled_dot_product_attention(
            query, key, value, sees, is_causal=sees is None, scale=scale, dropout_p=dropout, enable_gqa=groups > 1
        )
    rows = (query[0] * scale).reshape(-1, groups * n, dim)  # the heads that share a key, one after another
    scores = (rows @ key[0].transpose(1, 2)).view(-1, groups, n, m)
    later = torch.ones(n, m, dtype=torch.bool).triu(m - n + 1)
    weights = scores.masked_fill_(later, float("-inf")).softmax(-1).view(-1, groups * n, m)
    return (weights @ value[0]).view(1, n_heads, n, dim)


AttentionInterface.register(PACKED, packed_attention)


def common_start(rows: Sequence[Row]) -> int:
    """Return how many tokens all rows begin with alike, before the first labelled place of any: a system prompt, say."""
    most = min(len(row["input_ids"]) - row["n_labels"] for row in rows)
    columns = zip(*(row["input_ids"][:most] for row in rows), strict=True)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def can_pack(model: Any) -> bool:
    """Whether the model's attention can be exchanged, and is causal over the whole text in every layer."""
    config = model.config
    layers = getattr(config, "layer_types", None) or ["full_attention"]
    plain = set(layers) == {"full_attention"} and not getattr(config, "attn_logit_softcapping", None)
    window = getattr(config, "sliding_window", None) if not getattr(config, "layer_types", None) else None
    return bool(getattr(model, "_supports_attention_backend", False)) and plain and window is None


class CausalTuner(nn.Module):
    """A causal language model as `train` wants it (`Trainable`): examples are (prompt, answer) pairs of text.

    The loss is taken at the answer's tokens and the end token. Wasted nowhere: logits are computed where a label is; the
    texts of a batch stand in one row, without padding and with their common beginning read once (packed; a model whose
    attention cannot be exchanged is padded on the left instead); nothing is kept below the lowest adapter, and no gradient
    made for frozen weights. Load the model in bfloat16 where it pays: A and B stay in float32. part_tokens=1024 of
    `TrainingSettings` bounds the memory, at the same speed. Raises ValueError for a tokenizer without an
    end token.
    """

    def __init__(
        self, tokenizer: Any, model: Any, max_tokens: int | None = None, *, packed: bool | None = None
    ) -> None:
        super().__init__()
        if tokenizer.eos_token_id is None:
            raise ValueError("tokenizer must have an end token (eos_token), or the model never learns to stop")
        if packed and not can_pack(model):
            raise ValueError(f"packed must be False for {type(model).__name__}: its attention cannot be exchanged")
        self.tokenizer, self.model = tokenizer, model
        self.max_tokens = max_tokens if max_tokens is not None else int(model.config.max_position_embeddings)
        self.packed = can_pack(model) if packed is None else packed

    def encode(self, examples: Sequence[Example]) -> list[Row]:
        """Return one row an example: the tokens that the model reads, and the labels of the last of them.

        prompt: as the model reads it, chat template and all, up to where its own turn begins. Raises TypeError unless both
        are str, ValueError if one is empty or both together exceed max_tokens: nothing is cut silently.
        """
        rows = []
        for number, (prompt, answer) in enumerate(examples):
            for name, text in (("prompt", prompt), ("answer", answer)):
                if not isinstance(text, str):
                    raise TypeError(
                        f"{name} of example {number} must be a str, got {type(text).__name__}: {text!r:.60}"
                    )
                if not text.strip():
                    raise ValueError(f"{name} of example {number} must not be empty: leave the example out")
            read = self.tokenizer([prompt, answer], add_special_tokens=False)["input_ids"]
            labels = [*read[1], self.tokenizer.eos_token_id]
            ids = [*read[0], *labels]
            if len(ids) > self.max_tokens:
                raise ValueError(
                    f"example {number} must fit into max_tokens={self.max_tokens}, prompt and answer have {len(ids)}: "
                    "shorten the prompt or leave the example out"
                )
            rows.append({"input_ids": ids[:-1], "labels": labels, "n_labels": len(labels)})
        return rows

    def collate(self, rows: Sequence[Row]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the inputs of `forward` and the labels of all rows one after another, (n_labels,)."""
        device = next(self.model.parameters()).device
        labels = torch.tensor([label for row in rows for label in row["labels"]])
        inputs = (self._one_row if self.packed else self._left_padded)(rows)
        return {name: value.to(device) for name, value in inputs.items()}, labels.to(device)

    def _one_row(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        start = common_start(rows) if len(rows) > 1 else 0
        rests = [row["input_ids"][start:] for row in rows]
        lengths = [start, *map(len, rests)]
        ends = list(accumulate(lengths))[1:]
        places = [torch.arange(start), *(torch.arange(start, start + len(rest)) for rest in rests)]
        own = [torch.arange(end - row["n_labels"], end) for end, row in zip(ends, rows, strict=True)]
        return {
            "input_ids": torch.tensor([[*rows[0]["input_ids"][:start], *(token for rest in rests for token in rest)]]),
            "position_ids": torch.cat(places)[None],  # (1, n_tokens), as input_ids
            "lengths": torch.tensor(lengths),  # (1 + n,)
            "labelled": torch.cat(own),  # (n_labels,) positions in the row
        }

    def _left_padded(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        width, last = max(len(row["input_ids"]) for row in rows), max(row["n_labels"] for row in rows)
        mask = torch.tensor([[int(i >= width - len(row["input_ids"])) for i in range(width)] for row in rows])
        padded = [[0] * (width - len(row["input_ids"])) + row["input_ids"] for row in rows]
        return {
            "input_ids": torch.tensor(padded),  # (n, n_tokens)
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
            "attention_mask": mask,
            "labelled": torch.tensor([[i >= last - row["n_labels"] for i in range(last)] for row in rows]),  # (n, last)
        }

    def forward(self, labelled: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits where a label is, (n_labels, n_words), in the model's number format."""
        if not self.packed:
            logits = self.model(
                **inputs, logits_to_keep=labelled.shape[1], use_cache=False
            ).logits  # (n, last, n_words)
            return torch.as_tensor(logits[labelled])
        with _attention(self.model, PACKED):
            return torch.as_tensor(self.model(**inputs, logits_to_keep=labelled, use_cache=False).logits[0])


@contextmanager
def _attention(model: Any, name: str) -> Iterator[None]:
    former = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(former)
