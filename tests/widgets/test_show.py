"""Figures with alt text, widgets with a static picture."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from course_lib.widgets.show import PALETTE, figure_html, show_figure, show_widget

Bundle = dict[str, Any]


@pytest.fixture
def figure() -> Iterator[Any]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([1, 3, 2])
    yield figure
    plt.close("all")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Bundle, dict[str, Any]]]:
    found: list[tuple[Bundle, dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: found.append((bundle, options)))
    return found


class Images(HTMLParser):
    """The attributes of every img of a page, as a browser would read them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append(dict(attrs))


def test_a_figure_becomes_an_image_with_alt_text(figure: Any) -> None:
    element, picture = figure_html(figure, 'Recall rises, then falls: "0.9" > 0.5')
    (image,) = Images(element).found
    assert image["alt"] == 'Recall rises, then falls: "0.9" > 0.5'
    assert image["src"] == f"data:image/png;base64,{picture}"
    data = base64.b64decode(picture)
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and b"matplotlib" not in data.lower()


def test_the_same_figure_is_the_same_picture(figure: Any) -> None:
    """A notebook built twice must not differ."""
    assert figure_html(figure, "A line.") == figure_html(figure, "A line.")


def test_another_figure_is_another_picture(figure: Any) -> None:
    before = figure_html(figure, "A line.")[1]
    figure.axes[0].plot([3, 1, 2])
    assert figure_html(figure, "A line.")[1] != before


@pytest.mark.parametrize("alt", ["", "  ", "\n"])
def test_a_figure_needs_alt_text(alt: str, figure: Any) -> None:
    with pytest.raises(ValueError, match="alt must say in a sentence what the figure shows, got nothing"):
        figure_html(figure, alt)


def test_a_figure_is_shown_once_and_closed(figure: Any, shown: list[tuple[Bundle, dict[str, Any]]]) -> None:
    """Left open, Jupyter would show it again at the end of the cell, without alt text."""
    import matplotlib.pyplot as plt

    show_figure(figure, "A line that rises and falls.")
    ((bundle, options),) = shown
    assert options == {"raw": True}
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert bundle["text/plain"] == Images(bundle["text/html"]).found[0]["alt"] == "A line that rises and falls."
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert not plt.fignum_exists(figure.number)


def test_a_widget_comes_with_a_static_picture(shown: list[tuple[Bundle, dict[str, Any]]]) -> None:
    import ipywidgets

    slider = ipywidgets.IntSlider(3)
    show_widget(slider, "<p>three</p>", "A slider at three.")
    ((bundle, options),) = shown
    assert options == {"raw": True}
    assert bundle == {
        "text/html": "<p>three</p>",
        "text/plain": "A slider at three.",
        "application/vnd.jupyter.widget-view+json": {
            "version_major": 2,
            "version_minor": 0,
            "model_id": slider.model_id,
        },
    }


def test_the_bundle_is_what_ipywidgets_itself_would_send(shown: list[tuple[Bundle, dict[str, Any]]]) -> None:
    import ipywidgets

    slider = ipywidgets.IntSlider(3)
    show_widget(slider, "<p>three</p>", "A slider at three.")
    view = "application/vnd.jupyter.widget-view+json"
    assert shown[0][0][view] == slider._repr_mimebundle_()[view]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG 2 defines it: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_by_hand() -> None:
    """Black on white: (1 + 0.05) / (0 + 0.05) = 21."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_the_palette_is_okabe_and_ito() -> None:
    """Their eight colours, in an order that puts strong ones first; each differs from white enough to be seen."""
    published = {"#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"}
    assert set(PALETTE) == published and len(PALETTE) == 8
    assert contrast(PALETTE[0], "#ffffff") > 4.5
    assert all(contrast(colour, "#ffffff") > 2 for colour in PALETTE[:4])
