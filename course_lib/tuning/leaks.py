"""Leaks: what training saw of the test, and texts that name their own label."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from course_lib.tuning.duplicates import near_pairs, plain


@dataclass(frozen=True)
class Leak:
    """A test example that training has seen. train: the position there, or -1; similarity: 0 to 1."""

    test: int
    train: int
    why: str
    similarity: float = 1.0


@dataclass(frozen=True)
class Leaks:
    """What was found: each test example once, by its worst leak."""

    found: tuple[Leak, ...]
    n_test: int

    @property
    def share(self) -> float:
        """Return the share of the test examples that leak."""
        return len(self.found) / self.n_test

    def check(self, *, at_most: float = 0.0) -> None:
        """Raise ValueError if more than this share of the test leaks: its score would be too good."""
        if self.share > at_most:
            worst = self.found[0]
            raise ValueError(
                f"{len(self.found)} of {self.n_test} test examples leak into training (allowed: {at_most:.0%}); the first: "
                f"test {worst.test} and train {worst.train}, {worst.why}; split by group, or remove duplicates before "
                "you split"
            )


def find_leaks(
    train: Sequence[str],
    test: Sequence[str],
    *,
    threshold: float = 0.5,
    train_groups: Sequence[Hashable] = (),
    test_groups: Sequence[Hashable] = (),
) -> Leaks:
    """Return the test texts that training holds too: the same, nearly the same, or of the same group.

    threshold: Jaccard similarity of five-letter shingles from which two texts are nearly the same. groups: such as the
    customer or the conversation, one for each text. Raises ValueError for an empty test or groups of another length.
    """
    if not test:
        raise ValueError("test must hold at least one text, got none")
    for name, groups, texts in (("train_groups", train_groups, train), ("test_groups", test_groups, test)):
        if groups and len(groups) != len(texts):
            raise ValueError(f"{name} must name a group for each of {len(texts)} texts, got {len(groups)}")
    worst: dict[int, Leak] = {}
    seen = {plain(text): i for i, text in enumerate(train) if plain(text)}
    for j, text in enumerate(test):
        if plain(text) in seen:
            worst[j] = Leak(j, seen[plain(text)], "the same text")
    for pair in near_pairs(list(train), threshold=threshold, against=list(test)) if train else []:
        worst.setdefault(pair.second, Leak(pair.second, pair.first, "nearly the same text", pair.similarity))
    place = {group: i for i, group in enumerate(train_groups)}
    for j, group in enumerate(test_groups):
        if group in place:
            worst.setdefault(j, Leak(j, place[group], f"the same group, {group}", 0.0))
    return Leaks(tuple(sorted(worst.values(), key=lambda leak: (-leak.similarity, leak.test))), len(test))


def names_its_label(texts: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Return the positions of the texts that hold the name of their own label: a queue's tag left in, for example."""
    found = []
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        if f" {plain(label)} " in f" {plain(text)} ":
            found.append(i)
    return found
