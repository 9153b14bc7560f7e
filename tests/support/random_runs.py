"""The random models of the tests; `MULTINN_RANDOM_MODELS=2000` in the environment tries that many."""

import os
from functools import cache

from backends import get_backend
from multinn.testing.gradient_cases import Evaluation, LayerCase
from multinn.testing.gradients import evaluate
from multinn.testing.random_models import random_case

IN_THE_SUITE = 200
SEEDS = range(int(os.environ.get("MULTINN_RANDOM_MODELS", IN_THE_SUITE)))


@cache
def case_of(seed: int) -> LayerCase:
    return random_case(seed)


@cache
def reference(seed: int) -> Evaluation:
    """Return the value and the gradients in float64 by NumPy without a compiler."""
    case = case_of(seed)
    return evaluate(case, get_backend("numpy:eager"), case.draw(0), "float64")
