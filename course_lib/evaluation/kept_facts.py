"""What a rewriting keeps of its source, loses and adds: figures, dates, names and negations, found by their form."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from course_lib.core.validate import require_text
from course_lib.evaluation.negations import compare_negations
from course_lib.evaluation.normalising import normalise

KINDS = ("number", "date", "name", "negation")
ROOT = 4  # letters that two forms of a name share

_MONTH = "january|february|march|april|may|june|july|august|september|october|november|december"
_DATE = re.compile(rf"\b(?:(?:\d{{1,2}} )?(?:{_MONTH}) \d{{4}}|\d{{1,2}} (?:{_MONTH}))\b")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_RANGE = re.compile(r"(\b\d{4}-\d\d-\d\d\b)|(?<=\d)\s*[-–]\s*(?=\d)")  # not within 2026-07-19
_SHARED_SCALE = re.compile(r"(?i)\b(\d[\d.,]*)(?= (?:to|and|or) \d[\d.,]* (thousand|million|billion)\b)")
_PART = re.compile(
    r"(?i)\b(half|halv(?:e|ed|es|ing)|twice|doubl(?:e|ed|es|ing)|"
    r"(?:(an?|one|two|three|four|five|seven|nine)[ -](third|quarter|fifth|sixth|seventh|eighth|tenth)s?))\b"
)
_DIVISOR = {"third": 3, "quarter": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "tenth": 10}
_TIMES = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "seven": 7, "nine": 9}
_DOSES = {unit: unit for unit in ("gram", "milligram", "kilogram", "litre")}  # as `normalise` writes them
_DOSES |= dict.fromkeys(("mcg", "μg", "ug", "microgram", "micrograms"), "microgram")
_DOSES |= dict.fromkeys(("ml", "millilitre", "millilitres"), "millilitre")
_DOSES |= {"iu": "unit", "mmol": "millimole", "tablet": "tablet", "tablets": "tablet", "drop": "drop", "drops": "drop"}
_SPANS = "percent second minute hour day week month year euro dollar pound"
_UNITS = {unit: unit for unit in _SPANS.split()} | _DOSES
_STRICT = frozenset(_DOSES.values())  # 5 milligram is kept by 5 milligram alone, not by a bare 5
_UNIT_SIGNS = ("hz", "khz", "mhz", "ml", "mmhg", "kg", "mg", "eur")
_GLUED = re.compile(r"(?<=\d)(?=(?:ml|μg|mcg|ug|iu|mmol|mmhg)\b)")

_WORD = re.compile(r"[^\W_]+(?:[-+][^\W_]+)*\+?(?:['’]s?\b)?")
_START = re.compile(r"(?:^|[.!?:]\s+|\n)[\"“(']?$")
# Endings of drug names, most of them stems that the World Health Organization gives to names of substances (INN).
_STEM = re.compile(
    r".{2,}(?:dopa|capone|giline|mab|nersen|gacestat|perstat|zole|pezil|stigmine|mantine|mantadine|setron|triptan|oxetine|"
    r"azepam|apine|dipine|glutide|orexant|pexole|nirole|gotine|morphine|peridone|peridol|anserin|olol|sartan|statin|"
    r"formin|cillin|mycin|cycline|caine|toin|gabalin|racetam|xaban|tinib|benazine|thiazide|profen|coxib|fylline|zodone|"
    r"namide|triptyline|pramine|zolamide|ergoline)"
)


@dataclass(frozen=True, order=True)
class Fact:
    """One thing that can be kept or lost. kind: one of KINDS. text: as it is compared ("5 milligram", "24 november 2025")."""

    kind: str
    text: str


@dataclass(frozen=True)
class KeptFacts:
    """What became of the facts of a source. lost: they stand in the source only; invented: in the rewriting only."""

    kept: tuple[Fact, ...]
    lost: tuple[Fact, ...]
    invented: tuple[Fact, ...]

    @property
    def share_kept(self) -> float:
        """The share of the source's facts that are kept, 0 to 1. Raises ValueError if it has none."""
        n = len(self.kept) + len(self.lost)
        if not n:
            raise ValueError("share_kept is undefined: the source has no figure, date, name or negation; leave it out")
        return len(self.kept) / n


def kept_facts(source: str, rewriting: str, *, names: Collection[str] = ()) -> KeptFacts:
    """Compare the facts of two texts, each once however often it stands there.

    Figures are compared by value ("three" is 3), with their unit where both name one; a dose needs its own unit. Names:
    capitals within a sentence, codes, drugs known by their stem, and names given. Not seen: which figure belongs to
    which thing, a name that only begins sentences, a unit converted (24 months, 2 years counts as lost and invented).
    Negations: see `compare_negations`. Raises ValueError for an empty text.
    """
    require_text(source, name="source")
    require_text(rewriting, name="rewriting")
    theirs, ours = _numbers(source), _numbers(rewriting)
    dates, new_dates = _dates(source), _dates(rewriting)
    known = {name.casefold() for name in names} | _capitals(source) | _capitals(rewriting)
    words, new_words = _words(source), _words(rewriting)
    named, new_named = _named(words, known), _named(new_words, known)
    nots = compare_negations(source, rewriting)
    kept = [
        *(Fact("number", _said(one)) for one in theirs if any(_same(one, other) for other in ours)),
        *(Fact("date", date) for date in dates if date in new_dates),
        *(Fact("name", name) for name in named if _stands(name, new_words)),
        *(Fact("negation", words) for words in nots.kept),
    ]
    lost = [
        *(Fact("number", _said(one)) for one in theirs if not any(_same(one, other) for other in ours)),
        *(Fact("date", date) for date in dates if date not in new_dates),
        *(Fact("name", name) for name in named if not _stands(name, new_words)),
        *(Fact("negation", words) for words in nots.lost),
    ]
    invented = [
        *(Fact("number", _said(one)) for one in ours if not any(_same(other, one, added=True) for other in theirs)),
        *(Fact("date", date) for date in new_dates if not any(date in other for other in dates)),
        *(Fact("name", name) for name in new_named if not _stands(name, words)),
        *(Fact("negation", words) for words in nots.invented),
    ]
    return KeptFacts(*(tuple(sorted(set(facts))) for facts in (kept, lost, invented)))


# ---------------------------------------------------------------- figures and dates

Number = tuple[str, str]  # the value and its unit, "" where none is named


def _normal(text: str) -> str:
    spread = _SHARED_SCALE.sub(r"\1 \2", text)
    return normalise(_RANGE.sub(lambda match: match[1] or " to ", spread))


def _dates(text: str) -> set[str]:
    return set(_DATE.findall(_normal(text)))


def _numbers(text: str) -> set[Number]:
    """The figures outside dates. In "70 to 90 percent" the unit is that of both."""
    parts = {_part(match) for match in _PART.finditer(text)}
    tokens = _GLUED.sub(" ", _DATE.sub(" ", _normal(_PART.sub(" ", text)))).split()
    found: set[Number] = set()
    for place, token in enumerate(tokens):
        if re.fullmatch(r"\d{4}s", token):
            found.add((token, ""))
        elif _NUMBER.fullmatch(token):
            after = [*tokens[place + 1 : place + 4], "", "", ""]
            unit = _UNITS.get(after[0], "")
            if not unit and after[0] in ("to", "and", "or") and _NUMBER.fullmatch(after[1]):
                unit = _UNITS.get(after[2], "")
            found.add((f"{Decimal(token).normalize():f}", unit))
    return found | parts


def _part(match: re.Match[str]) -> Number:
    word = match[1].lower()
    if match[3]:
        return f"{_TIMES[match[2].lower()]}/{_DIVISOR[match[3].lower()]}", ""
    return ("1/2", "") if word.startswith("hal") else ("twice", "")


def _same(source: Number, rewriting: Number, *, added: bool = False) -> bool:
    """Whether a figure of the rewriting says the one of the source; added: whether it says nothing beyond it."""
    (value, unit), (new_value, new_unit) = source, rewriting
    if value != new_value:
        return False
    if unit == new_unit:
        return True
    strict = new_unit if added else unit
    return strict not in _STRICT and not (unit and new_unit)


def _said(number: Number) -> str:
    return " ".join(number).strip()


# ---------------------------------------------------------------- names


def _words(text: str) -> set[str]:
    """Every word in one way of writing; those with a hyphen whole and in parts."""
    words = {_bare(match[0]) for match in _WORD.finditer(text)}
    return words | {part for word in words for part in word.split("-")}


def _bare(word: str) -> str:
    return re.sub(r"['’]s?$", "", word).casefold()


def _capitals(text: str) -> set[str]:
    """Words that are names by their form: a capital within a sentence, several capitals, or letters with digits."""
    found = set()
    for match in _WORD.finditer(text):
        word = re.sub(r"['’]s?$", "", match[0])
        begins = _START.search(text[: match.start()])
        code = sum(letter.isupper() for letter in word) > 1 or (
            any(map(str.isalpha, word)) and any(map(str.isdigit, word))
        )
        if (code and not re.fullmatch(r"\d+(?:\w{0,2}|-[a-z]+)", word)) or (
            word[0].isupper() and not begins and word != "I"
        ):
            found.add(word.casefold())
    return found - set(_MONTH.split("|")) - set(_UNIT_SIGNS)


def _named(words: Iterable[str], known: Collection[str]) -> set[str]:
    return {word for word in words if word in known or _STEM.fullmatch(word)}


def _stands(name: str, words: Collection[str]) -> bool:
    """Whether words hold name, or, drugs and codes apart, a form of it: Italian for Italy, Ghana for Ghanaians."""
    if name in words:
        return True
    if _STEM.fullmatch(name) or not name.isalpha() or len(name) <= ROOT:
        return False
    return any(word[:ROOT] == name[:ROOT] and word.isalpha() and not _STEM.fullmatch(word) for word in words)
