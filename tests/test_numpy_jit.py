"""The compiler for NumPy gives the bits of eager NumPy, and keeps its memory to itself."""

import gc
import math
import operator
import random
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import Tree, tree
from backends.numpy_backend import NumpyBackend

COMPILED, EAGER = NumpyBackend(), NumpyBackend("eager")
DTYPES = ("float32", "float64", "int32", "int64", "bool")


class Pair(NamedTuple):
    first: Any
    second: Any


def draw_array(
    generator: np.random.Generator, shape: tuple[int, ...], dtype: str = "float32", order: str = "C"
) -> Any:
    """Return numbers of about 1 to 5, in an order in memory: "C", "F", "strided" or "reversed"."""
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
    """Compare the leaves byte by byte, and the structures.

    Only the sign of a NaN may differ: NumPy itself has several, one with and one without SIMD.
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
    """Compile for the first call; compare all of them with the eager path, the results kept."""

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
    """Compare a loop of a compiled function with the eager one."""

    def run(backend: NumpyBackend, carry: Tree, xs: Tree) -> Tree:
        return backend.scan(lambda carry, x: step(backend.xp, carry, x), carry, xs)

    changed = tree.map(lambda leaf: leaf + leaf, (carry, xs))
    assert_compiles(run, (carry, xs), changed)


# Random programs: each operation takes operands from a pool of arrays, and adds its result to the pool.

NUMBERS = [0, 1, -1, 2, 7, 2**31 - 1, 0.0, -0.0, 0.5, 3.0, 1e300, math.pi, math.inf, math.nan, True]
PARTS = [
    slice(None),
    slice(1, None),
    slice(None, None, -1),
    slice(None, None, 2),
    None,
    ...,
    0,
    -1,
    [0, 0],
]
UNARY = (np.exp, np.tanh, np.abs, np.negative, np.sqrt, np.logical_not, np.sign, np.square, np.floor)
BINARY = (
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.mod, np.pow),
    *(operator.lt, operator.eq, operator.and_, operator.xor, np.maximum, np.arctan2, operator.floordiv),
)
WITH_NUMBER = (
    *BINARY,
    operator.pow,
    operator.ge,
    np.minimum,
    np.bitwise_right_shift,
    np.bitwise_left_shift,
)
PRODUCTS = (np.matmul, np.vecdot, lambda x, y: x @ y.T, lambda x, y: np.matmul(x.T, y))
REDUCTIONS = (np.sum, np.sum, np.max, np.min, np.mean, np.any, np.all, np.prod, np.std)
RESHAPING = (
    lambda r, x: x.T,
    lambda r, x: np.reshape(x, (-1,)),
    lambda r, x: np.reshape(x, x.shape[::-1]),
    lambda r, x: np.permute_dims(x, r.sample(range(x.ndim), x.ndim)),
    lambda r, x: np.expand_dims(x, axis=r.randint(0, x.ndim)),
    lambda r, x: np.squeeze(x),
    lambda r, x: np.broadcast_to(x, (2, *x.shape)),
    lambda r, x: np.astype(x, r.choice(DTYPES)),
    lambda r, x: np.astype(x, x.dtype, copy=False),
    lambda r, x: np.flip(x),
    lambda r, x: np.argmax(x, axis=r.randint(-x.ndim, x.ndim)),
    lambda r, x: np.cumulative_sum(x, axis=r.randint(-x.ndim, x.ndim)),
    lambda r, x: np.take(x, np.array([0, -1, 0]), axis=r.randint(-x.ndim, x.ndim)),
    lambda r, x: np.unstack(x)[-1],
    lambda r, x: x[r.choice(PARTS)],
    lambda r, x: x[tuple(r.choices(PARTS, k=2))],
)
SEVERAL = (
    lambda r, x, y, z: np.where(x, y, z),
    lambda r, x, y, z: np.where(x > y, y, z),
    lambda r, x, y, z: np.where(x > 0, y, r.choice(NUMBERS)),
    lambda r, x, y, z: np.where(x > 0, r.choice(NUMBERS), y),
    lambda r, x, y, z: np.concat([x, y], axis=r.choice([0, -1, None])),
    lambda r, x, y, z: np.stack([x, y, x], axis=r.choice([0, 1, -1])),
    lambda r, x, y, z: x + padded(y, x.shape, r.randrange(x.ndim), r),
    lambda r, x, y, z: padded(x[1:-1], x.shape, 0, r) + padded(y, x.shape, r.randrange(x.ndim), r),
    lambda r, x, y, z: np.take(x, np.astype(np.reshape(y, (-1,)) > 0, np.int64), axis=0),
    lambda r, x, y, z: np.clip(x, y, z),
    lambda r, x, y, z: divmod(x, y)[1],
    lambda r, x, y, z: np.broadcast_arrays(x, y)[1],
    lambda r, x, y, z: x[np.argmax(y) % x.shape[0], ...],
    lambda r, x, y, z: x[np.astype(np.reshape(y, (-1,)) > 0, np.int64)],
)


def padded(part: Any, shape: tuple[int, ...], axis: int, r: random.Random) -> Any:
    """Return the first rows of an array between negative zeros, which may be added without a trace."""
    part = part[(slice(None),) * axis + (slice(r.randint(0, 3)),)]
    before = r.randint(0, max(0, shape[axis] - part.shape[axis]))
    sizes = (before, shape[axis] - part.shape[axis] - before)
    zero = r.choice([-0.0, -0.0, -0.0, 0.0])
    zeros = [np.full((*shape[:axis], n, *shape[axis + 1 :]), zero, part.dtype) for n in sizes]
    return np.concat([zeros[0], part, zeros[1]], axis=axis)


def operation(seed: int, pool: list[Any]) -> Any:
    """Apply a random operation to random arrays of the pool."""
    r = random.Random(seed)
    x, y, z = r.choices(pool, k=3)
    kind = r.randrange(8)
    if kind == 0:
        return r.choice(UNARY)(x)
    if kind in (1, 2):
        return r.choice(BINARY)(x, y)
    if kind == 3:
        pair = (x, r.choice(NUMBERS))
        return r.choice(WITH_NUMBER)(*(pair if r.random() < 0.7 else pair[::-1]))
    if kind == 4:
        return r.choice(PRODUCTS)(x, y)
    if kind == 5:
        axes = [
            None,
            *range(-x.ndim, x.ndim),
            *[(axis,) for axis in range(x.ndim)],
            tuple(range(x.ndim)),
        ]
        return r.choice(REDUCTIONS)(x, axis=r.choice(axes), keepdims=r.random() < 0.5)
    return r.choice(RESHAPING)(r, x) if kind == 6 else r.choice(SEVERAL)(r, x, y, z)


def possible_operations(inputs: list[Any], seeds: list[int]) -> list[int]:
    """Return the seeds of those operations that NumPy does not refuse, nor answer with much."""
    pool, possible = list(inputs), []
    with np.errstate(all="ignore"):
        for seed in seeds:
            try:
                result = operation(seed, pool)
            except (TypeError, ValueError, IndexError, ArithmeticError, AttributeError, Warning):
                continue
            if np.size(result) < 10_000 and np.ndim(result) < 5:
                pool.append(result)
                possible.append(seed)
    return possible


def run_program(inputs: list[Any], seeds: list[int]) -> list[Any]:
    """Return all arrays that a random program makes."""
    pool = list(inputs)
    for seed in seeds:
        pool.append(operation(seed, pool))
    return pool


@st.composite
def inputs_of_programs(draw: Any) -> list[Any]:
    """Return some arrays of few shapes, so that they go together, in all dtypes and orders."""
    n, m = draw(st.sampled_from([(3, 3), (1, 4), (5, 2), (20, 17), (3, 1), (0, 2), (1, 1)]))
    shapes = st.sampled_from([(n, m), (n, m), (m, n), (m,), (n, 1), (2, n, m), ()])
    orders = st.sampled_from(["C", "C", "F", "strided", "reversed"])
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(st.lists(st.tuples(shapes, st.sampled_from(DTYPES), orders), min_size=1, max_size=4))
    return [draw_array(generator, *kind) for kind in kinds]


SEEDS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=25)


@settings(max_examples=500)
@given(inputs_of_programs(), SEEDS, st.data())
def test_random_programs_give_the_bits_of_eager_numpy(inputs, seeds, data):
    seeds = possible_operations(inputs, seeds)
    wanted = data.draw(st.integers(0, len(seeds)))  # what is not wanted is worked on in place

    def function(_: Any, *arrays: Any) -> list[Any]:
        return run_program(list(arrays), seeds)[-wanted - 1 :]

    assert_compiles(function, tuple(inputs))


def test_a_sum_of_shifted_arrays_is_that_of_eager_numpy():
    """Where a negative zero is padded, not even the sign of a zero changes."""
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
def test_what_runs_backwards_beside_what_is_repeated(function):
    """For which NumPy has loops of its own, with other last bits."""
    for seed in range(5):
        generator = np.random.default_rng(seed)
        column, row = np.exp(draw_array(generator, (2, 1))), draw_array(generator, (1, 2))
        assert_compiles(lambda _, x, y: function(x, y), (column, row[:, ::-1]))


def test_a_counter_has_a_name_of_its_own():
    def function(backend: Any, x: Any, xs: Any) -> Any:
        x = np.round(x)
        return backend.scan(lambda c, x: (np.round(c) + x, None), x, xs)

    assert_compiles(function, (A, ROWS))


def test_a_sum_with_what_is_joined_along_no_axis():
    def function(backend: Any, x: Any) -> Any:
        zeros = backend.xp.full((1, 2), -0.0)
        return x + backend.xp.concat([zeros, x[:2]], axis=None)

    assert_compiles(function, (np.arange(4.0),))


@settings(max_examples=300)
@given(inputs_of_programs(), SEEDS, st.data())
def test_random_loops_give_the_bits_of_eager_numpy(inputs, seeds, data):
    """The carry is some of the arrays, the next one any of what the body makes, if it fits."""
    kept = data.draw(st.integers(1, len(inputs)))
    length = data.draw(st.sampled_from([1, 2, 3]))
    xs = [np.stack([leaf] * length) for leaf in inputs[kept:]] + [np.arange(length, dtype=np.int32)]
    start = [*inputs[:kept], *[leaf[0, ...] for leaf in xs]]
    seeds = possible_operations(start, seeds)
    with np.errstate(all="ignore"):
        pool = run_program(start, seeds)
    fitting = [
        data.draw(
            st.sampled_from(
                [i for i, x in enumerate(pool) if (x.shape, x.dtype) == (old.shape, old.dtype)]
            )
        )
        for old in inputs[:kept]
    ]
    wanted = data.draw(st.lists(st.integers(0, len(pool) - 1), max_size=3))
    nested = data.draw(st.booleans())

    def step(carry: Any, x: Any) -> Any:
        pool = run_program([*carry, *x], seeds)
        return [pool[i] for i in fitting], [pool[i] for i in wanted]

    def function(backend: Any, carry: Any, xs: Any) -> Any:
        if not nested:
            return backend.scan(step, carry, xs)
        return backend.scan(lambda carry, x: backend.scan(step, carry, xs), carry, np.zeros(2))

    def still_possible(*arguments: Any) -> bool:
        try:
            EAGER.jit(lambda carry, xs: function(EAGER, carry, xs))(*arguments)
        except (ValueError, IndexError, TypeError):
            return False
        return True

    if still_possible(inputs[:kept], xs):
        assert_compiles(function, (inputs[:kept], xs))


A, B = np.arange(1, 4, dtype=np.float32), np.arange(4, 7, dtype=np.float32)
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


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


def test_loops_over_what_was_computed_keep_it_while_they_run():
    def function(backend: Any, x: Any) -> Any:
        entries = x * 2.0

        def step(carry: Any, entry: Any) -> Any:
            shifted = xp_sum(backend, carry + 1.0) + entry
            return shifted * 0.5, (shifted, entry, outer)

        outer = x[0, ...] - 3.0
        return backend.scan(step, entries[0, ...], entries)

    assert_compiles(function, (ROWS,), (ROWS[::-1],), (np.asfortranarray(ROWS),))


def xp_sum(backend: Any, x: Any) -> Any:
    return backend.xp.sum(x, keepdims=True)


def test_nested_loops_share_what_is_outside():
    def function(backend: Any, carry: Any, xs: Any) -> Any:
        def inner(carry: Any, x: Any) -> Any:
            return carry * 0.5 + x + xs[0, ...], carry

        def outer(carry: Any, x: Any) -> Any:
            last, seen = backend.scan(inner, carry, xs + x)
            _, others = backend.scan(inner, carry, seen)
            return last - others[1, ...], (seen, backend.xp.sum(others))

        return backend.scan(outer, carry, xs)

    assert_compiles(function, (A, ROWS), (B, ROWS + 1.0))


@pytest.mark.parametrize("ids", [[0, 2, -1, -4], [[1, 1], [0, 3]], []])
def test_take_counts_negative_ids_from_the_end(ids):
    ids = np.asarray(ids, np.int32)
    assert_compiles(lambda b, x, ids: b.xp.take(x, ids, axis=0), (ROWS, ids))
    assert_compiles(lambda b, x, ids: b.xp.take(x, ids + 0, axis=0), (ROWS, ids))


@pytest.mark.parametrize("wrong", [4, -5])
def test_take_refuses_ids_out_of_range(wrong):
    def in_a_loop(x: Any, ids: Any) -> Any:
        return COMPILED.scan(lambda c, ids: (c, np.take(x, ids, axis=0)), x, ids)

    ids = np.zeros((2, 3), np.int32)
    compiled = COMPILED.jit(in_a_loop, ROWS, ids)
    ids[1, 2] = wrong
    with pytest.raises(IndexError, match=r"expected indices in \[-4, 4\)"):
        compiled(ROWS, ids)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scatter_add_in_a_loop(dtype):
    def function(backend: Any, table: Any, ids: Any) -> Any:
        def step(table: Any, ids: Any) -> Any:
            return backend.scatter_add(table, ids, backend.xp.take(table, ids, axis=0)), table

        return backend.scan(step, table, ids)

    table = np.ones((4, 2), dtype)
    assert_compiles(function, (table, np.array([[0, 0, 3], [1, 0, -1]])))


@pytest.mark.parametrize("number", [math.inf, math.nan, 1e30])
def test_a_scalar_that_is_no_integer_becomes_one_as_in_numpy(number):
    assert_compiles(lambda b, x: b.xp.astype(x, np.int32), (np.float32(number),))


def test_one_number_has_numpys_own_arithmetic():
    """A power of a NumPy scalar is rounded otherwise than that of an array."""
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
    """NumPy takes a power of one number, 2 or 0.5 or -1, for a square, a root or a reciprocal."""
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


def branch(x: Any) -> Any:
    return x if x[0] > 0 else -x


@pytest.mark.parametrize(
    "function",
    [
        *(branch, lambda x: x * float(x[0]), lambda x: [row + 1 for row in x], lambda x: 1.0 in x),
        *(
            lambda x: f"{x[0]:.2f}",
            lambda x: np.asarray(x),
            lambda x: np.array([x, x]),
            lambda x: round(x),
        ),
        *(
            lambda x: np.allclose(x, x),
            lambda x: range(x[0]),
            lambda x: math.exp(x[0]),
            lambda x: [x].index(A),
        ),
    ],
)
def test_python_cannot_use_numbers_that_are_not_there(function):
    with pytest.raises(TypeError, match=r"no numbers yet.*'numpy:eager'|no numbers yet, so it can call"):
        COMPILED.jit(function, A)


def add_in_place(x: Any) -> Any:
    y = x + 1.0
    y += x
    return y


def assign(x: Any) -> Any:
    x[0] = 1.0
    return x


@pytest.mark.parametrize(
    "function",
    [
        *(add_in_place, assign, lambda x: np.add(x, 1.0, out=np.zeros(3))),
        *(lambda x: np.add.at(x, 0, 1.0), lambda x: np.sum(x, out=np.zeros(()))),
    ],
)
def test_nothing_is_written_in_place(function):
    before = A.copy()
    with pytest.raises(TypeError, match="writes into an array"):
        COMPILED.jit(function, A)
    assert_same_bits(A, before)


@pytest.mark.parametrize("function", [lambda x: np.copyto(x, 0.0), lambda x: np.put(x, [0], [9.0])])
def test_numpy_cannot_write_into_an_argument(function):
    before = A.copy()
    with pytest.raises((ValueError, TypeError)):
        COMPILED.jit(function, A)
    assert_same_bits(A, before)


@pytest.mark.parametrize(
    "function",
    [
        *(lambda x: x[x > 1], np.nonzero, np.unique, lambda x: np.where(x > 1)),
        lambda x: np.repeat(x, np.astype(x, np.int32)),
    ],
)
def test_shapes_cannot_depend_on_numbers(function):
    with pytest.raises(TypeError, match="shape of the result depends on numbers"):
        COMPILED.jit(function, A)


def test_what_is_known_is_known():
    def function(backend: Any, x: Any) -> Any:
        assert (len(x), np.ndim(x), np.shape(x), np.size(x), x.ndim) == (4, 2, (4, 3), 12, 2)
        assert np.result_type(x, 1.0) == x.dtype
        return np.zeros_like(x) + np.ones_like(x[0, ...])

    assert_compiles(function, (ROWS,))
    with pytest.raises(TypeError, match="len"):
        COMPILED.jit(lambda x: len(x[0]), A)
    with pytest.raises(AttributeError, match=r"no attribute 'sum'.*functions of xp"):
        COMPILED.jit(lambda x: x.sum(), A)


def test_an_array_that_escapes_is_refused():
    kept: list[Any] = []
    COMPILED.jit(lambda x: kept.append(x + 1.0), A)
    with pytest.raises(TypeError, match="used outside"):
        COMPILED.jit(lambda x: x + kept[0], A)
    with pytest.raises(TypeError, match="used outside"):
        kept[0] + 1.0

    def leaks(x: Any) -> Any:
        COMPILED.scan(lambda c, x: (c, kept.append(c * x)), x[0, ...], x)
        return kept[-1]

    with pytest.raises(TypeError, match="used outside"):
        COMPILED.jit(leaks, A)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"x": A.astype(np.float64)}, r"argument 0\.x: .*float32 \(3,\), got an array of float64"),
        ({"x": A[:2]}, r"argument 0\.x: .*float32 \(3,\), got an array of float32 \(2,\)"),
        ({"x": None}, r"argument 0\.x: .*, got nothing"),
        ({"x": A, "y": A}, r"argument 0\.y: this function is compiled for nothing"),
        ({"x": 1.0}, r"argument 0\.x: a compiled function takes NumPy arrays of numbers, got float"),
        (A, "argument 0: .*nothing"),
    ],
)
def test_other_arguments_are_refused(argument, message):
    compiled = COMPILED.jit(lambda tree: tree["x"] + 1.0, {"x": A})
    with pytest.raises(TypeError, match=message):
        compiled(argument)


@pytest.mark.parametrize("example", [1.0, 2, np.array([None]), np.ma.array([1.0])])
def test_only_arrays_of_numbers_are_compiled_for(example):
    with pytest.raises(TypeError, match="takes NumPy arrays of numbers"):
        COMPILED.jit(lambda x: x, example)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (lambda c, x: (np.astype(c, np.float64), x), TypeError),
        (lambda c, x: (np.sum(c), x), TypeError),
        (lambda c, x: (1.0, x), TypeError),
        (lambda c, x: (None, x), (TypeError, ValueError)),
        (lambda c, x: ((c, c), x), (TypeError, ValueError)),
    ],
)
def test_a_carry_keeps_its_kind(step, error):
    with pytest.raises(error):
        COMPILED.jit(lambda c, xs: COMPILED.scan(step, c, xs), A, ROWS)


def test_the_recording_is_freed():
    example = np.zeros((300, 300), np.float32)
    carry = [np.zeros(3), np.zeros(4)]  # which become one vector

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

    inputs = [np.full((5, 20, 20), 0.01 * i, np.float32) for i in range(8)]
    expected = [COMPILED.jit(function, x)(x) for x in inputs]
    shared = COMPILED.jit(function, inputs[0])
    with ThreadPoolExecutor(4) as pool:
        for compiled in (shared, lambda x: COMPILED.jit(function, x)(x)):
            for result, one in zip(pool.map(compiled, inputs * 3), expected * 3, strict=True):
                assert_same_bits(result, one)


def test_a_long_program_of_many_arguments():
    def function(backend: Any, arrays: Any) -> Any:
        total, kept = arrays[0], []
        for index in range(3000):
            total = total * 0.5 + arrays[index % len(arrays)]
            kept.append(total)
        return total, kept[::50]

    assert_compiles(function, ([A + i for i in range(300)],))
