"""The learning rate on a plateau against PyTorch's, on random values."""

import numpy as np
import pytest

from multinn import SGD, Callback, ReduceLearningRateOnPlateau, ScaledLearningRate
from multinn.optimizers.scaled import learning_rate_scale
from tests.support.small_runs import fit, make_trainer

torch = pytest.importorskip("torch")


class Figures(Callback):
    """Adds a metric to the records, and keeps the scale after each earlier report."""

    adds = ("figure",)

    def __init__(self, values):
        self.values, self.scales = list(values), []

    def on_report(self, trainer, record):
        self.scales.append(learning_rate_scale(trainer.backend, trainer.optimizer_state))
        record["figure"] = self.values[len(self.scales) - 1]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("cooldown", [0, 1, 3])
@pytest.mark.parametrize("patience", [1, 2])
def test_the_learning_rates_of_pytorch(mode, cooldown, patience):
    """PyTorch's patience is one less: the learning rate falls at the report after it."""
    values = [float(value) for value in np.random.default_rng(patience).integers(0, 10, 24)]
    peer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        peer, mode, 0.5, patience - 1, 0.0, "abs", cooldown, min_lr=0.01, eps=0.0
    )
    expected = []
    for value in values:
        expected.append(peer.param_groups[0]["lr"])
        schedule.step(value)
    figures = Figures(values)
    reduce = ReduceLearningRateOnPlateau(
        "figure", mode=mode, factor=0.5, patience=patience, min_scale=0.01, cooldown=cooldown
    )
    trainer = make_trainer(optimizer=ScaledLearningRate(SGD(0.01)))
    fit(trainer, len(values), callbacks=[figures, reduce])
    np.testing.assert_allclose(figures.scales, expected, rtol=1e-6)
    assert len(set(expected)) > 3
