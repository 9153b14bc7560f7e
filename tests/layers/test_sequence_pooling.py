"""Pooling over time: values, masks, gradients, and errors."""

from typing import Any

import numpy as np
import pytest

from backends import Backend
from multinn import GlobalAveragePool1D, GlobalMaxPool1D, Layer
from multinn.layers.base import with_mask


def pool(backend: Backend, layer: Layer, x: np.ndarray, mask: Any = None) -> Any:
    with backend.precision("float64"):
        x, mask = backend.from_numpy((x, mask))
        return backend.to_numpy(layer.forward(backend, {}, with_mask(x, mask))[0])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(GlobalAveragePool1D(), [[2.0, -3.0], [0.0, 0.0]]), (GlobalMaxPool1D(), [[3.0, -2.0], [0.0, 0.0]])],
    ids=str,
)
def test_pooling_over_time_leaves_padding_out(backend, layer, expected):
    x = np.array([[[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]], [[9.0, 9.0]] * 3])
    mask = np.array([[True, True, False], [False] * 3])
    np.testing.assert_array_equal(pool(backend, layer, x, mask), expected)
    np.testing.assert_array_equal(pool(backend, layer, x[:1, :2]), expected[:1])


def test_the_gradient_goes_to_the_first_of_equal_maxima(backend):
    layer = GlobalMaxPool1D()
    with backend.precision("float64"):
        x = backend.from_numpy(np.array([[[1.0], [2.0], [2.0]]]))
        y, cache = layer.forward(backend, {}, x)
        dx = backend.to_numpy(layer.backward(backend, {}, cache, y)[0])
    np.testing.assert_array_equal(dx, [[[0.0], [2.0], [0.0]]])


@pytest.mark.parametrize("layer", [GlobalAveragePool1D(), GlobalMaxPool1D()], ids=str)
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 3)], ids=str)
def test_inputs_that_are_no_sequences_raise(layer, shape):
    name = type(layer).__name__
    with pytest.raises(ValueError, match=rf"{name}: expected sequences of shape \(batch, time, feat"):
        layer.init(np.random.default_rng(0), shape)
