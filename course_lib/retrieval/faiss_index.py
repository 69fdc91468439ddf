"""FAISS behind one interface: Flat, IVF, HNSW, PQ and IVF-PQ over vectors of length 1, compared by dot product.

Flat compares with every vector. IVF compares with those in the nprobe lists nearest to the query; HNSW walks a graph
of near neighbours; PQ stores a code of m pieces in place of a vector; IVF-PQ does both of the first and the last.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from course_lib.core.seeds import SEED, thread_count
from course_lib.core.types import Hit, Ranking
from course_lib.core.validate import FloatArray, NotFittedError, require_k, require_matrix
from course_lib.retrieval.exact import DIGITS, MARGIN, checked, k_best
from course_lib.retrieval.faiss_knobs import AT_SEARCH, KNOBS, check_data, checked_knobs
from course_lib.retrieval.index_folder import read_index, write_index

Positions = npt.NDArray[np.int64]
ADDED_AT_ONCE = 4096  # vectors to be coded: FAISS compares a batch with all codes at once, and 50,000 took 1.2 GB


def load_faiss() -> Any:
    """Return the module faiss, set to `thread_count()` threads. Imports torch first: each brings an OpenMP.

    In this order faiss takes over torch's. The other way round there are two, whose threads wait for each other's
    cores: a search between two steps of torch then took three times as long. On macOS two in one process are known to
    stop it, unless the second is let in; then only one thread of it is safe.
    """
    on_mac = sys.platform == "darwin"
    if on_mac:
        os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")
    import torch  # noqa: F401, I001
    import faiss

    faiss.omp_set_num_threads(1 if on_mac else thread_count())
    return faiss


def _version() -> str:
    return f"faiss {load_faiss().__version__}"


class FaissIndex:
    """A FAISS index of one kind.

    nlist: lists that the vectors are shared out to; nprobe: lists searched. M: links of a vector in the graph;
    ef_construction, ef_search: candidates kept while building and searching. m: pieces that a vector is cut into;
    nbits: bits of each. Raises ValueError for a knob that the kind does not have or a value out of range.
    HNSW is built by several threads, whose order differs, so two builds differ a little.
    """

    def __init__(self, kind: str = "flat", **knobs: int) -> None:
        self.knobs = checked_knobs(kind, knobs)
        self.kind = kind

    def fit(self, embeddings: FloatArray, ids: Sequence[str]) -> Self:
        """Build the index over embeddings (n, dim), rows of length 1. seconds_: what building took.

        Raises ValueError if ids and embeddings differ in number, an id comes twice, m does not divide dim, or there are
        too few vectors to train on.
        """
        matrix, names = checked(embeddings, ids)
        check_data(self.kind, self.knobs, *matrix.shape)
        faiss = load_faiss()
        started = time.perf_counter()
        index = _empty(faiss, self.kind, matrix.shape[1], self.knobs)
        if not index.is_trained:
            index.train(matrix)
        step = ADDED_AT_ONCE if "m" in self.knobs else len(matrix) or 1
        for first in range(0, len(matrix), step):
            index.add(matrix[first : first + step])
        self.seconds_ = time.perf_counter() - started
        return self._adopt(index, names)

    def _adopt(self, index: Any, ids: list[str]) -> Self:
        self.index_, self.ids_ = index, ids
        for name in AT_SEARCH:
            if name in self.knobs:
                self._turn(name)
        return self

    def _turn(self, name: str) -> None:
        if name == "nprobe":
            self._fitted().nprobe = int(self.knobs[name])
        else:
            self._fitted().hnsw.efSearch = int(self.knobs[name])

    def turn(self, **knobs: int) -> Self:
        """Change nprobe or ef_search of a fitted index, in place: they matter at search time only, nothing is rebuilt."""
        self._fitted()
        for name in knobs:
            if name not in AT_SEARCH:
                raise ValueError(
                    f"{name} is fixed when the index is built; only {' and '.join(AT_SEARCH)} can be turned"
                )
        self.knobs = checked_knobs(self.kind, self.knobs | knobs)
        for name in knobs:
            self._turn(name)
        return self

    def _fitted(self) -> Any:
        if not hasattr(self, "index_"):
            raise NotFittedError("this index is empty: call fit(embeddings, ids) first")
        return self.index_

    def __len__(self) -> int:
        return len(getattr(self, "ids_", ()))

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return int(self._fitted().d)

    @property
    def n_bytes(self) -> int:
        """Bytes of the index, without the ids: what it takes in a file, and nearly that in memory."""
        faiss, index, sizes = load_faiss(), self._fitted(), [0]

        def count(block: bytes) -> None:
            sizes[0] += len(block)

        faiss.write_index(index, faiss.PyCallbackIOWriter(count))
        return sizes[0]

    def nearest(self, queries: FloatArray, k: int) -> tuple[FloatArray, Positions]:
        """Return scores and positions, (n_queries, k) each, as FAISS gives them: ties fall anyhow, -1 is no vector.

        An approximate index may find fewer than k: IVF where the lists it searches hold fewer.
        """
        queries = require_matrix(queries, name="queries", dim=self.dim)
        require_k(k, len(self.ids_), of="indexed chunks")
        load_faiss()  # sets the threads
        scores, positions = self.index_.search(queries, k)
        return scores, positions

    def search(self, query: FloatArray, k: int) -> Ranking:
        """Return the k nearest ids that this index finds for query (dim,), fewer where it finds fewer.

        Score: the dot product; of the PQ kinds an estimate of it. Raises NotFittedError before fit.
        """
        self._fitted()
        return self.search_many(require_matrix(np.asarray(query)[None, :], name="query", dim=self.dim), k)[0]

    def search_many(self, queries: FloatArray, k: int) -> list[Ranking]:
        """Return the ranking of each query, queries: (n_queries, dim); several threads share them."""
        self._fitted()
        queries = require_matrix(queries, name="queries", dim=self.dim)
        n = len(self.ids_)
        require_k(k, n, of="indexed chunks")
        margin = max(0, self.knobs["ef_search"] - k) if self.kind == "hnsw" else MARGIN  # a graph has found ef_search
        scores, positions = self.nearest(queries, min(n, k + margin))

        def fetcher(row: int) -> Callable[[int], list[Hit]]:
            def fetch(depth: int) -> list[Hit]:
                if depth == scores.shape[1]:
                    return self._hits(scores[row], positions[row])
                wider = self.nearest(queries[row : row + 1], depth)
                return self._hits(wider[0][0], wider[1][0])

            return fetch

        return [k_best(fetcher(row), k, n, margin=margin) for row in range(len(queries))]

    def _hits(self, scores: FloatArray, positions: Positions) -> list[Hit]:
        there = positions >= 0  # where there is no vector, FAISS gives -1 and the lowest of all scores
        pairs = zip(positions[there].tolist(), scores[there].round(DIGITS).tolist(), strict=True)
        return [Hit(self.ids_[i], score) for i, score in pairs]

    def save(self, folder: Path | str) -> None:
        """Write the index to a folder, in place of one that lies there. Raises SavedIndexError, NotFittedError."""
        index = self._fitted()
        write_index(
            folder,
            kind=self.kind,
            library=_version(),
            embeddings_shape=(len(self.ids_), self.dim),
            ids=self.ids_,
            knobs={name: int(value) for name, value in self.knobs.items()},
            seconds=self.seconds_,
            writers={"index.faiss": lambda path: load_faiss().write_index(index, str(path))},
        )

    @classmethod
    def load(cls, folder: Path | str, *, dim: int | None = None) -> Self:
        """Return the index that was saved in a folder. Raises SavedIndexError if it cannot be used; see read_index."""
        manifest, paths, ids = read_index(folder, kinds=list(KNOBS), library=_version(), dim=dim)
        index = cls(manifest.kind, **manifest.knobs)
        index.seconds_ = manifest.seconds
        return index._adopt(load_faiss().read_index(str(paths["index.faiss"])), ids)


def _empty(faiss: Any, kind: str, dim: int, knobs: dict[str, int]) -> Any:
    """Return an untrained index of FAISS; an IVF index keeps its coarse quantiser alive."""
    metric = faiss.METRIC_INNER_PRODUCT
    index: Any
    if kind == "flat":
        return faiss.IndexFlatIP(dim)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, int(knobs["M"]), metric)
        index.hnsw.efConstruction = int(knobs["ef_construction"])
        return index
    if kind == "pq":
        index = faiss.IndexPQ(dim, int(knobs["m"]), int(knobs["nbits"]), metric)
    else:
        coarse = faiss.IndexFlatIP(dim)
        if kind == "ivf":
            index = faiss.IndexIVFFlat(coarse, dim, int(knobs["nlist"]), metric)
        else:
            index = faiss.IndexIVFPQ(coarse, dim, int(knobs["nlist"]), int(knobs["m"]), int(knobs["nbits"]), metric)
        index.cp.seed = SEED
        index.cp.spherical = True  # centres of length 1, like the vectors
    if "m" in knobs:
        index.pq.cp.seed = SEED
    return index
