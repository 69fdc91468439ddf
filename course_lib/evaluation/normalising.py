"""One way to write an answer: what counts as the same answer is decided here and nowhere else."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTHS = _MONTH_NAMES.split()
_MONTH = {form: month for month in _MONTHS for form in (month, month[:3])} | {"sept": "september"}
_TEENS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORTH = {word: value for value, word in enumerate(_TEENS.split())}
_WORTH |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_MONEY = {"eur": "euro", "€": "euro", "usd": "dollar", "$": "dollar", "us$": "dollar", "gbp": "pound", "£": "pound"}
_UNITS = {
    **_MONEY,
    **{"%": "percent", "percent": "percent", "per cent": "percent", "°": "degree", "mph": "mile per hour"},
    **{"°c": "degree celsius", "° c": "degree celsius", "degree c": "degree celsius", "degrees c": "degree celsius"},
    **{"us dollar": "dollar", "us dollars": "dollar", "kph": "kilometre per hour"},
    **{"kg": "kilogram", "g": "gram", "mg": "milligram", "l": "litre", "db": "decibel", "v": "volt", "h": "hour"},
    **{"km": "kilometre", "m": "metre", "cm": "centimetre", "mm": "millimetre", "min": "minute", "hz": "hertz"},
}
for _short, _prefix in (("", ""), ("k", "kilo"), ("m", "mega"), ("g", "giga"), ("t", "tera")):
    _UNITS |= {f"{_short}w": f"{_prefix}watt", f"{_prefix}watts": f"{_prefix}watt"}
    for _form in (f"{_short}wh", f"{_prefix}watt hours", f"{_prefix}watthour", f"{_prefix}watthours"):
        _UNITS[_form] = f"{_prefix}watt hour"
_METRIC, _MASSES = "metre kilometre centimetre millimetre litre", "gram kilogram milligram"
_PLAIN = "euro dollar pound cent degree decibel volt ampere second minute hour day week month year mile"
for _unit in _METRIC.split():
    _UNITS |= {f"{_unit[:-2]}{_end}": _unit for _end in ("re", "res", "er", "ers")}
for _unit in _MASSES.split():
    _UNITS |= {f"{_unit}{_end}": _unit for _end in ("", "s", "me", "mes")}
for _unit in _PLAIN.split():
    _UNITS |= {f"{_unit}{_end}": _unit for _end in ("", "s")}
for _unit in ("mile", "miles", "kilometre", "kilometres", "kilometer", "kilometers", "km"):
    _UNITS |= {f"{_unit} {_per} hour": f"{_UNITS[_unit]} per hour" for _per in ("per", "an")}
_UNITS["km h"] = "kilometre per hour"

_TOKEN = re.compile(r"(?P<number>(?:(?<!\S)-)?\d+(?:[.:/-]\d+)*)(?P<tail>[^\W\d_]+[^\W_]*)?|us\$|[^\W_]+|°c\b|[%€$£°]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def normalise(text: str) -> str:
    """Return text in one way of writing, as SQuAD does (Rajpurkar et al., 2016), but with its numbers kept whole.

    Folded: case, accents, typographic forms, dashes. Numbers: 1,000 and "one thousand" become 1000, "1.2 million"
    1200000; "one" alone or before a unit 1. Dates become "19 july 2026". Units after a number are spelt out in the
    singular, money too (EUR 80: "80 euro"). Codes are joined (E-2042: e2042). Dropped: 's, a, an, the, punctuation,
    but not . : / - between digits (4.2, 16/27, 1-0) nor a minus sign before a number. Left as they are: 4.20 against
    4.2 (it may be a version), 19/07/2026, "nineteen fifty", British against American. Raises TypeError unless a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}: {text!r:.60}; pass the words of one answer")
    tokens = _with_dates(_with_units(_with_numbers(_tokens(_folded(text)))))
    kept = [token for token in tokens if token not in ("a", "an", "the")] or tokens
    return "1" if kept == ["one"] else " ".join(kept)


def _folded(text: str) -> str:
    text = re.sub(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))", ",", text)  # thin spaces that group digits
    text = re.sub(r"[‐‑‒–—−]", "-", unicodedata.normalize("NFKC", text))
    text = re.sub(r"(?<![^\W_])([A-Z]{1,5}|[a-z])-(?=\d)", r"\1", text)  # a code: E-2042
    letters = unicodedata.normalize("NFKD", text.casefold())
    text = unicodedata.normalize("NFKC", "".join(letter for letter in letters if not unicodedata.combining(letter)))
    text = re.sub(r"['’‘`]s\b|['’‘`]", "", text)
    text = re.sub(r"\b[a-z](?:\.[a-z])+\b\.?", lambda initials: initials[0].replace(".", ""), text)  # U.K.
    text = re.sub(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d,])", lambda number: number[0].replace(",", ""), text)
    return re.sub(r"(?<![\w.])\.(?=\d)", "0.", text)  # .5


def _tokens(text: str) -> list[str]:
    """Words, numbers and signs of money and measure; a number and the unit written onto it are two tokens."""
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        number, tail = match["number"], match["tail"]
        if number and tail and (tail in _UNITS or tail in ("st", "nd", "rd", "th")):
            tokens += [number, tail]
        else:
            tokens.append(match[0])
    return tokens


def _with_numbers(tokens: list[str]) -> list[str]:
    """Number words become digits: forty-two (two tokens by now), a hundred and five, 1.12 billion, minus four."""
    written: list[str] = []
    place = 0
    while place < len(tokens):
        value, end = _number_at(tokens, place)
        number = tokens[place] if value is None else f"{value.normalize():f}"
        if written[-1:] == ["minus"] and number[0].isdecimal() and not _NUMBER.fullmatch("".join(written[-2:-1])):
            written[-1] = f"-{number}"
        else:
            written.append(number)
        place = max(place + 1, end)
    return written


def _number_at(tokens: list[str], place: int) -> tuple[Decimal | None, int]:
    """Return the number that begins at place and the place after it; None where none begins."""
    total, end, below = None, place, Decimal("inf")  # each part must be smaller than the scale before it
    while True:
        start = end + (total is not None and tokens[end : end + 1] == ["and"])
        value, stop = _below_thousand(tokens, start, first=total is None)
        if value is None:
            return total, end
        scale = Decimal(1)
        while stop < len(tokens) and tokens[stop] in _SCALES:
            scale, stop = scale * _SCALES[tokens[stop]], stop + 1
        if value * scale >= below:
            return total, end
        total, end, below = (total or Decimal(0)) + value * scale, stop, scale
        if scale == 1:
            return total, end


def _below_thousand(tokens: list[str], place: int, *, first: bool) -> tuple[Decimal | None, int]:
    """Return a number up to hundreds, such as two hundred and six, and the place after it; digits before a scale only."""
    token, after = [*tokens[place : place + 2], "", ""][:2]
    scaled = after == "hundred" or after in _SCALES
    if first and ((token in ("a", "one") and scaled) or (token == "one" and after in _UNITS)):
        value, end = Decimal(1), place + 1
    elif first and _NUMBER.fullmatch(token) and scaled:
        value, end = Decimal(token), place + 1
    elif token in _WORTH and not (first and token == "one"):
        value, end = _below_hundred(tokens, place)
    else:
        return None, place
    if tokens[end : end + 1] == ["hundred"]:
        value, end = value * 100, end + 1
        start = end + (tokens[end : end + 1] == ["and"])
        if start < len(tokens) and tokens[start] in _WORTH:
            rest, stop = _below_hundred(tokens, start)
            if tokens[stop : stop + 1] != ["hundred"]:  # "one hundred and two hundred" are two numbers
                value, end = value + rest, stop
    return value, end


def _below_hundred(tokens: list[str], place: int) -> tuple[Decimal, int]:
    value, after = _WORTH[tokens[place]], tokens[place + 1] if place + 1 < len(tokens) else ""
    if value >= 20 and 0 < _WORTH.get(after, 0) < 10:
        return Decimal(value + _WORTH[after]), place + 2
    return Decimal(value), place + 1


def _with_units(tokens: list[str]) -> list[str]:
    """Money before a number goes behind it; a unit behind a number is spelt out in the singular."""
    written: list[str] = []
    place = 0
    while place < len(tokens):
        token, after = tokens[place], tokens[place + 1] if place + 1 < len(tokens) else ""
        if token in _MONEY and _NUMBER.fullmatch(after):
            written += [after, _MONEY[token]]
            place += 2
            continue
        place += 1
        if _NUMBER.fullmatch(token):
            for length in (3, 2, 1):
                unit = _UNITS.get(" ".join(tokens[place : place + length]))
                if unit:
                    written += [token, *unit.split()]
                    place += length
                    break
            else:
                written.append(token)
        elif token not in "%€$£°" and token not in ("us$", "°c"):
            written.append(token)
    return written


def _with_dates(tokens: list[str]) -> list[str]:
    """A day and a month become day, month: July 19th, 19 Jul, the 19th of July, 2026-07-19."""
    text = " ".join(tokens)
    names, day = "|".join(sorted(_MONTH, key=len, reverse=True)), r"(0?[1-9]|[12]\d|3[01])(?: (?:st|nd|rd|th))?"
    text = re.sub(
        r"\b(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b",
        lambda date: f"{int(date[3])} {_MONTHS[int(date[2]) - 1]} {date[1]}",
        text,
    )
    text = re.sub(rf"(?<!\S){day} (?:of )?({names})\b", lambda date: f"{int(date[1])} {_MONTH[date[2]]}", text)
    text = re.sub(rf"(?<!\S)({names}) {day}(?!\S)", lambda date: f"{int(date[2])} {_MONTH[date[1]]}", text)
    return re.sub(r"(?<=\d) (?=(?:st|nd|rd|th)\b)", "", text).split()
