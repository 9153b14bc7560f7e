"""Activations, dense layers, embeddings and containers for the vectors of ONNX."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree, tree
from multinn import (
    ELU,
    GELU,
    Add,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    HardSwish,
    Identity,
    Layer,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Rescale,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    functional,
)
from multinn.layers.base import ParameterFree
from multinn.random import Key
from tests.support.onnx_vectors.base import Outputs, Run, Vector, builds, require

_ACTIVATIONS: dict[str, Callable[[Vector], Layer]] = {
    "Celu": lambda v: _scaled(1.0 / v.get("alpha", 1.0), ELU(), v.get("alpha", 1.0)),
    "Elu": lambda v: ELU(v.get("alpha", 1.0)),
    "Gelu": lambda v: GELU(v.get("approximate", "none")),
    "HardSigmoid": lambda v: Sequential(
        [Rescale(6.0 * v.get("alpha", 0.2), 6.0 * v.get("beta", 0.5)), ReLU6(), Rescale(1.0 / 6.0)]
    ),
    "HardSwish": lambda v: HardSwish(),
    "LeakyRelu": lambda v: LeakyReLU(v.get("alpha", 0.01)),
    "Mish": lambda v: Mish(),
    "Relu": lambda v: ReLU(),
    "Selu": lambda v: Sequential(
        [ELU(v.get("alpha", 1.6732632423543772)), Rescale(v.get("gamma", 1.0507009873554805))]
    ),
    "Sigmoid": lambda v: Sigmoid(),
    "Softplus": lambda v: Softplus(),
    "Softsign": lambda v: Softsign(),
    "Swish": lambda v: _scaled(v.get("alpha", 1.0), SiLU(), 1.0 / v.get("alpha", 1.0)),
    "Tanh": lambda v: Tanh(),
}


def _scaled(before: float, layer: Layer, after: float) -> Layer:
    return Sequential([Rescale(before), layer, Rescale(after)])


@builds(*_ACTIVATIONS)
def _activation(v: Vector, run: Run) -> Outputs:
    layer, x = _ACTIVATIONS[v.operator](v), v.inputs[0]
    require(x.dtype == np.float32, "numbers of 16 bits")
    params = ({},) * len(layer.layers) if isinstance(layer, Sequential) else {}
    return [run(layer, x[None], params, state=params)[0]]


@builds("PRelu")
def _prelu(v: Vector, run: Run) -> Outputs:
    x, slope = v.inputs
    slopes = np.broadcast_to(slope, x.shape).reshape(-1)
    return [run(PReLU(), x.reshape(1, -1), {"a": slopes}).reshape(x.shape)]


@builds("Softmax", "LogSoftmax")
def _softmax(v: Vector, run: Run) -> Outputs:
    axis = v.get("axis", -1)
    x = np.moveaxis(v.inputs[0], axis, -1)
    if v.operator == "Softmax":
        y = run(Softmax(), x)
    else:
        log_p = functional.log_softmax(run.backend, run.backend.from_numpy(x))
        y = run.backend.to_numpy(log_p)
    return [np.moveaxis(y, -1, axis)]


@builds("Gemm")
def _gemm(v: Vector, run: Run) -> Outputs:
    A, B = v.inputs[:2]
    x, W = A.T if v.get("transA") else A, B.T if v.get("transB") else B
    params = {"W": v.get("alpha", 1.0) * W}
    if v.input(2) is not None:
        bias = v.get("beta", 1.0) * v.inputs[2]
        require(bias.ndim < 2 or bias.shape[0] == 1, "a bias for each example")
        params["b"] = np.broadcast_to(bias.reshape(-1), W.shape[1])
    return [run(Dense(W.shape[1], "b" in params), x, tree.map(np.float32, params))]


@builds("MatMul")
def _matmul(v: Vector, run: Run) -> Outputs:
    A, B = v.inputs
    require(B.ndim == 2, "weights that are no matrix")
    return [run(Dense(B.shape[1], use_bias=False), A, {"W": B})]


@builds("Gather")
def _gather(v: Vector, run: Run) -> Outputs:
    data, ids = v.inputs
    axis = v.get("axis", 0)
    require(bool(np.all(ids >= 0)), "ids that count from the end")
    rows = np.moveaxis(data, axis, 0)
    table = rows.reshape(len(rows), -1)
    y = run(Embedding(*table.shape), ids[None], {"W": table})[0]
    others = tuple(range(ids.ndim, ids.ndim + axis))
    y = y.reshape(*ids.shape, *rows.shape[1:])
    return [np.moveaxis(y, others, tuple(range(axis)))]


@builds("Flatten")
def _flatten(v: Vector, run: Run) -> Outputs:
    (x,) = v.inputs
    require(v.get("axis", 1) % x.ndim == 1, "the batch is not the only axis that is kept")
    return [run(Flatten(), x)]


@builds("Identity")
def _identity(v: Vector, run: Run) -> Outputs:
    (x,) = v.inputs
    require(isinstance(x, np.ndarray), "a sequence or an optional value")
    return [run(Identity(), x)]


@dataclass(frozen=True, eq=False)
class _Given(ParameterFree):
    """A branch that gives an array whatever its input."""

    values: HostArray

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        return {}, self.values.shape[1:]

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        return backend.from_numpy(self.values), None

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        raise AssertionError("not trained")


def _joined(v: Vector, run: Run, join: Callable[[list[Layer]], Layer]) -> Outputs:
    """Return the output for the inputs as branches; the batch is one example."""
    branches: list[Layer] = [_Given(each[None]) for each in v.inputs]
    params = ({},) * len(branches)
    return [run(join(branches), v.inputs[0][None], params, state=params)[0]]


@builds("Add", "Sum")
def _add(v: Vector, run: Run) -> Outputs:
    first, *others = v.inputs
    require(first.dtype == np.float32, "integers")
    require(all(each.shape == first.shape for each in others), "branches of several shapes")
    return _joined(v, run, Add)


@builds("Concat")
def _concat(v: Vector, run: Run) -> Outputs:
    axis = v.get("axis")
    return _joined(v, run, lambda branches: Concatenate(branches, axis if axis < 0 else axis + 1))


@builds("Dropout")
def _dropout(v: Vector, run: Run) -> Outputs:
    """Compare the output; the mask is part of the cache."""
    ratio, training = v.input(1), v.input(2)
    trains = training is not None and bool(training)
    ratio = 0.5 if ratio is None else float(ratio)
    require(not trains or ratio == 0.0, "random numbers")
    return [run(Dropout(ratio), v.inputs[0], training=trains)]
