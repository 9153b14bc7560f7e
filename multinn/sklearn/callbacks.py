"""What is called after each epoch of a fit."""

from collections.abc import Callable
from typing import Any

from multinn.callbacks import Callback, EarlyStopping, ReduceLearningRateOnPlateau
from multinn.training.base import BaseTrainer
from multinn.training.callback import check_callbacks
from multinn.training.history import Record


class FunctionCallback(Callback):
    """Calls a function of the estimator at each report.

    Attributes:
        function: returns True to end the fit.
        estimator: what it is called with.
    """

    def __init__(self, function: Callable[[Any], Any], estimator: Any) -> None:
        self.function = function
        self.estimator = estimator

    def on_report(self, trainer: BaseTrainer, record: Record) -> Any:
        """Call the function."""
        return self.function(self.estimator)


def callbacks_of(estimator: Any) -> list[Callback]:
    """Return the callbacks of an estimator, with its functions as callbacks.

    Raises:
        TypeError: one is something else.
    """
    given = estimator.callbacks
    if given is None:
        return []
    callbacks: list[Callback] = []
    for each in given if isinstance(given, list | tuple) else [given]:
        if isinstance(each, type) or not (isinstance(each, Callback) or callable(each)):
            raise TypeError(
                f"callbacks: expected callbacks of multinn, or functions of the estimator, got {each!r}"
            )
        callbacks.append(each if isinstance(each, Callback) else FunctionCallback(each, estimator))
    return callbacks


def check_estimator_callbacks(estimator: Any, validation_data: Any, *, incremental: bool) -> None:
    """Raise an error if a callback cannot work in a fit, or in a partial fit.

    Raises:
        TypeError: one is no callback.
        ValueError: the solver has no epochs, or a partial fit not enough of them; or one needs a figure
            that is not reported.
    """
    callbacks = callbacks_of(estimator)
    if callbacks and estimator.solver == "lbfgs":
        raise ValueError(
            "callbacks: solver='lbfgs' has no epochs after which they could be called: use "
            "solver='adam' or 'sgd', or callbacks=None"
        )
    for each in callbacks:
        if incremental and isinstance(each, EarlyStopping | ReduceLearningRateOnPlateau):
            raise ValueError(
                f"callbacks: {type(each).__name__} compares the epochs of one fit, and partial_fit has "
                "one epoch: use fit, which goes on with warm_start"
            )
    figures = ["epoch", "loss"]
    if validation_data is not None or estimator.early_stopping:
        figures.append("validation_loss")
    if estimator.early_stopping:
        figures.append("validation_score")
    check_callbacks(callbacks, figures)
