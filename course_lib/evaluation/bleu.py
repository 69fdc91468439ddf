"""BLEU: how much of a generated text stands in reference texts, counted in n-grams (Papineni et al., 2002)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Smoothing = Literal["exp", "none"]
_SIGNS = re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])")
_ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}


@dataclass(frozen=True)
class Bleu:
    """A corpus BLEU with its parts.

    score: 0 to 100. precisions: of n-grams of length 1, 2, ..., 0 to 100, smoothed where they would be 0.
    brevity_penalty: 0 to 1, below 1 where the texts are shorter than the references.
    """

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    n_tokens: int
    n_reference_tokens: int


def tokenise_13a(text: str) -> list[str]:
    """Return the tokens that WMT's mteval-v13a script makes of a text, as sacrebleu does by default (Post, 2018)."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _ENTITIES.items():
        text = text.replace(entity, sign)
    text = _SIGNS.sub(r" \1 ", f" {text} ")
    text = re.sub(r"([^0-9])([\.,])", r"\1 \2 ", text)  # a full stop or comma, unless a digit stands before it ...
    text = re.sub(r"([\.,])([^0-9])", r" \1 \2", text)  # ... and after it
    return re.sub(r"([0-9])(-)", r"\1 \2 ", text).split()


def ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """Return how often each run of n tokens occurs."""
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def clipped_matches(tokens: Sequence[str], references: Sequence[Sequence[str]], n: int) -> int:
    """Return how many n-grams of tokens stand in a reference, each at most as often as in the one that has it most."""
    most: Counter[tuple[str, ...]] = Counter()
    for reference in references:
        most |= ngrams(reference, n)  # | keeps the larger count
    return (ngrams(tokens, n) & most).total()


def brevity_penalty(n_tokens: int, n_reference_tokens: int) -> float:
    """Return exp(1 - reference length / length) for a text shorter than its reference, else 1; 0 for an empty text."""
    if n_tokens >= n_reference_tokens:
        return 1.0
    return math.exp(1 - n_reference_tokens / n_tokens) if n_tokens else 0.0


def bleu(
    texts: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    max_n: int = 4,
    smoothing: Smoothing = "exp",
    tokenise: Callable[[str], list[str]] = tokenise_13a,
) -> Bleu:
    """Return the BLEU of a corpus: the geometric mean of its n-gram precisions, times the brevity penalty.

    texts: (n,); references: for each text one or more. Matches and lengths are summed over the corpus first, so it is
    no mean of sentence scores. smoothing "exp": the k-th precision without a match counts as half of the one before it, so
    that a short corpus is not 0 at once. A corpus without one shared token scores 0. Raises ValueError for an empty
    corpus, unequal lengths or a text without a reference.
    """
    if len(texts) != len(references) or not texts:
        raise ValueError(
            f"texts and references must be as many, and at least one, got {len(texts)} and {len(references)}"
        )
    if max_n < 1 or smoothing not in ("exp", "none"):
        raise ValueError(f'max_n must be at least 1 and smoothing "exp" or "none", got {max_n} and {smoothing!r}')
    matches, totals, length, reference_length = [0] * max_n, [0] * max_n, 0, 0
    for i, (text, wanted) in enumerate(zip(texts, references, strict=True)):
        if isinstance(wanted, str) or not wanted:
            raise ValueError(f"references[{i}] must be a list of at least one text, got {wanted!r:.60}")
        tokens, known = tokenise(text), [tokenise(each) for each in wanted]
        length += len(tokens)
        reference_length += min((len(each) for each in known), key=lambda n: (abs(n - len(tokens)), n))
        for n in range(1, max_n + 1):
            matches[n - 1] += clipped_matches(tokens, known, n)
            totals[n - 1] += max(0, len(tokens) - n + 1)
    penalty = brevity_penalty(length, reference_length)
    precisions = _precisions(matches, totals, smoothing)
    if not matches[0] or 0 in precisions:
        return Bleu(0.0, precisions, penalty, length, reference_length)
    score = penalty * math.exp(sum(math.log(precision) for precision in precisions) / max_n)
    return Bleu(score, precisions, penalty, length, reference_length)


def _precisions(matches: Sequence[int], totals: Sequence[int], smoothing: Smoothing) -> tuple[float, ...]:
    """A length of which the corpus has no n-gram counts as precision 0, whatever the smoothing."""
    divisor, precisions = 1.0, []
    for found, total in zip(matches, totals, strict=True):
        if not total or (not found and smoothing == "none"):
            precisions.append(0.0)
        elif found:
            precisions.append(100 * found / total)
        else:
            divisor *= 2
            precisions.append(100 / (divisor * total))
    return tuple(precisions)
