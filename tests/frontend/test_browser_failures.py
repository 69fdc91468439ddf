"""The gallery of failures in JupyterLab, in a real browser: it shows, answers the keyboard and fits a phone."""

import pytest

pytest.importorskip("playwright", reason="the extra `test` is not installed")

from jupyter_lab import MARKS, wait_until, write_notebook

from course_lib.systems.failure_file import load_gallery
from course_lib.systems.failures import KINDS

pytestmark = MARKS

CELL = """
from course_lib.systems.failure_file import load_gallery
from course_lib.widgets.failure_gallery import FailureGallery, failure_gallery_demo
failure_gallery_demo(FailureGallery(load_gallery().cases))
"""
CASES = load_gallery().cases


@pytest.fixture(scope="module")
def live(visit):
    """A notebook with the gallery, after Run All."""
    write_notebook(visit.lab.folder / "gallery.ipynb", [CELL])
    visit.open("gallery.ipynb")
    visit.run_all()
    visit.cell(0).get_by_role("button", name="Check").wait_for()
    return visit


def words(visit):
    return visit.cell(0).inner_text()


def press(visit, name):
    button = visit.cell(0).get_by_role("button", name=name)
    button.focus()
    visit.page.keyboard.press("Enter")


def choose(visit, which, steps):
    """Open a drop-down with the space bar, move down in it, take what is there."""
    visit.cell(0).locator("select").nth(which).focus()
    for key in ("Space", *["ArrowDown"] * steps, "Enter"):  # closed, the arrow keys belong to the notebook
        visit.page.keyboard.press(key)
        visit.page.wait_for_timeout(100)


def test_it_shows_the_first_trace(live):
    output = live.cell(0)
    assert output.locator("mark").count() or not CASES[0].trace.question.gold
    assert CASES[0].trace.question.text in words(live) and "Ranks of the gold passage" in words(live)
    live.picture("failure-gallery")
    assert live.complaints == []


def test_a_case_is_diagnosed_by_keyboard_alone(live):
    press(live, "Hint")
    wait_until(lambda: "Hint:" in words(live), "a hint is shown", 30)
    wrong = (list(KINDS).index(CASES[0].kind) + 1) % len(KINDS)
    choose(live, 1, wrong + 1)
    wait_until(lambda: list(KINDS.values())[wrong] in words(live), "what the diagnosis means is told", 30)
    press(live, "Check")
    wait_until(lambda: "✘ Not this." in words(live), "a wrong diagnosis is told", 30)
    live.cell(0).locator("select").nth(1).select_option(CASES[0].kind)
    press(live, "Check")
    wait_until(lambda: "✔ Right." in words(live), "the right diagnosis is told", 30)
    assert f"Diagnosed 1 of {len(CASES)}, 0 of them at the first try" in words(live)
    live.picture("failure-gallery-solved")
    assert live.complaints == []


def test_the_next_case_is_chosen_by_keyboard(live):
    choose(live, 0, 1)
    wait_until(lambda: CASES[1].trace.answer[:30] in words(live), "the second trace is shown", 30)
    assert "✔ Right." not in words(live)
    assert live.complaints == []


def test_on_a_small_screen_nothing_is_cut_off(live):
    live.page.set_viewport_size({"width": 360, "height": 900})
    live.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    try:
        box = live.cell(0).bounding_box()
        for part in live.cell(0).locator(".widget-dropdown, .widget-html, button, mark").all():
            inner = part.bounding_box()
            if inner:
                assert inner["x"] >= box["x"] - 1
                assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1
        live.picture("failure-gallery-narrow")
    finally:
        live.page.set_viewport_size({"width": 1280, "height": 1000})
    assert live.complaints == []
