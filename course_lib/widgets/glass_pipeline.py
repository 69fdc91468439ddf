"""The glass pipeline: ask, switch steps off and on, add a document of your own, and see what every step makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from course_lib.systems.glass import GlassPipeline
from course_lib.systems.glass_trace import SWITCHES, GlassTrace
from course_lib.systems.room import MAX_TEXT, MAX_TITLE, YOURS, own_document
from course_lib.widgets.glass_cards import text
from course_lib.widgets.glass_view import PANELS, sections, trace_alt, trace_view, what_changed
from course_lib.widgets.show import PALETTE, figure_html, show_widget

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

REDRAWN = 0.15  # seconds between two pictures of a reply that grows
MAX_K, BUDGETS = 5, (200, 1600, 50)  # from, to, step, in tokens
FOLLOWED, DEEPEST = 5, 12  # passages and ranks of the picture
MARKERS = "osD^v"


def trace_figure(trace: GlassTrace) -> Figure:
    """Return a picture of where the best passages of the last list stood in each list before it.

    A passage that a list lacks, or has below rank DEEPEST, stands at the foot.
    """
    from matplotlib import pyplot as plt

    lists = list(trace.rankings)
    figure, axes = plt.subplots(figsize=(7.2, 3.6))
    for number, hit in enumerate(trace.rankings[trace.last_list][:FOLLOWED]):
        ranks = [min(trace.rank(step, hit.chunk_id) or DEEPEST + 1, DEEPEST + 1) for step in lists]
        title = trace.chunks[hit.chunk_id].title.replace("$", r"\$")
        title = title if len(title) <= 38 else title[:36].rstrip() + " ..."
        axes.plot(ranks, marker=MARKERS[number], color=PALETTE[number], label=f"{number + 1}. {title}")
    axes.set_xticks(range(len(lists)), [SWITCHES[step].replace(" (", "\n(") for step in lists])
    axes.set_yticks([1, 5, 10, DEEPEST + 1], ["1", "5", "10", "below"])
    axes.set_ylim(DEEPEST + 1.6, 0.4)
    axes.set_ylabel("rank")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=1, frameon=False)
    return figure


def figure_alt(trace: GlassTrace) -> str:
    """Return in words what the picture shows."""
    lines = [
        f"{trace.chunks[hit.chunk_id].title}: "
        + ", ".join(f"{SWITCHES[step]} {trace.rank(step, hit.chunk_id) or 'not found'}" for step in trace.rankings)
        for hit in trace.rankings[trace.last_list][:FOLLOWED]
    ]
    return f"Rank of the best passages in each list. {'; '.join(lines)}."


def _thinned(traces: Iterator[GlassTrace]) -> Iterator[GlassTrace]:
    """Every trace with a new step, and of those of a growing reply one each REDRAWN seconds."""
    drawn, steps = 0.0, -1
    for trace in traces:
        if len(trace.seconds) != steps or trace.finished or perf_counter() - drawn >= REDRAWN:
            yield trace
            drawn, steps = perf_counter(), len(trace.seconds)


def glass_pipeline_widget(
    pipeline: GlassPipeline, *, question: str, trace: GlassTrace | None = None
) -> ipywidgets.VBox:
    """Return the demo: question, switches, knobs, a document of your own, and the trace. Usable by keyboard alone.

    trace: what the question gave before; without it, the question is asked at once. Errors are shown, never raised; what
    was typed stays.
    """
    import ipywidgets as widgets

    wide, small, fits = {"width": "95%"}, {"width": "auto", "margin": "0 1em 0 0"}, {"max_width": "95%"}
    row = {"flex_flow": "row wrap", "width": "95%"}
    start = pipeline.settings
    asked = widgets.Text(value=question, description="Question", continuous_update=False, layout=wide)
    ask = widgets.Button(description="Ask", button_style="primary", layout={"width": "7em"})
    boxes = {
        step: widgets.Checkbox(value=step in start.on, description=name, indent=False, layout=small)
        for step, name in SWITCHES.items()
    }
    k = widgets.IntSlider(start.k, 1, max(MAX_K, start.k), description="Passages", continuous_update=False, layout=fits)
    budget = widgets.IntSlider(
        start.budget,
        min(BUDGETS[0], start.budget),
        max(BUDGETS[1], start.budget),
        BUDGETS[2],
        description="Tokens",
        continuous_update=False,
        layout=fits,
    )
    shelf = widgets.Dropdown(description="Shelf", layout=fits)
    since = widgets.DatePicker(value=start.since, description="Since", layout=fits)
    until = widgets.DatePicker(value=start.until, description="Until", layout=fits)
    in_force = widgets.Checkbox(value=start.in_force, description="only versions in force", indent=False, layout=small)
    yours = widgets.ToggleButton(value=False, description="Your own document", layout={"width": "14em"})
    title = widgets.Text(description="Title", placeholder=f"up to {MAX_TITLE} characters", layout=wide)
    words = widgets.Textarea(description="Text", placeholder=f"up to {MAX_TEXT:,} characters", rows=6, layout=wide)
    add = widgets.Button(description="Add and ask again", layout={"width": "12em"})
    remove = widgets.Button(description="Remove mine", layout={"width": "9em"})
    about = widgets.HTML(layout=wide)
    notice = widgets.HTML(layout=wide)
    heading = widgets.HTML(layout=wide)
    panels = {name: widgets.HTML(layout=wide) for name in PANELS}
    filling, last = False, trace

    def draw(shown: GlassTrace, *, whole: bool) -> None:
        heading.value = f'<p style="line-height:1.4">Trace of <strong>{text(shown.question)}</strong></p>'
        for name, markup in sections(shown).items():
            # what is the same stays, so that a prompt that was unfolded does; what is to come is not emptied before
            if panels[name].value != markup and (markup or whole):
                panels[name].value = markup

    def say(place: widgets.HTML, message: object, role: str = "status") -> None:
        sign = "✗ " if role == "alert" else ""
        if isinstance(message, Exception) and not isinstance(message, (ValueError, TypeError)):
            sign += f"{type(message).__name__}: "
        place.value = f'<p role="{role}" style="line-height:1.4;overflow-wrap:anywhere">{sign}{text(str(message))}</p>'

    def run(_: object = None) -> None:
        nonlocal last
        if filling:
            return
        say(notice, "Working ...")
        grown = None
        try:
            chosen = pipeline.having(
                on=frozenset(step for step, box in boxes.items() if box.value),
                k=k.value,
                budget=budget.value,
                shelf=shelf.value or None,
                since=since.value,
                until=until.value,
                in_force=in_force.value,
            )
            for grown in _thinned(chosen.watch(asked.value)):
                draw(grown, whole=grown.finished)
            if grown is not None:
                say(notice, f"Done. {what_changed(last, grown)}")
                last = grown
        except Exception as error:  # whatever it is, a learner sees it here and nowhere else
            if grown is not None:
                draw(grown, whole=True)
            say(notice, error, "alert")

    def list_shelves() -> None:
        nonlocal filling
        filling, chosen = True, shelf.value
        names = sorted({document.shelf for document in pipeline.room.documents.values()} - {YOURS})
        names += [YOURS] if pipeline.room.yours else []
        shelf.options = [("all", ""), *((name.replace("_", " "), name) for name in names)]
        shelf.value = chosen if chosen in names else ""
        remove.disabled = not pipeline.room.yours
        filling = False

    def add_document(_: object = None) -> None:
        nonlocal pipeline
        say(about, "Cutting, embedding, indexing ...")
        try:
            document = own_document(title.value, words.value)
            larger = pipeline.with_document(document)
        except Exception as error:
            say(about, error, "alert")
            return
        n_new, pipeline = len(larger.room) - len(pipeline.room), larger
        say(
            about,
            f'"{document.title}" is searched with the rest: {n_new} passages. The collection itself is as it was.',
        )
        list_shelves()
        run()

    def remove_documents(_: object = None) -> None:
        nonlocal pipeline
        pipeline = pipeline.without_yours()
        say(about, "Your documents are gone.")
        list_shelves()
        run()

    mine = widgets.VBox([title, words, widgets.HBox([add, remove], layout=row)], layout={"display": "none"})

    def unfold(_: object = None) -> None:
        mine.layout.display = "" if yours.value else "none"

    list_shelves()
    shelf.value = start.shelf or ""
    for control in (asked, *boxes.values(), k, budget, shelf, since, until, in_force):
        control.observe(run, names="value")
    yours.observe(unfold, names="value")
    ask.on_click(run)
    add.on_click(add_document)
    remove.on_click(remove_documents)
    if trace is None:
        run()
    else:
        draw(trace, whole=True)
    switches = widgets.HBox(list(boxes.values()), layout=row)
    filters = widgets.HBox([shelf, since, until, in_force], layout=row)
    knobs = widgets.HBox([k, budget], layout=row)
    controls = [asked, ask, switches, knobs, filters, yours, mine, about, notice]
    return widgets.VBox([*controls, heading, *panels.values()])


def glass_pipeline_demo(pipeline: GlassPipeline, *, question: str) -> None:
    """Display the demo; readers without a kernel see the trace of the question, with a picture of what moved.

    Raises as `GlassPipeline.watch`.
    """
    from matplotlib import pyplot as plt

    trace = pipeline(question)
    figure = trace_figure(trace)
    picture, _ = figure_html(figure, figure_alt(trace))
    plt.close(figure)
    widget = glass_pipeline_widget(pipeline, question=question, trace=trace)
    show_widget(widget, trace_view(trace) + picture, trace_alt(trace))
