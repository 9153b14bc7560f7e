"""Calls of losses as in training: compiled, on arrays of a backend."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from backends import Backend
from multinn import Loss, Masked
from multinn.layers.base import values_of


def call(
    backend: Backend,
    loss: Loss,
    outputs: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the value and the gradient, compiled, as NumPy arrays."""
    with backend.precision(str(outputs.dtype)):
        arguments = backend.from_numpy((outputs, targets, weights))
        value, gradient = backend.to_numpy(compiled(backend, loss)(*arguments))
    return value, gradient


@cache
def compiled(backend: Backend, loss: Loss) -> Callable[..., Any]:
    """Return the loss as a compiled function, the same for all tests."""
    return backend.jit(lambda *arguments: loss(backend, *arguments))


def per_example(
    backend: Backend, loss: Loss, outputs: np.ndarray | Masked, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of each example and its gradient, for targets as a user passes them."""
    return _per_example(backend, loss, compiled_per_example(backend, loss), outputs, targets)


def per_example_eagerly(
    backend: Backend, loss: Loss, outputs: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as `per_example` without compilation, which shows floating-point warnings."""
    return _per_example(backend, loss, partial(loss.per_example, backend), outputs, targets)


@cache
def compiled_per_example(backend: Backend, loss: Loss) -> Callable[..., Any]:
    """Return the loss of each example as a compiled function."""
    return backend.jit(partial(loss.per_example, backend))


def _per_example(
    backend: Backend, loss: Loss, run: Callable[..., Any], outputs: Any, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    logits = values_of(outputs)
    dtype = str(logits.dtype)
    prepared = loss.prepare_targets(np.asarray(targets), logits.shape[1:], dtype)
    with backend.precision(dtype):
        values, gradient = backend.to_numpy(run(*backend.from_numpy((outputs, prepared))))
    return values, gradient
