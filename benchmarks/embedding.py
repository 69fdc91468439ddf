"""Embedding the reading room: ours against sentence-transformers, float32 and bfloat16, and eight-bit weights."""

from __future__ import annotations

import copy
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.assets import models
from course_lib.core.seeds import SEED
from course_lib.core.validate import FloatArray
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.ranking import metric_values
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.retrieval.embedding import MAX_TOKENS, ContextualEmbedder, cached_embeddings, load_embedder
from course_lib.retrieval.exact import indexed_text

ROOT = Path(__file__).resolve().parents[1]
N_TEXTS, REPEATS, K = 256, 7, 10
DEFAULT = "sentence-transformers, float32"
NAMES = ("ours, float32", "ours, bfloat16", DEFAULT, "sentence-transformers, bfloat16", "ours, int8")
Embed = Callable[[Sequence[str]], FloatArray]


def sentence_transformers(dtype: str) -> Embed:
    """Return the library on the course's weights, as its documentation says: encode with batches of 32."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    models.quiet()
    transformer = Transformer(models.encoder_source(), max_seq_length=MAX_TOKENS)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    library = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")
    if dtype == "bfloat16":
        library = library.bfloat16()

    def embed(texts: Sequence[str]) -> FloatArray:
        vectors = library.encode(list(texts), convert_to_tensor=True, show_progress_bar=False).float().numpy()
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)

    return embed


def eight_bit() -> ContextualEmbedder:
    """Return our embedder with the weights of its linear layers as whole numbers of eight bits."""
    import torch

    plain = load_embedder(dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = torch.ao.quantization.quantize_dynamic(copy.deepcopy(plain.model), {torch.nn.Linear}, dtype=torch.qint8)
    return replace(plain, model=small, identity=plain.identity + "-int8")


def contestant(name: str) -> Embed:
    """Return one of NAMES as a function from texts to vectors of length 1."""
    library, _, dtype = name.partition(", ")
    if dtype == "int8":
        return eight_bit()
    return load_embedder(dtype=dtype) if library == "ours" else sentence_transformers(dtype)


def peak_gb(name: str) -> float:
    """Return the peak memory in GB of a process of its own that embeds the sample with one contestant."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import embedding\nfrom course_lib.workshop.memory import peak_gb\n"
        f"texts, _ = embedding.sample()\nembed = embedding.contestant({name!r})\nembed(texts)\nprint(peak_gb())"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(result.stdout.split()[-1])


def sample() -> tuple[list[str], list[str]]:
    """Return N_TEXTS chunks of the collection, drawn with the seed, and all of them."""
    texts = [indexed_text(chunk) for chunk in chunk_documents(load_documents())]
    order = np.random.default_rng(SEED).permutation(len(texts))
    return [texts[i] for i in order[:N_TEXTS]], texts


def ranking_quality(say: Callable[[str], None]) -> dict[str, Any]:
    """Return nDCG@10 of the dev questions with float32, bfloat16 and int8 vectors, and each difference to float32."""
    documents = load_documents()
    chunks = chunk_documents(documents)
    texts = [indexed_text(chunk) for chunk in chunks]
    questions = [question for question in load_questions(split="dev") if question.gold]
    judgements = judge_chunks(questions, chunks, documents)
    values = {}
    for name in ("ours, float32", "ours, bfloat16", "ours, int8"):
        embedder = contestant(name)
        assert isinstance(embedder, ContextualEmbedder)
        kept = not name.endswith("int8")  # the learner's cache is not the place for vectors that nobody uses
        matrix = cached_embeddings(texts, embedder, say=say) if kept else embedder(texts)  # (n_chunks, dim)
        scores = embedder([question.text for question in questions]) @ matrix.T  # (n_questions, n_chunks)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        rankings = {q.question_id: [chunks[i].chunk_id for i in row] for q, row in zip(questions, best, strict=True)}
        values[name] = metric_values("nDCG@10", rankings, judgements)
    base = values["ours, float32"]
    result: dict[str, Any] = {"n": len(base), "metric": "nDCG@10", "split": "dev", "systems": {}}
    for name, each in values.items():
        interval, gap = bootstrap_interval(each), paired_difference(each, base)
        result["systems"][name] = {
            "mean": interval.mean, "low": interval.low, "high": interval.high,
            "difference": gap.mean, "difference_low": gap.low, "difference_high": gap.high,
        }  # fmt: skip
    return result


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Measure and return all figures."""
    texts, everything = sample()
    contestants = {name: contestant(name) for name in NAMES}
    tokenizer = load_embedder(dtype="float32").tokenizer
    lengths = [len(ids) for ids in tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]]
    reference = contestants["ours, float32"](texts)  # (n, dim)
    cosines = {name: (embed(texts) * reference).sum(axis=1) for name, embed in contestants.items()}  # warms up, too
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    for repeat in range(REPEATS):
        say(f"Embedding, {repeat + 1} of {REPEATS}")
        for shift in range(len(NAMES)):  # each repeat begins with another contestant
            name = NAMES[(repeat + shift) % len(NAMES)]
            started = time.perf_counter()
            contestants[name](texts)
            seconds[name].append(time.perf_counter() - started)
    say("Memory, each in a process of its own")
    memory = {name: peak_gb(name) for name in NAMES}
    say("Ranking quality")
    return {
        "n_texts": len(texts),
        "n_chunks": len(everything),
        "n_tokens": sum(lengths),
        "mean_tokens": statistics.mean(lengths),
        "repeats": REPEATS,
        "contestants": {
            name: {
                "texts_per_second": len(texts) / statistics.median(seconds[name]),
                "tokens_per_second": sum(lengths) / statistics.median(seconds[name]),
                "ratio": statistics.median(a / b for a, b in zip(seconds[DEFAULT], seconds[name], strict=True)),
                "slowest_ratio": min(a / b for a, b in zip(seconds[DEFAULT], seconds[name], strict=True)),
                "smallest_cosine": float(cosines[name].min()),
                "peak_gb": memory[name],
            }
            for name in NAMES
        },
        "bf16_pays": models.bf16_pays(),
        "quality": ranking_quality(say),
    }


def page(result: dict[str, Any]) -> str:
    """Return the section of the page, every number from result."""
    figures, rows = result["figures"], []
    for name, each in figures["contestants"].items():
        rows.append(
            f"| {name} | {each['texts_per_second']:.0f} | {each['tokens_per_second']:,.0f} | {each['ratio']:.2f} "
            f"| {each['slowest_ratio']:.2f} | {each['smallest_cosine']:.4f} | {each['peak_gb']:.2f} |"
        )
    quality = figures["quality"]
    scores = [
        f"| {name} | {each['mean']:.3f} [{each['low']:.3f}, {each['high']:.3f}] | {each['difference']:+.3f} "
        f"[{each['difference_low']:+.3f}, {each['difference_high']:+.3f}] |"
        for name, each in quality["systems"].items()
    ]
    speed = {name: each["texts_per_second"] for name, each in figures["contestants"].items()}
    same = {kind: speed[f"ours, {kind}"] / speed[f"sentence-transformers, {kind}"] for kind in ("float32", "bfloat16")}
    lost = quality["systems"]["ours, int8"]
    int8, best = figures["contestants"]["ours, int8"], figures["contestants"]["ours, bfloat16"]
    default = "bfloat16" if figures["bf16_pays"] else "float32"
    return "\n".join(
        [
            "# Embedding",
            "",
            f"{figures['n_texts']} of the collection's {figures['n_chunks']:,} chunks, drawn with the seed, "
            f"{figures['mean_tokens']:.0f} tokens each on average (padding not counted); {figures['repeats']} repeats in "
            f"turn, each beginning with another contestant. Medians; the ratio is that of {DEFAULT} to the row, repeat "
            "by repeat. The cosine is the smallest of all texts to ours in float32. Memory is the peak of a process that "
            "loads one contestant and embeds the sample.",
            "",
            "| contestant | texts/s | tokens/s | ratio | smallest ratio | smallest cosine | peak GB |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "Both libraries have the same weights and sort by length. Ours fills a batch by tokens, not by texts, so "
            f"short texts come in large batches: {same['float32']:.2f} times the speed of sentence-transformers in "
            f"float32, {same['bfloat16']:.2f} times in bfloat16 (medians). On this processor the course computes in "
            f"{default} by default.",
            "",
            f"What the number format does to the ranking, {quality['metric']} of {quality['n']} {quality['split']} "
            "questions with 95 % intervals, and the paired difference to float32:",
            "",
            f"| vectors | {quality['metric']} | difference |",
            "|---|---|---|",
            *scores,
            "",
            f"Eight-bit weights (dynamic quantisation of the linear layers) are not used: the smallest cosine falls to "
            f"{int8['smallest_cosine']:.3f}, at {int8['ratio']:.2f} times the speed of {DEFAULT}, where bfloat16 "
            f"keeps {best['smallest_cosine']:.4f} at {best['ratio']:.2f} times. {quality['metric']} changes by "
            f"{lost['difference']:+.3f} "
            f"[{lost['difference_low']:+.3f}, {lost['difference_high']:+.3f}], for "
            f"{int8['ratio'] / best['ratio']:.2f} times the speed of bfloat16.",
            "",
        ]
    )
