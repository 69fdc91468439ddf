"""Where a reply ends: stop strings, the first sentence, and what may be shown of a reply that still grows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from course_lib.generation.citing import sentences

FIRST_SENTENCE = "first sentence"

Stop = str | Sequence[str]

_UNDECIDED = re.compile(r"\s*(?:[\"'(]|\[[0-9,;\s]*)?$")  # after it, a sentence may begin, or a citation of this one


def stop_rules(stop: Stop) -> tuple[str, ...]:
    """Return stop as a sorted tuple, each rule once: the order of rules changes nothing.

    A rule is a string that ends the reply and is not part of it, or FIRST_SENTENCE. One string is one rule. Raises
    TypeError for anything else, ValueError for an empty string.
    """
    rules = (stop,) if isinstance(stop, str) else tuple(stop)
    for rule in rules:
        if not isinstance(rule, str):
            raise TypeError(f'stop must hold strings, got {rule!r} ({type(rule).__name__}); write stop=("\\n",)')
        if not rule:
            raise ValueError("stop must hold no empty string: it would end every reply before it begins; leave it out")
    return tuple(sorted(set(rules)))


def cut_at(text: str, rules: Sequence[str]) -> int | None:
    """Return where the reply ends in a text read letter by letter, or None if no rule has decided yet.

    The rule that is decided first counts: of "abcd" and "bc", "bc" in "abcd". White space before the reply is no part
    of it: pass text without it. FIRST_SENTENCE is decided when a second sentence begins.
    """
    decided: list[tuple[int, int]] = []  # (letters read, where to cut)
    for rule in rules:
        if rule == FIRST_SENTENCE:
            spans = sentences(text)
            if len(spans) > 1:
                begins = spans[1][0] + 1
                read = next(n for n in range(begins, len(text) + 1) if len(sentences(text[:n])) > 1)
                decided.append((read, spans[0][1]))
        elif (found := text.find(rule)) >= 0:
            decided.append((found + len(rule), found))
    return min(decided)[1] if decided else None


def finished(text: str, rules: Sequence[str] = ()) -> str:
    """Return the reply that a model's text is: up to where a rule ends it, without white space around it."""
    text = text.lstrip()
    return text[: cut_at(text, rules)].rstrip()


def showable(text: str, rules: Sequence[str] = ()) -> str:
    """Return what is certain to stand in the reply, of a text that still grows.

    Held back: white space that may be the last, half a character (decoders write it as U+FFFD), the beginning of a stop
    string, and under FIRST_SENTENCE what may belong to the second. So that `showable` of a text is a prefix of
    `showable` of every longer one, and of what `finished` makes of it.
    """
    text = text.lstrip()
    if cut_at(text, rules) is not None:
        return finished(text, rules)
    text = text.rstrip("\ufffd")
    certain = len(text)
    for rule in rules:
        if rule == FIRST_SENTENCE:
            held = _UNDECIDED.search(text)
            certain = min(certain, held.start() if held else len(text))
            continue
        for length in range(min(len(rule) - 1, len(text)), 0, -1):
            if text.endswith(rule[:length]):
                certain = min(certain, len(text) - length)
                break
    return text[:certain].rstrip()


def pieces(growing: Iterable[str], rules: Sequence[str] = ()) -> Iterator[str]:
    """Yield the reply piece by piece, none of them empty: joined they are `finished` of the last text.

    growing: the whole text so far, again and again; the last one is whole. Nothing is read after a rule has decided.
    Raises RuntimeError if a text takes back what was shown.
    """
    shown, text = "", ""
    try:
        for text in growing:
            ready = showable(text, rules)
            if not ready.startswith(shown):
                break
            if len(ready) > len(shown):
                yield ready[len(shown) :]
                shown = ready
            if rules and cut_at(text.lstrip(), rules) is not None:
                break
    finally:
        close = getattr(growing, "close", None)  # a generator's: what it holds open, ends now
        if close:
            close()
    whole = finished(text, rules)
    if not whole.startswith(shown):
        raise RuntimeError(f"a reply must grow at its end, but {shown[-20:]!r} was taken back; use generate instead")
    if len(whole) > len(shown):
        yield whole[len(shown) :]
