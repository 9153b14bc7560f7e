"""Layers run forward: what the tests of layers share."""

from dataclasses import replace
from typing import Any

import numpy as np

from backends import Backend, Tree, tree
from multinn import Layer
from multinn.initializers import Ones
from multinn.random import Key, step_words


def draw(layer: Layer, input_shape: tuple[int, ...], seed: int = 0) -> tuple[Tree, tuple[int, ...]]:
    return layer.init(np.random.default_rng(seed), input_shape)


def fans_told(layer: Any, input_shape: tuple[int, ...], parameter: str) -> list[tuple[int, int]]:
    """Return the fans with which the layer calls that initializer, such as its weight_initializer."""
    fans = []

    class Asking(Ones):
        def __call__(self, generator: Any, shape: Any, fan_in: int, fan_out: int) -> Any:
            fans.append((fan_in, fan_out))
            return super().__call__(generator, shape, fan_in, fan_out)

    draw(replace(layer, **{parameter: Asking()}), input_shape)
    return fans


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
