"""Random numbers: the same bits on every backend.

The generator is counter-based: number i of a stream is a hash of i and a key. It computes in wrapping
int32 arithmetic, in which all array libraries agree to the bit. The hash applies the 32-bit finalizer
"lowbias32" of C. Wellons (Prospecting for Hash Functions, 2018; constants from there) twice, and mixes
in one half of the key before each. It is meant for masks and noise, not for cryptography.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from backends import Array, Backend, HostArray, Shape
from multinn.host.checks import check_integers

_MULTIPLIERS = (0x7FEB352D, 0x846CA68B - 2**32)
_SHIFTS = (16, 15, 16)
_MULTIPLIER_64 = 0xBF58476D1CE4E5B9  # of G. Steele et al., Fast splittable pseudorandom generators, 2014


class Key(NamedTuple):
    """The key of one stream of random numbers.

    Attributes:
        words: (2,) int32 array of the backend, the key of a training step: one row of `step_words`.
        path: the position of the consumer, such as (2, 0) for the first part of the third layer.
    """

    words: Array
    path: tuple[int, ...] = ()


def step_words(seed: int, first_step: int, steps: int) -> HostArray:
    """Return the keys of consecutive training steps, on the host.

    Row i depends only on ``seed`` and ``first_step + i``, so a run can be split at any step.

    Args:
        seed: 0 or more.
        first_step: 0 or more.
        steps: the number of rows.

    Returns:
        (steps, 2) int32.

    Raises:
        TypeError, ValueError: an argument is no integer of 0 or more.

    >>> step_words(0, 0, 3)[1:].tolist() == step_words(0, 1, 2).tolist()
    True
    """
    check_integers(minimum=0, seed=seed, first_step=first_step, steps=steps)
    index = np.arange(first_step, first_step + steps, dtype=np.uint64)
    low, high = (_to_int32(index & 0xFFFFFFFF), _to_int32(index >> np.uint64(32)))
    seeds = np.random.SeedSequence(seed).generate_state(2).astype(np.int32)
    return np.stack([_mix(np, _mix(np, low ^ s) + (high ^ ~s)) for s in seeds], axis=1)


def child(key: Key, index: int) -> Key:
    """Return the key of part ``index`` of this consumer, such as a layer of a model."""
    return Key(key.words, (*key.path, index))


def bits(backend: Backend, key: Key, shape: Shape) -> Array:
    """Return int32 numbers of that shape, all 32 bits random.

    Raises:
        ValueError: the shape has more than 2³¹ entries.
    """
    xp = backend.xp
    size = math.prod(shape)
    if size > 2**31:
        raise ValueError(f"random: expected a shape of at most 2³¹ entries, got {shape} with {size}")
    counter = xp.arange(size, dtype=xp.int32)
    first, second = _hash_path(key.path)
    mixed = _mix(xp, counter + (key.words[:1] ^ first))
    return xp.reshape(_mix(xp, mixed ^ (key.words[1:] ^ second)), shape)


def uniform(backend: Backend, key: Key, shape: Shape, like: Array) -> Array:
    """Return uniform numbers in [0, 1), multiples of 2⁻²⁴, in the dtype of ``like``."""
    xp = backend.xp
    top_bits = _shift_right(xp, bits(backend, key, shape), 8)
    return xp.astype(top_bits, like.dtype) * 2.0**-24


def bernoulli(backend: Backend, key: Key, probability: float, shape: Shape) -> Array:
    """Return booleans that are True with that probability, rounded to a multiple of 2⁻³¹.

    Raises:
        ValueError: the probability is outside [0, 1].
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"bernoulli: expected a probability in [0, 1], got {probability}")
    threshold = round(probability * 2**31)
    if threshold >= 2**31:
        return backend.xp.ones(shape, dtype=backend.xp.bool)
    return _shift_right(backend.xp, bits(backend, key, shape), 1) < threshold


def _hash_path(path: tuple[int, ...]) -> tuple[int, int]:
    """Return two hashes of 31 bits: integers on the host, which cost a compiled step nothing.

    One goes into each half of the key. If only the first half took part, a path would just shift the
    counter, and two layers would draw overlapping parts of one sequence.
    """
    state = 0
    for index in path:
        state = (state ^ (index + 1)) * _MULTIPLIER_64 & (2**64 - 1)
        state ^= state >> 29
    return state & 0x7FFFFFFF, state >> 33


def _mix(xp: Any, x: Array) -> Array:
    """Hash each int32: a bijection in which each input bit flips about half of the output bits."""
    for shift, multiplier in zip(_SHIFTS, _MULTIPLIERS, strict=False):
        x = (x ^ _shift_right(xp, x, shift)) * multiplier
    return x ^ _shift_right(xp, x, _SHIFTS[-1])


def _shift_right(xp: Any, x: Array, by: int) -> Array:
    """Shift int32 right and fill with zeros; the standard's shift repeats the sign bit."""
    return xp.bitwise_right_shift(x, by) & (2 ** (32 - by) - 1)


def _to_int32(x: HostArray) -> HostArray:
    return x.astype(np.uint32).view(np.int32)
