"""Filters, MMR and thresholds on the course's questions: what they decide, what they cost, where they fail. No language model."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from course_lib.core.seeds import SEED
from course_lib.core.types import Document, Hit, Question, Ranking
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.ranking import metric_values, recall_at_k
from course_lib.evaluation.runs import run_queries
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.diversity import crowding, diversified
from course_lib.retrieval.embedding import normalise
from course_lib.retrieval.exact import indexed_text
from course_lib.retrieval.filtering import (
    ANYTHING,
    Filter,
    FilteredRetriever,
    first_version,
    in_force,
    latest_version,
    on_shelf,
    versions_asked_for,
)
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.retrieval.late_interaction import ContextualTokens, TokenStore, max_sims
from course_lib.retrieval.recency import LatestFirst
from course_lib.retrieval.threshold import separation, threshold_for
from course_lib.systems.reading_room import reading_room

Say = Callable[[str], None]
DEPTH = 20
WEIGHTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3)
KEEP = 0.95
COPIES, LIKENESS = 3, 0.98  # of the stress test: each passage three times, cosine of a copy to the original
_YEAR = re.compile(r"\b(?:18|19|20)\d\d\b")


class Room:
    """The collection with its first stage, and questions with their judgements."""

    def __init__(self) -> None:
        self.documents = {document.doc_id: document for document in load_documents()}
        self.dense = reading_room()
        self.chunks = self.dense.chunks_
        self.words = FastBM25Retriever().fit(list(self.chunks.values()))
        self.fused = FusedRetriever(self.dense, self.words, n_chunks=len(self.chunks))
        self.vectors = dict(zip(self.chunks, self.dense.index_.embeddings_, strict=True))

    def judged(self, split: str) -> tuple[list[Question], dict[str, dict[str, float]]]:
        """Return the answerable questions of a split, and which chunks answer them."""
        questions = [question for question in load_questions(split=split) if question.gold]
        return questions, judge_chunks(questions, list(self.chunks.values()), self.documents.values())


def by_year(documents: Mapping[str, Document]) -> Callable[[str], Filter]:
    """Return a rule that takes a year in the question for the date of the version: in force in that year."""

    def keep(query: str) -> Filter:
        years = sorted(int(year) for year in _YEAR.findall(query))
        if not years:
            return versions_asked_for(query)
        return in_force(documents, start=datetime.date(years[0], 1, 1), end=datetime.date(years[-1], 12, 31))

    return keep


def filters(room: Room) -> dict[str, Any]:
    """Measure the version filters on dev and test: the questions for the latest version, and all others."""
    rules: dict[str, Filter | Callable[[str], Filter]] = {
        "no filter": ANYTHING,
        "with a cue": lambda query: versions_asked_for(query, only_with_cue=True),
        "unless it looks back": versions_asked_for,
        "always the latest": latest_version(),
        "year means version": by_year(room.documents),
    }
    systems: dict[str, Any] = {
        name: FilteredRetriever(room.fused, room.documents, keep, fewer="return") for name, keep in rules.items()
    }
    old = {name for name, document in room.documents.items() if document.superseded_by}
    systems["LatestFirst"] = LatestFirst(room.fused, old, weight=0.3)
    figures: dict[str, Any] = {}
    for split in ("dev", "test"):
        questions, judgements = room.judged(split)
        latest = {q.question_id: judgements[q.question_id] for q in questions if q.kind == "latest"}
        others = {name: gains for name, gains in judgements.items() if name not in latest}
        runs = {
            name: run_queries(system, {q.question_id: q.text for q in questions}, 10)
            for name, system in systems.items()
        }
        base = runs["no filter"].rankings
        rows = {}
        for name, run in runs.items():
            rows[name] = {
                "latest success@1": bootstrap_interval(metric_values("success@1", run.rankings, latest)).as_dict(),
                "latest recall@5": bootstrap_interval(metric_values("recall@5", run.rankings, latest)).as_dict(),
                "others nDCG@10": bootstrap_interval(metric_values("nDCG@10", run.rankings, others)).as_dict(),
                "all nDCG@10": bootstrap_interval(metric_values("nDCG@10", run.rankings, judgements)).as_dict(),
                "median_seconds": round(run.median_seconds, 4),
            }
            if name != "no filter":
                for label, metric, part in (
                    ("latest success@1 minus no filter", "success@1", latest),
                    ("others nDCG@10 minus no filter", "nDCG@10", others),
                ):
                    rows[name][label] = paired_difference(
                        metric_values(metric, run.rankings, part), metric_values(metric, base, part)
                    ).as_dict()
        missed = [q for q in questions if q.kind == "latest" and str(versions_asked_for(q.text)) != "not superseded"]
        no_cue = [
            q
            for q in questions
            if q.kind == "latest" and str(versions_asked_for(q.text, only_with_cue=True)) == "anything"
        ]
        gold_is_old = [q for q in questions if any(room.documents[span.doc_id].superseded_by for span in q.gold)]
        figures[split] = {
            "n_latest": len(latest),
            "n_others": len(others),
            "latest_without_a_cue": len(no_cue),
            "latest_missed_unless_it_looks_back": len(missed),
            "gold_superseded": len(gold_is_old),
            "gold_superseded_but_filtered": sum(
                str(versions_asked_for(q.text)) == "not superseded" for q in gold_is_old
            ),
            "rows": rows,
        }
    return figures


def list_figures(
    room: Room, rankings: Mapping[str, Ranking], judgements: Mapping[str, Mapping[str, float]], kinds: Mapping[str, str]
) -> dict[str, Any]:
    """Return how crowded the ten best are, how many subjects they hold, and how good they are."""
    crowded, subjects = [], []
    for hits in rankings.values():
        vectors = np.stack([room.vectors[hit.chunk_id] for hit in hits[:10]])
        crowded.append(crowding(vectors @ vectors.T))
        chains = {first_version(room.chunks[hit.chunk_id].doc_id, room.documents) for hit in hits[:10]}
        subjects.append(float(len(chains)))
    ids = {name: [hit.chunk_id for hit in hits] for name, hits in rankings.items()}
    pairs = {name: gains for name, gains in judgements.items() if kinds[name] == "comparison"}
    return {
        "crowding": bootstrap_interval(crowded).as_dict(),
        "subjects": bootstrap_interval(subjects).as_dict(),
        "nDCG@10": metric_values("nDCG@10", ids, judgements),
        "comparison recall@5": metric_values("recall@5", ids, pairs),
        "comparison recall@10": metric_values("recall@10", ids, pairs),
    }


def mmr(room: Room) -> dict[str, Any]:
    """Measure MMR over the first stage for several weights, on dev and test, as it is and with copies planted."""
    figures: dict[str, Any] = {}
    rng = np.random.default_rng(SEED)
    for split in ("dev", "test"):
        questions, judgements = room.judged(split)
        kinds = {q.question_id: q.kind for q in questions}
        hits = {q.question_id: room.fused.search(q.text, 50) for q in questions}
        rows: dict[str, Any] = {}
        for weight in WEIGHTS:
            rankings = {
                name: diversified(ranking, room.vectors, relevance_weight=weight, depth=DEPTH)
                for name, ranking in hits.items()
            }
            rows[f"{weight:g}"] = list_figures(room, rankings, judgements, kinds)
        base = rows["1"]
        for label, row in rows.items():
            for metric in ("nDCG@10", "comparison recall@5", "comparison recall@10"):
                if label != "1":
                    row[f"{metric} minus weight 1"] = paired_difference(row[metric], base[metric]).as_dict()
        for row in rows.values():
            for metric in ("nDCG@10", "comparison recall@5", "comparison recall@10"):
                row[metric] = bootstrap_interval(row[metric]).as_dict()
        gold = [list(judgements[name]) for name, kind in kinds.items() if kind == "comparison"]
        alike = [float(room.vectors[pair[0]] @ room.vectors[pair[1]]) for pair in gold if len(pair) == 2]
        figures[split] = {
            "n": len(questions),
            "rows": rows,
            "cosine_of_two_gold_passages": {"median": round(float(np.median(alike)), 3), "n": len(alike)},
            "with_copies": with_copies(room, hits, judgements, kinds, rng),
        }
    return figures


def with_copies(
    room: Room,
    hits: Mapping[str, Ranking],
    judgements: Mapping[str, Mapping[str, float]],
    kinds: Mapping[str, str],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return recall of the comparison questions among five places when every passage is there three times."""
    names = {name for name, kind in kinds.items() if kind == "comparison"}
    figures: dict[str, Any] = {}
    values: dict[str, list[float]] = {}
    for weight in (1.0, 0.8, 0.7, 0.6, 0.5):
        found = []
        for name in sorted(names):
            copies, vectors = copied(hits[name][: DEPTH + 10], room.vectors, rng)
            order = diversified(copies, vectors, relevance_weight=weight, depth=COPIES * DEPTH)
            originals = [hit.chunk_id.partition("~")[0] for hit in order[:5]]
            found.append(recall_at_k(list(dict.fromkeys(originals)), judgements[name], 5))
        values[f"{weight:g}"] = found
    for label, recalls in values.items():
        figures[label] = {"recall in five places": bootstrap_interval(recalls).as_dict()}
        if label != "1":
            figures[label]["minus weight 1"] = paired_difference(recalls, values["1"]).as_dict()
    return figures


def copied(
    hits: Ranking, vectors: Mapping[str, np.ndarray[Any, Any]], rng: np.random.Generator
) -> tuple[Ranking, dict[str, np.ndarray[Any, Any]]]:
    """Return the hits, each followed by two near copies of a slightly lower score, and the vectors of all."""
    out: Ranking = []
    near: dict[str, np.ndarray[Any, Any]] = {}
    for hit in hits:
        vector = vectors[hit.chunk_id]
        for number in range(COPIES):
            name = f"{hit.chunk_id}~{number}" if number else hit.chunk_id
            noise = normalise(rng.normal(size=(1, len(vector))).astype(np.float32))[0]
            noise = normalise((noise - (noise @ vector) * vector)[None, :])[0]
            near[name] = vector if not number else LIKENESS * vector + np.sqrt(1 - LIKENESS**2) * noise
            out.append(Hit(name, hit.score - 1e-6 * number))
    return out, near


def thresholds(room: Room, say: Say) -> dict[str, Any]:
    """Measure how well the best score tells answerable questions from others: near ones, and ones off the subject."""
    tokens = TokenStore(ContextualTokens(room.dense.embedder), number_format="int8")  # type: ignore[arg-type]
    say("token vectors of all passages")
    started = time.perf_counter()
    tokens.add({name: indexed_text(chunk) for name, chunk in room.chunks.items()})
    say(f"done in {time.perf_counter() - started:.0f} s")
    scores: dict[str, dict[str, dict[str, list[float]]]] = {}
    for split in ("train", "test"):
        questions = load_questions(split=split)
        scores[split] = {
            name: best_scores(room, tokens, questions, name)
            for name in ("cosine", "BM25", "fusion", "late interaction")
        }
    figures: dict[str, Any] = {
        "n": {split: {part: len(v) for part, v in table["cosine"].items()} for split, table in scores.items()},
        "rows": {},
    }
    for name in scores["test"]:
        train, test = scores["train"][name], scores["test"][name]
        threshold = threshold_for(train["answerable"], keep=KEEP)
        row: dict[str, Any] = {"threshold": round(threshold, 4)}
        for part in ("unanswerable", "other shelves"):
            row[f"separation from {part}"] = separation_interval(test["answerable"], test[part])
        for part, values in test.items():
            row[f"{part} above the threshold"] = bootstrap_interval(
                [float(value >= threshold) for value in values]
            ).as_dict()
        figures["rows"][name] = row
    return figures


def best_scores(room: Room, tokens: TokenStore, questions: Sequence[Question], name: str) -> dict[str, list[float]]:
    """Return the best hit's score: of answerable and unanswerable questions, and of answerable ones that may not see
    their own shelf."""
    table: dict[str, list[float]] = {"answerable": [], "unanswerable": [], "other shelves": []}
    inner: Any = {"cosine": room.dense, "BM25": room.words}.get(name, room.fused)
    for question in questions:
        own = on_shelf(question.shelf)
        parts = [("answerable" if question.gold else "unanswerable", inner)]
        if question.gold:
            parts.append(("other shelves", FilteredRetriever(inner, room.documents, ~own)))
        for part, retriever in parts:
            if name == "late interaction":
                found = [hit.chunk_id for hit in retriever.search(question.text, DEPTH)]
                best = float(max_sims(tokens.encode([question.text])[0], [tokens[hit] for hit in found]).max())
            else:
                best = retriever.search(question.text, 1)[0].score
            table[part].append(best)
    return table


def separation_interval(wanted: Sequence[float], unwanted: Sequence[float], n_draws: int = 2000) -> dict[str, Any]:
    """Return the separation with a bootstrap interval: both groups are drawn again."""
    rng = np.random.default_rng(SEED)
    good, bad = np.array(wanted), np.array(unwanted)
    draws = [
        separation(rng.choice(good, len(good)), rng.choice(bad, len(bad)))
        for _ in range(n_draws)
    ]  # fmt: skip
    low, high = np.quantile(draws, [0.025, 0.975])
    mean = separation(good, bad)
    return {
        "mean": round(mean, 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "n": len(good) + len(bad),
    }


def run(say: Say) -> dict[str, Any]:
    """Measure filters, MMR and thresholds; rules and weights are to be chosen on dev and train, and read on test."""
    room = Room()
    say("filters")
    figures: dict[str, Any] = {"n_chunks": len(room.chunks), "filters": filters(room)}
    say("MMR")
    figures["mmr"] = {"depth": DEPTH, "copies": COPIES, "likeness": LIKENESS, **mmr(room)}
    say("thresholds")
    figures["thresholds"] = {"keep": KEEP, **thresholds(room, say)}
    return figures


def words(value: Mapping[str, Any], *, sign: bool = False) -> str:
    """Return "0.640 [0.590, 0.690]"."""
    form = "{:+.3f}" if sign else "{:.3f}"
    return f"{form.format(value['mean'])} [{form.format(value['low'])}, {form.format(value['high'])}]"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(row) + " |" for row in rows)]


def page(result: Mapping[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    lines = [
        "# Filters, MMR and thresholds",
        "",
        f"{figures['n_chunks']:,} chunks, first stage BM25 and MiniLM fused by rank. Brackets: 95 % bootstrap interval; "
        "differences are paired, question by question.",
        "",
        "## Which version is asked for",
        "",
        "A filter takes superseded versions away. The rules differ in when they apply it: never; if the question holds a "
        "cue such as \"now\"; unless it looks back (names a year, or says \"did\", \"was\", \"than\"); always. \"Year means "
        "version\" also takes a year in the question for the date of the version. LatestFirst is the rule of `course ask`.",
    ]  # fmt: skip
    for split in ("dev", "test"):
        part = figures["filters"][split]
        lines += [
            "",
            f"**{split}**: {part['n_latest']} questions for the latest version, {part['latest_without_a_cue']} of them "
            f"without a cue, {part['latest_missed_unless_it_looks_back']} that seem to look back; {part['n_others']} others, "
            f"{part['gold_superseded']} of them answered by a superseded version, of which the rule \"unless it looks back\" "
            f"hides {part['gold_superseded_but_filtered']}.",
            "",
            *table(
                ("rule", "latest: success@1", "latest: recall@5", "success@1 minus no filter", "others: nDCG@10", "others, minus no filter", "ms a question"),
                (
                    (
                        name, words(row["latest success@1"]), words(row["latest recall@5"]),
                        words(row["latest success@1 minus no filter"], sign=True) if name != "no filter" else "",
                        words(row["others nDCG@10"]),
                        words(row["others nDCG@10 minus no filter"], sign=True) if name != "no filter" else "",
                        f"{1000 * row['median_seconds']:.0f}",
                    )
                    for name, row in part["rows"].items()
                ),
            ),
        ]  # fmt: skip
    mmr_ = figures["mmr"]
    lines += [
        "",
        "## MMR",
        "",
        f"The {mmr_['depth']} best hits in a new order. Crowding: share of the places 2 to 10 whose passage has a cosine of 0.8 "
        "or more with one above. Subjects: different documents among the ten, all versions of one counted once.",
    ]
    for split in ("dev", "test"):
        part = mmr_[split]
        lines += [
            "",
            f"**{split}**, n={part['n']}. Two gold passages of one comparison: median cosine "
            f"{part['cosine_of_two_gold_passages']['median']:.2f} (n={part['cosine_of_two_gold_passages']['n']}).",
            "",
            *table(
                ("weight", "crowding", "subjects", "nDCG@10", "minus weight 1", "comparison recall@5", "minus weight 1"),
                (
                    (
                        weight, words(row["crowding"]), f"{row['subjects']['mean']:.2f}", words(row["nDCG@10"]),
                        words(row["nDCG@10 minus weight 1"], sign=True) if weight != "1" else "",
                        words(row["comparison recall@5"]),
                        words(row["comparison recall@5 minus weight 1"], sign=True) if weight != "1" else "",
                    )
                    for weight, row in part["rows"].items()
                ),
            ),
            "",
            f"With copies planted: each passage {mmr_['copies']} times, a copy's cosine to the original {mmr_['likeness']}. "
            "Recall of the two gold passages of a comparison in the first five places:",
            "",
            *table(
                ("weight", "recall", "minus weight 1"),
                (
                    (weight, words(row["recall in five places"]), words(row["minus weight 1"], sign=True) if weight != "1" else "")
                    for weight, row in part["with_copies"].items()
                ),
            ),
        ]  # fmt: skip
    cut = figures["thresholds"]
    n = cut["n"]["test"]
    lines += [
        "",
        "## Thresholds",
        "",
        f"Score of the best hit. The threshold keeps {cut['keep']:.0%} of the {cut['n']['train']['answerable']} answerable train "
        f"questions; shares are of the test questions: {n['answerable']} answerable, {n['unanswerable']} unanswerable ones that "
        f"sound as if the collection held the answer, and the {n['other shelves']} answerable ones again with their own shelf "
        "closed. Separation: how often an answerable question has the higher score; 0.5 is a coin.",
        "",
        *table(
            ("score", "threshold", "separation from unanswerable", "from closed shelf", "answerable above", "unanswerable above", "closed shelf above"),
            (
                (
                    name, f"{row['threshold']:.3f}", words(row["separation from unanswerable"]),
                    words(row["separation from other shelves"]), words(row["answerable above the threshold"]),
                    words(row["unanswerable above the threshold"]), words(row["other shelves above the threshold"]),
                )
                for name, row in cut["rows"].items()
            ),
        ),
    ]  # fmt: skip
    return "\n".join(lines)
