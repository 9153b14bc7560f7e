"""Helpers for the tests of weight exchange."""

from typing import Any

import numpy as np

from backends import Tree, get_backend, tree
from multinn import Layer
from multinn.layers.base import values_of
from tests.support import layer_runs


def drawn(layer: Layer, input_shape: Any, seed: int = 0) -> tuple[Tree, Tree]:
    """Return float32 parameters and a state, without zeros and ones."""
    return tree.map(lambda leaf: leaf.astype(np.float32), layer_runs.drawn(layer, input_shape, seed))


def output_of(layer: Layer, params: Tree, state: Tree, x: Any) -> np.ndarray:
    """Return the values of the layer's output at inference on NumPy."""
    y, _ = layer.forward_with_state(get_backend("numpy:eager"), params, state, x)
    return np.asarray(values_of(y))


def assert_close(got: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-5, atol=1e-5)
