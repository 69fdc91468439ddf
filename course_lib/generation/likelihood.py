"""How likely a language model finds replies, given prompts: many pairs at once, and no work done twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.core.validate import FloatArray

if TYPE_CHECKING:
    import torch

Tokens = tuple[int, ...]


def grouped(pairs: Sequence[tuple[Tokens, Tokens]]) -> dict[Tokens, dict[Tokens, list[int]]]:
    """Return prompt -> reply -> positions of the pair, so that a prompt that several replies share is read once."""
    groups: dict[Tokens, dict[Tokens, list[int]]] = {}
    for position, (prompt, reply) in enumerate(pairs):
        groups.setdefault(prompt, {}).setdefault(reply, []).append(position)
    return groups


def segments(prompt: Tokens, replies: Sequence[Tokens]) -> tuple[list[int], list[int], list[int]]:
    """Return tokens, positions and segment numbers of a prompt followed by its replies, side by side.

    Segment 0 is the prompt. Every reply goes on at the position after the prompt, as if it stood there alone.
    """
    tokens, positions, numbers = list(prompt), list(range(len(prompt))), [0] * len(prompt)
    for number, reply in enumerate(replies, start=1):
        tokens += reply
        positions += range(len(prompt), len(prompt) + len(reply))
        numbers += [number] * len(reply)
    return tokens, positions, numbers


def may_see(numbers: torch.Tensor) -> torch.Tensor:
    """Return which token may attend to which, (n, 1, n_tokens, n_tokens): earlier ones of the prompt or its own reply.

    numbers: (n, n_tokens), the segment of each token, -1 for padding; a padding token sees itself only.
    """
    import torch

    n_tokens = numbers.shape[1]
    earlier = torch.ones(n_tokens, n_tokens, dtype=torch.bool).tril()
    same = numbers[:, :, None] == numbers[:, None, :]
    prompt = (numbers[:, None, :] == 0) & (numbers[:, :, None] >= 0)
    itself = torch.eye(n_tokens, dtype=torch.bool)
    return (((same | prompt) & earlier) | itself)[:, None]


def mean_log_likelihoods(
    model: Any, pairs: Sequence[tuple[Tokens, Tokens]], *, batch_tokens: int = 2048, progress: str = ""
) -> FloatArray:
    """Return the mean over each reply's tokens of ln p(token | prompt, reply so far), shape (n,), each <= 0.

    model: a causal language model of transformers. Replies to the same prompt are read in one pass, each seeing the
    prompt and itself only; logits are computed where a reply's token is predicted, nowhere else. Raises ValueError for
    an empty prompt or reply, or a pair that does not fit into the context.
    """
    import torch
    from tqdm.auto import tqdm

    limit = int(model.config.max_position_embeddings)
    for position, (prompt, reply) in enumerate(pairs):
        if not prompt or not reply:
            raise ValueError(f"prompt and reply must hold at least one token each, but pair {position} lacks one")
        if len(prompt) + len(reply) > limit:
            raise ValueError(
                f"prompt and reply must fit into {limit} tokens, but pair {position} takes more; shorten it"
            )
    means = np.zeros(len(pairs), dtype=np.float32)
    rows = [
        _Row(prompt, replies) for prompt, group in grouped(pairs).items() for replies in _parts(group, batch_tokens)
    ]
    rows.sort(key=lambda row: -len(row.tokens))
    bar = tqdm(total=len(pairs), desc=progress, unit="pair", disable=not progress, leave=False)
    with torch.inference_mode(), bar:
        start = 0
        while start < len(rows):
            n_rows = max(1, batch_tokens // len(rows[start].tokens))
            batch = rows[start : start + n_rows]
            _score(model, batch, means)
            bar.update(sum(len(positions) for row in batch for positions in row.replies.values()))
            start += n_rows
    return means


def _parts(group: dict[Tokens, list[int]], batch_tokens: int) -> list[dict[Tokens, list[int]]]:
    """Split the replies to one prompt so that those read together stay within a quarter of batch_tokens."""
    parts: list[dict[Tokens, list[int]]] = [{}]
    held = 0
    for reply, positions in group.items():
        if parts[-1] and held + len(reply) > batch_tokens // 4:
            parts.append({})
            held = 0
        parts[-1][reply] = positions
        held += len(reply)
    return parts


class _Row:
    """One row of a batch: a prompt and the replies that are read with it."""

    def __init__(self, prompt: Tokens, replies: dict[Tokens, list[int]]) -> None:
        self.prompt, self.replies = prompt, replies
        self.tokens, self.positions, self.numbers = segments(prompt, list(replies))


def _score(model: Any, rows: Sequence[_Row], means: FloatArray) -> None:
    import torch

    longest = len(rows[0].tokens)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)  # padded on the right
    positions, numbers = torch.zeros_like(ids), torch.full_like(ids, -1)
    for i, row in enumerate(rows):
        ids[i, : len(row.tokens)] = torch.tensor(row.tokens)
        positions[i, : len(row.tokens)] = torch.tensor(row.positions)
        numbers[i, : len(row.tokens)] = torch.tensor(row.numbers)
    # With one reply each, plain causal attention is right: padding comes after everything that counts.
    mask = may_see(numbers) if any(len(row.replies) > 1 for row in rows) else None
    hidden = model.model(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
    ).last_hidden_state  # (n, n_tokens, dim)
    for i, row in enumerate(rows):
        start = len(row.prompt)
        for reply, places in row.replies.items():
            before = [len(row.prompt) - 1, *range(start, start + len(reply) - 1)]  # each predicts the next
            log_p = model.lm_head(hidden[i, before]).float().log_softmax(dim=-1)  # (n_reply, n_vocabulary)
            means[places] = float(log_p[range(len(reply)), list(reply)].mean())
            start += len(reply)
