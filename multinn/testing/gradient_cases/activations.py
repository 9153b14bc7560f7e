"""Gradient cases of activations.

Kinks, where a derivative jumps: x = 0 for ReLU, LeakyReLU and PReLU; x = 0 and 6 for ReLU6; x = -3 and
3 for HardSwish; x = 0 for ELU (the second derivative if α = 1, else the first) and for |x| in Softsign.
"""

from collections.abc import Callable

import numpy as np

from backends import HostArray
from multinn import (
    ELU,
    GELU,
    HardSwish,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from multinn.testing.gradient_cases.base import LayerCase, Point, inputs


def _distance_from(*kinks: float) -> Callable[[Point], HostArray]:
    return lambda point: np.stack([inputs(point) - kink for kink in kinks])


CASES: tuple[LayerCase, ...] = (
    LayerCase("Sigmoid", Sigmoid(), (4, 6)),
    LayerCase("Tanh", Tanh(), (4, 6)),
    LayerCase("ReLU", ReLU(), (4, 6), kink=inputs),
    LayerCase("LeakyReLU", LeakyReLU(), (4, 6), kink=inputs),
    LayerCase("LeakyReLU slope 0.3", LeakyReLU(0.3), (4, 6), kink=inputs),
    LayerCase("ELU", ELU(), (4, 6), kink=inputs),
    LayerCase("ELU alpha 0.5", ELU(0.5), (4, 6), kink=inputs),
    LayerCase("GELU", GELU(), (4, 6)),
    LayerCase("GELU tanh", GELU("tanh"), (4, 6)),
    LayerCase("SiLU", SiLU(), (4, 6)),
    LayerCase("Mish", Mish(), (4, 6)),
    LayerCase("PReLU", PReLU(), (2, 3, 4), kink=inputs),
    LayerCase("ReLU6", ReLU6(), (4, 6), kink=_distance_from(0.0, 6.0)),
    LayerCase("HardSwish", HardSwish(), (4, 6), kink=_distance_from(-3.0, 3.0)),
    LayerCase("Softsign", Softsign(), (4, 6), kink=inputs),
    LayerCase("Softplus", Softplus(), (4, 6)),
    LayerCase("Softmax", Softmax(), (4, 6)),
    LayerCase("Softmax 3-D", Softmax(), (2, 3, 4)),
)
