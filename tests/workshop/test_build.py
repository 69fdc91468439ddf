"""The lesson factory: stable ids, no answers in exercises, and a check that notices what is out of step."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from course_lib.workshop import build

ROOT = Path(__file__).resolve().parents[2]
EXERCISE = """# %% [markdown]
# # Exercise

# %% nbgrader={"grade": false, "grade_id": "one-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def one():
    ### BEGIN SOLUTION
    return 1
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "one", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
assert one() == 1
"""


def lesson(
    tmp_path: Path, source: str = "# %% [markdown]\n# # T\n# {{measured}}\n\n# %%\nprint(1 + 1)\n"
) -> build.Lesson:
    folder = tmp_path / "lessons" / "01_small"
    folder.mkdir(parents=True)
    (folder / "lesson.py").write_text(source, encoding="utf-8")
    (folder / "exercise.py").write_text(EXERCISE, encoding="utf-8")
    return build.Lesson(folder, tmp_path)


def test_committed_files_are_in_step() -> None:
    assert build.check_all(ROOT, []) == []


def test_a_lesson_is_built_executed_measured_and_skipped_the_second_time(tmp_path: Path) -> None:
    made = lesson(tmp_path)
    said: list[str] = []
    build.build_all(tmp_path, [], force=False, say=said.append)
    notebook = nbformat.read(made.target("notebooks"), as_version=4)
    assert notebook.cells[2].outputs[0].text == "2\n"
    assert "Measured when built" in notebook.cells[0].source
    assert "widgets" not in notebook.metadata
    assert build.check_all(tmp_path, []) == []
    build.build_all(tmp_path, [], force=False, say=said.append)
    assert said[-1] == "01_small: up to date"


def test_check_notices_every_way_to_be_out_of_step(tmp_path: Path) -> None:
    made = lesson(tmp_path)
    build.build_all(tmp_path, [], force=False, say=lambda _: None)
    source = made.folder / "lesson.py"
    source.write_text(source.read_text() + "\n# %%\n3\n")
    assert "differs from its source" in build.check_all(tmp_path, [])[0]
    source.write_text(source.read_text().replace("\n# %%\n3\n", ""))
    (made.folder / "exercise.py").write_text(EXERCISE.replace("return 1", "return 2"))
    assert [problem.split("/")[0] for problem in build.check_all(tmp_path, [])] == ["solutions"]
    (made.folder / "exercise.py").write_text(EXERCISE)
    shutil.copy(made.target("exercises"), tmp_path / "exercises" / "09_gone.ipynb")
    assert "has no source" in build.check_all(tmp_path, [])[0]
    made.target("notebooks").unlink()
    assert "is missing" in build.check_all(tmp_path, [])[0]


def test_the_learners_version_has_no_answer(tmp_path: Path) -> None:
    made = lesson(tmp_path)
    build.build_exercise(made)
    text = made.target("exercises").read_text()
    assert "return 1" not in text
    assert "SOLUTION" not in text
    assert "raise NotImplementedError" in text
    assert "return 1" in made.target("solutions").read_text()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys\nprint('x', file=sys.stderr)", "writes to stderr"),
        ("from pathlib import Path\nprint(Path.home() / 'x')", "a path of this machine"),
    ],
)
def test_a_lesson_that_fails_warns_or_shows_a_path_is_not_built(tmp_path: Path, code: str, words: str) -> None:
    made = lesson(tmp_path, f"# %% [markdown]\n# # T\n\n# %%\n{code}\n")
    with pytest.raises(build.BuildError, match=words):
        build.build_all(tmp_path, [], force=False, say=lambda _: None)
    assert not made.target("notebooks").exists()


def test_cell_ids_do_not_change_when_a_cell_is_added_elsewhere(tmp_path: Path) -> None:
    made = lesson(tmp_path)
    path = made.folder / "lesson.py"
    before = {cell.source: cell["id"] for cell in build.read_source(path).cells}
    path.write_text(path.read_text() + "\n# %%\nprint('new')\n")
    after = {cell.source: cell["id"] for cell in build.read_source(path).cells}
    assert before.items() <= after.items()


def test_fingerprint_follows_the_library(tmp_path: Path) -> None:
    made = lesson(tmp_path, "# %%\nfrom course_lib.retrieval.fusion import reciprocal_rank_fusion\n")
    files = build.imported_modules((made.folder / "lesson.py").read_text(), ROOT / "course_lib")
    names = {str(path.relative_to(ROOT / "course_lib")) for path in files}
    assert {"retrieval/fusion.py", "core/types.py"} <= names
    assert not any(name.startswith("generation/") for name in names)


def test_fingerprint_follows_the_data_that_is_named(tmp_path: Path) -> None:
    made = lesson(tmp_path, '# %%\nstored = Path("benchmarks/results/one.json")\nother = folder / "two.json"\n')
    marks = [build.fingerprint(made)]
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    for path, text in (
        (results / "one.json", "{}"),  # it arrives
        (results / "one.json", "[]"),  # it changes
        (made.folder / "two.json", "{}"),  # beside the lesson
    ):
        path.write_text(text)
        marks.append(build.fingerprint(made))
    (results / "unnamed.json").write_text("{}")
    assert build.fingerprint(made) == marks[-1]
    assert len(set(marks)) == len(marks)


def test_data_that_the_library_names_is_found() -> None:
    def named(module: str) -> set[str]:
        path = ROOT / "course_lib" / module
        found = build.named_data(path.read_text(encoding="utf-8"), path.parent, ROOT)
        return {each.relative_to(ROOT).as_posix() for each in found}

    assert "course_lib/systems/failures.json" in named("systems/failure_file.py")
    assert "course_lib/evaluation/grounding_rule.json" in named("systems/grounding_models.py")
    assert "benchmarks/results/scoreboard.json" in named("systems/scoreboard.py")
    assert "course_lib/corpus/collections/help_desk/intents.json" in named("corpus/messages.py")
    assert "course_lib/corpus/collections/questions/closed_book.json" in named("workshop/data_difficulty.py")
