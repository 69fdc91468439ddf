"""Training mode and evaluation mode: switched for a while, and put back part by part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def mode(model: nn.Module, *, training: bool = False) -> Iterator[None]:
    """Put model into training or evaluation mode (dropout on or off); afterwards each part has the mode it had.

    `model.train(before)` would give every part the mode of the whole, and so turn on the dropout of an encoder that stands
    in evaluation mode inside a new classifier.
    """
    before = [(part, part.training) for part in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for part, was_training in before:
            part.training = was_training
