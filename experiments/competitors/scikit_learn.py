"""scikit-learn's own multilayer perceptron."""

import warnings
from collections.abc import Sequence

import numpy as np

from backends import HostArray
from experiments.competitors.models import Model, ModelCompetitor, Setting, blas_thread_settings
from experiments.competitors.networks import Mlp
from experiments.competitors.workloads import Workload


class ScikitLearn(ModelCompetitor):
    """MLPClassifier, which has no convolutions.

    For XOR it minimizes the cross-entropy: no estimator of scikit-learn has the squared error of a
    sigmoid.
    """

    name = "scikit-learn"
    requires = ("sklearn",)

    def supports(self, workload: Workload) -> bool:
        """Return whether the network is a multilayer perceptron."""
        return isinstance(workload.network, Mlp)

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "ScikitLearnModel":
        """Return the model."""
        return ScikitLearnModel(workload, x, y, seed)


class ScikitLearnModel(Model):
    """A classifier and the data.

    Several epochs of SGD are one fit with a warm start. With Adam, whose moments a fit would reset, and
    for a single epoch, each epoch is a partial fit.
    """

    def __init__(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> None:
        from sklearn.neural_network import MLPClassifier

        assert isinstance(workload.network, Mlp)
        self._workload = workload
        self._x, self._y = x, y.reshape(-1).astype(np.int64)
        self._classifier = MLPClassifier(
            workload.network.widths[1:-1],
            activation="logistic" if workload.network.activation == "sigmoid" else "relu",
            solver=workload.optimizer,
            alpha=0.0,
            batch_size=min(workload.batch_size, workload.examples),
            learning_rate_init=workload.learning_rate,
            max_iter=workload.epochs,
            shuffle=workload.shuffle,
            random_state=seed,
            tol=0.0,
            n_iter_no_change=workload.epochs + 1,
            momentum=0.0,
            nesterovs_momentum=False,
            warm_start=workload.epochs > 1 and workload.optimizer == "sgd",
        )
        self._classes = np.arange(max(2, workload.network.widths[-1]))
        if workload.task == "predict":
            self._classifier.set_params(batch_size="auto")
            self._classifier.partial_fit(self._x[:1], self._y[:1], classes=self._classes)

    def train(self) -> None:
        """Train for all epochs of a run."""
        if self._classifier.warm_start:
            from sklearn.exceptions import ConvergenceWarning

            with warnings.catch_warnings():
                # It warns that it stopped after the requested epochs.
                warnings.simplefilter("ignore", ConvergenceWarning)
                self._classifier.fit(self._x, self._y)
            return
        for _ in range(self._workload.epochs):
            self._classifier.partial_fit(self._x, self._y, classes=self._classes)

    def outputs(self) -> HostArray:
        """Return the probabilities of the classes."""
        probabilities: HostArray = self._classifier.predict_proba(self._x)
        return probabilities

    def settings(self) -> Sequence[Setting]:
        """Return the thread settings."""
        return blas_thread_settings()
