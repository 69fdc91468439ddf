"""Places of a batch that hold no token: padded as it comes, bucketed by length, packed into rows."""

from __future__ import annotations

from collections.abc import Sequence

WAYS = ("padded", "bucketed", "packed")


def padded_places(lengths: Sequence[int], batch_size: int) -> int:
    """Return how many places batches take, in the order given, each padded to its longest text."""
    _require(lengths, batch_size, "batch_size")
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    return sum(len(batch) * max(batch) for batch in batches)


def bucketed_places(lengths: Sequence[int], batch_size: int) -> int:
    """Return how many places batches of texts of similar length take: sorted first, then padded."""
    return padded_places(sorted(lengths), batch_size)


def packed_rows(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Return the positions of the texts in each row of row_tokens places: the longest first, each into the first row it fits.

    First fit decreasing (Johnson, 1973): at most 11/9 of the fewest rows, and one more. Raises ValueError for a text
    longer than a row.
    """
    _require(lengths, row_tokens, "row_tokens")
    if max(lengths) > row_tokens:
        raise ValueError(f"row_tokens must hold the longest text ({max(lengths)} tokens), got {row_tokens}")
    rows: list[list[int]] = []
    room: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = next((n for n, left in enumerate(room) if left >= lengths[i]), None)
        if place is None:
            rows.append([])
            room.append(row_tokens)
            place = len(rows) - 1
        rows[place].append(i)
        room[place] -= lengths[i]
    return rows


def wasted_tokens(lengths: Sequence[int], *, batch_size: int, row_tokens: int) -> dict[str, int]:
    """Return way -> places that are read and hold no token, for the ways of WAYS.

    row_tokens: places of a packed row. `CausalTuner` packs a batch into one row as long as its texts, and wastes none.
    """
    used = sum(lengths)
    return {
        "padded": padded_places(lengths, batch_size) - used,
        "bucketed": bucketed_places(lengths, batch_size) - used,
        "packed": len(packed_rows(lengths, row_tokens)) * row_tokens - used,
    }


def _require(lengths: Sequence[int], size: int, name: str) -> None:
    if not lengths:
        raise ValueError("lengths must hold at least one text, got none")
    if min(lengths) < 1:
        raise ValueError(f"every text must have at least 1 token, got {min(lengths)}")
    if size < 1:
        raise ValueError(f"{name} must be at least 1, got {size}")
