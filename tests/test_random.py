"""Random numbers: the same bits on every backend, uniform, and independent between streams."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from backends import Backend, get_backend
from multinn import random
from multinn.random import Key, step_words

NUMPY = get_backend("numpy")
SHAPES = [(), (1,), (7,), (0,), (0, 3), (3, 0), (2, 3), (2, 3, 2)]
DRAW = 2**16

seeds = st.integers(0, 2**130) | st.sampled_from([2**32, 2**63, 2**64, 2**128])
first_steps = st.integers(0, 2**40) | st.sampled_from([2**32 - 2, 2**32, 2**53])


def key_on(backend: Backend, seed: int = 0, step: int = 0, path: tuple[int, ...] = ()) -> Key:
    key = Key(backend.from_numpy(step_words(seed, step, 1)[0]))
    for index in path:
        key = random.child(key, index)
    return key


def draw(seed: int = 0, step: int = 0, path: tuple[int, ...] = (), size: int = DRAW) -> np.ndarray:
    """Draw on NumPy, as unsigned numbers."""
    bits: np.ndarray = random.bits(NUMPY, key_on(NUMPY, seed, step, path), (size,))
    return bits.view(np.uint32)


def test_the_keys_of_steps_never_change():
    assert step_words(0, 0, 3).tolist() == [
        [910355543, -829767836],
        [1699398995, -1018093542],
        [-1273876521, -568438634],
    ]
    assert step_words(2**128, 2**40, 1).tolist() == [[-234003907, -462237969]]


def test_the_bits_of_a_key_never_change(backend):
    bits = backend.to_numpy(random.bits(backend, key_on(backend), (4,)))
    assert bits.tolist() == [184814703, 2066597537, 1463179815, -163982539]


def test_the_bits_of_a_child_never_change(backend):
    bits = backend.to_numpy(random.bits(backend, key_on(backend, path=(3,)), (3,)))
    assert bits.tolist() == [207442658, -1776322464, 1186175058]


def test_uniform_numbers_never_change(backend):
    like = backend.from_numpy(np.zeros(1, np.float32))
    numbers = backend.to_numpy(random.uniform(backend, key_on(backend), (3,), like))
    assert numbers.tolist() == [0.043030500411987305, 0.481167197227478, 0.3406730890274048]


@pytest.mark.parametrize("backend", ["jax", "array_api_strict"], indirect=True)
@settings(max_examples=15)
@given(
    seed=seeds,
    step=first_steps,
    path=st.lists(st.integers(0, 99), max_size=3).map(tuple),
    shape=st.sampled_from(SHAPES),
)
def test_draws_are_those_of_numpy_to_the_bit(backend, seed, step, path, shape):
    def draws(backend: Backend, words: np.ndarray) -> tuple[np.ndarray, ...]:
        key = key_on(backend, 0, 0, path)._replace(words=words)
        like = backend.from_numpy(np.zeros(1, np.float32))
        return (
            random.bits(backend, key, shape),
            random.uniform(backend, key, shape, like),
            random.bernoulli(backend, key, 0.3, shape),
        )

    words = step_words(seed, step, 1)[0]
    actual = backend.jit(lambda words: draws(backend, words))(backend.from_numpy(words))
    for ours, numpys in zip(backend.to_numpy(actual), draws(NUMPY, words), strict=True):
        assert ours.shape == shape
        np.testing.assert_array_equal(ours, numpys, strict=True)


def test_uniform_numbers_are_the_same_in_float64(backend):
    with backend.precision("float64"):
        like = backend.from_numpy(np.zeros(1))
        wide = backend.to_numpy(random.uniform(backend, key_on(backend), (1000,), like))
    like = backend.from_numpy(np.zeros(1, np.float32))
    narrow = backend.to_numpy(random.uniform(backend, key_on(backend), (1000,), like))
    assert (wide.dtype, narrow.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(wide, narrow)


def test_uniform_numbers_lie_in_the_unit_interval():
    numbers = random.uniform(NUMPY, key_on(NUMPY), (2**22,), np.zeros(1, np.float32))
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0


def test_shapes_are_filled_in_order(backend):
    flat, square = (
        backend.to_numpy(random.bits(backend, key_on(backend), shape)) for shape in [(6,), (2, 3)]
    )
    np.testing.assert_array_equal(square.ravel(), flat)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("probability", "expected"), [(0.0, False), (1.0, True), (1.0 - 1e-12, True)])
def test_certain_events(backend, probability, expected, shape):
    drawn = backend.to_numpy(random.bernoulli(backend, key_on(backend), probability, shape))
    np.testing.assert_array_equal(drawn, np.full(shape, expected), strict=True)


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.8, 0.999])
def test_events_come_with_their_probability(probability):
    drawn = random.bernoulli(NUMPY, key_on(NUMPY), probability, (DRAW,))
    deviation = math.sqrt(probability * (1.0 - probability) / DRAW)
    assert abs(drawn.mean() - probability) < 4.0 * deviation


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_a_probability_outside_the_unit_interval_raises(probability):
    with pytest.raises(ValueError, match="probability"):
        random.bernoulli(NUMPY, key_on(NUMPY), probability, (2,))


def test_more_numbers_than_the_counter_has_raise(backend):
    with pytest.raises(ValueError, match=r"at most 2³¹ entries, got \(65536, 65536\) with 4294967296"):
        random.bits(backend, key_on(backend), (65536, 65536))


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**128])
@pytest.mark.parametrize("shift", [0, 8, 16, 24])
def test_each_byte_is_uniform(seed, shift):
    counts = np.bincount(draw(seed) >> np.uint32(shift) & np.uint32(255), minlength=256)
    assert 1e-4 < chisquare(counts).pvalue < 1.0 - 1e-4


@pytest.mark.parametrize("lag", [1, 2, 3, 8, 64, 256, 1000])
def test_numbers_of_one_stream_are_uncorrelated(lag):
    numbers = draw(size=2**18) / 2**32 - 0.5
    products = numbers[lag:] * numbers[:-lag]
    assert abs(products.mean()) * 12.0 * math.sqrt(products.size) < 4.0


@pytest.mark.parametrize("bit", range(18))
def test_each_bit_of_the_counter_flips_half_of_the_bits(bit):
    bits, position = draw(size=2**18), np.arange(2**18)
    flips = bits ^ bits[position ^ (1 << bit)]
    by_bit = [(flips >> np.uint32(i) & np.uint32(1)).mean() for i in range(32)]
    assert np.abs(np.array(by_bit) - 0.5).max() < 5.0 * 0.5 / math.sqrt(2**17)


NEIGHBOURS: dict[str, Callable[[int], np.ndarray]] = {
    "seeds": lambda i: draw(seed=i),
    "steps": lambda i: draw(step=i),
    "steps beyond 32 bits": lambda i: draw(step=2**32 - 16 + i),
    "steps 2**32 apart": lambda i: draw(step=i * 2**32),
    "layers": lambda i: draw(path=(i,)),
    "layers of layers": lambda i: draw(path=(5, i)),
    "layers at the same place": lambda i: draw(path=(i, 5)),
}


@pytest.mark.parametrize("stream", NEIGHBOURS.values(), ids=NEIGHBOURS.keys())
def test_neighbouring_streams_are_independent(stream):
    streams = [stream(i) for i in range(32)]
    for one, other in pairwise(streams):
        flipped = np.unpackbits((one ^ other).view(np.uint8)).mean()
        assert abs(flipped - 0.5) < 5.0 * 0.5 / math.sqrt(32 * DRAW)
        correlation = np.mean((one / 2**32 - 0.5) * (other / 2**32 - 0.5)) * 12.0
        assert abs(correlation) < 5.0 / math.sqrt(DRAW)


def test_layers_of_one_step_draw_no_overlapping_numbers():
    """Two sets of 2²⁰ of the 2³² numbers have 256 in common by chance."""
    size = 2**20
    one, other = draw(step=113, path=(9,), size=size), draw(step=113, path=(26,), size=size)
    assert np.intersect1d(one, other).size < 2 * 256


def test_a_child_is_neither_its_parent_nor_its_sibling():
    paths = [(), *((i,) for i in range(200)), *((i, j) for i in range(100) for j in range(20))]
    assert len({draw(path=path, size=3).tobytes() for path in paths}) == len(paths)


@given(seed=seeds, first=first_steps, before=st.integers(0, 9), after=st.integers(0, 9))
def test_a_run_can_be_split_at_any_step(seed, first, before, after):
    whole = step_words(seed, first, before + after)
    parts = [step_words(seed, first, before), step_words(seed, first + before, after)]
    np.testing.assert_array_equal(np.concatenate(parts), whole, strict=True)


def test_no_two_of_many_steps_share_half_a_key():
    keys = np.concatenate([step_words(7, 0, 50_000), step_words(7, 2**32 - 50_000, 50_000)])
    for half in (0, 1):
        assert np.unique(keys[:, half]).size == len(keys)


def test_large_seeds_give_different_keys():
    assert len({step_words(seed, 0, 1).tobytes() for seed in [0, 1, 2**32, 2**63, 2**64, 2**128]}) == 6


def test_a_negative_seed_raises():
    with pytest.raises(ValueError, match="seed: expected at least 0, got -1"):
        step_words(-1, 0, 1)
