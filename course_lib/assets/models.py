"""Load the encoder and the language model from the cache, or those that the learner names instead."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.assets import store
from course_lib.core.seeds import thread_count

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CONVERTED = "generator-bf16"


def quiet() -> None:
    """Turn off bars, advice and telemetry of the libraries that load models, and fix the number of threads."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Two caches of 1,024 compiled shapes each: texts of all lengths keep 250 MB busy, and save no time.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")  # oneDNN's own
    os.environ.setdefault("LRU_CACHE_CAPACITY", "1")  # PyTorch's, of the same shapes
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(thread_count())


def bf16_pays() -> bool:
    """Whether this processor multiplies bfloat16 in hardware, so that it is faster than float32."""
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def compute_dtype() -> torch.dtype:
    """Return the number format that the models compute in: COURSE_DTYPE, else bfloat16 where it pays, else float32.

    Raises ValueError unless COURSE_DTYPE is "bfloat16" or "float32".
    """
    import torch

    wanted = os.environ.get("COURSE_DTYPE") or ("bfloat16" if bf16_pays() else "float32")
    if wanted not in ("bfloat16", "float32"):
        raise ValueError(f"COURSE_DTYPE must be bfloat16 or float32, got {wanted!r}")
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def encoder_source() -> str:
    """Return where the encoder is loaded from: COURSE_ENCODER (hub name or folder) or the pinned one's folder."""
    return os.environ.get("COURSE_ENCODER") or str(store.fetch(store.manifest()["encoder"]))


def generator_source() -> str:
    """Return where the language model is loaded from: COURSE_GENERATOR (hub name or folder) or the pinned one's."""
    return os.environ.get("COURSE_GENERATOR") or str(converted_generator())


def model_id(source: str) -> str:
    """Return a short name for a model's weights, to key caches with: the pinned hash, or the source itself."""
    entries = store.manifest()
    if source == str(store.course_home() / "encoder"):
        return entries["encoder"].files["model.safetensors"][:16]
    if source == str(store.course_home() / CONVERTED):
        return entries["generator"].files[entries["generator"].gguf][:16]
    weights = Path(source) / "model.safetensors"
    return store.sha256_of(weights)[:16] if weights.is_file() else source


def _load(kind: Any, source: str, name: str, **options: Any) -> Any:
    try:
        return kind.from_pretrained(source, local_files_only=Path(source).exists(), **options)
    except (OSError, ValueError) as error:
        variable = f"COURSE_{name.upper()}"
        if os.environ.get(variable):
            raise store.AssetError(
                f"{variable}={source!r} cannot be loaded: {str(error).splitlines()[0]}\n"
                "Name a folder with config.json, weights and tokenizer, or a model of the hub; unset it to use the pinned model."
            ) from error
        raise store.AssetError(
            f"The {name} in {source} cannot be loaded ({str(error).splitlines()[0]}). Run: python course.py doctor"
        ) from error


@cache
def load_encoder(dtype: torch.dtype | None = None) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Return tokenizer and model of the encoder in evaluation mode, in float32 unless dtype says otherwise."""
    quiet()
    import torch
    from transformers import AutoModel, AutoTokenizer

    source = encoder_source()
    model = _load(AutoModel, source, "encoder", dtype=dtype or torch.float32)
    return _load(AutoTokenizer, source, "encoder"), model.eval()


@cache
def load_generator() -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Return tokenizer and model of the language model, in `compute_dtype()`, in evaluation mode."""
    quiet()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = generator_source()
    model = _load(AutoModelForCausalLM, source, "generator", dtype=compute_dtype())
    tokenizer = _load(AutoTokenizer, source, "generator")
    if not getattr(tokenizer, "chat_template", None):
        raise store.AssetError(f"{source} has no chat template: name an instruction-tuned model in COURSE_GENERATOR")
    model.get_output_embeddings().register_forward_pre_hook(_in_one_piece)
    return tokenizer, model.eval()


def _in_one_piece(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lay out the last hidden states in one piece: for a slice of them, torch copies frozen weights once for each row.

    With an adapter beside it the output layer is frozen, and a batch of 16 took 0.9 GB more.
    """
    return (inputs[0].contiguous(), *inputs[1:])


def converted_generator(*, say: store.Say = print) -> Path:
    """Return the folder with the language model as safetensors, unpacked from its 4-bit file once."""
    asset = store.manifest()["generator"]
    folder = store.course_home() / CONVERTED
    if not store.damage(folder):
        return folder
    with store.lock(CONVERTED):
        problem = store.damage(folder)
        if not problem:
            return folder
        packed = store.fetch(asset, say=say)
        say(f"Unpacking {asset.model} (once, about 20 seconds)")
        with store.cache_folder(CONVERTED) as aside:
            _unpack(packed, asset.gguf, aside)
            names = [path.name for path in aside.iterdir()]
            store.write_record(aside, {name: store.sha256_of(aside / name) for name in names})
    return folder


def _unpack(packed: Path, gguf: str, target: Path) -> None:
    quiet()
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoTokenizer.from_pretrained(packed, gguf_file=gguf, local_files_only=True).save_pretrained(target)
    model = AutoModelForCausalLM.from_pretrained(packed, gguf_file=gguf, dtype=torch.float32, local_files_only=True)
    weights = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items() if name != "lm_head.weight"}
    save_file(
        {name: value.contiguous() for name, value in weights.items()}, target / "model.safetensors", {"format": "pt"}
    )
    config = model.config.to_dict()  # save_pretrained refuses a model that was read from a GGUF file
    config.pop("quantization_config", None)
    config.update(dtype="bfloat16", architectures=["LlamaForCausalLM"], _name_or_path="SmolLM2-135M-Instruct")
    type(model.config).from_dict(config).save_pretrained(target)
    model.generation_config.save_pretrained(target)
