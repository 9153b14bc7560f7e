"""Optimizers against PyTorch's of the same name, in float64."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from multinn import SGD, Adadelta, Adagrad, AdamW, NAdam, Optimizer
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


@pytest.mark.parametrize("name", PAIRS)
def test_the_updates_of_pytorch(name):
    optimizer, make = PAIRS[name]
    params, _ = descend(NUMPY, optimizer, gradients_of_steps())
    leaves = {name: torch.tensor(leaf, requires_grad=True) for name, leaf in PARAMS.items()}
    peer = make(leaves.values())
    for g in gradients_of_steps():
        for key, leaf in leaves.items():
            leaf.grad = torch.tensor(g[key])
        peer.step()
    expected = {key: leaf.detach().numpy() for key, leaf in leaves.items()}
    np.testing.assert_allclose(vector(params), vector(expected), rtol=1e-12, atol=1e-13)
