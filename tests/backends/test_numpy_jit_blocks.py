"""Chains of calls on large arrays, computed by blocks of rows, give the bits of eager NumPy."""

from typing import Any

import numpy as np
import pytest

from backends import threads
from backends.numpy_jit import blocks
from tests.support.compiled_numpy import assert_compiles

GENERATOR = np.random.default_rng(0)
ROWS = 37  # odd, so that the last block is smaller than the others


def draw(*shape: int, dtype: str = "float32") -> Any:
    return (GENERATOR.normal(size=shape) * 2.0).astype(dtype)


def adam(_: Any, p: Any, m: Any, v: Any, g: Any, rate: Any) -> Any:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * (g * g)
    return p - rate * m / (np.sqrt(v) + 1e-8), m, v


def attention(_: Any, q: Any, k: Any, v: Any, w: Any) -> Any:
    scores = (q @ w) @ np.matrix_transpose(k) * 0.3
    scores = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    weights = scores / np.sum(scores, axis=-1, keepdims=True)
    return weights, np.maximum(weights @ v, 0.0)


def list_of_numbers(_: Any, x: Any) -> Any:
    return np.add(x + 1.0, [float(i) for i in range(len(x))]) * 2.0


def where(_: Any, x: Any, y: Any) -> Any:
    z = x + y
    z = np.where(z > 0.0, np.tanh(z), z * 0.1) * np.astype(x > y, x.dtype)
    return z, np.sum(z, axis=(1, 2)), np.sum(z, axis=0)


def other_functions(_: Any, x: Any, y: Any) -> Any:
    z = np.abs(x + y) + 0.5
    return np.log(z) * np.sin(x) + np.exp(-z) / np.sqrt(z) + np.expm1(y) - z**3 + np.log1p(z) ** z


def shifted_rows(_: Any, x: Any) -> Any:
    """Each result may take the memory of what the rows before or after it still need."""
    y = x * 2.0
    up, down = y[1:] + 1.0, y[:-1] - 1.0
    z = up * down + 3.0
    z = np.exp(z[1:] * 0.1) - z[:-1]
    return z * z[::-1] + 1.0, np.flip(z + 1.0, axis=0) * z


def shifted_columns(_: Any, x: Any) -> Any:
    y = x * 2.0
    z = y[:, 1:] + y[:, :-1]
    z = z * z + 1.0
    return np.matrix_transpose(z) * 2.0 + 1.0, z[:, ::2] - z[:, 1::2], z + z[0] - z[:, :1]


def square(_: Any, x: Any) -> Any:
    y = x * 2.0
    z = y + y.T
    return z * y - z.T, z @ y + z


def biases(_: Any, x: Any, b: Any) -> Any:
    b = b * 2.0
    return np.exp((x + 1.0) * b) - b


def rows_and_whole(_: Any, x: Any, y: Any) -> Any:
    x, y = x * 2.0, y * 2.0
    return x + y, (x + 1.0) * x


def zeros(_: Any, x: Any) -> Any:
    x, y = x * 0.0, x * -0.0
    return np.maximum(x, y) + 0.0, np.minimum(x, y), np.fmax(x, y), np.fmin(y, x), np.max(x, axis=1)


def in_a_loop(backend: Any, x: Any, y: Any) -> Any:
    def step(carry: Any, _: Any) -> Any:
        a, b = carry
        a, b = b * 0.5 + a, a - b
        return (np.flip(b, axis=0), np.tanh(a) + b), np.sum(a, axis=1)

    return backend.scan(step, (x, y), np.arange(3))


PROGRAMS: dict[str, Any] = {
    "an optimizer": (adam, *(np.abs(draw(ROWS, 333)) for _ in range(4)), np.float32(0.1)),
    "one vector": (adam, *(np.abs(draw(ROWS * 333, dtype="float64")) for _ in range(4)), np.ones(1)),
    "attention": (attention, *(draw(ROWS, 3, 19, 8) for _ in range(3)), draw(8, 8)),
    "choices": (where, draw(ROWS, 9, 41), draw(ROWS, 9, 41)),
    "repeated rows": (where, draw(ROWS, 9, 41), draw(ROWS, 1, 41)),
    "repeated by all rows": (where, draw(ROWS, 9, 41), draw(1, 9, 1)),
    "by columns": (where, np.asfortranarray(draw(ROWS, 9, 41)), draw(ROWS, 9, 41)),
    "float64": (other_functions, draw(ROWS, 333, dtype="float64"), draw(ROWS, 333, dtype="float64")),
    "float32": (other_functions, draw(ROWS, 333), draw(333)),
    "a list": (list_of_numbers, draw(ROWS * 60)),
    "complex numbers": (adam, *(draw(9, 333) + 1j * draw(9, 333) for _ in range(4)), np.float32(0.1)),
    "shifted rows": (shifted_rows, draw(ROWS, 333)),
    "shifted numbers": (shifted_rows, draw(ROWS * 333)),
    "shifted columns": (shifted_columns, draw(ROWS, 333)),
    "short rows": (biases, draw(ROWS, 2, 20), draw(20)),
    "all pairs of rows": (rows_and_whole, draw(ROWS, 33), draw(ROWS, ROWS, 33)),
    "zeros of both signs": (zeros, draw(ROWS, 333, dtype="float64")),
    "a square": (square, draw(111, 111)),
    "a loop": (in_a_loop, draw(ROWS, 333), draw(ROWS, 333)),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("block", [1, 2**12, 2**14])
@pytest.mark.parametrize("name", PROGRAMS)
def test_blocks_of_rows_give_the_bits_of_eager_numpy(monkeypatch, name, block, count):
    monkeypatch.setattr(threads, "thread_count", lambda: count)
    monkeypatch.setattr(blocks, "_BLOCK", block)
    monkeypatch.setattr(blocks, "_SHARE", block)
    monkeypatch.setattr(blocks, "LARGE", 2**12)
    monkeypatch.setattr(blocks, "_MUCH_WORK", 2**14 if count > 1 else 2**40)
    function, *arguments = PROGRAMS[name]
    assert_compiles(function, tuple(arguments))


def test_an_optimizer_is_one_chain(monkeypatch):
    chains = []
    write = blocks.Chain._write_blocks

    def count(self: Any, calls: Any, *others: Any) -> None:
        chains.append(len(calls))
        write(self, calls, *others)

    monkeypatch.setattr(blocks.Chain, "_write_blocks", count)
    compile_optimizer(draw(10, 333))
    assert chains == []
    compile_optimizer(draw(370, 333))
    assert chains == [12]


def compile_optimizer(x: Any) -> None:
    def step(carry: Any, _: Any) -> Any:
        p, m, v = carry
        return adam(None, p, m, v, p, 0.1), None

    assert_compiles(lambda backend, x: backend.scan(step, (x, x, x * x), np.arange(2)), (x,))
