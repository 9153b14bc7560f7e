"""Smooth activation functions, all elementwise except Softmax.

x is the input of any shape, y = f(x) the output of the same shape, and dy = ∂L/∂y. For an elementwise f
the chain rule is dx = dy f'(x), so each docstring derives only f'.
"""

import math
from dataclasses import dataclass
from typing import Literal

from backends import Array, Backend, Tree
from multinn import functional
from multinn.descriptions.bounds import check_choice
from multinn.layers.base import ParameterFree
from multinn.random import Key

_GELU_SCALE = math.sqrt(2.0 / math.pi)
_GELU_CUBIC = 0.044715


@dataclass(frozen=True)
class Sigmoid(ParameterFree):
    """y = σ(x) = 1 / (1 + exp(-x)).

    σ'(x) = exp(-x) / (1 + exp(-x))² = σ(x) (1 - σ(x)), so dx = dy y (1 - y).
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, which is also the cache."""
        y = functional.sigmoid(backend, x)
        return y, y

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy y (1 - y)."""
        y = cache
        return dy * y * (1.0 - y), {}


@dataclass(frozen=True)
class Tanh(ParameterFree):
    """y = tanh(x).

    tanh = sinh / cosh gives tanh' = (cosh² - sinh²) / cosh² = 1 - tanh², so dx = dy (1 - y²).
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, which is also the cache."""
        y = backend.xp.tanh(x)
        return y, y

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy (1 - y²)."""
        y = cache
        return dy * (1.0 - y * y), {}


@dataclass(frozen=True)
class GELU(ParameterFree):
    """y = x Φ(x), where Φ is the cumulative distribution of the standard normal and φ its density.

    As Φ' = φ, exactly:                     f'(x) = Φ(x) + x φ(x).
    With ``approximate="tanh"``:            y = x (1 + t) / 2, t = tanh(u), u = √(2/π) (x + 0.044715 x³),
        where t' = (1 - t²) u', so          f'(x) = (1 + t) / 2 + x (1 - t²) u' / 2,
        and                                 u' = √(2/π) (1 + 3 · 0.044715 x²).
    In both, y = x g(x), so dx = dy (g + x g'). The cache holds x and g(x).
    Source: D. Hendrycks and K. Gimpel, Gaussian error linear units, 2016, section 2.

    Attributes:
        approximate: "none" for the definition, "tanh" for the cheaper approximation (error < 0.0005).

    Raises:
        ValueError: approximate is something else.
    """

    approximate: Literal["none", "tanh"] = "none"

    def __post_init__(self) -> None:
        check_choice(self, "approximate", "none", "tanh")

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x g(x), and (x, g)."""
        exact = self.approximate == "none"
        g = functional.normal_cdf(backend, x) if exact else _tanh_gate(backend, x)
        return x * g, (x, g)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy (g + x g')."""
        x, g = cache
        if self.approximate == "tanh":
            # With t = 2 g - 1, g' = (1 - t²) u' / 2 = 2 g (1 - g) u'.
            near = _near_zero(backend, x)
            du = _GELU_SCALE * (1.0 + 3.0 * _GELU_CUBIC * near * near)
            slope = 2.0 * g * (1.0 - g) * du
        else:
            slope = functional.normal_pdf(backend, x)
        return dy * (g + x * slope), {}


@dataclass(frozen=True)
class SiLU(ParameterFree):
    """y = x σ(x), also called swish.

    The product rule and σ' = σ (1 - σ) give f'(x) = σ + x σ (1 - σ) = σ + y (1 - σ).
    Source: S. Elfwing, E. Uchibe and K. Doya, Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning, Neural Networks 107, 2018.
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (σ, y)."""
        y, s = functional.silu(backend, x)
        return y, (s, y)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy (σ + y (1 - σ))."""
        s, y = cache
        return dy * (s + y * (1.0 - s)), {}


@dataclass(frozen=True)
class Mish(ParameterFree):
    """y = x t with t = tanh(softplus(x)).

    t' = (1 - t²) σ(x), as softplus' = σ, so f'(x) = t + x t' = t + (1 - t²) x σ(x).
    Source: D. Misra, Mish: a self regularized non-monotonic activation function, BMVC 2020.
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x t, and (x, t)."""
        t = backend.xp.tanh(functional.softplus(backend, x))
        return x * t, (x, t)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy (t + (1 - t²) x σ(x))."""
        x, t = cache
        x_sigma, _ = functional.silu(backend, x)
        return dy * (t + (1.0 - t * t) * x_sigma), {}


@dataclass(frozen=True)
class Softplus(ParameterFree):
    """y = log(1 + exp(x)).

    f'(x) = exp(x) / (1 + exp(x)) = σ(x).
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and x."""
        return functional.softplus(backend, x), x

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy σ(x)."""
        x = cache
        return dy * functional.sigmoid(backend, x), {}


@dataclass(frozen=True)
class Softsign(ParameterFree):
    """y = x / d with d = 1 + |x|.

    d' is the sign of x, so f'(x) = 1 / d - x sign(x) / d² = (d - |x|) / d² = 1 / d².
    Source: J. Bergstra et al., Quadratic polynomials learn better image features, technical report 1337,
    Université de Montréal, 2009.
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and d."""
        d = 1.0 + backend.xp.abs(x)
        return x / d, d

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy / d²."""
        d = cache
        return dy / d / d, {}  # d² might overflow


@dataclass(frozen=True)
class Softmax(ParameterFree):
    """y_i = exp(x_i) / Σ_k exp(x_k), along the last axis.

    ∂y_i/∂x_j = y_i (δ_ij - y_j), so dx_j = Σ_i dy_i y_i (δ_ij - y_j) = y_j (dy_j - Σ_i dy_i y_i).
    To train a classifier, leave this layer out and use the loss SoftmaxCrossEntropy on logits.
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, which is also the cache."""
        y = functional.softmax(backend, x)
        return y, y

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = y (dy - Σ dy y)."""
        y = cache
        return y * (dy - functional.sum_of_columns(backend, dy * y)), {}


def _tanh_gate(backend: Backend, x: Array) -> Array:
    near = _near_zero(backend, x)
    u = _GELU_SCALE * (near + _GELU_CUBIC * near * near * near)
    return 0.5 * (1.0 + backend.xp.tanh(u))


def _near_zero(backend: Backend, x: Array) -> Array:
    """Clip x to [-20, 20]: outside, tanh rounds to ±1, and x³ might overflow."""
    return backend.xp.maximum(backend.xp.minimum(x, 20.0), -20.0)
