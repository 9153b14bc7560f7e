"""Forward runs of layers, for their tests."""

from dataclasses import replace
from typing import Any

import numpy as np

from backends import Backend, Tree, tree
from multinn import Layer
from multinn.initializers import Ones
from multinn.random import Key, step_words


def draw(layer: Layer, input_shape: tuple[int, ...], seed: int = 0) -> tuple[Tree, tuple[int, ...]]:
    return layer.init(np.random.default_rng(seed), input_shape)


def drawn(layer: Layer, input_shape: Any, seed: int = 0) -> tuple[Tree, Tree]:
    """Return parameters and a state, without zeros and ones."""
    generator = np.random.default_rng(seed)
    params, _ = layer.init(generator, input_shape)
    state = layer.init_state(params)
    params = tree.map(lambda leaf: leaf + 0.3 * generator.normal(size=leaf.shape), params)
    return params, tree.map(lambda leaf: leaf + generator.uniform(0.1, 0.5, leaf.shape), state)


def fans_told(layer: Any, input_shape: tuple[int, ...], parameter: str) -> list[tuple[int, int]]:
    """Return the fans that the layer passes to an initializer, such as its weight_initializer."""
    fans = []

    class Recorder(Ones):
        def __call__(self, generator: Any, shape: Any, fan_in: int, fan_out: int) -> Any:
            fans.append((fan_in, fan_out))
            return super().__call__(generator, shape, fan_in, fan_out)

    draw(replace(layer, **{parameter: Recorder()}), input_shape)
    return fans


def forward(
    backend: Backend, layer: Layer, x: np.ndarray, key: Key | None = None, params: Tree = None
) -> np.ndarray:
    """Return the output as a NumPy array, with drawn parameters if none are given."""
    drawn = draw(layer, x.shape[1:])[0] if params is None else params
    params = backend.from_numpy(tree.map(lambda leaf: leaf.astype(x.dtype), drawn))
    run = backend.jit(lambda params, x: layer.forward(backend, params, x, key))
    host: np.ndarray = backend.to_numpy(run(params, backend.from_numpy(x))[0])
    return host


def training_key(backend: Backend, step: int = 0) -> Key:
    return Key(backend.from_numpy(step_words(0, step, 1)[0]))
