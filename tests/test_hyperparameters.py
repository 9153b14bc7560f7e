"""Hyperparameters may be numbers of NumPy: they promote nothing."""

import numpy as np
import pytest

from backends import tree
from multinn import (
    ELU,
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    ClipByGlobalNorm,
    Dense,
    Dropout,
    LayerNorm,
    LeakyReLU,
    MeanSquaredError,
    Rescale,
    Sequential,
    Trainer,
    schedules,
)
from tests.small_runs import X, Y

TENTH = np.float64(0.1)


@pytest.mark.parametrize("backend", ["numpy", "numpy:eager", "jax"])
@pytest.mark.parametrize(
    ("layer", "optimizer"),
    [
        (Rescale(TENTH, TENTH), SGD(TENTH)),
        (LeakyReLU(TENTH), SGD(TENTH, momentum=TENTH)),
        (ELU(TENTH), Adam(TENTH, beta_1=TENTH, epsilon=TENTH)),
        (Dropout(TENTH), AdamW(TENTH, weight_decay=TENTH)),
        (LayerNorm(TENTH), ClipByGlobalNorm(SGD(TENTH), TENTH)),
        (BatchNorm(TENTH, TENTH), SGD(TENTH)),
        (LayerNorm(), SGD(schedules.ExponentialDecay(TENTH, factor=TENTH, every=np.int64(5)))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_of_numpy_promote_nothing(backend, layer, optimizer):
    model = Sequential([layer, Dense(np.int64(2))])
    trainer = Trainer(model, MeanSquaredError(), optimizer, backend=backend)
    trainer.fit(X, Y, epochs=1, batch_size=5, progress=False)
    assert {str(leaf.dtype) for leaf in tree.leaves(trainer.params)} == {"float32"}
    assert trainer.predict(X).dtype == np.float32
