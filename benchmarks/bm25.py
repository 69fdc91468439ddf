"""BM25 on 100,000 documents: ours fast, ours readable, bm25s and rank-bm25, given the same tokens."""

from __future__ import annotations

import datetime
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course_lib.core.types import Chunk
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.library_docs import library_documents, library_sentences
from course_lib.corpus.load import load_documents
from course_lib.retrieval.bm25 import BM25Retriever
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.counting import words
from course_lib.retrieval.exact import indexed_text
from course_lib.retrieval.tokenising import stems

N_DOCUMENTS, N_QUERIES, QUERY_WORDS, K = 100_000, 400, 10, 10
REPEATS, BUILDS = 7, 3
N_READABLE, N_RANK = 20, 2  # queries a repeat of those that are slow
K1, B = 1.2, 0.75


def documents_and_queries() -> tuple[list[str], list[str]]:
    """Return N_DOCUMENTS texts (sentences, then passages of at most 60 words) and queries: sentences held out."""
    sentences = library_sentences()
    every = len(sentences) // N_QUERIES
    queries = [" ".join(sentence.split()[:QUERY_WORDS]) for sentence in sentences[::every][:N_QUERIES]]
    held_out = set(range(0, every * N_QUERIES, every))
    texts = [sentence for i, sentence in enumerate(sentences) if i not in held_out]
    passages = (chunk.text for chunk in chunk_documents(library_documents(), max_words=60))
    while len(texts) < N_DOCUMENTS:
        texts.append(next(passages))
    return texts[:N_DOCUMENTS], queries


def by_space(text: str) -> list[str]:
    """Cut texts whose tokens were joined by spaces; the full stop after the empty title is no token."""
    return [token for token in text.split() if token != "."]


def seconds_of(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def summary(rates: dict[str, list[float]], reference: str) -> dict[str, dict[str, float]]:
    """Return for each contestant its median rate, and the median over the repeats of its rate by the reference's."""
    return {
        name: {
            "per_second": statistics.median(values),
            "ratio": statistics.median(a / b for a, b in zip(values, rates[reference], strict=True)),
        }
        for name, values in rates.items()
    }


def dict_bytes(tables: Sequence[dict[Any, Any]]) -> int:
    """Return the bytes of dictionaries, without what they hold."""
    return sum(map(sys.getsizeof, tables))


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Measure and return all figures."""
    import bm25s
    import rank_bm25

    say("Reading the documentation of the installed libraries")
    texts, queries = documents_and_queries()
    started = time.perf_counter()
    tokens = [stems(text) for text in texts]
    tokenise_seconds = time.perf_counter() - started
    query_tokens = [list(dict.fromkeys(stems(query))) for query in queries]
    chunks = [
        Chunk(f"{i:06d}", f"{i:06d}", "", datetime.date(2026, 1, 1), " ".join(each), 0, 1)
        for i, each in enumerate(tokens)
    ]

    built: dict[str, Any] = {}
    makers: dict[str, Callable[[], Any]] = {
        "fast": lambda: FastBM25Retriever(k1=K1, b=B, tokenise=by_space).fit(chunks),
        "bm25s": lambda: _indexed(bm25s.BM25(k1=K1, b=B, method="lucene"), tokens),
        "readable": lambda: BM25Retriever(k1=K1, b=B, tokenise=by_space).fit(chunks),
        "rank_bm25": lambda: rank_bm25.BM25Okapi(tokens, k1=K1, b=B),
    }
    build_seconds: dict[str, list[float]] = {name: [] for name in makers}
    for repeat in range(BUILDS):
        say(f"Building every index, {repeat + 1} of {BUILDS}")
        for name, make in makers.items():
            built.pop(name, None)
            build_seconds[name].append(seconds_of(lambda make=make, name=name: built.__setitem__(name, make())))
    fast, theirs, readable, rank = (built[name] for name in ("fast", "bm25s", "readable", "rank_bm25"))
    n_bytes = {
        "fast": fast.n_bytes,
        "bm25s": sum(theirs.scores[name].nbytes for name in ("data", "indices", "indptr")),
        "readable": dict_bytes([readable.postings_, *readable.postings_.values()]),
        "rank_bm25": dict_bytes([rank.idf, *rank.doc_freqs]),
    }

    say("Comparing the scores")
    score_gap, bm25s_gap, same = 0.0, 0.0, 0
    for each in query_tokens[: 2 * N_READABLE]:
        ours, plain = fast.score_tokens(each), readable.scores(" ".join(each))
        score_gap = max(score_gap, float(np.abs(ours - plain).max()))
        bm25s_gap = max(bm25s_gap, float(np.abs(ours - theirs.get_scores(each)).max()))
        same += fast.search_tokens(each, K) == readable.search(" ".join(each), K)

    buffer = np.zeros(len(texts))
    joined = [" ".join(each) for each in query_tokens]
    scoring: dict[str, Callable[[int], Any]] = {
        "fast": lambda i: fast.score_tokens(query_tokens[i], buffer),
        "bm25s": lambda i: theirs.get_scores(query_tokens[i]),
        "readable": lambda i: readable.scores(joined[i]),
        "rank_bm25": lambda i: rank.get_scores(query_tokens[i]),
    }
    sample = {"fast": N_QUERIES, "bm25s": N_QUERIES, "readable": N_READABLE, "rank_bm25": N_RANK}
    searching: dict[str, tuple[int, Callable[[int], Any]]] = {
        "fast": (N_QUERIES, lambda n: [fast.search_tokens(each, K, buffer) for each in query_tokens[:n]]),
        "bm25s": (N_QUERIES, lambda n: theirs.retrieve(query_tokens[:n], k=K, show_progress=False, n_threads=0)),
        "bm25s, 2 threads": (
            N_QUERIES,
            lambda n: theirs.retrieve(query_tokens[:n], k=K, show_progress=False, n_threads=2),
        ),
        "readable": (N_READABLE, lambda n: [readable.search(text, K) for text in joined[:n]]),
        "rank_bm25": (N_RANK, lambda n: [np.argsort(rank.get_scores(each))[::-1][:K] for each in query_tokens[:n]]),
    }
    fast_stems = FastBM25Retriever(k1=K1, b=B)
    fast_stems.__dict__.update({**fast.__dict__, "tokenise": stems})
    end_to_end: dict[str, Callable[[], Any]] = {
        "fast": lambda: fast_stems.search_many(queries, K),
        "fast, one by one": lambda: [fast_stems.search(query, K) for query in queries],
        "bm25s": lambda: theirs.retrieve(
            [list(dict.fromkeys(stems(query))) for query in queries], k=K, show_progress=False, n_threads=0
        ),
    }
    score_rates: dict[str, list[float]] = {name: [] for name in scoring}
    search_rates: dict[str, list[float]] = {name: [] for name in searching}
    whole_rates: dict[str, list[float]] = {name: [] for name in end_to_end}
    for repeat in range(REPEATS):
        say(f"Asking, {repeat + 1} of {REPEATS}")
        for name, score in scoring.items():
            n = sample[name]
            score_rates[name].append(n / seconds_of(lambda n=n, score=score: [score(i) for i in range(n)]))
        for name, (n, search) in searching.items():
            search_rates[name].append(n / seconds_of(lambda n=n, search=search: search(n)))
        for name, call in end_to_end.items():
            whole_rates[name].append(N_QUERIES / seconds_of(call))
    return {
        "n_documents": len(texts),
        "n_tokens": sum(map(len, tokens)),
        "n_terms": len(fast.vocabulary_),
        "n_queries": N_QUERIES,
        "terms_per_query": statistics.mean(map(len, query_tokens)),
        "k": K,
        "k1": K1,
        "b": B,
        "repeats": REPEATS,
        "builds": BUILDS,
        "tokenise_seconds": tokenise_seconds,
        "queries_per_repeat": {**sample, "bm25s, 2 threads": N_QUERIES},
        "build_seconds": {name: statistics.median(values) for name, values in build_seconds.items()},
        "bytes": n_bytes,
        "scoring": summary(score_rates, "bm25s"),
        "searching": summary(search_rates, "bm25s"),
        "end_to_end": summary(whole_rates, "bm25s"),
        "fast_by_rank_bm25": statistics.median(
            a / b for a, b in zip(search_rates["fast"], search_rates["rank_bm25"], strict=True)
        ),
        "readable_gap": score_gap,
        "bm25s_gap": bm25s_gap,
        "compared": 2 * N_READABLE,
        "same_rankings": same,
        "bm25s_backend": theirs.backend,
        "collection": collection_figures(),
    }


def _indexed(index: Any, tokens: list[list[str]]) -> Any:
    index.index(tokens, show_progress=False)
    return index


def collection_figures() -> dict[str, Any]:
    """Return the seconds to index the reading room, and to cut its words with and without the cache of stems."""
    import snowballstemmer

    from course_lib.corpus.quality import stem

    stemmer = snowballstemmer.stemmer("english")
    chunks = chunk_documents(load_documents())
    texts = [indexed_text(chunk) for chunk in chunks]
    seconds: dict[str, list[float]] = {"each word stemmed": [], "each word once": [], "fast": [], "readable": []}
    for _ in range(3):
        seconds["each word stemmed"].append(seconds_of(lambda: [stemmer.stemWords(words(text)) for text in texts]))
        stem.cache_clear()
        seconds["each word once"].append(seconds_of(lambda: [stems(text) for text in texts]))
        seconds["fast"].append(seconds_of(lambda: FastBM25Retriever().fit(chunks)))
        seconds["readable"].append(seconds_of(lambda: BM25Retriever().fit(chunks)))
    return {
        "n_chunks": len(chunks),
        "n_words": sum(len(words(text)) for text in texts),
        "seconds": {name: statistics.median(values) for name, values in seconds.items()},
    }


NAMES = {
    "fast": "`FastBM25Retriever`",
    "fast, one by one": "`FastBM25Retriever.search`, one query a call",
    "readable": "`BM25Retriever`, the formula as it is read",
    "bm25s": "bm25s",
    "bm25s, 2 threads": "bm25s, two threads",
    "rank_bm25": "rank-bm25 (`BM25Okapi`)",
}


def page(result: dict[str, Any]) -> str:
    """Return the page in Markdown; every figure comes from the result."""
    result = result["figures"]

    def rate(part: str, name: str) -> str:
        figure = result[part].get(name)
        return f"{_rounded(figure['per_second'])} ({figure['ratio']:.2g})" if figure else ""

    rows = [
        f"| {NAMES[name]} | {result['build_seconds'].get(name, float('nan')):.1f} | {result['bytes'][name] / 1e6:.0f} | "
        f"{rate('scoring', name)} | {rate('searching', name)} |"
        for name in ("fast", "bm25s", "readable", "rank_bm25")
    ]
    threads, whole, collection = (
        result["searching"]["bm25s, 2 threads"],
        result["end_to_end"],
        result["collection"],
    )
    seconds = collection["seconds"]
    return "\n".join(
        [
            "# BM25 in four implementations",
            "",
            f"{result['n_documents']:,} documents: sentences of the installed libraries' documentation, then passages of "
            f"it, {result['n_tokens']:,} tokens, {result['n_terms']:,} terms. Queries: {result['n_queries']} sentences that "
            f"were held out, cut to {QUERY_WORDS} words, {result['terms_per_query']:.1f} different terms on average. All are "
            "given the same stems, so only the index is compared. Queries a second are medians of "
            f"{result['repeats']} interleaved repeats; in brackets the rate by that of bm25s in the same repeat, median. "
            f"Build seconds are medians of {result['builds']}. k1 = {result['k1']}, b = {result['b']}, k = {result['k']}.",
            "",
            "| | build, seconds | MB | all scores, queries/s | the ten best, queries/s |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"The backend of bm25s is {result['bm25s_backend']}, as it comes; with numba installed it can compile, which is "
            f"not measured here. With two threads bm25s answers {_rounded(threads['per_second'])} queries a second "
            f"({threads['ratio']:.2g} of one thread). A repeat asks {result['queries_per_repeat']['readable']} queries of the "
            f"readable form and {result['queries_per_repeat']['rank_bm25']} of rank-bm25, {result['n_queries']} of the others. "
            f"The fast form answers {_rounded(result['fast_by_rank_bm25'])} times as many queries as rank-bm25. MB are those of "
            "the arrays or dictionaries, without the words.",
            "",
            f"From text to ranking, with the same stemmer: {_rounded(whole['fast']['per_second'])} queries a second in one "
            f"call, {_rounded(whole['fast, one by one']['per_second'])} one by one, bm25s "
            f"{_rounded(whole['bm25s']['per_second'])}.",
            "",
            f"On {result['compared']} queries the fast and the readable form differ by at most {result['readable_gap']:.0e} in "
            f"any score of any document, and {result['same_rankings']} of {result['compared']} rankings of {result['k']} are "
            f"the same. From bm25s the scores differ by at most {result['bm25s_gap']:.0e}: it adds in float32.",
            "",
            f"The reading room ({collection['n_chunks']:,} chunks, {collection['n_words']:,} words): stemming each word "
            f"takes {seconds['each word stemmed']:.1f} s, stemming each different word once {seconds['each word once']:.1f} s; "
            f"with stems known, the fast index is built in {seconds['fast']:.2f} s, the readable one in "
            f"{seconds['readable']:.2f} s.",
        ]
    )


def _rounded(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"
