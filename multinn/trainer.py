"""The trainer: a model, a loss and an optimizer, on one backend."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Backend, Tree, get_backend, tree
from multinn.checks import check_inputs, check_targets, check_weights
from multinn.errors import DivergenceError, NotInitializedError
from multinn.history import History
from multinn.layers import Layer
from multinn.losses import Loss
from multinn.metrics import Metric
from multinn.optimizers import Adam, Optimizer
from multinn.progress import progress as show_progress
from multinn.training import (
    Examples,
    Plan,
    TrainingProgram,
    combine,
    epoch_records,
    make_plan,
    step_losses,
)

HostArray = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]


@dataclass
class Seconds:
    """Time spent: compiling, and in training steps, both in seconds of wall-clock time."""

    compile: float = 0.0
    train: float = 0.0


class Trainer:
    """Trains a model, and holds what training changes.

    The same seed gives the same initial parameters, shuffles and dropout masks on every backend.

    Attributes:
        backend: computes everything.
        params: the parameters, a tree of the backend's arrays; None before the first `fit`.
        optimizer_state: likewise.
        epoch: how many epochs are done.
        step: how many steps are done.
        history: the records of all calls of `fit`.
        seconds: what compiling and training took.

    >>> import numpy as np
    >>> from multinn import Adam, Dense, HalfSquaredError, Sequential, Tanh, Trainer
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> y = np.array([[0], [1], [1], [0]])
    >>> model = Sequential([Dense(8), Tanh(), Dense(1)])
    >>> trainer = Trainer(model, HalfSquaredError(), Adam(0.05), backend="numpy")
    >>> history = trainer.fit(x, y, epochs=200, progress=False)
    >>> (trainer.predict(x) > 0.5).ravel().tolist()
    [False, True, True, False]
    """

    def __init__(
        self,
        model: Layer,
        loss: Loss,
        optimizer: Optimizer | None = None,
        *,
        metrics: Mapping[str, Metric] | None = None,
        backend: str | Backend | None = None,
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        """Prepare to train.

        Args:
            model: a layer, such as Sequential.
            loss: what is minimized.
            optimizer: Adam with its defaults if None.
            metrics: what else is reported, by name.
            backend: as in `backends.get_backend`.
            dtype: "float32" or "float64".
            seed: 0 or more.

        Raises:
            BackendError: the backend, or the dtype on it, cannot be had.
            ValueError: the seed is negative, or a metric has a name that the history uses itself.
        """
        if seed < 0:
            raise ValueError(f"Trainer: expected a seed of 0 or more, got {seed}")
        reserved = {"loss", "epoch", "weight"} & set(metrics or {})
        if reserved:
            raise ValueError(f"Trainer: the history uses the name {reserved.pop()!r} itself")
        self.backend = get_backend(backend)
        self.dtype = dtype
        self.seed = seed
        self.program = TrainingProgram(
            self.backend, model, loss, Adam() if optimizer is None else optimizer, metrics or {}
        )
        with self.backend.precision(dtype):
            pass
        self.seconds = Seconds()
        self._compiled: dict[Any, Callable[..., Tree]] = {}
        self._input_shape: Shape | None = None
        self._output_shape: Shape = ()
        self._reset(None, None)

    @property
    def model(self) -> Layer:
        """The model that is trained."""
        return self.program.model

    def initialize(
        self, input_shape: Shape, params: Tree | None = None, seed: int | None = None
    ) -> None:
        """Start anew: draw the parameters, or take given ones. Compiled programs are kept.

        Args:
            input_shape: the shape of one example, without the batch axis.
            params: a tree of NumPy arrays, of the structure and shapes that the model draws itself.
            seed: replaces the trainer's seed.

        Raises:
            ValueError: the model cannot take such inputs, or ``params`` do not fit the model.
        """
        self.seed = self.seed if seed is None else seed
        generator = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(0,)))
        drawn, output_shape = self.model.init(generator, tuple(input_shape))
        chosen = drawn if params is None else tree.map_with_paths(_check_shape, drawn, params)
        host_params = tree.map(lambda leaf: np.asarray(leaf, self.dtype), chosen)
        host_state = self.program.optimizer.init(host_params)
        with self.backend.precision(self.dtype):
            self._reset(self.backend.from_numpy(host_params), self.backend.from_numpy(host_state))
        self._input_shape, self._output_shape = tuple(input_shape), output_shape

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int,
        batch_size: int = 32,
        weights: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        shuffle: bool = True,
        report_every: int = 1,
        progress: bool = True,
    ) -> History:
        """Train for some epochs more, in each of which every example counts once.

        The epochs between two reports are one call of one compiled function. If ``report_every`` does
        not divide ``epochs``, the rest is compiled as well.

        Args:
            x: (examples, ...) numbers.
            y: targets, as the loss wants them.
            epochs: 1 or more.
            batch_size: examples a step; the last step of an epoch takes what is left over.
            weights: (examples,) numbers of 0 or more, or None.
            validation_data: inputs and targets that are evaluated at each report.
            shuffle: whether each epoch has its own random order.
            report_every: epochs between two records of the history.
            progress: whether progress is shown, on the standard error stream.

        Returns:
            The records of this call.

        Raises:
            TypeError, ValueError: the data do not fit the model or the loss, or hold NaN or infinity.
            DivergenceError: the loss or a parameter became NaN or infinite. The trainer then holds the
                last finite parameters, and its history the epochs before.
        """
        _check_at_least_one(epochs=epochs, batch_size=batch_size, report_every=report_every)
        examples = self._check(x, y, weights)
        count = examples.x.shape[0]
        new = History()
        with (
            self.backend.precision(self.dtype),
            show_progress(epochs, "epoch", progress) as advance,
        ):
            data = self.backend.from_numpy(examples)
            validation = None
            if validation_data is not None:
                validation = self._pieces(self._check(*validation_data, None, "validation "), 1024)
            for start in range(0, epochs, report_every):
                chunk = min(report_every, epochs - start)
                losses, record = self._train(data, count, batch_size, chunk, shuffle)
                record = {"epoch": self.epoch} | record
                if validation is not None:
                    figures = self._evaluate(validation)
                    record |= {f"validation_{name}": value for name, value in figures.items()}
                for history in (new, self.history):
                    history.append(record)
                    history.losses.extend(losses)
                advance(chunk, {name: value for name, value in record.items() if name != "epoch"})
        return new

    def evaluate(
        self, x: Any, y: Any, *, weights: Any = None, batch_size: int = 1024
    ) -> dict[str, float]:
        """Return the loss and the metrics over all examples, at inference.

        Raises:
            NotInitializedError: there are no parameters yet.
            TypeError, ValueError: the data do not fit the model or the loss.
        """
        _check_at_least_one(batch_size=batch_size)
        self._check_initialized()
        examples = self._check(x, y, weights)
        with self.backend.precision(self.dtype):
            return self._evaluate(self._pieces(examples, batch_size))

    def predict(self, x: Any, *, batch_size: int = 1024) -> HostArray:
        """Return the model's outputs at inference, (examples, ...), as a NumPy array.

        Raises:
            NotInitializedError: there are no parameters yet.
            TypeError, ValueError: the data do not fit the model.
        """
        _check_at_least_one(batch_size=batch_size)
        self._check_initialized()
        inputs = self._check_inputs(x)
        outputs = []
        with self.backend.precision(self.dtype):
            for start, stop, size in _piece_bounds(len(inputs), batch_size):
                piece = self.backend.from_numpy(_padded(inputs[start:stop], size))
                predict = self._compile(self.program.predict, self.params, piece)
                result = self.backend.to_numpy(predict(self.params, piece))
                outputs.append(result[: stop - start])
        return np.concatenate(outputs)

    def _reset(self, params: Tree, optimizer_state: Tree) -> None:
        self.params = params
        self.optimizer_state = optimizer_state
        self.epoch = 0
        self.step = 0
        self.history = History()

    def _check(self, x: Any, y: Any, weights: Any, name: str = "") -> Examples:
        inputs = check_inputs(x, self.dtype, f"{name}x")
        count = inputs.shape[0]
        targets = check_targets(y, count, f"{name}y")
        checked = None if weights is None else check_weights(weights, count, self.dtype)
        if self._input_shape is None:
            self.initialize(inputs.shape[1:])
        self._check_inputs(inputs, f"{name}x")
        loss = self.program.loss
        return Examples(inputs, loss.prepare_targets(targets, self._output_shape, self.dtype), checked)

    def _check_inputs(self, x: Any, name: str = "x") -> HostArray:
        inputs = check_inputs(x, self.dtype, name)
        if inputs.shape[1:] != self._input_shape:
            raise ValueError(
                f"{name}: expected examples of shape {self._input_shape}, as in training, "
                f"got {inputs.shape[1:]}"
            )
        return inputs

    def _check_initialized(self) -> None:
        if self._input_shape is None:
            raise NotInitializedError("the trainer has no parameters yet: call fit or initialize first")

    def _train(
        self, data: Examples, count: int, batch_size: int, epochs: int, shuffle: bool
    ) -> tuple[list[float], dict[str, float]]:
        """Train for some epochs in one call: the loss of each, and the record of the last."""
        with self._timed():
            plan = make_plan(
                count,
                batch_size,
                first_epoch=self.epoch,
                epochs=epochs,
                first_step=self.step,
                seed=self.seed,
                shuffle=shuffle,
            )
            arguments = (
                (self.params, self.optimizer_state),
                data,
                self.backend.from_numpy(plan),
            )
        run = self._compile(self.program.run, *arguments)
        with self._timed():
            carry, records = self.backend.sync(run(*arguments))
            records = self.backend.to_numpy(records)
            losses = step_losses(records)
        if not (np.isfinite(losses).all() and self._all_finite(carry)):
            self._stop_diverged(data, plan, losses.shape[1])
        self.params, self.optimizer_state = carry
        self.epoch += epochs
        self.step += losses.size
        epoch_figures = epoch_records(records, plan, count, self.program.loss)
        return [figures["loss"] for figures in epoch_figures], epoch_figures[-1]

    def _all_finite(self, carry: Tree) -> bool:
        params, _ = carry
        return all(np.isfinite(leaf).all() for leaf in tree.leaves(self.backend.to_numpy(params)))

    def _stop_diverged(self, data: Examples, plan: Plan, steps_per_epoch: int) -> None:
        """Repeat the epochs step by step, up to the last finite parameters, and raise."""
        step = self.backend.jit(self.program.step)
        carry = (self.params, self.optimizer_state)
        for index, (batch, words) in enumerate(self._batches(data, plan)):
            following, record = step(carry, batch, words)
            epoch, within = divmod(index, steps_per_epoch)
            finite_loss = bool(np.isfinite(self.backend.to_numpy(record["loss"])))
            if not (finite_loss and self._all_finite(following)):
                self.params, self.optimizer_state = carry
                what = "a parameter became" if finite_loss else "the loss became"
                raise DivergenceError(self.epoch + epoch + 1, within + 1, f"{what} NaN or infinite")
            carry = following
        raise AssertionError("a run that diverged did not diverge when repeated step by step")

    def _batches(self, data: Examples, plan: Plan) -> Iterator[tuple[Examples, Any]]:
        xp, put = self.backend.xp, self.backend.from_numpy
        for epoch in range(plan.words.shape[0]):
            for step in range(plan.words.shape[1]):
                batch = data
                if plan.rows is not None:
                    rows = put(plan.rows[epoch, step])
                    batch = tree.map(lambda leaf, rows=rows: xp.take(leaf, rows, axis=0), data)
                yield batch, put(plan.words[epoch, step])
            if plan.tail_rows is not None and plan.tail_words is not None:
                rows = put(plan.tail_rows[epoch])
                batch = tree.map(lambda leaf, rows=rows: xp.take(leaf, rows, axis=0), data)
                yield batch, put(plan.tail_words[epoch])

    def _pieces(self, examples: Examples, batch_size: int) -> list[Examples]:
        """Cut examples into pieces of few different sizes, padded with examples of weight zero."""
        count = examples.x.shape[0]
        weights = np.ones(count, self.dtype) if examples.weights is None else examples.weights
        weighted = examples._replace(weights=weights)
        return [
            self.backend.from_numpy(
                tree.map(
                    lambda leaf, start=start, stop=stop, size=size: _padded(leaf[start:stop], size),
                    weighted,
                )
            )
            for start, stop, size in _piece_bounds(count, batch_size)
        ]

    def _evaluate(self, pieces: list[Examples]) -> dict[str, float]:
        records = []
        for piece in pieces:
            evaluate = self._compile(self.program.evaluate, self.params, piece)
            records.append(self.backend.to_numpy(evaluate(self.params, piece)))
        columns = {
            name: np.array([record[name] for record in records], np.float64) for name in records[0]
        }
        return combine(columns, columns.pop("weight"), self.program.loss)

    def _compile(self, function: Callable[..., Tree], *arguments: Tree) -> Callable[..., Tree]:
        """Return the compiled function for arguments of these shapes, compiled once."""
        shapes = [
            (path, leaf.shape, str(leaf.dtype)) for path, leaf in tree.leaves_with_paths(arguments)
        ]
        signature = (function.__name__, *shapes)
        if signature not in self._compiled:
            start = time.perf_counter()
            self._compiled[signature] = self.backend.jit(function, *arguments)
            self.seconds.compile += time.perf_counter() - start
        return self._compiled[signature]

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds.train += time.perf_counter() - start


def _check_shape(path: str, drawn: HostArray, given: Any) -> Any:
    if np.shape(given) != drawn.shape:
        raise ValueError(
            f"parameter {path}: expected shape {drawn.shape}, as the model draws it, "
            f"got {np.shape(given)}"
        )
    return given


def _check_at_least_one(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")


def _piece_bounds(count: int, batch_size: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and padded size of each piece: the last is padded to a power of two."""
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        size = batch_size if stop - start == batch_size else 1 << (stop - start - 1).bit_length()
        yield start, stop, min(size, batch_size)


def _padded(leaf: HostArray, size: int) -> HostArray:
    missing = size - leaf.shape[0]
    if not missing:
        return leaf
    return np.concatenate([leaf, np.zeros((missing, *leaf.shape[1:]), leaf.dtype)])
