"""Texts to vectors: tokenise, run the encoder, average over the tokens, scale to length 1."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.assets import models, store
from course_lib.core.validate import FloatArray

MAX_TOKENS = 256


def mean_pool(token_vectors: FloatArray, attention_mask: npt.ArrayLike) -> FloatArray:
    """Average the vectors of the real tokens of each text (Reimers & Gurevych, 2019).

    token_vectors: (n, n_tokens, dim); attention_mask: (n, n_tokens), 1 for a token, 0 for padding.
    Returns (n, dim). Raises ValueError if shapes disagree or a text has no token at all: its mean is undefined.
    """
    vectors = np.asarray(token_vectors, dtype=np.float32)  # (n, n_tokens, dim)
    mask = np.asarray(attention_mask, dtype=np.float32)  # (n, n_tokens)
    if vectors.ndim != 3 or vectors.shape[:2] != mask.shape:
        raise ValueError(
            f"token_vectors must be (n, n_tokens, dim) and attention_mask (n, n_tokens), got {vectors.shape} and {mask.shape}"
        )
    n_tokens = mask.sum(axis=1, keepdims=True)  # (n, 1)
    if not n_tokens.all():
        raise ValueError(f"text {int(np.argmin(n_tokens))} has no token: the mean of nothing is undefined")
    return np.asarray((vectors * mask[:, :, None]).sum(axis=1) / n_tokens, dtype=np.float32)  # (n, dim)


def normalise(vectors: FloatArray) -> FloatArray:
    """Scale each row to length 1, so that the dot product of two rows is their cosine.

    vectors: (n, dim). Raises ValueError for a row of zeros, which has no direction.
    """
    vectors = np.asarray(vectors, dtype=np.float32)  # (n, dim)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)  # (n, 1)
    if not (lengths > 0).all():
        raise ValueError(f"row {int(np.argmin(lengths))} is all zeros and has no direction: look at its text")
    return np.asarray(vectors / lengths, dtype=np.float32)  # (n, dim)


@dataclass(frozen=True)
class ContextualEmbedder:
    """The encoder as a function from texts to vectors of length 1, shape (n, dim).

    Texts are sorted by length and padded per batch; a text longer than max_tokens is cut there, as
    sentence-transformers does. identity: names the weights, to key a cache with.
    """

    tokenizer: Any
    model: Any
    identity: str
    max_tokens: int = MAX_TOKENS
    batch_size: int = 32
    progress: bool = False

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        import torch
        from tqdm.auto import tqdm

        if isinstance(texts, str):
            raise TypeError(f"texts must be a list of str, got one str; write [{texts!r:.40}]")
        dim = int(self.model.config.hidden_size)
        embeddings = np.empty((len(texts), dim), dtype=np.float32)
        ids = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"] if texts else []
        order = sorted(range(len(texts)), key=lambda i: (len(ids[i]), i))
        batches = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        bar = tqdm(
            total=len(texts), desc="Embedding", unit="text", disable=not self.progress or len(texts) < 100, leave=False
        )
        with torch.inference_mode(), bar:
            for rows in reversed(batches):  # longest first: the estimate of the bar is then never too rosy
                batch = self.tokenizer.pad({"input_ids": [ids[i] for i in rows]}, return_tensors="pt")
                token_vectors = self.model(**batch).last_hidden_state  # (n, n_tokens, dim)
                pooled = mean_pool(token_vectors.numpy(), batch["attention_mask"].numpy())  # (n, dim)
                embeddings[rows] = normalise(pooled)
                bar.update(len(rows))
        return embeddings


def load_embedder(*, progress: bool = False) -> ContextualEmbedder:
    """Return the course's encoder as an embedder."""
    tokenizer, model = models.load_encoder()
    return ContextualEmbedder(tokenizer, model, models.model_id(models.encoder_source()), progress=progress)


def cached_embeddings(
    texts: Sequence[str], embedder: ContextualEmbedder, *, say: Callable[[str], None] | None = None
) -> FloatArray:
    """Return embedder(texts), from the disk if the same texts were embedded with the same weights before.

    Only texts that are new are embedded; say is told how many those are. Returns (n, dim).
    """
    folder = store.course_home() / "embeddings"
    path = folder / f"{embedder.identity.replace('/', '_').replace(':', '_')}-{embedder.max_tokens}.npz"
    keys = [hashlib.sha256(text.encode()).hexdigest()[:24] for text in texts]
    known = _read_cache(path)
    new = sorted({key: text for key, text in zip(keys, texts, strict=True) if key not in known}.items())
    if new:
        if say:
            say(f"Embedding {len(new):,} passages (once, about {len(new) / 20:.0f} seconds)")
        vectors = embedder([text for _, text in new])
        with store.lock("embeddings"):
            known = _read_cache(path)
            known.update({key: vector for (key, _), vector in zip(new, vectors, strict=True)})
            _write_cache(path, known)
    return (
        np.stack([known[key] for key in keys]) if keys else np.empty((0, embedder.model.config.hidden_size), np.float32)
    )


def _read_cache(path: Any) -> dict[str, FloatArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(zip(file["keys"].tolist(), file["vectors"], strict=True))
    except (OSError, ValueError, KeyError, EOFError):
        return {}  # not there yet, or cut short: it is made again
    except Exception as error:
        if type(error).__name__ == "BadZipFile":
            return {}
        raise


def _write_cache(path: Any, known: dict[str, FloatArray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp.npz")
    np.savez(aside, keys=np.array(list(known)), vectors=np.stack(list(known.values())))
    aside.replace(path)
