"""Texts to vectors: tokenise, run the encoder, average over the tokens, scale to length 1."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.assets import models, store
from course_lib.core.validate import FloatArray
from course_lib.retrieval.embedding_cache import KEY_BYTES, EmbeddingCache

MAX_TOKENS = 256
TOKENISED_AT_ONCE = 1024
KEPT_AT_ONCE = 1024
CHARACTERS_PER_SECOND = 20_000  # of float32 on two cores; said before the work begins, as an upper bound


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
    """The encoder as a function from texts to vectors of length 1, shape (n, dim), float32.

    Texts are sorted by length and batched so that a batch holds about batch_tokens tokens and hardly any padding; a
    text longer than max_tokens is cut there, as sentence-transformers does. identity: names the weights and the number
    format, to key a cache with.
    """

    tokenizer: Any
    model: Any
    identity: str
    max_tokens: int = MAX_TOKENS
    batch_tokens: int = 2048
    progress: bool = False

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim). Raises TypeError for a bare str or an item that is none, ValueError for text no file holds."""
        embeddings = np.empty((len(texts), self.dim), dtype=np.float32)
        for rows, vectors in self.batches(texts):
            embeddings[rows] = vectors
        return embeddings

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""
        return int(self.model.config.hidden_size)

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], FloatArray]]:
        """Yield (positions in texts, their vectors) batch by batch, longest texts first, and show the progress bar."""
        import torch
        from tqdm.auto import tqdm

        ids = self._token_ids(checked_texts(texts))
        quiet = not self.progress or len(ids) < 100
        with tqdm(total=len(ids), desc="Embedding", unit="text", disable=quiet, leave=False) as bar:
            for rows in length_batches([len(row) for row in ids], self.batch_tokens):
                batch = self.tokenizer.pad({"input_ids": [ids[i] for i in rows]}, return_tensors="pt")
                with torch.inference_mode():
                    token_vectors = self.model(**batch).last_hidden_state.float()  # (n, n_tokens, dim)
                pooled = mean_pool(token_vectors.numpy(), batch["attention_mask"].numpy())  # (n, dim)
                yield rows, normalise(pooled)
                bar.update(len(rows))

    def _token_ids(self, texts: list[str]) -> list[npt.NDArray[np.int64]]:
        ids: list[npt.NDArray[np.int64]] = []
        for start in range(0, len(texts), TOKENISED_AT_ONCE):  # the tokeniser keeps offsets and more: in parts
            part = texts[start : start + TOKENISED_AT_ONCE]
            rows = self.tokenizer(part, truncation=True, max_length=self.max_tokens)["input_ids"]
            ids.extend(np.asarray(row, dtype=np.int64) for row in rows)
        return ids


def checked_texts(texts: Sequence[str]) -> list[str]:
    """Return texts as a list. Raises TypeError for a bare str or an item that is no str, ValueError for a broken one."""
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of str, got one str; write [{texts!r:.40}]")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts must be a list of str, but item {place} is {type(text).__name__}: {text!r:.60}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"texts must be valid Unicode, but item {place} holds half a character at {error.start}; "
                "read its file with errors='replace'"
            ) from None
    return list(texts)


def length_batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Group positions of texts into batches of similar length, longest first, so that little padding is computed.

    lengths: tokens of each text. A batch holds at most batch_tokens tokens, padding included, or one text. Longest
    first: the estimate of a progress bar is then never too rosy. Raises ValueError if batch_tokens < 1.
    """
    if batch_tokens < 1:
        raise ValueError(f"batch_tokens must be at least 1, got {batch_tokens}")
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > batch_tokens:
            batches.append([])
        batches[-1].append(i)
    return batches


def load_embedder(*, progress: bool = False, dtype: str | None = None) -> ContextualEmbedder:
    """Return the course's encoder as an embedder.

    dtype: "float32" or "bfloat16"; by default `compute_dtype()`, bfloat16 on processors where it is faster. The cosine
    between the two forms of a vector is above 0.999.
    """
    import torch

    if dtype not in (None, "float32", "bfloat16"):
        raise ValueError(f"dtype must be float32 or bfloat16, got {dtype!r}")
    number_format = models.compute_dtype() if dtype is None else getattr(torch, dtype)
    plain = number_format is torch.float32  # load_encoder keeps one model for each way in which it is called
    tokenizer, model = models.load_encoder() if plain else models.load_encoder(number_format)
    identity = models.model_id(models.encoder_source())
    if number_format is torch.bfloat16:
        identity += "-bf16"
    return ContextualEmbedder(tokenizer, model, identity, progress=progress)


def cached_embeddings(
    texts: Sequence[str], embedder: ContextualEmbedder, *, say: Callable[[str], None] | None = None
) -> FloatArray:
    """Return embedder(texts), from the disk where the same text was embedded with the same weights before.

    Only texts that are new are embedded, and kept as they come: an interrupted call goes on where it stopped. say is
    told how many are new. Returns (n, dim).
    """
    texts = checked_texts(texts)
    name = re.sub(r"[^\w.-]", "_", f"{embedder.identity}-{embedder.max_tokens}")[-100:]
    cache = EmbeddingCache(store.course_home() / "embeddings" / name, embedder.dim)
    kind = f"{embedder.identity}\0{embedder.max_tokens}\0"
    keys = [hashlib.sha256((kind + text).encode()).digest()[:KEY_BYTES] for text in texts]
    vectors, found = cache.read(keys)  # (n, dim), (n,)
    places: dict[bytes, list[int]] = {}
    for place in np.flatnonzero(~found).tolist():
        places.setdefault(keys[place], []).append(place)
    if not places:
        return vectors
    new = list(places)
    new_texts = [texts[places[key][0]] for key in new]
    if say:
        seconds = sum(min(len(text), 4 * embedder.max_tokens) for text in new_texts) / CHARACTERS_PER_SECOND
        say(f"Embedding {len(new):,} passages (once, about {max(1, seconds):.0f} seconds)")
    waiting: list[int] = []  # places of vectors that are not on the disk yet
    for rows, batch in embedder.batches(new_texts):
        for row, vector in zip(rows, batch, strict=True):
            vectors[places[new[row]]] = vector
            waiting.append(places[new[row]][0])
        if len(waiting) >= KEPT_AT_ONCE:
            cache.add([keys[place] for place in waiting], vectors[waiting])
            waiting.clear()
    if waiting:
        cache.add([keys[place] for place in waiting], vectors[waiting])
    return vectors
