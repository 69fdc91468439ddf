"""Measures of a set of texts: near duplicates, openings, vocabulary, sentence lengths, chains of versions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

from course_lib.core.types import Document
from course_lib.corpus.chunking import sentence_spans

# Words that carry grammar, not content. No noun and no full verb is among them: "day" and "bill" count as content.
_GRAMMAR = """
    a about above across after again against all almost along already also although always am among an and another
    any anybody anyone anything anywhere are around as at away be because been before being below between both but by
    can cannot could did do does doing done down during each either else enough even ever every everybody everyone
    everything everywhere few for from further had has have having he her here hers herself him himself his how however
    i if in indeed instead into is it its itself just least less many may me might mine more most much must my myself
    neither never no nobody none nor not nothing now nowhere of off often on once one only onto or other others our ours
    ourselves out over own per perhaps quite rather really same shall she should since so some somebody someone
    something sometimes somewhere soon still such than that the their theirs them themselves then there therefore these
    they this those though through throughout thus till to together too toward towards two under until up upon us very
    was we well were what whatever when whenever where whereas wherever whether which while who whoever whole whom whose
    why will with within without would yes yet you your yours yourself
    don't doesn't didn't isn't aren't wasn't weren't won't wouldn't can't couldn't shouldn't hasn't haven't hadn't
    i'm i've i'd i'll you're you've you'd you'll he's she's it's we're we've we'd we'll they're they've they'd they'll
    that's there's what's who's where's how's let's
"""
STOP_WORDS = frozenset(_GRAMMAR.split())

_WORD = re.compile(r"\w+(?:[.,]\d+|'\w+)*")


def words(text: str) -> list[str]:
    """Return the words in lower case. Hyphens divide words; 4.63, 12,000 and don't are one word each."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@cache
def stem(word: str) -> str:
    """Return the stem of a word in lower case (Porter2, Porter 2001)."""
    return str(_stemmer().stemWord(word))


def stems(text: str) -> list[str]:
    """Return the stems of the content words, in their order: no stop words, no single letters."""
    bare = (word.removesuffix("'s") for word in words(text) if word not in STOP_WORDS)
    return [stem(word) for word in bare if word not in STOP_WORDS and (len(word) > 1 or word.isdigit())]


def content_words(text: str) -> frozenset[str]:
    """Return the different stems of the content words."""
    return frozenset(stems(text))


def shingles(text: str, n: int = 5) -> frozenset[tuple[str, ...]]:
    """Return all runs of n words (Broder, 1997). A text shorter than that is one run; an empty one has none.

    Raises ValueError if n < 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    tokens = words(text)
    if len(tokens) < n:
        return frozenset({tuple(tokens)} if tokens else ())
    return frozenset(zip(*(tokens[i:] for i in range(n)), strict=False))


@dataclass(frozen=True)
class NearDuplicates:
    """Two texts of a set, by id, and the share of their word runs that stand in both (Jaccard, 0 to 1)."""

    first: str
    second: str
    similarity: float


def near_duplicates(texts: Mapping[str, str], *, threshold: float, n: int = 5) -> list[NearDuplicates]:
    """Return all pairs of texts whose n-word shingles have a Jaccard similarity >= threshold, most alike first.

    Exact, through an inverted index: pairs without a common shingle cost nothing. Equal ones in order of id.
    Texts without words are like nothing. Raises ValueError unless 0 < threshold <= 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")
    runs = {key: shingles(text, n) for key, text in sorted(texts.items())}
    holders: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, found in runs.items():
        for run in found:
            holders[run].append(key)
    shared = Counter(pair for keys in holders.values() for pair in combinations(keys, 2))
    similar = (
        NearDuplicates(first, second, both / (len(runs[first]) + len(runs[second]) - both))
        for (first, second), both in shared.items()
    )
    alike = [pair for pair in similar if pair.similarity >= threshold]
    return sorted(alike, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def opening(text: str, n: int = 5) -> str:
    """Return the first n words of a text, in lower case."""
    return " ".join(words(text)[:n])


def repeated_openings(texts: Mapping[str, str], *, more_than: int, n: int = 5) -> dict[str, list[str]]:
    """Return every opening of n words that more than so many texts share, with their ids."""
    holders: dict[str, list[str]] = defaultdict(list)
    for key, text in texts.items():
        holders[opening(text, n)].append(key)
    return {start: keys for start, keys in sorted(holders.items()) if len(keys) > more_than}


def vocabulary(texts: Iterable[str]) -> Counter[str]:
    """Return how many texts each stem stands in (the document frequency)."""
    return Counter(stem for text in texts for stem in content_words(text))


def sentence_lengths(text: str) -> list[int]:
    """Return the number of words of each sentence; words are what white space divides."""
    return [len(text[start:end].split()) for start, end in sentence_spans(text)]


def chains(documents: Iterable[Document]) -> list[list[Document]]:
    """Return every chain of versions, oldest first; documents without other versions are in none.

    Follows superseded_by from each document that supersedes none. Raises ValueError for a link to a document that is
    not among them.
    """
    known = {document.doc_id: document for document in documents}
    found = []
    for document in known.values():
        if document.supersedes is None and document.superseded_by is not None:
            chain = [document]
            while (later := chain[-1].superseded_by) is not None:
                if later not in known:
                    raise ValueError(f"superseded_by must name a document, but {chain[-1].doc_id} names {later!r}")
                if len(chain) > len(known):
                    raise ValueError(f"versions must not run in a circle, but those of {document.doc_id} do")
                chain.append(known[later])
            found.append(chain)
    return found


def broken_links(documents: Iterable[Document]) -> list[str]:
    """Return in words every link between versions that is one-sided, leaves the shelf or goes back in time."""
    known = {document.doc_id: document for document in documents}
    problems = []
    for document in known.values():
        for field, other_field in (("supersedes", "superseded_by"), ("superseded_by", "supersedes")):
            other_id = getattr(document, field)
            if other_id is None:
                continue
            other = known.get(other_id)
            if other is None:
                problems.append(f"{document.doc_id}: {field} names {other_id}, which does not exist")
            elif getattr(other, other_field) != document.doc_id:
                problems.append(f"{document.doc_id}: {field} names {other_id}, whose {other_field} does not name it")
            elif other.shelf != document.shelf:
                problems.append(f"{document.doc_id}: {field} names {other_id} on another shelf")
            elif field == "supersedes" and other.date >= document.date:
                problems.append(f"{document.doc_id}: not later than {other_id}, which it supersedes")
    return problems


def chain_roots(documents: Sequence[Document]) -> dict[str, str]:
    """Return for every doc_id the id of the oldest version of its chain; its own where there are no versions."""
    roots = {document.doc_id: document.doc_id for document in documents}
    for chain in chains(documents):
        roots |= {version.doc_id: chain[0].doc_id for version in chain}
    return roots
