"""The cleaning bench: its steps, its score without a leak, its picture, and the widget driven by its traits."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from datasets import Dataset

from course_lib.core.validate import FloatArray
from course_lib.tuning.prepare import as_dataset
from course_lib.widgets.cleaning_bench import (
    ALL,
    WIDTH,
    Settings,
    cleaning_bench_demo,
    cleaning_bench_widget,
    cross_validated,
    examples,
    picture,
    run_bench,
    score,
    steps_of,
    svg,
)

SVG = "{http://www.w3.org/2000/svg}"
LABELS = ("meter_fault", "refund")
METER = [
    "the meter shows a code", "blank meter", "noisy meter", "meter blinks",
    "why does the meter stop when nobody at home uses any power at all", "meter counts far too fast", "this meter is cracked", "there is smoke at the meter",
]  # fmt: skip
REFUND = [
    "when is the refund paid", "another refund", "the refund was too small", "no refund",
    "how long does a refund take when the account is closed and all is paid", "deposit refund", "I never asked for a refund", "refund soon",
]  # fmt: skip


def data(*more: tuple[str, str]) -> Dataset:
    rows = [(text, "meter_fault") for text in METER] + [(text, "refund") for text in REFUND] + list(more)
    return as_dataset([{"id": f"R{i}", "text": text, "label": label} for i, (text, label) in enumerate(rows)])


RAW = data(
    ("The meter shows a code!", "Meter Fault"),  # R16: the same text, and a label spelt in its own way
    ("the refund <b>was</b> too small to keep", "refund"),  # R17: markup, and then nearly R10
    ("x", "refund"),  # R18: too short
    ("Wann bekomme ich endlich mein Geld zurück, bitte antworten Sie mir", "refund"),  # R19
)


def embed(texts: Sequence[str]) -> FloatArray:
    """Honest and small: does the text speak of a meter, of a refund?"""
    words = [[("meter" in text.lower()), ("refund" in text.lower()), len(text) / 100] for text in texts]
    return np.array(words, dtype=np.float32)


# ---------------------------------------------------------------- the steps


def test_each_step_by_hand() -> None:
    report = run_bench(RAW, LABELS, embed, ALL)
    assert report.counts() == [
        ("labels", 0, 1),
        ("characters", 0, 1),
        ("lengths", 1, 0),
        ("language", 1, 0),
        ("same text", 1, 0),
        ("nearly same", 1, 0),
    ]
    assert {name: (each.why, each.like) for name, each in report.prepared.removed.items()} == {
        "R18": ("too short", ""),
        "R19": ("in another language (de)", ""),
        "R16": ("the same text", "R0"),
        "R17": ("nearly the same text", "R10"),
    }
    assert report.n_labels == (3, 2) and len(report.prepared.dataset) == 16


def test_nothing_is_on_at_first() -> None:
    report = run_bench(RAW, LABELS, embed, Settings())
    assert report.counts() == [] and report.after == report.before and len(report.prepared.dataset) == 20
    assert "no step is on" in report.alt()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (Settings(spelling=True), ["labels"]),
        (Settings(characters=True), ["characters"]),
        (Settings(shortest=3), ["lengths"]),
        (Settings(language=True), ["language"]),
        (Settings(exact=True), ["same text"]),
        (Settings(near=0.7), ["nearly same"]),
        (Settings(), []),
    ],
)
def test_each_switch_is_its_own(settings: Settings, names: list[str]) -> None:
    assert list(steps_of(settings, LABELS)) == names


def test_thresholds_reach_their_step() -> None:
    assert run_bench(RAW, LABELS, embed, Settings(shortest=5)).counts()[0][1] > 5
    assert run_bench(RAW, LABELS, embed, Settings(near=1.0)).counts() == [("nearly same", 1, 0)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(shortest=-1), "shortest must be at least 0"),
        (Settings(near=1.1), "near must be between 0"),
        (Settings(near=-0.1), "near must be between 0"),
    ],
)
def test_out_of_range(settings: Settings, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        steps_of(settings, LABELS)


# ---------------------------------------------------------------- the score


def test_what_the_vectors_say_is_found() -> None:
    assert score(data(), embed) == 1.0


def test_a_label_of_one_example_is_missed() -> None:
    """Its group is held out whole, so training has no such label: 20 of 20 cannot be right."""
    labels = list(RAW["label"])
    right = cross_validated(embed(RAW["text"]), labels, range(20))
    assert right[16] == 0 and labels[16] == "Meter Fault"


def test_a_group_is_never_on_both_sides() -> None:
    """Vectors that name the example and nothing else: only a copy in training could tell its label."""
    rng = np.random.default_rng(3)
    vectors = np.repeat(np.eye(40, dtype=np.float32), 2, axis=0) * 5  # (80, 40): each twice
    labels = [str(label) for label in np.repeat(rng.integers(0, 2, 40), 2)]
    alone, together = (cross_validated(vectors, labels, groups) for groups in (range(80), np.arange(80) // 2))
    assert alone.mean() > 0.8 and together.mean() < 0.7


def test_too_few_groups() -> None:
    with pytest.raises(ValueError, match="at least as many as the 5 folds, got 2"):
        cross_validated(np.eye(4, dtype=np.float32), ["a", "b", "a", "b"], [0, 0, 1, 1])


# ---------------------------------------------------------------- the picture


def parsed(markup: str) -> ElementTree.Element:
    return next(iter(ElementTree.fromstring(f"<page>{markup}</page>")))


def test_it_stays_within_its_frame_and_names_what_it_shows() -> None:
    report = run_bench(RAW, LABELS, embed, ALL)
    root = parsed(svg(report))
    _, _, width, height = map(int, root.get("viewBox", "").split())
    assert width == WIDTH and root.get("role") == "img" and root.get("aria-label") == report.alt()
    for node in root.iter():
        assert 0 <= float(node.get("x", 0)) + float(node.get("width", 0) if node.tag == f"{SVG}rect" else 0) <= width
        assert 0 <= float(node.get("y", 0)) <= height
    words = [node.text for node in root.iter(f"{SVG}text")]
    assert words[:4] == ["labels", "~1", "characters", "~1"] and words[4:6] == ["lengths", "−1"]
    assert "20 examples came in, 16 go on. labels: 0 removed, 1 changed" in report.alt()


def test_the_picture_survives_where_svg_is_removed() -> None:
    report = run_bench(RAW, LABELS, embed, ALL)
    image = ElementTree.fromstring(picture(report).replace('">', '"/>'))
    assert base64.b64decode((image.get("src") or "").split(",")[1]).decode() == svg(report)
    assert image.get("alt") == report.alt()


def test_examples_say_why_and_are_not_run() -> None:
    text = examples(run_bench(RAW, LABELS, embed, ALL), RAW)
    assert "too short" in text and "nearly the same text</em> as R10" in text and "Meter Fault → meter_fault" in text
    assert "<b>" not in text and "&lt;b&gt;" in text
    late = data(
        ("the fitter came, did his work and left the meter in three &amp; more pieces on the floor", "meter_fault")
    )
    shown = examples(run_bench(late, LABELS, embed, Settings(characters=True)), late)
    assert "the meter in three" in shown and "the fitter came" not in shown  # begins where the two texts part
    empty = data(("", "refund"))
    assert "(empty)" in examples(run_bench(empty, LABELS, embed, Settings(shortest=1)), empty)


# ---------------------------------------------------------------- the widget


@pytest.fixture
def widget() -> Any:
    return cleaning_bench_widget(RAW, LABELS, embed)


def label(widget: Any) -> str:
    return parsed(widget.children[6].value).get("aria-label") or ""


def test_it_shows_a_result_before_anything_is_touched(widget: Any) -> None:
    assert [control.value for control in widget.children[:6]] == [False, False, 0, False, False, 0]
    assert all(control.description for control in widget.children[:6])  # for who reads by ear
    assert "20 examples came in, 20 go on" in label(widget)


def test_each_control_acts(widget: Any) -> None:
    spelling, characters, shortest, language, exact, near = widget.children[:6]
    for control, value, words in (
        (spelling, True, "labels: 0 removed, 1 changed"),
        (characters, True, "characters: 0 removed, 1 changed"),
        (shortest, 2, "lengths: 1 removed"),
        (language, True, "language: 1 removed"),
        (exact, True, "same text: 1 removed"),
        (near, 0.5, "nearly same: 1 removed"),
    ):
        control.value = value
        assert words in label(widget)
    assert "R10" in widget.children[7].value
    exact.value = False
    assert "same text" not in label(widget)


def test_what_was_seen_is_not_computed_again() -> None:
    calls: list[int] = []

    def counting(texts: Sequence[str]) -> FloatArray:
        calls.append(len(texts))
        return embed(texts)

    widget = cleaning_bench_widget(RAW, LABELS, counting)
    for value in (True, False, True):
        widget.children[0].value = value
    assert calls == [20, 20]


def test_a_rule_that_leaves_too_little_is_told_and_the_picture_stays() -> None:
    short = data().select([0, 1, 2, 8, 9, 10])
    widget = cleaning_bench_widget(short, LABELS, embed)
    before = widget.children[6].value
    widget.children[2].value = 8
    assert 'role="alert"' in widget.children[7].value and widget.children[6].value == before
    widget.children[2].value = 0
    assert "alert" not in widget.children[7].value


def test_readers_without_a_kernel_see_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append(bundle))
    cleaning_bench_demo(RAW, LABELS, embed)
    (bundle,) = shown
    assert "<img" in bundle["text/html"] and "<svg" not in bundle["text/html"] and "16 go on" in bundle["text/plain"]
