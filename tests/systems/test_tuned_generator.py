"""Adapters on one base: each answers as if it were alone, and the base as if there were none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tuned_toys import TARGETS, asked, toy_model, write_toy

from course_lib.generation.cached import CachedGenerator
from course_lib.generation.language_model import LanguageModel
from course_lib.generation.streaming import stream
from course_lib.systems import tuned_generator
from course_lib.systems.tuned_generator import (
    CONFIG,
    TunedModels,
    adapter_digest,
    adapter_folder,
    shipped_adapters,
)
from course_lib.tuning.adapters import load_adapter
from course_lib.tuning.lora import lora_layers

QUESTIONS = [asked(text) for text in ("who won the cup", "did it rain in paris", "which year")]


def replies(model: LanguageModel) -> list[str]:
    return model.generate_many(QUESTIONS, max_new_tokens=6, batch_size=2)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for seed, name in enumerate(("one", "two"), start=1):
        write_toy(tmp_path / name, seed)
    return tmp_path


def test_each_adapter_answers_as_if_it_were_alone(shelf: Path) -> None:
    models = TunedModels(toy_model(), folder=shelf)
    one, two = models.load("one"), models.load("two")
    plain = replies(toy_model())
    alone = []
    for name in ("one", "two"):
        base = toy_model()
        load_adapter(base.model, shelf / name)
        alone.append(replies(base))
    assert len({tuple(each) for each in (plain, *alone)}) == 3  # all three say something else
    for _ in range(2):  # in turns
        assert replies(one) == alone[0] and replies(two) == alone[1] and replies(models.base) == plain
    assert models.names == ("one", "two") and models["two"] is two is models.load("two")


def test_the_base_is_shared_and_left_as_it_was(shelf: Path) -> None:
    base = toy_model()
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    models = TunedModels(base, folder=shelf)
    one = models.load("one")
    assert one.model is base.model and not lora_layers(base.model)
    replies(one)
    after = base.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items())
    with one.in_use():
        assert len(lora_layers(base.model)) == 3 * len(TARGETS)
        with models.load("two").in_use():
            assert models.adapters.active == "two"
        assert models.adapters.active == "one"
    with pytest.raises(RuntimeError, match="stop"), one.in_use():
        raise RuntimeError("stop")
    assert models.adapters.active is None


def test_likelihoods_and_streams_are_the_adapters(shelf: Path) -> None:
    models = TunedModels(toy_model(), folder=shelf)
    one, other = models.load("one"), toy_model()
    load_adapter(other.model, shelf / "one")
    assert one.mean_log_likelihood(QUESTIONS, "spain") == pytest.approx(other.mean_log_likelihood(QUESTIONS, "spain"))
    assert one.mean_log_likelihood(QUESTIONS, "spain") != pytest.approx(models.base.mean_log_likelihood(QUESTIONS, "spain"))  # fmt: skip
    assert "".join(stream(one, QUESTIONS[0], max_new_tokens=6)) == other.generate(QUESTIONS[0], max_new_tokens=6)
    assert one.count_conversation(QUESTIONS[0]) == other.count_conversation(QUESTIONS[0]) == 7


def test_replies_are_kept_by_adapter(shelf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tuned_generator, "base_identity", lambda: "toy-float32")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    models = TunedModels(toy_model(), folder=shelf)
    one, two = models.cached("one"), models.cached("two")
    assert isinstance(one, CachedGenerator) and one.identity == f"toy-float32-one-{adapter_digest(shelf / 'one')}"
    assert one.path != two.path
    assert one.generate_many(QUESTIONS, max_new_tokens=6) != two.generate_many(QUESTIONS, max_new_tokens=6)
    assert one.n_made == two.n_made == 3
    again = models.cached("one")
    again.generate_many(QUESTIONS, max_new_tokens=6)
    assert again.n_made == 0
    write_toy(shelf / "one", 7)  # trained anew: its replies are its own
    fresh = TunedModels(toy_model(), folder=shelf).cached("one")
    fresh.generate_many(QUESTIONS, max_new_tokens=6)
    assert fresh.n_made == 3 and fresh.path != one.path


def test_names(shelf: Path) -> None:
    (shelf / "reranker").mkdir()
    (shelf / "reranker" / CONFIG).write_text('{"task_type": null}', encoding="utf-8")
    write_toy(shelf / "two.new", 3)  # a run that has not ended
    assert shipped_adapters(shelf) == ["one", "two"]
    assert adapter_folder("two", shelf) == shelf / "two"
    with pytest.raises(
        ValueError, match="adapter must be one of one, two, got 'three'; make it: python course.py train"
    ):
        TunedModels(toy_model(), folder=shelf).load("three")
    with pytest.raises(ValueError, match=r"one of \(none yet\)"):
        adapter_folder("raft", shelf / "nothing")
    with pytest.raises(KeyError, match="load it first"):
        TunedModels(toy_model(), folder=shelf)["one"]
    changed = toy_model(seed=5)
    with pytest.raises(ValueError, match="belongs to another base"):
        TunedModels(changed, folder=shelf).load("one")
    assert not lora_layers(changed.model)
