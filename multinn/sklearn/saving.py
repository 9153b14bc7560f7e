"""Estimators in files: the checkpoint of a trainer, with what the estimator knows beside it."""

import math
import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from backends import Backend, get_backend
from multinn.descriptions.hyperparameters import Hyperparameters, build
from multinn.errors import DescriptionError
from multinn.layers import Sequential
from multinn.sklearn.network import PenalizedDense, dense_places
from multinn.sklearn.stopping import Improvement
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training import checkpoints
from multinn.training.checkpoints import Owner, PathLike

# Parameters that belong to a process: a function cannot be in a file, and a file chooses no backend.
_NOT_SAVED = ("backend", "callbacks")

# What a fit learns, but for arrays and what follows from them, and of which classes it can be.
_LEARNED: dict[str, tuple[type, ...]] = {
    "out_activation_": (str,),
    "n_iter_": (int,),
    "t_": (int,),
    "converged_": (bool,),
    "loss_": (float,),
    "best_loss_": (float, type(None)),
    "loss_curve_": (list,),
    "validation_loss_curve_": (list, type(None)),
    "validation_scores_": (list, type(None)),
    "best_validation_score_": (float, type(None)),
    "_stopped_early": (bool,),
    "_split_random_state": (np.random.RandomState,),
}
_ALWAYS = ("out_activation_", "n_iter_", "t_", "converged_", "_split_random_state")


def save(estimator: Any, path: PathLike) -> None:
    """Write a checkpoint of a fitted estimator; `BaseMLP.save` says what can fail."""
    check_is_fitted(estimator, "trainer_")
    known = estimator.__dict__
    parameters = estimator.get_params(deep=False)
    description = {
        "class": type(estimator).__name__,
        "parameters": {
            name: describe_value(value, name)
            for name, value in parameters.items()
            if name not in _NOT_SAVED
        },
        "has_callbacks": bool(parameters["callbacks"]),
        "learned": {name: describe_value(known[name], name) for name in _LEARNED if name in known},
        "targets": estimator._describe_targets(),
    }
    if "feature_names_in_" in known:
        description["feature_names"] = estimator.feature_names_in_.tolist()
    if "_improvement" in known:
        improvement = estimator._improvement
        description["improvement"] = describe_value((improvement.best, improvement.count), "improvement")
    estimator.trainer_.save_owned(path, Owner(description, known.get("_best_state")))


def load(kind: Any, path: PathLike, backend: str | Backend | None, callbacks: Any) -> Any:
    """Return the estimator of a checkpoint; `BaseMLP.load` says what can fail."""
    program, progress, owner = checkpoints.load_owned(path, get_backend(backend), kind.__name__)
    description = owner.description
    with checkpoints.invalid(path):
        model = program.model
        if not (isinstance(model, Sequential) and isinstance(model.layers[-1], PenalizedDense)):
            raise ValueError(f"expected the model of an estimator, got {model!r}")
        parameters = _values(description, "parameters")
        estimator = kind(**parameters, backend=backend, callbacks=callbacks)
        (estimator.n_features_in_,), (estimator.n_outputs_,) = progress.shapes
        estimator.n_layers_ = len(dense_places(model)) + 1
        _learn(estimator, description)
        estimator._restore_targets(description.get("targets"))
    if "loss_curve_" in estimator.__dict__:
        estimator._best_state = owner.best
    trainer = PenalizedTrainer(
        model, program.loss, program.optimizer, backend=program.backend, dtype=program.dtype
    )
    trainer.resume(progress)
    estimator.trainer_ = trainer
    if callbacks is None and description.get("has_callbacks"):
        warnings.warn(
            f"{path}: the estimator had callbacks, which a file cannot hold: give them to load, or "
            "callbacks=() to go on without",
            stacklevel=3,
        )
    return estimator


def _values(description: dict[str, Any], name: str) -> dict[str, Any]:
    values = description.get(name)
    if not isinstance(values, dict):
        raise ValueError(f"expected {name} by name, got {values!r}")
    return {key: build_value(value) for key, value in values.items()}


def _learn(estimator: Any, description: dict[str, Any]) -> None:
    """Set what a fit had learned."""
    learned = _values(description, "learned")
    missing = [name for name in _ALWAYS if name not in learned]
    if missing:
        raise ValueError(f"{missing[0]!r} is missing")
    for name, value in learned.items():
        found = list(value) if isinstance(value, tuple) else value
        if not isinstance(found, _LEARNED.get(name, ())):
            raise ValueError(f"{name!r} cannot be {found!r}")
        setattr(estimator, name, found)
    if estimator.out_activation_ not in estimator._out_activations:
        raise ValueError(f"'out_activation_' cannot be {estimator.out_activation_!r}")
    if "improvement" in description:
        best, count = build_value(description["improvement"])
        estimator._improvement = Improvement(float(best), int(count))
    if "feature_names" in description:
        names = np.array(description["feature_names"], dtype=object)
        if names.shape != (estimator.n_features_in_,):
            raise ValueError(f"expected {estimator.n_features_in_} names of features, got {names!r}")
        estimator.feature_names_in_ = names


_WORDS = 624  # of the state of the Mersenne Twister


def describe_value(value: Any, place: str) -> Any:
    """Return a description of a value; lists and arrays come back as tuples.

    Args:
        value: None, a number, a string, a layer, a loss, a `numpy.random.RandomState`; or a list, tuple,
            range, dict or array of such.
        place: the name of the parameter, for messages.

    Raises:
        DescriptionError: it is something else.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return [describe_value(entry, f"{place}[{index}]") for index, entry in enumerate(value)]
    if isinstance(value, Hyperparameters):
        return value.to_dict()
    if isinstance(value, dict):
        return {"items": [describe_value(pair, place) for pair in value.items()]}
    if isinstance(value, np.random.RandomState):
        return {"random_state": _describe_random_state(value, place)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DescriptionError(
        f"{place}: a checkpoint holds numbers, strings, None, layers, losses, random states, and tuples "
        f"and dicts of such, got {value!r}: set it to one of them before"
    )


def build_value(description: Any) -> Any:
    """Return the value that was described.

    Raises:
        ValueError: it is not a description.
    """
    if isinstance(description, list):
        return tuple(build_value(entry) for entry in description)
    if not isinstance(description, dict):
        return description
    if "class" in description:
        return build(Hyperparameters, description)
    if description.keys() == {"items"}:
        return dict(build_value(description["items"]))
    if description.keys() == {"float"}:
        return float(description["float"])
    if description.keys() == {"random_state"}:
        return _build_random_state(*description["random_state"])
    raise ValueError(f"expected a description of a value, got {description!r}")


def _describe_random_state(random_state: np.random.RandomState, place: str) -> list[Any]:
    state: Any = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise DescriptionError(
            f"{place}: expected a RandomState of MT19937, as numpy.random.RandomState(seed) is, got one "
            f"of {state['bit_generator']}"
        )
    words, place_in_words = state["state"]["key"].tolist(), int(state["state"]["pos"])
    return [words, place_in_words, int(state["has_gauss"]), float(state["gauss"])]


def _build_random_state(words: Any, place: Any, has_gauss: Any, gauss: Any) -> np.random.RandomState:
    # NumPy does not check the place, and would read behind the words.
    if not isinstance(place, int) or not 0 <= place <= _WORDS or len(words) != _WORDS:
        raise ValueError(f"expected {_WORDS} words of a random state, and a place among them")
    random_state = np.random.RandomState(0)
    key = np.array(words, np.uint32)
    random_state.set_state(("MT19937", key, place, int(has_gauss), float(gauss)))
    return random_state
