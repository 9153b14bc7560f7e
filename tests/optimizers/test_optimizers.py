"""Optimizers: each against the formulas of its source in plain NumPy, on every backend."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends import Backend, Tree, tree
from multinn import (
    LAMB,
    LARS,
    SGD,
    AccumulateGradients,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AMSGrad,
    ClipByGlobalNorm,
    ExponentialMovingAverage,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSProp,
)
from multinn.schedules import InverseTimeDecay, StepDecay
from tests.support.compiled_numpy import assert_compiles
from tests.support.optimizer_formulas import (
    Reference,
    accumulated,
    adadelta,
    adagrad,
    adam,
    always,
    clipped,
    lamb,
    lars,
    lion,
    nadam,
    radam,
    rmsprop,
    sgd,
)
from tests.support.optimizer_runs import (
    NUMPY,
    PARAMS,
    compiled_update,
    descend,
    gradients_of_steps,
    vector,
)

REFERENCES: dict[str, tuple[Optimizer, Reference]] = {
    "SGD": (SGD(0.1), sgd(always(0.1))),
    "SGD, weight decay": (SGD(0.1, weight_decay=0.5), sgd(always(0.1), decay=0.5)),
    "momentum": (SGD(0.1, momentum=0.9), sgd(always(0.1), 0.9)),
    "Nesterov": (
        SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.2),
        sgd(always(0.1), 0.9, nesterov=True, decay=0.2),
    ),
    "Adagrad": (Adagrad(0.1), adagrad(0.1, 1e-10)),
    "Adagrad, weight decay": (Adagrad(0.1, 1e-3, 0.1), adagrad(0.1, 1e-3, 0.1)),
    "RMSProp": (RMSProp(0.01), rmsprop(0.01, 0.9, 1e-8)),
    "RMSProp, weight decay": (RMSProp(0.01, 0.5, 1e-3, 0.1), rmsprop(0.01, 0.5, 1e-3, 0.1)),
    "Adam": (Adam(), adam(always(0.001), 0.9, 0.999, 1e-8)),
    "Adam, other rates": (Adam(0.1, 0.5, 0.9, 1e-3), adam(always(0.1), 0.5, 0.9, 1e-3)),
    "Adam without memory": (Adam(0.1, 0.0, 0.0), adam(always(0.1), 0.0, 0.0, 1e-8)),
    "AdamW": (AdamW(0.1), adam(always(0.1), 0.9, 0.999, 1e-8, decay=0.01)),
    "AMSGrad": (AMSGrad(0.1, 0.5, 0.9, 1e-3, 0.2), adam(always(0.1), 0.5, 0.9, 1e-3, 0.2, amsgrad=True)),
    "RAdam": (RAdam(), radam(0.001, 0.9, 0.999, 1e-8)),
    "Adadelta": (Adadelta(), adadelta(1.0, 0.95, 1e-6)),
    "Adadelta, weight decay": (Adadelta(0.5, 0.9, 1e-3, 0.1), adadelta(0.5, 0.9, 1e-3, 0.1)),
    "NAdam": (NAdam(), nadam(0.002, 0.9, 0.999, 1e-8, 0.004)),
    "NAdam, weight decay": (
        NAdam(0.1, 0.5, 0.9, 1e-3, 0.2, momentum_decay=1.0),
        nadam(0.1, 0.5, 0.9, 1e-3, 1.0, 0.2),
    ),
    "NAdam without memory": (NAdam(0.1, 0.0, 0.0), nadam(0.1, 0.0, 0.0, 1e-8, 0.004)),
    "Lion": (Lion(), lion(always(0.0001), 0.9, 0.99)),
    "Lion, weight decay": (Lion(0.1, 0.5, 0.9, 0.2), lion(always(0.1), 0.5, 0.9, 0.2)),
    "LAMB": (LAMB(), lamb(always(0.001), 0.9, 0.999, 1e-6, ends=[6])),
    "LAMB, weight decay": (
        LAMB(0.1, 0.5, 0.9, 1e-3, 0.2),
        lamb(always(0.1), 0.5, 0.9, 1e-3, 0.2, ends=[6]),
    ),
    "LARS": (LARS(), lars(always(1.0), 0.9, ends=[6])),
    "LARS, weight decay and a schedule": (
        LARS(StepDecay(2.0, 0.5, every=3), 0.5, 0.2, 0.01),
        lars(lambda done: 2.0 * 0.5 ** (done // 3), 0.5, 0.2, 0.01, ends=[6]),
    ),
    "a schedule": (SGD(StepDecay(1.0, 0.5, every=3)), sgd(lambda done: 0.5 ** (done // 3))),
    "a schedule, weight decay": (
        AdamW(InverseTimeDecay(0.1, 0.5), weight_decay=0.2),
        adam(lambda done: 0.1 / (1.0 + 0.5 * done), 0.9, 0.999, 1e-8, decay=0.2),
    ),
    "LAMB, a schedule": (
        LAMB(StepDecay(0.1, 0.5, every=3)),
        lamb(lambda done: 0.1 * 0.5 ** (done // 3), 0.9, 0.999, 1e-6, ends=[6]),
    ),
    "accumulated": (
        AccumulateGradients(Adam(StepDecay(0.1, 0.5, every=3)), 3),
        accumulated(adam(lambda done: 0.1 * 0.5 ** (done // 3), 0.9, 0.999, 1e-8), 3),
    ),
    "averaged": (ExponentialMovingAverage(Adam(0.1), 0.9), adam(always(0.1), 0.9, 0.999, 1e-8)),
    "clipped": (ClipByGlobalNorm(SGD(0.1, 0.9), 1.5), clipped(sgd(always(0.1), 0.9), 1.5)),
}
OPTIMIZERS = {name: optimizer for name, (optimizer, _) in REFERENCES.items()}

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())


@pytest.mark.parametrize("name", REFERENCES)
def test_the_formulas_of_the_source(backend, name):
    optimizer, reference = REFERENCES[name]
    gradients = gradients_of_steps()
    params, _ = descend(backend, optimizer, gradients)
    expected = reference(vector(PARAMS), [vector(g) for g in gradients])
    np.testing.assert_allclose(vector(params), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", ["Nesterov", "AdamW", "LAMB", "a schedule", "clipped", "accumulated"])
def test_compiled_and_eager_are_the_same(backend, name):
    optimizer, gradients = OPTIMIZERS[name], gradients_of_steps()[:2]
    one, other = (descend(backend, optimizer, gradients, compiled=c) for c in (True, False))
    tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-16), one, other)


@every_optimizer
def test_a_compiled_loop_gives_the_bits_of_eager_numpy(optimizer):
    def run(backend: Backend, carry: Tree, gradients: Tree) -> Tree:
        def step(carry: Tree, g: Tree) -> tuple[Tree, None]:
            params, state = carry
            return optimizer.update(backend, g, state, params), None

        return backend.scan(step, carry, gradients)

    params, *gradients = tree.map(np.float32, [PARAMS, *gradients_of_steps()])
    stacked = tree.map(lambda *leaves: np.stack(leaves), *gradients)
    assert_compiles(run, ((params, optimizer.init(params)), stacked))


@every_optimizer
def test_shapes_and_dtypes_of_parameters_and_state_are_kept(optimizer):
    """Also without axes: shapes in a compiled loop cannot change."""
    params = {"W": np.ones((2, 3)), "b": np.ones(3), "scale": np.array(1.0)}
    before = tree.map(np.float32, params)
    state = optimizer.init(before)
    after = descend(NUMPY, optimizer, [params, params], params, "float32")
    assert tree.map(described, after) == tree.map(described, (before, state))


def described(leaf: Any) -> str:
    return f"{np.asarray(leaf).dtype} {np.shape(leaf)}"


@every_optimizer
def test_an_update_is_pure(optimizer):
    params = tree.map(np.copy, PARAMS)
    gradients = tree.map(np.ones_like, PARAMS)
    state = optimizer.init(params)
    copies = tree.map(np.copy, (gradients, state, params))
    first = optimizer.update(NUMPY, gradients, state, params)
    second = optimizer.update(NUMPY, gradients, state, params)
    tree.map(np.testing.assert_array_equal, (gradients, state, params), copies)
    tree.map(np.testing.assert_array_equal, first, second)


@every_optimizer
def test_an_optimizer_is_a_value(optimizer):
    assert hash(optimizer) is not None
    assert optimizer == eval(repr(optimizer), {**globals()})


def test_adamw_is_adam_with_a_weight_decay():
    gradients = gradients_of_steps()
    one, other = (
        descend(NUMPY, optimizer, gradients) for optimizer in (AdamW(0.1), Adam(0.1, weight_decay=0.01))
    )
    tree.map(np.testing.assert_array_equal, one, other)


@every_optimizer
def test_float32_follows_float64(backend, optimizer):
    gradients = gradients_of_steps()
    narrow, _ = descend(backend, optimizer, gradients, dtype="float32")
    wide, _ = descend(NUMPY, optimizer, gradients)
    np.testing.assert_allclose(vector(narrow), vector(wide), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("step", [0, 1, 10, 1000, 100_000])
def test_the_bias_correction_of_adam_keeps_its_digits_in_float32(backend, step):
    """With the state after a constant gradient, each step is η: 1 - 0.999ᵗ must not lose digits."""
    optimizer, g, t = Adam(1.0, epsilon=1e-30), 0.3, step + 1
    state = {
        "step": np.array([step], np.int32),
        "m": np.array([g * (1.0 - 0.9**step) / 0.1], np.float32),
        "s": np.array([g * g * (1.0 - 0.999**step)], np.float32),
    }
    arguments = backend.from_numpy((np.array([g], np.float32), state, np.zeros(1, np.float32)))
    params, _ = backend.to_numpy(compiled_update(backend, optimizer)(*arguments))
    np.testing.assert_allclose(params, [-1.0], rtol=1e-6, err_msg=f"at update {t}")


@pytest.mark.parametrize(
    "optimizer",
    [kind(0.1, weight_decay=0.5) for kind in (SGD, AdamW, AMSGrad, RAdam, Adadelta, NAdam, Lion)],
    ids=str,
)
def test_weight_decay_alone_shrinks_the_parameters(optimizer):
    params, _ = descend(NUMPY, optimizer, [tree.map(np.zeros_like, PARAMS)])
    np.testing.assert_allclose(vector(params), 0.95 * vector(PARAMS))


@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.0, 0.9)]
    + [
        kind(0.0)
        for kind in (SGD, Adagrad, RMSProp, Adadelta, Adam, AMSGrad, RAdam, NAdam, Lion, LAMB, LARS)
    ],
    ids=str,
)
def test_a_learning_rate_of_zero_changes_nothing(optimizer):
    params, _ = descend(NUMPY, optimizer, gradients_of_steps())
    tree.map(np.testing.assert_array_equal, params, PARAMS)


@every_optimizer
def test_zero_gradients_are_harmless(backend, optimizer):
    params, _ = descend(backend, optimizer, [tree.map(np.zeros_like, PARAMS)], dtype="float32")
    assert np.isfinite(vector(params)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-0.1), "SGD: expected a finite learning_rate of 0 or more, got -0.1"),
        (lambda: SGD(math.nan), "SGD: .*learning_rate"),
        (lambda: SGD(math.inf), "SGD: .*learning_rate"),
        (lambda: SGD(momentum=1.0), r"SGD: expected momentum in \[0, 1\), got 1.0"),
        (lambda: SGD(momentum=-0.1), "momentum"),
        (lambda: SGD(nesterov=True), "SGD: nesterov needs a momentum above 0, got 0.0"),
        (lambda: SGD(weight_decay=-1.0), "SGD: .*weight_decay of 0 or more, got -1.0"),
        (lambda: Adagrad(-1.0), "Adagrad: .*learning_rate"),
        (lambda: Adagrad(epsilon=0.0), "Adagrad: expected a positive, finite epsilon, got 0.0"),
        (lambda: Adagrad(weight_decay=math.nan), "Adagrad: .*weight_decay"),
        (lambda: RMSProp(-1.0), "RMSProp: .*learning_rate"),
        (lambda: RMSProp(decay=1.0), r"RMSProp: expected decay in \[0, 1\), got 1.0"),
        (lambda: RMSProp(epsilon=-1.0), "RMSProp: .*epsilon"),
        (lambda: RMSProp(weight_decay=-1.0), "RMSProp: .*weight_decay"),
        (lambda: Adam(-1.0), "Adam: .*learning_rate"),
        (lambda: Adam(beta_1=1.0), "Adam: .*beta_1"),
        (lambda: Adam(beta_2=-0.1), "Adam: .*beta_2"),
        (lambda: Adam(epsilon=math.nan), "Adam: .*epsilon"),
        (lambda: AMSGrad(beta_2=1.0), "AMSGrad: .*beta_2"),
        (lambda: RAdam(beta_2=1.0), "RAdam: .*beta_2"),
        (lambda: RAdam(beta_2=0.66), "RAdam: expected beta_2 above 2/3, .*got 0.66: .*use SGD with"),
        (lambda: LARS(momentum=1.0), "LARS: .*momentum"),
        (lambda: LARS(weight_decay=-0.1), "LARS: .*weight_decay"),
        (lambda: LARS(trust_coefficient=0.0), "LARS: .*positive, finite trust_coefficient, got 0.0"),
        (lambda: AdamW(weight_decay=-0.1), "AdamW: .*weight_decay"),
        (lambda: Adadelta(-1.0), "Adadelta: .*learning_rate"),
        (lambda: Adadelta(decay=1.0), r"Adadelta: expected decay in \[0, 1\), got 1.0"),
        (lambda: Adadelta(epsilon=0.0), "Adadelta: .*epsilon"),
        (lambda: NAdam(math.inf), "NAdam: .*learning_rate"),
        (lambda: NAdam(beta_1=1.0), "NAdam: .*beta_1"),
        (lambda: NAdam(beta_2=1.0), "NAdam: .*beta_2"),
        (lambda: NAdam(epsilon=0.0), "NAdam: .*epsilon"),
        (lambda: NAdam(momentum_decay=0.0), "NAdam: .*positive, finite momentum_decay, got 0.0"),
        (lambda: Lion(-0.1), "Lion: .*learning_rate"),
        (lambda: Lion(beta_1=1.0), "Lion: .*beta_1"),
        (lambda: Lion(beta_2=-0.1), "Lion: .*beta_2"),
        (lambda: Lion(weight_decay=-0.1), "Lion: .*weight_decay"),
        (lambda: LAMB(-0.1), "LAMB: .*learning_rate"),
        (lambda: LAMB(beta_1=1.0), "LAMB: .*beta_1"),
        (lambda: LAMB(beta_2=1.0), "LAMB: .*beta_2"),
        (lambda: LAMB(epsilon=0.0), "LAMB: .*epsilon"),
        (lambda: LAMB(weight_decay=math.nan), "LAMB: .*weight_decay"),
    ],
)
def test_wrong_hyperparameters_are_refused(make: Callable[[], Optimizer], message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_lamb_moves_parameters_of_length_zero_as_adam_does(backend, decay):
    start = {"W": PARAMS["W"], "b": np.zeros(3)}
    gradients = gradients_of_steps()[:1]
    params, _ = descend(backend, LAMB(0.1, weight_decay=decay), gradients, start)
    expected, _ = descend(backend, Adam(0.1, epsilon=1e-6), gradients, start)
    np.testing.assert_allclose(params["b"], expected["b"], rtol=1e-14)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_lars_moves_parameters_of_length_zero_as_gradient_descent_does(backend, decay):
    start, gradients = {"W": PARAMS["W"], "b": np.zeros(3)}, gradients_of_steps()[:1]
    params, _ = descend(backend, LARS(0.1, weight_decay=decay), gradients, start)
    np.testing.assert_allclose(params["b"], -0.1 * gradients[0]["b"], rtol=1e-14)


def test_the_steps_of_radam_keep_their_digits_in_float32(backend):
    """ρ_t is a difference of numbers of about 20,000 in the source, and ρ_5 is just below 5."""
    optimizer, gradients = RAdam(1.0, beta_2=0.9999), gradients_of_steps()
    for steps in (5, 6, 20):
        narrow, _ = descend(backend, optimizer, gradients[:steps], dtype="float32")
        expected = radam(1.0, 0.9, 0.9999, 1e-8)(vector(PARAMS), [vector(g) for g in gradients[:steps]])
        np.testing.assert_allclose(vector(narrow), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_lamb_sets_the_length_of_the_step_whatever_the_size_of_the_parameters(backend, scale):
    start = {"W": np.full((2, 2), scale)}
    params, _ = descend(backend, LAMB(0.1), [{"W": np.ones((2, 2))}], start, "float32")
    np.testing.assert_allclose(params["W"], 0.9 * start["W"], rtol=1e-6)
