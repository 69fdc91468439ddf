"""The widgets as a learner meets them: in JupyterLab, in a real browser, by keyboard."""

import copy
import json
import re

import nbformat
import pytest

pytest.importorskip("playwright", reason="the extra `test` is not installed")

from jupyter_lab import MARKS, wait_until, write_notebook

from course_lib.workshop.build import _tidy_outputs

pytestmark = MARKS

SENTENCE = "The forward scored twice before half-time."
OPTIONS = ["the one about the tyre", "both, " + "for a reason that takes more than one line of a small screen " * 2]
CELLS = [
    """
from course_lib.retrieval.embedding import load_embedder
from course_lib.widgets.meaning_map import MeaningMap, meaning_map_demo
from course_lib.widgets.predictions import predict

shelves = {
    "neurology": ["The tremor eased after the dose.", "Her gait became slow.", "The nerve conducts slowly."],
    "energy": ["The turbine turns at low wind.", "The grid lost its inertia.", "Batteries store the noon sun."],
    "help desk": ["My bill is twice last month's.", "When do you read the meter?", "Please refund my credit."],
}
sentences = [sentence for group in shelves.values() for sentence in group]
groups = [name for name, group in shelves.items() for _ in group]
embedder = load_embedder()
map_ = MeaningMap().fit(sentences, groups, embedder(sentences))
""",
    f"meaning_map_demo(map_, embedder, text={SENTENCE!r}, k=3)",
    f"predict('99_test', 'nearest', 'Which sentence is <nearest> to the first?', {OPTIONS!r})",
]
MAP, PREDICTION = 1, 2
PARTS = "svg[role=img], table, .widget-text, .widget-slider, .widget-radio-box label"


@pytest.fixture(scope="module")
def live(visit):
    """The notebook after Run All."""
    write_notebook(visit.lab.folder / "live.ipynb", CELLS)
    visit.open("live.ipynb")
    visit.run_all()
    visit.cell(MAP).locator(".widget-text input").wait_for()
    return visit


def rows(visit):
    """The neighbours that the table shows."""
    return [row.split("\t")[-1] for row in visit.cell(MAP).locator("table").inner_text().splitlines()[1:]]


def predictions(visit):
    """What the progress file holds."""
    file = visit.lab.folder.parent / "progress.json"
    return json.loads(file.read_text(encoding="utf-8"))["predictions"] if file.exists() else {}


def test_widgets_show_instead_of_their_fallback(live):
    output = live.cell(MAP)
    assert output.locator(".widget-text input").input_value() == SENTENCE
    assert output.locator("svg[role=img]").get_attribute("aria-label").startswith("Map of 9 sentences in 3 groups.")
    assert output.locator("img").count() == 0  # the fallback's picture
    assert len(rows(live)) == 3
    assert live.cell(PREDICTION).locator("input[type=radio]").count() == 2
    assert "Which sentence is <nearest>" in live.cell(PREDICTION).inner_text()
    live.cell(MAP)
    live.picture("widgets")
    assert live.complaints == []


def test_a_sentence_typed_by_keyboard_finds_other_neighbours(live):
    before = rows(live)
    live.cell(MAP).locator(".widget-text input").focus()
    live.page.keyboard.press("Control+A")
    live.page.keyboard.type("The medicine calmed the patient's trembling.")
    live.page.keyboard.press("Enter")
    wait_until(lambda: rows(live) != before, "other neighbours are shown")
    assert rows(live)[0] == "The tremor eased after the dose."
    assert "trembling" in live.cell(MAP).locator("svg[role=img]").get_attribute("aria-label")
    live.picture("widgets-typed")
    assert live.complaints == []


def test_an_empty_sentence_is_answered_with_a_message_and_mended(live):
    field = live.cell(MAP).locator(".widget-text input")
    field.fill("")
    field.press("Enter")
    message = live.cell(MAP).get_by_role("alert")
    message.wait_for()
    assert "sentence" in message.inner_text()
    field.fill(SENTENCE)
    field.press("Enter")
    wait_until(lambda: live.cell(MAP).locator("table").count(), "the table is back")
    assert live.complaints == []


def test_tab_and_arrow_keys_change_the_number_of_neighbours(live):
    n = len(rows(live))
    live.cell(MAP).locator(".widget-text input").focus()
    live.page.keyboard.press("Tab")
    assert live.page.evaluate("document.activeElement.getAttribute('role')") == "slider"
    live.page.keyboard.press("ArrowRight")
    live.page.keyboard.press("ArrowRight")
    wait_until(lambda: len(rows(live)) == n + 2, "two more neighbours are shown")
    assert live.cell(MAP).locator(".widget-readout").inner_text() == str(n + 2)
    live.page.keyboard.press("ArrowLeft")
    wait_until(lambda: len(rows(live)) == n + 1, "one neighbour less is shown")
    live.picture("widgets-slider")
    assert live.complaints == []


def test_a_prediction_is_chosen_by_keyboard_and_lands_in_the_progress_file(live):
    live.cell(MAP).locator(".noUi-handle").focus()
    for _ in range(10):
        live.page.keyboard.press("Tab")
        if live.page.evaluate("document.activeElement.type") == "radio":
            break
    else:
        pytest.fail("ten times Tab do not reach the radio buttons")
    for option in OPTIONS:  # in JupyterLab the arrow keys belong to the notebook
        live.page.keyboard.press("Space")
        wait_until(lambda option=option: predictions(live) == {"99_test/nearest": option}, f"{option!r} is recorded")
        live.page.keyboard.press("Tab")
    assert "Noted." in live.cell(PREDICTION).inner_text()
    assert live.complaints == []


def test_on_a_small_screen_nothing_is_cut_off(live):
    live.page.set_viewport_size({"width": 400, "height": 900})
    live.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    try:
        for number, name in ((MAP, "widgets-narrow"), (PREDICTION, "widgets-narrow-prediction")):
            output = live.cell(number)
            box = output.bounding_box()
            for part in output.locator(
                "svg[role=img], table, .widget-text, .widget-slider, .widget-radio-box label"
            ).all():
                inner = part.bounding_box()
                assert inner["x"] >= box["x"] and inner["x"] + inner["width"] <= box["x"] + box["width"] + 1, name
            live.picture(name)
        labels = [label.bounding_box() for label in live.cell(PREDICTION).locator(".widget-radio-box label").all()]
        noted = live.cell(PREDICTION).locator("em").bounding_box()
        assert labels[1]["height"] > 2 * labels[0]["height"]  # a long option takes several lines,
        assert labels[0]["y"] + labels[0]["height"] <= labels[1]["y"]  # and none lies upon another
        assert labels[1]["y"] + labels[1]["height"] <= noted["y"]
    finally:
        live.page.set_viewport_size({"width": 1280, "height": 1000})
    assert live.complaints == []


def test_in_the_dark_theme_too(live):
    change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })"
    live.page.evaluate(change, "JupyterLab Dark")
    try:
        live.page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
        live.page.wait_for_selector("#jupyterlab-splash", state="detached")
        words, paper = live.cell(MAP).evaluate(
            """output => [getComputedStyle(output.querySelector('td')).color,
                          getComputedStyle(output.querySelector('svg[role=img]')).backgroundColor]"""
        )
        live.picture("widgets-dark")
        assert min(map(int, re.findall(r"\d+", words)[:3])) > 200  # light words on the dark page;
        assert paper == "rgb(255, 255, 255)"  # the drawing brings its own paper
    finally:
        live.page.evaluate(change, "JupyterLab Light")
    assert live.complaints == []


@pytest.fixture(scope="module")
def saved(live):
    """The notebook as JupyterLab saves it for the learner."""
    live.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    wait_until(lambda: any(cell.outputs for cell in read(live)), "the outputs are saved")
    return read(live)


def read(visit):
    return nbformat.read(visit.lab.folder / "live.ipynb", as_version=4).cells


@pytest.mark.parametrize("kind", ["as-handed-in", "as-built"])
def test_without_a_kernel_the_static_fallback_shows(saved, visit, kind):
    notebook = nbformat.v4.new_notebook(cells=copy.deepcopy(saved))
    if kind == "as-built":
        _tidy_outputs(notebook, "saved")
    # written by somebody else, so that JupyterLab does not trust it
    write_notebook(visit.lab.folder / f"{kind}.ipynb", CELLS, [cell.outputs for cell in notebook.cells])
    visit.complaints.clear()
    visit.open(f"{kind}.ipynb", kernel=False)
    assert visit.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session") is None
    picture = visit.cell(MAP).locator("img")
    picture.wait_for()
    assert picture.evaluate("picture => picture.naturalWidth") > 0
    assert SENTENCE in picture.get_attribute("alt")
    assert len(rows(visit)) == 3
    assert [text.strip() for text in visit.cell(PREDICTION).locator("li").all_inner_texts()] == [
        o.strip() for o in OPTIONS
    ]
    assert visit.cell(MAP).locator(".jupyter-widgets").count() == 0
    visit.picture(f"fallback-{kind}")
    # ipywidgets' own front end stumbles over a notebook without a kernel; nothing else may
    assert [words for words in visit.complaints if "jupyterlab-manager" not in words] == []
