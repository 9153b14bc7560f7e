"""Schedules: the learning rate at some steps, against plain Python."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from backends import Backend
from multinn.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    Schedule,
    StepDecay,
)

STEPS = [0, 1, 2, 9, 10, 11, 19, 20, 50, 99, 100, 101, 1000, 1_000_000]


def cosine(step: int, peak: float, total: int, warmup: int, final: float) -> float:
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min((step - warmup) / (total - warmup), 1.0)
    return final + (peak - final) * (1.0 + math.cos(math.pi * progress)) / 2.0


FORMULAS: dict[Schedule, Callable[[int], float]] = {
    Constant(0.3): lambda step: 0.3,
    StepDecay(0.1, 0.5, every=10): lambda step: 0.1 * 0.5 ** (step // 10),
    StepDecay(2.0, 1.0, every=1): lambda step: 2.0,
    StepDecay(2.0, 0.0, every=10): lambda step: 2.0 if step < 10 else 0.0,
    ExponentialDecay(0.1, 0.9, every=10): lambda step: 0.1 * 0.9 ** (step / 10),
    InverseTimeDecay(0.5, 0.1): lambda step: 0.5 / (1.0 + 0.1 * step),
    InverseTimeDecay(0.5, 0.1, every=7): lambda step: 0.5 / (1.0 + 0.1 * step / 7),
    CosineDecay(0.2, 100): lambda step: cosine(step, 0.2, 100, 0, 0.0),
    CosineDecay(0.2, 100, 10): lambda step: cosine(step, 0.2, 100, 10, 0.0),
    CosineDecay(0.2, 100, 10, 0.02): lambda step: cosine(step, 0.2, 100, 10, 0.02),
    CosineDecay(0.1, 100, final=0.4): lambda step: cosine(step, 0.1, 100, 0, 0.4),
}


def rates(backend: Backend, schedule: Schedule, steps: list[int], dtype: str) -> np.ndarray:
    with backend.precision(dtype):
        run = backend.jit(lambda step: schedule(backend, step) + 0.0 * step)
        host: np.ndarray = backend.to_numpy(run(backend.from_numpy(np.array(steps, dtype))))
    assert host.dtype == dtype
    return host


@pytest.mark.parametrize("schedule", FORMULAS, ids=str)
def test_float64_is_the_formula(backend, schedule):
    expected = [FORMULAS[schedule](step) for step in STEPS]
    actual = rates(backend, schedule, STEPS, "float64")
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("schedule", FORMULAS, ids=str)
def test_float32_is_the_formula_to_its_precision(backend, schedule):
    steps = [step for step in STEPS if step <= 1000]
    expected = [FORMULAS[schedule](step) for step in steps]
    actual = rates(backend, schedule, steps, "float32")
    np.testing.assert_allclose(actual, expected, rtol=5e-6, atol=1e-7)


@pytest.mark.parametrize("every", [1, 3, 7, 10, 49, 1000])
def test_steps_fall_exactly_where_they_should_in_float32(backend, every):
    """Neither early nor late: one drop more or less would be a relative error of 2⁻¹³."""
    factor = 1.0 - 2.0**-13  # exact in float32
    drops = np.unique(np.geomspace(1, 10_000, 60).astype(int))
    steps = [*(drops * every), *(drops * every - 1)]
    actual = rates(backend, StepDecay(1.0, factor, every), steps, "float32")
    np.testing.assert_allclose(actual, factor ** np.concatenate([drops, drops - 1]), rtol=2.0**-15)


def test_the_warm_up_ends_at_the_peak_and_the_decay_at_the_end(backend):
    schedule = CosineDecay(0.5, total_steps=30, warmup_steps=10, final=0.1)
    actual = rates(backend, schedule, [0, 9, 10, 30, 31], "float64")
    np.testing.assert_allclose(actual, [0.05, 0.5, 0.5, 0.1, 0.1], rtol=1e-15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-1.0), "Constant: expected a finite learning_rate of 0 or more, got -1.0"),
        (lambda: Constant(math.nan), "learning_rate"),
        (lambda: StepDecay(-1.0, 0.5, 1), "StepDecay: .*initial"),
        (lambda: StepDecay(1.0, math.inf, 1), "StepDecay: .*factor"),
        (lambda: StepDecay(1.0, 0.5, 0), "StepDecay: expected every of at least 1, got 0"),
        (lambda: ExponentialDecay(math.nan, 0.5, 1), "ExponentialDecay: .*initial"),
        (lambda: ExponentialDecay(1.0, -0.5, 1), "ExponentialDecay: .*factor"),
        (lambda: ExponentialDecay(1.0, 0.5, -2), "ExponentialDecay: .*every"),
        (lambda: InverseTimeDecay(-1.0, 0.5), "InverseTimeDecay: .*initial"),
        (lambda: InverseTimeDecay(1.0, -0.5), "InverseTimeDecay: .*rate"),
        (lambda: InverseTimeDecay(1.0, 0.5, 0), "InverseTimeDecay: .*every"),
        (lambda: CosineDecay(-1.0, 10), "CosineDecay: .*peak"),
        (lambda: CosineDecay(1.0, 10, final=math.inf), "CosineDecay: .*final"),
        (lambda: CosineDecay(1.0, 10, -1), "CosineDecay: expected warmup_steps of at least 0, got -1"),
        (lambda: CosineDecay(1.0, 10, 10), "CosineDecay: expected total_steps of at least 11, got 10"),
        (lambda: CosineDecay(1.0, 0), "CosineDecay: .*total_steps of at least 1, got 0"),
    ],
)
def test_invalid_hyperparameters_raise(make: Callable[[], Schedule], message):
    with pytest.raises(ValueError, match=message):
        make()
