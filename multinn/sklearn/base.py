"""The base class of the classifier and the regressor."""

import math
import os
from abc import abstractmethod
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from backends import HostArray, tree
from multinn.host.checks import check_weights
from multinn.layers import Sequential
from multinn.losses import Loss
from multinn.sklearn import lbfgs
from multinn.sklearn.callbacks import check_estimator_callbacks
from multinn.sklearn.data import (
    Data,
    Validation,
    check_sample_weight,
    encoded_by_weights,
    given_validation,
    to_dense,
    unchanged_on_error,
    validate,
    validate_inputs,
)
from multinn.sklearn.epochs import NOT_FINITE, fit_stochastic, reset_curves
from multinn.sklearn.network import build, draw, table_layer
from multinn.sklearn.optimizers import make_optimizer
from multinn.sklearn.parameters import CONSTRAINTS, SOLVERS, hidden_sizes
from multinn.sklearn.portable import PortableEstimator
from multinn.sklearn.stopping import HeldOut
from multinn.sklearn.tables import FIRST, embedding_sizes
from multinn.sklearn.trainer import Coefficients, PenalizedTrainer
from multinn.training.program import Examples

# Advice for outputs that are NaN or infinite.
OVERFLOWS = "the numbers in X there are too large for the network: scale X as in training"
_DENSE_ROWS = 4096  # of a sparse X, which predict converts in chunks


def has_epochs(estimator: Any) -> bool:
    """Return True, or raise AttributeError if the solver does not train in epochs."""
    if estimator.solver not in SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


class BaseMLP(PortableEstimator):
    """A multilayer perceptron with the interface of scikit-learn.

    A subclass defines the loss and the meaning of targets and outputs.
    """

    _parameter_constraints = CONSTRAINTS
    _y_numeric: ClassVar[bool]
    # Estimators that were pickled before these parameters existed lack them.
    categorical_features: Any = None
    embedding_size: Any = None
    _doc_link_module = "multinn"
    _doc_link_template = "{address}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        """Return the address of the link in scikit-learn's diagram; "" if MULTINN_DOCS is not set."""
        site = os.environ.get("MULTINN_DOCS")  # the address of our documentation
        page = f"/reference/sklearn.html#multinn.sklearn.{type(self).__name__}"
        return {"address": site.rstrip("/") + page if site else ""}

    def _set_parameters(self, arguments: dict[str, Any]) -> None:
        """Set each argument of the constructor as an attribute, as scikit-learn expects."""
        for name, value in arguments.items():
            if name != "self":
                setattr(self, name, value)

    @abstractmethod
    def _loss(self) -> tuple[Loss, str]:
        """Return the loss, and the name of the activation that turns outputs into predictions."""

    @abstractmethod
    def _check_y(self, y: HostArray, *, new_model: bool, incremental: bool) -> HostArray:
        """Check targets, learn their classes, and return them in the form that `_score` takes."""

    @abstractmethod
    def _count_outputs(self, y: HostArray) -> int:
        """Return the number of outputs."""

    @abstractmethod
    def _targets(self, y: HostArray) -> HostArray:
        """Return checked targets in the form that the loss takes."""

    @abstractmethod
    def _predictions(self, outputs: HostArray) -> HostArray:
        """Return the predictions for these outputs of the model."""

    @abstractmethod
    def _score(self, y: HostArray, outputs: HostArray, weights: HostArray | None) -> float:
        """Return the score of outputs of the model; larger is better."""

    def _learn_classes(self, y: Any, classes: Any) -> None:
        """Learn the classes in the first call of `partial_fit`."""

    def _class_weights(self, y: HostArray, *, incremental: bool) -> HostArray | None:
        """Return the weight of each example's class, or None."""
        return None

    def _stratify(self, y: HostArray) -> HostArray | None:
        """Return the classes by which to stratify the held-out examples, or None."""
        return None

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: tuple[Any, ...] | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Fit the model. With ``warm_start``, continue where the last fit ended.

        Invalid input raises and leaves the estimator unchanged.

        Args:
            X: (examples, features), dense or sparse. A sparse X is converted to one dense array. With
                ``categorical_features``, an array or a table of numbers and categories.
            y: the targets.
            sample_weight: (examples,) numbers of 0 or more, or None.
            validation_data: (X, y) or (X, y, sample_weight), evaluated after each epoch.
                ``validation_loss_curve_`` records the loss on them. With ``early_stopping``, they are
                scored instead of a part of the training data. ``class_weight`` does not apply to them.
                In a pipeline, X must already be transformed by the other steps.
            X_val: the X of ``validation_data``. A pipeline with ``transform_input=["X_val"]`` transforms
                it like X, if metadata routing is enabled.
            y_val: the y of ``validation_data``.
            sample_weight_val: the sample_weight of ``validation_data``.

        Returns:
            The estimator itself.

        Raises:
            TypeError, ValueError: the data or a parameter are invalid.
            ValueError: the run diverged. The estimator holds the last finite parameters, or with
                ``early_stopping`` the best ones.
        """
        validation = given_validation(validation_data, X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=False)

    @available_if(has_epochs)  # type: ignore[untyped-decorator]
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: tuple[Any, ...] | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train for one more epoch.

        With ``early_stopping``, the validation data, or a part of these examples, are scored. Once the
        score stops improving, the best parameters are restored, ``converged_`` is True, and later calls
        do nothing.

        A program is compiled for each number of examples: the first call with a new number takes about
        20 ms longer with NumPy, and about a second with JAX.

        Args:
            X: (examples, features), as in `fit`.
            y: the targets.
            sample_weight: (examples,) numbers of 0 or more, or None.
            validation_data: as in `fit`.
            X_val: as in `fit`.
            y_val: as in `fit`.
            sample_weight_val: as in `fit`.

        Returns:
            The estimator itself.

        Raises:
            AttributeError: the solver is lbfgs.
            TypeError, ValueError: as in `fit`.
        """
        validation = given_validation(validation_data, X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True)

    @property
    def coefs_(self) -> Coefficients:
        """The weights of each dense layer, (inputs, units). Assign to an entry, or all, to set them."""
        return self._coefficients("W")

    @coefs_.setter
    def coefs_(self, arrays: Any) -> None:
        self._trainer().set_dense_parameters("W", arrays)

    @property
    def intercepts_(self) -> Coefficients:
        """The biases of each dense layer, (units,). Assign to an entry, or all, to set them."""
        return self._coefficients("b")

    @intercepts_.setter
    def intercepts_(self, arrays: Any) -> None:
        self._trainer().set_dense_parameters("b", arrays)

    @property
    def is_categorical_(self) -> HostArray | None:
        """Whether each feature is categorical, (features,) booleans; None if none is."""
        self._trainer()
        if self._categories is None:
            return None
        return np.isin(np.arange(self.n_features_in_), self._categories.columns)

    @property
    def categories_(self) -> list[HostArray]:
        """The categories of each categorical feature in ascending order, without the missing one."""
        self._trainer()
        return [] if self._categories is None else self._categories.values

    @property
    def embeddings_(self) -> list[HostArray]:
        """The embeddings of the `categories_`, (categories, length), of each categorical feature."""
        return [table[FIRST:] for table in self._trainer().embeddings]

    def _coefficients(self, name: str) -> Coefficients:
        trainer = self._trainer()
        set_all = partial(trainer.set_dense_parameters, name)
        return Coefficients(trainer.dense_parameters(name), set_all)

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
        validation: Validation | None,
        *,
        incremental: bool,
        classes: Any = None,
    ) -> Any:
        with unchanged_on_error(self):
            examples, held_out = self._prepare(X, y, sample_weight, validation, incremental, classes)
        if incremental and self._stopped_early:
            return self
        self.trainer_.count_categories(examples)
        if self.solver == "lbfgs":
            self._fit_lbfgs(examples)
        else:
            self.trainer_.set_strength(self._strength(examples))
            fit_stochastic(self, examples, held_out, incremental=incremental)
        if not all(np.isfinite(array).all() for array in self.coefs_ + self.intercepts_):
            raise ValueError(NOT_FINITE)
        return self

    def _prepare(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: Validation | None,
        incremental: bool,
        classes: Any,
    ) -> tuple[Examples, HeldOut | None]:
        """Check all input and prepare a trainer; return the training and the validation examples."""
        self._validate_params()
        check_estimator_callbacks(self, validation, incremental=incremental)
        hidden_sizes(self.hidden_layer_sizes)  # raises before the data are checked
        if self.solver == "lbfgs" and (self.batch_norm or np.any(self.dropout)):
            raise ValueError(
                "solver='lbfgs' minimizes one function of all examples, so it cannot use dropout or "
                "batch_norm: use solver='adam' or 'sgd', or layer_norm"
            )
        if self.solver == "lbfgs" and validation is not None:
            raise ValueError(
                f"{validation.name}: solver='lbfgs' has no epochs after which to evaluate them: use "
                "solver='adam' or 'sgd', or give no validation data"
            )
        if incremental:
            self._learn_classes(y, classes)
        new_model = not hasattr(self, "trainer_") or not (self.warm_start or incremental)
        data = self._check_data(X, y, sample_weight, new_model=new_model, incremental=incremental)
        self._prepare_trainer(data, new_model=new_model)
        trainer = self.trainer_
        examples = trainer.check(data.x, self._targets(data.y), data.weights)
        if validation is not None:
            data = self._check_validation(validation)
            name = f"{validation.name}: "
            held_out = trainer.check(data.x, self._targets(data.y), data.weights, name)
            return examples, HeldOut(trainer, held_out, data.y, self._score)
        if self.solver == "lbfgs" or not self.early_stopping:
            return examples, None
        rows, held_out_rows = self._split(examples, data.y)
        held_out = _take(examples, held_out_rows)
        return _take(examples, rows), HeldOut(trainer, held_out, data.y[held_out_rows], self._score)

    def _check_data(
        self, X: Any, y: Any, sample_weight: Any, *, new_model: bool, incremental: bool
    ) -> Data:
        table = X
        X, y = validate(self, X, y, reset=new_model)
        weights = check_sample_weight(sample_weight, X)
        y = self._check_y(y, new_model=new_model, incremental=incremental)
        class_weights = self._class_weights(y, incremental=incremental)
        if class_weights is not None:
            check_weights(class_weights, X.shape[0], "float64", name="class_weight")
            weights = class_weights if weights is None else class_weights * weights
        if new_model and self._categories is not None and weights is not None and not weights.all():
            X = encoded_by_weights(self, table, weights)
        return Data(to_dense(X), y, weights)

    def _check_validation(self, validation: Validation) -> Data:
        try:
            X, y = validate(self, validation.x, validation.y, reset=False)
            weights = check_sample_weight(validation.weights, X)
            if self.early_stopping and X.shape[0] < 2:
                raise ValueError(f"early_stopping needs at least 2 examples to score, got {X.shape[0]}")
            return Data(to_dense(X), self._check_y(y, new_model=False, incremental=True), weights)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{validation.name}: {error}") from error

    def _split(self, examples: Examples, labels: HostArray) -> tuple[HostArray, HostArray]:
        """Return the rows to train on and the rows to validate on; a warm start repeats the split."""
        count = len(examples.x)
        if self._count_held_out(count) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your "
                "dataset, or give validation_data."
            )
        train, held_out = train_test_split(
            np.arange(count),
            random_state=deepcopy(self._split_random_state),
            test_size=self.validation_fraction,
            stratify=self._stratify(labels),
        )
        for rows in (train, held_out):
            if examples.weights is not None and not examples.weights[rows].any():
                raise ValueError(
                    "sample_weight: expected weights above 0 in both the training and the validation "
                    "part, got only zeros in one of them: give more weights above 0, or validation_data"
                )
        return train, held_out

    def _count_held_out(self, examples: int) -> int:
        return math.ceil(float(self.validation_fraction) * examples)

    def _prepare_trainer(self, data: Data, *, new_model: bool) -> None:
        loss, self.out_activation_ = self._loss()  # the number of outputs depends on the activation
        outputs = self._count_outputs(data.y)
        if new_model:
            self._initialize(loss, outputs, str(data.x.dtype), check_random_state(self.random_state))
            return
        self._continue_with(self._new_trainer(loss, outputs, self.trainer_.dtype))
        # lbfgs has no curves, and early stopping has different ones.
        same_curves = (
            hasattr(self, "loss_curve_") and (self.validation_scores_ is not None) == self.early_stopping
        )
        if self.solver == "lbfgs" or not same_curves:
            reset_curves(self)

    def _model(self, outputs: int) -> Sequential:
        categories = self._categories
        first = []
        if categories is not None:
            names = list(getattr(self, "feature_names_in_", ()))
            sizes = embedding_sizes(self.embedding_size, categories, self.n_features_in_, names)
            ids = [FIRST + len(values) for values in categories.values]
            embedded = zip(categories.columns, ids, sizes, strict=True)
            numbers = [i for i in range(self.n_features_in_) if i not in categories.columns]
            first = [table_layer(numbers, embedded)]
        return build(
            hidden_sizes(self.hidden_layer_sizes),
            outputs,
            self.activation,
            self.dropout,
            batch_norm=self.batch_norm,
            layer_norm=self.layer_norm,
            first=first,
        )

    def _new_trainer(self, loss: Loss, outputs: int, dtype: str) -> PenalizedTrainer:
        return PenalizedTrainer(
            self._model(outputs), loss, make_optimizer(self), backend=self.backend, dtype=dtype
        )

    def _initialize(
        self, loss: Loss, outputs: int, dtype: str, random_state: np.random.RandomState
    ) -> None:
        """Start a new model for ``n_features_in_`` features, and reset the records of fits."""
        trainer: Any = self._new_trainer(loss, outputs, dtype)
        features = int(self.n_features_in_)
        params = draw(trainer.model, features, self.activation, random_state)
        self._split_random_state = deepcopy(random_state)
        trainer.initialize((features,), params, int(random_state.randint(2**31 - 1)))
        self.trainer_ = trainer
        self.n_outputs_ = outputs
        self.n_layers_ = len(trainer.dense_indices) + 1
        self.n_iter_ = self.t_ = 0
        self.converged_ = False
        self.__dict__.pop("loss_", None)  # of an earlier fit
        reset_curves(self)

    def _continue_with(self, trainer: PenalizedTrainer) -> None:
        """Replace the trainer, but keep its state, if parameters of the estimator have changed."""
        if trainer.program == self.trainer_.program:
            return
        try:
            trainer.continue_from(self.trainer_)
        except ValueError as error:
            raise ValueError(
                "warm_start and partial_fit need the same layers, but hidden_layer_sizes or another "
                f"parameter of the model has changed since the last fit: {error}"
            ) from error
        best = self.__dict__.get("_best_state")
        if best is not None:
            self._best_state = trainer.convert_state(best, self.trainer_)
        self.trainer_ = trainer

    def _strength(self, examples: Examples) -> float:
        """Return the strength a of the penalty a / (2 n) Σ W²: alpha divided by the mean weight."""
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
        trainer.reset_optimizer()  # a later fit with another solver starts anew

    def _outputs(self, X: Any) -> HostArray:
        """Return the outputs of the model, (examples, outputs)."""
        check_is_fitted(self, "trainer_")
        X = validate_inputs(self, X)
        if not hasattr(X, "toarray"):
            return self.trainer_.predict_checked(X)
        chunks = [
            self.trainer_.predict_checked(X[start : start + _DENSE_ROWS].toarray())
            for start in range(0, X.shape[0], _DENSE_ROWS)
        ]
        return np.concatenate(chunks)

    def predict(self, X: Any) -> HostArray:
        """Return predictions.

        Args:
            X: (examples, features), as in `fit`. A sparse X is converted in chunks.
        """
        return self._predictions(self._outputs(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = isinstance(self.categorical_features, str | None)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "trainer_")


def _take(examples: Examples, rows: HostArray) -> Examples:
    """Return the examples at these rows."""
    taken: Examples = tree.map(lambda leaf: leaf[rows], examples)
    return taken
