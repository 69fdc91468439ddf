"""One LoRA training step on the course's language model, beside peft with transformers' Trainer: same batches, same losses."""

from __future__ import annotations

import copy
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from course_lib.assets import models
from course_lib.core.seeds import SEED
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.judgements import judge_chunks
from course_lib.corpus.load import load_documents
from course_lib.corpus.questions import load_questions
from course_lib.generation.prompting import rag_messages
from course_lib.tuning.adapters import save_adapter
from course_lib.tuning.batches import order_of, parts_of
from course_lib.tuning.causal import CausalTuner
from course_lib.tuning.lora import add_lora, trainable_parameters
from course_lib.tuning.training import StepReport, TrainingSettings, train

RANK, ALPHA, TARGETS = 8, 16, ("q_proj", "k_proj", "v_proj", "o_proj")
BATCH, STEPS, FEWER = 8, 11, 6  # the first step warms up and is not timed
RATE, PART = 2e-4, 1024
Say = Callable[[str], None]


def question_pairs(tokenizer: Any, n: int) -> list[tuple[str, str]]:
    """Return (prompt, answer) of n questions of the train split, drawn with the seed: the passage that answers, then the question."""
    documents = load_documents()
    chunks = chunk_documents(documents)
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    questions = [question for question in load_questions(split="train") if question.gold and question.answers]
    judgements = judge_chunks(questions, chunks, documents)
    pairs = []
    for i in np.random.default_rng(SEED).permutation(len(questions))[:n]:
        grades = judgements[questions[i].question_id]
        best = by_id[max(grades, key=lambda name: (grades[name], name))]
        messages = rag_messages(questions[i].text, [best])
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        pairs.append((prompt, questions[i].answers[0]))
    return pairs


class Turns:
    """Lets two training runs in two threads take one step each in turn, so that both meet the same noise."""

    def __init__(self) -> None:
        self.go = {name: threading.Semaphore(0) for name in ("course", "Trainer")}
        self.seconds: dict[str, list[float]] = {name: [] for name in self.go}
        self.started = 0.0

    def begin(self, name: str) -> None:
        """Wait for one's turn and start the clock."""
        self.go[name].acquire()
        self.started = time.perf_counter()

    def end(self, name: str, other: str) -> None:
        """Stop the clock and give the turn to the other."""
        self.seconds[name].append(time.perf_counter() - self.started)
        self.go[other].release()


def trainer_of(
    model: Any, tokenizer: Any, pairs: list[tuple[str, str]], autocast: bool, folder: str, turns: Turns
) -> Any:
    """Return transformers' Trainer on a model that peft has wrapped, which reads pairs in their order and takes turns."""
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainerCallback, TrainingArguments

    rows = []
    for prompt, answer in pairs:
        ids, end = tokenizer([prompt, answer], add_special_tokens=False)["input_ids"], [tokenizer.eos_token_id]
        rows.append({"input_ids": ids[0] + ids[1] + end, "labels": [-100] * len(ids[0]) + ids[1] + end})

    class Takes(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            turns.begin("Trainer")

        def on_step_end(self, *_: Any, **__: Any) -> None:
            turns.end("Trainer", "course")

    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=BATCH,
        max_steps=len(pairs) // BATCH,
        learning_rate=RATE,
        lr_scheduler_type="linear",
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=autocast,
        use_cpu=True,
        train_sampling_strategy="sequential",
        dataloader_pin_memory=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=SEED,
    )
    return Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100),
        callbacks=[Takes()],
    )


def beside(autocast: bool, steps: int, say: Say) -> dict[str, Any]:
    """Return seconds and losses of every step of both, from the same adapter on the same batches."""
    import peft

    tokenizer, shared = models.load_generator()
    ours, theirs = copy.deepcopy(shared), copy.deepcopy(shared)
    pairs, turns, losses = question_pairs(tokenizer, BATCH * steps), Turns(), []
    add_lora(ours, RANK, ALPHA, targets=TARGETS)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft and accelerate warn of what their next versions will do
        wrapped = peft.PeftModel.from_pretrained(theirs, save_adapter(ours, f"{folder}/adapter"), is_trainable=True)
        order = [pairs[i] for i in order_of(len(pairs), 0, SEED)]
        trainer = trainer_of(wrapped, tokenizer, order, autocast, folder, turns)
        printing = [callback for callback in trainer.callback_handler.callbacks if "Printer" in type(callback).__name__]
        for callback in printing:
            trainer.remove_callback(callback)
        thread = threading.Thread(target=trainer.train, daemon=True)
        thread.start()

        def after(report: StepReport) -> None:
            turns.end("course", "Trainer")
            losses.append(report.loss)
            say(f"step {report.step} of {report.n_steps}")
            turns.begin("course")

        turns.started = time.perf_counter()
        settings = TrainingSettings(
            learning_rate=RATE, epochs=1, batch_size=BATCH, warmup=0.0, weight_decay=0.0, part_tokens=PART, seed=SEED
        )
        tuner = CausalTuner(tokenizer, ours)
        train(tuner, pairs, settings, on_step=after)
        thread.join()
    rows = tuner.encode(order)
    groups = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    batches = [[len(row["input_ids"]) + 1 for row in group] for group in groups]
    read = [sum(tuner.collate(part)[0]["input_ids"].numel() for part in parts_of(group, 1, PART)) for group in groups]
    return {
        "seconds": {name: [round(value, 3) for value in values] for name, values in turns.seconds.items()},
        "losses": {
            "course": [round(loss, 5) for loss in losses],
            "Trainer": [round(entry["loss"], 5) for entry in trainer.state.log_history if "loss" in entry],
        },
        "tokens": [sum(batch) for batch in batches],
        "read": {"course": read, "Trainer": [max(batch) * BATCH for batch in batches]},
        "labelled": sum(row["n_labels"] for row in rows),
        "trainable": sum(value.numel() for value in trainable_parameters(ours)),
    }


def summary(measured: dict[str, Any]) -> dict[str, Any]:
    """Return medians over the timed steps, the ratio of each pair of steps, and how far the losses lie apart."""
    tokens = np.array(measured["tokens"][1:])
    course, trainer = (np.array(measured["seconds"][name][1:]) for name in ("course", "Trainer"))
    ratios = trainer / course
    one, other = (np.array(measured["losses"][name]) for name in ("course", "Trainer"))
    return {
        "n": len(ratios),
        "tokens_per_second": {
            "course": round(float(np.median(tokens / course))),
            "Trainer": round(float(np.median(tokens / trainer))),
        },
        "seconds": {"course": round(float(np.median(course)), 2), "Trainer": round(float(np.median(trainer)), 2)},
        "ratio": {
            "median": round(float(np.median(ratios)), 2),
            "low": round(float(ratios.min()), 2),
            "high": round(float(ratios.max()), 2),
        },
        "largest_difference_of_losses": round(float(np.abs(one - other).max()), 4),
    }


def run(say: Say) -> dict[str, Any]:
    """Time both with Trainer as it is, and with its bfloat16 autocast where the model is in bfloat16."""
    figures: dict[str, Any] = {"rank": RANK, "alpha": ALPHA, "targets": list(TARGETS), "batch": BATCH}
    ways = [False, True] if models.compute_dtype() is torch.bfloat16 else [False]
    for autocast in ways:
        name = "Trainer, bf16=True" if autocast else "Trainer"
        say(name)
        measured = beside(autocast, FEWER if autocast else STEPS, say)
        figures[name] = {**measured, **summary(measured)}
    return figures


def page(result: dict[str, Any]) -> str:
    """Return the page."""
    figures = result["figures"]
    ways = [name for name in figures if name.startswith("Trainer")]
    first = figures[ways[0]]
    n = sum(first["tokens"])
    course, trainer = (sum(first["read"][name]) for name in ("course", "Trainer"))
    lines = [
        "# A LoRA training step",
        "",
        f"One update of SmolLM2-135M with LoRA of rank {figures['rank']} on {', '.join(figures['targets'])} "
        f"({first['trainable']:,} trained numbers): {figures['batch']} questions of the train split, each with the passage "
        f"that answers it, {n / len(first['tokens']) / figures['batch']:.0f} tokens on average, of which "
        f"{first['labelled'] / len(first['tokens']) / figures['batch']:.1f} are labelled. Both began with the same adapter, "
        f"read the same batches in the same order, and took their steps in turn; the first step of each is not timed. The "
        f"faster of Trainer's two ways is the one to beat.",
        "",
        "| beside | course, tokens/s | peft + Trainer, tokens/s | ratio, median (least to most) | steps |",
        "|---|---|---|---|---|",
    ]
    for name in ways:
        row, ratio = figures[name], figures[name]["ratio"]
        lines.append(
            f"| {name} | {row['tokens_per_second']['course']} | {row['tokens_per_second']['Trainer']} | "
            f"{ratio['median']} ({ratio['low']} to {ratio['high']}) | {row['n']} |"
        )
    lines += ["", "Tokens are those of the texts: neither padding nor saving changes the count.", ""]
    lines += [
        f"The loss before each update, beside {ways[0]}:",
        "",
        "| step | course | peft + Trainer |",
        "|---|---|---|",
    ]
    losses = first["losses"]
    for step, pair in enumerate(zip(losses["course"], losses["Trainer"], strict=True), start=1):
        lines.append(f"| {step} | {pair[0]:.4f} | {pair[1]:.4f} |")
    apart = max(figures[name]["largest_difference_of_losses"] for name in ways)
    lines += [
        "",
        f"They lie at most {apart:.4f} apart in {result['number_format']}, already before the first update by what rounding "
        "does; in float32, on a tiny model, a test holds the two curves within 0.1 % of each other.",
        "",
        f"What the course leaves out: logits where no label is; padding (Trainer reads {trainer / n - 1:+.0%} tokens); the "
        f"system prompt of every text but the first of a part (the course reads {course / n - 1:+.0%}); A and B in float32 "
        "arithmetic (they are kept in it, and used in the model's format). In bfloat16 it also writes out the attention of "
        "short texts, which is faster to learn through than torch's fused kernel on a processor.",
    ]
    return "\n".join(lines)
