"""The knobs of each kind of FAISS index: their names, defaults and ranges, and what data they can be fitted on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

KNOBS: dict[str, dict[str, int]] = {
    "flat": {},
    "ivf": {"nlist": 256, "nprobe": 8},
    "hnsw": {"M": 32, "ef_construction": 80, "ef_search": 64},
    "pq": {"m": 48, "nbits": 8},
    "ivf_pq": {"nlist": 256, "nprobe": 8, "m": 48, "nbits": 8},
}
RANGES = {  # smallest and largest value of each
    "nlist": (1, 65_536),
    "nprobe": (1, 65_536),
    "M": (2, 256),
    "ef_construction": (1, 10_000),
    "ef_search": (1, 10_000),
    "m": (1, 4_096),
    "nbits": (4, 8),
}
AT_SEARCH = ("nprobe", "ef_search")  # these can be turned after fit
POINTS_PER_CENTRE = 39  # below that, FAISS itself warns that k-means has too little to learn from


def checked_knobs(kind: str, knobs: Mapping[str, int]) -> dict[str, int]:
    """Return all knobs of a kind: those given, the defaults for the rest.

    Raises ValueError for an unknown kind, a knob that the kind does not have, a value out of range, or nprobe > nlist;
    TypeError for a value that is no whole number.
    """
    if kind not in KNOBS:
        raise ValueError(f"kind must be one of {', '.join(KNOBS)}, got {kind!r}")
    for name, value in knobs.items():
        if name not in KNOBS[kind]:
            known = ", ".join(KNOBS[kind]) or "none"
            raise ValueError(f"{name} is no knob of kind {kind!r}; its knobs: {known}")
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be a whole number, got {value!r} ({type(value).__name__})")
        low, high = RANGES[name]
        if not low <= value <= high:
            raise ValueError(f"{name} must be between {low} and {high}, got {value}")
    whole = KNOBS[kind] | {name: int(value) for name, value in knobs.items()}
    if whole.get("nprobe", 0) > whole.get("nlist", 0):
        raise ValueError(
            f"nprobe must be at most nlist, got {whole['nprobe']} of {whole['nlist']} lists; nprobe = nlist searches all of them"
        )
    return whole


def check_data(kind: str, knobs: Mapping[str, int], n: int, dim: int) -> None:
    """Raise ValueError unless n vectors of dim numbers are enough to fit: m divides dim, k-means has enough to learn."""
    if n == 0 and kind != "flat":
        raise ValueError(f"kind {kind!r} learns from the vectors and cannot be fitted on none; use 'flat'")
    if "m" in knobs and dim % knobs["m"]:
        fitting = [m for m in range(1, dim + 1) if dim % m == 0]
        near = sorted(sorted(fitting, key=lambda m: abs(m - knobs["m"]))[:4])
        raise ValueError(f"m must divide the {dim} dimensions, got {knobs['m']}; near it do: {near}")
    for name, centres in (("nlist", knobs.get("nlist", 0)), ("nbits", 2 ** knobs.get("nbits", 0))):
        needed = POINTS_PER_CENTRE * centres
        if name in knobs and n < needed:
            raise ValueError(
                f"{name}={knobs[name]} needs at least {POINTS_PER_CENTRE} x {centres} = {needed:,} vectors to learn "
                f"{centres} centres from, got {n:,}; use a smaller {name} or kind 'flat'"
            )
