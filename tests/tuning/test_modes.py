"""Training and evaluation mode, put back as they were, part by part."""

from __future__ import annotations

import pytest
from torch import nn

from course_lib.tuning.evaluating import evaluate
from course_lib.tuning.forgetting import text_vectors
from course_lib.tuning.freezing import freeze
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.modes import mode
from course_lib.tuning.training import TrainingSettings, train


@pytest.mark.parametrize("training", [True, False])
def test_each_part_gets_its_own_mode_back(training: bool) -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Dropout()))
    model[1][0].eval()
    before = [part.training for part in model.modules()]
    with pytest.raises(RuntimeError), mode(model, training=training):
        assert {part.training for part in model.modules()} == {training}
        raise RuntimeError
    assert [part.training for part in model.modules()] == before


def test_what_uses_a_classifier_leaves_its_encoder_in_evaluation_mode(
    tiny: TextClassifier, examples: list[tuple[str, str]]
) -> None:
    """A new classifier around an encoder is in training mode as a whole, its encoder is not."""
    tiny.encoder.eval()
    model = TextClassifier(tiny.tokenizer, tiny.encoder, tiny.head, tiny.labels, max_tokens=tiny.max_tokens)
    assert model.training
    model.predict(["my bill is wrong"])
    evaluate(model, examples)
    text_vectors(model, ["my bill is wrong"])
    settings = TrainingSettings(epochs=1, batch_size=4)
    train(model, examples, settings, validation=examples)
    freeze(model, 2)
    train(model, examples, settings)  # reads through the frozen layers first
    assert model.training and not any(part.training for part in model.encoder.modules())
