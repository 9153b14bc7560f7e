"""The 784-128-10 classifier as one writes it by hand, without a framework: the yardsticks of our speed.

ReLU, softmax cross-entropy, plain SGD, float32, mini-batches in a random order, the last one smaller.
Each yardstick is a function that trains for one epoch and returns the parameters and the mean loss.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

HostArray = np.ndarray[Any, np.dtype[Any]]


class Parameters(NamedTuple):
    """Weights and biases: (inputs, hidden), (hidden,), (hidden, classes), (classes,)."""

    W1: Any
    b1: Any
    W2: Any
    b2: Any


Epoch = Callable[[Parameters, HostArray], tuple[Parameters, float]]


def numpy_epoch(x: HostArray, y: HostArray, batch_size: int, learning_rate: float) -> Epoch:
    """Return a function that trains for one epoch in plain NumPy, with hand-derived gradients.

    Args:
        x: (examples, inputs) float32.
        y: (examples,) integer classes.
        batch_size: examples a step.
        learning_rate: of SGD.
    """

    def epoch(parameters: Parameters, order: HostArray) -> tuple[Parameters, float]:
        W1, b1, W2, b2 = parameters
        total = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            inputs, labels = x[rows], y[rows]
            hidden = np.maximum(inputs @ W1 + b1, 0.0)
            logits = hidden @ W2 + b2
            logits -= logits.max(axis=1, keepdims=True)
            probabilities = np.exp(logits)
            sums = probabilities.sum(axis=1, keepdims=True)
            each = np.arange(len(rows))
            total += float((np.log(sums[:, 0]) - logits[each, labels]).sum())
            d_logits = probabilities / sums
            d_logits[each, labels] -= 1.0
            d_logits /= len(rows)
            d_hidden = (d_logits @ W2.T) * (hidden > 0.0)
            W2 = W2 - learning_rate * (hidden.T @ d_logits)
            b2 = b2 - learning_rate * d_logits.sum(axis=0)
            W1 = W1 - learning_rate * (inputs.T @ d_hidden)
            b1 = b1 - learning_rate * d_hidden.sum(axis=0)
        return Parameters(W1, b1, W2, b2), total / len(order)

    return epoch


def jax_epoch(x: HostArray, y: HostArray, batch_size: int, learning_rate: float) -> Epoch:
    """Return a function that trains for one epoch in JAX: `jax.grad`, the epoch in one `lax.scan`.

    Arguments as in `numpy_epoch`. It compiles at its first call.
    """
    import jax
    import jax.numpy as jnp

    data = jax.device_put((x, y))

    def loss(parameters: Parameters, inputs: Any, labels: Any) -> Any:
        hidden = jax.nn.relu(inputs @ parameters.W1 + parameters.b1)
        log_p = jax.nn.log_softmax(hidden @ parameters.W2 + parameters.b2)
        return -jnp.mean(jnp.take_along_axis(log_p, labels[:, None], axis=1))

    def step(parameters: Parameters, rows: Any, data: Any) -> tuple[Parameters, Any]:
        value, gradients = jax.value_and_grad(loss)(parameters, data[0][rows], data[1][rows])
        return jax.tree.map(lambda p, g: p - learning_rate * g, parameters, gradients), value

    @jax.jit
    def compiled(parameters: Parameters, rows: Any, rest: Any, data: Any) -> tuple[Parameters, Any]:
        parameters, losses = jax.lax.scan(lambda p, r: step(p, r, data), parameters, rows)
        total = losses.sum() * batch_size
        if rest.shape[0]:
            parameters, last = step(parameters, rest, data)
            total = total + last * rest.shape[0]
        return parameters, total / (rows.size + rest.shape[0])

    def epoch(parameters: Parameters, order: HostArray) -> tuple[Parameters, float]:
        order = order.astype(np.int32)
        full = len(order) // batch_size * batch_size
        rows = order[:full].reshape(-1, batch_size)
        parameters, value = compiled(parameters, rows, order[full:], data)
        jax.block_until_ready(parameters)  # type: ignore[no-untyped-call]
        return parameters, float(value)

    return epoch
