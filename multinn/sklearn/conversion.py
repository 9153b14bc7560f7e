"""Fitted estimators from scikit-learn's own, and to them."""

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
from multinn.sklearn.optimizers import keeps_sums, make_optimizer
from multinn.sklearn.parameters import SOLVERS, hidden_sizes
from multinn.sklearn.stopping import Improvement
from multinn.sklearn.trainer import PenalizedTrainer

# What both know of a fit, under the same names, where the solver has epochs.
_FIGURES = ("best_loss_", "validation_scores_", "best_validation_score_")


def from_sklearn(kind: Any, theirs: Any, backend: str | Backend | None) -> Any:
    """Return an estimator of that class like one of scikit-learn; `BaseMLP.from_sklearn` says more."""
    reference = kind._reference
    if not isinstance(theirs, reference):
        raise TypeError(
            f"from_sklearn: expected a {reference.__name__} of sklearn.neural_network, got {theirs!r}"
        )
    check_is_fitted(theirs, "coefs_")
    ours = kind(**clone(theirs).get_params(), backend=backend)
    ours.n_features_in_ = theirs.n_features_in_
    if hasattr(theirs, "feature_names_in_"):
        ours.feature_names_in_ = theirs.feature_names_in_
    ours._take_targets(theirs)
    seed = (
        theirs.random_state if isinstance(theirs.random_state, int) else deepcopy(theirs._random_state)
    )
    dtype = str(theirs.coefs_[0].dtype)
    loss, ours.out_activation_ = ours._loss()
    _check_unchanged(ours, theirs)
    ours._begin(loss, theirs.n_outputs_, dtype, check_random_state(seed))
    trainer = ours.trainer_
    trainer.set_dense_parameters("W", theirs.coefs_)
    trainer.set_dense_parameters("b", theirs.intercepts_)
    ours.n_iter_, ours.t_, ours.loss_ = int(theirs.n_iter_), int(theirs.t_), float(theirs.loss_)
    if hasattr(theirs, "loss_curve_"):
        _take_epochs(ours, theirs)
    return ours


def to_sklearn(ours: Any) -> Any:
    """Return an estimator of scikit-learn like one of ours; `BaseMLP.to_sklearn` says more."""
    check_is_fitted(ours, "trainer_")
    theirs = _unfitted(ours)
    theirs.coefs_, theirs.intercepts_ = _copies(ours.coefs_), _copies(ours.intercepts_)
    theirs._random_state = deepcopy(ours._split_random_state)
    names = ("n_features_in_", "feature_names_in_", "n_outputs_", "n_layers_", "out_activation_")
    for name in (*names, "n_iter_", "t_", "loss_", "_label_binarizer", "classes_"):
        if hasattr(ours, name):
            setattr(theirs, name, deepcopy(getattr(ours, name)))
    if hasattr(ours, "loss_curve_"):
        _give_epochs(ours, theirs)
    return theirs


def _check_unchanged(ours: Any, theirs: Any) -> None:
    """Raise ValueError if their parameters are not those of their fit any more."""
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
    """Return an estimator of scikit-learn with the same parameters, if it can be the same."""
    reference, given = ours._reference, clone(ours).get_params(deep=False)
    known = reference().get_params()
    for name, default in type(ours)().get_params(deep=False).items():
        value = given[name]
        same = value is default or (isinstance(value, bool | float | int | str) and value == default)
        if same or name in known or name == "backend":
            continue
        raise ValueError(
            f"to_sklearn: {name}: scikit-learn's {reference.__name__} has no such parameter: expected "
            f"{default!r}, got {value!r}"
        )
    theirs = reference(**{name: given[name] for name in known})
    theirs._validate_params()
    trained, described = ours.trainer_.program, ours._model(ours.n_outputs_)
    layers = [layer for layer in trained.model.layers if not isinstance(layer, Dropout)]
    if (Sequential(layers), trained.loss) != (described, ours._loss()[0]):
        raise ValueError(
            "to_sklearn: expected parameters as those of the last fit, got others of the model or the "
            "loss: fit again"
        )
    return theirs


def _take_epochs(ours: Any, theirs: Any) -> None:
    """Take over what the epochs of a stochastic solver have come to."""
    trainer, early = ours.trainer_, theirs.validation_scores_ is not None
    for name in _FIGURES:
        setattr(ours, name, _plain(getattr(theirs, name)))
    ours.loss_curve_ = _plain(theirs.loss_curve_)
    ours.validation_loss_curve_ = None
    ours._stopped_early = False
    best = ours.best_validation_score_ if early else -ours.best_loss_
    same_scale = early or _same_scale(theirs)
    ours._improvement = Improvement(best if same_scale else -np.inf, theirs._no_improvement_count)
    _take_optimizer(trainer, theirs)
    ours._best_state = None
    if early and theirs.best_validation_score_ > -np.inf:
        best = _tree(trainer, theirs._best_coefs + theirs._best_intercepts)
        ours._best_state = trainer.snapshot()._replace(params=best)


def _give_epochs(ours: Any, theirs: Any) -> None:
    """Hand over what the epochs of a stochastic solver have come to."""
    for name in (*_FIGURES, "loss_curve_"):
        setattr(theirs, name, deepcopy(getattr(ours, name)))
    theirs._no_improvement_count = ours._improvement.count
    theirs._best_coefs, theirs._best_intercepts = _copies(ours.coefs_), _copies(ours.intercepts_)
    trainer = ours.trainer_
    if ours._best_state is not None:
        arrays = _arrays(trainer, ours._best_state.params)
        theirs._best_coefs, theirs._best_intercepts = (
            arrays[: len(arrays) // 2],
            arrays[len(arrays) // 2 :],
        )
    if ours.solver in SOLVERS:
        _give_optimizer(trainer, theirs)


def _take_optimizer(trainer: PenalizedTrainer, theirs: Any) -> None:
    """Take over the state of the solver, if it is that of their optimizer."""
    optimizer: Any = getattr(theirs, "_optimizer", None)
    if type(optimizer) is not {"adam": AdamOptimizer, "sgd": SGDOptimizer}.get(theirs.solver):
        return
    # Theirs goes on with the rate that it began with, whatever became of the parameter.
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
        v=_tree(trainer, [array / (1.0 - theirs.beta_2) for array in optimizer.vs]),
    )


def _give_optimizer(trainer: PenalizedTrainer, theirs: Any) -> None:
    """Hand over the state of the solver, if it is that of the trainer's optimizer.

    Where a parameter such as the momentum has changed since, the solver begins anew, as ours does.
    """
    optimizer: Any = trainer.program.optimizer
    if not keeps_sums(optimizer, make_optimizer(theirs)):
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
        momentum = np.asarray(optimizer.momentum, trainer.dtype) or 1.0  # 0 in float32, where tiny
        theirs._optimizer.velocities = [v / momentum for v in _arrays(trainer, state["momentum"])]
    else:
        theirs._optimizer = AdamOptimizer(arrays, rate, theirs.beta_1, theirs.beta_2, theirs.epsilon)
        theirs._optimizer.t = int(state["step"][0])
        m, v = _arrays(trainer, state["m"]), _arrays(trainer, state["v"])
        theirs._optimizer.ms = [array * (1.0 - theirs.beta_1) for array in m]  # averages, ours are sums
        theirs._optimizer.vs = [array * (1.0 - theirs.beta_2) for array in v]


def _same_scale(theirs: Any) -> bool:
    """Whether their loss is ours: of several numbers, it is the mean over them, and ours the sum."""
    return bool(theirs.loss != "squared_error" or theirs.n_outputs_ == 1)


def _tree(trainer: PenalizedTrainer, arrays: list[Any]) -> Tree:
    """Return the arrays, first of all weights and then of all biases, in the form of the parameters."""
    like, places = list(trainer.backend.to_numpy(trainer.params)), trainer.places
    for index, place in enumerate(places):
        W, b = arrays[index], arrays[index + len(places)]
        like[place] = {"W": np.array(W, trainer.dtype), "b": np.array(b, trainer.dtype)}
    return tuple(like)


def _arrays(trainer: PenalizedTrainer, like_params: Tree) -> list[Any]:
    """Return copies of the arrays in the form of the parameters: of all weights, then of all biases."""
    return [np.array(like_params[place][name]) for name in ("W", "b") for place in trainer.places]


def _copies(arrays: list[Any]) -> list[Any]:
    return [np.array(array) for array in arrays]


def _plain(value: Any) -> Any:
    """Return numbers of Python."""
    if isinstance(value, list):
        return [float(each) for each in value]
    return None if value is None else float(value)
