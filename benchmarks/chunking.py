"""Chunking on all shelves: method, size and overlap against recall within a context, with what each costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.seeds import SEED
from course_lib.core.types import Chunk, Document, Question
from course_lib.core.validate import FloatArray
from course_lib.corpus.chunking import (
    Chunker,
    chunk_documents,
    fixed_chunks,
    recursive_chunks,
    semantic_chunks,
    sentence_chunks,
    sentence_spans,
)
from course_lib.corpus.judgements import gold_ranges
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.ranking import metric_values
from course_lib.evaluation.runs import as_documents
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.evaluation.spans import fate, spans_found
from course_lib.retrieval.bm25 import BM25Retriever
from course_lib.retrieval.embedding import ContextualEmbedder, cached_embeddings, load_embedder
from course_lib.retrieval.exact import indexed_text

SPLITS, BUDGETS, DEPTH = ("dev", "test"), (120, 240, 480), 60
SIZES, WHOLE = (40, 80, 120, 240), 10_000  # in words; a document is shorter than WHOLE
BASELINE = "sentence 120"  # the cut of the reading room
# Vectors are the price: those that answer a question get them, the others are searched by words only.
WITH_VECTORS = (
    "sentence 40",
    "sentence 80",
    "sentence 120",
    "sentence 240",
    "whole",
    "fixed 80",
    "fixed 80 overlap 20",
)
Say = Callable[[str], None]


def cutters(embedder: Embedder) -> dict[str, Chunker]:
    """Return every way of cutting by its name: method, words at most, overlap."""
    found: dict[str, Chunker] = {}
    for size in SIZES:
        found[f"sentence {size}"] = partial(sentence_chunks, max_words=size)
        found[f"sentence {size} overlap 1"] = partial(sentence_chunks, max_words=size, overlap=1)
        for share in (0, 4, 2):
            overlap = size // share if share else 0
            name = f"fixed {size}" + (f" overlap {overlap}" if overlap else "")
            found[name] = partial(fixed_chunks, max_words=size, overlap=overlap)
        found[f"recursive {size}"] = partial(recursive_chunks, max_words=size)
    for percentile in (20, 50):
        found[f"semantic {percentile}"] = partial(
            semantic_chunks, embedder=embedder, max_words=120, percentile=percentile
        )
    return found | {"whole": partial(sentence_chunks, max_words=WHOLE)}


def measured(
    rankings: dict[str, list[Chunk]], questions: Sequence[Question], gold: dict[str, list[tuple[str, int, int]]]
) -> dict[str, FloatArray]:
    """Return one value a question for every score: recall within each budget, and of documents recall@5 and nDCG@10."""
    values = {
        f"within {budget}": np.array(
            [
                spans_found(rankings[q.question_id], gold[q.question_id], max_words=budget, any_gold=q.any_gold)
                for q in questions
            ],
            dtype=np.float32,
        )
        for budget in BUDGETS
    }
    relevant = {q.question_id: {doc_id: 1.0 for doc_id, _, _ in gold[q.question_id]} for q in questions}
    found = {name: as_documents([chunk.chunk_id for chunk in ranking]) for name, ranking in rankings.items()}
    return values | {metric: metric_values(metric, found, relevant) for metric in ("recall@5", "nDCG@10")}


def by_words(chunks: Sequence[Chunk], questions: Sequence[Question]) -> dict[str, list[Chunk]]:
    """Return the best chunks for each question by BM25."""
    index = BM25Retriever().fit(chunks)
    hits = {q.question_id: index.search(q.text, min(DEPTH, len(chunks))) for q in questions}
    return {name: [index.chunk(hit.chunk_id) for hit in ranking] for name, ranking in hits.items()}


def by_meaning(
    chunks: Sequence[Chunk], questions: Sequence[Question], vectors: FloatArray, queries: FloatArray
) -> dict[str, list[Chunk]]:
    """Return the best chunks for each question by cosine."""
    order = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :DEPTH]  # (n_questions, DEPTH)
    return {q.question_id: [chunks[j] for j in row] for q, row in zip(questions, order, strict=True)}


def cost(chunks: Sequence[Chunk], documents: Sequence[Document], embedder: ContextualEmbedder) -> dict[str, float]:
    """Return how many chunks there are, their mean length, words stored for each of the text, tokens, and megabytes."""
    words = [len(chunk.text.split()) for chunk in chunks]
    ids = embedder.tokenizer([indexed_text(chunk) for chunk in chunks])["input_ids"]
    lengths = np.array([len(row) for row in ids])  # (n_chunks,)
    return {
        "chunks": len(chunks),
        "mean_words": float(np.mean(words)),
        "stored": sum(words) / sum(len(document.text.split()) for document in documents),
        "tokens": int(np.minimum(lengths, embedder.max_tokens).sum()),
        "unread": float(1 - np.minimum(lengths, embedder.max_tokens).sum() / lengths.sum()),
        "megabytes": len(chunks) * embedder.dim * 4 / 1e6,
    }


def speed(embedder: ContextualEmbedder, sentences: Sequence[str], *, repeats: int = 5) -> float:
    """Return the tokens a second at which passages of ten sentences are embedded, median of the repeats."""
    texts = [" ".join(sentences[i : i + 10]) for i in range(0, 1280, 10)]
    n_tokens = sum(map(len, embedder.tokenizer(texts, truncation=True, max_length=embedder.max_tokens)["input_ids"]))
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        embedder(texts)
        seconds.append(time.perf_counter() - started)
    return n_tokens / statistics.median(seconds)


def run(say: Say) -> dict[str, Any]:
    """Cut all shelves in every way, search them by words and, where the price allows, by vectors, and measure."""
    documents = load_documents()
    by_id = {document.doc_id: document for document in documents}
    questions = {split: [q for q in load_questions(split=split) if q.gold] for split in SPLITS}
    gold = {q.question_id: gold_ranges(q, by_id) for asked in questions.values() for q in asked}
    embedder = load_embedder(progress=True)
    say("sentences")
    sentences = sorted({d.text[start:end] for d in documents for start, end in sentence_spans(d.text)})
    known = dict(zip(sentences, cached_embeddings(sentences, embedder), strict=True))
    queries = {split: embedder([q.text for q in asked]) for split, asked in questions.items()}

    rows: list[dict[str, Any]] = []
    values: dict[tuple[str, str, str], dict[str, FloatArray]] = {}
    for name, cutter in cutters(lambda texts: np.stack([known[text] for text in texts])).items():
        say(name)
        chunks = chunk_documents(documents, chunker=cutter)
        of: dict[str, list[Chunk]] = {}
        for chunk in chunks:
            of.setdefault(chunk.doc_id, []).append(chunk)
        spans = [span for q in questions["test"] for span in gold[q.question_id]]
        whole = [fate((start, end), of[doc_id]) == "whole" for doc_id, start, end in spans]
        row: dict[str, Any] = {"name": name, "whole": _interval(np.array(whole, dtype=np.float32))}
        row |= cost(chunks, documents, embedder)
        vectors = (
            cached_embeddings([indexed_text(chunk) for chunk in chunks], embedder)
            if name in WITH_VECTORS or name.startswith("semantic")
            else None
        )
        for split, asked in questions.items():
            values[name, "words", split] = measured(by_words(chunks, asked), asked, gold)
            if vectors is not None:
                rankings = by_meaning(chunks, asked, vectors, queries[split])
                values[name, "vectors", split] = measured(rankings, asked, gold)
        rows.append(row)
    scores = [
        {"name": name, "search": search, "split": split, "metric": metric, **_interval(found)}
        for (name, search, split), metrics in values.items()
        for metric, found in metrics.items()
    ]
    against = [
        {"name": name, "search": search, "split": split, "metric": metric}
        | _interval(None, paired_difference(found, values[BASELINE, search, split][metric]))
        for (name, search, split), metrics in values.items()
        for metric, found in metrics.items()
        if name != BASELINE and metric == "within 240"
    ]
    return {
        "seed": SEED,
        "tokens_per_second": speed(embedder, sentences),
        "sentence_tokens": sum(map(len, embedder.tokenizer(sentences)["input_ids"])),
        "documents": len(documents),
        "questions": {split: len(asked) for split, asked in questions.items()},
        "baseline": BASELINE,
        "rows": rows,
        "scores": scores,
        "against_baseline": against,
    }


def _interval(values: FloatArray | None, interval: Any = None) -> dict[str, float]:
    found = bootstrap_interval(values) if values is not None else interval
    return {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}


def _shown(entry: dict[str, Any], *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{entry['mean']:{sign}.3f} [{entry['low']:{sign}.3f}, {entry['high']:{sign}.3f}]"


def page(result: dict[str, Any]) -> str:
    """Return the Markdown of the page: costs, scores of the test split by each search, differences, and dev beside."""
    figures = result["figures"]
    score = {(s["name"], s["search"], s["split"], s["metric"]): s for s in figures["scores"]}
    names = [row["name"] for row in figures["rows"]]
    n = figures["questions"]
    lines = [
        "# Chunking",
        "",
        f"All {figures['documents']:,} documents of the reading room, cut in {len(names)} ways. Sizes are words at most; an "
        "overlap is in words, or in sentences for sentence chunks. The semantic numbers are percentiles; no semantic chunk is "
        "longer than 120 words. Nothing was chosen on the test questions.",
        "",
        "*Within 240*: the share of questions whose gold spans all stand, whole, in the first 240 words of what was found, the last "
        f"passage cut to fit. *nDCG@10* and *recall@5* are of documents. {n['test']} test and {n['dev']} dev questions; in "
        "brackets, 95 % bootstrap intervals.",
        "",
        "## What each way of cutting costs",
        "",
        f"Seconds at the {figures['tokens_per_second']:,.0f} tokens a second measured here; the semantic rows include one vector "
        "for every sentence. *Not read*: what lies beyond the 256 tokens that the encoder reads.",
        "",
        "| cut | chunks | mean words | words stored | tokens embedded | seconds | not read | index, MB | gold spans whole |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in figures["rows"]:
        tokens = row["tokens"] + (figures["sentence_tokens"] if row["name"].startswith("semantic") else 0)
        lines.append(
            f"| {row['name']} | {row['chunks']:,} | {row['mean_words']:.0f} | {row['stored']:.2f} x | {tokens:,} | "
            f"{tokens / figures['tokens_per_second']:.0f} | {row['unread']:.0%} | {row['megabytes']:.1f} | {_shown(row['whole'])} |"
        )
    for search in ("words", "vectors"):
        title = {"words": "Found by words (BM25)", "vectors": "Found by vectors (MiniLM)"}[search]
        lines += ["", f"## {title}, test questions", ""]
        lines += [
            "| cut | within 120 | within 240 | within 480 | recall@5 | nDCG@10 | within 240, dev |",
            "|---|---|---|---|---|---|---|",
        ]
        for name in names:
            if (name, search, "test", "within 240") not in score:
                continue
            metrics = (*(f"within {budget}" for budget in BUDGETS), "recall@5", "nDCG@10")
            cells = [_shown(score[name, search, "test", metric]) for metric in metrics]
            cells.append(_shown(score[name, search, "dev", "within 240"]))
            lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"## Against the cut of the reading room ({figures['baseline']})",
        "",
        "The difference in recall within 240 words, question by question; bold where the interval is clear of zero.",
        "",
        "| cut | by words, test | by words, dev | by vectors, test | by vectors, dev |",
        "|---|---|---|---|---|",
    ]
    difference = {(d["name"], d["search"], d["split"]): d for d in figures["against_baseline"]}
    for name in names:
        if name == figures["baseline"]:
            continue
        cells = []
        for key in (
            (name, "words", "test"),
            (name, "words", "dev"),
            (name, "vectors", "test"),
            (name, "vectors", "dev"),
        ):
            entry = difference.get(key)
            cell = _shown(entry, signed=True) if entry else ""
            cells.append(f"**{cell}**" if entry and (entry["low"] > 0 or entry["high"] < 0) else cell)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
