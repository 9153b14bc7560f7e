"""Saving, loading and conversion of estimators."""

from abc import abstractmethod
from typing import Any, ClassVar, Self, cast

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from backends import Backend, Tree
from multinn.layers import Sequential
from multinn.sklearn import conversion, saving
from multinn.sklearn.export import plain_network
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training.checkpoints import PathLike
from multinn.training.program import ModelState


class PortableEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Saves, loads and converts an estimator. A subclass describes its targets, such as classes."""

    _reference: ClassVar[type]  # scikit-learn's class
    _out_activations: ClassVar[tuple[str, ...]]

    trainer_: PenalizedTrainer

    @abstractmethod
    def _take_targets(self, estimator: Any) -> None:
        """Copy the description of targets from an estimator of scikit-learn."""

    @abstractmethod
    def _describe_targets(self) -> dict[str, Any]:
        """Return a description of the targets for JSON."""

    @abstractmethod
    def _restore_targets(self, description: Any) -> None:
        """Restore the described targets; raise ValueError if they are invalid or misfit the outputs."""

    def save(self, path: PathLike) -> None:
        """Write a checkpoint, from which `load` continues as if the estimator had stayed in memory.

        The checkpoint is one safetensors file, as in `Trainer.save`, written completely or not at all.
        It contains no code. It holds the parameters, everything that the fits have learned, the state
        of the solver and the random state; but not ``backend`` and ``callbacks``, which `load` takes.

        Args:
            path: of the file, which is replaced if it exists; its folder must exist.

        Raises:
            DescriptionError: a parameter, such as a layer of your own, is not registered; or it is not
                made of numbers, strings, layers, losses, random states, and tuples and dicts of such.
            ImportError: safetensors is not installed.
            NotFittedError: the estimator is not fitted yet.
            OSError: the file cannot be written.
        """
        saving.save(self, path)

    @classmethod
    def load(cls, path: PathLike, backend: str | Backend | None = None, callbacks: Any = None) -> Self:
        """Return an estimator as it was when it was saved; lists among its parameters are tuples.

        Args:
            path: of a checkpoint of an estimator of this class.
            backend: the parameter ``backend``.
            callbacks: the parameter ``callbacks``. None gives a warning if the saved estimator had
                callbacks.

        Raises:
            BackendError, CheckpointError, ImportError, OSError: as in `Trainer.load`.
        """
        estimator: Self = saving.load(cls, path, backend, callbacks)
        return estimator

    @classmethod
    def from_sklearn(cls, estimator: Any, backend: str | Backend | None = None) -> Self:
        """Return a copy of a fitted estimator of scikit-learn: the predictions agree to rounding.

        The copy has the parameters, the curves and the state of the solver, so that ``partial_fit``, or
        ``fit`` with ``warm_start``, continues from there, with multinn's orders of examples. For several
        outputs, scikit-learn's ``loss_curve_`` of squared errors is their mean, and multinn's their sum;
        the copy keeps scikit-learn's values.

        Args:
            estimator: of `sklearn.neural_network`, of the same name as this class.
            backend: the parameter ``backend``.

        Raises:
            NotFittedError: the estimator is not fitted yet.
            TypeError: the estimator is of another class.
            ValueError: its parameters have changed since its fit, so that layers or loss do not match.
        """
        estimator = conversion.from_sklearn(cls, estimator, backend)
        return cast(Self, estimator)

    def to_sklearn(self) -> Any:
        """Return a copy as an estimator of `sklearn.neural_network`, without ``backend``.

        Raises:
            NotFittedError: the estimator is not fitted yet.
            ValueError: scikit-learn does not have the value of a parameter, or the parameters have
                changed since the fit. If ``dropout`` was used to train, set it to 0 first.
        """
        return conversion.to_sklearn(self)

    @property
    def network_(self) -> tuple[Sequential, Tree, Tree]:
        """The trained network of plain layers: (model, params, layer_state), with NumPy arrays.

        Its outputs are the results of `predict_proba`, or of a regressor's `predict` with an axis of
        outputs. `multinn.onnx.export`, with an ``input_shape``, and `multinn.exchange` take it.
        """
        check_is_fitted(self, "trainer_")
        trainer = self.trainer_
        state = ModelState(*trainer.snapshot()[:2])
        model: Any = trainer.model
        return plain_network(model, state, self.out_activation_, classes=self._classes_of_one_output())

    def _classes_of_one_output(self) -> int | None:
        """Return the number of classes that share the one output; None if each has an output."""
        return None
