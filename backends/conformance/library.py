"""Checks of multinn's random numbers and gradients against those on NumPy."""

from functools import cache, partial
from typing import Any

import numpy as np

from backends.base import Backend
from backends.conformance.base import Check, NonconformanceError, check, has_float64, require_same
from backends.registry import get_backend

# multinn depends on backends, so it is imported only where it is used.

_TOLERANCES = {"float64": 1e-10, "float32": 5e-6}


@check("random-numbers", "bits equal NumPy's")
def same_bits(backend: Backend) -> None:
    _compare_draws(backend, "bits", lambda random, own, key: random.bits(own, key, (5, 200)))


@check("random-numbers", "uniform numbers and masks equal NumPy's")
def same_draws(backend: Backend) -> None:
    like = np.ones(1, np.float32)
    _compare_draws(
        backend,
        "uniform",
        lambda random, own, key: random.uniform(own, key, (100,), own.from_numpy(like)),
    )
    _compare_draws(
        backend, "bernoulli", lambda random, own, key: random.bernoulli(own, key, 0.3, (100,))
    )


def _compare_draws(backend: Backend, what: str, draw: Any) -> None:
    """Compare the draws of three steps, eager and compiled."""
    from multinn import random

    def run(own: Backend, seed: Any) -> Any:
        return draw(random, own, random.child(random.Key(seed), 2))

    numpy = get_backend("numpy:eager")
    for seed in random.step_words(7, 0, 3):
        expected = numpy.to_numpy(numpy.jit(partial(run, numpy))(seed))
        own = backend.from_numpy(seed)
        require_same(backend.to_numpy(run(backend, own)), expected, f"multinn.random.{what}")
        compiled = backend.jit(partial(run, backend), own)
        require_same(backend.to_numpy(compiled(own)), expected, f"a compiled multinn.random.{what}")


def gradient_checks() -> list[Check]:
    """Return one check for each layer and loss of multinn."""
    from multinn.testing.gradient_cases import CASES

    return [Check("gradients", case.name, partial(_compare_gradients, case)) for case in CASES]


def _compare_gradients(case: Any, backend: Backend) -> None:
    """Compare gradients, in each precision of the backend, with NumPy's in float64."""
    from multinn.testing.gradients import evaluate, malformed, tree_error

    point = case.draw(0)
    expected = _reference(case)
    for dtype in _TOLERANCES if has_float64(backend) else ["float32"]:
        evaluation = evaluate(case, backend, point, dtype)
        if count := malformed(evaluation, point, dtype):
            raise NonconformanceError(
                f"expected {dtype} gradients in the shapes of their variables, with equal bits when "
                f"computed in two ways, got {count} arrays that differ"
            )
        error = tree_error(evaluation.gradients, expected)
        if not error <= _TOLERANCES[dtype]:
            raise NonconformanceError(
                f"expected {dtype} gradients within {_TOLERANCES[dtype]:g} of NumPy's, "
                f"got a relative error of {error:.2g}"
            )


@cache
def _reference(case: Any) -> Any:
    from multinn.testing.gradients import evaluate

    return evaluate(case, get_backend("numpy:eager"), case.draw(0), "float64").gradients
