"""The oracle: transformers' Trainer, on the same data in the same order, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.assets.models import load_encoder
from course_lib.tuning.batches import order_of
from course_lib.tuning.heads import TextClassifier, new_classifier
from course_lib.tuning.training import StepReport, TrainingSettings, train

Make = Callable[..., TextClassifier]
Weights = Callable[[nn.Module], dict[str, torch.Tensor]]
Examples = list[tuple[str, str]]


def trained_by_trainer(
    model: TextClassifier, examples: Examples, settings: TrainingSettings, folder: Path, max_steps: int = -1
) -> tuple[list[float], list[float], list[float]]:
    """Train with transformers' Trainer in the same order; return its losses, gradient norms and learning rates."""
    from transformers import Trainer, TrainingArguments

    class WithLoss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, input_ids: Any, attention_mask: Any, labels: Any) -> dict[str, torch.Tensor]:
            logits = self.inner(input_ids, attention_mask)
            return {"loss": cross_entropy(logits, labels), "logits": logits}

    class Order(torch.utils.data.Sampler[int]):
        epoch = -1

        def __len__(self) -> int:
            return len(examples)

        def __iter__(self) -> Iterator[int]:
            self.epoch += 1
            return iter(order_of(len(examples), self.epoch, settings.seed))

    losses: list[float] = []

    class Ordered(Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return Order()

        def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
            loss = super().training_step(*arguments, **named)
            losses.append(float(loss))
            return loss

    def collate(rows: Any) -> dict[str, torch.Tensor]:
        inputs, labels = model.collate(rows)
        inputs.pop("token_type_ids", None)
        return {**inputs, "labels": labels}

    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch_size,
        num_train_epochs=settings.epochs,
        max_steps=max_steps,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup,  # below 1: a share
        max_grad_norm=settings.clip,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        seed=settings.seed,
    )
    trainer = Ordered(WithLoss(), arguments, train_dataset=model.encode(examples), data_collator=collate)  # type: ignore[arg-type]
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
    return losses, [float(entry["grad_norm"]) for entry in history], [entry["learning_rate"] for entry in history]


def test_equal_to_trainer_step_by_step(make_tiny: Make, examples: Examples, weights: Weights, tmp_path: Path) -> None:
    settings = TrainingSettings(learning_rate=3e-3, epochs=3, batch_size=4, weight_decay=0.1, warmup=0.15, clip=1.2)
    ours, theirs = make_tiny(), make_tiny()
    reports: list[StepReport] = []
    result = train(ours, examples, settings, on_step=reports.append)
    losses, norms, _ = trained_by_trainer(theirs, examples, settings, tmp_path)
    assert len(losses) == result.n_steps == 3 * 7
    np.testing.assert_allclose(result.losses, losses, rtol=1e-5)
    np.testing.assert_allclose([report.gradient_norm for report in reports], norms, rtol=1e-4)
    assert max(norms) > 1.2 > min(norms)  # clipped at some steps, not at all
    for (name, a), b in zip(weights(ours).items(), weights(theirs).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=name)


def test_equal_to_trainer_on_the_real_encoder(tmp_path: Path) -> None:
    tokenizer, encoder = load_encoder()
    examples = [
        (f"{word} number {i}", label) for i in range(6) for word, label in (("my bill", "a"), ("the meter", "b"))
    ]
    settings = TrainingSettings(learning_rate=1e-4, epochs=2, batch_size=3)
    ours, theirs = (new_classifier(tokenizer, encoder, ("a", "b"), max_tokens=16) for _ in range(2))
    for module in theirs.modules():  # Trainer always turns dropout on; ours is off unless the settings ask for it
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    result = train(ours, examples, settings)
    losses, _, _ = trained_by_trainer(theirs, examples, settings, tmp_path)
    assert len(losses) == 8
    np.testing.assert_allclose(result.losses, losses, rtol=1e-4)
