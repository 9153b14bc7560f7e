"""Compiled programs are kept between runs of a script, can be turned off, and do no harm."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from backends import BackendError, get_backend
from experiments.xor import __main__ as xor
from tests.support.helpers import run_experiment, run_python
from tests.support.strict_backend import StrictBackend

TRAIN = """
from pathlib import Path
import jax
import numpy as np
from backends import get_backend
from multinn import Dense, MeanSquaredError, Sequential, Tanh, Trainer

events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
backend = get_backend("jax")
if {another!r}:
    backend.keep_compiled(Path({another!r}))
x = np.linspace(-1.0, 1.0, 30).reshape(10, 3)
for dtype in ("float32", "float64"):
    model = Sequential([Dense(4), Tanh(), Dense(1)])
    trainer = Trainer(model, MeanSquaredError(), backend=backend, dtype=dtype)
    trainer.fit(x, x[:, :1], epochs=3, batch_size=4, progress=False)
    print(dtype, trainer.history.losses)
print("found", events.count("/jax/compilation_cache/cache_hits"))
"""


def train(folder: Path, another: Path | str = "") -> list[str]:
    """Train in a new process that keeps compiled programs in the first folder; return its output."""
    result = run_python(
        TRAIN.format(another=str(another)), environment={"MULTINN_COMPILATION_CACHE": str(folder)}
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the folder after one run, and the output of that run."""
    folder = tmp_path_factory.mktemp("cache") / "made" / "when missing"
    return folder, train(folder)


def test_a_second_run_finds_the_programs_of_each_precision(first, tmp_path):
    folder, printed = first
    assert printed[-1] == "found 0"
    files = sorted(folder.iterdir())
    again = train(folder, tmp_path / "another")  # the first one stays
    assert again == [*printed[:-1], "found 2"]
    assert sorted(folder.iterdir()) == files
    assert not (tmp_path / "another").exists()


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [damaged, empty])
def test_a_damaged_folder_does_no_harm(first, tmp_path, damage: Callable[[Path], None]):
    folder, printed = first
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
        damage(tmp_path / file.name)
    assert train(tmp_path) == printed


class NewBackend(StrictBackend):
    """A backend that no other test constructs: only a new one reads the variable."""


@pytest.mark.parametrize("folder", ["file/folder", "~nobody-has-this-name/folder"])
def test_a_folder_that_cannot_be_made_is_an_error_of_the_variable(monkeypatch, tmp_path, folder):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MULTINN_COMPILATION_CACHE", folder)
    monkeypatch.setenv("MULTINN_BACKEND", "tests.backends.test_compilation_cache:NewBackend")
    with pytest.raises(BackendError, match=rf"folder.*{folder}.*variable MULTINN_COMPILATION_CACHE\)$"):
        get_backend()


def test_a_folder_that_cannot_be_written_to_does_no_harm(first, tmp_path):
    (tmp_path / "file").touch()
    result = run_python(TRAIN.format(another=str(tmp_path / "file" / "folder")))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == first[1]


def learn_xor(
    folder: Path, *arguments: str, named: Path | str = ""
) -> "subprocess.CompletedProcess[str]":
    result = run_experiment(
        "xor",
        "--backend",
        "jax",
        "--epochs",
        "5",
        *arguments,
        environment={"MULTINN_CACHE": str(folder), "MULTINN_COMPILATION_CACHE": str(named)},
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result


def test_a_script_keeps_its_programs_unless_an_option_forbids_it(tmp_path):
    learn_xor(tmp_path, "--no-compilation-cache", named=tmp_path / "named")
    assert not list(tmp_path.iterdir())
    learn_xor(tmp_path)
    assert any(file.name.startswith("jit_run-") for file in (tmp_path / "compiled").iterdir())


def test_main_called_from_another_program_changes_no_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("MULTINN_CACHE", str(tmp_path))
    assert xor.main(["--backend", "jax", "--epochs", "5"]) == 0
    assert jax.config.jax_compilation_cache_dir is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("backend", [get_backend("numpy"), StrictBackend()], ids=repr)
def test_a_library_without_a_compiler_of_its_own_keeps_nothing(backend, tmp_path):
    backend.keep_compiled(tmp_path / "folder")
    assert not list(tmp_path.iterdir())
