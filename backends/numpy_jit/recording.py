"""Recording: a function runs once on stand-ins for arrays, which note each call.

The stand-ins answer NumPy's protocols ``__array_ufunc__`` and ``__array_function__``, so that the
function need not know. A loop (`Backend.scan`) is recorded as one item, whose body ran once.
"""

import operator
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from backends import tree as trees
from backends.tree import Tree

HostArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(eq=False)
class Scope:
    """The whole function (depth 0), or the body of a loop, one deeper than where the loop stands."""

    depth: int


_scope: ContextVar[Scope | None] = ContextVar("scope", default=None)


class Value(NDArrayOperatorsMixin):
    """A stand-in for an array.

    Attributes:
        example: the array of the recorded run, for its shape, dtype and memory layout.
        scope: the innermost scope that it depends on.
        maker: the call or loop that makes it; None for an input of the function or of a loop's body.
    """

    def __init__(self, example: Any, scope: Scope, maker: "Call | Loop | None" = None) -> None:
        self.example: HostArray = np.asarray(example)
        self.scope = scope
        self.maker = maker

    shape = property(lambda self: self.example.shape)
    dtype = property(lambda self: self.example.dtype)
    ndim = property(lambda self: self.example.ndim)
    size = property(lambda self: self.example.size)
    T = property(lambda self: record(np.transpose, self))
    mT = property(lambda self: record(np.matrix_transpose, self))  # noqa: N815

    def __len__(self) -> int:
        return len(self.example)

    def __getitem__(self, index: Any) -> "Value":
        return record(operator.getitem, self, index)

    def __pow__(self, exponent: Any) -> "Value":
        # The operator has shortcuts, such as a square, that the ufunc has not.
        return record(operator.pow, self, exponent)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if "out" in options:
            return NotImplemented
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return record(function, *inputs, **options)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> "Value":
        return record(function, *args, **options)

    def _has_no_numbers(self, *_: Any) -> Any:
        raise TypeError(
            "a function that is being compiled has no numbers yet, so Python cannot branch on an array "
            "or convert it: use xp.where and the like, or the backend 'numpy:eager' to debug"
        )

    __bool__ = __float__ = __int__ = __index__ = __array__ = __iter__ = _has_no_numbers
    __hash__ = object.__hash__


@dataclass(eq=False)
class Call:
    """One call of a pure function on arrays, with `Value` where arrays went in, and its result."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]
    result: Value

    @property
    def inputs(self) -> list[Value]:
        """The values that went in."""
        return values_in((self.args, self.options))


@dataclass(eq=False)
class Loop:
    """A recorded `Backend.scan`.

    Attributes:
        scope: that of the body.
        length: how many rounds.
        init: the first carry, leaf by leaf.
        xs: the arrays that are looped over.
        carry_in: the body's inputs that stand for the carry.
        x_in: the body's inputs that stand for one entry of ``xs``.
        carry_out: the body's results that are the next carry.
        y_out: the body's other results.
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


def record(function: Callable[..., Any], *args: Any, **options: Any) -> Value:
    """Run a pure function on the examples, and return the value that stands for its result."""
    example = function(*examples_of(args), **examples_of(options))
    inputs = values_in((args, options))
    scope = max((value.scope for value in inputs), key=lambda scope: scope.depth)
    result = Value(example, scope)
    result.maker = Call(function, args, options, result)
    return result


def is_recorded(*trees_of_arrays: Tree) -> bool:
    """Tell whether there are stand-ins among the arrays."""
    return any(isinstance(leaf, Value) for leaf in trees.leaves(trees_of_arrays))


def record_function(function: Callable[..., Tree], example: tuple[Tree, ...]) -> tuple[Tree, Tree]:
    """Run a function on stand-ins for the example arguments; return them, and its result."""
    scope = Scope(0)
    arguments = trees.map(lambda leaf: Value(leaf, scope), example)
    token = _scope.set(scope)
    try:
        with np.errstate(all="ignore"):
            return arguments, function(*arguments)
    finally:
        _scope.reset(token)


def record_scan(
    step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, length: int
) -> tuple[Tree, Tree]:
    """Record a loop: run its body once.

    Raises:
        TypeError: the carry changes its shape or dtype from one round to the next.
        ValueError: it changes its structure.
    """
    outer = _scope.get()
    if outer is None:
        raise TypeError("an array of a compiled function is used outside of it: return it instead")
    body = Scope(outer.depth + 1)
    carry_in = trees.map(lambda leaf: Value(np.array(examples_of(leaf)), body), carry)
    x_in = trees.map(lambda leaf: Value(examples_of(leaf)[0, ...], body), xs)
    token = _scope.set(body)
    try:
        carry_out, y_out = step(carry_in, x_in)
    finally:
        _scope.reset(token)
    trees.map(_check_same_kind, carry_in, carry_out)
    results = trees.map(lambda leaf: Value(leaf.example, outer), carry_in)
    ys = trees.map(lambda leaf: Value(_stacked_example(leaf, length), outer), y_out)
    parts = (carry, xs, carry_in, x_in, carry_out, y_out, results, ys)
    loop = Loop(body, length, *(trees.leaves(part) for part in parts))
    for value in [*loop.results, *loop.ys]:
        value.maker = loop
    return results, ys


def values_in(tree: Any) -> list[Value]:
    """Return the stand-ins in nested arguments of a call."""
    return [leaf for leaf in trees.leaves(tree) if isinstance(leaf, Value)]


def examples_of(tree: Any) -> Any:
    """Return nested arguments of a call with each stand-in replaced by its example."""
    return trees.map(lambda leaf: leaf.example if isinstance(leaf, Value) else leaf, tree)


def _stacked_example(leaf: Any, length: int) -> HostArray:
    one = np.asarray(examples_of(leaf))
    return np.zeros((length, *one.shape), one.dtype)


def _check_same_kind(before: Value, after: Any) -> None:
    example = np.asarray(examples_of(after))
    if (before.shape, before.dtype) != (example.shape, example.dtype):
        raise TypeError(
            f"scan: the carry enters the body as {before.dtype} {before.shape} and leaves it as "
            f"{example.dtype} {example.shape}; expected the same"
        )
