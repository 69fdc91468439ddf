"""Measures of the question set: answers and their spans, shared words, splits, found or not found."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from course_lib.core.types import Document, Question
from course_lib.corpus.chunking import sentence_spans
from course_lib.corpus.quality import content_words

_TOKEN = re.compile(r"\d+(?:[.:]\d+)*|[^\W\d]+(?:'[^\W\d]+)*|[€$£%°]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ARTICLES = {"a", "an", "the"}


def normalised(text: str) -> str:
    """Return text for comparing answers: lower case, no articles, punctuation or thousands commas, single spaces.

    Letters and digits that touch are divided ("7kW" is "7 kw"); signs of currency and per cent stay.
    """
    tokens = _TOKEN.findall(_THOUSANDS.sub("", text.lower().replace("\u2019", "'")))
    return " ".join(token for token in tokens if token not in _ARTICLES)


def holds_answer(text: str, answers: Iterable[str]) -> bool:
    """Whether one of the answers stands in text as whole words, both normalised. An answer without words never does."""
    inside = f" {normalised(text)} "
    return any(f" {normalised(answer)} " in inside for answer in answers if normalised(answer))


def question_key(text: str) -> str:
    """Return a short hash of a question's text, to key caches with."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def answer_in_span(question: Question) -> bool:
    """Whether one of the gold answers stands in one of the gold spans."""
    return any(holds_answer(span.quote, question.answers) for span in question.gold)


def shared_with_gold(question: Question) -> frozenset[str]:
    """Return the stems of the content words that stand both in the question and in one of its gold spans."""
    return content_words(question.text) & content_words(" ".join(span.quote for span in question.gold))


def gold_found(question: Question, doc_ids: Iterable[str]) -> bool:
    """Whether the documents found suffice: every gold document is among them, or any where one alone answers.

    Raises ValueError for a question without gold: for it the measure is undefined.
    """
    wanted = {span.doc_id for span in question.gold}
    if not wanted:
        raise ValueError(f"{question.question_id} has no gold document: recall is undefined for it")
    found = wanted & set(doc_ids)
    return bool(found) if question.any_gold else found == wanted


def found_by_kind(questions: Iterable[Question], retrieved: Mapping[str, Sequence[str]]) -> dict[str, list[bool]]:
    """Return for every kind whether each of its questions was answered by what was retrieved for it.

    retrieved: doc_ids by question_id, already cut at k. Questions without gold are left out.
    """
    found: dict[str, list[bool]] = defaultdict(list)
    for question in questions:
        if question.gold:
            found[question.kind].append(gold_found(question, retrieved[question.question_id]))
    return dict(found)


def documents_asked(question: Question) -> set[str]:
    """Return the documents that a question is about: its gold, and the one that an unanswerable question is near."""
    return {span.doc_id for span in question.gold} | ({question.near} if question.near else set())


def shared_between_splits(questions: Iterable[Question], roots: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """Return every document asked in more than one split: its id, and the question_ids by split.

    roots: the id that stands for a document's chain of versions, see `quality.chain_roots`.
    """
    asked: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for question in questions:
        for doc_id in sorted({roots[doc_id] for doc_id in documents_asked(question)}):
            asked[doc_id][question.split].append(question.question_id)
    return {doc_id: dict(splits) for doc_id, splits in sorted(asked.items()) if len(splits) > 1}


def same_place(quote: str, document: Document, *, without: Iterable[str] = ()) -> tuple[str, float]:
    """Return the stretch of a document that stands where quote stands in another version, and how alike they are.

    The stretch has as many sentences as the quote and shares most of its content words (Jaccard, 0 to 1; the first
    where several tie). without: answers whose words do not count, lest the answer itself attracts.
    """
    dropped = frozenset(word for answer in without for word in content_words(answer))
    wanted = content_words(quote) - dropped
    spans, n = sentence_spans(document.text), len(sentence_spans(quote))
    best, best_similarity = "", -1.0
    for first, last in zip(spans, spans[n - 1 :], strict=False):
        stretch = document.text[first[0] : last[1]]
        there = content_words(stretch) - dropped
        similarity = len(wanted & there) / max(len(wanted | there), 1)
        if similarity > best_similarity:
            best, best_similarity = stretch, similarity
    return best, best_similarity


def older_versions_that_agree(question: Question, chain: Sequence[Document]) -> list[str]:
    """Return the doc_ids of the other versions that give the same answer in the place of the question's gold span."""
    golden = {span.doc_id for span in question.gold}
    return [
        version.doc_id
        for version in chain
        for span in question.gold
        if version.doc_id not in golden
        and holds_answer(same_place(span.quote, version, without=question.answers)[0], question.answers)
    ]
