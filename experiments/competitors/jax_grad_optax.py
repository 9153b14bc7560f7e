"""JAX as its users write it: `jax.grad`, an optimizer of optax, and compiled loops."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backends import HostArray, Tree
from experiments.competitors import plain_jax
from experiments.competitors.models import Model, ModelCompetitor, epoch_batches, initial_parameters
from experiments.competitors.networks import (
    ConvNet,
    Mlp,
    Network,
    NormalizedMlp,
    Recurrent,
    ResNet,
    Transformer,
)
from experiments.competitors.workloads import Workload

Array = Any
Carry = tuple[Tree, Any]


class JaxGradOptax(ModelCompetitor):
    """Functions differentiated and compiled by JAX.

    An epoch is one compiled call; for full batches, all epochs are one call.
    """

    name = "jax.grad + optax"
    requires = ("jax", "optax")

    def supports(self, workload: Workload) -> bool:
        """Return whether the job is classic or has no convolutions; `JaxGradStepwise` takes the others.

        On a CPU, a convolution of XLA is many times slower inside a loop than outside.
        """
        return workload.group == "classic" or not _has_convolutions(workload)

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "JaxModel":
        """Return the model."""
        return JaxModel(workload, x, y, seed, stepwise=False)


class JaxGradStepwise(JaxGradOptax):
    """`JaxGradOptax` with a call for each step, for networks with convolutions."""

    name = "jax.grad stepwise"

    def supports(self, workload: Workload) -> bool:
        """Return whether there are convolutions."""
        return _has_convolutions(workload)

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "JaxModel":
        """Return the model."""
        return JaxModel(workload, x, y, seed, stepwise=True)


class JaxModel(Model):
    """Parameters and the optimizer's state, both donated to each call, and the data.

    Attributes:
        parameters: the current parameters, a tree as in multinn.
    """

    def __init__(
        self, workload: Workload, x: HostArray, y: HostArray, seed: int, *, stepwise: bool
    ) -> None:
        import jax
        import optax

        make = optax.adam if workload.optimizer == "adam" else optax.sgd
        optimizer = make(workload.learning_rate)
        self._workload = workload
        self._stepwise = stepwise
        self._data = jax.device_put((x, y))
        self._generator = np.random.default_rng(seed)
        self.parameters: Tree = jax.device_put(initial_parameters(workload.network, seed))
        self._state = jax.device_put(optimizer.init(self.parameters))
        step = _step(workload, optimizer)
        self._step = jax.jit(step, donate_argnums=0)
        self._epoch = jax.jit(_epoch(step), donate_argnums=0)
        self._full_batch_epochs = jax.jit(_full_batch_epochs(step, workload.epochs), donate_argnums=0)
        self._outputs = jax.jit(lambda parameters, x: outputs(workload.network, parameters, x))

    def train(self) -> Array:
        """Train for all epochs of a run, and return the mean loss of the last."""
        import jax

        if not self._workload.shuffle:
            carry, loss = self._full_batch_epochs((self.parameters, self._state), *self._data)
            self.parameters, self._state = carry
        else:
            for _ in range(self._workload.epochs):
                loss = self.train_batches(epoch_batches(self._workload, self._generator))
        jax.block_until_ready(self.parameters)  # type: ignore[no-untyped-call]
        return loss

    def train_batches(self, batches: list[HostArray]) -> Array:
        """Train on the rows of each batch in turn, and return their mean loss."""
        carry = (self.parameters, self._state)
        if self._stepwise:
            losses = []
            for rows in batches:
                carry, loss = self._step(carry, rows.astype(np.int32), *self._data)
                losses.append(loss * len(rows))
            total = sum(losses)
        else:
            full = [rows for rows in batches if len(rows) == len(batches[0])]
            rest = batches[len(full) :]
            arguments = [np.stack(full).astype(np.int32), [rows.astype(np.int32) for rows in rest]]
            carry, total = self._epoch(carry, *arguments, *self._data)
        self.parameters, self._state = carry
        return total / self._workload.examples

    def outputs(self) -> HostArray:
        """Return the logits."""
        return np.asarray(self._outputs(self.parameters, self._data[0]))


def _has_convolutions(workload: Workload) -> bool:
    return isinstance(workload.network, ConvNet | ResNet)


def _step(workload: Workload, optimizer: Any) -> Callable[..., tuple[Carry, Array]]:
    """Return a function that trains on the given rows, or on all examples if they are None."""
    import jax
    import optax

    def loss(parameters: Tree, x: Array, y: Array) -> Array:
        y_hat = outputs(workload.network, parameters, x)
        if workload.loss == "half_squared_error":
            return 0.5 * ((y_hat - y) ** 2).sum()
        return optax.softmax_cross_entropy_with_integer_labels(y_hat, y).mean()

    def step(carry: Carry, rows: Array | None, x: Array, y: Array) -> tuple[Carry, Array]:
        parameters, state = carry
        if rows is not None:
            x, y = x[rows], y[rows]
        value, gradients = jax.value_and_grad(loss)(parameters, x, y)
        updates, state = optimizer.update(gradients, state, parameters)
        return (optax.apply_updates(parameters, updates), state), value

    return step


def _epoch(step: Callable[..., tuple[Carry, Array]]) -> Callable[..., tuple[Carry, Array]]:
    """Return a function that trains on full batches, then on a smaller one if there is one.

    The function returns the sum of the losses of the examples.
    """
    from jax import lax

    def epoch(carry: Carry, full: Array, rest: list[Array], x: Array, y: Array) -> tuple[Carry, Array]:
        carry, losses = lax.scan(lambda carry, rows: step(carry, rows, x, y), carry, full)
        total = losses.sum() * full.shape[1]
        for rows in rest:
            carry, loss = step(carry, rows, x, y)
            total += loss * len(rows)
        return carry, total

    return epoch


def _full_batch_epochs(
    step: Callable[..., tuple[Carry, Array]], epochs: int
) -> Callable[..., tuple[Carry, Array]]:
    """Return a function that trains on all examples at once, for all epochs."""
    from jax import lax

    def train(carry: Carry, x: Array, y: Array) -> tuple[Carry, Array]:
        carry, losses = lax.scan(lambda carry, _: step(carry, None, x, y), carry, length=epochs)
        return carry, losses[-1]

    return train


def outputs(network: Network, parameters: Tree, x: Array) -> Array:
    """Return the outputs of the network; batches are normalized by their own statistics."""
    return _FORWARD[type(network)](network, parameters, x)


def _mlp(network: Mlp, parameters: Tree, x: Array) -> Array:
    import jax

    activate = jax.nn.sigmoid if network.activation == "sigmoid" else jax.nn.relu
    *hidden, last = _with_parameters(parameters)
    for layer in hidden:
        x = activate(plain_jax.dense(layer, x))
    x = plain_jax.dense(last, x)
    return activate(x) if network.activated_output else x


def _normalized_mlp(network: NormalizedMlp, parameters: Tree, x: Array) -> Array:
    import jax

    *hidden, last = _with_parameters(parameters)
    for layer, norm in zip(hidden[::2], hidden[1::2], strict=True):
        x = jax.nn.relu(plain_jax.batch_norm(norm, plain_jax.dense(layer, x)))
    return plain_jax.dense(last, x)


def _convnet(network: ConvNet, parameters: Tree, x: Array) -> Array:
    import jax

    *convolutions, last = _with_parameters(parameters)
    rest = iter(convolutions)
    for stage in network.stages:
        for _ in stage:
            x = plain_jax.convolution(next(rest), x, padding=network.padding.upper())
            x = jax.nn.relu(x)
        x = plain_jax.max_pool(x)
    return plain_jax.dense(last, x.reshape(len(x), -1))


def _resnet(network: ResNet, parameters: Tree, x: Array) -> Array:
    import jax

    def normalized(layer: Tree, norm: Tree, x: Array) -> Array:
        return plain_jax.batch_norm(norm, plain_jax.convolution(layer, x, padding="SAME"))

    first, first_norm, *blocks, last = _with_parameters(parameters)
    x = jax.nn.relu(normalized(first, first_norm, x))
    for _, block in blocks:
        one, one_norm, two, two_norm = _with_parameters(block)
        inner = jax.nn.relu(normalized(one, one_norm, x))
        x = jax.nn.relu(x + normalized(two, two_norm, inner))
    return plain_jax.dense(last, x.mean((1, 2)))


def _recurrent(network: Recurrent, parameters: Tree, x: Array) -> Array:
    return (plain_jax.lstm if network.kind == "lstm" else plain_jax.gru)(parameters, x)


def _transformer(network: Transformer, parameters: Tree, x: Array) -> Array:
    import jax

    *blocks, last = _with_parameters(parameters)
    options: dict[str, Any] = {"heads": network.heads, "causal": False, "activation": jax.nn.relu}
    for each in blocks:
        x = plain_jax.transformer_block(each, x, **options)
    return plain_jax.dense(last, x.mean(1))


_FORWARD: dict[type, Callable[[Any, Tree, Array], Array]] = {
    Mlp: _mlp,
    NormalizedMlp: _normalized_mlp,
    ConvNet: _convnet,
    ResNet: _resnet,
    Recurrent: _recurrent,
    Transformer: _transformer,
}


def _with_parameters(parameters: Tree) -> list[Tree]:
    """Return the parameters of the layers that have some."""
    return [layer for layer in parameters if layer]
