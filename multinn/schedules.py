"""Learning-rate schedules: functions of the number of steps taken so far."""

import math
from abc import abstractmethod
from dataclasses import dataclass

from backends import Array, Backend
from multinn.descriptions.bounds import check_integers, check_nonnegative
from multinn.descriptions.hyperparameters import Hyperparameters


class Schedule(Hyperparameters):
    """Base class: a frozen dataclass; calling it with a step returns the learning rate there."""

    @abstractmethod
    def __call__(self, backend: Backend, step: Array) -> Array | float:
        """Return the learning rate.

        Args:
            backend: the backend of ``step``.
            step: the number of updates before this one, 0 at the first; floats of any shape.
        """


@dataclass(frozen=True)
class Constant(Schedule):
    """A constant learning rate.

    Raises:
        ValueError: learning_rate is negative or not finite.
    """

    learning_rate: float

    def __post_init__(self) -> None:
        check_nonnegative(self, "learning_rate")

    def __call__(self, backend: Backend, step: Array) -> float:
        """Return the learning rate."""
        return self.learning_rate


@dataclass(frozen=True)
class _Decay(Schedule):
    initial: float
    factor: float
    every: int

    def __post_init__(self) -> None:
        check_nonnegative(self, "initial", "factor")
        check_integers(self, "every")


@dataclass(frozen=True)
class StepDecay(_Decay):
    """initial · factor^⌊step / every⌋.

    Raises:
        ValueError: initial or factor is negative or not finite, or every is below 1.
    """

    def __call__(self, backend: Backend, step: Array) -> Array:
        """Return the learning rate."""
        return self.initial * self.factor ** backend.xp.floor(step / float(self.every))


@dataclass(frozen=True)
class ExponentialDecay(_Decay):
    """initial · factor^(step / every): the smooth form of StepDecay.

    Raises:
        ValueError: initial or factor is negative or not finite, or every is below 1.
    """

    def __call__(self, backend: Backend, step: Array) -> Array:
        """Return the learning rate."""
        return self.initial * self.factor ** (step / float(self.every))


@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """initial / (1 + rate · step / every).

    Raises:
        ValueError: initial or rate is negative or not finite, or every is below 1.
    """

    initial: float
    rate: float
    every: int = 1

    def __post_init__(self) -> None:
        check_nonnegative(self, "initial", "rate")
        check_integers(self, "every")

    def __call__(self, backend: Backend, step: Array) -> Array:
        """Return the learning rate."""
        return self.initial / (1.0 + (self.rate / self.every) * step)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """A linear warm-up from 0 to ``peak``, then half a cosine down to ``final``.

    Up to warmup_steps, the rate is peak · (step + 1) / warmup_steps. From there to total_steps it is
    final + (peak - final) (1 + cos(π progress)) / 2, where progress runs from 0 to 1. Later it is final.
    Source: I. Loshchilov and F. Hutter, SGDR, ICLR 2017, equation 5 (one period).

    Raises:
        ValueError: peak or final is negative or not finite, or total_steps is not above warmup_steps.
    """

    peak: float
    total_steps: int
    warmup_steps: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        check_nonnegative(self, "peak", "final")
        check_integers(self, "warmup_steps", minimum=0)
        check_integers(self, "total_steps", minimum=self.warmup_steps + 1)

    def __call__(self, backend: Backend, step: Array) -> Array:
        """Return the learning rate."""
        xp = backend.xp
        span = float(self.total_steps - self.warmup_steps)
        progress = xp.minimum(xp.maximum((step - self.warmup_steps) / span, 0.0), 1.0)
        decay = self.final + (self.peak - self.final) * 0.5 * (1.0 + xp.cos(math.pi * progress))
        if self.warmup_steps == 0:
            return decay
        warmup = (self.peak / self.warmup_steps) * (step + 1.0)
        return xp.where(step < self.warmup_steps, warmup, decay)
