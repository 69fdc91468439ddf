"""Failures as traces: what was asked, found, shown, said and cited, and the first place where it went wrong.

A rule for each kind of failure looks at a trace and returns its evidence in words. The kinds stand in the order of the
pipeline, so that the first rule that fires names the earliest cause. A diagnosis is a supposition until the repair of
that one cause works: `course_lib.systems.failure_finder` makes traces, diagnoses and repairs them, and keeps the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from course_lib.core.types import Chunk, Hit, Question
from course_lib.evaluation.answers import abstains, contains, normalise
from course_lib.generation.citing import cited_numbers, without_numbers
from course_lib.retrieval.tokenising import content_stems

LISTS = ("BM25", "MiniLM", "fused")
NEAR, FAR = 3, 30  # ranks: what one list has among its NEAR first, and the other not among its FAR first, is a gap
ALIKE = 0.8  # cosine from which two passages say nearly the same
_NUMBER = re.compile(r"\d[\d.:/-]*")

KINDS: dict[str, str] = {
    "unanswerable answered": "The collection does not say, and the system answers all the same.",
    "stale index": "The passage was published after the index was built.",
    "bad chunk border": "The words that answer are cut in two by the border between chunks.",
    "wrong version": "Another version of the document stands where the one that is asked for belongs.",
    "near-duplicate crowding": "Passages that say nearly the same take the places in the prompt.",
    "lexical gap": "Question and passage share too few words, and BM25 pulls down what the vectors found.",
    "made-up passage": "The model goes on with the list of passages and cites one that is not there.",
    "distractor": "The answer was taken from a passage that is beside the question.",
    "number misread": "The right passage was read, but another of its numbers was taken.",
    "invented": "The right passage is there, and the answer gives a number that stands in no passage.",
    "lost in the middle": "The right passage stands between others, and the answer passes it over.",
    "wrong citation": "The answer is right, but it points to a passage that does not say so.",
}


@dataclass(frozen=True)
class Trace:
    """One question on its way through a system.

    system: its settings in words. gold: ids of the chunks that answer; missing: those of them that the index lacks; cut:
    whether a gold span stands whole in no chunk. lists: name -> first hits; ranks: name -> chunk_id of gold -> rank, None
    below the depth searched. shown: ids in the order of the prompt; other_versions: those shown that are another version
    of a gold document; alike: share of the shown below the first that repeat one above. cited: ids. chunks: all named. numbered: whether
    the prompt numbers its passages.
    """

    question: Question
    system: str
    gold: tuple[str, ...]
    missing: tuple[str, ...]
    cut: bool
    lists: Mapping[str, tuple[Hit, ...]]
    ranks: Mapping[str, Mapping[str, int | None]]
    shown: tuple[str, ...]
    other_versions: tuple[str, ...]
    alike: float
    answer: str
    cited: tuple[str, ...]
    chunks: Mapping[str, Chunk]
    numbered: bool = True

    @property
    def right(self) -> bool:
        """Whether the answer holds a gold answer; for a question that cannot be answered, whether it abstains."""
        if not self.question.answers:
            return abstains(self.answer)
        return contains(self.answer, self.question.answers) == 1

    @property
    def left_out(self) -> tuple[str, ...]:
        """The gold chunks that were needed and not shown; none where one suffices and is there."""
        away = tuple(name for name in self.gold if name not in self.shown)
        return () if self.question.any_gold and len(away) < len(self.gold) else away

    def number(self, chunk_id: str) -> int:
        """Return the number of a passage in the prompt, from 1. Raises ValueError if it was not shown."""
        return self.shown.index(chunk_id) + 1


Rule = Callable[[Trace], str]


def numbers(text: str) -> set[str]:
    """Return the numbers of a text, written as `normalise` writes them; dates give day and year."""
    return {found.rstrip(".:/-") for found in _NUMBER.findall(normalise(text))}


def _own(trace: Trace) -> tuple[set[str], set[str]]:
    """The numbers and the content words that the answer adds to the question."""
    said = without_numbers(trace.answer)
    stems = set(content_stems(said)) - set(content_stems(trace.question.text))
    added = numbers(said) - numbers(trace.question.text)
    return added, {stem for stem in stems if not stem[0].isdigit()}


def _whole(trace: Trace, name: str) -> str:
    """A passage as the model reads it: with title and date."""
    chunk = trace.chunks[name]
    return f"{chunk.title} ({chunk.date.day} {chunk.date:%B %Y}) {chunk.text}"


def _words(trace: Trace, name: str) -> set[str]:
    return set(content_stems(_whole(trace, name)))


def _unanswerable(trace: Trace) -> str:
    if trace.question.answers or trace.right:
        return ""
    return "The question has no gold passage: nothing in the collection answers it. The reply is no abstention."


def _stale(trace: Trace) -> str:
    if not trace.missing:
        return ""
    chunk = trace.chunks[trace.missing[0]]
    return f"The gold passage, {chunk.title!r} of {chunk.date:%d %B %Y}, is in no list: the index does not hold it."


def _border(trace: Trace) -> str:
    return "No chunk holds the gold words whole: they begin in one and end in another." if trace.cut else ""


def _version(trace: Trace) -> str:
    if not trace.left_out or not trace.other_versions:
        return ""
    old, new = trace.chunks[trace.other_versions[0]], trace.chunks[trace.left_out[0]]
    return f"Passage {trace.number(old.chunk_id)} is the version of {old.date:%d %B %Y}; that of {new.date:%d %B %Y} is asked."


def _crowding(trace: Trace) -> str:
    if not trace.left_out or trace.alike < 0.5:
        return ""
    ranks = [rank for rank in (trace.ranks["fused"][name] for name in trace.left_out) if rank]
    if not ranks:
        return ""
    return (
        f"{round(trace.alike * (len(trace.shown) - 1))} of {len(trace.shown)} passages repeat one above them (cosine of at "
        f"least {ALIKE}); a gold passage waits at rank {min(ranks)}."
    )


def _gap(trace: Trace) -> str:
    for name in trace.left_out:
        dense, bm25 = trace.ranks["MiniLM"][name], trace.ranks["BM25"][name]
        if dense and dense <= NEAR and (not bm25 or bm25 > FAR):
            where = f"at rank {bm25}" if bm25 else "nowhere"
            fused = trace.ranks["fused"][name]
            return f"MiniLM has the gold passage at rank {dense}, BM25 {where}; fused, it falls to rank {fused}."
    return ""


def _made_up(trace: Trace) -> str:
    beyond = [number for number in cited_numbers(trace.answer) if not 1 <= number <= len(trace.shown)]
    if trace.right or trace.left_out or not beyond:
        return ""
    held = f"{len(trace.shown)} passage" + ("s" if len(trace.shown) > 1 else "")
    return f"The answer cites [{beyond[0]}], and the prompt holds {held}."


def _distractor(trace: Trace) -> str:
    if trace.right or trace.left_out or abstains(trace.answer):
        return ""
    added, stems = _own(trace)
    of_gold = [name for name in trace.gold if name in trace.shown]
    gold_numbers = set().union(*(numbers(_whole(trace, name)) for name in of_gold))
    gold_words = set().union(*(_words(trace, name) for name in of_gold))
    for name in trace.shown:
        if name in trace.gold:
            continue
        taken = sorted((added - gold_numbers) & numbers(_whole(trace, name)))
        words = (stems - gold_words) & _words(trace, name)
        if not added and len(words) >= 2 and not stems & (gold_words - _words(trace, name)):
            taken = [word for word in re.findall(r"[^\W\d]+", trace.answer) if set(content_stems(word)) & words]
        if taken:
            return f"{', '.join(taken[:3])} of the answer: in passage {trace.number(name)}, not in the gold passage."
    return ""


def _misread(trace: Trace) -> str:
    if trace.right or trace.left_out:
        return ""
    added, _ = _own(trace)
    wanted = set().union(*(numbers(gold) for gold in trace.question.answers))
    for name in trace.gold:
        if name in trace.shown and wanted:
            taken = sorted((added - wanted) & numbers(_whole(trace, name)))
            if taken:
                return f"{', '.join(taken[:3])} of the answer stands in the gold passage, beside {trace.question.answers[0]!r}."
    return ""


def _invented(trace: Trace) -> str:
    if trace.right or trace.left_out or len(trace.shown) > 1:
        return ""
    added, _ = _own(trace)
    made_up = sorted(added - set().union(*(numbers(_whole(trace, name)) for name in trace.shown)))
    return f"{', '.join(made_up[:3])} of the answer: in no passage of the prompt." if made_up else ""


def _middle(trace: Trace) -> str:
    if trace.right or trace.left_out or len(trace.shown) < 3:
        return ""
    inner = [name for name in trace.gold if name in trace.shown]
    if not inner or {trace.shown[0], trace.shown[-1]} & set(trace.gold):
        return ""
    return (
        f"The gold passage is number {trace.number(inner[0])} of {len(trace.shown)}; the answer uses none of its facts."
    )


def _citation(trace: Trace) -> str:
    if not trace.right or not trace.cited or trace.left_out or set(trace.cited) & set(trace.gold):
        return ""
    gold = next(name for name in trace.gold if name in trace.shown)
    return f"The answer cites [{trace.number(trace.cited[0])}]; the gold passage is [{trace.number(gold)}]."


_IN_ORDER: tuple[Rule, ...] = (
    _unanswerable, _stale, _border, _version, _crowding, _gap, _made_up, _distractor, _misread, _invented, _middle, _citation,
)  # fmt: skip
RULES: dict[str, Rule] = dict(zip(KINDS, _IN_ORDER, strict=True))


def failed(trace: Trace) -> bool:
    """Whether something is wrong with a trace: the answer, or what it cites."""
    return not trace.right or bool(_citation(trace))


def diagnose(trace: Trace) -> tuple[str, str] | None:
    """Return the kind of a failure and its evidence: of the rules that fire, the first on the way through the system.

    None if the trace did not fail, or no rule explains it.
    """
    if not failed(trace):
        return None
    for kind, rule in RULES.items():
        evidence = rule(trace)
        if evidence:
            return kind, evidence
    return None
