"""Runs of Python and of experiments in processes of their own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_CACHE = tempfile.TemporaryDirectory(prefix="multinn-tests-")  # not the user's


def run_python(
    code: str,
    *,
    path: Sequence[Path] = (),
    environment: dict[str, str] | None = None,
    seconds: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter in which warnings are errors, and return its output.

    Args:
        code: the program.
        path: folders to import from, before the project.
        environment: variables to set; otherwise MULTINN_BACKEND and MULTINN_COMPILATION_CACHE are unset.
        seconds: the time after which the process is ended.
    """
    return _run_interpreter("-c", code, path=path, environment=environment, seconds=seconds)


def run_experiment(
    name: str, *arguments: str, environment: dict[str, str] | None = None, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m experiments.NAME`` with warnings as errors, and return its output.

    Args:
        name: the name of the experiment.
        arguments: command-line arguments.
        environment: as in `run_python`.
        folder: the current folder of the process.
    """
    return _run_interpreter(
        "-m", f"experiments.{name}", *arguments, environment=environment, folder=folder
    )


def _run_interpreter(
    *arguments: str,
    path: Sequence[Path] = (),
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
    seconds: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    ours = ("MULTINN_BACKEND", "MULTINN_COMPILATION_CACHE")
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env={
            **inherited,
            "COLUMNS": "80",
            "MULTINN_CACHE": _CACHE.name,
            # Tests run in parallel, and threads of one process would wait for another's cores.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])),
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
