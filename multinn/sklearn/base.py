"""What the classifier and the regressor have in common."""

import warnings
from abc import abstractmethod
from copy import deepcopy
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from multinn.errors import DivergenceError
from multinn.losses import Loss
from multinn.progress import progress
from multinn.sklearn import lbfgs
from multinn.sklearn.coefficients import Coefficients
from multinn.sklearn.network import build, draw
from multinn.sklearn.parameters import CONSTRAINTS, SOLVERS, callback_list, hidden_sizes
from multinn.sklearn.solver import PenalizedTrainer, make_optimizer
from multinn.sklearn.stopping import EPOCHS_A_CALL, Improvement
from multinn.training import Examples, TrainingState

HostArray = np.ndarray[Any, np.dtype[Any]]

_DENSE_ROWS = 4096  # rows of sparse inputs that are dense at a time, to predict


class Data(NamedTuple):
    """Examples on the host, as they came but checked: inputs, labels or numbers, weights or None."""

    x: HostArray
    y: HostArray
    weights: HostArray | None = None


class BaseMLP(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron with the interface of scikit-learn.

    A subclass says what is the loss, and what targets and outputs mean.
    """

    _parameter_constraints = CONSTRAINTS
    _y_numeric: ClassVar[bool]
    trainer_: PenalizedTrainer

    @abstractmethod
    def _loss(self) -> Loss:
        """Return the loss, and set ``out_activation_``."""

    @abstractmethod
    def _check_y(self, y: HostArray, *, first: bool, incremental: bool) -> HostArray:
        """Return targets in the form in which they are split and scored, and learn what there is."""

    @abstractmethod
    def _targets(self, y: HostArray) -> HostArray:
        """Return targets as the loss wants them, from checked ones."""

    @abstractmethod
    def _count_outputs(self, y: HostArray) -> int:
        """Return the number of outputs."""

    @abstractmethod
    def _decide(self, outputs: HostArray) -> HostArray:
        """Return predictions, from what the model puts out."""

    @abstractmethod
    def _score_of(self, y: HostArray, outputs: HostArray, weights: HostArray | None) -> float:
        """Return the score of outputs: the larger, the better."""

    @abstractmethod
    def _class_weights(self, y: HostArray, *, incremental: bool) -> HostArray | None:
        """Return a weight of each example from its class, or None."""

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: tuple[Any, Any] | None = None,
    ) -> Any:
        """Fit the model. With ``warm_start``, go on where the last fit ended.

        Args:
            X: (examples, features), dense or sparse. Sparse inputs are made dense, in whole, to fit.
            y: the targets.
            sample_weight: (examples,) numbers of 0 or more, or None.
            validation_data: inputs and targets that are evaluated after each epoch:
                ``validation_loss_curve_`` has the loss on them. With ``early_stopping``, they take the
                place of a part of the training data.

        Returns:
            The estimator itself.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=False)

    def _partial_fit(
        self, X: Any, y: Any, sample_weight: Any, validation_data: tuple[Any, Any] | None
    ) -> Any:
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    @property
    def coefs_(self) -> Coefficients:
        """The weights of each dense layer, (inputs, units): replace one, or all, to set them."""
        return self._coefficients("W")

    @coefs_.setter
    def coefs_(self, arrays: Any) -> None:
        self._trainer().set_dense_parameters("W", arrays)

    @property
    def intercepts_(self) -> Coefficients:
        """The biases of each dense layer, (units,): replace one, or all, to set them."""
        return self._coefficients("b")

    @intercepts_.setter
    def intercepts_(self, arrays: Any) -> None:
        self._trainer().set_dense_parameters("b", arrays)

    def _coefficients(self, name: str) -> Coefficients:
        trainer = self._trainer()
        return Coefficients(
            trainer.dense_parameters(name), lambda arrays: trainer.set_dense_parameters(name, arrays)
        )

    def _trainer(self) -> PenalizedTrainer:
        trainer: PenalizedTrainer | None = self.__dict__.get("trainer_")
        if trainer is None:
            raise AttributeError(f"this {type(self).__name__} is not fitted yet: call fit first")
        return trainer

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: tuple[Any, Any] | None,
        *,
        incremental: bool,
    ) -> Any:
        self._validate_params()
        hidden = hidden_sizes(self.hidden_layer_sizes)
        first = not hasattr(self, "trainer_") or not (self.warm_start or incremental)
        data = self._check_data(X, y, sample_weight, first=first, incremental=incremental)
        held_out = None if validation_data is None else self._check_validation(validation_data)
        self._start(data, hidden, first=first)
        if self.solver == "lbfgs":
            self._fit_lbfgs(data)
        elif not (incremental and self._stopped_early):
            if self.early_stopping and held_out is None:
                data, held_out = self._split(data)
            self._fit_stochastic(data, held_out, incremental=incremental)
        if not all(np.isfinite(array).all() for array in self.coefs_ + self.intercepts_):
            raise ValueError(_NOT_FINITE)
        return self

    def _check_data(self, X: Any, y: Any, sample_weight: Any, *, first: bool, incremental: bool) -> Data:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=self._y_numeric,
            dtype=(np.float64, np.float32),
            reset=first,
        )
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        y = self._check_y(y, first=first, incremental=incremental)
        by_class = self._class_weights(y, incremental=incremental)
        if by_class is not None:
            sample_weight = by_class if sample_weight is None else by_class * sample_weight
        return Data(_dense(X), y, sample_weight)

    def _check_validation(self, validation_data: Any) -> Data:
        if not (isinstance(validation_data, tuple | list) and len(validation_data) == 2):
            raise ValueError("validation_data: expected a pair (X, y)")
        X, y = validate_data(
            self,
            *validation_data,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=self._y_numeric,
            dtype=(np.float64, np.float32),
            reset=False,
        )
        return Data(_dense(X), self._check_y(y, first=False, incremental=True))

    def _start(self, data: Data, hidden: list[int], *, first: bool) -> None:
        """Prepare a trainer: a new one, or one that goes on where the last ended."""
        loss = self._loss()
        outputs = self._count_outputs(data.y)
        model = build(
            hidden,
            outputs,
            self.activation,
            self.dropout,
            batch_norm=self.batch_norm,
            layer_norm=self.layer_norm,
        )
        dtype = str(data.x.dtype) if first else self.trainer_.dtype
        trainer = PenalizedTrainer(model, loss, make_optimizer(self), self.backend, dtype)
        if not first:
            self._go_on(trainer)
            # lbfgs has no curves, and those of early stopping are others.
            if self.__dict__.get("_early_stopping_before") != self.early_stopping:
                self._start_curves()
            return
        random_state = check_random_state(self.random_state)
        params = draw(model, data.x.shape[1], self.activation, random_state)
        self._split_random_state = deepcopy(random_state)
        trainer.initialize((data.x.shape[1],), params, int(random_state.randint(2**31 - 1)))
        self.trainer_ = trainer
        self.n_outputs_ = outputs
        self.n_layers_ = len(hidden) + 2
        self.n_iter_ = self.t_ = 0
        self.converged_ = False
        self._start_curves()

    def _start_curves(self) -> None:
        """Begin with what is recorded of each epoch."""
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

    def _go_on(self, trainer: PenalizedTrainer) -> None:
        """Let the trainer go on where the present one is, unless that can do it itself."""
        old, new = self.trainer_.program, trainer.program
        if (new.model, new.loss, new.optimizer, new.backend) == (
            old.model,
            old.loss,
            old.optimizer,
            old.backend,
        ):
            return
        try:
            trainer.take_over(self.trainer_)
        except ValueError as error:
            raise ValueError(
                "warm_start and partial_fit go on with the same layers: hidden_layer_sizes or another "
                f"parameter of the model has changed since the last fit: {error}"
            ) from error
        if self.solver == "sgd" and new.optimizer != old.optimizer:
            trainer.rate = self.learning_rate_init
        self.trainer_ = trainer

    def _split(self, data: Data) -> tuple[Data, Data]:
        """Return the part to train on and the part to validate on: the same of the same data, always."""
        parts = train_test_split(
            *(each for each in data if each is not None),
            random_state=deepcopy(self._split_random_state),
            test_size=self.validation_fraction,
            stratify=self._stratify(data.y),
        )
        train, held_out = Data(*parts[::2]), Data(*parts[1::2])
        if len(held_out.x) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your "
                "dataset."
            )
        return train, held_out

    def _stratify(self, y: HostArray) -> HostArray | None:
        return None

    def _strength(self, data: Data) -> float:
        """Return a of the penalty a / (2 n) Σ W², where alpha is in relation to the sum of weights."""
        mean = 1.0 if data.weights is None else float(np.mean(data.weights)) or 1.0
        return float(self.alpha) / mean

    def _fit_lbfgs(self, data: Data) -> None:
        if self.batch_norm or np.any(self.dropout):
            raise ValueError(
                "solver='lbfgs' minimizes one function of all examples, which dropout and batch_norm do "
                "not have: use solver='adam' or 'sgd', or layer_norm"
            )
        trainer = self.trainer_
        examples = Examples(data.x.astype(trainer.dtype, copy=False), *self._prepared(data))
        self.n_iter_, self.loss_ = lbfgs.minimize_loss(
            trainer,
            examples,
            self._strength(data),
            max_iter=int(self.max_iter),
            max_fun=int(self.max_fun),
            tol=float(self.tol),
            verbose=bool(self.verbose),
        )

    def _prepared(self, data: Data) -> tuple[HostArray, HostArray | None]:
        """Return targets and weights as the loss wants them, on the host."""
        trainer = self.trainer_
        targets = self._targets(data.y)
        outputs = (self.n_outputs_,)
        prepared = trainer.program.loss.prepare_targets(targets, outputs, trainer.dtype)
        if data.weights is None:
            return prepared, None
        return prepared, (data.weights / np.mean(data.weights)).astype(trainer.dtype)

    def _fit_stochastic(self, data: Data, held_out: Data | None, *, incremental: bool) -> None:
        trainer = self.trainer_
        trainer.set_strength(self._strength(data))
        epochs = 1 if incremental else int(self.max_iter)
        callbacks = callback_list(self.callbacks)
        each_epoch = held_out is not None or callbacks or self._rate_falls
        targets = self._targets(data.y)
        batch_size = self._batch_size(len(data.x))
        self.n_iter_ = 0
        self.converged_ = False
        stopped = False
        with progress(epochs, "epoch", bool(self.verbose) and not incremental) as advance:
            while self.n_iter_ < epochs and not stopped:
                count = 1 if each_epoch else self._next_call(epochs - self.n_iter_)
                losses = self._train(data, targets, batch_size, count)
                for loss in losses:
                    self._see_loss(loss, len(data.x))
                if losses and held_out is not None:
                    self._validate(held_out)
                advance(len(losses), {"loss": self.loss_} if losses else {})
                self._after_epoch()
                stopped = len(losses) < count or self._has_to_stop()
                for callback in callbacks:
                    stopped |= callback(self) is True
        if self.n_iter_ == epochs and not stopped and not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )
        self._stopped_early = bool(incremental and self.early_stopping and self.converged_)
        if self._best_state is not None and (self._stopped_early or not incremental):
            trainer.restore(self._best_state)

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

    def _train(self, data: Data, targets: HostArray, batch_size: int, epochs: int) -> list[float]:
        """Train for some epochs, and return their losses: fewer after an interrupt."""
        trainer = self.trainer_
        before = len(trainer.history.losses)
        try:
            trainer.fit(
                data.x,
                targets,
                epochs=epochs,
                batch_size=batch_size,
                weights=data.weights,
                shuffle=self.shuffle,
                progress=False,
            )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        except DivergenceError as error:
            raise ValueError(f"{_NOT_FINITE} {error}") from error
        return trainer.history.losses[before:]

    def _see_loss(self, loss: float, examples: int) -> None:
        """Take notice of the training loss of one epoch."""
        self.n_iter_ += 1
        self.t_ += examples
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if not self.early_stopping:
            self._improvement.see(-loss, self.tol, strict=False)
            self.best_loss_ = -self._improvement.best

    def _validate(self, held_out: Data) -> None:
        """Take notice of the loss and the score on the validation data."""
        trainer = self.trainer_
        figures = trainer.evaluate(held_out.x, self._targets(held_out.y), weights=held_out.weights)
        if self.validation_loss_curve_ is None:
            self.validation_loss_curve_ = []
        self.validation_loss_curve_.append(figures["loss"])
        if not self.early_stopping:
            return
        outputs = trainer.predict(held_out.x)
        score = float(self._score_of(held_out.y, outputs, held_out.weights))
        assert self.validation_scores_ is not None
        self.validation_scores_.append(score)
        if self._improvement.see(score, self.tol, strict=True):
            self.best_validation_score_ = score
            self._best_state = trainer.snapshot()

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

    def _outputs(self, X: Any) -> HostArray:
        """Return what the model puts out, (examples, outputs)."""
        check_is_fitted(self, "trainer_")
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        if not hasattr(X, "toarray"):
            return self.trainer_.predict(X)
        pieces = [
            self.trainer_.predict(X[start : start + _DENSE_ROWS].toarray())
            for start in range(0, X.shape[0], _DENSE_ROWS)
        ]
        return np.concatenate(pieces)

    def predict(self, X: Any) -> HostArray:
        """Return predictions.

        Args:
            X: (examples, features), dense or sparse. Sparse inputs are made dense in pieces.
        """
        return self._decide(self._outputs(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "trainer_")


_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to "
    "be preprocessed."
)


def has_epochs(estimator: BaseMLP) -> bool:
    """Return True, or raise AttributeError if the solver does not train in epochs."""
    if estimator.solver not in SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


def _dense(X: Any) -> HostArray:
    array: HostArray = X.toarray() if hasattr(X, "toarray") else X
    return array
