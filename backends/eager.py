"""The base class of backends for eager libraries, which have no compiler."""

import ctypes
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache, wraps
from typing import Any

import numpy as np

from backends import tree as trees
from backends.base import PRECISIONS, Array, Backend, Function, unknown_precision
from backends.errors import DeviceNotFoundError
from backends.tree import Tree

_Environment = ctypes.c_uint32 * 8  # fenv_t of Linux on x86-64; the last entry is the register MXCSR
_FLUSH = 0x8040  # the bits of MXCSR that take denormal operands, and return denormal results, as 0


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
            with np.errstate(all="ignore"), denormals_as_zeros():
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


@contextmanager
def denormals_as_zeros() -> Iterator[None]:
    """Take denormal numbers as zeros in this thread, where the processor can and would be slow.

    An Intel processor takes some 150 cycles for an instruction with a denormal number, in place of a
    few. Weights that decay to 0, as those of pixels that are always 0 do under a penalty, are denormal
    for most of a run, and so are their moments: with Adam, a step of 784-100-10 on MNIST takes 1.6 times
    as long from the second epoch on. XLA takes denormals as zeros, too.

    Only Linux on x86-64 can; elsewhere, nothing changes. To enter and to leave takes 2 µs.
    """
    library = _library()
    if library is None:
        yield
        return
    outside = _Environment()
    library.fegetenv(outside)
    within = _Environment(*outside)
    within[7] |= _FLUSH
    library.fesetenv(within)
    try:
        yield
    finally:
        library.fesetenv(outside)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """Return the C library with access to the register, or None."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return None
    for dtype in (np.float32, np.float64):
        np.finfo(dtype)  # now, as NumPy warns of denormals that are zeros, and remembers them
    library = ctypes.CDLL(None)
    return library if hasattr(library, "fesetenv") else None
