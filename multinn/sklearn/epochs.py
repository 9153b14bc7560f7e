"""Training in epochs, until nothing improves any more."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from backends import HostArray
from multinn.callbacks import Callback
from multinn.errors import DivergenceError
from multinn.host.progress import write_line
from multinn.sklearn.callbacks import callbacks_of
from multinn.sklearn.data import CheckedData
from multinn.sklearn.held_out import HeldOut
from multinn.sklearn.parameters import SOLVERS
from multinn.sklearn.saving import save
from multinn.sklearn.stopping import EPOCHS_A_CALL, Improvement
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callbacks
from multinn.training.history import Record
from multinn.training.plan import Examples
from multinn.training.program import TrainingState

NOT_FINITE: Final = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to "
    "be preprocessed."
)

_OF_EPOCHS: Final = (
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
        given = callbacks_of(self)
        each_epoch = bool(held_out is not None or given or self._rate_falls)
        own = _OwnRules(self, len(examples.x), held_out, incremental)
        with trainer.saving(partial(save, self)), _told_as_by_scikit_learn():
            history = trainer.train(
                trainer.place(examples),
                self._stretches(epochs, each_epoch),
                epochs=epochs,
                batch_size=self._batch_size(len(examples.x)),
                shuffle=self.shuffle,
                progress=bool(self.verbose),
                callbacks=Callbacks([own, *given]),
            )
        if self.verbose and self.converged_:
            figure = "validation score" if self.early_stopping else "training loss"
            write_line(
                f"Stopped: in {self.n_iter_no_change} epochs the {figure} has not improved by more "
                f"than tol={self.tol}."
            )
        if history.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        elif not (history.stopped or incremental):
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

    def _stretches(self, epochs: int, each_epoch: bool) -> Iterator[int]:
        """Yield for how many epochs to train next: none of them but the last can end the fit."""
        while (left := epochs - self.n_iter_) > 0:
            quiet = 1 if each_epoch else self._improvement.quiet_epochs(self.n_iter_no_change)
            most = left if quiet == np.inf else min(left, EPOCHS_A_CALL)
            yield most if quiet >= most else 1

    def _see_loss(self, loss: float, examples: int) -> None:
        """Take notice of the training loss of one epoch."""
        self.n_iter_ += 1
        self.t_ += examples
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if not self.early_stopping:
            self._improvement.see(-loss, self.tol)
            self.best_loss_ = -self._improvement.best

    def _validate(self, held_out: HeldOut, record: Record) -> None:
        """Take notice of the loss and the score on the validation data, and record them."""
        outputs = held_out.outputs()
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
        if self._improvement.see(score, self.tol):
            self.best_validation_score_ = score
            self._best_state = self.trainer_.snapshot()

    def _lower_rate_or_stop(self) -> bool:
        """Lower the learning rate where that is due; return True where nothing improves any more."""
        if self._rate_falls:
            self.trainer_.rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
        if self._improvement.count <= self.n_iter_no_change:
            return False
        self._improvement.count = 0
        if self.solver == "sgd" and self.learning_rate == "adaptive" and self.trainer_.rate > 1e-6:
            self.trainer_.rate /= 5.0
            return False
        self.converged_ = True
        return True

    def _restore_best(self, incremental: bool) -> None:
        """At the end of a fit, or of the partial fit that stopped early, go back to the best epoch."""
        self._stopped_early = bool(incremental and self.early_stopping and self.converged_)
        if self._best_state is not None and (self._stopped_early or not incremental):
            self.trainer_.restore(self._best_state)


class _OwnRules(Callback):
    """What an estimator itself does with the epochs of a fit, before its callbacks are called."""

    def __init__(
        self, estimator: EpochTraining, examples: int, held_out: HeldOut | None, incremental: bool
    ) -> None:
        self.estimator = estimator
        self.examples = examples
        self.held_out = held_out
        self.incremental = incremental
        self.seen = 0

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Begin to count."""
        self.seen = len(trainer.history.losses)
        self.estimator.n_iter_ = 0
        self.estimator.converged_ = False

    def on_report(self, trainer: BaseTrainer, record: Record) -> bool:
        """Take notice of the epochs since the last report, and tell whether to stop."""
        estimator = self.estimator
        self._see_losses(trainer)
        if self.held_out is not None:
            estimator._validate(self.held_out, record)
        return estimator._lower_rate_or_stop()

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Take notice of what came before an interrupt, and restore the best parameters."""
        self._see_losses(trainer)
        self.estimator._restore_best(self.incremental)

    def _see_losses(self, trainer: BaseTrainer) -> None:
        for loss in trainer.history.losses[self.seen :]:
            self.seen += 1
            self.estimator._see_loss(loss, self.examples)


@contextmanager
def _told_as_by_scikit_learn() -> Iterator[None]:
    """Let a divergence be the ValueError that scikit-learn raises."""
    try:
        yield
    except DivergenceError as error:
        raise ValueError(f"{NOT_FINITE} In detail: {error}") from error
