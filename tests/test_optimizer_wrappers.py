"""Optimizers around another optimizer."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from backends import tree
from multinn import (
    SGD,
    AdamW,
    ClipByGlobalNorm,
    Freeze,
    Optimizer,
)
from multinn.optimizers.norms import global_norm
from tests.optimizer_runs import NUMPY, PARAMS, descend, gradients_of_steps, vector


def test_the_global_norm_is_that_of_all_leaves_as_one_vector(backend):
    g = gradients_of_steps()[0]
    with backend.precision("float64"):
        norm = backend.to_numpy(global_norm(backend, backend.from_numpy(g)))
    assert norm.shape == ()
    np.testing.assert_allclose(norm, np.linalg.norm(vector(g)), rtol=1e-15)


@pytest.mark.parametrize("scale", [1.0, 1e15, 1e25, 1e36])
def test_gradients_of_any_size_are_clipped_to_the_norm(backend, scale):
    g = {"W": np.full((2, 2), 3.0 * scale), "b": np.array([-8.0 * scale])}
    start = tree.map(np.zeros_like, g)
    params, _ = descend(backend, ClipByGlobalNorm(SGD(1.0), 1.0), [g], start, "float32")
    np.testing.assert_allclose(vector(params), [-0.3, -0.3, -0.3, -0.3, 0.8], rtol=1e-6)


def test_gradients_below_the_norm_are_left_alone(backend):
    g = gradients_of_steps(1e-3)[:1]
    one, other = (
        descend(backend, optimizer, g)[0] for optimizer in (SGD(1.0), ClipByGlobalNorm(SGD(1.0), 1.0))
    )
    tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
    ("paths", "frozen"),
    [
        (("W",), {"W"}),
        (("W", "b"), {"W", "b"}),
        (("b",), {"b"}),
        (("*",), {"W", "b"}),
        ((), set()),
        (("[a-c]",), {"b"}),
    ],
)
def test_frozen_parameters_stay(paths, frozen):
    params, _ = descend(NUMPY, Freeze(AdamW(0.1), paths), gradients_of_steps())
    moved, _ = descend(NUMPY, AdamW(0.1), gradients_of_steps())
    for name in ("W", "b"):
        expected = PARAMS[name] if name in frozen else moved[name]
        np.testing.assert_array_equal(params[name], expected)


def test_frozen_parameters_stay_on_each_backend(backend):
    params, _ = descend(backend, Freeze(AdamW(0.1), ("W",)), gradients_of_steps())
    np.testing.assert_array_equal(params["W"], PARAMS["W"])
    assert (params["b"] != PARAMS["b"]).all()


def test_patterns_reach_into_a_model():
    params = ({"W": np.ones(2), "b": np.ones(2)}, {}, {"W": np.ones(2), "b": np.ones(2)})
    after, _ = descend(NUMPY, Freeze(SGD(1.0), ("*.b", "0.W")), [params], params)
    assert [leaf[0] for leaf in tree.leaves(after)] == [1.0, 1.0, 0.0, 1.0]


def test_a_path_that_matches_nothing_is_refused():
    with pytest.raises(ValueError, match="Freeze: the path 'w' matches none of the parameters W, b"):
        Freeze(SGD(), ("w",)).init(PARAMS)


def test_one_string_is_not_taken_for_many_patterns():
    """Letter by letter, ``*.b`` would freeze everything, as ``*`` does."""
    with pytest.raises((TypeError, ValueError), match="Freeze"):
        Freeze(SGD(), "*.b")  # type: ignore[arg-type]


def test_frozen_parameters_do_not_count_in_the_norm():
    params = {"W": np.zeros(1), "b": np.zeros(1)}
    gradients = {"W": np.array([1000.0]), "b": np.array([0.5])}
    after, _ = descend(NUMPY, Freeze(ClipByGlobalNorm(SGD(1.0), 1.0), ("W",)), [gradients], params)
    np.testing.assert_array_equal(after["b"], [-0.5])


def test_patterns_may_be_a_list():
    assert hash(Freeze(SGD(), ["*.b"])) == hash(Freeze(SGD(), ("*.b",)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClipByGlobalNorm(SGD(), 0.0), "ClipByGlobalNorm: .*positive, finite max_norm, got 0.0"),
        (lambda: ClipByGlobalNorm(SGD(), math.inf), "max_norm"),
    ],
)
def test_wrong_hyperparameters_are_refused(make: Callable[[], Optimizer], message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ClipByGlobalNorm, 1.0),
        (Freeze, ("*.b",)),
    ],
)
def test_what_is_wrapped_is_an_optimizer(kind, value):
    with pytest.raises(TypeError, match=f"{kind.__name__}: expected an optimizer .*, got 0.1"):
        kind(0.1, value)
