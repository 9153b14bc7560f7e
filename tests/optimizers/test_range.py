"""Optimizers in float32 on gradients of any size, against their formulas in float64."""

import numpy as np
import pytest

from backends import tree
from multinn import (
    SGD,
    Adadelta,
    Adam,
    AMSGrad,
    ClipByGlobalNorm,
    Dense,
    MeanSquaredError,
    NAdam,
    Optimizer,
    RMSProp,
    Trainer,
)
from tests.optimizers.test_optimizers import REFERENCES
from tests.support.optimizer_runs import NUMPY, PARAMS, descend, gradients_of_steps, vector

ANY_SIZE = (1e-20, 1e-10, 1e10, 3e18)
# The largest gradients whose formula stays in float32: of the sum of their squares, of a running mean of
# them, or of the gradients themselves.
LARGEST = {
    "Adagrad": 3e18,
    **dict.fromkeys(["RMSProp", "Adadelta", "AMSGrad"], 1e19),
    **dict.fromkeys(["Adam", "AdamW", "RAdam", "NAdam", "LAMB", "averaged", "accumulated"], 1e20),
    **dict.fromkeys(["SGD", "momentum", "Lion"], 1e37),
    **dict.fromkeys(["LARS", "clipped"], 1e38),
}


@pytest.mark.parametrize("name", LARGEST)
def test_gradients_of_any_size_give_the_steps_of_the_formula(backend, name):
    """From 0, so that no step is lost to rounding; LAMB and LARS need a length of the parameters."""
    optimizer, reference = REFERENCES[name]
    start = PARAMS if name in ("LAMB", "LARS") else tree.map(np.zeros_like, PARAMS)
    for scale in (*ANY_SIZE, LARGEST[name]):
        gradients = gradients_of_steps(scale)[:6]
        params, state = descend(backend, optimizer, gradients, start, dtype="float32")
        assert np.isfinite(vector(state)).all()
        expected = reference(vector(start), [vector(g) for g in gradients])
        largest = np.abs(expected).max()
        np.testing.assert_allclose(vector(params) / largest, expected / largest, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("optimizer", "share"), [(Adam(), 0.001), (RMSProp(), 0.1), (Adadelta(), 0.05)], ids=str
)
def test_a_mean_of_squares_has_its_range(backend, optimizer, share):
    """Compilers may take constant factors out of a product; XLA does so for a single number."""
    _, state = descend(backend, optimizer, [np.full(2, 5e19)], np.zeros(2), "float32")
    np.testing.assert_allclose(state["s"], np.full(2, share * 5e19**2), rtol=1e-6)


def test_gradients_are_clipped_whose_norm_is_beyond_float32(backend):
    start, g = np.zeros((2, 2)), np.full((2, 2), 3e38)
    params, _ = descend(backend, ClipByGlobalNorm(SGD(1.0), 1.0), [g], start, "float32")
    np.testing.assert_allclose(params, np.full((2, 2), -0.5), rtol=1e-6)


@pytest.mark.parametrize("optimizer", [kind(1e4) for kind in (Adam, AMSGrad, NAdam, RMSProp)], ids=str)
def test_numbers_of_1e12_are_learned(optimizer: Optimizer):
    """The first gradients are of 1e18. In PyTorch, Adam's loss falls from 5e24 to 2e15."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(256, 2)) * 1e6).astype(np.float32)
    y = (x @ [[1.0], [2.0]] * 1e6).astype(np.float32)
    trainer = Trainer(Dense(1), MeanSquaredError(), optimizer, backend=NUMPY)
    losses = trainer.fit(x, y, epochs=100, progress=False).losses
    assert losses[0] > 1e24
    assert losses[-1] < 1e-4 * losses[0]
