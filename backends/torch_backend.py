"""PyTorch: eager, on the CPU or a GPU."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import array_api_compat.torch as torch_namespace
import numpy as np
import torch

from backends import torch_convolution
from backends import tree as trees
from backends.base import Array
from backends.eager import EagerBackend
from backends.errors import DeviceNotFoundError, PrecisionError
from backends.tree import Tree

_CREATE = ("arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros")


class TorchBackend(EagerBackend):
    """PyTorch on one device, eager, without its automatic differentiation.

    Nothing is compiled. `torch.compile` cannot take a whole training step, because array_api_compat
    inspects dtypes, which breaks the graph. A step recorded as a graph first and compiled by Inductor
    took 141 instead of 251 µs on a network 2-8-2, and as long as before on 784-256-128-10 with batches
    of 128. Compilation takes 3 to 30 seconds, and a loop over steps would be unrolled. NumPy (20 µs) and
    JAX (5 µs) are faster on small networks.
    """

    name: ClassVar[str] = "torch"
    xp: Any = torch_namespace

    def __init__(self, device: str | None = None) -> None:
        self.devices = ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))
        self._device = self._find_device("cpu" if device is None else device)
        self.device = str(self._device)
        if self._device.type != "cpu":
            self.xp = _namespace_on(self._device)

    @property
    def version(self) -> str:
        return str(torch.__version__)

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        return table.index_add(0, ids, rows)

    _convolve = staticmethod(torch_convolution.convolve)
    _convolve_weights = staticmethod(torch_convolution.convolve_weights)

    def derivative(self, function: Callable[[Tree], Array], at: Tree) -> Tree:
        variables = trees.map(lambda leaf: leaf.detach().requires_grad_(), at)
        leaves = trees.leaves(variables)
        derived = torch.autograd.grad(function(variables), leaves, materialize_grads=True)
        by_id = dict(zip(map(id, leaves), derived, strict=True))
        return trees.map(lambda leaf: by_id[id(leaf)], variables)

    def sync(self, tree: Tree) -> Tree:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return tree

    def _put(self, leaf: Any) -> Array:
        array = np.asarray(leaf, order="C")  # PyTorch has no negative strides
        if not array.flags.writeable:
            array = array.copy()  # PyTorch tensors are always writable
        try:
            return torch.from_numpy(array).to(self._device)
        except (TypeError, ValueError) as error:
            raise PrecisionError(f"PyTorch has no arrays of {array.dtype}: {error}") from error

    def _get(self, leaf: Array) -> Any:
        return leaf.numpy(force=True)

    def _find_device(self, name: str) -> torch.device:
        if name == "cuda" and len(self.devices) > 1:
            name = f"cuda:{torch.cuda.current_device()}"
        if name not in self.devices:
            names = ", ".join(f"'torch:{device}'" for device in self.devices)
            raise DeviceNotFoundError(
                f"PyTorch finds no device {name!r} on this machine; it finds {names}"
            )
        return torch.device(name)


def _namespace_on(device: torch.device) -> Any:
    """Return the namespace with functions that create arrays on that device, not on the CPU."""
    create = {name: partial(getattr(torch_namespace, name), device=device) for name in _CREATE}
    return SimpleNamespace(**vars(torch_namespace) | create)
