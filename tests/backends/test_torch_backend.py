"""PyTorch's devices, memory and dtypes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from backends import DeviceNotFoundError, PrecisionError, get_backend
from tests.support.helpers import run_python

torch = pytest.importorskip("torch")
pytest.importorskip("array_api_compat")


@pytest.mark.parametrize("name", ["torch", "torch:cpu"])
def test_torch_on_the_cpu(name):
    assert repr(get_backend(name)) == "TorchBackend(device='cpu')"


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta", "cpu:0", "cuda:", "", "nonsense"])
def test_the_error_of_a_missing_device_names_the_present_ones(device):
    with pytest.raises(DeviceNotFoundError, match=f"no device '{device}' .* it finds 'torch:cpu'"):
        get_backend(f"torch:{device}")


def test_new_arrays_are_made_on_the_device_of_the_backend():
    """PyTorch's device "meta", which has no memory, stands in for a GPU."""
    from backends.torch_backend import _namespace_on

    xp = _namespace_on(torch.device("meta"))
    made = [xp.arange(3), xp.ones((2,)), xp.zeros(2), xp.full((2,), 1.0), xp.asarray([1.0]), xp.eye(2)]
    assert {array.device.type for array in made} == {"meta"}
    assert xp.tanh(xp.arange(3, dtype=xp.float32)).device.type == "meta"


@pytest.mark.parametrize("dtype", ["longdouble", ">f4", "datetime64[s]"])
def test_a_dtype_that_torch_lacks_raises(dtype):
    with pytest.raises(PrecisionError, match="PyTorch has no arrays of"):
        get_backend("torch").from_numpy({"x": np.zeros(2, dtype)})


def test_read_only_memory_is_copied():
    frozen = np.zeros(3, np.float32)
    frozen.flags.writeable = False
    get_backend("torch").from_numpy(frozen).fill_(1.0)
    assert not frozen.any()


def test_tensors_of_any_order_in_memory_go_to_numpy():
    tensor = torch.arange(12.0).reshape(3, 4).T[::2]
    np.testing.assert_array_equal(get_backend("torch").to_numpy(tensor), [[0, 4, 8], [2, 6, 10]])


def test_several_threads_compute_the_results_of_one():
    backend = get_backend("torch")

    def sums(seed: int) -> np.ndarray:
        table = backend.from_numpy(np.full((4, 8), seed, np.float32))
        for _ in range(50):
            table = backend.scatter_add(table, backend.xp.asarray([0, 0, 3]), table[:3])
            table = backend.xp.tanh(table @ table.T) @ table
        return backend.to_numpy(table)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(sums, range(8)))
    np.testing.assert_array_equal(together, [sums(seed) for seed in range(8)])


def test_no_setting_of_torch_is_changed():
    result = run_python(
        """
import torch
settings = lambda: (
    torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads(),
    torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(),
    torch.get_float32_matmul_precision())
before = settings()
import numpy as np
from backends import get_backend
backend = get_backend("torch")
with backend.precision("float64"):
    backend.jit(backend.xp.exp)(backend.from_numpy(np.ones(2)))
    print(settings() == before)
"""
    )
    assert result.stderr == ""
    assert result.stdout == "True\n"


def test_without_torch_the_error_names_the_pip_line():
    result = run_python(
        """
import sys
sys.modules["torch"] = None
from backends import BackendNotInstalledError, get_backend, installed_backends
assert "torch" not in installed_backends()
try:
    get_backend("torch")
except BackendNotInstalledError as error:
    print(error)
"""
    )
    assert result.stderr == ""
    assert result.stdout == (
        "backend 'torch' needs torch, which is not installed: pip install \"multinn[torch]\"\n"
    )


def test_no_gradient_of_torch_is_recorded():
    backend = get_backend("torch")
    x = backend.from_numpy(np.ones(3, np.float32))
    assert not (backend.xp.exp(x) * 2.0).requires_grad
