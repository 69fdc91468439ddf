"""Other chat models: three architectures made here, templates that refuse, folders that are none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course_lib.generation.chat_models import SystemlessModel, load_chat_model
from course_lib.generation.prompting import build_prompt, closed_book_messages
from course_lib.generation.streaming import stream

TALKS = [
    closed_book_messages("Who won?"),
    closed_book_messages("Who won the final?"),
    [{"role": "user", "content": "Where?"}],
]


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_DTYPE", "float32")


@pytest.mark.parametrize(("architecture", "pad"), [("Llama", None), ("Qwen2", "</s>"), ("GPT2", None)])
def test_any_architecture_decodes_batches_and_streams(
    architecture: str, pad: str | None, chat_folder: Callable[..., Path]
) -> None:
    """Prompts of three lengths, with and without a padding token of their own; GPT-2 has absolute positions."""
    model = load_chat_model(chat_folder(architecture, pad=pad))
    assert type(model.model).__name__.startswith(architecture) and not model.model.training
    assert model.context_length == 160
    alone = [model.generate(talk, max_new_tokens=9) for talk in TALKS]
    assert len(set(alone)) == 3, "the prompts must tell the model apart, or this test says nothing"
    assert model.generate_many(TALKS, max_new_tokens=9, batch_size=3) == alone
    assert ["".join(stream(model, talk, max_new_tokens=9)) for talk in TALKS] == alone


def test_the_weights_are_those_of_the_folder(chat_folder: Callable[..., Path]) -> None:
    """Greedy by hand with the library's own loader: the largest logit after the prompt."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = chat_folder()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    prompt = "<s>user\nWhere?</s>\n<s>assistant\n"
    with torch.inference_mode():
        best = int(model(**tokenizer(prompt, return_tensors="pt", add_special_tokens=False)).logits[0, -1].argmax())
    loaded = load_chat_model(str(folder))
    assert loaded.prompt(TALKS[2]) == prompt
    assert loaded.generate(TALKS[2], max_new_tokens=1) == tokenizer.decode([best]).strip()


def test_settings_for_sampling_in_the_folder_are_not_used(
    chat_folder: Callable[..., Path], recwarn: pytest.WarningsRecorder
) -> None:
    """Chat models often come with a temperature: the reply is greedy all the same, and nothing is printed."""
    folder = chat_folder()
    greedy = load_chat_model(folder).generate(TALKS[0], max_new_tokens=9)
    path = folder / "generation_config.json"
    settings = json.loads(path.read_text()) | {"do_sample": True, "temperature": 5.0, "top_p": 0.9, "top_k": 50}
    path.write_text(json.dumps(settings))
    assert [load_chat_model(folder).generate(TALKS[0], max_new_tokens=9) for _ in range(3)] == [greedy] * 3


@pytest.mark.parametrize("template", ["refuses system", "drops system"])
def test_a_template_without_system_messages(template: str, chat_folder: Callable[..., Path]) -> None:
    """What the system message says must be read all the same: it tells the model how to abstain."""
    model = load_chat_model(chat_folder(template=template))
    assert isinstance(model, SystemlessModel)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who won?"}]
    assert model.prompt(messages) == "<s>user\nBe brief.\n\nWho won?</s>\n<s>assistant\n"
    assert messages[1]["content"] == "Who won?", "the messages are left as they were"
    assert model.prompt(messages[1:]) == "<s>user\nWho won?</s>\n<s>assistant\n"
    assert model.count_conversation(messages) == model.count_tokens(model.prompt(messages))
    assert model.generate(TALKS[0], max_new_tokens=3) == model.generate_many(TALKS[:1], max_new_tokens=3)[0]


def test_a_prompt_is_built_for_it(chat_folder: Callable[..., Path]) -> None:
    import datetime

    from course_lib.core.types import Chunk

    model = load_chat_model(chat_folder())
    shown = Chunk("s/d#00", "s/d", "D", datetime.date(2026, 7, 9), "Spain won.", 0, 10)
    needed = model.count_conversation(build_prompt("Who?", [shown], generator=_roomy(model), budget=10_000).messages)
    assert needed > 150, "the tiny context of 160 is too small for the instructions"
    with pytest.raises(ValueError, match="budget must hold the question and at least the best passage"):
        build_prompt("Who?", [shown], generator=model, budget=150)
    with pytest.raises(ValueError, match="budget must be below the 160 tokens"):
        build_prompt("Who?", [shown], generator=model)


def _roomy(model: Any) -> Any:
    class Roomy:
        count_tokens, count_conversation = model.count_tokens, model.count_conversation

    return Roomy()


# ---------------------------------------------------------------- what cannot be loaded


def test_a_base_model_has_no_template(chat_folder: Callable[..., Path]) -> None:
    with pytest.raises(
        ValueError, match=r"with a chat template, but the tokenizer of '.*' has none: it is a base model"
    ):
        load_chat_model(chat_folder(template="none"))


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no config\.json; name its own folder"):
        load_chat_model(tmp_path)


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json"])
def test_a_file_is_missing(missing: str, chat_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(chat_folder(), folder)
    (folder / missing).unlink()
    with pytest.raises(ValueError, match=r"cannot be loaded \(.+\): the folder must hold config\.json, tokenizer and"):
        load_chat_model(folder)


def test_a_file_was_cut_short(chat_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(chat_folder(), folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"The model in '.*' cannot be loaded"):
        load_chat_model(folder)


@pytest.mark.parametrize("name", ["no/such-model", "/no/such/folder", "no-such-folder"])
def test_a_name_that_is_not_here_is_not_fetched(name: str) -> None:
    """The guard of tests/conftest.py fails this test if anything is asked of the network."""
    with pytest.raises(ValueError, match=f"must be a folder or a model in the local cache .* hf download {name}"):
        load_chat_model(name)


def test_a_name_that_is_here_is_found(
    chat_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache as the hub's own library lays it out: a snapshot, and a reference to it."""
    import huggingface_hub

    cache = tmp_path / "models--some--tiny"
    shutil.copytree(chat_folder(), cache / "snapshots" / "abc")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc")
    real = huggingface_hub.snapshot_download
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **options: real(name, cache_dir=tmp_path, **options)
    )
    assert load_chat_model("some/tiny").generate(TALKS[0], max_new_tokens=3)


def test_a_model_that_does_not_say_how_much_it_reads(chat_folder: Callable[..., Path]) -> None:
    """BLOOM has no positions to run out of, and so no limit in its configuration."""
    with pytest.raises(
        ValueError, match="must say max_position_embeddings, the tokens that the model can read; add it"
    ):
        load_chat_model(chat_folder("Bloom"))


@pytest.mark.parametrize("name", ["", "  "])
def test_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="folder_or_name must not be empty"):
        load_chat_model(name)
