"""Training the reranker: the loss by hand, the schedule, the same run twice, and a run that is stopped and resumed."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from course_lib.tuning import reranker
from course_lib.tuning.reranker import (
    RankingExample,
    Settings,
    count_steps,
    learning_rate_factor,
    listwise_loss,
    orders,
    train_reranker,
)


def test_loss_by_hand() -> None:
    # -ln(e^2 / (e^2 + e^1 + e^0)) = ln(1 + e^-1 + e^-2) = 0.4076
    assert float(listwise_loss(torch.tensor([[2.0, 1.0, 0.0]]))) == pytest.approx(0.4076, abs=1e-4)
    assert float(listwise_loss(torch.zeros(3, 5))) == pytest.approx(math.log(5))
    short = torch.tensor([[0.0, 0.0, float("-inf")]])
    assert float(listwise_loss(short)) == pytest.approx(math.log(2))  # a passage that the list lacks takes no share


def test_schedule() -> None:
    factors = [learning_rate_factor(step, 10, 0.2) for step in range(11)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[10] == 0 and all(a >= b for a, b in pairwise(factors[1:]))


def test_every_example_is_read_once_an_epoch() -> None:
    settings = Settings(lists_per_step=4, epochs=2)
    steps = list(orders(10, settings))
    assert len(steps) == count_steps(10, settings) == 4
    assert len(set(np.concatenate(steps[:2]).tolist())) == 8
    assert [row.tolist() for row in orders(10, settings)] == [row.tolist() for row in steps]


def test_parts_stay_within_their_budget() -> None:
    parts = reranker._parts([3, 3, 2, 3], [10, 50, 20, 20], 100)
    assert sorted(i for part in parts for i in part) == [0, 1, 2, 3]
    assert parts[0] == [1]  # 3 * 50 is over the budget, and a list is never split
    assert all(
        len(part) == 1 or max([10, 50, 20, 20][i] for i in part) * sum([3, 3, 2, 3][i] for i in part) <= 100
        for part in parts
    )


class Words:
    """Tokenises by counting letters, so that a test needs no model."""

    def pad(self, rows: dict[str, list[list[int]]], return_tensors: str) -> dict[str, torch.Tensor]:
        width = max(map(len, rows["input_ids"]))
        return {
            "input_ids": torch.tensor([row + [0] * (width - len(row)) for row in rows["input_ids"]]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows["input_ids"]]),
        }


def encode(queries: Any, passages: Any, max_tokens: int) -> dict[str, list[list[int]]]:
    ids = [[ord(letter) % 31 + 1 for letter in f"{q} {p}"][:max_tokens] for q, p in zip(queries, passages, strict=True)]
    return {"input_ids": ids, "token_type_ids": [[0] * len(row) for row in ids]}


class Scorer:
    """A table of letters as model: quick, and it can learn which letters mark the good passage."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.model = torch.nn.Embedding(40, 4)
        self.model.dtype = torch.float32  # type: ignore[assignment]
        self.head = {"weight": torch.ones(4)}
        self.tokenizer = Words()

    def score(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        mask = batch["attention_mask"][:, :, None].float()
        return ((self.model(batch["input_ids"]) * mask).sum(1) / mask.sum(1)) @ self.head["weight"]


EXAMPLES = [
    RankingExample(f"query {i}", (f"good {i} zzz", f"bad {i} qq", f"worse {i}")[: 2 + i % 2]) for i in range(24)
]
SETTINGS = Settings(lists_per_step=4, epochs=6, save_every=5, learning_rate=0.05)


def test_it_learns_and_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    first = train_reranker(Scorer(), encode, EXAMPLES, SETTINGS, folder=tmp_path / "a", progress=False)
    again = train_reranker(Scorer(), encode, EXAMPLES, SETTINGS, folder=tmp_path / "b", progress=False)
    assert first.losses == again.losses and len(first.losses) == count_steps(24, SETTINGS)
    assert np.mean(first.losses[-4:]) < 0.5 * np.mean(first.losses[:4])


def test_a_run_that_stops_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_reranker(Scorer(), encode, EXAMPLES, SETTINGS, folder=tmp_path / "whole", progress=False)
    calls = 0
    step = reranker._step

    def stops(*args: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 13:
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr(reranker, "_step", stops)
    with pytest.raises(KeyboardInterrupt):
        train_reranker(Scorer(), encode, EXAMPLES, SETTINGS, folder=tmp_path / "cut", progress=False)
    calls = 100
    scorer = Scorer()
    rest = train_reranker(scorer, encode, EXAMPLES, SETTINGS, folder=tmp_path / "cut", progress=False)
    assert calls - 100 == len(whole.losses) - 10  # begins after the last state, which was saved at step 10
    assert rest.losses == whole.losses
    assert torch.equal(scorer.model.weight, whole.scorer.model.weight)


def test_a_state_of_other_settings_or_cut_short_is_not_used(tmp_path: Path) -> None:
    train_reranker(Scorer(), encode, EXAMPLES, SETTINGS, folder=tmp_path, progress=False)
    other = replace(SETTINGS, learning_rate=0.01)
    fresh = train_reranker(Scorer(), encode, EXAMPLES, other, folder=tmp_path / "other", progress=False)
    assert train_reranker(Scorer(), encode, EXAMPLES, other, folder=tmp_path, progress=False).losses == fresh.losses
    state = tmp_path / "training-state.pt"
    state.write_bytes(state.read_bytes()[:500])
    assert train_reranker(Scorer(), encode, EXAMPLES, other, folder=tmp_path, progress=False).losses == fresh.losses
    assert (tmp_path / "training-state.broken").is_file()  # nothing is thrown away


def test_bad_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="examples must be at least 4"):
        train_reranker(Scorer(), encode, EXAMPLES[:3], SETTINGS, folder=tmp_path, progress=False)
    broken = Scorer()
    broken.head["weight"] = torch.full((4,), float("nan"))
    with pytest.raises(ValueError, match="the loss of step 0 is nan: lower the learning rate"):
        train_reranker(broken, encode, EXAMPLES, SETTINGS, folder=tmp_path, progress=False)
