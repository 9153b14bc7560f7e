"""Saving and loading of estimators: the checkpoint of a trainer, and a description of its owner."""

import math
import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from backends import Backend, get_backend
from multinn.descriptions.hyperparameters import Hyperparameters, build
from multinn.errors import DescriptionError
from multinn.layers import Sequential
from multinn.sklearn.network import PenalizedDense, dense_indices, embedded_columns, part_at
from multinn.sklearn.stopping import Improvement
from multinn.sklearn.tables import FIRST, restored_categories
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training import checkpoints
from multinn.training.checkpoints import Owner, PathLike

# A file cannot hold functions, and does not select a backend.
_NOT_SAVED = ("backend", "callbacks")

# The attributes that a fit sets, with their possible types. The trainer's state holds the arrays.
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
_REQUIRED = ("out_activation_", "n_iter_", "t_", "converged_", "_split_random_state")


def save(estimator: Any, path: PathLike) -> None:
    """Write a checkpoint of a fitted estimator; `PortableEstimator.save` documents the errors."""
    check_is_fitted(estimator, "trainer_")
    attributes = vars(estimator)
    parameters = estimator.get_params(deep=False)
    description = {
        "class": type(estimator).__name__,
        "parameters": {
            name: describe_value(value, name)
            for name, value in parameters.items()
            if name not in _NOT_SAVED
        },
        "has_callbacks": bool(estimator.callbacks),
        "learned": {
            name: describe_value(attributes[name], name) for name in _LEARNED if name in attributes
        },
        "targets": estimator._describe_targets(),
    }
    if estimator._categories is not None:
        description["categories"] = {
            str(column): describe_value(encoder.categories_[0], "categories")
            for column, encoder in zip(*vars(estimator._categories).values(), strict=True)
        }
    if "feature_names_in_" in attributes:
        description["feature_names"] = estimator.feature_names_in_.tolist()
    if "_improvement" in attributes:
        improvement = estimator._improvement
        description["improvement"] = describe_value((improvement.best, improvement.count), "improvement")
    estimator.trainer_.save_with_owner(path, Owner(description, attributes.get("_best_state")))


def load(kind: Any, path: PathLike, backend: str | Backend | None, callbacks: Any) -> Any:
    """Return the estimator of a checkpoint; `PortableEstimator.load` documents the errors."""
    program, progress, owner = checkpoints.load_owned(path, get_backend(backend), kind.__name__)
    description = owner.description
    with checkpoints.invalid_content(path):
        model = program.model
        if not (isinstance(model, Sequential) and isinstance(model.layers[-1], PenalizedDense)):
            raise ValueError(f"expected the model of an estimator, got {model!r}")
        parameters = _build_values(description, "parameters")
        estimator = kind(**parameters)
        estimator.backend, estimator.callbacks = backend, callbacks  # a subclass may take neither
        (estimator.n_features_in_,), (estimator.n_outputs_,) = progress.shapes
        estimator.n_layers_ = len(dense_indices(model)) + 1
        _restore_learned(estimator, description)
        estimator._restore_targets(description.get("targets"))
        _restore_categories(estimator, _build_values(description, "categories", {}), model)
    if hasattr(estimator, "loss_curve_"):
        estimator._best_state = owner.best
    estimator.trainer_ = PenalizedTrainer(
        model, program.loss, program.optimizer, backend=program.backend, dtype=program.dtype
    )
    estimator.trainer_.resume(progress)
    if callbacks is None and description.get("has_callbacks"):
        warnings.warn(
            f"{path}: the estimator had callbacks, which a file cannot hold: pass them to load, or "
            "callbacks=() to continue without",
            stacklevel=3,
        )
    return estimator


def _build_values(description: dict[str, Any], name: str, default: Any = None) -> dict[str, Any]:
    values = description.get(name, default)
    if not isinstance(values, dict):
        raise ValueError(f"{name}: expected a dict, got {values!r}")
    return {key: build_value(value) for key, value in values.items()}


def _restore_learned(estimator: Any, description: dict[str, Any]) -> None:
    """Set the attributes that fits had set."""
    learned = _build_values(description, "learned")
    missing = [name for name in _REQUIRED if name not in learned]
    if missing:
        raise ValueError(f"{missing[0]!r} is missing")
    for name, value in learned.items():
        value = list(value) if isinstance(value, tuple) else value
        if not isinstance(value, _LEARNED.get(name, ())):
            raise ValueError(f"{name!r} cannot be {value!r}")
        setattr(estimator, name, value)
    if estimator.out_activation_ not in estimator._out_activations:
        raise ValueError(f"'out_activation_' cannot be {estimator.out_activation_!r}")
    if "improvement" in description:
        best, count = build_value(description["improvement"])
        estimator._improvement = Improvement(float(best), int(count))
    if "feature_names" in description:
        names = np.array(description["feature_names"], dtype=object)
        if names.shape != (estimator.n_features_in_,):
            raise ValueError(f"expected {estimator.n_features_in_} feature names, got {names!r}")
        estimator.feature_names_in_ = names


def _restore_categories(estimator: Any, values: dict[str, Any], model: Sequential) -> None:
    """Set the categories of each categorical column, which have to fit the embeddings of the model."""
    columns = embedded_columns(model)
    if [*values] != [str(column) for column in columns.values()]:
        raise ValueError(f"expected categories of the columns {[*columns.values()]}, got {[*values]}")
    if not columns:
        return
    categories = restored_categories(columns.values(), values.values())
    for path, known in zip(columns, categories.values, strict=True):
        expected = part_at(model, path).vocabulary_size
        if len(known) + FIRST != expected:
            raise ValueError(f"expected {expected - FIRST} categories for layer {path}, got {known}")
    estimator._categories = categories


def describe_value(value: Any, name: str) -> Any:
    """Return a description of a value for JSON; `build_value` returns tuples for lists and arrays.

    Args:
        value: None, a number, a string, a layer, a loss, a `numpy.random.RandomState`; or a list, tuple,
            range, dict or array of these.
        name: the name of the parameter, for messages.

    Raises:
        DescriptionError: the value is something else.
    """
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufUO":
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return [describe_value(entry, f"{name}[{index}]") for index, entry in enumerate(value)]
    if isinstance(value, Hyperparameters):
        return value.to_dict()
    if isinstance(value, dict):
        return {"items": [describe_value(pair, name) for pair in value.items()]}
    if isinstance(value, np.random.RandomState):
        return {"random_state": _describe_random_state(value, name)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DescriptionError(
        f"{name}: a checkpoint holds numbers, strings, None, layers, losses, random states, and tuples "
        f"and dicts of these, got {value!r}: set the parameter to one of these first"
    )


def build_value(description: Any) -> Any:
    """Return the value with this description; raise ValueError if it is not a description."""
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


def _describe_random_state(random_state: np.random.RandomState, name: str) -> list[Any]:
    state: Any = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise DescriptionError(
            f"{name}: expected a RandomState of MT19937, such as numpy.random.RandomState(seed), got "
            f"one of {state['bit_generator']}"
        )
    key, position = state["state"]["key"].tolist(), int(state["state"]["pos"])
    return [key, position, int(state["has_gauss"]), float(state["gauss"])]


def _build_random_state(key: Any, position: Any, has_gauss: Any, gauss: Any) -> np.random.RandomState:
    # NumPy does not check the position, and would read beyond the end of the key.
    if not isinstance(position, int) or not 0 <= position <= 624 or len(key) != 624:
        raise ValueError("expected a random state: a key of 624 numbers, and a position from 0 to 624")
    random_state = np.random.RandomState(0)
    state = ("MT19937", np.array(key, np.uint32), position, int(has_gauss), float(gauss))
    random_state.set_state(state)
    return random_state
