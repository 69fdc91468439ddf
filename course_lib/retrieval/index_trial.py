"""What an approximate index gives away and what it gains: recall against exact search, queries a second, bytes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from course_lib.core.validate import FloatArray
from course_lib.retrieval.faiss_index import FaissIndex, Positions


@dataclass(frozen=True)
class Trial:
    """One setting of an index on queries whose true neighbours are known.

    found: (n_queries, k) positions, -1 for none. recall: (n_queries,), the share of the true k among them. seconds:
    (n_timed,), of queries asked one after another.
    """

    kind: str
    knobs: dict[str, int]
    found: Positions
    recall: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]
    bytes_per_vector: float
    build_seconds: float

    @property
    def median_seconds(self) -> float:
        """The median over the timed queries."""
        return float(np.median(self.seconds))

    @property
    def queries_per_second(self) -> float:
        """Queries answered in a second when one waits for the other."""
        return 1 / self.median_seconds

    @property
    def name(self) -> str:
        """The kind and its knobs: "ivf nlist=256 nprobe=8"."""
        return " ".join([self.kind, *(f"{name}={value}" for name, value in self.knobs.items())])


def neighbour_recall(found: Positions, true: Positions) -> npt.NDArray[np.float64]:
    """Return for each query the share of its true neighbours that were found; found, true: (n_queries, k) positions.

    -1 in found stands for none. Raises ValueError if the numbers of queries differ or true has no column.
    """
    found, true = np.asarray(found), np.asarray(true)
    if found.ndim != 2 or true.ndim != 2 or len(found) != len(true) or true.shape[1] == 0:
        raise ValueError(
            f"found and true must be (n_queries, k) of the same queries, got {found.shape} and {true.shape}"
        )
    hit = (true[:, :, None] == found[:, None, :]).any(axis=2)  # (n_queries, k)
    return np.asarray(hit.mean(axis=1), dtype=np.float64)


def run_trial(index: FaissIndex, queries: FloatArray, true: Positions, *, n_timed: int = 100) -> Trial:
    """Search all queries for recall, then the first n_timed one by one for time. true: (n_queries, k), by exact search.

    Asked one by one, as a chat asks: many at once would share the work, which favours exact search most. The time is
    that of FAISS, without the checks and names that `search` adds.
    """
    k = true.shape[1]
    found = index.nearest(queries, k)[1]  # (n_queries, k); and the first touch of the index is not timed
    seconds = []
    for query in queries[:n_timed]:
        started = time.perf_counter()
        index.index_.search(query[None, :], k)
        seconds.append(time.perf_counter() - started)
    return Trial(
        index.kind,
        dict(index.knobs),
        found,
        neighbour_recall(found, true),
        np.array(seconds),
        index.n_bytes / len(index),
        index.seconds_,
    )


def sweep(
    index: FaissIndex,
    queries: FloatArray,
    true: Positions,
    settings: Sequence[Mapping[str, int]],
    *,
    n_timed: int = 100,
) -> list[Trial]:
    """Return a trial of a fitted index at each setting of its search knobs: [{"nprobe": 1}, {"nprobe": 8}]."""
    return [run_trial(index.turn(**setting), queries, true, n_timed=n_timed) for setting in settings]
