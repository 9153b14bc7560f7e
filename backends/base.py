"""The contract between the mathematics and an array library."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from backends import convolution
from backends import tree as trees
from backends.errors import PrecisionError
from backends.tree import Tree
from backends.tree import scan_length as scan_length
from backends.windows import Margins, Pair

Array = Any
HostArray = np.ndarray[Any, np.dtype[Any]]  # a NumPy array on the host
Shape = tuple[int, ...]
Function = Callable[..., Any]
PRECISIONS = ("float32", "float64")


class Backend(ABC):
    """An array library: a namespace of the Array API standard and a few methods that the standard lacks.

    Arithmetic is written against ``xp``, which follows the standard (https://data-apis.org/array-api).
    A backend is constructed as ``SomeBackend(device)``, where ``device`` is the part after the colon in
    ``jax:gpu:1``, or None for the library's default. ``python -m backends.conformance NAME`` checks
    whether a backend keeps this contract.

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

        Shape and dtype are kept. Memory may be shared, so a later write to the NumPy array may change
        the result.

        Raises:
            PrecisionError: the dtype is not available, or only within ``precision("float64")``.
        """

    @abstractmethod
    def to_numpy(self, tree: Tree) -> Tree:
        """Return the tree with each leaf as a NumPy array of the same shape and dtype.

        Memory may be shared, and the arrays may be read-only: copy them before writing.
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

    def convolve(
        self,
        x: Array,
        weights: Array,
        *,
        stride: Pair = (1, 1),
        padding: Margins = ((0, 0), (0, 0)),
        dilation: Pair = (1, 1),
        spread: Pair = (1, 1),
        groups: int = 1,
    ) -> Array:
        """Return y_nhwf = Σ_ijc X_{n, s h + d i, s w + d j, c} W_ijcf, the convolution of images.

        X is x with ``spread`` - 1 rows and columns of zeros between its own, and then padded. With a
        spread, the gradient of a convolution for x is a convolution of dy with the turned kernel.
        The default is a product with copies of all windows. The libraries' own functions are 2 to 5
        times as fast; no composition of the standard's functions reaches them.

        Args:
            x: (batch, height, width, channels) floats; X is no smaller than a window.
            weights: W (kernel height, kernel width, channels / groups, filters), of the same dtype.
            stride: s, for the height and the width.
            padding: ((top, bottom), (left, right)), rows and columns of zeros; a negative number removes
                rows or columns.
            dilation: d, the distance between the places in a window.
            spread: 1, or the distance between neighbors of x in X.
            groups: a divisor of the channels and of the filters, which are divided in order into groups.
                Each group of filters uses only its group of channels.

        Returns:
            (batch, (H - e) // s + 1, (W - e) // s + 1, filters) for X of H by W and e = d (k - 1) + 1.
        """
        return self._convolve(x, weights, stride, padding, dilation, spread, groups)

    def convolve_weights(
        self,
        x: Array,
        dy: Array,
        size: Pair,
        *,
        stride: Pair = (1, 1),
        padding: Margins = ((0, 0), (0, 0)),
        dilation: Pair = (1, 1),
        groups: int = 1,
    ) -> Array:
        """Return dW_ijcf = Σ_nhw X_{n, s h + d i, s w + d j, c} dy_nhwf, for y = convolve(x, W).

        Args:
            x: (batch, height, width, channels) floats.
            dy: the gradient for y, in its shape.
            size: the height and the width of the kernel.
            stride: as in `convolve`.
            padding: as in `convolve`.
            dilation: as in `convolve`.
            groups: as in `convolve`.

        Returns:
            (kernel height, kernel width, channels / groups, filters).
        """
        return self._convolve_weights(x, dy, size, stride, padding, dilation, groups)

    def _convolve(self, x: Array, weights: Array, *options: Any) -> Array:
        """Return `convolve` with all options, in their order."""
        return convolution.convolve(self.xp, x, weights, *options)

    def _convolve_weights(self, x: Array, dy: Array, size: Pair, *options: Any) -> Array:
        """Return `convolve_weights` with all options, in their order."""
        return convolution.convolve_weights(self.xp, x, dy, size, *options)

    @abstractmethod
    def jit(self, function: Function, *example: Tree) -> Function:
        """Return ``function`` compiled, or unchanged if the library has no compiler.

        ``function`` is pure: it takes and returns trees of arrays. With ``example`` arguments it is
        compiled now, for their shapes and dtypes only: the caller can time compilation separately, and
        no later call compiles again (except NumPy, for arrays with another order of axes in memory).
        Without them, the first call for each set of shapes compiles. A compiled function prints no
        floating-point warnings: its caller checks the result. It may take denormal numbers as zeros. If
        it keeps memory between calls, its attribute ``nbytes`` is the size of that memory.
        """

    @abstractmethod
    def scan(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree
    ) -> tuple[Tree, Tree]:
        """Run ``carry, y = step(carry, x)`` for each ``x`` along the first axis of ``xs``.

        Returns:
            The last carry, and the tree of all ``y`` stacked along a new first axis.

        Raises:
            ValueError: ``xs`` has no leaves, or their first axes are empty or differ in length.
        """

    def sum_of_columns(self, x: Array) -> Array:
        """Return the sum along the last axis, which keeps length 1; override it if ``sum`` is slow."""
        return self.xp.sum(x, axis=-1, keepdims=True)

    def scan_first(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, count: Array
    ) -> tuple[Tree, Tree]:
        """Run `scan` along the first ``count`` entries of ``xs`` only, so that one program serves all.

        The default computes all rounds and keeps the first; override it if the library can stop.

        Args:
            step: as in `scan`.
            carry: as in `scan`.
            xs: as in `scan`.
            count: a 32-bit integer of shape (), at least 1 and at most the length of ``xs``.

        Returns:
            The last carry, and the tree of all ``y``, as long as ``xs``; the entries from ``count`` on
            are arbitrary.

        Raises:
            ValueError: as in `scan`.
        """
        xp = self.xp
        indices = xp.arange(scan_length(xs), dtype=xp.int32)

        def selected(carry: Tree, index_and_x: Tree) -> tuple[Tree, Tree]:
            index, x = index_and_x
            after, y = step(carry, x)
            return trees.map(lambda new, old: xp.where(index < count, new, old), after, carry), y

        return self.scan(selected, carry, (indices, xs))

    @abstractmethod
    def sync(self, tree: Tree) -> Tree:
        """Return ``tree`` once it is computed; otherwise timings are misleading."""

    @abstractmethod
    def precision(self, dtype: str) -> AbstractContextManager[None]:
        """Return a context in which arrays of ``dtype``, "float32" or "float64", are available.

        The standard has no such function, and JAX makes float64 only on request.

        Raises:
            PrecisionError: the library or the device lacks that dtype.
        """

    def all_finite(self, tree: Tree) -> Array:
        """Return whether all numbers in a tree of at least one array are finite, as a boolean array."""
        finite = [self.xp.all(self.xp.isfinite(leaf)) for leaf in trees.leaves(tree)]
        return self.xp.all(self.xp.stack(finite))

    def derivative(self, function: Callable[[Tree], Array], at: Tree) -> Tree:
        """Return the gradient of a function as the library itself derives it, or None if it cannot.

        Training never calls this. It is for checks of gradients that were derived by hand.

        Args:
            function: takes a tree like ``at``, and returns an array of shape ().
            at: a tree of floats, where to differentiate.
        """
        return None

    def keep_compiled(self, folder: Path) -> None:  # noqa: B027  # most libraries keep nothing
        """Keep compiled programs in a folder from one process to the next, if the library can.

        The setting applies to the whole process: scripts and the environment variable
        MULTINN_COMPILATION_CACHE may make it, libraries should not. A folder that is already set stays.
        If the folder or its files are unusable, programs are silently compiled as usual. Anyone who can
        write to the folder can have their code run, so it must belong to the user.

        Args:
            folder: created if missing; may be deleted at any time.
        """

    def __reduce__(self) -> Any:
        """Return how to recreate the backend: from its registered name, or its class and device."""
        return self._remake or (type(self), (self.device,))

    def __getstate__(self) -> str:
        """Return the device, for tools that do not use `__reduce__`, such as skops."""
        return self.device

    def __setstate__(self, device: str) -> None:
        self.__init__(device)  # type: ignore[misc]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(device={self.device!r})"


def unknown_precision(name: str, dtype: str) -> PrecisionError:
    """Return the error for a dtype that is not among `PRECISIONS`."""
    return PrecisionError(f"backend {name!r} computes in 'float32' or 'float64', got dtype {dtype!r}")
