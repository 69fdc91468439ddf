"""Show figures with alt text, and widgets with a static picture for readers who have no kernel."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipywidgets import Widget
    from matplotlib.figure import Figure

# Okabe & Ito (2008): told apart by people with any kind of colour vision.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")


def figure_html(figure: Figure, alt: str) -> tuple[str, str]:
    """Return an img element with alt text, and the same picture as base64 PNG. Raises ValueError without alt text."""
    if not alt.strip():
        raise ValueError("alt must say in a sentence what the figure shows, got nothing")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight", metadata={"Software": None})
    picture = base64.b64encode(buffer.getvalue()).decode("ascii")
    element = f'<img alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{picture}" style="max-width:100%">'
    return element, picture


def show_figure(figure: Figure, alt: str) -> None:
    """Display a matplotlib figure with alt text, and close it."""
    import matplotlib.pyplot as plt
    from IPython.display import display

    element, picture = figure_html(figure, alt)
    plt.close(figure)
    display({"text/html": element, "image/png": picture, "text/plain": alt}, raw=True)


def show_widget(widget: Widget, static_html: str, alt: str) -> None:
    """Display a widget; where no kernel or no widget support is there, the static picture shows instead."""
    from IPython.display import display

    bundle: dict[str, Any] = {"text/html": static_html, "text/plain": alt}
    bundle["application/vnd.jupyter.widget-view+json"] = {
        "version_major": 2,
        "version_minor": 0,
        "model_id": widget.model_id,
    }
    display(bundle, raw=True)
