"""Backends of third parties: found by their entry points, with an error for each kind of failure."""

import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends import (
    BackendNotInstalledError,
    BrokenBackendError,
    DeviceNotFoundError,
    backend_names,
    get_backend,
    installed_backends,
)
from tests.support.helpers import run_python

Register = Callable[[str, str], None]

TINY_BACKEND = '''
"""A backend in a package of its own."""

import numpy as np

from backends import EagerBackend, tree


class TinyBackend(EagerBackend):
    """NumPy once more."""

    name = "tiny"
    xp = np

    def from_numpy(self, values):
        return tree.map(np.asarray, values)

    to_numpy = from_numpy

    def scatter_add(self, table, ids, rows):
        result = table.copy()
        np.add.at(result, ids, rows)
        return result
'''

TINY_PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "multinn-tiny"
version = "1.0"

[project.entry-points."multinn.backends"]
tiny = "tiny_backend:TinyBackend"

[tool.hatch.build.targets.wheel]
only-include = ["tiny_backend.py"]
"""

TRAIN_XOR = """
from backends import get_backend, installed_backends
from multinn import Adam, Dense, HalfSquaredError, Sequential, Tanh, Trainer

backend = get_backend("tiny")
model = Sequential([Dense(8), Tanh(), Dense(1)])
trainer = Trainer(model, HalfSquaredError(), Adam(0.05), backend=backend)
x = [[0, 0], [0, 1], [1, 0], [1, 1]]
trainer.fit(x, [[0], [1], [1], [0]], epochs=300, progress=False)
print(backend, get_backend().name, "tiny" in installed_backends())
print((trainer.predict(x) > 0.5).ravel().tolist())
"""


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """Return a function that installs a backend, given its name and a module that defines ``make``."""
    modules = []

    def write(name: str, source: str) -> None:
        information = tmp_path / f"{name}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(
            f"[multinn.backends]\n{name} = {name}_module:make\n"
        )
        (tmp_path / f"{name}_module.py").write_text(textwrap.dedent(source))
        modules.append(f"{name}_module")
        monkeypatch.syspath_prepend(tmp_path)

    yield write
    for module in modules:
        sys.modules.pop(module, None)


def test_a_third_partys_missing_library_is_named(register):
    register("needy", "import a_library_that_is_nowhere")
    with pytest.raises(
        BackendNotInstalledError, match=r"'needy' needs a_library_that_is_nowhere.*pip install"
    ):
        get_backend("needy")
    assert "needy" in backend_names()
    assert "needy" not in installed_backends()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "fails to load: ZeroDivisionError"),
        ("def made(device): ...", "has no class make"),
        ("make = None", "TypeError"),
        (
            """
            from backends import EagerBackend
            class make(EagerBackend):
                name = "broken"
            """,
            "abstract",
        ),
    ],
    ids=["module", "no-attribute", "no-function", "half-a-backend"],
)
def test_a_broken_third_party_is_not_reported_as_missing(register, source, message):
    register("broken", source)
    with pytest.raises(BrokenBackendError, match=f"'broken'.*{message}"):
        get_backend("broken")


def test_a_broken_third_party_harms_no_other(register):
    register("broken", "1 / 0")
    assert "broken" in backend_names()
    assert get_backend("numpy").name == "numpy"


def test_a_third_party_may_raise_our_errors(register):
    register(
        "careful",
        """
        from backends import DeviceNotFoundError
        def make(device):
            raise DeviceNotFoundError(f"no device {device!r}")
        """,
    )
    with pytest.raises(DeviceNotFoundError, match="no device 'gpu:7'"):
        get_backend("careful:gpu:7")


def test_the_error_of_a_backend_from_the_variable_names_the_variable(register, monkeypatch):
    register("broken", "1 / 0")
    monkeypatch.setenv("MULTINN_BACKEND", "broken")
    with pytest.raises(BrokenBackendError, match="MULTINN_BACKEND"):
        get_backend()


def test_a_third_party_cannot_replace_numpy(register):
    register("numpy", "1 / 0")
    with pytest.raises(DeviceNotFoundError, match="'numpy' has no device 'gpu:3'"):
        get_backend("numpy:gpu:3")
    assert backend_names().count("numpy") == 1


def test_an_installed_package_registers_its_backend(tmp_path):
    """Build a wheel of a new package, install it, and train on the backend that it registers."""
    (tmp_path / "pyproject.toml").write_text(TINY_PROJECT)
    (tmp_path / "tiny_backend.py").write_text(TINY_BACKEND)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    site = tmp_path / "site"
    with zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))) as wheel:
        wheel.extractall(site)  # how a wheel of pure Python is installed
    result = run_python(TRAIN_XOR, path=[site], environment={"MULTINN_BACKEND": "tiny"})
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "TinyBackend(device='cpu') tiny True",
        "[False, True, True, False]",
    ]
