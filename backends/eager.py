"""The base class of backends for eager libraries, which have no compiler."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

import numpy as np

from backends import tree as trees
from backends.base import PRECISIONS, Array, Backend, Function, unknown_precision
from backends.errors import DeviceNotFoundError
from backends.tree import Tree


class EagerBackend(Backend):
    """A backend for an eager library.

    A subclass defines ``name``, ``xp`` and `scatter_add`. The other members have defaults that work for
    any library of the Array API standard on the CPU, and can be overridden.

    Attributes:
        devices: the names allowed after the colon, the default first.
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
        for i in range(trees.scan_length(xs)):
            carry, y = step(carry, trees.map(lambda x, i=i: x[i, ...], xs))
            ys.append(y)
        return carry, trees.map(lambda *parts: self.xp.stack(parts), *ys)

    def scan_first(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, count: Array
    ) -> tuple[Tree, Tree]:
        length, rounds = trees.scan_length(xs), int(count)
        carry, ys = self.scan(step, carry, trees.map(lambda x: x[:rounds, ...], xs))
        if rounds == length:
            return carry, ys
        rest = trees.map(lambda y: self.xp.zeros((length - rounds, *y.shape[1:]), dtype=y.dtype), ys)
        return carry, trees.map(lambda *parts: self.xp.concat(parts), ys, rest)

    def sync(self, tree: Tree) -> Tree:
        return tree

    def precision(self, dtype: str) -> AbstractContextManager[None]:
        if dtype not in PRECISIONS:
            raise unknown_precision(self.name, dtype)
        return nullcontext()

    def _put(self, leaf: Any) -> Array:
        """Return a NumPy array as an array of this library."""
        return self.xp.asarray(np.asarray(leaf))

    def _get(self, leaf: Array) -> Any:
        """Return an array of this library as a NumPy array."""
        # NumPy's full sums are scalars, which np.from_dlpack does not take.
        return np.asarray(leaf) if isinstance(leaf, np.generic) else np.from_dlpack(leaf)
