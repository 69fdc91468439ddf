"""What the shipped adapters say, beside the base: style, plain words, facts, and prompts that have nothing to do with either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from course_lib.corpus.chunking import sentence_spans
from course_lib.evaluation.answers import contains, exact_match
from course_lib.evaluation.general import GENERAL_PROMPTS, general_marks
from course_lib.evaluation.readability import readability, words_of
from course_lib.evaluation.significance import bootstrap_interval, paired_difference
from course_lib.evaluation.style import style_report
from course_lib.generation.cached import CachedGenerator
from course_lib.generation.language_model import load_language_model
from course_lib.generation.prompting import SYSTEM, rag_messages
from course_lib.systems.tuned_generator import TunedModels, base_identity, shipped_adapters
from course_lib.systems.tuning_sets import TuningExample, collection, facts_set, plain_words_set, style_set
from course_lib.workshop.bench import BenchmarkSkipped, interval_words

ADAPTERS = ("style", "plain-words", "facts")
N_FOREIGN = 48
GENERAL_TOKENS = 32
Say = Callable[[str], None]
Values = dict[str, list[float]]


@dataclass(frozen=True)
class Part:
    """Conversations that the base and some adapters are asked. measure: the values of their replies, one each."""

    examples: tuple[TuningExample, ...]
    max_new_tokens: int
    measure: Callable[[Sequence[TuningExample], Sequence[str]], Values]
    adapters: tuple[str, ...]


def _style(_: Sequence[TuningExample], replies: Sequence[str]) -> Values:
    reports = [style_report(reply or "-") for reply in replies]
    return {"rules kept": [each.share for each in reports], "all rules": [float(not each.broken) for each in reports]}


def _plain(examples: Sequence[TuningExample], replies: Sequence[str]) -> Values:
    kept = [
        sum(gold in reply for gold in each.golds) / len(each.golds)
        for each, reply in zip(examples, replies, strict=True)
    ]
    readable = [reply if words_of(reply) else "-a" for reply in replies]
    return {"must keep": kept, "grade": [readability(reply, sentence_spans).grade for reply in readable]}


def _facts(examples: Sequence[TuningExample], replies: Sequence[str]) -> Values:
    both = [(reply, each.golds) for each, reply in zip(examples, replies, strict=True)]
    return {"contained": [contains(*one) for one in both], "exact": [exact_match(*one) for one in both]}


def _general(_: Sequence[TuningExample], replies: Sequence[str]) -> Values:
    return {"right": general_marks(replies)}


def _with_passage(example: TuningExample) -> TuningExample:
    chunk = next(chunk for chunk in collection()[1] if chunk.doc_id == example.documents[0])
    return replace(example, messages=tuple(rag_messages(example.messages[-1]["content"], [chunk])))


@cache
def parts() -> dict[str, Part]:
    """Return what is asked, by name."""
    style, plain, facts = style_set().parts["test"], plain_words_set().parts["test"], facts_set()
    foreign = tuple(
        replace(each, messages=({"role": "system", "content": SYSTEM}, each.messages[-1])) for each in style[:N_FOREIGN]
    )
    asked = {
        "seen": tuple(each for each in facts.train if each.kind == "match"),
        "paraphrased": facts.parts["paraphrased"],
        "new": facts.parts["new"],
    }
    general = tuple(
        TuningExample(({"role": "user", "content": prompt.text},), "", prompt.text, "general")
        for prompt in GENERAL_PROMPTS
    )
    return {
        "style": Part(style, 96, _style, ("style",)),
        "style, other instructions": Part(foreign, 96, _style, ("style",)),
        "plain words": Part(plain, 128, _plain, ("plain-words",)),
        **{name: Part(examples, 24, _facts, ("facts",)) for name, examples in asked.items()},
        "paraphrased, passage shown": Part(tuple(map(_with_passage, asked["paraphrased"])), 24, _facts, ()),
        "general": Part(general, GENERAL_TOKENS, _general, ADAPTERS),
    }


def run(say: Say) -> dict[str, Any]:
    """Return all replies, and for each measure the intervals of the base, of the adapters, and of their differences."""
    missing = [name for name in ADAPTERS if name not in shipped_adapters()]
    if missing:
        raise BenchmarkSkipped(
            f"there is no adapter {', '.join(missing)} yet; make it: python course.py train {missing[0]}"
        )
    base = load_language_model()
    tuned = TunedModels(base)
    asked = {"base": CachedGenerator(base, base_identity())} | {name: tuned.cached(name) for name in ADAPTERS}
    replies: dict[str, dict[str, list[str]]] = {}
    rows: dict[str, Any] = {}
    for name, part in parts().items():
        conversations = [each.messages for each in part.examples]
        replies[name] = {}
        for who in ("base", *part.adapters):
            say(f"{name}: {who}, {len(conversations)} conversations")
            replies[name][who] = asked[who].generate_many(conversations, max_new_tokens=part.max_new_tokens)
        values = {who: part.measure(part.examples, said) for who, said in replies[name].items()}
        rows[name] = {
            measure: {
                who: bootstrap_interval(each[measure]).as_dict()
                | (
                    {"minus_base": paired_difference(each[measure], values["base"][measure]).as_dict()}
                    if who != "base"
                    else {}
                )
                for who, each in values.items()
            }
            for measure in values["base"]
        }
    return {
        "n": {name: len(part.examples) for name, part in parts().items()},
        "max_new_tokens": {name: part.max_new_tokens for name, part in parts().items()},
        "adapters": {name: tuned[name].digest for name in ADAPTERS},
        "sources": {name: [each.source for each in part.examples] for name, part in parts().items()},
        "rows": rows,
        "replies": replies,
    }


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    figures = result["figures"]
    lines = [
        "# What the shipped adapters say, beside the base",
        "",
        "Greedy decoding. *style* and *plain words*: pairs whose passages no adapter has seen. *seen*, *paraphrased*, *new*: "
        "facts of matches, asked without a passage; *passage shown*: with the report of the match. *other instructions*: the "
        "style adapter under instructions that it was not tuned with. *general*: prompts marked by rule. Brackets: 95 % "
        "bootstrap interval; differences are paired. A lower grade is easier to read.",
        "",
        "| asked | n | measure | model | mean | minus base |",
        "|---|---|---|---|---|---|",
    ]
    for name, measures in figures["rows"].items():
        for measure, models in measures.items():
            for who, row in models.items():
                less = interval_words(row["minus_base"], digits=2, sign=True) if "minus_base" in row else ""
                lines.append(
                    f"| {name} | {figures['n'][name]} | {measure} | {who} | {interval_words(row, digits=2)} | {less} |"
                )
    return "\n".join(lines)
