"""Initializers: they draw parameters on the host, so every backend starts from the same bits.

An initializer takes a generator, the shape of the array, and two numbers: fan-in (how many inputs feed
one output) and fan-out (how many outputs one input feeds). It returns float64. The trainer rounds the
parameters to the dtype in which it trains.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal

import numpy as np

from backends import HostArray, Shape
from multinn.descriptions.bounds import check_choice, check_finite, check_nonnegative
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.host.checks import check_integers, check_lengths
from multinn.host.shapes_only import ShapesOnly


class Initializer(Hyperparameters):
    """Base class: a frozen dataclass; calling it draws an array."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "__call__" in vars(cls):
            cls.__call__ = _with_checks(cls.__call__)  # type: ignore[method-assign]

    @abstractmethod
    def __call__(
        self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
    ) -> HostArray:
        """Return a float64 array of that shape.

        Raises:
            TypeError, ValueError: an argument has another type, or a fan is below 1.
        """


def _with_checks(call: Callable[..., HostArray]) -> Callable[..., HostArray]:
    """Return a method `Initializer.__call__` that checks its arguments first."""

    @wraps(call)
    def checked(self: Any, generator: Any, shape: Any, fan_in: Any, fan_out: Any) -> HostArray:
        if not isinstance(generator, np.random.Generator):
            raise TypeError(
                "generator: expected a numpy.random.Generator, such as numpy.random.default_rng(0), got "
                f"{generator!r}"
            )
        check_integers(fan_in=fan_in, fan_out=fan_out)
        shape = check_lengths(shape, "shape", "the shape of an array")
        if isinstance(generator, ShapesOnly):
            return np.zeros(shape)
        return call(self, generator, shape, fan_in, fan_out)

    return checked


@dataclass(frozen=True)
class Constant(Initializer):
    """Every entry is ``value``.

    Raises:
        ValueError: the value is not finite.
    """

    value: float

    def __post_init__(self) -> None:
        check_finite(self, "value")

    def __call__(
        self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
    ) -> HostArray:
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class Zeros(Initializer):
    """Every entry is 0."""

    def __call__(
        self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
    ) -> HostArray:
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones(Initializer):
    """Every entry is 1."""

    def __call__(
        self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
    ) -> HostArray:
        return np.ones(shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Draw from the uniform distribution over [low, high).

    Raises:
        ValueError: the bounds are not finite, or low is above high.
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        if not -math.inf < self.low <= self.high < math.inf:
            raise ValueError(f"Uniform: expected finite low <= high, got {self.low}, {self.high}")

    def __call__(
        self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
    ) -> HostArray:
        return generator.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class Normal(Initializer):
    """Draw from the normal distribution with this mean and standard deviation.

    Raises:
        ValueError: the mean is not finite, or the standard deviation is negative or not finite.
    """

    mean: float = 0.0
    standard_deviation: float = 0.05

    def __post_init__(self) -> None:
        check_finite(self, "mean")
        check_nonnegative(self, "standard_deviation")

    def __call__(
        self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
    ) -> HostArray:
        return generator.normal(self.mean, self.standard_deviation, shape)


@dataclass(frozen=True)
class _VarianceScaling(Initializer):
    """Draw with mean 0 and a variance that keeps the size of signals from layer to layer."""

    distribution: Literal["uniform", "normal"] = "uniform"

    def __post_init__(self) -> None:
        check_choice(self, "distribution", "uniform", "normal")

    @abstractmethod
    def variance(self, fan_in: int, fan_out: int) -> float:
        """Return the variance of each entry."""

    def __call__(
        self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
    ) -> HostArray:
        deviation = math.sqrt(self.variance(fan_in, fan_out))
        if self.distribution == "normal":
            return generator.normal(0.0, deviation, shape)
        bound = math.sqrt(3.0) * deviation  # the variance of Uniform(-a, a) is a² / 3
        return generator.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class Glorot(_VarianceScaling):
    """Variance 2 / (fan_in + fan_out), for tanh and sigmoid.

    Source: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural
    networks, AISTATS 2010, equation 16 (uniform).
    """

    def variance(self, fan_in: int, fan_out: int) -> float:
        """Return 2 / (fan_in + fan_out)."""
        return 2.0 / (fan_in + fan_out)


@dataclass(frozen=True)
class He(_VarianceScaling):
    """Variance 2 / fan_in, for ReLU and its relatives.

    Source: K. He et al., Delving deep into rectifiers, ICCV 2015, equation 10 (normal).
    """

    def variance(self, fan_in: int, fan_out: int) -> float:
        """Return 2 / fan_in."""
        return 2.0 / fan_in


@dataclass(frozen=True)
class LeCun(_VarianceScaling):
    """Variance 1 / fan_in.

    Source: Y. LeCun et al., Efficient BackProp, 1998, section 4.6, equation 16.
    """

    def variance(self, fan_in: int, fan_out: int) -> float:
        """Return 1 / fan_in."""
        return 1.0 / fan_in


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A matrix with orthogonal rows or columns, whichever are fewer, of length ``gain``.

    A square matrix keeps the length of signals and gradients over any number of layers or steps. All
    orthogonal matrices are equally likely: a normal A is factored as A = Q R, and the columns of Q take
    the signs of the diagonal of R. In arrays with more than two axes, all but the last count as one.
    Source: A. M. Saxe, J. L. McClelland and S. Ganguli, Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks, ICLR 2014, section 3; F. Mezzadri, How to generate random
    matrices from the classical compact groups, Notices of the AMS 54, 2007, section 5, for the signs.

    Raises:
        ValueError: the gain is not finite; or, in a call, the array has fewer than two axes.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        check_finite(self, "gain")

    def __call__(
        self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
    ) -> HostArray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected an array of two axes or more, got shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        Q, R = np.linalg.qr(generator.normal(size=(max(rows, columns), min(rows, columns))))
        Q = Q * np.where(np.diagonal(R) < 0.0, -1.0, 1.0)
        return self.gain * np.reshape(Q if rows >= columns else Q.T, shape)
