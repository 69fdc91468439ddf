"""Tuned generators: adapters on one language model in memory, each in use only while it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from course_lib.assets import models
from course_lib.core.protocols import Message
from course_lib.generation.cached import CachedGenerator
from course_lib.generation.language_model import LanguageModel, load_language_model

if TYPE_CHECKING:
    from course_lib.tuning.adapters import Adapters

ADAPTERS = Path(models.__file__).with_name("adapters")
WEIGHTS, CONFIG, CARD = "adapter_model.safetensors", "adapter_config.json", "card.json"
_ONE_AT_A_TIME = RLock()


def shipped_adapters(folder: Path = ADAPTERS) -> list[str]:
    """Return the names of the language model's adapters in a folder, in alphabetical order."""
    whole = [path for path in folder.glob(f"*/{CONFIG}") if "." not in path.parent.name]  # raft.new is half made
    return sorted(path.parent.name for path in whole if _is_generators(path))


def _is_generators(config: Path) -> bool:
    return '"CAUSAL_LM"' in config.read_text(encoding="utf-8")


def adapter_folder(name: str, folder: Path = ADAPTERS) -> Path:
    """Return the folder of an adapter by name. Raises ValueError, with the command that makes one, if there is none."""
    known = shipped_adapters(folder)
    if name not in known:
        raise ValueError(
            f"adapter must be one of {', '.join(known) or '(none yet)'}, got {name!r}; "
            f"make it: python course.py train {name}"
        )
    return folder / name


def adapter_digest(folder: Path) -> str:
    """Return a short name for an adapter's weights and settings: replies are kept by it."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class TunedModel(LanguageModel):
    """A language model with one adapter, used as a `LanguageModel` is; the base answers as ever in between.

    The adapter is put in place for each call and taken out after it, so that base and other adapters share one set of
    weights. Calls of tuned models wait for one another; the base must not be asked from another thread meanwhile.
    """

    adapters: Adapters
    name: str
    digest: str

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Put the adapter in place, and the one before it back at the end."""
        with _ONE_AT_A_TIME:
            former = self.adapters.active
            self.adapters.use(self.name)
            try:
                yield
            finally:
                if former is None:
                    self.adapters.off()
                else:
                    self.adapters.use(former)

    def _decode(self, *arguments: Any) -> Any:
        with self.in_use():
            return super()._decode(*arguments)

    def mean_log_likelihoods(
        self, pairs: Sequence[tuple[Sequence[Message], str]], *, progress: str = ""
    ) -> list[float]:
        """Return how likely the tuned model finds each reply after its conversation; as in `LanguageModel`."""
        with self.in_use():
            return super().mean_log_likelihoods(pairs, progress=progress)


class TunedModels:
    """Several adapters on one base: `load` a name once, then take it by name. Nothing of the base is copied.

    base: the course's language model by default. Raises ValueError if it has LoRA layers already.
    """

    def __init__(self, base: LanguageModel | None = None, *, folder: Path = ADAPTERS) -> None:
        from course_lib.tuning.adapters import Adapters

        self.base = base or load_language_model()
        self.folder = folder
        with _ONE_AT_A_TIME:  # another's adapter may be in use in another thread
            self.adapters = Adapters(self.base.model)
        self._models: dict[str, TunedModel] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters loaded, in the order they came."""
        return tuple(self._models)

    def load(self, name: str, folder: Path | None = None) -> TunedModel:
        """Return the base with an adapter, read from folder the first time (the shipped one of that name by default).

        Raises ValueError for a name that there is not, AdapterError for an adapter of another base.
        """
        if name not in self._models:
            folder = folder or adapter_folder(name, self.folder)
            self.adapters.load(name, folder)
            base = self.base
            self._models[name] = TunedModel(base.tokenizer, base.model, self.adapters, name, adapter_digest(folder))
        return self._models[name]

    def __getitem__(self, name: str) -> TunedModel:
        """Return an adapter that is loaded. Raises KeyError for another."""
        if name not in self._models:
            raise KeyError(
                f"adapter must be one of {', '.join(self.names) or '(none yet)'}, got {name!r}; load it first"
            )
        return self._models[name]

    def cached(self, name: str, *, batch_size: int = 16) -> CachedGenerator:
        """Return an adapter's model with its replies kept on disk, by base, number format and adapter."""
        model = self.load(name)
        return CachedGenerator(model, f"{base_identity()}-{name}-{model.digest}", batch_size=batch_size)


def base_identity() -> str:
    """Return the name under which the base's replies are kept: weights and number format."""
    number_format = str(models.compute_dtype()).removeprefix("torch.")
    return f"{models.model_id(models.generator_source())}-{number_format}"


def load_cached_tuned(name: str) -> CachedGenerator:
    """Return the course's language model with a shipped adapter, its replies kept on disk. Raises as `TunedModels.load`."""
    return TunedModels().cached(name)
