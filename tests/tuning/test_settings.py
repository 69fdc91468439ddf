"""Settings that make no sense are refused where they are written, with the rule, the value and a remedy."""

from __future__ import annotations

from typing import Any

import pytest

from course_lib.tuning.settings import TrainingSettings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0}, "learning_rate must be above 0 and at most 1, got 0; 2e-5 to 1e-3"),
        ({"learning_rate": 10}, "learning_rate must be above 0 and at most 1, got 10"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"head_learning_rate": -1.0}, "head_learning_rate must be above 0"),
        ({"layer_decay": 0.0}, "layer_decay must be above 0"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 4, "accumulation": 5}, "accumulation must be at most batch_size 4, got 5"),
        ({"part_tokens": 0}, "part_tokens must be at least 1"),
        ({"warmup": 1.0}, "warmup must be at least 0 and below 1, got 1.0"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"weight_decay": 1.0}, "weight_decay must be at least 0 and below 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"unfreeze": -1}, "unfreeze must be at least 0"),
        ({"precision": "float16"}, "precision must be 'float32' or 'bfloat16', got 'float16'"),
    ],
)
def test_bad_settings(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**change)


def test_settings_of_another_kind() -> None:
    for epochs in (2.0, True, "3"):
        with pytest.raises(TypeError, match="epochs must be a whole number"):
            TrainingSettings(epochs=epochs)  # type: ignore[arg-type]
