"""Gradients without the hand derivation: difference quotients, and the derivatives of a library."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from backends import Array, Backend, HostArray, Tree, tree
from multinn.testing.gradient_cases.base import Case, Point
from multinn.testing.gradients import run_compiled

STEP = 2.0**-10
_OFFSETS = (-2.0, -1.0, 1.0, 2.0)


class Slopes(NamedTuple):
    """Slopes of a function along some axes, (axes,) each.

    Attributes:
        central: by central differences.
        left: by differences to the left.
        right: by differences to the right, the same unless there is a kink or a jump.
        value: the value of the function, ().
    """

    central: HostArray
    left: HostArray
    right: HostArray
    value: HostArray


def slopes(case: Case, backend: Backend, point: Point, entries: HostArray, step: float = STEP) -> Slopes:
    """Return slopes with respect to some entries of the variables, in float64.

    With f_k = f(x + k h), f'(x) is
        (f_-2 - 8 f_-1 + 8 f_1 - f_2) / 12h + O(h⁴)         central
        (f_-2 - 4 f_-1 + 3 f_0) / 2h + O(h²)                left
        (-3 f_0 + 4 f_1 - f_2) / 2h + O(h²)                 right
    With h = 2⁻¹⁰, for functions that vary on a scale of 1, truncation and rounding of the central one
    are both about 1e-12, and x + h is exact.
    Source: B. Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, 1988.

    Args:
        case: the function.
        backend: the backend that computes it.
        point: where to differentiate.
        entries: (axes,) indices of the entries in the flattened variables, in the order of
            `tree.leaves`.
        step: h.
    """
    axes = np.concatenate([[0], np.tile(entries, 4)]).astype(np.int32)
    offsets = np.concatenate([[0.0], np.repeat(_OFFSETS, len(entries)) * step])
    middle, *others = _values(case, backend, point, axes, offsets)
    f = np.reshape(others, (4, len(entries)))
    return Slopes(
        ((f[0] - f[3]) + 8.0 * (f[2] - f[1])) / (12.0 * step),
        (3.0 * middle - 4.0 * f[1] + f[0]) / (2.0 * step),
        (4.0 * f[2] - 3.0 * middle - f[3]) / (2.0 * step),
        middle,
    )


def central_differences(case: Case, backend: Backend, point: Point) -> Tree:
    """Return the gradient by central differences in float64, in the structure of the variables."""
    size = sum(leaf.size for leaf in tree.leaves(point.variables))
    central = slopes(case, backend, point, np.arange(size)).central
    return unflatten(np, central, point.variables)


def derivative(case: Case, backend: Backend, point: Point) -> Tree:
    """Return the gradient that the library of a backend derives from the forward pass, in float64.

    None if the library does not differentiate.
    """

    def gradients(variables: Tree, constants: Tree) -> Tree:
        return backend.derivative(partial(_value, case, backend, constants), variables)

    with backend.precision("float64"):
        return run_compiled(backend, gradients, backend.from_numpy(point))


def unflatten(xp: Any, row: Array, like: Tree) -> Tree:
    """Return the numbers of ``row``, in the order of `tree.leaves`, as a tree like ``like``."""
    parts = {}
    start = 0
    for path, leaf in tree.leaves_with_paths(like):
        parts[path] = xp.reshape(row[start : start + leaf.size], leaf.shape)
        start += leaf.size
    return tree.map_with_paths(lambda path, _leaf: parts[path], like)


def _value(case: Case, backend: Backend, constants: Tree, variables: Tree) -> Array:
    return case.value(backend, variables, constants)


def _values(
    case: Case, backend: Backend, point: Point, axes: HostArray, offsets: HostArray
) -> HostArray:
    """Return the values of the function where one entry of the variables is moved by an offset."""
    row = np.concatenate([leaf.reshape(-1) for leaf in tree.leaves(point.variables)])

    def value(carry: Tree, moved: tuple[Array, Array]) -> tuple[Tree, Array]:
        xp = backend.xp
        constants, row, places = carry
        axis, offset = moved
        row = xp.where(places == axis, row + offset, row)
        return carry, case.value(backend, unflatten(xp, row, point.variables), constants)

    carry = (point.constants, row, np.arange(row.size, dtype=np.int32))
    with backend.precision("float64"):
        arguments = backend.from_numpy((carry, (axes, offsets)))
        values: HostArray = run_compiled(backend, partial(backend.scan, value), arguments)[1]
    return values
