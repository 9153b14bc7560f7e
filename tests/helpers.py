"""What several test files share."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_python(
    code: str, *, path: Sequence[Path] = (), environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter in which warnings are errors, and return what it wrote.

    Args:
        code: a program.
        path: folders to import from, before the project itself.
        environment: variables to set; MULTINN_BACKEND is unset if it is not among them.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "MULTINN_BACKEND"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={
            **inherited,
            "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])),
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
