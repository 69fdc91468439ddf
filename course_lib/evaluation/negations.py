"""Negations of a text that survive in its rewriting: which clauses say no, and whether their counterparts still do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from course_lib.core.validate import require_text

SAME = 2  # content words that two clauses must share before one is taken for the counterpart of the other

_NOT = r"no(?! doubt| matter)|not(?! only)|never|none|nor|neither|nobody|nothing|without|cannot|\w+n['’]t"
_NEGATED = re.compile(rf"\b(?:{_NOT})\b", re.I)
# A rewriting may deny in other words: missed its goal, lacks, instead of, looked alike.
_DENIED = re.compile(
    rf"\b(?:{_NOT}|fail\w*|lack\w*|absen\w*|miss|misse[ds]|instead|hardly|rarely|unable|unlike\w*|alike|others?|free of)\b",
    re.I,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_CLAUSE = re.compile(
    r"(?<=[.!?;:])\s+|\n+|,\s+(?=(?:but|and|whereas|while|although|though|which|so|yet|or)\b)|\s+(?=but\b)"
)
_CONTENT = re.compile(r"[^\W\d_]{4,}")
_FUNCTION = frozenset(
    re.findall(
        r"\w+",
        "about after also although among because been before being between both cannot could does each either even every "
        "from have having here into itself just less like many more most much must neither never none nothing only "
        "other others over same should since some such than that their them then there these they this those though "
        "through under until very were what when where whereas which while whom whose will with within without would "
        "your",
    )
)
BEFORE, AFTER = 3, 7  # words around a negation that are taken for what it denies


@dataclass(frozen=True)
class Negations:
    """Clauses that say no, in their own words. kept, lost: of the source; invented: of the rewriting."""

    kept: tuple[str, ...]
    lost: tuple[str, ...]
    invented: tuple[str, ...]


def negated_clauses(text: str) -> list[str]:
    """Return the clauses of text that hold no, not, never, none, nor, neither, nobody, nothing, without or cannot."""
    return [clause.strip() for clause in _CLAUSE.split(text) if _NEGATED.search(clause)]


def content_stems(text: str) -> frozenset[str]:
    """Return the first five letters of the words of text that are longer than three and carry meaning."""
    return frozenset(word[:5] for word in map(str.lower, _CONTENT.findall(text)) if word not in _FUNCTION)


def denied_stems(clause: str) -> frozenset[str]:
    """Return the content stems near the negations of clause: BEFORE words before and AFTER words after each."""
    near: set[str] = set()
    for match in _NEGATED.finditer(clause):
        words = [*clause[: match.start()].split()[-BEFORE:], match[0], *clause[match.end() :].split()[:AFTER]]
        near |= content_stems(" ".join(words))
    return frozenset(near)


def compare_negations(source: str, rewriting: str) -> Negations:
    """Match each clause of source that says no with a sentence of rewriting, by the content words near the negation.

    Kept: the sentence that shares most of them, or one beside it, says no too (or "missed", "lacks", "instead"); where
    none shares any, one that says no is left over. Lost: otherwise, and the weakest matches where rewriting has fewer
    words of denial than source has negations. Invented: a clause that says no, whose counterpart in source shares SAME
    words and does not. A rule, not a reader: it sees all but a few negations dropped from a copy, but fewer than
    half of those dropped from free wording, which has more of them than its source. Raises ValueError for no text.
    """
    require_text(source, name="source")
    require_text(rewriting, name="rewriting")
    sentences = [sentence.strip() for sentence in _SENTENCE.split(rewriting) if sentence.strip()]
    denying = [bool(_DENIED.search(sentence)) for sentence in sentences]
    stems = [content_stems(sentence) for sentence in sentences]
    clauses = negated_clauses(source)
    kept: dict[int, int] = {}  # number of the clause -> content words shared
    open_clauses: list[int] = []
    claimed: set[int] = set()
    for number, clause in enumerate(clauses):
        words = denied_stems(clause)
        best = max(range(len(sentences)), key=lambda i: (len(words & stems[i]), denying[i]))
        beside = [i for i in (best, best + 1, best - 1) if 0 <= i < len(sentences) and denying[i]]
        if not words & stems[best]:
            open_clauses.append(number)
        elif beside:
            kept[number] = len(words & stems[best])
            claimed.add(beside[0])
    left = sum(denies and i not in claimed for i, denies in enumerate(denying))
    kept |= dict.fromkeys(open_clauses[:left], 0)
    missing = sum(len(_NEGATED.findall(clause)) for clause in clauses) - len(_DENIED.findall(rewriting))
    for number in sorted(kept, key=lambda number: (kept[number], -number))[
        : max(0, missing - len(clauses) + len(kept))
    ]:
        del kept[number]
    return Negations(
        tuple(clause for number, clause in enumerate(clauses) if number in kept),
        tuple(clause for number, clause in enumerate(clauses) if number not in kept),
        tuple(_invented(source, rewriting)),
    )


def _invented(source: str, rewriting: str) -> list[str]:
    """Clauses that say no where the clause of the source that shares most with them does not."""
    clauses = [clause for clause in _CLAUSE.split(source) if clause.strip()]
    found = []
    for negated in negated_clauses(rewriting):
        words = denied_stems(negated)
        best = max(clauses, key=lambda clause: (len(words & content_stems(clause)), bool(_DENIED.search(clause))))
        if len(words & content_stems(best)) >= SAME and not _DENIED.search(best):
            found.append(negated)
    return found
