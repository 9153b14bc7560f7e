"""Callbacks of an estimator."""

from collections.abc import Callable
from typing import Any

from multinn.callbacks import Callback, EarlyStopping, ReduceLearningRateOnPlateau
from multinn.training.base import BaseTrainer
from multinn.training.history import Record
from multinn.training.run import check_callbacks


class FunctionCallback(Callback):
    """Calls a function with the estimator at each report; the fit ends if it returns True."""

    def __init__(self, function: Callable[[Any], Any], estimator: Any) -> None:
        self.function = function
        self.estimator = estimator

    def on_report(self, trainer: BaseTrainer, record: Record) -> Any:
        """Return what the function returns."""
        return self.function(self.estimator)


def as_callbacks(estimator: Any) -> list[Callback]:
    """Return the parameter ``callbacks`` as a list, with functions wrapped as callbacks.

    Raises:
        TypeError: an entry is neither a callback nor a function.
    """
    given = estimator.callbacks
    if given is None:
        return []
    callbacks: list[Callback] = []
    for each in given if isinstance(given, list | tuple) else [given]:
        if isinstance(each, type) or not (isinstance(each, Callback) or callable(each)):
            raise TypeError(
                f"callbacks: expected callbacks of multinn or functions of the estimator, got {each!r}"
            )
        callbacks.append(each if isinstance(each, Callback) else FunctionCallback(each, estimator))
    return callbacks


def check_estimator_callbacks(estimator: Any, validation_data: Any, *, incremental: bool) -> None:
    """Check that each callback can work in `fit`, or in `partial_fit` if ``incremental``.

    Raises:
        TypeError: an entry is neither a callback nor a function.
        ValueError: the solver has no epochs, or a callback needs more than the one epoch of
            `partial_fit`, or a metric that is not reported.
    """
    callbacks = as_callbacks(estimator)
    if callbacks and estimator.solver == "lbfgs":
        raise ValueError(
            "callbacks: solver='lbfgs' has no epochs after which to call them: use solver='adam' or "
            "'sgd', or callbacks=None"
        )
    for each in callbacks:
        if incremental and isinstance(each, EarlyStopping | ReduceLearningRateOnPlateau):
            raise ValueError(
                f"callbacks: {type(each).__name__} compares the epochs of one fit, but partial_fit "
                "trains for only one: use fit with warm_start=True"
            )
    reported = ["epoch", "loss"]
    if validation_data is not None or estimator.early_stopping:
        reported.append("validation_loss")
    if estimator.early_stopping:
        reported.append("validation_score")
    check_callbacks(callbacks, reported)
