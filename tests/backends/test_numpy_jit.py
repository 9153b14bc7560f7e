"""Compiled NumPy gives the bits of eager NumPy, in memory of its own."""

import gc
import math
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import threadpoolctl

from backends import blas_threads, get_backend
from backends.conformance.programs import frequent_switches
from tests.support.compiled_numpy import (
    COMPILED,
    DTYPES,
    ROWS,
    A,
    B,
    assert_compiles,
    assert_same_bits,
    check_scan,
    draw_array,
    xp_sum,
)


class Pair(NamedTuple):
    first: Any
    second: Any


def test_a_sum_of_shifted_arrays_has_the_bits_of_eager_numpy():
    """Padding is -0.0, which does not even change the sign of a zero."""
    parts = np.array([[[-0.0, 0.0, 1.0]], [[0.0, -0.0, 2.0]], [[-0.0, -0.0, 3.0]]], np.float32)

    def function(backend: Any, parts: Any, start: Any) -> Any:
        xp, total = backend.xp, start + start
        for position in range(3):
            zeros = [xp.full((1, n), -0.0, dtype=xp.float32) for n in (position, 2 - position)]
            total = total + xp.concat([zeros[0], parts[position, ...], zeros[1]], axis=1)
        return total, start + total

    for zero in (0.0, -0.0):
        assert_compiles(function, (parts, np.full((1, 5), zero, np.float32)))


@pytest.mark.parametrize("function", [np.arctan2, np.pow])
def test_a_reversed_array_beside_a_repeated_one(function):
    """NumPy has loops of its own for these, with other last bits."""
    for seed in range(5):
        generator = np.random.default_rng(seed)
        column, row = np.exp(draw_array(generator, (2, 1))), draw_array(generator, (1, 2))
        assert_compiles(lambda _, x, y: function(x, y), (column, row[:, ::-1]))


def test_the_counter_of_a_loop_has_a_name_of_its_own():
    def function(backend: Any, x: Any, xs: Any) -> Any:
        x = np.round(x)
        return backend.scan(lambda c, x: (np.round(c) + x, None), x, xs)

    assert_compiles(function, (A, ROWS))


def test_a_sum_with_what_is_joined_along_no_axis():
    def function(backend: Any, x: Any) -> Any:
        zeros = backend.xp.full((1, 2), -0.0)
        return x + backend.xp.concat([zeros, x[:2]], axis=None)

    assert_compiles(function, (np.arange(4.0),))


@pytest.mark.parametrize(
    ("step", "carry"),
    {
        "swap": (lambda xp, c, x: ((c[1], c[0]), c[0] + x), (A, B)),
        "rotate, in trees": (
            lambda xp, c, x: (
                {"a": c["b"], "b": Pair(c["a"] * x, None)} | {"b": c["a"], "a": c["b"]},
                x,
            ),
            {"a": A, "b": B},
        ),
        "unchanged": (lambda xp, c, x: ((c[0], c[1] + x), None), (A, B)),
        "a view of the other": (lambda xp, c, x: ((c[1][:], c[0] * 2 + x), c[0]), (A, B)),
        "reversed": (lambda xp, c, x: ((xp.flip(c[0]), c[1] - x), c[1]), (A, B)),
        "twice the same": (lambda xp, c, x: ((c[0] + x,) * 2, (c[1],) * 2), (A, A)),
        "one leaf unread": (lambda xp, c, x: ((c[1] + 1.0, c[1]), None), (A, A)),
        "read after its update": (lambda xp, c, x: ((c[0] * x, c[1] + c[0]), (c[0], x)), (A, B)),
        "constant": (lambda xp, c, x: ((xp.ones(3, dtype=xp.float32), c[0]), 1.0), (A, B)),
        "a constant array": (lambda xp, c, x: ((np.ones(3, "f"), c[0] + x), c[1]), (A, B)),
        "an entry of the loop": (lambda xp, c, x: ((x, c[0]), x), (A, B)),
        "in place beside a transposed view": (
            lambda xp, c, x: ((c[0] + c[0].T + x[0], c[1]), c[0].T),
            (np.arange(9.0).reshape(3, 3), B),
        ),
        "another order in memory": (
            lambda xp, c, x: ((c[0].T @ c[0] + x, c[1].T), xp.sum(c[1], axis=0)),
            (
                np.asfortranarray(np.eye(3, dtype=np.float32)),
                np.float32(0.1) * np.eye(3, dtype=np.float32),
            ),
        ),
        "no axes, and a power": (lambda xp, c, x: ((c[0] ** 3 * 0.9, c[1]), None), (np.array(0.97), B)),
    }.values(),
)
def test_a_carry_may_be_any_value(step, carry):
    check_scan(step, carry, ROWS)


def test_a_loop_over_a_computed_array_keeps_it_until_the_end():
    def function(backend: Any, x: Any) -> Any:
        entries = x * 2.0

        def step(carry: Any, entry: Any) -> Any:
            shifted = xp_sum(backend, carry + 1.0) + entry
            return shifted * 0.5, (shifted, entry, outer)

        outer = x[0, ...] - 3.0
        return backend.scan(step, entries[0, ...], entries)

    assert_compiles(function, (ROWS,), (ROWS[::-1],), (np.asfortranarray(ROWS),))


def test_nested_loops_share_outer_arrays():
    def function(backend: Any, carry: Any, xs: Any) -> Any:
        def inner(carry: Any, x: Any) -> Any:
            return carry * 0.5 + x + xs[0, ...], carry

        def outer(carry: Any, x: Any) -> Any:
            last, seen = backend.scan(inner, carry, xs + x)
            _, others = backend.scan(inner, carry, seen)
            return last - others[1, ...], (seen, backend.xp.sum(others))

        return backend.scan(outer, carry, xs)

    assert_compiles(function, (A, ROWS), (B, ROWS + 1.0))


def unaligned(array: Any) -> Any:
    """Return a copy whose memory begins at an odd address."""
    copy = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


X = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
Z = X + 1j * X[:, ::-1]
IDS = np.array([0, 2, 1])


UNCOMMON_CALLS: dict[str, Any] = {
    "product of strided arrays": (lambda x: x[:, ::2] @ x[:5, :1], (X,)),
    "product of an unaligned array and its transpose": (lambda x: x.T @ x, (unaligned(X.astype("f8")),)),
    "product of complex numbers": (lambda x, y: x @ y, (Z[:1, :1].copy(), Z[:1])),
    "product of float32 and float64": (lambda x, y: x @ y.T, (X, X.astype("f8"))),
    "product of matrices of matrices": (lambda x, y: x @ y, (X.reshape(8, 8, 10), X[:10])),
    "product of two numbers": (lambda x, y: x @ y, (np.full((1, 1), -1.0), np.zeros((1, 1)))),
    "product with a constant": (lambda x: x @ X.T, (X,)),
    "product along other axes": (
        lambda x, y: np.matmul(x, y, axes=[(1, 0), (0, 1), (0, 1)]),
        (X[:10], X[10:20]),
    ),
    "ufunc with a dtype": (lambda x: np.multiply(x, 0.1, dtype=np.float64), (X,)),
    "number beyond the dtype": (lambda x: x == 2**40, (IDS.astype("i4"),)),
    "list beside an array": (lambda x: np.add(x, [1.0, 2.0, True]), (A,)),
    "constant beside an array in columns": (lambda x, y: np.pow(x.T, y), (X[:4] ** 2, A[:1] ** 2)),
    "reshape by columns": (lambda x: np.reshape(x, (-1,), order="F"), (X,)),
    "reshape by columns, by position": (lambda x: np.reshape(x, (-1,), "F"), (X,)),
    "where of no array": (lambda x, y: np.where(True, x, y), (X, -X)),
    "where of numbers": (lambda x, y: np.where(x, x, y), (IDS, IDS + 1)),
    "where with an integer": (lambda x: np.where(x > 0, x, 200), (np.arange(3, dtype=np.uint8),)),
    "where with floats": (lambda x: np.where(x > 0, 1.0, x), (X,)),
    "concat with a dtype": (lambda x: np.concat([x, x], dtype=np.float64), (X,)),
    "take along no axis": (lambda x, ids: np.take(x, ids, axis=None), (X, IDS)),
    "take of a number": (lambda x, ids: np.take(x, ids, axis=0), (np.array(3.0), IDS * 0)),
    "take of nothing": (lambda x, ids: np.take(x, ids, axis=0), (X[:0], IDS[:0])),
    "take with a mode": (lambda x, ids: np.take(x, ids, mode="wrap"), (A, IDS + 9)),
    "sum with a dtype": (lambda x: np.sum(x, axis=0, dtype=np.float64), (X,)),
    "largest with a minimum": (lambda x: np.max(x, axis=0, initial=9.0), (X,)),
    "sum along an axis by position": (lambda x: np.sum(x, 0), (X,)),
    "sum of each row": (lambda x: np.sum(x, axis=1), (X,)),
    "sums of one zero": (lambda x: np.sum(x, axis=1), (np.full((3, 1), -0.0),)),
    "sums of one integer": (lambda x: np.sum(x, axis=1), (IDS[:, None].astype("i4"),)),
    "sum of reversed rows": (lambda x: np.sum(x[::-1, ::-1], axis=0), (X,)),
    "largest of one row": (lambda x: np.max(x, axis=-1), (X[:, 0].copy(),)),
    "largest of each column": (lambda x: np.max(x, axis=0), (X,)),
}


@pytest.mark.parametrize("name", UNCOMMON_CALLS)
def test_uncommon_calls_give_the_bits_of_eager_numpy(name):
    function, arguments = UNCOMMON_CALLS[name]
    assert_compiles(lambda _, *arrays: function(*arrays), arguments)


@pytest.mark.parametrize("ids", [[0, 2, -1, -4], [[1, 1], [0, 3]], []])
def test_take_counts_negative_ids_from_the_end(ids):
    ids = np.asarray(ids, np.int32)
    assert_compiles(lambda b, x, ids: b.xp.take(x, ids, axis=0), (ROWS, ids))
    assert_compiles(lambda b, x, ids: b.xp.take(x, ids + 0, axis=0), (ROWS, ids))


@pytest.mark.parametrize("wrong", [4, -5])
def test_take_raises_for_ids_out_of_range(wrong):
    def in_a_loop(x: Any, ids: Any) -> Any:
        return COMPILED.scan(lambda c, ids: (c, np.take(x, ids, axis=0)), x, ids)

    ids = np.zeros((2, 3), np.int32)
    compiled = COMPILED.jit(in_a_loop, ROWS, ids)
    ids[1, 2] = wrong
    with pytest.raises(IndexError, match=r"expected indices in \[-4, 4\)"):
        compiled(ROWS, ids)


def test_ids_that_a_loop_does_not_take_may_be_out_of_range():
    def function(backend: Any, x: Any, ids: Any) -> Any:
        def step(carry: Any, ids: Any) -> Any:
            return carry + backend.xp.sum(backend.xp.take(x, ids[:1], axis=0)), None

        return backend.scan(step, x[0, 0], ids)

    assert_compiles(function, (ROWS, np.array([[0, 9], [3, -7]])))


@pytest.mark.parametrize("dtype", DTYPES)
def test_scatter_add_in_a_loop(dtype):
    def function(backend: Any, table: Any, ids: Any) -> Any:
        def step(table: Any, ids: Any) -> Any:
            return backend.scatter_add(table, ids, backend.xp.take(table, ids, axis=0)), table

        return backend.scan(step, table, ids)

    table = np.ones((4, 2), dtype)
    assert_compiles(function, (table, np.array([[0, 0, 3], [1, 0, -1]])))


@pytest.mark.parametrize("number", [math.inf, math.nan, 1e30])
def test_a_scalar_outside_the_integers_is_converted_as_by_numpy(number):
    assert_compiles(lambda b, x: b.xp.astype(x, np.int32), (np.float32(number),))


def test_a_scalar_keeps_the_arithmetic_of_numpys_scalars():
    """NumPy rounds the power of a scalar differently from that of an array."""
    x = np.linspace(0.1, 5.0, 400, dtype=np.float32)

    def function(backend: Any, x: Any) -> Any:
        return backend.scan(
            lambda c, x: (c, (x**3, xp_sum(backend, x) ** 3, np.sum(x) ** 3, 3.0**x)), A, x
        )

    assert_compiles(function, (x,))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_the_larger_of_many_numbers_and_one(dtype):
    special = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan]
    x = np.random.default_rng(0).choice(special[: 4 if dtype == "int32" else 7], (50, 41)).astype(dtype)

    def function(backend: Any, x: Any) -> Any:
        numbers = (0, 1) if dtype == "int32" else special
        return [f(x.T, n) for f in (backend.xp.maximum, backend.xp.minimum) for n in numbers]

    for order in (x, np.asfortranarray(x), x[:, ::2]):
        assert_compiles(function, (order,))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (1,), (), (16, 1), (10,)], ids=str)
def test_constants_that_are_repeated_along_axes(dtype, shape):
    """For a constant exponent of 2, 0.5 or -1, NumPy computes a square, root or reciprocal."""
    x = (np.random.default_rng(0).random((16, 10)) + 0.1).astype(dtype)

    def function(backend: Any, x: Any) -> Any:
        constants = [np.full(shape, number, dtype) for number in (2.0, 0.5, -1.0, 0.0, 3.0)]
        return [(np.power(x + 0.0, c), np.power(c, x), np.maximum(x, c), x - c) for c in constants]

    assert_compiles(function, (x,))


@pytest.mark.parametrize("dtype", [*DTYPES, "uint8"])
def test_the_largest_of_each_of_many_short_rows(dtype):
    special = [0.0, -0.0, 0.0, -0.0, 1.0, -1.0, math.inf, math.nan]
    generator = np.random.default_rng(0)

    def function(backend: Any, x: Any) -> Any:
        xp = backend.xp
        return [f(x, axis=1, keepdims=keep) for f in (xp.max, xp.min) for keep in (False, True)]

    for columns in range(1, 18):
        for rows in (31, 64):
            x = generator.choice(special[: 8 if dtype.startswith("float") else 5], (rows, columns))
            assert_compiles(function, (x.astype(dtype),))
    for columns in (8, 31, 32):  # blocks of rows, of which some have only zeros
        x = generator.choice(special[:2] if columns == 31 else special[2:6], (3, 700, columns))
        assert_compiles(lambda backend, x: backend.xp.max(x, axis=-1, keepdims=True), (x.astype(dtype),))


def test_the_order_in_memory_may_change_between_calls():
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(200, 70)).astype(np.float32) for _ in range(2))
    calls = [(first, first[:1]), (np.asfortranarray(second), second[1:2, :]), (second[::-1], first[3:4])]

    def function(backend: Any, x: Any, row: Any) -> Any:
        y = backend.xp.exp(x - row)
        return backend.xp.sum(y), backend.xp.sum(y, axis=0), backend.xp.mean(y, axis=1), y.T @ x

    assert_compiles(function, *calls)


def test_results_are_new_arrays():
    constant = np.zeros(3)
    function = lambda x: (x, x.T, x[:1, ...], constant, np.float64(2), 3.0)  # noqa: E731
    compiled = COMPILED.jit(function, ROWS)
    argument = ROWS.copy()
    first = compiled(argument)
    for leaf in first[:4]:
        assert not any(np.shares_memory(leaf, other) for other in (argument, constant))
        leaf[...] = -1.0
    assert_same_bits(compiled(argument), function(ROWS))


def test_an_order_of_axes_survives():
    result = COMPILED.jit(lambda x: (x.T, x + 1.0), np.asfortranarray(ROWS))(np.asfortranarray(ROWS))
    assert result[0].flags.c_contiguous
    assert result[1].flags.f_contiguous


def test_keys_with_dots_are_not_confused():
    def function(backend: Any, x: Any) -> Any:
        return {"a.b": x, "a": {"b": x + 1.0}, "0": (None, [x * 2.0])}

    assert_compiles(function, (A,))


def test_no_arguments_and_no_results():
    assert COMPILED.jit(lambda tree: tree, (None, {}))((None, {})) == (None, {})
    assert_same_bits(COMPILED.jit(lambda x: None, A)(A), None)


def test_a_compiled_function_within_another():
    inner = COMPILED.jit(lambda x: np.exp(x) + 1.0, A)
    assert_compiles(lambda backend, x: inner(x * 2.0) * backend.jit(np.tanh)(inner(A)), (A,), (B,))
    assert_compiles(lambda backend, x: backend.jit(np.tanh, x)(x), (A,), (B,))


def test_a_recording_that_fails_leaves_nothing_behind():
    def fails(x: Any) -> Any:
        return COMPILED.scan(lambda c, x: 1 / 0, x, x)

    with pytest.raises(ZeroDivisionError):
        COMPILED.jit(fails, A)
    last, _ = COMPILED.scan(lambda c, x: (c + x, None), np.float32(0), A)
    assert last == 6.0


def test_shapes_and_dtypes_are_known_while_compiling():
    def function(backend: Any, x: Any) -> Any:
        assert (len(x), np.ndim(x), np.shape(x), np.size(x), x.ndim) == (4, 2, (4, 3), 12, 2)
        assert np.result_type(x, 1.0) == x.dtype
        return np.zeros_like(x) + np.ones_like(x[0, ...])

    assert_compiles(function, (ROWS,))
    with pytest.raises(TypeError, match="len"):
        COMPILED.jit(lambda x: len(x[0]), A)
    with pytest.raises(AttributeError, match=r"no attribute 'sum'.*functions of xp"):
        COMPILED.jit(lambda x: x.sum(), A)


def test_the_recording_is_freed():
    example = np.zeros((300, 300), np.float32)
    carry = [np.zeros(3), np.zeros(4)]  # packed into one vector

    def function(x: Any, carry: Any) -> Any:
        total, _ = COMPILED.scan(lambda c, x: (c + np.sum(x * 2.0, axis=0), None), np.sum(x), x)
        return (
            total,
            COMPILED.scan(lambda c, x: ([leaf * 0.5 for leaf in c], None), carry, x),
            np.sum(x, axis=1, keepdims=True),
            np.reshape(x, (-1,))[:1],
            np.max(x[:1, :1], axis=0),
        )

    gc.disable()
    try:
        compiled = COMPILED.jit(function, example, carry)
        are_there = [weakref.ref(array) for array in (example, *carry)]
        del example, carry
        assert all(is_there() is None for is_there in are_there)
        is_there = weakref.ref(compiled)
        del compiled
        assert is_there() is None
    finally:
        gc.enable()


def test_several_threads_may_compile_and_call_at_once():
    def function(x: Any) -> Any:
        return COMPILED.scan(lambda c, x: (np.tanh(c @ c) + x, np.sum(c)), x[0, ...], x)

    inputs = [np.full((20, 60, 60), 0.01 * i, np.float32) for i in range(8)]
    expected = [COMPILED.jit(function, x)(x) for x in inputs]
    shared = COMPILED.jit(function, inputs[0])
    with frequent_switches(), ThreadPoolExecutor(4) as pool:
        for compiled in (shared, lambda x: COMPILED.jit(function, x)(x)):
            results = pool.map(lambda x, call=compiled: [call(x) for _ in range(10)], inputs)
            for several, one in zip(results, expected, strict=True):
                assert_same_bits(several, [one] * 10)


def test_a_long_program_of_many_arguments():
    def function(backend: Any, arrays: Any) -> Any:
        total, kept = arrays[0], []
        for index in range(3000):
            total = total * 0.5 + arrays[index % len(arrays)]
            kept.append(total)
        return total, kept[::50]

    assert_compiles(function, ([A + i for i in range(300)],))


def test_a_function_that_convolves_leaves_the_cores_to_threads_of_its_own():
    """BLAS has one thread meanwhile, compiled and eager: products have the same bits."""
    x = np.random.default_rng(0).normal(size=(300, 9, 9, 3)).astype(np.float32)
    weights = np.ones((3, 3, 3, 4), np.float32)
    seen: list[int] = []

    def run(backend, x, weights):
        y = backend.convolve(x, weights)
        rows = backend.xp.reshape(y, (300, -1))
        seen.append(blas_threads._numpy_blas().num_threads)
        return rows @ rows.T

    results = []
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        for name, examples in (("numpy", (x, weights)), ("numpy", ()), ("numpy:eager", ())):
            backend = get_backend(name)
            compiled = backend.jit(partial(run, backend), *examples)
            results.append(compiled(x, weights))
            if not examples:
                assert seen[-1] == 1
        assert blas_threads._numpy_blas().num_threads == 3
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
