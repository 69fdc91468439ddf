"""Examples for the reranker: questions with their passages, sentences with the passage they come from, and near misses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.core.protocols import Retriever
from course_lib.core.seeds import SEED
from course_lib.core.types import Chunk, Document, Question
from course_lib.corpus.chunking import chunk_documents, sentence_spans
from course_lib.corpus.judgements import judge_chunks
from course_lib.retrieval.bm25_fast import FastBM25Retriever
from course_lib.retrieval.embedding import cached_embeddings, load_embedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import FusedRetriever
from course_lib.tuning.reranker import RankingExample

N_PASSAGES = 8
POOL = 30
N_REPORTS = 300
N_DRAWS = 3
N_LIBRARY, N_LIBRARY_QUERIES = 6000, 1800


@dataclass(frozen=True)
class Seed:
    """A query before near misses are found for it. off_limits: documents that may answer it as well."""

    query: str
    passage: str
    off_limits: frozenset[str]
    source: str


def versions_of(documents: Iterable[Document]) -> dict[str, frozenset[str]]:
    """Return doc_id -> all documents of its chain of versions, itself included."""
    by_id = {document.doc_id: document for document in documents}
    chains: dict[str, frozenset[str]] = {}
    for name, document in by_id.items():
        chain, waiting = {name}, [document.supersedes, document.superseded_by]
        while waiting:
            other = waiting.pop()
            if other in by_id and other not in chain:
                chain.add(other)
                waiting += [by_id[other].supersedes, by_id[other].superseded_by]
        chains[name] = frozenset(chain)
    return chains


def question_seeds(questions: Sequence[Question], chunks: Sequence[Chunk], documents: Sequence[Document]) -> list[Seed]:
    """Return a seed for each gold passage of each question. Raises ValueError for a question that is not in train."""
    for question in questions:
        if question.split != "train":
            raise ValueError(f"questions must be of the train split, but {question.question_id} is {question.split}")
    by_id, chains = {chunk.chunk_id: chunk for chunk in chunks}, versions_of(documents)
    seeds = []
    for question, gains in zip(
        [question for question in questions if question.gold],
        judge_chunks(questions, chunks, documents).values(),
        strict=True,
    ):
        barred: set[str] = set()
        for name in gains:
            barred |= {by_id[name].doc_id} if question.kind == "latest" else chains[by_id[name].doc_id]
        seeds += [
            Seed(question.text, indexed_text(by_id[name]), frozenset(barred), "question") for name in sorted(gains)
        ]
    return seeds


def sentence_seeds(
    chunks: Sequence[Chunk], documents: Sequence[Document], *, keep: float = 0.1, seed: int = SEED
) -> list[Seed]:
    """Return a seed for each chunk of two sentences or more: one sentence asks, the others are the passage.

    The inverse cloze task (Lee et al., 2019). In a share keep of them the sentence stays in the passage, so that shared words
    count, too; in half of them the title is left out.
    """
    rng, chains = np.random.default_rng(seed), versions_of(documents)
    seeds = []
    for chunk in chunks:
        spans = sentence_spans(chunk.text)
        fit = [span for span in spans if 5 <= len(chunk.text[slice(*span)].split()) <= 30]
        if len(spans) < 2 or not fit:
            continue
        start, end = fit[int(rng.integers(len(fit)))]
        rest = chunk.text if rng.random() < keep else f"{chunk.text[:start]}{chunk.text[end:]}".strip()
        passage = rest if rng.random() < 0.5 else f"{chunk.title}. {rest}"
        seeds.append(Seed(chunk.text[start:end], passage, chains[chunk.doc_id], "sentence"))
    return seeds


def with_near_misses(
    seeds: Sequence[Seed], retriever: Retriever, *, n_passages: int = N_PASSAGES, pool: int = POOL, seed: int = SEED
) -> list[RankingExample]:
    """Return each seed with n_passages - 1 passages that the retriever ranks high but that are not the good one."""
    from tqdm.auto import tqdm

    rng = np.random.default_rng(seed)
    examples = []
    for entry in tqdm(seeds, desc="Near misses", unit="query", leave=False):
        hits = [retriever.chunk(hit.chunk_id) for hit in retriever.search(entry.query, pool + len(entry.off_limits))]
        others = [chunk for chunk in hits if chunk.doc_id not in entry.off_limits][:pool]
        chance = 1 / np.arange(2, len(others) + 2)  # the nearest misses most often
        chosen = rng.choice(len(others), size=min(n_passages - 1, len(others)), replace=False, p=chance / chance.sum())
        examples.append(
            RankingExample(
                entry.query, (entry.passage, *(indexed_text(others[i]) for i in sorted(chosen))), entry.source
            )
        )
    return examples


def fused_over(chunks: Sequence[Chunk], *, say: Callable[[str], None] | None = None) -> FusedRetriever:
    """Return words and meaning fused over chunks, with vectors from the cache where they are there."""
    embedder = load_embedder(progress=True)
    embeddings = cached_embeddings([indexed_text(chunk) for chunk in chunks], embedder, say=say)
    return FusedRetriever(
        DenseRetriever(embedder).fit(chunks, embeddings), FastBM25Retriever().fit(chunks), n_chunks=len(chunks)
    )


def held_back(questions: Iterable[Question]) -> set[str]:
    """Return the documents that answer a question of dev or test: no example is made from them."""
    return {span.doc_id for question in questions if question.split != "train" for span in question.gold}


def sampled(chunks: Sequence[Chunk], n: int, seed: int) -> list[Chunk]:
    """Return n of the chunks, drawn with seed, in their order; all if there are fewer."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(chunks), size=min(n, len(chunks)), replace=False)
    return [chunks[i] for i in sorted(chosen)]


def question_examples(
    documents: Sequence[Document],
    questions: Sequence[Question],
    *,
    seed: int = SEED,
    say: Callable[[str], None] | None = None,
) -> list[RankingExample]:
    """Return N_DRAWS lists for each gold passage of the train questions, each with other near misses.

    Documents that answer a question of dev or test are left out as good passages and as near misses.
    """
    barred = held_back(questions)
    free = [document for document in documents if document.doc_id not in barred]
    chunks = chunk_documents(free)
    retriever = fused_over(chunks, say=say)
    train = [question for question in questions if question.split == "train"]
    train = [question for question in train if all(span.doc_id not in barred for span in question.gold)]
    seeds = question_seeds(train, chunks, free)
    return [example for draw in range(N_DRAWS) for example in with_near_misses(seeds, retriever, seed=seed + draw)]


def sentence_examples(
    documents: Sequence[Document],
    library: Sequence[Document],
    questions: Sequence[Question],
    *,
    seed: int = SEED,
    say: Callable[[str], None] | None = None,
) -> list[RankingExample]:
    """Return lists made from sentences of the collection and of the library documentation.

    Match reports are alike in form, so few of them are drawn. Documents that answer a question of dev or test are left
    out.
    """
    barred = held_back(questions)
    free = [document for document in documents if document.doc_id not in barred]
    chunks = chunk_documents(free)
    reports = [chunk for chunk in chunks if chunk.doc_id.startswith("world_cup/")]
    prose = [chunk for chunk in chunks if not chunk.doc_id.startswith("world_cup/")]
    drawn = [*sampled(reports, N_REPORTS, seed), *prose]
    examples = with_near_misses(sentence_seeds(drawn, free, seed=seed), fused_over(chunks, say=say), seed=seed)
    shelf = sampled(chunk_documents(library), N_LIBRARY, seed)
    seeds = sentence_seeds(sampled(shelf, N_LIBRARY_QUERIES, seed + 1), library, seed=seed)
    return examples + with_near_misses(seeds, fused_over(shelf, say=say), seed=seed)
