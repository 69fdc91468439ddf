"""The widgets of lessons 02 to 06 in JupyterLab, in a real browser: each shows, answers the keyboard, fits a phone."""

import pytest

pytest.importorskip("playwright", reason="the extra `test` is not installed")

from jupyter_lab import MARKS, wait_until, write_notebook

pytestmark = MARKS

SETUP = """
import datetime
import numpy as np
from course_lib.core.types import Chunk, Document, Hit, Question
from course_lib.retrieval.bm25 import BM25Retriever
from course_lib.retrieval.counting import TfidfEmbedder
from course_lib.retrieval.exact import DenseRetriever, indexed_text
from course_lib.retrieval.index_trial import Trial
from course_lib.retrieval.query import TransformedRetriever, unchanged
from course_lib.retrieval.query_rules import by_parts
from course_lib.retrieval.routing import KeywordRouter
from course_lib.widgets.chunk_view import chunk_view_demo
from course_lib.widgets.fusion_explorer import fusion_explorer_demo
from course_lib.widgets.index_explorer import IndexExplorer, index_explorer_demo
from course_lib.widgets.query_workbench import Workbench, query_workbench_demo
from course_lib.widgets.rerank_view import RerankCase, RerankView, rerank_demo

day = datetime.date(2024, 1, 1)
texts = ["The meter shows E-2041.", "A refund takes five days.", "Storms & floods <stop> the turbine.", "The bill is late.",
         "The meter is read in May.", "Panels feed the grid.", "A turbine stops at high wind.", "The engineer never came."]
chunks = [Chunk(f"s/{i}#00", f"s/{i}", f"Title {i}", day, text, 0, len(text)) for i, text in enumerate(texts)]
dense = DenseRetriever(TfidfEmbedder().fit([indexed_text(chunk) for chunk in chunks])).fit(chunks)
bm25 = BM25Retriever().fit(chunks)
question = Question("q1", "What does E-2041 on the meter mean?", "exact_term", "help_desk", "dev")
"""
CHUNKS, FUSION, RERANK, WORKBENCH, INDEX = 1, 2, 3, 4, 5
CELLS = [
    SETUP,
    """
text = " ".join(f"Sentence number {i} has seven words here." for i in range(40))
chunk_view_demo(Document("d", "energy", "A long one", day, text), (200, 260), max_words=40)
""",
    "fusion_explorer_demo(dense, bm25, [question], {'q1': {'s/0#00'}}, k=4, depth=8)",
    """
hits = [Hit(chunk.chunk_id, 1 - 0.1 * i) for i, chunk in enumerate(chunks)]
case = RerankCase("What is <now> the fee?", frozenset({"s/3#00"}), hits, hits[::-1], frozenset(h.chunk_id for h in hits[1:]), frozenset({"s/0#00"}),
                  {"late interaction": {h.chunk_id: float(i % 3) for i, h in enumerate(hits)}})
vectors = {chunk.chunk_id: np.eye(8, dtype=np.float32)[i] for i, chunk in enumerate(chunks)}
seconds = {"dense search": 0.01, "late interaction": 0.02, "fusion with words": 0.005}
rerank_demo(RerankView([case], {c.chunk_id: c for c in chunks}, vectors, seconds))
""",
    """
asked = "Which is late, the <refund> or the bill?"
bench = Workbench(TransformedRetriever(dense, unchanged), {"split by rule": by_parts}, router=KeywordRouter(), answers={asked: {"s/3#00"}})
query_workbench_demo(bench, question=asked, k=4)
""",
    """
true = np.array([[0, 1, 2], [3, 4, 5]])
def trial(kind, found, speed, **knobs):
    found = np.array(found)
    recall = np.array([len(set(a) & set(b)) / 3 for a, b in zip(found.tolist(), true.tolist())])
    return Trial(kind, knobs, found, recall, np.full(5, 1 / speed), 1536.0, 0.5)
trials = [trial("flat", true, 100), trial("ivf", [[0, 1, 7], [3, 6, 7]], 900, nlist=8, nprobe=1),
          trial("ivf", [[0, 1, 2], [3, 4, 7]], 500, nlist=8, nprobe=4)]
index_explorer_demo(IndexExplorer().fit(trials, true, ["What is the fee?", "Who came?"], texts))
""",
]


@pytest.fixture(scope="module")
def live(visit):
    """The notebook with every widget, after Run All."""
    write_notebook(visit.lab.folder / "widgets.ipynb", CELLS)
    visit.open("widgets.ipynb")
    visit.run_all()
    visit.cell(len(CELLS) - 1).locator(".widget-slider, .widget-hslider").first.wait_for()
    return visit


def words(visit, number):
    return visit.cell(number).inner_text()


def press_until_it_changes(visit, number, focus, key):
    """Focus a control, press a key, and wait until the output says something else."""
    before = words(visit, number)
    visit.cell(number).locator(focus).first.focus()
    visit.page.keyboard.press(key)
    wait_until(lambda: words(visit, number) != before, f"{key} on {focus} changes cell {number}", 30)


@pytest.mark.parametrize(
    ("number", "name", "says"),
    [(CHUNKS, "chunk-view", "Sentence number 3"), (FUSION, "fusion-explorer", "Title 0"), (RERANK, "rerank-view", "Title"),
     (WORKBENCH, "query-workbench", "holds the answer"), (INDEX, "index-explorer", "recall@3")],
)  # fmt: skip
def test_it_shows_live(live, number, name, says):
    output = live.cell(number)
    assert output.locator(".jupyter-widgets").count() > 1
    output.scroll_into_view_if_needed()  # JupyterLab hides what is far from the window
    wait_until(lambda: says in output.inner_text(), f"cell {number} shows {says!r}", 30)
    live.picture(name)
    assert live.complaints == []


def test_markup_of_a_passage_is_shown_as_text(live):
    assert "<now>" in words(live, RERANK) or live.cell(RERANK).locator("option", has_text="<now>").count()
    assert live.cell(FUSION).locator("stop").count() == 0  # "<stop>" is no element
    assert live.cell(WORKBENCH).locator("stop, refund").count() == 0


@pytest.mark.parametrize(
    ("number", "focus", "key"),
    [(CHUNKS, ".noUi-handle", "ArrowRight"), (FUSION, ".noUi-handle", "ArrowRight"), (RERANK, "input[type=checkbox]", "Space"),
     (WORKBENCH, "select", "End"), (INDEX, ".noUi-handle", "ArrowRight")],
)  # fmt: skip
def test_it_answers_the_keyboard(live, number, focus, key):
    press_until_it_changes(live, number, focus, key)
    assert live.complaints == []


def test_a_question_typed_by_keyboard_is_searched(live):
    field = live.cell(FUSION).locator("input[type=text]")
    field.fill("When does a turbine stop?")
    field.press("Enter")
    wait_until(lambda: "Title 6" in words(live, FUSION), "the passage on turbines is listed", 30)
    field.fill(" ")
    field.press("Enter")
    live.cell(FUSION).get_by_role("alert").wait_for()
    field.fill("When does a turbine stop?")
    field.press("Enter")
    wait_until(lambda: "Title 6" in words(live, FUSION), "the list is back", 30)
    assert live.complaints == []


def test_texts_changed_by_keyboard_are_searched(live):
    field = live.cell(WORKBENCH).locator("textarea")
    field.fill("Where does the grid get its feed?\nWhen does a turbine stop?")
    field.press("Tab")
    wait_until(lambda: "Title 5" in words(live, WORKBENCH), "the passage on the grid is listed", 30)
    assert "B1" in words(live, WORKBENCH) and "Title 6" in words(live, WORKBENCH)
    field.fill("?")
    field.press("Tab")
    live.cell(WORKBENCH).get_by_role("alert").wait_for()
    field.fill("When does a turbine stop?")
    field.press("Tab")
    wait_until(
        lambda: "A1" in words(live, WORKBENCH) and "B1" not in words(live, WORKBENCH), "one text is searched", 30
    )
    assert live.complaints == []


def test_on_a_small_screen_nothing_is_cut_off(live):
    live.page.set_viewport_size({"width": 400, "height": 900})
    live.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    try:
        for number in range(1, len(CELLS)):
            box = live.cell(number).bounding_box()
            kinds = "svg[role=img], table, .widget-text, .widget-textarea, .widget-slider, .widget-dropdown"
            for part in live.cell(number).locator(kinds).all():
                inner = part.bounding_box()
                if inner:
                    assert inner["x"] >= box["x"], number
                    assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1, number
            live.picture(f"narrow-{number}")
    finally:
        live.page.set_viewport_size({"width": 1280, "height": 1000})
    assert live.complaints == []
