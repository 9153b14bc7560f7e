"""Losses and optimizers for the vectors of ONNX."""

import numpy as np

from backends import HostArray, Tree
from multinn import SGD, Adagrad, Adam, Optimizer, SoftmaxCrossEntropy, functional
from tests.support.onnx_vectors.base import (
    Outputs,
    Run,
    Vector,
    builds,
    channels_first,
    channels_last,
    require,
)


@builds("SoftmaxCrossEntropyLoss")
def _softmax_cross_entropy(v: Vector, run: Run) -> Outputs:
    """Each position is an example, and its weight is that of its class."""
    x, labels, of_classes = v.inputs[0], v.inputs[1], v.input(2)
    logits = channels_last(x).reshape(-1, x.shape[1])
    ignored = v.get("ignore_index")
    loss = SoftmaxCrossEntropy(ignored_class=ignored)
    targets = loss.prepare_targets(labels.reshape(-1), logits.shape[1:], "float32")
    counted = np.ones(len(targets), bool) if ignored is None else targets != ignored
    weights = counted.astype(np.float32)
    if of_classes is not None:
        weights[counted] = of_classes[targets[counted]]
    backend = run.backend
    outputs, labels_, weights_ = backend.from_numpy((logits, targets, weights))
    if v.get("reduction", "mean") == "mean":
        value = backend.to_numpy(loss.value(backend, outputs, labels_, weights_))
    else:
        values = weights * backend.to_numpy(loss.per_example(backend, outputs, labels_)[0])
        value = np.sum(values) if v.get("reduction") == "sum" else values.reshape(labels.shape)
    log_p = backend.to_numpy(functional.log_softmax(backend, outputs))
    by_class = log_p.reshape(*labels.shape, -1)
    return [value, channels_first(by_class)][: len(v.outputs)]


_Arrays = list[HostArray]


def _arrays(v: Vector, kinds: int) -> list[_Arrays]:
    """Return the inputs after the rate and the step: as many arrays of each kind."""
    rest = v.inputs[2:]
    count = len(rest) // kinds
    return [rest[kind * count : (kind + 1) * count] for kind in range(kinds)]


def _updated(
    v: Vector, run: Run, optimizer: Optimizer, x: _Arrays, g: _Arrays, state: Tree
) -> tuple[_Arrays, Tree]:
    """Return the parameters and the state after an update; the penalty is part of the gradient."""
    penalty = v.get("norm_coefficient", 0.0)
    gradients = [np.float32(own + penalty * at) for own, at in zip(g, x, strict=True)]
    arguments = run.backend.from_numpy((gradients, optimizer.init(x) | state, x))
    after, new_state = run.backend.to_numpy(optimizer.update(run.backend, *arguments))
    return after, new_state


@builds("Adam")
def _adam(v: Vector, run: Run) -> Outputs:
    """At T = 0, ONNX takes m and v as they are, as after many steps."""
    x, g, m, square = _arrays(v, 4)
    require(int(v.inputs[1]) == 0 and not v.get("norm_coefficient_post"), "another step")
    of_m = 1.0 - v.get("alpha", 0.9)
    epsilon = v.get("epsilon", 1e-2)  # onnx 1.18 lacks the attribute of a vector with this one
    optimizer = Adam(float(v.inputs[0]), 1.0 - of_m, v.get("beta", 0.999), epsilon)
    state = {
        "step": np.array([10**6], np.int32),
        "m": [np.float32(each / of_m) for each in m],  # the sum of g
        "s": square,
    }
    after, state = _updated(v, run, optimizer, x, g, state)
    return [*after, *(of_m * each for each in state["m"]), *state["s"]]


@builds("Adagrad")
def _adagrad(v: Vector, run: Run) -> Outputs:
    x, g, squares = _arrays(v, 3)
    rate = float(v.inputs[0]) / (1.0 + int(v.inputs[1]) * v.get("decay_factor", 0.0))
    optimizer = Adagrad(rate, v.get("epsilon", 0.0))
    after, state = _updated(v, run, optimizer, x, g, {"s": squares})
    return [*after, *state["s"]]


@builds("Momentum")
def _momentum(v: Vector, run: Run) -> Outputs:
    require(int(v.inputs[1]) == 0 or v.get("beta") == 1.0, "a damped gradient")
    x, g, velocity = _arrays(v, 3)
    optimizer = SGD(float(v.inputs[0]), v.get("alpha"), v.get("mode") == "nesterov")
    after, state = _updated(v, run, optimizer, x, g, {"v": velocity})
    return [*after, *state["v"]]
