"""Runs of optimizers on small parameters, for their tests."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from backends import Backend, Tree, get_backend, tree
from multinn import Optimizer
from tests.support.optimizer_formulas import Vector

NUMPY = get_backend("numpy")
STEPS = 20
PARAMS = {"W": np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]), "b": np.array([0.1, -0.2, 0.3])}


def gradients_of_steps(scale: float = 1.0) -> list[Tree]:
    rng = np.random.default_rng(0)
    return [tree.map(lambda leaf: scale * rng.normal(size=leaf.shape), PARAMS) for _ in range(STEPS)]


def vector(values: Tree) -> Vector:
    return np.concatenate([leaf.ravel() for leaf in tree.leaves(values)])


@cache
def compiled_update(backend: Backend, optimizer: Optimizer) -> Callable[..., Any]:
    """Return the update as a compiled function, the same for all tests."""
    return backend.jit(partial(optimizer.update, backend))


def descend(
    backend: Backend,
    optimizer: Optimizer,
    gradients: list[Tree],
    params: Tree = PARAMS,
    dtype: str = "float64",
    compiled: bool = True,
) -> tuple[Tree, Tree]:
    """Make one update for each gradient; return the parameters and the state as NumPy arrays."""
    params = tree.map(lambda leaf: np.asarray(leaf, dtype), params)
    with backend.precision(dtype):
        update = compiled_update(backend, optimizer) if compiled else partial(optimizer.update, backend)
        params, state = backend.from_numpy((params, optimizer.init(params)))
        for g in gradients:
            g = backend.from_numpy(tree.map(lambda leaf: np.asarray(leaf, dtype), g))
            params, state = update(g, state, params)
        result: tuple[Tree, Tree] = backend.to_numpy((params, state))
    return result
