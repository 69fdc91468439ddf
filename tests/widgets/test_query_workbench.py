"""The query workbench: what it shows, the widget driven by its traits, and what a learner edits."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import pytest

from course_lib.core.protocols import Message
from course_lib.core.types import Chunk
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.query import Transformed, TransformedRetriever, unchanged
from course_lib.retrieval.query_prompts import by_model
from course_lib.retrieval.query_rules import by_parts
from course_lib.retrieval.routing import KeywordRouter
from course_lib.widgets.query_workbench import (
    Workbench,
    edited,
    hit_table,
    letter,
    query_workbench_demo,
    query_workbench_widget,
    route_table,
    text_list,
)

TEXTS = {
    "dam/hoover": "The Hoover dam on the Colorado is 221 metres tall",
    "dam/alta": "The Alta dam in Norway is 145 metres tall",
    "dam/list": "A list of every dam: tall dams, taller dams and others",
    "sun/cells": "Solar cells turn light into power <b>&</b>",
    "wind/mill": "A turbine turns in the wind",
}
QUESTION = "Which dam is taller, Hoover or Alta?"


class Says:
    """A model that always says the same."""

    def __init__(self, reply: str) -> None:
        self.reply = reply

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, messages: Sequence[Message], *, max_new_tokens: int) -> str:
        return self.reply


@pytest.fixture(scope="module")
def bench() -> Workbench:
    """Honest and small: words counted, real rules, a model of one sentence."""
    date = datetime.date(2024, 1, 1)
    chunks = [Chunk(f"{n}#00", n, n.split("/")[1].title(), date, text, 0, len(text)) for n, text in TEXTS.items()]
    dense = DenseRetriever(TfidfEmbedder().fit([indexed_text(one) for one in chunks])).fit(chunks)
    model = Says("The wind turns a turbine.")
    return Workbench(
        TransformedRetriever(dense, unchanged),
        {"by parts": by_parts, "HyDE": by_model("HyDE", model), "useless": by_model("rewriting", Says(""))},
        router=KeywordRouter({"energy": ["dam", "wind"], "world_cup": ["match"]}),
        answers={QUESTION: {"dam/hoover#00", "dam/alta#00"}},
    )


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<page>{markup}</page>")


def words_of(markup: str) -> str:
    return " ".join("".join(parsed(markup).itertext()).split())


# ---------------------------------------------------------------- what is shown


def test_the_hits_with_those_who_found_them(bench: Workbench) -> None:
    board = bench.search(bench.transform(QUESTION, "by parts"), k=3)
    assert board.transformed.texts == (QUESTION, "Which dam is taller: Hoover", "Which dam is taller: Alta")
    for hit in board.hits:
        assert hit.place == board.hits.index(hit) + 1 and hit.answers is (
            hit.chunk.doc_id in ("dam/hoover", "dam/alta")
        )
        assert hit.sources == tuple(bench.retriever.search_texts(board.transformed, 3).sources(hit.chunk.chunk_id))
    alone = [hit.chunk_id for hit in bench.retriever.search(QUESTION, 5)]
    assert [hit.before for hit in board.hits] == [alone.index(hit.chunk.chunk_id) + 1 for hit in board.hits]


def test_unchanged_shows_the_baseline(bench: Workbench) -> None:
    board = bench.search(bench.transform(QUESTION, "unchanged"), k=4)
    assert [(hit.before, hit.sources) for hit in board.hits] == [(n, ((1, n),)) for n in (1, 2, 3, 4)]


def test_the_table_says_places_letters_and_answers(bench: Workbench) -> None:
    board = bench.search(bench.transform(QUESTION, "by parts"), k=2)
    rows = parsed(hit_table(board)).findall("table")[0].findall("tr")
    assert [cell.text for cell in rows[0]] == ["place", "found by", "before", "passage"]
    assert all("overflow-wrap:normal" in (cell.get("style") or "") for cell in rows[0])  # no "plac" above "e"
    assert len(rows) == 3
    first = " ".join("".join(rows[1].itertext()).split())
    assert first.startswith("1") and "■ holds the answer" in first and f"A{board.hits[0].sources[0][1]}" in first


def test_texts_and_notes_are_listed(bench: Workbench) -> None:
    listed = words_of(text_list(bench.search(bench.transform(QUESTION, "by parts"), k=1)))
    assert "put together in turns" in listed and "B Which dam is taller: Hoover" in listed
    useless = words_of(text_list(bench.search(bench.transform(QUESTION, "useless"), k=1)))
    assert "the model said nothing: the query is searched as it stands" in useless


def test_the_router_s_verdict_and_bars(bench: Workbench) -> None:
    board = bench.search(unchanged("Which dam, and which wind?"), k=1)
    assert words_of(route_table(board.route)).startswith("Router: energy (lead 2.00).")
    assert "not sure (lead 0.00): all shelves" in words_of(route_table(bench.search(unchanged("Who?"), k=1).route))
    assert route_table(None) == ""
    bars = parsed(route_table(board.route)).findall(".//div")
    assert ["width:7.0em" in (bar.get("style") or "") for bar in bars] == [True, False]


def test_a_router_that_is_not_there(bench: Workbench) -> None:
    board = Workbench(bench.retriever, {}).search(unchanged(QUESTION), k=1)
    assert board.route is None and "Router" not in board.alt()


def test_the_alternative_in_words(bench: Workbench) -> None:
    alt = bench.search(bench.transform(QUESTION, "by parts"), k=2).alt()
    assert alt.startswith(f'"{QUESTION}" searched as A: {QUESTION}; B: Which dam is taller: Hoover; C:')
    assert "(answers), found by A" in alt and alt.endswith("Router: energy (lead 1.00).")


def test_what_passages_and_learners_hold_is_shown_not_run(bench: Workbench) -> None:
    board = bench.search(Transformed("<script>x</script> solar", ("<script>x</script> solar", "<i>cells</i>")), k=5)
    for markup in (hit_table(board), text_list(board), route_table(board.route)):
        assert "<script" not in markup and "<i>" not in markup and "<b>" not in markup
        parsed(markup)


def test_letters() -> None:
    assert [letter(n) for n in (1, 2, 26, 27)] == ["A", "B", "Z", "27"]


@pytest.mark.parametrize(
    ("query", "name", "words"), [("", "by parts", "must not be empty"), ("x", "magic", "got 'magic'")]
)
def test_what_cannot_be_transformed(query: str, name: str, words: str, bench: Workbench) -> None:
    with pytest.raises(ValueError, match=words):
        bench.transform(query, name)


def test_lines_that_a_learner_edited() -> None:
    made = edited("q", " one text \n\n One Text\nanother\n...", "turns")
    assert made == Transformed("q", ("one text", "another"), "turns")
    with pytest.raises(ValueError, match="at least one line with a word"):
        edited("q", " \n?!", "rank")


# ---------------------------------------------------------------- the widget


@pytest.fixture
def widget(bench: Workbench) -> Any:
    return query_workbench_widget(bench, question=QUESTION, name="by parts", k=3)


def test_it_shows_a_result_before_anything_is_touched(widget: Any) -> None:
    typed, choice, texts, fuse, notice, shown = widget.children
    assert (typed.value, choice.value, fuse.value) == (QUESTION, "by parts", "turns")
    assert texts.value.splitlines()[1:] == ["Which dam is taller: Hoover", "Which dam is taller: Alta"]
    assert "<table" in shown.value and "One text a line" in notice.value
    assert all(control.description for control in (typed, choice, texts, fuse)), "labels, for who reads by ear"


def test_another_transformation_fills_the_texts(widget: Any, bench: Workbench) -> None:
    _, choice, texts, fuse, notice, shown = widget.children
    choice.value = "HyDE"
    assert texts.value.splitlines() == [QUESTION, "The wind turns a turbine."] and fuse.value == "mean"
    assert shown.value == hit_table(bench.search(bench.transform(QUESTION, "HyDE"), 3)) + route_table(
        bench.search(unchanged(QUESTION), 1).route
    )
    choice.value = "useless"
    assert texts.value == QUESTION and "the model said nothing" in notice.value
    choice.value = "unchanged"
    assert texts.value == QUESTION and fuse.value == "rank"


def test_a_choice_is_searched_once(bench: Workbench) -> None:
    """Filling the fields below is no edit of the learner's: a model that takes seconds is not searched for thrice."""

    class Counts(Workbench):
        searched: list[tuple[str, ...]] = []  # noqa: RUF012

        def search(self, made: Transformed, k: int = 5) -> Any:
            self.searched.append(made.texts)
            return super().search(made, k)

    counting = Counts(bench.retriever, bench.transformations)
    widget = query_workbench_widget(counting, question=QUESTION, name="unchanged", k=2)
    widget.children[1].value = "by parts"
    assert [len(texts) for texts in counting.searched] == [1, 3]


def test_edited_texts_are_searched(widget: Any) -> None:
    _, choice, texts, _, _, shown = widget.children
    texts.value = "a turbine in the wind"
    assert words_of(shown.value).index("Mill") < words_of(shown.value).index("Hoover"), "the mill comes first now"
    assert choice.value == "by parts", "the choice stays, so that choosing again brings the texts back"


def test_the_fusion_can_be_changed(widget: Any, bench: Workbench) -> None:
    _, _, texts, fuse, _, shown = widget.children
    before = texts.value
    for kind in ("rank", "mean", "turns"):
        fuse.value = kind
        board = bench.search(Transformed(QUESTION, tuple(before.splitlines()), kind), 3)  # type: ignore[arg-type]
        assert shown.value.startswith(hit_table(board))
    assert texts.value == before


def test_a_new_question_is_transformed_anew(widget: Any) -> None:
    typed, _, texts, _, _, shown = widget.children
    typed.value = "How much more does it blow in May than in June?"
    assert texts.value.splitlines()[0] == typed.value and len(texts.value.splitlines()) == 3
    assert "■" not in shown.value, "no known answer, no mark"


@pytest.mark.parametrize("nothing", ["", "   "])
def test_nothing_typed_is_told_and_the_hits_stay(nothing: str, widget: Any) -> None:
    typed, _, texts, _, notice, shown = widget.children
    before = shown.value
    texts.value = nothing
    assert 'role="alert"' in notice.value and "at least one line" in notice.value and shown.value == before
    typed.value = nothing or " "
    assert 'role="alert"' in notice.value and "question must not be empty" in notice.value and shown.value == before
    typed.value = "Which wind?"
    assert "alert" not in notice.value and texts.value == "Which wind?"


def test_a_mean_that_the_retriever_cannot_make_is_told() -> None:
    from course_lib.retrieval.bm25 import BM25Retriever

    date = datetime.date(2024, 1, 1)
    words = BM25Retriever().fit([Chunk("a#00", "a", "A", date, "the wind", 0, 8)])
    widget = query_workbench_widget(
        Workbench(TransformedRetriever(words, unchanged), {"by parts": by_parts}),
        question=QUESTION,
        name="by parts",
        k=1,
    )
    widget.children[3].value = "mean"
    assert 'role="alert"' in widget.children[4].value and "not searched by vector" in widget.children[4].value


def test_readers_without_a_kernel_see_the_first_question(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append((bundle, options)))
    query_workbench_demo(bench, question=QUESTION, name="by parts", k=3)
    ((bundle, options),) = shown
    board = bench.search(bench.transform(QUESTION, "by parts"), 3)
    assert options == {"raw": True} and bundle["text/plain"] == board.alt()
    for part in (text_list(board), hit_table(board), route_table(board.route)):
        assert part in bundle["text/html"]
    assert "<script" not in bundle["text/html"] and "<svg" not in bundle["text/html"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
