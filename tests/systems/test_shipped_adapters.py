"""The adapters that ship: made by the recipe that is here, readable by peft, and better than the base at what they are for."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from course_lib.evaluation.significance import paired_difference
from course_lib.generation.language_model import LanguageModel
from course_lib.systems.tuned_generator import CARD, TunedModels, adapter_folder, shipped_adapters
from course_lib.systems.tuned_recipes import recipe_of

LEARNT = {"style": "test", "plain-words": "test", "facts": "train"}  # adapter -> examples that it must find likelier
LARGEST = 2.5e6  # bytes


@pytest.fixture(scope="module")
def tuned(language_model: LanguageModel) -> TunedModels:
    return TunedModels(language_model)


def test_some_ship() -> None:
    assert set(LEARNT) <= set(shipped_adapters())


@pytest.mark.parametrize("name", shipped_adapters())
def test_a_card_tells_what_the_recipe_does(name: str) -> None:
    card, recipe = json.loads((adapter_folder(name) / CARD).read_text("utf-8")), recipe_of(name)
    made = recipe.make()
    assert card["settings"] == json.loads(json.dumps(asdict(recipe.settings)))
    assert card["data digest"] == made.digest() and card["data"]["train"] == len(made.train)
    assert card["command"] == f"course train {name}" and card["limits"] == recipe.limits
    assert sum(path.stat().st_size for path in adapter_folder(name).iterdir()) < LARGEST


@pytest.mark.parametrize("name", LEARNT)
def test_it_finds_right_answers_likelier_than_the_base_does(name: str, tuned: TunedModels) -> None:
    examples = recipe_of(name).make().parts[LEARNT[name]][:12]
    pairs = [(each.messages, each.answer) for each in examples]
    before, after = (np.array(model.mean_log_likelihoods(pairs)) for model in (tuned.base, tuned.load(name)))
    assert paired_difference(after, before).low > 0.1


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft's, until its next version
@pytest.mark.parametrize("name", sorted(LEARNT))
def test_peft_reads_it_and_computes_the_same(name: str, language_model: LanguageModel) -> None:
    """In float32, where nothing is rounded away; the files hold bfloat16."""
    from peft import PeftModel

    from course_lib.tuning.adapters import load_adapter

    folder, base = adapter_folder(name), copy.deepcopy(language_model.model).float()
    tokens = language_model.tokenizer("The late fee is EUR 5, twice a year at most.", return_tensors="pt")
    with torch.no_grad():
        plain = base(**tokens).logits
        ours = load_adapter(copy.deepcopy(base), folder)(**tokens).logits
        theirs = PeftModel.from_pretrained(base, folder)(**tokens).logits
    assert torch.allclose(ours, theirs, atol=1e-3) and (ours - plain).abs().mean() > 0.2
