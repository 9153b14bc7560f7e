"""The registry of backends: names, devices, the environment variable, and one clear error for each."""

import pytest

from backends import (
    Backend,
    BackendError,
    BackendNotInstalledError,
    BrokenBackendError,
    DeviceNotFoundError,
    UnknownBackendError,
    backend_names,
    get_backend,
    installed_backends,
)
from tests.support.helpers import run_python


def test_numpy_is_the_default():
    assert get_backend().name == "numpy"


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("MULTINN_BACKEND", "")
    assert get_backend().name == "numpy"


def test_the_variable_selects_the_backend(monkeypatch):
    monkeypatch.setenv("MULTINN_BACKEND", "jax:cpu")
    assert (get_backend().name, get_backend().device) == ("jax", "cpu:0")


def test_an_argument_overrides_the_variable(monkeypatch):
    monkeypatch.setenv("MULTINN_BACKEND", "jax")
    assert get_backend("numpy").name == "numpy"


@pytest.mark.parametrize("name", ["jax:cpu", "jax:cpu:0"])
def test_jax_on_the_cpu(name):
    assert (get_backend(name).name, get_backend(name).device) == ("jax", "cpu:0")


@pytest.mark.parametrize("name", ["numpy", "numpy:cpu"])
def test_numpy_on_the_cpu(name):
    assert (get_backend(name).name, get_backend(name).device) == ("numpy", "cpu")


def test_a_backend_is_returned_unchanged():
    backend = get_backend("jax")
    assert get_backend(backend) is backend


@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_one_name_gives_one_instance_from_argument_or_variable(name, monkeypatch):
    monkeypatch.setenv("MULTINN_BACKEND", name)
    assert get_backend() is get_backend(name)


def test_names_begin_with_the_default():
    assert backend_names()[:4] == ["numpy", "jax", "torch", "cupy"]
    assert installed_backends()[:2] == ["numpy", "jax"]


@pytest.mark.parametrize(
    ("name", "suggestion"), [("jaxx", "jax"), ("NumPy", "numpy"), ("Jax:cpu", "jax"), (" jax", "jax")]
)
def test_a_misspelt_name_gets_a_suggestion(name, suggestion):
    with pytest.raises(UnknownBackendError, match=f"did you mean '{suggestion}'"):
        get_backend(name)


def test_an_empty_name_is_unknown():
    with pytest.raises(UnknownBackendError, match="unknown backend '', expected one of numpy, jax"):
        get_backend("")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("nunpy", UnknownBackendError),
        ("jax:cpu:99", DeviceNotFoundError),
        ("numpy:gpu", DeviceNotFoundError),
    ],
)
def test_a_wrong_value_of_the_variable_names_the_variable(value, error, monkeypatch):
    monkeypatch.setenv("MULTINN_BACKEND", value)
    with pytest.raises(error, match="MULTINN_BACKEND"):
        get_backend()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os:path", "'module' object is not callable; expected module:Class with a class of"),
        ("os:getcwd", "expected module:Class with a class of backends.Backend, got <built-in"),
        ("builtins:str", "returned a str, expected an instance of backends.Backend; name a class"),
    ],
)
def test_what_is_no_class_of_a_backend_is_refused(name, message, monkeypatch):
    monkeypatch.setenv("MULTINN_BACKEND", name)
    with pytest.raises(BrokenBackendError, match=f"{message}.* MULTINN_BACKEND") as caught:
        get_backend()
    assert "repair" not in str(caught.value)


def test_a_wrong_argument_does_not_name_the_variable(monkeypatch):
    monkeypatch.setenv("MULTINN_BACKEND", "numpy")
    with pytest.raises(UnknownBackendError) as caught:
        get_backend("nunpy")
    assert "MULTINN_BACKEND" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "jax:gpu:99",
        "jax:cpu:99",
        "jax:cpu:-1",
        "jax:cpu:x",
        "jax:cpu:0:0",
        "jax:cpu:",
        "jax::0",
        "jax:",
        "jax:nonsense",
        "numpy:gpu",
        "numpy:cpu:1",
        "numpy:",
    ],
)
def test_an_unknown_device_is_refused(name):
    with pytest.raises(DeviceNotFoundError, match="no device"):
        get_backend(name)


def test_the_error_for_a_device_lists_the_devices_there_are():
    with pytest.raises(DeviceNotFoundError, match="no device 'cpu:99' on this machine; it finds 'jax:"):
        get_backend("jax:cpu:99")


@pytest.fixture(scope="module")
def without_jax() -> list[str]:
    """Return the output of a program without JAX: the installed backends, and three errors."""
    result = run_python(
        """
import sys
sys.modules["jax"] = None
from backends import BackendNotInstalledError, get_backend, installed_backends
print(installed_backends())
for argument in ("jax", "jax:gpu", None):
    try:
        get_backend(argument)
    except BackendNotInstalledError as error:
        print(error)
""",
        environment={"MULTINN_BACKEND": "jax"},
    )
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_without_jax_its_backend_is_not_installed(without_jax):
    assert without_jax[0] == str([name for name in installed_backends() if name != "jax"])


def test_without_jax_the_error_names_the_pip_line(without_jax):
    expected = """backend 'jax' needs jax, which is not installed: pip install "multinn[jax]\""""
    assert [message[: len(expected)] for message in without_jax[1:]] == [expected] * 3


def test_without_jax_the_error_names_the_variable_that_selected_it(without_jax):
    assert ["MULTINN_BACKEND" in message for message in without_jax[1:]] == [False, False, True]


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (UnknownBackendError, ValueError),
        (BackendNotInstalledError, ImportError),
        (BrokenBackendError, BackendError),
        (DeviceNotFoundError, ValueError),
    ],
)
def test_errors_share_one_base_class(error, builtin):
    assert issubclass(error, BackendError)
    assert issubclass(error, builtin)


def test_a_backend_names_itself_and_its_device():
    assert repr(get_backend("jax:cpu")) == "JaxBackend(device='cpu:0')"
    assert isinstance(get_backend("jax"), Backend)
