"""The needle test: a sentence that nobody could guess, at a known depth of a context of a known length."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Needle:
    """An invented fact, the question that asks for it, and what a right answer contains."""

    sentence: str
    question: str
    answers: tuple[str, ...]


def _needle(sentence: str, question: str, *answers: str) -> Needle:
    return Needle(sentence, question, answers)


NEEDLES = (
    _needle("The door code of the archive in Tromsø is 7419.", "What is the door code of the archive in Tromsø?", "7419"),
    _needle("Maud Ferrant keeps the spare key in a blue teapot.", "Where does Maud Ferrant keep the spare key?", "teapot"),
    _needle("The night ferry to Korsvik leaves from pier 36.", "From which pier does the night ferry to Korsvik leave?", "36"),
    _needle("Doctor Okonjo's parrot is called Admiral.", "What is Doctor Okonjo's parrot called?", "Admiral"),
    _needle("The choir of Lannec rehearses on Thursday evenings.", "On which day does the choir of Lannec rehearse?", "Thursday"),
    _needle("The clockmaker of Zell charges 58 crowns for a new spring.", "How many crowns does the clockmaker of Zell charge for a new spring?", "58"),
    _needle("Professor Adeyemi's favourite fruit is the quince.", "What is Professor Adeyemi's favourite fruit?", "quince"),
    _needle("The lighthouse on Skarn island was painted orange.", "What colour was the lighthouse on Skarn island painted?", "orange"),
    _needle("The bakery in Polgarth was founded by Ines Tamblyn.", "Who founded the bakery in Polgarth?", "Tamblyn"),
    _needle("The password of the chess club in Wends is marzipan.", "What is the password of the chess club in Wends?", "marzipan"),
)  # fmt: skip


@dataclass(frozen=True)
class Haystack:
    """A text with needles in it.

    n_tokens: of the whole text, counted. depths: of each needle, in the order given, the share of the text's tokens that
    stand before it; 0 is the beginning. n_sentences: of the hay, the last perhaps cut.
    """

    text: str
    n_tokens: int
    depths: tuple[float, ...]
    n_sentences: int


def haystack(
    sentences: Sequence[str], needles: Sequence[tuple[float, str]], *, n_tokens: int, count: Callable[[str], int]
) -> Haystack:
    """Return sentences in their order with needles between them, n_tokens long, or short of it by less than a word.

    needles: (depth, sentence), depth in 0 to 1; each goes to the border of two sentences that is nearest. The last
    sentence of the hay is cut after a word, so that the length comes out. count: the tokens of a text. Raises ValueError
    for a depth outside 0 to 1, if needles alone are too long, or sentences are too short together.
    """
    for depth, _ in needles:
        if not 0 <= depth <= 1:
            raise ValueError(f"depth must lie between 0 and 1, got {depth}; 0.5 is the middle")

    def filled(n_words: int) -> list[str]:
        """The sentences with their first n_words words, the last one cut."""
        whole = bisect_right(ends, n_words)
        rest = n_words - (ends[whole - 1] if whole else 0)
        return [*sentences[:whole], " ".join(sentences[whole].split()[:rest])] if rest else list(sentences[:whole])

    ends = list(accumulate(len(sentence.split()) for sentence in sentences))
    n_hay = ends[-1] if ends else 0
    if needles and count(" ".join(sentence for _, sentence in needles)) > n_tokens:
        raise ValueError(f"n_tokens must hold the needles, got {n_tokens}; use fewer of them")
    if count(_with(list(sentences), needles)[0]) < n_tokens:
        raise ValueError(f"sentences must be at least {n_tokens} tokens long with the needles; pass more of them")
    words = bisect_right(range(n_hay + 1), n_tokens, key=lambda n: count(_with(filled(n), needles)[0])) - 1
    while words > 0 and count(_with(filled(words), needles)[0]) > n_tokens:
        words -= 1  # a cut can read as more tokens than the whole word: the search then stops a word late
    text, starts = _with(filled(words), needles)
    total = count(text)
    return Haystack(text, total, tuple(count(text[:start]) / total for start in starts), len(filled(words)))


def _with(hay: Sequence[str], needles: Sequence[tuple[float, str]]) -> tuple[str, list[int]]:
    """The hay with its needles, and the character at which each begins; depths are taken in characters of the hay."""
    ends = [0, *accumulate(len(sentence) + 1 for sentence in hay)]
    places = [min(range(len(ends)), key=lambda i: (abs(ends[i] - depth * ends[-1]), i)) for depth, _ in needles]
    pieces: list[tuple[int, str]] = []  # (number of the needle or -1, sentence)
    for place in range(len(ends)):
        pieces += [(number, needles[number][1]) for number, at in enumerate(places) if at == place]
        pieces += [(-1, hay[place])] if place < len(hay) else []
    starts, position = [0] * len(needles), 0
    for number, sentence in pieces:
        if number >= 0:
            starts[number] = position
        position += len(sentence) + 1
    return " ".join(sentence for _, sentence in pieces), starts
