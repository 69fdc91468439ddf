"""Texts to the tokens that an index counts: words, stems, content words, codes."""

from __future__ import annotations

import re
from collections.abc import Callable

from course_lib.corpus.quality import STOP_WORDS, stem
from course_lib.retrieval.counting import words

Tokeniser = Callable[[str], list[str]]

_CODE = re.compile(r"\w+(?:[-/.:]\w+)+")


def stems(text: str) -> list[str]:
    """Return the words of a text cut to their stems (Porter, 2001), so that "refunded" meets "refund"."""
    return [stem(word) for word in words(text)]


def content_stems(text: str) -> list[str]:
    """Return the stems of a text without its stop words: words that carry grammar, such as "the" and "which"."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


def codes(text: str) -> list[str]:
    """Return the codes of a text in lower case: runs joined by - / . or : that hold a digit, such as "e-2041"."""
    return [code for code in _CODE.findall(text.lower()) if any(character.isdigit() for character in code)]


def stems_and_codes(text: str) -> list[str]:
    """Return the stems of a text, then its codes whole: "E-2041" gives "e", "2041" and "e-2041".

    A code whole is rarer than its parts, so a text that holds it stands out from one that holds 2041 of something else.
    """
    return stems(text) + codes(text)
