"""The index explorer: what each setting shows, the picture, the knobs, and readers without a kernel."""

from __future__ import annotations

import base64
import dataclasses
import re
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from course_lib.retrieval.faiss_index import FaissIndex, Positions
from course_lib.retrieval.index_trial import Trial, run_trial, sweep
from course_lib.widgets.index_explorer import (
    HEIGHT,
    NAMES,
    SHAPES,
    SYMBOLS,
    WIDTH,
    IndexExplorer,
    index_explorer_demo,
    index_explorer_widget,
)

SVG = "{http://www.w3.org/2000/svg}"
QUERIES = ["How <long> is a turbine?", "Who won in “1954”?", "Is it still in force?"]


@pytest.fixture(scope="module")
def measured() -> tuple[list[Trial], Positions]:
    rng = np.random.default_rng(31)
    centres = rng.standard_normal((20, 8))
    vectors = np.repeat(centres, 40, axis=0) + rng.standard_normal((800, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    base, queries, ids = vectors[40:], vectors[:40], [str(i) for i in range(760)]
    flat = FaissIndex("flat").fit(base, ids)
    true = flat.nearest(queries, 5)[1]
    trials = [run_trial(flat, queries, true, n_timed=5)]
    ivf = FaissIndex("ivf", nlist=16, nprobe=1).fit(base, ids)
    trials += sweep(ivf, queries, true, [{"nprobe": 1}, {"nprobe": 4}, {"nprobe": 16}], n_timed=5)
    for m in (2, 4):
        trials.append(run_trial(FaissIndex("pq", m=m, nbits=4).fit(base, ids), queries, true, n_timed=5))
    return trials, true


@pytest.fixture
def explorer(measured: tuple[list[Trial], Positions]) -> IndexExplorer:
    return IndexExplorer().fit(*measured, QUERIES, [f"Sentence <{i}> & more" for i in range(760)])


def parsed(markup: str) -> ElementTree.Element:
    """The first element of a page, and the proof that it is sound markup."""
    return next(iter(ElementTree.fromstring(f"<page>{markup}</page>")))


# ---------------------------------------------------------------- what it holds


def test_kinds_and_settings_name_what_differs(explorer: IndexExplorer) -> None:
    assert explorer.kinds == ["flat", "ivf", "pq"]
    assert list(explorer.settings("ivf")) == ["nprobe = 1", "nprobe = 4", "nprobe = 16"]
    assert list(explorer.settings("pq")) == ["m = 2", "m = 4"]
    assert list(explorer.settings("flat")) == ["no knob"]
    assert explorer.settings("ivf")["nprobe = 4"].knobs["nprobe"] == 4
    with pytest.raises(ValueError, match="kind must be one of flat, ivf, pq, got 'hnsw'"):
        explorer.settings("hnsw")


def test_missed_neighbours_are_those_that_were_not_found(explorer: IndexExplorer) -> None:
    for trial in explorer.trials_:
        for example in range(3):
            rows = explorer.missed(trial, example)
            assert [text for text, _ in rows] == [f"Sentence <{i}> & more" for i in explorer.true_[example]]
            assert np.mean([found for _, found in rows]) == pytest.approx(trial.recall[example])
    assert all(found for _, found in explorer.missed(explorer.trials_[0], 0))
    for example in (-1, 3):
        with pytest.raises(ValueError, match=f"example must be between 0 and 2, got {example}"):
            explorer.missed(explorer.trials_[0], example)


def test_the_headline_stands_beside_exact_search(explorer: IndexExplorer) -> None:
    trial = explorer.trials_[1]
    words = explorer.headline(trial)
    assert words.startswith(f"IVF: recall@5 {trial.recall.mean():.2f} [") and "(n=40)" in words
    assert "(Flat: 32)" in words  # 8 numbers of 4 bytes
    low, high = map(float, re.findall(r"\[([\d.]+), ([\d.]+)\]", words)[0])
    assert low <= round(float(trial.recall.mean()), 2) <= high


def test_rates_have_two_digits() -> None:
    from course_lib.widgets.index_explorer import _round

    assert [_round(x) for x in (123_456, 1_250.0, 98.7, 7.6, 0.4)] == ["120,000", "1,200", "99", "8", "0"]


def test_what_it_refuses(measured: tuple[list[Trial], Positions]) -> None:
    trials, true = measured
    texts = [str(i) for i in range(760)]
    with pytest.raises(ValueError, match="trials must begin with one of kind 'flat'"):
        IndexExplorer().fit(trials[1:], true, QUERIES, texts)
    with pytest.raises(ValueError, match="trials must begin"):
        IndexExplorer().fit([], true, QUERIES, texts)
    with pytest.raises(ValueError, match="a setting comes twice"):
        IndexExplorer().fit([*trials, trials[1]], true, QUERIES, texts)
    for queries in ([], ["x"] * 41):
        with pytest.raises(ValueError, match="queries must be 1 to 40 texts"):
            IndexExplorer().fit(trials, true, queries, texts)
    with pytest.raises(ValueError, match="every trial of the same 30 queries"):
        IndexExplorer().fit(trials, true[:30], QUERIES, texts)


# ---------------------------------------------------------------- the picture


def test_the_picture_is_sound_and_within_its_frame(explorer: IndexExplorer) -> None:
    for trial in explorer.trials_:
        root = parsed(explorer.svg(trial, 1))
        assert root.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}" and root.get("role") == "img"
        marks = [node for node in root.iter(f"{SVG}path") if node.get("fill")]
        assert len(marks) == len(explorer.trials_)
        for node in marks:
            x, y = map(float, re.findall(r"-?[\d.]+", node.get("d", ""))[:2])
            assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
        (ring,) = root.iter(f"{SVG}circle")
        chosen = marks[explorer.trials_.index(trial)]
        assert chosen.get("d", "").startswith(f"M{ring.get('cx')} {ring.get('cy')}m")
        assert chosen[0].text is not None and chosen[0].text.startswith(trial.name)


def test_labels_stand_apart_and_within_the_frame(explorer: IndexExplorer) -> None:
    """In a wide font a figure takes 7.7 of 12 units, a comma or full stop 3.9; a million a second is the most there is."""
    fast = [dataclasses.replace(each, seconds=np.full(5, 2e-6 * (i + 1))) for i, each in enumerate(explorer.trials_)]
    quick = IndexExplorer().fit(fast, explorer.true_, QUERIES, explorer.texts_)
    root = parsed(quick.svg(fast[0], 0))
    boxes = []
    for node in root.iter(f"{SVG}text"):
        x, y = float(node.get("x", "")), float(node.get("y", ""))
        width = sum(3.9 if letter in ",." else 7.7 for letter in node.text or "")
        left = x - {"end": width, "middle": width / 2}.get(node.get("text-anchor", ""), 0)
        boxes.append((left, y - 12, left + width, y))
        assert left >= 0 and left + width <= WIDTH and 12 <= y <= HEIGHT, node.text
    assert {"1,000,000", "1.0", "recall"} <= {node.text for node in root.iter(f"{SVG}text")}
    for (a, b, c, d), (e, f, g, h) in combinations(boxes, 2):
        assert c <= e or g <= a or d <= f or h <= b


def test_higher_recall_stands_higher(explorer: IndexExplorer) -> None:
    root = parsed(explorer.svg(explorer.trials_[0], 0))
    heights = [
        float(re.findall(r"[\d.]+", node.get("d", ""))[1]) for node in root.iter(f"{SVG}path") if node.get("fill")
    ]
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    recalls = [float(explorer.trials_[i].recall.mean()) for i in order]
    assert recalls == sorted(recalls, reverse=True)


def test_kinds_differ_in_shape_and_colour(explorer: IndexExplorer) -> None:
    """Colour alone would leave out who cannot tell colours apart."""
    assert len(set(SHAPES.values())) == len(set(SYMBOLS.values())) == len(NAMES) == 5
    root = parsed(explorer.svg(explorer.trials_[0], 0))
    fills = [node.get("fill") for node in root.iter(f"{SVG}path") if node.get("fill")]
    assert len(set(fills)) == 3
    legend = "".join(parsed(explorer.legend()).itertext())
    assert "Flat" in legend and "IVF" in legend and "PQ" in legend and "HNSW" not in legend


def test_words_say_what_the_picture_shows(explorer: IndexExplorer) -> None:
    trial = explorer.trials_[1]
    alt = explorer.alt(trial, 0)
    lost = [text for text, found in explorer.missed(trial, 0) if not found]
    assert explorer.headline(trial) in alt and f"it misses {len(lost)}" in alt and QUERIES[0] in alt
    assert parsed(explorer.svg(trial, 0)).get("aria-label") == alt
    assert explorer.alt(explorer.trials_[0], 0).endswith("it misses 0.")


def test_texts_are_shown_not_run(explorer: IndexExplorer) -> None:
    table = explorer.table(explorer.trials_[1], 0)
    assert "<long>" not in table and "&lt;long&gt;" in table and "Sentence <" not in table
    page = ElementTree.fromstring(f"<page>{table}</page>".replace("&nbsp;", " "))
    assert len(page.findall("table/tr")) == 6  # a heading and five neighbours
    marks = [row[1].text or row[1][0].text for row in page.findall("table/tr")[1:]]
    assert marks.count("✘ missed") == sum(not found for _, found in explorer.missed(explorer.trials_[1], 0))


def test_the_picture_survives_where_svg_is_removed(explorer: IndexExplorer) -> None:
    trial = explorer.trials_[2]
    image = ElementTree.fromstring(explorer.picture(trial, 0).replace('">', '"/>'))
    assert image.get("alt") == explorer.alt(trial, 0)
    kind, _, data = image.get("src", "").partition(",")
    assert kind == "data:image/svg+xml;base64" and base64.b64decode(data).decode() == explorer.svg(trial, 0)


# ---------------------------------------------------------------- the widget


def test_every_knob_changes_what_is_shown(explorer: IndexExplorer) -> None:
    kinds, setting, example, picture, table = index_explorer_widget(explorer).children
    assert (kinds.value, setting.value, example.value) == ("ivf", "nprobe = 1", 1)
    assert picture.value.startswith("<svg") and "IVF: recall@5" in table.value
    assert all(part.description for part in (kinds, setting, example))  # labels, for who reads by ear
    seen = {table.value}
    setting.value = "nprobe = 16"
    assert f"{explorer.trials_[3].recall.mean():.2f}" in table.value and table.value not in seen
    seen.add(table.value)
    example.value = 3
    assert QUERIES[2] in table.value and table.value not in seen
    kinds.value = "pq"
    assert setting.value == "m = 2" and "PQ: recall@5" in table.value
    setting.value = "m = 4"
    assert table.value == explorer.table(explorer.trials_[5], 2)
    kinds.value = "flat"
    assert setting.options == ("no knob",) and table.value.count("✔&nbsp;found") == 5
    assert (example.min, example.max) == (1, 3)
    other = index_explorer_widget(explorer, kind="pq", example=2)
    assert QUERIES[2] in other.children[4].value and other.children[0].value == "pq"


def test_readers_without_a_kernel_see_the_first_setting(
    explorer: IndexExplorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append((bundle, options)))
    index_explorer_demo(explorer, example=1)
    ((bundle, options),) = shown
    trial = explorer.trials_[1]
    assert options == {"raw": True} and bundle["text/plain"] == explorer.alt(trial, 1)
    assert explorer.picture(trial, 1) in bundle["text/html"] and explorer.table(trial, 1) in bundle["text/html"]
    assert "<svg" not in bundle["text/html"] and "<script" not in bundle["text/html"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
