"""A model, a loss and an optimizer on one backend, with everything that training changes."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from backends import Backend, Shape, Tree, get_backend, tree
from multinn.descriptions.brief import brief
from multinn.descriptions.summary import Summary
from multinn.descriptions.types import check_type, checks_arguments
from multinn.errors import NotInitializedError
from multinn.host.checks import check_inputs, check_integers, check_parameters, check_shape
from multinn.host.interrupts import uninterrupted
from multinn.layers import Layer
from multinn.layers.base import check_takes
from multinn.losses import Loss
from multinn.metrics import Metric, check_metrics
from multinn.optimizers import Adam, Optimizer
from multinn.training import checkpoints, inference
from multinn.training.checkpoints import PathLike, Progress, with_current_entries
from multinn.training.compiled import CompiledPrograms, Seconds
from multinn.training.continuing import fits
from multinn.training.examples import PlacedExamples, check_examples, check_model_inputs, ready
from multinn.training.history import History
from multinn.training.last_layer import warn_of_last_layer
from multinn.training.program import Examples, ModelState, TrainingProgram, TrainingState, first_state
from multinn.training.texts import html, text


class BaseTrainer:
    """A model and its state on one backend: a trainer without `fit`.

    The attributes are those of `Trainer`.
    """

    @checks_arguments
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
            loss: the loss to minimize.
            optimizer: Adam with its defaults if None.
            metrics: functions whose values are reported too, by name.
            backend: as in `backends.get_backend`.
            dtype: "float32" or "float64".
            seed: 0 or more.

        Raises:
            BackendError: the backend, or the dtype on it, is not available.
            TypeError: the model, the loss, the optimizer or the metrics have another type.
            ValueError: the seed is negative, or a metric has a name that the history reserves.

        Warns:
            UserWarning: the model ends in an activation, such as Softmax, but the loss expects logits.
        """
        optimizer = Adam() if optimizer is None else optimizer
        metrics = _checked({} if metrics is None else metrics, loss)
        check_integers(minimum=0, seed=seed)
        warn_of_last_layer(model, loss)
        self.backend = get_backend(backend)
        self.dtype = dtype
        self.seed = seed
        self.program = TrainingProgram(self.backend, model, loss, optimizer, metrics, dtype)
        with self.backend.precision(dtype):  # raises BackendError if the dtype is not available
            pass
        self.seconds = Seconds()
        self.programs = CompiledPrograms(self.backend, self.seconds)
        self.state = TrainingState(None, None, None)
        self.epoch = 0
        self.step = 0
        self.history = History()
        self._shapes: tuple[Any, Any] | None = None

    @property
    def model(self) -> Layer:
        """The model that is trained."""
        return self.program.model

    @property
    def loss(self) -> Loss:
        """The loss to minimize. It can be set between two runs; the parameters stay.

        Raises:
            TypeError: it is set to something else than a loss.

        Warns:
            UserWarning: the model ends in an activation, such as Softmax, but the loss expects logits.
        """
        return self.program.loss

    @loss.setter
    def loss(self, loss: Loss) -> None:
        check_type("Trainer", "loss", loss, Loss)
        check_metrics(self.metrics, loss.reductions)
        warn_of_last_layer(self.model, loss)
        self._replace_parts(loss=loss)

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer. It can be set, also by a callback during a run.

        Its state is kept if it has the same meaning for the new optimizer: after a change of the
        learning rate, the weight decay or what `Freeze` keeps constant, or from Adam to AdamW.
        Otherwise, for example after a change of the momentum, it begins anew, also the count of steps
        that a schedule uses.

        Raises:
            TypeError: it is set to something else than an optimizer.
            ValueError: it is set to an optimizer that does not fit the parameters.

        Warns:
            UserWarning: the state begins anew, and steps were done with the former optimizer.
        """
        return self.program.optimizer

    @optimizer.setter
    def optimizer(self, optimizer: Optimizer) -> None:
        check_type("Trainer", "optimizer", optimizer, Optimizer)
        former = self.optimizer
        if self.params is not None:
            with self.backend.precision(self.dtype):
                first = self.backend.from_numpy(optimizer.init(self.backend.to_numpy(self.params)))
            if not fits(former, self.optimizer_state, optimizer, first):
                if self.step > 0:
                    warnings.warn(
                        f"Trainer: the state of {brief(former)} does not fit {brief(optimizer)}, whose "
                        "state begins anew",
                        stacklevel=3,
                    )
                self.state = self.state._replace(optimizer_state=first)
        self._replace_parts(optimizer=optimizer)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics by name. They can be set between two runs.

        Raises:
            TypeError: they are set to something else than a dict of functions.
            ValueError: a metric has a name that the history reserves.
        """
        return MappingProxyType(dict(self.program.metrics))

    @metrics.setter
    def metrics(self, metrics: Mapping[str, Metric]) -> None:
        self._replace_parts(metrics=_checked(metrics, self.loss))

    @property
    def input_shape(self) -> Any:
        """The shape of one example, without the batch axis; a dict or a tuple of several inputs' shapes.

        Raises:
            NotInitializedError: there are no parameters yet.
        """
        return self._known_shapes()[0]

    @property
    def params(self) -> Tree:
        """The parameters, a tree of the backend's arrays; None before the first `fit`."""
        return self.state.params

    @property
    def optimizer_state(self) -> Tree:
        """The optimizer's state, a tree of the backend's arrays; None before the first `fit`."""
        return self.state.optimizer_state

    @property
    def inference_parameters(self) -> Tree:
        """The parameters that evaluate and predict use; None before the first `fit`.

        They are ``params``, unless the optimizer keeps other parameters, such as an average.
        """
        if self.params is None:
            return None
        optimizer = self.program.optimizer
        with self.backend.precision(self.dtype):
            return optimizer.inference_parameters(self.backend, self.optimizer_state, self.params)

    @property
    def model_state(self) -> ModelState:
        """The parameters for inference, and the state of the layers."""
        return ModelState(self.inference_parameters, self.state.layer_state)

    @property
    def layer_state(self) -> Tree:
        """The state of the layers, such as running statistics, a tree of the backend's arrays.

        It is None before the first `fit`. It can be set to a tree of arrays of the same structure and
        shapes, as `multinn.exchange` returns it; the arrays are copied, and training continues from it.

        Raises:
            NotInitializedError: it is set, but there are no parameters yet.
            TypeError, ValueError: it is set to arrays that do not fit, or hold NaN or infinity.
        """
        return self.state.layer_state

    @layer_state.setter
    def layer_state(self, layer_state: Tree) -> None:
        self._known_shapes()
        current = self.backend.to_numpy(self.layer_state)
        given = check_parameters(current, layer_state, "layer_state")
        copied = tree.map(lambda leaf: np.array(leaf, self.dtype, order="C"), given)
        with self.backend.precision(self.dtype):
            self.state = self.state._replace(layer_state=self.backend.from_numpy(copied))

    def summary(self, input_shape: Shape | None = None) -> Summary:
        """Return a table of the model and its parts, as `Layer.summary` does.

        Args:
            input_shape: the shape of one example, without the batch axis; None for that of the trainer.

        Raises:
            NotInitializedError: the shape is None, and there are no parameters yet.
            TypeError: input_shape is not a tuple of integers.
            ValueError: the model cannot take inputs of this shape.
        """
        if input_shape is None and self._shapes is None:
            raise NotInitializedError(
                "summary: the trainer does not know the shape of its inputs yet: give an input_shape, "
                "or call fit or initialize first"
            )
        shape = self.input_shape if input_shape is None else check_shape(input_shape)
        return self.model.summary(shape, self.dtype)

    def initialize(
        self,
        input_shape: Shape | tuple[Shape, ...] | Mapping[str, Shape],
        params: Tree | None = None,
        seed: int | None = None,
        *,
        layer_state: Tree | None = None,
    ) -> None:
        """Start again from step 0, with new or given parameters. Compiled programs are kept.

        Args:
            input_shape: the shape of one example, without the batch axis; for several inputs, a dict or
                a tuple of shapes.
            params: a tree of NumPy arrays, of the structure and shapes that the model draws; None to
                draw them.
            seed: replaces the trainer's seed.
            layer_state: the state of the layers, such as the running statistics of BatchNorm, a tree of
                NumPy arrays as `multinn.exchange` returns it; None for the initial state.

        Raises:
            TypeError: input_shape is not a tuple of integers.
            ValueError: the model cannot take such inputs, or ``params`` or ``layer_state`` do not fit
                the model.
        """
        if seed is not None:
            check_integers(minimum=0, seed=seed)
        input_shape = check_shape(input_shape)
        drawn, output_shape = self._draw(input_shape, self.seed if seed is None else seed)
        start = drawn if params is None else check_parameters(drawn, params)
        if layer_state is not None:
            initial = self.model.init_state(drawn)
            layer_state = check_parameters(initial, layer_state, "layer_state")
        self.seed = self.seed if seed is None else seed
        self._start(start, (input_shape, output_shape), layer_state)

    def evaluate(
        self, x: Any, y: Any, *, weights: Any = None, batch_size: int = 1024
    ) -> dict[str, float]:
        """Return the loss and the metrics over all examples, at inference.

        Sequences and images may have other sizes than in training if the shapes of the parameters do not
        depend on them: recurrent layers, attention, convolution and global pooling take any size.

        Args:
            x: (examples, ...), as in training.
            y: the targets, as the loss takes them.
            weights: as in training. For mean losses, only the relative sizes of the weights matter.
            batch_size: examples at a time.

        Raises:
            NotInitializedError: there are no parameters yet.
            TypeError, ValueError: the data do not fit the model or the loss.
        """
        check_integers(batch_size=batch_size)
        inputs = check_inputs(x, self.dtype)
        examples = check_examples(self.program, inputs, y, weights, self._known_shapes())
        with self.backend.precision(self.dtype):
            chunks = self._chunks(examples, int(batch_size))
            return inference.evaluate(self.program, self.programs, self.model_state, chunks)

    def predict(self, x: Any, *, batch_size: int = 1024) -> Any:
        """Return the model's outputs at inference, (examples, ...), as a NumPy array.

        A model with several heads returns a dict or a tuple of such arrays.

        Sequences and images may have other sizes than in training, as in `evaluate`.

        Args:
            x: (examples, ...), as in training.
            batch_size: examples at a time.

        Raises:
            NotInitializedError: there are no parameters yet.
            TypeError, ValueError: the data do not fit the model.
        """
        check_integers(batch_size=batch_size)
        shapes = self._known_shapes()
        inputs = check_inputs(x, self.dtype)
        check_model_inputs(self.model, inputs, shapes, "x")
        with self.backend.precision(self.dtype):
            chunks = inference.input_chunks(self.backend, inputs, int(batch_size))
            return inference.predict(self.program, self.programs, self.model_state, chunks)

    def save(self, path: PathLike) -> None:
        """Write a checkpoint, from which `load` continues as if the run had never stopped.

        The checkpoint is one safetensors file, written completely or not at all: a failure leaves an
        existing file unchanged. The checkpoint holds everything that training changes, the history, and
        descriptions of the model, the loss, the optimizer and the metrics, but no data and no code.

        Args:
            path: the path of the file, which is replaced if it exists; its folder must exist.

        Raises:
            DescriptionError: a class or a metric, such as a lambda, is not registered.
            ImportError: safetensors is not installed.
            NotInitializedError: there are no parameters yet.
            OSError: the file cannot be written.
            TypeError, ValueError: ``path`` is no path.
        """
        checkpoints.save(path, self.program, self._progress())

    @classmethod
    def load(cls, path: PathLike, backend: str | Backend | None = None) -> Self:
        """Return a trainer as it was when it was saved.

        On the backend that it was trained on, a run continues with the same bits; on another backend,
        its results agree to rounding. No code from the file runs, and its content is checked. But a
        forged file can still request a normalization layer that does not fit in memory.

        Args:
            path: the path of a checkpoint.
            backend: as in `backends.get_backend`; the file does not select it.

        Raises:
            BackendError: the backend, or the dtype on it, is not available.
            CheckpointError: ForeignFileError, the file is not a checkpoint; DamagedCheckpointError, it
                is truncated or has changed; NewerCheckpointError, it needs a later version of the
                library; InvalidCheckpointError, its content is invalid.
            ImportError: safetensors is not installed.
            OSError: the file cannot be read.
            TypeError, ValueError: ``path`` is no path.
        """
        program, progress = checkpoints.load(path, get_backend(backend))
        trainer = cls(
            program.model,
            program.loss,
            program.optimizer,
            metrics=program.metrics,
            backend=program.backend,
            dtype=program.dtype,
            seed=progress.seed,
        )
        trainer._resume(progress)
        return trainer

    def load_state(self, path: PathLike) -> None:
        """Load the state, the seed and the history; keep the loss, the optimizer and the metrics.

        The model must be the same, and the state must fit the optimizer. For example, training can
        continue with another learning rate. After an error, the trainer is unchanged.

        Args:
            path: the path of a checkpoint.

        Raises:
            CheckpointError: as in `load`; InvalidCheckpointError also if it does not fit the trainer.
            ImportError, OSError, TypeError, ValueError: as in `load`.
        """
        self._resume(checkpoints.load_progress(path, self.program))

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, for copies and files: without compiled programs, and arrays of NumPy.

        The history is a plain list and a dict, since skops drops the attributes of a list.
        """
        kept = {name: value for name, value in self.__dict__.items() if name != "programs"}
        history = vars(self.history) | {"losses": list(self.history.losses)}
        state = self.backend.to_numpy(self.state)
        return kept | {"state": state, "history": (list(self.history), history)}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.__dict__.update(attributes)
        self.programs = CompiledPrograms(self.backend, self.seconds)
        if isinstance(self.history, tuple):  # not in pickles of earlier versions
            records, history = self.history
            self.history = History(records)
            vars(self.history).update(history)
        current = with_current_entries(self.program.optimizer, self.state.optimizer_state)
        with self.backend.precision(self.dtype):
            self.state = self.backend.from_numpy(self.state._replace(optimizer_state=current))

    def __repr__(self) -> str:
        """Return the parts and the progress, a line for each, at most 80 columns wide."""
        return text(self)

    def _repr_html_(self) -> str:
        return html(self, self._shapes and self._shapes[0])

    def _replace_parts(self, **parts: Any) -> None:
        """Replace parts of the program, for which other functions are compiled."""
        self.program = replace(self.program, **parts)
        self.programs = CompiledPrograms(self.backend, self.seconds)

    def _draw(self, input_shape: Tree, seed: int) -> tuple[Tree, Tree]:
        check_takes(self.model, input_shape)
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        return self.model.init(generator, input_shape)

    def _start(self, params: Tree, shapes: tuple[Tree, Tree], layer_state: Tree | None = None) -> None:
        """Begin at step 0 with these parameters, for inputs and outputs of these shapes."""
        state = first_state(self.model, self.program.optimizer, params, self.dtype, layer_state)
        with self.backend.precision(self.dtype):
            self.state = self.backend.from_numpy(state)
        self.epoch = 0
        self.step = 0
        self.history = History()
        self._shapes = shapes

    def _known_shapes(self) -> tuple[Tree, Tree]:
        if self._shapes is None:
            raise NotInitializedError("the trainer has no parameters yet: call fit or initialize first")
        return self._shapes

    def _shapes_or_draw(self, input_shape: Tree) -> tuple[tuple[Tree, Tree], Tree]:
        """Return the shapes of inputs and outputs, and initial parameters if there are none yet."""
        if self._shapes is not None:
            return self._shapes, None
        drawn, output_shape = self._draw(input_shape, self.seed)
        return (input_shape, output_shape), drawn

    def _chunks(self, examples: Examples, size: int) -> Iterator[Examples]:
        """Yield checked examples in chunks, on the backend, to evaluate."""
        examples = ready(self.program, examples)
        return map(self.backend.from_numpy, inference.weighted_chunks(examples, size, self.dtype))

    def _place(self, examples: Examples) -> PlacedExamples:
        """Put checked examples on the backend, for a whole fit."""
        examples = ready(self.program, examples)
        return PlacedExamples(examples, self.backend.sync(self.backend.from_numpy(examples)))

    def _progress(self) -> Progress:
        """Return the progress of training, for a checkpoint."""
        shapes = self._known_shapes()
        state = self.backend.to_numpy(self.state)
        return Progress(state, self.seed, self.epoch, self.step, shapes, self.history)

    def _resume(self, progress: Progress) -> None:
        """Continue from the progress in a checkpoint."""
        with self.backend.precision(self.dtype):
            state = self.backend.sync(self.backend.from_numpy(progress.state))
        with uninterrupted():
            self.state = state
            self.seed = progress.seed
            self.epoch = progress.epoch
            self.step = progress.step
            self.history = progress.history
            self._shapes = progress.shapes


def _checked(metrics: Any, loss: Loss) -> dict[str, Metric]:
    """Return the metrics as a new dict; raise TypeError or ValueError if something else was given."""
    if not isinstance(metrics, Mapping):
        raise TypeError(f"Trainer: expected metrics as a dict, by name, got {metrics!r}")
    check_metrics(metrics, loss.reductions)
    return dict(metrics)
