"""The rerank view: what the stages do to a list, its table, and the widget driven by its traits."""

from __future__ import annotations

import datetime
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from course_lib.core.types import Chunk, Hit, Ranking
from course_lib.widgets.rerank_view import (
    FILTER,
    FUSION,
    SHOWN,
    SNIPPET,
    RerankCase,
    RerankView,
    rerank_demo,
    rerank_widget,
)

LATE, CROSS = "late interaction", "cross-encoder"
NAMES = ["a", "b", "c", "d", "e"]


def ranking(names: str) -> Ranking:
    return [Hit(name, 1.0 - 0.1 * place) for place, name in enumerate(names)]


def case(question: str = "What is <now> the fee?", **more: Any) -> RerankCase:
    """Dense search finds a b c d; with words, b comes first and e is found. c was superseded; d is gold."""
    given: dict[str, Any] = {
        "gold": frozenset("d"),
        "dense": ranking("abcd"),
        "fused": ranking("bacde"),
        "passing": frozenset("abde"),
        "superseded": frozenset("c"),
        "scores": {
            LATE: {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.9},
            CROSS: {"a": 8.0, "b": 2.0, "c": 1.0},
        },
    }
    return RerankCase(question, **{**given, **more})


def view(*cases: RerankCase) -> RerankView:
    chunks = {
        name: Chunk(name, f"doc-{name}", f"Title & {name}", datetime.date(2024, 1, 2), f"Text <{name}> " * 30, 0, 9)
        for name in NAMES
    }
    vectors = {name: np.eye(5, dtype=np.float32)[place] for place, name in enumerate(NAMES)}
    vectors["b"] = vectors["a"]  # b repeats a
    return RerankView(
        cases or (case(),), chunks, vectors, {"dense search": 0.01, LATE: 0.02, CROSS: 0.2, FUSION: 0.005}
    )


def names(hits: Ranking) -> str:
    return "".join(hit.chunk_id for hit in hits)


# ---------------------------------------------------------------- the stages


def test_no_stage_is_the_dense_list_and_fusion_the_other() -> None:
    assert names(view().ranking(case(), [])) == "abcd"
    assert names(view().ranking(case(), [FUSION])) == "bacde"


def test_the_filter_takes_away_what_is_superseded() -> None:
    assert names(view().ranking(case(), [FILTER])) == "abd"
    assert names(view().ranking(case(), [FUSION, FILTER])) == "bade"


def test_a_reader_orders_what_it_has_read_and_the_rest_follows() -> None:
    assert names(view().ranking(case(), [LATE])) == "dcba"
    assert names(view().ranking(case(), [FUSION, LATE])) == "dcbae"  # e was not read
    assert names(view().ranking(case(), [FUSION, CROSS])) == "abcde"
    scores = [hit.score for hit in view().ranking(case(), [FUSION, CROSS])]
    assert scores == sorted(scores, reverse=True)


def test_two_readers_are_added_by_hand() -> None:
    """Read by both: a b c. Late 0.1 0.2 0.3 standardised: -1.225 0 1.225; cross 8 2 1: 1.401 -0.539 -0.862.
    Sums: a 0.176, b -0.539, c 0.363: c a b. Then d, which one of them has not read."""
    hits = view().ranking(case(), [LATE, CROSS])
    assert names(hits) == "cabd"
    assert [hit.score for hit in hits[:3]] == pytest.approx([0.363, 0.176, -0.539], abs=2e-3)


def test_mmr_lets_the_copy_fall() -> None:
    """a and b have one vector. Relevance 1, 2/3, 1/3, 0 at weight 0.5: after a, b is 1/3 - 1/2, c is 1/6: c; d 0; b."""
    assert names(view().ranking(case(), [], relevance_weight=0.5)) == "acdb"
    assert names(view().ranking(case(), [], relevance_weight=1.0)) == "abcd"


def test_a_filter_that_leaves_nothing_leaves_an_empty_list() -> None:
    empty = case(passing=frozenset())
    assert view(empty).ranking(empty, [FILTER, LATE], 0.5) == []
    assert "gold nowhere" in view(empty).summary(empty, [FILTER])


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="stages must be among .*, got magic"):
        view().ranking(case(), ["magic"])
    with pytest.raises(ValueError, match="cases must be at least one, with different questions, got 0"):
        RerankView([], {}, {}, {})
    with pytest.raises(ValueError, match="with different questions, got 2"):
        view(case(), case())
    with pytest.raises(ValueError, match="all cases must have the same stages"):
        view(case(), case("another", scores={LATE: {}}))


# ---------------------------------------------------------------- the list


def test_places_know_what_moved() -> None:
    places = view().places(case(), [FUSION, LATE])  # from b a c d e to d c b a e
    assert [(place.chunk_id, place.rank_before, place.arrow) for place in places] == [
        ("d", 4, "▲ 3"), ("c", 3, "▲ 1"), ("b", 1, "▼ 2"), ("a", 2, "▼ 2"), ("e", 5, "="),
    ]  # fmt: skip
    assert [place.gold for place in places] == [True, False, False, False, False]


def test_only_the_first_places_are_shown() -> None:
    long = case(dense=ranking("abcd") * 3)
    assert len(view(long).places(long, [])) == SHOWN


def test_the_summary_says_where_gold_is_and_what_it_costs() -> None:
    assert view().summary(case(), [LATE]) == "dense search + late interaction: gold at 1 of 4; 0.03 seconds a question."
    both = case(gold=frozenset("de"))
    assert "gold at 4 of 4, 1 not found" in view(both).summary(both, [])
    assert "gold at 4 and 5 of 5; 0.01" in view(both).summary(both, [FUSION])
    assert "dense search + MMR: gold at" in view().summary(case(), [], 0.5)


def test_the_table_is_sound_and_shows_text_as_text() -> None:
    root = ElementTree.fromstring(view().table(case(), [FUSION, LATE]))
    rows = root.findall(".//tr")
    assert len(rows) == 6  # a heading and five places
    assert ["".join(cell.itertext()) for cell in rows[1]][:2] == ["1", "▲ 3"]
    assert "".join(rows[1][2].itertext()).startswith("★ gold: Title & d")
    text = "".join(rows[2][2].itertext())
    assert (
        text.startswith("Title & c")
        and "02 Jan 2024 (superseded)" in text
        and "Text <c>" in text
        and text.endswith("...")
    )
    assert len(text) < SNIPPET + 60
    assert "(superseded)" not in "".join(rows[1].itertext())
    kept = case(passing=frozenset("abcde"))  # the rule may let an old version pass; it is marked all the same
    assert "(superseded)" in view(kept).table(kept, [FILTER])


# ---------------------------------------------------------------- the widget


@pytest.fixture
def widget() -> Any:
    return rerank_widget(view(case(), case("Another?", dense=ranking("dcba"))), stages=[FUSION])


def first_line(shown: Any) -> str:
    page = ElementTree.fromstring(f"<page>{shown.value}</page>")
    return "".join(page.findall(".//tr")[1].itertext())


def test_it_shows_a_list_before_anything_is_touched(widget: Any) -> None:
    question, row, slider, shown = widget.children
    assert [box.description for box in row.children] == [FUSION, FILTER, LATE, CROSS]
    assert [box.value for box in row.children] == [True, False, False, False]
    assert question.description and slider.description  # labels, for who reads by ear
    assert "Title & b" in first_line(shown)


def test_every_control_changes_the_list(widget: Any) -> None:
    question, row, slider, shown = widget.children
    fusion, keep, late, _ = row.children
    late.value = True
    assert "Title & d" in first_line(shown) and "late interaction" in shown.value
    late.value = False
    fusion.value = False
    assert "Title & a" in first_line(shown)
    question.value = 1
    assert "Title & d" in first_line(shown)
    keep.value = True
    assert "superseded" not in shown.value
    before = shown.value
    slider.value = 0.3
    assert shown.value != before and "+ MMR" in shown.value


def test_readers_without_a_kernel_see_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append((bundle, options)))
    rerank_demo(view(), stages=[FUSION, LATE])
    ((bundle, options),) = shown
    assert options == {"raw": True}
    assert view().table(case(), [FUSION, LATE]) in bundle["text/html"]
    assert "What is &lt;now&gt; the fee?" in bundle["text/html"] and "<now>" not in bundle["text/html"]
    assert bundle["text/plain"] == view().alt(case(), [FUSION, LATE])
    assert "1. Title & d (▲ 3, gold)" in bundle["text/plain"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
