"""Activations.

kink: where a derivative jumps. ReLU, LeakyReLU: at x = 0. ELU: at x = 0 too, the second derivative if
α = 1, else the first.
"""

from experiments.gradient_cases.base import LayerCase, inputs
from multinn import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh

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
    LayerCase("Softplus", Softplus(), (4, 6)),
    LayerCase("Softmax", Softmax(), (4, 6)),
    LayerCase("Softmax 3-D", Softmax(), (2, 3, 4)),
)
