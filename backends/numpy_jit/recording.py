"""Recording: a function runs once on stand-ins for arrays, which record each call.

The stand-ins implement NumPy's protocols ``__array_ufunc__`` and ``__array_function__``, so the function
needs no change. A loop (`Backend.scan`) is recorded as one item; its body runs once.
"""

import mmap
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from backends import tree as trees
from backends.base import HostArray
from backends.numpy_jit.scopes import Scope, check_open, entered
from backends.tree import Tree

# The results of these depend on shapes and dtypes only.
_OF_SHAPES_AND_DTYPES = frozenset(
    (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj)
) | frozenset((np.zeros_like, np.ones_like, np.empty_like))
# The shapes of the results of these depend on the numbers.
_OF_UNKNOWN_SHAPE = frozenset(
    (np.nonzero, np.flatnonzero, np.argwhere, np.compress, np.extract, np.trim_zeros, np.bincount)
) | frozenset((np.unique, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values))


class Value(NDArrayOperatorsMixin):
    """A stand-in for an array, or for one of NumPy's scalars.

    Attributes:
        example: the array of the recorded run, read-only, used for its shape, dtype and strides. Large
            results are replaced by zeros.
        scope: the innermost scope that the value depends on.
        maker: the call or loop that computes it; None for an input of the function or of a loop's body.
    """

    def __init__(self, example: Any, scope: Scope) -> None:
        self.example = example if isinstance(example, np.generic) else _read_only(example)
        self.scope = scope
        self.maker: Call | Loop | None = None
        scope.values.append(self)

    shape = property(lambda self: self.example.shape)
    dtype = property(lambda self: self.example.dtype)
    ndim = property(lambda self: self.example.ndim)
    size = property(lambda self: self.example.size)
    device = property(lambda self: self.example.device)
    T = property(lambda self: record(np.transpose, self))
    mT = property(lambda self: record(np.matrix_transpose, self))  # noqa: N815

    def __len__(self) -> int:
        return len(self.example)  # type: ignore[arg-type]  # TypeError if 0-d, as in NumPy

    def __getitem__(self, index: Any) -> "Value":
        parts = index if isinstance(index, tuple) else (index,)
        if any(part.dtype == bool for part in values_in(parts)):
            raise TypeError(_unknown_shape("x[mask]"))
        return record(operator.getitem, self, index)  # type: ignore[no-any-return]

    # The operator has shortcuts that the ufunc lacks, such as a square.
    def __pow__(self, exponent: Any) -> "Value":
        return record(operator.pow, self, exponent)  # type: ignore[no-any-return]

    def __rpow__(self, base: Any) -> "Value":
        return record(operator.pow, base, self)  # type: ignore[no-any-return]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "at":
            raise TypeError(_in_place(f"{ufunc.__name__}.at"))
        return record(ufunc if method == "__call__" else getattr(ufunc, method), *inputs, **options)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        return record(function, *args, **options)

    def __setitem__(self, index: Any, new: Any) -> None:
        raise TypeError(_in_place("x[...] = y"))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"an array in a function that is being compiled has no attribute {name!r}, only those of "
            "the Array API standard: use the functions of xp, or the backend 'numpy:eager' to debug"
        )

    def _raise_no_numbers(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "a function that is being compiled has no numbers yet, so Python cannot branch on an array, "
            "iterate over it, print or convert it: use xp.where and the like, or the backend "
            "'numpy:eager' to debug"
        )

    __bool__ = __float__ = __int__ = __complex__ = __index__ = __array__ = _raise_no_numbers
    __iter__ = __contains__ = __round__ = __format__ = _raise_no_numbers
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<array of {self.dtype} {self.shape} in a function that is being compiled>"


@dataclass(eq=False)
class Call:
    """A recorded call of a pure function.

    Attributes:
        function: the called function.
        args: its arguments by position, with values in place of arrays.
        options: its arguments by name, with values in place of arrays.
        result: the value that stands for its result.
        viewed: the input whose memory the result shows, if there is exactly one.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]
    result: Value
    viewed: Value | None = None

    @property
    def inputs(self) -> list[Value]:
        """The values among the arguments."""
        return values_in((self.args, self.options))


@dataclass(eq=False)
class Loop:
    """A recorded `Backend.scan`.

    Attributes:
        scope: the scope of the body.
        length: the number of rounds.
        init: the leaves of the first carry.
        xs: the arrays that are looped over.
        carry_in: the values of the carry in the body.
        x_in: the values of one entry of ``xs`` in the body.
        carry_out: the values of the next carry in the body.
        y_out: the other results of the body.
        results: the last carry, outside the loop.
        ys: the stacked ``y_out``, outside the loop.
    """

    scope: Scope
    length: int
    init: list[Any]
    xs: list[Any]
    carry_in: list[Value]
    x_in: list[Value]
    carry_out: list[Any]
    y_out: list[Any]
    results: list[Value]
    ys: list[Value]


def record(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Run a pure function on the examples, and return the value that stands for its result.

    A function that returns several arrays is recorded once for each of them.

    Raises:
        TypeError: the function writes into an array; its result is no array, or has a shape that depends
            on the numbers; or an argument belongs to another recording.
    """
    name = getattr(function, "__name__", str(function))
    if any(part is not None for part in trees.leaves(options.get("out"))):
        raise TypeError(_in_place(name))
    if function in _OF_UNKNOWN_SHAPE or (function is np.where and len(args) == 1):
        raise TypeError(_unknown_shape(name))
    if function is np.repeat and is_recorded((args[1:], options)):
        raise TypeError(_unknown_shape(name))
    inputs = values_in((args, options))
    check_belongs(inputs)
    example = _run_on_examples(function, args, options)
    if function in _OF_SHAPES_AND_DTYPES:
        return example
    if isinstance(example, tuple | list):
        parts = [record(partial(_part, function, i), *args, **options) for i in range(len(example))]
        return type(example)(*parts) if hasattr(example, "_fields") else type(example)(parts)
    if not isinstance(example, np.ndarray | np.generic) or example.dtype.hasobject:
        raise TypeError(
            f"{name}: a function that is being compiled has no numbers yet, so it can call only what "
            f"returns arrays of numbers, got {type(example).__name__}"
        )
    viewed = _viewed(inputs, example)
    if viewed is None:
        example = _without_numbers(example)
    result = Value(example, max((value.scope for value in inputs), key=lambda scope: scope.depth))
    result.maker = Call(function, args, options, result, viewed)
    return result


def call(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a pure function of arrays, or record the call if stand-ins are among the arguments."""
    if is_recorded(args, options):
        return record(function, *args, **options)
    return function(*args, **options)


def record_function(
    function: Callable[..., Tree], example: tuple[Tree, ...], scope: Scope
) -> tuple[Tree, Tree]:
    """Run a function on stand-ins for the example arguments; return these and the result."""
    arguments = trees.map(lambda leaf: Value(leaf, scope), example)
    return arguments, within(scope, function, *arguments)


def within(scope: Scope, function: Callable[..., Any], *arguments: Tree) -> Any:
    """Call a function; its recorded calls and its results belong to that scope."""
    with entered(scope):
        results = function(*arguments)
        check_belongs(results)
        return results


def check_belongs(tree: Tree) -> None:
    """Raise TypeError if a stand-in does not belong to the current recording."""
    for value in values_in(tree):
        check_open(value.scope)


def is_recorded(*trees_of_arrays: Tree) -> bool:
    """Return whether there are stand-ins among the arrays."""
    return any(isinstance(leaf, Value) for leaf in trees.leaves(trees_of_arrays))


def values_in(tree: Any) -> list[Value]:
    """Return the stand-ins in nested arguments of a call."""
    return [leaf for leaf in trees.leaves(tree) if isinstance(leaf, Value)]


def examples_of(tree: Any) -> Any:
    """Return nested arguments of a call with each stand-in replaced by its example."""
    return trees.map(lambda leaf: leaf.example if isinstance(leaf, Value) else leaf, tree)


def _in_place(name: str) -> str:
    return f"{name} writes into an array, which a compiled function cannot do: use x = x + y or the like"


def _unknown_shape(name: str) -> str:
    return (
        f"{name}: the shape of the result depends on numbers, which a function that is being compiled "
        "does not have yet: use xp.where and the like"
    )


def _run_on_examples(function: Callable[..., Any], args: Any, options: Any) -> Any:
    try:
        return function(*examples_of(args), **examples_of(options))
    except np.linalg.LinAlgError:  # the zeros of an example are a singular matrix
        return function(*_identities_of(args), **_identities_of(options))


def _identities_of(tree: Any) -> Any:
    """Return nested arguments of a call with each stand-in for a matrix replaced by an identity."""

    def identity(leaf: Any) -> Any:
        if not isinstance(leaf, Value) or leaf.ndim < 2:
            return examples_of(leaf)
        return np.zeros_like(leaf.example) + np.eye(*leaf.shape[-2:], dtype=leaf.dtype)

    return trees.map(identity, tree)


def _viewed(inputs: list[Value], result: Any) -> Value | None:
    """Return the input whose memory an array shows, if there is exactly one."""
    if isinstance(result, np.generic):
        return None
    shared = {value for value in inputs if np.may_share_memory(value.example, result)}
    return shared.pop() if len(shared) == 1 else None


def _part(function: Callable[..., Any], index: int, *args: Any, **options: Any) -> Any:
    """Return one of several results of a function."""
    return function(*args, **options)[index]


def _read_only(example: Any) -> HostArray:
    view = np.asarray(example).view()
    view.flags.writeable = False
    return view


_LARGE = 2**18  # bytes; to replace a smaller array takes longer than it saves


def _without_numbers(array: Any) -> Any:
    """Return zeros with the shape, dtype and strides of a large array; return a small array unchanged.

    The zeros take no memory: until they are written to, all are the operating system's one zero page.
    """
    if not isinstance(array, np.ndarray) or array.nbytes < _LARGE:
        return array
    low, high = np.lib.array_utils.byte_bounds(array)
    private: dict[str, Any] = {}
    if hasattr(mmap, "MAP_PRIVATE"):
        private["flags"] = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    memory = mmap.mmap(-1, high - low, **private)
    return np.ndarray(array.shape, array.dtype, memory, array.ctypes.data - low, array.strides)
