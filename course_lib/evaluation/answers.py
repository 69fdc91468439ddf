"""Marking answers: right or wrong against gold answers, abstentions, citations. No other module decides these."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from course_lib.evaluation.normalising import normalise

__all__ = [
    "PrecisionRecall",
    "abstains",
    "abstention_scores",
    "citation_scores",
    "contains",
    "exact_match",
    "hallucination_rate",
    "normalise",
    "pooled",
    "token_f1",
]


def exact_match(answer: str, golds: Collection[str]) -> float:
    """Return 1.0 if answer equals one of the gold answers after `normalise`, otherwise 0.0.

    golds: the canonical answer and its aliases. Raises ValueError without golds (a question without an answer is marked
    by `abstains`), or for a gold answer that is empty once normalised.
    """
    return float(normalise(answer) in _normal(golds))


def contains(answer: str, golds: Collection[str]) -> float:
    """Return 1.0 if the words of one gold answer stand in answer side by side, after `normalise`, otherwise 0.0.

    At word borders: 10 stands in "10 days", not in "2010" or "10.5". What else the answer says is not looked at: "not
    Spain but Italy" contains Spain. Raises as `exact_match`.
    """
    padded = f" {normalise(answer)} "
    return float(any(f" {gold} " in padded for gold in _normal(golds)))


def token_f1(answer: str, golds: Collection[str]) -> float:
    """Return the F1 of the words of answer against the gold answer that it fits best, in 0 to 1 (Rajpurkar et al., 2016).

    Words after `normalise`, counted as often as they occur; 0 where answer has none. Raises as `exact_match`.
    """
    said = Counter(normalise(answer).split())
    return max(_f1(said, Counter(gold.split())) for gold in _normal(golds))


def _f1(said: Counter[str], gold: Counter[str]) -> float:
    shared = (said & gold).total()
    return 2 * shared / (said.total() + gold.total())


def _normal(golds: Collection[str]) -> list[str]:
    if isinstance(golds, str):
        raise TypeError(f"golds must be a list of answers, got the str {golds!r:.60}; write [answer]")
    if not golds:
        raise ValueError(
            "golds must hold at least one gold answer, got none; mark an unanswerable question by abstains"
        )
    normal = [normalise(gold) for gold in golds]
    if "" in normal:
        raise ValueError(f"every gold answer must hold a word or a number, got {list(golds)[normal.index('')]!r}")
    return normal


_SOURCE = r"(?:passages?|texts?|contexts?|documents?|articles?|excerpts?|sources?|information|paragraphs?)"
_SAY = (
    r"(?:say|mention|state|tell|give|specify|contain|provide|include|answer|address|explain|indicate|describe|reveal|"
    r"report|name|list)"
)
_SAID = r"(?:mentioned|stated|specified|given|said|provided|answered|found|included|reported|available|named|listed)"
_ANSWER = r"(?:answer|say|tell|find|determine|know|provide|give|help|assist|confirm|identify)"
_ABSTENTION = re.compile(
    "|".join(
        (
            r"\b(?:i|we) (?:\w+ )?(?:do|did) not (?:\w+ )?(?:know|have (?:\w+ )?(?:information|answer|data))",
            r"\b(?:i|we) have no (?:information|answer|data|idea)",
            r"\b(?:i|we) (?:am|are) (?:not (?:sure|certain|aware)|unsure)\b",
            rf"\b(?:i|we) (?:cannot|can not|could not|(?:am|are) (?:unable|not able) to) (?:\w+ )?{_ANSWER}\b",
            rf"\b{_SOURCE} (?:\w+ ){{0,2}}?(?:do|does|did) not (?:\w+ )?{_SAY}\b",
            rf"\b(?:do|does|did) not (?:\w+ )?{_SAY} (?:\w+ ){{0,6}}?in (?:\w+ ){{0,2}}{_SOURCE}",
            rf"\bnot (?:\w+ )?{_SAID} (?:in|by|from) (?:\w+ ){{0,2}}{_SOURCE}",
            rf"\b(?:answer|information) (?:is|was) not {_SAID}\b",
            r"\b(?:no|not enough|insufficient) (?:mention|information|indication)\b",
            rf"\b(?:no answer|nothing) (?:\w+ ){{0,3}}in (?:\w+ ){{0,2}}{_SOURCE}",
            rf"\b(?:cannot|can not|could not) be (?:answered|determined|found|inferred|told) (?:\w+ ){{0,4}}{_SOURCE}",
        )
    )
)
_BARE = frozenset(
    ("unknown", "no answer", "unanswerable", "not answerable", "not stated", "not mentioned", "not known", "n/a", "n a")
)
_GOES_ON = re.compile(r"\b(?:but|however|although|though)\b(?!.*\b(?:not|no|cannot)\b)")
_CONTRACTIONS = (("can't", "cannot"), ("n't", " not"), ("'m", " am"), ("'re", " are"), ("'ve", " have"))


def abstains(answer: str) -> bool:
    """Return whether answer declines to answer: its first sentence says that the writer or the passages do not know.

    "I do not know", "The passages do not say", "not mentioned in the text", "There is no information on ..."; also a bare
    "unknown". Not: a fact about the world ("the cause is not known"), a first sentence that goes on to answer ("I am not
    sure, but it was 1954"), or an empty answer. Raises TypeError unless answer is a str.
    """
    if not isinstance(answer, str):
        raise TypeError(f"answer must be a str, got {type(answer).__name__}: {answer!r:.60}")
    sentence = re.split(r"(?<=[.!?])\s+|\n", answer.strip(), maxsplit=1)[0]
    plain = re.sub(r"[’‘`]", "'", sentence.casefold())
    for short, whole in _CONTRACTIONS:
        plain = re.sub(rf"{short}\b", whole, plain)
    plain = " ".join(re.sub(r"[^\w\s/]", " ", plain).split())
    if plain in _BARE:
        return True
    found = _ABSTENTION.search(plain)
    return found is not None and not _GOES_ON.search(plain, found.end())


@dataclass(frozen=True)
class PrecisionRecall:
    """Counts behind a precision and a recall; unpack it into both, or `pooled` several.

    right of the said ones are right; found of the wanted ones are found.
    """

    right: int
    said: int
    found: int
    wanted: int

    @property
    def precision(self) -> float:
        """The share of what was said that is right. Raises ValueError where nothing was said: it is undefined."""
        if not self.said:
            raise ValueError("precision is undefined where nothing was said; look at said, or pool more answers")
        return self.right / self.said

    @property
    def recall(self) -> float:
        """The share of what was wanted that was found. Raises ValueError where nothing was wanted: it is undefined."""
        if not self.wanted:
            raise ValueError("recall is undefined where nothing was wanted; leave such questions out")
        return self.found / self.wanted

    def __iter__(self) -> Iterator[float]:
        yield self.precision
        yield self.recall


def pooled(scores: Iterable[PrecisionRecall]) -> PrecisionRecall:
    """Return the scores with their counts added up: every citation weighs the same, not every answer."""
    parts = list(scores)
    return PrecisionRecall(
        right=sum(part.right for part in parts),
        said=sum(part.said for part in parts),
        found=sum(part.found for part in parts),
        wanted=sum(part.wanted for part in parts),
    )


def abstention_scores(abstained: Sequence[bool], answerable: Sequence[bool]) -> PrecisionRecall:
    """Return how well abstentions fall on the questions that cannot be answered, one value a question in each list.

    precision: of the abstentions, the share on unanswerable questions; recall: of those questions, the share met by one.
    An undefined one raises when it is read. Raises ValueError for lists of unequal length or without questions.
    """
    if len(abstained) != len(answerable) or not len(abstained):
        raise ValueError(
            f"abstained and answerable must be of the same questions, got {len(abstained)} and {len(answerable)} values"
        )
    right = sum(1 for said, can in zip(abstained, answerable, strict=True) if said and not can)
    return PrecisionRecall(
        right=right,
        said=sum(1 for said in abstained if said),
        found=right,
        wanted=sum(1 for can in answerable if not can),
    )


def citation_scores(
    cited: Collection[Hashable], gold: Collection[Hashable], *, any_gold: bool = False
) -> PrecisionRecall:
    """Return how well the passages that one answer cites agree with those that hold the answer; each counts once.

    cited, gold: ids or numbers of passages. any_gold: one of gold is enough, so one is wanted. Precision is undefined
    where nothing is cited, recall where gold is empty; either raises when it is read. `pooled` adds up many answers.
    """
    for name, given in (("cited", cited), ("gold", gold)):
        if isinstance(given, str):
            raise TypeError(f"{name} must be a list of passages, got the str {given!r:.60}; write [{name}]")
    said, wanted = set(cited), set(gold)
    right = len(said & wanted)
    if any_gold:
        return PrecisionRecall(right, len(said), min(right, 1), min(len(wanted), 1))
    return PrecisionRecall(right, len(said), right, len(wanted))


def hallucination_rate(supported: Sequence[bool], abstained: Sequence[bool]) -> float:
    """Return the share of the answers given that their passages do not support, in 0 to 1; abstentions are left out.

    supported, abstained: one value an answer. Raises ValueError for lists of unequal length, or where every answer
    abstains: nothing was claimed, so the rate is undefined.
    """
    if len(supported) != len(abstained):
        raise ValueError(
            f"supported and abstained must be of the same answers, got {len(supported)} and {len(abstained)} values"
        )
    given = [ok for ok, silent in zip(supported, abstained, strict=True) if not silent]
    if not given:
        raise ValueError("hallucination_rate is undefined where no answer was given; every one of them abstains")
    return sum(1 for ok in given if not ok) / len(given)
