"""A learning-rate range test: the loss while the learning rate rises."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from backends import HostArray
from multinn.descriptions.plots import new_axes
from multinn.errors import DivergenceError
from multinn.host.checks import check_integers, check_number
from multinn.host.text import number
from multinn.optimizers import Optimizer, ScaledLearningRate
from multinn.optimizers.base import SCALE
from multinn.optimizers.scaled import with_learning_rate_scale
from multinn.optimizers.wrappers import Wrapper
from multinn.training.compiled import CompiledPrograms, Seconds
from multinn.training.program import Examples, Plan, TrainingProgram, TrainingState

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RISE = 10.0  # from the smallest loss, in units of the first: a divergence
_PART_SMOOTHED = 20  # a mean is over a twentieth of the steps


@dataclass(frozen=True)
class LearningRateRange:
    """The result of `Trainer.learning_rate_range_test`.

    Attributes:
        learning_rates: the learning rate of each step, rising by a constant factor.
        losses: the loss of the batch of each step, before its update.
        window: the odd number of steps over which a smoothed loss is a mean.
        diverged: whether the loss diverged, which ended the test.

    >>> from multinn import SGD, Dense, HalfSquaredError, Trainer
    >>> trainer = Trainer(Dense(1, use_bias=False), HalfSquaredError(), SGD())
    >>> trainer.learning_rate_range_test([[2.0]], [[2.0]])  # (2 W - 2)² / 2 rises for η above 2 / 4
    LearningRateRange: 94 steps from 1e-06 to 3.765, where the loss diverged
      suggestion: 0.05337
    """

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    window: int
    diverged: bool

    @property
    def smoothed(self) -> list[float]:
        """The smoothed losses: at each step, the mean over the window around it, shorter at the ends."""
        half = self.window // 2
        return [
            float(np.mean(self.losses[max(0, step - half) : step + half + 1]))
            for step in range(len(self.losses))
        ]

    @property
    def suggestion(self) -> float | None:
        """A tenth of the learning rate at which the smoothed loss is smallest.

        None if this is the first or the last one: then the loss did not fall, or it still fell at the
        end, and another range is needed.
        Source: S. Gugger, How do you find a good learning rate, 2018, which takes the rate "one order of
        magnitude before" the minimum.
        """
        best = int(np.argmin(self.smoothed))
        return None if best in (0, len(self.losses) - 1) else 0.1 * self.learning_rates[best]

    def plot(self) -> "Axes":
        """Draw the losses over the learning rate, on a logarithmic axis, and the suggestion.

        Returns:
            The axes, in a new figure of Matplotlib.

        Raises:
            ImportError: Matplotlib is not installed.
        """
        (axes,) = new_axes(1, "LearningRateRange.plot")
        rates, smoothed = self.learning_rates, np.array(self.smoothed)
        axes.plot(rates, self.losses, ".", alpha=0.6, label="each batch")
        axes.plot(rates, smoothed, label="smoothed")
        if self.suggestion is not None:
            label = f"suggestion {number(self.suggestion)}"
            axes.axvline(self.suggestion, color="C2", linestyle="--", label=label)
        low, high = smoothed.min(), smoothed[: int(smoothed.argmin()) + 1].max()
        margin = 0.2 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set(ylim=(low - margin, high + margin), xscale="log", xlabel="learning rate", ylabel="loss")
        axes.grid(alpha=0.3)
        axes.legend()
        return axes

    def __repr__(self) -> str:
        first, last = number(self.learning_rates[0]), number(self.learning_rates[-1])
        end = ", where the loss diverged" if self.diverged else ""
        suggestion = "none, test another range" if self.suggestion is None else number(self.suggestion)
        return (
            f"LearningRateRange: {len(self.losses)} steps from {first} to {last}{end}\n"
            f"  suggestion: {suggestion}"
        )


def check_range(low: float, high: float, steps: int) -> None:
    """Raise TypeError or ValueError unless a range test can take these arguments."""
    check_integers(minimum=2, steps=steps)
    for name, value in (("low", low), ("high", high)):
        check_number("learning_rate_range_test", name, value)
    if not 0.0 < low < high < math.inf:
        raise ValueError(
            f"learning_rate_range_test: expected 0 < low < high, finite, got low={low} and high={high}"
        )


def with_learning_rate(optimizer: Optimizer, rate: float) -> Optimizer:
    """Return the optimizer with another learning rate, also inside of wrappers.

    Raises:
        ValueError: it has no ``learning_rate``.
    """
    if isinstance(optimizer, Wrapper):
        return replace(optimizer, optimizer=with_learning_rate(optimizer.optimizer, rate))
    if not any(field.name == "learning_rate" for field in fields(optimizer)):  # type: ignore[arg-type]
        raise ValueError(
            "learning_rate_range_test: expected an optimizer with a field learning_rate, got "
            f"{type(optimizer).__name__}"
        )
    return replace(optimizer, learning_rate=rate)  # type: ignore[type-var]


def run_range_test(
    program: TrainingProgram,
    state: TrainingState,
    data: Examples,
    plan: Plan,
    *,
    low: float,
    high: float,
    steps: int,
) -> LearningRateRange:
    """Take steps with a rising learning rate, up to divergence, and return their losses.

    The highest rate is that of the optimizer, and a scale in its state makes it lower: one compiled step
    serves all. Smaller batches at the end of an epoch are left out.

    Args:
        program: the program of a trainer.
        state: the state before the first step, on the backend.
        data: all examples, on the backend.
        plan: at least as many full batches as there are steps, on the host.
        low: the learning rate of the first step.
        high: the learning rate of the last step.
        steps: the number of steps, 2 or more.

    Raises:
        DivergenceError: already the loss of the first batch is not finite.
    """
    backend = program.backend
    optimizer = ScaledLearningRate(with_learning_rate(program.optimizer, high))
    program = replace(program, optimizer=optimizer, metrics={})
    programs = CompiledPrograms(backend, Seconds())
    rates: HostArray = np.geomspace(low, high, steps)
    window = steps // _PART_SMOOTHED | 1
    losses: list[float] = []
    recent: list[float] = []
    diverged = False
    own_state = with_learning_rate_scale(backend, state.optimizer_state, 1.0)
    for rate, rows_and_key in zip(rates, _full_batches(plan), strict=False):
        scale = backend.from_numpy(np.full((1,), rate / high, program.dtype))
        scaled = {"optimizer": own_state, SCALE: scale}
        arguments = data, state._replace(optimizer_state=scaled), backend.from_numpy(rows_and_key)
        state, record = programs.get(program.step, *arguments)(*arguments)
        own_state = state.optimizer_state["optimizer"]
        loss = float(backend.to_numpy(record["loss"]))
        diverged = not math.isfinite(loss)
        if not diverged:
            losses.append(loss)
            recent.append(float(np.mean(losses[-window:])))
            diverged = recent[-1] - min(recent) > _RISE * abs(recent[0])
        if diverged:
            break
    if not losses:
        raise DivergenceError(1, 1, "the loss became NaN or infinite")
    return LearningRateRange(tuple(rates[: len(losses)].tolist()), tuple(losses), window, diverged)


def _full_batches(plan: Plan) -> Iterator[tuple[HostArray | None, HostArray]]:
    """Yield the rows and the key of each full batch, epoch by epoch."""
    for epoch, step in np.ndindex(plan.keys.shape[:2]):
        yield None if plan.rows is None else plan.rows[epoch, step], plan.keys[epoch, step]
