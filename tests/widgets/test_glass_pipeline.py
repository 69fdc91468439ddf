"""The glass pipeline's view and shell: what is shown, in signs as well as colours, and nothing that was typed is lost."""

from __future__ import annotations

import base64
import datetime
import re
import struct
import zlib
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from glass_toys import DOCUMENTS, NOW, Echo, Quoting, document, toy_room

from course_lib.generation.citing import Support
from course_lib.systems.glass import GlassPipeline
from course_lib.systems.glass_trace import STEPS, SWITCHES
from course_lib.systems.room import MAX_TEXT
from course_lib.widgets import glass_pipeline
from course_lib.widgets.glass_cards import bar, vector_strip
from course_lib.widgets.glass_pipeline import (
    figure_alt,
    glass_pipeline_demo,
    glass_pipeline_widget,
    trace_figure,
)
from course_lib.widgets.glass_view import (
    PANELS,
    in_seconds,
    sections,
    support_line,
    trace_alt,
    trace_view,
    what_changed,
)

EVIL = "<script>alert('x')</script> & <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def glass() -> GlassPipeline:
    return GlassPipeline(toy_room(), Quoting())


class Reader(HTMLParser):
    """What markup says and which elements it has; every element that is opened must be closed."""

    EMPTY = ("br", "img", "hr")

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.words, self.elements, self.attributes = "", list[str](), list[dict[str, str | None]]()
        self.open = list[str]()
        self.feed(markup)
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append(tag)
        self.attributes.append(dict(attrs))
        self.open += [] if tag in self.EMPTY else [tag]

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append(tag)
        self.attributes.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


# ---------------------------------------------------------------- the view, a pure function


def test_every_step_is_in_the_view(glass: GlassPipeline) -> None:
    trace = glass.having(k=2)(NOW)
    said = Reader(trace_view(trace)).words
    for step in STEPS.values():
        assert step in said
    assert NOW in said and trace.reply in said and trace.closed_book in said
    assert "7 of 7 passages pass" in said and "Superseded passages left out: 1." in said
    assert f"{trace.prompt.n_tokens} of 1,200 tokens" in said  # type: ignore[union-attr]
    assert trace_view(trace) == trace_view(trace)


@pytest.mark.parametrize("step", list(SWITCHES))
def test_a_step_that_is_off_says_so_in_words(step: str, glass: GlassPipeline) -> None:
    trace = glass.without(step)(NOW)
    said = Reader(trace_view(trace)).words
    name = "With passages" if step == "answer" else STEPS[step]
    if step in ("answer", "closed_book"):
        assert f"{name}\n" not in said and (name not in said.split(" in all")[0])
    else:
        assert f"{name} ○ off" in said
    assert "○ off" not in Reader(trace_view(glass(NOW))).words


def test_a_trace_that_has_only_begun_can_be_shown(glass: GlassPipeline) -> None:
    for trace in glass.watch(NOW):
        parts = sections(trace)
        assert tuple(parts) == PANELS
        for markup in parts.values():
            Reader(markup)


def test_untrusted_text_is_text_everywhere() -> None:
    documents = [document("help_desk/evil", EVIL, 2024, f"The {EVIL} costs 5 pounds. {EVIL}")]
    glass = GlassPipeline(toy_room(documents), Echo(f"The {EVIL} costs 5 pounds."))
    trace = glass(f"What does {EVIL} cost?")
    read = Reader(trace_view(trace))
    assert "script" not in read.elements and read.words.count("<script>") >= 6
    assert [a for a in read.attributes if a.get("src") == "x" or "onerror" in a] == []
    assert '"' not in re.sub(r'="[^"]*"', "", re.sub(r">[^<]*<", "><", trace_view(trace)))


def test_signs_as_well_as_colours(glass: GlassPipeline) -> None:
    trace = glass(NOW)
    yes = support_line(trace, Support("A & b.", 0, 6, 1, 1.0, "An evening call-out costs 55 pounds.", (0, 36)))
    no = support_line(trace, Support("A & b.", 0, 6, None, 0.1, "", (0, 0)))
    assert "✓" in yes and "[1]" in yes and "Evening call-out fee" in yes and "A &amp; b." in yes
    assert "✗ no passage supports it" in no
    marked = sections(trace)["support"]
    assert "<mark>▸An evening call-out costs 55 pounds.◂</mark>" in marked


def test_who_abstains_is_said_to(glass: GlassPipeline) -> None:
    trace = GlassPipeline(glass.room, Echo("I do not know."))(NOW)
    assert "abstains" in sections(trace)["answers"] and "claims nothing" in sections(trace)["support"]


def test_a_model_that_says_nothing(glass: GlassPipeline) -> None:
    trace = GlassPipeline(glass.room, Echo(""))(NOW)
    assert "The model said nothing." in trace_view(trace)
    Reader(trace_view(trace))


def test_moves_are_read_out(glass: GlassPipeline) -> None:
    read = Reader(sections(glass(NOW))["rerank"])
    labels = [a["aria-label"] for a in read.attributes if a.get("role") == "img"]
    assert len(labels) == 5 and all(re.fullmatch(r"(up|down) \d+|where it was|new", label or "") for label in labels)


def test_what_was_dropped_and_what_did_not_fit(glass: GlassPipeline) -> None:
    whole = glass(NOW).prompt
    assert whole is not None
    trace = glass.having(k=3, shelf="help_desk", budget=whole.n_tokens + 3)(NOW)
    read = Reader(trace_view(trace)).words
    assert "May be found: on help_desk" in read and "4 of 7 passages pass" in read
    assert "Did not fit:" in read or "Shortened:" in read


def test_seconds_by_hand() -> None:
    assert [in_seconds(value) for value in (0.0, 0.0049, 0.005, 1.239)] == [
        "&lt; 0.01 s",
        "&lt; 0.01 s",
        "0.01 s",
        "1.24 s",
    ]


def test_a_bar_by_hand() -> None:
    """Parts of 1 and 3 of 8: 12.5 % and 37.5 %."""
    drawn = bar([("a<b", 1, "one"), ("c", 3, "three")], 8)
    assert re.findall(r"width:([\d.]+)%", drawn) == ["12.50", "37.50"]
    assert Reader(drawn).words.split() == ["a<b", "one", "c", "three"]
    assert "width:0.00%" in bar([("nothing", 0, "0")], 0)


def test_a_vector_strip_by_hand() -> None:
    """0 is white, the largest number pure orange, half of it below 0 half-way to blue."""
    png = base64.b64decode(vector_strip(np.array([0.0, 1.0, -0.5], dtype=np.float32)))
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", png[16:24]) == (3, 1)
    start = png.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", png[start - 8 : start - 4])
    row = zlib.decompress(png[start : start + length])
    assert list(row) == [0, 255, 255, 255, 230, 159, 0, 128, 184, 216]
    assert vector_strip(np.zeros(4, dtype=np.float32))


def test_what_a_switch_did_is_said_in_words(glass: GlassPipeline) -> None:
    trace = glass(NOW)
    assert what_changed(None, trace) == what_changed(glass("Who pays a refund?"), trace) == ""
    assert what_changed(glass.without("support")(NOW), trace) == "The prompt is what it was."
    energy = glass.having(shelf="energy")(NOW)
    title = energy.prompt.shown[0].title  # type: ignore[union-attr]
    assert what_changed(trace, energy) == (
        f"Now in the prompt: {title}. No longer: Evening call-out fee. The answer has changed."
    )
    assert what_changed(trace, glass.without("answer").having(shelf="energy")(NOW)).endswith("Evening call-out fee.")
    old = glass.without("versions").having(until=datetime.date(2021, 1, 1))(NOW)
    assert what_changed(trace, old) == (
        "The same titles are in the prompt, in other passages, places or lengths. The answer has changed."
    )


def test_alt_text_names_answer_and_sources(glass: GlassPipeline) -> None:
    said = trace_alt(glass(NOW))
    assert NOW in said and "Answer: An evening call-out costs 55 pounds." in said and "[1] Evening call-out fee" in said
    assert "Answer: none asked for." in trace_alt(glass.without("answer")(NOW))


def test_the_picture(glass: GlassPipeline) -> None:
    from matplotlib import pyplot as plt

    trace = glass(NOW)
    figure = trace_figure(trace)
    lines = figure.axes[0].get_lines()
    assert len(lines) == 5 and len({line.get_marker() for line in lines}) == 5
    first = trace.rankings["rerank"][0].chunk_id
    assert list(lines[0].get_ydata()) == [trace.rank(step, first) or 13 for step in trace.rankings]
    assert "Evening call-out fee: words (BM25) 2, " in figure_alt(trace)
    plt.close(figure)


# ---------------------------------------------------------------- the shell


class Shell:
    """The widget with its parts by name."""

    def __init__(self, glass: GlassPipeline, **options: Any) -> None:
        self.box = glass_pipeline_widget(glass, question=NOW, **options)
        self.parts = list(self.walk(self.box))

    def walk(self, widget: Any) -> Any:
        for child in getattr(widget, "children", ()):
            yield child
            yield from self.walk(child)

    def __getitem__(self, description: str) -> Any:
        (found,) = [part for part in self.parts if getattr(part, "description", None) == description]
        return found

    @property
    def shown(self) -> str:
        return "".join(part.value for part in self.parts if type(part).__name__ == "HTML")

    @property
    def said(self) -> str:
        return Reader(self.shown).words


@pytest.fixture
def shell(glass: GlassPipeline) -> Shell:
    return Shell(glass)


def test_it_asks_at_once_and_shows_the_trace(shell: Shell) -> None:
    assert "An evening call-out costs 55 pounds." in shell.said and "Done." in shell.said


def test_with_a_trace_nothing_is_asked_again(glass: GlassPipeline) -> None:
    echo = Echo()
    shell = Shell(GlassPipeline(glass.room, echo), trace=glass(NOW))
    assert echo.asked == [] and "An evening call-out costs 55 pounds." in shell.said


def test_every_control_is_labelled_and_in_order(shell: Shell) -> None:
    names = [part.description for part in shell.parts if getattr(part, "description", "")]
    assert names == ["Question", "Ask", *SWITCHES.values(), "Passages", "Tokens", "Shelf", "Since", "Until",
                     "only versions in force", "Your own document", "Title", "Text", "Add and ask again", "Remove mine"]  # fmt: skip


def test_another_question_another_trace(shell: Shell) -> None:
    shell["Question"].value = "What does E-2041 on the meter mean?"
    assert "The meter shows error E-2041 when its battery is low." in shell.said
    assert "Trace of What does E-2041" in shell.said


@pytest.mark.parametrize("step", list(SWITCHES))
def test_each_switch_changes_the_trace_and_back(step: str, shell: Shell) -> None:
    def without_seconds() -> str:
        return re.sub(r"[\d.]+ s\b|&lt; 0.01 s|width:[\d.]+%|\(kept\)|vectors of \d+|Done\. [^<]*", "", shell.shown)

    before = without_seconds()
    shell[SWITCHES[step]].value = False
    assert without_seconds() != before
    shell[SWITCHES[step]].value = True
    assert without_seconds() == before


def test_what_changed_is_said(shell: Shell) -> None:
    shell[SWITCHES["closed_book"]].value = False
    assert "Done. The prompt is what it was." in shell.said
    shell["Shelf"].value = "energy"
    assert "No longer: Evening call-out fee. The answer has changed." in shell.said


def test_both_searches_off_is_a_message_and_the_trace_stays(shell: Shell) -> None:
    shell[SWITCHES["words"]].value = False
    shell[SWITCHES["meaning"]].value = False
    assert 'role="alert"' in shell.shown and "nothing is searched" in shell.said
    assert "An evening call-out costs 55 pounds." in shell.said
    shell[SWITCHES["words"]].value = True
    assert 'role="alert"' not in shell.shown


@pytest.mark.parametrize("question", ["", "   ", "word " * 10_000])
def test_a_question_that_is_none_is_a_message(question: str, shell: Shell) -> None:
    shell["Question"].value = question
    assert 'role="alert"' in shell.shown and "question must" in shell.said
    assert shell["Question"].value == question
    assert "Trace of " + NOW in shell.said


def test_an_error_half_way_leaves_no_step_of_another_question(shell: Shell) -> None:
    shell["Tokens"].value = 200
    shell["Question"].value = "What does " + "a very old " * 60 + "meter show?"
    shell["Tokens"].min, shell["Tokens"].value = 1, 60
    assert 'role="alert"' in shell.shown and "budget must hold" in shell.said
    assert "Trace of What does a very" in shell.said and "Read again" in shell.said
    assert "55 pounds.◂" not in shell.said and "The prompt as the model sees it" not in shell.said


def test_whatever_fails_is_shown(glass: GlassPipeline) -> None:
    class Broken(Echo):
        def generate(self, messages: Any, *, max_new_tokens: int) -> str:
            raise RuntimeError("out of <memory>")

    shell = Shell(GlassPipeline(glass.room, Broken()))
    assert "✗ RuntimeError: out of <memory>" in shell.said and "Search by words" in shell.said


def test_a_prompt_that_stays_the_same_is_not_drawn_again(shell: Shell) -> None:
    (folded,) = [part for part in shell.parts if "<details" in str(getattr(part, "value", ""))]
    seen: list[str] = []
    folded.observe(lambda change: seen.append(change.new), names="value")
    shell[SWITCHES["closed_book"]].value = False
    assert seen == []
    shell["Passages"].value = 2
    assert len(seen) == 1 and "[2]" in seen[0]


def test_filters_and_knobs_reach_the_pipeline(shell: Shell) -> None:
    shell["Passages"].value = 3
    assert "[3]" in shell.said
    shell["Shelf"].value = "energy"
    assert "on energy. 2 of 7 passages pass" in shell.said
    shell["Shelf"].value = ""
    shell["Since"].value = datetime.date(2030, 1, 1)
    assert "loosen it" in shell.said
    shell["Since"].value = None
    shell["only versions in force"].value = True
    assert "not superseded. 6 of 7 passages pass" in shell.said


def test_a_document_of_ones_own_is_cited(shell: Shell) -> None:
    assert shell.box.children[6].layout.display == "none" and shell["Remove mine"].disabled
    shell["Your own document"].value = True
    assert shell.box.children[6].layout.display == ""
    shell["Title"].value = f"Borrowing the ladder {EVIL}"
    shell["Text"].value = "Members may borrow the ladder for three days. After that a day costs 4 pounds."
    shell["Question"].value = "For how long may a member borrow the ladder?"
    assert "three days" not in shell.said
    shell["Add and ask again"].click()
    assert "is searched with the rest: 1 passages" in shell.said and "(yours)" in shell.said
    assert "Members may borrow the ladder for three days. ✓" in shell.said
    assert ("yours", "yours") in shell["Shelf"].options
    assert shell["Text"].value.startswith("Members") and not shell["Remove mine"].disabled
    shell["Add and ask again"].click()
    assert "is in the room already" in shell.said
    shell["Shelf"].value = "yours"
    assert "on yours. 1 of 8 passages pass" in shell.said
    shell["Remove mine"].click()
    assert "three days" not in shell.said and "(yours)" not in shell.said
    assert shell["Shelf"].value == "" and shell["Remove mine"].disabled
    assert "script" not in Reader(shell.shown).elements


@pytest.mark.parametrize(
    ("title", "text", "says"),
    [("", "text", "title must not be empty"), ("title", " ", "text must not be empty"),
     ("title", "t" * (MAX_TEXT + 1), "at most 20,000 characters, got 20,001")],
)  # fmt: skip
def test_a_document_that_cannot_be_is_a_message_and_nothing_is_lost(
    title: str, text: str, says: str, shell: Shell
) -> None:
    shell["Title"].value, shell["Text"].value = title, text
    shell["Add and ask again"].click()
    assert says in shell.said and 'role="alert"' in shell.shown
    assert (shell["Title"].value, shell["Text"].value) == (title, text)
    assert "An evening call-out costs 55 pounds." in shell.said


def test_the_demo_has_a_static_picture(glass: GlassPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(glass_pipeline, "show_widget", lambda *parts: shown.append(parts))
    glass_pipeline_demo(glass, question=NOW)
    ((_, static, alt),) = shown
    read = Reader(static)
    assert read.elements.count("img") == 2 and all(a["alt"] for a in read.attributes if "src" in a)
    assert "An evening call-out costs 55 pounds." in read.words and NOW in alt
    with pytest.raises(ValueError, match="not be empty"):
        glass_pipeline_demo(glass, question=" ")


def test_the_shipped_room_is_never_touched(glass: GlassPipeline) -> None:
    shell = Shell(glass)
    shell["Title"].value, shell["Text"].value = "Mine", "My own words."
    shell["Add and ask again"].click()
    assert len(glass.room) == len(DOCUMENTS) and glass.room.yours == ()
