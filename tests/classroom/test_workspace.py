"""The learner's copies of the exercises: what a learner wrote is never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from course_lib.classroom import workspace
from course_lib.classroom.workspace import RECORD, lay_out_exercises


@pytest.fixture
def exercises(tmp_path: Path) -> Path:
    folder = tmp_path / "exercises"
    folder.mkdir()
    (folder / "01_a.ipynb").write_text("one, as handed out")
    (folder / "02_b.ipynb").write_text("two, as handed out")
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "my_work"


def contents(work: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(work.iterdir()) if path.name != RECORD}


def test_exercises_are_laid_out_once(exercises: Path, work: Path) -> None:
    assert lay_out_exercises(exercises, work) == []
    assert contents(work) == {"01_a.ipynb": "one, as handed out", "02_b.ipynb": "two, as handed out"}
    stamps = [path.stat().st_mtime_ns for path in sorted(work.glob("*.ipynb"))]
    assert lay_out_exercises(exercises, work) == []
    assert [path.stat().st_mtime_ns for path in sorted(work.glob("*.ipynb"))] == stamps


def test_without_exercises_nothing_is_made(tmp_path: Path, work: Path) -> None:
    assert lay_out_exercises(tmp_path / "none", work) == []
    assert not work.exists()


def test_an_untouched_copy_follows_the_course(exercises: Path, work: Path) -> None:
    lay_out_exercises(exercises, work)
    (exercises / "01_a.ipynb").write_text("one, mended")
    (exercises / "03_c.ipynb").write_text("three")
    assert lay_out_exercises(exercises, work) == ["01_a.ipynb: updated; you had not begun it."]
    assert contents(work) == {"01_a.ipynb": "one, mended", "02_b.ipynb": "two, as handed out", "03_c.ipynb": "three"}


def test_an_edited_copy_is_never_overwritten(exercises: Path, work: Path) -> None:
    lay_out_exercises(exercises, work)
    (work / "01_a.ipynb").write_text("my answer")
    assert lay_out_exercises(exercises, work) == []
    for version, name in ((1, "01_a-new.ipynb"), (2, "01_a-new2.ipynb"), (3, "01_a-new3.ipynb")):
        (exercises / "01_a.ipynb").write_text(f"one, version {version}")
        (message,) = lay_out_exercises(exercises, work)
        assert name in message and "Yours is untouched" in message
        assert lay_out_exercises(exercises, work) == []
        assert contents(work)["01_a.ipynb"] == "my answer" and contents(work)[name] == f"one, version {version}"
    assert contents(work)["01_a-new.ipynb"] == "one, version 1"


def test_work_that_was_there_before_is_left_alone(exercises: Path, work: Path) -> None:
    work.mkdir(parents=True)
    (work / "01_a.ipynb").write_text("my answer")
    (work / "diary.txt").write_text("mine")
    (message,) = lay_out_exercises(exercises, work)
    assert "01_a-new.ipynb" in message
    assert contents(work)["01_a.ipynb"] == "my answer" and contents(work)["diary.txt"] == "mine"


@pytest.mark.parametrize("damage", ["", "{", "[]", "5", '{"01_a.ipynb": 3}'])
def test_a_lost_record_costs_no_work(exercises: Path, work: Path, damage: str) -> None:
    lay_out_exercises(exercises, work)
    (work / "01_a.ipynb").write_text("my answer")
    (work / RECORD).write_text(damage)
    (exercises / "02_b.ipynb").write_text("two, mended")
    messages = lay_out_exercises(exercises, work)
    assert len(messages) == 2 and all("Yours is untouched" in message for message in messages)
    assert contents(work) == {
        "01_a.ipynb": "my answer", "01_a-new.ipynb": "one, as handed out",
        "02_b.ipynb": "two, as handed out", "02_b-new.ipynb": "two, mended",
    }  # fmt: skip
    assert lay_out_exercises(exercises, work) == []


def test_a_deleted_copy_is_laid_out_again(exercises: Path, work: Path) -> None:
    lay_out_exercises(exercises, work)
    (work / "02_b.ipynb").unlink()
    assert lay_out_exercises(exercises, work) == []
    assert contents(work)["02_b.ipynb"] == "two, as handed out"


def test_half_a_copy_does_not_count_as_the_learners_work(
    exercises: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = workspace.shutil.copyfile

    def power_cut(source: Path, target: Path) -> None:
        Path(target).write_text("one, as")
        raise OSError("power cut")

    monkeypatch.setattr(workspace.shutil, "copyfile", power_cut)
    with pytest.raises(OSError, match="power cut"):
        lay_out_exercises(exercises, work)
    monkeypatch.setattr(workspace.shutil, "copyfile", copy)
    assert lay_out_exercises(exercises, work) == []
    assert contents(work)["01_a.ipynb"] == "one, as handed out"
