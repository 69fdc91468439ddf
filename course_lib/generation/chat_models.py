"""Any other chat model: a folder with weights, tokenizer and chat template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.assets import models
from course_lib.core.protocols import Message
from course_lib.core.validate import require_text
from course_lib.generation.language_model import LanguageModel

_PROBE = ({"role": "system", "content": "Answer in rhyme."}, {"role": "user", "content": "Who won?"})


@dataclass(frozen=True)
class SystemlessModel(LanguageModel):
    """A chat model whose template takes no system message, as Gemma's: it is read at the head of the user's first."""

    def prompt(self, messages: Sequence[Message]) -> str:
        """Return the text that the model reads for a conversation, its system message joined to the user's first."""
        if len(messages) > 1 and messages[0]["role"] == "system":
            joined = f"{messages[0]['content']}\n\n{messages[1]['content']}"
            messages = [{**messages[1], "content": joined}, *messages[2:]]
        return super().prompt(messages)


def load_chat_model(folder_or_name: str | Path) -> LanguageModel:
    """Return the chat model in a folder, or of this name in the local cache of Hugging Face, in `compute_dtype()`.

    Any causal language model of transformers with a chat template; it is decoded greedily, like the course's own.
    Nothing is downloaded. Raises ValueError if there is no such model here, its files cannot be read, it has no chat
    template, or its configuration does not say how much text it can read.
    """
    name = require_text(str(folder_or_name), name="folder_or_name")
    models.quiet()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = str(_folder(name))
    tokenizer = _load(AutoTokenizer, source, "tokenizer")
    if not getattr(tokenizer, "chat_template", None):
        raise ValueError(
            f"folder_or_name must name a model with a chat template, but the tokenizer of {name!r} has none: "
            "it is a base model, which continues texts; name its instruction-tuned sister (often -Instruct, -it, -chat)"
        )
    model = _load(AutoModelForCausalLM, source, "model", dtype=models.compute_dtype()).eval()
    if not isinstance(getattr(model.config, "max_position_embeddings", None), int):
        raise ValueError(
            f"config.json of {name!r} must say max_position_embeddings, the tokens that the model can read; add it"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # what stands left of a prompt is masked: any token will do
    kind = LanguageModel if _takes_system_messages(tokenizer) else SystemlessModel
    return kind(tokenizer, model)


def _folder(name: str) -> Path:
    """The folder itself, or where the local cache keeps the model of this name."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ValueError(f"folder_or_name must hold a model, but {name!r} has no config.json; name its own folder")
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError) as error:  # not in the cache; not even a name
        raise ValueError(
            f"folder_or_name must be a folder or a model in the local cache of Hugging Face, got {name!r}; "
            f"correct it, or fetch it once with: hf download {name}"
        ) from error


def _load(kind: Any, source: str, what: str, **options: Any) -> Any:
    try:
        return kind.from_pretrained(source, local_files_only=True, **options)
    except Exception as error:  # from_pretrained raises whatever its parts raise
        problem = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"The {what} in {source!r} cannot be loaded ({problem}): the folder must hold config.json, tokenizer and "
            "weights of a causal language model; copy it anew"
        ) from error


def _takes_system_messages(tokenizer: Any) -> bool:
    """Whether the chat template prints a system message; some refuse it with an error, some drop it in silence."""
    from jinja2.exceptions import TemplateError

    try:
        prompt = tokenizer.apply_chat_template(list(_PROBE), tokenize=False, add_generation_prompt=True)
    except TemplateError:
        return False
    return _PROBE[0]["content"] in prompt
