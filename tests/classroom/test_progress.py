"""The learner's record: nothing is lost, whatever is in the file and whoever else writes to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.classroom import progress
from course_lib.classroom.progress import progress_file, read_progress, record_check, record_prediction

EMPTY = {"checks": {}, "predictions": {}}


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "of learners" / "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS", str(file))
    return file


def test_what_is_recorded_can_be_read(path: Path) -> None:
    assert read_progress() == EMPTY and not path.exists()
    record_check("01", "pooling", "wrong")
    record_prediction("01", "which", "größer")
    assert read_progress() == {
        "checks": {"01/pooling": {"status": "wrong", "tries": 1}},
        "predictions": {"01/which": "größer"},
    }
    record_prediction("01", "which", "smaller")
    assert read_progress()["predictions"] == {"01/which": "smaller"}
    assert sorted(file.name for file in path.parent.iterdir() if file.suffix != ".lock") == ["progress.json"]


def test_a_pass_is_never_taken_back() -> None:
    for status in ("crashed", "passed", "wrong", "not attempted"):
        record_check("01", "pooling", status)
    assert read_progress()["checks"] == {"01/pooling": {"status": "passed", "tries": 4}}


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe\x00", b"[]", b'{"checks": []}', b'{"checks": {}, "predictions": 1}', b"[" * 200_000],
)
def test_a_damaged_file_is_kept_aside(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    assert read_progress() == EMPTY
    assert path.with_suffix(".damaged1.json").read_bytes() == damage and not path.exists()
    path.write_bytes(damage + b" ")
    record_check("01", "pooling", "passed")
    assert path.with_suffix(".damaged1.json").read_bytes() == damage
    assert path.with_suffix(".damaged2.json").read_bytes() == damage + b" "
    assert list(read_progress()["checks"]) == ["01/pooling"]


@pytest.mark.parametrize("entry", [5, "passed", None, [], {}, {"tries": "x"}, {"status": ["passed"]}])
def test_an_odd_entry_is_written_anew_and_the_others_stay(path: Path, entry: object) -> None:
    path.parent.mkdir()
    path.write_text(
        json.dumps({"checks": {"01/a": entry, "01/b": {"status": "passed", "tries": 2}}, "predictions": {}})
    )
    record_check("01", "a", "wrong")
    assert read_progress()["checks"] == {
        "01/a": {"status": "wrong", "tries": 1},
        "01/b": {"status": "passed", "tries": 2},
    }


def test_a_file_that_cannot_be_opened_is_left_alone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.mkdir(parents=True)  # a folder in its place: an error of the system, as with a file that is held or forbidden
    assert read_progress() == EMPTY
    record_check("01", "pooling", "passed")
    assert path.is_dir() and not list(path.parent.glob("*damaged*"))
    assert "Set COURSE_PROGRESS" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_costs_a_message_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "file" / "progress.json"))
    record_prediction("01", "which", "a")
    assert "could not be saved" in capsys.readouterr().out
    assert read_progress() == EMPTY


def test_a_lock_that_is_never_released_costs_a_message(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from filelock import FileLock

    monkeypatch.setattr(progress, "LOCK_SECONDS", 0.1)
    path.parent.mkdir()
    with FileLock(f"{path}.lock"):
        record_check("01", "pooling", "passed")
    assert "could not be saved" in capsys.readouterr().out


def test_writing_waits_for_a_reader_on_windows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, refused = os.replace, [PermissionError, PermissionError]

    def held(source: str, target: Path) -> None:
        if refused:
            raise refused.pop()
        replace(source, target)

    monkeypatch.setattr(progress.os, "replace", held)
    record_check("01", "pooling", "passed")
    assert list(read_progress()["checks"]) == ["01/pooling"]
    assert not list(path.parent.glob("*.tmp"))


def test_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    """Two processes, 60 tries each: of one task that they share (120 tries), and of one task each try."""
    source = (
        "import sys\n"
        "from course_lib.classroom.progress import read_progress, record_check\n"
        "for i in range(60):\n"
        "    record_check('01', 'shared', 'wrong')\n"
        "    record_check('01', f'{sys.argv[1]}-{i}', 'passed')\n"
        "    assert f'01/{sys.argv[1]}-{i}' in read_progress()['checks']\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", source, name]) for name in ("a", "b")]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    checks = read_progress()["checks"]
    assert checks["01/shared"]["tries"] == 120
    assert len(checks) == 121
    assert not list(path.parent.glob("*damaged*"))


def test_without_a_setting_the_file_lies_with_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_PROGRESS")
    assert progress_file().name == "progress.json" and "rag-and-fine-tuning" in str(progress_file())
