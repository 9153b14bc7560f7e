"""Checks of conversion from and to NumPy, of precision, of `scatter_add` and of `all_finite`."""

import math
from typing import Any, NamedTuple

import numpy as np

from backends.base import Backend
from backends.conformance.base import (
    Check,
    NonconformanceError,
    check,
    has_float64,
    require,
    require_same,
)
from backends.errors import PrecisionError


class Pair(NamedTuple):
    """A branch of a tree."""

    first: Any
    second: Any


def _read_only() -> Any:
    return np.frombuffer(np.arange(3, dtype=np.float32).tobytes(), np.float32)


_LEAVES = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "int32": np.array([-(2**31), 0, 2**31 - 1], np.int32),
    "uint8": np.arange(4, dtype=np.uint8),
    "bool": np.array([[True], [False]]),
    "a 0-d array": np.array(1.5, np.float32),
    "a 0-d bool": np.array(True),
    "an empty array": np.zeros((0, 3), np.float32),
    "a transposed array": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "every other entry of an array": np.arange(10, dtype=np.float32)[::2],
    "a reversed array": np.arange(5, dtype=np.int32)[::-1],
    "a broadcast array": np.broadcast_to(np.float32(2), (3, 2)),
    "a read-only array": _read_only(),
}


def _round_trip(kind: str, leaf: Any) -> Check:
    @check("from_numpy", f"{kind} comes back unchanged")
    def run(backend: Backend) -> None:
        require_same(backend.to_numpy(backend.from_numpy(leaf)), leaf, "to_numpy(from_numpy(x))")

    return run


ROUND_TRIPS = [_round_trip(kind, leaf) for kind, leaf in _LEAVES.items()]


@check("from_numpy", "a tree keeps its structure")
def structure(backend: Backend) -> None:
    values = {"a": (_LEAVES["float32"], None), "b": [Pair(_LEAVES["bool"], {})]}
    require_same(backend.to_numpy(backend.from_numpy(values)), values, "to_numpy(from_numpy(tree))")


@check("from_numpy", "to_numpy takes views of arrays")
def views(backend: Backend) -> None:
    host = np.arange(12, dtype=np.float32).reshape(3, 4)
    x = backend.from_numpy(host)
    got = (x.T, x[:, 1], x[::2, ...], backend.xp.flip(x, axis=0))
    expected = (host.T, host[:, 1], host[::2], host[::-1])
    require_same(backend.to_numpy(got), expected, "x.T, x[:, 1], x[::2, ...] and flip(x)")


@check("precision", "64-bit numbers are kept, or PrecisionError is raised")
def no_narrowing(backend: Backend) -> None:
    for dtype in ("float64", "int64"):
        leaf = np.array([2**40 + 1, -3], dtype)
        try:
            came = backend.to_numpy(backend.from_numpy(leaf))
        except PrecisionError:
            continue
        require_same(came, leaf, f"{dtype} outside precision('float64')")


@check("precision", "float32 is always available")
def single(backend: Backend) -> None:
    with backend.precision("float32"):
        came = backend.to_numpy(backend.from_numpy(np.ones(2, np.float32)) * 2.0)
    require_same(came, np.array([2, 2], np.float32), "2.0 * x within precision('float32')")


@check("precision", "float64 computes in float64, or PrecisionError is raised")
def double(backend: Backend) -> None:
    if not has_float64(backend):
        return
    leaf = np.array([1.0, 1e-15])
    with backend.precision("float64"):
        came = backend.to_numpy(backend.jit(backend.xp.sum)(backend.from_numpy(leaf)))
        whole = backend.to_numpy(backend.from_numpy(np.array([2**40 + 1], np.int64)))
    require_same(came, np.array(1.0 + 1e-15), "1 + 1e-15 within precision('float64')")
    require_same(whole, np.array([2**40 + 1], np.int64), "an int64 within precision('float64')")


@check("precision", "float32 stays float32 beside float64")
def beside(backend: Backend) -> None:
    if not has_float64(backend):
        return
    with backend.precision("float64"):
        x = backend.from_numpy(np.ones(3, np.float32))
        came = backend.to_numpy(2.0 * backend.xp.exp(x - 1.0))
    require_same(came, np.full(3, 2, np.float32), "2.0 * exp(x - 1.0) within precision('float64')")


@check("precision", "any other dtype raises PrecisionError")
def others(backend: Backend) -> None:
    for dtype in ("float16", "bfloat16", "int32", "double", ""):
        try:
            backend.precision(dtype)
        except PrecisionError:
            continue
        raise NonconformanceError(f"expected PrecisionError from precision({dtype!r}), got no error")


def _scatter(backend: Backend, table: Any, ids: list[int], rows: Any) -> tuple[Any, Any]:
    """Return the result of `scatter_add`, and NumPy's."""
    expected = table.copy()
    np.add.at(expected, np.array(ids, np.int64), rows)
    arguments = backend.from_numpy((table, np.array(ids, np.int32), rows))
    return backend.to_numpy(backend.scatter_add(*arguments)), expected


@check("scatter_add", "duplicate ids accumulate")
def duplicates(backend: Backend) -> None:
    rows = np.array([[1], [2], [4], [8]], np.float32)
    require_same(
        *_scatter(backend, np.zeros((3, 1), np.float32), [2, 0, 2, 2], rows),
        "rows 1, 2, 4, 8 added to the rows 2, 0, 2, 2 of zeros",
    )


@check("scatter_add", "rows may have any shape")
def row_shapes(backend: Backend) -> None:
    for shape in [(), (3,), (2, 3)]:
        table, rows = np.ones((2, *shape), np.float32), np.ones((3, *shape), np.float32)
        require_same(*_scatter(backend, table, [1, 1, 0], rows), f"rows of shape {shape}")


@check("scatter_add", "no ids change nothing")
def no_ids(backend: Backend) -> None:
    table = np.ones((2, 3), np.float32)
    require_same(*_scatter(backend, table, [], np.zeros((0, 3), np.float32)), "no ids")


@check("scatter_add", "the table is unchanged")
def table_stays(backend: Backend) -> None:
    table = np.zeros((2, 1), np.float32)
    own, ids, rows = backend.from_numpy((table, np.zeros(1, np.int32), np.ones((1, 1), np.float32)))
    backend.scatter_add(own, ids, rows)
    require_same(backend.to_numpy(own), np.zeros((2, 1), np.float32), "the table after scatter_add")


@check("scatter_add", "works within jit, in float32 and float64")
def scatter_in_jit(backend: Backend) -> None:
    for dtype in ["float32", "float64"] if has_float64(backend) else ["float32"]:
        with backend.precision(dtype):
            arguments = backend.from_numpy(
                (np.zeros((2, 1), dtype), np.array([1, 1], np.int32), np.ones((2, 1), dtype))
            )
            came = backend.to_numpy(backend.jit(backend.scatter_add, *arguments)(*arguments))
        require_same(came, np.array([[0], [2]], dtype), "a compiled scatter_add")


@check("all_finite", "finds infinity and NaN in any array, and nothing else")
def all_finite(backend: Backend) -> None:
    rest = {"large": np.full((2, 3), 3e38, np.float32), "integers": np.array([2**31 - 1], np.int32)}
    for number in (-3e38, 0.0, math.inf, -math.inf, math.nan):
        own = backend.from_numpy((rest, np.array([1.0, number], np.float32)))
        came = bool(backend.to_numpy(backend.jit(backend.all_finite, own)(own)))
        require(came == math.isfinite(number), f"{not came} from all_finite with {number}", f"{came}")


@check("sum_of_columns", "the last axis keeps length 1")
def columns(backend: Backend) -> None:
    for shape in [(4,), (2, 3), (2, 3, 4), (0, 3), (2, 0)]:
        x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        came = backend.to_numpy(backend.sum_of_columns(backend.from_numpy(x)))
        require_same(came, x.sum(axis=-1, keepdims=True), f"the columns of {shape}")


@check("from_numpy", "the NumPy array is unchanged")
def host_stays(backend: Backend) -> None:
    host = np.ones(3, np.float32)
    x = backend.from_numpy(host)
    backend.to_numpy(backend.jit(lambda x: x * 2.0 + 1.0)(x))
    require(bool((host == 1.0).all()), "the NumPy array unchanged by arithmetic", host.tolist())
