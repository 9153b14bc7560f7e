"""Dropout of single entries and of whole channels."""

import math

import numpy as np
import pytest

from backends import get_backend
from multinn import Dropout, Masked, Masking, Sequential, SpatialDropout
from multinn.random import child
from tests.support.layer_runs import draw, forward, training_key

IMAGES = np.ones((50, 3, 2, 20), np.float32)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_dropout_drops_its_share_and_scales_the_rest(backend, rate):
    y = forward(backend, Dropout(rate), np.ones((100, 100), np.float32), training_key(backend))
    kept = y != 0.0
    assert np.unique(y[kept]).tolist() == [np.float32(1.0 / (1.0 - rate))]
    assert abs(kept.mean() - (1.0 - rate)) <= 4.0 * math.sqrt(rate * (1.0 - rate)) / 100.0


def test_dropout_does_nothing_at_inference(backend):
    x = np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(forward(backend, Dropout(0.9), x), x)


def test_dropout_masks_are_the_same_bits_everywhere(backend):
    y = forward(backend, Dropout(0.5), np.ones((2, 6), np.float32), training_key(backend, step=3))
    assert y.astype(int).tolist() == [[2, 0, 2, 2, 2, 2], [0, 0, 2, 0, 2, 2]]


def test_each_step_and_each_layer_has_its_own_mask(backend):
    x = np.ones((50, 50), np.float32)
    key = training_key(backend)
    masks = [
        forward(backend, Dropout(0.5), x, key).astype(bool)
        for key in (key, training_key(backend, step=1), child(key, 0), child(key, 1))
    ]
    for i in range(len(masks)):
        for j in range(i):
            assert abs((masks[i] == masks[j]).mean() - 0.5) < 4.0 * 0.5 / 50.0


def test_spatial_dropout_drops_whole_channels(backend):
    y = forward(backend, SpatialDropout(0.2), IMAGES, training_key(backend))
    kept = y[:, 0, 0, :] != 0.0
    mask = np.broadcast_to(kept[:, None, None, :], y.shape)
    np.testing.assert_array_equal(y, np.where(mask, np.float32(1.0 / 0.8), 0.0))
    assert abs(kept.mean() - 0.8) <= 4.0 * math.sqrt(0.2 * 0.8 / kept.size)


def test_spatial_dropout_is_the_same_at_all_time_steps(backend):
    y = forward(backend, SpatialDropout(), np.ones((2, 3, 6), np.float32), training_key(backend, 3))
    assert y[:, 0].astype(int).tolist() == [[2, 2, 2, 0, 2, 2], [0, 2, 2, 0, 0, 2]]
    assert (y == y[:, :1]).all()


def test_spatial_dropout_passes_a_mask_on():
    layer, backend = Sequential([Masking(), SpatialDropout()]), get_backend("numpy")
    y, _ = layer.forward(backend, ({}, {}), np.ones((2, 3, 4)), training_key(backend))
    assert isinstance(y, Masked)


def test_spatial_dropout_keeps_the_memory_layout():
    images = np.ones((2, 3, 3, 4), np.float32)
    backend = get_backend("numpy:eager")
    y, _ = SpatialDropout().forward(backend, {}, images, training_key(backend))
    assert y.strides == images.strides


@pytest.mark.parametrize("layer", [Dropout, SpatialDropout])
@pytest.mark.parametrize("rate", [1.0, -0.1, math.nan])
def test_a_rate_is_a_probability_below_one(layer, rate):
    name = layer.__name__
    with pytest.raises(ValueError, match=rf"{name}: expected rate in \[0, 1\), got {rate}"):
        layer(rate)


def test_spatial_dropout_needs_an_axis_besides_batch_and_channels():
    with pytest.raises(
        ValueError, match=r"SpatialDropout: expected images .* got \('batch', 5\); use Dropout"
    ):
        draw(SpatialDropout(), (5,))
