"""Late interaction: what was chosen on dev (depth, weight, special tokens, number format), what it gives on test, and its price."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from course_lib.core.types import Question
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.ranking import metric_values
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.exact import indexed_text
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.late_interaction import ContextualTokens, TokenStore, compressed, max_sims
from course_lib.retrieval.reranking import standardised
from course_lib.systems.reading_room import reading_room

Say = Callable[[str], None]
DEPTHS, WEIGHTS = (5, 10, 20, 30, 50, 100), (0.0, 0.5, 1.0, 2.0)
FORMATS = ("float32", "float16", "int8")
REPEATS = 7


def run(say: Say) -> dict[str, Any]:
    """Score the 100 best hits of fusion for every dev and test question, and time the formats side by side."""
    documents = load_documents()
    room = reading_room()
    chunks = room.chunks_
    fused = FusedRetriever(room, FastBM25Retriever().fit(list(chunks.values())), n_chunks=len(chunks))
    encode = ContextualTokens(room.embedder, special_tokens=True)  # type: ignore[arg-type]
    store = TokenStore(encode, number_format="float16")
    started = time.perf_counter()
    say("token vectors of all passages")
    store.add({name: indexed_text(chunk) for name, chunk in chunks.items()})
    figures: dict[str, Any] = {
        "n_chunks": len(chunks),
        "index_seconds": round(time.perf_counter() - started, 1),
        "megabytes": {"one vector a passage, float32": round(room.index_.embeddings_.nbytes / 1e6, 1)},
    }
    n_numbers = sum(store[name].size for name in chunks)
    n_tokens = n_numbers // room.index_.embeddings_.shape[1]
    for name, size in zip(FORMATS, (4 * n_numbers, 2 * n_numbers, n_numbers + 4 * n_tokens), strict=True):
        figures["megabytes"][f"one vector a token, {name}"] = round(size / 1e6, 1)
    for split in ("dev", "test"):
        say(split)
        questions = [question for question in load_questions(split=split) if question.gold]
        judgements = judge_chunks(questions, list(chunks.values()), documents)
        hits = {q.question_id: fused.search(q.text, max(DEPTHS)) for q in questions}
        vectors = dict(zip((q.question_id for q in questions), encode([q.text for q in questions]), strict=True))
        ids = {name: [hit.chunk_id for hit in row] for name, row in hits.items()}
        first = {name: np.array([hit.score for hit in row]) for name, row in hits.items()}
        late = {name: max_sims(vectors[name][1:-1], [store[i][1:-1] for i in row]) for name, row in ids.items()}
        rows = {}
        for depth in DEPTHS:
            for weight in WEIGHTS:
                ranking = {n: reordered(ids[n], late[n], first[n], depth, weight) for n in ids}
                rows[f"{depth}, {weight:g}"] = metric_values("nDCG@10", ranking, judgements)
        base = metric_values("nDCG@10", ids, judgements)
        part: dict[str, Any] = {
            "n": len(questions),
            "fusion": bootstrap_interval(base).as_dict(),
            "rows": {
                name: {"nDCG@10": bootstrap_interval(v).as_dict(), "minus_fusion": paired_difference(v, base).as_dict()}
                for name, v in rows.items()
            },
        }
        if split == "dev":
            part["forms"] = forms(ids, judgements, vectors, store, first)
            figures["milliseconds"] = timings(ids, vectors, store)
        else:
            part["by_kind"] = by_kind(questions, rows["50, 0"], base, judgements)
        figures[split] = part
    return figures


def reordered(ids: list[str], late: Any, first: Any, depth: int, weight: float) -> list[str]:
    """Return ids whose depth best stand in the order of late + weight * first, both standardised."""
    total = standardised(late[:depth]) + weight * standardised(first[:depth])
    return [ids[i] for i in np.argsort(-total, kind="stable")] + ids[depth:]


def forms(
    ids: Mapping[str, list[str]],
    judgements: Mapping[str, Mapping[str, float]],
    vectors: Mapping[str, Any],
    store: TokenStore,
    first: Mapping[str, Any],
) -> dict[str, Any]:
    """Return nDCG@10 at depth 50, weight 0, by number format, and with the special tokens left in."""
    found: dict[str, Any] = {}
    for label, ends, number_format in (
        ("special tokens in, float16", 0, "float16"), ("left out, float16", 1, "float16"), ("left out, int8", 1, "int8"),
    ):  # fmt: skip
        ranking = {}
        for name, row in ids.items():
            query = vectors[name][ends : len(vectors[name]) - ends]
            passages = []
            for i in row[:50]:
                kept, scales = compressed(store[i][ends : len(store[i]) - ends], number_format)  # type: ignore[arg-type]
                passages.append(kept.astype(np.float32) * (1 if scales is None else scales))
            ranking[name] = reordered(row[:50], max_sims(query, passages), first[name][:50], 50, 0.0)
        found[label] = bootstrap_interval(metric_values("nDCG@10", ranking, judgements)).as_dict()
    return found


def timings(ids: Mapping[str, list[str]], vectors: Mapping[str, Any], store: TokenStore) -> dict[str, float]:
    """Return median milliseconds to score 50 passages from each number format, the formats in turn."""
    names = list(ids)[:REPEATS]
    stores = {name: TokenStore(lambda texts: [store[t] for t in texts], number_format=name) for name in FORMATS}  # type: ignore[arg-type]
    wanted = {i: i for name in names for i in ids[name][:50]}
    for each in stores.values():
        each.add(wanted)
    spent: dict[str, list[float]] = {name: [] for name in FORMATS}
    for name in names:
        for number_format, each in stores.items():
            started = time.perf_counter()
            max_sims(vectors[name], [each[i] for i in ids[name][:50]])
            spent[number_format].append(1000 * (time.perf_counter() - started))
    return {name: round(float(np.median(values)), 1) for name, values in spent.items()}


def by_kind(questions: list[Question], values: Any, base: Any, judgements: Mapping[str, Any]) -> dict[str, Any]:
    """Return nDCG@10 of fusion and of late interaction, and their difference, for each kind of question."""
    kinds = {q.question_id: q.kind for q in questions}
    column = np.array([kinds[name] for name in judgements])
    return {
        kind: {
            "fusion": bootstrap_interval(base[column == kind]).as_dict(),
            "late": bootstrap_interval(values[column == kind]).as_dict(),
            "difference": paired_difference(values[column == kind], base[column == kind]).as_dict(),
        }
        for kind in sorted(set(kinds.values()))
    }


def words(value: Mapping[str, Any], *, sign: bool = False) -> str:
    """Return "0.640 [0.590, 0.690]"."""
    form = "{:+.3f}" if sign else "{:.3f}"
    return f"{form.format(value['mean'])} [{form.format(value['low'])}, {form.format(value['high'])}]"


def page(result: Mapping[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    lines = [
        "# Late interaction",
        "",
        "The hits of fusion (BM25 and MiniLM, by rank) in the order of MaxSim: the mean over the question's tokens of the "
        "largest cosine with a token of the passage. The token vectors are those of MiniLM as published; nothing is trained. "
        f"{figures['n_chunks']:,} passages; all token vectors take {figures['index_seconds']:.0f} s to make.",
        "",
        "| kept | megabytes | ms for 50 passages |",
        "|---|---|---|",
    ]
    for name, size in figures["megabytes"].items():
        spent = figures["milliseconds"].get(name.rpartition(", ")[2]) if "token" in name else None
        lines.append(f"| {name} | {size:.1f} | {'' if spent is None else f'{spent:.0f}'} |")
    for split in ("dev", "test"):
        part = figures[split]
        role = "choices are made here" if split == "dev" else "figures are reported here"
        lines += [
            "",
            f"## {split}: {role}",
            "",
            f"nDCG@10, n={part['n']}, fusion alone {words(part['fusion'])}. Rows: how many hits are read. Columns: weight of "
            "the first stage's standardised score beside that of MaxSim.",
            "",
            "| depth | " + " | ".join(f"weight {weight:g}" for weight in WEIGHTS) + " | weight 0 minus fusion |",
            "|---" * (len(WEIGHTS) + 2) + "|",
        ]
        for depth in DEPTHS:
            row = [part["rows"][f"{depth}, {weight:g}"] for weight in WEIGHTS]
            cells = [f"{cell['nDCG@10']['mean']:.3f}" for cell in row]
            lines.append(f"| {depth} | " + " | ".join(cells) + f" | {words(row[0]['minus_fusion'], sign=True)} |")
        if "forms" in part:
            lines += ["", "At depth 50, weight 0:", "", "| vectors | nDCG@10 |", "|---|---|"]
            lines += [f"| {name} | {words(value)} |" for name, value in part["forms"].items()]
        if "by_kind" in part:
            lines += [
                "",
                "Depth 50, weight 0, by kind:",
                "",
                "| kind | n | fusion | late interaction | difference |",
                "|---|---|---|---|---|",
            ]
            lines += [
                f"| {kind} | {row['fusion']['n']} | {words(row['fusion'])} | {words(row['late'])} | {words(row['difference'], sign=True)} |"
                for kind, row in part["by_kind"].items()
            ]
    return "\n".join(lines)
