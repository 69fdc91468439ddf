"""Preparing examples: every step says what it did, and the planted flaws of the raw export are found."""

from __future__ import annotations

from collections import Counter
from functools import cache, partial

import pytest
from datasets import Dataset

from course_lib.corpus.messages import intents, load_flaws, load_raw_messages
from course_lib.tuning.duplicates import without_exact, without_near
from course_lib.tuning.outliers import in_language, of_usual_length
from course_lib.tuning.prepare import Changed, Prepared, Removed, Step, as_dataset, prepare, rewritten, without
from course_lib.tuning.repairs import repaired_labels, repaired_texts


def rows(*texts: str, label: str = "a") -> Dataset:
    return as_dataset([{"id": f"x{i}", "text": text, "label": label} for i, text in enumerate(texts)])


@cache
def cleaned() -> Prepared:
    raw = as_dataset([vars(message) for message in load_raw_messages()], id="message_id", label="intent")
    steps = {
        "labels": partial(repaired_labels, labels=intents()),
        "texts": repaired_texts,
        "lengths": of_usual_length,
        "exact": without_exact,
        "near": without_near,
        "language": in_language,
    }
    return prepare(raw, steps)


def test_planted_flaws_are_found_and_hardly_anything_else() -> None:
    flaws = {flaw.message_id: flaw.flaw for flaw in load_flaws()}
    planted = Counter(flaws.values())
    found = Counter(flaws.get(name, "clean") for name in cleaned().removed)
    assert found["exact_duplicate"] == planted["exact_duplicate"] and found["odd_length"] == planted["odd_length"]
    assert found["near_duplicate"] >= 0.9 * planted["near_duplicate"]
    assert found["other_language"] >= 0.9 * planted["other_language"]
    assert found["clean"] <= 5
    mended = Counter(flaws.get(each.id, "clean") for step in cleaned().steps for each in step.changed)
    assert mended["label_spelling"] == planted["label_spelling"] and mended["html_or_encoding"] >= 8
    assert set(cleaned().dataset["label"]) == set(intents())


def test_repaired_texts_are_those_that_were_meant() -> None:
    meant = {f.message_id: f.note.split("clean text: ")[1] for f in load_flaws() if "clean text: " in f.note}
    now = dict(zip(cleaned().dataset["id"], cleaned().dataset["text"], strict=True))

    def plain(text: str) -> str:  # the planted signs stand for what the notes spell out
        return " ".join(text.replace("’", "'").replace("€", "euros").split())

    wrong = {name: now[name] for name, text in meant.items() if name in now and plain(now[name]) != plain(text)}
    assert len(meant) >= 8 and len(wrong) <= 3, wrong  # two have lost characters for good


def test_the_report_adds_up() -> None:
    report = cleaned()
    assert report.n_before == 905 == len(report.dataset) + len(report.removed)
    assert str(report).startswith("  905 examples came in") and f"{len(report.dataset):>5} examples go on" in str(
        report
    )


def test_rows_become_a_dataset_with_ids() -> None:
    data = as_dataset([{"n": 1, "said": "hi", "kind": "a"}], id="n", text="said", label="kind")
    assert data[0] == {"id": "1", "text": "hi", "label": "a"}
    with pytest.raises(ValueError, match="no column 'text' for text; it has id, label"):
        as_dataset([{"id": "1", "label": "a"}])
    with pytest.raises(ValueError, match="'1' occurs more than once"):
        as_dataset([{"id": "1", "text": "a", "label": "a"}] * 2)


def test_a_step_can_neither_lose_examples_nor_all_of_them() -> None:
    data = rows("one", "two")
    with pytest.raises(ValueError, match="'greedy' lost 1 examples without saying why, x1"):
        prepare(data, {"greedy": lambda d: Step(d.select([0]))})
    with pytest.raises(ValueError, match="'all' left no example of 2"):
        prepare(data, {"all": lambda d: without(d, [Removed("x0", "?"), Removed("x1", "?")])})
    assert list(data["text"]) == ["one", "two"]


def test_only_what_differs_counts_as_changed() -> None:
    step = rewritten(rows("one", "two"), "text", ["one", "2"], ["", "digits"])
    assert step.changed == (Changed("x1", "text", "two", "2", "digits"),)
    assert list(step.dataset["text"]) == ["one", "2"]
