"""Plain NumPy, as written by hand without a framework: it shows the cost of a framework.

Functions return new arrays, gradients are derived by hand, batches are selected by indexing. Images are
(batch, height, width, channels); a convolution is one product with the patches as rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from backends import HostArray
from experiments.competitors.models import (
    Model,
    ModelCompetitor,
    Setting,
    blas_thread_settings,
    epoch_batches,
    initial_parameters,
)
from experiments.competitors.networks import Mlp
from experiments.competitors.workloads import Workload

Parameters = list[tuple[HostArray, HostArray]]
"""For each layer, W (inputs, units) or (height, width, inputs, units), and b (units,)."""

LossFunction = Callable[[HostArray, HostArray], tuple[float, HostArray]]
Gradients = Callable[[Parameters, HostArray, HostArray], tuple[float, Parameters]]
Update = Callable[[Parameters, Parameters, Any], tuple[Parameters, Any]]


class NumpyByHand(ModelCompetitor):
    """A training loop by hand."""

    name = "numpy by hand"

    def supports(self, workload: Workload) -> bool:
        """Return whether the job is a classic one: the gradients of deep networks are not written."""
        return workload.group == "classic"

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "NumpyModel":
        """Return the model."""
        return NumpyModel(workload, x, y, seed)


class NumpyModel(Model):
    """Parameters, the optimizer's state, and the data.

    Attributes:
        parameters: the current parameters.
    """

    def __init__(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> None:
        self._workload = workload
        self._x, self._y = x, y
        self._generator = np.random.default_rng(seed)
        self._gradients = gradients_of(workload)
        initial = initial_parameters(workload.network, seed)
        self.parameters: Parameters = [(layer["W"], layer["b"]) for layer in initial if layer]
        self._update, self._state = optimizer_of(workload, self.parameters)

    def train(self) -> float:
        """Train for all epochs of a run, and return the mean loss of the last."""
        loss = 0.0
        for _ in range(self._workload.epochs):
            if self._workload.shuffle:
                loss = self.train_batches(epoch_batches(self._workload, self._generator))
            else:
                loss = self._step(self._x, self._y)
        return loss

    def train_batches(self, batches: list[HostArray]) -> float:
        """Train on the rows of each batch in turn, and return their mean loss."""
        total = 0.0
        for rows in batches:
            total += len(rows) * self._step(self._x[rows], self._y[rows])
        return total / self._workload.examples

    def _step(self, x: HostArray, y: HostArray) -> float:
        loss, gradients = self._gradients(self.parameters, x, y)
        self.parameters, self._state = self._update(self.parameters, gradients, self._state)
        return loss

    def outputs(self) -> HostArray:
        """Return the logits."""
        network = self._workload.network
        if isinstance(network, Mlp):
            return mlp_forward(network, self.parameters, self._x)[-1]
        return lenet_forward(self.parameters, self._x)[-1]

    def settings(self) -> list[Setting]:
        """Return the thread settings."""
        return blas_thread_settings()


# --- optimizers ---


def optimizer_of(workload: Workload, parameters: Parameters) -> tuple[Update, Any]:
    """Return the update and the initial state of the workload's optimizer."""
    rate = workload.learning_rate

    def sgd(parameters: Parameters, gradients: Parameters, state: None) -> tuple[Parameters, None]:
        moved = [
            (W - rate * dW, b - rate * db)
            for (W, b), (dW, db) in zip(parameters, gradients, strict=True)
        ]
        return moved, None

    def adam(parameters: Parameters, gradients: Parameters, state: Any) -> tuple[Parameters, Any]:
        t, moments = state
        t += 1
        moved, new_moments = [], []
        for layer, layer_gradients, layer_moments in zip(parameters, gradients, moments, strict=True):
            pairs = [
                _adam_step(rate, t, p, g, *m)
                for p, g, m in zip(layer, layer_gradients, layer_moments, strict=True)
            ]
            moved.append((pairs[0][0], pairs[1][0]))
            new_moments.append((pairs[0][1], pairs[1][1]))
        return moved, (t, new_moments)

    if workload.optimizer == "sgd":
        return sgd, None
    zeros = [tuple((np.zeros_like(p), np.zeros_like(p)) for p in layer) for layer in parameters]
    return adam, (0, zeros)


def _adam_step(
    rate: float, t: int, p: HostArray, g: HostArray, m: HostArray, v: HostArray
) -> tuple[HostArray, tuple[HostArray, HostArray]]:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    scale = rate / (1.0 - 0.9**t)
    return p - scale * m / (np.sqrt(v * (1.0 / (1.0 - 0.999**t))) + 1e-8), (m, v)


# --- losses: the value, and the gradient with respect to the outputs ---


def softmax_cross_entropy(logits: HostArray, labels: HostArray) -> tuple[float, HostArray]:
    """Return the mean over the batch, and its gradient."""
    each = np.arange(len(labels))
    logits = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    sums = exponentials.sum(axis=1, keepdims=True)
    loss = float((np.log(sums[:, 0]) - logits[each, labels]).mean())
    gradient = exponentials / sums
    gradient[each, labels] -= 1.0
    return loss, gradient / len(labels)


def half_squared_error(outputs: HostArray, targets: HostArray) -> tuple[float, HostArray]:
    """Return half of the sum of the squares, and its gradient."""
    error = outputs - targets
    return 0.5 * float((error * error).sum()), error


# --- multilayer perceptrons ---


class Activation(NamedTuple):
    """A function of x, and its backward pass: dx from the outputs y and dy."""

    forward: Callable[[HostArray], HostArray]
    backward: Callable[[HostArray, HostArray], HostArray]


ACTIVATIONS = {
    "relu": Activation(lambda x: np.maximum(x, 0.0), lambda y, dy: dy * (y > 0.0)),
    "sigmoid": Activation(lambda x: 1.0 / (1.0 + np.exp(-x)), lambda y, dy: dy * y * (1.0 - y)),
}


def gradients_of(workload: Workload) -> Gradients:
    """Return the function of parameters, inputs and targets to the loss and its gradients."""
    network = workload.network
    loss: LossFunction = softmax_cross_entropy
    if workload.loss == "half_squared_error":
        loss = half_squared_error
    if isinstance(network, Mlp):
        return lambda parameters, x, y: mlp_gradients(network, loss, parameters, x, y)
    return lambda parameters, x, y: lenet_gradients(loss, parameters, x, y)


def mlp_forward(network: Mlp, parameters: Parameters, x: HostArray) -> list[HostArray]:
    """Return the input and the activated outputs of each layer."""
    activate = ACTIVATIONS[network.activation].forward
    values = [x]
    for W, b in parameters[:-1]:
        values.append(activate(values[-1] @ W + b))
    W, b = parameters[-1]
    outputs = values[-1] @ W + b
    return [*values, activate(outputs) if network.activated_output else outputs]


def mlp_gradients(
    network: Mlp, loss: LossFunction, parameters: Parameters, x: HostArray, y: HostArray
) -> tuple[float, Parameters]:
    """Return the loss, and its gradients in the layout of the parameters."""
    backward = ACTIVATIONS[network.activation].backward
    *inputs, outputs = mlp_forward(network, parameters, x)
    value, d = loss(outputs, y)
    if network.activated_output:
        d = backward(outputs, d)
    gradients: Parameters = [(inputs[-1].T @ d, d.sum(axis=0))]
    for index in reversed(range(1, len(parameters))):
        d = backward(inputs[index], d @ parameters[index][0].T)
        gradients.append((inputs[index - 1].T @ d, d.sum(axis=0)))
    return value, gradients[::-1]


# --- the convolutional network ---


def patches(x: HostArray, kernel: int) -> HostArray:
    """Return each patch as a row, (batch height width, kernel kernel channels)."""
    windows = sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kernel * kernel * x.shape[3])


def convolve(x: HostArray, W: HostArray, b: HostArray) -> tuple[HostArray, HostArray]:
    """Return x convolved without padding, (batch, height, width, units), and the patches of x."""
    kernel, units = W.shape[0], W.shape[3]
    columns = patches(x, kernel)
    batch, height, width, _ = x.shape
    shape = (batch, height - kernel + 1, width - kernel + 1, units)
    return (columns @ W.reshape(-1, units) + b).reshape(shape), columns


def scatter_patches(d_columns: HostArray, shape: tuple[int, ...], kernel: int) -> HostArray:
    """Return dx, of the given shape, from the gradient of its patches: the adjoint of `patches`."""
    batch, height, width, channels = shape
    height, width = height - kernel + 1, width - kernel + 1
    d_windows = d_columns.reshape(batch, height, width, kernel, kernel, channels)
    dx = np.zeros(shape, d_columns.dtype)
    for i in range(kernel):
        for j in range(kernel):
            dx[:, i : i + height, j : j + width] += d_windows[:, :, :, i, j]
    return dx


def pool(x: HostArray) -> HostArray:
    """Return the maximum of each 2 x 2 square."""
    rows = np.maximum(x[:, ::2], x[:, 1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def pool_backward(x: HostArray, y: HostArray, dy: HostArray) -> HostArray:
    """Return dx: each dy goes to the position of the maximum."""
    largest: HostArray = x == y.repeat(2, axis=1).repeat(2, axis=2)
    return largest * dy.repeat(2, axis=1).repeat(2, axis=2)


def lenet_forward(parameters: Parameters, x: HostArray) -> list[HostArray]:
    """Return the patches, activations and pooled activations of both convolutions, and the logits."""
    values: list[HostArray] = []
    for W, b in parameters[:2]:
        convolved, columns = convolve(x, W, b)
        activated = np.maximum(convolved, 0.0)
        x = pool(activated)
        values += [columns, activated, x]
    W, b = parameters[2]
    return [*values, x.reshape(len(x), -1) @ W + b]


def lenet_gradients(
    loss: LossFunction, parameters: Parameters, x: HostArray, y: HostArray
) -> tuple[float, Parameters]:
    """Return the loss, and its gradients in the layout of the parameters."""
    columns1, activated1, pooled1, columns2, activated2, pooled2, logits = lenet_forward(parameters, x)
    (W1, _), (W2, _), (W3, _) = parameters
    value, d = loss(logits, y)
    dense = (pooled2.reshape(len(x), -1).T @ d, d.sum(axis=0))
    d = (d @ W3.T).reshape(pooled2.shape)
    d = (pool_backward(activated2, pooled2, d) * (activated2 > 0.0)).reshape(-1, W2.shape[3])
    second = ((columns2.T @ d).reshape(W2.shape), d.sum(axis=0))
    d = scatter_patches(d @ W2.reshape(-1, W2.shape[3]).T, pooled1.shape, W2.shape[0])
    d = (pool_backward(activated1, pooled1, d) * (activated1 > 0.0)).reshape(-1, W1.shape[3])
    first = ((columns1.T @ d).reshape(W1.shape), d.sum(axis=0))
    return value, [first, second, dense]
