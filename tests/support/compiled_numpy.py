"""Comparison of compiled NumPy with eager NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backends import Tree, tree
from backends.numpy_backend import NumpyBackend

COMPILED, EAGER = NumpyBackend(), NumpyBackend("eager")
DTYPES = ("float32", "float64", "int32", "int64", "bool")


def draw_array(
    generator: np.random.Generator, shape: tuple[int, ...], dtype: str = "float32", order: str = "C"
) -> Any:
    """Return normal numbers in an order in memory: "C", "F", "strided" or "reversed"."""
    numbers = generator.normal(size=shape) * 3.0
    array = (numbers > 0) if dtype == "bool" else numbers.astype(dtype)
    if order == "F":
        return np.asfortranarray(array)
    if order == "strided" and shape:
        wide = np.zeros((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]
        wide[...] = array
        return wide
    return array[::-1, ...] if order == "reversed" and shape else array


def assert_same_bits(actual: Tree, expected: Tree) -> None:
    """Compare the structures, and the leaves byte by byte.

    Only the sign of a NaN may differ: in NumPy it depends on SIMD.
    """

    def check(a: Any, e: Any) -> None:
        a, e = np.asarray(a), np.asarray(e)
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        if a.dtype.kind == "f":
            assert (np.isnan(a) == np.isnan(e)).all()
            a, e = np.where(np.isnan(a), 0.0, a), np.where(np.isnan(e), 0.0, e)
        assert a.tobytes() == e.tobytes(), (a, e)

    tree.map(check, actual, expected)
    assert len(tree.leaves(actual)) == len(tree.leaves(expected))


def assert_compiles(function: Callable[..., Tree], *calls: tuple[Tree, ...]) -> None:
    """Compile for the first call, and compare all calls, made twice, with the eager backend."""

    def bound(backend: NumpyBackend) -> Callable[..., Tree]:
        return lambda *arguments: function(backend, *arguments)

    compiled = COMPILED.jit(bound(COMPILED), *calls[0])
    eager = EAGER.jit(bound(EAGER))
    before = [tree.map(np.copy, call) for call in calls]
    results = [compiled(*call) for call in (*calls, *calls)]
    for call, copy, first, second in zip(calls, before, results, results[len(calls) :], strict=False):
        assert_same_bits(call, copy)
        expected = eager(*call)
        assert_same_bits(first, expected)
        assert_same_bits(second, expected)


def check_scan(step: Callable[..., Tree], carry: Tree, xs: Tree) -> None:
    """Compare a loop in a compiled function with the eager loop."""

    def run(backend: NumpyBackend, carry: Tree, xs: Tree) -> Tree:
        return backend.scan(lambda carry, x: step(backend.xp, carry, x), carry, xs)

    changed = tree.map(lambda leaf: leaf + leaf, (carry, xs))
    assert_compiles(run, (carry, xs), changed)


def xp_sum(backend: Any, x: Any) -> Any:
    return backend.xp.sum(x, keepdims=True)


A, B = np.arange(1, 4, dtype=np.float32), np.arange(4, 7, dtype=np.float32)
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
