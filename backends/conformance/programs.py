"""Checks of `scan` and `jit`."""

import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from backends import tree as trees
from backends.base import Backend
from backends.conformance.arrays import Pair
from backends.conformance.base import NonconformanceError, check, require, require_same
from backends.tree import Tree


def _rich_step(carry: Tree, x: Tree) -> tuple[Tree, Tree]:
    """A step whose carry, x and y are nested trees."""
    total = carry["total"] + x[0]
    scaled = carry["pair"].first * x[1]["scale"]
    y = {"pair": Pair(total, (scaled, None)), "nothing": (), "sum": total + scaled}
    return {"total": total, "pair": Pair(scaled, None)}, y


def _rich_arguments(length: int) -> tuple[Tree, Tree]:
    carry = {"total": np.zeros(2, np.float32), "pair": Pair(np.array(1, np.float32), None)}
    x = np.arange(2 * length, dtype=np.float32).reshape(length, 2) - 1.0
    return carry, (x, {"scale": x[:, 0] + 3.0, "nothing": None})


def _loop(carry: Tree, xs: Tree, length: int) -> tuple[Tree, Tree]:
    """Return the result of `scan`, computed by NumPy."""
    ys = []
    for i in range(length):
        carry, y = _rich_step(carry, trees.map(lambda leaf, i=i: leaf[i], xs))
        ys.append(y)
    return trees.map(np.asarray, carry), trees.map(lambda *parts: np.stack(parts), *ys)


@check("scan", "is a loop over nested trees")
def is_a_loop(backend: Backend) -> None:
    for length in (4, 1):
        carry, xs = _rich_arguments(length)
        got = backend.to_numpy(backend.scan(_rich_step, *backend.from_numpy((carry, xs))))
        expected = _loop(carry, xs, length)
        require_same(got[0], expected[0], f"the last carry of {length} steps")
        require_same(got[1], expected[1], f"the ys of {length} steps")


@check("scan", "is a loop within jit")
def is_a_loop_in_jit(backend: Backend) -> None:
    carry, xs = _rich_arguments(3)
    arguments = backend.from_numpy((carry, xs))
    run = backend.jit(lambda carry, xs: backend.scan(_rich_step, carry, xs), *arguments)
    require_same(backend.to_numpy(run(*arguments)), _loop(carry, xs, 3), "a compiled scan")


@check("scan", "runs only the first rounds as scan_first")
def first_rounds(backend: Backend) -> None:
    for length in (4, 1):
        carry, xs = _rich_arguments(length)
        counts = backend.from_numpy([np.array(i + 1, np.int32) for i in range(length)])
        arguments = backend.from_numpy((carry, xs))
        run = backend.jit(
            lambda carry, xs, count: backend.scan_first(_rich_step, carry, xs, count),
            *arguments,
            counts[0],
        )
        for number, count in enumerate(counts, start=1):
            carry_got, ys = backend.to_numpy(run(*arguments, count))
            expected = _loop(carry, xs, number)
            require_same(carry_got, expected[0], f"the carry after {number} of {length} steps")
            first_ys = trees.map(lambda y, n=number: y[:n], ys)
            require_same(first_ys, expected[1], f"the ys of {number} of {length} steps")
            lengths = {len(y) for y in trees.leaves(ys)}
            require(lengths == {length}, f"ys of length {length}", f"lengths {lengths}")


@check("scan", "works within scan")
def nested(backend: Backend) -> None:
    def cumulative(carry: Any, row: Any) -> tuple[Any, Any]:
        return backend.scan(lambda c, x: (c + x, c + x), carry, row)

    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    arguments = backend.from_numpy((np.array(0, np.float32), x))
    run = backend.jit(lambda carry, xs: backend.scan(cumulative, carry, xs))
    expected = (x.sum(), np.cumsum(x).reshape(3, 4))
    require_same(
        backend.to_numpy(run(*arguments)),
        trees.map(np.asarray, expected),
        "cumulative sums by two loops",
    )


@check("scan", "a step may return None as y")
def no_ys(backend: Backend) -> None:
    arguments = backend.from_numpy((np.array(1, np.float32), np.ones(3, np.float32)))
    carry, ys = backend.scan(lambda carry, x: (carry + x, None), *arguments)
    require_same(backend.to_numpy(carry), np.array(4, np.float32), "the last carry")
    require(ys is None, "None as the ys of a step that returns (carry, None)", repr(ys))


@check("scan", "raises ValueError without a common length above 0")
def no_length(backend: Backend) -> None:
    bad: dict[str, Tree] = {
        "no leaves": {},
        "None as the tree": None,
        "lengths 2 and 3": (np.zeros(2, np.float32), np.zeros(3, np.float32)),
        "length 0": np.zeros((0, 2), np.float32),
        "no axes": np.array(1, np.float32),
    }
    for name, xs in bad.items():
        arguments = backend.from_numpy((np.array(1, np.float32), xs))
        try:
            backend.scan(lambda carry, x: (carry, x), *arguments)
        except ValueError:
            continue
        raise NonconformanceError(f"expected ValueError from scan for xs with {name}, got no error")


def _affine(x: Any, params: Tree) -> Tree:
    return {"y": x @ params["W"] + params["b"], "none": None}


@check("jit", "changes no result, with or without example arguments")
def same_results(backend: Backend) -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    params = {"W": np.ones((2, 2), np.float32), "b": np.array([1, 2], np.float32)}
    arguments = backend.from_numpy((x, params))
    expected = _affine(x, params)
    for what, function in {
        "x @ W + b": _affine,
        "jit(f)(x)": backend.jit(_affine),
        "jit(f, x)(x)": backend.jit(_affine, *arguments),
    }.items():
        require_same(backend.to_numpy(function(*arguments)), expected, what)


@check("jit", "prints no floating-point warnings")
def no_warnings(backend: Backend) -> None:
    xp = backend.xp
    x = backend.from_numpy(np.array([0, -1, 1e30], np.float32))

    def function(x: Any) -> Tree:
        return 1.0 / x, xp.log(x), xp.exp(x), x * x

    with np.errstate(all="ignore"):
        host = np.array([0, -1, 1e30], np.float32)
        expected = (1.0 / host, np.log(host), np.exp(host), host * host)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for compiled in (backend.jit(function), backend.jit(function, x)):
            require_same(backend.to_numpy(compiled(x)), expected, "1 / x, log, exp and x²", 1e-6)


@check("jit", "results outlive the next call")
def results_stay(backend: Backend) -> None:
    def function(x: Any) -> Tree:
        y = backend.xp.sqrt(x) + 1.0
        return {"x": x, "twice": (y, y), "product": backend.xp.maximum(y @ x, 0.0)}

    inputs = [np.full((2, 2), value, np.float32) for value in (1.0, 4.0, 9.0)]
    arguments = [backend.from_numpy(x) for x in inputs]
    compiled = backend.jit(function, arguments[0])
    results = [compiled(x) for x in arguments]
    for x, result in zip(inputs, results, strict=True):
        y = np.sqrt(x) + 1.0
        expected = {"x": x, "twice": (y, y), "product": y @ x}
        require_same(backend.to_numpy(result), expected, "a result after two more calls", 1e-6)


@contextmanager
def frequent_switches() -> Iterator[None]:
    """Let Python switch between threads as often as it can, to expose shared state."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


@check("jit", "a compiled function runs in several threads")
def threads(backend: Backend) -> None:
    def function(x: Any) -> Any:
        for _ in range(10):
            x = backend.xp.tanh(x @ x) + x
        return backend.xp.max(x, axis=0)

    arguments = [backend.from_numpy(np.full((50, 20, 20), 0.01 * i, np.float32)) for i in range(4)]
    compiled = backend.jit(function, arguments[0])
    alone = [backend.to_numpy(compiled(x)) for x in arguments]
    with frequent_switches(), ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: [compiled(x) for _ in range(10)], arguments))
    for results, expected in zip(together, alone, strict=True):
        for result in results:
            require_same(backend.to_numpy(result), expected, "a result beside other threads")
