"""The allowed values of the parameters of the estimators."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from backends import Backend
from multinn.callbacks import Callback
from multinn.layers import Layer

SOLVERS = ("sgd", "adam")

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [str, Layer, list, tuple],
    "solver": [StrOptions({"lbfgs", *SOLVERS})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "batch_norm": ["boolean"],
    "layer_norm": ["boolean"],
    "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    "embedding_size": [Interval(Integral, 1, None, closed="left"), dict, None],
    "callbacks": [Callback, callable, list, tuple, None],
    "backend": [str, Backend, None],
}


def hidden_sizes(sizes: Any) -> list[int]:
    """Return the number of units of each hidden layer.

    Raises:
        ValueError: a number is not an integer of 1 or more.
    """
    units = np.atleast_1d(np.asarray(sizes, dtype=object)).tolist()
    if not all(isinstance(size, Integral) and int(size) > 0 for size in units):
        raise ValueError(
            f"hidden_layer_sizes must be > 0, an integer for each hidden layer, got {units}"
        )
    return [int(size) for size in units]
