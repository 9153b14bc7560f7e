"""Normalizations and dropout of channels against PyTorch's layers of the same names, in float64."""

from typing import Any

import numpy as np
import pytest

from backends import Tree, get_backend
from multinn import BatchNorm, GroupNorm, Layer, LayerNorm, RMSNorm, SpatialDropout
from tests.support.layer_runs import draw, training_key

torch = pytest.importorskip("torch")

BACKEND = get_backend("numpy")
RNG = np.random.default_rng(0)
MOMENTUM = 0.8
VECTORS = RNG.normal(3.0, 2.0, (5, 4))
SEQUENCES = RNG.normal(3.0, 2.0, (3, 5, 4))
IMAGES = RNG.normal(3.0, 2.0, (2, 3, 5, 4))


def torch_batch_norm(x: np.ndarray) -> Any:
    kind = torch.nn.BatchNorm2d if x.ndim == 4 else torch.nn.BatchNorm1d
    return kind(4, momentum=1.0 - MOMENTUM, dtype=torch.float64)


def channels_first(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, -1, 1)


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1)


def compare(layer: Layer, peer: Any, x: np.ndarray, state: Tree = None, *, first: bool = True) -> None:
    """Compare outputs and all gradients, for random γ, β and dy.

    Args:
        layer: our layer.
        peer: PyTorch's layer.
        x: inputs, with the channels last.
        state: the state of our layer at inference; None while training.
        first: whether PyTorch's layer has the channels first.
    """
    params, _ = draw(layer, x.shape[1:])
    params = {name: RNG.normal(size=initial.shape) for name, initial in params.items()}
    dy = RNG.normal(size=x.shape)
    key = training_key(BACKEND) if state is None else None
    y, cache = layer.forward_with_state(BACKEND, params, state, x, key)
    dx, gradients = layer.backward(BACKEND, params, cache, dy)

    there, back = (channels_first, channels_last) if first else (np.array, np.array)
    with torch.no_grad():
        peer.weight.copy_(torch.tensor(params["gamma"]))
        if "beta" in params:
            peer.bias.copy_(torch.tensor(params["beta"]))
    inputs = torch.tensor(there(x), requires_grad=True)
    outputs = peer(inputs)
    outputs.backward(torch.tensor(there(dy)))
    np.testing.assert_allclose(y, back(outputs.detach().numpy()), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dx, back(inputs.grad.numpy()), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(gradients["gamma"], peer.weight.grad.numpy(), rtol=1e-10)
    if "beta" in params:
        np.testing.assert_allclose(gradients["beta"], peer.bias.grad.numpy(), rtol=1e-10)


each_input = pytest.mark.parametrize(
    "x", [VECTORS, SEQUENCES, IMAGES], ids=["vectors", "sequences", "images"]
)


@each_input
def test_batch_norm_while_training(x):
    compare(BatchNorm(), torch_batch_norm(x), x)


@each_input
def test_running_statistics_after_several_steps(x):
    """PyTorch's initial values 0 and 1 have weight momentum³ after three steps; ours have no weight."""
    peer, layer = torch_batch_norm(x), BatchNorm(MOMENTUM)
    params, _ = draw(layer, x.shape[1:])
    state = layer.init_state(params)
    for _ in range(3):
        batch = RNG.normal(3.0, 2.0, x.shape)
        _, cache = layer.forward(BACKEND, params, batch, training_key(BACKEND))
        state = layer.next_state(BACKEND, state, cache)
        peer(torch.tensor(channels_first(batch)))
    initial_weight = MOMENTUM**3
    mean, variance = peer.running_mean.numpy(), peer.running_var.numpy()
    np.testing.assert_allclose((1.0 - initial_weight) * state["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(
        (1.0 - initial_weight) * state["variance"] + initial_weight, variance, rtol=1e-12
    )


def test_running_statistics_with_a_cumulative_average():
    peer, layer = torch.nn.BatchNorm1d(4, momentum=None, dtype=torch.float64), BatchNorm(1.0)
    params, _ = draw(layer, (4,))
    state = layer.init_state(params)
    for _ in range(3):
        batch = RNG.normal(3.0, 2.0, VECTORS.shape)
        _, cache = layer.forward(BACKEND, params, batch, training_key(BACKEND))
        state = layer.next_state(BACKEND, state, cache)
        peer(torch.tensor(batch))
    np.testing.assert_allclose(state["mean"], peer.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(state["variance"], peer.running_var.numpy(), rtol=1e-12)


@each_input
def test_batch_norm_at_inference(x):
    peer = torch_batch_norm(x)
    peer(torch.tensor(channels_first(x)))
    peer.eval()
    state = {"mean": peer.running_mean.numpy(), "variance": peer.running_var.numpy()}
    compare(BatchNorm(), peer, x, state)


@each_input
@pytest.mark.parametrize("groups", [1, 2])
def test_group_norm(x, groups):
    compare(GroupNorm(groups), torch.nn.GroupNorm(groups, 4, dtype=torch.float64), x)


each_axes = pytest.mark.parametrize(
    ("x", "axes"), [(VECTORS, 1), (SEQUENCES, 1), (SEQUENCES, 2), (IMAGES, 1), (IMAGES, 2), (IMAGES, 3)]
)


@each_axes
def test_layer_norm(x, axes):
    peer = torch.nn.LayerNorm(x.shape[-axes:], dtype=torch.float64)
    compare(LayerNorm(axes=axes), peer, x, first=False)


@each_axes
def test_rms_norm(x, axes):
    peer = torch.nn.RMSNorm(x.shape[-axes:], eps=1e-5, dtype=torch.float64)
    compare(RMSNorm(axes=axes), peer, x, first=False)


@pytest.mark.parametrize(
    ("x", "kind"), [(SEQUENCES, "Dropout1d"), (IMAGES, "Dropout2d")], ids=["sequences", "images"]
)
def test_spatial_dropout_drops_channels_as_torch_does(x, kind):
    """The masks differ, but each channel of an example is either 0 or x / (1 - rate)."""
    ours, _ = SpatialDropout(0.4).forward(BACKEND, {}, x, training_key(BACKEND))
    theirs = getattr(torch.nn, kind)(0.4)(torch.tensor(channels_first(x))).numpy()
    for y in (ours, channels_last(theirs)):
        ratios = (y / x).reshape(x.shape[0], -1, 4)
        np.testing.assert_allclose(ratios, np.broadcast_to(ratios[:, :1], ratios.shape))
        assert {round(ratio, 9) for ratio in ratios.reshape(-1)} == {0.0, round(1.0 / 0.6, 9)}
