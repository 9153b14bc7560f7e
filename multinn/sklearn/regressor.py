"""The regressor."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d

from backends import Backend, HostArray, get_backend
from multinn import functional
from multinn.host.checks import check_finite
from multinn.losses import Loss
from multinn.sklearn.base import OVERFLOWS, BaseMLP
from multinn.sklearn.data import without_left_out
from multinn.sklearn.documentation import document
from multinn.sklearn.errors import locate_errors
from multinn.sklearn.losses import REGRESSION_LOSSES
from multinn.sklearn.parameters import CONSTRAINTS

_PREDICTIONS: dict[str, Callable[[Backend, HostArray], HostArray]] = {
    "identity": lambda numpy, outputs: outputs,
    "exp": lambda numpy, outputs: numpy.xp.exp(outputs),
    "logistic": functional.sigmoid,
    "softmax": functional.softmax,
}


@document(
    parameters={
        "loss": (
            f"{{{', '.join(map(repr, REGRESSION_LOSSES))}}} or loss",
            "'squared_error' is half the squared error. The outputs of 'poisson' are logarithms of the "
            "predictions. The ``output_activation`` of a loss turns the outputs into predictions: for "
            "``multinn.BinaryCrossEntropy()``, whose targets are proportions, the logistic function.",
        )
    },
    attributes={},
)
class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron that predicts one or several numbers.

    It has the parameters, defaults and attributes of scikit-learn's class of the same name, and the same
    initial parameters for the same ``random_state``. The loss is summed over the outputs of an example
    and averaged over the n examples; the penalty alpha / (2 n) Σ W² is added.

    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> MLPRegressor(random_state=1, solver="lbfgs", tol=0.1).fit(X, y).score(X, y) > 0.99
    True
    """

    _parameter_constraints = CONSTRAINTS | {"loss": [str, Loss]}
    _y_numeric = True
    _sklearn_class = neural_network.MLPRegressor
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
        categorical_features: Any = None,
        embedding_size: Any = None,
        callbacks: Any = None,
        backend: Any = None,
    ) -> None:
        self._set_parameters(locals())

    def _loss(self) -> tuple[Loss, str]:
        loss: Any = self.loss
        if isinstance(loss, str):
            if loss not in REGRESSION_LOSSES:
                known = ", ".join(REGRESSION_LOSSES)
                raise ValueError(f"loss: expected one of {known}, or a loss, got {loss!r}")
            loss = REGRESSION_LOSSES[loss]
        if loss.output_activation not in _PREDICTIONS:
            raise ValueError(
                f"loss: expected a loss whose output_activation is one of {', '.join(_PREDICTIONS)}, "
                f"got {loss!r} with {loss.output_activation!r}"
            )
        return loss, loss.output_activation

    def _check_y(self, y: HostArray, *, new_model: bool, incremental: bool) -> HostArray:
        if hasattr(y, "toarray"):
            raise TypeError(
                f"y: expected a dense array, got a sparse {type(y).__name__}: use y.toarray()"
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_finite(y, "y")
        outputs = self._count_outputs(y)
        if not new_model and outputs != self.n_outputs_:
            raise ValueError(f"y: expected {self.n_outputs_} outputs, as before, got {outputs}")
        return y

    def _targets(self, y: HostArray) -> HostArray:
        return y.reshape(len(y), -1)

    def _count_outputs(self, y: HostArray) -> int:
        return 1 if y.ndim == 1 else int(y.shape[1])

    def _predictions(self, outputs: HostArray) -> HostArray:
        predictions = np.asarray(_PREDICTIONS[self.out_activation_](get_backend("numpy:eager"), outputs))
        return predictions[:, 0] if self.n_outputs_ == 1 else predictions

    def _score(self, y: HostArray, outputs: HostArray, weights: HostArray | None) -> float:
        predictions = self._predictions(outputs)
        if not np.isfinite(predictions).all():  # exp(z) can overflow for a finite z
            return float("-inf")
        return float(r2_score(y, predictions, sample_weight=weights))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R² of the predictions for X.

        Args:
            X: (examples, features), as in `fit`.
            y: the targets.
            sample_weight: (examples,) numbers of 0 or more, or None. Examples of weight 0 are left out.

        Raises:
            ValueError: the data are invalid, or a prediction overflows.
        """
        X, y = without_left_out(self, X, y, sample_weight)
        predictions = self.predict(X)
        check_finite(predictions, "predictions", OVERFLOWS)
        with locate_errors({"y": y, "sample_weight": sample_weight}):
            return float(r2_score(y, predictions, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
