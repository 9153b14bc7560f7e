"""Saving, loading and conversion of estimators."""

from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from backends import Backend, Tree
from multinn.layers import Sequential
from multinn.sklearn import conversion, saving
from multinn.sklearn.export import plain_network
from multinn.sklearn.onnx_tables import with_table
from multinn.sklearn.tables import Categories
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training.checkpoints import PathLike
from multinn.training.program import ModelState


class PortableEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Saves, loads and converts an estimator. A subclass can describe its targets, such as classes."""

    _sklearn_class: ClassVar[type]
    _out_activations: ClassVar[tuple[str, ...]]

    trainer_: PenalizedTrainer
    _categories: Categories | None = None

    def _copy_targets(self, estimator: Any) -> None:
        """Copy what an estimator of scikit-learn has learned about its targets."""

    def _describe_targets(self) -> dict[str, Any]:
        """Return a description of the targets for JSON."""
        return {}

    def _restore_targets(self, description: Any) -> None:
        """Restore described targets; raise ValueError if they are invalid or do not fit the outputs."""

    def save(self, path: PathLike) -> None:
        """Write a checkpoint, from which `load` continues as if the estimator had stayed in memory.

        The checkpoint is one safetensors file, as in `Trainer.save`, written completely or not at all.
        It contains no code. It holds the parameters, everything learned by fits, the state of
        the solver and the random state, but neither ``backend`` nor ``callbacks``: pass these to `load`.

        Args:
            path: the path of the file, which is replaced if it exists; its folder must exist.

        Raises:
            DescriptionError: a parameter holds an unregistered class, such as a layer of your own, or
                anything but numbers, strings, layers, losses, random states, tuples and dicts.
            ImportError: safetensors is not installed.
            NotFittedError: the estimator is not fitted yet.
            OSError: the file cannot be written.
        """
        saving.save(self, path)

    @classmethod
    def load(cls, path: PathLike, backend: str | Backend | None = None, callbacks: Any = None) -> Self:
        """Return the estimator that was saved. Lists among its parameters become tuples.

        Args:
            path: the path of a checkpoint of this class.
            backend: the parameter ``backend``.
            callbacks: the parameter ``callbacks``. None warns if the saved estimator had callbacks.

        Raises:
            BackendError, CheckpointError, ImportError, OSError: as in `Trainer.load`.
        """
        estimator: Self = saving.load(cls, path, backend, callbacks)
        return estimator

    @classmethod
    def from_sklearn(cls, estimator: Any, backend: str | Backend | None = None) -> Self:
        """Return a copy of a fitted estimator of scikit-learn, with the same predictions to rounding.

        The copy has the parameters, the curves and the state of the solver: ``partial_fit``, or ``fit``
        with ``warm_start``, continues from there, but shuffles examples in multinn's order. For several
        outputs, scikit-learn's ``loss_curve_`` of squared errors is the mean over the outputs, and
        multinn's the sum; the copy keeps scikit-learn's values.

        Args:
            estimator: an instance of the class of the same name in `sklearn.neural_network`.
            backend: the parameter ``backend``.

        Raises:
            NotFittedError: the estimator is not fitted yet.
            TypeError: the estimator is of another class.
            ValueError: its parameters have changed since its fit, and its layers or loss do not match.
        """
        copy: Self = conversion.from_sklearn(cls, estimator, backend)
        return copy

    def to_sklearn(self) -> Any:
        """Return a copy as an estimator of `sklearn.neural_network`, without ``backend``.

        Raises:
            NotFittedError: the estimator is not fitted yet.
            ValueError: scikit-learn does not support a parameter or its value, or the parameters have
                changed since the fit. After training with ``dropout``, set it to 0 first.
        """
        return conversion.to_sklearn(self)

    @property
    def network_(self) -> tuple[Sequential, Tree, Tree]:
        """The trained network as plain layers: (model, params, layer_state), with NumPy arrays.

        Its outputs are those of `predict_proba`, or of a regressor's `predict`, always of shape
        (examples, outputs). `multinn.onnx.export`, with an ``input_shape``, and `multinn.exchange`
        accept it. With ``categorical_features``, the inputs are those of the training: a category is 0
        if it is unknown, 1 if it is missing, else its index in ``categories_`` plus 2.
        """
        check_is_fitted(self, "trainer_")
        trainer = self.trainer_
        state = ModelState(*trainer.snapshot()[:2])
        model: Any = trainer.model
        return plain_network(model, state, self.out_activation_, classes=self._classes_sharing_output())

    def _complete_onnx(self, proto: Any) -> None:
        """Put the encoding of a table with categories before the network."""
        if self._categories is not None:
            with_table(proto, _check_feature_names_in(self).tolist(), self._categories)

    def _classes_sharing_output(self) -> int | None:
        """Return the number of classes that share one output; None if each has its own."""
        return None
