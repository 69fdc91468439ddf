"""Orders, parts and the learning rate: by hand, by properties, and against transformers' schedule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.tuning.batches import (
    batch_of,
    linear_schedule,
    order_of,
    parts_of,
    set_learning_rate,
    steps_per_epoch,
    warmup_steps,
)


def test_schedule_by_hand() -> None:
    # 10 steps, 2 of them warm-up: 0, 1/2, then 8/8, 7/8, ... 1/8
    assert [linear_schedule(step, 10, 2) for step in range(5)] == [0, 0.5, 1, 7 / 8, 6 / 8]
    assert linear_schedule(9, 10, 2) == 1 / 8 and linear_schedule(10, 10, 2) == 0 == linear_schedule(11, 10, 2)
    assert linear_schedule(0, 10, 0) == 1


@given(st.integers(1, 60), st.floats(0, 0.99))
def test_equal_to_the_schedule_of_transformers(n_steps: int, share: float) -> None:
    from transformers import get_linear_schedule_with_warmup

    n_warmup = warmup_steps(share, n_steps)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = get_linear_schedule_with_warmup(optimizer, n_warmup, n_steps)
    for step in range(n_steps + 2):
        assert 0.3 * linear_schedule(step, n_steps, n_warmup) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_warmup_steps_are_rounded_up() -> None:
    assert [warmup_steps(share, 20) for share in (0.0, 0.05, 0.051, 0.1)] == [0, 1, 2, 2]


def test_each_group_keeps_its_share() -> None:
    values = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD(
        [{"params": [value], "full": full} for value, full in zip(values, (0.4, 0.1), strict=True)], lr=0.0
    )
    assert set_learning_rate(optimizer, 0.5) == 0.2
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.05]


@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 3), st.integers(0, 99))
def test_every_example_is_read_once_an_epoch(n: int, size: int, epoch: int, seed: int) -> None:
    per_epoch = steps_per_epoch(n, size)
    read = [batch_of(n, size, step, seed) for step in range(epoch * per_epoch, (epoch + 1) * per_epoch)]
    assert sorted(i for batch in read for i in batch) == list(range(n))
    assert all(len(batch) == size for batch in read[:-1])


def test_orders_differ_by_epoch_and_seed() -> None:
    orders = {tuple(order_of(50, epoch, seed)) for epoch in range(3) for seed in range(3)}
    assert len(orders) == 9 and order_of(50, 1, 2) == order_of(50, 1, 2)


def rows(*lengths: int) -> list[dict[str, object]]:
    return [{"input_ids": [0] * length, "place": place} for place, length in enumerate(lengths)]


def test_parts_by_hand() -> None:
    batch = rows(3, 9, 4, 8, 1)
    assert [[row["place"] for row in part] for part in parts_of(batch, 2)] == [[0, 1, 2], [3, 4]]  # in order, 3 at most
    # longest first: 9 and 8 fill 18 of 20 tokens; 4 and 3 fit, and 1 with them: 3 * 4 = 12
    assert [[row["place"] for row in part] for part in parts_of(batch, 1, 20)] == [[1, 3], [2, 0, 4]]
    assert parts_of([], 3) == []


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=25), st.integers(1, 6), st.one_of(st.none(), st.integers(1, 60))
)
def test_parts_lose_nothing_and_keep_their_limits(lengths: list[int], n_parts: int, tokens: int | None) -> None:
    batch = rows(*lengths)
    parts = parts_of(batch, n_parts, tokens)
    assert sorted(row["place"] for part in parts for row in part) == list(range(len(lengths)))
    largest = -(-len(lengths) // n_parts)
    for part in parts:
        width = max(len(row["input_ids"]) for row in part)
        assert len(part) <= largest and (tokens is None or len(part) == 1 or width * len(part) <= tokens)
