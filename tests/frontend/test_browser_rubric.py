"""The rubric form in JupyterLab, in a real browser: blind, kept and resumed, usable by keyboard, and it fits a phone."""

import json

import pytest

pytest.importorskip("playwright", reason="the extra `test` is not installed")

from jupyter_lab import MARKS, wait_until, write_notebook

pytestmark = MARKS

SETUP = """
from course_lib.evaluation.blind_rating import GeneratedText
from course_lib.evaluation.rubric import Criterion
from course_lib.widgets.rubric_form import rubric_form_demo

def hidden(n):
    return "TUNEDMODEL" if n % 2 else "PLAINMODEL"

texts = [GeneratedText(f"t{n}", f"Why is bill <u>{n}</u> late, and what can I do about itemisedbillsandveryverylongwordswithoutanyspace?",
                       f"Dear customer,\\nwe <b>regret</b> that bill {n} is late. It comes by post within five working days.", hidden(n))
         for n in range(3)]
criteria = [Criterion("tone", "Does it sound like us, warm and plain?", ("no: cold, or full of phrases", "partly: plain, but cold",
                      "yes: as a colleague would write it to a customer who is in a hurry")),
            Criterion("help", "Does the customer know <what> to do next?", ("no", "yes"))]
"""
FORM, AGAIN = 1, 2
CELLS = [
    SETUP,
    "rubric_form_demo(texts, criteria, rater='ann', name='browser')",
    "rubric_form_demo(texts, criteria, rater='ben', name='browser')",
]
RADIO = "input[type=radio]"


@pytest.fixture(scope="module")
def live(visit):
    """A notebook with the form for two raters, after Run All."""
    visit.ratings = visit.lab.folder.parent / "browser.jsonl"
    write_notebook(visit.lab.folder / "rubric.ipynb", CELLS)
    visit.open("rubric.ipynb")
    visit.run_all()
    visit.cell(AGAIN).get_by_role("button", name="Results").wait_for()
    return visit


def words(visit, number=FORM):
    return visit.cell(number).inner_text()


def press(visit, name, number=FORM):
    visit.cell(number).get_by_role("button", name=name).focus()
    visit.page.keyboard.press("Enter")


def saved(visit):
    return [json.loads(line) for line in visit.ratings.read_text("utf-8").splitlines()]


def choose(visit, which, number=FORM):
    """Choose the radio button of this place among all of them, with the space bar."""
    visit.cell(number).locator(RADIO).nth(which).focus()
    visit.page.keyboard.press("Space")


def test_it_shows_the_first_text_blind(live):
    assert "Text 1 of 3. Fully rated: 0 of 3, by ann." in words(live)
    assert live.cell(FORM).locator(RADIO).count() == 5 and live.cell(FORM).locator("input:checked").count() == 0
    live.picture("rubric-form")
    assert "MODEL" not in live.cell(FORM).inner_html()
    assert live.complaints == []


def test_markup_is_shown_as_text(live):
    assert live.cell(FORM).locator("u, b").count() == 0
    assert "<b>regret</b>" in words(live) and "know <what> to do" in words(live)


def test_every_radio_button_has_its_words(live):
    for words_of_it in ("tone 0: no: cold, or full of phrases", "help 1: yes"):
        assert live.cell(FORM).get_by_role("radio", name=words_of_it).count() == 1
    assert live.cell(FORM).get_by_role("status").count() >= 2


def test_on_a_small_screen_nothing_is_cut_off(live):
    live.page.set_viewport_size({"width": 360, "height": 900})
    live.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    try:
        box = live.cell(FORM).bounding_box()
        for part in (
            live.cell(FORM)
            .locator(f".widget-html, .widget-html-content > div, .widget-radio, label, {RADIO}, button")
            .all()
        ):
            inner = part.bounding_box()
            if inner:
                assert inner["x"] >= box["x"] - 1
                assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1
        for option in live.cell(FORM).locator(".widget-radio-box label, .course-rubric > .widget-label").all():
            assert option.evaluate(
                "it => it.scrollWidth <= it.clientWidth + 1 && it.scrollHeight <= it.clientHeight + 1"
            )
        live.picture("rubric-form-narrow")
    finally:
        live.page.set_viewport_size({"width": 1280, "height": 1000})
    assert live.complaints == []


def test_a_text_is_rated_by_keyboard_alone_and_kept(live):
    choose(live, 0)
    wait_until(lambda: "Saved." in words(live), "the first choice is saved", 30)
    live.page.keyboard.press("Tab")  # the next level; in JupyterLab the arrow keys belong to the notebook
    live.page.keyboard.press("Space")
    wait_until(lambda: [each["levels"] for each in saved(live)] == [{"tone": 1}], "another choice is in the file", 30)
    live.page.keyboard.press("Tab")
    live.page.keyboard.press("Tab")
    live.page.keyboard.press("Space")
    wait_until(lambda: "Fully rated: 1 of 3" in words(live), "Tab leads to the next criterion", 30)
    assert saved(live)[0]["levels"] == {"tone": 1, "help": 0}
    press(live, "Next")
    wait_until(lambda: "Text 2 of 3" in words(live), "the second text is shown", 30)
    wait_until(lambda: live.cell(FORM).locator("input:checked").count() == 0, "nothing is chosen there yet", 30)
    press(live, "Back")
    wait_until(lambda: live.cell(FORM).locator("input:checked").count() == 2, "the choices are back", 30)
    assert live.complaints == []


def test_the_cell_run_again_goes_on(live):
    live.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    wait_until(lambda: "Text 2 of 3. Fully rated: 1 of 3, by ann." in words(live), "the form goes on", 60)
    live.cell(AGAIN).get_by_role("button", name="Results").wait_for()
    assert live.complaints == []


def rate_everything(live, number, levels):
    for place, (tone, help_) in enumerate(levels):
        choose(live, tone, number)
        choose(live, 3 + help_, number)
        wait_until(lambda: live.cell(number).locator("input:checked").count() == 2, "both are chosen", 30)
        if place + 1 < len(levels):
            before = words(live, number)
            press(live, "Next", number)
            wait_until(lambda before=before: words(live, number) != before, "the next text is shown", 30)


def test_the_end_unveils_the_systems_and_compares_the_raters(live):
    rate_everything(live, FORM, [(2, 1), (0, 1)])
    wait_until(lambda: "Fully rated: 3 of 3" in words(live), "ann is ready", 30)
    assert "MODEL" not in live.cell(FORM).inner_html()
    press(live, "Results")
    wait_until(lambda: "TUNEDMODEL" in words(live) and "PLAINMODEL" in words(live), "the systems are unveiled", 30)
    assert "Agreement needs a second rater" in words(live)
    assert live.cell(FORM).locator(f"{RADIO}:disabled").count() == 5
    rate_everything(live, AGAIN, [(2, 1), (1, 0), (0, 1)])
    press(live, "Results", AGAIN)
    wait_until(lambda: "ann and ben" in words(live, AGAIN), "the raters are compared", 30)
    assert {each["rater"] for each in saved(live)} == {"ann", "ben"} and len(saved(live)) == 6
    live.picture("rubric-form-results")
    live.page.set_viewport_size({"width": 360, "height": 900})
    try:
        live.page.evaluate("window.jupyterapp.shell.collapseLeft()")
        box = live.cell(AGAIN).bounding_box()
        for table in live.cell(AGAIN).locator("table").all():
            inner = table.bounding_box()
            assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1
        live.picture("rubric-form-results-narrow")
    finally:
        live.page.set_viewport_size({"width": 1280, "height": 1000})
    assert live.complaints == []
