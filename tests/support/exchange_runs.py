"""What the tests of exchanged weights share."""

from typing import Any

import numpy as np

from backends import Tree, get_backend, tree
from multinn import Layer


def drawn(layer: Layer, input_shape: Any, seed: int = 0) -> tuple[Tree, Tree]:
    """Return float32 parameters and a state, none of them zeros or ones."""
    generator = np.random.default_rng(seed)
    params, _ = layer.init(generator, input_shape)
    state = layer.init_state(params)
    params = tree.map(lambda leaf: leaf + 0.3 * generator.normal(size=leaf.shape), params)
    state = tree.map(lambda leaf: leaf + generator.uniform(0.1, 0.5, leaf.shape), state)
    return tree.map(lambda leaf: leaf.astype(np.float32), (params, state))


def output_of(layer: Layer, params: Tree, state: Tree, x: Any) -> np.ndarray:
    """Return what the layer gives at inference on NumPy."""
    y, _ = layer.forward_with_state(get_backend("numpy:eager"), params, state, x)
    return np.asarray(y)


def assert_close(got: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-5, atol=1e-5)
