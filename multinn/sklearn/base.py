"""What the classifier and the regressor have in common."""

from abc import abstractmethod
from copy import deepcopy
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from backends import HostArray, tree
from multinn.layers import Sequential
from multinn.losses import Loss
from multinn.sklearn import lbfgs
from multinn.sklearn.callbacks import check_estimator_callbacks
from multinn.sklearn.coefficients import Coefficients
from multinn.sklearn.data import Data, errors_with_places, unchanged_on_error
from multinn.sklearn.epochs import NOT_FINITE
from multinn.sklearn.held_out import HeldOut
from multinn.sklearn.network import build, draw
from multinn.sklearn.optimizers import make_optimizer
from multinn.sklearn.parameters import CONSTRAINTS, SOLVERS, hidden_sizes
from multinn.sklearn.portable import PortableEstimator
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training.plan import Examples

_DENSE_ROWS = 4096  # rows of sparse inputs that are dense at a time, to predict


class BaseMLP(PortableEstimator):
    """A multilayer perceptron with the interface of scikit-learn.

    A subclass says what is the loss, and what targets and outputs mean.
    """

    _parameter_constraints = CONSTRAINTS

    @abstractmethod
    def _loss(self) -> tuple[Loss, str]:
        """Return the loss, and the activation that goes with it."""

    @abstractmethod
    def _count_outputs(self, y: HostArray) -> int:
        """Return the number of outputs."""

    @abstractmethod
    def _targets(self, y: HostArray) -> HostArray:
        """Return targets as the loss wants them, from checked ones."""

    def _learn_classes(self, y: Any, classes: Any) -> None:
        """In the first call of `partial_fit`, learn which classes there are."""

    @abstractmethod
    def _decide(self, outputs: HostArray) -> HostArray:
        """Return predictions, from what the model puts out."""

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: tuple[Any, ...] | None = None,
    ) -> Any:
        """Fit the model. With ``warm_start``, go on where the last fit ended.

        What is refused, such as NaN in X, leaves the estimator as it was.

        Args:
            X: (examples, features), dense or sparse. Sparse inputs are made dense, in whole, to fit.
            y: the targets.
            sample_weight: (examples,) numbers of 0 or more, or None.
            validation_data: (X, y) or (X, y, sample_weight), evaluated after each epoch:
                ``validation_loss_curve_`` has the loss on them. With ``early_stopping``, they take the
                place of a part of the training data. ``class_weight`` does not count here; and behind
                the other steps of a pipeline, X is what these have made of it.

        Returns:
            The estimator itself.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=False)

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
        validation_data: tuple[Any, ...] | None,
        *,
        incremental: bool,
        classes: Any = None,
    ) -> Any:
        with unchanged_on_error(self):
            examples, held_out = self._prepare(
                X, y, sample_weight, validation_data, incremental, classes
            )
        if self.solver == "lbfgs":
            self._fit_lbfgs(examples)
        elif not (incremental and self._stopped_early):
            self._fit_stochastic(examples, held_out, incremental=incremental)
        if not all(np.isfinite(array).all() for array in self.coefs_ + self.intercepts_):
            raise ValueError(NOT_FINITE)
        return self

    def _prepare(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: tuple[Any, ...] | None,
        incremental: bool,
        classes: Any,
    ) -> tuple[Examples, HeldOut | None]:
        """Do all that can be refused: check everything, and prepare a trainer; return the examples."""
        self._validate_params()
        check_estimator_callbacks(self, validation_data, incremental=incremental)
        hidden_sizes(self.hidden_layer_sizes)  # an error comes before what the data tell
        if self.solver == "lbfgs" and (self.batch_norm or np.any(self.dropout)):
            raise ValueError(
                "solver='lbfgs' minimizes one function of all examples, which dropout and batch_norm do "
                "not have: use solver='adam' or 'sgd', or layer_norm"
            )
        if self.solver == "lbfgs" and validation_data is not None:
            raise ValueError(
                "validation_data: solver='lbfgs' has no epochs after which they could be evaluated: use "
                "solver='adam' or 'sgd', or leave them out"
            )
        if incremental:
            self._learn_classes(y, classes)
        first = not hasattr(self, "trainer_") or not (self.warm_start or incremental)
        data = self._check_data(X, y, sample_weight, first=first, incremental=incremental)
        self._start(data, first=first)
        trainer = self.trainer_
        examples = trainer.check(data.x, self._targets(data.y), data.weights)
        if validation_data is not None:
            given = self._check_validation(validation_data)
            checked = trainer.check(given.x, self._targets(given.y), given.weights, "validation_data: ")
            return examples, HeldOut(trainer, checked, given.y)
        if self.solver == "lbfgs" or not self.early_stopping:
            return examples, None
        rows, held_out_rows = self._split(examples, data.y)
        held_out = HeldOut(trainer, _taken(examples, held_out_rows), data.y[held_out_rows])
        return _taken(examples, rows), held_out

    def _start(self, data: Data, *, first: bool) -> None:
        """Prepare a trainer: a new one, or one that goes on where the last ended."""
        loss, self.out_activation_ = self._loss()  # which tell how many outputs there are
        outputs = self._count_outputs(data.y)
        if first:
            self._begin(loss, outputs, str(data.x.dtype), check_random_state(self.random_state))
            return
        self._go_on(self._new_trainer(loss, outputs, self.trainer_.dtype))
        # lbfgs has no curves, and those of early stopping are others.
        same = (
            hasattr(self, "loss_curve_") and (self.validation_scores_ is not None) == self.early_stopping
        )
        if self.solver == "lbfgs" or not same:
            self._start_curves()

    def _model(self, outputs: int) -> Sequential:
        return build(
            hidden_sizes(self.hidden_layer_sizes),
            outputs,
            self.activation,
            self.dropout,
            batch_norm=self.batch_norm,
            layer_norm=self.layer_norm,
        )

    def _new_trainer(self, loss: Loss, outputs: int, dtype: str) -> PenalizedTrainer:
        return PenalizedTrainer(
            self._model(outputs), loss, make_optimizer(self), backend=self.backend, dtype=dtype
        )

    def _begin(self, loss: Loss, outputs: int, dtype: str, random_state: np.random.RandomState) -> None:
        """Begin with a new trainer, for inputs of the features that are known."""
        trainer: Any = self._new_trainer(loss, outputs, dtype)
        features = int(self.n_features_in_)
        params = draw(trainer.model, features, self.activation, random_state)
        self._split_random_state = deepcopy(random_state)
        trainer.initialize((features,), params, int(random_state.randint(2**31 - 1)))
        self.trainer_ = trainer
        self.n_outputs_ = outputs
        self.n_layers_ = len(trainer.places) + 1
        self.n_iter_ = self.t_ = 0
        self.converged_ = False
        self._start_curves()

    def _go_on(self, trainer: PenalizedTrainer) -> None:
        """Let the trainer go on where the present one is, unless that can do it itself."""
        if trainer.program == self.trainer_.program:
            return
        try:
            trainer.take_over(self.trainer_)
        except ValueError as error:
            raise ValueError(
                "warm_start and partial_fit go on with the same layers: hidden_layer_sizes or another "
                f"parameter of the model has changed since the last fit: {error}"
            ) from error
        best = self.__dict__.get("_best_state")
        if best is not None:
            self._best_state = trainer.adapted(best, self.trainer_)
        self.trainer_ = trainer

    def _strength(self, examples: Examples) -> float:
        """Return a of the penalty a / (2 n) Σ W², where alpha is in relation to the sum of weights."""
        weights = examples.weights
        mean = 1.0 if weights is None else float(np.mean(weights, dtype=np.float64))
        return float(self.alpha) / mean

    def _fit_lbfgs(self, examples: Examples) -> None:
        trainer = self.trainer_
        self.n_iter_, self.loss_, self.converged_ = lbfgs.minimize_loss(
            trainer,
            trainer.place(examples),
            self._strength(examples),
            max_iter=int(self.max_iter),
            max_fun=int(self.max_fun),
            tol=float(self.tol),
            verbose=bool(self.verbose),
        )
        trainer.reset_optimizer()  # another solver would not go on from here

    def _outputs(self, X: Any) -> HostArray:
        """Return what the model puts out, (examples, outputs)."""
        check_is_fitted(self, "trainer_")
        with errors_with_places(X=X):
            X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        if not hasattr(X, "toarray"):
            return self.trainer_.predict_checked(X)
        pieces = [
            self.trainer_.predict_checked(X[start : start + _DENSE_ROWS].toarray())
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


def _taken(examples: Examples, rows: HostArray) -> Examples:
    """Return the examples at these rows."""
    taken: Examples = tree.map(lambda leaf: leaf[rows], examples)
    return taken


def has_epochs(estimator: BaseMLP) -> bool:
    """Return True, or raise AttributeError if the solver does not train in epochs."""
    if estimator.solver not in SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True
