"""The classifier."""

from copy import deepcopy
from typing import Any, cast

import numpy as np
from scipy.sparse import csr_matrix
from sklearn import neural_network
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_class_weight, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from backends import HostArray, get_backend
from multinn import functional
from multinn.descriptions.labels import build_labels, describe_labels
from multinn.host.checks import check_number
from multinn.host.entries import first_place
from multinn.losses import Loss, SoftmaxCrossEntropy
from multinn.sklearn.base import OVERFLOWS, BaseMLP, has_epochs
from multinn.sklearn.data import given_validation, without_left_out
from multinn.sklearn.documentation import document
from multinn.sklearn.errors import locate_errors
from multinn.sklearn.losses import BINARY_LOG_LOSS, CLASS_LOSSES
from multinn.sklearn.parameters import CONSTRAINTS


@document(
    parameters={
        "loss": (
            "'log_loss' or loss",
            "A loss that takes classes, such as ``multinn.Focal()``, gives each class an output. A loss "
            "on logits whose ``output_activation`` is 'logistic', such as ``multinn.BinaryFocal()``, is "
            "for two classes or several labels.",
        ),
        "class_weight": (
            "'balanced', dict, list of dict, or None",
            "The weight of each class; for several labels, a dict for each label, whose weights are "
            "multiplied. As for sample_weight, only the sizes relative to the mean over the examples of "
            "a call matter, also in partial_fit.",
        ),
    },
    attributes={
        "classes_": ("array (classes,)", "The classes in ascending order; for labels, their indices.")
    },
)
class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron that predicts classes or several labels.

    It has the parameters, defaults and attributes of scikit-learn's class of the same name, and the same
    initial parameters for the same ``random_state``. The loss is summed over the outputs of an example
    and averaged over the n examples; the penalty alpha / (2 n) Σ W² is added.

    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(n_samples=100, random_state=1)
    >>> MLPClassifier(random_state=1, max_iter=300, tol=0.01).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints = CONSTRAINTS | {
        "loss": [str, Loss],
        "class_weight": [dict, list, tuple, StrOptions({"balanced"}), None],
    }
    _y_numeric = False
    _sklearn_class = neural_network.MLPClassifier
    _out_activations = ("softmax", "logistic")

    def __init__(
        self,
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
        loss: Any = "log_loss",
        class_weight: Any = None,
    ) -> None:
        self._set_parameters(locals())

    @available_if(has_epochs)  # type: ignore[untyped-decorator]
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        validation_data: tuple[Any, ...] | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train for one more epoch, as `MLPRegressor.partial_fit` does.

        Args:
            X: (examples, features), as in `fit`.
            y: the classes, or an indicator matrix of labels.
            sample_weight: (examples,) numbers of 0 or more, or None.
            classes: all classes that can occur; required in the first call.
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
        return self._fit(X, y, sample_weight, validation, incremental=True, classes=classes)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of the predictions for X; for several labels, all of them must be right.

        Args:
            X: (examples, features), as in `fit`.
            y: the classes, or an indicator matrix of labels.
            sample_weight: (examples,) numbers of 0 or more, or None. Examples of weight 0 are left out.

        Raises:
            ValueError: the data are invalid, or an output is NaN.
        """
        X, y = without_left_out(self, X, y, sample_weight)
        predictions = self.predict(X)
        with locate_errors({"sample_weight": sample_weight}, {"y": y}):
            return float(accuracy_score(y, predictions, sample_weight=sample_weight))

    def predict_proba(self, X: Any) -> HostArray:
        """Return the probability of each class, or of each label, (examples, classes), all above 0.

        An output that is NaN, because X overflows, gives a probability of NaN.

        Args:
            X: (examples, features), as in `fit`.
        """
        return self._probabilities(self._outputs(X))

    def predict_log_proba(self, X: Any) -> HostArray:
        """Return the logarithms of the probabilities, computed from the logits: none is -inf.

        Args:
            X: (examples, features), as in `fit`.
        """
        outputs = self._outputs(X)
        numpy = get_backend("numpy:eager")
        if self.out_activation_ == "softmax":
            return np.asarray(functional.log_softmax(numpy, outputs))
        log_p = np.asarray(functional.log_sigmoid(numpy, outputs))
        if self._kind == "multilabel":
            return log_p
        if self._kind == "single":
            return np.zeros_like(log_p)
        return np.hstack([functional.log_sigmoid(numpy, -outputs), log_p])

    def _loss(self) -> tuple[Loss, str]:
        loss: Any = self.loss
        multiclass = self._kind == "multiclass"
        if isinstance(loss, str):
            if loss != "log_loss":
                raise ValueError(f"loss: expected 'log_loss' or a loss, got {loss!r}")
            return (SoftmaxCrossEntropy(), "softmax") if multiclass else (BINARY_LOG_LOSS, "logistic")
        if isinstance(loss, CLASS_LOSSES):
            if self._kind == "multilabel":
                raise ValueError(
                    f"loss: expected a loss for several labels, got {loss!r}, which is for classes"
                )
            if self._kind == "single":  # one output, from which nothing has to be learned
                return BINARY_LOG_LOSS, "logistic"
        elif multiclass:
            raise ValueError(
                f"loss: expected a loss for classes, such as SoftmaxCrossEntropy(), got {loss!r}"
            )
        elif loss.output_activation != "logistic":
            raise ValueError(
                "loss: expected a loss on logits of two classes or labels, with the output_activation "
                f"'logistic', such as BinaryCrossEntropy(), got {loss!r} with {loss.output_activation!r}"
            )
        return loss, loss.output_activation

    def _check_y(self, y: HostArray, *, new_model: bool, incremental: bool) -> HostArray:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        first_fit = new_model and not incremental
        with locate_errors({}, {"y": y}):
            if first_fit:
                self._set_classes(_binarizer_of(y))
            classes = self.classes_ if first_fit else unique_labels(y)
        if not incremental and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to "
                f"fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}. Pass all classes in the first call of partial_fit."
            )
        if self._kind != "multilabel":
            self._check_labels(y)
        return y

    def _check_labels(self, y: HostArray) -> None:
        """Raise ValueError unless each label is one of the classes, which NumPy has converted."""
        places = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        wrong = self.classes_[places] != y
        if wrong.any():
            index, where = first_place(wrong)
            raise ValueError(
                f"y: expected labels that NumPy keeps as they are, got {y[index]!r} at {where}: "
                "convert y first"
            )

    def _learn_classes(self, y: Any, classes: Any) -> None:
        with locate_errors({}, {"classes": classes, "y": y}):
            if not _check_partial_fit_first_call(self, classes):
                return
            multilabel = type_of_target(y).startswith("multilabel")
            binarizer = _binarizer_of(y if multilabel else classes)
        if multilabel and not np.array_equal(np.unique(classes), binarizer.classes_):
            raise ValueError(
                f"classes: expected the index of each column of y, {binarizer.classes_}, got {classes}"
            )
        self._set_classes(binarizer)

    def _set_classes(self, binarizer: LabelBinarizer) -> None:
        self._label_binarizer = binarizer
        self.classes_ = binarizer.classes_
        if binarizer.y_type_.startswith("multilabel"):
            self._kind = "multilabel"
        else:
            self._kind = {1: "single", 2: "binary"}.get(len(self.classes_), "multiclass")

    def _copy_targets(self, estimator: Any) -> None:
        self._set_classes(deepcopy(estimator._label_binarizer))

    def _describe_targets(self) -> dict[str, Any]:
        return {
            **describe_labels(self.classes_, "classes_"),
            "multilabel": self._kind == "multilabel",
            "sparse": bool(self._label_binarizer.sparse_input_),
        }

    def _restore_targets(self, description: Any) -> None:
        classes = build_labels(description)
        targets: Any = classes
        if description["multilabel"]:
            targets = np.eye(len(classes), dtype=int)
        binarizer = LabelBinarizer().fit(csr_matrix(targets) if description["sparse"] else targets)
        binarizer.classes_ = classes  # of exactly this dtype
        self._set_classes(binarizer)
        outputs = self._count_outputs(classes)
        softmax_of_labels = self._kind == "multilabel" and self.out_activation_ == "softmax"
        if outputs != self.n_outputs_ or (outputs == 1 and len(classes) > 2) or softmax_of_labels:
            raise ValueError(f"expected classes that fit {self.n_outputs_} outputs, got {classes}")

    def _targets(self, y: HostArray) -> HostArray:
        if self.out_activation_ == "softmax":
            return np.searchsorted(self.classes_, y)
        return np.asarray(self._label_binarizer.transform(y)).reshape(y.shape[0], -1)

    def _count_outputs(self, y: HostArray) -> int:
        return len(self.classes_) if self._classes_sharing_output() is None else 1

    def _classes_sharing_output(self) -> int | None:
        shared = self.out_activation_ == "logistic" and self._kind != "multilabel"
        return len(self.classes_) if shared else None

    def _stratify(self, y: HostArray) -> HostArray | None:
        if self._kind == "multilabel":
            return None
        counts = np.unique(y, return_counts=True)[1]
        held_out = self._count_held_out(len(y))
        possible = counts.min() > 1 and len(counts) <= min(held_out, len(y) - held_out)
        return y if possible else None

    def _class_weights(self, y: HostArray, *, incremental: bool) -> HostArray | None:
        if self.class_weight is None:
            return None
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight: 'balanced' needs all examples, but partial_fit sees only some: pass a "
                "dict of weights, for example from sklearn.utils.compute_class_weight"
            )
        if self._kind == "multilabel":
            given = self.class_weight
            if not (isinstance(given, str) or all(isinstance(weights, dict) for weights in given)):
                raise ValueError(
                    "class_weight: for several labels, expected 'balanced' or a list of dicts, one for "
                    f"each label, such as {{0: 1, 1: 5}}, got {self.class_weight!r}"
                )
            given = given if isinstance(given, str) else list(given)
            return np.asarray(compute_sample_weight(given, y))
        if isinstance(self.class_weight, list | tuple):
            raise ValueError(
                "class_weight: for classes, expected 'balanced' or a dict from classes to weights, got "
                f"{self.class_weight!r}"
            )
        if isinstance(self.class_weight, dict):
            weights = self._weights_of_classes(self.class_weight)
        else:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        return np.asarray(weights[np.searchsorted(self.classes_, y)])

    def _weights_of_classes(self, given: dict[Any, Any]) -> HostArray:
        """Return the weight of each class, 1 for one that is not named.

        scikit-learn's function converts labels with int, which changes text of digits and refuses dates.
        """
        named = [label for label in self.classes_ if label in given]
        if len(named) < min(len(given), len(self.classes_)):
            raise ValueError(
                f"class_weight: expected weights of the classes {self.classes_}, got {given!r}"
            )
        for label in named:
            check_number("class_weight", f"the weight of class {label}", given[label])
        return np.array([given.get(label, 1.0) for label in self.classes_], np.float64)

    def _probabilities(self, outputs: HostArray) -> HostArray:
        numpy = get_backend("numpy:eager")
        if self._kind == "single":
            return np.ones_like(outputs)
        if self.out_activation_ == "softmax":
            p = functional.softmax(numpy, outputs)
        else:
            # 1 - σ(z) = σ(-z) keeps its digits where σ(z) rounds to 1.
            logits = outputs if self._kind == "multilabel" else np.hstack([-outputs, outputs])
            p = functional.sigmoid(numpy, logits)
        return np.asarray(np.maximum(p, np.finfo(outputs.dtype).tiny))

    def _predictions(self, outputs: HostArray) -> HostArray:
        nan = np.isnan(outputs)
        if nan.any():
            raise ValueError(f"outputs: expected numbers, got nan at {first_place(nan)[1]}; {OVERFLOWS}")
        if self.out_activation_ == "softmax":
            return np.asarray(self.classes_[np.argmax(outputs, axis=1)])
        positive = outputs > 0.0
        if self._kind != "multilabel":
            positive = positive[:, 0]
        labels = self._label_binarizer.inverse_transform(positive.astype(outputs.dtype))
        return cast(HostArray, labels)  # sparse if the labels of the fit were

    def _score(self, y: HostArray, outputs: HostArray, weights: HostArray | None) -> float:
        return float(accuracy_score(y, self._predictions(outputs), sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _binarizer_of(labels: Any) -> LabelBinarizer:
    """Return a binarizer that has learned these labels; raise ValueError if one of them is NaT."""
    binarizer = LabelBinarizer().fit(labels)
    if binarizer.classes_.dtype.kind in "mM" and np.isnat(binarizer.classes_).any():
        raise ValueError("Input contains NaN")  # as scikit-learn says of other missing labels
    return binarizer
