"""The LoRA explorer: what it counts, its picture, and the widget driven by its traits."""

from __future__ import annotations

import base64
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.tuning.lora import lora_size
from course_lib.widgets.lora_budget import BARS, Budget, explore
from course_lib.widgets.lora_explorer import (
    HEIGHT,
    WIDTH,
    lora_explorer_demo,
    lora_explorer_widget,
    picture,
    svg,
    table,
)

SVG = "{http://www.w3.org/2000/svg}"
SHAPES = {
    "layer.0.query": (12, 20),
    "layer.0.value": (12, 20),
    "layer.0.subquery": (9, 7),
    "layer.0.out": (30, 12),
    "layer.1.query": (12, 20),
    "layer.1.value": (12, 20),
}
PLACEMENTS = {"query": ["query"], "query and value": ["query", "value"], "out & <all>": ["out", "query", "value"]}
VALUES = np.array([4.0, 2.0, 2.0, 1.0])  # squares 16, 4, 4, 1 of 25
ROW = {"mean": 0.871, "low": 0.82, "high": 0.915, "n": 196}
MEASURED = [("query", 2, ROW), ("query and value", 2, {**ROW, "mean": 0.9})]
OPTIONS: dict[str, Any] = {"n_base": 5_000, "singular_values": VALUES, "measured": MEASURED}


def budget(placement: str = "query", rank: int = 2, alpha: float = 6, **options: Any) -> Budget:
    return explore(SHAPES, PLACEMENTS, placement=placement, rank=rank, alpha=alpha, **{**OPTIONS, **options})


# ---------------------------------------------------------------- the numbers


def test_by_hand() -> None:
    """Two matrices of 12 x 20 at rank 2: 2 * 2 * (12 + 20) = 128 of 480; 20 of 25 squares; 6 / 2 = 3."""
    found = budget()
    assert (found.n_layers, found.n_learning, found.n_wrapped, found.largest) == (2, 128, 480, (12, 20))
    assert found.kept == pytest.approx(20 / 25) and found.scaling == 3
    assert dict(found.facts()) == {
        "matrices changed": "2, the largest 12 x 20",
        "learn in A and B": "128, 2.56% of the model's 5,000",
        "of the changed matrices": "26.7% of their 480 numbers",
        "scaling": "alpha / rank = 6 / 2 = 3",
        "best share kept": "80% of the squared change of the example matrix",
        "accuracy": "0.871 [0.820, 0.915] n=196",
    }


def test_matrices_of_several_shapes() -> None:
    """Four of 12 x 20 and one of 30 x 12 at rank 3: 3 * (4 * 32 + 42) = 510."""
    found = budget("out & <all>", rank=3)
    assert (found.n_layers, found.n_learning, found.largest) == (5, 510, (30, 12))


@given(st.sampled_from(sorted(PLACEMENTS)), st.integers(1, 12))
def test_counts_as_the_library_does(placement: str, rank: int) -> None:
    found = budget(placement, rank)
    ends = PLACEMENTS[placement]
    sizes = [lora_size(d_in, d_out, rank) for path, (d_out, d_in) in SHAPES.items() if path.split(".")[-1] in ends]
    assert found.n_learning == sum(sizes)
    assert 0 < found.kept <= 1 + 1e-12


@given(st.floats(0.001, 1_000))
def test_the_size_of_the_update_does_not_matter(factor: float) -> None:
    assert budget(singular_values=VALUES * factor).kept == pytest.approx(budget().kept)


def test_more_rank_keeps_more_until_all_is_kept() -> None:
    kept = [budget(rank=rank).kept for rank in range(1, 7)]
    assert kept == pytest.approx([16 / 25, 20 / 25, 24 / 25, 1, 1, 1])


def test_what_was_not_measured_is_not_shown() -> None:
    assert budget(rank=3).accuracy is None and budget("out & <all>").accuracy is None
    assert dict(budget(rank=3).facts())["accuracy"].startswith("not measured")
    assert budget("query and value").accuracy == {**ROW, "mean": 0.9}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"placement": "keys"}, "placement must be one of query, query and value"),
        ({"rank": 0}, "rank must be between 1 and 12"),
        ({"rank": 13}, "rank must be between 1 and 12"),
        ({"alpha": 0}, "alpha must be above 0"),
        ({"singular_values": [1.0, 2.0]}, "falling"),
        ({"singular_values": []}, "falling"),
        ({"singular_values": [0.0, 0.0]}, "the first above 0"),
        ({"singular_values": [2.0, -1.0]}, "at least 0"),
        ({"singular_values": [float("nan")]}, "falling"),
    ],
)
def test_bad_input(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        budget(**change)


def test_a_placement_that_fits_nothing() -> None:
    with pytest.raises(ValueError, match=r"must fit a layer, but no path ends with \.keys"):
        explore(SHAPES, {"keys": ["keys"]}, placement="keys", rank=2, alpha=4, n_base=9, singular_values=VALUES)


# ---------------------------------------------------------------- the picture


def parsed(markup: str) -> ElementTree.Element:
    """The first element of a page, and the proof that it is sound markup."""
    return next(iter(ElementTree.fromstring(f"<page>{markup}</page>")))


def boxes(found: Budget) -> dict[str, list[dict[str, float]]]:
    named: dict[str, list[dict[str, float]]] = {}
    for box in parsed(svg(found)).iter(f"{SVG}rect"):
        name = (box.findtext(f"{SVG}title") or "").strip()
        named.setdefault(name, []).append({key: float(box.get(key, 0)) for key in ("x", "y", "width", "height")})
    return named


def test_the_matrices_are_drawn_to_scale() -> None:
    named = boxes(budget(rank=4))
    (w,), (b,), (a,) = named["W"], named["B"], named["A"]
    unit = w["width"] / 20
    assert w["height"] == pytest.approx(12 * unit, abs=0.02)
    assert (b["width"], b["height"]) == pytest.approx((4 * unit, 12 * unit), abs=0.02)
    assert (a["width"], a["height"]) == pytest.approx((20 * unit, 4 * unit), abs=0.02)
    (whole,), (part,) = named["all"], named["learning"]
    assert part["width"] / whole["width"] == pytest.approx(4 * 2 * 32 / 480, abs=0.001)


def test_bars_are_as_tall_as_the_singular_values_and_the_kept_are_marked() -> None:
    named = boxes(budget(rank=3))
    heights = [box["height"] for box in (*named["kept"], *named["lost"])]
    assert len(named["kept"]) == 3 and np.array(heights) / heights[0] == pytest.approx(VALUES / 4, abs=0.001)
    fills = {box.get("fill") for box in parsed(svg(budget(rank=3))).iter(f"{SVG}rect")}
    assert "#fff" in fills  # what is lost is hollow: told apart without colour


@pytest.mark.parametrize("rank", [1, 8, 384])
@pytest.mark.parametrize("shape", [(384, 384), (1536, 384), (384, 1536)])
def test_it_stays_within_its_frame(rank: int, shape: tuple[int, int]) -> None:
    values = np.linspace(3, 0.1, 384)
    found = explore(
        {"a.query": shape}, PLACEMENTS, placement="query", rank=rank, alpha=16, n_base=10**6, singular_values=values
    )
    named = boxes(found)
    assert sum(map(len, (named.get("kept", []), named.get("lost", [])))) == BARS
    for box in (box for each in named.values() for box in each):
        assert box["x"] >= 0 and box["x"] + box["width"] <= WIDTH
        assert box["y"] >= 0 and box["y"] + box["height"] <= HEIGHT
    root = parsed(svg(found))
    assert root.get("role") == "img" and root.get("aria-label") == found.alt()


def test_the_alt_text_says_what_is_drawn() -> None:
    words = (
        "Rank 2 on query. A matrix of 12 x 20 beside B, 12 x 2, and A, 2 x 20, to scale. Below, 4 of 4 singular values, "
        "the first 2 of them kept. matrices changed: 2, the largest 12 x 20; learn in A and B: 128"
    )
    assert budget().alt().startswith(words)


def test_the_picture_survives_where_svg_is_removed() -> None:
    found = budget("out & <all>")
    image = ElementTree.fromstring(picture(found).replace('">', '"/>'))
    kind, _, data = image.get("src", "").partition(",")
    assert kind == "data:image/svg+xml;base64" and base64.b64decode(data).decode() == svg(found)
    assert image.get("alt") == found.alt()


def test_the_table_marks_the_row_in_use() -> None:
    page = ElementTree.fromstring(f"<page>{table(budget(), MEASURED)}</page>")
    facts, below = page.findall("table")
    assert len(facts.findall("tr")) == len(budget().facts())
    rows = ["|".join("".join(cell.itertext()) for cell in row) for row in below.findall("tr")]
    assert rows == [
        "measured|rank|accuracy",
        "▶ query|2|0.871 [0.820, 0.915]",
        " query and value|2|0.900 [0.820, 0.915]",
    ]
    assert table(budget(), []).count("<table") == 1


def test_what_is_shown_is_not_run() -> None:
    found = budget("out & <all>")
    rows = [("<script>", 2, ROW)]
    for markup in (svg(found), table(found, rows), picture(found)):
        assert "<script" not in markup and "<all>" not in markup


# ---------------------------------------------------------------- the widget


@pytest.fixture
def widget() -> Any:
    return lora_explorer_widget(SHAPES, PLACEMENTS, rank=2, placement="query and value", **OPTIONS)


def label(widget: Any) -> str:
    return parsed(widget.children[3].value).get("aria-label") or ""


def test_it_shows_a_result_before_anything_is_touched(widget: Any) -> None:
    chooser, rank, alpha, drawing, below = widget.children
    assert (chooser.value, rank.value, alpha.value) == ("query and value", 2, 4)
    assert drawing.value.startswith("<svg") and "<table" in below.value
    assert label(widget).startswith("Rank 2 on query and value.") and "0.900 [0.820" in label(widget)
    assert all(control.description for control in (chooser, rank, alpha))  # for who reads by ear


def test_the_ranks_end_where_the_smallest_matrix_does(widget: Any) -> None:
    assert list(widget.children[1].options) == [1, 2, 4, 7]
    odd = lora_explorer_widget(SHAPES, PLACEMENTS, rank=3, **OPTIONS)
    assert list(odd.children[1].options) == [1, 2, 3, 4, 7] and odd.children[0].value == "query"
    with pytest.raises(ValueError, match="rank must be between 1 and 7"):
        lora_explorer_widget(SHAPES, PLACEMENTS, rank=8, **OPTIONS)


def test_each_control_changes_the_picture(widget: Any) -> None:
    chooser, rank, alpha, _, below = widget.children
    rank.value = 4
    assert label(widget).startswith("Rank 4 on query and value.") and "not measured" in label(widget)
    assert alpha.value == 4 and "alpha / rank = 4 / 4 = 1" in label(widget)  # alpha stays: the scaling falls
    alpha.value = 12
    assert "alpha / rank = 12 / 4 = 3" in label(widget)
    chooser.value = "query"
    assert label(widget).startswith("Rank 4 on query.") and "▶" not in below.value
    rank.value = 2
    assert below.value.count("▶") == 1


def test_readers_without_a_kernel_see_the_first_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append(bundle))
    lora_explorer_demo(SHAPES, PLACEMENTS, rank=2, **OPTIONS)
    (bundle,) = shown
    assert "<img" in bundle["text/html"] and "<table" in bundle["text/html"] and "<svg" not in bundle["text/html"]
    assert bundle["text/plain"] == budget(alpha=4).alt()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
