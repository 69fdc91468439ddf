"""`course train NAME`: the whole way on a toy model, the card, an interrupted run, and what --quick leaves alone."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tuned_toys import asked, toy_model

from course_lib import cli
from course_lib.corpus.load import SHELVES
from course_lib.generation.language_model import LanguageModel
from course_lib.systems import tuned_card, tuned_training
from course_lib.systems.tuned_generator import TunedModels, shipped_adapters
from course_lib.systems.tuned_recipes import QUICK_EXAMPLES, RECIPES, Recipe, as_quick, recipe_of
from course_lib.systems.tuned_scores import plain_words_scores, short_answer_scores, style_scores
from course_lib.systems.tuned_training import pairs_of, train_adapter, train_and_save
from course_lib.systems.tuning_sets import TuningExample, TuningSet
from course_lib.tuning.settings import TrainingSettings

PAIRS = (("who won the cup", "spain"), ("did it rain", "nobody say"), ("which year", "two"), ("who did it", "three brothers"))  # fmt: skip
EXAMPLES = tuple(
    TuningExample(asked(f"{prefix}{text}"), answer, f"{prefix}{text}", "toy", golds=(answer,))
    for prefix in ("", "and ", "say ")
    for text, answer in PAIRS
)
MADE = TuningSet("toy", {"train": EXAMPLES[:10], "dev": EXAMPLES[10:]})
SETTINGS = TrainingSettings(learning_rate=1e-2, epochs=3, batch_size=4, part_tokens=64, save_every=1)
TOY = Recipe(
    "toy", "words", lambda: MADE, lambda made: {"dev": made.dev}, short_answer_scores, SETTINGS, 4, "It knows 21 words."
)


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LanguageModel:
    """The toy in place of the course's model, and every folder under tmp_path."""
    model = toy_model()
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tuned_training, "load_language_model", lambda: model)
    monkeypatch.setattr(tuned_training, "base_identity", lambda: "toy-float32")
    monkeypatch.setattr(tuned_training, "ADAPTERS", tmp_path / "adapters")
    monkeypatch.setattr(tuned_card.models, "generator_source", lambda: "toy")
    monkeypatch.setitem(RECIPES, "toy", TOY)
    return model


def test_the_whole_way(base: LanguageModel, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    said: list[str] = []
    card = train_and_save("toy", progress=False, say=said.append)
    folder = tmp_path / "adapters" / "toy"
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "base.json", "card.json", "README.md",
    }  # fmt: skip
    assert json.loads((folder / "card.json").read_text(encoding="utf-8")) == card
    # rank 8; q and o: 24 + 24, k and v: 24 + 12; three layers
    assert card["trained_parameters"] == 8 * 3 * (2 * 48 + 2 * 36)
    assert card["data"] == {"train": 10, "dev": 2} and card["data digest"] == MADE.digest()
    assert card["steps"] == 9 and len(card["dev loss"]) == 3 and card["command"] == "course train toy"
    assert set(card["scores"]["dev"]) == {"base", "tuned"}
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert MADE.digest() in page and "| exact | " in page and "It knows 21 words." in page
    assert "3 times: about 1 minutes on two cores" in said[0]
    after = base.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items())
    assert not (tmp_path / "home" / "training" / "toy").exists()
    assert shipped_adapters(tmp_path / "adapters") == ["toy"]
    again = train_and_save("toy", progress=False, say=said.append)  # replaces what is there
    assert again["final loss"] == card["final loss"]


def test_the_adapter_learnt_and_loads_in_peft(base: LanguageModel, tmp_path: Path) -> None:
    import peft

    settings = replace(SETTINGS, epochs=40, warmup=0.0)
    result = train_adapter(base, MADE, settings, tmp_path / "toy", say=lambda _: None, progress=False)
    assert result.losses[-1] < result.losses[0] / 4
    tuned = TunedModels(base).load("toy", tmp_path / "toy")
    right = [tuned.generate(each.messages, max_new_tokens=4) == each.answer for each in MADE.train]
    assert sum(right) > 7
    assert sum(base.generate(each.messages, max_new_tokens=4) == each.answer for each in MADE.train) < 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peft.PeftModel.from_pretrained(toy_model().model, str(tmp_path / "toy"))
    ids = torch.tensor([[3, 4, 5, 6]])
    with tuned.in_use():
        mine = base.model(input_ids=ids).logits
    torch.testing.assert_close(theirs(input_ids=ids).logits, mine)
    config = json.loads((tmp_path / "toy" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "SmolLM2-135M-Instruct" and config["r"] == 8


def test_an_interrupted_run_goes_on(base: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from course_lib.tuning import run

    whole = train_adapter(base, MADE, SETTINGS, tmp_path / "whole", say=lambda _: None, progress=False)
    after, calls = run.Run.after, []

    def stops(self: Any, *arguments: Any) -> bool:
        done = after(self, *arguments)
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(run.Run, "after", stops)
    with pytest.raises(KeyboardInterrupt):
        train_and_save("toy", progress=False, say=lambda _: None)
    assert not (tmp_path / "adapters" / "toy").exists()
    card = train_and_save("toy", progress=False, say=lambda _: None)
    assert len(calls) == 9  # five steps, and the other four
    assert card["final loss"] == round(sum(whole.losses) / 9, 3)
    first, second = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "adapters/toy"))
    assert first == second


def test_quick_leaves_what_is_shipped_alone(base: LanguageModel, tmp_path: Path) -> None:
    card = train_and_save("toy", quick=True, progress=False, say=lambda _: None)
    assert not (tmp_path / "adapters").exists()
    assert (tmp_path / "home" / "adapters" / "toy-quick" / "card.json").is_file()
    assert card["command"] == "course train toy --quick" and card["steps"] == 2
    quick = as_quick(TOY)
    assert len(quick.make().train) == QUICK_EXAMPLES and quick.settings.epochs == 1
    assert all(
        as_quick(recipe_of("facts")).scored(as_quick(recipe_of("facts")).make()).values()
    )  # no part without examples


def test_recipes_and_commands_have_the_same_names() -> None:
    commands = {command.name for command in cli.train_app.registered_commands} - {"reranker"}
    assert commands == set(RECIPES) == {recipe.name for recipe in RECIPES.values()}
    assert {f"raft-{shelf.replace('_', '-')}" for shelf in SHELVES} < commands
    with pytest.raises(ValueError, match="adapter must be one of style, plain-words, facts, raft, .*, got 'voice'"):
        recipe_of("voice")


def test_pairs_end_where_the_model_begins(base: LanguageModel) -> None:
    assert pairs_of(base.tokenizer, MADE.train[:1]) == [("say who won the cup[END] ask ", "spain")]


# ---------------------------------------------------------------- scores


def example(answer: str, golds: tuple[str, ...]) -> TuningExample:
    return TuningExample(asked("who"), answer, "q", "toy", golds=golds)


def test_short_answers_by_hand() -> None:
    examples = [example("Spain [2]", ("Spain",)), example("12 days [1]", ("12 days",)), example("Rome [3]", ("Rome",)), example("I do not know.", ())]  # fmt: skip
    replies = ["Spain [2]", "It takes 12 days [2][3]", "I do not know.", "I do not know."]
    scores = short_answer_scores(examples, replies)
    assert scores["n"] == 4 and scores["n answerable"] == 3
    assert scores["exact"] == pytest.approx(1 / 3) and scores["contained"] == pytest.approx(2 / 3)
    assert scores["abstention precision"] == 0.5 and scores["abstention recall"] == 1.0
    # cited: 2 | 2, 3 | none; right: 2; wanted: 2 | 1 | 3
    assert scores["citation precision"] == pytest.approx(1 / 3) and scores["citation recall"] == pytest.approx(1 / 3)
    undefined = short_answer_scores(examples[3:], ["Rome"])
    assert undefined["exact"] is None and undefined["abstention precision"] is None
    assert undefined["abstention recall"] == 0.0


def test_style_and_plain_words_by_hand() -> None:
    good = (
        "Yes, we charge you EUR 5 at most twice in any 12 months, and we never disconnect you because of it (Late payment "
        "policy, 2025). It bears no interest. Next step: we leave unpaid fees out when we count your arrears."
    )
    scores = style_scores([example("", ())] * 2, [good, ""])
    assert scores["all rules"] == 0.5 and scores["rules kept"] == 0.5
    kept = plain_words_scores([example("", ("dopamine", "Vienna"))], ["In Vienna they looked. It was new."])
    # 7 words, 2 sentences, 8 syllables: 0.39 * 3.5 + 11.8 * 8 / 7 - 15.59
    assert kept["kept"] == 0.5 and kept["words"] == 7
    assert kept["grade"] == pytest.approx(0.39 * 3.5 + 11.8 * 8 / 7 - 15.59)
