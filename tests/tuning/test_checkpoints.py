"""Stopping and going on: bit for bit, and never from a damaged state or one of another run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from course_lib.tuning import checkpoints
from course_lib.tuning.checkpoints import FILE, digest_of, digest_of_weights, write_state
from course_lib.tuning.freezing import freeze
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.training import CheckpointError, StepReport, TrainingSettings, train

Make = Callable[..., TextClassifier]
Weights = Callable[[nn.Module], dict[str, torch.Tensor]]
Examples = list[tuple[str, str]]
SETTINGS = TrainingSettings(learning_rate=0.01, epochs=3, batch_size=4, save_every=5)


def interrupt_at(step: int) -> Callable[[StepReport], None]:
    def stop(report: StepReport) -> None:
        if report.step == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("case", ["all layers", "dropout", "frozen and cached", "unfreezing", "patience"])
def test_resumed_bit_for_bit(case: str, make_tiny: Make, examples: Examples, weights: Weights, tmp_path: Path) -> None:
    def fresh(seed: int = 5) -> Any:
        model = make_tiny(dropout=0.3 if case == "dropout" else 0.0, seed=seed)
        return freeze(model, 2) if case == "frozen and cached" else model

    changes: dict[str, dict[str, Any]] = {
        "dropout": {"dropout": True},
        "unfreezing": {"unfreeze": 1},
        "patience": {"patience": 2, "evaluate_every": 2, "epochs": 9},
    }
    settings = replace(SETTINGS, **changes.get(case, {}))
    validation = [(text, "solar") for text, _ in examples[:5]] if case == "patience" else None
    uninterrupted = fresh()
    whole = train(uninterrupted, examples, settings, validation=validation)
    stop_at = 8 if len(whole.losses) > 8 else len(whole.losses)
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), examples, settings, validation=validation, folder=tmp_path, on_step=interrupt_at(stop_at))
    steps: list[int] = []
    model = fresh(seed=6)  # its head was drawn anew: the state replaces it
    rest = train(
        model,
        examples,
        settings,
        validation=validation,
        folder=tmp_path,
        on_step=lambda report: steps.append(report.step),
    )
    assert steps[0] == 6 and rest.losses == whole.losses and rest.validation == whole.validation
    assert rest.learning_rates == whole.learning_rates and rest.stopped_because == whole.stopped_because
    for name, value in weights(model).items():
        assert torch.equal(value, weights(uninterrupted)[name]), name


def test_a_finished_run_is_not_run_again(make_tiny: Make, examples: Examples, weights: Weights, tmp_path: Path) -> None:
    first = make_tiny()
    result = train(first, examples, SETTINGS, folder=tmp_path)
    again = make_tiny()
    same = train(again, examples, SETTINGS, folder=tmp_path, on_step=interrupt_at(1))
    assert same.losses == result.losses and same.minutes == pytest.approx(result.minutes)
    assert all(torch.equal(value, weights(first)[name]) for name, value in weights(again).items())


def test_a_state_that_is_cut_short(make_tiny: Make, examples: Examples, weights: Weights, tmp_path: Path) -> None:
    train(make_tiny(), examples, SETTINGS, folder=tmp_path)
    for size in (0, 500, 20_000):
        (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:size])
        model = make_tiny()
        before = weights(model)
        with pytest.raises(CheckpointError, match=r"training-state.pt is cut short or damaged.*left as it is"):
            train(model, examples, SETTINGS, folder=tmp_path)
        assert (tmp_path / FILE).stat().st_size == size  # nothing is thrown away
        assert all(torch.equal(value, before[name]) for name, value in weights(model).items())
        train(make_tiny(), examples, SETTINGS, folder=tmp_path / f"{size}")
        (tmp_path / FILE).write_bytes((tmp_path / f"{size}" / FILE).read_bytes())


def test_a_state_of_another_run(make_tiny: Make, examples: Examples, tmp_path: Path) -> None:
    train(freeze(make_tiny(), 2), examples, SETTINGS, folder=tmp_path)
    state = (tmp_path / FILE).read_bytes()

    def refused(message: str, model: Any, data: Examples, settings: TrainingSettings, **others: Any) -> None:
        with pytest.raises(CheckpointError, match=message):
            train(model, data, settings, folder=tmp_path, **others)
        assert (tmp_path / FILE).read_bytes() == state

    refused(
        "learning_rate is 0.01 there, 0.02 here",
        freeze(make_tiny(), 2),
        examples,
        replace(SETTINGS, learning_rate=0.02),
    )
    refused("examples is", freeze(make_tiny(), 2), examples[:-1], SETTINGS)
    refused("validation is", freeze(make_tiny(), 2), examples, SETTINGS, validation=examples)
    refused("trained weights is", freeze(make_tiny(), 1), examples, SETTINGS)
    other = freeze(make_tiny(), 2)
    with torch.no_grad():
        other.get_parameter("encoder.embeddings.word_embeddings.weight")[5, 5] += 1e-3
    refused("frozen weights is", other, examples, SETTINGS)


def test_a_write_that_fails_keeps_the_former_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(tmp_path, {"step": 1})
    former = (tmp_path / FILE).read_bytes()

    def full(state: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        write_state(tmp_path, {"step": 2})
    assert (tmp_path / FILE).read_bytes() == former and [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_file_of_another_kind(tiny: TextClassifier, examples: Examples, tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="no training state of this version"):
        train(tiny, examples, SETTINGS, folder=tmp_path)


def test_names_of_data_and_weights() -> None:
    assert digest_of([("a", "b"), ("c", "d")]) == digest_of([["a", "b"], ["c", "d"]])
    assert len({digest_of(data) for data in ([("a", "b")], [("ab", "")], [("a", "b"), ("a", "b")], [])}) == 4
    assert digest_of([3]) != digest_of([4]) and digest_of_weights({"scale": torch.tensor(2.0)})
    one = {"w": torch.tensor([1.0, 2.0])}
    assert digest_of_weights(one) == digest_of_weights({"w": torch.tensor([1.0, 2.0])})
    others = [{"v": one["w"]}, {"w": one["w"].half()}, {"w": one["w"][:, None]}, {"w": torch.tensor([1.0, 2.0000002])}]
    assert len({digest_of_weights(each) for each in [one, *others]}) == 5
