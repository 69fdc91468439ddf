"""What the answers of a tuned generator are worth: the measures that stand on an adapter's card."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from course_lib.corpus.chunking import sentence_spans
from course_lib.evaluation.answers import abstains, abstention_scores, citation_scores, contains, exact_match, pooled
from course_lib.evaluation.readability import readability, words_of
from course_lib.evaluation.style import style_report
from course_lib.generation.citing import cited_numbers, without_numbers
from course_lib.systems.tuning_sets import TuningExample

Scores = dict[str, float | None]
Measure = Callable[[Sequence[TuningExample], Sequence[str]], Scores]


def short_answer_scores(examples: Sequence[TuningExample], replies: Sequence[str]) -> Scores:
    """Return exact match, containment and abstention of short answers; numbers in brackets are taken out before.

    exact, contained: means over the examples that have an answer; an abstention counts as wrong. citation_*: of the
    passages cited, the share that answers, and of those that answer, the share cited. None where undefined.
    """
    said = [without_numbers(reply) for reply in replies]
    answerable = [bool(each.golds) for each in examples]
    known = [(text, each.golds) for text, each in zip(said, examples, strict=True) if each.golds]
    silent = abstention_scores([abstains(text) for text in said], answerable)
    citing = pooled(
        citation_scores(cited_numbers(reply), cited_numbers(each.answer))
        for reply, each in zip(replies, examples, strict=True)
        if each.golds
    )
    return {
        "n": len(examples),
        "n answerable": len(known),
        "exact": _share([exact_match(text, golds) for text, golds in known]),
        "contained": _share([contains(text, golds) for text, golds in known]),
        "abstention precision": silent.precision if silent.said else None,
        "abstention recall": silent.recall if silent.wanted else None,
        "citation precision": citing.precision if citing.said else None,
        "citation recall": citing.recall if citing.wanted else None,
    }


def style_scores(examples: Sequence[TuningExample], replies: Sequence[str]) -> Scores:
    """Return the mean share of the house style's rules that an answer keeps, and the share of answers that keep all."""
    reports = [style_report(reply) for reply in replies if reply.strip()]
    return {
        "n": len(examples),
        "rules kept": _share([report.share for report in reports] + [0.0] * (len(replies) - len(reports))),
        "all rules": _share([float(not report.broken) for report in reports] + [0.0] * (len(replies) - len(reports))),
        "words": _share([len(reply.split()) for reply in replies]),
    }


def plain_words_scores(examples: Sequence[TuningExample], replies: Sequence[str]) -> Scores:
    """Return the share of what must be kept (golds) that stands in the text, its mean school grade and its words.

    grade: Flesch-Kincaid, smaller is easier; a text without a word has none.
    """
    kept = [float(gold in reply) for each, reply in zip(examples, replies, strict=True) for gold in each.golds]
    grades = [readability(reply, sentence_spans).grade for reply in replies if words_of(reply)]
    words = [len(reply.split()) for reply in replies]
    return {"n": len(examples), "kept": _share(kept), "grade": _share(grades), "words": _share(words)}


def _share(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
