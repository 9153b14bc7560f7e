"""Training step by step, with changes of the data, the parameters and the learning rate in between."""

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np

from backends import HostArray, tree
from experiments.step.rate import with_learning_rate, without_wrapper
from experiments.step.surface import surface
from multinn import History, Trainer
from multinn.tracing import Trace
from multinn.training.program import TrainingProgram, TrainingState

_SECONDS: Final = 0.25  # after which a call of `train` ends
_STEPS_OF_A_CALL: Final = 10  # each other number would be one more program to compile
_MOST_POINTS: Final = 400  # of the curve of losses


class _Moment(NamedTuple):
    """Everything that a session changes, except for its losses."""

    program: TrainingProgram
    state: TrainingState
    epoch: int
    step: int
    x: HostArray
    y: HostArray


class Session:
    """Trains a copy of a trainer on one batch, step by step, and shows the next step as a trace.

    A method that raises an error leaves the session as it was, but for `train`.

    Attributes:
        trainer: the copy.
        x: the inputs of the batch.
        y: its targets, as the loss prepares them.
        losses: the loss of each step since the start.
        next_step: the trace of the next step, which is not taken yet.
    """

    def __init__(self, trainer: Trainer, x: Any, y: Any) -> None:
        """Record the first step.

        Args:
            trainer: stays as it is. If it has no parameters yet, the session draws them.
            x: (examples, ...), as in `Trainer.fit`.
            y: targets, as the loss takes them.

        Raises:
            TypeError, ValueError: as in `Trainer.trace`.
        """
        self.trainer = copy.copy(trainer)
        self.trainer.history = History()
        self.losses: list[float] = []
        self.next_step = trainer.trace(x, y)
        first = self.next_step.step(0)
        self.x: HostArray = np.array(first["layers"][0]["x"])
        self.y: HostArray = np.array(first["loss"]["targets"])
        if trainer.params is None:
            self.trainer.initialize(self.x.shape[1:])
        self._start = self._moment()

    def train(self, count: int) -> int:
        """Take up to that many steps, at least one; stop after a quarter of a second.

        Returns:
            The number of steps.

        Raises:
            DivergenceError: the loss or a parameter became NaN or infinite. The session is at the last
                step that gave finite numbers.
        """
        stop, done = time.monotonic() + _SECONDS, 0
        try:
            while done < count and (not done or time.monotonic() < stop):
                steps = _STEPS_OF_A_CALL if count - done >= _STEPS_OF_A_CALL else 1
                self._fit(steps)
                done += steps
        finally:
            self.next_step = self._trace()
        return done

    def edit_input(self, indices: Sequence[int], value: float) -> None:
        """Change an entry of the inputs.

        Raises:
            ValueError: there is no such entry, or the model cannot take the value.
        """
        with self._changing():
            self.x = _with_entry(self.x, indices, value, "x")

    def edit_target(self, indices: Sequence[int], value: float) -> None:
        """Change an entry of the targets.

        Raises:
            ValueError: there is no such entry, or the loss cannot take the value.
        """
        with self._changing():
            self.y = _with_entry(self.y, indices, value, "targets")

    def edit_parameter(self, layer: int, path: str, indices: Sequence[int], value: float) -> None:
        """Change an entry of a parameter.

        Args:
            layer: the index of the layer in the trace.
            path: the path of the parameter in the layer, such as "W".
            indices: of the entry.
            value: the new number.

        Raises:
            ValueError: there is no such entry, or the value is too large for the dtype.
        """
        layers = self.next_step.data["layers"]
        if not 0 <= layer < len(layers):
            raise ValueError(f"layer: expected an index from 0 to {len(layers) - 1}, got {layer}")
        known = layers[layer]["parameters"]
        if path not in known:
            raise ValueError(
                f"path: expected a parameter of layer {layer}, {layers[layer]['class']}: "
                f"{', '.join(known) or 'it has none'}; got {path!r:.80}"
            )
        trainer, place = self.trainer, known[path]

        def edited(found: str, leaf: Any) -> Any:
            return _with_entry(np.asarray(leaf), indices, value, path) if found == place else leaf

        params = tree.map_with_paths(edited, trainer.backend.to_numpy(trainer.params))
        with self._changing(), trainer.backend.precision(trainer.dtype):
            trainer.state = trainer.state._replace(params=trainer.backend.from_numpy(params))

    def set_learning_rate(self, rate: float) -> None:
        """Use another, constant learning rate from the next step on.

        Raises:
            ValueError: the rate is negative or too large, or the optimizer has none.
        """
        if not 0.0 <= rate <= float(np.finfo(self.trainer.dtype).max):
            raise ValueError(
                "learning rate: expected a number of 0 or more in the range of "
                f"{self.trainer.dtype}, got {rate:g}"
            )
        trainer = self.trainer
        with self._changing(), trainer.backend.precision(trainer.dtype):
            trainer.program, trainer.state = with_learning_rate(trainer.program, trainer.state, rate)

    def reset(self) -> None:
        """Return to the start: the first parameters, data and learning rate."""
        self._restore(self._start)
        self.losses.clear()
        self.next_step = self._trace()

    def view(self) -> dict[str, Any]:
        """Return everything that the page shows, for JSON.

        Returns:
            ``trace``, the next step; ``step``, the number of steps since the start; ``losses``, pairs of
            a step and its loss, at most about 400 of them; ``learning_rate``, of the next step, or None;
            ``surface``, as in `surface`.
        """
        loss = self.next_step.losses[0]
        points = [*enumerate(self.losses), (len(self.losses), loss)]
        every = math.ceil(len(points) / _MOST_POINTS)
        return {
            "trace": self.next_step.data,
            "step": len(self.losses),
            "losses": [point for point in points[:-1:every] + points[-1:] if math.isfinite(point[1])],
            "learning_rate": self._learning_rate(),
            "surface": surface(self.trainer, self.x, self.y),
        }

    def _fit(self, steps: int) -> None:
        done = len(self.trainer.history.losses)
        try:
            self.trainer.fit(
                self.x, self.y, epochs=steps, batch_size=len(self.x), report_every=steps, progress=False
            )
        finally:
            self.losses.extend(self.trainer.history.losses[done:])

    def _trace(self) -> Trace:
        trainer = self.trainer
        before = trainer.program, trainer.state
        trainer.program, trainer.state = without_wrapper(*before)
        try:
            with np.errstate(all="ignore"):  # the page shows a step to infinity, too
                return trainer.trace(self.x, self.y)
        finally:
            trainer.program, trainer.state = before

    def _learning_rate(self) -> float | None:
        """Return the learning rate of the next step, with as few digits as its dtype needs."""
        rates = [each["rate"] for each in self.next_step.step(0)["updates"] if "rate" in each]
        return float(str(rates[0].reshape(-1)[0])) if rates else None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Trace the next step after a change; after an error, undo the change."""
        before = self._moment()
        try:
            yield
            self.next_step = self._trace()
        except BaseException:
            self._restore(before)
            raise

    def _moment(self) -> _Moment:
        trainer = self.trainer
        return _Moment(trainer.program, trainer.state, trainer.epoch, trainer.step, self.x, self.y)

    def _restore(self, moment: _Moment) -> None:
        trainer = self.trainer
        trainer.program, trainer.state, trainer.epoch, trainer.step, self.x, self.y = moment


def _with_entry(array: HostArray, indices: Sequence[int], value: float, name: str) -> HostArray:
    """Return a copy of an array with another number at those indices."""
    is_inside = len(indices) == array.ndim and all(
        0 <= index < length for index, length in zip(indices, array.shape, strict=True)
    )
    if not is_inside:
        raise ValueError(
            f"indices: expected those of an entry of {name}, of shape {array.shape}, got {indices!r:.80}"
        )
    is_float = array.dtype.kind == "f"
    with np.errstate(over="ignore", invalid="ignore"):
        entry = np.float64(value).astype(array.dtype)
    if not (np.isfinite(entry) if is_float else entry == value):
        kind = "a number" if is_float else "an integer"
        raise ValueError(f"{name}: expected {kind} in the range of {array.dtype}, got {value:g}")
    changed = np.array(array)
    changed[tuple(indices)] = entry
    return changed
