"""The wheel, installed into an empty environment beside NumPy and threadpoolctl alone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.environments import build_wheel, make_environment
from tests.support.helpers import ROOT

PACKAGES = ("backends", "multinn")

TRAIN = """
from multinn import Adam, Dense, HalfSquaredError, Sequential, Tanh, Trainer

x = [[0, 0], [0, 1], [1, 0], [1, 1]]
trainer = Trainer(Sequential([Dense(8), Tanh(), Dense(1)]), HalfSquaredError(), Adam(0.05))
trainer.fit(x, [[0], [1], [1], [0]], epochs=300, progress=False)
print(trainer.backend.name, (trainer.predict(x) > 0.5).ravel().tolist())
"""

TRAIN_ON = """
from multinn import SGD, Dense, HalfSquaredError, Trainer
Trainer(Dense(1), HalfSquaredError(), SGD(0.1), backend="{}")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """The interpreter of a virtual environment in which pip has installed the wheel."""
    interpreter = make_environment(tmp_path_factory.mktemp("empty"), ["multinn"])
    # pip ends with an error if a dependency is missing there.
    install = ["-m", "pip", "--python", interpreter, "--isolated", "install", "--no-index", wheel]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    return interpreter


def run(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python outside of the source tree, with warnings as errors."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [python, "-W", "error", *arguments],
        cwd=python.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_has_every_file_of_the_two_packages_and_nothing_else(wheel):
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == sources
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_a_network_is_trained(python):
    result = run(python, "-c", TRAIN)
    assert (result.stderr, result.stdout) == ("", "numpy [False, True, True, False]\n")


def test_backends_are_listed(python):
    result = run(python, "-m", "backends")
    assert result.stderr == ""
    assert "numpy  NumPy on the CPU" in result.stdout
    assert 'pip install "multinn[jax]"' in result.stdout


def test_the_estimators_without_scikit_learn_name_the_pip_line(python):
    message = """scikit-learn (No module named 'sklearn'): pip install "multinn[sklearn]\""""
    result = run(python, "-c", "import multinn.sklearn")
    assert result.stderr.splitlines()[-1] == f"ImportError: multinn.sklearn needs {message}"


@pytest.mark.parametrize("name", ["jax", "torch", "cupy"])
def test_a_backend_without_its_library_names_the_pip_line(python, name):
    message = run(python, "-c", TRAIN_ON.format(name)).stderr.splitlines()[-1]
    assert f"backend '{name}' needs " in message
    assert message.endswith(f', which is not installed: pip install "multinn[{name}]"')


@pytest.mark.parametrize("name", ["backends.py", "backends/__init__.py"])
@pytest.mark.parametrize("code", ["class EagerBackend: ...", "raise SystemExit('was run')"])
def test_a_module_that_hides_our_backends_is_named_and_not_run(python, tmp_path, name, code):
    script = tmp_path / "script.py"
    script.write_text("import multinn.sklearn")
    foreign = tmp_path / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text(code)
    message = run(python, script).stderr.splitlines()[-1]
    assert message.startswith("ImportError: multinn needs its own package backends, ")
    assert f"on sys.path {foreign} comes first: rename that module" in message


def test_a_script_named_backends_is_told(python, tmp_path):
    script = tmp_path / "backends.py"
    script.write_text("import multinn")
    assert f"on sys.path {script} comes first" in run(python, script).stderr.splitlines()[-1]


def test_a_folder_named_backends_without_modules_hides_nothing(python, tmp_path):
    (tmp_path / "backends").mkdir()
    script = tmp_path / "script.py"
    script.write_text(TRAIN)
    assert run(python, script).returncode == 0


IMPORT_ALL = """
import importlib, pkgutil, backends, multinn
for package in (backends, multinn):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".", lambda name: None):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            print(f"{module.name}: {error}")
"""


def test_a_module_without_its_library_names_the_pip_line(python):
    """With NumPy and threadpoolctl alone, each is imported, except those behind `get_backend`."""
    result = run(python, "-c", IMPORT_ALL)
    assert result.stderr == ""
    unnamed = [line for line in result.stdout.splitlines() if 'pip install "multinn[' not in line]
    assert [line.partition(":")[0] for line in unnamed] == [
        "backends.cupy_backend",
        *("backends.jax_backend", "backends.jax_convolution"),
        *("backends.torch_backend", "backends.torch_convolution"),
    ]
