"""Progress in a kernel of Jupyter: one bar that is replaced at its place, without widgets."""

from typing import Any

import pytest

from multinn.host import progress as progress_module
from multinn.host.progress import progress
from tests.support.helpers import ROOT
from tests.support.markup import parse, texts

PROGRAM = """
from multinn.host.progress import progress
try:
    with progress(3, "epoch") as advance:
        for _ in range(40):
            advance(0.05, {"loss": 0.25, "<b>": 0.5, "validation_loss": 0.3})
        print("results")
        raise ZeroDivisionError
except ZeroDivisionError:
    pass
"""


@pytest.fixture(scope="module")
def outputs() -> list[Any]:
    """Return the outputs of a cell that a kernel has run."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PROGRAM)])
    at_root = {"metadata": {"path": str(ROOT)}}
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120, resources=at_root).execute()
    cells: list[Any] = notebook.cells[0].outputs
    return cells


def test_a_cell_has_one_bar_and_nothing_on_standard_error(outputs):
    assert [(each.output_type, each.get("name")) for each in outputs] == [
        ("display_data", None),
        ("stream", "stdout"),
    ]


def test_the_bar_shows_the_last_state_even_after_an_error(outputs):
    root = parse(outputs[0]["data"]["text/html"])
    (bar,) = root.iter("progress")
    assert (float(bar.attrib["value"]), bar.get("max")) == (2.0, "3")
    count, _, *metrics = texts(root, "span")
    assert count == "epoch 2/3"
    assert metrics == ["loss 0.25", "<b> 0.5", "validation_loss 0.3"]


def test_the_bar_is_also_text(outputs):
    text = outputs[0]["data"]["text/plain"]
    assert text.startswith("epoch 2/3  00:00 left  loss 0.25")


class Handle:
    """A display that keeps what it is told to show."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def update(self, bar: Any) -> None:
        self.shown.append(bar)


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Handle:
    """Pretend to be in a kernel whose clock advances a hundredth of a second at each look."""
    display = pytest.importorskip("IPython.display")
    handle = Handle()
    seconds = iter(range(10**6))
    monkeypatch.setattr(progress_module, "_in_notebook", lambda: True)
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(seconds) / 100)
    monkeypatch.setattr(display, "display", lambda bar, display_id: handle)
    return handle


def test_many_reports_are_few_updates(handle):
    with progress(1000, "step") as advance:
        for _ in range(1000):
            advance(1, {})
    assert 90 <= len(handle.shown) <= 101
    assert repr(handle.shown[-1]) == "step 1000/1000  00:10"


def test_the_time_that_is_left_is_estimated(handle):
    with progress(1_000_000, "step") as advance:
        advance(10, {})
    assert repr(handle.shown[-1]) == "step 10/1000000  16:40 left"
