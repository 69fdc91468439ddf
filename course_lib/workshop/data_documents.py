"""The documents in the data report: counts, lengths, vocabulary, openings, chains, near duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

import numpy as np
from matplotlib.figure import Figure

from course_lib.core.types import Document
from course_lib.corpus.chunking import chunk_documents
from course_lib.corpus.load import SHELVES
from course_lib.corpus.quality import (
    chain_roots,
    chains,
    content_words,
    near_duplicates,
    opening,
    sentence_lengths,
    vocabulary,
)
from course_lib.corpus.world_cup import match_reports
from course_lib.widgets.show import PALETTE
from course_lib.workshop.page import Row, save_figure, table

NEAR_DUPLICATE = 0.2  # a fifth of the five-word runs of both are the same
N_LISTED = 5
TITLES = {"world_cup": "world cup", "neurology": "neurology", "energy": "energy", "help_desk": "help desk"}
REPORTS = "match reports"


def groups_of(documents: Sequence[Document]) -> dict[str, list[Document]]:
    """Return the documents by shelf, with the match reports, which templates wrote, apart from the rest."""
    reports = {report.doc_id for report in match_reports()}
    groups: dict[str, list[Document]] = {name: [] for name in (REPORTS, *map(TITLES.__getitem__, SHELVES))}
    for document in documents:
        groups[REPORTS if document.doc_id in reports else TITLES[document.shelf]].append(document)
    return groups


def _n_words(document: Document) -> int:
    return len(document.text.split())


def counts_part(documents: Sequence[Document]) -> str:
    """Return the section that counts documents, words and chunks by shelf and register."""
    rows: list[Row] = []
    for name, group in groups_of(documents).items():
        registers = Counter(document.register for document in group)
        dates = sorted(document.date for document in group)
        by_template = name == REPORTS
        rows.append(
            (
                name,
                f"{len(group):,}",
                "template" if by_template else "hand",
                registers["clinician"] or "-",
                registers["patient"] or "-",
                f"{sum(map(_n_words, group)):,}",
                f"{len(chunk_documents(group)):,}",
                f"{dates[0]} to {dates[-1]}",
            )
        )
    head = ("shelf", "documents", "written by", "for clinicians", "for patients", "words", "chunks", "dated")
    return (
        f"## Documents\n\n{len(documents):,} documents of {sum(map(_n_words, documents)):,} words; chunks are those of "
        f"`chunk_documents`.\n\n{table(head, rows)}"
    )


def lengths_part(documents: Sequence[Document], figures: Path) -> str:
    """Return the section on words a document and words a sentence, with its figure."""
    groups = groups_of(documents)
    lengths = {name: sorted(map(_n_words, group)) for name, group in groups.items()}
    rows = []
    for name, group in groups.items():
        n, sentences = lengths[name], [length for document in group for length in sentence_lengths(document.text)]
        quartiles = np.quantile(n, [0.25, 0.5, 0.75])
        words = (f"{n[0]}", *(f"{quartile:.0f}" for quartile in quartiles), f"{n[-1]}")
        rows.append((name, *words, f"{mean(sentences):.1f}", f"{median(sentences):.0f}", f"{np.std(sentences):.1f}"))
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    bins = np.arange(0, max(n[-1] for n in lengths.values()) + 20, 20)
    for (name, n), colour, style in zip(
        lengths.items(), PALETTE, ("-", "--", "-.", ":", (0, (8, 2, 1, 2, 1, 2))), strict=False
    ):
        share, _ = np.histogram(n, bins)
        axes.stairs(share / len(n), bins, label=name, color=colour, linestyle=style, linewidth=1.8)
    axes.set(xlabel="words a document", ylabel="share of the group")
    axes.legend(frameon=False, fontsize=8)
    spread = "; ".join(f"{name} {n[0]} to {n[-1]}, median {median(n):.0f}" for name, n in lengths.items())
    picture = save_figure(figure, figures, "data-lengths", f"Histogram of words a document in five groups: {spread}.")
    head: tuple[str, ...] = ("group", "shortest", "first quartile", "median", "third quartile", "longest")
    head += ("words a sentence, mean", "median", "standard deviation")
    return f"## Lengths\n\nWords a document, and words a sentence.\n\n{table(head, rows)}\n\n{picture}"


def vocabulary_part(documents: Sequence[Document], figures: Path) -> str:
    """Return the section on the stems of each group and what groups share, with its figure."""
    groups = {name: [document.text for document in group] for name, group in groups_of(documents).items()}
    vocabularies = {name: vocabulary(texts) for name, texts in groups.items()}
    rows = []
    for name, texts in groups.items():
        known = vocabularies[name]
        once = sum(count == 1 for count in known.values())
        elsewhere = set().union(*(other for key, other in vocabularies.items() if key != name))
        own = len(set(known) - elsewhere)
        in_a_text = mean(len(content_words(text)) for text in texts)
        rows.append(
            (name, f"{len(known):,}", f"{in_a_text:.0f}", f"{once / len(known):.2f}", f"{own / len(known):.2f}")
        )
    names = list(vocabularies)
    overlap = np.array(
        [[len(set(vocabularies[a]) & set(vocabularies[b])) / len(vocabularies[a]) for b in names] for a in names]
    )  # (n_groups, n_groups)
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(overlap, cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="stands in ... too", ylabel="stem of ...")
    for (i, j), value in np.ndenumerate(overlap):
        axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color="black" if value > 0.5 else "white")
    figure.colorbar(image, label="share of stems")
    apart = [(overlap[i, j], names[i], names[j]) for i in range(len(names)) for j in range(len(names)) if i != j]
    (most, a, b), (least, c, d) = max(apart), min(apart)
    alt = (
        f"Share of the stems of one group that stand in another too: most, {most:.2f}, of {a} in {b}; "
        f"least, {least:.2f}, of {c} in {d}."
    )
    head = ("group", "stems", "stems a document", "share in one document only", "share in no other group")
    return f"## Vocabulary\n\n{table(head, rows)}\n\n{save_figure(figure, figures, 'data-vocabulary', alt)}"


def openings_part(documents: Sequence[Document]) -> str:
    """Return the section on how documents begin."""
    rows = []
    for name, group in groups_of(documents).items():
        counts = Counter(opening(document.text) for document in group)
        start, n = min(counts.items(), key=lambda item: (-item[1], item[0]))
        first = Counter(opening(document.text, 1) for document in group)
        word, n_first = min(first.items(), key=lambda item: (-item[1], item[0]))
        often = f'{n} x "{start}"' if n > 1 else "1"
        rows.append((name, f"{len(counts):,}", often, f"{n_first / len(group):.2f}", f'"{word}"'))
    head = ("group", "different openings", "most frequent", "share of the most frequent first word", "which is")
    return f"## Openings\n\nThe first five words of a document.\n\n{table(head, rows)}"


def _code(doc_id: str) -> str:
    return f"`{doc_id.split('/')[1]}`"


def chains_part(documents: Sequence[Document]) -> str:
    """Return the section that counts and lists the chains of versions."""
    found = chains(documents)
    rows = []
    for shelf in SHELVES:
        here = Counter(len(chain) for chain in found if chain[0].shelf == shelf)
        n = sum(length * count for length, count in here.items())
        rows.append((TITLES[shelf], sum(here.values()), *(here[length] or "-" for length in (2, 3, 4)), n))
    longer = max(len(chain) for chain in found)
    listed = [(TITLES[chain[0].shelf], " → ".join(_code(version.doc_id) for version in chain)) for chain in found]
    head = ("shelf", "chains", "of 2", "of 3", "of 4", "documents in them")
    return (
        "## Chains of versions\n\nA later document supersedes an earlier one, which stays findable. "
        f"The longest chain has {longer} versions.\n\n{table(head, rows)}\n\n"
        f"<details><summary>All {len(found)} chains</summary>\n\n"
        f"{table(('shelf', 'oldest to newest'), listed)}\n\n</details>"
    )


def duplicates_part(documents: Sequence[Document]) -> str:
    """Return the section on the documents most alike, and whether a chain declares them."""
    roots = chain_roots(documents)
    rows, listed = [], []
    for name, group in groups_of(documents).items():
        texts = {document.doc_id: document.text for document in group}
        pairs = near_duplicates(texts, threshold=1e-9)
        declared = [roots[pair.first] == roots[pair.second] for pair in pairs]
        near = [yes for pair, yes in zip(pairs, declared, strict=True) if pair.similarity >= NEAR_DUPLICATE]
        rows.append((name, f"{len(pairs):,}", sum(declared), len(near), len(near) - sum(near)))
        for pair, yes in list(zip(pairs, declared, strict=True))[: max(N_LISTED, len(near))]:
            said = "yes" if yes else "no"
            listed.append((name, f"{pair.similarity:.3f}", _code(pair.first), _code(pair.second), said))
    head = ("group", "pairs with a run in common", "of one chain", "near duplicates", "of them not declared by a chain")
    return (
        "## Near duplicates\n\nThe share of their five-word runs that two documents of a group have in common "
        f"(Jaccard); from {NEAR_DUPLICATE} on they count as near duplicates.\n\n{table(head, rows)}\n\n"
        f"The {N_LISTED} most alike of each group, and all near duplicates:\n\n"
        + table(("group", "similarity", "one", "other", "declared by a chain"), listed)
    )
