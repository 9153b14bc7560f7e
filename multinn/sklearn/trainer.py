"""The trainer of the estimators."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, SupportsIndex

import numpy as np

from backends import Array, HostArray, Tree, get_backend, tree
from multinn.host.checks import check_parameter, rounded
from multinn.layers import Sequential
from multinn.losses import Loss
from multinn.optimizers import Optimizer
from multinn.sklearn.network import (
    dense_indices,
    embedded_columns,
    match_dropout,
    part_at,
    penalized_paths,
)
from multinn.sklearn.optimizers import transfer_state
from multinn.training import checkpoints
from multinn.training.checkpoints import Owner, PathLike, Progress, with_current_entries
from multinn.training.compiled import RecentPrograms
from multinn.training.examples import PlacedExamples, check_examples
from multinn.training.gradients import value_and_gradients
from multinn.training.inference import InputChunks, input_chunks, predict
from multinn.training.program import Examples, TrainingProgram, TrainingState
from multinn.training.trainer import Trainer

_CHUNK = 1024  # examples that are predicted at once
_PROGRAMS = RecentPrograms(most_bytes=2**27)  # shared by many fits, for example of a grid search


class Coefficients(list[Any]):
    """A list of read-only arrays. Assigning to an entry sets the parameter of the model.

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
        """Copy and pickle as a plain list, which is independent of the model."""
        return list, (list(self),)


class PenalizedProgram(TrainingProgram):
    """A training program that adds the penalty of its layers, a / (2 n) Σ W², to the loss."""

    def step(
        self, examples: Examples, state: TrainingState, rows_and_key: tuple[Array | None, Array]
    ) -> tuple[TrainingState, Tree]:
        """Take one step; the recorded loss includes the penalty."""
        next_state, record = super().step(examples, state, rows_and_key)
        xp = self.backend.xp
        paths = penalized_paths(self.model)
        flat = [xp.reshape(part_at(state.params, path)["W"], (-1,)) for path in paths]
        strength = xp.reshape(part_at(state.layer_state, paths[0])["strength"], ())
        size = (examples.x if rows_and_key[0] is None else rows_and_key[0]).shape[0]
        penalty = strength * (0.5 / size) * sum(xp.vecdot(W, W) for W in flat)
        return next_state, record | {"loss": record["loss"] + penalty}

    def objective(self, params: Tree, examples: Examples) -> tuple[Array, Tree]:
        """Return the loss over all examples, without the penalty, and its gradients."""
        examples = examples._replace(x=self._cast(examples.x))
        value, _, gradients = value_and_gradients(self.backend, self.model, self.loss, params, examples)
        return value, gradients


class PenalizedTrainer(Trainer):
    """The trainer of an estimator. Trainers of equal programs share compiled functions."""

    program: PenalizedProgram

    def __init__(self, model: Sequential, loss: Loss, optimizer: Optimizer, **settings: Any) -> None:
        """Prepare to train.

        Args:
            model: a model from `multinn.sklearn.network.build`.
            loss: the loss without the penalty.
            optimizer: the optimizer of a solver.
            settings: the other arguments of `Trainer`, except metrics.
        """
        super().__init__(model, loss, optimizer, **settings)
        self.program = PenalizedProgram(self.backend, model, loss, optimizer, {}, self.dtype)
        self._save: Callable[[PathLike], None] | None = None
        self._share_programs()

    def save(self, path: PathLike) -> None:
        """Write a checkpoint as `Trainer.save` does; during a fit, a checkpoint of the estimator."""
        (self._save or super().save)(path)

    @contextmanager
    def replace_save(self, save: Callable[[PathLike], None]) -> Iterator[None]:
        """Make `save` call this function within the context."""
        self._save = save
        try:
            yield
        finally:
            self._save = None

    def save_with_owner(self, path: PathLike, owner: Owner) -> None:
        """Write a checkpoint of the estimator that owns the trainer; raise the errors of `save`."""
        checkpoints.save(path, self.program, self._progress(), owner)

    def resume(self, progress: Progress) -> None:
        """Continue from the progress in a checkpoint."""
        self._resume(progress)

    @property
    def dense_indices(self) -> list[int]:
        """The indices of the dense layers in the model."""
        return dense_indices(self.program.model)  # type: ignore[arg-type]

    def set_strength(self, strength: float) -> None:
        """Set the strength a of the penalty."""
        value = self._arrays(np.array([strength], self.dtype))
        paths = penalized_paths(self.program.model)
        layer_state = _replaced(self.state.layer_state, {f"{path}.strength": value for path in paths})
        self.state = self.state._replace(layer_state=layer_state)

    def count_categories(self, examples: Examples) -> None:
        """Add these training examples to the counts of the embeddings, each by its weight.

        A category that they are the first to have begins with the mean embedding.
        """
        numpy, model = get_backend("numpy:eager"), self.program.model
        columns = embedded_columns(model)
        if not columns:
            return
        params, layer_state = self.backend.to_numpy((self.params, self.state.layer_state))
        tables, counts = {}, {}
        for path, column in columns.items():
            W, c = part_at(params, path)["W"], part_at(layer_state, path)["counts"]
            ids = examples.x[:, column].astype(np.int64)
            more = np.bincount(ids, examples.weights, len(c))
            table = part_at(model, path).table(numpy, W, c)
            tables[f"{path}.W"] = self._arrays(np.where(more[:, None] > 0.0, table, W))
            counts[f"{path}.counts"] = self._arrays((c + more).astype(self.dtype))
        self.state = self.state._replace(
            params=_replaced(self.params, tables), layer_state=_replaced(self.state.layer_state, counts)
        )

    @property
    def embeddings(self) -> list[HostArray]:
        """The embeddings at inference, (ids, length), of each categorical column."""
        numpy, model = get_backend("numpy:eager"), self.program.model
        params, layer_state = self.backend.to_numpy((self.params, self.state.layer_state))
        return [
            part_at(model, path).table(
                numpy, part_at(params, path)["W"], part_at(layer_state, path)["counts"]
            )
            for path in embedded_columns(model)
        ]

    @property
    def rate(self) -> float:
        """The learning rate η of `MomentumDescent`, without the scale s."""
        return float(self.backend.to_numpy(self.optimizer_state["rate"])[0])

    @rate.setter
    def rate(self, rate: float) -> None:
        self.set_optimizer_state(rate=np.array([rate], self.dtype))

    def set_optimizer_state(self, **entries: Tree) -> None:
        """Replace entries of the optimizer's state by NumPy arrays."""
        state = self.optimizer_state | self._arrays(entries)
        self.state = self.state._replace(optimizer_state=state)

    def reset_optimizer(self) -> None:
        """Reset the state of the optimizer, but keep the parameters."""
        params = self.backend.to_numpy(self.params)
        self.set_optimizer_state(**self.program.optimizer.init(params))

    def dense_parameters(self, name: str) -> list[Any]:
        """Return W or b of each dense layer, as read-only NumPy arrays."""
        arrays = []
        for index in self.dense_indices:
            array = np.asarray(self.backend.to_numpy(self.params[index][name])).view()
            array.flags.writeable = False
            arrays.append(array)
        return arrays

    def set_dense_parameters(self, name: str, arrays: Any) -> None:
        """Replace W or b of each dense layer; if one array is wrong, none.

        Raises:
            TypeError: ``arrays`` is no list, or an entry holds no numbers.
            ValueError: the number of arrays differs from the number of layers, a shape is wrong, or an
                array holds NaN or infinity.
        """
        params, indices = list(self.params), self.dense_indices
        attribute = {"W": "coefs_", "b": "intercepts_"}[name]
        if not isinstance(arrays, Sequence | np.ndarray) or isinstance(arrays, str):
            raise TypeError(f"{attribute}: expected a list of arrays, got {type(arrays).__name__}")
        if len(arrays) != len(indices):
            raise ValueError(
                f"{attribute}: expected {len(indices)} arrays, one for each dense layer, got "
                f"{len(arrays)}"
            )
        for number, (index, array) in enumerate(zip(indices, arrays, strict=True)):
            path = f"{attribute}[{number}]"
            given = check_parameter(path, self.params[index][name], array)
            given = np.array(rounded(given, self.dtype, path))  # a copy
            params[index] = params[index] | {name: self._arrays(given)}
        self.state = self.state._replace(params=tuple(params))

    def check(
        self, x: HostArray, targets: HostArray, weights: HostArray | None, name: str = ""
    ) -> Examples:
        """Return checked examples.

        Args:
            x: (examples, features) finite floats.
            targets: targets as the loss takes them.
            weights: (examples,) numbers of 0 or more, or None.
            name: a prefix of X and y in messages.

        Raises:
            TypeError, ValueError: the examples do not fit the model or the loss.
        """
        inputs = rounded(x, self.dtype, f"{name}X")
        return check_examples(self.program, inputs, targets, weights, self._known_shapes(), name)

    def place(self, examples: Examples) -> PlacedExamples:
        """Put checked examples on the backend, for a whole fit."""
        with self.backend.precision(self.dtype):
            return self._place(examples)

    def predict_checked(self, x: HostArray) -> HostArray:
        """Return the outputs, (examples, outputs), for checked inputs (examples, features)."""
        return self.predict_chunks(input_chunks(self.backend, rounded(x, self.dtype, "X"), _CHUNK))

    def place_inputs(self, x: HostArray) -> InputChunks:
        """Put checked inputs on the backend, for repeated predictions."""
        with self.backend.precision(self.dtype):
            inputs = input_chunks(self.backend, x, _CHUNK)
            return inputs._replace(chunks=list(inputs.chunks))

    def predict_chunks(self, inputs: InputChunks) -> HostArray:
        """Return the outputs, (examples, outputs)."""
        with self.backend.precision(self.dtype):
            outputs: HostArray = predict(self.program, self.programs, self.model_state, inputs)
        return outputs

    def snapshot(self) -> TrainingState:
        """Return the state as NumPy arrays, which can be kept and pickled."""
        state: TrainingState = self.backend.to_numpy(self.state)
        return state

    def restore(self, state: TrainingState) -> None:
        """Set the state to that of a snapshot."""
        # The snapshot may come from an old pickle.
        current = with_current_entries(self.program.optimizer, state.optimizer_state)
        self.state = self._arrays(state._replace(optimizer_state=current))

    def continue_from(self, other: "PenalizedTrainer") -> None:
        """Continue from the state of another trainer.

        Raises:
            ValueError: the other model has other parameters.
        """
        state = self.convert_state(other.snapshot(), other)
        self.initialize(other.input_shape, state.params, other.seed)
        self.restore(state)
        self.epoch, self.step, self.history = other.epoch, other.step, other.history

    def convert_state(self, state: TrainingState, other: "PenalizedTrainer") -> TrainingState:
        """Convert a snapshot of another trainer to the layers and the optimizer of this one."""
        convert = partial(match_dropout, other.model, self.model)
        params = convert(state.params)
        optimizer_state = {
            name: convert(entry) if isinstance(entry, tuple) else entry
            for name, entry in state.optimizer_state.items()
        }
        source, target = other.program.optimizer, self.program.optimizer
        optimizer_state = transfer_state(source, optimizer_state, target, params)
        return TrainingState(params, convert(state.layer_state), optimizer_state)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_save": None}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        super().__setstate__(attributes)
        self._share_programs()

    def _arrays(self, arrays: Tree) -> Tree:
        with self.backend.precision(self.dtype):
            return self.backend.from_numpy(arrays)

    def _share_programs(self) -> None:
        program = self.program
        family = (self.backend, program.model, program.loss, program.optimizer, self.dtype)
        try:
            self.programs.step_seconds = _step_seconds(family)
        except TypeError as error:
            raise TypeError(
                f"loss, activation: expected frozen dataclasses, got a mutable one ({error}): "
                "decorate its class with @dataclass(frozen=True)"
            ) from error
        self.programs.share(_PROGRAMS, family)


def _replaced(arrays: Tree, others: dict[str, Array]) -> Tree:
    """Return the tree with other arrays at these paths."""
    return tree.map_with_paths(lambda path, leaf: others.get(path, leaf), arrays) if others else arrays


@lru_cache(maxsize=64)
def _step_seconds(family: Any) -> dict[Any, float]:
    """Return the dict of estimated times of a step, which equal trainers share."""
    return {}
