"""Activations and their gradients against PyTorch's functions of the same names, in float64."""

import numpy as np
import pytest

from backends import get_backend
from multinn import (
    ELU,
    GELU,
    HardSwish,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)

torch = pytest.importorskip("torch")

BACKEND = get_backend("numpy")
X = np.linspace(-9.2, 9.3, 200).reshape(2, 25, 4)  # no kink among them
DY = np.random.default_rng(0).normal(size=X.shape)
PEERS = {
    Sigmoid(): torch.nn.Sigmoid(),
    Tanh(): torch.nn.Tanh(),
    ReLU(): torch.nn.ReLU(),
    ReLU6(): torch.nn.ReLU6(),
    LeakyReLU(0.3): torch.nn.LeakyReLU(0.3),
    ELU(0.5): torch.nn.ELU(0.5),
    GELU(): torch.nn.GELU(),
    GELU("tanh"): torch.nn.GELU("tanh"),
    SiLU(): torch.nn.SiLU(),
    HardSwish(): torch.nn.Hardswish(),
    Mish(): torch.nn.Mish(),
    Softplus(): torch.nn.Softplus(),
    Softsign(): torch.nn.Softsign(),
    Softmax(): torch.nn.Softmax(-1),
}


@pytest.mark.parametrize("layer", PEERS, ids=str)
def test_an_activation_is_that_of_torch(layer):
    y, cache = layer.forward(BACKEND, {}, X)
    dx, _ = layer.backward(BACKEND, {}, cache, DY)
    inputs = torch.tensor(X, requires_grad=True)
    outputs = PEERS[layer](inputs)
    outputs.backward(torch.tensor(DY))
    np.testing.assert_allclose(y, outputs.detach().numpy(), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(dx, inputs.grad.numpy(), rtol=1e-8, atol=1e-8)


def test_prelu_and_its_slope_are_those_of_torch():
    a = np.array([0.25, -0.5, 0.0, 2.0])
    y, cache = PReLU().forward(BACKEND, {"a": a}, X)
    dx, gradients = PReLU().backward(BACKEND, {"a": a}, cache, DY)
    peer = torch.nn.PReLU(4, dtype=torch.float64)
    with torch.no_grad():
        peer.weight.copy_(torch.tensor(a))
    inputs = torch.tensor(np.moveaxis(X, -1, 1), requires_grad=True)
    outputs = peer(inputs)
    outputs.backward(torch.tensor(np.moveaxis(DY, -1, 1)))
    np.testing.assert_allclose(y, np.moveaxis(outputs.detach().numpy(), 1, -1))
    np.testing.assert_allclose(dx, np.moveaxis(inputs.grad.numpy(), 1, -1))
    np.testing.assert_allclose(gradients["a"], peer.weight.grad.numpy())
