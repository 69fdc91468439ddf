"""Vector search: every kind of FAISS index at every setting on real vectors, and LanceDB on the collection."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.core.seeds import SEED
from course_lib.core.types import Chunk
from course_lib.core.validate import FloatArray
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.library_docs import library_sentences
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.significance import bootstrap_interval
from course_lib.retrieval.embedding import cached_embeddings, load_embedder, normalise
from course_lib.retrieval.exact import ExactIndex, indexed_text
from course_lib.retrieval.faiss_index import FaissIndex, Positions
from course_lib.retrieval.index_trial import neighbour_recall
from course_lib.retrieval.store_filter import Where
from course_lib.retrieval.store_table import replaced_on
from course_lib.retrieval.vector_store import VectorStore

N_QUERIES, LEAST, K = 1_000, 60_000, 10
ROUNDS, SINGLE, SLOW_SINGLE = 5, 100, 20  # rounds over all settings; queries asked one by one in each
Settings = Sequence[Mapping[str, int]]
PROBES: Settings = [{"nprobe": n} for n in (1, 2, 4, 8, 16, 32, 64)]
BUILDS: list[tuple[str, dict[str, int], Settings]] = [
    ("flat", {}, [{}]),
    ("ivf", {"nlist": 256}, PROBES),
    ("ivf", {"nlist": 1024}, [{"nprobe": n} for n in (1, 4, 16, 64)]),
    ("hnsw", {"M": 16, "ef_construction": 60}, [{"ef_search": n} for n in (10, 20, 40, 80, 160, 320)]),
    ("hnsw", {"M": 32, "ef_construction": 80}, [{"ef_search": n} for n in (10, 40, 160)]),
    *(("pq", {"m": m}, [{}]) for m in (24, 48, 96)),
    *(("ivf_pq", {"nlist": 256, "m": m}, [{"nprobe": n} for n in (4, 16, 64)]) for m in (48, 96)),
]


def seconds_of(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def indexes(
    base: FloatArray, queries: FloatArray, say: Callable[[str], None]
) -> tuple[list[dict[str, Any]], Positions]:
    """Build every index, measure recall, then time all settings in turns. Returns a row a setting, true neighbours."""
    ids = [str(i) for i in range(len(base))]
    rows: list[dict[str, Any]] = []
    built: list[tuple[FaissIndex, Mapping[str, int]]] = []
    true: Positions = np.empty((0, K), np.int64)
    for kind, knobs, settings in BUILDS:
        say(f"building {kind} {knobs}")
        index = FaissIndex(kind, **knobs).fit(base, ids)
        for setting in settings:
            index.turn(**setting)
            found = index.nearest(queries, K)[1]
            true = found if kind == "flat" else true
            interval = bootstrap_interval(neighbour_recall(found, true))
            rows.append(
                {
                    "kind": kind,
                    "knobs": dict(index.knobs),
                    "recall": [round(value, 4) for value in (interval.mean, interval.low, interval.high)],
                    "n": interval.n,
                    "bytes_per_vector": round(index.n_bytes / len(base), 1),
                    "build_seconds": round(index.seconds_, 2),
                }
            )
            built.append((index, dict(setting)))
    single: list[list[float]] = [[] for _ in rows]
    batch: list[list[float]] = [[] for _ in rows]
    for turn in range(ROUNDS):
        say(f"timing, round {turn + 1} of {ROUNDS}")
        for place, (index, setting) in enumerate(built):
            index.turn(**setting)
            asked = queries[: SLOW_SINGLE if index.kind == "flat" else SINGLE]
            single[place].append(
                statistics.median(seconds_of(lambda q=q, i=index: i.index_.search(q[None, :], K)) for q in asked)
            )
            batch[place].append(seconds_of(lambda i=index: i.index_.search(queries[:400], K)) / 400)
    for row, alone, together in zip(rows, single, batch, strict=True):
        row["milliseconds"] = round(1000 * statistics.median(alone), 4)
        row["times_flat"] = round(statistics.median(a / b for a, b in zip(single[0], alone, strict=True)), 1)
        row["batch_per_second"] = round(1 / statistics.median(together))
    return rows, true


def random_vectors(base: FloatArray, queries: FloatArray) -> dict[str, Any]:
    """Return recall of one IVF setting on 20,000 real and on 20,000 random vectors."""
    noise = normalise(np.random.default_rng(SEED).standard_normal((20_500, base.shape[1])).astype(np.float32))
    ids, result = [str(i) for i in range(20_000)], {}
    for name, data, asked in (("real", base[:20_000], queries[:500]), ("random", noise[:20_000], noise[20_000:])):
        true = FaissIndex("flat").fit(data, ids).nearest(asked, K)[1]
        found = FaissIndex("ivf", nlist=256, nprobe=8).fit(data, ids).nearest(asked, K)[1]
        interval = bootstrap_interval(neighbour_recall(found, true))
        result[name] = [round(value, 4) for value in (interval.mean, interval.low, interval.high)]
    return {**result, "n": 500, "n_vectors": 20_000, "setting": "ivf nlist=256 nprobe=8"}


class Known:
    """The vectors of known texts, so that the database is timed and not the encoder."""

    def __init__(self, vectors: Mapping[str, FloatArray], identity: str) -> None:
        self.vectors, self.identity = vectors, identity

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim); a text that is not known gets the first vector."""
        first = next(iter(self.vectors.values()))
        return np.stack([self.vectors.get(text, first) for text in texts])


def database(say: Callable[[str], None]) -> dict[str, Any]:
    """Return medians of what LanceDB does a second on the collection, exact search in memory beside it."""
    documents, embedder = load_documents(), load_embedder()
    chunks = chunk_documents(documents)
    vectors = cached_embeddings([indexed_text(chunk) for chunk in chunks], embedder, say=say)
    questions = [question.text for question in load_questions(split="dev")]
    asked = cached_embeddings(questions, embedder, say=say)
    known = Known(dict(zip(questions, asked, strict=True)), embedder.identity)
    exact = ExactIndex().fit(vectors, [chunk.chunk_id for chunk in chunks])
    flat = FaissIndex("flat").fit(vectors, exact.ids_)
    narrow = Where(shelves=("energy", "help_desk"), since=date(2023, 1, 1), in_force=True)
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(ROUNDS):
            say(f"LanceDB, round {turn + 1} of {ROUNDS}")
            store = VectorStore.create(Path(folder) / str(turn), known)
            took = seconds_of(lambda s=store: s.upsert(chunks, embeddings=vectors, replaced=replaced_on(documents)))
            rates.setdefault("rows inserted in one upsert, full-text index included", []).append(len(chunks) / took)
            pairs = list(zip(questions, asked, strict=True))
            searches: dict[str, Callable[[str, FloatArray], Any]] = {
                "nearest": lambda text, vector, s=store: s.nearest(vector, K),
                "nearest, filtered by shelf, date and version": lambda text, vector, s=store: s.nearest(
                    vector, K, narrow
                ),
                "full text": lambda text, vector, s=store: s.full_text(text, K),
                "full text, filtered": lambda text, vector, s=store: s.full_text(text, K, narrow),
                "hybrid, 100 of each fused": lambda text, vector, s=store: s.hybrid(text, K),
                "exact search in memory (ExactIndex)": lambda text, vector: exact.search(vector, K),
                "exact search in memory (FAISS Flat)": lambda text, vector: flat.search(vector, K),
            }
            for name, search in searches.items():
                times = [seconds_of(lambda f=search, p=pair: f(*p)) for pair in pairs[:60]]
                rates.setdefault(name, []).append(1 / statistics.median(times))
            again = [changed(chunk) for chunk in chunks[:20]]
            took = seconds_of(lambda s=store, a=again: [s.upsert([c], embeddings=vectors[:1]) for c in a])
            rates.setdefault("rows upserted, one at a time", []).append(len(again) / took)
            took = seconds_of(lambda s=store: [s.delete(chunk_ids=[chunk.chunk_id]) for chunk in chunks[:20]])
            rates.setdefault("rows deleted, one at a time", []).append(20 / took)
            store.close()
            rates.setdefault("reopened", []).append(1 / seconds_of(lambda s=store: VectorStore.open(s.folder, known)))
    n_passing = sum(
        chunk.doc_id.partition("/")[0] in narrow.shelves
        and chunk.date >= date(2023, 1, 1)
        and chunk.doc_id not in replaced_on(documents)
        for chunk in chunks
    )
    return {
        "n_chunks": len(chunks),
        "n_passing": n_passing,
        "n_questions": 60,
        "rounds": ROUNDS,
        "per_second": {name: round(statistics.median(values), 1) for name, values in rates.items()},
    }


def changed(chunk: Chunk) -> Chunk:
    """Return the chunk with other words, as an upsert would bring it."""
    return Chunk(
        chunk.chunk_id, chunk.doc_id, chunk.title, chunk.date, chunk.text + " Changed.", chunk.start, chunk.end
    )


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Measure; raises RuntimeError if the installed libraries document too little."""
    sentences = library_sentences()
    if len(sentences) < LEAST + N_QUERIES:
        raise RuntimeError(
            f"{LEAST + N_QUERIES:,} sentences are needed, the installed libraries hold {len(sentences):,}"
        )
    order = np.random.default_rng(SEED).permutation(len(sentences))
    vectors = cached_embeddings([sentences[i] for i in order], load_embedder(), say=say)
    queries, base = vectors[:N_QUERIES], vectors[N_QUERIES:]
    rows, _ = indexes(base, queries, say)
    return {
        "n_vectors": len(base),
        "n_queries": len(queries),
        "dim": int(base.shape[1]),
        "words_a_sentence": round(statistics.mean(len(sentence.split()) for sentence in sentences), 1),
        "rounds": ROUNDS,
        "indexes": rows,
        "random": random_vectors(base, queries),
        "database": database(say),
    }


def knob_words(row: Mapping[str, Any]) -> str:
    """Return the knobs of a row: "nlist 256, nprobe 8"."""
    return ", ".join(f"{name} {value}" for name, value in row["knobs"].items()) or "-"


def page(result: dict[str, Any]) -> str:
    """Return the page."""
    figures = result["figures"]
    flat = figures["indexes"][0]
    lines = [
        "# Vector search",
        "",
        f"{figures['n_vectors']:,} sentences of the installed libraries' documentation ({figures['words_a_sentence']} words on average), "
        f"embedded in {figures['dim']} dimensions; {figures['n_queries']:,} other sentences as queries. Recall@{K} is the share of the true "
        f"{K} neighbours found, with its 95 % bootstrap interval. Times are medians of {figures['rounds']} rounds in which all settings take "
        "turns; one build each.",
        "",
        "| kind | knobs | recall@10 | ms a query | times Flat | queries/s in a batch | bytes a vector | build s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in figures["indexes"]:
        mean, low, high = row["recall"]
        lines.append(
            f"| {row['kind']} | {knob_words(row)} | {mean:.3f} ({low:.3f} to {high:.3f}) | {row['milliseconds']:.3g} | "
            f"{row['times_flat']:g} | {row['batch_per_second']:,} | {row['bytes_per_vector']:,.0f} | {row['build_seconds']:.1f} |"
        )
    good = [row for row in figures["indexes"] if row["recall"][0] >= 0.95 and row["kind"] != "flat"]
    best = min(good, key=lambda row: row["milliseconds"]) if good else None
    lines += [
        "",
        "Queries one by one, as a chat asks them; a batch of 400 shares the work among them, which helps Flat most:",
    ]
    lines[-1] += f" {flat['batch_per_second']:,} a second in place of {1000 / flat['milliseconds']:,.0f}."
    if best:
        lines[-1] += (
            f" The fastest setting with a recall of at least .95 is {best['kind']} ({knob_words(best)}), {best['times_flat']:g} times "
            "Flat for single queries."
        )
    random, database_ = figures["random"], figures["database"]
    lines += [
        "",
        "## Random vectors mislead",
        "",
        f"The same setting ({random['setting']}) on {random['n_vectors']:,} vectors and {random['n']} queries: recall "
        + " and ".join(
            f"{random[name][0]:.2f} ({random[name][1]:.2f} to {random[name][2]:.2f}) on {name} ones"
            for name in ("real", "random")
        )
        + ".",
        "",
        "## LanceDB on the collection",
        "",
        f"{database_['n_chunks']:,} chunks with their text and metadata, no index of vectors: every search is exact. The filter lets "
        f"{database_['n_passing']:,} chunks pass. Encoding the question is not counted. A second, medians of {database_['rounds']} rounds, "
        f"each the median of {database_['n_questions']} questions:",
        "",
        "| what | a second |",
        "| --- | ---: |",
        *(f"| {name} | {rate:,.0f} |" for name, rate in database_["per_second"].items()),
    ]
    return "\n".join(lines)
