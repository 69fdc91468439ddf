"""Where the course is installed besides .venv: conda, Binder, Colab. And the lock that all of them follow."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from packaging.utils import canonicalize_name

import course_lib
from course_lib.assets.store import course_home
from course_lib.workshop.build import read_source
from course_lib.workshop.lock import CONDA_NAMES, CONDA_PYTHON, CUDA, ENVIRONMENTS, environment, pins, required

ROOT = Path(course_lib.__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LEFT_BEHIND = shutil.ignore_patterns(
    *(".git", ".venv", ".*_cache", ".hypothesis", ".ipynb_checkpoints", "__pycache__", "*.egg-info", "build", "dist"),
    *("my_work", "grading", "test-artefacts"),
)
# What Colab's image holds (recorded 2026-08). Replacing any of it there breaks the session.
COLAB_PYTHON = "3.13"
COLAB = {
    "torch": "2.11.0",
    "transformers": "5.15.0",
    "numpy": "2.1.3",
    "ipywidgets": "7.7.1",
    "ipython": "7.34.0",
    "traitlets": "5.7.1",
    "datasets": "4.0.0",
    "peft": "0.20.0",
}


# The lock


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_pins_every_requirement_within_its_bounds(python, platform):
    pinned = pins(LOCK, python=python, platform=platform)
    for requirement in required(ROOT, "lab", "build", "test"):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not pinned: run course lock"
        assert requirement.specifier.contains(version), f"{requirement} is not met by {version}: run course lock"


def test_the_lock_holds_no_cuda_package():
    names = [re.split(r"[ =;]", line)[0] for line in LOCK.splitlines() if line and not line.startswith("#")]
    assert [name for name in names if CUDA.match(name)] == []
    assert CUDA.match("nvidia-cublas") and CUDA.match("triton") and not CUDA.match("tritonclient")


def test_pins_are_those_whose_marker_holds():
    lock = "# a comment\nNumPy==1.0 ; python_full_version < '3.12'\nnumpy==2.0 ; python_full_version >= '3.12'\n"
    lock += "pywin32==3 ; sys_platform == 'win32'\nptyprocess==4 ; os_name != 'nt'\n"
    assert pins(lock, python="3.11") == {"numpy": "1.0", "ptyprocess": "4"}
    assert pins(lock, python="3.12", platform="win32") == {"numpy": "2.0", "pywin32": "3"}


# conda and Binder


def test_the_environment_files_follow_the_lock():
    for name in ENVIRONMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert text == environment(ROOT), f"{name} differs from requirements.lock: run course lock"


def test_the_environment_holds_what_a_learner_needs_and_nothing_of_this_machine():
    described = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert described["channels"] == ["conda-forge"]
    python, pip, *packages = described["dependencies"]
    assert (python, pip) == (f"python={CONDA_PYTHON}", "pip")
    versions = dict(package.split("==") for package in packages)
    pinned = pins(LOCK, python=CONDA_PYTHON)
    needed = {canonicalize_name(requirement.name) for requirement in required(ROOT, "lab")}
    assert versions == {CONDA_NAMES.get(name, name): pinned[name] for name in needed}
    assert "pytorch-cpu" in versions and "torch" not in versions


def test_an_unpinned_requirement_is_named(tmp_path):
    for name in ("pyproject.toml", "requirements.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(re.sub(r"(?m)^tqdm==.*\n", "", text), encoding="utf-8")
    with pytest.raises(ValueError, match=r"does not pin tqdm: run course lock"):
        environment(tmp_path)


@pytest.fixture
def clean_copy(tmp_path):
    """The repository without git and without what git ignores."""
    return Path(shutil.copytree(ROOT, tmp_path / "course", ignore=LEFT_BEHIND))


def test_repo2docker_accepts_a_clean_copy(clean_copy, tmp_path):
    if not (repo2docker := shutil.which("jupyter-repo2docker", path=Path(sys.executable).parent)):
        pytest.skip("jupyter-repo2docker is not installed: it is in the extra `test`")
    nowhere = os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/no-docker.sock"}  # --no-build needs no Docker
    result = subprocess.run(
        [repo2docker, "--no-build", "--debug", "."], cwd=clean_copy, capture_output=True, text=True, env=nowhere
    )
    assert result.returncode == 0, result.stderr
    dockerfile = result.stdout + result.stderr
    assert '--file "binder/environment.yml"' in dockerfile
    assert f"python-3a{CONDA_PYTHON}" in dockerfile or f"py-2d{CONDA_PYTHON.replace('.', '-2e')}" in dockerfile
    assert "./binder/postBuild" in dockerfile and "R2D_ENTRYPOINT" in dockerfile and "binder/start" in dockerfile


def test_repo2docker_refuses_a_broken_environment(clean_copy):
    """The test above can fail."""
    if not (repo2docker := shutil.which("jupyter-repo2docker", path=Path(sys.executable).parent)):
        pytest.skip("jupyter-repo2docker is not installed: it is in the extra `test`")
    (clean_copy / "binder" / "environment.yml").write_text("- python=3.12\n", encoding="utf-8")
    result = subprocess.run([repo2docker, "--no-build", "--debug", "."], cwd=clean_copy, capture_output=True, text=True)
    assert result.returncode != 0


needs_posix = pytest.mark.skipif(os.name == "nt", reason="Binder's scripts run on Linux")


@needs_posix
def test_start_sets_threads_and_cache_and_becomes_the_command(tmp_path):
    show = "import os, sys; print(os.environ['COURSE_HOME'], os.environ['COURSE_THREADS'], sys.argv[1:]); sys.exit(7)"
    command = [str(ROOT / "binder" / "start"), sys.executable, "-c", show, "two words", "$HOME"]
    bare = {"PATH": os.environ["PATH"], "NB_PYTHON_PREFIX": "/prefix"}
    result = subprocess.run(command, env=bare, capture_output=True, text=True)
    assert result.stdout.strip() == "/prefix/share/rag-and-fine-tuning 1 ['two words', '$HOME']"
    assert result.returncode == 7
    own = subprocess.run(
        command, env=bare | {"COURSE_HOME": "/h", "COURSE_THREADS": "4"}, capture_output=True, text=True
    )
    assert own.stdout.startswith("/h 4 ")


@needs_posix
@pytest.mark.slow
def test_post_build_installs_the_package_and_prepares_a_cache(clean_copy, tmp_path):
    """binder/postBuild, run as it is in an environment beside this one, with the models from this one's cache."""
    prefix, home = tmp_path / "prefix", tmp_path / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    site = next(prefix.glob("lib/python*/site-packages"))
    (site / "this-environment.pth").write_text(str(Path(nbformat.__file__).parents[1]) + "\n")
    bare = {"PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(home)}
    bare |= {"NB_PYTHON_PREFIX": str(prefix), "COURSE_HOME": str(course_home()), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(["./binder/postBuild"], cwd=clean_copy, env=bare, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (site / "course_lib" / "assets" / "manifest.toml").is_file()
    assert list((site / "course_lib").rglob("*.jsonl"))
    assert not (clean_copy / "build").exists() and not list(clean_copy.glob("*.egg-info"))
    exercises = {path.name for path in (clean_copy / "exercises").glob("*.ipynb")}
    assert {path.name for path in (clean_copy / "my_work").glob("*.ipynb")} == exercises
    settings = (prefix / "etc" / "jupyter" / "labconfig" / "page_config.json").read_text()
    assert "apputils-extension:announcements" in settings


@needs_posix
def test_post_build_stops_at_the_first_failure(clean_copy, tmp_path):
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text('#!/bin/sh\necho "python $*" >> "$CALLS"\nexit 3\n')
    python.chmod(0o755)
    calls = tmp_path / "calls"
    bare = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "CALLS": str(calls)}
    bare |= {"HOME": str(tmp_path), "NB_PYTHON_PREFIX": str(tmp_path)}
    assert subprocess.run(["./binder/postBuild"], cwd=clean_copy, env=bare, capture_output=True).returncode == 3
    assert len(calls.read_text().splitlines()) == 1


# Colab


def notebooks():
    """Every built notebook, and every source of one."""
    built = [path for kind in ("notebooks", "exercises", "solutions") for path in sorted((ROOT / kind).glob("*.ipynb"))]
    return (
        built
        + sorted((ROOT / "lessons").glob("[0-9][0-9]_*/lesson.py"))
        + sorted((ROOT / "lessons").glob("*/exercise.py"))
    )


def run_first_cell(path, monkeypatch, *, on_colab):
    """Run the first code cell as IPython does; return the magics that it calls."""
    notebook = nbformat.read(path, as_version=4) if path.suffix == ".ipynb" else read_source(path)
    source = next(cell.source for cell in notebook.cells if cell.cell_type == "code")
    calls = []
    shell = types.SimpleNamespace(run_line_magic=lambda name, line: calls.append((name, line)))
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    if on_colab:
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(TransformerManager().transform_cell(source), {"get_ipython": lambda: shell})
    return calls


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_first_cell_installs_the_release_on_colab_and_does_nothing_elsewhere(path, monkeypatch):
    assert run_first_cell(path, monkeypatch, on_colab=False) == []
    ((magic, line),) = run_first_cell(path, monkeypatch, on_colab=True)
    release = f"rag-and-fine-tuning-measured=={course_lib.__version__}"
    assert magic == "pip"
    assert f'"{release}"' in line  # quoted: in a shell, an unquoted > would be a redirect
    install, *options = shlex.split(line)
    assert install == "install"
    assert [option for option in options if "rag-and-fine-tuning" in option] == [release]
    assert not {"-U", "--upgrade", "--force-reinstall"} & set(options)
    assert options[-3:-1] == ["--upgrade-strategy", "only-if-needed"]


def compile_requirements(requirements, constraints, folder):
    """Resolve on Colab's Python without installing anything; return uv's result."""
    uv = shutil.which("uv", path=Path(sys.executable).parent) or shutil.which("uv")
    if not uv:
        pytest.skip("uv is not installed: it is in the extra `build`")
    (folder / "wanted.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    (folder / "colab.txt").write_text(
        "".join(f"{name}=={pin}\n" for name, pin in constraints.items()), encoding="utf-8"
    )
    command = [uv, "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--python-version", COLAB_PYTHON]
    command += ["--python-platform", "linux", "--constraint", str(folder / "colab.txt"), str(folder / "wanted.txt")]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300)
    trouble = ("failed to fetch", "error sending request", "dns error", "could not connect", "timed out", "connection")
    if result.returncode and any(words in result.stderr.lower() for words in trouble):
        pytest.skip("no package index can be reached from here")
    return result


@pytest.mark.slow
def test_nothing_of_colabs_is_replaced(tmp_path):
    result = compile_requirements([str(requirement) for requirement in required(ROOT)], COLAB, tmp_path)
    assert result.returncode == 0, f"our bounds do not admit what Colab has:\n{result.stderr}"
    chosen = dict(line.split("==") for line in result.stdout.splitlines() if "==" in line)
    moved = {name: chosen[name] for name in COLAB.keys() & chosen.keys() if chosen[name] != COLAB[name]}
    assert moved == {}
    needed = {canonicalize_name(requirement.name) for requirement in required(ROOT)}
    assert needed <= chosen.keys()
    # and a bound that Colab does not meet is seen
    refused = compile_requirements(["ipywidgets>=8.1"], COLAB, tmp_path)
    assert refused.returncode != 0 and "ipywidgets" in refused.stderr
