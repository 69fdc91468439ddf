"""Reranking on the course's own questions: what each second reading adds to fusion, and what it costs in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course_lib.core.protocols import Retriever
from course_lib.core.seeds import SEED
from course_lib.core.types import Question
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.ranking import metric_values
from course_lib.evaluation.significance import bootstrap_interval, holm, paired_difference, permutation_test
from course_lib.generation.language_model import load_language_model
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.cross_encoder import CrossEncoderReranker, load_cross_encoder
from course_lib.retrieval.embedding import cached_embeddings, load_embedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.late_interaction import ContextualTokens, LateInteractionReranker, TokenStore
from course_lib.retrieval.reranking import QueryLikelihoodReranker
from course_lib.systems.compare import Candidates, best_weights, late_interaction_pairs, likelihood_pairs
from course_lib.workshop.bench import interval_words

DEPTH = 20
METRICS = ("nDCG@10", "MRR", "recall@5", "success@1")
SYSTEMS: dict[str, tuple[str, ...]] = {
    "fusion (RRF)": ("fusion",),
    "+ late interaction": ("fusion", "late interaction"),
    "+ cross-encoder": ("fusion", "cross-encoder"),
    "+ query likelihood": ("fusion", "query likelihood"),
    "+ all three": ("fusion", "late interaction", "cross-encoder", "query likelihood"),
}
Say = Callable[[str], None]


def candidates_of(questions: Sequence[Question], first: Retriever, texts: dict[str, str], say: Say) -> Candidates:
    """Return the first stage's candidates with the scores of every second reading."""
    hits = {question.question_id: first.search(question.text, DEPTH) for question in questions}
    table = Candidates(
        {question.question_id: question.text for question in questions},
        {name: [hit.chunk_id for hit in ranking] for name, ranking in hits.items()},
    ).with_stage("fusion", {name: [hit.score for hit in ranking] for name, ranking in hits.items()})
    say("cross-encoder")
    table = table.scored_by("cross-encoder", load_cross_encoder().pairs, texts)
    say("late interaction")
    table = table.scored_by("late interaction", late_interaction_pairs(load_embedder()), texts)
    say("query likelihood (the longest part)")
    reader = likelihood_pairs(load_language_model(), progress="Query likelihood")
    return table.scored_by("query likelihood", reader, texts)


def seconds_of(questions: Sequence[Question], first: Retriever, n: int = 20) -> dict[str, dict[str, float]]:
    """Return median and largest seconds a question of each system, on n questions drawn with the seed."""
    rng = np.random.default_rng(SEED)
    drawn = [questions[i] for i in sorted(rng.choice(len(questions), size=n, replace=False))]
    model, cross = load_language_model(), load_cross_encoder()
    store = TokenStore(ContextualTokens(load_embedder()))
    readers: dict[str, Any] = {
        "late interaction": LateInteractionReranker(first, store, depth=DEPTH),
        "cross-encoder": CrossEncoderReranker(first, cross, depth=DEPTH),
        "query likelihood": QueryLikelihoodReranker(first, model, depth=DEPTH),
    }
    spent: dict[str, list[float]] = {name: [] for name in ("fusion", *readers)}
    for question in drawn:
        started = time.perf_counter()
        hits = first.search(question.text, DEPTH)
        spent["fusion"].append(time.perf_counter() - started)
        for name, reader in readers.items():
            started = time.perf_counter()
            reader.rerank(question.text, hits)
            spent[name].append(time.perf_counter() - started)
    return {
        name: {"median": round(float(np.median(values)), 4), "max": round(max(values), 4)}
        for name, values in spent.items()
    }


def run(say: Say) -> dict[str, Any]:
    """Score dev and test questions with every system; weights are chosen on dev and used on test."""
    documents = load_documents()
    chunks = chunk_documents(documents)
    texts = {chunk.chunk_id: indexed_text(chunk) for chunk in chunks}
    embedder = load_embedder()
    dense = DenseRetriever(embedder).fit(chunks, cached_embeddings(list(texts.values()), embedder))
    words = FastBM25Retriever().fit(chunks)
    first = FusedRetriever(dense, words, n_chunks=len(chunks))
    figures: dict[str, Any] = {"depth": DEPTH, "n_chunks": len(chunks)}
    tables = {}
    for split in ("dev", "test"):
        questions = [question for question in load_questions(split=split) if question.gold]
        say(f"{split}: {len(questions)} questions")
        tables[split] = (
            questions,
            judge_chunks(questions, chunks, documents),
            candidates_of(questions, first, texts, say),
        )
    questions, judgements, dev = tables["dev"]
    weights = {
        name: best_weights(dev, stages, lambda rankings: float(metric_values("nDCG@10", rankings, judgements).mean()))
        for name, stages in SYSTEMS.items()
    }
    figures["weights_chosen_on_dev"] = weights
    questions, judgements, test = tables["test"]
    rankings = {name: test.rankings(weights[name]) for name in SYSTEMS}
    for name, retriever in (("BM25", words), ("MiniLM", dense)):
        rankings[name] = {q.question_id: [h.chunk_id for h in retriever.search(q.text, DEPTH)] for q in questions}
    base = metric_values("nDCG@10", rankings["fusion (RRF)"], judgements)
    kinds = np.array([question.kind for question in questions])
    rows: dict[str, Any] = {}
    for name in ("BM25", "MiniLM", *SYSTEMS):
        values = {metric: metric_values(metric, rankings[name], judgements) for metric in METRICS}
        row: dict[str, Any] = {metric: bootstrap_interval(value).as_dict() for metric, value in values.items()}
        row["by_kind"] = {
            kind: bootstrap_interval(values["nDCG@10"][kinds == kind]).as_dict() for kind in sorted(set(kinds))
        }
        if name != "fusion (RRF)":
            row["minus_fusion"] = paired_difference(values["nDCG@10"], base).as_dict()
            row["p"] = permutation_test(values["nDCG@10"], base)
        rows[name] = row
    corrected = holm({name: row["p"] for name, row in rows.items() if "p" in row})
    for name, p in corrected.items():
        rows[name]["p_holm"] = p
    figures["test"] = {"n": len(questions), "rows": rows}
    figures["seconds"] = seconds_of(questions, first)
    return figures


def seconds_by_system(figures: dict[str, Any]) -> dict[str, float]:
    """Return the median seconds a question of each system: its first stage and every reading after it."""
    seconds = {name: value["median"] for name, value in figures["seconds"].items()}
    return {
        name: sum(
            seconds[stage]
            for stage in stages
            if figures["weights_chosen_on_dev"][name].get(stage, 0) or stage == "fusion"
        )
        for name, stages in SYSTEMS.items()
    }


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    test, seconds = figures["test"], seconds_by_system(figures)
    lines = [
        "# Reranking, on the course's own questions",
        "",
        f"{test['n']} answerable test questions, {figures['n_chunks']:,} chunks. The first stage is BM25 and MiniLM fused by rank; "
        f"its {figures['depth']} best hits are read again. Weights were chosen on the dev questions. Brackets: 95 % bootstrap "
        "interval. The difference is paired, question by question; p is of a paired permutation test, corrected after Holm.",
        "",
        "| system | nDCG@10 | MRR | recall@5 | minus fusion (nDCG@10) | p | seconds a question |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in test["rows"].items():
        difference = interval_words(row["minus_fusion"], sign=True) if "minus_fusion" in row else ""
        p = f"{row['p_holm']:.4f}" if "p_holm" in row else ""
        time_ = f"{seconds[name]:.2f}" if name in seconds else ""
        lines.append(
            f"| {name} | {interval_words(row['nDCG@10'])} | {row['MRR']['mean']:.3f} | {row['recall@5']['mean']:.3f} "
            f"| {difference} | {p} | {time_} |"
        )
    kinds = list(next(iter(test["rows"].values()))["by_kind"])
    lines += [
        "",
        "nDCG@10 by kind of question:",
        "",
        "| system | " + " | ".join(kinds) + " |",
        "|---" * (len(kinds) + 1) + "|",
    ]
    for name, row in test["rows"].items():
        lines.append(f"| {name} | " + " | ".join(f"{row['by_kind'][kind]['mean']:.3f}" for kind in kinds) + " |")
    sizes = next(iter(test["rows"].values()))["by_kind"]
    lines += ["", "n: " + ", ".join(f"{kind} {sizes[kind]['n']}" for kind in kinds) + "."]
    chosen = "; ".join(
        f"{name}: " + ", ".join(f"{stage} {weight:g}" for stage, weight in weights.items())
        for name, weights in figures["weights_chosen_on_dev"].items()
        if len(weights) > 1
    )
    lines += ["", f"Weights of the standardised scores: {chosen}."]
    return "\n".join(lines)
