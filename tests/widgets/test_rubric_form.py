"""The rubric form, driven by its traits: blind until the end, saved at every click, resumed, errors told in place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from course_lib.evaluation.blind_rating import GeneratedText, agreements, levels_by_system
from course_lib.evaluation.rubric import Criterion, Rating, load_ratings
from course_lib.evaluation.significance import bootstrap_interval
from course_lib.widgets.rating_book import RatingBook, rating_file
from course_lib.widgets.rubric_form import option, result_html, rubric_form_demo, rubric_form_widget, text_html

TONE = Criterion("tone", "Does it sound like <us>?", ("not at all", "partly", "as we write"))
FACTS = Criterion("facts", "Is it right?", ("wrong", "right"))
TEXTS = [
    GeneratedText(f"q{i}/{system}", f"Is <b>{i}</b> due & payable?", f"Reply {i}{mark}", system)
    for i in range(3)
    for system, mark in (("GRUNDMODELL", "a <i>"), ("FEINMODELL", "b\nnew line"))
]


class Form:
    """A form and its parts by name."""

    def __init__(self, rater: str = "ann", texts: list[GeneratedText] = TEXTS, others: tuple[Rating, ...] = ()) -> None:
        self.book = RatingBook(texts, (TONE, FACTS), rater=rater, path=rating_file("test"))
        self.box = rubric_form_widget(self.book, others=others)
        _, self.progress, self.shown, self.tone, self.facts, buttons, self.notice, self.results = self.box.children
        self.back, self.next, self.finish = buttons.children

    def rate_all(self, shift: int = 0) -> None:
        for place in range(len(self.book.texts)):
            self.tone.value, self.facts.value = (place + shift) % 3, (place + shift) % 2
            if place + 1 < len(self.book.texts):
                self.next.click()


def words_of(markup: str) -> str:
    return " ".join("".join(ElementTree.fromstring(f"<page>{markup}</page>").itertext()).split())


def traits(widget: Any) -> Iterator[str]:
    """Everything of a widget and its children that goes to the browser."""
    yield str({name: value for name, value in widget.get_state().items() if name != "children"})
    for child in getattr(widget, "children", ()):
        yield from traits(child)


# ---------------------------------------------------------------- one text at a time, blind


def test_the_first_text_of_the_blind_order_shows_with_nothing_chosen() -> None:
    form = Form()
    first = form.book.texts[0]
    assert form.shown.value == text_html(first)
    assert words_of(form.shown.value) == f"Written for{first.prompt}Text{' '.join(first.text.split())}"
    assert "Text 1 of 6. Fully rated: 0 of 6, by ann." in words_of(form.progress.value)
    assert form.tone.value is None and form.facts.value is None and "Tab and the space bar" in form.notice.value
    assert not form.book.path.exists()


def test_every_control_has_words_for_who_reads_by_ear() -> None:
    form = Form()
    assert form.tone.description == TONE.question and form.facts.description == FACTS.question
    assert [words for words, _ in form.tone.options] == [
        "tone 0: not at all",
        "tone 1: partly",
        "tone 2: as we write",
    ]
    assert [button.description for button in (form.back, form.next, form.finish)] == ["Back", "Next", "Results"]
    assert 'role="status"' in form.progress.value and 'role="status"' in form.notice.value


def test_who_wrote_a_text_is_nowhere_in_the_browser_before_the_end() -> None:
    form = Form()
    for place in range(6):
        sent = " ".join(traits(form.box))
        assert "MODELL" not in sent and "/q" not in sent and "#" not in sent.replace("&#", "").replace("#0072b2", "")
        form.tone.value, form.facts.value = 1, place % 2
        form.next.click()
    assert "MODELL" not in " ".join(traits(form.box)), "all is rated, but Results was not opened"
    form.finish.click()
    assert "GRUNDMODELL" in form.results.value and "FEINMODELL" in form.results.value


def test_next_and_back_bring_choices_back() -> None:
    form = Form()
    form.tone.value = 2
    form.next.click()
    assert form.tone.value is None and "Text 2 of 6" in form.progress.value
    form.facts.value = 0
    form.back.click()
    assert (form.tone.value, form.facts.value) == (2, None) and form.shown.value == text_html(form.book.texts[0])
    assert "This is the first text." in form.notice.value
    form.back.click()
    assert "Text 1 of 6" in form.progress.value
    form.next.click()
    assert (form.tone.value, form.facts.value) == (None, 0)


def test_moving_between_texts_writes_nothing() -> None:
    form = Form()
    form.tone.value = 1
    before = form.book.path.stat().st_mtime_ns
    form.next.click()
    form.back.click()
    assert form.book.path.stat().st_mtime_ns == before and len(load_ratings(form.book.path)) == 1


def test_after_the_last_text_come_those_that_were_left_out() -> None:
    form = Form()
    for place in range(6):
        if place not in (1, 4):
            form.tone.value, form.facts.value = 0, 1
        if place < 5:
            form.next.click()
    assert "Text 6 of 6. Fully rated: 4 of 6" in form.progress.value
    form.finish.click()
    assert "2 of 6 texts still lack a level" in form.notice.value and form.results.value == ""
    form.next.click()
    assert "Text 2 of 6" in form.progress.value
    form.tone.value, form.facts.value = 0, 1
    for _ in range(5):
        form.next.click()
    assert "Text 5 of 6" in form.progress.value
    form.tone.value, form.facts.value = 0, 1
    assert "All texts are rated" in form.notice.value
    form.next.click()
    form.next.click()
    assert "Text 6 of 6" in form.progress.value and "This is the last text." in form.notice.value


# ---------------------------------------------------------------- kept and resumed


def test_each_click_is_in_the_file_and_a_new_form_goes_on() -> None:
    form = Form()
    form.tone.value = 2
    assert "Saved." in form.notice.value
    assert load_ratings(form.book.path) == [Rating(form.book.texts[0].key, "ann", {"tone": 2})]
    form.facts.value = 1
    form.next.click()
    form.tone.value = 0
    again = Form()
    assert "Text 2 of 6. Fully rated: 1 of 6" in again.progress.value
    assert (again.tone.value, again.facts.value) == (0, None)
    assert "Text 1 of 6. Fully rated: 0 of 6, by ben." in Form("ben").progress.value


def test_a_finished_form_shows_its_results_again_and_stays_closed() -> None:
    form = Form()
    form.rate_all()
    form.finish.click()
    again = Form()
    assert again.results.value == form.results.value != ""
    assert again.tone.disabled and again.facts.disabled


# ---------------------------------------------------------------- the end


def test_results_are_those_of_the_functions() -> None:
    ann, ben = Form(), Form("ben")
    ann.rate_all()
    ben.rate_all(shift=1)
    ann.finish.click()
    assert "Agreement needs a second rater" in ann.results.value, "ben began after ann's last click"
    ben.finish.click()
    said, ratings = words_of(ben.results.value), load_ratings(ben.book.path)
    for criterion in (TONE, FACTS):
        for system, values in levels_by_system(TEXTS, ratings, criterion).items():
            assert len(values) == 3
            assert f"{criterion.name}{system}{bootstrap_interval(values)}{len(criterion.levels) - 1}" in said
    kappas = agreements(TEXTS, ratings, (TONE, FACTS))
    assert [each.n for each in kappas] == [6, 6]
    for each in kappas:
        assert each.kappa is not None and f"{each.criterion}ann and ben6{each.kappa:.2f}" in said


def test_ratings_from_elsewhere_join_in_at_the_end() -> None:
    theirs = tuple(Rating(text.key, "zoe", {"tone": i % 3, "facts": 1}) for i, text in enumerate(TEXTS))
    form = Form(others=(*theirs, Rating(TEXTS[0].key, "ann", {"tone": 2, "facts": 1})))
    assert "Fully rated: 0 of 6" in form.progress.value, "only the file says what ann herself has rated"
    form.rate_all()
    form.finish.click()
    assert "ann and zoe6" in words_of(form.results.value)
    assert {rating.rater for rating in load_ratings(form.book.path)} == {"ann"}


def test_once_unveiled_nothing_changes_and_texts_say_who_wrote_them() -> None:
    form = Form()
    form.rate_all()
    form.finish.click()
    assert form.tone.disabled and "ratings are closed" in form.notice.value
    form.back.click()
    assert form.tone.disabled and f"Written by {form.book.texts[4].system}" in words_of(form.shown.value)


def test_too_little_for_an_interval_or_for_kappa() -> None:
    texts = TEXTS[:2]
    ratings = [Rating(text.key, rater, {"tone": 1}) for text in texts for rater in ("ann", "ben")]
    said = words_of(result_html(texts, ratings, (TONE, FACTS)))
    assert "toneGRUNDMODELL1.00 n=1, too few for an interval2" in said and "factsFEINMODELLnot rated1" in said
    assert "toneann and ben2kappa is undefined where both raters always chose level 1" in said


# ---------------------------------------------------------------- trouble


def test_an_unwritable_folder_is_told_and_nothing_is_lost(progress_path: Path) -> None:
    progress_path.parent.write_text("a file where the folder should be")
    form = Form()
    form.tone.value = 2
    assert 'role="alert"' in form.notice.value and "Not saved yet in" in form.notice.value
    form.next.click()
    assert 'role="alert"' in form.notice.value, "the warning stays until a choice is saved"
    form.back.click()
    assert form.tone.value == 2
    progress_path.parent.unlink()
    form.facts.value = 1
    assert "Saved." in form.notice.value and 'role="alert"' not in form.notice.value
    assert load_ratings(form.book.path) == [Rating(form.book.texts[0].key, "ann", {"tone": 2, "facts": 1})]


def test_results_wait_until_all_is_in_the_file(progress_path: Path) -> None:
    progress_path.parent.write_text("a file where the folder should be")
    form = Form()
    form.rate_all()
    form.finish.click()
    assert "Not saved yet" in form.notice.value and form.results.value == "" and not form.tone.disabled
    progress_path.parent.unlink()
    form.finish.click()
    assert len(load_ratings(form.book.path)) == 6 and form.results.value


def test_a_broken_file_is_told_and_left_as_it_is(progress_path: Path) -> None:
    path = rating_file("test")
    path.parent.mkdir(parents=True)
    path.write_text('{"text_id": "<b>"}\n', "utf-8")
    form = Form()
    assert 'role="alert"' in form.notice.value and "line 1 of test.jsonl is no rating" in form.notice.value
    form.tone.value = 1
    assert "Not saved yet" in form.notice.value and path.read_text("utf-8") == '{"text_id": "<b>"}\n'
    path.unlink()
    form.facts.value = 0
    assert load_ratings(path) == [Rating(form.book.texts[0].key, "ann", {"tone": 1, "facts": 0})]


def test_bytes_that_are_no_text_are_told() -> None:
    path = rating_file("test")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00")
    assert 'role="alert"' in Form().notice.value


def test_names_and_errors_are_shown_not_run() -> None:
    texts = [GeneratedText("a", "<script>p</script>", "<script>t</script>", "<script>s</script>")]
    form = Form("<script>r</script>", texts)
    form.rate_all()
    form.finish.click()
    for part in (form.progress, form.shown, form.results, form.notice):
        assert "<script" not in part.value
        words_of(part.value)
    assert "<script>s</script>" in words_of(form.results.value)


def test_a_text_or_a_prompt_that_is_empty() -> None:
    assert words_of(text_html(GeneratedText("a", " ", "", "x"))) == "Text(nothing was written)"


# ---------------------------------------------------------------- without a kernel


def test_readers_without_a_kernel_see_the_first_text_and_the_rubric(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append((bundle, options)))
    rubric_form_demo(TEXTS, [TONE, FACTS], rater="ann", name="test")
    ((bundle, options),) = shown
    first = Form().book.texts[0]
    static = bundle["text/html"]
    assert options == {"raw": True} and text_html(first) in static and "MODELL" not in static + bundle["text/plain"]
    said = words_of(static)
    for criterion in (TONE, FACTS):
        assert criterion.question in said
        assert all(option(criterion, level) in said for level in range(len(criterion.levels)))
    assert first.prompt in bundle["text/plain"] and first.text in bundle["text/plain"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]


def test_what_is_no_form() -> None:
    with pytest.raises(ValueError, match="texts must hold at least one"):
        rubric_form_demo([], [TONE])
    with pytest.raises(ValueError, match="criteria must hold at least one"):
        rubric_form_demo(TEXTS, [])
    with pytest.raises(ValueError, match="rater must not be empty"):
        rubric_form_demo(TEXTS, [TONE], rater="")
    with pytest.raises(ValueError, match="name must be letters"):
        rubric_form_demo(TEXTS, [TONE], name="../x")
