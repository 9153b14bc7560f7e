"""Thinc, which also has hand-derived gradients, on NumPy."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from backends import HostArray
from experiments.competitors.models import (
    Model,
    ModelCompetitor,
    Setting,
    blas_thread_settings,
    epoch_batches,
)
from experiments.competitors.networks import Mlp
from experiments.competitors.workloads import Workload


class Thinc(ModelCompetitor):
    """A chain of layers, without convolutions."""

    name = "thinc"
    requires = ("thinc",)

    def supports(self, workload: Workload) -> bool:
        """Return whether the network is a multilayer perceptron."""
        return isinstance(workload.network, Mlp)

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "ThincModel":
        """Return the model."""
        return ThincModel(workload, x, y, seed)


class ThincModel(Model):
    """A model, its optimizer without clipping, decay or averages, and the data."""

    def __init__(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> None:
        from thinc.api import SGD, Adam, fix_random_seed

        fix_random_seed(seed)
        self._generator = np.random.default_rng(seed)
        self._workload = workload
        self._x, self._y = x, y
        self._model = _chain(workload)
        self._model.initialize(X=x[:1])
        make = Adam if workload.optimizer == "adam" else SGD
        plain = {"L2": 0.0, "grad_clip": 0.0, "use_averages": False}
        self._optimizer = make(workload.learning_rate, **plain)

    def train(self) -> None:
        """Train for all epochs of a run."""
        workload = self._workload
        for _ in range(workload.epochs):
            if workload.shuffle:
                for rows in epoch_batches(workload, self._generator):
                    self._step(self._x[rows], self._y[rows])
            else:
                self._step(self._x, self._y)

    def _step(self, x: HostArray, y: HostArray) -> None:
        outputs, backpropagate = self._model.begin_update(x)
        if self._workload.loss == "half_squared_error":
            d_outputs = outputs - y
        else:
            # The backward pass of Softmax takes the gradient of the logits.
            d_outputs = outputs
            d_outputs[np.arange(len(y)), y] -= 1.0
            d_outputs /= len(y)
        backpropagate(d_outputs)
        self._model.finish_update(self._optimizer)

    def outputs(self) -> HostArray:
        """Return the probabilities, or the outputs of a sigmoid."""
        outputs: HostArray = self._model.predict(self._x)
        return outputs

    def settings(self) -> Sequence[Setting]:
        """Return the settings: BLIS, and NumPy's products with each number of threads."""
        settings: list[Setting] = [partial(self._set_ops, True)]
        for set_threads in blas_thread_settings():
            settings.append(partial(self._set_ops, False, set_threads))
        return settings

    def _set_ops(self, use_blis: bool, set_threads: Setting = lambda: None) -> None:
        from thinc.api import NumpyOps

        set_threads()
        ops = NumpyOps(use_blis=use_blis)
        for layer in self._model.walk():
            layer.ops = ops


def _chain(workload: Workload) -> Any:
    from thinc.api import Relu, Sigmoid, Softmax, chain, glorot_uniform_init

    assert isinstance(workload.network, Mlp)
    # By default, Thinc initializes a sigmoid layer with zeros, so its units would remain equal.
    hidden = partial(Sigmoid, init_W=glorot_uniform_init)
    if workload.network.activation == "relu":
        hidden = Relu
    *hidden_widths, outputs = workload.network.widths[1:]
    last = hidden if workload.network.activated_output else Softmax
    return chain(*(hidden(width) for width in hidden_widths), last(outputs))
