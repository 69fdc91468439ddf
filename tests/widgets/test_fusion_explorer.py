"""The fusion explorer: the lists it compares, its picture, and the widget driven by its traits."""

from __future__ import annotations

import base64
import datetime
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from course_lib.core.types import Chunk, Hit, Question, Ranking
from course_lib.retrieval.bm25 import BM25Retriever
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.fusion import METHODS, FusedRetriever, fuse
from course_lib.widgets.fusion_explorer import (
    COLUMNS,
    OWN,
    WIDTH,
    Lists,
    compare_lists,
    fusion_explorer_demo,
    fusion_explorer_widget,
    picture,
    svg,
    table,
)

SVG = "{http://www.w3.org/2000/svg}"
TEXTS = (
    "The meter shows E-2041.",
    "A refund takes five days.",
    "Storms & floods <stop> the turbine.",
    "The bill is late.",
    "The meter is read in May.",
    "Panels feed the grid.",
    "A turbine stops at high wind.",
    "The engineer never came.",
)
CHUNKS = [
    Chunk(f"s/{i}#00", f"s/{i}", f"Title {i}", datetime.date(2024, 1, 1), text, 0, len(text))
    for i, text in enumerate(TEXTS)
]
QUESTIONS = [
    Question("q1", "What does E-2041 on the meter mean?", "exact_term", "help_desk", "dev"),
    Question("q2", "When does a turbine stop?", "paraphrase", "energy", "dev"),
]
GOLD = {"q1": {"s/0#00"}, "q2": {"s/6#00"}}


@pytest.fixture(scope="module")
def dense() -> DenseRetriever:
    """Honest and small: words counted."""
    return DenseRetriever(TfidfEmbedder().fit([indexed_text(chunk) for chunk in CHUNKS])).fit(CHUNKS)


@pytest.fixture(scope="module")
def bm25() -> BM25Retriever:
    return BM25Retriever().fit(CHUNKS)


def hits(*numbers: int) -> Ranking:
    return [Hit(f"s/{number}#00", 10.0 - place) for place, number in enumerate(numbers)]


def lists_of(retriever: Any, **options: Any) -> Lists:
    rankings = {"dense": hits(3, 1, 2, 0), "BM25": hits(0, 3, 4, 5)}
    return compare_lists("q", rankings, retriever, k=3, **options)


def ids(lists: Lists, name: str) -> list[str]:
    return [place.chunk_id for place in lists.shown(name)]


# ---------------------------------------------------------------- the lists


def test_ranks_by_hand(bm25: BM25Retriever) -> None:
    """RRF, 60: chunk 3 has 1/61 + 1/62, chunk 0 1/64 + 1/61; then 1 (2nd of dense, 1/62), before 2 and 4 (1/63)."""
    lists = lists_of(bm25, gold={"s/4#00"})
    assert [(p.letter, p.chunk_id, p.ranks["fused"], p.ranks["BM25"], p.ranks["dense"]) for p in lists.places] == [
        ("A", "s/3#00", 1, 2, 1),
        ("B", "s/0#00", 2, 1, 4),
        ("C", "s/1#00", 3, None, 2),
        ("D", "s/4#00", 5, 3, None),
        ("E", "s/2#00", 4, None, 3),
    ]
    assert [place.gold for place in lists.places] == [False, False, False, True, False]
    assert lists.setting == "RRF, alpha 0.50, rank constant 60"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_the_fused_list_is_that_of_the_library(bm25: BM25Retriever, method: str, alpha: float) -> None:
    lists = lists_of(bm25, method=method, alpha=alpha, rank_constant=7)
    expected = fuse([hits(3, 1, 2, 0), hits(0, 3, 4, 5)], method=method, weights=[alpha, 1 - alpha], rank_constant=7)
    assert ids(lists, "fused") == [hit.chunk_id for hit in expected[:3]]


@pytest.mark.parametrize("method", METHODS)
def test_the_ends_of_alpha_are_the_lists_themselves(bm25: BM25Retriever, method: str) -> None:
    assert ids(lists_of(bm25, method=method, alpha=0), "fused") == ["s/0#00", "s/3#00", "s/4#00"]
    assert ids(lists_of(bm25, method=method, alpha=1), "fused") == ["s/3#00", "s/1#00", "s/2#00"]


def test_words_that_nobody_knows_leave_dense_as_it_is(dense: DenseRetriever, bm25: BM25Retriever) -> None:
    query = "quark"
    rankings = {"dense": hits(3, 1), "BM25": bm25.search(query, 8)}
    for alpha in (0.0, 0.5):
        assert ids(compare_lists(query, rankings, dense, k=2, alpha=alpha), "fused") == ["s/3#00", "s/1#00"]


def test_the_lists_agree_with_the_fused_retriever(dense: DenseRetriever, bm25: BM25Retriever) -> None:
    query = "Which turbine does the storm stop?"
    rankings = {"dense": dense.search(query, 8), "BM25": bm25.search(query, 8)}
    for method in METHODS:
        fused = FusedRetriever(dense, bm25, n_chunks=8, method=method, weights=[0.3, 0.7]).search(query, 5)
        lists = compare_lists(query, rankings, dense, method=method, alpha=0.3)
        assert ids(lists, "fused") == [hit.chunk_id for hit in fused]


def test_out_of_range(bm25: BM25Retriever) -> None:
    for alpha in (-0.1, 1.1):
        with pytest.raises(ValueError, match="alpha must lie between 0"):
            lists_of(bm25, alpha=alpha)
    with pytest.raises(ValueError, match="method must be one of"):
        lists_of(bm25, method="borda")


def test_more_chunks_than_letters(bm25: BM25Retriever) -> None:
    many = [Chunk(f"{i:02d}", "d", "T", datetime.date(2024, 1, 1), f"w{i}", 0, 3) for i in range(40)]
    retriever = BM25Retriever().fit(many)
    ranking = [Hit(chunk.chunk_id, 40.0 - i) for i, chunk in enumerate(many)]
    lists = compare_lists("q", {"dense": ranking, "BM25": ranking[::-1]}, retriever, k=30)
    letters = [place.letter for place in lists.places]
    assert letters[25:27] == ["Z", "27"] and len(set(letters)) == 40


# ---------------------------------------------------------------- the picture


def parsed(markup: str) -> ElementTree.Element:
    """The first element of a page, and the proof that it is sound markup."""
    return next(iter(ElementTree.fromstring(f"<page>{markup}</page>")))


def test_each_chunk_is_drawn_where_it_ranks_and_joined(bm25: BM25Retriever) -> None:
    lists = lists_of(bm25, gold={"s/0#00"})
    root = parsed(svg(lists))
    letters: dict[str, list[str]] = {name: [] for name in COLUMNS}
    by_x = {str(x): name for name, x in COLUMNS.items()}
    for group in root.iter(f"{SVG}g"):
        text = group.find(f"{SVG}text")
        assert text is not None and text.text
        letters[by_x[text.get("x", "")]].append(text.text)
    assert letters == {"BM25": ["B", "A", "D"], "fused": ["A", "B", "C"], "dense": ["A", "C", "E"]}
    # A and B stand in both BM25 and fused; A and C in dense and fused
    ends = sorted((line.get("x1"), line.get("stroke-dasharray")) for line in root.iter(f"{SVG}line"))
    assert ends == [("390", "7 4")] * 2 + [("90", None)] * 2
    squares = list(root.iter(f"{SVG}rect"))
    assert len(squares) == 2  # the gold chunk, in BM25 and fused: told apart by shape, not by colour alone


def test_it_stays_within_its_frame_and_names_what_it_shows(bm25: BM25Retriever) -> None:
    lists = lists_of(bm25, gold={"s/0#00"})
    root = parsed(svg(lists))
    _, _, width, height = map(int, root.get("viewBox", "").split())
    assert width == WIDTH
    for node in root.iter():
        for attribute, limit in (("x", width), ("cx", width), ("x1", width), ("y", height), ("cy", height)):
            assert 0 <= float(node.get(attribute, 0)) <= limit
    assert root.get("role") == "img" and root.get("aria-label") == lists.alt()
    assert lists.alt() == (
        '"q", RRF, alpha 0.50, rank constant 60. BM25: 1. Title 0 (answers); 2. Title 3; 3. Title 4. '
        "fused: 1. Title 3; 2. Title 0 (answers); 3. Title 1. dense: 1. Title 3; 2. Title 1; 3. Title 2."
    )


def test_the_picture_survives_where_svg_is_removed(bm25: BM25Retriever) -> None:
    lists = lists_of(bm25)
    image = ElementTree.fromstring(picture(lists).replace('">', '"/>'))
    kind, _, data = image.get("src", "").partition(",")
    assert kind == "data:image/svg+xml;base64" and base64.b64decode(data).decode() == svg(lists)
    assert image.get("alt") == lists.alt()


def test_the_table_shows_ranks_and_passages(bm25: BM25Retriever) -> None:
    rows = parsed(table(lists_of(bm25, gold={"s/4#00"}))).findall("tr")
    cells = ["".join(cell.itertext()) for cell in rows[3]]
    assert cells == ["D ■", "Title 4. The meter is read in May.fused 5, BM25 3, dense –"]
    assert "answers the question" in table(lists_of(bm25, gold={"s/4#00"}))
    assert "answers the question" not in table(lists_of(bm25))


def test_what_is_shown_is_not_run(bm25: BM25Retriever) -> None:
    rankings = {"dense": hits(2), "BM25": hits(2)}
    lists = compare_lists("<script>alert(1)</script>", rankings, bm25)
    for markup in (svg(lists), table(lists), picture(lists)):
        assert "<script" not in markup and "<stop>" not in markup


# ---------------------------------------------------------------- the widget


@pytest.fixture
def widget(dense: DenseRetriever, bm25: BM25Retriever) -> Any:
    return fusion_explorer_widget(dense, bm25, QUESTIONS, GOLD, k=3, depth=8)


def label(widget: Any) -> str:
    return parsed(widget.children[5].value).get("aria-label") or ""


def test_it_shows_a_result_before_anything_is_touched(widget: Any) -> None:
    chooser, field, method, alpha, constant, drawing, below = widget.children
    assert field.value == QUESTIONS[0].text and chooser.value.endswith(QUESTIONS[0].text)
    assert (method.value, alpha.value, constant.value) == ("rrf", 0.5, 60)
    assert drawing.value.startswith("<svg") and "<table" in below.value and "(answers)" in label(widget)
    assert all(control.description for control in (chooser, field, method, alpha, constant))  # for who reads by ear


def test_another_question_is_chosen(widget: Any) -> None:
    chooser, field = widget.children[:2]
    chooser.value = chooser.options[1]
    assert field.value == QUESTIONS[1].text
    assert label(widget).startswith('"When does a turbine stop?"')
    assert "Title 6 (answers)" in label(widget)


def test_a_question_is_typed(widget: Any) -> None:
    chooser, field = widget.children[:2]
    field.value = "refund days"
    assert chooser.value == OWN
    assert "1. Title 1" in label(widget) and "(answers)" not in label(widget)
    chooser.value = OWN  # changes nothing
    assert field.value == "refund days"
    field.value = QUESTIONS[1].text  # one of the questions, typed
    assert chooser.value == chooser.options[1] and "(answers)" in label(widget)


def test_the_knobs_change_the_fused_list_only(widget: Any) -> None:
    _, field, method, alpha, constant, _, _ = widget.children
    field.value = "the turbine at the meter"
    for control, value, words in (
        (alpha, 0.0, "alpha 0.00"),
        (constant, 5, "rank constant 5"),
        (method, "z_score", "z-score, alpha 0.00."),
    ):
        before = label(widget)
        control.value = value
        assert words in label(widget)
        assert before.split("BM25: ")[1].split(" fused")[0] == label(widget).split("BM25: ")[1].split(" fused")[0]
    after = label(widget)
    assert after.split("BM25: ")[1].split(". fused")[0] == after.split("fused: ")[1].split(". dense")[0]


def test_the_rank_constant_is_for_rrf(widget: Any) -> None:
    method, constant = widget.children[2], widget.children[4]
    assert not constant.disabled
    method.value = "min_max"
    assert constant.disabled
    method.value = "rrf"
    assert not constant.disabled


@pytest.mark.parametrize("nothing", ["", "   "])
def test_an_empty_question_is_told_and_the_picture_stays(nothing: str, widget: Any) -> None:
    field, drawing, below = widget.children[1], widget.children[5], widget.children[6]
    before = drawing.value
    field.value = nothing
    assert 'role="alert"' in below.value and "must not be empty" in below.value
    assert drawing.value == before
    field.value = "bill"
    assert "<table" in below.value


def test_each_question_is_searched_once(dense: DenseRetriever, bm25: BM25Retriever) -> None:
    asked: list[str] = []

    class Counting:
        chunk = staticmethod(bm25.chunk)

        def search(self, query: str, k: int) -> Ranking:
            asked.append(query)
            return bm25.search(query, k)

    widget = fusion_explorer_widget(dense, Counting(), QUESTIONS, GOLD, k=3, depth=8)
    for alpha in np.linspace(0, 1, 5):
        widget.children[3].value = float(alpha)
    widget.children[1].value = "bill"
    widget.children[1].value = QUESTIONS[0].text
    assert asked == [QUESTIONS[0].text, "bill"]


def test_no_questions(dense: DenseRetriever, bm25: BM25Retriever) -> None:
    with pytest.raises(ValueError, match="questions must hold at least one question"):
        fusion_explorer_widget(dense, bm25, [], {})


def test_readers_without_a_kernel_see_the_lists(
    dense: DenseRetriever, bm25: BM25Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append(bundle))
    fusion_explorer_demo(dense, bm25, QUESTIONS, GOLD, k=3, depth=8)
    (bundle,) = shown
    assert "<img" in bundle["text/html"] and "<table" in bundle["text/html"] and "<svg" not in bundle["text/html"]
    assert QUESTIONS[0].text in bundle["text/plain"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
