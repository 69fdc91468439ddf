"""Transformations by rule, without a language model: the least that one has to beat."""

from __future__ import annotations

import re
from dataclasses import dataclass

from course_lib.core.protocols import Retriever
from course_lib.core.validate import require_text
from course_lib.retrieval.exact import indexed_text
from course_lib.retrieval.query import Transformed, transformed

_GREETING = r"(?:hi|hello|hey|good (?:morning|afternoon|evening)|dear (?:sir|madam|team|all))(?: there| all| everyone)?"
_EXCUSE = (
    r"(?:i am |i'm |so )?sorry to (?:bother|trouble) you(?: again)?(?:,? but)?|excuse me(?:,? but)?|just wondering"
)
_REQUEST = (
    r"(?:please )?(?:can|could|would|will) (?:you|somebody|someone|anyone) (?:please |perhaps |kindly )?"
    r"(?:tell me|let me know|help me find out|explain(?: to me)?)|do you (?:happen to )?know|please tell me|tell me"
    r"|i was wondering(?: if you (?:could tell me|know))?|i(?:'d| would) like to know"
    r"|i(?:'ve| have)(?: got)? a (?:quick |simple )?question(?: for you)?|(?:quick|simple|silly) question"
)
_THANKS = (
    r"(?:many |a thousand )?thanks?(?: you)?(?: (?:so |very )much| a lot)?(?: in advance)?(?: for (?:your|any) help)?"
    r"|cheers|please|kind regards|best wishes|any help is (?:welcome|appreciated)"
)
_OPENING = re.compile(rf"^(?:{_GREETING}|{_EXCUSE}|{_REQUEST}|{_THANKS})\b(?!-)[\s,.;:!–-]*", re.IGNORECASE)
_CLOSING = re.compile(rf"[\s,.;:!–-]+(?:{_THANKS})\s*(?P<mark>[.?!]*)$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def strip_chatter(query: str) -> str:
    """Return a query without the greetings, requests and thanks at the ends of its sentences.

    A list of phrases, not an understanding: small talk that the list lacks stays. A query that is nothing but chatter
    is returned whole.
    """
    kept = []
    for sentence in _SENTENCE_END.split(require_text(query, name="query").strip()):
        before = None
        while sentence and sentence != before:
            before = sentence
            sentence = _CLOSING.sub(lambda match: match["mark"], _OPENING.sub("", sentence))
        if sentence.strip(" .,;:!?"):
            kept.append(sentence)
    return " ".join(kept) or query


_NAMED_FIRST = re.compile(r"^(?P<a>[^,:]+?) (?:and|or) (?P<b>[^,:]+): (?P<stem>.+)$")
_CHOICE = re.compile(r"^(?P<stem>.+), (?P<a>[^,]+?) or (?P<b>[^,]+)$")
_COMPARED_FIRST = re.compile(r"^compared (?:with|to) (?P<b>[^,]+), (?P<a>.+)$", re.IGNORECASE)
_AUXILIARY = r"(?:can|could|did|do|does|is|are|was|were|will|would|has|have|had)"
_INVERTED = re.compile(
    rf"^(?:by )?how (?:much|many|long)(?: [\w-]+){{0,4}} (?:than|after|before) (?P<a>.+?) {_AUXILIARY} (?P<b>.+)$",
    re.IGNORECASE,
)
_MIDDLE = re.compile(
    r"^(?P<a>.+?),? (?:than|compared (?:with|to)|exceed|outdo|outnumber|outweigh|outlast|beat|fall short of|go beyond) "
    r"(?P<b>.+)$",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"^(?P<stem>(?:by )?how (?:much|many|long).*?) (?:between (?P<a>.+?) and|from (?P<c>.+?) to) (?P<b>.+)$",
    re.IGNORECASE,
)


def split_comparison(query: str) -> list[str]:
    """Return a query for each side of a comparison, or [] if no pattern sees one.

    "A and B: which ...?", "Which ..., A or B?", "Compared with B, ... A?", "How many more than B does A ...?",
    "... A than B?", "How many ... between A and B?" (or from A to B). Patterns, not an understanding: "Which way did
    the wind blow, north or northwest?" is split, "Is a Kite 3 newer?" is not.
    """
    text = require_text(query, name="query").strip().rstrip("?").strip()
    if match := _NAMED_FIRST.match(text) or _CHOICE.match(text):
        return [f"{match['stem']}: {match[side]}" for side in ("a", "b")]
    if match := _COMPARED_FIRST.match(text) or _INVERTED.match(text):
        return [match["a"], match["b"]]
    if match := _MIDDLE.match(text):
        return [match["a"], _with_shared_beginning(match["a"], match["b"])]
    if match := _RANGE.match(text):
        return [f"{match['stem']} {match['a'] or match['c']}", f"{match['stem']} {match['b']}"]
    return []


def _with_shared_beginning(left: str, right: str) -> str:
    """Let right go on from the word of left that it repeats: "players in Italy", "in Russia" -> "players in Russia"."""
    words, first = left.split(), right.split()[0]
    return " ".join([*words[: words.index(first)], right]) if first in words else right


def without_chatter(query: str) -> Transformed:
    """Search a query without its chatter (`strip_chatter`), and not as it was typed."""
    return transformed(query, [strip_chatter(query)], keep_original=False)


def by_parts(query: str) -> Transformed:
    """Search a comparison as it stands and by each of its sides (`split_comparison`)."""
    sides = split_comparison(query)
    return transformed(
        query, sides, fuse="turns", note="" if sides else "no pattern of a comparison: it is searched as it stands"
    )


@dataclass(frozen=True)
class Feedback:
    """Search again with the mean of the query's vector and those of its n best hits (Rocchio, 1971).

    HyDE without a language model: the passages that lend their words are real, whether they are right or wrong.
    """

    retriever: Retriever
    n: int = 3

    def __call__(self, query: str) -> Transformed:
        chunks = [self.retriever.chunk(hit.chunk_id) for hit in self.retriever.search(query, self.n)]
        return transformed(query, [indexed_text(chunk) for chunk in chunks], fuse="mean")
