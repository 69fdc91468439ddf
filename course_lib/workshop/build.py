"""Make notebooks, solutions and exercises from lessons/: the only place where a lesson is edited."""

from __future__ import annotations

import ast
import copy
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

import course_lib

MAX_MINUTES, MAX_GB = 3.0, 1.5
MEASURED = "{{measured}}"
LEFTOVERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "BEGIN MARK SCHEME")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
Say = Callable[[str], None]


class BuildError(RuntimeError):
    """A lesson cannot be built; the message names the lesson and the cell."""


@dataclass(frozen=True)
class Lesson:
    """One folder of lessons/: NN_name."""

    folder: Path
    root: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def target(self, kind: str) -> Path:
        """Return the built file: kind is "notebooks", "solutions" or "exercises"."""
        return self.root / kind / f"{self.name}.ipynb"


def lessons(root: Path, numbers: list[str]) -> list[Lesson]:
    """Return the lessons with these numbers, all if none is named. Raises ValueError for an unknown number."""
    found = [Lesson(path.parent, root) for path in sorted((root / "lessons").glob("[0-9][0-9]_*/lesson.py"))]
    known = {lesson.name[:2] for lesson in found}
    for number in numbers:
        if number[:2] not in known:
            raise ValueError(f"lesson must be one of {', '.join(sorted(known))}, got {number!r}")
    return [lesson for lesson in found if not numbers or lesson.name[:2] in {number[:2] for number in numbers}]


def colab_cell() -> str:
    """Return the first code cell of every notebook. pip keeps whatever of Colab's already satisfies our lower bounds."""
    package = f'"rag-and-fine-tuning-measured=={course_lib.__version__}"'
    return (
        "import sys\n\n"
        'if "google.colab" in sys.modules:  # does nothing anywhere else\n'
        f"    %pip install -q --upgrade-strategy only-if-needed {package}"
    )


def read_source(path: Path, *, measured: str = "") -> NotebookNode:
    """Return the notebook that a py:percent file describes: first cell for Colab, stable ids, the measured line."""
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    first = nbformat.v4.new_code_cell(colab_cell(), metadata={"tags": ["colab"]})
    notebook.cells.insert(1, first)
    if path.name == "exercise.py":
        first.metadata["nbgrader"] = {
            "grade": False,
            "grade_id": "colab",
            "locked": True,
            "solution": False,
            "schema_version": 3,
            "task": False,
        }
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        cell.source = cell.source.replace(MEASURED, measured or "Not measured yet.")
        cell.metadata.pop("lines_to_next_cell", None)
        key = cell.metadata.get("nbgrader", {}).get("grade_id") or hashlib.sha256(cell.source.encode()).hexdigest()[:12]
        seen[key] = seen.get(key, 0) + 1
        cell["id"] = key if seen[key] == 1 else f"{key}-{seen[key]}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return _notebook(notebook)


def _notebook(value: Any) -> NotebookNode:
    if not isinstance(value, NotebookNode):
        raise TypeError(f"expected a notebook, got {type(value).__name__}")
    return value


def imported_modules(source: str, package_root: Path) -> set[Path]:
    """Return the files of course_lib that a source needs, directly or through others of them."""
    found: set[Path] = set()
    waiting = list(_direct_imports(source, package_root))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _direct_imports(path.read_text(encoding="utf-8"), package_root)
    return found


def _direct_imports(source: str, package_root: Path) -> Iterator[Path]:
    source = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source)
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] == "course_lib":
                stem = package_root.joinpath(*name.split(".")[1:])
                for path in (stem.with_suffix(".py"), stem / "__init__.py"):
                    if path.is_file():
                        yield path


def named_data(source: str, folder: Path, root: Path) -> set[Path]:
    """Return where the data may lie that a source names: every quoted name of a .json or .jsonl file, there or not.

    Beside the source (folder), from the root, among the benchmarks' results, and anywhere in course_lib. Where
    nothing lies yet, the path among the results stands for the file: its arrival is a change.
    """
    found: set[Path] = set()
    for name in re.findall(r"""["']([\w./-]+\.jsonl?)["']""", source):
        tail = Path(name.lstrip("/"))
        places = [base / tail for base in (folder, root, root / "benchmarks" / "results")]
        there = {path for path in places if path.is_file()} | set((root / "course_lib").rglob(tail.name))
        found |= there or {root / "benchmarks" / "results" / tail.name}
    return found


def fingerprint(lesson: Lesson) -> str:
    """Return a hash of all that the outputs of a notebook depend on: its source, the library it uses, the data."""
    package_root = Path(course_lib.__file__).parent
    source = (lesson.folder / "lesson.py").read_text(encoding="utf-8")
    files = imported_modules(source, package_root)
    if any(path.parent.name == "corpus" for path in files):
        files |= set((package_root / "corpus" / "collections").rglob("*.jsonl"))
    files |= named_data(source, lesson.folder, lesson.root)
    for path in [path for path in files if path.suffix == ".py"]:
        files |= named_data(path.read_text(encoding="utf-8"), path.parent, package_root.parent)
    digest = hashlib.sha256(source.encode() + colab_cell().encode())
    for path in sorted(files):
        name = path.name if not path.is_relative_to(package_root) else path.relative_to(package_root)
        digest.update(str(name).encode() + (path.read_bytes() if path.is_file() else b" is absent"))
    return digest.hexdigest()[:16]


def execute(notebook: NotebookNode, folder: Path, name: str) -> tuple[float, float]:
    """Run every cell in place; return minutes and peak memory of the kernel in GB.

    Raises BuildError if a cell fails, writes to stderr, or shows a path of this machine, and if the notebook takes
    longer or more memory than a lesson may.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {
            "COURSE_PROGRESS": str(Path(scratch) / "progress.json"),
            "TQDM_DISABLE": "1",
            "COURSE_FRESH_REPLIES": "1",  # the minutes are those of a first run
            "PYTHONWARNINGS": "default",
            "JUPYTER_PREFER_ENV_PATH": "1",
        }
        client = NotebookClient(notebook, timeout=300, kernel_name="python3", store_widget_state=False)
        client.resources = {"metadata": {"path": str(folder)}}
        started = time.perf_counter()
        with client.setup_kernel(env=environment):
            for index, cell in enumerate(notebook.cells):
                try:
                    client.execute_cell(cell, index)
                except CellExecutionError as error:
                    raise BuildError(f"{name}: cell {index + 1} failed:\n{cell.source}\n\n{error}") from error
            minutes = (time.perf_counter() - started) / 60
            probe = nbformat.v4.new_code_cell("from course_lib.workshop.memory import peak_gb; print(peak_gb())")
            notebook.cells.append(probe)
            client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1, store_history=False)
            probe = notebook.cells.pop()
        peak = float(probe.outputs[0].text)
    _tidy_outputs(notebook, name)
    if minutes > MAX_MINUTES or peak > MAX_GB:
        raise BuildError(
            f"{name} took {minutes:.1f} min and {peak:.2f} GB; a lesson may take {MAX_MINUTES} min and {MAX_GB} GB"
        )
    return minutes, peak


def _tidy_outputs(notebook: NotebookNode, name: str) -> None:
    notebook.metadata.pop("widgets", None)
    here = [str(Path.home()), str(Path(course_lib.__file__).parents[1]), sys.prefix, tempfile.gettempdir() + os.sep]
    for number, cell in enumerate(notebook.cells, start=1):
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                raise BuildError(f"{name}: cell {number} writes to stderr:\n{output.text}")
            data = output.get("data", {})
            data.pop(WIDGET_VIEW, None)  # readers on the web get the static picture that stands beside it
            if "data" in output and not data:
                continue
            text = str(output)
            for path in here:
                if len(path) > 4 and path in text:
                    raise BuildError(f"{name}: cell {number} shows {path}, a path of this machine")
            kept.append(output)
        cell.outputs = kept


def measured_line(minutes: float, peak: float) -> str:
    """Return the line that the header of a notebook shows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    seconds = minutes * 60
    duration = f"{seconds:.0f} seconds" if seconds < 90 else f"{minutes:.1f} minutes"
    return (
        f"**Measured when built**: {duration} to run, {peak:.1f} GB of memory at peak, on {cores} cores without a GPU."
    )


def _write(path: Path, notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    path.parent.mkdir(exist_ok=True)
    aside = path.with_suffix(".tmp")
    aside.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    aside.replace(path)


def _committed(path: Path) -> NotebookNode | None:
    if not path.is_file():
        return None
    return _notebook(nbformat.from_dict(nbformat.read(path, as_version=4)))


def build_lesson(lesson: Lesson, *, force: bool, say: Say) -> None:
    """Build the notebook of a lesson, executed, unless nothing that it depends on has changed."""
    target, mark = lesson.target("notebooks"), fingerprint(lesson)
    before = _committed(target)
    if before is not None and before.metadata.get("course", {}).get("fingerprint") == mark and not force:
        say(f"{lesson.name}: up to date")
        return
    say(f"{lesson.name}: executing")
    notebook = read_source(lesson.folder / "lesson.py")
    minutes, peak = execute(notebook, lesson.root, lesson.name)
    line = measured_line(minutes, peak)
    fresh = read_source(lesson.folder / "lesson.py", measured=line)
    for cell, executed in zip(fresh.cells, notebook.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
    fresh.metadata["course"] = {
        "fingerprint": mark,
        "measured": line,
        "minutes": round(minutes, 2),
        "peak_gb": round(peak, 2),
    }
    _write(target, fresh)
    say(f"{lesson.name}: {line.replace('**', '')}")


def solution(lesson: Lesson) -> NotebookNode | None:
    """Return the full version of a lesson's exercise, if it has one."""
    path = lesson.folder / "exercise.py"
    return read_source(path) if path.is_file() else None


def learners_version(full: NotebookNode, name: str) -> NotebookNode:
    """Return the exercise without answers and hidden tests, through nbgrader's release step.

    Raises BuildError if a marker of a solution, hidden test or mark scheme is left.
    """
    from nbgrader import preprocessors
    from traitlets.config import Config

    notebook, resources = copy.deepcopy(full), {"nbgrader": {"notebook": name}}
    config = Config()
    config.ClearSolutions.code_stub = {"python": "raise NotImplementedError  # write your code here"}
    for step in (
        "LockCells",
        "ClearSolutions",
        "ClearOutput",
        "CheckCellMetadata",
        "ClearHiddenTests",
        "ClearMarkScheme",
        "ComputeChecksums",
    ):
        notebook, resources = getattr(preprocessors, step)(config=config).preprocess(notebook, resources)
    for number, cell in enumerate(notebook.cells, start=1):
        for marker in LEFTOVERS:
            if marker in cell.source:
                raise BuildError(f"{name}: cell {number} of the exercise still holds {marker!r}")
    return _notebook(nbformat.from_dict(notebook))


def build_exercise(lesson: Lesson) -> None:
    """Build the solution and the learner's version of a lesson's exercise."""
    full = solution(lesson)
    if full is not None:
        _write(lesson.target("solutions"), full)
        _write(lesson.target("exercises"), learners_version(full, lesson.name))


def build_all(root: Path, numbers: list[str], *, force: bool, say: Say) -> None:
    """Build the lessons with these numbers (all if none is named)."""
    for lesson in lessons(root, numbers):
        build_exercise(lesson)
        build_lesson(lesson, force=force, say=say)


def _without_outputs(notebook: NotebookNode) -> Any:
    return [(cell.cell_type, cell["id"], cell.source, dict(cell.metadata)) for cell in notebook.cells]


def check_all(root: Path, numbers: list[str]) -> list[str]:
    """Return what differs between the built files and their sources; an empty list if nothing does."""
    problems = []
    known = lessons(root, numbers)
    for lesson in known:
        committed = _committed(lesson.target("notebooks"))
        if committed is None:
            problems.append(f"notebooks/{lesson.name}.ipynb is missing: run course build {lesson.name[:2]}")
            continue
        source = read_source(
            lesson.folder / "lesson.py", measured=committed.metadata.get("course", {}).get("measured", "")
        )
        if _without_outputs(source) != _without_outputs(committed):
            problems.append(
                f"notebooks/{lesson.name}.ipynb differs from its source: run course build {lesson.name[:2]}"
            )
        elif any(cell.cell_type == "code" and cell.execution_count is None for cell in committed.cells):
            problems.append(f"notebooks/{lesson.name}.ipynb was not executed: run course build {lesson.name[:2]}")
        full = solution(lesson)
        if full is not None:
            for kind, notebook in (("solutions", full), ("exercises", learners_version(full, lesson.name))):
                built = _committed(lesson.target(kind))
                if built is None or _without_outputs(built) != _without_outputs(nbformat.from_dict(notebook)):
                    problems.append(
                        f"{kind}/{lesson.name}.ipynb differs from its source: run course build {lesson.name[:2]}"
                    )
    if not numbers:
        names = {lesson.name for lesson in known}
        for kind in ("notebooks", "solutions", "exercises"):
            for path in sorted((root / kind).glob("*.ipynb")):
                if path.stem not in names:
                    problems.append(f"{kind}/{path.name} has no source in lessons/: delete it")
    return problems
