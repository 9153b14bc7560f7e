"""Conversion of fitted estimators from and to scikit-learn."""

from copy import deepcopy
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from backends import Backend, Tree
from multinn.layers import Dropout, Sequential
from multinn.optimizers.base import SCALE
from multinn.sklearn.optimizers import equal_except_rate, make_optimizer
from multinn.sklearn.parameters import SOLVERS, hidden_sizes
from multinn.sklearn.stopping import Improvement
from multinn.sklearn.trainer import PenalizedTrainer

# The attributes that record epochs, with the same names and meanings in both libraries.
_CURVES = ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_")


def from_sklearn(kind: Any, theirs: Any, backend: str | Backend | None) -> Any:
    """Return an instance of ``kind`` as a copy; `PortableEstimator.from_sklearn` documents it."""
    sklearn_class = kind._sklearn_class
    if not isinstance(theirs, sklearn_class):
        raise TypeError(
            f"from_sklearn: expected a {sklearn_class.__name__} of sklearn.neural_network, got "
            f"{theirs!r}"
        )
    check_is_fitted(theirs, "coefs_")
    ours = kind(**clone(theirs).get_params(), backend=backend)
    ours.n_features_in_ = theirs.n_features_in_
    if hasattr(theirs, "feature_names_in_"):
        ours.feature_names_in_ = theirs.feature_names_in_
    ours._copy_targets(theirs)
    loss, ours.out_activation_ = ours._loss()
    _check_unchanged(ours, theirs)
    random_state = theirs.random_state
    if not isinstance(random_state, int):
        random_state = deepcopy(theirs._random_state)
    dtype = str(theirs.coefs_[0].dtype)
    ours._initialize(loss, theirs.n_outputs_, dtype, check_random_state(random_state))
    ours.trainer_.set_dense_parameters("W", theirs.coefs_)
    ours.trainer_.set_dense_parameters("b", theirs.intercepts_)
    ours.n_iter_, ours.t_, ours.loss_ = int(theirs.n_iter_), int(theirs.t_), float(theirs.loss_)
    if hasattr(theirs, "loss_curve_"):
        _copy_epochs_from_sklearn(ours, theirs)
    return ours


def to_sklearn(ours: Any) -> Any:
    """Return a copy for scikit-learn; `PortableEstimator.to_sklearn` documents it."""
    check_is_fitted(ours, "trainer_")
    theirs = _unfitted(ours)
    theirs._random_state = deepcopy(ours._split_random_state)
    names = ("coefs_", "intercepts_", "n_features_in_", "feature_names_in_", "n_outputs_", "n_layers_")
    for name in (*names, "out_activation_", "n_iter_", "t_", "loss_", "_label_binarizer", "classes_"):
        if hasattr(ours, name):
            setattr(theirs, name, deepcopy(getattr(ours, name)))
    if hasattr(ours, "loss_curve_"):
        _copy_epochs_to_sklearn(ours, theirs)
    return theirs


def _check_unchanged(ours: Any, theirs: Any) -> None:
    """Raise ValueError if parameters of scikit-learn's estimator have changed since its fit."""
    fitted = [W.shape[1] for W in theirs.coefs_[:-1]]
    for name, expected, found in (
        ("hidden_layer_sizes", fitted, hidden_sizes(theirs.hidden_layer_sizes)),
        ("the out_activation_ of loss", theirs.out_activation_, ours.out_activation_),
    ):
        if found != expected:
            raise ValueError(
                f"from_sklearn: {name}: expected {expected}, as in the last fit, got {found}: set it "
                "back, or fit again"
            )


def _unfitted(ours: Any) -> Any:
    """Return an unfitted estimator of scikit-learn with the same parameters.

    Raises:
        ValueError: scikit-learn does not support a parameter or its value, or the parameters have
            changed since the fit.
    """
    sklearn_class, given = ours._sklearn_class, clone(ours).get_params(deep=False)
    known = sklearn_class().get_params()
    for name, default in type(ours)().get_params(deep=False).items():
        value = given[name]
        same = value is default or (isinstance(value, bool | float | int | str) and value == default)
        if not (same or name in known or name == "backend"):
            raise ValueError(
                f"to_sklearn: {name}: scikit-learn's {sklearn_class.__name__} has no such parameter: "
                f"expected {default!r}, got {value!r}"
            )
    if ours._categories is not None:  # and the parameter has changed since the fit
        raise ValueError(
            "to_sklearn: expected a network without embeddings, which scikit-learn's "
            f"{sklearn_class.__name__} has not: fit again with categorical_features=None"
        )
    theirs = sklearn_class(**{name: given[name] for name in known})
    theirs._validate_params()
    program = ours.trainer_.program
    layers = [layer for layer in program.model.layers if not isinstance(layer, Dropout)]
    if (Sequential(layers), program.loss) != (ours._model(ours.n_outputs_), ours._loss()[0]):
        raise ValueError(
            "to_sklearn: expected the parameters of the last fit, but parameters of the model or the "
            "loss have changed since: set them back, or fit again"
        )
    return theirs


def _copy_epochs_from_sklearn(ours: Any, theirs: Any) -> None:
    """Copy everything that a stochastic solver has recorded."""
    trainer, early = ours.trainer_, theirs.validation_scores_ is not None
    for name in _CURVES:
        setattr(ours, name, np.asarray(getattr(theirs, name)).tolist())
    ours.validation_loss_curve_ = None
    ours._stopped_early = False
    best = ours.best_validation_score_ if early else -ours.best_loss_
    # For several outputs, their squared error is the mean, and ours the sum.
    same_scale = early or theirs.loss != "squared_error" or theirs.n_outputs_ == 1
    ours._improvement = Improvement(best if same_scale else -np.inf, theirs._no_improvement_count)
    _copy_optimizer_from_sklearn(trainer, theirs)
    ours._best_state = None
    if early and theirs.best_validation_score_ > -np.inf:
        params = _tree(trainer, theirs._best_coefs + theirs._best_intercepts)
        ours._best_state = trainer.snapshot()._replace(params=params)


def _copy_epochs_to_sklearn(ours: Any, theirs: Any) -> None:
    """Copy everything that a stochastic solver has recorded."""
    trainer = ours.trainer_
    for name in _CURVES:
        setattr(theirs, name, deepcopy(getattr(ours, name)))
    theirs._no_improvement_count = ours._improvement.count
    arrays = _arrays(trainer, (ours._best_state or trainer.snapshot()).params)
    layers = len(arrays) // 2
    theirs._best_coefs, theirs._best_intercepts = arrays[:layers], arrays[layers:]
    if ours.solver in SOLVERS:
        _copy_optimizer_to_sklearn(trainer, theirs)


def _copy_optimizer_from_sklearn(trainer: PenalizedTrainer, theirs: Any) -> None:
    """Copy the state of the optimizer, unless the parameter ``solver`` has changed since the fit."""
    optimizer: Any = getattr(theirs, "_optimizer", None)
    if type(optimizer) is not {"adam": AdamOptimizer, "sgd": SGDOptimizer}.get(theirs.solver):
        return
    # scikit-learn continues with its initial rate, even if the parameter has changed since.
    scale = optimizer.learning_rate_init / theirs.learning_rate_init
    trainer.set_optimizer_state(**{SCALE: np.array([scale], trainer.dtype)})
    if theirs.solver == "sgd":
        trainer.rate = optimizer.learning_rate / scale if scale else 0.0
        momentum = [theirs.momentum * velocity for velocity in optimizer.velocities]
        trainer.set_optimizer_state(momentum=_tree(trainer, momentum))
        return
    trainer.set_optimizer_state(
        step=np.array([optimizer.t], np.int32),
        m=_tree(trainer, [array / (1.0 - theirs.beta_1) for array in optimizer.ms]),
        s=_tree(trainer, optimizer.vs),
    )


def _copy_optimizer_to_sklearn(trainer: PenalizedTrainer, theirs: Any) -> None:
    """Copy the state of the optimizer, unless a parameter other than its rate has changed since the fit.

    After such a change, both libraries start with a new state.
    """
    optimizer: Any = trainer.program.optimizer
    if not equal_except_rate(optimizer, make_optimizer(theirs)):
        return
    state = trainer.backend.to_numpy(trainer.optimizer_state)
    arrays, scale = theirs.coefs_ + theirs.intercepts_, float(state[SCALE][0])
    rate = scale * theirs.learning_rate_init
    if theirs.solver == "sgd":
        theirs._optimizer = SGDOptimizer(
            arrays,
            rate,
            theirs.learning_rate,
            theirs.momentum,
            theirs.nesterovs_momentum,
            theirs.power_t,
        )
        theirs._optimizer.learning_rate = scale * trainer.rate
        momentum = np.asarray(optimizer.momentum, trainer.dtype) or 1.0  # a tiny one is 0 in float32
        theirs._optimizer.velocities = [v / momentum for v in _arrays(trainer, state["momentum"])]
    else:
        theirs._optimizer = AdamOptimizer(arrays, rate, theirs.beta_1, theirs.beta_2, theirs.epsilon)
        theirs._optimizer.t = int(state["step"][0])
        m = _arrays(trainer, state["m"])
        theirs._optimizer.ms = [array * (1.0 - theirs.beta_1) for array in m]  # averages, ours are sums
        theirs._optimizer.vs = _arrays(trainer, state["s"])


def _tree(trainer: PenalizedTrainer, arrays: list[Any]) -> Tree:
    """Return a tree like the parameters, from the arrays of all weights and then all biases."""
    params, indices = list(trainer.backend.to_numpy(trainer.params)), trainer.dense_indices
    for index, W, b in zip(indices, arrays[: len(indices)], arrays[len(indices) :], strict=True):
        params[index] = {"W": np.array(W, trainer.dtype), "b": np.array(b, trainer.dtype)}
    return tuple(params)


def _arrays(trainer: PenalizedTrainer, tree: Tree) -> list[Any]:
    """Return copies of the arrays in a tree like the parameters: all weights, then all biases."""
    return [np.array(tree[index][name]) for name in ("W", "b") for index in trainer.dense_indices]
