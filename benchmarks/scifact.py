"""SciFact (Wadden et al., 2020): 5,183 abstracts and 809 training claims with judgements, to calibrate on public data."""

from __future__ import annotations

import csv
import datetime
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.assets.models import compute_dtype, encoder_source, generator_source, model_id
from course_lib.core.types import Chunk
from course_lib.core.validate import FloatArray
from course_lib.evaluation.ranking import metric_values
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.generation.language_model import load_language_model
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.cross_encoder import load_cross_encoder
from course_lib.retrieval.embedding import cached_embeddings, load_embedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.systems.compare import Candidates, PairScorer, best_weights, late_interaction_pairs, likelihood_pairs
from course_lib.workshop.bench import BenchmarkSkipped, remembered

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "scifact_train"


@dataclass(frozen=True)
class Collection:
    """Abstracts as chunks, claims by id, and judgements claim id -> {chunk id: gain}."""

    chunks: list[Chunk]
    queries: dict[str, str]
    judgements: dict[str, dict[str, float]]


def load(folder: Path = FOLDER) -> Collection:
    """Read the collection. Raises FileNotFoundError if it is not there: the course does not ship it."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"SciFact is not at {folder}; this benchmark calibrates on it and is skipped without it"
        )
    chunks = []
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            text = entry["text"]
            chunks.append(
                Chunk(
                    str(entry["_id"]), str(entry["_id"]), entry["title"], datetime.date(2020, 1, 1), text, 0, len(text)
                )
            )
    with (folder / "queries.jsonl").open(encoding="utf-8") as file:
        texts = {str(entry["_id"]): entry["text"] for entry in map(json.loads, file)}
    judgements: dict[str, dict[str, float]] = {}
    with (folder / "qrels.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            judgements.setdefault(row["query-id"], {})[row["corpus-id"]] = float(row["score"])
    return Collection(chunks, {name: texts[name] for name in judgements}, judgements)


DEPTH = 20
SHOWN = 1400  # characters of an abstract that the language model reads; the others read 256 tokens
STAGES = ("BM25", "MiniLM", "late interaction", "cross-encoder", "query likelihood")
SYSTEMS: dict[str, tuple[str, ...]] = {
    "RRF": ("RRF",),
    "BM25 + MiniLM, scores added": ("BM25", "MiniLM"),
    "RRF, reread by late interaction": ("RRF", "late interaction"),
    "RRF, reread by cross-encoder": ("RRF", "cross-encoder"),
    "RRF, reread by query likelihood": ("RRF", "query likelihood"),
    "all stages added": STAGES,
}


def theirs(queries: list[str], passages: list[str]) -> tuple[FloatArray, FloatArray]:
    """Return the vectors of sentence-transformers, with the same weights and the same truncation."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(encoder_source(), max_seq_length=256)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")
    return model.encode(queries, show_progress_bar=False), model.encode(passages, show_progress_bar=False)


def nearest(queries: FloatArray, passages: FloatArray, ids: list[str], names: list[str]) -> dict[str, list[str]]:
    """Return the 100 nearest passages of each query, best first."""
    order = np.argsort(-(queries @ passages.T), axis=1, kind="stable")[:, :100]
    return {name: [ids[j] for j in row] for name, row in zip(names, order, strict=True)}


def two_fold(table: Candidates, stages: tuple[str, ...], judgements: dict[str, dict[str, float]]) -> Any:
    """Return rankings with weights chosen on the other half of the queries, and the weights of both halves."""
    names = list(table.ids)
    halves = names[::2], names[1::2]
    rankings: dict[str, list[str]] = {}
    chosen = []
    for learn, use in (halves, halves[::-1]):
        subset = {name: judgements[name] for name in learn}

        def score(found: dict[str, list[str]], subset: dict[str, dict[str, float]] = subset) -> float:
            return float(metric_values("nDCG@10", found, subset).mean())

        weights = best_weights(table.only(learn), stages, score)
        rankings |= {name: table.ranking(weights, name) for name in use}
        chosen.append(weights)
    return rankings, chosen


def kept(reader: PairScorer, name: str, part: int = 1000) -> PairScorer:
    """Return a scorer that remembers each part on disk, so that it can be stopped: this one takes many minutes.

    Pairs are sorted by their text, so that those which share one stay together.
    """

    def scores(queries: Sequence[str], texts: Sequence[str]) -> FloatArray:
        values = np.zeros(len(texts), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: (texts[i], queries[i]))
        for start in range(0, len(order), part):
            rows = order[start : start + part]
            pairs = [queries[i] for i in rows], [texts[i] for i in rows]
            depends_on = [model_id(generator_source()), str(compute_dtype()), SHOWN, *pairs]
            values[rows] = remembered(name, depends_on, partial(_listed, reader, *pairs))
        return values

    return scores


def _listed(reader: PairScorer, queries: Sequence[str], texts: Sequence[str]) -> list[float]:
    return [float(value) for value in reader(queries, texts)]


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Score all 809 claims with every system. Raises BenchmarkSkipped where SciFact is not there."""
    try:
        collection = load()
    except FileNotFoundError as error:
        raise BenchmarkSkipped(str(error)) from error
    texts = {chunk.chunk_id: indexed_text(chunk) for chunk in collection.chunks}
    ids, names, judgements = list(texts), list(collection.queries), collection.judgements
    embedder = load_embedder()
    say("embedding")
    passages = cached_embeddings(list(texts.values()), embedder)
    queries = embedder(list(collection.queries.values()))
    say("embedding with sentence-transformers")
    rankings = {"MiniLM": nearest(queries, passages, ids, names)}
    rankings["MiniLM by sentence-transformers"] = remembered(
        "scifact-sentence-transformers",
        [model_id(encoder_source()), version("sentence-transformers"), texts, collection.queries],
        lambda: nearest(*theirs(list(collection.queries.values()), list(texts.values())), ids, names),
    )
    words = FastBM25Retriever().fit(collection.chunks)
    dense = DenseRetriever(embedder).fit(collection.chunks, passages)
    rankings["BM25"] = {
        name: [hit.chunk_id for hit in words.search(text, 100)] for name, text in collection.queries.items()
    }
    fused = FusedRetriever(dense, words, n_chunks=len(ids))
    hits = {name: fused.search(text, DEPTH) for name, text in collection.queries.items()}
    table = Candidates(collection.queries, {name: [hit.chunk_id for hit in found] for name, found in hits.items()})
    table = table.with_stage("RRF", {name: [hit.score for hit in found] for name, found in hits.items()})
    place, row = {name: i for i, name in enumerate(names)}, {name: i for i, name in enumerate(ids)}
    table = table.with_stage(
        "MiniLM",
        {
            name: [float(queries[place[name]] @ passages[row[candidate]]) for candidate in found]
            for name, found in table.ids.items()
        },
    )
    table = table.with_stage(
        "BM25", {name: _scores(words, collection.queries[name], found) for name, found in table.ids.items()}
    )
    say("cross-encoder")
    table = table.scored_by("cross-encoder", load_cross_encoder().pairs, texts)
    say("late interaction")
    table = table.scored_by("late interaction", late_interaction_pairs(embedder), texts)
    say("query likelihood: the longest part")
    reader = likelihood_pairs(load_language_model(), cut=SHOWN)
    table = table.scored_by("query likelihood", kept(reader, "scifact-likelihood"), texts)
    chosen = {}
    for name, stages in SYSTEMS.items():
        rankings[name] = table.rankings(dict.fromkeys(stages, 1.0))
        if len(stages) > 1:
            key = f"{name}, weights by two-fold choice"
            rankings[key], chosen[key] = two_fold(table, stages, judgements)
    found = {name: metric_values("nDCG@10", ranking, judgements) for name, ranking in rankings.items()}
    rows = {}
    for name, value in found.items():
        interval, difference = bootstrap_interval(value), paired_difference(value, found["RRF"])
        rows[name] = {
            "nDCG@10": [round(x, 4) for x in (interval.mean, interval.low, interval.high)],
            "minus RRF": [round(x, 4) for x in (difference.mean, difference.low, difference.high)],
        }
    return {"n": len(names), "n_passages": len(ids), "depth": DEPTH, "rows": rows, "weights": chosen}


def _scores(words: FastBM25Retriever, query: str, found: list[str]) -> list[float]:
    """BM25 of the candidates: those that its ranking of all passages holds; 0 for one that shares no word."""
    scores = {hit.chunk_id: hit.score for hit in words.search(query, len(words))}
    return [scores.get(name, 0.0) for name in found]


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    lines = [
        "# Calibration on SciFact",
        "",
        f"{figures['n']} training claims, {figures['n_passages']:,} abstracts (Wadden et al., 2020). Nothing was trained on them. "
        f"Rereading orders the {figures['depth']} best of RRF; standardised scores are added, with equal weights or with weights "
        "chosen on one half of the claims and used on the other. Brackets: 95 % bootstrap interval.",
        "",
        "| system | nDCG@10 | minus RRF |",
        "|---|---|---|",
    ]
    for name, row in figures["rows"].items():
        mean, low, high = row["nDCG@10"]
        d, d_low, d_high = row["minus RRF"]
        lines.append(f"| {name} | {mean:.3f} [{low:.3f}, {high:.3f}] | {d:+.3f} [{d_low:+.3f}, {d_high:+.3f}] |")
    lines += ["", "Published figures are of the 300 test claims, which are not these: BM25 with a MiniLM cross-encoder trained on MS MARCO .682, "
              "BM25 and BGE by RRF .742."]  # fmt: skip
    for name, weights in figures["weights"].items():
        halves = " / ".join(", ".join(f"{stage} {weight:g}" for stage, weight in half.items()) for half in weights)
        lines += ["", f"{name}: {halves}."]
    return "\n".join(lines)
