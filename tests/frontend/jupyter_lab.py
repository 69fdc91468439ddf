"""JupyterLab from this environment with nothing of the user's, and a chromium that visits it and keeps a record."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import pytest
from playwright.sync_api import Locator, Page, sync_playwright

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "test-artefacts"
CHROMIUM = shutil.which("chromium")
MARKS = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"),
]
TOKEN = "a-fixed-token"
NEWS = "@jupyterlab/apputils-extension:announcements"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# Lab shows "idle" before the kernel can be talked to; Run All then does nothing.
KERNEL_IS_THERE = """async () => {
    const { context, sessionContext } = window.jupyterapp.shell.currentWidget;
    await context.ready; await sessionContext.ready;
    const kernel = sessionContext.session.kernel;
    await kernel.info;
    return kernel.connectionStatus === 'connected';
}"""


@dataclass(frozen=True)
class Lab:
    """A running server: its address, and the folder whose notebooks it shows."""

    address: str
    folder: Path


@dataclass
class Visit:
    """A browser's page on a Lab. complaints: console errors, and requests to any other host."""

    page: Page
    lab: Lab
    complaints: list[str] = field(default_factory=list)

    def open(self, name: str, *, kernel: bool = True) -> None:
        """Show a notebook; with kernel, wait until it answers, else start none."""
        self.page.goto(f"{self.lab.address}/lab?token={TOKEN}&reset")
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.evaluate("window.jupyterapp.restored")
        preference = {} if kernel else {"shouldStart": False, "canStart": False, "autoStartDefault": False}
        self.page.evaluate(
            """async (args) => {
                await window.jupyterapp.commands.execute('docmanager:open', args);
                await window.jupyterapp.shell.currentWidget.context.ready;
            }""",
            {"path": name, "factory": "Notebook", "kernelPreference": preference},
        )
        if kernel:
            wait_until(lambda: self.page.evaluate(KERNEL_IS_THERE), "the kernel is connected")

    def run_all(self) -> None:
        """Run every cell and wait for the last."""
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def cell(self, number: int) -> Locator:
        """Return the output area of a cell, counted from 0, scrolled into view."""
        output = (
            self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-cell")
            .nth(number)
            .locator(".jp-OutputArea")
            .first
        )
        output.scroll_into_view_if_needed()
        return output

    def picture(self, name: str, of: Locator | None = None) -> None:
        """Keep a screenshot in test-artefacts/, which git ignores."""
        ARTEFACTS.mkdir(exist_ok=True)
        (of or self.page).screenshot(path=ARTEFACTS / f"{name}.png")


def write_notebook(path: Path, sources: Sequence[str], outputs: Sequence[Any] = ()) -> None:
    """Write a notebook of code cells; with outputs, one list a cell, as if it had been executed and saved."""
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    for cell, saved in zip(cells, outputs, strict=bool(outputs)):
        cell.outputs, cell.execution_count = saved, 1
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def wait_until(true: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Wait until a condition holds. Raises AssertionError, with what, if it never does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


@contextmanager
def jupyter_lab(folder: Path, environment: Mapping[str, str]) -> Iterator[Lab]:
    """Start JupyterLab on 127.0.0.1 with its own HOME and configuration under folder; stop it at the end."""
    notebooks, home = folder / "notebooks", folder / "home"
    notebooks.mkdir(parents=True, exist_ok=True)
    settings = home / "config" / "labconfig"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "page_config.json").write_text(json.dumps({"disabledExtensions": {NEWS: True}}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "IPYTHON", "XDG_"))}
    own = {"HOME": str(home), "IPYTHONDIR": str(home / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}
    own |= {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={notebooks}"]
    command += [f"--IdentityProvider.token={TOKEN}", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
    command += [
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=inherited | own | dict(environment), stdout=log, stderr=log, cwd=folder)
        try:
            wait_until(lambda: _answers(server, address, folder / "server.log"), "JupyterLab answers")
            yield Lab(address, notebooks)
        finally:
            server.terminate()  # it shuts its kernels down
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _answers(server: subprocess.Popen[bytes], address: str, log: Path) -> bool:
    assert server.poll() is None, f"JupyterLab ended at once:\n{log.read_text()[-2000:]}"
    try:
        with urllib.request.urlopen(f"{address}/api/status?token={TOKEN}", timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextmanager
def chromium(lab: Lab, profile: Path, *, width: int = 1280, height: int = 1000) -> Iterator[Visit]:
    """Start a chromium with a fresh profile; close it at the end."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=FLAGS, headless=True, viewport={"width": width, "height": height}
        )
        visit = Visit(context.pages[0], lab)

        def look(url: str) -> None:
            parts = urlsplit(url)
            if parts.scheme not in ("data", "blob", "about") and parts.netloc != urlsplit(lab.address).netloc:
                visit.complaints.append(f"a request to {url}")

        context.on("request", lambda request: look(request.url))
        visit.page.on("websocket", lambda channel: look(channel.url))
        visit.page.on("pageerror", lambda error: visit.complaints.append(f"in the page: {error.stack or error}"))
        visit.page.on(
            "console",
            lambda words: visit.complaints.append(f"console: {words.text}") if words.type == "error" else None,
        )
        try:
            yield visit
        finally:
            context.close()
