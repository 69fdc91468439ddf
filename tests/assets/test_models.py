"""The models as they are loaded: unpacked without loss, overridable, and examined by doctor."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from course_lib.assets import models, store
from course_lib.assets.store import AssetError
from course_lib.classroom.doctor import Finding, diagnose
from course_lib.generation.language_model import LanguageModel
from course_lib.retrieval.embedding import ContextualEmbedder
from course_lib.workshop import examine

ROOT = Path(__file__).resolve().parents[2]

# ---------------------------------------------------------------- unpacked from the 4-bit file


def unpermuted(weights: np.ndarray, n_heads: int) -> np.ndarray:
    """Undo how llama.cpp orders the rows of q and k: it turns pairs of neighbours, transformers turns halves."""
    rows, columns = weights.shape
    pairs = weights.reshape(n_heads, rows // n_heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


@pytest.fixture(scope="module")
def packed_file() -> Any:
    """The 4-bit file as the gguf package reads it."""
    from gguf import GGUFReader

    asset = store.manifest()["generator"]
    return GGUFReader(store.fetch(asset) / asset.gguf)


@pytest.mark.parametrize(
    ("packed", "unpacked", "n_heads"),
    [
        ("token_embd.weight", "model.embed_tokens.weight", 0),
        ("blk.3.ffn_down.weight", "model.layers.3.mlp.down_proj.weight", 0),
        ("blk.29.attn_q.weight", "model.layers.29.self_attn.q_proj.weight", 9),
        ("blk.0.attn_k.weight", "model.layers.0.self_attn.k_proj.weight", 3),
        ("output_norm.weight", "model.norm.weight", 0),
    ],
)
def test_unpacked_weights_are_the_packed_ones(packed: str, unpacked: str, n_heads: int, packed_file: Any) -> None:
    """bfloat16 keeps 8 significant bits, so two neighbours differ by at most 2^-7 of their size; rounding to the
    nearer one moves a number by at most half of that, 2^-8."""
    from gguf.quants import dequantize
    from safetensors import safe_open

    tensor = next(tensor for tensor in packed_file.tensors if tensor.name == packed)
    expected = dequantize(tensor.data, tensor.tensor_type)
    if n_heads:
        expected = unpermuted(expected, n_heads)
    with safe_open(models.converted_generator() / "model.safetensors", framework="pt") as file:
        weights = file.get_tensor(unpacked)
    assert weights.dtype == torch.bfloat16
    assert tuple(weights.shape) == expected.shape
    found = weights.float().numpy()
    assert np.abs(found).max() > 0
    assert (np.abs(found - expected) <= np.abs(expected) * 2.0**-8).all()


def test_the_language_model_is_the_pinned_one(language_model: LanguageModel) -> None:
    model = language_model.model
    assert model.num_parameters() == 134_515_008  # SmolLM2-135M, input and output embeddings shared
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert language_model.context_length == 8192
    assert not model.training


def test_the_chat_template_is_there(language_model: LanguageModel) -> None:
    assert "<|im_start|>" in language_model.tokenizer.chat_template


def test_the_output_layer_reads_its_input_in_one_piece(language_model: LanguageModel) -> None:
    """Or else torch copies the frozen layer, 57 MB of it, once for each row of a batch."""
    seen: list[bool] = []
    hook = language_model.model.get_output_embeddings().register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].is_contiguous())
    )
    try:
        language_model.model(**language_model.tokenizer(["one two", "one two"], return_tensors="pt"), logits_to_keep=1)
    finally:
        hook.remove()
    assert seen == [True]


def test_the_encoder_is_the_pinned_one(embedder: ContextualEmbedder) -> None:
    assert embedder.model.num_parameters() == 22_713_216  # MiniLM, 6 layers, 384 dimensions
    assert {value.dtype for value in embedder.model.parameters()} == {torch.float32}
    assert not embedder.model.training
    assert embedder.identity == store.manifest()["encoder"].files["model.safetensors"][:16]


# ---------------------------------------------------------------- models of the learner's own


def tiny_llama(folder: Path, tokenizer: Any, *, chat_template: str | None) -> Path:
    """A language model of a few kilobytes with random weights, saved as a learner would have it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=128,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink()
    if chat_template:
        (folder / "chat_template.jinja").write_text(chat_template)
    return folder


def test_a_language_model_of_the_learners_own(
    tmp_path: Path, language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant:"
    folder = tiny_llama(tmp_path / "mine", language_model.tokenizer, chat_template=template)
    monkeypatch.setenv("COURSE_GENERATOR", str(folder))
    monkeypatch.setenv("COURSE_DTYPE", "float32")
    own = LanguageModel(*models.load_generator.__wrapped__())
    assert own.model.config.hidden_size == 16 and own.context_length == 128
    assert own.prompt([{"role": "user", "content": "Hello?"}]) == "user: Hello?\nassistant:"
    assert isinstance(own.generate([{"role": "user", "content": "Hello?"}], max_new_tokens=3), str)
    assert models.model_id(str(folder)) == store.sha256_of(folder / "model.safetensors")[:16]


def test_a_model_without_chat_template_is_refused(
    tmp_path: Path, language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_llama(tmp_path / "base", language_model.tokenizer, chat_template=None)
    monkeypatch.setenv("COURSE_GENERATOR", str(folder))
    with pytest.raises(AssetError, match="has no chat template: name an instruction-tuned model in COURSE_GENERATOR"):
        models.load_generator.__wrapped__()


@pytest.mark.parametrize("name", ["GENERATOR", "ENCODER"])
def test_a_folder_without_a_model_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"COURSE_{name}", str(tmp_path))
    load = models.load_generator if name == "GENERATOR" else models.load_encoder
    with pytest.raises(AssetError, match=f"COURSE_{name}=.* cannot be loaded") as caught:
        load.__wrapped__()
    assert str(tmp_path) in str(caught.value)
    assert "unset it to use the pinned model" in str(caught.value)


def test_a_name_that_the_hub_does_not_answer_for_is_named(
    monkeypatch: pytest.MonkeyPatch, reached_out: list[str]
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the hub's client waits between its tries
    monkeypatch.setenv("COURSE_GENERATOR", "nobody/no-such-model")
    with pytest.raises(AssetError, match="COURSE_GENERATOR='nobody/no-such-model' cannot be loaded"):
        models.load_generator.__wrapped__()
    reached_out.clear()


@pytest.mark.parametrize(("value", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_number_format_can_be_chosen(value: str, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_DTYPE", value)
    assert models.compute_dtype() is expected


@pytest.mark.parametrize("pays", [True, False])
def test_the_number_format_is_what_pays_here(pays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "bf16_pays", lambda: pays)
    assert models.compute_dtype() is (torch.bfloat16 if pays else torch.float32)
    monkeypatch.setenv("COURSE_DTYPE", "")
    assert models.compute_dtype() is (torch.bfloat16 if pays else torch.float32)


@pytest.mark.parametrize("value", ["float16", "bf16", "BFLOAT16", "8"])
def test_another_number_format_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_DTYPE", value)
    with pytest.raises(ValueError, match=f"COURSE_DTYPE must be bfloat16 or float32, got '{value}'"):
        models.compute_dtype()


def test_what_a_processor_says_of_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, pays in (
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx2": True, "avx512_f": True}, False),  # there it would be emulated, and slower
        ({}, False),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found, raising=False)
        assert models.bf16_pays() is pays


def test_caches_are_keyed_by_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = store.manifest()
    assert models.model_id(str(store.course_home() / "encoder")) == entries["encoder"].files["model.safetensors"][:16]
    converted = str(store.course_home() / models.CONVERTED)
    assert models.model_id(converted) == entries["generator"].files[entries["generator"].gguf][:16]
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    assert models.model_id(str(tmp_path)) == "ba7816bf8f01cfea"  # sha256 of "abc" begins so (FIPS 180)
    assert models.model_id("owner/name") == "owner/name"


# ---------------------------------------------------------------- doctor


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two small models, pinned by a manifest of this test's own."""
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    blank = dict.fromkeys(
        ("what", "licence", "wheel", "wheel_version", "wheel_sha256", "wheel_folder", "hub", "hub_revision"), "x"
    )
    assets = {}
    for name, file in (("encoder", "model.safetensors"), ("generator", "tiny.gguf")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes(name.encode() * 100)
        files = {file: store.sha256_of(tmp_path / name / file)}
        store.write_record(tmp_path / name, files)
        gguf = file if name == "generator" else ""
        assets[name] = store.Asset(name=name, model=f"Tiny{name}", wheel_bytes=1, files=files, gguf=gguf, **blank)
    converted = tmp_path / models.CONVERTED
    converted.mkdir()
    (converted / "model.safetensors").write_bytes(b"unpacked" * 100)
    store.write_record(converted, {"model.safetensors": store.sha256_of(converted / "model.safetensors")})
    monkeypatch.setattr(store, "manifest", lambda: assets)
    monkeypatch.setattr(examine.metadata, "requires", lambda name: ["numpy>=2", "no-such-package>=1"])
    return tmp_path


def finding(what: str) -> Finding:
    return next(found for found in examine.findings(ROOT) if found.what == what)


def test_sound_models_are_ok(home: Path) -> None:
    assert finding("encoder").state == finding("generator").state == "ok"


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("encoder/model.safetensors", "encoder"),
        ("generator/tiny.gguf", "generator"),
        (f"{models.CONVERTED}/model.safetensors", "generator"),
    ],
)
def test_a_damaged_model_is_a_fault(file: str, what: str, home: Path) -> None:
    """One bit, same size, same time: what only hashing the file can find."""
    path = home / file
    status, data = path.stat(), bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    other = "generator" if what == "encoder" else "encoder"
    assert finding(what).state == "fault" and finding(other).state == "ok"
    assert f"{path.name} is damaged" in finding(what).detail
    assert finding(what).remedy == "python course.py prepare"


def test_a_model_that_was_not_fetched_is_a_fault(home: Path) -> None:
    shutil.rmtree(home / "encoder")
    assert finding("encoder").state == "fault" and "not fetched yet" in finding("encoder").detail


def test_a_model_of_the_learners_own_is_noted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_ENCODER", "owner/name")
    found = finding("encoder")
    assert found.state == "note" and "COURSE_ENCODER=owner/name" in found.detail
    assert "pinned model only" in found.remedy


def test_a_wrong_number_of_threads_is_a_fault(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_THREADS", "many")
    assert finding("threads").state == "fault"
    monkeypatch.setenv("COURSE_THREADS", "1000")
    found = finding("threads")
    assert found.state == "note" and "slow down" in found.remedy


@pytest.mark.parametrize(("gigabytes", "state"), [(0.5, "fault"), (3.0, "ok")])
def test_a_full_disk_is_a_fault(gigabytes: float, state: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine.shutil, "disk_usage", lambda _: SimpleNamespace(free=gigabytes * 1e9))
    assert finding("disk").state == state


@pytest.mark.parametrize(("gigabytes", "state"), [(1.0, "fault"), (2.0, "ok")])
def test_a_small_container_is_a_fault(
    gigabytes: float, state: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "_container_limit", lambda: gigabytes * 1e9)
    assert finding("memory").state == state


def test_packages_are_compared_with_the_lock(tmp_path: Path, home: Path) -> None:
    import numpy

    def packages(lock: str) -> list[Finding]:
        (tmp_path / "requirements.lock").write_text(lock)
        return [found for found in examine.findings(tmp_path) if found.what == "packages"]

    assert [found.state for found in packages(f"# comment\nnumpy=={numpy.__version__}\n")] == ["ok"]
    (missing,) = packages("no-such-package==1\n")
    assert missing.state == "fault" and missing.detail == "missing: no-such-package"
    assert [found.state for found in packages("not-needed-by-a-lesson==1\n")] == ["ok"]
    (wrong,) = packages("numpy==0.1\nno-such-package==1 ; sys_platform == 'plan9'\n")
    assert wrong.state == "note" and f"numpy {numpy.__version__} instead of 0.1" in wrong.detail


def test_findings_for_people_name_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Finding("disk", "ok", "9 GB"), Finding("encoder", "fault", "is damaged", "fetch it again")]
    assert diagnose(found) == 1
    words = capsys.readouterr().out
    assert "FAULT  encoder" in words and "-> fetch it again" in words and "1 fault(s)." in words
    assert diagnose([found[0], Finding("kernel", "note", "another")]) == 0  # a note is no fault
    assert "Everything a lesson needs is there." in capsys.readouterr().out


def test_findings_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert diagnose([Finding("encoder", "fault", "is damaged", "fetch it")], as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == {
        "healthy": False,
        "findings": [{"what": "encoder", "state": "fault", "detail": "is damaged", "remedy": "fetch it"}],
    }


def test_a_course_that_is_not_installed_is_a_finding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `pip install -r requirements.lock`, or where only PYTHONPATH leads to course_lib."""

    def not_installed(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(examine.metadata, "requires", not_installed)
    assert "packages" in [found.what for found in examine.findings(ROOT)]


def lent_metadata(folder: Path) -> str:
    """A folder for PYTHONPATH that says what the course requires, for an environment that it is not installed in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{re.sub('[-.]+', '_', project['name'])}-0.1.0.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", "Version: 0.1.0"]
    lines += [f"Requires-Dist: {need}" for need in project["dependencies"]]
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


def doctor(home: Path, lent: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "course_lib.cli", "doctor", *arguments]
    environment = os.environ | {"COURSE_HOME": str(home), "PYTHONPATH": os.pathsep.join([str(ROOT), lent])}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, env=environment)


def test_the_command_on_a_cache_with_one_damaged_file(tmp_path: Path) -> None:
    """The real models, linked into a cache of this test's own; one file is a damaged copy."""
    for name in ("encoder", "generator", models.CONVERTED):
        shutil.copytree(
            store.course_home() / name, tmp_path / name, copy_function=os.link if os.name == "nt" else os.symlink
        )
    lent = lent_metadata(tmp_path / "lent")
    healthy = doctor(tmp_path, lent, "--json")
    report = json.loads(healthy.stdout)
    states = {found["what"]: found["state"] for found in report["findings"]}
    assert states["encoder"] == states["generator"] == "ok"
    assert (healthy.returncode, report["healthy"]) == ((1, False) if "fault" in states.values() else (0, True))
    assert healthy.returncode == 0, [found for found in report["findings"] if found["state"] == "fault"]

    config = tmp_path / "encoder" / "config.json"
    data = config.read_text(encoding="utf-8")
    config.unlink()
    config.write_text(data.replace("0", "1", 1), encoding="utf-8")
    sick = doctor(tmp_path, lent)
    assert sick.returncode == 1
    assert "FAULT  encoder" in sick.stdout and "config.json is damaged" in sick.stdout
    assert "python course.py prepare" in sick.stdout
    assert "Traceback" not in sick.stderr
