"""The evaluation of a gradient case on a backend, and the error of the result.

Errors are relative and norm-wise: for each array the largest difference, divided by the largest
magnitude in either array, or by `SMALL` if that is larger. The worst array of a tree counts.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from backends import Backend, HostArray, Tree, tree
from multinn.testing.gradient_cases import Case, Evaluation, Point

SMALL = 1e-3


def evaluate(case: Case, backend: Backend, point: Point, dtype: str) -> Evaluation:
    """Return the results of the backend at a point in this dtype, as NumPy arrays."""
    with backend.precision(dtype):
        arguments = backend.from_numpy(_cast(point, dtype))
        result: Evaluation = run_compiled(backend, partial(case.evaluate, backend), arguments)
    return result


def malformed(evaluation: Evaluation, point: Point, dtype: str) -> int:
    """Count arrays that have a wrong shape or dtype, are missing, or differ from their twins."""
    right_forms = {"": ((), dtype)}
    for path, leaf in tree.leaves_with_paths(point.variables):
        right_forms[path] = (leaf.shape, dtype)
    forms = {
        path: (leaf.shape, str(leaf.dtype))
        for path, leaf in [("", evaluation.value), *tree.leaves_with_paths(evaluation.gradients)]
    }
    one, other = (
        {path: leaf.tobytes() for path, leaf in tree.leaves_with_paths(twin)}
        for twin in evaluation.twins
    )
    return _count_differences(right_forms, forms) + _count_differences(one, other)


def tree_error(got: Tree, expected: Tree) -> float:
    """Return the largest `relative_error` of the arrays; infinity where the structures differ."""
    got_leaves = dict(tree.leaves_with_paths(got))
    expected_leaves = dict(tree.leaves_with_paths(expected))
    if got_leaves.keys() != expected_leaves.keys():
        return math.inf
    return max(relative_error(got_leaves[path], leaf) for path, leaf in expected_leaves.items())


def relative_error(got: HostArray, expected: HostArray) -> float:
    """Return max |got - expected| / max(max |got|, max |expected|, SMALL).

    Infinity where the shapes differ, or where either holds NaN or infinity.
    """
    if got.shape != expected.shape or not (np.isfinite(got).all() and np.isfinite(expected).all()):
        return math.inf
    if not got.size:
        return 0.0
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    scale = max(float(np.abs(got).max()), float(np.abs(expected).max()), SMALL)
    return float(np.abs(got - expected).max()) / scale


def run_compiled(backend: Backend, function: Callable[..., Tree], arguments: tuple[Tree, ...]) -> Tree:
    """Compile and call the function, as training does, and return the results as NumPy arrays."""
    return backend.to_numpy(backend.jit(function, *arguments)(*arguments))


def _cast(point: Point, dtype: str) -> Point:
    cast: Point = tree.map(lambda leaf: leaf.astype(dtype) if leaf.dtype.kind == "f" else leaf, point)
    return cast


def _count_differences(one: dict[str, Any], other: dict[str, Any]) -> int:
    return sum(one.get(key) != other.get(key) for key in one.keys() | other.keys())
