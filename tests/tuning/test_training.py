"""The loop: equal to transformers' Trainer step by step, to the large batch, and what happens when a run goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.tuning.checkpoints import FILE
from course_lib.tuning.freezing import freeze
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.training import StepReport, TrainingDiverged, TrainingSettings, evaluate, train

Make = Callable[..., TextClassifier]
Weights = Callable[[nn.Module], dict[str, torch.Tensor]]
Examples = list[tuple[str, str]]
SETTINGS = TrainingSettings(learning_rate=0.01, epochs=3, batch_size=4)


def test_one_update_by_hand() -> None:
    """One weight, two classes, one example: logits (w, 0) at w = 0 lose ln 2, and the gradient of w is 1/2 - 1.

    AdamW's first update is the learning rate times the sign of the gradient, whatever its size: w becomes +0.1.
    """

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(1))

        def encode(self, examples: Any) -> list[dict[str, Any]]:
            return [{"input_ids": [1], "label": label} for label in examples]

        def collate(self, rows: Any) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
            return {"x": torch.ones(len(rows), 1)}, torch.tensor([row["label"] for row in rows])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x * self.bias, torch.zeros_like(x)], dim=1)

    model = Tiny()
    settings = TrainingSettings(learning_rate=0.1, epochs=1, batch_size=1, warmup=0.0)
    result = train(model, [0], settings)
    assert result.losses == pytest.approx([np.log(2)])
    assert float(model.bias.detach()) == pytest.approx(0.1)
    assert result.n_steps == 1 and result.stopped_because == "all epochs done"


def test_parts_add_up_to_the_large_batch(make_tiny: Make, examples: Examples, weights: Weights) -> None:
    whole = make_tiny()
    first = train(whole, examples, TrainingSettings(learning_rate=0.01, epochs=2, batch_size=12))
    for options in ({"accumulation": 5}, {"part_tokens": 30}, {"accumulation": 3, "part_tokens": 25}):
        model = make_tiny()
        settings = TrainingSettings(learning_rate=0.01, epochs=2, batch_size=12, **options)  # type: ignore[arg-type]
        result = train(model, examples, settings)
        np.testing.assert_allclose(result.losses, first.losses, rtol=1e-5)
        for (name, a), b in zip(weights(whole).items(), weights(model).values(), strict=True):
            if not name.endswith("key.bias"):  # attention does not depend on it: its gradient is rounding alone
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=name)


def test_it_learns_and_the_same_seed_gives_the_same_run(make_tiny: Make, examples: Examples, weights: Weights) -> None:
    models, settings = (make_tiny(), make_tiny()), TrainingSettings(learning_rate=0.01, epochs=12, batch_size=4)
    first, again = (train(model, examples, settings) for model in models)
    assert first.losses == again.losses and all(
        torch.equal(a, b) for a, b in zip(weights(models[0]).values(), weights(models[1]).values(), strict=True)
    )
    loss, accuracy = evaluate(models[0], examples)
    assert accuracy > 0.9 and loss < 0.5 < first.losses[0]
    other = train(make_tiny(), examples, replace(settings, seed=14))
    assert other.losses != first.losses


def test_a_run_leaves_random_numbers_and_mode_alone(make_tiny: Make, examples: Examples) -> None:
    model = make_tiny(dropout=0.2).eval()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    result = train(model, examples, TrainingSettings(epochs=1, batch_size=8, dropout=True))
    assert torch.equal(torch.rand(3), expected) and not model.training
    quiet = train(make_tiny(dropout=0.2), examples, TrainingSettings(epochs=1, batch_size=8))
    assert quiet.losses != result.losses  # dropout is off unless it is asked for


def test_bfloat16_is_near(make_tiny: Make, examples: Examples, weights: Weights) -> None:
    exact = train(make_tiny(), examples, SETTINGS)
    model = make_tiny()
    near = train(model, examples, TrainingSettings(learning_rate=0.01, epochs=3, batch_size=4, precision="bfloat16"))
    np.testing.assert_allclose(near.losses[:4], exact.losses[:4], rtol=0.05)
    assert near.losses != exact.losses and all(value.dtype is torch.float32 for value in weights(model).values())


# ---------------------------------------------------------------- reports


def test_what_on_step_is_told(tiny: TextClassifier, examples: Examples) -> None:
    reports: list[StepReport] = []
    result = train(tiny, examples, SETTINGS, validation=examples[:6], on_step=reports.append)
    assert [report.step for report in reports] == list(range(1, 22)) and reports[-1].epoch == 3
    assert [report.loss for report in reports] == result.losses
    assert [report.seconds_left is None for report in reports[:4]] == [True, True, False, False]
    assert reports[-1].seconds_left == 0
    assert [report.step for report in reports if report.evaluation] == [7, 14, 21]
    assert [report.evaluation for report in reports if report.evaluation] == result.validation
    assert result.learning_rates == [report.learning_rate for report in reports]
    assert result.learning_rates[0] == 0 and max(result.learning_rates) == pytest.approx(0.01)  # warm-up from 0
    n_tokens = sum(len(row["input_ids"]) for row in tiny.encode(examples))
    assert result.tokens_per_second * result.minutes * 60 == pytest.approx(3 * n_tokens)


def test_on_step_can_stop_the_run(tiny: TextClassifier, examples: Examples) -> None:
    result = train(tiny, examples, SETTINGS, on_step=lambda report: report.step == 5)
    assert len(result.losses) == 5 and result.stopped_because == "on_step asked for it after step 5"
    assert len(train(tiny, examples, SETTINGS, on_step=lambda report: report).losses) == 21  # True alone stops


def test_the_time_that_is_left_is_said_once(
    tiny: TextClassifier, examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny, examples, SETTINGS, progress=True)
    said = capsys.readouterr().out
    assert said.count("s left") == 1 and said.startswith("Step 3 of 21: about ")
    train(tiny, examples, SETTINGS)
    captured = capsys.readouterr()
    assert not captured.out and not captured.err


def test_cut_texts_are_counted(make_tiny: Make, examples: Examples) -> None:
    model = make_tiny(max_tokens=5)
    longer = sum(len(text.split()) > 3 for text, _ in examples)
    assert train(model, examples, SETTINGS).truncated == longer > 0


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_before_the_weights_change(
    broken: float, tiny: TextClassifier, examples: Examples, weights: Weights, tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    def spoil(report: StepReport) -> None:
        if report.step == 6:
            seen["state"] = (tmp_path / FILE).read_bytes()
            with torch.no_grad():
                tiny.head.weight[0, 0] = broken
            seen["weights"] = weights(tiny)

    settings = TrainingSettings(learning_rate=0.01, epochs=3, batch_size=4, save_every=4)
    with pytest.raises(
        TrainingDiverged, match=r"stopped at step 7: the loss is (nan|inf) .*a tenth.*last good state is kept"
    ):
        train(tiny, examples, settings, folder=tmp_path, on_step=spoil)
    assert (tmp_path / FILE).read_bytes() == seen["state"]
    for name, value in weights(tiny).items():
        torch.testing.assert_close(value, seen["weights"][name], rtol=0, atol=0, equal_nan=True)
    assert all(value.grad is None for value in tiny.parameters())
    assert not tiny.training


def test_a_gradient_that_is_no_number(make_tiny: Make, examples: Examples, weights: Weights) -> None:
    model = make_tiny()
    model.head.weight.register_hook(lambda gradient: gradient * float("inf"))
    before = weights(model)
    with pytest.raises(
        TrainingDiverged, match="stopped at step 1: the gradient norm is .*; no checkpoint was saved yet"
    ):
        train(model, examples, SETTINGS)
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())


def test_bad_examples(make_tiny: Make, examples: Examples, weights: Weights) -> None:
    model = make_tiny()
    before = weights(model)
    with pytest.raises(ValueError, match="examples must not be empty"):
        train(model, [], SETTINGS)
    with pytest.raises(ValueError, match="validation must hold examples, or be None"):
        train(model, examples, SETTINGS, validation=[])
    with pytest.raises(ValueError, match="patience=2 needs validation"):
        train(model, examples, TrainingSettings(patience=2))
    one = [example for example in examples if example[1] != "solar"] + [("solar panel", "solar")]
    with pytest.raises(ValueError, match=r"at least 2 training examples, but 'solar' has 1.*min_per_class=1"):
        train(model, one, SETTINGS)
    with pytest.raises(ValueError, match="label 'gas' is not one of the classifier's 3"):
        train(model, [*examples, ("the gas", "gas")], SETTINGS)
    with pytest.raises(ValueError, match=r"texts\[26\] must not be empty"):
        train(model, [*examples, (" ", "solar")], SETTINGS)
    with pytest.raises(ValueError, match="all are frozen"):
        train(make_tiny().requires_grad_(False), examples, SETTINGS)
    with pytest.raises(ValueError, match="what is trained must be in float32"):
        train(make_tiny().to(torch.bfloat16), examples, SETTINGS)
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())
    allowed = TrainingSettings(learning_rate=0.01, epochs=1, batch_size=4, min_per_class=1)
    assert train(model, one, allowed).losses


def test_half_precision_below_what_is_trained(make_tiny: Make, examples: Examples) -> None:
    """A frozen part may be in bfloat16; what is trained may not."""
    model = freeze(make_tiny(), 3)
    model.encoder.to(torch.bfloat16)
    settings = TrainingSettings(learning_rate=0.05, epochs=2, batch_size=4, precision="bfloat16")
    assert train(model, examples, settings).cached_layers == 3
