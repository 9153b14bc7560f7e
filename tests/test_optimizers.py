"""Optimizers: each against the formulas of its source in plain NumPy, on every backend."""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from backends import Backend, Tree, get_backend, tree
from multinn import SGD, Adagrad, Adam, AdamW, ClipByGlobalNorm, Freeze, Optimizer, RMSProp
from multinn.optimizer_wrappers import global_norm
from multinn.schedules import InverseTimeDecay, StepDecay
from tests.optimizer_formulas import Reference, Vector, adagrad, adam, always, clipped, rmsprop, sgd

NUMPY = get_backend("numpy")
STEPS = 8
PARAMS = {"W": np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]), "b": np.array([0.1, -0.2, 0.3])}


def gradients_of_steps(scale: float = 1.0) -> list[Tree]:
    rng = np.random.default_rng(0)
    return [tree.map(lambda leaf: scale * rng.normal(size=leaf.shape), PARAMS) for _ in range(STEPS)]


def vector(values: Tree) -> Vector:
    return np.concatenate([leaf.ravel() for leaf in tree.leaves(values)])


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
    "a schedule": (SGD(StepDecay(1.0, 0.5, every=3)), sgd(lambda done: 0.5 ** (done // 3))),
    "a schedule, weight decay": (
        AdamW(InverseTimeDecay(0.1, 0.5), weight_decay=0.2),
        adam(lambda done: 0.1 / (1.0 + 0.5 * done), 0.9, 0.999, 1e-8, decay=0.2),
    ),
    "clipped": (ClipByGlobalNorm(SGD(0.1, 0.9), 1.5), clipped(sgd(always(0.1), 0.9), 1.5)),
}
OPTIMIZERS = {name: optimizer for name, (optimizer, _) in REFERENCES.items()}

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())


@cache
def compiled_update(backend: Backend, optimizer: Optimizer) -> Callable[..., Any]:
    """Return the update as a compiled function, one and the same for all tests."""
    return backend.jit(partial(optimizer.update, backend))


def descend(
    backend: Backend,
    optimizer: Optimizer,
    gradients: list[Tree],
    params: Tree = PARAMS,
    dtype: str = "float64",
    compiled: bool = True,
) -> tuple[Tree, Tree]:
    """Make one update for each of the gradients: the parameters and the state, on NumPy."""
    params = tree.map(lambda leaf: np.asarray(leaf, dtype), params)
    with backend.precision(dtype):
        update = compiled_update(backend, optimizer) if compiled else partial(optimizer.update, backend)
        params, state = backend.from_numpy((params, optimizer.init(params)))
        for g in gradients:
            g = backend.from_numpy(tree.map(lambda leaf: np.asarray(leaf, dtype), g))
            params, state = update(g, state, params)
        result: tuple[Tree, Tree] = backend.to_numpy((params, state))
    return result


@pytest.mark.parametrize("name", REFERENCES)
def test_the_formulas_of_the_source(backend, name):
    optimizer, reference = REFERENCES[name]
    gradients = gradients_of_steps()
    params, _ = descend(backend, optimizer, gradients)
    expected = reference(vector(PARAMS), [vector(g) for g in gradients])
    np.testing.assert_allclose(vector(params), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", ["Nesterov", "AdamW", "a schedule", "clipped"])
def test_compiled_and_eager_are_the_same(backend, name):
    optimizer, gradients = OPTIMIZERS[name], gradients_of_steps()[:2]
    one, other = (descend(backend, optimizer, gradients, compiled=c) for c in (True, False))
    tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-16), one, other)


@every_optimizer
def test_shapes_and_dtypes_of_parameters_and_state_are_kept(optimizer):
    """Whatever the shapes, one without axes among them: a compiled loop cannot carry another shape."""
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
    """With m and v of a constant gradient, each step is η: 1 - 0.999ᵗ must not lose digits."""
    optimizer, g, t = Adam(1.0, epsilon=1e-30), 0.3, step + 1
    state = {
        "step": np.array([step], np.int32),
        "m": np.array([g * (1.0 - 0.9**step)], np.float32),
        "v": np.array([g * g * (1.0 - 0.999**step)], np.float32),
    }
    arguments = backend.from_numpy((np.array([g], np.float32), state, np.zeros(1, np.float32)))
    params, _ = backend.to_numpy(compiled_update(backend, optimizer)(*arguments))
    np.testing.assert_allclose(params, [-1.0], rtol=1e-6, err_msg=f"at update {t}")


@pytest.mark.parametrize(
    "optimizer", [SGD(0.1, weight_decay=0.5), AdamW(0.1, weight_decay=0.5)], ids=str
)
def test_weight_decay_alone_shrinks_the_parameters(optimizer):
    params, _ = descend(NUMPY, optimizer, [tree.map(np.zeros_like, PARAMS)])
    np.testing.assert_allclose(vector(params), 0.95 * vector(PARAMS))


@pytest.mark.parametrize(
    "optimizer", [SGD(0.0), SGD(0.0, 0.9), Adam(0.0), RMSProp(0.0), Adagrad(0.0)], ids=str
)
def test_a_learning_rate_of_zero_changes_nothing(optimizer):
    params, _ = descend(NUMPY, optimizer, gradients_of_steps())
    tree.map(np.testing.assert_array_equal, params, PARAMS)


@every_optimizer
def test_zero_gradients_are_harmless(backend, optimizer):
    params, _ = descend(backend, optimizer, [tree.map(np.zeros_like, PARAMS)], dtype="float32")
    assert np.isfinite(vector(params)).all()


def test_the_global_norm_is_that_of_all_leaves_as_one_vector(backend):
    g = gradients_of_steps()[0]
    with backend.precision("float64"):
        norm = backend.to_numpy(global_norm(backend, backend.from_numpy(g)))
    assert norm.shape == ()
    np.testing.assert_allclose(norm, np.linalg.norm(vector(g)), rtol=1e-15)


@pytest.mark.parametrize("scale", [1.0, 1e15, 1e25, 1e36])
def test_gradients_of_any_size_are_clipped_to_the_norm(backend, scale):
    g = {"W": np.full((2, 2), 3.0 * scale), "b": np.array([-8.0 * scale])}
    start = tree.map(np.zeros_like, g)
    params, _ = descend(backend, ClipByGlobalNorm(SGD(1.0), 1.0), [g], start, "float32")
    np.testing.assert_allclose(vector(params), [-0.3, -0.3, -0.3, -0.3, 0.8], rtol=1e-6)


def test_gradients_below_the_norm_are_left_alone(backend):
    g = gradients_of_steps(1e-3)[:1]
    one, other = (
        descend(backend, optimizer, g)[0] for optimizer in (SGD(1.0), ClipByGlobalNorm(SGD(1.0), 1.0))
    )
    tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
    ("paths", "frozen"),
    [
        (("W",), {"W"}),
        (("W", "b"), {"W", "b"}),
        (("b",), {"b"}),
        (("*",), {"W", "b"}),
        ((), set()),
        (("[a-c]",), {"b"}),
    ],
)
def test_frozen_parameters_stay(paths, frozen):
    params, _ = descend(NUMPY, Freeze(AdamW(0.1), paths), gradients_of_steps())
    moved, _ = descend(NUMPY, AdamW(0.1), gradients_of_steps())
    for name in ("W", "b"):
        expected = PARAMS[name] if name in frozen else moved[name]
        np.testing.assert_array_equal(params[name], expected)


def test_frozen_parameters_stay_on_each_backend(backend):
    params, _ = descend(backend, Freeze(AdamW(0.1), ("W",)), gradients_of_steps())
    np.testing.assert_array_equal(params["W"], PARAMS["W"])
    assert (params["b"] != PARAMS["b"]).all()


def test_patterns_reach_into_a_model():
    params = ({"W": np.ones(2), "b": np.ones(2)}, {}, {"W": np.ones(2), "b": np.ones(2)})
    after, _ = descend(NUMPY, Freeze(SGD(1.0), ("*.b", "0.W")), [params], params)
    assert [leaf[0] for leaf in tree.leaves(after)] == [1.0, 1.0, 0.0, 1.0]


def test_a_path_that_matches_nothing_is_refused():
    with pytest.raises(ValueError, match="Freeze: the path 'w' matches none of the parameters W, b"):
        Freeze(SGD(), ("w",)).init(PARAMS)


def test_one_string_is_not_taken_for_many_patterns():
    """Letter by letter, ``*.b`` would freeze everything, as ``*`` does."""
    with pytest.raises((TypeError, ValueError), match="Freeze"):
        Freeze(SGD(), "*.b")  # type: ignore[arg-type]


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
        (lambda: AdamW(weight_decay=-0.1), "AdamW: .*weight_decay"),
        (lambda: ClipByGlobalNorm(SGD(), 0.0), "ClipByGlobalNorm: .*positive, finite max_norm, got 0.0"),
        (lambda: ClipByGlobalNorm(SGD(), math.inf), "max_norm"),
    ],
)
def test_wrong_hyperparameters_are_refused(make: Callable[[], Optimizer], message):
    with pytest.raises(ValueError, match=message):
        make()


def test_frozen_parameters_do_not_count_in_the_norm():
    params = {"W": np.zeros(1), "b": np.zeros(1)}
    gradients = {"W": np.array([1000.0]), "b": np.array([0.5])}
    after, _ = descend(NUMPY, Freeze(ClipByGlobalNorm(SGD(1.0), 1.0), ("W",)), [gradients], params)
    np.testing.assert_array_equal(after["b"], [-0.5])


def test_patterns_may_be_a_list():
    assert hash(Freeze(SGD(), ["*.b"])) == hash(Freeze(SGD(), ("*.b",)))  # type: ignore[arg-type]
