"""The widget of a trace: in Python, and in a real JupyterLab."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from multinn import SGD, Dense, HalfSquaredError
from multinn.tracing import page, register_formulas
from multinn.training.trainer import trace_steps
from tests.support.browser import quiet_page
from tests.support.helpers import ROOT, run_python

CELL = """
from pathlib import Path
from multinn import SGD, Dense, HalfSquaredError, Trainer

trace = Trainer(Dense(1), HalfSquaredError(), SGD(0.1), backend="numpy").trace([[1.0]], [[2.0]])
widget = trace.widget()
widget.observe(lambda change: Path("frame.txt").write_text(str(change["new"])), "frame")
widget
"""


def test_a_widget_holds_the_trace_and_the_frame():
    trace = trace_steps(Dense(1), HalfSquaredError(), SGD(0.1), [[1.0]], [[2.0]], backend="numpy")
    widget = trace.widget()
    assert widget.trace == trace.data
    assert widget.frame == 0
    assert "export default { render };" in widget._esm


def test_a_widget_has_the_formulas_that_were_registered_after_another(monkeypatch):
    monkeypatch.setattr(page, "_own_formulas", {})
    trace = trace_steps(Dense(1), HalfSquaredError(), SGD(0.1), [[1.0]], [[2.0]], backend="numpy")
    assert "formulas.Doubled" not in trace.widget()._esm
    register_formulas("formulas.Doubled = { y: ({ x }, ...at) => multiply(2, x(...at)) };\n")
    assert "formulas.Doubled" in trace.widget()._esm


def test_without_anywidget_the_error_says_what_to_install():
    hidden = "import sys; sys.modules['anywidget'] = None"
    found = run_python(f"{hidden}; from multinn.tracing.widget import make_widget; make_widget({{}})")
    assert 'pip install "multinn[notebook]"' in found.stderr


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """A JupyterLab with a notebook of one cell: the notebook's address and the folder."""
    folder = tmp_path_factory.mktemp("jupyter")
    cell = {"cell_type": "code", "id": "a", "execution_count": None, "metadata": {}, "outputs": []}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [{**cell, "source": CELL}],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "step.ipynb").write_text(json.dumps(notebook))
    settings = folder / "config" / "labconfig" / "page_config.json"  # without news from the internet
    settings.parent.mkdir(parents=True)
    disabled = {"@jupyterlab/apputils-extension:announcements": True}
    settings.write_text(json.dumps({"disabledExtensions": disabled}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        **{f"JUPYTER_{kind.upper()}_DIR": str(folder / kind) for kind in ("config", "data", "runtime")},
    }
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, "--IdentityProvider.token=secret"],
        cwd=folder,
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api/status?token=secret", server)
        yield f"{address}/lab/tree/step.ipynb?token=secret", folder
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the server answers."""
    for _ in range(300):
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab ended with code {server.returncode}")
        try:
            urllib.request.urlopen(address).close()
        except urllib.error.URLError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"no answer from {address} in 30 seconds")


def _wait_until_text(file: Path, text: str) -> None:
    for _ in range(100):
        if file.exists() and file.read_text() == text:
            return
        time.sleep(0.1)
    raise TimeoutError(f"expected {text!r} in {file}")


def test_the_widget_advances_in_jupyterlab_and_python_sees_it(browser, jupyter):
    address, folder = jupyter
    with quiet_page(browser, address) as opened:
        opened.set_default_timeout(60_000)
        opened.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        opened.locator(".jp-Notebook .jp-CodeCell .cm-content").click()
        opened.keyboard.press("Shift+Enter")
        opened.get_by_role("button", name="Next →").click()
        _wait_until_text(folder / "frame.txt", "1")
        assert opened.locator(".mn-view [aria-current]").inner_text() == "loss"
        opened.keyboard.press("ArrowRight")
        _wait_until_text(folder / "frame.txt", "2")
