"""Progress: silent on request, lines in a pipe, a bar in terminals, nothing on standard output."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from multinn.host import progress as progress_module
from multinn.host.progress import progress
from tests.support.helpers import ROOT

METRICS = {"loss": 0.25, "accuracy": 0.9123, "validation_loss": 0.3, "validation_accuracy": 0.9}

THREE_EPOCHS = f"""
from multinn.host.progress import progress
with progress(3, "epoch") as advance:
    for _ in range(3):
        advance(1, {METRICS})
print("results")
"""

IN_PARTS = THREE_EPOCHS.replace("range(3)", "range(21)").replace("advance(1,", "advance(1 / 7,")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still until its ``now`` is set."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_silence_on_request(capsys):
    with progress(2, "epoch", show=False) as advance:
        advance(1, METRICS)
        advance(1, METRICS)
    assert capsys.readouterr() == ("", "")


def test_the_first_and_the_last_unit_get_a_line_at_once(capsys, clock):
    with progress(3, "epoch") as advance:
        for loss in (0.5, 0.25, 1e-7):
            advance(1, {"loss": loss, "accuracy": 0.9})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "epoch 1/3  loss 0.5  accuracy 0.9",
        "epoch 3/3  loss 1e-07  accuracy 0.9",
    ]


def test_a_report_may_count_several_units_and_have_no_metrics(capsys, clock):
    with progress(250, "seed") as advance:
        for done in (100, 100, 50):
            clock.now += 1.0
            advance(done, {})
    assert capsys.readouterr().err.splitlines() == ["seed 100/250", "seed 200/250", "seed 250/250"]


def test_between_the_first_and_the_last_there_is_a_line_a_second(capsys, clock):
    with progress(1000, "epoch") as advance:
        for epoch in range(1000):
            clock.now = 1000.0 + epoch / 400.0
            advance(1, {})
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["epoch 1/1000", "epoch 401/1000", "epoch 801/1000", "epoch 1000/1000"]


def test_a_run_that_ends_early_shows_its_last_whole_unit(capsys, clock):
    with progress(1000, "epoch") as advance:
        for epoch in range(3):
            advance(1, {"loss": epoch})
        advance(0.5, {"loss": 3})
    assert capsys.readouterr().err.splitlines() == ["epoch 1/1000  loss 0", "epoch 3/1000  loss 2"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_or_ctrl_c_comes_after_the_last_line(capsys, clock, error):
    def fail_after_three() -> None:
        with progress(1000, "epoch") as advance:
            for _ in range(3):
                advance(1, {})
            raise error

    with pytest.raises(error):
        fail_after_three()
    assert capsys.readouterr().err.splitlines() == ["epoch 1/1000", "epoch 3/1000"]


def test_within_a_unit_there_is_a_line_every_half_a_minute(capsys, clock):
    """Two epochs take 70 seconds each."""
    with progress(2, "epoch") as advance:
        for second in range(1, 141):
            clock.now = 1000.0 + second
            advance(1 / 70, {"loss": 1.0 / second})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["0.4/2", "0.8/2", "1/2", "1.4/2", "1.8/2", "2/2"]
    assert lines[2] == "epoch 1/2  loss 0.01429"


def test_no_units_done_are_a_line_only_every_half_a_minute(capsys, clock):
    """The first epoch of `fit_batches` has no known length."""
    with progress(2, "epoch") as advance:
        for second in range(1, 41):
            clock.now = 1000.0 + second
            advance(0.0, {"loss": 1.0})
    assert capsys.readouterr().err.splitlines() == ["epoch 0.0/2  loss 1"]


def test_parts_add_up_to_whole_units(capsys, clock):
    with progress(3, "epoch") as advance:
        for part in range(1, 22):
            clock.now = 1000.0 + part
            advance(1 / 7, {})
    assert capsys.readouterr().err.splitlines() == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]


def test_a_terminal_without_rich_gets_lines(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "rich", None)
    with progress(1, "epoch") as advance:
        advance(1, {"loss": 0.5})
    assert capsys.readouterr().err == "epoch 1/1  loss 0.5\n"


def test_a_pipe_gets_lines_even_if_colors_are_forced(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress(1, "epoch") as advance:
        advance(1, {"loss": 0.5})
    assert capsys.readouterr().err == "epoch 1/1  loss 0.5\n"


def run_in_terminal(columns: int, program: str) -> tuple[str, str]:
    """Return what a program writes to a terminal of some width, and its standard output."""
    pty = pytest.importorskip("pty", reason="only POSIX has pseudo-terminals")
    pytest.importorskip("rich")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment,
        text=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # on Linux, the other end was closed
        pass
    output, _ = process.communicate(timeout=60)
    os.close(ours)
    return shown.decode(), output


class Terminal(NamedTuple):
    """The text that a program wrote to a terminal."""

    columns: int
    shown: str
    output: str

    @property
    def last_lines(self) -> list[str]:
        """The lines of the last drawing, without colors."""
        drawing = self.shown.rsplit("\x1b[2K", 1)[-1]
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawing).splitlines()


@pytest.fixture(
    scope="module",
    params=[(60, THREE_EPOCHS), (80, THREE_EPOCHS), (120, THREE_EPOCHS), (80, IN_PARTS)],
    ids=["60 columns", "80 columns", "120 columns", "in parts"],
)
def terminal(request: pytest.FixtureRequest) -> Terminal:
    columns, program = request.param
    return Terminal(columns, *run_in_terminal(columns, program))


def test_results_are_apart_from_the_bar(terminal):
    assert terminal.output == "results\n"
    assert "results" not in terminal.shown


def test_the_bar_is_drawn_again_at_its_place(terminal):
    downwards, upwards = terminal.shown.count("\n"), terminal.shown.count("\x1b[1A")
    assert downwards - upwards == len(terminal.last_lines)


def test_a_terminal_shows_the_count_and_all_figures(terminal):
    assert terminal.last_lines[0].startswith("epoch 3/3 ━")
    text = "\n".join(terminal.last_lines).replace("validation_", "val_")
    for name, value in METRICS.items():
        assert f"{name.replace('validation_', 'val_')} {value}" in text
    assert max(map(len, terminal.last_lines)) <= terminal.columns


def test_a_wide_terminal_shows_one_line_with_full_names(terminal):
    if terminal.columns == 120:
        assert len(terminal.last_lines) == 1
        assert "validation_loss 0.3  validation_accuracy 0.9" in terminal.last_lines[0]


def test_a_line_that_is_too_long_has_shorter_names_and_all_figures(capsys, clock):
    with progress(1000, "epoch") as advance:
        advance(1, dict.fromkeys(METRICS, 0.1234))
    expected = "epoch 1/1000  loss 0.1234  accuracy 0.1234  val_loss 0.1234  val_accuracy 0.1234\n"
    assert capsys.readouterr().err == expected
    assert len(expected) == 81
