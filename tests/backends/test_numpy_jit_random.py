"""Compiled NumPy gives the bits of eager NumPy in random programs and loops."""

import math
import operator
import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.compiled_numpy import DTYPES, EAGER, assert_compiles, draw_array

# Each operation of a random program takes operands from a pool of arrays, and adds its result to it.

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
    """Return the seeds of the operations that do not raise and have small results."""
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
    """Return the arguments and all results of a random program."""
    pool = list(inputs)
    for seed in seeds:
        pool.append(operation(seed, pool))
    return pool


@st.composite
def inputs_of_programs(draw: Any) -> list[Any]:
    """Return arrays of few shapes, which fit together, in all dtypes and orders in memory."""
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
    wanted = data.draw(st.integers(0, len(seeds)))  # other results are overwritten

    def function(_: Any, *arrays: Any) -> list[Any]:
        return run_program(list(arrays), seeds)[-wanted - 1 :]

    assert_compiles(function, tuple(inputs))


@settings(max_examples=300)
@given(inputs_of_programs(), SEEDS, st.data())
def test_random_loops_give_the_bits_of_eager_numpy(inputs, seeds, data):
    """The carry is some of the arrays; the next carry is any fitting results of the body."""
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
