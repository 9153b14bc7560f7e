"""Optimizers against Optax's of the same name, in float64."""

import numpy as np
import optax
import pytest

from backends import get_backend
from multinn import LAMB, LARS, Adadelta, AdamW, Lion, NAdam
from tests.support.optimizer_runs import NUMPY, PARAMS, descend, gradients_of_steps, vector

JAX = get_backend("jax")
AT_ONCE = 1e9  # the momentum is warmed up from the first step on, as in Optax

PAIRS = {
    "Adadelta": (Adadelta(0.5, 0.9), optax.adadelta(0.5, 0.9, 1e-6)),
    "NAdam": (NAdam(0.1, momentum_decay=AT_ONCE), optax.nadam(0.1)),
    "NAdam, weight decay": (
        NAdam(0.1, weight_decay=0.2, momentum_decay=AT_ONCE),
        optax.nadamw(0.1, weight_decay=0.2),
    ),
    "AdamW": (AdamW(0.1), optax.adamw(0.1, weight_decay=0.01)),
    "Lion": (Lion(0.1), optax.lion(0.1, weight_decay=0.0)),
    "Lion, weight decay": (Lion(0.1, 0.5, 0.9, 0.2), optax.lion(0.1, 0.5, 0.9, weight_decay=0.2)),
    "LARS": (LARS(2.0), optax.lars(2.0)),
    "LARS, other rates": (
        LARS(2.0, 0.5, 0.2, 0.01),
        optax.lars(2.0, weight_decay=0.2, trust_coefficient=0.01, momentum=0.5),
    ),
    "LAMB": (LAMB(0.1), optax.lamb(0.1)),
    "LAMB, weight decay": (LAMB(0.1, weight_decay=0.2), optax.lamb(0.1, weight_decay=0.2)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_updates_of_optax(name):
    optimizer, peer = PAIRS[name]
    start = {"W": PARAMS["W"], "b": np.zeros(3)}
    params, _ = descend(NUMPY, optimizer, gradients_of_steps(), start)
    with JAX.precision("float64"):
        update = JAX.jit(lambda g, state, params: peer.update(g, state, params))
        expected = JAX.from_numpy(start)
        state = peer.init(expected)
        for g in gradients_of_steps():
            updates, state = update(JAX.from_numpy(g), state, expected)
            expected = optax.apply_updates(expected, updates)
        np.testing.assert_allclose(
            vector(params), vector(JAX.to_numpy(expected)), rtol=1e-12, atol=1e-13
        )
