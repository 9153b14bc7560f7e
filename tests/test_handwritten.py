"""The loops by hand compute what the framework computes: only so is their time a yardstick."""

import numpy as np
import pytest

from experiments import handwritten
from multinn import SGD, Dense, ReLU, Sequential, SoftmaxCrossEntropy, Trainer
from multinn.training import make_plan

EXAMPLES, BATCH_SIZE = 100, 32


@pytest.mark.parametrize(
    ("name", "make_epoch"), [("numpy", handwritten.numpy_epoch), ("jax", handwritten.jax_epoch)]
)
def test_one_epoch_by_hand_is_one_epoch_of_the_framework(name, make_epoch):
    generator = np.random.default_rng(0)
    x = generator.random((EXAMPLES, 20), dtype=np.float32)
    y = generator.integers(0, 10, EXAMPLES).astype(np.int32)
    model = Sequential([Dense(8), ReLU(), Dense(10)])
    trainer = Trainer(model, SoftmaxCrossEntropy(), SGD(0.1), backend=name)
    trainer.initialize((20,))
    first, _, last = trainer.backend.to_numpy(trainer.params)
    start = handwritten.Parameters(first["W"], first["b"], last["W"], last["b"])
    plan = make_plan(EXAMPLES, EXAMPLES, first_epoch=0, epochs=1, first_step=0, seed=0, shuffle=True)
    order = np.asarray(plan.rows).reshape(-1)
    by_hand, loss = make_epoch(x, y, BATCH_SIZE, 0.1)(start, order)
    history = trainer.fit(x, y, epochs=1, batch_size=BATCH_SIZE, progress=False)
    first, _, last = trainer.backend.to_numpy(trainer.params)
    for own, other in zip((first["W"], first["b"], last["W"], last["b"]), by_hand, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)
    assert history[-1]["loss"] == pytest.approx(loss, rel=1e-5)
