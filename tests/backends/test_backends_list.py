"""``python -m backends`` lists registered, missing and broken backends."""

import sys

import pytest

from backends import BrokenBackendError, DeviceNotFoundError, backend_names, installed_backends
from backends.__main__ import main
from backends.blas_threads import describe_blas
from tests.support.helpers import run_python


@pytest.fixture
def listing(capsys):
    assert main([]) == 0
    return capsys.readouterr().out


def test_every_registered_backend_is_listed(listing):
    first_words = [line.split()[0] for line in listing.splitlines() if line[:1].strip()]
    assert first_words[: len(backend_names())] == backend_names()


def test_the_list_fits_80_columns(listing):
    assert max(map(len, listing.splitlines())) <= 80


def test_an_available_backend_has_its_version_devices_and_precisions(listing):
    text = " ".join(listing.split())
    assert "numpy NumPy on the CPU" in text
    assert "; numpy:cpu, numpy:eager; float32 and float64" in text
    assert "; jax:cpu:0; float32 and float64" in text


def test_numpy_has_its_blas_and_the_threads(listing):
    assert f"matrix products by {describe_blas()} jax " in " ".join(listing.split())


@pytest.mark.skipif("cupy" in installed_backends(), reason="CuPy is here")
def test_a_missing_backend_has_the_pip_command_on_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    main([])
    assert '\n       pip install "multinn[cupy]"\n' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BrokenBackendError("backend 'jax' fails to load: OSError: no driver"), "OSError: no driver"),
        (DeviceNotFoundError("CuPy finds no GPU"), "CuPy finds no GPU"),
        (RuntimeError("out of memory"), "backend 'jax' is broken: RuntimeError: out of memory"),
    ],
)
def test_a_broken_backend_has_its_reason_and_harms_no_other(monkeypatch, capsys, error, reason):
    from backends import __main__ as module

    get_backend = module.get_backend

    def get(name):
        if name == "jax":
            raise error
        return get_backend(name)

    monkeypatch.setattr(module, "get_backend", get)
    assert main([]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert reason in output
    assert "NumPy on the CPU" in output


def test_a_library_that_ends_the_process_says_why():
    result = run_python(
        "from backends.__main__ import main; main([])",
        environment={"XLA_FLAGS": "--xla_has_no_such_flag"},
    )
    assert result.returncode != 0
    assert "XLA_FLAGS: --xla_has_no_such_flag" in result.stderr
