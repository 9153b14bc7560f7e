"""Recording of a loop, whose body runs once on stand-ins."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backends import tree as trees
from backends.base import HostArray
from backends.numpy_jit.flattening import flatten_carry
from backends.numpy_jit.recording import Loop, Value, check_belongs, examples_of, within
from backends.numpy_jit.scopes import Scope, current_scope
from backends.tree import Tree

Step = Callable[[Tree, Tree], tuple[Tree, Tree]]


def record_scan(step: Step, carry: Tree, xs: Tree, length: int, count: Any = None) -> tuple[Tree, Tree]:
    """Record a loop.

    The first rounds are recorded one by one while they still change the order of the carry's axes in
    memory, because NumPy adds in that order.

    Args:
        step: the body.
        carry: the first carry.
        xs: the arrays that the loop runs over.
        length: their length.
        count: the number of rounds, an integer of shape () of at least 1; None for all. With a
            count, only the first round is recorded on its own: a carry whose order changes again is
            copied into that order, and its last bits may differ from those of the eager backend.

    Raises:
        TypeError: a leaf of the carry is no array, or changes its shape or dtype.
        ValueError: the carry changes its structure.
    """
    check_belongs((carry, xs))
    first_ys: list[Tree] = []
    while length > 1 or (count is not None and first_ys):
        loop = _Body(step, carry, xs)
        if loop.is_settled or (count is not None and first_ys):
            carry, ys = loop.repeat(length, count)
            if first_ys:
                ys = trees.map(_concatenate, ys, *first_ys)
            return carry, ys
        carry, y = _single_round(step, carry, xs)
        first_ys.append(y)
        length, count = length - 1, None if count is None else count - 1
        xs = trees.map(lambda leaf: leaf[1:, ...], xs)
    carry, y = _single_round(step, carry, xs)
    return carry, trees.map(_stack, *first_ys, y)


def _single_round(step: Step, carry: Tree, xs: Tree) -> tuple[Tree, Tree]:
    """Record one round of a loop on its own."""
    trees.map(_check_array, carry)
    after, y = step(carry, trees.map(lambda leaf: leaf[0, ...], xs))
    _check_same_kinds(carry, after)
    return after, y


def _stack(*rounds: Any) -> Any:
    if len(rounds) == 1 and np.ndim(rounds[0]) < 2:
        # A number or a vector has only one order of axes, so `stack` is not needed.
        return np.reshape(rounds[0], (1, *np.shape(rounds[0])))
    return np.stack(rounds)


def _concatenate(later: Any, *first: Any) -> Any:
    return np.concatenate([np.stack(first), later])


class _Body:
    """The body of a loop, recorded.

    Attributes:
        is_settled: whether the carry keeps its order of axes in memory.
    """

    def __init__(self, step: Step, carry: Tree, xs: Tree) -> None:
        self._outer = current_scope()
        self._scope = Scope(self._outer.depth + 1, self._outer, self._outer.values)
        self._init, self._xs = carry, xs
        trees.map(_check_array, carry)
        self._carry_in = trees.map(lambda leaf: Value(examples_of(leaf), self._scope), carry)
        self._x_in = trees.map(lambda leaf: Value(examples_of(leaf)[0, ...], self._scope), xs)
        self._carry_out, self._y_out = within(self._scope, step, self._carry_in, self._x_in)
        _check_same_kinds(self._carry_in, self._carry_out)
        self.is_settled = all(
            _layout(before) == _layout(after)
            for before, after in zip(
                trees.leaves(self._carry_in), trees.leaves(self._carry_out), strict=True
            )
        )

    def repeat(self, length: int, count: Any = None) -> tuple[Tree, Tree]:
        """Record ``length`` rounds of the body; return the last carry, and the stacked ``y``.

        With a count, only so many rounds are run.
        """
        results = trees.map(lambda leaf: Value(leaf.example, self._outer), self._carry_in)
        ys = trees.map(lambda leaf: Value(_stacked(leaf, length), self._outer), self._y_out)
        before = (self._init, self._xs, self._carry_in, self._x_in)
        parts = (*before, self._carry_out, self._y_out, results, ys)
        loop = Loop(self._scope, length, *(trees.leaves(part) for part in parts))
        loop.count = count
        for value in [*loop.results, *loop.ys]:
            value.maker = loop
        flatten_carry(loop, self._outer)
        return results, ys


def _stacked(leaf: Any, length: int) -> HostArray:
    """Return zeros with the shape and order of axes of ``length`` arrays stacked by NumPy."""
    one = np.asarray(examples_of(leaf))
    few = np.stack([one] * min(length, 2))
    order = sorted(range(few.ndim), key=lambda axis: -few.strides[axis])
    shape = (length, *one.shape)
    return np.zeros([shape[axis] for axis in order], one.dtype).transpose(np.argsort(order))


def _layout(leaf: Any) -> tuple[Any, ...]:
    example = examples_of(leaf)
    return isinstance(example, np.generic), example.strides


def _check_array(leaf: Any) -> None:
    if not isinstance(leaf, Value | np.ndarray | np.generic):
        raise TypeError(f"scan: expected a carry of arrays, got {type(leaf).__name__} {leaf!r}")


def _check_same_kinds(before: Tree, after: Tree) -> None:
    # Both ways, as None has no leaf to check.
    trees.map(_check_same_kind, before, after)
    trees.map(lambda after, before: _check_same_kind(before, after), after, before)


def _check_same_kind(before: Any, after: Any) -> None:
    for leaf in (before, after):
        _check_array(leaf)
    if (before.shape, before.dtype) != (after.shape, after.dtype):
        raise TypeError(
            f"scan: the carry enters the body as {before.dtype} {before.shape} and leaves it as "
            f"{after.dtype} {after.shape}; expected the same"
        )
