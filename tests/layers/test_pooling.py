"""Pooling with padding, pooling of sequences, and pooling of whole images."""

import numpy as np
import pytest

from backends import Backend, get_backend
from multinn import (
    AveragePool1D,
    AveragePool2D,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    Layer,
    MaxPool1D,
    MaxPool2D,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 5, 6, 2)).astype(np.float32)
SEQUENCES = RNG.normal(size=(3, 7, 2)).astype(np.float32)
RAMP = np.arange(1.0, 6.0, dtype=np.float32)[None, :, None]  # one sequence: 1 2 3 4 5


def passes(
    backend: Backend, layer: Layer, x: np.ndarray, dy: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return y and dx; by default, dy is ones."""

    def run(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, cache = layer.forward(backend, {}, x)
        return y, layer.backward(backend, {}, cache, dy)[0]

    shape = layer.init(np.random.default_rng(0), x.shape[1:])[1]
    dy = np.ones((len(x), *shape), x.dtype) if dy is None else dy
    arguments = backend.from_numpy((x, dy))
    results: tuple[np.ndarray, np.ndarray] = backend.to_numpy(backend.jit(run, *arguments)(*arguments))
    return results


def test_padding_is_never_the_largest(backend):
    y, dx = passes(backend, MaxPool2D(3, 2, 1), IMAGES - 100.0)
    padded = np.pad(IMAGES - 100.0, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
    np.testing.assert_array_equal(y, windows.max(axis=(-2, -1)))
    assert dx.sum() == y.size


def test_a_maximum_of_only_negative_infinities_gives_no_nan(backend):
    y, dx = passes(backend, MaxPool1D(3, 1, "same"), np.full((1, 4, 1), -np.inf, np.float32))
    assert np.all(y == -np.inf)
    assert np.isfinite(dx).all()


@pytest.mark.parametrize(
    ("layer", "expected", "gradient"),
    [
        (AveragePool1D(3, 2, 1), [1.5, 3.0, 4.5], [1 / 2, 1 / 2 + 1 / 3, 1 / 3, 1 / 3 + 1 / 2, 1 / 2]),
        (AveragePool1D(3, 2, 1, True), [1.0, 3.0, 3.0], [1 / 3, 2 / 3, 1 / 3, 2 / 3, 1 / 3]),
        (AveragePool1D(2, 2, "same"), [1.5, 3.5, 5.0], [1 / 2, 1 / 2, 1 / 2, 1 / 2, 1.0]),
        (AveragePool1D(2, 2, "same", True), [1.5, 3.5, 2.5], [1 / 2] * 5),
        (AveragePool1D(), [1.5, 3.5], [1 / 2] * 4 + [0.0]),
        (MaxPool1D(3, 2, 1), [2.0, 4.0, 5.0], [0.0, 1.0, 0.0, 1.0, 1.0]),
        (MaxPool1D(2, 1, (1, 0)), [1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5),
        (MaxPool1D(), [2.0, 4.0], [0.0, 1.0, 0.0, 1.0, 0.0]),
        (MaxPool1D(ceil_mode=True), [2.0, 4.0, 5.0], [0.0, 1.0, 0.0, 1.0, 1.0]),
        (MaxPool1D(2, 1, dilation=3), [4.0, 5.0], [0.0, 0.0, 0.0, 1.0, 1.0]),
        (AveragePool1D(2, 3, dilation=2, ceil_mode=True), [2.0, 4.0], [1 / 2, 0.0, 1 / 2, 1.0, 0.0]),
        # The last window would begin on the padding after the sequence, so there is none.
        (AveragePool1D(2, 3, 1, ceil_mode=True), [1.0, 3.5], [1.0, 0.0, 1 / 2, 1 / 2, 0.0]),
        # The last has one place on the sequence, one on the padding and one beyond, which is in no n.
        (
            AveragePool1D(3, 2, (0, 1), ceil_mode=True),
            [2.0, 4.0, 5.0],
            [1 / 3, 1 / 3, 2 / 3, 1 / 3, 4 / 3],
        ),
        (
            AveragePool1D(3, 2, (0, 1), True, ceil_mode=True),
            [2.0, 4.0, 2.5],
            [1 / 3, 1 / 3, 2 / 3, 1 / 3, 5 / 6],
        ),
    ],
    ids=str,
)
def test_a_ramp(backend, layer, expected, gradient):
    y, dx = passes(backend, layer, RAMP)
    np.testing.assert_allclose(y[0, :, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(dx[0, :, 0], gradient, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("layer", [MaxPool2D(3, 2), AveragePool1D(2, 1, 1)], ids=repr)
def test_a_layer_pickled_without_dilation_and_ceil_mode_has_none(layer):
    old = object.__new__(type(layer))
    state = {name: value for name, value in vars(layer).items() if name not in ("dilation", "ceil_mode")}
    old.__dict__.update(state)
    assert old == layer
    x = IMAGES if isinstance(layer, MaxPool2D) else SEQUENCES
    runs = [passes(get_backend("numpy:eager"), each, x) for each in (old, layer)]
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("along_time", "across"),
    [
        (MaxPool1D(3, 2, (2, 1)), MaxPool2D((1, 3), (1, 2), ((0, 0), (2, 1)))),
        (AveragePool1D(4, 3, "same"), AveragePool2D((1, 4), (1, 3), "same")),
        (AveragePool1D(2, padding=1), AveragePool2D((1, 2), padding=(0, 1))),
        (
            MaxPool1D(2, 3, 1, dilation=3, ceil_mode=True),
            MaxPool2D((1, 2), (1, 3), (0, 1), dilation=(1, 3), ceil_mode=True),
        ),
    ],
    ids=str,
)
def test_a_sequence_is_an_image_of_height_1(backend, along_time, across):
    y, dx = passes(backend, along_time, SEQUENCES)
    images_y, images_dx = passes(backend, across, SEQUENCES[:, None])
    np.testing.assert_array_equal(y, images_y[:, 0])
    np.testing.assert_array_equal(dx, images_dx[:, 0])


def test_the_mean_of_whole_images(backend):
    dy = RNG.normal(size=(3, 2)).astype(np.float32)
    y, dx = passes(backend, GlobalAveragePool2D(), IMAGES, dy)
    np.testing.assert_allclose(y, IMAGES.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dx, np.ones_like(IMAGES) * dy[:, None, None] / 30, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "inputs", "outputs"),
    [
        (MaxPool2D(3, 2, "same"), (5, 6, 2), (3, 3, 2)),
        (MaxPool2D(3, 2, (1, 2)), (5, 6, 2), (3, 4, 2)),
        (AveragePool2D((2, 3), 1, ((1, 0), (2, 2))), (5, 6, 2), (5, 8, 2)),
        (MaxPool1D(3, padding="same"), (7, 2), (3, 2)),
        (AveragePool1D(3, 1, (2, 0)), (7, 2), (7, 2)),
        (AveragePool2D(3, (3, 5), 1, dilation=(1, 2), ceil_mode=True), (5, 6, 2), (2, 2, 2)),
        (MaxPool1D(3, 2, ceil_mode=True), (2, 2), (1, 2)),
        (GlobalAveragePool2D(), (5, 6, 2), (2,)),
    ],
    ids=str,
)
def test_init_returns_the_output_shape(backend, layer, inputs, outputs):
    x = np.ones((2, *inputs), np.float32)
    assert layer.init(np.random.default_rng(0), inputs)[1] == outputs
    assert passes(backend, layer, x)[0].shape == (2, *outputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPool2D(2, padding="causal"), "MaxPool2D: expected padding .* got 'causal'"),
        (lambda: MaxPool2D(2, dilation=0), "MaxPool2D: expected dilation of at least 1"),
        (lambda: AveragePool1D(2, dilation=(1, 1)), "AveragePool1D: expected dilation of at least 1"),
        (lambda: MaxPool2D(2, padding=2), r"MaxPool2D: expected padding below \(2, 2\), the extent"),
        (lambda: AveragePool2D((3, 1), padding=1), r"AveragePool2D: expected padding below \(3, 1\)"),
        (lambda: AveragePool2D(3, padding=-1), "AveragePool2D: expected padding .* got -1"),
        (lambda: MaxPool1D(0), "MaxPool1D: expected pool_size of at least 1, got 0"),
        (lambda: MaxPool1D(2, (1, 1)), "MaxPool1D: expected stride of at least 1"),
        (
            lambda: AveragePool1D(2, padding="causal"),
            'AveragePool1D: expected padding "valid", "same", an',
        ),
        (lambda: AveragePool1D(2, padding=(0, 2)), r"AveragePool1D: .* below 2, .* got \(0, 2\)"),
    ],
)
def test_invalid_hyperparameters_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (MaxPool2D(4, padding=1), (1, 9, 1), "MaxPool2D: expected images of at least 2 x 2"),
        (MaxPool1D(4), (3, 1), "MaxPool1D: expected sequences of a length of at least 4"),
        (MaxPool1D(4, 2, ceil_mode=True), (2, 1), "MaxPool1D: .* at least 3, the least that has"),
        (AveragePool1D(4), (5, 5, 1), "AveragePool1D: expected sequences of shape"),
        (MaxPool2D(2, 1, 1, dilation=3), (3, 2, 1), r"MaxPool2D: .* wholly on .* 3 x 2.*reduce"),
        (AveragePool1D(2, 1, "same", dilation=2), (1, 1), "AveragePool1D: .* wholly on the padding"),
        (GlobalMaxPool2D(), (5, 1), "GlobalMaxPool2D: expected images"),
        (GlobalAveragePool2D(), (5, 1), "GlobalAveragePool2D: expected images"),
    ],
    ids=str,
)
def test_inputs_of_invalid_shape_raise(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.init(np.random.default_rng(0), shape)
