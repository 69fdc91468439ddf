"""The freezing explorer: which parts learn, how fast, what was measured; the picture; the widget driven by its traits."""

from __future__ import annotations

import base64
import json
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import pytest

from course_lib.evaluation.significance import Interval
from course_lib.tuning.freezing import PartCount
from course_lib.widgets.freezing_explorer import (
    WIDTH,
    Choice,
    FreezingExplorer,
    FreezingRow,
    freezing_explorer_demo,
    freezing_explorer_widget,
    rows_from,
)

SVG = "{http://www.w3.org/2000/svg}"
PARTS = [
    PartCount("embeddings", 11_000_000, 0),
    PartCount("layer 1", 1_700_000, 0),
    PartCount("layer 2", 1_800_000, 0),
    PartCount("layer 3", 1_900_000, 0),
    PartCount("head", 5_390, 0),
]


def row(choice: Choice, accuracy: float = 0.8) -> FreezingRow:
    """Invented figures."""
    return FreezingRow(
        choice,
        Interval(accuracy, accuracy - 0.05, accuracy + 0.04, 182),
        0.79,
        12.4,
        345.6,
        Interval(-0.1, -0.2, 0.0, 117),
    )


ROWS = [row(Choice(3), 0.7), row(Choice(1)), row(Choice(1, decay=0.5), 0.75), row(Choice(0, embeddings=False), 0.9)]


@pytest.fixture
def explorer() -> FreezingExplorer:
    return FreezingExplorer().fit(PARTS, ROWS)


def parsed(markup: str) -> ElementTree.Element:
    return next(iter(ElementTree.fromstring(f"<page>{markup}</page>")))


# ---------------------------------------------------------------- what learns


def test_rates_by_hand(explorer: FreezingExplorer) -> None:
    """One of three layers frozen, decay .5: layer 3 has the full rate, layer 2 half of it, the head its own."""
    shares = {part.part: share for part, share in explorer.shares(Choice(1, decay=0.5))}
    assert shares == {"embeddings": 0, "layer 1": 0, "layer 2": 0.5, "layer 3": 1, "head": 1}
    everything = {part.part: share for part, share in explorer.shares(Choice(0, False, 0.5))}
    assert everything == {"embeddings": 0.125, "layer 1": 0.25, "layer 2": 0.5, "layer 3": 1, "head": 1}
    assert explorer.shares(Choice(0))[0][1] == 0 and explorer.shares(Choice(0))[1][1] == 1


@pytest.mark.parametrize("embeddings", [True, False])
@pytest.mark.parametrize("decay", [1.0, 0.5])
@pytest.mark.parametrize("frozen", [0, 1, 2, 3])
def test_it_shows_what_the_library_does(frozen: int, embeddings: bool, decay: float) -> None:
    """The oracle: freeze and layer_groups on a small model."""
    from transformers import BertConfig, BertModel

    from course_lib.tuning.freezing import freeze, layer_groups, trainable_table

    if frozen and not embeddings:
        return
    config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=12)
    model = freeze(BertModel(config, add_pooling_layer=False), frozen, embeddings=embeddings)
    table = trainable_table(model)
    shown = FreezingExplorer().fit(table.rows, ROWS)
    choice = Choice(frozen, embeddings, decay)
    assert shown.n_trainable(choice) == table.n_trainable
    if table.n_trainable:
        rates = {group.name: group.learning_rate for group in layer_groups(model, 0.1, decay) if group.decays}
        assert rates == pytest.approx({part.part: 0.1 * share for part, share in shown.shares(choice) if share})


def test_the_number_that_learns(explorer: FreezingExplorer) -> None:
    assert explorer.n_trainable(Choice(3)) == 5_390
    assert explorer.n_trainable(Choice(2)) == 1_905_390
    assert explorer.n_trainable(Choice(0, False)) == 16_405_390


def test_measured_or_nearest(explorer: FreezingExplorer) -> None:
    assert explorer.measured(Choice(1)) == ROWS[1] and explorer.measured(Choice(2)) is None
    assert explorer.nearest(Choice(1, decay=0.6)) == ROWS[2]  # 0.5 is nearer than 1
    assert explorer.nearest(Choice(2)) == ROWS[0]  # one layer away, as are others: the first
    assert explorer.nearest(Choice(0, False, 0.8)) == ROWS[3]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(4), "frozen must be between 0 and the model's 3 layers, got 4"),
        (Choice(-1), "frozen must be"),
        (Choice(2, embeddings=False), "embeddings must be frozen, too, below 2 frozen layers"),
        (Choice(1, decay=0), "decay must be above 0 and at most 1, got 0"),
        (Choice(1, decay=1.5), "decay must be"),
    ],
)
def test_choices_that_the_model_cannot_have(explorer: FreezingExplorer, choice: Choice, words: str) -> None:
    for use in (explorer.shares, explorer.svg, lambda bad: FreezingExplorer().fit(PARTS, [row(bad)])):
        with pytest.raises(ValueError, match=words):
            use(choice)


def test_what_fit_refuses() -> None:
    with pytest.raises(ValueError, match="numbered layers"):
        FreezingExplorer().fit(PARTS[:1], ROWS)
    with pytest.raises(ValueError, match="at least one measured choice"):
        FreezingExplorer().fit(PARTS, [])
    with pytest.raises(ValueError, match="one comes twice"):
        FreezingExplorer().fit(PARTS, [*ROWS, row(Choice(1), 0.1)])


# ---------------------------------------------------------------- words and picture


def test_the_headline(explorer: FreezingExplorer) -> None:
    words = explorer.headline(Choice(1))
    assert words.startswith(
        "1 layer frozen, embeddings frozen, decay 1: 3,705,390 of 16,405,390 parameters learn (22.6%)"
    )
    for figure in ("0.80 [0.75, 0.84] n=182", "macro F1 0.79", "12 s", "346 MB", "-0.10 [-0.20, +0.00]"):
        assert figure in words
    unknown = explorer.headline(Choice(2))
    assert "This was not measured" in unknown and "(3 layers frozen, embeddings frozen, decay 1)" in unknown
    assert "Accuracy" not in unknown


def test_bars_stand_for_numbers_and_frozen_ones_are_hatched(explorer: FreezingExplorer) -> None:
    root = parsed(explorer.svg(Choice(2)))
    bars = [node for node in root.iter(f"{SVG}rect") if node.get("stroke")]
    assert [(node[0].text or "").split(":")[0] for node in bars] == [
        "head",
        "layer 3",
        "layer 2",
        "layer 1",
        "embeddings",
    ]
    assert ["ice" in node.get("fill", "") for node in bars] == [False, False, True, True, True]
    lengths = [float(node.get("width", "")) for node in bars]
    assert lengths[1] / lengths[4] == pytest.approx(1.9 / 11, abs=0.001) and lengths[0] == 2
    said = [node.text for node in root.iter(f"{SVG}text")]
    assert "5.4 k, own rate" in said and "1.9 M, rate x 1" in said and "11.0 M, frozen" in said


def test_slower_parts_are_paler(explorer: FreezingExplorer) -> None:
    root = parsed(explorer.svg(Choice(0, False, 0.5)))
    opacity = [float(node.get("fill-opacity", "0")) for node in root.iter(f"{SVG}rect") if node.get("stroke")]
    assert opacity[1:] == sorted(opacity[1:], reverse=True) and len(set(opacity[1:])) == 4


@pytest.mark.parametrize("choice", [Choice(0, False, 0.5), Choice(3), Choice(1, decay=0.8)])
def test_labels_stand_apart_and_within_the_frame(explorer: FreezingExplorer, choice: Choice) -> None:
    """In a wide font a letter takes 7.7 of 12 units."""
    root = parsed(explorer.svg(choice))
    height = float(root.get("viewBox", "").split()[3])
    boxes = []
    for node in root.iter(f"{SVG}text"):
        x, y = float(node.get("x", "")), float(node.get("y", ""))
        width = sum(3.9 if letter in " .,il" else 7.7 for letter in node.text or "")
        left = x - (width if node.get("text-anchor") == "end" else 0)
        boxes.append((left, y - 12, left + width, y))
        assert left >= 0 and left + width <= WIDTH and 12 <= y <= height, node.text
    for (a, b, c, d), (e, f, g, h) in combinations(boxes, 2):
        assert c <= e or g <= a or d <= f or h <= b
    for node in root.iter(f"{SVG}rect"):
        if node.get("stroke"):
            assert float(node.get("x", "")) + float(node.get("width", "")) <= WIDTH
            assert float(node.get("y", "")) + float(node.get("height", "")) <= height


def test_words_say_what_the_picture_shows(explorer: FreezingExplorer) -> None:
    assert explorer.alt(Choice(1)).endswith("Frozen: embeddings, layer 1.")
    assert explorer.alt(Choice(0, False)).endswith("Frozen: nothing.")
    assert parsed(explorer.svg(Choice(1))).get("aria-label") == explorer.alt(Choice(1))


def test_the_table_marks_one_row(explorer: FreezingExplorer) -> None:
    page = ElementTree.fromstring(f"<page>{explorer.table(Choice(1, decay=0.5))}</page>")
    rows = page.findall("div/table/tr")[1:]
    assert [line[0].text == "►" for line in rows] == [False, False, True, False]
    assert rows[2][2].text == "0.75 [0.70, 0.79] n=182"


def test_the_picture_survives_where_svg_is_removed(explorer: FreezingExplorer) -> None:
    image = ElementTree.fromstring(explorer.picture(Choice(1)).replace('">', '"/>'))
    kind, _, data = image.get("src", "").partition(",")
    assert image.get("alt") == explorer.alt(Choice(1)) and kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode() == explorer.svg(Choice(1))


def test_stored_rows_come_back() -> None:
    def plain(interval: Interval) -> dict[str, float]:
        return {"mean": interval.mean, "low": interval.low, "high": interval.high, "n": interval.n}

    stored = [
        {
            "frozen": each.choice.frozen, "embeddings": each.choice.embeddings, "decay": each.choice.decay,
            "accuracy": plain(each.accuracy), "macro_f1": {"mean": each.macro_f1}, "seconds": each.seconds,
            "megabytes": each.megabytes, "forgetting": plain(each.forgetting),
        }
        for each in ROWS
    ]  # fmt: skip
    assert rows_from(json.loads(json.dumps({"rows": stored}))) == ROWS


# ---------------------------------------------------------------- the widget


def test_every_knob_changes_what_is_shown(explorer: FreezingExplorer) -> None:
    layers, embeddings, decay, picture, table = freezing_explorer_widget(explorer, choice=Choice(1)).children
    assert picture.value == explorer.svg(Choice(1)) and table.value == explorer.table(Choice(1))
    decay.value = 0.5
    assert table.value == explorer.table(Choice(1, decay=0.5))
    layers.value = 0
    assert picture.value == explorer.svg(Choice(0, True, 0.5))
    embeddings.value = False
    assert picture.value == explorer.svg(Choice(0, False, 0.5))
    assert (layers.min, layers.max) == (0, 3) and decay.options[0] == 1.0


def test_embeddings_freeze_with_the_first_layer(explorer: FreezingExplorer) -> None:
    layers, embeddings, _, picture, _ = freezing_explorer_widget(explorer, choice=Choice(0, False)).children
    assert not embeddings.value and not embeddings.disabled
    layers.value = 2
    assert embeddings.value and embeddings.disabled and picture.value == explorer.svg(Choice(2))
    layers.value = 0
    assert not embeddings.disabled


def test_every_knob_has_a_name(explorer: FreezingExplorer) -> None:
    assert all(knob.description for knob in freezing_explorer_widget(explorer).children[:3])


def test_readers_without_a_kernel_see_the_choice(explorer: FreezingExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append((bundle, options)))
    freezing_explorer_demo(explorer)
    ((bundle, options),) = shown
    first = ROWS[0].choice
    assert options == {"raw": True} and bundle["text/plain"] == explorer.alt(first)
    assert explorer.picture(first) in bundle["text/html"] and explorer.table(first) in bundle["text/html"]
    assert "<svg" not in bundle["text/html"] and "<script" not in bundle["text/html"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
