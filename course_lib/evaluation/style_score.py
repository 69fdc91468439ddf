"""How likely is an answer to be house style rather than plain? Learned from pairs, so that the topic can tell nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.core.seeds import SEED
from course_lib.core.validate import NotFittedError, require_text
from course_lib.evaluation.significance import Interval, bootstrap_interval

Pair = tuple[str, str]  # the house answer and the plain answer to one question
Scores = npt.NDArray[np.float64]
INVERSE_PENALTY = 10.0  # softer than scikit-learn's 1: a few hundred short texts, and scores near 0 and 1

_SOURCE = re.compile(r"\s*\([A-Z][^()]*, \d{4}\)")
_STEP = re.compile(r"\bNext step:\s*", re.I)
_WORDS = r"(?u)\b\w+(?:['’]\w+)?\b|[:;()/,]"


def without_marks(text: str) -> str:
    """Return text without sources in brackets and without the words "Next step:", which alone give house style away."""
    return _STEP.sub("", _SOURCE.sub("", text))


class StyleScore:
    """Logistic regression over TF-IDF of words and pairs of words: a baseline that shows its weights.

    Every pair answers one question twice, so that words of the topic stand on both sides and cannot tell them apart.
    marks: False takes the sources and "Next step:" away, so that the voice alone counts (rules see the marks better).
    """

    def __init__(self, *, marks: bool = True) -> None:
        self.marks = marks
        self.vectors_: Any = None
        self.model_: Any = None

    def fit(self, pairs: Sequence[Pair]) -> StyleScore:
        """Learn from (house answer, plain answer). Raises ValueError below two pairs, or for a pair of equal texts."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        if len(pairs) < 2:
            raise ValueError(f"pairs must hold at least two pairs of answers, got {len(pairs)}")
        for house, plain in pairs:
            if self._read(house) == self._read(plain):
                raise ValueError(
                    f"the two answers of a pair must differ in what the score reads, got {house!r:.60} twice"
                )
        self.vectors_ = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORDS)
        texts = [self._read(text) for pair in pairs for text in pair]
        features = self.vectors_.fit_transform(texts)  # (2 n_pairs, n_features)
        self.model_ = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(features, [1, 0] * len(pairs))
        return self

    def __call__(self, texts: Sequence[str]) -> Scores:
        """Return (n,) probabilities, 0 to 1, of house style; a text of unknown words gets what the bias says.

        Comparable among texts of one length and kind; copying a policy scores in between, since policies say "we" too.
        Raises NotFittedError before fit, TypeError for one str, ValueError for an empty text.
        """
        if self.model_ is None:
            raise NotFittedError("call fit with pairs of answers before you score texts")
        if isinstance(texts, str):
            raise TypeError(f"texts must be a list of answers, got the str {texts!r:.60}; write [answer]")
        if not len(texts):
            return np.zeros(0)
        features = self.vectors_.transform([self._read(require_text(text, name="text")) for text in texts])
        return np.asarray(self.model_.predict_proba(features)[:, 1], dtype=np.float64)  # (n,)

    def strongest(self, n: int = 10) -> tuple[list[str], list[str]]:
        """Return the n features that speak most for house style, and the n that speak most for plain, strongest first.

        Raises NotFittedError before fit, ValueError unless 1 <= n.
        """
        if self.model_ is None:
            raise NotFittedError("call fit with pairs of answers before you ask for its weights")
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        names, weights = self.vectors_.get_feature_names_out(), self.model_.coef_[0]  # (n_features,)
        order = sorted(range(len(names)), key=lambda i: (weights[i], names[i]))
        return [str(names[i]) for i in reversed(order[-n:])], [str(names[i]) for i in order[:n]]

    def _read(self, text: str) -> str:
        return text if self.marks else without_marks(text)


def grouped_folds(groups: Sequence[str], *, n_folds: int = 5, seed: int = SEED) -> list[list[int]]:
    """Return the positions of each fold; all that share a group (a document, say) lie in one fold.

    Groups are shuffled and dealt out in turn, the largest first, each to the fold that holds least. Raises ValueError
    unless 2 <= n_folds <= the number of groups.
    """
    names = sorted(set(groups))
    if not 2 <= n_folds <= len(names):
        raise ValueError(f"n_folds must be between 2 and the {len(names)} groups, got {n_folds}")
    np.random.default_rng(seed).shuffle(names)
    places = {name: [i for i, group in enumerate(groups) if group == name] for name in names}
    folds: list[list[int]] = [[] for _ in range(n_folds)]
    for name in sorted(names, key=lambda name: -len(places[name])):  # stable: shuffled among equal sizes
        min(folds, key=len).extend(places[name])
    return [sorted(fold) for fold in folds]


@dataclass(frozen=True)
class HeldOut:
    """What classifiers said of pairs whose documents they had not seen. house, plain: (n_pairs,) probabilities."""

    house: Scores
    plain: Scores

    @property
    def accuracy(self) -> Interval:
        """The share of answers on the right side of 0.5, with an interval over pairs; chance is 0.5."""
        return bootstrap_interval(((self.house > 0.5).astype(float) + (self.plain < 0.5)) / 2)

    @property
    def in_order(self) -> Interval:
        """The share of pairs whose house answer scores higher, with an interval; chance is 0.5."""
        return bootstrap_interval((self.house > self.plain).astype(float))


def held_out_scores(
    pairs: Sequence[Pair], groups: Sequence[str], *, marks: bool = True, n_folds: int = 5, seed: int = SEED
) -> HeldOut:
    """Score each pair by a classifier fitted to the pairs of other groups. Raises ValueError as `grouped_folds` does."""
    if len(pairs) != len(groups):
        raise ValueError(f"groups must name one group for each of the {len(pairs)} pairs, got {len(groups)}")
    house, plain = np.zeros(len(pairs)), np.zeros(len(pairs))
    for fold in grouped_folds(groups, n_folds=n_folds, seed=seed):
        held = set(fold)
        score = StyleScore(marks=marks).fit([pair for i, pair in enumerate(pairs) if i not in held])
        house[fold], plain[fold] = score([pairs[i][0] for i in fold]), score([pairs[i][1] for i in fold])
    return HeldOut(house, plain)
