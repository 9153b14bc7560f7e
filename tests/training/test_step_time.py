"""The estimate of the time of a step, and its use."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from multinn import Dense, MeanSquaredError, Sequential
from multinn.layers.base import ParameterFree
from multinn.optimizers import SGD
from multinn.training import calls, run
from multinn.training.program import Examples, TrainingProgram, TrainingState
from tests.support.small_runs import X, Y, fit, make_trainer


@dataclass(frozen=True)
class Slow(ParameterFree):
    """A layer that takes some time when it is not compiled."""

    seconds: float

    def forward(self, backend, params, x, key=None):
        time.sleep(self.seconds)
        return x, None

    def backward(self, backend, params, cache, dy):
        return dy, {}


@dataclass(frozen=True)
class OfOneLibrary(ParameterFree):
    """A layer that only JAX can run."""

    def forward(self, backend, params, x, key=None):
        return x.at[...].mul(2.0), None

    def backward(self, backend, params, cache, dy):
        return dy.at[...].mul(2.0), {}


def recorder(shown: list[Any]) -> Callable[..., Any]:
    """Return a substitute for the progress bar that records its calls."""

    @contextmanager
    def record(total: int, unit: str, show: bool = True) -> Iterator[Callable[..., None]]:
        yield lambda done, metrics: shown.append((done, metrics))

    return record


def estimate(layer: ParameterFree, examples: int = 10) -> float:
    program = TrainingProgram(
        make_trainer().backend, Sequential([layer, Dense(2)]), MeanSquaredError(), SGD(), {}
    )
    params = ({}, {"W": np.ones((3, 2), np.float32), "b": np.zeros(2, np.float32)})
    state = TrainingState(params, ({}, {}), SGD().init(params))
    batch = Examples(np.resize(X, (examples, 3)), np.resize(Y, (examples, 2)))
    return calls.estimate_seconds(program, state, batch)


@pytest.mark.parametrize("seconds", [0.01, 0.07])
def test_the_estimate_of_a_slow_step_is_large(seconds):
    assert estimate(Slow(seconds)) >= seconds / 3.0


def test_a_long_step_is_tried_on_a_part_of_the_batch(monkeypatch):
    """The clock advances by a second for each example."""
    seen: list[int] = []
    monkeypatch.setattr(calls, "time", SimpleNamespace(perf_counter=lambda: float(sum(seen))))

    @dataclass(frozen=True)
    class Counting(ParameterFree):
        def forward(self, backend, params, x, key=None):
            seen.append(len(x))
            return x, None

        def backward(self, backend, params, cache, dy):
            return dy, {}

    assert estimate(Counting(), 64) == 64.0
    assert seen == [4]


def test_estimates_are_powers_of_eight():
    power = math.log(estimate(Slow(0.001)), 8.0)
    assert power == pytest.approx(round(power))


def test_a_model_that_numpy_cannot_run_trains():
    trainer = make_trainer("jax", Sequential([OfOneLibrary(), Dense(2)]))
    assert len(fit(trainer, 3, progress=True).history) == 3


def test_the_estimate_is_made_once(monkeypatch):
    estimates = []
    monkeypatch.setattr(run, "estimate_seconds", lambda *_: estimates.append(1) or 0.0)
    trainer = make_trainer()
    for _ in range(3):
        fit(trainer, 2, progress=True)
        fit(trainer, 1)
    assert estimates == [1]


@pytest.mark.parametrize(("seconds", "parts"), [(0.2, 1), (1.0, 3)])
def test_a_long_epoch_moves_the_bar_several_times(monkeypatch, seconds, parts):
    """At the end of an epoch, its whole record is shown."""
    shown = []
    monkeypatch.setattr(run, "estimate_seconds", lambda *_: seconds)
    monkeypatch.setattr(run, "progress", recorder(shown))
    trainer = fit(make_trainer(), 2, progress=True, validation_data=(X, Y))
    assert [done for done, _ in shown] == pytest.approx([1.0 / parts] * (2 * parts))
    for epoch in (0, 1):
        *parts_of_epoch, whole = shown[epoch * parts : (epoch + 1) * parts]
        assert {"epoch": epoch + 1} | whole[1] == trainer.history[epoch]
        assert all(list(metrics) == ["loss"] for _, metrics in parts_of_epoch)


def test_of_many_epochs_in_one_call_twenty_are_shown(monkeypatch):
    shown = []
    monkeypatch.setattr(run, "progress", recorder(shown))
    trainer = fit(make_trainer(), 200, batch_size=10, progress=True)
    assert [done for done, _ in shown] == [10] * 20
    assert [metrics["loss"] for _, metrics in shown] == trainer.history["loss"][9::10]
