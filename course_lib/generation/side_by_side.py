"""Several prompts that begin alike, decoded side by side: the beginning is read, and held in memory, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SHARED = -1  # the number of the beginning; prompts are numbered from 0


def may_see_own(held: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Return which new token may attend to which, (1, 1, n_new, n_held + n_new): the beginning and its own prompt so far.

    held: (n_held,), for each token in the cache the number of its prompt, SHARED for the beginning; new: (n_new,).
    """
    import torch

    keys = torch.cat([held, new])  # (n_held + n_new,)
    own = (keys[None] == SHARED) | (keys[None] == new[:, None])
    place = torch.arange(len(keys))
    earlier = place[None] <= place[len(held) :, None]
    return (own & earlier)[None, None]


def end_tokens(model: Any) -> set[int]:
    """Return the tokens with which the model ends its turn."""
    ends = model.generation_config.eos_token_id
    return set() if ends is None else {int(ends)} if isinstance(ends, int) else {int(end) for end in ends}


def decode_side_by_side(
    model: Any,
    cache: Any,
    rests: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    ended: Callable[[int, list[int]], bool] = lambda row, tokens: False,
) -> list[list[int]]:
    """Return the new tokens of each prompt, greedily: what the prompt gives alone, up to rounding.

    cache: transformers' cache with the keys and values of the beginning; it grows. rests: what follows the beginning in
    each prompt. Each sees the beginning and itself, at its own positions. ended: is asked after each token whether the
    reply so far is whole; a reply that has ended costs nothing more. Logits are computed at the last token alone.
    Raises ValueError for an empty rest: the last token of a prompt has to be read, or nothing can be predicted.
    """
    import torch

    if not all(len(rest) for rest in rests):
        raise ValueError("every rest must hold at least one token; leave the last token of the prompt out of the cache")
    n_shared, ends = int(cache.get_seq_length()), end_tokens(model)
    held = torch.full((n_shared,), SHARED)
    replies: list[list[int]] = [[] for _ in rests]
    live = list(range(len(rests)))
    feed: list[Sequence[int]] = list(rests)
    with torch.inference_mode():
        while live:
            numbers = torch.tensor([row for row in live for _ in feed[row]])  # (n_new,)
            read = [len(rests[row]) + len(replies[row]) - len(feed[row]) for row in range(len(rests))]
            logits = model(
                input_ids=torch.tensor([[token for row in live for token in feed[row]]]),
                position_ids=torch.tensor([[n_shared + read[row] + i for row in live for i in range(len(feed[row]))]]),
                attention_mask=may_see_own(held, numbers) if len(rests) > 1 else None,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=torch.tensor([len(feed[row]) for row in live]).cumsum(0) - 1,
            ).logits[0]  # (n_live, n_vocabulary)
            held = torch.cat([held, numbers])
            for row, best in zip(live, logits.argmax(dim=-1).tolist(), strict=True):
                replies[row].append(best)
                feed[row] = [best]
            over = {row for row in live if ended(row, replies[row]) or replies[row][-1] in ends}
            live = [row for row in live if row not in over and len(replies[row]) < max_new_tokens]
    return replies
