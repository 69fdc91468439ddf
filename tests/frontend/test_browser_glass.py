"""The glass pipeline in JupyterLab, in a real browser: asked by keyboard, switched, fed a document, on a phone's screen."""

from pathlib import Path

import nbformat
import pytest

pytest.importorskip("playwright", reason="the extra `test` is not installed")

from jupyter_lab import MARKS, wait_until, write_notebook

pytestmark = MARKS

TESTS = Path(__file__).parents[1]
CELLS = [
    """
from glass_toys import NOW, Quoting, toy_room
from course_lib.systems.glass import GlassPipeline
from course_lib.widgets.glass_pipeline import glass_pipeline_demo
glass = GlassPipeline(toy_room(), Quoting())
""",
    "glass_pipeline_demo(glass, question=NOW)",
]
DEMO = 1
SAID = "An evening call-out costs 55 pounds."


@pytest.fixture(scope="module")
def lab_environment():
    """The kernel finds the toys of the other tests."""
    return {"PYTHONPATH": str(TESTS)}


@pytest.fixture(scope="module")
def live(visit):
    """The notebook after Run All."""
    write_notebook(visit.lab.folder / "live.ipynb", CELLS)
    visit.open("live.ipynb")
    visit.run_all()
    visit.cell(DEMO).locator("section").first.wait_for()
    return visit


def words(visit):
    return visit.cell(DEMO).inner_text()


def field(visit, label):
    return visit.cell(DEMO).get_by_label(label, exact=True)


def photograph(visit, name, width=1280, height=2700):
    """Keep a picture of the whole demo, which is longer than a screen."""
    size = visit.page.viewport_size
    visit.page.set_viewport_size({"width": width, "height": height})
    visit.cell(DEMO)
    visit.picture(name)
    visit.page.set_viewport_size(size)


def ask(visit, question):
    """Type a question and press Enter."""
    field(visit, "Question").fill(question)
    field(visit, "Question").press("Enter")


def focused(visit):
    """What the keyboard is on, in words."""
    return visit.page.evaluate(
        """() => { const it = document.activeElement;
            return it.getAttribute('aria-label') || (it.labels && it.labels[0] && it.labels[0].innerText)
                || it.innerText || it.getAttribute('role') || it.type }"""
    ).strip()


def test_it_shows_every_step(live):
    said = words(live)
    for part in ("With passages", "Closed book", SAID, "✓ [1]", "Search by words (BM25)", "Query vector", "Latest version",
                 "Read again (late interaction)", "of 1,200 tokens", "best matches:", "in all"):  # fmt: skip
        assert part in said, part
    assert live.cell(DEMO).locator("img[alt*='numbers from']").evaluate("picture => picture.naturalWidth") == 64
    photograph(live, "glass")
    assert live.complaints == []


def test_a_question_typed_by_keyboard_is_answered(live):
    field(live, "Question").focus()
    live.page.keyboard.press("Control+A")
    live.page.keyboard.type("What does E-2041 on the meter mean?")
    live.page.keyboard.press("Enter")
    wait_until(lambda: "when its battery is low. ✓ [1]" in words(live), "the answer is there with its source", 30)
    ask(live, "What is a <b>tremor</b> at rest?")
    wait_until(lambda: "often the first sign" in words(live), "another answer", 30)
    assert "<b>tremor</b>" in words(live)  # as text
    ask(live, "What does an evening call-out cost now?")
    wait_until(lambda: f"{SAID} ✓ [1]" in words(live), "the first answer is back", 30)
    assert live.complaints == []


def test_tab_goes_from_the_question_through_every_control_in_order(live):
    field(live, "Question").focus()
    order = []
    for _ in range(40):
        live.page.keyboard.press("Tab")
        order.append(focused(live))
        if "Your own document" in order[-1]:
            break
    names = ["Ask", "words (BM25)", "meaning (MiniLM)", "fusion", "latest version", "late interaction", "answer",
             "support", "closed book"]  # fmt: skip
    assert order[: len(names)] == names
    assert "Your own document" in order[-1] and "Shelf" in " ".join(order), order


def test_a_step_switched_off_by_keyboard_changes_the_trace(live):
    box = live.cell(DEMO).get_by_label("latest version", exact=True)
    box.focus()
    live.page.keyboard.press("Space")
    wait_until(lambda: "Latest version ○ off" in words(live), "the step says that it is off", 30)
    wait_until(
        lambda: "40 pounds" in words(live) or "(superseded)" in words(live), "old versions are among the hits", 30
    )
    photograph(live, "glass-off")
    live.page.keyboard.press("Space")
    wait_until(lambda: "○ off" not in words(live), "it is on again", 30)
    assert live.complaints == []


def test_the_prompt_unfolds_by_keyboard_and_stays_open_while_another_step_changes(live):
    summary = live.cell(DEMO).locator("summary")
    summary.focus()
    live.page.keyboard.press("Enter")
    wait_until(lambda: "You answer questions from the passages" in words(live), "the prompt is unfolded")
    live.cell(DEMO).get_by_label("closed book", exact=True).uncheck()
    wait_until(lambda: "nothing to check it by" not in words(live), "the closed book is gone", 30)
    assert "You answer questions from the passages" in words(live)
    live.cell(DEMO).get_by_label("closed book", exact=True).check()
    wait_until(lambda: "nothing to check it by" in words(live), "it is back", 30)


def test_mistakes_are_answered_and_nothing_is_lost(live):
    for question, says in ((" ", "must not be empty"), ("word " * 10_000, "at most 1,000 characters")):
        ask(live, question)
        alert = live.cell(DEMO).get_by_role("alert")
        wait_until(lambda says=says, alert=alert: alert.count() and says in alert.inner_text(), says, 30)
        assert SAID in words(live)
    ask(live, "What does an evening call-out cost now?")
    wait_until(lambda: not live.cell(DEMO).get_by_role("alert").count(), "the message is gone", 30)
    assert live.complaints == []


def test_a_document_of_ones_own_is_added_by_keyboard_and_cited(live):
    toggle = live.cell(DEMO).get_by_role("button", name="Your own document")
    toggle.focus()
    live.page.keyboard.press("Enter")
    title = field(live, "Title")
    title.wait_for()
    title.fill("Borrowing <i>the ladder</i>")
    live.cell(DEMO).get_by_role("button", name="Add and ask again").click()
    live.cell(DEMO).get_by_role("alert").wait_for()
    assert "text must not be empty" in words(live) and title.input_value() == "Borrowing <i>the ladder</i>"
    field(live, "Text").fill("Members may borrow the ladder for three days. After that a day costs 4 pounds.")
    add = live.cell(DEMO).get_by_role("button", name="Add and ask again")
    add.focus()
    live.page.keyboard.press("Enter")
    wait_until(lambda: "is searched with the rest: 1 passages" in words(live), "the document is in the room", 30)
    ask(live, "For how long may a member borrow the ladder?")
    wait_until(lambda: "for three days. ✓ [1]" in words(live), "it is cited", 30)
    assert "Borrowing <i>the ladder</i>" in words(live) and "(yours)" in words(live)
    assert live.cell(DEMO).locator("section i, blockquote i").count() == 0
    photograph(live, "glass-yours")
    assert live.complaints == []


def test_on_a_phone_nothing_is_cut_off_and_nothing_scrolls_sideways(live):
    live.page.set_viewport_size({"width": 360, "height": 780})
    live.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    try:
        output = live.cell(DEMO)
        box = output.bounding_box()
        parts = "section, table, img, li, blockquote, p, button, .widget-text, .widget-textarea, .widget-slider, .widget-dropdown, .widget-checkbox, .widget-datepicker"
        for part in output.locator(parts).all():
            inner = part.bounding_box()
            if inner and inner["width"]:
                assert inner["x"] >= box["x"] - 1, part.inner_text()
                assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1, part.inner_text()
        wide = output.evaluate("it => [...it.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1 && "
                               "['auto', 'scroll'].includes(getComputedStyle(e).overflowX)).map(e => e.className)")  # fmt: skip
        assert wide == []
        photograph(live, "glass-phone", width=360, height=4200)
    finally:
        live.page.set_viewport_size({"width": 1280, "height": 1000})
    assert live.complaints == []


def test_without_a_kernel_the_static_trace_shows(live, visit):
    live.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")

    def saved():
        return nbformat.read(visit.lab.folder / "live.ipynb", as_version=4).cells

    wait_until(lambda: saved()[DEMO].outputs, "the outputs are saved")
    write_notebook(visit.lab.folder / "handed-in.ipynb", CELLS, [cell.outputs for cell in saved()])
    visit.complaints.clear()
    visit.open("handed-in.ipynb", kernel=False)
    picture = visit.cell(DEMO).locator("img[alt^='Rank of the best passages']")
    picture.wait_for()
    assert picture.evaluate("picture => picture.naturalWidth") > 0
    assert SAID in words(visit) and "Search by words (BM25)" in words(visit)
    assert visit.cell(DEMO).locator(".jupyter-widgets").count() == 0
    photograph(visit, "glass-static")
    # ipywidgets' own front end stumbles over a notebook without a kernel; nothing else may
    assert [said for said in visit.complaints if "jupyterlab-manager" not in said] == []
