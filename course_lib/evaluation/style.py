"""Is an answer in house style? Named checks of its form, each with its reason. What the answer says is not looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from course_lib.core.validate import require_text

FEWEST_WORDS, MOST_WORDS = 25, 60
SET_PHRASES = (
    "unfortunately", "please note", "please be advised", "kindly", "in order to", "as per", "with regard to", "apolog",
    "we regret", "sorry", "inconvenience", "do not hesitate", "dear customer", "valued customer", "!",
)  # fmt: skip

_SOURCE = re.compile(r"\(([A-Z][^()]*), (\d{4})\)")
_END = re.compile(r"[.!?](?=\s+[A-Z0-9\"“]|\s*$)|\n")
_OPENING = re.compile(
    r"\W*(?:hi|hello|dear|good (?:morning|day|afternoon|evening)|thank|sorry|you (?:asked|want(?:ed)? to know)|"
    r"your question|regarding|concerning|with (?:regard|respect)|according to|based on|in (?:answer|reply|response))\b",
    re.I,
)
_LIST = re.compile(r"(?:^|\n)\s*(?:[-*•–]|\d+[.)])\s|\n")
_NUMBER_WORD = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|"
    r"eighty|ninety|hundred|thousand)\b",
    re.I,
)
_MONEY = re.compile(r"[€$£]|\d\s?(?:euros?|eur)\b", re.I)


@dataclass(frozen=True)
class StyleRule:
    """One thing that a program can see of a style. reason: why the house wants it. holds: whether a text has it."""

    name: str
    reason: str
    holds: Callable[[str], bool]


@dataclass(frozen=True)
class StyleReport:
    """The rules with what became of them, in their order."""

    checks: tuple[tuple[StyleRule, bool], ...]

    @property
    def share(self) -> float:
        """The share of the rules that hold, 0 to 1."""
        return sum(held for _, held in self.checks) / len(self.checks)

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the rules that do not hold."""
        return tuple(rule.name for rule, held in self.checks if not held)


def cited_sources(text: str) -> tuple[tuple[str, int], ...]:
    """Return (name, year) of every source in brackets, as in "(Late payment policy, 2025)"."""
    return tuple((name, int(year)) for name, year in _SOURCE.findall(text))


def next_step(text: str) -> str | None:
    """Return the sentence after "Next step:" if it is the last one and the words stand once, otherwise None."""
    before, mark, after = text.partition("Next step:")
    step = after.strip()
    ends = [end.start() for end in _END.finditer(step)]
    starts_one = not before.strip() or before.rstrip()[-1] in ".!?"
    whole = len(step.split()) >= 2 and ends == [len(step) - 1] and "next step" not in f"{before}{step}".lower()
    return step if mark and starts_one and whole else None


def _first_sentence(text: str) -> str:
    end = _END.search(text.strip())
    return text.strip()[: end.end()].strip() if end else text.strip()


def _sentences(text: str) -> int:
    return sum(1 for _ in _END.finditer(text.strip()))


def _calls(pronouns: str) -> Callable[[str], bool]:
    pattern = re.compile(rf"\b(?:{pronouns})\b", re.I)
    return lambda text: bool(pattern.search(text))


HOUSE_RULES = (
    StyleRule(
        f"{FEWEST_WORDS} to {MOST_WORDS} words",
        "room for the answer, its limits and the next step, and read in a quarter of a minute",
        lambda text: FEWEST_WORDS <= len(text.split()) <= MOST_WORDS,
    ),
    StyleRule(
        "opens with the answer",
        "no greeting, apology or repeated question stands before what the reader wants to know",
        lambda text: not _OPENING.match(text),
    ),
    StyleRule(
        "one source, with its year",
        "policies change: the reader can look up the version that was meant",
        lambda text: len(cited_sources(text)) == 1,
    ),
    StyleRule(
        "source at the end of the first sentence",
        "the answer and what it rests on are read together",
        lambda text: bool(re.search(_SOURCE.pattern + r"[.?]$", _first_sentence(text))),
    ),
    StyleRule(
        "says you",
        "the answer is for one reader and says what that reader may do",
        _calls("you|your|yours|yourself|yourselves"),
    ),
    StyleRule(
        "says we", "the company does things; they do not happen by themselves", _calls("we|us|our|ours|ourselves")
    ),
    StyleRule(
        "ends with one next step",
        'the last sentence begins with "Next step:" and says one thing to do or to expect',
        lambda text: next_step(text) is not None,
    ),
    StyleRule(
        "figures in digits",
        "amounts and deadlines are found at a glance",
        lambda text: not _NUMBER_WORD.search(_SOURCE.sub("", text)),
    ),
    StyleRule("money as EUR 35", "one way to write an amount", lambda text: not _MONEY.search(text)),
    StyleRule(
        "running sentences",
        "at least two of them, no list and no notes: the answer can be read aloud on the telephone",
        lambda text: _sentences(text) >= 2 and not _LIST.search(text.strip()),
    ),
    StyleRule(
        "no set phrases",
        "they cost words and say nothing",
        lambda text: not [phrase for phrase in SET_PHRASES if phrase in text.lower()],
    ),
)


def style_report(text: str, rules: Sequence[StyleRule] = HOUSE_RULES) -> StyleReport:
    """Return which rules an answer keeps.

    Form only: an answer that is wrong, or about something else, can keep them all. Contractions are no rule: half of
    the house answers do without. Raises ValueError for an empty text or without rules, TypeError unless text is a str.
    """
    require_text(text, name="text")
    if not rules:
        raise ValueError("rules must hold at least one rule, got none; HOUSE_RULES has those of the help desk")
    return StyleReport(tuple((rule, rule.holds(text)) for rule in rules))
