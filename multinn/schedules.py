"""Learning-rate schedules: functions of the number of steps that are already done."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from numbers import Integral

from backends import Array, Backend
from multinn.descriptions.hyperparameters import Hyperparameters


class Schedule(Hyperparameters):
    """A frozen dataclass that is called with a step and gives the learning rate at that step."""

    @abstractmethod
    def __call__(self, backend: Backend, step: Array) -> Array | float:
        """Return the learning rate.

        Args:
            backend: whose array ``step`` is.
            step: how many updates came before, 0 at the first: floats of any shape.
        """


@dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate always.

    Raises:
        ValueError: it is negative or not finite.
    """

    learning_rate: float

    def __post_init__(self) -> None:
        _check(self, learning_rate=self.learning_rate)

    def __call__(self, backend: Backend, step: Array) -> float:
        """Return the learning rate."""
        return self.learning_rate


@dataclass(frozen=True)
class StepDecay(Schedule):
    """initial · factor^⌊step / every⌋.

    Raises:
        ValueError: initial or factor is negative or not finite, or every is below 1.
    """

    initial: float
    factor: float
    every: int

    def __post_init__(self) -> None:
        _check(self, initial=self.initial, factor=self.factor)
        _check_steps(self, "every", self.every, 1)

    def __call__(self, backend: Backend, step: Array) -> Array:
        """Return the learning rate."""
        return self.initial * self.factor ** backend.xp.floor(step / float(self.every))


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """initial · factor^(step / every): the smooth form of StepDecay.

    Raises:
        ValueError: initial or factor is negative or not finite, or every is below 1.
    """

    initial: float
    factor: float
    every: int

    def __post_init__(self) -> None:
        _check(self, initial=self.initial, factor=self.factor)
        _check_steps(self, "every", self.every, 1)

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
        _check(self, initial=self.initial, rate=self.rate)
        _check_steps(self, "every", self.every, 1)

    def __call__(self, backend: Backend, step: Array) -> Array:
        """Return the learning rate."""
        return self.initial / (1.0 + (self.rate / self.every) * step)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """A linear warm-up from 0 to ``peak``, then half a cosine down to ``final``.

    For step < warmup_steps: peak · (step + 1) / warmup_steps. Then, with progress running from 0 to 1
    between warmup_steps and total_steps: final + (peak - final) (1 + cos(π progress)) / 2; beyond
    total_steps, final.
    Source: I. Loshchilov and F. Hutter, SGDR, ICLR 2017, equation 5 (one period).

    Raises:
        ValueError: peak or final is negative or not finite, or total_steps is not above warmup_steps.
    """

    peak: float
    total_steps: int
    warmup_steps: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        _check(self, peak=self.peak, final=self.final)
        _check_steps(self, "warmup_steps", self.warmup_steps, 0)
        _check_steps(self, "total_steps", self.total_steps, self.warmup_steps + 1)

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


def _check(schedule: Schedule, **values: float) -> None:
    for name, value in values.items():
        if not 0.0 <= value < math.inf:
            raise ValueError(
                f"{type(schedule).__name__}: expected a finite {name} of 0 or more, got {value}"
            )


def _check_steps(schedule: Schedule, name: str, value: int, least: int) -> None:
    if not isinstance(value, Integral) or value < least:
        raise ValueError(
            f"{type(schedule).__name__}: expected {name} of at least {least}, got {value!r}"
        )
