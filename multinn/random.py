"""Random numbers that are the same bits on every backend.

A counter-based generator: word i of a stream is a hash of i and of a key, in int32 arithmetic that
wraps around, which all array libraries agree on to the bit. The hash is the 32-bit finalizer
"lowbias32" of C. Wellons (Prospecting for Hash Functions, 2018; constants from there), applied twice,
with one word of the key before each. It serves masks and noise, not cryptography.
"""

from typing import Any, NamedTuple

import numpy as np

from backends import Array, Backend

_MULTIPLIERS = (0x7FEB352D, 0x846CA68B - 2**32)
_SHIFTS = (16, 15, 16)
_MULTIPLIER_64 = 0xBF58476D1CE4E5B9  # of G. Steele et al., Fast splittable pseudorandom generators, 2014


class Key(NamedTuple):
    """The name of one stream of random numbers.

    Attributes:
        words: (2,) int32 array of the backend, such as one row of `step_words`.
        path: which consumer within the step, such as (2, 0) for the first part of the third layer.
    """

    words: Array
    path: tuple[int, ...] = ()


def step_words(seed: int, first_step: int, steps: int) -> "np.ndarray[Any, np.dtype[np.int32]]":
    """Return the words of the keys of some consecutive training steps, on the host.

    Row i depends on ``seed`` and ``first_step + i`` alone, so that a run can be cut anywhere.

    Args:
        seed: 0 or more.
        first_step: 0 or more.
        steps: how many rows.

    Returns:
        (steps, 2) int32.

    >>> step_words(0, 0, 3)[1:].tolist() == step_words(0, 1, 2).tolist()
    True
    """
    index = np.arange(first_step, first_step + steps, dtype=np.uint64)
    low, high = (_to_int32(index & 0xFFFFFFFF), _to_int32(index >> np.uint64(32)))
    columns = []
    for lane in np.random.SeedSequence(seed).generate_state(2).astype(np.int32):
        columns.append(_mix(np, _mix(np, low ^ lane) + (high ^ ~lane)))
    return np.stack(columns, axis=1)


def child(key: Key, index: int) -> Key:
    """Return the key of the ``index``-th consumer below this one, such as a layer of a model."""
    return Key(key.words, (*key.path, index))


def bits(backend: Backend, key: Key, shape: tuple[int, ...]) -> Array:
    """Return an array of that shape of uniformly distributed int32, all 32 bits random."""
    xp = backend.xp
    size = 1
    for length in shape:
        size *= length
    if size > 2**31:
        raise ValueError(f"one draw gives at most 2³¹ random numbers, shape {shape} asks for {size}")
    counter = xp.arange(size, dtype=xp.int32)
    first, second = _path_words(key.path)
    words = _mix(xp, counter + (key.words[:1] ^ first))
    return xp.reshape(_mix(xp, words ^ (key.words[1:] ^ second)), shape)


def uniform(backend: Backend, key: Key, shape: tuple[int, ...], like: Array) -> Array:
    """Return uniform numbers in [0, 1), multiples of 2⁻²⁴, in the dtype of ``like``."""
    xp = backend.xp
    top_bits = _shift_right(xp, bits(backend, key, shape), 8)
    return xp.astype(top_bits, like.dtype) * 2.0**-24


def bernoulli(backend: Backend, key: Key, probability: float, shape: tuple[int, ...]) -> Array:
    """Return booleans, each True with that probability, to within 2⁻³¹.

    Raises:
        ValueError: the probability is outside [0, 1].
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"bernoulli: expected a probability in [0, 1], got {probability}")
    threshold = round(probability * 2**31)
    if threshold >= 2**31:
        return backend.xp.ones(shape, dtype=backend.xp.bool)
    return _shift_right(backend.xp, bits(backend, key, shape), 1) < threshold


def _path_words(path: tuple[int, ...]) -> tuple[int, int]:
    """Return two words of 31 bits: plain integers on the host, which cost a compiled step nothing.

    Both words of the key take part: a path in the first alone would shift the counter, and two
    layers would draw from overlapping stretches.
    """
    state = 0
    for index in path:
        state = (state ^ (index + 1)) * _MULTIPLIER_64 & (2**64 - 1)
        state ^= state >> 29
    return state & 0x7FFFFFFF, state >> 33


def _mix(xp: Any, x: Array) -> Array:
    """Scramble each int32: a bijection in which each input bit flips about half of the output bits."""
    for shift, multiplier in zip(_SHIFTS, _MULTIPLIERS, strict=False):
        x = (x ^ _shift_right(xp, x, shift)) * multiplier
    return x ^ _shift_right(xp, x, _SHIFTS[-1])


def _shift_right(xp: Any, x: Array, by: int) -> Array:
    """Shift int32 right and fill with zeros: the standard's shift repeats the sign."""
    return xp.bitwise_right_shift(x, by) & (2 ** (32 - by) - 1)


def _to_int32(x: "np.ndarray[Any, Any]") -> "np.ndarray[Any, np.dtype[np.int32]]":
    return x.astype(np.uint32).view(np.int32)
