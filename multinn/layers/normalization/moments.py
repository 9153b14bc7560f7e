"""Means and variances, for normalizations.

A mask is an array of booleans that broadcasts to x and is False at padding. Without a mask, all numbers
count.
"""

from collections.abc import Callable

from backends import Array, Backend
from multinn.layers.masked import zero_padding

Axis = int | tuple[int, ...]
Mean = Callable[[Array], Array]


def mean(backend: Backend, x: Array, axis: Axis, mask: Array | None = None) -> Array:
    """Return the mean of the numbers that count, along axes that keep length 1; 0 if none counts."""
    xp = backend.xp
    if mask is not None:
        total = xp.sum(zero_padding(backend, x, mask), axis=axis, keepdims=True)
        return total / xp.maximum(count(backend, x, axis, mask), 1.0)
    if isinstance(axis, tuple) and len(axis) > 1:  # first over long rows: NumPy adds short ones slowly
        x, axis = xp.mean(x, axis=axis[:-1], keepdims=True), axis[-1]
    return xp.mean(x, axis=axis, keepdims=True)


def count(backend: Backend, x: Array, axis: Axis, mask: Array) -> Array:
    """Return how many numbers count, along axes that keep length 1."""
    ones = zero_padding(backend, backend.xp.ones_like(x), mask)
    return backend.xp.sum(ones, axis=axis, keepdims=True)


def centered(x: Array, mean: Mean) -> tuple[Array, Array]:
    """Return x - μ, and μ = mean(x)."""
    mu = mean(x)
    difference = x - mu
    # The mean of large numbers is rounded. The correction makes equal numbers give exactly 0.
    correction = mean(difference)
    return difference - correction, mu + correction


def standardized(backend: Backend, x: Array, mean: Mean, epsilon: float) -> tuple[Array, Array]:
    """Return z = (x - μ) / s, and s = √(mean((x - μ)²) + ε), where μ = mean(x)."""
    difference, _ = centered(x, mean)
    s = backend.xp.sqrt(mean(difference * difference) + epsilon)
    return difference / s, s


def standardized_gradient(dz: Array, z: Array, s: Array, mean: Mean) -> Array:
    """Return dx = (dz - mean(dz) - z mean(dz z)) / s: see LayerNorm."""
    return (dz - mean(dz) - z * mean(dz * z)) / s
