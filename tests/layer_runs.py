"""Layers run forward: what the tests of layers share."""

import numpy as np

from backends import Backend, Tree, tree
from multinn import Layer
from multinn.random import Key, step_words


def draw(layer: Layer, input_shape: tuple[int, ...], seed: int = 0) -> tuple[Tree, tuple[int, ...]]:
    return layer.init(np.random.default_rng(seed), input_shape)


def forward(
    backend: Backend, layer: Layer, x: np.ndarray, key: Key | None = None, params: Tree = None
) -> np.ndarray:
    """Draw parameters, unless they are given, and return the output on NumPy."""
    drawn = draw(layer, x.shape[1:])[0] if params is None else params
    params = backend.from_numpy(tree.map(lambda leaf: leaf.astype(x.dtype), drawn))
    run = backend.jit(lambda params, x: layer.forward(backend, params, x, key))
    host: np.ndarray = backend.to_numpy(run(params, backend.from_numpy(x))[0])
    return host


def training_key(backend: Backend, step: int = 0) -> Key:
    return Key(backend.from_numpy(step_words(0, step, 1)[0]))
