"""Fixtures of all tests, and the settings of hypothesis."""

import os
import signal
from collections.abc import Generator
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import settings

from backends import Backend, get_backend
from backends.registry import ENVIRONMENT_VARIABLE
from tests.support.strict_backend import StrictBackend

# pytest looks for doctests in these, too.
collect_ignore_glob = [] if find_spec("torch") else ["support/torch_*.py"]

BACKENDS = ["numpy", "jax", "array_api_strict", "torch"]

# Shells make background processes ignore Ctrl-C, which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: the first example of a shape may compile. In CI, the same examples every time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def no_backend_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore a backend that the environment selects."""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn. `parametrize("backend", [...], indirect=True)` picks some by name."""
    return StrictBackend() if request.param == StrictBackend.name else get_backend(request.param)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of PyTorch as a backend where it is not installed."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if parameters.get("backend") == "torch" and not find_spec("torch"):
        pytest.skip("PyTorch is not installed")


# What some machines lack, as the reasons of skipped tests name it, and how to run these tests there.
MISSING = {
    "torch": "PyTorch is not installed: {} were left out; make test TORCH=torch runs them",
    "browser": "No browser was found: {} were left out; they run where Chromium is installed",
}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Generator[None]:
    """Say at the very end which tests were left out because something is missing."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    for name, line in MISSING.items():
        found = [each.nodeid for each in skipped if name in str(each.longrepr[2]).lower()]
        if found:
            files = sum("::" not in test for test in found)
            tests = f"{len(found) - files:,} tests and {files} whole files"
            terminalreporter.write_line(line.format(tests))
