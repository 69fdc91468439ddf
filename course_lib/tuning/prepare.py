"""Preparing examples, step by step: what each step removed or changed, and why, is kept beside the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datasets import Dataset

COLUMNS = ("id", "text", "label")


@dataclass(frozen=True)
class Removed:
    """An example that a step took out. like: the id of the example that it repeats, or ""."""

    id: str
    why: str
    like: str = ""


@dataclass(frozen=True)
class Changed:
    """A field of an example that a step wrote anew."""

    id: str
    field: str
    before: str
    after: str
    why: str


@dataclass(frozen=True)
class Step:
    """What one step did: the dataset after it, what it removed and what it changed."""

    dataset: Dataset
    removed: tuple[Removed, ...] = ()
    changed: tuple[Changed, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Prepared:
    """The dataset after all steps, and the steps."""

    dataset: Dataset
    n_before: int
    steps: tuple[Step, ...]

    @property
    def removed(self) -> dict[str, Removed]:
        """Return every example that was taken out, by id."""
        return {each.id: each for step in self.steps for each in step.removed}

    def __str__(self) -> str:
        lines = [f"{self.n_before:>5} examples came in"]
        for step in self.steps:
            for sign, why, n in (
                *(("-", why, n) for why, n in Counter(each.why for each in step.removed).items()),
                *(("~", why, n) for why, n in Counter(each.why for each in step.changed).items()),
            ):
                lines.append(f"{sign}{n:>4} {step.name}: {why}")
        return "\n".join([*lines, f"{len(self.dataset):>5} examples go on"])


def as_dataset(rows: Sequence[Mapping[str, Any]], **columns: str) -> Dataset:
    """Return rows as a Dataset with the columns id, text and label; columns names theirs, such as id="raw_id".

    Raises ValueError if an id occurs twice or a column is missing: nothing could be traced back then.
    """
    names = {name: columns.get(name, name) for name in COLUMNS}
    for i, row in enumerate(rows):
        for name, theirs in names.items():
            if theirs not in row:
                raise ValueError(
                    f"row {i} has no column {theirs!r} for {name}; it has {', '.join(row)}; pass {name}=..."
                )
    twice = [name for name, n in Counter(str(row[names["id"]]) for row in rows).items() if n > 1]
    if twice:
        raise ValueError(f"ids must be unique, but {twice[0]!r} occurs more than once; number the rows anew")
    return Dataset.from_dict({name: [str(row[theirs]) for row in rows] for name, theirs in names.items()})


def prepare(dataset: Dataset, steps: Mapping[str, Callable[[Dataset], Step]]) -> Prepared:
    """Return what is left after all steps, in their order, with what each did; dataset itself is untouched.

    Raises ValueError if a step leaves nothing, or an example disappears without a word.
    """
    done: list[Step] = []
    current = dataset
    for name, step in steps.items():
        result = replace(step(current), name=name)
        missing = set(current["id"]) - set(result.dataset["id"]) - {each.id for each in result.removed}
        if missing:
            raise ValueError(
                f"step {name!r} lost {len(missing)} examples without saying why, {min(missing)} among them"
            )
        if not len(result.dataset):
            raise ValueError(f"step {name!r} left no example of {len(current)}; its rule is too strict for these data")
        done.append(result)
        current = result.dataset
    return Prepared(current, len(dataset), tuple(done))


def without(dataset: Dataset, removed: Sequence[Removed]) -> Step:
    """Return the step that takes these examples out."""
    gone = {each.id for each in removed}
    keep = [i for i, name in enumerate(dataset["id"]) if name not in gone]
    return Step(dataset.select(keep), tuple(removed))


def rewritten(dataset: Dataset, field: str, after: Sequence[str], why: Sequence[str]) -> Step:
    """Return the step that writes a field anew; only values that differ count as changed."""
    before = list(dataset[field])
    changed = tuple(
        Changed(name, field, old, new, reason)
        for name, old, new, reason in zip(dataset["id"], before, after, why, strict=True)
        if old != new
    )
    columns = {name: list(dataset[name]) for name in dataset.column_names} | {field: list(after)}
    return Step(Dataset.from_dict(columns), changed=changed)
