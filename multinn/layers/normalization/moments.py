"""Means and variances: what normalizations have in common.

A mask is of booleans, broadcasts against x, and is False where numbers are padding, which do not count.
It is None where all count.
"""

import math
from collections.abc import Callable

from backends import Array, Backend, Shape

Axis = int | tuple[int, ...]
Mean = Callable[[Array], Array]


def only(backend: Backend, x: Array, mask: Array | None) -> Array:
    """Return x, with 0 where it does not count."""
    return x if mask is None else backend.xp.where(mask, x, backend.xp.zeros_like(x))


def mean(backend: Backend, x: Array, axis: Axis, mask: Array | None = None) -> Array:
    """Return the mean of what counts, along axes that stay with length 1; 0 where nothing counts."""
    if mask is None:
        return backend.xp.mean(x, axis=axis, keepdims=True)
    total = backend.xp.sum(only(backend, x, mask), axis=axis, keepdims=True)
    return total / backend.xp.maximum(count(backend, x, axis, mask), 1.0)


def count(backend: Backend, x: Array, axis: Axis, mask: Array) -> Array:
    """Return how many numbers count, along axes that stay with length 1."""
    ones = only(backend, backend.xp.ones_like(x), mask)
    return backend.xp.sum(ones, axis=axis, keepdims=True)


def centered(x: Array, mean: Mean) -> tuple[Array, Array]:
    """Return x - μ, and μ = mean(x)."""
    mu = mean(x)
    difference = x - mu
    # The mean of large numbers is rounded: without this, a row of equal numbers would not give 0.
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


def sum_of_rows(backend: Backend, x: Array) -> Array:
    """Return the sum over all axes but the last, which alone is left."""
    return backend.xp.sum(x, axis=tuple(range(x.ndim - 1)))


def mask_like(backend: Backend, mask: Array | None, dimensions: int) -> Array | None:
    """Return a mask (batch, time) with as many axes as x has."""
    if mask is None:
        return None
    return backend.xp.reshape(mask, (*mask.shape, *(1,) * (dimensions - mask.ndim)))


def check_features(layer: str, input_shape: Shape) -> int:
    """Return how many features or channels there are: the length of the last axis.

    Raises:
        ValueError: the shape, without the batch, is of something else.
    """
    if not input_shape or input_shape[-1] < 1:
        raise ValueError(
            f"{layer}: expected inputs of shape (batch, ..., features), got {('batch', *input_shape)}"
        )
    return input_shape[-1]


def check_epsilon(layer: str, epsilon: float) -> None:
    """Raise ValueError unless epsilon is positive and finite."""
    if not 0.0 < epsilon < math.inf:
        raise ValueError(f"{layer}: expected a positive, finite epsilon, got {epsilon}")
