"""The tuning data in the data report: messages and pairs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import mean

from matplotlib.figure import Figure

from course_lib.corpus.load import COLLECTIONS
from course_lib.corpus.quality import content_words, near_duplicates, sentence_lengths
from course_lib.corpus.questions import SPLITS
from course_lib.workshop.data_difficulty import N_FOLDS, IntentScore, bootstrap_share, intent_score
from course_lib.workshop.page import read_lines, save_figure, table

MESSAGES = COLLECTIONS / "help_desk" / "messages.jsonl"
RAW_KEY = COLLECTIONS / "help_desk" / "messages_raw_key.jsonl"
PAIRS = {
    "style": COLLECTIONS / "help_desk" / "style_pairs.jsonl",
    "plain words": COLLECTIONS / "neurology" / "plain_words_pairs.jsonl",
}
NEAR_DUPLICATE_MESSAGE = 0.5  # messages are short: half of the three-word runs
MESSAGE_RUN = 3


def messages_part(figures: Path) -> str:
    """Return the section on the messages and their raw export, with its figure; empty without messages."""
    messages = read_lines(MESSAGES)
    if not messages:
        return ""
    texts, intents = [row["text"] for row in messages], [row["intent"] for row in messages]
    score = intent_score(texts, intents)
    n_right = round(score.confusion.trace())
    accuracy = bootstrap_share([True] * n_right + [False] * (len(texts) - n_right))
    counts = Counter((row["intent"], row["split"]) for row in messages)
    recall = score.confusion.diagonal() / score.confusion.sum(axis=1)  # (n_intents,)
    rows = []
    for i, intent in enumerate(score.intents):
        ours = [row["text"] for row in messages if row["intent"] == intent]
        n_words = mean(len(text.split()) for text in ours)
        splits = [counts[intent, split] for split in SPLITS]
        rows.append((intent, len(ours), *splits, f"{n_words:.1f}", f"{recall[i]:.2f}", _most_taken_for(score, i)))
    lengths = [len(text.split()) for text in texts]
    pairs = near_duplicates({row["message_id"]: row["text"] for row in messages}, threshold=1e-9, n=MESSAGE_RUN)
    near = sum(pair.similarity >= NEAR_DUPLICATE_MESSAGE for pair in pairs)
    highest = f"{pairs[0].similarity:.2f}" if pairs else "none"
    flaws = Counter(row["flaw"] for row in read_lines(RAW_KEY))
    planted = table(("planted flaw", "lines"), flaws.most_common())
    return (
        f"## Messages\n\n{len(messages)} messages of {min(lengths)} to {max(lengths)} words. TF-IDF + logistic "
        f"regression (scikit-learn's defaults) get {accuracy} of them right in {N_FOLDS} stratified folds; by fold "
        f"{', '.join(f'{fold:.2f}' for fold in score.accuracies)}. Near duplicates (runs of {MESSAGE_RUN} words, "
        f"Jaccard from {NEAR_DUPLICATE_MESSAGE} on): {near}; highest similarity {highest}.\n\n"
        + table(("intent", "messages", *SPLITS, "words", "recall", "most often taken for"), rows)
        + f"\n\n{_confusion(score, figures)}"
        + (f"\n\nThe raw export, a second file for lesson 09, has flaws on purpose:\n\n{planted}" if planted else "")
    )


def _most_taken_for(score: IntentScore, i: int) -> str:
    others = score.confusion[i].copy()
    others[i] = 0
    return f"{score.intents[int(others.argmax())]} ({others.max():.0f})" if others.any() else "-"


def _confusion(score: IntentScore, figures: Path) -> str:
    shares = score.confusion / score.confusion.sum(axis=1, keepdims=True)  # (n_intents, n_intents)
    figure = Figure(figsize=(7, 5.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(range(len(score.intents)), score.intents, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(score.intents)), score.intents, fontsize=8)
    axes.set(xlabel="said", ylabel="true intent")
    figure.colorbar(image, label="share of the messages of an intent")
    best, worst = int(shares.diagonal().argmax()), int(shares.diagonal().argmin())
    alt = (
        f"Confusion of {len(score.intents)} intents: most often recognised is {score.intents[best]} "
        f"({shares[best, best]:.2f}), least often {score.intents[worst]} ({shares[worst, worst]:.2f})."
    )
    return save_figure(figure, figures, "data-intents", alt)


def pairs_part() -> str:
    """Return the section on style pairs and plain-words pairs; empty without any."""
    rows = []
    for name, path in PAIRS.items():
        pairs = read_lines(path)
        if not pairs:
            continue
        before, after = ("plain_answer", "house_answer") if "house_answer" in pairs[0] else ("clinician", "patient")
        per_document = Counter(pair["doc_id"] for pair in pairs)
        lengths: list[str] = []
        for field in (before, after):
            n_words = mean(len(pair[field].split()) for pair in pairs)
            n_sentence = mean(length for pair in pairs for length in sentence_lengths(pair[field]))
            lengths.append(f"{n_words:.1f} ({n_sentence:.1f})")
        shared = mean(_shared(pair[before], pair[after]) for pair in pairs)
        rows.append((name, len(pairs), len(per_document), max(per_document.values()), *lengths, f"{shared:.2f}"))
    if not rows:
        return ""
    head = ("pairs", "number", "documents", "most from one", "words before", "words after", "shared stems")
    return (
        "## Pairs\n\nA text before and after: flat and in house style, for clinicians and in plain words. Means of the "
        "words of a text (in brackets: of a sentence) and of the share of the stems of both that stand in both.\n\n"
        + table(head, rows)
    )


def _shared(one: str, other: str) -> float:
    a, b = content_words(one), content_words(other)
    return len(a & b) / max(len(a | b), 1)
