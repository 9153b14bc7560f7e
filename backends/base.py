"""The contract between the mathematics and an array library."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from backends import tree as trees
from backends.errors import PrecisionError
from backends.tree import Tree

Array = Any
HostArray = np.ndarray[Any, np.dtype[Any]]  # of NumPy, on the host
Shape = tuple[int, ...]
Function = Callable[..., Any]


class Backend(ABC):
    """An array library: a namespace of the Array API standard and a handful of verbs.

    Arithmetic is written against ``xp``, which follows the standard (https://data-apis.org/array-api).
    Only what the standard lacks is a method. A backend is constructed as ``SomeBackend(device)``,
    where ``device`` is the part after the colon in ``jax:gpu:1``, or None for the library's own choice.
    ``python -m backends.conformance NAME`` tells whether one keeps the contract.

    Attributes:
        name: the name under which the backend is registered, such as ``jax``.
        device: where its arrays live, such as ``cpu`` or ``gpu:1``.
        xp: the Array API namespace, such as ``numpy`` or ``jax.numpy``.
    """

    name: ClassVar[str]
    device: str
    _remake: tuple[Callable[[str], "Backend"], tuple[str]] | None = None  # set by the registry
    xp: Any

    @property
    @abstractmethod
    def version(self) -> str:
        """The version of the array library."""

    @abstractmethod
    def from_numpy(self, tree: Tree) -> Tree:
        """Return the tree with each NumPy leaf as an array of this backend, on its device.

        Shape and dtype are kept. Memory may be shared: who changes the NumPy array afterwards may
        change the other.

        Raises:
            PrecisionError: the dtype cannot be had here, or not outside ``precision("float64")``.
        """

    @abstractmethod
    def to_numpy(self, tree: Tree) -> Tree:
        """Return the tree with each leaf as a NumPy array of the same shape and dtype.

        Memory may be shared, and the arrays read-only: copy what you want to change.
        """

    @abstractmethod
    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        """Return a new array: ``table`` with ``rows[i]`` added to row ``ids[i]``; duplicates accumulate.

        The standard has no such function, and ``at[ids].add`` of array-api-extra drops duplicates.

        Args:
            table: (n, ...) floats.
            ids: (m,) integers in [0, n).
            rows: (m, ...) floats, rows of the table's shape.
        """

    @abstractmethod
    def jit(self, function: Function, *example: Tree) -> Function:
        """Return ``function`` compiled, or as it is where there is no compiler.

        ``function`` is pure: trees of arrays in, trees of arrays out. With ``example`` arguments it is
        compiled now, for their shapes and dtypes alone, so that a caller can time compilation apart and
        so that a second compilation cannot happen unseen (but NumPy compiles again for arrays whose axes
        are in another order in memory); otherwise at the first call for each set of shapes. A compiled
        function prints no floating-point warnings: who calls it checks the result.
        One that keeps memory between calls has an attribute ``nbytes``, which tells how much.
        """

    @abstractmethod
    def scan(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree
    ) -> tuple[Tree, Tree]:
        """Run ``carry, y = step(carry, x)`` for each ``x`` along the first axis of ``xs``.

        Returns:
            The last carry, and the tree of all ``y`` stacked along a new first axis.

        Raises:
            ValueError: ``xs`` has no leaves, or their first axes differ in length or are empty.
        """

    @abstractmethod
    def sync(self, tree: Tree) -> Tree:
        """Return ``tree`` when the work that makes it is done: timings lie without it."""

    @abstractmethod
    def precision(self, dtype: str) -> AbstractContextManager[None]:
        """Return a context within which arrays of ``dtype``, "float32" or "float64", can be had.

        The standard has no word for it, and JAX makes float64 only where it is asked for.

        Raises:
            PrecisionError: the library or the device has no such numbers.
        """

    def keep_compiled(self, folder: Path) -> None:  # noqa: B027  # most libraries have nothing to keep
        """Keep compiled programs in that folder from one process to the next, if the library can.

        It is a setting of the whole process, for all who use the library in it: for a script to ask for,
        and not for a library. A folder that the library was given elsewhere stays. Where the folder, or
        what is in it, cannot be used, programs are compiled as without it, and nothing is said. Whoever
        may write into the folder can have their code run: it has to be the user's own.

        Args:
            folder: is made where it is missing. It may be deleted at any time.
        """

    def __reduce__(self) -> Any:
        """Return how another process makes the same backend: by its registered name, or its class."""
        return self._remake or (type(self), (self.device,))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(device={self.device!r})"


def scan_length(xs: Tree) -> int:
    """Return the common length of the first axes of ``xs``.

    Raises:
        ValueError: there are no leaves, or their first axes differ in length or are empty.
    """
    lengths = {tuple(leaf.shape[:1]) for leaf in trees.leaves(xs)}
    if len(lengths) != 1 or lengths & {(), (0,)}:
        shapes = [tuple(leaf.shape) for leaf in trees.leaves(xs)]
        raise ValueError(
            f"scan needs arrays to loop over, of one common length above 0, got shapes {shapes}"
        )
    return int(lengths.pop()[0])


def check_precision(name: str, dtype: str) -> None:
    """Raise PrecisionError unless ``dtype`` is "float32" or "float64"."""
    if dtype not in ("float32", "float64"):
        raise PrecisionError(f"backend {name!r} computes in 'float32' or 'float64', got dtype {dtype!r}")
