"""The stochastic solvers: training in epochs, until nothing improves any more."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from multinn.callbacks import Callback
from multinn.errors import DivergenceError
from multinn.host.progress import write_line
from multinn.sklearn.callbacks import callbacks_of
from multinn.sklearn.parameters import SOLVERS
from multinn.sklearn.saving import save
from multinn.sklearn.stopping import EPOCHS_A_CALL, HeldOut, Improvement
from multinn.training.base import BaseTrainer
from multinn.training.history import Record
from multinn.training.plan import Examples

NOT_FINITE: Final = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to "
    "be preprocessed."
)

# The attributes of an estimator that a stochastic solver sets.
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


def start_curves(estimator: Any) -> None:
    """Set the attributes that record epochs to their first values; without epochs, delete them."""
    for name in _OF_EPOCHS:
        estimator.__dict__.pop(name, None)
    if estimator.solver in SOLVERS:
        early = estimator.early_stopping
        estimator._stopped_early = False
        estimator._improvement = Improvement()
        estimator._best_state = None
        estimator.loss_curve_ = []
        estimator.best_loss_ = None if early else np.inf
        estimator.validation_loss_curve_ = None
        estimator.validation_scores_ = [] if early else None
        estimator.best_validation_score_ = -np.inf if early else None


def fit_stochastic(
    estimator: Any, examples: Examples, held_out: HeldOut | None, *, incremental: bool
) -> None:
    """Train until nothing improves any more, or for ``max_iter`` epochs.

    Args:
        estimator: with a trainer.
        examples: to learn from.
        held_out: to validate on, or None.
        incremental: whether to train for one epoch, as `partial_fit` does.

    Raises:
        ValueError: the run diverged.
    """
    trainer = estimator.trainer_
    epochs = 1 if incremental else int(estimator.max_iter)
    given = callbacks_of(estimator)
    each_epoch = bool(held_out is not None or given or _rate_falls(estimator))
    rules = EpochRules(estimator, len(examples.x), held_out, incremental)
    with trainer.saving(partial(save, estimator)), _divergence_as_value_error():
        history = trainer.train(
            trainer.place(examples),
            _stretches(estimator, epochs, each_epoch),
            epochs=epochs,
            batch_size=_batch_size(estimator, len(examples.x)),
            shuffle=estimator.shuffle,
            progress=bool(estimator.verbose),
            callbacks=[rules, *given],
        )
    if estimator.verbose and estimator.converged_:
        name = "validation score" if estimator.early_stopping else "training loss"
        write_line(
            f"Stopped: in {estimator.n_iter_no_change} epochs the {name} has not improved by more "
            f"than tol={estimator.tol}."
        )
    if history.interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    elif not (history.stopped or incremental):
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=4,
        )


def _rate_falls(estimator: Any) -> bool:
    """Return whether the learning rate changes after each epoch."""
    return bool(estimator.solver == "sgd" and estimator.learning_rate == "invscaling")


def _batch_size(estimator: Any, examples: int) -> int:
    if estimator.batch_size == "auto":
        return min(200, examples)
    if estimator.batch_size > examples:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=5,
        )
    return min(int(estimator.batch_size), examples)


def _stretches(estimator: Any, epochs: int, each_epoch: bool) -> Iterator[int]:
    """Yield the number of epochs to train for next: only the last of them can end the fit."""
    while (left := epochs - estimator.n_iter_) > 0:
        quiet = 1 if each_epoch else estimator._improvement.quiet_epochs(estimator.n_iter_no_change)
        most = left if quiet == np.inf else min(left, EPOCHS_A_CALL)
        yield most if quiet >= most else 1


class EpochRules(Callback):
    """scikit-learn's rules at the end of an epoch: curves, learning rates, early stopping.

    They come before the callbacks of the user.
    """

    def __init__(
        self, estimator: Any, examples: int, held_out: HeldOut | None, incremental: bool
    ) -> None:
        self._estimator = estimator
        self._examples = examples
        self._held_out = held_out
        self._incremental = incremental
        self._seen = 0

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Start to count the epochs of this fit."""
        self._seen = len(trainer.history.losses)
        self._estimator.n_iter_ = 0
        self._estimator.converged_ = False

    def on_report(self, trainer: BaseTrainer, record: Record) -> bool:
        """Record the epochs since the last report, and return whether to stop."""
        self._record_losses(trainer)
        if self._held_out is not None:
            self._validate(self._held_out, record)
        return self._stops()

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Record the epochs before an interrupt, and restore the best parameters.

        With `partial_fit`, they are restored in the call that stops early.
        """
        self._record_losses(trainer)
        own, incremental = self._estimator, self._incremental
        own._stopped_early = bool(incremental and own.early_stopping and own.converged_)
        if own._best_state is not None and (own._stopped_early or not incremental):
            own.trainer_.restore(own._best_state)

    def _record_losses(self, trainer: BaseTrainer) -> None:
        own = self._estimator
        for loss in trainer.history.losses[self._seen :]:
            self._seen += 1
            own.n_iter_ += 1
            own.t_ += self._examples
            own.loss_ = loss
            own.loss_curve_.append(loss)
            if not own.early_stopping:
                own._improvement.see(-loss, own.tol)
                own.best_loss_ = -own._improvement.best

    def _validate(self, held_out: HeldOut, record: Record) -> None:
        """Record the loss and the score on the validation data."""
        own, outputs = self._estimator, held_out.outputs()
        record["validation_loss"] = held_out.loss(outputs)
        if own.validation_loss_curve_ is None:
            own.validation_loss_curve_ = []
        own.validation_loss_curve_.append(record["validation_loss"])
        if not own.early_stopping:
            return
        score = held_out.score(outputs)
        own.validation_scores_.append(score)
        record["validation_score"] = score
        if own._improvement.see(score, own.tol):
            own.best_validation_score_ = score
            own._best_state = own.trainer_.snapshot()

    def _stops(self) -> bool:
        """Lower the learning rate if that is due; return whether nothing improves any more."""
        own = self._estimator
        if _rate_falls(own):
            own.trainer_.rate = own.learning_rate_init / (own.t_ + 1) ** own.power_t
        if own._improvement.count <= own.n_iter_no_change:
            return False
        own._improvement.count = 0
        if own.solver == "sgd" and own.learning_rate == "adaptive" and own.trainer_.rate > 1e-6:
            own.trainer_.rate /= 5.0
            return False
        own.converged_ = True
        return True


@contextmanager
def _divergence_as_value_error() -> Iterator[None]:
    """Raise the ValueError of scikit-learn for a divergence."""
    try:
        yield
    except DivergenceError as error:
        raise ValueError(f"{NOT_FINITE} In detail: {error}") from error
