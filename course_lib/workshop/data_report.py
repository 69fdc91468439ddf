"""Write docs/data-report.md: what the collection, the questions and the tuning data are, in computed figures only."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from matplotlib.figure import Figure

from course_lib.assets import models
from course_lib.core.seeds import SEED
from course_lib.core.types import Document, Question
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import COLLECTIONS, SHELVES, load_documents
from course_lib.corpus.quality import opening
from course_lib.corpus.question_quality import answer_in_span, found_by_kind, shared_with_gold
from course_lib.corpus.questions import KINDS, SPLITS, load_questions
from course_lib.generation.language_model import load_language_model
from course_lib.retrieval.embedding import load_embedder
from course_lib.widgets.show import PALETTE
from course_lib.workshop.data_difficulty import (
    CLOSED_BOOK,
    N_RESAMPLES,
    K,
    ask_closed_book,
    bm25_documents,
    bootstrap_share,
    closed_book_share,
    dense_documents,
    read_closed_book,
    write_closed_book,
)
from course_lib.workshop.data_documents import (
    TITLES,
    chains_part,
    counts_part,
    duplicates_part,
    lengths_part,
    openings_part,
    vocabulary_part,
)
from course_lib.workshop.data_tuning import messages_part, pairs_part
from course_lib.workshop.page import Row, save_figure, table

Say = Callable[[str], None]


def write_report(out: Path, *, say: Say) -> None:
    """Write the page to out, and its figures to the folder figures beside it.

    The language model is asked only the questions that are not in closed_book.json yet.
    """
    documents, questions = load_documents(), load_questions()
    figures = out.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    say("Measuring the documents")
    parts = [_preamble(out), counts_part(documents), lengths_part(documents, figures)]
    parts += [vocabulary_part(documents, figures), openings_part(documents), chains_part(documents)]
    parts += [duplicates_part(documents), _questions(questions, figures)]
    say("Searching for every question")
    parts += [_difficulty(documents, questions, figures, say=say), _closed_book(questions, out, say=say)]
    say("Measuring the tuning data")
    parts += [messages_part(figures), pairs_part()]
    out.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8", newline="\n")
    say(f"Written: {out}, {figures / 'data-*.png'}")


def _preamble(out: Path) -> str:
    folders = {**TITLES, "questions": "questions"}
    sheets = ", ".join(
        f"[{title}]({_link(COLLECTIONS / folder / 'SHEET.md', out)})" for folder, title in folders.items()
    )
    return (
        "# The data, measured\n\n"
        "Made by `course data report`: every figure on this page is computed from the files in "
        f"[collections]({_link(COLLECTIONS, out)}). Seed {SEED}. Intervals hold 95 % and come from {N_RESAMPLES:,} "
        "bootstrap resamples. Words are what white space divides; stems are those of Porter2 (snowballstemmer), stop "
        f"words left out. What each part is for and how it was written stands in its data sheet: {sheets}."
    )


def _link(target: Path, out: Path) -> str:
    return Path(os.path.relpath(target, out.resolve().parent)).as_posix()


# ---------------------------------------------------------------- questions


def _questions(questions: Sequence[Question], figures: Path) -> str:
    by_shelf = Counter((question.kind, question.shelf) for question in questions)
    by_split = Counter((question.kind, question.split) for question in questions)
    kinds: list[Row] = []
    for kind, meaning in KINDS.items():
        ours = [question for question in questions if question.kind == kind]
        by_hand = sum(question.written == "hand" for question in ours)
        splits = [by_split[kind, split] for split in SPLITS]
        kinds.append((f"{kind}: {meaning}", len(ours), by_hand, len(ours) - by_hand, *splits))
    by_hand = sum(question.written == "hand" for question in questions)
    splits = [sum(question.split == split for question in questions) for split in SPLITS]
    kinds.append(("all", len(questions), by_hand, len(questions) - by_hand, *splits))
    shelves = [(TITLES[shelf], *(by_shelf[kind, shelf] or "-" for kind in KINDS)) for shelf in SHELVES]
    words: list[Row] = []
    for kind in KINDS:
        ours = [question for question in questions if question.kind == kind]
        if not ours:
            continue
        length = mean(len(question.text.split()) for question in ours)
        with_gold = [question for question in ours if question.gold]
        if with_gold:
            shared = [len(shared_with_gold(question)) for question in with_gold]
            derived = sum(not answer_in_span(question) for question in with_gold)
            answer = mean(len(question.answers[0].split()) for question in with_gold)
            names = mean(len(question.answers) for question in with_gold)
            gold = len({span.doc_id for question in with_gold for span in question.gold})
            rest: Row = (f"{mean(shared):.1f}", f"{answer:.1f}", f"{names:.1f}", derived, gold)
        else:
            rest = ("-",) * 5
        words.append((kind, f"{length:.1f}", *rest))
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(KINDS))
    for shelf, colour, hatch in zip(SHELVES, PALETTE, ("", "//", "..", "xx"), strict=False):
        widths = np.array([by_shelf[kind, shelf] for kind in KINDS])
        axes.barh(list(KINDS), widths, left=left, color=colour, hatch=hatch, edgecolor="white", label=TITLES[shelf])
        left += widths
    axes.invert_yaxis()
    axes.set(xlabel="questions")
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
    alt = "Questions by kind, all shelves: " + ", ".join(f"{kind} {n:.0f}" for kind, n in zip(KINDS, left, strict=True))
    openings = Counter(opening(question.text, 2) for question in questions)
    start, n = min(openings.items(), key=lambda item: (-item[1], item[0]))
    return (
        f"## Questions\n\n{len(questions)} questions; the most frequent first two words are "
        f'"{start}" ({n / len(questions):.2f} of all).\n\n'
        + table(("kind", "questions", "by hand", "by template", *SPLITS), kinds)
        + f"\n\n{save_figure(figure, figures, 'data-questions', alt + '.')}\n\n"
        + table(("shelf", *KINDS), shelves)
        + "\n\nOn average: words of a question, stems that it shares with its gold spans, words of the first gold "
        "answer, gold answers with aliases. In all: answers that follow from the spans without standing there, gold "
        "documents.\n\n" + table(("kind", "words", "shared stems", "answer", "aliases", "derived", "documents"), words)
    )


# ---------------------------------------------------------------- difficulty


def _difficulty(documents: Sequence[Document], questions: Sequence[Question], figures: Path, *, say: Say) -> str:
    chunks, answerable = chunk_documents(documents), [question for question in questions if question.gold]
    systems = {
        "BM25": found_by_kind(answerable, bm25_documents(chunks, answerable)),
        "MiniLM": found_by_kind(answerable, dense_documents(chunks, answerable, load_embedder(), say=say)),
    }
    kinds = [kind for kind in KINDS if kind in systems["BM25"]]
    shares = {
        name: {kind: bootstrap_share(found[kind]) for kind in kinds}
        | {"all": bootstrap_share([yes for kind in kinds for yes in found[kind]])}
        for name, found in systems.items()
    }
    rows = [(kind, shares["BM25"][kind].n, *(shares[name][kind] for name in systems)) for kind in [*kinds, "all"]]
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for offset, (name, by_kind), colour, marker in zip((-0.12, 0.12), shares.items(), PALETTE, "os", strict=False):
        middle = np.array([by_kind[kind].mean for kind in kinds])
        low = middle - [by_kind[kind].low for kind in kinds]
        high = [by_kind[kind].high for kind in kinds] - middle
        places = np.arange(len(kinds)) + offset
        axes.errorbar(middle, places, xerr=[low, high], fmt=marker, color=colour, capsize=3, label=name)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.invert_yaxis()
    axes.set(xlabel=f"recall@{K}, with 95 % interval", xlim=(0, 1.02))
    axes.legend(frameon=False, loc="lower left")
    alt = f"Recall@{K} by kind of question: " + "; ".join(
        f"{kind} BM25 {shares['BM25'][kind].mean:.2f}, MiniLM {shares['MiniLM'][kind].mean:.2f}" for kind in kinds
    )
    return (
        f"## Difficulty of retrieval\n\nRecall@{K}: the share of questions whose gold document is among those of the "
        f"first {K} of {len(chunks):,} chunks, all shelves together (of a comparison, both). BM25 (bm25s, Lucene's "
        "form) over stems; MiniLM by cosine; both over title and text of a chunk. No version filter: an older version "
        "counts as wrong.\n\n"
        + table(("kind", "n", "BM25", "MiniLM"), rows)
        + f"\n\n{save_figure(figure, figures, 'data-difficulty', alt + '.')}"
    )


def _closed_book(questions: Sequence[Question], out: Path, *, say: Say) -> str:
    answerable = [question for question in questions if question.answers]
    stored = read_closed_book(models.model_id(models.generator_source()))
    stored = ask_closed_book(answerable, load_language_model, stored, save=write_closed_book, say=say)
    right = closed_book_share(answerable, stored.answers)
    rows: list[Row] = []
    for kind in KINDS:
        ours = [yes for question, yes in zip(answerable, right, strict=True) if question.kind == kind]
        if ours:
            rows.append((kind, len(ours), bootstrap_share(ours)))
    rows.append(("all", len(right), bootstrap_share(right)))
    return (
        "## Without documents\n\nThe share of answerable questions that the language model (weights "
        f"`{stored.model}`) answers without any document: its answer holds a gold answer, both in lower case, without "
        f"articles and punctuation. Greedy, at most {stored.max_new_tokens} new tokens, {stored.dtype}, in batches "
        f"padded on the left; of {stored.checked} answers decoded one by one as well, {stored.same} were the same to "
        f"the letter and {stored.agreed} were judged alike. Many comparisons name their candidates, so that a guess can "
        "be right.\n\n"
        + table(("kind", "n", "holds a gold answer"), rows)
        + f"\n\nThe answers: [{CLOSED_BOOK.name}]({_link(CLOSED_BOOK, out)})."
    )
