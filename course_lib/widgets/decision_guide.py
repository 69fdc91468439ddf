"""The decision guide: say what a project needs, and see which approach the measured rows speak for, and why."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from course_lib.systems.decision_guide import ORDER, Advice, Verdict, guide
from course_lib.systems.guide_cases import CASES, nearest_profile
from course_lib.systems.guide_rows import TASKS, Rows
from course_lib.systems.guide_rules import FAILS, HOLDS, RULES, UNKNOWN, Profile, duration
from course_lib.widgets.show import show_widget

if TYPE_CHECKING:
    import ipywidgets

MARKS = {HOLDS: "✓", FAILS: "✗", UNKNOWN: "?"}
STATES = {HOLDS: "meets all", FAILS: "ruled out", UNKNOWN: "open"}
OWN = "my own project"
_RATES = {
    "never": 0.0, "once a year": 1 / 365, "twice a year": 2 / 365, "monthly": 1 / 30, "weekly": 1 / 7, "daily": 1.0,
    "hourly": 24.0, "every minute": 1440.0,
}  # fmt: skip
_CHOICES: dict[str, tuple[float, ...]] = {
    "labelled_examples": (0, 10, 30, 100, 200, 300, 1_000, 5_000, 10_000),
    "max_seconds": (0.05, 0.5, 1, 2, 5, 10, 20, 60),
    "max_memory_mb": (100, 250, 500, 1_000, 2_000, 4_000, 8_000),
    "min_cited": tuple(step / 10 for step in range(1, 11)),
    "min_style": tuple(step / 10 for step in range(1, 11)),
    "min_right": tuple(step / 10 for step in range(1, 11)),
}
_LABELS = {
    "updates_per_day": "Facts change", "labelled_examples": "Examples", "max_seconds": "Seconds", "max_memory_mb": "Memory",
    "min_cited": "Citations", "min_style": "Style", "min_right": "Right",
}  # fmt: skip
_CELL = "text-align:left;vertical-align:top;padding:.3em .9em .3em 0;white-space:normal"


def alt(advice: Advice) -> str:
    """Return in words what the table shows: the answer, then every approach with the rules that it fails or leaves open."""
    parts = [f"For {advice.profile.name}: {advice.summary()}"]
    for place, verdict in enumerate(advice.verdicts, start=1):
        fails, unknown = ([finding.rule for finding in verdict.of(state)] for state in (FAILS, UNKNOWN))
        said = [f"fails {', '.join(fails)}"] * bool(fails) + [f"not known: {', '.join(unknown)}"] * bool(unknown)
        parts.append(f"{place}. {verdict.approach.name}: {'; '.join(said) or STATES[HOLDS]}.")
    return " ".join(parts)


def table(advice: Advice) -> str:
    """Return the answer and the approaches, best first, with every finding, as HTML that fits a phone."""
    rows = "".join(
        f'<tr><td style="{_CELL}">{place}</td><th scope="row" style="{_CELL}">{_heading(verdict)}</th>'
        f'<td style="{_CELL}">{_reasons(verdict)}</td></tr>'
        for place, verdict in enumerate(advice.verdicts, start=1)
    )
    head = "".join(f'<th scope="col" style="{_CELL}">{name}</th>' for name in ("", "approach", "why"))
    rules = "".join(f"<li><b>{rule.name}</b>: {html.escape(rule.sentence)}</li>" for rule in RULES)
    return (
        f'<p role="status" style="line-height:1.5"><b>{html.escape(advice.profile.name)}</b>: '
        f"{html.escape(advice.summary())}</p>"
        f'<table style="margin:0;line-height:1.4"><caption style="text-align:left">{html.escape(ORDER)}</caption>'
        f"<tr>{head}</tr>{rows}</table>"
        f'<details style="line-height:1.5"><summary>The rules</summary><ul>{rules}</ul></details>'
    )


def _heading(verdict: Verdict) -> str:
    """The approach, whether it fits, and how many examples the row used that speaks for it."""
    row, name = verdict.row, html.escape(verdict.approach.name)
    facts = [] if row else ["not measured"]
    if row and row.examples:
        facts.append(f"{row.examples:,} examples")
    if row and row.minutes:
        facts.append(f"{duration(60 * row.minutes)} of training")
    below = f"<br><small>{', '.join(facts)}</small>" if facts else ""
    return f"{name}<br>{MARKS[verdict.state]} {STATES[verdict.state]}{below}"


def _reasons(verdict: Verdict) -> str:
    items = "".join(
        f'<li><span aria-label="{finding.state}">{MARKS[finding.state]}</span> <b>{finding.rule}</b>: '
        f"{html.escape(finding.sentence)}</li>"
        for finding in verdict.findings
    )
    return f'<ul style="list-style:none;margin:0;padding:0">{items}</ul>'


def _options(name: str, profiles: Iterable[Profile]) -> list[tuple[str, Any]]:
    """What a control offers: the usual steps, and the values of the profiles."""
    given = {getattr(profile, name) for profile in profiles} - {None}
    if name == "updates_per_day":
        words = {value: rate for rate, value in _RATES.items()}
        return [(words.get(value, f"{value:g} a day"), value) for value in sorted({*words, *given})]
    values = sorted({*_CHOICES[name], *given})
    say = {"max_seconds": duration, "max_memory_mb": "{:,.0f} MB".format, "labelled_examples": "{:,}".format}
    said = [(say.get(name, "{:g} or more".format)(value), value) for value in values]
    return said if name == "labelled_examples" else [("not asked", 0.0), *said]  # a slider cannot hold None


def decision_guide_widget(rows: Rows, profile: Profile | None = None) -> ipywidgets.VBox:
    """Return the guide: a worked case to begin with, and a control for each need. Usable by keyboard alone.

    profile: what it begins with, a profile that asks for nothing if it is left out.
    """
    import ipywidgets

    first = profile or _first(rows)
    profiles = [first, *(case.profile for case in CASES.values())]
    common: dict[str, Any] = {"layout": {"width": "95%", "max_width": "560px"}, "style": {"description_width": "7.5em"}}
    case = ipywidgets.Dropdown(options=[OWN, *CASES], value=OWN, description="Worked case", **common)
    domains = sorted({"all", first.domain, *rows.domains})
    controls: dict[str, Any] = {
        "task": ipywidgets.Dropdown(
            options=[(words, key) for key, words in TASKS.items()], value=first.task, description="Wanted", **common
        ),
        "domain": ipywidgets.Dropdown(options=domains, value=first.domain, description="Domain", **common),
    }
    for name, label in _LABELS.items():
        controls[name] = ipywidgets.SelectionSlider(
            options=_options(name, profiles), value=getattr(first, name) or 0.0, description=label, **common
        )
    story, answer = ipywidgets.HTML(layout={"width": "95%"}), ipywidgets.HTML(layout={"width": "95%"})
    filling = [False]  # while a case fills the controls, only the last one draws

    def draw(_: object = None) -> None:
        if not filling[0]:
            name = first.name if case.value == OWN else case.value
            values = {name: control.value for name, control in controls.items()}
            values |= {name: value or None for name, value in values.items() if name.startswith(("max", "min"))}
            answer.value = table(guide(replace(first, name=name, **values), rows))

    def fill(_: object) -> None:
        if case.value != OWN:
            filling[0] = True
            chosen = nearest_profile(CASES[case.value], rows)
            for name, control in controls.items():
                control.value = getattr(chosen, name) or 0.0
            filling[0] = False
        words = CASES[case.value].story if case.value != OWN else "Set what your project needs."
        story.value = f'<p style="line-height:1.5">{html.escape(words)}</p>'
        draw()

    case.observe(fill, names="value")
    for control in controls.values():
        control.observe(draw, names="value")
    fill(None)
    return ipywidgets.VBox([case, story, *controls.values(), answer])


def _first(rows: Rows) -> Profile:
    """A profile that asks for nothing, on a domain that some row measures."""
    return Profile(domain="all" if "all" in rows.domains or not rows.domains else rows.domains[0])


def decision_guide_demo(rows: Rows, profile: Profile | None = None) -> None:
    """Display the guide; readers without a kernel see the answer to the first profile."""
    advice = guide(profile or _first(rows), rows)
    show_widget(decision_guide_widget(rows, profile), table(advice), alt(advice))
