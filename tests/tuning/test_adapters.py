"""Adapters to peft's files and back, damaged files, other bases, and several adapters on one base."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lora_toys import BERT_TARGETS, LLAMA_TARGETS, bert, bits, calm, in_peft, llama, output, same_bits, shake, tokens
from safetensors.torch import load_file, save_file

from course_lib.tuning.adapter_files import CARD, CONFIG, WEIGHTS, base_digest
from course_lib.tuning.adapters import AdapterError, Adapters, load_adapter, save_adapter
from course_lib.tuning.lora import add_lora, lora_layers, lora_size, trainable_parameters
from course_lib.tuning.merging import merge, remove_lora, unmerge

MODELS = [(bert, BERT_TARGETS), (llama, LLAMA_TARGETS)]


def from_peft(model: Any, folder: Path) -> Any:
    import peft

    with calm():
        return peft.PeftModel.from_pretrained(model, str(folder))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """An adapter of the tiny BERT on disk."""
    return save_adapter(shake(add_lora(bert(), 5, 10, targets=BERT_TARGETS)), tmp_path / "adapter", note="a note")


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(("make", "targets"), MODELS)
@pytest.mark.parametrize("options", [{}, {"rslora": True}, {"dropout": 0.25}])
def test_there_and_back(make: Any, targets: Any, options: Any, tmp_path: Path) -> None:
    model, ids = shake(add_lora(make(), 5, 10, targets=targets, **options)), tokens()
    expected = output(model, ids)
    folder = save_adapter(model, tmp_path / "adapter")
    loaded = load_adapter(make(), folder)
    assert torch.equal(output(loaded, ids), expected)
    for one, other in zip(lora_layers(model).values(), lora_layers(loaded).values(), strict=True):
        assert torch.equal(one.A, other.A) and torch.equal(one.B, other.B)
        assert (one.scaling, one.rslora, one.dropout.p) == (other.scaling, other.rslora, other.dropout.p)
    assert not any(value.requires_grad for value in loaded.parameters())
    assert len(trainable_parameters(load_adapter(make(), folder, trainable=True))) == 2 * len(lora_layers(model))


@pytest.mark.parametrize(("make", "targets"), MODELS)
@pytest.mark.parametrize("rslora", [False, True])
def test_ours_loads_in_peft(make: Any, targets: Any, rslora: bool, tmp_path: Path) -> None:
    model, ids = shake(add_lora(make(), 5, 10, targets=targets, rslora=rslora)), tokens()
    theirs = from_peft(make(), save_adapter(model, tmp_path / "adapter")).eval()
    torch.testing.assert_close(output(theirs, ids), output(model, ids), rtol=1e-3, atol=3e-4)
    assert (output(theirs, ids) - output(make(), ids)).abs().max() > 0.1  # the adapter is there at all


@pytest.mark.parametrize(("make", "targets"), [*MODELS, (bert, r".*layer\.[01]\..*(query|dense)")])
@pytest.mark.parametrize(
    "options",
    [{}, {"use_rslora": True}, {"rank_pattern": {"layer.1.attention.self.query": 2, "layers.1.self_attn.k_proj": 2}},
     {"alpha_pattern": {"query": 3, "q_proj": 3}}],
)  # fmt: skip
def test_one_of_peft_loads_in_ours(make: Any, targets: Any, options: Any, tmp_path: Path) -> None:
    theirs, ids = in_peft(make(), targets, **options).eval(), tokens()
    with torch.no_grad():
        for name, value in theirs.named_parameters():
            if ".lora_B." in name:
                value.copy_(torch.randn(value.shape, generator=torch.Generator().manual_seed(len(name))))
    with calm():
        theirs.save_pretrained(str(tmp_path / "adapter"))
    ours = load_adapter(make(), tmp_path / "adapter")
    torch.testing.assert_close(output(ours, ids), output(theirs, ids), rtol=1e-3, atol=3e-4)
    # and once round: what we save of it is read by peft again
    again = from_peft(make(), save_adapter(ours, tmp_path / "again")).eval()
    torch.testing.assert_close(output(again, ids), output(theirs, ids), rtol=1e-3, atol=3e-4)


def test_layers_to_transform_of_peft(tmp_path: Path) -> None:
    theirs, ids = in_peft(bert(), BERT_TARGETS, layers_to_transform=[1], init_lora_weights=False).eval(), tokens()
    with calm():
        theirs.save_pretrained(str(tmp_path))
    ours = load_adapter(bert(), tmp_path)
    assert set(lora_layers(ours)) == {f"encoder.layer.1.attention.self.{name}" for name in BERT_TARGETS}
    torch.testing.assert_close(output(ours, ids), output(theirs, ids), rtol=1e-3, atol=3e-4)


def test_a_file_holds_the_adapter_alone(saved: Path) -> None:
    tensors = load_file(saved / WEIGHTS)
    assert sum(value.numel() for value in tensors.values()) == 3 * 2 * lora_size(24, 24, 5)
    assert all(value.dtype is torch.float32 for value in tensors.values())
    config, card = json.loads((saved / CONFIG).read_text()), json.loads((saved / CARD).read_text())
    assert (config["r"], config["lora_alpha"], config["task_type"], card["note"]) == (5, 10, None, "a note")
    assert sorted(path.name for path in saved.iterdir()) == sorted([CONFIG, WEIGHTS, CARD])


def test_saving_again_replaces_and_never_what_is_no_adapter(saved: Path, tmp_path: Path) -> None:
    model = add_lora(bert(), 3, 6, targets=["key"])
    save_adapter(model, saved)
    assert json.loads((saved / CONFIG).read_text())["r"] == 3
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="no adapter"):
        save_adapter(model, tmp_path / "letters")
    assert (tmp_path / "letters" / "a.txt").read_text() == "keep me"
    with pytest.raises(ValueError, match="must have LoRA layers to be saved"):
        save_adapter(bert(), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_save_that_fails_half_way_leaves_the_former(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from course_lib.tuning import adapter_files

    def full(*_: Any) -> None:
        raise OSError("no space left")

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    monkeypatch.setattr(adapter_files, "_write_json", full)
    with pytest.raises(OSError, match="no space left"):
        save_adapter(add_lora(bert(), 3, 6, targets=["key"]), saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir() if path.suffix == ".part"] == []


def test_saved_while_merged_is_the_same(tmp_path: Path) -> None:
    model = shake(add_lora(bert(), 5, 10, targets=BERT_TARGETS))
    one, other = save_adapter(model, tmp_path / "one"), save_adapter(merge(model), tmp_path / "other")
    for name in (CONFIG, WEIGHTS, CARD):
        assert (one / name).read_bytes() == (other / name).read_bytes()


# ---------------------------------------------------------------- damage, and other bases


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, CARD])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_cut_short(saved: Path, name: str, share: float) -> None:
    data = (saved / name).read_bytes()
    (saved / name).write_bytes(data[: int(len(data) * share)])
    model, files = bert(), {path.name: path.read_bytes() for path in saved.iterdir()}
    before = bits(model)
    with pytest.raises(AdapterError, match=rf"{name} is cut short"):
        load_adapter(model, saved)
    assert same_bits(bits(model), before) and not lora_layers(model)
    assert all(value.requires_grad for value in model.parameters())
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == files


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_of_peft_cut_short(saved: Path, share: float) -> None:
    (saved / CARD).unlink()  # without the card, the file itself must tell
    data = (saved / WEIGHTS).read_bytes()
    (saved / WEIGHTS).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(AdapterError, match="cut short or damaged"):
        load_adapter(bert(), saved)


def test_one_flipped_bit_is_noticed(saved: Path) -> None:
    data = bytearray((saved / WEIGHTS).read_bytes())
    data[-3] ^= 1
    (saved / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(AdapterError, match="damaged or was changed"):
        load_adapter(bert(), saved)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_missing_file(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
        load_adapter(bert(), saved)


def edited(folder: Path, **values: Any) -> Path:
    """The folder with other settings and without its card, as if peft had written it."""
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **values}))
    (folder / CARD).unlink()
    return folder


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"use_dora": True}, "uses use_dora=True"),
        ({"bias": "all"}, "uses bias='all'"),
        ({"modules_to_save": ["classifier"]}, "uses modules_to_save"),
        ({"peft_type": "IA3"}, "must hold a LoRA adapter, it says peft_type='IA3'"),
        ({"r": 7}, "says rank 7 for .*, the matrix has 5"),
    ],
)
def test_what_our_layers_cannot_hold(saved: Path, values: Any, words: str) -> None:
    model = bert()
    with pytest.raises(AdapterError, match=words):
        load_adapter(model, edited(saved, **values))
    assert not lora_layers(model) and all(value.requires_grad for value in model.parameters())


@pytest.mark.parametrize("change", ["lonely", "foreign", "empty"])
def test_matrices_must_come_in_pairs(saved: Path, change: str) -> None:
    tensors = load_file(saved / WEIGHTS)
    if change == "lonely":
        del tensors[sorted(tensors)[0]]
    if change == "foreign":
        tensors["base_model.model.head.weight"] = torch.zeros(2)
    save_file({} if change == "empty" else tensors, saved / WEIGHTS)
    with pytest.raises(AdapterError, match="must hold pairs of A and B"):
        load_adapter(bert(), edited(saved))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bert(seed=4), "the frozen weights of this model differ"),
        (lambda: bert(n_layers=2), r"matrices for encoder\.layer\.2.*, where this BertModel has no linear layer"),
        (llama, "where this LlamaForCausalLM has no linear layer"),
    ],
)
def test_another_base(saved: Path, make: Callable[[], Any], words: str) -> None:
    model = make()
    before = bits(model)
    with pytest.raises(AdapterError, match=f"belongs to another base .*{words}.*Nothing was changed"):
        load_adapter(model, saved)
    assert same_bits(bits(model), before) and not lora_layers(model)
    assert all(value.requires_grad for value in model.parameters())


def test_another_base_without_a_card(tmp_path: Path) -> None:
    theirs = in_peft(llama(), LLAMA_TARGETS)
    with calm():
        theirs.save_pretrained(str(tmp_path))
    with pytest.raises(AdapterError, match="goes from 24 to 12 numbers, this model's from 32 to 16"):
        load_adapter(llama(hidden=32), tmp_path)
    with pytest.raises(AdapterError, match=r"no matrices for model\.layers\.3"):  # peft would leave it out in silence
        load_adapter(llama(n_layers=4), tmp_path)


def test_the_same_base_in_bfloat16_is_the_same_base(tmp_path: Path) -> None:
    half = llama().to(torch.bfloat16)
    folder = save_adapter(shake(add_lora(half, 4, 8, targets=LLAMA_TARGETS)), tmp_path / "adapter")
    load_adapter(remove_lora(half).float(), folder)
    weight = {"a": torch.randn(3, 4)}
    assert base_digest(weight) == base_digest({"a": weight["a"].bfloat16()}) != base_digest({"b": weight["a"]})
    assert base_digest(weight) != base_digest({"a": weight["a"].T.contiguous()})


def test_loading_needs_a_plain_model(saved: Path) -> None:
    model = add_lora(bert(), 4, 8, targets=["key"])
    with pytest.raises(ValueError, match="must not have LoRA layers yet"):
        load_adapter(model, saved)
    with pytest.raises(ValueError, match="must not have LoRA layers yet"):
        Adapters(model)
    assert len(lora_layers(model)) == 3


# ---------------------------------------------------------------- several on one base


def test_switching_is_exact_and_copies_nothing(tmp_path: Path) -> None:
    model, ids = bert(), tokens()
    plain, before = output(model, ids), bits(model)
    adapters = Adapters(model)
    adapters.add("first", 4, 8, targets=["query", "value"], seed=1)
    adapters.add("second", 2, 8, targets=["key", "value"], rslora=True, seed=2)
    assert adapters.names == ("first", "second") and adapters.active is None
    assert torch.equal(output(model, ids), plain)
    made = {}
    for number, name in enumerate(adapters.names):
        assert adapters.use(name) is model
        assert torch.equal(output(model, ids), plain)  # still new
        shake(model, seed=number)
        made[name] = output(model, ids)
    place = model.encoder.layer[0].attention.self.value.base.weight.data_ptr()
    for name in ("first", "second", "second", "first"):
        adapters.use(name)
        assert adapters.active == name and torch.equal(output(model, ids), made[name])
        assert model.encoder.layer[0].attention.self.value.base.weight.data_ptr() == place
    assert adapters.off() is model and adapters.active is None
    assert torch.equal(output(model, ids), plain) and same_bits(bits(model), before) and not lora_layers(model)
    # each alone, from its file, on a base of its own
    for name in adapters.names:
        folder = adapters.save(name, tmp_path / name)
        assert torch.equal(output(load_adapter(bert(), folder), ids), made[name])
        torch.testing.assert_close(output(from_peft(bert(), folder).eval(), ids), made[name], rtol=1e-3, atol=3e-4)


def test_only_the_adapter_in_use_learns() -> None:
    model, ids = bert(), tokens()
    adapters = Adapters(model)
    before = bits(model)
    for name in ("still", "learning"):
        adapters.add(name, 3, 6, targets=BERT_TARGETS)
    still = [value.detach().clone() for value in adapters.parameters("still")]
    adapters.use("learning")
    optimizer = torch.optim.SGD(adapters.parameters("learning"), lr=0.1)
    output(model, ids).pow(3).sum().backward()
    optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(still, adapters.parameters("still"), strict=True))
    assert all(value.grad is None for value in adapters.parameters("still"))
    assert any(torch.count_nonzero(layer.B) for layer in adapters.layers("learning").values())
    assert same_bits(bits(model), before)
    free = [value for value in model.parameters() if value.requires_grad]
    assert {id(value) for value in free} == {id(value) for value in adapters.parameters("learning")}


def test_load_beside_another_in_use(saved: Path) -> None:
    model, ids = bert(), tokens()
    adapters = Adapters(model)
    adapters.add("own", 4, 8, targets=["query"])
    adapters.use("own")
    own = output(shake(model, seed=8), ids)
    adapters.load("stored", saved)
    assert adapters.active == "own" and torch.equal(output(model, ids), own)
    expected = output(load_adapter(bert(), saved), ids)
    assert torch.equal(output(adapters.use("stored"), ids), expected)
    with pytest.raises(ValueError, match="must have LoRA layers that learn"):
        adapters.parameters("stored")  # read to be used, not to be trained
    merge(model)
    adapters.load("while merged", saved)  # the frozen weights that count are the kept ones
    unmerge(model)
    adapters.remove("stored")
    assert adapters.active is None and adapters.names == ("own", "while merged") and saved.is_dir()
    assert torch.equal(output(model, ids), output(bert(), ids))


def test_a_failed_load_changes_nothing(saved: Path) -> None:
    (saved / WEIGHTS).write_bytes((saved / WEIGHTS).read_bytes()[:100])
    adapters = Adapters(bert())
    adapters.add("own", 4, 8, targets=["query"])
    expected = output(shake(adapters.use("own")), tokens())
    with pytest.raises(AdapterError):
        adapters.load("stored", saved)
    assert adapters.names == ("own",) and adapters.active == "own"
    assert torch.equal(output(adapters.model, tokens()), expected)


def test_a_merged_adapter_is_not_switched() -> None:
    adapters = Adapters(bert())
    for name in ("one", "two"):
        adapters.add(name, 4, 8, targets=["query"])
    merge(adapters.use("one"))
    for act in (adapters.off, lambda: adapters.use("two"), lambda: adapters.remove("one")):
        with pytest.raises(ValueError, match="'one' must not be merged to be switched"):
            act()
    assert adapters.names == ("one", "two") and adapters.active == "one"
    unmerge(adapters.model)
    adapters.use("two")


def test_names() -> None:
    adapters = Adapters(bert())
    adapters.add("one", 4, 8, targets=["query"])
    with pytest.raises(KeyError, match="must be one of one, got 'two'"):
        adapters.use("two")
    with pytest.raises(ValueError, match="there is an adapter 'one' already"):
        adapters.add("one", 4, 8, targets=["query"])
    with pytest.raises(ValueError, match="name must be a word"):
        adapters.add("", 4, 8, targets=["query"])
    with pytest.raises(ValueError, match="matches nothing"):
        adapters.add("two", 4, 8, targets=["queri"])
    assert adapters.names == ("one",)


def test_dropout_follows_the_model() -> None:
    adapters = Adapters(bert().train())
    adapters.add("one", 4, 8, targets=["query"], dropout=0.5)
    assert all(layer.dropout.training for layer in lora_layers(adapters.use("one")).values())
    adapters.off()
    adapters.model.eval()
    assert not any(layer.dropout.training for layer in lora_layers(adapters.use("one")).values())
