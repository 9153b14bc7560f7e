"""Training in epochs, until nothing improves any more."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from multinn.callbacks.base import any_stops
from multinn.errors import DivergenceError
from multinn.examples import PlacedExamples
from multinn.history import History
from multinn.progress import progress
from multinn.sklearn.callbacks import callbacks_of
from multinn.sklearn.data import CheckedData
from multinn.sklearn.held_out import HeldOut
from multinn.sklearn.parameters import SOLVERS
from multinn.sklearn.saving import save
from multinn.sklearn.solver import PenalizedTrainer
from multinn.sklearn.stopping import EPOCHS_A_CALL, Improvement
from multinn.training import Examples, TrainingState

HostArray = np.ndarray[Any, np.dtype[Any]]

NOT_FINITE: Final = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to "
    "be preprocessed."
)

_OF_EPOCHS: Final = (
    "_early_stopping_before",
    "_stopped_early",
    "_improvement",
    "_best_state",
    "loss_curve_",
    "best_loss_",
    "validation_loss_curve_",
    "validation_scores_",
    "best_validation_score_",
)


class EpochTraining(CheckedData):
    """The stochastic solvers. A subclass says what targets mean, and how outputs are scored."""

    trainer_: PenalizedTrainer

    @abstractmethod
    def _score_of(self, y: HostArray, outputs: HostArray, weights: HostArray | None) -> float:
        """Return the score of outputs: the larger, the better."""

    @abstractmethod
    def _strength(self, examples: Examples) -> float:
        """Return a of the penalty a / (2 n) Σ W²."""

    def _start_curves(self) -> None:
        """Begin with what is recorded of each epoch, and nothing of the epochs before."""
        for name in _OF_EPOCHS:
            self.__dict__.pop(name, None)
        if self.solver in SOLVERS:
            self._early_stopping_before = bool(self.early_stopping)
            self._stopped_early = False
            self._improvement = Improvement()
            self._best_state: TrainingState | None = None
            self.loss_curve_: list[float] = []
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_loss_curve_: list[float] | None = None
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _fit_stochastic(
        self, examples: Examples, held_out: HeldOut | None, *, incremental: bool
    ) -> None:
        trainer = self.trainer_
        trainer.set_strength(self._strength(examples))
        epochs = 1 if incremental else int(self.max_iter)
        callbacks = callbacks_of(self)
        each_epoch = held_out is not None or callbacks or self._rate_falls
        placed = trainer.place(examples)
        batch_size = self._batch_size(len(examples.x))
        self.n_iter_ = 0
        self.converged_ = False
        stopped = False
        shown = bool(self.verbose) and not incremental
        with trainer.saving(partial(save, self)):
            for callback in callbacks:
                callback.on_fit_start(trainer)
            with _interruptible(), progress(epochs, "epoch", shown) as advance:
                while self.n_iter_ < epochs and not stopped:
                    count = 1 if each_epoch else self._next_call(epochs - self.n_iter_)
                    history = self._train(placed, batch_size, count)
                    for loss in history.losses:
                        self._see_loss(loss, len(examples.x))
                    if history.losses and held_out is not None:
                        self._validate(held_out)
                    advance(len(history.losses), {"loss": self.loss_} if history.losses else {})
                    self._after_epoch()
                    stopped = self._has_to_stop()
                    if history.losses:
                        record = trainer.history[-1]
                        stopped |= any_stops([each.on_report(trainer, record) for each in callbacks])
                    if history.interrupted:
                        raise KeyboardInterrupt  # which came within the call, and ended it well
            self._stopped_early = bool(incremental and self.early_stopping and self.converged_)
            if self._best_state is not None and (self._stopped_early or not incremental):
                trainer.restore(self._best_state)
            for callback in callbacks:
                callback.on_fit_end(trainer)
        if self.n_iter_ == epochs and not stopped and not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )

    @property
    def _rate_falls(self) -> bool:
        """Whether the learning rate changes after each epoch."""
        return bool(self.solver == "sgd" and self.learning_rate == "invscaling")

    def _batch_size(self, examples: int) -> int:
        if self.batch_size == "auto":
            return min(200, examples)
        if self.batch_size > examples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                stacklevel=5,
            )
        return min(int(self.batch_size), examples)

    def _next_call(self, left: int) -> int:
        """Return for how many epochs to train in one call: none of them but the last can end the fit."""
        quiet = self._improvement.quiet_epochs(self.n_iter_no_change)
        if quiet >= left:
            return left if quiet == np.inf else min(left, EPOCHS_A_CALL)
        return EPOCHS_A_CALL if quiet >= EPOCHS_A_CALL else 1

    def _train(self, examples: PlacedExamples, batch_size: int, epochs: int) -> History:
        """Train for some epochs, and return their history: of fewer after an interrupt."""
        try:
            return self.trainer_.train(
                examples, epochs=epochs, batch_size=batch_size, shuffle=self.shuffle
            )
        except DivergenceError as error:
            raise ValueError(f"{NOT_FINITE} In detail: {error}") from error

    def _see_loss(self, loss: float, examples: int) -> None:
        """Take notice of the training loss of one epoch."""
        self.n_iter_ += 1
        self.t_ += examples
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if not self.early_stopping:
            self._improvement.see(-loss, self.tol, strict=False)
            self.best_loss_ = -self._improvement.best

    def _validate(self, held_out: HeldOut) -> None:
        """Take notice of the loss and the score on the validation data."""
        outputs, record = held_out.outputs(), self.trainer_.history[-1]
        record["validation_loss"] = held_out.loss(outputs)
        if self.validation_loss_curve_ is None:
            self.validation_loss_curve_ = []
        self.validation_loss_curve_.append(record["validation_loss"])
        if not self.early_stopping:
            return
        score = self._score_of(held_out.labels, outputs, held_out.weights)
        assert self.validation_scores_ is not None
        self.validation_scores_.append(score)
        record["validation_score"] = score
        if self._improvement.see(score, self.tol, strict=True):
            self.best_validation_score_ = score
            self._best_state = self.trainer_.snapshot()

    def _after_epoch(self) -> None:
        if self._rate_falls:
            self.trainer_.rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t

    def _has_to_stop(self) -> bool:
        """Tell whether nothing improves any more; where the learning rate adapts, lower it instead."""
        if self._improvement.count <= self.n_iter_no_change:
            return False
        self._improvement.count = 0
        if self.solver == "sgd" and self.learning_rate == "adaptive" and self.trainer_.rate > 1e-6:
            self.trainer_.rate /= 5.0
            return False
        self.converged_ = True
        return True


@contextmanager
def _interruptible() -> Iterator[None]:
    """Return a context that Ctrl-C ends, with a warning."""
    try:
        yield
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=6)
