"""The evaluation of a gradient case on a backend, and the error of the result.

Errors are relative and norm-wise: for each array the largest difference, divided by the largest
magnitude in either array, or by `SMALL` if that is larger. The worst array of a tree counts.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from backends import Backend, HostArray, Tree, tree
from multinn.testing.gradient_cases import Case, Evaluation, Point

SMALL = 1e-3

# The largest errors of right gradients, by what they are compared with; in float32, with float64.
# Two backends that are within 5e-6 of NumPy in float64 are within 1e-5 of each other.
TOLERANCES = {"central": 1e-8, "derivative": 1e-9, "backend": 1e-10, "float32": 5e-6}


def evaluate(case: Case, backend: Backend, point: Point, dtype: str) -> Evaluation:
    """Return the results of the backend at a point in this dtype, as NumPy arrays."""
    with backend.precision(dtype):
        arguments = backend.from_numpy(_cast(point, dtype))
        result: Evaluation = run_compiled(backend, partial(case.evaluate, backend), arguments)
    return result


def malformed(evaluation: Evaluation, point: Point, dtype: str) -> int:
    """Count arrays that have a wrong shape or dtype, are missing, or differ from their twins."""
    return len(faults(evaluation, point, dtype))


def faults(evaluation: Evaluation, point: Point, dtype: str) -> list[str]:
    """Describe each array that has a wrong shape or dtype, is missing, or differs from its twin."""
    expected = {"the value": f"{dtype} of shape ()"}
    for path, leaf in tree.leaves_with_paths(point.variables):
        expected[f"the gradient of {path}"] = f"{dtype} of shape {leaf.shape}"
    got = {"the value": f"{evaluation.value.dtype} of shape {evaluation.value.shape}"}
    for path, leaf in tree.leaves_with_paths(evaluation.gradients):
        got[f"the gradient of {path}"] = f"{leaf.dtype} of shape {leaf.shape}"
    one, other = (
        {path: leaf.tobytes() for path, leaf in tree.leaves_with_paths(twin)}
        for twin in evaluation.twins
    )
    return [
        f"{name}: expected {expected.get(name, 'nothing')}, got {got.get(name, 'nothing')}"
        for name in sorted(expected.keys() | got.keys())
        if expected.get(name) != got.get(name)
    ] + [
        f"{path or 'the value'}: expected equal bits from both methods that compute it, got other ones"
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]


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
    return float(entry_errors(got, expected).max(initial=0.0))


def entry_errors(got: HostArray, expected: HostArray) -> HostArray:
    """Return |got - expected| / `scale_of` both for each entry; infinity where that is NaN."""
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        errors = np.abs(got - expected) / scale_of(got, expected)
    return np.where(np.isnan(errors), math.inf, errors)


def scale_of(*arrays: HostArray) -> float:
    """Return the largest magnitude in some arrays, or `SMALL` if that is larger."""
    return max(SMALL, *(float(np.abs(array).max(initial=0.0)) for array in arrays))


def run_compiled(backend: Backend, function: Callable[..., Tree], arguments: tuple[Tree, ...]) -> Tree:
    """Compile and call the function, as training does, and return the results as NumPy arrays."""
    return backend.to_numpy(backend.jit(function, *arguments)(*arguments))


def _cast(point: Point, dtype: str) -> Point:
    cast: Point = tree.map(lambda leaf: leaf.astype(dtype) if leaf.dtype.kind == "f" else leaf, point)
    return cast
