"""Estimators in files, and in the forms of other libraries."""

from abc import abstractmethod
from typing import Any, ClassVar, Self, cast

from sklearn.utils.validation import check_is_fitted

from backends import Backend, Tree
from multinn.layers import Sequential
from multinn.sklearn import conversion, saving
from multinn.sklearn.epochs import EpochTraining
from multinn.sklearn.export import plain_network
from multinn.training.checkpoints import PathLike
from multinn.training.program import ModelState


class PortableEstimator(EpochTraining):
    """What brings an estimator elsewhere, and back. A subclass says what is known of targets."""

    _reference: ClassVar[type]  # scikit-learn's class
    _out_activations: ClassVar[tuple[str, ...]]

    @abstractmethod
    def _take_targets(self, estimator: Any) -> None:
        """Know of targets what an estimator of scikit-learn does."""

    @abstractmethod
    def _describe_targets(self) -> dict[str, Any]:
        """Return what JSON can hold of what is known about targets."""

    @abstractmethod
    def _restore_targets(self, description: Any) -> None:
        """Know what was described; raise ValueError if it cannot be, or does not fit the outputs."""

    def save(self, path: PathLike) -> None:
        """Write a checkpoint, from which `load` goes on as if the estimator had never left memory.

        One safetensors file, as of `Trainer.save`, written whole or not at all, without any code in it.
        It holds the parameters, all that the fits have learned, the state of the solver and that of the
        random numbers; but not ``backend`` and ``callbacks``, which `load` is given anew.

        Args:
            path: replaced where it exists; its folder has to.

        Raises:
            DescriptionError: a parameter, such as a layer of your own, is not registered; or it is
                something else than numbers, strings, layers, losses, random states, and tuples and dicts
                of such.
            ImportError: safetensors is not installed.
            NotFittedError: there is nothing to save yet.
            OSError: the file cannot be written.
        """
        saving.save(self, path)

    @classmethod
    def load(cls, path: PathLike, backend: str | Backend | None = None, callbacks: Any = None) -> Self:
        """Return an estimator as it was when it was saved; lists among its parameters are tuples.

        Args:
            path: of a checkpoint that an estimator of this class has saved.
            backend: the parameter ``backend``.
            callbacks: the parameter ``callbacks``. There is a warning if it is None, where there were
                callbacks before.

        Raises:
            BackendError, CheckpointError, ImportError, OSError: as in `Trainer.load`.
        """
        estimator: Self = saving.load(cls, path, backend, callbacks)
        return estimator

    @classmethod
    def from_sklearn(cls, estimator: Any, backend: str | Backend | None = None) -> Self:
        """Return an estimator like a fitted one of scikit-learn: its predictions agree to rounding.

        Parameters, figures and the state of the solver come with it, so that ``partial_fit``, or ``fit``
        with ``warm_start``, goes on from there. The orders of examples that follow are those of multinn,
        not of scikit-learn. With several numbers as targets, scikit-learn's ``loss_curve_`` of squared
        errors is their mean, and ours their sum; it stays as it is.

        Args:
            estimator: of `sklearn.neural_network`, of the same name as this class.
            backend: the parameter ``backend``.

        Raises:
            NotFittedError: there is nothing to take over yet.
            TypeError: it is something else.
            ValueError: its layers, or its loss, are not those of its parameters any more.
        """
        estimator = conversion.from_sklearn(cls, estimator, backend)
        return cast(Self, estimator)

    def to_sklearn(self) -> Any:
        """Return an estimator of `sklearn.neural_network`: the other way of `from_sklearn`.

        The parameter ``backend`` is left out.

        Raises:
            NotFittedError: there is nothing to hand over yet.
            ValueError: a parameter has a value that scikit-learn does not have, or the model is not that
                of the parameters any more. Where ``dropout`` was used to train, set it to 0 before.
        """
        return conversion.to_sklearn(self)

    @property
    def network_(self) -> tuple[Sequential, Tree, Tree]:
        """The trained network, of plain layers: (model, params, layer_state), as NumPy arrays.

        Its outputs are those of `predict_proba`, or of a regressor those of `predict` with an axis of
        outputs. It goes into `multinn.onnx.export`, with an ``input_shape``, and `multinn.exchange`.
        """
        check_is_fitted(self, "trainer_")
        trainer = self.trainer_
        state = ModelState(*trainer.snapshot()[:2])
        model: Any = trainer.model
        return plain_network(model, state, self.out_activation_, classes=self._classes_of_one_output())

    def _classes_of_one_output(self) -> int | None:
        """Return how many classes share the one output; None if each output is a result of its own."""
        return None
