"""The trainer of the estimators."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, SupportsIndex

import numpy as np

from backends import Array, HostArray, Tree
from multinn.host.checks import rounded
from multinn.layers import Sequential
from multinn.losses import Loss
from multinn.optimizers import Optimizer
from multinn.sklearn.network import dense_places, moved
from multinn.sklearn.optimizers import state_after
from multinn.training import checkpoints
from multinn.training.callback import Callback
from multinn.training.checkpoints import Owner, PathLike, Progress, with_present_names
from multinn.training.compiled import RecentPrograms
from multinn.training.examples import PlacedExamples, check_examples
from multinn.training.history import History
from multinn.training.inference import InputChunks, input_chunks, predict
from multinn.training.plan import Examples
from multinn.training.program import TrainingProgram, TrainingState, value_and_gradients
from multinn.training.run import Run
from multinn.training.trainer import Trainer

_CHUNK = 1024
_PROGRAMS = RecentPrograms(most_bytes=2**27)  # which many fits, as of a grid search, share


class Coefficients(list[Any]):
    """A list of read-only arrays; to replace one of them sets the parameter of the model.

    >>> arrays = Coefficients([1, 2], print)
    >>> arrays[0] = 3
    [3, 2]
    """

    def __init__(self, arrays: Iterable[Any], set_all: Callable[[list[Any]], None]) -> None:
        super().__init__(arrays)
        self._set_all = set_all

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        changed = list(self)
        changed[index] = value
        self._set_all(changed)
        super().__setitem__(index, value)

    def __reduce__(self) -> Any:
        """Return a plain list: a copy belongs to no model."""
        return list, (list(self),)


class PenalizedProgram(TrainingProgram):
    """A program whose loss has the penalty of the dense layers, a / (2 n) Σ W², at each step."""

    def step(
        self, examples: Examples, state: TrainingState, rows_and_key: tuple[Array | None, Array]
    ) -> tuple[TrainingState, Tree]:
        """Take one step; the loss in its record includes the penalty."""
        next_state, record = super().step(examples, state, rows_and_key)
        xp = self.backend.xp
        places = dense_places(self.model)  # type: ignore[arg-type]
        flat = [xp.reshape(state.params[place]["W"], (-1,)) for place in places]
        strength = xp.reshape(state.layer_state[places[0]]["strength"], ())
        size = (examples.x if rows_and_key[0] is None else rows_and_key[0]).shape[0]
        penalty = strength * (0.5 / size) * sum(xp.vecdot(W, W) for W in flat)
        return next_state, record | {"loss": record["loss"] + penalty}

    def objective(self, params: Tree, examples: Examples) -> tuple[Array, Tree]:
        """Return the loss over all examples without the penalty, and its gradients."""
        examples = examples._replace(x=self._cast(examples.x))
        value, _, gradients = value_and_gradients(self.backend, self.model, self.loss, params, examples)
        return value, gradients


class PenalizedTrainer(Trainer):
    """A trainer of `PenalizedProgram`, which shares what is compiled with others of the same program."""

    program: PenalizedProgram

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        **settings: Any,
    ) -> None:
        """Prepare to train.

        Args:
            model: of `multinn.sklearn.network.build`.
            loss: what is minimized, but for the penalty.
            optimizer: that of a solver.
            settings: the further arguments of `Trainer`, without metrics.
        """
        super().__init__(model, loss, optimizer, **settings)
        self.program = PenalizedProgram(self.backend, model, loss, optimizer, {}, self.dtype)
        self._save: Callable[[PathLike], None] | None = None
        self._share()

    def save(self, path: PathLike) -> None:
        """Write a checkpoint as `Trainer.save` does; while an estimator fits, one of the estimator."""
        (self._save or super().save)(path)

    @contextmanager
    def saving(self, save: Callable[[PathLike], None]) -> Iterator[None]:
        """Return a context in which that is what `save` does."""
        self._save = save
        try:
            yield
        finally:
            self._save = None

    def save_owned(self, path: PathLike, owner: Owner) -> None:
        """Write a checkpoint of the estimator that the trainer belongs to; it fails as `save` does."""
        checkpoints.save(path, self.program, self._progress(), owner)

    def resume(self, progress: Progress) -> None:
        """Go on from there."""
        self._resume(progress)

    @property
    def places(self) -> list[int]:
        """The places of the dense layers in the model."""
        return dense_places(self.program.model)  # type: ignore[arg-type]

    def set_strength(self, strength: float) -> None:
        """Set a of all dense layers."""
        value = self._arrays(np.array([strength], self.dtype))
        layer_state = list(self.state.layer_state)
        for place in self.places:
            layer_state[place] = {"strength": value}
        self.state = self.state._replace(layer_state=tuple(layer_state))

    @property
    def rate(self) -> float:
        """The learning rate η of `MomentumDescent`, before it is scaled."""
        return float(self.backend.to_numpy(self.optimizer_state["rate"])[0])

    @rate.setter
    def rate(self, rate: float) -> None:
        self.set_optimizer_state(rate=np.array([rate], self.dtype))

    def set_optimizer_state(self, **entries: Tree) -> None:
        """Replace some entries of the optimizer's state, by arrays of NumPy."""
        state = self.optimizer_state | self._arrays(entries)
        self.state = self.state._replace(optimizer_state=state)

    def reset_optimizer(self) -> None:
        """Let the solver begin anew where the parameters are."""
        params = self.backend.to_numpy(self.params)
        self.set_optimizer_state(**self.program.optimizer.init(params))

    def dense_parameters(self, name: str) -> list[Any]:
        """Return W or b of each dense layer, as read-only NumPy arrays."""
        arrays = []
        for place in self.places:
            array = np.asarray(self.backend.to_numpy(self.params[place][name])).view()
            array.flags.writeable = False
            arrays.append(array)
        return arrays

    def set_dense_parameters(self, name: str, arrays: Any) -> None:
        """Replace W or b of each dense layer.

        Raises:
            ValueError: there are not as many arrays as layers, or one has another shape.
        """
        params = list(self.params)
        if len(arrays) != len(self.places):
            raise ValueError(f"expected {len(self.places)} arrays, one a layer, got {len(arrays)}")
        for place, array in zip(self.places, arrays, strict=True):
            expected = tuple(params[place][name].shape)
            given = np.array(array, self.dtype)
            if given.shape != expected:
                raise ValueError(f"expected an array of shape {expected}, got {given.shape}")
            with self.backend.precision(self.dtype):
                params[place] = params[place] | {name: self.backend.from_numpy(given)}
        self.state = self.state._replace(params=tuple(params))

    def check(
        self, x: HostArray, targets: HostArray, weights: HostArray | None, name: str = ""
    ) -> Examples:
        """Return checked examples.

        Args:
            x: (examples, features) floats, which are known to be finite.
            targets: as the loss wants them.
            weights: (examples,) numbers of 0 or more, or None.
            name: what comes before X and y in messages.

        Raises:
            TypeError, ValueError: they do not fit the model or the loss.
        """
        inputs = rounded(x, self.dtype, f"{name}X")
        return check_examples(self.program, inputs, targets, weights, self._known_shapes(), name)

    def place(self, examples: Examples) -> PlacedExamples:
        """Put checked examples on the backend, for a whole fit."""
        with self.backend.precision(self.dtype):
            return self._place(examples)

    def predict_checked(self, x: HostArray) -> HostArray:
        """Return the outputs, (examples, outputs), for inputs (examples, features) that are checked."""
        inputs = rounded(x, self.dtype, "X")
        with self.backend.precision(self.dtype):
            return self._predict(input_chunks(self.backend, inputs, _CHUNK))

    def place_inputs(self, x: HostArray) -> InputChunks:
        """Put checked inputs on the backend, to predict again and again."""
        with self.backend.precision(self.dtype):
            inputs = input_chunks(self.backend, x, _CHUNK)
            return inputs._replace(chunks=list(inputs.chunks))

    def predict_placed(self, inputs: InputChunks) -> HostArray:
        """Return the outputs, (examples, outputs)."""
        with self.backend.precision(self.dtype):
            return self._predict(inputs)

    def train(
        self,
        examples: PlacedExamples,
        stretches: Iterable[int],
        *,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        progress: bool,
        callbacks: Sequence[Callback],
    ) -> History:
        """Train for some epochs more, and return their history.

        Args:
            examples: from `place`.
            stretches: the epochs, in parts that each end with a report; the next is asked for after it.
            epochs: how many there are in all.
            batch_size: at most the number of examples.
            shuffle: as in `Trainer.fit`, as are those that follow.
            progress: whether it is shown.
            callbacks: are called at each report.

        Raises:
            DivergenceError: the loss or a parameter became NaN or infinite.
        """
        with self.backend.precision(self.dtype):
            run = Run(
                trainer=self,
                epochs=epochs,
                callbacks=callbacks,
                show=progress,
                examples=examples,
                batch_size=batch_size,
                shuffle=shuffle,
                stretches=stretches,
            )
            with run.running() as advance:
                run.train(advance)
        return run.history

    def snapshot(self) -> TrainingState:
        """Return the state as arrays of NumPy, which can be kept and sent to another process."""
        state: TrainingState = self.backend.to_numpy(self.state)
        return state

    def restore(self, state: TrainingState) -> None:
        """Take the state of a snapshot."""
        present = with_present_names(state.optimizer_state)  # the snapshot may come from an old pickle
        self.state = self._arrays(state._replace(optimizer_state=present))

    def take_over(self, other: "PenalizedTrainer") -> None:
        """Go on where another trainer is: with its optimizer's state if that is of the same kind.

        Raises:
            ValueError: its model has other parameters.
        """
        state = self.adapted(other.snapshot(), other)
        self.initialize(other.input_shape, state.params, other.seed)
        self.restore(state)
        self.epoch, self.step, self.history = other.epoch, other.step, other.history

    def adapted(self, state: TrainingState, other: "PenalizedTrainer") -> TrainingState:
        """Return a snapshot of another trainer, for the layers and the optimizer of this one."""
        move = partial(moved, other.model, self.model)
        params = move(state.params)
        optimizer_state = {
            name: move(entry) if isinstance(entry, tuple) else entry
            for name, entry in state.optimizer_state.items()
        }
        before, after = other.program.optimizer, self.program.optimizer
        following = state_after(before, optimizer_state, after, params)
        return TrainingState(params, move(state.layer_state), following)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs."""
        return super().__getstate__() | {"_save": None}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        super().__setstate__(attributes)
        self._share()

    def _predict(self, inputs: InputChunks) -> HostArray:
        return predict(self.program, self.programs, self.model_state, inputs)

    def _arrays(self, arrays: Tree) -> Tree:
        with self.backend.precision(self.dtype):
            return self.backend.from_numpy(arrays)

    def _share(self) -> None:
        program = self.program
        family = (self.backend, program.model, program.loss, program.optimizer, self.dtype)
        try:
            self.programs.step_seconds = _step_seconds(family)
        except TypeError as error:
            raise TypeError(
                f"loss, activation: expected frozen dataclasses, got one that can change ({error}): "
                "decorate its class with @dataclass(frozen=True)"
            ) from error
        self.programs.share(_PROGRAMS, family)


@lru_cache(maxsize=64)
def _step_seconds(family: Any) -> dict[Any, float]:
    """Return the estimates of the time of a step that equal trainers share."""
    return {}
