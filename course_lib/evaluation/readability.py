"""How hard a text is to read, by its sentences, syllables and rare words. What it says is not looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from course_lib.core.validate import require_text

Span = tuple[int, int]
LONG = 3  # syllables from which a word counts as long

_WORD = re.compile(r"\d+(?:[.,:/]\d+)*[^\W\d_]*|[^\W_]+(?:['’-][^\W_]+)*")
_VOWELS = re.compile(r"[aeiouy]+")
_SILENT = re.compile(
    r"(?:(?<=[^aeiouyl])|(?<=[aeiouyl]l)|(?<=[aeiouy]{2}))e(?:$|(?=ly$|ments?$|ful|less|ness|body|one$|thing|times?$|where))|"
    r"(?<=[^aeiouycgsxzhl])es$|(?<=[aeiouyl]l)es$|(?<=th)es$|(?<=[^aeiouydtl])ed$|(?<=[aeiouyl]l)ed$|(?<=[gq])ue[ds]?$"
)
# Two vowels side by side that are spoken apart, and endings with a vowel that is not written.
_APART = re.compile(
    r"(?<![tcs])i(?:a(?!ge)(?<!lian(?=s?$))|o(?!n|u))|ti(?=o$)|(?<![tcsgxln])i(?=on)|(?<![tcgx])i(?=ous)|i(?=um)|"
    r"i(?=et)|(?<=...)i(?=ers?$)|(?<!fr)(?<=[rdp])i(?=en)|(?<![qg])u(?=a|en|el|id|ity|it[ai]|ous)|e(?=u[sm]$)|"
    r"(?<![gms])e(?=o(?!ple))|(?<=[dnr])e(?=as?$)|(?<=cr)e(?=at)|^re(?=ac[^h])|(?<=sc)i(?=en)|e(?=ans?$)|(?<=[cn][l])e(?=ar)|(?<=in)e(?=ar)|"
    r"[eoy](?=ing)|(?<=cl)e(?=in)|y(?=ers?$)|o(?=e[mx])|^co(?=op)|a(?=o|ic)|o(?=ea)|(?<=[sz])m(?=s?$)|(?<=th)m(?=s?$)|(?<=[ds])nt$"
)
_EXCEPTIONS = {
    **{"business": 2, "businesses": 3, "evening": 2, "evenings": 2, "safety": 2, "therefore": 2, "moreover": 3},
    **{
        "something": 2,
        "sometimes": 2,
        "someone": 2,
        "people": 2,
        "colleagues": 2,
        "wednesday": 2,
        "argue": 2,
        "element": 3,
    },
    "elements": 3,
}


def flesch_reading_ease(*, n_words: int, n_sentences: int, n_syllables: int) -> float:
    """Return 206.835 - 1.015 words a sentence - 84.6 syllables a word (Flesch, 1948); larger is easier.

    About 30 is read by graduates, 60 to 70 by most adults; no bounds. Raises ValueError for a count below 1.
    """
    _require_counts(n_words, n_sentences, n_syllables)
    return 206.835 - 1.015 * n_words / n_sentences - 84.6 * n_syllables / n_words


def flesch_kincaid_grade(*, n_words: int, n_sentences: int, n_syllables: int) -> float:
    """Return 0.39 words a sentence + 11.8 syllables a word - 15.59 (Kincaid et al., 1975): American school years.

    Smaller is easier; no bounds. Raises ValueError for a count below 1.
    """
    _require_counts(n_words, n_sentences, n_syllables)
    return 0.39 * n_words / n_sentences + 11.8 * n_syllables / n_words - 15.59


def _require_counts(n_words: int, n_sentences: int, n_syllables: int) -> None:
    for name, count in (("n_words", n_words), ("n_sentences", n_sentences), ("n_syllables", n_syllables)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}; an empty text has no readability")


def words_of(text: str) -> list[str]:
    """Return the words of text as they stand: 6.3 and 1,280 are one word, "near-usual" and "Huntington's" too."""
    return _WORD.findall(text)


def n_syllables(word: str) -> int:
    """Return how many syllables a word has, at least 1, by rules of English spelling: right for most words, not all.

    Parts of a hyphenated word add up. A figure, an initialism (MRI) and a code (GBA1) count 1, as in Flesch's own
    instructions. Raises ValueError for an empty word.
    """
    require_text(word, name="word")
    return sum(_part_syllables(part) for part in word.split("-") if part) or 1


def _part_syllables(part: str) -> int:
    if any(letter.isdigit() for letter in part) or (len(part) > 1 and part.isupper()):
        return 1
    letters = re.sub(r"['’]s?$|['’]", "", part.lower())  # didn't becomes didnt
    if letters in _EXCEPTIONS:
        return _EXCEPTIONS[letters]
    letters = re.sub(r"^y(?=[aeiou])", "", letters)
    count = len(_VOWELS.findall(letters)) + len(_APART.findall(letters)) - len(_SILENT.findall(letters))
    return max(1, count)


@dataclass(frozen=True)
class Readability:
    """What makes one text easy or hard. n_long: words of LONG syllables or more."""

    n_words: int
    n_sentences: int
    n_syllables: int
    n_long: int

    @property
    def reading_ease(self) -> float:
        """Flesch's reading ease; larger is easier."""
        return flesch_reading_ease(n_words=self.n_words, n_sentences=self.n_sentences, n_syllables=self.n_syllables)

    @property
    def grade(self) -> float:
        """The Flesch-Kincaid grade in American school years; smaller is easier."""
        return flesch_kincaid_grade(n_words=self.n_words, n_sentences=self.n_sentences, n_syllables=self.n_syllables)

    @property
    def words_a_sentence(self) -> float:
        """The mean length of a sentence in words."""
        return self.n_words / self.n_sentences

    @property
    def long_share(self) -> float:
        """The share of words with LONG syllables or more, 0 to 1."""
        return self.n_long / self.n_words


def readability(text: str, split: Callable[[str], Sequence[Span]]) -> Readability:
    """Count what the formulas need. split: a text to the (start, end) of its sentences.

    A text of a few sentences gives a rough figure: compare means over many. Raises ValueError for a text without words.
    """
    require_text(text, name="text")
    words = words_of(text)
    if not words:
        raise ValueError(f"text must hold a word, got {text!r:.60}")
    syllables = [n_syllables(word) for word in words]
    sentences = [span for span in split(text) if words_of(text[slice(*span)])]
    return Readability(len(words), len(sentences), sum(syllables), sum(count >= LONG for count in syllables))


def rare_share(text: str, common: Collection[str]) -> float:
    """Return the share of the words of text, figures left out, that are not in common, 0 to 1.

    common: words in lower case, such as the first few thousand of a vocabulary in order of frequency; names count as
    rare, in every text alike. Endings count: give a list that has them. Raises ValueError where text has no word.
    """
    known = common if isinstance(common, (set, frozenset, dict)) else frozenset(common)
    words = [part for word in words_of(text.lower()) for part in re.split(r"-|['’]s?\b", word) if part.isalpha()]
    if not words:
        raise ValueError(f"text must hold a word beside figures, got {text!r:.60}")
    return sum(word not in known for word in words) / len(words)
