"""The right answers of lesson 13's exercise, with NumPy alone; the checks compare with these and build slips from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IGNORED = -100
Turns = list[tuple[str, str]]


def chat_text(turns: Turns, to_be_answered: bool) -> str:
    """Return (role, text) turns in ChatML, opened for the assistant if it is to answer."""
    said = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    return said + "<|im_start|>assistant\n" * to_be_answered


def label_mask(tokens: Sequence[int], parts: Sequence[str]) -> list[int]:
    """Return the tokens of the assistant and the ends right after them; IGNORED elsewhere."""
    labels, before = [], ""
    for token, part in zip(tokens, parts, strict=True):
        counts = part == "assistant" or (part == "end" and before == "assistant")
        labels.append(token if counts else IGNORED)
        before = part
    return labels


def token_losses(logits: npt.NDArray[np.float64], labels: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return -ln p of each label that counts, predicted from the row before it."""
    places = [i for i in range(1, len(labels)) if labels[i] != IGNORED]
    rows = logits[[i - 1 for i in places]]
    rows = rows - rows.max(axis=1, keepdims=True)
    picked = rows[np.arange(len(places)), [labels[i] for i in places]]
    losses: npt.NDArray[np.float64] = np.log(np.exp(rows).sum(axis=1)) - picked
    return losses


def padded_places(lengths: Sequence[int], batch_size: int) -> int:
    """Return the places of batches in order, each padded to its longest."""
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    return sum(len(batch) * max(batch) for batch in batches)


def first_fit(lengths: Sequence[int], row_tokens: int, order: Sequence[int]) -> list[list[int]]:
    """Return rows of positions: the texts in this order, each into the first row that has room."""
    rows: list[list[int]] = []
    for i in order:
        row = next((row for row in rows if sum(lengths[j] for j in row) + lengths[i] <= row_tokens), None)
        if row is None:
            rows.append(row := [])
        row.append(i)
    return rows


def longest_first(lengths: Sequence[int]) -> list[int]:
    """Return positions by falling length, equal ones in order."""
    return sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


def broken_rules(text: str, forbidden: Sequence[str]) -> list[str]:
    """Return which of three rules an answer breaks: length, next step, set phrase."""
    _, mark, step = text.partition("Next step:")
    held = {
        "length": 25 <= len(text.split()) <= 60,
        "next step": bool(mark) and "Next step:" not in step and bool(step.strip()),
        "set phrase": not any(phrase in text.lower() for phrase in forbidden),
    }
    return [name for name, value in held.items() if not value]


def forgetting(before: Sequence[bool], after: Sequence[bool]) -> tuple[float, float]:
    """Return the share of what was right before that is wrong now, and the change of the share that is right."""
    knew = [now for once, now in zip(before, after, strict=True) if once]
    forgotten = 1 - sum(knew) / len(knew) if knew else 0.0
    return forgotten, (sum(after) - sum(before)) / len(before)
