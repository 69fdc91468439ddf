"""The picture of the scoreboard: what is drawn, what its alt text says, and that systems are told apart without colour."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from course_lib.evaluation.scoreboard import HEADLINE, LEARNER, Row
from course_lib.evaluation.significance import Interval
from course_lib.widgets import scoreboard_view
from course_lib.widgets.scoreboard_view import MARKERS, alt_text, drawn, scoreboard_figure, show_scoreboard
from course_lib.widgets.show import PALETTE


def row(number: int, seconds: float | None = 0.5, **facts: object) -> Row:
    figures = {"contained": {HEADLINE: Interval(0.1 * number, 0.1 * number - 0.05, 0.1 * number + 0.04, 215)}}
    return Row(f"system {number}", "04", "By hand.", figures, seconds, 20, **facts)  # type: ignore[arg-type]


ROWS = [row(i, 0.2 * 2**i) for i in range(1, 10)]


def test_controls_and_rows_without_figures_are_left_out() -> None:
    others = [row(1, None), row(2, 0.0), replace(row(3), quality={}), row(4, control=True)]
    assert drawn([*others, ROWS[0]]) == [ROWS[0]]
    with pytest.raises(ValueError, match="measure one first"):
        scoreboard_figure(others)
    assert alt_text(others) == "The scoreboard is empty."


def test_every_system_has_a_marker_and_colour_of_its_own() -> None:
    figure = scoreboard_figure(ROWS)
    axes = figure.axes[0]
    looks = [(container[0].get_marker(), container[0].get_color()) for container in axes.containers]
    assert len(set(looks)) == len(ROWS) == len({marker for marker, _ in looks}) <= len(MARKERS)
    assert {colour for _, colour in looks} <= set(PALETTE)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [each.name for each in ROWS]
    plt.close(figure)


def test_points_stand_where_the_rows_say() -> None:
    figure = scoreboard_figure(ROWS)
    axes = figure.axes[0]
    assert axes.get_xscale() == "log" and axes.get_ylim() == (-0.02, 1.0) and "seconds" in axes.get_xlabel()
    for container, each in zip(axes.containers, ROWS, strict=True):
        interval = each.quality["contained"][HEADLINE]
        (x,), (y,) = container[0].get_xdata(), container[0].get_ydata()
        assert (x, y) == (each.seconds, interval.mean)
        ((_, low), (_, high)) = container[2][0].get_segments()[0]
        assert low == pytest.approx(interval.low) and high == pytest.approx(interval.high)
    plt.close(figure)


def test_the_learners_markers_are_hollow() -> None:
    figure = scoreboard_figure([ROWS[0], replace(ROWS[1], whose=LEARNER)])
    faces = [container[0].get_markerfacecolor() for container in figure.axes[0].containers]
    assert faces == [PALETTE[0], "white"]
    plt.close(figure)


def test_the_alt_text_says_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    words = alt_text(ROWS)
    assert "9 systems" in words and "system 1 0.10 [0.05, 0.14] in 0.40 s" in words and "system 9 0.90" in words
    shown: list[str] = []
    monkeypatch.setattr(scoreboard_view, "show_figure", lambda figure, alt: (plt.close(figure), shown.append(alt)))
    show_scoreboard(ROWS)
    assert shown == [words]
