"""`course train reranker`: make the examples, train the cross-encoder, score it, and save adapter, head and card."""

from __future__ import annotations

import datetime
import json
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from course_lib.assets import models, store
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.library_docs import library_documents
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.ranking import metric_values
from course_lib.retrieval.cross_encoder import (
    HEAD,
    MAX_TOKENS,
    CrossEncoder,
    encode_pairs,
    load_cross_encoder,
    new_head,
)
from course_lib.retrieval.exact import indexed_text
from course_lib.systems.compare import Candidates
from course_lib.systems.reranker_data import fused_over, question_examples, sentence_examples
from course_lib.tuning.reranker import RankingExample, Settings, Trained, count_steps, train_reranker

Say = Callable[[str], None]
ADAPTER = "adapter_model.safetensors"
TARGETS = ["query", "key", "value", "dense"]


def untrained_cross_encoder(settings: Settings) -> CrossEncoder:
    """Return the encoder with a fresh LoRA adapter and the head before training, in the number format that pays here."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    models.quiet()
    torch.manual_seed(settings.seed)
    tokenizer, _ = models.load_encoder(models.compute_dtype())  # the one that the embedder has loaded
    source = models.encoder_source()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for names that will change
        base = AutoModel.from_pretrained(
            source, dtype=models.compute_dtype(), local_files_only=True, add_pooling_layer=False
        )
        config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=TARGETS)
        model = get_peft_model(base, config)
    return CrossEncoder(tokenizer, model, new_head(int(base.config.hidden_size)), max_tokens=settings.max_tokens)


def train(
    examples: Sequence[RankingExample], settings: Settings, *, work: Path | None = None, progress: bool = True
) -> Trained:
    """Train a fresh cross-encoder on examples; an interrupted run with the same settings goes on where it was."""
    work = work or store.course_home() / "training" / "reranker"
    return train_reranker(
        untrained_cross_encoder(settings),
        lambda queries, passages, n: encode_pairs(_tokenizer(), queries, passages, n),
        examples,
        settings,
        folder=work,
        progress=progress,
    )


def _tokenizer() -> Any:
    return models.load_encoder(models.compute_dtype())[0]


def save(trained: Trained, folder: Path, card: dict[str, Any]) -> None:
    """Write adapter (bfloat16), head and card aside, then put them in the place of what folder held.

    The change that training made is scaled by keep: B of each low-rank update, and the head's way from its beginning.
    """
    import torch
    from safetensors.torch import load_file, save_file

    aside = folder.with_name(folder.name + ".new")
    shutil.rmtree(aside, ignore_errors=True)
    trained.scorer.model.save_pretrained(str(aside))
    weights = load_file(aside / ADAPTER)
    keep = float(card["settings"]["keep"])
    weights = {name: value * keep if "lora_B" in name else value for name, value in weights.items()}
    save_file({name: value.to(torch.bfloat16) for name, value in weights.items()}, aside / ADAPTER, {"format": "pt"})
    blank = new_head(len(trained.scorer.head["pooled"]))
    head = {name: blank[name] + keep * (value.detach() - blank[name]) for name, value in trained.scorer.head.items()}
    (aside / "README.md").write_text(card_text(card), encoding="utf-8")
    config = json.loads((aside / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = "sentence-transformers/all-MiniLM-L6-v2"
    (aside / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    save_file(head, aside / HEAD)
    (aside / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    aside.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def card_of(
    trained: Trained, examples: Sequence[RankingExample], settings: Settings, scores: dict[str, Any]
) -> dict[str, Any]:
    """Return what a user must know of an adapter: encoder, data, command, minutes, size, scores."""
    trainable = sum(value.numel() for value in trained.scorer.model.parameters() if value.requires_grad)
    return {
        "what": "cross-encoder: LoRA adapter of the encoder, and a scoring head",
        "encoder": models.model_id(models.encoder_source()),
        "command": "course train reranker",
        "date": datetime.date.today().isoformat(),
        "examples": dict(Counter(entry.source for entry in examples)),
        "passages_per_example": max(len(entry.passages) for entry in examples),
        "max_tokens": MAX_TOKENS,
        "settings": asdict(settings),
        "steps": count_steps(len(examples), settings),
        "minutes": round(trained.minutes, 1),
        "trained_parameters": trainable + sum(value.numel() for value in trained.scorer.head.values()),
        "final_loss": round(sum(trained.losses[-20:]) / len(trained.losses[-20:]), 3),
        "scores": scores,
        "licence": "Apache-2.0",
        "limits": "English. Trained on the few questions of the course's own collection: on other texts the untrained form may be as good.",
    }


def card_text(card: dict[str, Any]) -> str:
    """Return the card as a page for people."""
    scores, settings = card["scores"], card["settings"]
    rows = [
        f"| {name} | {scores[name]['nDCG@10']:.3f} | {scores[name]['MRR']:.3f} |"
        for name in ("fusion", "untrained", "cross-encoder", "both")
        if name in scores
    ]
    sources = ", ".join(f"{n:,} from each {name}" for name, n in card["examples"].items())
    lines = [
        "# The course's reranker",
        "",
        f"A {card['what']}. Encoder: all-MiniLM-L6-v2 (weights {card['encoder']}). Licence: {card['licence']}.",
        "",
        f"Made on {card['date']} by `{card['command']}` in {card['minutes']:g} minutes: {card['steps']} steps, "
        f"{card['trained_parameters']:,} trained parameters, rank {settings['rank']}, seed {settings['seed']}.",
        "",
        f"Data: lists of {card['passages_per_example']} passages, one of them good ({sources}). No document that answers a dev or test "
        "question is among them.",
        "",
        f"Scores on the {scores.get('n', 0)} answerable {scores.get('split', '')} questions, the {scores.get('depth', 0)} best hits reread:",
        "",
        "| order by | nDCG@10 | MRR |",
        "|---|---|---|",
        *rows,
        "",
        f"Limits: {card['limits']}",
    ]
    return "\n".join(lines) + "\n"


def score_on_dev(scorer: CrossEncoder, *, depth: int = 20) -> dict[str, Any]:
    """Return nDCG@10 and MRR on the answerable dev questions: the first stage, the cross-encoder, and both added."""
    documents = load_documents()
    chunks = chunk_documents(documents)
    questions = [question for question in load_questions(split="dev") if question.gold]
    judgements = judge_chunks(questions, chunks, documents)
    first = fused_over(chunks)
    hits = {question.question_id: first.search(question.text, depth) for question in questions}
    table = Candidates(
        {question.question_id: question.text for question in questions},
        {name: [hit.chunk_id for hit in ranking] for name, ranking in hits.items()},
    ).with_stage("fusion", {name: [hit.score for hit in ranking] for name, ranking in hits.items()})
    texts = {chunk.chunk_id: indexed_text(chunk) for chunk in chunks}
    table = table.scored_by("cross-encoder", scorer.pairs, texts)
    blank = untrained_cross_encoder(Settings(max_tokens=scorer.max_tokens))  # its adapter changes nothing yet
    table = table.scored_by("untrained", blank.pairs, texts)
    scores: dict[str, Any] = {"split": "dev", "n": len(questions), "depth": depth}
    for name, weights in (
        ("fusion", {"fusion": 1.0}),
        ("untrained", {"untrained": 1.0}),
        ("cross-encoder", {"cross-encoder": 1.0}),
        ("both", {"fusion": 1.0, "cross-encoder": 1.0}),
    ):
        rankings = table.rankings(weights)
        scores[name] = {
            metric: round(float(metric_values(metric, rankings, judgements).mean()), 3) for metric in ("nDCG@10", "MRR")
        }
    return scores


def train_and_save(folder: Path, *, sentences: bool = False, quick: bool = False, say: Say = print) -> dict[str, Any]:
    """Make the examples, train, score on dev, and save adapter, head and card to folder; return the card.

    sentences: learn from sentences of the collection and the library documentation as well. quick: a hundred lists, to
    see that all of it runs.
    """
    shelves = ("help_desk",) if quick else ()
    documents, questions = load_documents(*shelves), load_questions(shelf="help_desk" if quick else None)
    say(f"Looking for near misses in {len(documents):,} documents")
    examples = question_examples(documents, questions, say=say)
    if sentences:
        library = [document for document in library_documents() if 40 <= len(document.text.split()) <= 400]
        examples += sentence_examples(documents, library[:200] if quick else library, questions, say=say)
    examples = examples[:: max(1, len(examples) // 100)] if quick else examples
    settings = Settings()
    say(f"Training on {len(examples):,} lists, {count_steps(len(examples), settings)} steps")
    work = folder.with_name(folder.name + ".work")
    return finish(train(examples, settings, work=work), examples, settings, folder, say=say)


def finish(
    trained: Trained, examples: Sequence[RankingExample], settings: Settings, folder: Path, *, say: Say = print
) -> dict[str, Any]:
    """Save what was trained, score it as it will be used, write the card with its scores, and remove the work folder."""
    scored = folder.with_name(folder.name + ".scored")
    save(trained, scored, card_of(trained, examples, settings, {}))
    card = card_of(trained, examples, settings, score_on_dev(load_cross_encoder(scored)))
    save(trained, folder, card)
    for spare in (scored, folder.with_name(folder.name + ".work")):
        shutil.rmtree(spare, ignore_errors=True)
    say(f"{trained.minutes:.1f} minutes of training; {json.dumps(card['scores'])}")
    return card
