"""Train, dev and test: every label in its share in each part, and what belongs together in one part."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.core.seeds import SEED

IntArray = npt.NDArray[np.int64]


def stratified_split(
    labels: Sequence[Hashable], shares: Sequence[float], *, groups: Sequence[Hashable] | None = None, seed: int = SEED
) -> IntArray:
    """Return the part of each example, shape (n,): 0 for the first share, 1 for the second, and so on.

    Each label is divided as the shares say, to within one example, or one group where groups are given. groups: examples
    of one group go to one part, whatever their labels; then the division is as near as whole groups allow. Raises
    ValueError unless the shares are positive and add up to 1, or if a label has fewer examples (groups) than parts.
    """
    if len(shares) < 2 or min(shares) <= 0 or not np.isclose(sum(shares), 1):
        raise ValueError(f"shares must be at least two, positive, and add up to 1, got {tuple(shares)}")
    if groups is not None and len(groups) != len(labels):
        raise ValueError(f"groups must name a group for each of {len(labels)} examples, got {len(groups)}")
    members: dict[Hashable, list[int]] = defaultdict(list)
    for i in range(len(labels)):
        members[i if groups is None else groups[i]].append(i)
    holding = Counter(label for rows in members.values() for label in {labels[i] for i in rows})
    rare = [label for label, n in holding.items() if n < len(shares)]
    if rare:
        raise ValueError(
            f"every label needs at least {len(shares)} {'examples' if groups is None else 'groups'}, one for each part, "
            f"but {rare[0]!r} has {holding[rare[0]]}; collect more, or leave it out"
        )
    rng = np.random.default_rng(seed)
    order = [list(members)[i] for i in rng.permutation(len(members))]
    order.sort(key=lambda group: (-len(members[group]), min(holding[labels[i]] for i in members[group])))
    totals = Counter(labels)
    wanted = {label: np.array(shares) * n for label, n in totals.items()}  # label -> (n_parts,)
    given: dict[Hashable, npt.NDArray[np.float64]] = {label: np.zeros(len(shares)) for label in totals}
    parts = np.zeros(len(labels), dtype=np.int64)
    for group in order:
        need = np.zeros(len(shares))  # how far each part is from its share, in the labels of this group
        for label, n in Counter(labels[i] for i in members[group]).items():
            need += n * ((wanted[label] - given[label]) / totals[label] + (given[label] == 0))
        part = int(np.argmax(need))
        for i in members[group]:
            parts[i] = part
            given[labels[i]][part] += 1
    return parts


def folds_of(labels: Sequence[Hashable], n_folds: int, *, seed: int = SEED) -> IntArray:
    """Return the fold of each example, shape (n,), every label spread evenly. Raises ValueError as `stratified_split`."""
    if n_folds < 2:
        raise ValueError(f"n_folds must be at least 2, got {n_folds}")
    return stratified_split(labels, [1 / n_folds] * n_folds, seed=seed)


def groups_of(n: int, pairs: Sequence[tuple[int, int]]) -> IntArray:
    """Return a group number for each of n examples: those joined by pairs, directly or by others, share it."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs:
        parent[max(root(a), root(b))] = min(root(a), root(b))
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(i), len(numbers)) for i in range(n)], dtype=np.int64)


def counts_by_part(labels: Sequence[Any], parts: IntArray) -> dict[Any, list[int]]:
    """Return for each label, in order, how many examples each part holds."""
    n_parts = int(parts.max()) + 1
    return {
        label: [
            sum(1 for each, p in zip(labels, parts, strict=True) if each == label and p == part)
            for part in range(n_parts)
        ]
        for label in sorted(set(labels))
    }
