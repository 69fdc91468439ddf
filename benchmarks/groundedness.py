"""Groundedness without a judge model: which features tell supported answers from others, and which errors they miss."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from course_lib.assets import models
from course_lib.core.seeds import SEED
from course_lib.core.types import Chunk
from course_lib.corpus.chunking import chunk_documents, sentence_spans
from course_lib.corpus.labelled_answers import ERRORS, LabelledAnswer, load_labelled_answers
from course_lib.corpus.load import load_documents
from course_lib.corpus.quality import chain_roots
from course_lib.corpus.questions import load_questions
from course_lib.evaluation.grounding import Groundedness, Rule
from course_lib.evaluation.grounding_features import FEATURES, figures
from course_lib.evaluation.significance import bootstrap_interval
from course_lib.evaluation.verdicts import auc, balanced_error, share_interval
from course_lib.generation.language_model import load_language_model
from course_lib.systems.grounding_models import RULE, groundedness, likelihood_ratios
from course_lib.workshop.bench import interval_words, remembered

RULES: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in FEATURES},
    "words + figures": ("words", "figures"),
    "words + figures + similarity": ("words", "figures", "similarity"),
    "words + figures + gain": ("words", "figures", "gain"),
    "words + figures + ratio": ("words", "figures", "ratio"),
    "words + figures + gain + ratio": ("words", "figures", "gain", "ratio"),
    "all five": tuple(FEATURES),
}
BASE = "words"
TOLERANCE = 0.01  # of AUC: a rule that comes so near to the best, and needs less, is taken
FOLDS, REPEATS, DRAWS, STRENGTH = 5, 10, 5000, 0.3
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Say = Callable[[str], None]
BAR = "\\|"  # a bar within a cell of a table


def features_of(answers: Sequence[LabelledAnswer], say: Say) -> list[dict[str, float]]:
    """Return every feature of every answer: that of the sentence where it is lowest."""

    def compute() -> list[dict[str, float]]:
        say("encoder and language model read the labelled answers")
        neutral = Rule(("words",), (0.0,), (1.0,), (1.0,), 0.0)
        every = groundedness(neutral, ratios=likelihood_ratios(load_language_model()))
        verdicts = every.many([(a.question, a.answer, [a.passage]) for a in answers])
        return [{name: min(s.features[name] for s in verdict.sentences) for name in FEATURES} for verdict in verdicts]

    texts = [[a.question, a.answer, a.passage.title, a.passage.text] for a in answers]
    sources = [models.model_id(models.encoder_source()), models.model_id(models.generator_source())]
    return remembered("groundedness", [texts, sources, str(models.compute_dtype()), FEATURES], compute)


def fitted(features: Sequence[dict[str, float]], labels: Booleans, names: Sequence[str]) -> Rule:
    """Return the logistic rule over the named features; both labels weigh the same, and weights are shrunk."""
    from sklearn.linear_model import LogisticRegression

    table = np.array([[row[name] for name in names] for row in features])  # (n, n_features)
    means, scales = table.mean(axis=0), table.std(axis=0)
    model = LogisticRegression(C=STRENGTH, class_weight="balanced").fit((table - means) / scales, labels)
    means_, scales_, weights = (
        tuple(round(float(value), 4) for value in values) for values in (means, scales, model.coef_[0])
    )
    return Rule(tuple(names), means_, scales_, weights, round(float(model.intercept_[0]), 4))


def scores_of_unseen(
    features: Sequence[dict[str, float]], labels: Booleans, groups: Sequence[str], names: Sequence[str]
) -> Floats:
    """Return for each answer its mean log odds, (n,), from rules fitted to other documents' answers only."""
    from sklearn.model_selection import StratifiedGroupKFold

    odds = np.zeros(len(labels))  # (n,)
    for repeat in range(REPEATS):
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED + repeat)
        for seen, unseen in folds.split(np.zeros((len(labels), 1)), labels, groups):
            rule = fitted([features[i] for i in seen], labels[seen], names)
            for i in unseen:
                score = rule(features[i])
                odds[i] += math.log(score / (1 - score)) / REPEATS
    return odds


def resamples(labels: Booleans) -> list[npt.NDArray[np.int64]]:
    """Return draws of the answers with replacement, as many of each label as there are."""
    rng = np.random.default_rng(SEED)
    sides = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    return [np.concatenate([rng.choice(side, len(side)) for side in sides]) for _ in range(DRAWS)]


def interval(mean: float, draws: Sequence[float]) -> dict[str, float]:
    """Return a figure with the range that holds 95 % of its draws."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": round(mean, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def share(hits: int, n: int) -> dict[str, float]:
    """Return a share with its interval as plain data."""
    part = share_interval(hits, n)
    return {
        "hits": int(hits),
        "n": n,
        "mean": round(part.mean, 4),
        "low": round(part.low, 4),
        "high": round(part.high, 4),
    }


def by_error(scores: Floats, answers: Sequence[LabelledAnswer]) -> dict[str, Any]:
    """Return, for each type of error, how many answers the scores let pass all the same."""
    passed = {name: [s >= 0 for s, a in zip(scores, answers, strict=True) if a.error == name] for name in ERRORS}
    return {name: share(sum(map(bool, values)), len(values)) for name, values in passed.items()}


def chosen(aucs: dict[str, float]) -> str:
    """Return the rule that needs least among those within TOLERANCE of the best AUC.

    One that needs no language model comes first, then one with fewer features, then the better.
    """
    near = [name for name, value in aucs.items() if value >= max(aucs.values()) - TOLERANCE]
    return min(near, key=lambda name: ("ratio" in RULES[name], len(RULES[name]), -aucs[name]))


def made_cases() -> dict[str, list[tuple[str, str, list[Chunk]]]]:
    """Return gold answers of dev questions with their passage, and the same pairs broken in three ways.

    Only questions with one gold document, and passages whose sentences hold the gold quote and others besides.
    """
    documents = load_documents()
    chunks = chunk_documents(documents)
    cases: dict[str, list[tuple[str, str, list[Chunk]]]] = {
        "gold answer in its passage": [],
        "its sentence removed": [],
        "another passage of the shelf": [],
        "its number changed": [],
    }
    found = []
    for question in load_questions(split="dev"):
        if len(question.gold) != 1 or question.derived:
            continue
        gold = question.gold[0]
        holder = next((c for c in chunks if c.doc_id == gold.doc_id and gold.quote in c.text), None)
        if holder is None:
            continue
        text, place = holder.text, holder.text.index(gold.quote)
        ends = (place, place + len(gold.quote))
        others = [text[a:b] for a, b in sentence_spans(text) if b <= ends[0] or a >= ends[1]]
        if others:
            found.append((question, holder, " ".join(others)))
    for number, (question, holder, rest) in enumerate(found):
        said = f"The answer is: {question.answers[0]}."
        cases["gold answer in its passage"].append((question.text, said, [holder]))
        cut = Chunk(holder.chunk_id, holder.doc_id, holder.title, holder.date, rest, 0, len(rest))
        cases["its sentence removed"].append((question.text, said, [cut]))
        shelf = [other for q, other, _ in found if q.shelf == question.shelf and other.doc_id != holder.doc_id]
        cases["another passage of the shelf"].append((question.text, said, [shelf[number % len(shelf)]]))
        changed = re.sub(r"\d(?!.*\d)", lambda digit: str((int(digit[0]) + 3) % 10), said)
        if changed != said and not figures(changed) & figures(holder.text):
            cases["its number changed"].append((question.text, changed, [holder]))
    return cases


def counterfactuals(judge: Groundedness) -> dict[str, Any]:
    """Return the share of each kind of made case that the rule takes for supported, and the mean score."""
    rows = {}
    for name, asked in made_cases().items():
        verdicts = judge.many(asked)
        mean = bootstrap_interval([verdict.score for verdict in verdicts])
        passed = share(sum(verdict.supported for verdict in verdicts), len(verdicts))
        rows[name] = {"supported": passed, "score": interval(mean.mean, [mean.low, mean.high])}
    return rows


def run(say: Say) -> dict[str, Any]:
    """Compare the rules on answers of unseen documents, fit the shipped one to all, write it, and try made cases."""
    answers = load_labelled_answers()
    labels = np.array([answer.supported for answer in answers])  # (n,)
    roots = chain_roots(load_documents())
    groups = [roots[answer.passage.doc_id] for answer in answers]
    features = features_of(answers, say)
    say(f"{REPEATS} times {FOLDS} folds for each of {len(RULES)} rules")
    scores = {name: scores_of_unseen(features, labels, groups, names) for name, names in RULES.items()}
    draws = resamples(labels)
    rows: dict[str, Any] = {}
    measures: dict[str, Callable[[Floats, Booleans], float]] = {
        "auc": auc,
        "balanced_error": partial(balanced_error, threshold=0.0),
    }
    base = {name: [measure(scores[BASE][d], labels[d]) for d in draws] for name, measure in measures.items()}
    for name, values in scores.items():
        row: dict[str, Any] = {"features": list(RULES[name])}
        for title, measure in measures.items():
            drawn = [measure(values[d], labels[d]) for d in draws]
            row[title] = interval(measure(values, labels), drawn)
            row[f"{title}_minus_{BASE}"] = interval(
                measure(values, labels) - measure(scores[BASE], labels),
                [one - other for one, other in zip(drawn, base[title], strict=True)],
            )
        row["supported_refused"] = share(int((values[labels] < 0).sum()), int(labels.sum()))
        row["others_passed"] = share(int((values[~labels] >= 0).sum()), int((~labels).sum()))
        row["by_error"] = by_error(values, answers)
        rows[name] = row
    shipped = chosen({name: row["auc"]["mean"] for name, row in rows.items()})
    rule = fitted(features, labels, RULES[shipped])
    kept = {"made_by": "course bench groundedness", "n": len(answers), "rule": rule.as_json()}
    RULE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    say("made cases")
    ratios = likelihood_ratios(load_language_model()) if "ratio" in rule.features else None
    judge = groundedness(rule, ratios=ratios)
    return {
        "n": len(answers), "n_supported": int(labels.sum()), "n_groups": len(set(groups)), "shipped": shipped,
        "rule": rule.as_json(), "rules": rows, "made_cases": counterfactuals(judge),
        "unsupported": {
            "by hand": share(int((~labels).sum()), len(labels)),
            "by the rule": share(int((scores[shipped] < 0).sum()), len(labels)),
        },
    }  # fmt: skip


def page(result: dict[str, Any]) -> str:
    """Return the page of the result."""
    f = result["figures"]
    n, rows, shipped = f["n"], f["rules"], f["shipped"]
    lines = [
        "# Groundedness, on hand-labelled answers",
        "",
        f"{n} answers of the course's language model, {f['n_supported']} of them supported by the passage that it was shown; "
        "an answer of which only a part follows counts as not supported. A rule is a logistic regression over features of "
        f"the weakest sentence. Scores come from rules fitted to answers on other documents: {FOLDS} folds, grouped by "
        f"document with all its versions ({f['n_groups']} groups), averaged over {REPEATS} repeats. Balanced error: the mean "
        "of the share of supported answers refused and of others let pass; a constant verdict has 0.5, and AUC 0.5. "
        "Brackets: 95 % bootstrap interval over answers.",
        "",
        "| feature | what it is |",
        "|---|---|",
        *(f"| {name} | {what.replace('|', BAR)} |" for name, what in FEATURES.items()),
        "",
        f"| rule | AUC | minus {BASE} | balanced error | supported refused | others let pass |",
        "|---|---|---|---|---|---|",
        "| constant | 0.500 | | 0.500 | | |",
    ]
    for name, row in rows.items():
        bold = "**" if name == shipped else ""
        refused, passed = row["supported_refused"], row["others_passed"]
        minus = "" if name == BASE else interval_words(row[f"auc_minus_{BASE}"], sign=True)
        lines.append(
            f"| {bold}{name}{bold} | {interval_words(row['auc'])} | {minus} "
            f"| {interval_words(row['balanced_error'])} | {refused['hits']} of {refused['n']} | {passed['hits']} of {passed['n']} |"
        )
    difference, unsupported = rows[shipped][f"auc_minus_{BASE}"], f["unsupported"]
    clear = "is" if difference["low"] > 0 else "is not"
    lines += [
        "",
        f"**{shipped}** is the rule that the course uses (`course_lib/evaluation/grounding_rule.json`, fitted to all {n} "
        f"answers): of the rules within {TOLERANCE:g} of the best AUC it needs least, where a language model costs most. Its "
        f"lead over {BASE} alone {clear} clear of zero, but intervals are wide, since {f['n_supported']} answers are supported. "
        f"It was chosen among {len(rows)} on these same answers, and the features were defined with them in view: expect a "
        "little less elsewhere.",
        "",
        f"By hand, {unsupported['by hand']['mean']:.0%} of the answers are not supported; the rule says "
        f"{unsupported['by the rule']['mean']:.0%}. A hallucination rate that it measures is off by its errors: compare "
        "systems with it, and do not read one as the truth.",
        "",
        "Answers with an error that are taken for supported, by type of error (intervals: Wilson, 95 %):",
        "",
        f"| error | what it is | {BASE} alone | figures alone | {shipped} |",
        "|---|---|---|---|---|",
    ]
    for name, what in ERRORS.items():
        cells = [_share(rows[rule]["by_error"][name]) for rule in (BASE, "figures", shipped)]
        lines.append(f"| {name} | {what} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Cases made from the gold answers of dev questions, which no rule was fitted to:",
        "",
        "| case | taken for supported | mean score |",
        "|---|---|---|",
    ]
    for name, row in f["made_cases"].items():
        lines.append(f"| {name} | {_share(row['supported'])} | {interval_words(row['score'])} |")
    return "\n".join(lines)


def _share(part: dict[str, float]) -> str:
    return f"{part['hits']} of {part['n']} [{part['low']:.2f}, {part['high']:.2f}]"
