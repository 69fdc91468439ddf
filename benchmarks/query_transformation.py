"""Query transformation on all answerable test questions: what each does to recall, by kind of question, and its seconds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from course_lib.core.protocols import Embedder
from course_lib.core.seeds import SEED
from course_lib.core.types import Question, Ranking
from course_lib.core.validate import FloatArray
from course_lib.corpus.as_typed import as_typed
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.ranking import metric_values
from course_lib.evaluation.significance import bootstrap_interval, holm, paired_difference, permutation_test
from course_lib.generation.cached import CachedGenerator, load_cached_language_model
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.embedding import cached_embeddings, load_embedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import FusedRetriever, says_nothing, weighted_fusion, z_score
from course_lib.retrieval.query import Fuse, Transformed, TransformedRetriever, transformed, unchanged
from course_lib.retrieval.query_prompts import PROMPTS, by_model
from course_lib.retrieval.query_rules import Feedback, by_parts, without_chatter

DEPTH, METRICS = 50, ("recall@5", "nDCG@10")
BASELINE = "unchanged"
N_TIMED, N_EXAMPLES = 8, 6
Say = Callable[[str], None]


class Remembering:
    """An embedder around another that embeds each text once: the same texts are searched in several ways."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder, self.known = embedder, dict[str, FloatArray]()

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        new = sorted(set(texts) - set(self.known))
        if new:
            self.known.update(zip(new, self.embedder(new), strict=True))
        return np.stack([self.known[text] for text in texts])


class Bench:
    """The reading room, searched by meaning and by words, with the questions to score on."""

    def __init__(self, questions: Sequence[Question]) -> None:
        documents = load_documents()
        self.questions = list(questions)
        self.chunks = chunk_documents(documents)
        self.judgements = judge_chunks(self.questions, self.chunks, documents)
        embedder = load_embedder()
        vectors = cached_embeddings([indexed_text(chunk) for chunk in self.chunks], embedder)
        self.embedder = Remembering(embedder)
        self.dense = DenseRetriever(self.embedder).fit(self.chunks, vectors)
        self.timed = DenseRetriever(embedder).fit(self.chunks, vectors)
        self.words = FastBM25Retriever().fit(self.chunks)
        self.hybrid = FusedRetriever(self.dense, self.words, n_chunks=len(self.chunks), method="z_score")
        self.kinds = np.array([question.kind for question in self.questions])

    def search(self, made: Sequence[Transformed], base: str, *, by_score: bool = False) -> dict[str, list[str]]:
        """Return the ranking of each question for what it was made into; base: "dense" or "hybrid".

        A mean of vectors has no words: with "hybrid", its ranking is fused with BM25's for the query itself. by_score:
        put the rankings of several texts together by z-scores instead.
        """
        self.embedder([text for one in made for text in one.texts])  # all at once is faster
        inner = TransformedRetriever(self.dense, unchanged, depth=DEPTH)
        outer = TransformedRetriever(self.hybrid, unchanged, depth=DEPTH)
        rankings: dict[str, list[str]] = {}
        for question, one in zip(self.questions, made, strict=True):
            if one.fuse == "mean" and base == "hybrid":
                found = by_scores([inner.search_texts(one, 100).fused, self.words.search(one.query, 100)])[:DEPTH]
            else:
                trace = (inner if base == "dense" else outer).search_texts(one, DEPTH)
                found = by_scores(trace.rankings)[:DEPTH] if by_score else trace.fused
            rankings[question.question_id] = [hit.chunk_id for hit in found]
        return rankings

    def values(self, made: Sequence[Transformed], base: str, *, by_score: bool = False) -> dict[str, FloatArray]:
        """Return each metric's value for every question, (n_questions,)."""
        rankings = self.search(made, base, by_score=by_score)
        return {metric: metric_values(metric, rankings, self.judgements) for metric in METRICS}


def by_scores(rankings: Sequence[Ranking]) -> Ranking:
    """Fuse by z-scores; a ranking whose scores are all equal says nothing and is left out."""
    return weighted_fusion([each for each in rankings if not says_nothing(each)] or rankings, scale=z_score)


def compared(values: Mapping[str, FloatArray], base: Mapping[str, FloatArray], kinds: Any) -> dict[str, Any]:
    """Return scores and differences from the baseline, over all questions and by kind."""
    row: dict[str, Any] = {}
    for metric in METRICS:
        row[metric] = bootstrap_interval(values[metric]).as_dict()
        row[f"{metric} minus"] = paired_difference(values[metric], base[metric]).as_dict()
        row[f"{metric} p"] = permutation_test(values[metric], base[metric])
        row[f"{metric} by kind"] = {
            kind: bootstrap_interval(values[metric][kinds == kind]).as_dict() for kind in sorted(set(kinds))
        }
        row[f"{metric} by kind minus"] = {
            kind: paired_difference(values[metric][kinds == kind], base[metric][kinds == kind]).as_dict()
            for kind in sorted(set(kinds))
        }
    return row


def variants(one: Transformed) -> dict[str, Transformed]:
    """Return the same texts put together otherwise, and without the original query."""
    found = {"without the query": transformed(one.query, one.texts[1:], fuse=one.fuse, keep_original=False)}
    if one.fuse != "mean":
        other: Fuse = "turns" if one.fuse == "rank" else "rank"
        found[f"by {other}"] = dataclasses.replace(one, fuse=other)
    return found


def shuffled(made: Sequence[Transformed], seed: int = SEED) -> list[Transformed]:
    """Return each question with the texts that were made of another: nobody keeps its own."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(made))
    other = np.empty(len(made), dtype=int)
    other[order] = np.roll(order, 1)
    return [transformed(one.query, made[j].texts[1:], fuse=one.fuse) for one, j in zip(made, other, strict=True)]


def timed(bench: Bench, generator: CachedGenerator, made: Mapping[str, list[Transformed]]) -> dict[str, Any]:
    """Return the median seconds of one question alone: to transform it, and to search by meaning what was made of it."""
    rng = np.random.default_rng(SEED)
    drawn = sorted(rng.choice(len(bench.questions), size=N_TIMED, replace=False))
    retriever = TransformedRetriever(bench.timed, unchanged)
    spent: dict[str, dict[str, list[float]]] = {name: {"transform": [], "search": []} for name in made}
    for i in drawn:
        for name, texts in made.items():
            started = time.perf_counter()
            if name in PROMPTS:
                by_model(name, generator.generator)(bench.questions[i].text)  # type: ignore[arg-type]
            elif name == "by parts (rule)":
                by_parts(bench.questions[i].text)
            elif name == "feedback (rule)":
                Feedback(bench.timed)(bench.questions[i].text)
            spent[name]["transform"].append(time.perf_counter() - started)
            started = time.perf_counter()
            retriever.search_texts(texts[i], 10)
            spent[name]["search"].append(time.perf_counter() - started)
    return {
        name: {step: round(float(np.median(values)), 4) for step, values in steps.items()}
        for name, steps in spent.items()
    }


def examples(bench: Bench, made: Sequence[Transformed], values: FloatArray, base: FloatArray) -> list[dict[str, Any]]:
    """Return the questions that a transformation moved most, the hurt ones first: what it made of them, before and after."""
    change = values - base
    order = np.argsort(change, kind="stable")
    chosen = [i for i in [*order[: N_EXAMPLES // 2], *order[::-1][: N_EXAMPLES // 2]] if change[i]]
    return [
        {
            "question": bench.questions[i].text,
            "kind": bench.questions[i].kind,
            "texts": list(made[i].texts[1:]),
            "before": round(float(base[i]), 3),
            "after": round(float(values[i]), 3),
        }
        for i in chosen
    ]


def run(say: Say) -> dict[str, Any]:
    """Transform every answerable test question in every way; search, score, compare."""
    bench = Bench([question for question in load_questions(split="test") if question.gold])
    queries = [question.text for question in bench.questions]
    generator = load_cached_language_model()
    made: dict[str, list[Transformed]] = {BASELINE: [unchanged(query) for query in queries]}
    made["by parts (rule)"] = [by_parts(query) for query in queries]
    made["feedback (rule)"] = [Feedback(bench.dense)(query) for query in queries]
    batched = {}
    for name in PROMPTS:
        say(f"{name}: {len(queries)} questions")
        before = generator.seconds
        made[name] = by_model(name, generator).many(queries)
        batched[name] = round((generator.seconds - before) / len(queries), 4)
    say("searching")
    base = {kind: bench.values(made[BASELINE], kind) for kind in ("dense", "hybrid")}
    rows: dict[str, Any] = {}
    for name, texts in made.items():
        row: dict[str, Any] = {
            "unchanged": sum(len(one.texts) == 1 for one in texts),
            "mean_texts": round(float(np.mean([len(one.texts) for one in texts])), 2),
        }
        for kind, scores in base.items():
            values = bench.values(texts, kind)
            row[kind] = compared(values, scores, bench.kinds)
            if name == BASELINE:
                continue
            row[kind]["variants"] = {}
            for label in variants(texts[0]):
                other = bench.values([variants(one)[label] for one in texts], kind)["recall@5"]
                row[kind]["variants"][label] = paired_difference(other, scores["recall@5"]).as_dict()
            if texts[0].fuse != "mean":
                other = bench.values(texts, kind, by_score=True)["recall@5"]
                row[kind]["variants"]["by score"] = paired_difference(other, scores["recall@5"]).as_dict()
            if name in PROMPTS:
                other = bench.values(shuffled(texts), kind)["recall@5"]
                row[kind]["variants"]["texts of another question"] = paired_difference(
                    other, scores["recall@5"]
                ).as_dict()
            if kind == "hybrid":
                row["examples"] = examples(bench, texts, values["nDCG@10"], scores["nDCG@10"])
        rows[name] = row
    for kind in base:
        for metric in METRICS:
            ps = {name: row[kind][f"{metric} p"] for name, row in rows.items() if name != BASELINE}
            for name, p in holm(ps).items():
                rows[name][kind][f"{metric} p_holm"] = p
    say("questions as people type them")
    return {
        "n": len(queries),
        "n_chunks": len(bench.chunks),
        "n_by_kind": {str(kind): int((bench.kinds == kind).sum()) for kind in sorted(set(bench.kinds))},
        "rows": rows,
        "seconds_batched": batched,
        "seconds_alone": timed(bench, generator, made),
        "as_typed": typed(bench, generator, base),
    }


def typed(bench: Bench, generator: CachedGenerator, tidy: Mapping[str, Mapping[str, FloatArray]]) -> dict[str, Any]:
    """Return recall of the questions wrapped in small talk: as they are, stripped by rule, rewritten by the model."""
    queries = [as_typed(question.text) for question in bench.questions]
    ways = {
        "as typed": [unchanged(query) for query in queries],
        "stripped by rule": [without_chatter(query) for query in queries],
        "rewritten by the model": by_model("rewriting", generator, keep_original=False).many(queries),
        "rewritten, and as typed": by_model("rewriting", generator).many(queries),
    }
    rows: dict[str, Any] = {}
    for base, scores in tidy.items():
        typed_values = bench.values(ways["as typed"], base)["recall@5"]
        rows[base] = {"tidy": {"recall@5": bootstrap_interval(scores["recall@5"]).as_dict()}}
        for name, made in ways.items():
            values = bench.values(made, base)["recall@5"]
            rows[base][name] = {
                "recall@5": bootstrap_interval(values).as_dict(),
                "minus_as_typed": paired_difference(values, typed_values).as_dict(),
                "minus_tidy": paired_difference(values, scores["recall@5"]).as_dict(),
            }
    return rows


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    kinds = list(figures["n_by_kind"])
    lines = [
        "# Query transformation, on the course's own questions",
        "",
        f"{figures['n']} answerable test questions ("
        + ", ".join(f"{kind} {n}" for kind, n in figures["n_by_kind"].items())
        + f"), {figures['n_chunks']:,} chunks. The language model is {result['models']['generator']}, decoded greedily; prompts were "
        "chosen on 20 dev questions. Brackets: 95 % bootstrap interval; differences are paired, question by question; p is of "
        "a paired permutation test, corrected after Holm over the transformations.",
    ]
    for base, title in (("hybrid", "BM25 and MiniLM, fused by z-scores"), ("dense", "MiniLM alone")):
        lines += [
            "",
            f"## {title}",
            "",
            "| transformation | recall@5 | minus unchanged | p | nDCG@10 | minus unchanged | p | left unchanged |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for name, row in figures["rows"].items():
            cells = [name]
            for metric in METRICS:
                first = name == BASELINE
                cells.append(words(row[base][metric]))
                cells.append("" if first else words(row[base][f"{metric} minus"], sign=True))
                cells.append("" if first else f"{row[base][f'{metric} p_holm']:.4f}")
            lines.append("| " + " | ".join([*cells, "" if name == BASELINE else str(row["unchanged"])]) + " |")
        lines += ["", "Change of recall@5 by kind of question:", "", "| transformation | " + " | ".join(kinds) + " |"]
        lines.append("|---" * (len(kinds) + 1) + "|")
        for name, row in figures["rows"].items():
            key = "recall@5 by kind" if name == BASELINE else "recall@5 by kind minus"
            cells = [words(row[base][key][kind], sign=name != BASELINE) for kind in kinds]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines += [
            "",
            "The same texts, used otherwise (recall@5 minus unchanged):",
            "",
            "| transformation | | |",
            "|---|---|---|",
        ]
        for name, row in figures["rows"].items():
            for label, value in row[base].get("variants", {}).items():
                lines.append(f"| {name} | {label} | {words(value, sign=True)} |")
    lines += [
        "",
        "## Seconds a question",
        "",
        f"Alone: median of {N_TIMED} questions, one after another. Batched: all questions, 16 at once.",
        "",
        "| transformation | to transform, alone | to transform, batched | to search by meaning |",
        "|---|---|---|---|",
    ]
    for name, steps in figures["seconds_alone"].items():
        batch = figures["seconds_batched"].get(name)
        lines.append(
            f"| {name} | {steps['transform']:.3f} | {'' if batch is None else f'{batch:.2f}'} | {steps['search']:.3f} |"
        )
    lines += [
        "",
        "## Questions wrapped in small talk",
        "",
        "| | recall@5, hybrid | minus as typed | recall@5, MiniLM | minus as typed |",
    ]
    lines.append("|---|---|---|---|---|")
    for name in figures["as_typed"]["hybrid"]:
        cells = []
        for base in ("hybrid", "dense"):
            row = figures["as_typed"][base][name]
            cells += [
                words(row["recall@5"]),
                words(row["minus_as_typed"], sign=True) if "minus_as_typed" in row else "",
            ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def words(interval: Mapping[str, float], *, sign: bool = False) -> str:
    """Return an interval in words: mean and range."""
    form = "{:+.3f}" if sign else "{:.3f}"
    return f"{form.format(interval['mean'])} [{form.format(interval['low'])}, {form.format(interval['high'])}]"
