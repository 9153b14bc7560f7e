"""The trainer: a model, a loss and an optimizer, on one backend."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from backends import tree
from multinn.host.checks import check_at_least_one, check_inputs
from multinn.host.progress import Advance, tell
from multinn.host.progress import progress as show_progress
from multinn.training.base import BaseTrainer
from multinn.training.batch_run import BatchRun
from multinn.training.batches import Batches, check_batches, with_first
from multinn.training.callback import Callback, check_callbacks
from multinn.training.compiled import signature
from multinn.training.examples import (
    PlacedExamples,
    check_batch,
    check_batch_inputs,
    check_examples,
    check_validation_data,
    with_class_weights,
    with_mean_weight_one,
)
from multinn.training.history import History, Record
from multinn.training.plan import Examples
from multinn.training.run import BaseRun, Run
from multinn.training.step_time import seconds_a_step


class Trainer(BaseTrainer):
    """Trains a model, and holds what training changes.

    The same seed gives the same initial parameters, shuffles and dropout masks on every backend.

    Attributes:
        backend: computes everything.
        state: the parameters, the state of the layers and that of the optimizer, trees of the
            backend's arrays, each None before the first `fit`.
        epoch: how many epochs are done.
        step: how many steps are done.
        history: the records of all calls of `fit`.
        seconds: what compiling and training took.
        programs: what was compiled, for this model and the shapes of data that were seen last.

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

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int,
        batch_size: int = 32,
        weights: Any = None,
        class_weights: Mapping[Any, float] | str | None = None,
        validation_data: tuple[Any, Any] | None = None,
        shuffle: bool = True,
        report_every: int = 1,
        progress: bool = True,
        callbacks: Iterable[Callback] = (),
    ) -> History:
        """Train for some epochs more, in each of which every example counts once.

        Many epochs are one call of a compiled function, or one long epoch is several, so that a
        call takes about half a second if progress is shown, some seconds if not. The results do not
        depend on it. Where lengths do not divide, a second, shorter program is compiled.

        Ctrl-C ends the run, and leaves the trainer as it was after the last call that ended with an
        epoch: what was done of the next epochs is dropped, and a later fit does it again.

        Args:
            x: (examples, ...) numbers. Floats and 64-bit integers are converted to the trainer's
                dtype; smaller integers and booleans stay as they are, and each batch is cast. What
                needs no conversion is not always copied: x must not change while this runs.
            y: targets, as the loss wants them.
            epochs: 1 or more.
            batch_size: examples a step; the last step of an epoch takes what is left over.
            weights: (examples,) numbers of 0 or more, or None: how much each example counts, in
                relation to the mean of all weights.
            class_weights: the weight of each class in y, 1 where it is not named; or "balanced", with
                which all classes weigh the same. With ``weights``, an example counts by the product.
            validation_data: inputs and targets that are evaluated at each report.
            shuffle: whether each epoch has its own random order, if it has more than one batch.
            report_every: epochs between two records of the history.
            progress: whether progress is shown, on the standard error stream.
            callbacks: are called at each report, which then ends a call of a compiled function.

        Returns:
            The records of this call; after Ctrl-C those so far, with ``interrupted`` set.

        Raises:
            TypeError, ValueError: the data do not fit the model or the loss, or hold NaN or infinity; or
                a callback needs a figure that is not reported.
            DivergenceError: the loss or a parameter became NaN or infinite. The trainer then holds the
                last finite parameters, or those that `EarlyStopping` restores, and its history the
                epochs before.
        """
        check_at_least_one(epochs=epochs, batch_size=batch_size, report_every=report_every)
        chosen = check_callbacks(callbacks, self._figures(validation_data is not None))
        inputs = check_inputs(x, self.dtype)
        shapes, drawn = self._shapes_or_draw(inputs.shape[1:])
        if class_weights is not None:
            weights = with_class_weights(y, len(inputs), class_weights, weights)
        examples = check_examples(self.program, inputs, y, weights, shapes)
        held_out = check_validation_data(self.program, validation_data, shapes)
        if drawn is not None:
            self._start(drawn, shapes)
        placed = self._place(examples)
        with self.backend.precision(self.dtype):
            run = Run(
                trainer=self,
                epochs=int(epochs),
                report_every=int(report_every),
                validate=self._validation(held_out),
                callbacks=chosen,
                data=placed.data,
                examples=len(inputs),
                batch_size=min(int(batch_size), len(inputs)),
                shuffle=shuffle,
                stop_every=int(report_every) if chosen or held_out else None,
            )
            self._train(run, [run.epochs], placed.host, progress)
        return run.history

    def fit_batches(
        self,
        batches: Batches,
        *,
        epochs: int,
        validation_data: tuple[Any, Any] | None = None,
        report_every: int = 1,
        progress: bool = True,
        callbacks: Iterable[Callback] = (),
    ) -> History:
        """Train on batches that come one by one, such as of data that do not fit in memory.

        Each is one step, in one call of a compiled function, while the next one is read in a thread.
        Each size of batch is one more program to compile. `fit` is faster where the data fit in memory.

        Args:
            batches: (x, y) or (x, y, weights) each, as in `fit`, in the order of training: an iterable,
                gone through once an epoch, or a function that is called with the number of the epoch,
                from 0, and returns one, such as `ShuffledBatches`. Weights count as they are: over an
                epoch, their mean should be 1. The next batch is read while one is in use, so that each
                needs arrays of its own.
            epochs: 1 or more.
            validation_data: inputs and targets that are evaluated at each report; they are in memory.
            report_every: epochs between two records of the history.
            progress: whether progress is shown, on the standard error stream.
            callbacks: are called at each report.

        Returns:
            The records of this call; after Ctrl-C those so far, with ``interrupted`` set.

        Raises:
            TypeError, ValueError, DivergenceError: as in `fit`, or there are no batches. What a later
                batch raises leaves the trainer at the last whole epoch.
        """
        check_at_least_one(epochs=epochs, report_every=report_every)
        check_batches(batches, epochs)
        chosen = check_callbacks(callbacks, self._figures(validation_data is not None))
        with ThreadPoolExecutor(1) as reader, self.backend.precision(self.dtype):
            if self._shapes is None:
                batches, first = with_first(batches, self.epoch, reader)
                shapes, drawn = self._shapes_or_draw(check_batch_inputs(self.program, first).shape[1:])
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
                validate=self._validation(held_out),
                callbacks=chosen,
                batches=batches,
                reader=reader,
                check=lambda batch: check_batch(self.program, batch, shapes),
            )
            with self._running(run, progress) as advance:
                run.train(advance)
        return run.history

    def _place(self, examples: Examples) -> PlacedExamples:
        """Put checked examples on the backend, for a whole fit."""
        examples = with_mean_weight_one(self.program, examples)
        with self.backend.precision(self.dtype):
            return PlacedExamples(examples, self.backend.sync(self.backend.from_numpy(examples)))

    def _train(self, run: Run, stretches: Iterable[int], examples: Examples, progress: bool) -> None:
        """Train, unless a callback stops the run.

        Args:
            run: of this trainer.
            stretches: its epochs, in parts that each end with a report.
            examples: those of the run, on the host.
            progress: whether it is shown.
        """
        with self._running(run, progress) as advance:
            several = run.epochs * len(run.batch_sizes) > 1
            seconds = self._estimate(examples, run.batch_size) if several else 0.0
            for epochs in stretches:
                run.train(run.cut(epochs, seconds, shown=progress), advance)
                if run.history.stopped:
                    break

    @contextmanager
    def _running(self, run: BaseRun, progress: bool) -> Iterator[Advance]:
        """Show progress, call the callbacks first and last, and let Ctrl-C end the run."""
        run.callbacks.on_fit_start(self)
        try:
            with show_progress(run.epochs, "epoch", progress) as advance:
                yield advance
        except KeyboardInterrupt:
            run.history.interrupted = True
            tell(f"interrupted: the trainer is at the end of epoch {self.epoch}")
        except BaseException as error:
            try:
                run.callbacks.on_fit_error(self)
            finally:
                raise error
        run.callbacks.on_fit_end(self)

    def _figures(self, validated: bool) -> list[str]:
        """Return the names of the figures of a record."""
        names = list(self.program.reductions)
        return ["epoch", *names, *(f"validation_{name}" for name in names if validated)]

    def _validation(self, held_out: Examples | None) -> Callable[[], Record] | None:
        """Return what evaluates the validation data, which are on the backend from now on."""
        if held_out is None:
            return None
        return partial(self._evaluate, list(self._pieces(held_out, 1024)))

    def _estimate(self, examples: Examples, batch_size: int) -> float:
        """Return how long a step takes, about; the same number for the same shapes."""
        batch = tree.map(lambda leaf: leaf[:batch_size], examples)
        key = signature(batch)
        if key not in self._seconds_a_step:
            state = self.backend.to_numpy(self.state)
            self._seconds_a_step[key] = seconds_a_step(self.program, state, batch)
        return self._seconds_a_step[key]
