"""The cross-encoder: its numbers by hand, its masks, the adapter that ships, and what it does to a ranking."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.retrieval.cross_encoder import (
    HEAD,
    RERANKER,
    CrossEncoder,
    CrossEncoderReranker,
    encode_pairs,
    interaction,
    load_cross_encoder,
    pair_masks,
)

TEXTS = {
    "meter": "A smart meter sends its readings every half hour.",
    "goal": "The striker scored the winning goal in extra time.",
    "cell": "A perovskite cell turns a third of the light into current.",
}


def test_interaction_by_hand() -> None:
    # query tokens (1, 0) and (0, 2); passage tokens (1, 0) and (3, 3); the first and last tokens belong to neither
    vectors = torch.tensor([[[5.0, 5.0], [1.0, 0.0], [0.0, 2.0], [1.0, 0.0], [3.0, 3.0], [7.0, -9.0]]])
    query = torch.tensor([[False, True, True, False, False, False]])
    passage = torch.tensor([[False, False, False, True, True, False]])
    # largest cosines: 1 for (1, 0); 1 / sqrt(2) for (0, 1). Mean 0.8536, smallest 0.7071.
    # sums of unit vectors: (1, 1) and (1.7071, 0.7071); cosine 2.4142 / (1.4142 * 1.8478) = 0.9239
    assert interaction(vectors, query, passage)[0].tolist() == pytest.approx([0.8536, 0.7071, 0.9239], abs=1e-4)


def test_masks_leave_cls_and_padding_out() -> None:
    batch = {
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 0]]),
        "token_type_ids": torch.tensor([[0, 0, 0, 1, 1, 0]]),
    }
    query, passage = pair_masks(batch)
    assert query.int().tolist() == [[0, 1, 1, 0, 0, 0]]
    assert passage.int().tolist() == [[0, 0, 0, 1, 1, 0]]


@pytest.fixture(scope="module")
def scorer(_pinned_models: None, _guarded: None) -> CrossEncoder:
    return load_cross_encoder()


def test_the_fitting_passage_scores_highest(scorer: CrossEncoder) -> None:
    texts = list(TEXTS.values())
    assert int(scorer("Who decided the match late?", texts).argmax()) == 1
    assert int(scorer("How often are readings sent?", texts).argmax()) == 0


def test_batches_do_not_matter(scorer: CrossEncoder) -> None:
    texts = [*TEXTS.values(), "Short.", " ".join(TEXTS.values()) * 3]
    together = scorer("How often are readings sent?", texts)
    apart = np.concatenate([scorer("How often are readings sent?", [text]) for text in texts])
    np.testing.assert_allclose(together, apart, atol=0.15)  # bfloat16 rounds differently with padding
    assert scorer("a", []).shape == (0,)


def test_a_query_longer_than_all_is_cut_and_leaves_room_for_the_passage(scorer: CrossEncoder) -> None:
    encoded = encode_pairs(scorer.tokenizer, ["meter " * 10_000], [TEXTS["meter"]], 64)
    segments = encoded["token_type_ids"][0]
    assert len(segments) <= 64 and sum(segments) >= 10
    assert np.isfinite(scorer("meter " * 10_000, [TEXTS["meter"]])).all()


def test_bad_pairs(scorer: CrossEncoder) -> None:
    with pytest.raises(ValueError, match="query must not be empty"):
        scorer(" ", ["a"])
    with pytest.raises(ValueError, match="queries and texts must be pairs, got 1 and 2"):
        scorer.pairs(["a"], ["b", "c"])


class Fixed:
    def search(self, query: str, k: int) -> Ranking:
        return [Hit(name, 1.0) for name in sorted(TEXTS)][:k]

    def chunk(self, chunk_id: str) -> Chunk:
        return Chunk(chunk_id, chunk_id, chunk_id, datetime.date(2024, 1, 1), TEXTS[chunk_id], 0, len(TEXTS[chunk_id]))


def test_reranker(scorer: CrossEncoder) -> None:
    reranker = CrossEncoderReranker(Fixed(), scorer, depth=3)
    assert reranker.search("Who decided the match late?", 1)[0].chunk_id == "goal"
    titled = [f"{name}. {TEXTS[name]}" for name in ("goal", "meter")]
    np.testing.assert_array_equal(reranker.scores("late?", ["goal", "meter"]), scorer("late?", titled))


def test_the_adapter_that_ships_is_small_and_says_what_it_is() -> None:
    assert sum(path.stat().st_size for path in RERANKER.iterdir()) < 4_000_000
    card = json.loads((RERANKER / "card.json").read_text(encoding="utf-8"))
    assert card["command"] == "course train reranker" and card["minutes"] > 0 and card["examples"]["question"] > 0
    scores = card["scores"]
    assert scores["split"] == "dev" and scores["both"]["nDCG@10"] > scores["fusion"]["nDCG@10"]


def test_the_adapter_matters(scorer: CrossEncoder, tmp_path: Path) -> None:
    """With the adapter's update set to zero, the scores are others: it is the training that speaks."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(RERANKER, tmp_path / "blank")
    weights = load_file(tmp_path / "blank" / "adapter_model.safetensors")
    save_file(
        {name: torch.zeros_like(value) for name, value in weights.items()},
        tmp_path / "blank" / "adapter_model.safetensors",
    )
    blank = load_cross_encoder(tmp_path / "blank")
    texts = list(TEXTS.values())
    assert (
        np.abs(blank("Who decided the match late?", texts) - scorer("Who decided the match late?", texts)).max() > 0.25
    )


def test_an_adapter_of_another_encoder_or_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no complete reranker"):
        load_cross_encoder(tmp_path)
    shutil.copytree(RERANKER, tmp_path / "other")
    card = json.loads((RERANKER / "card.json").read_text(encoding="utf-8"))
    (tmp_path / "other" / "card.json").write_text(json.dumps({**card, "encoder": "another"}), encoding="utf-8")
    with pytest.raises(ValueError, match="trained on the encoder another"):
        load_cross_encoder(tmp_path / "other")
    shutil.copytree(RERANKER, tmp_path / "cut")
    (tmp_path / "cut" / HEAD).write_bytes((RERANKER / HEAD).read_bytes()[:20])
    with pytest.raises(ValueError, match="holds no complete reranker"):
        load_cross_encoder(tmp_path / "cut")
