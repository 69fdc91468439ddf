"""Train the cross-encoder: LoRA on the encoder and a scoring head, by comparing a good passage with near misses."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from course_lib.core.seeds import SEED


@dataclass(frozen=True)
class RankingExample:
    """A query, the passages to be ordered, the best first, and where the example comes from."""

    query: str
    passages: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True)
class Settings:
    """How the reranker is trained. A step reads lists_per_step lists, in parts of at most part_tokens tokens.

    keep: the share of the change that is kept at the end; the average with the untrained weights forgets less
    (Wortsman et al., 2022).
    """

    rank: int = 16
    alpha: int = 32
    learning_rate: float = 1.5e-4
    head_learning_rate: float = 1e-2
    warmup: float = 0.1
    lists_per_step: int = 12
    part_tokens: int = 1600
    max_tokens: int = 192
    keep: float = 0.5
    epochs: int = 1
    seed: int = SEED
    save_every: int = 25


def listwise_loss(scores: torch.Tensor) -> torch.Tensor:
    """Return the mean of -ln softmax(scores)[0]: how surprised a reader of the scores is that the first is the best.

    scores: (n_lists, n_passages), the good passage in column 0. It is 0 where the good one stands far above all others, and
    ln(n_passages) where all are equal. A column of -inf is a passage that the list lacks.
    """
    return -torch.log_softmax(scores, dim=1)[:, 0].mean()


def learning_rate_factor(step: int, n_steps: int, warmup: float) -> float:
    """Return the share of the full learning rate at a step: it rises over the first warmup share, then falls to 0."""
    rising = max(1, round(warmup * n_steps))
    if step < rising:
        return (step + 1) / rising
    return max(0.0, (n_steps - step) / max(1, n_steps - rising))


def orders(n_examples: int, settings: Settings) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the positions of the examples of each step; the same for the same seed, so that a run can be resumed."""
    rng = np.random.default_rng(settings.seed)
    for _ in range(settings.epochs):
        order = rng.permutation(n_examples)
        for start in range(0, n_examples - settings.lists_per_step + 1, settings.lists_per_step):
            yield order[start : start + settings.lists_per_step]


def count_steps(n_examples: int, settings: Settings) -> int:
    """Return how many steps the training takes; what does not fill a step is left out of an epoch."""
    return settings.epochs * (n_examples // settings.lists_per_step)


@dataclass
class Trained:
    """What a training run gave: the scorer with its adapter, the loss of every step, and its minutes."""

    scorer: Any
    losses: list[float]
    minutes: float


def train_reranker(
    scorer: Any,
    encode: Callable[[Sequence[str], Sequence[str], int], Any],
    examples: Sequence[RankingExample],
    settings: Settings,
    *,
    folder: Path,
    progress: bool = True,
) -> Trained:
    """Train scorer (its model wrapped by peft, its head plain tensors) and keep a state in folder to resume from.

    encode: tokenises pairs (queries, passages, max_tokens). Raises ValueError if there are fewer examples than one step
    takes, or the loss is not finite.
    """
    n_steps = count_steps(len(examples), settings)
    if n_steps < 1:
        raise ValueError(f"examples must be at least {settings.lists_per_step} (lists_per_step), got {len(examples)}")
    adapter = [value for value in scorer.model.parameters() if value.requires_grad]
    head = [value.requires_grad_(True) for value in scorer.head.values()]
    optimizer = torch.optim.AdamW(
        [
            {"params": adapter, "lr": settings.learning_rate, "full": settings.learning_rate},
            {"params": head, "lr": settings.head_learning_rate, "full": settings.head_learning_rate},
        ],
        weight_decay=0.0,
    )
    state_file = folder / "training-state.pt"
    first, losses, minutes = _resume(state_file, scorer, optimizer, len(examples), settings)
    scorer.model.eval()  # gradients flow, dropout does not: it takes a third of the time and helps little in one epoch
    started = time.perf_counter()
    bar = tqdm(total=n_steps, initial=first, desc="Training", unit="step", disable=not progress)
    with bar:
        for step, rows in enumerate(orders(len(examples), settings)):
            if step < first:
                continue
            for group in optimizer.param_groups:
                group["lr"] = group["full"] * learning_rate_factor(step, n_steps, settings.warmup)
            loss = _step(scorer, encode, [examples[i] for i in rows], settings)
            if not np.isfinite(loss):
                raise ValueError(
                    f"the loss of step {step} is {loss}: lower the learning rate; {state_file.name} is kept"
                )
            torch.nn.utils.clip_grad_norm_([*adapter, *head], 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss)
            bar.update()
            bar.set_postfix(loss=f"{np.mean(losses[-20:]):.3f}")
            if (step + 1) % settings.save_every == 0:
                spent = minutes + (time.perf_counter() - started) / 60
                _save_state(state_file, scorer, optimizer, step + 1, losses, spent, len(examples), settings)
    for value in scorer.head.values():
        value.requires_grad_(False)
    return Trained(scorer, losses, minutes + (time.perf_counter() - started) / 60)


def _step(scorer: Any, encode: Any, lists: list[RankingExample], settings: Settings) -> float:
    """Add the gradients of one step's lists, part by part, and return the mean loss."""
    pairs = [(entry.query, passage) for entry in lists for passage in entry.passages]
    encoded = encode([query for query, _ in pairs], [passage for _, passage in pairs], settings.max_tokens)
    ids, segments = encoded["input_ids"], encoded["token_type_ids"]
    ends = np.cumsum([len(entry.passages) for entry in lists])
    spans = [range(end - len(entry.passages), end) for end, entry in zip(ends, lists, strict=True)]
    longest = [max(len(ids[i]) for i in span) for span in spans]
    total = 0.0
    for part in _parts([len(span) for span in spans], longest, settings.part_tokens):
        rows = [i for number in part for i in spans[number]]
        batch = scorer.tokenizer.pad(
            {"input_ids": [ids[i] for i in rows], "token_type_ids": [segments[i] for i in rows]}, return_tensors="pt"
        )
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=scorer.model.dtype is torch.bfloat16):
            flat = scorer.score(dict(batch)).float()
        lists_of_scores = flat.split([len(spans[number]) for number in part])
        table = torch.nn.utils.rnn.pad_sequence(
            list(lists_of_scores), batch_first=True, padding_value=float("-inf")
        )  # (n_lists, n_passages)
        loss = listwise_loss(table) * len(part) / len(lists)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def _parts(n_pairs: Sequence[int], longest: Sequence[int], part_tokens: int) -> list[list[int]]:
    """Group lists of similar length, so that padding is small and a part stays within part_tokens (or is one list)."""
    parts: list[list[int]] = []
    width = held = 0
    for i in sorted(range(len(n_pairs)), key=lambda i: (-longest[i], i)):
        if not parts or (held + n_pairs[i]) * width > part_tokens:
            parts.append([])
            width, held = longest[i], 0
        parts[-1].append(i)
        held += n_pairs[i]
    return parts


def _state_key(n_examples: int, settings: Settings) -> dict[str, Any]:
    return {"n_examples": n_examples, **asdict(settings)}


def _save_state(
    path: Path, scorer: Any, optimizer: Any, step: int, losses: list[float], minutes: float, n: int, settings: Settings
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    trained = {name: value for name, value in scorer.model.named_parameters() if value.requires_grad}
    state = {
        "adapter": {name: value.detach().clone() for name, value in trained.items()},
        "head": {name: value.detach().clone() for name, value in scorer.head.items()},
        "optimizer": optimizer.state_dict(),
        "step": step,
        "losses": losses,
        "minutes": minutes,
        "settings": json.dumps(_state_key(n, settings)),
    }
    aside = path.with_suffix(".tmp")
    torch.save(state, aside)
    aside.replace(path)


def _resume(
    path: Path, scorer: Any, optimizer: Any, n_examples: int, settings: Settings
) -> tuple[int, list[float], float]:
    """Load the state of an interrupted run with the same settings; return its step, losses and minutes."""
    if not path.is_file():
        return 0, [], 0.0
    try:
        state = torch.load(path, weights_only=True)
    except Exception:  # cut short: torch raises what its unpickler meets
        shutil.move(path, path.with_suffix(".broken"))
        return 0, [], 0.0
    if state["settings"] != json.dumps(_state_key(n_examples, settings)):
        return 0, [], 0.0
    trained = {name: value for name, value in scorer.model.named_parameters() if value.requires_grad}
    with torch.no_grad():
        for name, value in state["adapter"].items():
            trained[name].copy_(value)
        for name, value in state["head"].items():
            scorer.head[name].copy_(value)
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), list(state["losses"]), float(state["minutes"])
