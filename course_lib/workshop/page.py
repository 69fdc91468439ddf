"""Parts of a page in markdown: tables, figures with alt text; and JSON Lines to make them from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

Row = Sequence[object]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a JSON Lines file; an empty list where the file is absent."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def table(head: Sequence[str], rows: Iterable[Row]) -> str:
    """Return a markdown table; numbers stand at the right."""
    lines = [[str(cell) for cell in row] for row in rows]
    numeric = [all(re.match(r"-|[\d,.]+( |$)", line[i]) for line in lines) for i in range(len(head))]
    rule = ["---:" if right else "---" for right in numeric]
    return "\n".join("| " + " | ".join(line) + " |" for line in [list(head), rule, *lines])


def save_figure(figure: Figure, folder: Path, name: str, alt: str) -> str:
    """Save a figure; return the markdown that shows it, with its alt text."""
    figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})
    return f"![{alt.replace('[', '(').replace(']', ')')}](figures/{name}.png)"
