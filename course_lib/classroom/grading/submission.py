"""Reads a hand-in: which cells are the learner's own, and which are taken from the released exercise instead."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from course_lib.classroom.check import Task

MAX_MB = 20
MAX_CELLS = 1000


class BrokenError(ValueError):
    """A file that cannot be graded; the message is for learner and instructor."""


@dataclass(frozen=True)
class Cell:
    """A cell that is run. name: where it stands, for messages. grade_id: empty for a cell that the learner added."""

    name: str
    source: str
    grade_id: str = ""
    locked: bool = False

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(re.findall(r"\w+", self.source))

    @cached_property
    def defines(self) -> frozenset[str]:
        """The names that the cell gives at its outermost level, as far as text shows them."""
        given = re.findall(r"(?m)^(?:async +)?(?:def|class) +(\w+)", self.source)
        for names in re.findall(r"(?m)^(\w+(?: *, *\w+)*) *(?::[^=\n]*)?=(?!=)", self.source):
            given += re.findall(r"\w+", names)
        return frozenset(given)

    @cached_property
    def imports(self) -> bool:
        return re.search(r"(?m)^(import|from)\s", self.source) is not None


@dataclass(frozen=True)
class Script:
    """The cells of one submission, in the order in which they run, and the hash of its file."""

    cells: tuple[Cell, ...]
    sha256: str

    def home_of(self, task: Task) -> Cell | None:
        """Return the cell that a task's function comes from: the last that defines it, or the one released for it."""
        homes = [cell for cell in self.cells if cell.grade_id == f"{task.name}-code"]
        homes += [cell for cell in self.cells if task.function in cell.defines]
        return homes[-1] if homes else None

    def needed_for(self, task: Task) -> tuple[Cell, ...]:
        """Return the cells without which a task's function cannot run.

        These are its own, the locked ones, what the learner added in order to import, and all that these name in turn.
        """
        home = self.home_of(task)
        chosen = {cell for cell in self.cells if cell.locked or (cell.imports and not cell.grade_id)}
        reached = {home} if home else set()
        while reached:
            chosen |= reached
            words = frozenset[str]().union(*(cell.words for cell in reached))
            reached = {cell for cell in self.cells if cell.defines & words} - chosen
        return tuple(cell for cell in self.cells if cell in chosen)


def read_file(path: Path) -> bytes:
    """Return the bytes of a hand-in. Raises BrokenError for a link, a pipe, or a file that is too large."""
    if path.is_symlink():
        raise BrokenError("This is a link to another file. Hand in the notebook itself.")
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            status, data = os.fstat(descriptor), b""
            if not stat.S_ISREG(status.st_mode):
                raise BrokenError("This is not a file. Hand in the notebook itself.")
            if status.st_size > MAX_MB * 10**6:
                size = f"{status.st_size / 1e6:.0f} MB; at most {MAX_MB} MB are read"
                raise BrokenError(f"The file has {size}. Clear the outputs and hand in again.")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_MB * 10**6)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise BrokenError("There is no such file.") from None
    except OSError as error:
        raise BrokenError(f"The file cannot be read: {error.strerror}.") from error
    return data


def _code_cells(data: bytes) -> list[tuple[int, str, dict[str, Any], str]]:
    """Return (position, source, nbgrader metadata, cell id) of every code cell. Raises BrokenError."""
    if not data.strip():
        raise BrokenError("The file is empty.")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BrokenError("The file is not a notebook: it is not text.") from None
    except (ValueError, RecursionError, MemoryError):
        cut = data.lstrip()[:1] == b"{" and data.rstrip()[-1:] != b"}"
        end = "it breaks off; download or save it again" if cut else "it is not JSON"
        raise BrokenError(f"The file is not a notebook: {end}.") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise BrokenError("The file is not a notebook of format 4: it has no list of cells.")
    if len(notebook["cells"]) > MAX_CELLS:
        raise BrokenError(f"The notebook has {len(notebook['cells'])} cells; at most {MAX_CELLS} are read.")
    found = []
    for position, cell in enumerate(notebook["cells"], start=1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        if isinstance(source, list):
            source = "".join(line for line in source if isinstance(line, str))
        metadata = cell.get("metadata")
        nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        if isinstance(source, str):
            found.append((position, source, nbgrader if isinstance(nbgrader, dict) else {}, str(cell.get("id", ""))))
    return found


def read_script(path: Path, release: Path, tasks: Sequence[Task], *, lesson: str) -> Script:
    """Return the cells to run of a hand-in. Raises BrokenError if it is no hand-in of this lesson.

    A cell of the release that is locked stands in the place of whatever the submission has there, or is put back where it is
    missing. Tests are never run, nor is a cell that calls itself locked and is not in the release.
    """
    data = read_file(path)
    released = {meta.get("grade_id") or cell_id: (source, meta) for _, source, meta, cell_id in _release_cells(release)}
    order = list(released)
    cells: list[Cell] = []
    restored = 0

    def restore(upto: int) -> None:
        nonlocal restored
        for grade_id in order[restored:upto]:
            source, meta = released[grade_id]
            if _is_ours(meta) and not meta.get("grade"):
                cells.append(Cell(f"locked cell {grade_id}", source, grade_id, locked=True))
        restored = max(restored, upto)

    theirs = False
    for position, source, meta, cell_id in _code_cells(data):
        ids = (meta.get("grade_id"), cell_id)
        grade_id = next((name for name in ids if isinstance(name, str) and name in released), "")
        if grade_id:
            restore(order.index(grade_id) + 1)
            meta = released[grade_id][1]
            theirs = theirs or bool(meta.get("solution"))
        if not _is_ours(meta):
            cells.append(Cell(f"cell {position}", source, grade_id))
    restore(len(order))
    script = Script(tuple(cells), hashlib.sha256(data).hexdigest())
    if not theirs and not any(task.function in cell.defines for task in tasks for cell in cells):
        raise BrokenError(f"This notebook is not exercise {lesson}: it has none of its cells.")
    return script


def _is_ours(meta: dict[str, Any]) -> bool:
    return bool(meta.get("locked") or meta.get("grade")) and not meta.get("solution")


def _release_cells(release: Path) -> list[tuple[int, str, dict[str, Any], str]]:
    try:
        return _code_cells(release.read_bytes())
    except (OSError, BrokenError) as error:
        raise FileNotFoundError(f"the released exercise {release} cannot be read: {error}; run course build") from error
