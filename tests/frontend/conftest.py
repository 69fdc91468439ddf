"""What the browser tests share: a JupyterLab for each file of tests, and a chromium on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from course_lib.assets.store import course_home

if TYPE_CHECKING:
    from jupyter_lab import Lab, Visit


@pytest.fixture(scope="module")
def lab_environment() -> Mapping[str, str]:
    """What the kernels need beside the models and a progress file of their own; a file of tests may say."""
    return {}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, lab_environment: Mapping[str, str]) -> Iterator[Lab]:
    """A JupyterLab whose learner has the progress file beside the folder of notebooks."""
    from jupyter_lab import jupyter_lab  # needs playwright, which a file of tests may skip for

    folder = tmp_path_factory.mktemp("lab")
    environment = {"COURSE_HOME": str(course_home()), "COURSE_PROGRESS": str(folder / "progress.json")}
    with jupyter_lab(folder, environment | dict(lab_environment)) as lab:
        yield lab


@pytest.fixture(scope="module")
def visit(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """A chromium that looks at it."""
    from jupyter_lab import chromium

    with chromium(lab, tmp_path_factory.mktemp("profile")) as visit:
        yield visit
