"""The processes of the competitors: how they end, and that none is left running."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiments.competitors.memory import PeakMemory
from experiments.competitors.process import WorkerFailedError, WorkerProcess
from tests.support.competitor_standins import PIDS
from tests.support.helpers import ROOT

HANGS = "tests.support.competitor_standins:Hangs"
STANDIN = "tests.support.competitor_standins:Standin"
PATIENCE = 60.0


def wait_until(done: Callable[[], bool]) -> bool:
    """Wait until a condition holds; return False after a timeout."""
    end = time.monotonic() + PATIENCE
    while not (is_so := done()) and time.monotonic() < end:
        time.sleep(0.05)
    return is_so


def is_gone(pid: int) -> bool:
    """Return whether there is no such process, or a zombie."""
    try:
        os.kill(pid, 0)
        if not Path("/proc/self/stat").exists():
            return False
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def pids(path: Path) -> list[int]:
    """The processes of the stand-in that hangs: its own, and the one that it started."""
    assert wait_until(path.exists)
    return [int(pid) for pid in path.read_text().split()]


@pytest.fixture
def pid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file to which the stand-in that hangs writes its processes."""
    path = tmp_path / "pids"
    monkeypatch.setenv(PIDS, str(path))
    return path


def test_a_worker_without_an_answer_is_killed_with_its_child_processes(pid_file):
    with WorkerProcess(HANGS, "xor", None, 0, PATIENCE) as worker:
        worker.receive()
        worker.ask("prepare")
        assert not any(is_gone(pid) for pid in pids(pid_file))
        worker.timeout = 0.5
        with pytest.raises(WorkerFailedError, match=r"^no answer within 0\.5 s$"):
            worker.ask("run")
        assert wait_until(lambda: all(is_gone(pid) for pid in pids(pid_file)))


def test_a_worker_quits_with_its_peak_memory():
    with WorkerProcess(STANDIN, "predict", 20, 0, PATIENCE) as worker:
        assert worker.receive() == {"versions": {}}
        assert worker.ask("prepare")["compile"] is None
        assert worker.ask("run")["call"] >= 0.001
        assert worker.quit().keys() == {"peak_megabytes"}


def test_a_run_before_it_is_prepared_is_an_error():
    with WorkerProcess(STANDIN, "xor", None, 0, PATIENCE) as worker:
        worker.receive()
        with pytest.raises(WorkerFailedError, match="expected prepare, then run or quit, got 'run'"):
            worker.ask("run")


def start_comparison(folder: Path) -> "subprocess.Popen[str]":
    """Start a comparison whose first job never ends: the stand-in hangs in its only round."""
    jobs = ("--workloads", "predict,xor", "--competitors", f"multinn numpy,{HANGS}", "--repeats", "1")
    files = ("--out", str(folder), "--json", str(folder / "record.json"))
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.compare_backends", *jobs, *files, "--examples", "64"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_leaves_tables_picture_and_record_and_no_process(pid_file, tmp_path):
    path = tmp_path / "record.json"
    with start_comparison(tmp_path) as process:
        running = pids(pid_file)
        assert wait_until(path.exists)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    assert "interrupted: the tables show the finished runs" in errors
    assert "Traceback" not in errors
    assert "\npredict: 784-512" in printed
    assert "\nxor: " not in printed
    record = json.loads(path.read_text())
    assert record["complete"] is False
    assert {timing["workload"] for timing in record["results"]} == {"predict"}
    assert all(timing["first_call"] > 0.0 for timing in record["results"])
    assert wait_until(lambda: all(is_gone(pid) for pid in running))


def test_no_process_outlives_a_killed_comparison(pid_file, tmp_path):
    with start_comparison(tmp_path) as process:
        running = pids(pid_file)
        assert wait_until((tmp_path / "record.json").exists)
        process.kill()
        process.communicate(timeout=PATIENCE)
    results = json.loads((tmp_path / "record.json").read_text())["results"]
    assert all(timing["first_call"] > 0.0 for timing in results)
    assert wait_until(lambda: all(is_gone(pid) for pid in running))


def test_peak_memory_counts_freed_memory():
    memory = PeakMemory()
    before = memory.megabytes()
    np.ones(25_000_000)  # 200 MB
    after = memory.megabytes()
    if sys.platform == "win32":
        assert before is after is None
    else:
        assert before is not None
        assert after is not None
        assert 150.0 < after - before < 300.0
