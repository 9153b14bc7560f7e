"""What every library that computes at once, without a compiler, has in common."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

import numpy as np

from backends import tree as trees
from backends.base import Array, Backend, Function, check_precision, scan_length
from backends.errors import DeviceNotFoundError
from backends.tree import Tree


class EagerBackend(Backend):
    """A backend whose verbs are plain Python over a library that computes at once.

    Left to a backend are ``name``, ``xp`` and `scatter_add`; all else is there, by means that the
    Array API standard gives on the CPU, and can be replaced.

    Attributes:
        devices: what may stand after the colon, the default first.
    """

    devices: tuple[str, ...] = ("cpu",)

    def __init__(self, device: str | None = None) -> None:
        if device is not None and device not in self.devices:
            names = ", ".join(f"'{self.name}:{known}'" for known in self.devices)
            raise DeviceNotFoundError(
                f"backend {self.name!r} has no device {device!r}: expected {self.name!r}, {names}"
            )
        self.device = device or self.devices[0]

    @property
    def version(self) -> str:
        return str(self.xp.__version__)

    def from_numpy(self, tree: Tree) -> Tree:
        return trees.map(self._put, tree)

    def to_numpy(self, tree: Tree) -> Tree:
        return trees.map(self._get, tree)

    def jit(self, function: Function, *example: Tree) -> Function:
        @wraps(function)
        def quiet(*arguments: Tree) -> Tree:
            with np.errstate(all="ignore"):
                return function(*arguments)

        return quiet

    def scan(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree
    ) -> tuple[Tree, Tree]:
        ys = []
        for i in range(scan_length(xs)):
            carry, y = step(carry, trees.map(lambda x, i=i: x[i, ...], xs))
            ys.append(y)
        return carry, trees.map(lambda *parts: self.xp.stack(parts), *ys)

    def sync(self, tree: Tree) -> Tree:
        return tree

    def precision(self, dtype: str) -> AbstractContextManager[None]:
        check_precision(self.name, dtype)
        return nullcontext()

    def _put(self, leaf: Any) -> Array:
        """Return a NumPy array as one of this library."""
        return self.xp.asarray(np.asarray(leaf))

    def _get(self, leaf: Array) -> Any:
        """Return an array of this library as one of NumPy."""
        # A sum of all is a scalar in NumPy, which lacks what its arrays have.
        return np.asarray(leaf) if isinstance(leaf, np.generic) else np.from_dlpack(leaf)
