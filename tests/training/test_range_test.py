"""The learning-rate range test: its losses, what it suggests, and what it leaves as it was."""

from dataclasses import dataclass

import matplotlib
import numpy as np
import pytest

from multinn import (
    SGD,
    AccumulateGradients,
    Adam,
    ClipByGlobalNorm,
    Dense,
    DivergenceError,
    ExponentialMovingAverage,
    Freeze,
    HalfSquaredError,
    LearningRateRange,
    Optimizer,
    ScaledLearningRate,
    Trainer,
)
from multinn.optimizers.scaled import with_learning_rate_scale
from multinn.schedules import CosineDecay
from multinn.training.range_test import with_learning_rate
from tests.support.small_runs import PLAIN, X, Y, assert_same_bits, fit, make_trainer

# L = (λ / 2) W² for λ = 4: a step multiplies W by 1 - η λ, so that L falls exactly for η below 2 / λ.
CURVATURE = 4.0
QUADRATIC = {"x": [[2.0]], "y": [[0.0]]}


def quadratic(backend="numpy", optimizer=None, **keywords) -> Trainer:
    model = Dense(1, use_bias=False)
    return Trainer(
        model, HalfSquaredError(), optimizer or SGD(), backend=backend, dtype="float64", **keywords
    )


def test_the_losses_are_those_of_steps_with_rising_rates(backend):
    trainer = quadratic(backend)
    trainer.initialize((1,), {"W": np.array([[3.0]])})
    result = trainer.learning_rate_range_test(**QUADRATIC, low=0.01, high=0.16, steps=5)
    np.testing.assert_allclose(result.learning_rates, [0.01, 0.02, 0.04, 0.08, 0.16])
    weights = 3.0 * np.cumprod([1.0, 0.96, 0.92, 0.84, 0.68])
    np.testing.assert_allclose(result.losses, 0.5 * CURVATURE * weights**2, rtol=1e-12)
    assert not result.diverged


def test_on_a_quadratic_the_loss_is_smallest_where_steps_begin_to_diverge():
    """The loss of a step is that before its update, so it is smallest at the first rate above 2 / λ."""
    steps = 60
    result = quadratic().learning_rate_range_test(**QUADRATIC, low=1e-3, high=100.0, steps=steps)
    factor = result.learning_rates[1] / result.learning_rates[0]
    best = result.learning_rates[int(np.argmin(result.losses))]
    assert 2.0 / CURVATURE < best <= factor * 2.0 / CURVATURE
    assert result.diverged
    assert len(result.losses) < steps
    assert result.suggestion is not None
    assert 0.1 * 2.0 / CURVATURE / factor**2 < result.suggestion < 2.0 / CURVATURE


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(7.0, momentum=0.9),
        Adam(CosineDecay(7.0, 10), weight_decay=0.1),
        ClipByGlobalNorm(SGD(7.0), 0.5),
        Freeze(Adam(7.0), ("0.*",)),
        ExponentialMovingAverage(AccumulateGradients(SGD(7.0), 2)),
    ],
)
def test_the_steps_are_those_of_a_fit_with_that_rate(optimizer):
    """With the same order, dropout masks and, here, nearly the same rate in all steps."""
    settings = {"dtype": "float64", "seed": 3}
    trainer = make_trainer(optimizer=optimizer, **settings)
    result = trainer.learning_rate_range_test(
        X, Y, low=0.1, high=0.1 * (1.0 + 1e-12), steps=6, batch_size=5
    )
    other = make_trainer(optimizer=with_learning_rate(optimizer, 0.1), **settings)
    fit(other, 3, batch_size=5)
    np.testing.assert_allclose(np.reshape(result.losses, (3, 2)).mean(axis=1), other.history.losses)


def test_the_trainer_stays_as_it_is():
    trainer, other = make_trainer(), make_trainer()
    trainer.learning_rate_range_test(X, Y, steps=2)
    assert trainer.params is None
    fit(trainer, 1), fit(other, 1)
    programs = trainer.programs
    trainer.learning_rate_range_test(X, Y, steps=30, batch_size=4)
    assert trainer.programs is programs
    assert trainer.optimizer == other.optimizer
    assert_same_bits(fit(trainer, 1), fit(other, 1))


def test_the_test_begins_with_the_state_of_the_trainer():
    trainer = fit(make_trainer(model=PLAIN, optimizer=SGD(0.1, momentum=0.9)), 2)
    result = trainer.learning_rate_range_test(X, Y, low=1e-30, high=1e-29, steps=2, batch_size=10)
    expected = trainer.evaluate(X, Y)["loss"]
    np.testing.assert_allclose(result.losses, [expected, expected], rtol=1e-6)


def test_a_smoothed_loss_is_the_mean_over_the_window():
    losses = (6.0, 3.0, 0.0, 9.0, 9.0)
    result = LearningRateRange((1.0, 2.0, 3.0, 4.0, 5.0), losses, 3, diverged=False)
    assert result.smoothed == [4.5, 3.0, 4.0, 6.0, 9.0]
    assert result.suggestion == 0.2
    assert repr(result).endswith("suggestion: 0.2")


@pytest.mark.parametrize("losses", [(3.0, 2.0, 1.0), (1.0, 2.0, 3.0)])
def test_a_minimum_at_an_end_gives_no_suggestion(losses):
    result = LearningRateRange((0.1, 0.2, 0.3), losses, 1, diverged=False)
    assert result.suggestion is None
    assert "none, test another range" in repr(result)


def test_a_plot_shows_the_losses_and_the_suggestion():
    matplotlib.use("agg")
    result = LearningRateRange((1.0, 10.0, 100.0), (2.0, 1.0, 1e9), 1, diverged=True)
    axes = result.plot()
    batches, smoothed, line = axes.get_lines()
    for curve in (batches, smoothed):
        assert curve.get_xydata().tolist() == [[1.0, 2.0], [10.0, 1.0], [100.0, 1e9]]
    assert line.get_xdata()[0] == 1.0
    assert axes.get_xscale() == "log"
    assert axes.get_ylim()[1] < 3.0  # the last loss would hide the others
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"low": 0.0}, ValueError, "expected 0 < low < high, finite, got low=0.0"),
        ({"high": np.inf}, ValueError, "expected 0 < low < high, finite"),
        ({"low": 2.0, "high": 1.0}, ValueError, "expected 0 < low < high, finite"),
        ({"steps": 1}, ValueError, "steps: expected at least 2, got 1"),
        ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
        ({"y": [[np.nan]]}, ValueError, "y: "),
    ],
)
def test_invalid_arguments_are_reported(arguments, error, message):
    with pytest.raises(error, match=message):
        quadratic().learning_rate_range_test(**(QUADRATIC | arguments))


def test_an_optimizer_without_a_learning_rate_is_named():
    @dataclass(frozen=True)
    class Still(Optimizer):
        def init(self, params):
            return {}

        def update(self, backend, gradients, state, params):
            return params, state

    trainer = quadratic(optimizer=ClipByGlobalNorm(Still(), 1.0))
    with pytest.raises(ValueError, match="expected an optimizer with a field learning_rate, got Still"):
        trainer.learning_rate_range_test(**QUADRATIC)


def test_a_loss_that_is_not_finite_at_first_is_a_divergence():
    trainer = quadratic()
    trainer.initialize((1,), {"W": np.array([[1e300]])})
    with pytest.raises(DivergenceError):
        trainer.learning_rate_range_test(**QUADRATIC)


def test_a_scale_of_the_learning_rate_does_not_change_the_rates():
    trainer = quadratic(optimizer=ScaledLearningRate(SGD()))
    expected = trainer.learning_rate_range_test([[2.0]], [[2.0]])
    trainer.initialize((1,))
    scaled = with_learning_rate_scale(trainer.backend, trainer.optimizer_state, 0.01)
    trainer.state = trainer.state._replace(optimizer_state=scaled)
    assert trainer.learning_rate_range_test([[2.0]], [[2.0]]) == expected
