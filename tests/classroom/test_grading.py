"""Grading: honest, broken and hostile hand-ins of exercise 01."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_ins import (
    LESSON,
    POINTS,
    ROOT,
    SEED,
    as_answer,
    full_notebook,
    planted_mistakes,
    points,
    released_notebook,
    save,
    with_sources,
)
from hostile import HOSTILE, body

from course_lib.checks.vectorisation import TASKS
from course_lib.classroom.grading import sandbox as sandbox_module
from course_lib.classroom.grading import wire
from course_lib.classroom.grading.folder import find_hand_ins, grade_folder
from course_lib.classroom.grading.grade import GradedSubmission, grade_submission
from course_lib.classroom.grading.report import clean_text, no_formula, page_names
from course_lib.classroom.grading.sandbox import Limits, SandboxError, require_sandbox
from course_lib.classroom.grading.seccomp import seccomp_filter
from course_lib.classroom.grading.submission import BrokenError, read_script
from course_lib.classroom.grading.wire import LostError, Worker
from course_lib.classroom.grading.worker import NotData, decode, encode, parse_cell

HASTY = Limits(call_seconds=1, cell_seconds=1.5, start_seconds=60, total_seconds=120, memory=600 << 20)
OTHERS = sum(POINTS.values()) - POINTS["counting"]


def _no_sandbox() -> str:
    try:
        require_sandbox()
    except SandboxError as error:
        return str(error)
    return ""


needs_sandbox = pytest.mark.skipif(bool(_no_sandbox()), reason=_no_sandbox() or "there is a sandbox")


@pytest.fixture(scope="session")
def full() -> dict[str, Any]:
    return full_notebook()


@pytest.fixture(scope="session")
def released() -> dict[str, Any]:
    return released_notebook()


@pytest.fixture(scope="session")
def release(released: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("release") / f"{LESSON}.ipynb", released)


def grade(path: Path, release: Path, **options: Any) -> GradedSubmission:
    options = {"lesson": LESSON, "seed": SEED, "limits": HASTY, **options}
    return grade_submission(path, TASKS, release=release, **options)


# ---- honest hand-ins -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sandbox", [pytest.param(True, marks=needs_sandbox), False])
def test_the_solution_gets_full_points(full: dict[str, Any], release: Path, tmp_path: Path, sandbox: bool) -> None:
    graded = grade(save(tmp_path / "anna.ipynb", full), release, sandbox=sandbox, limits=Limits())
    assert (graded.state, graded.points, graded.max_points, graded.notes) == ("graded", 14, 14, ())
    assert {verdict.status for verdict in graded.verdicts} == {"passed"}
    assert graded.seconds < 10
    assert ("not contained" in graded.message or "without a sandbox" in graded.message) is not sandbox


@needs_sandbox
def test_the_untouched_exercise_gets_nothing(released: dict[str, Any], release: Path, tmp_path: Path) -> None:
    graded = grade(save(tmp_path / "ben.ipynb", released), release)
    assert graded.state == "graded" and graded.points == 0
    assert {verdict.status for verdict in graded.verdicts} == {"not attempted"}


@needs_sandbox
@pytest.mark.parametrize("seed", range(5))
def test_a_right_answer_is_right_for_every_seed(full: dict[str, Any], release: Path, tmp_path: Path, seed: int) -> None:
    assert grade(save(tmp_path / "anna.ipynb", full), release, seed=seed).points == 14


@needs_sandbox
@pytest.mark.parametrize(
    ("task", "mistake", "status", "words"), planted_mistakes(), ids=lambda value: getattr(value, "__name__", None)
)
def test_each_planted_mistake_gets_its_message(
    task: str, mistake: Any, status: str, words: str, full: dict[str, Any], release: Path, tmp_path: Path
) -> None:
    notebook = with_sources(full, {f"{task}-code": as_answer(task, mistake)})
    graded = grade(save(tmp_path / "cem.ipynb", notebook), release)
    verdict = next(verdict for verdict in graded.verdicts if verdict.task == task)
    assert verdict.status == status and words in verdict.message
    assert verdict.points < verdict.max_points
    dependent = {"cosine"} if task == "normalising" else set()  # it calls the learner's normalise
    assert all(other.status == "passed" for other in graded.verdicts if other.task not in {task, *dependent})


@needs_sandbox
def test_magics_trials_and_added_cells_do_no_harm(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    source = textwrap.dedent("""
        %matplotlib inline
        import math
        !pip install torch
        listing = !ls
        if True:
            %pip install -q "numpy>=2
        np.array?
        rest = (7
            % 4)
        assert rest == 3
        check.counting(count_words).show()
        check.hint("pooling")
        """)
    cells = {"counting-code": "%%time\n" + next(c["source"] for c in full["cells"] if c["id"] == "counting-code")}
    graded = grade(save(tmp_path / "dee.ipynb", with_sources(full, cells, first=source)), release)
    assert graded.points == 14
    assert graded.notes == ()


@needs_sandbox
def test_a_cell_that_fails_costs_only_its_own_task(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    notebook = with_sources(full, {"idf-code": "def inverse_document_frequency(counts:\n    return 1"}, first="1 / 0")
    graded = grade(save(tmp_path / "eva.ipynb", notebook), release)
    assert graded.points == 12
    verdict = graded.verdicts[1]
    assert verdict.status == "crashed" and "SyntaxError in line 1" in verdict.message
    assert graded.notes[0].startswith("cell 1 stopped: ZeroDivisionError in line 1 (1 / 0)")


@needs_sandbox
def test_a_crash_names_the_learners_line(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    notebook = with_sources(full, {"counting-code": body("total = 0\nreturn total.size / 0")})
    verdict = grade(save(tmp_path / "fay.ipynb", notebook), release).verdicts[0]
    assert verdict.status == "crashed"
    assert "AttributeError in line 3 (return total.size / 0): 'int' object has no attribute 'size'" in verdict.message


@needs_sandbox
def test_a_deleted_cell_is_not_attempted(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    notebook = {**full, "cells": [cell for cell in full["cells"] if cell["id"] not in ("idf-code", "idf", "imports")]}
    graded = grade(save(tmp_path / "gil.ipynb", notebook), release)
    assert graded.verdicts[1].status == "not attempted" and graded.points == 12


@needs_sandbox
def test_locked_and_graded_cells_come_from_the_release(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    trap = "import os\nos._exit(0)"
    notebook = with_sources(
        full, {"imports": trap, "colab": trap, "counting": trap, "idf": "check = 14", "neighbours": trap}
    )
    for cell in notebook["cells"]:
        if cell["id"] == "pooling":  # a test that calls itself the learner's, and a locked cell of the learner's making
            cell["metadata"]["nbgrader"].update(solution=True, locked=False, grade=False)
            cell["source"] = trap
    extra = {"grade": False, "grade_id": "mine", "locked": True, "solution": False, "schema_version": 3, "task": False}
    cell = {"cell_type": "code", "id": "x", "metadata": {"nbgrader": extra}, "source": trap, "outputs": []}
    notebook["cells"].append(cell)
    path = save(tmp_path / "hal.ipynb", notebook)
    assert not [cell.name for cell in read_script(path, release, TASKS, lesson=LESSON).cells if trap in cell.source]
    graded = grade(path, release)
    assert graded.points == 14 and graded.notes == ()


def test_locked_cells_run_where_the_release_has_them(
    full: dict[str, Any], released: dict[str, Any], tmp_path: Path
) -> None:
    def locked(name: str) -> dict[str, Any]:
        nbgrader = {
            "grade": False,
            "grade_id": name,
            "locked": True,
            "solution": False,
            "schema_version": 3,
            "task": False,
        }
        return {"cell_type": "code", "id": name, "metadata": {"nbgrader": nbgrader}, "source": name, "outputs": []}

    place = [cell["id"] for cell in released["cells"]].index("pooling-code")
    cells = [*released["cells"][:place], locked("middle"), *released["cells"][place:], locked("end")]
    release = save(tmp_path / "release.ipynb", {**released, "cells": cells})
    path = save(tmp_path / "ida.ipynb", {**full, "cells": [{**locked("end"), "source": "mine"}, *full["cells"][::-1]]})
    names = [cell.grade_id for cell in read_script(path, release, TASKS, lesson=LESSON).cells]
    assert [name for name in names if not name.endswith("-code")] == ["colab", "imports", "middle", "end"]
    names = [cell.grade_id for cell in read_script(save(path, full), release, TASKS, lesson=LESSON).cells]
    assert names == [
        "colab", "imports", "counting-code", "idf-code", "middle", "pooling-code", "normalising-code", "cosine-code",
        "neighbours-code", "end",
    ]  # fmt: skip


@needs_sandbox
def test_printing_does_no_harm(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    code = next(cell["source"] for cell in full["cells"] if cell["id"] == "counting-code")
    loud = (
        "import os, sys\ndef say():\n    print('x' * 10**5)\n    sys.stderr.write('y' * 10**5)\n    os.write(1, b'z')\n"
    )
    notebook = with_sources(
        full, {"counting-code": loud + "say()\n" + code.replace("position =", "say()\n    position =")}
    )
    graded = grade(save(tmp_path / "jon.ipynb", notebook), release)
    assert graded.points == 14 and graded.notes == ()


def test_a_wide_import_of_a_helper_is_needed_by_the_task_that_names_it(
    release: Path, full: dict[str, Any], tmp_path: Path
) -> None:
    helper = "def scale(rows):\n    return normalise(rows)\n"
    answer = "def cosine_similarity(a, b):\n    return scale(a) @ scale(b).T\n"
    path = save(tmp_path / "ida.ipynb", with_sources(full, {"cosine-code": answer}, first=helper))
    script = read_script(path, release, TASKS, lesson=LESSON)
    needed = {task.name: [cell.grade_id or cell.name for cell in script.needed_for(task)] for task in TASKS}
    assert needed["counting"] == ["colab", "imports", "counting-code"]
    assert needed["cosine"] == ["cell 1", "colab", "imports", "normalising-code", "cosine-code"]


# ---- broken files ----------------------------------------------------------------------------------------------------


def _files(full: dict[str, Any]) -> dict[str, tuple[bytes, str]]:
    good = json.dumps(full).encode()
    other = {
        **full,
        "cells": [{**cell, "id": f"z{i}", "metadata": {}, "source": "x = 1"} for i, cell in enumerate(full["cells"])],
    }
    return {
        "empty": (b" \n", "empty"),
        "truncated": (good[:-200], "breaks off"),
        "text": (b"hello", "not JSON"),
        "binary": (b"PK\x03\x04\xff\xfe" * 10, "not text"),
        "list": (b"[1, 2]", "no list of cells"),
        "format 3": (b'{"worksheets": [], "nbformat": 3}', "format 4"),
        "cells no list": (b'{"cells": {"a": 1}}', "no list of cells"),
        "deep": (b"[" * 200_000, "not JSON"),
        "long number": (b'{"cells": ' + b"9" * 10_000 + b"}", "not JSON"),
        "other lesson": (json.dumps(other).encode(), f"not exercise {LESSON}"),
        "no cells": (b'{"cells": []}', f"not exercise {LESSON}"),
        "odd cells": (
            b'{"cells": [1, null, {"cell_type": "code"}, {"cell_type": "code", "source": [1], "metadata": 3}]}',
            "none",
        ),
        "many cells": (json.dumps({"cells": [{}] * 1001}).encode(), "1001 cells"),
        "large": (good + b" " * 20_000_001, "at most 20 MB"),
    }


@pytest.mark.parametrize("name", _files({"cells": []}))
def test_a_broken_file_is_told_apart(name: str, full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    data, words = _files(full)[name]
    path = tmp_path / "broken.ipynb"
    path.write_bytes(data)
    graded = grade(path, release, sandbox=False)
    assert (graded.state, graded.points, graded.max_points) == ("broken", 0, 14)
    assert words in graded.message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_links_pipes_folders_and_nothing_are_broken(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    (tmp_path / "link.ipynb").symlink_to(save(tmp_path / "solution.ipynb", full))
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    for name, words in {"link": "a link", "pipe": "not a file", "folder": "not a file", "none": "no such file"}.items():
        graded = grade(tmp_path / f"{name}.ipynb", release, sandbox=False)
        assert graded.state == "broken" and words in graded.message


def test_without_a_release_the_instructor_hears_of_it(full: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="course build"):
        grade(save(tmp_path / "anna.ipynb", full), tmp_path / "none.ipynb", sandbox=False)


# ---- hostile hand-ins ------------------------------------------------------------------------------------------------


@needs_sandbox
@pytest.mark.parametrize("attack", HOSTILE)
def test_an_attack_costs_only_its_own_task(attack: str, full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    if attack in ("forks", "starts processes") and seccomp_filter() is None:
        pytest.skip("no filter of system calls for this kind of machine: a fork bomb would reach it")
    path = save(tmp_path / "eve.ipynb", with_sources(full, {"counting-code": HOSTILE[attack]}))
    before = path.read_bytes()
    graded = grade(path, release)
    got = points(graded)
    assert graded.state == "graded" and got.pop("counting") == 0
    assert sum(got.values()) == OTHERS, [str(verdict) for verdict in graded.verdicts]
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert all(len(verdict.message) < 3000 for verdict in graded.verdicts)


REPORT = """
import json, os, socket
found = []
def attempt(what, action):
    try:
        found.append(f"{what}: {action()!r:.80}")
    except BaseException as error:
        pass
"""


def _what_it_found(source: str, full: dict[str, Any], release: Path, path: Path) -> str:
    source = (
        REPORT
        + source
        + "\ndef count_words(tokens, vocabulary):\n    raise RuntimeError('found ' + json.dumps(found))\n"
    )
    graded = grade(save(path, with_sources(full, {"counting-code": source})), release, limits=Limits())
    assert points(graded)["counting"] == 0 and not graded.notes
    match = re.search(r"found (\[.*\])", graded.verdicts[0].message)
    assert match, graded.verdicts[0].message
    return match[1]


@needs_sandbox
def test_nothing_of_this_machine_can_be_read(
    full: dict[str, Any], release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "a-token-of-the-grader")
    solutions = save(tmp_path / "solutions" / f"{LESSON}.ipynb", full)
    other = save(tmp_path / "class" / "anna.ipynb", full)
    places = [
        solutions,
        solutions.parent,
        other,
        release,
        ROOT / "lessons",  # ROOT itself is there where it holds the environment: as an empty way to it
        ROOT / "lessons" / LESSON / "exercise.py",
        Path(__file__),
    ]
    places += [Path(sandbox_module.__file__), ROOT / "course_lib" / "checks" / "vectorisation.py", Path("/etc/passwd")]
    source = f"for place in {[str(place) for place in places]}:\n"
    source += "    attempt(place, lambda: os.listdir(place) if os.path.isdir(place) else open(place).read())\n"
    source += textwrap.dedent("""
        attempt("environment", lambda: {}[1] if "SECRET_TOKEN" not in os.environ else 1)
        for process in ["self", *range(1, 40)]:
            attempt(f"process {process}", lambda: open(f"/proc/{process}/environ").read())
        attempt("home", lambda: {}[1] if os.path.expanduser("~") == "/scratch" else 1)
        for folder, folders, files in os.walk("/"):
            if "site-packages" in folder and folder.count("/") > 8:
                folders.clear()
            for name in (*folders, *files):
                if name in ("course_lib", "lessons", "01_vectorisation", "01_vectorisation.ipynb", "exercise.py"):
                    attempt(f"{folder}/{name}", lambda: os.listdir(f"{folder}/{name}")[0])
        """)
    assert _what_it_found(source, full, release, tmp_path / "class" / "eve.ipynb") == "[]"


@needs_sandbox
def test_nothing_outside_its_scratch_can_be_written(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    target = save(tmp_path / "class" / "anna.ipynb", full)
    before = target.read_bytes()
    places = ["/", "/tmp", "/dev", "/dev/shm", "/grading", "/usr/lib", str(tmp_path), str(ROOT), str(Path.home())]
    places += [str(path) for path in (Path(sys.prefix), Path(sys.base_prefix) / "lib", *sandbox_module.site_folders())]
    source = textwrap.dedent(f"""
        for place in {places}:
            attempt(place, lambda: os.makedirs(place, exist_ok=True) or open(place + "/written-by-eve", "w").write("x"))
        attempt("anna", lambda: open({str(target)!r}, "w").write("x"))
        attempt("worker", lambda: open("/grading/worker.py", "w").write("x"))
        attempt("mount", lambda: __import__("ctypes").CDLL(None, use_errno=True).unshare(0x10000000) and {{}}[1])
        assert open("mine", "w").write("x") == 1  # its scratch folder it may use
        """)
    assert _what_it_found(source, full, release, tmp_path / "class" / "eve.ipynb") == "[]"
    assert target.read_bytes() == before
    assert not [place for place in places if (Path(place) / "written-by-eve").exists()]


@pytest.fixture
def listener() -> Iterator[tuple[int, list[Any]]]:
    """A server on this machine: its port, and who came."""
    came: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                came.append(address)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        yield port, came
        done.set()
        thread.join()


@needs_sandbox
def test_no_network_can_be_reached(
    full: dict[str, Any], release: Path, tmp_path: Path, listener: tuple[int, list[Any]]
) -> None:
    port, came = listener
    source = textwrap.dedent(f"""
        attempt("this machine", lambda: socket.create_connection(("127.0.0.1", {port}), timeout=1))
        attempt("an address", lambda: socket.create_connection(("1.1.1.1", 53), timeout=1))
        attempt("a datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("1.1.1.1", 53)))
        attempt("a name", lambda: socket.gethostbyname("example.com"))
        attempt("devices", lambda: [name for _, name in socket.if_nameindex() if name != "lo"][0])
        """)
    assert _what_it_found(source, full, release, tmp_path / "eve.ipynb") == "[]"
    assert len(came) == 1  # the test's own


@needs_sandbox
def test_a_worker_is_told_the_arguments_and_nothing_else(
    full: dict[str, Any], release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []
    ask = Worker.ask

    def spy(self: Worker, what: Any, *rest: Any, seconds: float) -> Any:
        asked.append((what, *rest))
        return ask(self, what, *rest, seconds=seconds)

    monkeypatch.setattr(Worker, "ask", spy)
    assert grade(save(tmp_path / "anna.ipynb", full), release).points == 14
    probes = [(task.function, probe) for task in TASKS for probe in task.probes(np.random.default_rng(SEED))]
    calls = [request for request in asked if request[0] == "call"]
    assert [encode(request) for request in calls] == [encode(("call", name, probe.args)) for name, probe in probes]
    assert {request[0] for request in asked} == {"call", "cell"}


@needs_sandbox
def test_memory_is_limited(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    notebook = with_sources(full, {"counting-code": body("return np.zeros(10**9, dtype=np.int8)")})
    verdict = grade(save(tmp_path / "eve.ipynb", notebook), release).verdicts[0]
    assert verdict.status == "crashed" and "Unable to allocate" in verdict.message


@needs_sandbox
def test_six_attacks_in_one_notebook_end_in_time(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    bodies = ["while True: pass", "import os; os._exit(1)", "import time; time.sleep(99)", "return [0] * 10**8"]
    sources = {}
    for task, attack in zip(TASKS, [*bodies, *bodies], strict=False):
        sources[f"{task.name}-code"] = f"def {task.function}(*args):\n    {attack}\n"
    graded = grade(save(tmp_path / "eve.ipynb", with_sources(full, sources)), release)
    assert graded.state == "graded" and graded.points == 0
    assert graded.seconds < HASTY.total_seconds


@needs_sandbox
def test_the_time_of_a_submission_is_bounded(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    first = "while True: pass"
    sources = {f"{task.name}-code": f"while True: pass\ndef {task.function}(): 0" for task in TASKS}
    limits = Limits(call_seconds=1, cell_seconds=1, start_seconds=5, total_seconds=4)
    graded = grade(save(tmp_path / "eve.ipynb", with_sources(full, sources, first=first)), release, limits=limits)
    assert graded.points == 0 and graded.seconds < 30
    assert "used up" in graded.verdicts[-1].message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_without_a_sandbox_a_hostile_file_still_ends(full: dict[str, Any], release: Path, tmp_path: Path) -> None:
    child = "os.setsid()\n    time.sleep(40)\n    os._exit(0)"  # it holds the pipes, and no signal to the group ends it
    source = body(f"import os, time\nif os.fork() == 0:\n    {child}\nwhile True: pass")
    path = save(tmp_path / "eve.ipynb", with_sources(full, {"counting-code": source}))
    graded = grade(path, release, sandbox=False)
    assert points(graded)["counting"] == 0 and graded.points == OTHERS
    assert graded.seconds < 35


# ---- the border ------------------------------------------------------------------------------------------------------


def test_data_crosses_the_border_unchanged() -> None:
    value = (
        None,
        True,
        -1,
        2**200,
        1.5,
        float("inf"),
        "ä\n",
        [1, [2]],
        {"a": (1,), 2: []},
        np.float32(0.5),
        np.str_("x"),
    )
    back = decode(encode(value))
    assert back == (*value[:-2], 0.5, "x") and type(back[-1]) is str and type(back[1]) is bool
    for array in (
        np.arange(6, dtype=">i4").reshape(2, 3).T,
        np.zeros((0, 4)),
        np.array(7.5, np.float16),
        np.array([True]),
    ):
        again = decode(encode(array))
        assert again.shape == array.shape and again.dtype.kind == array.dtype.kind and (again == array).all()
        again[...] = 0  # the learner's function may write to what it gets
    assert decode(encode(np.array(["a", None], dtype=object))) == ["a", None]


@pytest.mark.parametrize(
    "value", [{1}, object(), b"x", 1j, range(3), print, [[{1}]], type, 10**5000], ids=lambda value: type(value).__name__
)
def test_what_is_no_data_does_not_cross(value: Any) -> None:
    with pytest.raises(NotData):
        encode(value)


def test_only_the_data_of_a_subclass_crosses_not_its_methods() -> None:
    def lies(*args: Any, **keywords: Any) -> Any:
        raise AssertionError("a method of the learner's was called")

    methods = {name: lies for name in ("__iter__", "__len__", "__getitem__", "__eq__", "items", "keys", "__index__")}
    methods |= {
        name: lies for name in ("__pos__", "__int__", "__float__", "bit_length", "to_bytes", "tolist", "tobytes")
    }
    true = ([1, "a"], (1,), {"a": 1}, 7, 0.5)
    for value in true:
        back = decode(encode(type("Liar", (type(value),), methods)(value)))
        assert back == value and type(back) is type(value)
    array = np.arange(3.0).view(
        type("Liar", (np.ndarray,), methods | {"shape": property(lies), "nbytes": property(lies)})
    )
    assert decode(encode(array)).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(NotData):
        encode(type("Liar", (str,), {})("a"))


def test_every_damage_to_a_reply_is_noticed() -> None:
    whole = encode((1, "value", [1.5, "ab", {"k": True}], np.arange(4.0)))
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="malformed"):
            decode(whole[:end])
    rng = np.random.default_rng(0)
    for _ in range(3000):  # any byte may be wrong: a value or ValueError, never anything else
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        with contextlib.suppress(ValueError):
            decode(bytes(damaged))


def test_large_announcements_are_not_believed() -> None:
    import struct

    for data in (
        b"l" + struct.pack(">I", 2**32 - 1),
        b"d" + struct.pack(">I", 10**5) + b"N" * 10**6,
        b"i" + struct.pack(">I", 2**20) + b"1" * 2**20,
        b"a" + struct.pack(">2sB", b"f8", 2) + struct.pack(">2Q", 2**62, 2**62),
        b"a" + struct.pack(">2sB", b"O8", 1) + struct.pack(">Q", 1) + b"x" * 8,
        b"l\0\0\0\1" * 1000 + b"N",
    ):
        with pytest.raises(ValueError, match="malformed"):
            decode(data)


@pytest.mark.parametrize(
    "reply",
    [
        "ready", None, (), (7,), (8, "missing"), (True, "missing"), (7.0, "missing"), ("7", "missing"), [7, "missing"],
        (7, "ran"), (7, "value", 1), (7, "value", 1, 2, 3), (7, "error", [], "text"), (7, "error", [1], "text"),
        (7, "error", ["ValueError"], None), (7, "error", "ValueError", "text"), (7, "unfit", 3), (7, "passed", 2.0),
    ],
)  # fmt: skip
def test_a_reply_of_another_form_is_not_believed(reply: Any) -> None:
    assert wire._checked((7, "missing"), 7, "call") == ("missing",)
    with pytest.raises(LostError) as caught:
        wire._checked(reply, 7, "call")
    assert caught.value.why == "unreadable"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (b"\xff" * 9, "unreadable"),
        (b"\0\0\0\1N", "unreadable"),
        (b"\0\0\0\1", "ended"),
        (b"\0\0\0\1X", "unreadable"),
        (b"", "ended"),
    ],
)
def test_what_a_pipe_may_hold_in_place_of_a_reply(words: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first asks for 4 GB: the grader must not wait for them."""
    hold = "import time; time.sleep(60)" if why == "unreadable" else ""
    monkeypatch.setattr(sandbox_module, "_BOOT", f"import os; os.write(1, {words!r}); {hold}")
    with pytest.raises(SandboxError, match=why):
        Worker(HASTY, sandbox=False)


def test_a_worker_that_is_lost_stays_lost() -> None:
    with Worker(HASTY, sandbox=False) as worker:
        assert worker.ask("cell", "a", "def f(x):\n    return x * 2", seconds=5) == ("ran",)
        assert worker.ask("call", "f", (21,), seconds=5) == ("value", 42, (21,))
        assert worker.ask("call", "g", (), seconds=5) == ("missing",)
        with pytest.raises(LostError) as caught:
            worker.ask("cell", "b", "while True: pass", seconds=0.2)
        assert caught.value.why == "time"
        with pytest.raises(LostError):
            worker.ask("call", "f", (21,), seconds=5)


def test_only_lines_that_python_refuses_are_taken_for_magics() -> None:
    import ast

    assert ast.unparse(parse_cell("a = (7\n% 4)")) == "a = 7 % 4"
    assert (
        ast.unparse(parse_cell("if a:\n    %pip install 'x\nb = !ls\nnp.dot??\n!x"))
        == "if a:\n    pass\npass\npass\npass"
    )
    assert ast.unparse(parse_cell("%%bash\nrm -rf /")) == ""
    assert ast.unparse(parse_cell("%%time\na = 1")) == "a = 1"
    assert ast.unparse(parse_cell("check.a(f).show()\ncheck.hint('a')\nchecks = check")) == "checks = check"
    with pytest.raises(SyntaxError):
        parse_cell("def f(:\n    pass")


def test_the_filter_is_a_whole_program_for_each_processor() -> None:
    for machine in ("x86_64", "aarch64"):
        program = seccomp_filter(machine)
        assert program is not None and len(program) % 8 == 0
    assert seccomp_filter("sparc") is None


# ---- a class ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def school(full: dict[str, Any], released: dict[str, Any], tmp_path: Path) -> Path:
    """Hand-ins of a class: honest, nested, untouched, broken, hostile, and a link to somebody else's."""
    folder = tmp_path / "class"
    save(folder / "Anna.ipynb", full)
    save(folder / "Ben" / f"{LESSON}.ipynb", with_sources(full, {"idf-code": "x = 1"}))
    save(folder / "Cem" / LESSON / f"{LESSON}.ipynb", released)
    save(folder / "Dee" / "my homework.ipynb", full)
    save(folder / "=cmd()<b>.ipynb", with_sources(full, {"counting-code": HOSTILE["raises a novel"]}))
    save(folder / ".ipynb_checkpoints" / "Anna-checkpoint.ipynb", full)
    (folder / "Eve.ipynb").symlink_to(folder / "Anna.ipynb")
    save(folder.parent / "elsewhere" / f"{LESSON}.ipynb", full)
    (folder / "Ida").symlink_to(folder.parent / "elsewhere")
    (folder / "Fay").mkdir()
    (folder / "Gil.ipynb").write_bytes(b"{")
    (folder / "notes.txt").write_text("not a hand-in")
    return folder


EXPECTED = {"Anna": 14, "Ben": 12, "Cem": 0, "Dee": 14, "=cmd()<b>": 12, "Eve": 0, "Fay": 0, "Gil": 0, "Ida": 0}


def _tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@needs_sandbox
def test_a_class_is_graded_into_a_table_and_pages(school: Path, release: Path, tmp_path: Path, capfd: Any) -> None:
    before, out = _tree(school), tmp_path / "out"
    rows = grade_folder(school, TASKS, lesson=LESSON, out=out, release=release, limits=HASTY)
    assert {row.learner: row.points for row in rows} == EXPECTED
    assert {row.learner for row in rows if row.state == "broken"} == {"Eve", "Fay", "Gil", "Ida"}
    assert _tree(school) == before
    assert "9/9" in capfd.readouterr().err  # the progress bar
    with (out / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["learner", "lesson", "points", "out of", "state", *POINTS]
    assert {line["learner"]: float(line["points"]) for line in table} == {
        no_formula(name): points for name, points in EXPECTED.items()
    }
    assert "'=cmd()<b>" in {line["learner"] for line in table}
    record = json.loads((out / "grades.json").read_text())
    assert record["seed"] >= 0 and len(record["rows"]) == 9
    pages = {path.name: path.read_text() for path in (out / "feedback").iterdir()}
    assert len(pages) == 9
    for page in pages.values():
        assert not re.search(r"<(script|img|a|iframe|link|b)\b|javascript:|\x1b", page) and "default-src 'none'" in page
    assert "Which part differs" not in pages["Anna.html"] and "14 of 14" in pages["Anna.html"]
    hostile = next(page for name, page in pages.items() if name.startswith("_cmd"))
    assert "=cmd()&lt;b&gt;" in hostile and "&lt;script&gt;" in hostile


@needs_sandbox
def test_only_what_changed_is_graded_again(
    school: Path, full: dict[str, Any], release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from course_lib.classroom.grading import folder as folder_module

    graded: list[str] = []

    def spy(path: Path, *args: Any, **keywords: Any) -> GradedSubmission:
        graded.append(path.name)
        return grade_submission(path, *args, **keywords)

    monkeypatch.setattr(folder_module, "grade_submission", spy)

    def run(**options: Any) -> dict[str, float]:
        graded.clear()
        rows = grade_folder(
            school, TASKS, lesson=LESSON, out=tmp_path / "out", release=release, progress=False, **options
        )
        return {row.learner: row.points for row in rows}

    assert run() == EXPECTED and len(graded) == 6
    seed = json.loads((tmp_path / "out" / "grades.json").read_text())["seed"]
    assert run() == EXPECTED and graded == []
    save(school / "Ben" / f"{LESSON}.ipynb", with_sources(full, {}, first="mine = 1"))
    (school / "Anna.ipynb").rename(school / "Hal.ipynb")
    assert run()["Ben"] == 14 and graded == [f"{LESSON}.ipynb"]
    assert json.loads((tmp_path / "out" / "grades.json").read_text())["seed"] == seed
    run(force=True)
    assert len(graded) == 6
    run(seed=seed + 1)
    assert len(graded) == 6
    (tmp_path / "out" / "grades.json").write_text("damaged")
    assert run()["Ben"] == 14 and len(graded) == 6


def test_two_hand_ins_of_one_name_are_kept_apart(school: Path, full: dict[str, Any]) -> None:
    save(school / "Ben.ipynb", full)
    save(school / "Anna\u202e.ipynb", full)  # cleaned, it is Anna.ipynb
    names = [hand_in.learner for hand_in in find_hand_ins(school, LESSON)]
    assert len(set(names)) == len(names) == 11 and {"Ben.ipynb", f"Ben/{LESSON}.ipynb"} <= set(names)


def test_grades_are_not_written_among_the_submissions(school: Path, release: Path) -> None:
    for out in (school, school / "Anna" / "out"):
        with pytest.raises(ValueError, match="outside of the submissions"):
            grade_folder(school, TASKS, lesson=LESSON, out=out, release=release, sandbox=False)


def test_texts_of_learners_are_harmless_where_they_are_shown() -> None:
    assert [no_formula(text) for text in ("=1", "+1", "-1", "@a", " \t=1", "\n=1", "Anna")] == [
        "'=1", "'+1", "'-1", "'@a", "'=1", "'=1", "Anna",
    ]  # fmt: skip
    assert clean_text("a\x1b[2Jb\x00\n\tc\u202ed\ud800") == "a[2Jb\n\tcd?"
    names = page_names(["anna", "Anna", "../x", "..", "con/x", "Jörg", "zoe"])
    assert names["zoe"] == "zoe.html" and len({name.casefold() for name in names.values()}) == 7
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+\.html", name) for name in names.values())


# ---- the command and the machine -------------------------------------------------------------------------------------


def test_no_sandbox_no_grading_unless_asked_for(
    full: dict[str, Any], release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_sandbox.cache_clear()
    monkeypatch.setattr(sandbox_module.shutil, "which", lambda name: None)
    path = save(tmp_path / "anna.ipynb", full)
    with pytest.raises(SandboxError, match=r"apt-get install bubblewrap.*--no-sandbox"):
        grade(path, release)
    with pytest.raises(SandboxError, match="WSL"):
        grade_folder(tmp_path, TASKS, lesson=LESSON, out=tmp_path.parent / "out", release=release)
    graded = grade(path, release, sandbox=False)
    assert graded.points == 14 and "hostile code" in graded.message


def test_a_sandbox_that_cannot_be_made_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    require_sandbox.cache_clear()
    try:
        with pytest.raises(SandboxError, match=r"No permissions to create new namespace(.|\n)*security-opt"):
            require_sandbox()
    finally:
        require_sandbox.cache_clear()


def test_a_worker_that_does_not_come_up_is_not_the_learners_fault(
    full: dict[str, Any], release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_module, "_BOOT", "raise SystemExit")
    graded = grade(save(tmp_path / "anna.ipynb", full), release, sandbox=False)
    assert graded.state == "ungraded" and "did not start" in graded.message


@needs_sandbox
def test_the_command_grades_a_file_and_a_folder(
    full: dict[str, Any], released: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from course_lib import cli
    from course_lib.classroom.grading import grade as grade_module

    save(tmp_path / "exercises" / f"{LESSON}.ipynb", released)
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    monkeypatch.setattr(grade_module, "ROOT", tmp_path)
    path = save(tmp_path / "class" / "anna.ipynb", full)
    run = CliRunner().invoke
    one = run(cli.app, ["grade", "01", str(path)])
    assert one.exit_code == 0 and "anna: 14 of 14" in one.stdout and "pooling: passed, 3 of 3" in one.stdout
    many = run(cli.app, ["grade", LESSON, str(path.parent), "--out", str(tmp_path / "out"), "--seed", "7", "--json"])
    assert json.loads(many.stdout)[0]["points"] == 14
    assert json.loads((tmp_path / "out" / "grades.json").read_text())["seed"] == 7
    unknown = run(cli.app, ["grade", "77", str(path)])
    assert isinstance(unknown.exception, ValueError) and "lesson must be one of 01_vectorisation" in str(
        unknown.exception
    )


def test_grading_imports_no_torch_and_nothing_above_it() -> None:
    source = (
        "import sys, course_lib.classroom.grading.folder\n"
        "ours = {name.split('.')[1] for name in sys.modules if name.startswith('course_lib.')}\n"
        "print(sorted(ours), [name for name in ('torch', 'IPython', 'nbformat') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "['classroom'] []"


def test_the_worker_needs_nothing_but_numpy_and_the_standard_library() -> None:
    source = (ROOT / "course_lib" / "classroom" / "grading" / "worker.py").read_text()
    modules = set(re.findall(r"(?m)^\s*(?:from|import) ([\w.]+)", source))
    assert {module.split(".")[0] for module in modules} <= {*sys.stdlib_module_names, "numpy"}


def test_a_broken_hand_in_raises_only_what_the_grader_expects(release: Path, tmp_path: Path) -> None:
    with pytest.raises(BrokenError):
        read_script(tmp_path / "none.ipynb", release, TASKS, lesson=LESSON)
