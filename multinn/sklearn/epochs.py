"""The stochastic solvers: training in epochs until there is no more improvement."""

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from multinn.callbacks import Callback
from multinn.errors import DivergenceError
from multinn.host.progress import write_line
from multinn.sklearn.callbacks import as_callbacks
from multinn.sklearn.parameters import SOLVERS
from multinn.sklearn.saving import save
from multinn.sklearn.stopping import HeldOut, Improvement
from multinn.training.base import BaseTrainer
from multinn.training.history import Record
from multinn.training.program import Examples
from multinn.training.run import Run

NOT_FINITE: Final = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to "
    "be preprocessed."
)

_EPOCHS_PER_CALL: Final = 8  # in one compiled call, if only the last of them can end the fit

# The attributes of an estimator that only a stochastic solver sets.
_ATTRIBUTES: Final = (
    "_stopped_early",
    "_improvement",
    "_best_state",
    "loss_curve_",
    "best_loss_",
    "validation_loss_curve_",
    "validation_scores_",
    "best_validation_score_",
)


def reset_curves(estimator: Any) -> None:
    """Reset the attributes that record epochs; for a solver without epochs, delete them."""
    for name in _ATTRIBUTES:
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
    """Train until there is no more improvement, but for at most ``max_iter`` epochs.

    Args:
        estimator: an estimator with a trainer.
        examples: the training examples.
        held_out: the validation examples, or None.
        incremental: whether to train for one epoch only, as `partial_fit` does.

    Raises:
        ValueError: the run diverged. The trainer holds the last finite parameters, or with
            ``early_stopping`` the best ones.
    """
    trainer = estimator.trainer_
    epochs = 1 if incremental else int(estimator.max_iter)
    callbacks = as_callbacks(estimator)
    every_epoch = bool(held_out is not None or callbacks or _has_inverse_scaling(estimator))
    rules = EpochRules(estimator, len(examples.x), held_out, incremental)
    run = Run(
        trainer=trainer,
        epochs=epochs,
        callbacks=[rules, *callbacks],
        show=bool(estimator.verbose),
        examples=trainer.place(examples),
        batch_size=_batch_size(estimator, len(examples.x)),
        shuffle=estimator.shuffle,
        stretches=_stretches(estimator, epochs, every_epoch),
    )
    saving, precision = partial(save, estimator), trainer.backend.precision(trainer.dtype)
    try:
        with trainer.replace_save(saving), precision, run.running() as advance:
            run.train(advance)
    except DivergenceError as error:
        raise ValueError(f"{NOT_FINITE} In detail: {error}") from error
    if estimator.verbose and estimator.converged_:
        name = "validation score" if estimator.early_stopping else "training loss"
        write_line(
            f"Stopped: in {estimator.n_iter_no_change} epochs the {name} has not improved by more "
            f"than tol={estimator.tol}."
        )
    if run.history.interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    elif not (run.history.stopped or incremental):
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=4,
        )


def _has_inverse_scaling(estimator: Any) -> bool:
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


def _stretches(estimator: Any, epochs: int, every_epoch: bool) -> Iterator[int]:
    """Yield the number of epochs until the next report; only the last of them can end the fit.

    Args:
        estimator: an estimator, whose attributes are up to date after each report.
        epochs: the number of epochs in all.
        every_epoch: whether each epoch needs a report.
    """
    while (left := epochs - estimator.n_iter_) > 0:
        safe = 1 if every_epoch else estimator._improvement.epochs_to_exceed(estimator.n_iter_no_change)
        wanted = left if safe == np.inf else min(left, _EPOCHS_PER_CALL)
        yield wanted if safe >= wanted else 1  # few different lengths: each is compiled


class EpochRules(Callback):
    """scikit-learn's rules at the end of an epoch: curves, learning rates and early stopping."""

    def __init__(
        self, estimator: Any, examples: int, held_out: HeldOut | None, incremental: bool
    ) -> None:
        self._estimator = estimator
        self._examples = examples
        self._held_out = held_out
        self._incremental = incremental
        self._recorded = 0  # the number of recorded losses in the trainer's history

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Start to count the epochs of this fit."""
        self._recorded = len(trainer.history.losses)
        self._estimator.n_iter_ = 0
        self._estimator.converged_ = False

    def on_report(self, trainer: BaseTrainer, record: Record) -> bool:
        """Record the epochs since the last report, and return whether to stop."""
        self._record_losses(trainer)
        if self._held_out is not None:
            self._validate(self._held_out, record)
        return self._lower_rate_or_stop()

    def on_fit_error(self, trainer: BaseTrainer) -> None:
        """Record the whole epochs before an error such as a divergence; restore as after a fit."""
        self.on_fit_end(trainer)

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Record the epochs before an interrupt, and restore the best parameters.

        `partial_fit` restores them only in the call that stops early.
        """
        self._record_losses(trainer)
        estimator, incremental = self._estimator, self._incremental
        estimator._stopped_early = bool(
            incremental and estimator.early_stopping and estimator.converged_
        )
        if estimator._best_state is not None and (estimator._stopped_early or not incremental):
            estimator.trainer_.restore(estimator._best_state)

    def _record_losses(self, trainer: BaseTrainer) -> None:
        estimator = self._estimator
        for loss in trainer.history.losses[self._recorded :]:
            self._recorded += 1
            estimator.n_iter_ += 1
            estimator.t_ += self._examples
            estimator.loss_ = loss
            estimator.loss_curve_.append(loss)
            if not estimator.early_stopping:
                estimator._improvement.update(-loss, estimator.tol)
                estimator.best_loss_ = -estimator._improvement.best

    def _validate(self, held_out: HeldOut, record: Record) -> None:
        """Record the loss and the score on the validation data."""
        estimator, outputs = self._estimator, held_out.outputs()
        record["validation_loss"] = held_out.loss(outputs)
        if estimator.validation_loss_curve_ is None:
            estimator.validation_loss_curve_ = []
        estimator.validation_loss_curve_.append(record["validation_loss"])
        if not estimator.early_stopping:
            return
        score = held_out.score(outputs)
        estimator.validation_scores_.append(score)
        record["validation_score"] = score
        if estimator._improvement.update(score, estimator.tol):
            estimator.best_validation_score_ = score
            estimator._best_state = estimator.trainer_.snapshot()

    def _lower_rate_or_stop(self) -> bool:
        """Lower the learning rate as scikit-learn does, and return whether to stop."""
        estimator, trainer = self._estimator, self._estimator.trainer_
        if _has_inverse_scaling(estimator):
            trainer.rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
        if estimator._improvement.count <= estimator.n_iter_no_change:
            return False
        estimator._improvement.count = 0
        adaptive = estimator.solver == "sgd" and estimator.learning_rate == "adaptive"
        if adaptive and trainer.rate > 1e-6:
            trainer.rate /= 5.0
            return False
        estimator.converged_ = True
        return True
