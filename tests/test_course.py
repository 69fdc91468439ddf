"""course.py: what it installs, when it does so again, and what it says when it cannot."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "course.py"
LOCK = "# pins\nnumpy==2.0.0\ntorch==2.13.0\ntorchmetrics==1.0\n"
Done = SimpleNamespace


class Shell:
    """Stands in for subprocess: notes each command, and does what the real one would leave behind."""

    DEVNULL = subprocess.DEVNULL

    def __init__(self, course: ModuleType) -> None:
        self.course = course
        self.commands: list[list[str]] = []
        self.report: dict[str, Any] = {"install": [{"metadata": {"requires_dist": ["filelock", "sympy>=1.13"]}}]}
        self.report_status = 0
        self.fails: Callable[[list[str]], bool] = lambda command: False
        self.interrupts: Callable[[list[str]], bool] = lambda command: False
        self.venv_error = ""
        self.interpreter_is_sound = True

    def run(self, command: list[str], **options: Any) -> Any:
        assert isinstance(command, list) and not options.get("shell"), "a path with a space needs a list, not a line"
        self.commands.append(command)
        if self.interrupts(command):
            raise KeyboardInterrupt
        if "--dry-run" in command:
            return Done(returncode=self.report_status, stdout=json.dumps(self.report), stderr="")
        if command[1:3] == ["-m", "venv"]:
            if self.venv_error:
                return Done(returncode=1, stdout="", stderr=self.venv_error)
            shutil.rmtree(command[-1], ignore_errors=True)
            interpreter = Path(self.course.python())
            interpreter.parent.mkdir(parents=True)
            interpreter.touch()
        if command[1] == "-c":
            return Done(returncode=0 if self.interpreter_is_sound else 1)
        return Done(returncode=1 if self.fails(command) else 0, stdout="", stderr="")

    def ran(self, *words: str) -> list[list[str]]:
        """The commands that hold all these words."""
        return [command for command in self.commands if set(words) <= set(command)]


def load(root: Path) -> ModuleType:
    """The course.py of a folder as a module, without running it."""
    spec = importlib.util.spec_from_file_location("course_under_test", root / "course.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the course's top folder, in a place with a space in its name."""
    folder = tmp_path / "my course (2)"
    folder.mkdir()
    shutil.copy(SOURCE, folder)
    (folder / "requirements.lock").write_text(LOCK)
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    return folder


@pytest.fixture
def course(root: Path) -> ModuleType:
    return load(root)


@pytest.fixture
def shell(course: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell(course)
    monkeypatch.setattr(course, "subprocess", shell)
    monkeypatch.setattr(course.shutil, "disk_usage", lambda _: SimpleNamespace(free=9e9))
    return shell


# ---------------------------------------------------------------- before anything is installed


def test_needs_the_standard_library_only() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names)


def test_an_old_python_can_read_it() -> None:
    """Otherwise the learner would see a SyntaxError instead of the message."""
    ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_an_old_python_is_told_what_to_do(
    course: ModuleType, shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = SimpleNamespace(version_info=(3, 10, 12), version="3.10.12 (main)", executable="/usr/bin/python3")
    monkeypatch.setattr(course, "sys", old)
    assert course.main(["lab"]) == 1
    words = capsys.readouterr().out
    assert "needs Python 3.11 or later; this is 3.10.12 at /usr/bin/python3" in words
    assert "course.py lab" in words
    assert not shell.commands


def test_a_full_disk_is_told_before_anything_is_written(
    course: ModuleType, shell: Shell, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(course.shutil, "disk_usage", lambda _: SimpleNamespace(free=1.25e9))
    assert course.main(["lab"]) == 1
    words = capsys.readouterr().err
    assert "needs 4 GB of disk" in words and "1.2 GB free" in words and str(root) in words
    assert not shell.commands and not (root / ".venv").exists()


# ---------------------------------------------------------------- torch without CUDA

CUDA = ["filelock", 'nvidia-cuda-runtime==13.0; platform_system == "Linux"', "triton==3.5"]


@pytest.mark.parametrize(
    ("platform", "requires", "status", "with_uv"),
    [
        ("linux", CUDA, 0, True),
        ("linux", ["filelock", "triton==3.5; sys_platform == 'linux'"], 0, True),
        ("linux", ["cuda-bindings==13.0"], 0, True),
        ("linux", ["filelock", "sympy"], 0, False),  # an index whose default is the CPU build: a mirror, or aarch64
        ("linux", [], 0, False),
        ("linux", ["filelock"], 1, True),  # pip could not say: uv knows
        ("darwin", CUDA, 0, False),  # the markers name Linux; what is installed on macOS is the CPU build
        ("darwin", ["filelock"], 0, False),
        ("darwin", ["filelock"], 1, True),
        ("win32", CUDA, 0, False),
    ],
)
def test_which_installer_takes_torch(
    platform: str,
    requires: list[str],
    status: int,
    with_uv: bool,
    course: ModuleType,
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell.report = {"install": [{"metadata": {"requires_dist": requires} if requires else {}}]}
    shell.report_status = status
    monkeypatch.setattr(course.sys, "platform", platform)
    course.install_torch()
    assert shell.ran("--dry-run", "torch==2.13.0", "--no-deps", "--report")
    by_uv = shell.ran("-m", "uv", "--torch-backend", "cpu", "torch==2.13.0")
    assert len(by_uv) == with_uv
    first = next(command for command in shell.ran("torch==2.13.0") if "--dry-run" not in command)
    if with_uv:  # uv itself comes from pip, and installs into .venv; whatever pip does after it finds torch there
        assert shell.commands.index(shell.ran("pip", "install", "uv")[0]) < shell.commands.index(first)
        assert first == by_uv[0]
        assert first[first.index("--python") + 1] == course.python()
    else:
        assert first[1:4] == ["-m", "pip", "install"] and str(course.LOCK) in first


# ---------------------------------------------------------------- what is done once is skipped


def installs(shell: Shell) -> int:
    """How often the course itself was installed."""
    return len(shell.ran("--editable"))


def makes_venv(shell: Shell) -> int:
    return len(shell.ran("-m", "venv"))


def test_the_second_run_installs_nothing(course: ModuleType, shell: Shell) -> None:
    assert course.main(["lab"]) == 0
    assert (makes_venv(shell), installs(shell)) == (1, 1)
    shell.commands.clear()
    assert course.main(["lab", "--port", "9000"]) == 0
    assert shell.commands == [[course.python(), "-m", "course_lib.cli", "lab", "--port", "9000"]]


def test_the_order_torch_comes_before_the_rest(course: ModuleType, shell: Shell) -> None:
    """Else pip would choose torch itself, and with it 2 GB of CUDA."""
    course.install(["lab"])
    words = [" ".join(command) for command in shell.commands]
    torch = next(i for i, line in enumerate(words) if "torch==" in line and "--dry-run" not in line)
    rest = next(i for i, line in enumerate(words) if "--editable" in line)
    assert torch < rest
    assert shell.commands[rest][-1] == ".[lab]"
    assert str(course.LOCK) in shell.commands[rest]


def test_tests_need_more_than_lessons(course: ModuleType, shell: Shell) -> None:
    course.main(["lab"])
    course.main(["test"])
    assert [command[-1] for command in shell.ran("--editable")] == [".[lab]", ".[build,lab,test]"]
    shell.commands.clear()
    for command in ("lab", "test", "build", "doctor"):
        course.main([command])
    assert installs(shell) == 0  # what is there stays there


def test_setup_all_installs_and_starts_nothing(course: ModuleType, shell: Shell) -> None:
    assert course.main(["setup-all"]) == 0
    assert shell.ran("--editable", ".[build,lab,test]")
    assert not shell.ran("course_lib.cli")


@pytest.mark.parametrize("word", ["torch==2.13.0", "setuptools", "--editable"])
def test_an_interrupted_installation_is_repaired(
    word: str, course: ModuleType, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.fails = lambda command: word in command and "--dry-run" not in command
    assert course.main(["lab"]) == 1
    assert "run the same command again" in capsys.readouterr().err
    assert not course.STAMP.exists() and not shell.ran("course_lib.cli")
    shell.fails = lambda command: False
    assert course.main(["lab"]) == 0
    assert makes_venv(shell) == 1, "what is sound is kept"
    assert course.installed()["extras"] == ["lab"]


def test_a_stop_by_the_learner_is_no_traceback(
    course: ModuleType, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.interrupts = lambda command: "--editable" in command
    assert course.main(["lab"]) == 130
    assert "Run the same command again" in capsys.readouterr().err
    assert course.installed() == {}
    shell.interrupts = lambda command: "course_lib.cli" in command
    assert course.main(["lab"]) == 130  # Ctrl-C in the Lab
    assert course.installed()["extras"] == ["lab"]


def test_an_update_that_fails_is_not_taken_for_the_old_installation(course: ModuleType, shell: Shell) -> None:
    course.main(["lab"])
    course.LOCK.write_text(LOCK + "new==1\n")
    shell.fails = lambda command: "--editable" in command
    assert course.main(["lab"]) == 1
    course.LOCK.write_text(LOCK)  # even if the lock is put back: the packages may be half updated
    shell.fails = lambda command: False
    course.main(["lab"])
    assert installs(shell) == 3


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_installs_again_into_the_same_venv(
    name: str, course: ModuleType, shell: Shell, root: Path
) -> None:
    course.main(["test"])
    with (root / name).open("a") as file:
        file.write("# changed\n")
    course.main(["lab"])
    assert (makes_venv(shell), installs(shell)) == (1, 2)
    assert shell.ran("--editable")[-1][-1] == ".[build,lab,test]", "extras of before are kept up to date, too"


def test_a_moved_folder_gets_a_new_venv(
    course: ModuleType, shell: Shell, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course.main(["lab"])
    moved = root.rename(root.with_name("moved"))
    there = load(moved)
    shell.course = there
    monkeypatch.setattr(there, "subprocess", shell)
    assert there.main(["lab"]) == 0
    assert (makes_venv(shell), installs(shell)) == (2, 2)
    assert there.installed()["root"] == str(moved)


@pytest.mark.parametrize("stamp", ["", "{", "[]", '"lab"', "null", '{"lock": 1}', "\x00"])
def test_a_damaged_stamp_installs_again(stamp: str, course: ModuleType, shell: Shell) -> None:
    course.main(["lab"])
    course.STAMP.write_text(stamp)
    assert course.main(["lab"]) == 0
    assert installs(shell) == 2


def test_a_venv_whose_interpreter_is_gone_is_made_anew(course: ModuleType, shell: Shell) -> None:
    course.main(["lab"])
    Path(course.python()).unlink()
    course.main(["lab"])
    assert (makes_venv(shell), installs(shell)) == (2, 2)


def test_a_venv_whose_interpreter_does_not_start_is_made_anew(course: ModuleType, shell: Shell) -> None:
    course.main(["lab"])
    course.STAMP.unlink()
    shell.interpreter_is_sound = False  # the Python it was made from has been updated away
    course.main(["lab"])
    assert makes_venv(shell) == 2


def test_no_venv_package_is_told_with_the_remedy(
    course: ModuleType, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.venv_error = "ensurepip is not available"
    assert course.main(["lab"]) == 1
    words = capsys.readouterr().err
    assert "ensurepip is not available" in words and "sudo apt install python3-venv" in words


def test_the_exit_status_of_the_command_is_passed_on(course: ModuleType, shell: Shell) -> None:
    shell.fails = lambda command: "course_lib.cli" in command
    assert course.main(["doctor"]) == 1


def test_every_command_that_needs_more_exists() -> None:
    """A command renamed in cli.py would otherwise run without its packages."""
    from typer.main import get_command

    from course_lib.cli import app

    known = set(get_command(app).commands) | {"bench", "setup-all"}  # type: ignore[attr-defined]
    assert set(load(SOURCE.parent).EXTRAS) <= known


# ---------------------------------------------------------------- for real


def test_a_real_venv_in_a_folder_with_a_space(
    course: ModuleType, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No package is downloaded: this environment's are lent to the new one, and the stamp says that all is there."""
    course.make_venv()
    assert course.sound(course.VENV)
    lent = Path(
        subprocess.run(
            [course.python(), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    assert lent.is_relative_to(root)
    (lent / "lent.pth").write_text(
        f"{SOURCE.parent}\n{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n"
    )
    stamp = {"lock": course.lock_hash(), "extras": ["lab"], "root": str(root)}
    course.STAMP.write_text(json.dumps(stamp))
    command = [sys.executable, str(root / "course.py"), "ask", "--help"]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=root.parent, env=os.environ | {"COLUMNS": "200"}
    )
    assert result.returncode == 0, result.stderr
    assert "--closed-book" in result.stdout
    assert "-->" not in result.stdout  # nothing was installed
    assert json.loads(course.STAMP.read_text()) == stamp


def test_a_real_interpreter_that_is_broken_is_not_sound(course: ModuleType) -> None:
    Path(course.python()).parent.mkdir(parents=True)
    assert not course.sound(course.VENV)
    if os.name != "nt":
        Path(course.python()).symlink_to("/nowhere/python3")
        assert not course.sound(course.VENV)
        Path(course.python()).unlink()
        Path(course.python()).symlink_to("/bin/false")
        assert not course.sound(course.VENV)
