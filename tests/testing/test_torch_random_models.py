"""Random models of all layers against PyTorch's own derivatives."""

from dataclasses import replace

import numpy as np
import pytest

from backends import Tree, get_backend, tree
from multinn.exchange import to_state_dict
from multinn.exchange.rules import Place, places
from multinn.testing.gradient_cases.base import x_of
from multinn.testing.gradients import evaluate
from multinn.testing.oracles import derivative
from tests.support.random_runs import SEEDS, case_of, reference

torch = pytest.importorskip("torch")
torch_models = pytest.importorskip("tests.support.torch_models")

PEERS = [
    seed for seed in SEEDS if not case_of(seed).lengths and torch_models.has_peer(case_of(seed).layer)
]
NOT_TRAINED = ("running_mean", "running_var", "num_batches_tracked")


def close(got: Tree, expected: Tree) -> None:
    tree.map(lambda g, e: np.testing.assert_allclose(g, e, rtol=1e-9, atol=1e-9), got, expected)


def tensor(values: np.ndarray, *, trained: bool = True) -> "torch.Tensor":
    return torch.tensor(values, requires_grad=trained and values.dtype.kind == "f")


def gradients_of(value: "torch.Tensor", tensors: Tree) -> Tree:
    """Return the derivatives of the value; 0 where it does not depend on a tensor."""
    leaves = [leaf for leaf in tree.leaves(tensors) if leaf.requires_grad]
    derived = torch.autograd.grad(value, leaves, materialize_grads=True) if leaves else ()
    by_id = dict(zip(map(id, leaves), derived, strict=True))
    return tree.map(lambda leaf: by_id.get(id(leaf), torch.zeros(leaf.shape)).numpy(), tensors)


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_are_those_that_torch_derives_from_our_forward(seed):
    case, backend = case_of(seed), get_backend("torch")
    if tree.leaves(case.draw(0).variables):
        close(reference(seed).gradients, derivative(case, backend, case.draw(0)))


@pytest.mark.parametrize("seed", PEERS)
def test_values_and_gradients_are_those_of_layers_of_torch(seed):
    case = replace(case_of(seed), training=False)
    variables, constants = point = case.draw(0)
    params, state = variables["params"], constants["state"]
    ours = evaluate(case, get_backend("numpy:eager"), point, "float64")
    weights = {
        place.path: {
            name: tensor(values, trained=name not in NOT_TRAINED)
            for name, values in in_torch(place, place.own(params), state).items()
        }
        for place in places(case.layer, params)
    }
    x = tree.map(tensor, x_of(point))
    outputs = zip(
        tree.leaves(constants["dy"]), tree.leaves(torch_models.run(case.layer, weights, x)), strict=True
    )
    value = sum((torch.tensor(dy) * y).sum() for dy, y in outputs)
    theirs = gradients_of(value, {"x": x, "weights": weights})
    close(ours.value, value.detach().numpy())
    for path, dx in tree.leaves_with_paths(ours.gradients["x"]):
        close(dx, dict(tree.leaves_with_paths(theirs["x"]))[path])
    generator = np.random.default_rng(seed)
    for place in places(case.layer, params):
        # The conversion of weights is linear, so the slopes along a converted step are the same.
        step = tree.map(lambda leaf: generator.normal(size=leaf.shape), place.own(params))
        converted = in_torch(place, step, state)
        own = {name: g for name, g in theirs["weights"][place.path].items() if name not in NOT_TRAINED}
        slope = dot(own, {name: converted[name] for name in own})
        close(dot(place.own(ours.gradients["params"]), step), slope)


def in_torch(place: Place, own: Tree, state: Tree) -> dict[str, np.ndarray]:
    """Return the parameters of a layer in PyTorch's form, with the axes of a normalization as here."""
    return to_state_dict(place.layer, own, place.own(state), np.shape(own.get("gamma")))


def dot(one: Tree, other: Tree) -> float:
    products = tree.map(lambda a, b: float((a * b).sum()), one, other)
    return sum(tree.leaves(products))
