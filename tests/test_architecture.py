"""The house as architecture.md draws it: floors, light imports, docstrings, and nothing of one machine in the files."""

from __future__ import annotations

import ast
import json
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "course_lib"
FLOORS = (
    {"core"},
    {"corpus", "assets", "evaluation", "classroom"},
    {"retrieval", "generation", "tuning"},
    {"systems", "media"},
    {"widgets", "checks"},
    {"workshop"},
    {"cli"},
)
FLOOR = {unit: number for number, units in enumerate(FLOORS) for unit in units}
ONLY_CORE = {"corpus", "assets", "evaluation", "classroom"}
STRANGERS = {"retrieval", "generation", "tuning"}
HEAVY = {
    "torch", "transformers", "sentence_transformers", "tokenizers", "peft", "datasets", "accelerate", "faiss", "lancedb",
    "matplotlib", "ipywidgets", "IPython", "sklearn", "scipy", "pandas", "PIL", "gguf", "safetensors",
}  # fmt: skip
# The files that architecture.md names a heavy library for; they may import it at module level.
MAY_BE_HEAVY = ("retrieval/faiss_index.py", "retrieval/vector_store.py", "tuning/*.py", "media/*.py", "workshop/*.py")


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def unit_of(path: Path) -> str:
    """core, corpus, ... or "" for course_lib/__init__.py, which holds the version and nothing else."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_names(node: ast.AST, path: Path) -> list[str]:
    """Full dotted names that an import statement asks for; relative ones resolved; [] for other nodes."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    module = node.module or ""
    if node.level:
        package = ["course_lib", *path.relative_to(PACKAGE).parent.parts]
        module = ".".join([*package[: len(package) - node.level + 1], *filter(None, [module])])
    return [f"{module}.{alias.name}" for alias in node.names]


def our_imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, unit) for every import of course_lib in a file, inside functions and under TYPE_CHECKING, too."""
    for node in ast.walk(tree(path)):
        for name in imported_names(node, path):
            parts = name.split(".")
            if parts[0] == "course_lib" and len(parts) > 1 and parts[1] in FLOOR:
                yield node.lineno, parts[1]  # type: ignore[attr-defined]


def forbidden(unit: str, other: str) -> str:
    """Why a file of unit may not import other; the empty string if it may."""
    if other in ("", unit):
        return ""
    if other == "cli":
        return "nothing imports cli"
    if other == "workshop" and unit != "cli":
        return "only cli knows workshop"
    if FLOOR[other] > FLOOR[unit]:
        return f"{other} is a floor above {unit}"
    if unit in ("evaluation", "classroom") and other != "core":
        return f"{unit} imports core only"
    if {unit, other} <= STRANGERS:
        return "retrieval, generation and tuning do not import each other"
    return ""


def test_every_folder_has_a_floor() -> None:
    assert {unit_of(path) for path in sources()} - {""} <= set(FLOOR)


def test_imports_go_down() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {other}: {why}"
        for path in sources()
        if (unit := unit_of(path))
        for line, other in our_imports(path)
        if (why := forbidden(unit, other))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("unit", "other", "allowed"),
    [
        ("systems", "retrieval", True),
        ("retrieval", "systems", False),
        ("retrieval", "generation", False),
        ("tuning", "retrieval", False),
        ("evaluation", "core", True),
        ("evaluation", "corpus", False),
        ("classroom", "assets", False),
        ("core", "assets", False),
        ("checks", "workshop", False),
        ("cli", "workshop", True),
        ("workshop", "cli", False),
        ("widgets", "classroom", True),
    ],
)
def test_the_rule_itself(unit: str, other: str, allowed: bool) -> None:
    assert (not forbidden(unit, other)) is allowed


def test_an_import_inside_a_function_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "core").mkdir()
    file = tmp_path / "core" / "sly.py"
    file.write_text("def f():\n    from course_lib.systems import rag\n    from ..tuning.lora import wrap\n")
    assert list(our_imports(file)) == [(2, "systems"), (3, "tuning")]


def test_no_two_folders_import_each_other() -> None:
    """Sideways imports on one floor are left to the text of architecture.md, but never in a circle."""
    arrows = {(unit_of(path), other) for path in sources() if unit_of(path) for _, other in our_imports(path)}
    reach = {unit: {other for one, other in arrows if one == unit and other != unit} for unit in FLOOR}
    for _ in FLOOR:
        reach = {unit: others.union(*(reach[other] for other in others)) for unit, others in reach.items()}
    assert not [unit for unit, others in reach.items() if unit in others]


# ---------------------------------------------------------------- importing does no work


def executed_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported: not those in functions or under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from executed_at_import(node.orelse)
            continue
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With, ast.ClassDef, ast.For, ast.While)):
            for field in ("body", "orelse", "finalbody"):
                yield from executed_at_import(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from executed_at_import(handler.body)


def may_be_heavy(path: Path) -> bool:
    return any(path.relative_to(PACKAGE).match(pattern) for pattern in MAY_BE_HEAVY)


def test_heavy_libraries_are_imported_inside_functions() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} imports {name} when it is imported itself"
        for path in sources()
        if not may_be_heavy(path)
        for node in executed_at_import(tree(path).body)
        for name in imported_names(node, path)
        if name.split(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def needed_at_import(path: Path, seen: set[Path]) -> set[Path]:
    """The files of course_lib that run when this one is imported, itself included."""
    if path not in seen:
        seen.add(path)
        for node in executed_at_import(tree(path).body):
            for name in imported_names(node, path):
                stem = PACKAGE.joinpath(*name.split(".")[1:]) if name.startswith("course_lib") else None
                for file in [] if stem is None else [stem.with_suffix(".py"), stem.parent.with_suffix(".py")]:
                    if file.is_file():
                        needed_at_import(file, seen)
    return seen


def test_importing_a_light_module_pulls_in_nothing_heavy() -> None:
    """Measured, not read: every module in turn, in one fresh interpreter, and what it added to sys.modules."""
    light = [module_name(path) for path in sources() if not any(map(may_be_heavy, needed_at_import(path, set())))]
    assert {"course_lib", "course_lib.core.types", "course_lib.assets.models", "course_lib.systems.rag"} <= set(light)
    light.sort(key=lambda name: (name != "course_lib", not name.startswith("course_lib.core"), name))
    code = (
        "import importlib, json, sys\n"
        f"guilty, heavy = {{}}, {sorted(HEAVY)!r}\n"
        f"for name in {light!r}:\n"
        "    before = set(sys.modules)\n"
        "    importlib.import_module(name)\n"
        "    new = [lib for lib in heavy if lib in sys.modules and lib not in before]\n"
        "    if new:\n        guilty[name] = new\n"
        "print(json.dumps(guilty))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {}


def test_grading_imports_no_torch() -> None:
    code = (
        "import importlib, pkgutil, sys, course_lib.classroom as package\n"
        "for module in pkgutil.walk_packages(package.__path__, 'course_lib.classroom.'):\n"
        "    importlib.import_module(module.name)\n"
        "print([name for name in ('torch', 'transformers', 'course_lib.corpus', 'course_lib.assets') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.strip() == "[]", result.stderr


def seconds_of(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return time.perf_counter() - started


def test_importing_the_package_takes_under_a_quarter_of_a_second() -> None:
    bare = statistics.median(seconds_of("pass") for _ in range(5))
    with_package = statistics.median(seconds_of("import course_lib") for _ in range(5))
    assert with_package - bare < 0.25


# ---------------------------------------------------------------- docstrings


def public_definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in tree(path).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node


def test_public_functions_and_classes_say_what_they_do() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        for node in public_definitions(path)
        if not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_modules_say_what_they_are() -> None:
    assert not [str(path.relative_to(ROOT)) for path in sources() if not ast.get_docstring(tree(path))]


def test_docstrings_have_at_most_twelve_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and len((ast.get_docstring(node) or "").splitlines()) > 12
    ]
    assert not long, "\n".join(long)


# ---------------------------------------------------------------- nothing of one machine in the files


@cache
def tracked_texts() -> dict[str, str]:
    """Name -> text of every file that git knows; binary files are left out."""
    try:
        result = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT)
    except FileNotFoundError:
        pytest.skip("git is not installed, so the tracked files are not known")
    if result.returncode or not result.stdout:
        pytest.skip("this is not a git checkout, so the tracked files are not known")
    texts = {}
    for name in filter(None, result.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path != Path(__file__).resolve():  # this file has to name what it looks for
            data = path.read_bytes()
            if b"\0" not in data[:8192]:
                texts[name] = data.decode("utf-8", "replace")
    return texts


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in tracked_texts().items()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def hosts_of_indexes() -> set[str]:
    """Hosts of the package indexes that pip knows by itself, and of those that this machine is set up with."""
    code = "from pip._internal.models.index import PyPI; print(PyPI.netloc, PyPI.file_storage_domain)"
    known = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    result = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    hosts = {urlsplit(url).hostname for url in re.findall(r"https?://[^\s'\"]+", result.stdout)}
    return {host for host in {*known, *hosts} if host and host not in ("localhost", "127.0.0.1")}


def test_no_registry_is_named() -> None:
    """Which index is asked is the user's business: pip's own configuration says so, not a file of ours."""
    names = "|".join(re.escape(name) for name in sorted(hosts_of_indexes()))
    kinds = r"https?://(?:registry|download|cdn|index|conda|deb)[\w-]*\."
    found = lines_with(re.compile(rf"{names}|{kinds}|--(extra-)?index-url[ =]+\S*//|--find-links[ =]+\S*/"))
    assert not found, "\n".join(found)


def test_no_path_of_one_machine_is_named() -> None:
    """/home/jovyan is the home folder of every Jupyter container, not of one machine."""
    places = [
        r"/home/(?!jovyan\b)[a-z]\w*",
        r"/Users/\w+",
        r"/root\b",
        r"[A-Z]:\\\\?Users\\",
    ]
    for place in (ROOT, Path(sys.prefix)):
        if len(place.parts) > 2:
            places.append(re.escape(str(place)) + r"\b")
    found = lines_with(re.compile(rf"(?<![\w.:/}}$-])(?:{'|'.join(places)})"))
    assert not found, "\n".join(found)


# ---------------------------------------------------------------- the guard of conftest.py


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 80), ("2001:db8::1", 80, 0, 0)])
def test_a_connection_to_another_machine_fails(address: tuple[object, ...], reached_out: list[str]) -> None:
    family = socket.AF_INET6 if len(address) == 4 else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(OSError, match="tests are offline"):
        client.connect(address)
    assert len(reached_out) == 1
    reached_out.clear()


def test_a_name_is_not_looked_up(reached_out: list[str]) -> None:
    with pytest.raises(OSError, match=r"tests are offline.*example\.org"):
        socket.getaddrinfo("example.org", 443)
    reached_out.clear()


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()[:2]) as client:
        assert client.getpeername() == server.getsockname()
