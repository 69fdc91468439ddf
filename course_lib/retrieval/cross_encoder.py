"""A cross-encoder: query and passage read together by the encoder, and a head that scores how well they fit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.assets import models
from course_lib.core.protocols import Retriever
from course_lib.core.validate import FloatArray, require_text
from course_lib.retrieval.embedding import length_batches
from course_lib.retrieval.exact import indexed_text
from course_lib.retrieval.reranking import SecondReading

if TYPE_CHECKING:
    import torch

RERANKER = Path(__file__).parents[1] / "assets" / "adapters" / "reranker"
HEAD = "head.safetensors"
MAX_TOKENS = 256


def interaction(token_vectors: torch.Tensor, query_mask: torch.Tensor, passage_mask: torch.Tensor) -> torch.Tensor:
    """Return three numbers for each pair: how well the passage's tokens, read together with the query's, cover them.

    token_vectors: (n, n_tokens, dim); masks: (n, n_tokens), True where a token belongs to query or passage. Returns
    (n, 3): the mean over query tokens of the largest cosine with a passage token (Khattab & Zaharia, 2020, here inside
    a cross-encoder), the smallest of those over the query, and the cosine of the two means.
    """
    import torch

    vectors = torch.nn.functional.normalize(token_vectors.float(), dim=-1)  # (n, n_tokens, dim)
    cosines = vectors @ vectors.transpose(1, 2)  # (n, n_tokens, n_tokens)
    best = cosines.masked_fill(~passage_mask[:, None, :], -1.0).amax(dim=-1)  # (n, n_tokens)
    queries, passages = query_mask.float(), passage_mask.float()
    n_query = queries.sum(dim=1).clamp(min=1)  # (n,)
    mean_best = (best * queries).sum(dim=1) / n_query  # (n,)
    worst = best.masked_fill(~query_mask, 1.0).amin(dim=1)  # (n,)
    means = [(vectors * mask[:, :, None]).sum(dim=1) for mask in (queries, passages)]
    cosine = torch.nn.functional.cosine_similarity(means[0], means[1])  # (n,)
    return torch.stack([mean_best, worst, cosine], dim=1)  # (n, 3)


def pair_masks(batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which tokens are the query's and which the passage's, each (n, n_tokens); [CLS] belongs to neither."""
    real = batch["attention_mask"].bool()
    query = real & (batch["token_type_ids"] == 0)
    query[:, 0] = False
    return query, real & (batch["token_type_ids"] == 1)


def encode_pairs(tokenizer: Any, queries: Sequence[str], passages: Sequence[str], max_tokens: int) -> Any:
    """Return token ids and segments of every pair; a passage that is too long is cut, a query never.

    A query may take half of max_tokens: what is longer is cut there.
    """
    half = max_tokens // 2
    short = tokenizer(list(queries), add_special_tokens=False, truncation=True, max_length=half)["input_ids"]
    words = [query if len(ids) < half else tokenizer.decode(ids) for query, ids in zip(queries, short, strict=True)]
    return tokenizer(words, list(passages), truncation="only_second", max_length=max_tokens, return_token_type_ids=True)


@dataclass(frozen=True)
class CrossEncoder:
    """Scores pairs of a query and a text; larger fits better, comparable within one query.

    head: weight (3,) over `interaction`, pooled (dim,) over the mean of all token vectors.
    """

    tokenizer: Any
    model: Any
    head: dict[str, torch.Tensor]
    max_tokens: int = MAX_TOKENS
    batch_tokens: int = 2048

    def score(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the scores (n,) of tokenised pairs; gradients flow if they are switched on."""
        vectors = self.model(**batch).last_hidden_state.float()  # (n, n_tokens, dim)
        query, passage = pair_masks(batch)
        mask = batch["attention_mask"][:, :, None].float()
        pooled = (vectors * mask).sum(dim=1) / mask.sum(dim=1)  # (n, dim)
        scores: torch.Tensor = interaction(vectors, query, passage) @ self.head["weight"] + pooled @ self.head["pooled"]
        return scores  # (n,)

    def __call__(self, query: str, texts: Sequence[str]) -> FloatArray:
        """Return one score for each text, shape (n,). Raises ValueError for an empty query."""
        require_text(query, name="query")
        return self.pairs([query] * len(texts), texts)

    def pairs(self, queries: Sequence[str], texts: Sequence[str]) -> FloatArray:
        """Return the scores of many pairs, batched by length, shape (n,). Raises ValueError if they are not as many."""
        import torch

        if len(queries) != len(texts):
            raise ValueError(f"queries and texts must be pairs, got {len(queries)} and {len(texts)}")
        scores = np.zeros(len(texts), dtype=np.float32)
        if not texts:
            return scores
        encoded = encode_pairs(self.tokenizer, queries, texts, self.max_tokens)
        ids, segments = encoded["input_ids"], encoded["token_type_ids"]
        with torch.inference_mode():
            for rows in length_batches([len(row) for row in ids], self.batch_tokens):
                batch = self.tokenizer.pad(
                    {"input_ids": [ids[i] for i in rows], "token_type_ids": [segments[i] for i in rows]},
                    return_tensors="pt",
                )
                scores[rows] = self.score(dict(batch)).numpy()
        return scores


def new_head(dim: int) -> dict[str, torch.Tensor]:
    """Return the head before training: cosines count, the pooled vector does not yet."""
    import torch

    return {"weight": torch.tensor([10.0, 0.0, 5.0]), "pooled": torch.zeros(dim)}


def load_cross_encoder(folder: Path = RERANKER) -> CrossEncoder:
    """Return the encoder with the adapter and head in folder, the course's own by default, merged and ready.

    Raises ValueError if the adapter belongs to another encoder or is incomplete.
    """
    import torch
    from peft import PeftModel
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoModel

    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        head = load_file(folder / HEAD)
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"{folder.name} holds no complete reranker ({error}); run: course train reranker") from error
    source = models.encoder_source()
    if card["encoder"] != models.model_id(source):
        raise ValueError(
            f"this adapter was trained on the encoder {card['encoder']}, not on {models.model_id(source)}; "
            "unset COURSE_ENCODER, or run: course train reranker"
        )
    models.quiet()
    tokenizer, _ = models.load_encoder(models.compute_dtype())  # the one that the embedder has loaded
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for names that will change
        base = AutoModel.from_pretrained(source, dtype=torch.float32, local_files_only=True, add_pooling_layer=False)
        merged = PeftModel.from_pretrained(base, str(folder)).merge_and_unload()
    model = merged.to(models.compute_dtype()).eval()
    return CrossEncoder(tokenizer, model, head, max_tokens=int(card["max_tokens"]))


class CrossEncoderReranker(SecondReading):
    """Rerank the hits of a retriever with a cross-encoder."""

    def __init__(self, retriever: Retriever, scorer: CrossEncoder, *, depth: int = 20, weight: float = 1.0) -> None:
        super().__init__(retriever, depth=depth, weight=weight)
        self.scorer = scorer

    def scores(self, query: str, chunk_ids: Sequence[str]) -> FloatArray:
        """Return the cross-encoder's score of the query with each chunk, shape (n,)."""
        return self.scorer(query, [indexed_text(self.chunk(name)) for name in chunk_ids])
