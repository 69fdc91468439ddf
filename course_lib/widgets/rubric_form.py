"""The rubric form: people rate generated texts, one at a time, without knowing which system wrote them."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from course_lib.core.seeds import SEED
from course_lib.evaluation.blind_rating import GeneratedText, agreements, levels_by_system
from course_lib.evaluation.rubric import Criterion, Rating
from course_lib.evaluation.significance import bootstrap_interval
from course_lib.widgets.rating_book import RatingBook, rating_file
from course_lib.widgets.show import show_widget

if TYPE_CHECKING:
    import ipywidgets

_BLOCK = 'style="margin:.3em 0;line-height:1.4;overflow-wrap:anywhere;white-space:pre-wrap"'
_TEXT = _BLOCK.replace('"margin:.3em 0', '"margin:.2em 0 .8em;border-left:3px solid #0072b2;padding-left:.7em')
_CELL = 'style="text-align:left;vertical-align:top;padding:.2em .9em .2em 0;white-space:normal;overflow-wrap:anywhere"'
_TABLE = '<table style="margin:.2em 0;line-height:1.4"><caption style="text-align:left;white-space:normal">'
_HOW_TO = "Choose with the mouse, or with Tab and the space bar. Every choice is saved at once."
# ipywidgets gives the label a narrow column and each option one line; levels described in words need more.
_STYLE = """<style>
.course-rubric.course-rubric { display: block; width: 95%; height: auto; margin: .4em 4px; }
.course-rubric.course-rubric > .widget-label { display: block; width: auto; max-width: none; height: auto; text-align: left;
  line-height: 1.4; white-space: normal; overflow: visible; font-weight: bold; }
.course-rubric .widget-radio-box { width: auto; height: auto; max-height: none; overflow: visible;
  margin-bottom: 0 !important; }
.course-rubric .widget-radio-box label { display: flex; flex-direction: row-reverse; justify-content: flex-end; width: auto;
  height: auto; min-height: 20px; line-height: 1.4; white-space: normal; overflow-wrap: anywhere; }
.course-rubric .widget-radio-box label input { flex: none; align-self: flex-start; float: none; height: 16px;
  margin: 1px 6px 0 0; }
</style>"""


def option(criterion: Criterion, level: int) -> str:
    """Return the words beside a radio button: with the criterion, so that they make sense to who hears them alone."""
    return f"{criterion.name} {level}: {criterion.levels[level]}"


def text_html(text: GeneratedText, *, unveiled: bool = False) -> str:
    """Return what the rater reads, escaped: the question or source, the text, and once unveiled, who wrote it."""
    parts = []
    if text.prompt.strip():
        parts.append(f"<div><strong>Written for</strong></div><div {_TEXT}>{html.escape(text.prompt)}</div>")
    parts.append(
        f"<div><strong>Text</strong></div><div {_TEXT}>{html.escape(text.text) or '<em>(nothing was written)</em>'}</div>"
    )
    if unveiled:
        parts.append(f"<div {_BLOCK}>Written by <strong>{html.escape(text.system)}</strong></div>")
    return "".join(parts)


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first = "".join(f'<th scope="col" {_CELL}>{html.escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td {_CELL}>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"{_TABLE}{html.escape(caption)}</caption><tr>{first}</tr>{body}</table>"


def result_html(
    texts: Sequence[GeneratedText], ratings: Sequence[Rating], criteria: Sequence[Criterion], *, seed: int = SEED
) -> str:
    """Return two tables: the mean level of each system with its interval, and how far every two raters agree."""
    levels = []
    for criterion in criteria:
        for system, values in levels_by_system(texts, ratings, criterion).items():
            if len(values) > 1:
                mean = str(bootstrap_interval(values, seed=seed))
            else:
                mean = f"{values[0]:.2f} n=1, too few for an interval" if values else "not rated"
            levels.append((criterion.name, system, mean, str(len(criterion.levels) - 1)))
    means = _table(
        "Mean level, 0 the worst, with its 95 % interval over n texts; a text counts once, with the mean of its raters",
        ("criterion", "system", "mean level", "best"),
        levels,
    )
    pairs = [
        (
            each.criterion,
            " and ".join(each.raters),
            str(each.n),
            each.why if each.kappa is None else f"{each.kappa:.2f}",
        )
        for each in agreements(texts, ratings, criteria)
    ]
    if not pairs:
        words = "Agreement needs a second rater: run the cell again with another name for rater."
        return f"{means}<div {_BLOCK}>{words}</div>"
    caption = "Agreement beyond chance: Cohen's kappa, linear weights; 1 is full, 0 is chance"
    return means + _table(caption, ("criterion", "raters", "texts", "kappa"), pairs)


def rubric_form_widget(book: RatingBook, *, others: Sequence[Rating] = (), seed: int = SEED) -> ipywidgets.VBox:
    """Return the form: progress, the text, radio buttons for each criterion, Back, Next, Results. Usable by keyboard.

    others: ratings that were made elsewhere, for the comparison at the end. Results opens when every text has every
    level; from then on nothing changes, because the rater knows who wrote what.
    """
    import ipywidgets

    wide = {"width": "95%"}
    progress, shown, notice, results = (ipywidgets.HTML(layout=wide) for _ in range(4))
    groups = [
        ipywidgets.RadioButtons(
            options=[(option(each, level), level) for level in range(len(each.levels))],
            value=None,
            description=each.question,
            style={"description_width": "initial"},
        )
        for each in book.criteria
    ]
    back, forward, finish = (
        ipywidgets.Button(description=name, layout={"width": "6.5em"}) for name in ("Back", "Next", "Results")
    )
    place, filling, unveiled, alarmed = 0, False, False, False

    def tell(words: str, *, alarm: bool = False) -> None:
        nonlocal alarmed
        alarmed = alarm
        notice.value = f'<div role="{"alert" if alarm else "status"}" {_BLOCK}>{html.escape(words)}</div>'

    def count() -> None:
        n = len(book.texts)
        progress.value = (
            f'<div role="status" {_BLOCK}>Text {place + 1} of {n}. Fully rated: {n - len(book.open_places())} of {n}, by '
            f"{html.escape(book.rater)}.</div>"
        )

    def draw() -> None:
        nonlocal filling
        filling = True  # the program moves the buttons now, not the rater
        try:
            shown.value = text_html(book.texts[place], unveiled=unveiled)
            for group, criterion in zip(groups, book.criteria, strict=True):
                group.value, group.disabled = book.level(place, criterion), unveiled
        finally:
            filling = False
        count()

    def go(to: int) -> None:
        nonlocal place
        place = to
        if not alarmed:
            tell(_HOW_TO)
        draw()

    def retreat(_: Any) -> None:
        go(max(0, place - 1))
        if not alarmed and place == 0:
            tell("This is the first text.")

    def advance(_: Any) -> None:
        left = [each for each in book.open_places() if each != place]
        if place + 1 < len(book.texts):
            go(place + 1)
        elif left:
            go(left[0])  # after the last text: the first that was left out
        elif not alarmed:
            tell("This is the last text.")

    def kept(keep: Callable[[], None]) -> bool:
        try:
            keep()
        except (OSError, ValueError) as error:
            tell(
                f"Not saved yet in {book.path}: {error}. What you chose stays here while this form is open, and goes to "
                "the file with the next choice, or with Results, once that works.",
                alarm=True,
            )
            return False
        return True

    def rate(criterion: Criterion, level: int | None) -> None:
        if filling or level is None:
            return
        if kept(lambda: book.rate(place, criterion, level)):
            done = " All texts are rated: change what you like, then open Results."
            tell("Saved." + ("" if book.open_places() else done))
        count()

    def unveil(_: Any = None) -> None:
        nonlocal unveiled
        if n_left := len(book.open_places()):
            tell(f"{n_left} of {len(book.texts)} texts still lack a level; Next leads to them.", alarm=alarmed)
            return
        if not kept(book.save):
            return
        unveiled = True
        draw()
        ratings = [rating for rating in others if rating.rater != book.rater] + book.ratings()
        results.value = result_html(book.texts, ratings, book.criteria, seed=seed)
        tell(f"The systems are unveiled, so these ratings are closed. To begin again, move {book.path} elsewhere.")

    for group, criterion in zip(groups, book.criteria, strict=True):
        group.add_class("course-rubric")
        group.observe(lambda change, criterion=criterion: rate(criterion, change["new"]), names="value")
    back.on_click(retreat)
    forward.on_click(advance)
    finish.on_click(unveil)
    try:
        book.load()
    except (OSError, ValueError) as error:
        tell(f"Earlier ratings in {book.path} cannot be read: {error}. The file is left as it is.", alarm=True)
    left = book.open_places()
    go(left[0] if left else 0)
    if not left:
        unveil()
    buttons = ipywidgets.HBox([back, forward, finish], layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([ipywidgets.HTML(_STYLE), progress, shown, *groups, buttons, notice, results])


def rubric_form_demo(
    texts: Sequence[GeneratedText],
    criteria: Sequence[Criterion],
    *,
    rater: str = "me",
    name: str = "rubric",
    others: Sequence[Rating] = (),
    seed: int = SEED,
) -> None:
    """Display the form; run the cell again to go on, with the same rater, or to rate as somebody else.

    rater: the name kept with each rating; it also makes the order. name: of the file, see `rating_file`. others: ratings
    from elsewhere, such as `load_ratings(path)`. Without a kernel the first text and the rubric show, and no system.
    Raises ValueError for no texts, no criteria, or names that repeat; trouble with the file shows in the form.
    """
    book = RatingBook(texts, criteria, rater=rater, path=rating_file(name), seed=seed)
    first = book.texts[0]
    rubric = "".join(
        f"<div {_BLOCK}><strong>{html.escape(each.question)}</strong></div><ul>"
        + "".join(f"<li>{html.escape(option(each, level))}</li>" for level in range(len(each.levels)))
        + "</ul>"
        for each in book.criteria
    )
    words = f"The first of {len(texts)} texts, in an order drawn for the rater. Who wrote it is not shown."
    scales = "; ".join(f"{each.question} {' / '.join(each.levels)}" for each in book.criteria)
    alt = f"A form to rate {len(texts)} texts. Written for: {first.prompt} Text: {first.text} Criteria: {scales}"
    static = f"<div {_BLOCK}>{words}</div>{text_html(first)}{rubric}"
    show_widget(rubric_form_widget(book, others=others, seed=seed), static, alt)
