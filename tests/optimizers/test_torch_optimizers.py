"""Optimizers against PyTorch's of the same name, in float64."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from backends import Tree, tree
from multinn import SGD, Adadelta, Adagrad, AdamW, AMSGrad, NAdam, Optimizer, RAdam, RMSProp
from tests.support.optimizer_formulas import Vector
from tests.support.optimizer_runs import NUMPY, PARAMS, descend, gradients_of_steps, vector

torch = pytest.importorskip("torch")

PAIRS: dict[str, tuple[Optimizer, Callable[[Any], Any]]] = {
    "SGD": (
        SGD(0.1, 0.9, nesterov=True),
        lambda params: torch.optim.SGD(params, 0.1, momentum=0.9, nesterov=True),
    ),
    "Adagrad": (Adagrad(0.1), lambda params: torch.optim.Adagrad(params, 0.1)),
    "Adadelta": (Adadelta(0.5, 0.9), lambda params: torch.optim.Adadelta(params, 0.5)),
    "AdamW": (AdamW(0.1), lambda params: torch.optim.AdamW(params, 0.1)),
    "RMSProp": (RMSProp(0.01), lambda params: torch.optim.RMSprop(params, 0.01, 0.9)),
    "AMSGrad": (AMSGrad(0.1), lambda params: torch.optim.Adam(params, 0.1, amsgrad=True)),
    "AMSGrad, other rates": (
        AMSGrad(0.1, 0.5, 0.6, 1e-3, 0.2),
        lambda params: torch.optim.AdamW(params, 0.1, (0.5, 0.6), 1e-3, 0.2, amsgrad=True),
    ),
    "RAdam": (RAdam(0.1), lambda params: torch.optim.RAdam(params, 0.1)),
    "RAdam, other rates": (
        RAdam(0.1, 0.5, 0.8, 1e-3, 0.2),
        lambda params: torch.optim.RAdam(
            params, 0.1, (0.5, 0.8), 1e-3, 0.2, decoupled_weight_decay=True
        ),
    ),
    "NAdam": (NAdam(), lambda params: torch.optim.NAdam(params)),
    "NAdam, other rates": (
        NAdam(0.1, 0.5, 0.9, 1e-3, momentum_decay=1.0),
        lambda params: torch.optim.NAdam(params, 0.1, (0.5, 0.9), 1e-3, momentum_decay=1.0),
    ),
    "NAdam, weight decay": (
        NAdam(0.1, weight_decay=0.2),
        lambda params: torch.optim.NAdam(params, 0.1, weight_decay=0.2, decoupled_weight_decay=True),
    ),
}


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """NAdam keeps its product of momenta in the default dtype, not in that of the parameters."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def descended_in_torch(
    make: Callable[[Any], Any], gradients: list[Tree], params: Tree, dtype: str
) -> Vector:
    leaves = {
        key: torch.tensor(leaf, dtype=getattr(torch, dtype), requires_grad=True)
        for key, leaf in params.items()
    }
    peer = make(leaves.values())
    for g in gradients:
        for key, leaf in leaves.items():
            leaf.grad = torch.tensor(g[key], dtype=leaf.dtype)
        peer.step()
    return vector({key: leaf.detach().numpy() for key, leaf in leaves.items()})


@pytest.mark.parametrize("name", PAIRS)
def test_the_updates_of_pytorch(name):
    optimizer, make = PAIRS[name]
    params, _ = descend(NUMPY, optimizer, gradients_of_steps())
    expected = descended_in_torch(make, gradients_of_steps(), PARAMS, "float64")
    np.testing.assert_allclose(vector(params), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-23, 1e-20, 3e18])
@pytest.mark.parametrize("name", PAIRS)
def test_the_updates_of_pytorch_in_float32_on_gradients_of_any_size(name, scale):
    """Squares of 1e-23 are 0 in float32. The step is then m̂ / ε, in PyTorch, too."""
    optimizer, make = PAIRS[name]
    gradients, start = gradients_of_steps(scale)[:6], tree.map(np.zeros_like, PARAMS)
    params, _ = descend(NUMPY, optimizer, gradients, start, "float32")
    expected = descended_in_torch(make, gradients, start, "float32")
    largest = np.abs(expected).max()
    np.testing.assert_allclose(vector(params) / largest, expected / largest, rtol=1e-5, atol=2e-6)
