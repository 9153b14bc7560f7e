"""The trainer: a model, a loss and an optimizer, on one backend."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from backends import Backend, Tree
from multinn.descriptions.types import checks_arguments
from multinn.host.checks import check_flags, check_inputs, check_integers, check_some_count
from multinn.host.trees import count_of, map_entries, rows_of, shape_of
from multinn.layers import Layer
from multinn.losses import Loss
from multinn.optimizers import Optimizer
from multinn.tracing.record import record
from multinn.tracing.trace import Trace
from multinn.training.base import BaseTrainer
from multinn.training.batch_run import BatchRun
from multinn.training.batches import Batches, check_batches, with_first
from multinn.training.callback import Callback
from multinn.training.examples import (
    check_batch,
    check_batch_inputs,
    check_examples,
    check_validation_data,
)
from multinn.training.gradients import input_gradients, parameter_gradients
from multinn.training.history import History
from multinn.training.program import ModelState, TrainingState, first_state, make_plan
from multinn.training.range_test import LearningRateRange, check_range, run_range_test
from multinn.training.run import Run, check_callbacks
from multinn.training.tracing import chosen_rows, plan_of_steps

_PARTS = ("optimizer", "loss", "metrics", "layer_state")
_CHANGING = (*_PARTS, "state", "seed", "epoch", "step", "history", "program", "programs", "seconds")


class Trainer(BaseTrainer):
    """Trains a model, and holds everything that training changes.

    The same seed gives the same initial parameters, shuffles and dropout masks on every backend.

    Attributes:
        backend: the backend of all computations.
        optimizer: the optimizer; setting it keeps its state if that fits.
        loss: the loss.
        metrics: the metrics by name.
        layer_state: the state of the layers.
        state: the parameters, the state of the layers and the state of the optimizer, trees of the
            backend's arrays, each None before the first `fit`.
        epoch: the number of epochs that are done.
        step: the number of steps that are done.
        history: the records of all calls of `fit`.
        seed: the seed of the next initial parameters, shuffles and dropout masks.
        seconds: the time spent in compiling and in training.
        programs: the compiled functions, for the shapes of data that were used last.

    Only these attributes, except the backend, can be set. For another model or backend, make a new
    trainer.

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

    def __setattr__(self, name: str, value: Any) -> None:
        """Set what training changes, or a method; a subclass may have attributes of its own.

        Raises:
            AttributeError: the attribute is fixed or unknown, so that setting it would change nothing.
        """
        is_complete = type(self) is Trainer and "_shapes" in vars(self)
        has_effect = name in _CHANGING or name[0] == "_" or callable(getattr(Trainer, name, None))
        if is_complete and not has_effect:
            raise AttributeError(
                f"Trainer: setting {name!r} would change nothing; only {', '.join(_CHANGING)} can be "
                "set. For another model or backend, make a new Trainer. Its initialize "
                "takes the parameters of this one, and its load_state takes a checkpoint"
            )
        super().__setattr__(name, value)

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int,
        batch_size: int = 32,
        weights: Any = None,
        class_weights: Mapping[Any, float] | str | None = None,
        validation_data: tuple[Any, ...] | None = None,
        shuffle: bool = True,
        report_every: int = 1,
        progress: bool = True,
        callbacks: Iterable[Callback] = (),
    ) -> History:
        """Train for some more epochs. Every example counts once in each epoch.

        One call of a compiled function trains for many epochs, or for a part of a long epoch: it should
        take about half a second if progress is shown, and ten seconds if not. The results do not depend
        on this. If the epochs do not divide evenly, a second program is compiled for a shorter call.

        Ctrl-C ends the run and leaves the trainer as it was after the last call that ended with an
        epoch. The steps of an unfinished epoch are dropped, and a later fit repeats them.

        Args:
            x: (examples, ...) numbers, or for several inputs a dict or a tuple of such arrays. Floats
                and 64-bit integers are converted to the trainer's dtype; smaller integers and booleans
                stay as they are, and each batch is cast. An array that needs no conversion may not be
                copied: do not change x during the run.
            y: targets, as the loss takes them; for several heads, a dict or a tuple of these.
            epochs: 1 or more.
            batch_size: examples in a step; the last step of an epoch takes the rest.
            weights: numbers of 0 or more, or None: (examples,), how much each example counts, relative
                to the mean of all weights; or (examples, ...), the same for each target, such as each
                step of a sequence; or for several heads a dict or a tuple of these.
            class_weights: the weight of each class in y, 1 for a class without one; or "balanced", which
                gives all classes the same total weight. With ``weights``, the product counts.
            validation_data: (x, y) or (x, y, weights), as `evaluate` takes them, which are evaluated at
                each report.
            shuffle: whether each epoch has its own random order, if it has more than one batch.
            report_every: epochs between two records of the history.
            progress: whether progress is shown, on the standard error stream.
            callbacks: called at each report, which then ends a call of a compiled function; some also
                after every few steps, as `Callback.on_steps` says.

        Returns:
            The records of this call; after Ctrl-C the records so far, with ``interrupted`` set.

        Raises:
            TypeError, ValueError: the data do not fit the model or the loss, or hold NaN or infinity; or
                a callback needs a metric that is not reported.
            DivergenceError: the loss or a parameter became NaN or infinite. The trainer then holds the
                last finite parameters, or the best ones if `EarlyStopping` restores them; its history
                holds the epochs before.
        """
        check_integers(epochs=epochs, batch_size=batch_size, report_every=report_every)
        check_flags(shuffle=shuffle, progress=progress)
        checked_callbacks = check_callbacks(callbacks, self._reported(validation_data is not None))
        inputs = check_inputs(x, self.dtype)
        shapes, drawn = self._shapes_or_draw(shape_of(inputs))
        examples = check_examples(self.program, inputs, y, weights, shapes, class_weights=class_weights)
        held_out = check_validation_data(self.program, validation_data, shapes)
        if drawn is not None:
            self._start(drawn, shapes)
        with self.backend.precision(self.dtype):
            run = Run(
                trainer=self,
                epochs=int(epochs),
                report_every=int(report_every),
                validation=held_out and list(self._chunks(held_out, 1024)),
                callbacks=checked_callbacks,
                show=progress,
                examples=self._place(examples),
                batch_size=min(int(batch_size), count_of(inputs)),
                shuffle=shuffle,
                stop_every=int(report_every) if checked_callbacks or held_out else None,
            )
            with run.running() as advance:
                run.train(advance)
        return run.history

    def fit_batches(
        self,
        batches: Batches,
        *,
        epochs: int,
        validation_data: tuple[Any, ...] | None = None,
        report_every: int = 1,
        progress: bool = True,
        callbacks: Iterable[Callback] = (),
    ) -> History:
        """Train on batches that come one by one, for example from data that do not fit in memory.

        Each batch is one step. While a compiled function takes steps, a thread reads and copies the next
        batches, so a batch may use the arrays of the one before again. The next call takes a step on
        each of these, for about a tenth of a second. It takes at most 64 batches and 8 MB, or one larger
        batch, and the batches of two calls are in memory. The results do not depend on how many batches
        a call takes. A program is compiled for each shape of a batch. `fit` is faster if the data fit in
        memory.

        Sequences may have another length in each batch, as `evaluate` describes. If each batch is padded
        to one of a few lengths, such as multiples of 16, few programs are compiled. With a weight for
        each step, the weight of a sequence is the mean over the steps of its batch.

        Args:
            batches: an iterable of (x, y) or (x, y, weights), as in `fit`, which is read once in each
                epoch; or a function, such as `ShuffledBatches`, that takes the number of the epoch,
                from 0, and returns an iterable. Weights are not divided by their mean, which should be
                1 over an epoch.
            epochs: 1 or more.
            validation_data: as in `fit`, in memory.
            report_every: epochs between two records of the history.
            progress: whether progress is shown, on the standard error stream.
            callbacks: called at each report, some also after every few steps.

        Returns:
            The records of this call; after Ctrl-C the records so far, with ``interrupted`` set.

        Raises:
            TypeError, ValueError, DivergenceError: as in `fit`, or there are no batches. After an error
                in a later batch, the trainer is at the last whole epoch.
        """
        check_integers(epochs=epochs, report_every=report_every)
        check_flags(progress=progress)
        check_batches(batches, epochs)
        checked_callbacks = check_callbacks(callbacks, self._reported(validation_data is not None))
        with ThreadPoolExecutor(1) as reader, self.backend.precision(self.dtype):
            if self._shapes is None:
                batches, first = with_first(batches, self.epoch, reader)
                shapes, drawn = self._shapes_or_draw(shape_of(check_batch_inputs(self.program, first)))
                check_batch(self.program, first, shapes)
            else:
                shapes, drawn = self._shapes, None
            held_out = check_validation_data(self.program, validation_data, shapes)
            if drawn is not None:
                self._start(drawn, shapes)
            run = BatchRun(
                trainer=self,
                epochs=int(epochs),
                report_every=int(report_every),
                validation=held_out and list(self._chunks(held_out, 1024)),
                callbacks=checked_callbacks,
                show=progress,
                batches=batches,
                reader=reader,
                check=lambda batch: check_batch(self.program, batch, shapes),
            )
            with run.running() as advance:
                run.train(advance)
        return run.history

    def trace(
        self,
        x: Any,
        y: Any,
        *,
        steps: int = 1,
        examples: int | Sequence[int] | None = None,
        batch_size: int | None = None,
        shuffle: bool = True,
        weights: Any = None,
        leave_out: Collection[str] = (),
        most_bytes: int = 50_000_000,
    ) -> Trace:
        """Record the next training steps: all that each layer, the loss and the optimizer compute.

        The steps are those that `fit` would take next with the chosen examples: the same losses and
        parameters, to the bit on NumPy, to rounding elsewhere. The trainer stays as it is. Show the
        trace as the last line of a cell of a notebook, or save it as a page.

        Args:
            x: (examples, ...), as in `fit`.
            y: targets, as the loss takes them.
            steps: 1 or more.
            examples: the number of examples to use, from the first on, or the indices of some; None for
                all.
            batch_size: examples in a step; None for all examples in each step.
            shuffle: as in `fit`.
            weights: as in `fit`.
            leave_out: names of entries to leave out: of a layer's "x", "y", "cache", "params",
                "params_after", "state", "state_after", "dy", "dx" and "gradients", or "updates",
                "code" and "documentation".
            most_bytes: about the largest size of the trace.

        Raises:
            TypeError, ValueError: the data do not fit the model or the loss; or the trace would be too
                large.
        """
        check_integers(steps=steps, most_bytes=most_bytes)
        check_flags(shuffle=shuffle)
        inputs = check_inputs(x, self.dtype)
        shapes, drawn = self._shapes_or_draw(shape_of(inputs))
        checked = check_examples(self.program, inputs, y, weights, shapes)
        rows = chosen_rows(examples, count_of(inputs))
        chosen = rows_of(checked, rows)
        if chosen.weights is not None:
            map_entries(check_some_count, chosen.weights, "chosen weights")
        plan = plan_of_steps(self, len(rows), int(steps), batch_size, shuffle=shuffle)
        with self.backend.precision(self.dtype):
            return record(
                self.program,
                self._state_or_first(drawn),
                self._place(chosen).data,
                plan,
                steps=int(steps),
                first_step=self.step,
                leave_out=leave_out,
                most_bytes=int(most_bytes),
            )

    def gradients(self, x: Any, y: Any, *, weights: Any = None, batch_size: int = 1024) -> Tree:
        """Return the gradients of the loss over all examples with respect to the parameters.

        They are the gradients at ``params`` of the loss that `evaluate` returns: at inference, without
        dropout and with the running statistics of a BatchNorm. Without such layers, a training step has
        the same gradients. `trace` shows the gradients of the next steps of any model.

        Args:
            x: (examples, ...), as in training.
            y: the targets, as the loss takes them.
            weights: as in `evaluate`.
            batch_size: examples at a time.

        Returns:
            A tree like ``params``, of NumPy arrays.

        Raises:
            NotInitializedError: there are no parameters yet.
            TypeError, ValueError: the data do not fit the model or the loss.

        >>> import numpy as np
        >>> from multinn import Dense, MeanSquaredError
        >>> trainer = Trainer(Dense(1), MeanSquaredError(), backend="numpy")
        >>> trainer.initialize((1,), params={"W": np.array([[2.0]]), "b": np.array([1.0])})
        >>> trainer.gradients([[3.0], [0.0]], [[5.0], [1.0]])["W"].tolist()  # (2 · 2 · 3 + 0) / 2
        [[6.0]]
        """
        state = ModelState(self.params, self.state.layer_state)
        return self._over_chunks(parameter_gradients, state, x, y, weights, batch_size)

    def input_gradients(self, x: Any, y: Any, *, weights: Any = None, batch_size: int = 1024) -> Any:
        """Return the gradient of the loss over all examples with respect to x, at inference.

        It says how the loss changes with each number in x. Where its magnitude is large, the loss
        depends on that number most; as a picture, this is a saliency map. A mean loss divides by the
        number n of examples: n times the gradient is that of the loss of each single example. Integers,
        such as ids for Embedding, have a gradient of 0.
        Source: K. Simonyan, A. Vedaldi and A. Zisserman, Deep inside convolutional networks, 2013,
        section 3; they take the score of a class in place of the loss.

        Args:
            x: (examples, ...), as in training.
            y: the targets, as the loss takes them.
            weights: as in `evaluate`.
            batch_size: examples at a time.

        Returns:
            A NumPy array in the shape of x; for several inputs, a dict or a tuple of these.

        Raises:
            NotInitializedError: there are no parameters yet.
            TypeError, ValueError: the data do not fit the model or the loss.

        >>> import numpy as np
        >>> from multinn import Dense, MeanSquaredError
        >>> trainer = Trainer(Dense(1), MeanSquaredError(), backend="numpy")
        >>> trainer.initialize((1,), params={"W": np.array([[2.0]]), "b": np.array([1.0])})
        >>> trainer.input_gradients([[3.0]], [[5.0]]).tolist()  # 2 · (7 - 5) · 2
        [[8.0]]
        """
        return self._over_chunks(input_gradients, self.model_state, x, y, weights, batch_size)

    def _over_chunks(
        self, gradients: Callable[..., Tree], state: ModelState, x: Any, y: Any, weights: Any, size: Any
    ) -> Tree:
        check_integers(batch_size=size)
        inputs = check_inputs(x, self.dtype)
        examples = check_examples(self.program, inputs, y, weights, self._known_shapes())
        with self.backend.precision(self.dtype):
            chunks = self._chunks(examples, int(size))
            return gradients(self.program, self.programs, state, chunks, count_of(inputs))

    @checks_arguments
    def learning_rate_range_test(
        self,
        x: Any,
        y: Any,
        *,
        low: float = 1e-6,
        high: float = 10.0,
        steps: int = 100,
        batch_size: int = 32,
    ) -> LearningRateRange:
        """Return the loss of some steps in which the learning rate rises, to find one to start with.

        The steps are those that `fit` would take next, with all but the learning rate of the optimizer,
        which rises from ``low`` to ``high`` by a constant factor. They end early when the loss diverges:
        when it is not finite, or when the mean of the last losses exceeds the smallest such mean by 10
        times the first one. The trainer stays as it is.
        Source: L. N. Smith, Cyclical learning rates for training neural networks, WACV 2017, section
        3.3; there, the learning rate rises linearly.

        Args:
            x: (examples, ...), as in `fit`.
            y: targets, as the loss takes them.
            low: the first learning rate, above 0.
            high: the last learning rate.
            steps: 2 or more.
            batch_size: examples in a step; smaller batches at the end of an epoch are left out.

        Raises:
            TypeError, ValueError: the data do not fit the model or the loss, a number is out of range,
                or the optimizer has no ``learning_rate``.
            DivergenceError: the loss is not finite even before the first update.
        """
        check_range(low, high, steps)
        check_integers(batch_size=batch_size)
        inputs = check_inputs(x, self.dtype)
        shapes, drawn = self._shapes_or_draw(shape_of(inputs))
        checked = check_examples(self.program, inputs, y, None, shapes)
        count = count_of(inputs)
        size = min(int(batch_size), count)
        plan = make_plan(
            count,
            size,
            first_epoch=self.epoch,
            epochs=-(-int(steps) // (count // size)),
            first_step=self.step,
            seed=self.seed,
            shuffle=True,
        )
        with self.backend.precision(self.dtype):
            return run_range_test(
                self.program,
                self._state_or_first(drawn),
                self._place(checked).data,
                plan,
                low=float(low),
                high=float(high),
                steps=int(steps),
            )

    def _state_or_first(self, drawn: Tree) -> TrainingState:
        """Return the state or, with drawn parameters, the state before the first step."""
        if drawn is None:
            return self.state
        first = first_state(self.model, self.program.optimizer, drawn, self.dtype)
        placed: TrainingState = self.backend.from_numpy(first)
        return placed

    def _reported(self, validated: bool) -> list[str]:
        """Return the names that records will have."""
        names = list(self.program.reductions)
        return ["epoch", *names, *(f"validation_{name}" for name in names if validated)]


def trace_steps(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer | None,
    x: Any,
    y: Any,
    *,
    params: Tree = None,
    backend: str | Backend | None = None,
    dtype: str = "float32",
    seed: int = 0,
    **options: Any,
) -> Trace:
    """Record the first training steps of a model, without a trainer.

    Args:
        model: the model.
        loss: the loss to minimize.
        optimizer: Adam with its defaults if None.
        x: (examples, ...), as in `Trainer.fit`.
        y: the targets, as the loss takes them.
        params: the initial parameters, a tree of NumPy arrays; None to draw them.
        backend: as in `backends.get_backend`.
        dtype: "float32" or "float64".
        seed: 0 or more.
        options: the other arguments of `Trainer.trace`.

    Raises:
        BackendError, TypeError, ValueError: as in `Trainer` and `Trainer.trace`.

    >>> from multinn import SGD, Dense, HalfSquaredError
    >>> trace_steps(Dense(1), HalfSquaredError(), SGD(0.1), [[1.0]], [[2.0]], backend="numpy", steps=3)
    <Trace of 3 steps of Dense, on numpy in float32>
    """
    trainer = Trainer(model, loss, optimizer, backend=backend, dtype=dtype, seed=seed)
    if params is not None:
        trainer.initialize(shape_of(check_inputs(x, dtype)), params)
    return trainer.trace(x, y, **options)
