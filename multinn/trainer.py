"""The trainer: a model, a loss and an optimizer, on one backend."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Backend, Tree, get_backend, tree
from multinn.checks import (
    check_at_least_one,
    check_input_shape,
    check_inputs,
    check_seed,
    check_targets,
    check_weights,
)
from multinn.divergence import find_divergence
from multinn.errors import DivergenceError, NotInitializedError
from multinn.history import History
from multinn.layers import Layer
from multinn.losses import Loss
from multinn.metrics import Metric
from multinn.optimizers import Adam, Optimizer
from multinn.pieces import padded, pieces, weighted_pieces
from multinn.progress import progress as show_progress
from multinn.training import (
    Examples,
    Plan,
    TrainingProgram,
    combine,
    epoch_figures,
    make_plan,
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
            TypeError: the model, the loss, the optimizer or the metrics are something else.
            ValueError: the seed is negative, or a metric has a name that the history uses itself.
        """
        optimizer = Adam() if optimizer is None else optimizer
        for part, kind in ((model, Layer), (loss, Loss), (optimizer, Optimizer)):
            if not isinstance(part, kind):
                raise TypeError(f"Trainer: expected an instance of {kind.__name__}, got {part!r}")
        if not isinstance(metrics, Mapping | None):
            raise TypeError(f"Trainer: expected metrics as a dict, by name, got {metrics!r}")
        check_seed(seed)
        for name in metrics or {}:
            if name in ("loss", "epoch", "weight") or name.startswith("validation_"):
                raise ValueError(f"Trainer: the history uses the name {name!r} itself")
        self.backend = get_backend(backend)
        self.dtype = dtype
        self.seed = seed
        self.program = TrainingProgram(self.backend, model, loss, optimizer, metrics or {})
        with self.backend.precision(dtype):
            pass
        self.seconds = Seconds()
        self.params: Tree = None
        self.optimizer_state: Tree = None
        self.epoch = 0
        self.step = 0
        self.history = History()
        self._compiled: dict[Any, Callable[..., Tree]] = {}
        self._shapes: tuple[Shape, Shape] | None = None

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
        if seed is not None:
            check_seed(seed)
        drawn, output_shape = self._draw(tuple(input_shape), self.seed if seed is None else seed)
        chosen = drawn if params is None else tree.map_with_paths(_check_shape, drawn, params)
        self.seed = self.seed if seed is None else seed
        self._start(chosen, (tuple(input_shape), output_shape))

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
            weights: (examples,) numbers of 0 or more, or None: how much each example counts, in
                relation to the mean of all weights.
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
        check_at_least_one(epochs=epochs, batch_size=batch_size, report_every=report_every)
        inputs = check_inputs(x, self.dtype)
        shapes, drawn = self._shapes_or_draw(inputs.shape[1:])
        examples = self._check(inputs, y, weights, shapes)
        held_out = None if validation_data is None else self._check_pair(validation_data, shapes)
        if drawn is not None:
            self._start(drawn, shapes)
        if examples.weights is not None and self.program.loss.reduction == "mean":
            examples = examples._replace(weights=examples.weights / np.mean(examples.weights))
        new = History()
        with self.backend.precision(self.dtype), show_progress(epochs, "epoch", progress) as advance:
            data = self.backend.sync(self.backend.from_numpy(examples))
            validation = None if held_out is None else self._pieces(held_out, 1024)
            job = _Job(data, examples.x.shape[0], batch_size, shuffle, [new, self.history])
            for done in range(0, epochs, report_every):
                chunk = min(report_every, epochs - done)
                figures = self._train(job, chunk)
                if validation is not None:
                    at_validation = self._evaluate(validation)
                    figures |= {f"validation_{name}": at_validation[name] for name in at_validation}
                for history in job.histories:
                    history.append({"epoch": self.epoch} | figures)
                advance(chunk, figures)
        return new

    def evaluate(
        self, x: Any, y: Any, *, weights: Any = None, batch_size: int = 1024
    ) -> dict[str, float]:
        """Return the loss and the metrics over all examples, at inference.

        Raises:
            NotInitializedError: there are no parameters yet.
            TypeError, ValueError: the data do not fit the model or the loss.
        """
        check_at_least_one(batch_size=batch_size)
        examples = self._check(check_inputs(x, self.dtype), y, weights, self._known_shapes())
        with self.backend.precision(self.dtype):
            return self._evaluate(self._pieces(examples, batch_size))

    def predict(self, x: Any, *, batch_size: int = 1024) -> HostArray:
        """Return the model's outputs at inference, (examples, ...), as a NumPy array.

        Raises:
            NotInitializedError: there are no parameters yet.
            TypeError, ValueError: the data do not fit the model.
        """
        check_at_least_one(batch_size=batch_size)
        input_shape, _ = self._known_shapes()
        inputs = check_inputs(x, self.dtype)
        check_input_shape(inputs, input_shape, "x")
        outputs = []
        with self.backend.precision(self.dtype):
            for rows, size in pieces(len(inputs), batch_size):
                piece = self.backend.from_numpy(padded(inputs[rows], size))
                predict = self._compile(self.program.predict, self.params, piece)
                result = self.backend.to_numpy(predict(self.params, piece))
                outputs.append(result[: rows.stop - rows.start])
        return np.concatenate(outputs)

    def _draw(self, input_shape: Shape, seed: int) -> tuple[Tree, Shape]:
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        return self.model.init(generator, input_shape)

    def _start(self, params: Tree, shapes: tuple[Shape, Shape]) -> None:
        """Begin at step 0 with these parameters, for inputs and outputs of these shapes."""
        host_params = tree.map(lambda leaf: np.array(leaf, self.dtype), params)
        host_state = self.program.optimizer.init(host_params)
        with self.backend.precision(self.dtype):
            self.params, self.optimizer_state = self.backend.from_numpy((host_params, host_state))
        self.epoch = 0
        self.step = 0
        self.history = History()
        self._shapes = shapes

    def _known_shapes(self) -> tuple[Shape, Shape]:
        if self._shapes is None:
            raise NotInitializedError("the trainer has no parameters yet: call fit or initialize first")
        return self._shapes

    def _shapes_or_draw(self, input_shape: Shape) -> tuple[tuple[Shape, Shape], Tree]:
        """Return the shapes of inputs and outputs, and first parameters if there are none yet."""
        if self._shapes is not None:
            return self._shapes, None
        drawn, output_shape = self._draw(input_shape, self.seed)
        return (input_shape, output_shape), drawn

    def _check(
        self, inputs: HostArray, y: Any, weights: Any, shapes: tuple[Shape, Shape], name: str = ""
    ) -> Examples:
        """Check examples on the host."""
        input_shape, output_shape = shapes
        count = inputs.shape[0]
        targets = check_targets(y, count, f"{name}y")
        checked = None if weights is None else check_weights(weights, count, self.dtype)
        check_input_shape(inputs, input_shape, f"{name}x")
        try:
            prepared = self.program.loss.prepare_targets(targets, output_shape, self.dtype)
        except ValueError as error:
            raise ValueError(f"{name}y: {error}") from error
        return Examples(inputs, prepared, checked)

    def _check_pair(self, data: Any, shapes: tuple[Shape, Shape]) -> Examples:
        if not (isinstance(data, tuple | list) and len(data) == 2):
            raise ValueError("validation_data: expected a pair (x, y)")
        x, y = data
        return self._check(check_inputs(x, self.dtype, "validation x"), y, None, shapes, "validation ")

    def _pieces(self, examples: Examples, size: int) -> list[Examples]:
        on_backend: list[Examples] = self.backend.from_numpy(list(weighted_pieces(examples, size)))
        return on_backend

    def _train(self, job: "_Job", epochs: int) -> dict[str, float]:
        """Train for some epochs in one call, and return the figures of the last."""
        with self._timed():
            plan = make_plan(
                job.count,
                job.batch_size,
                first_epoch=self.epoch,
                epochs=epochs,
                first_step=self.step,
                seed=self.seed,
                shuffle=job.shuffle,
            )
            carry = (self.params, self.optimizer_state)
            arguments = (carry, job.data, self.backend.from_numpy(plan))
        run = self._compile(self.program.run, *arguments)
        with self._timed():
            carry, records, finite = self.backend.sync(run(*arguments))
            records, finite = self.backend.to_numpy((records, finite))
            figures = epoch_figures(records, plan, job.count, self.program.reductions)
        if not (finite and np.isfinite(figures.step_losses).all()):
            return self._diverge(job, plan, epochs)
        self.params, self.optimizer_state = carry
        self.epoch += epochs
        self.step += figures.step_losses.size
        for history in job.histories:
            history.losses.extend(figures.losses.tolist())
        return figures.last

    def _diverge(self, job: "_Job", plan: Plan, epochs: int) -> dict[str, float]:
        """Repeat epochs that diverged, one by one, up to the last finite parameters, and raise."""
        if epochs > 1:
            return [self._train(job, 1) for _ in range(epochs)][-1]
        carry = (self.params, self.optimizer_state)
        found = find_divergence(self.program, carry, job.data, plan)
        if found is None:  # differently rounded, the epoch went well
            raise DivergenceError(self.epoch + 1, plan.words.shape[1], "the loss became NaN or infinite")
        self.params, self.optimizer_state = found.carry
        raise DivergenceError(self.epoch + 1, found.step, f"{found.what} became NaN or infinite")

    def _evaluate(self, pieces: list[Examples]) -> dict[str, float]:
        records = []
        for piece in pieces:
            evaluate = self._compile(self.program.evaluate, self.params, piece)
            records.append(self.backend.to_numpy(evaluate(self.params, piece)))
        columns = {
            name: np.array([record[name] for record in records], np.float64) for name in records[0]
        }
        return combine(columns, columns["weight"], self.program.reductions)

    def _compile(self, function: Callable[..., Tree], *arguments: Tree) -> Callable[..., Tree]:
        """Return the compiled function for arguments of these shapes, compiled once."""
        leaves = tree.leaves_with_paths(arguments)
        signature = (function.__name__, *((path, leaf.shape, leaf.dtype) for path, leaf in leaves))
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


@dataclass(frozen=True)
class _Job:
    """What one call of `Trainer.fit` trains on: the data on the backend, and how it is cut."""

    data: Examples
    count: int
    batch_size: int
    shuffle: bool
    histories: list[History]


def _check_shape(path: str, drawn: HostArray, given: Any) -> Any:
    if np.shape(given) != drawn.shape:
        raise ValueError(
            f"parameter {path}: expected shape {drawn.shape}, as the model draws it, "
            f"got {np.shape(given)}"
        )
    return given
