"""The label mask explorer: choose a conversation, a template and a mask, and see which tokens the model learns to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_lib.core.protocols import Message
from course_lib.widgets.label_mask import MASKS, TEMPLATES, explore_mask
from course_lib.widgets.show import show_widget

if TYPE_CHECKING:
    import ipywidgets

Conversations = Mapping[str, Sequence[Message]]
Tokenise = Callable[[str], Sequence[str]]


def mask_explorer_widget(conversations: Conversations, tokenise: Tokenise) -> ipywidgets.VBox:
    """Return the demo: conversation, template, and what counts. Usable by keyboard alone.

    conversations: name -> messages, answers included. Raises ValueError without conversations, and as `explore_mask`.
    """
    import ipywidgets

    _require(conversations)
    common: dict[str, Any] = {
        "layout": {"width": "95%", "max_width": "640px"},
        "style": {"description_width": "8em"},
    }
    chooser = ipywidgets.Dropdown(options=list(conversations), description="Conversation", **common)
    template = ipywidgets.Dropdown(options=list(TEMPLATES), description="Template", **common)
    mask = ipywidgets.Dropdown(options=list(MASKS), description="What counts", **common)
    shown = ipywidgets.HTML(layout={"width": "95%"})

    def draw(_: object = None) -> None:
        view = explore_mask(conversations[chooser.value], tokenise, template=template.value, mask=mask.value)
        shown.value = view.table() + view.html()

    for control in (chooser, template, mask):
        control.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([chooser, template, mask, shown])


def mask_explorer_demo(conversations: Conversations, tokenise: Tokenise) -> None:
    """Display the demo; readers without a kernel see the first conversation as it should be masked. Raises as the widget."""
    widget = mask_explorer_widget(conversations, tokenise)
    view = explore_mask(next(iter(conversations.values())), tokenise)
    show_widget(widget, view.table() + view.html(), view.alt())


def _require(conversations: Conversations) -> None:
    if not conversations:
        raise ValueError("conversations must hold at least one conversation, got none")
