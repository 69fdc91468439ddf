"""Validation: the mean loss by hand, early stopping with its best weights, and classes with too few examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_lib.tuning.evaluating import EarlyStopping, evaluate, require_classes
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.settings import Evaluation, StepReport, TrainingSettings
from course_lib.tuning.training import train

Weights = Callable[[nn.Module], dict[str, torch.Tensor]]
Make = Callable[..., TextClassifier]
Examples = list[tuple[str, str]]


def test_loss_and_accuracy_are_those_of_the_probabilities(make_tiny: Make, examples: Examples) -> None:
    model = make_tiny(dropout=0.4).train()
    probabilities = model.probabilities([text for text, _ in examples])
    numbers = model.label_ids([label for _, label in examples])
    loss, accuracy = evaluate(model, examples)
    assert loss == pytest.approx(
        -np.mean([np.log(row[i]) for row, i in zip(probabilities, numbers, strict=True)]), rel=1e-5
    )
    assert accuracy == np.mean(probabilities.argmax(axis=1) == numbers)
    assert model.training  # evaluated without dropout, and left as it was
    with pytest.raises(ValueError, match="examples must not be empty"):
        evaluate(model, [])


def test_patience_by_hand() -> None:
    """Losses 3, 2, 2.5, 2, 2: the best is the second; an equal one later is no better; two without gain are enough."""
    stopping, weight = EarlyStopping(2), nn.Parameter(torch.zeros(1))
    reasons = []
    for step, loss in enumerate([3.0, 2.0, 2.5, 2.0, 2.0], start=1):
        with torch.no_grad():
            weight.fill_(step)
        reasons.append(stopping.note(Evaluation(step, step / 5, loss, 0.5), {"w": weight}))
    assert reasons[:3] == ["", "", ""] and reasons[3].startswith("no lower validation loss in 2 evaluations")
    assert stopping.best_step == 2 and stopping.weights is not None and float(stopping.weights["w"]) == 2


@given(st.lists(st.floats(0, 9), min_size=1, max_size=12), st.integers(1, 4))
def test_it_stops_at_the_first_wait_that_is_long_enough(losses: list[float], patience: int) -> None:
    stopping = EarlyStopping(patience)
    stops = [bool(stopping.note(Evaluation(step, 0, loss, 0), {})) for step, loss in enumerate(losses, start=1)]
    expected = [place - int(np.argmin(losses[: place + 1])) >= patience for place in range(len(losses))]
    assert stops == expected and stopping.best_step == 1 + int(np.argmin(losses))


def test_without_patience_nothing_is_kept() -> None:
    stopping = EarlyStopping(None)
    assert [stopping.note(Evaluation(step, 0, float(step), 0), {}) for step in range(1, 9)] == [""] * 8
    assert stopping.weights is None and stopping.best_step == 1


def test_classes(tiny: TextClassifier, examples: Examples) -> None:
    require_classes(tiny, examples, 8)
    with pytest.raises(ValueError, match="at least 9 training examples, but 'solar' has 8"):
        require_classes(tiny, examples, 9)


def test_early_stopping_brings_the_best_weights_back(
    tiny: TextClassifier, examples: Examples, weights: Weights
) -> None:
    """Validation labels that contradict the training: the loss on them falls at first by chance, then rises."""
    wrong = [
        (text, {"billing": "solar", "solar": "metering", "metering": "billing"}[label]) for text, label in examples
    ]
    kept: dict[int, dict[str, torch.Tensor]] = {}

    def keep(report: StepReport) -> None:
        kept[report.step] = weights(tiny)

    settings = TrainingSettings(learning_rate=0.01, epochs=9, batch_size=13, patience=3, evaluate_every=1)
    result = train(tiny, examples, settings, validation=wrong, on_step=keep)
    losses = [each.loss for each in result.validation]
    assert result.best_step == 1 + int(np.argmin(losses)) and len(result.losses) == result.best_step + 3 < 18
    assert result.stopped_because.startswith("no lower validation loss in 3 evaluations")
    for name, value in weights(tiny).items():
        assert torch.equal(value, kept[result.best_step][name]), name
    assert evaluate(tiny, wrong)[0] == pytest.approx(min(losses), abs=1e-5)


def test_without_patience_the_last_weights_stay(tiny: TextClassifier, examples: Examples) -> None:
    wrong = [(text, "solar" if label == "billing" else "billing") for text, label in examples]
    settings = TrainingSettings(learning_rate=0.01, epochs=4, batch_size=4, min_per_class=0)
    result = train(tiny, examples, settings, validation=wrong)
    assert len(result.validation) == 4 and result.best_step is not None and result.best_step < 28
    assert evaluate(tiny, wrong)[0] == pytest.approx(result.validation[-1].loss, abs=1e-5)
