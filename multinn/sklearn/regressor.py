"""The regressor."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from backends import Backend, HostArray, get_backend
from multinn import functional
from multinn.losses import Loss
from multinn.sklearn.base import BaseMLP, has_epochs
from multinn.sklearn.losses import REGRESSION_LOSSES
from multinn.sklearn.parameters import CONSTRAINTS

_PREDICTIONS: dict[str, Callable[[Backend, HostArray], HostArray]] = {
    "identity": lambda numpy, outputs: outputs,
    "exp": lambda numpy, outputs: numpy.xp.exp(outputs),
    "logistic": functional.sigmoid,
    "softmax": functional.softmax,
}


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron for one or several numbers.

    Parameters and attributes are those of scikit-learn's class of the same name, with its defaults and
    its first parameters for the same ``random_state``, and those below. The loss is the sum over the
    outputs of an example, and the mean over the examples, with alpha / (2 n) Σ W² for n examples.

    Attributes:
        loss: "squared_error", half of it; "poisson", whose outputs are logarithms of the predictions;
            "absolute_error"; "huber"; or a loss, whose ``output_activation`` makes predictions of the
            outputs: of BinaryCrossEntropy, on proportions, σ.
        activation: a name, a layer, or one of these for each hidden layer.
        dropout: the rate after each hidden layer, or one for each of them.
        batch_norm: whether each hidden layer is normalized over the batch, before its activation.
        layer_norm: whether each hidden layer is normalized over its units, before its activation.
        callbacks: a callback, such as `multinn.EarlyStopping`, or a function that is called with the
            estimator after each epoch, and ends the fit if it returns True; or a list of these. Records
            have ``validation_loss`` and, with ``early_stopping``, ``validation_score``.
        backend: as in `backends.get_backend`.
        trainer_: the trainer, with the model and its state.
        network_: the trained network for use elsewhere: a model of plain layers, its parameters, and the
            state of its layers.
        converged_: whether the last fit ended as nothing improved any more.
        validation_loss_curve_: the loss on the validation data after each epoch that had them, or None.

    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> MLPRegressor(random_state=1, solver="lbfgs", tol=0.1).fit(X, y).score(X, y) > 0.99
    True
    """

    _parameter_constraints = CONSTRAINTS | {"loss": [str, Loss]}
    _y_numeric = True
    _reference = neural_network.MLPRegressor
    _out_activations = tuple(_PREDICTIONS)

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        batch_norm: bool = False,
        layer_norm: bool = False,
        callbacks: Any = None,
        backend: Any = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.layer_norm = layer_norm
        self.callbacks = callbacks
        self.backend = backend

    @available_if(has_epochs)  # type: ignore[untyped-decorator]
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: tuple[Any, ...] | None = None,
    ) -> Any:
        """Train for one epoch more.

        With ``early_stopping``, the validation data, or a part of these examples, are scored. When the
        score improves no more, the best parameters come back, ``converged_`` is True, and further calls
        do nothing.

        What is compiled is for one number of examples: the first call with another takes some 20 ms more
        with NumPy, and about a second with JAX.

        Args:
            X: (examples, features), dense or sparse.
            y: the numbers.
            sample_weight: (examples,) numbers of 0 or more, or None.
            validation_data: as in `fit`.

        Returns:
            The estimator itself.

        Raises:
            AttributeError: the solver is lbfgs.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    def _loss(self) -> tuple[Loss, str]:
        loss: Any = self.loss
        if isinstance(loss, str):
            if loss not in REGRESSION_LOSSES:
                known = ", ".join(REGRESSION_LOSSES)
                raise ValueError(f"loss: expected one of {known}, or a loss, got {loss!r}")
            loss = REGRESSION_LOSSES[loss]
        if loss.output_activation not in _PREDICTIONS:
            raise ValueError(
                f"loss: expected an output_activation of {', '.join(_PREDICTIONS)}, got {loss!r} "
                f"with {loss.output_activation!r}"
            )
        return loss, loss.output_activation

    def _check_y(self, y: HostArray, *, first: bool, incremental: bool) -> HostArray:
        if hasattr(y, "toarray"):
            raise TypeError(
                f"y: expected a dense array, got a sparse {type(y).__name__}: use y.toarray()"
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        outputs = self._count_outputs(y)
        if not first and outputs != self.n_outputs_:
            raise ValueError(f"y: expected {self.n_outputs_} outputs, as before, got {outputs}")
        return y

    def _targets(self, y: HostArray) -> HostArray:
        return y.reshape(len(y), -1)

    def _count_outputs(self, y: HostArray) -> int:
        return 1 if y.ndim == 1 else int(y.shape[1])

    def _take_targets(self, estimator: Any) -> None:
        """There is nothing to know but the number of outputs."""

    def _describe_targets(self) -> dict[str, Any]:
        return {}

    def _restore_targets(self, description: Any) -> None:
        """There is nothing to know but the number of outputs."""

    def _class_weights(self, y: HostArray, *, incremental: bool) -> HostArray | None:
        return None

    def _decide(self, outputs: HostArray) -> HostArray:
        predictions = np.asarray(_PREDICTIONS[self.out_activation_](get_backend("numpy:eager"), outputs))
        return predictions[:, 0] if self.n_outputs_ == 1 else predictions

    def _score_of(self, y: HostArray, outputs: HostArray, weights: HostArray | None) -> float:
        return float(r2_score(y, self._decide(outputs), sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
