"""Normalizations: formulas, running statistics, masks, extreme inputs and errors."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from backends import Backend, Tree, get_backend, tree
from multinn import (
    SGD,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GroupNorm,
    Layer,
    LayerNorm,
    Masked,
    Masking,
    RMSNorm,
    Sequential,
    Tanh,
    Trainer,
)
from tests.support.layer_runs import draw, forward, training_key
from tests.support.small_runs import X, Y, assert_same_bits, fit, make_trainer

NORMALIZATIONS = [LayerNorm(), RMSNorm(), GroupNorm(1), BatchNorm()]
MODEL = Sequential([Dense(4), BatchNorm(0.8), Tanh(), Dense(2)])
RNG = np.random.default_rng(0)
SEQUENCES = RNG.normal(3.0, 2.0, (3, 4, 2))
LENGTHS = np.array([4, 1, 2])
MASK = np.arange(4) < LENGTHS[:, None]


def statistics(backend: Backend, batches: list[np.ndarray], layer: BatchNorm) -> Tree:
    """Return the state after training steps on these batches, on NumPy."""
    params, _ = draw(layer, batches[0].shape[1:])
    with backend.precision("float64"):
        params, state = backend.from_numpy((params, layer.init_state(params)))
        key = training_key(backend)

        def step(state: Tree, x: np.ndarray) -> Tree:
            _, cache = layer.forward(backend, params, x, key)
            return layer.next_state(backend, state, cache)

        compiled = backend.jit(step)
        for x in batches:
            state = compiled(state, backend.from_numpy(x))
        host: Tree = backend.to_numpy(state)
    return host


def layer_state(trainer: Trainer) -> Tree:
    """Return the state of the normalization in MODEL."""
    return trainer.backend.to_numpy(trainer.state.layer_state)[1]


@cache
def trained(backend: Backend | str) -> Trainer:
    """Return a trainer after two epochs in batches of 4, 4 and 2. Do not change it: it is cached."""
    return fit(make_trainer(backend, MODEL, optimizer=SGD(0.1)), 2)


def test_layer_norm_is_its_formula(backend):
    rng = np.random.default_rng(0)
    x, gamma, beta = rng.normal(3.0, 2.0, (2, 3, 5)), rng.normal(size=5), rng.normal(size=5)
    with backend.precision("float64"):
        y = forward(backend, LayerNorm(0.1), x, params={"gamma": gamma, "beta": beta})
    z = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.1)
    np.testing.assert_allclose(y, gamma * z + beta, rtol=1e-13)


def test_rms_norm_is_its_formula(backend):
    x, gamma = RNG.normal(3.0, 2.0, (2, 3, 5)), RNG.normal(size=5)
    with backend.precision("float64"):
        y = forward(backend, RMSNorm(0.1), x, params={"gamma": gamma})
    np.testing.assert_allclose(y, gamma * x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.1), rtol=1e-13)


@pytest.mark.parametrize("layer", [LayerNorm(), GroupNorm(2), BatchNorm()], ids=str)
def test_equal_inputs_give_zero(backend, layer):
    for value in (7.0, 1e15):
        x = np.full((2, 3, 4), value, np.float32)
        assert not forward(backend, layer, x, training_key(backend)).any()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_norm_is_layer_norm_over_the_numbers_of_a_group(backend, groups):
    images = RNG.normal(3.0, 2.0, (2, 3, 2, 4))
    with backend.precision("float64"):
        y = forward(backend, GroupNorm(groups), images)
        own = np.moveaxis(images.reshape(2, 6, groups, -1), 1, 2).reshape(2, groups, -1)
        expected = forward(backend, LayerNorm(), own)
    restored = np.moveaxis(expected.reshape(2, groups, 6, -1), 1, 2).reshape(images.shape)
    np.testing.assert_allclose(y, restored, rtol=1e-12, atol=1e-12)


def test_running_statistics_are_those_of_one_batch_after_one_step(backend):
    x = RNG.normal(3.0, 2.0, (5, 2))
    state = statistics(backend, [x], BatchNorm(0.99))
    np.testing.assert_allclose(state["mean"], x.mean(0))
    np.testing.assert_allclose(state["variance"], x.var(0, ddof=1))


def test_with_a_momentum_of_one_all_numbers_have_equal_weight(backend):
    batches = [RNG.normal(3.0, 2.0, (n, 2, 3)) for n in (4, 4, 1)]
    state = statistics(backend, batches, BatchNorm(1.0))
    np.testing.assert_allclose(state["mean"], np.concatenate(batches).mean((0, 1)))
    squares = sum(((x - x.mean((0, 1))) ** 2).sum((0, 1)) for x in batches)
    np.testing.assert_allclose(state["variance"], squares / (7 + 7 + 1))


def test_running_statistics_are_weighted_by_numbers_and_age(backend):
    batches = [RNG.normal(3.0, 2.0, (n, 3)) for n in (6, 6, 2)]
    state = statistics(backend, batches, BatchNorm(0.7))
    decay = 0.7 ** np.arange(2, -1, -1)
    n = np.array([6, 6, 2])
    means = np.average([x.mean(0) for x in batches], axis=0, weights=decay * n)
    np.testing.assert_allclose(state["mean"], means)
    variances = [x.var(0, ddof=1) for x in batches]
    expected = np.average(variances, axis=0, weights=decay * (n - 1))
    np.testing.assert_allclose(state["variance"], expected)


def test_a_single_number_has_a_mean_and_no_variance(backend):
    many, one = RNG.normal(3.0, 2.0, (6, 2)), RNG.normal(3.0, 2.0, (1, 2))
    before, after = (statistics(backend, x, BatchNorm()) for x in ([many], [many, one]))
    assert (before["mean"] != after["mean"]).all()
    np.testing.assert_array_equal(before["variance"], after["variance"])
    first = statistics(backend, [one], BatchNorm())
    np.testing.assert_array_equal(first["mean"], one[0])
    np.testing.assert_array_equal(first["variance"], [1.0, 1.0])


def test_a_batch_of_only_padding_changes_no_statistics(backend):
    layer = BatchNorm()
    params, _ = draw(layer, (4, 2))
    with backend.precision("float64"):
        x, nowhere = backend.from_numpy((SEQUENCES, np.zeros((3, 4), bool)))
        params, state = backend.from_numpy((params, layer.init_state(params)))
        y, cache = layer.forward(backend, params, Masked(x, nowhere), training_key(backend))
        after = backend.to_numpy(layer.next_state(backend, state, cache))
        assert not backend.to_numpy(y.values).any()
    tree.map(np.testing.assert_array_equal, after, layer.init_state(params))


@pytest.mark.parametrize("layer", [BatchNorm(), GroupNorm(2)], ids=str)
def test_padding_changes_nothing(backend, layer):
    """A padded sequence gives the same outputs as the sequence without padding."""
    params, _ = draw(layer, (4, 4))
    x = RNG.normal(3.0, 2.0, (1, 4, 4))
    padded = np.concatenate([x, np.full((1, 3, 4), 1e30)], axis=1)
    mask = np.arange(7)[None] < 4
    with backend.precision("float64"):
        params, masked, plain = backend.from_numpy((params, Masked(padded, mask), x))
        key = training_key(backend)
        y = backend.to_numpy(layer.forward(backend, params, masked, key)[0].values)
        expected = backend.to_numpy(layer.forward(backend, params, plain, key)[0])
    np.testing.assert_allclose(y[:, :4], expected, rtol=1e-12)
    assert not y[:, 4:].any()


def test_a_masked_fit_leaves_padding_out_of_the_statistics(backend):
    x = (SEQUENCES * MASK[..., None]).astype(np.float32)
    trainer = make_trainer(backend, Sequential([Masking(), BatchNorm()]), optimizer=SGD(0.0))
    trainer.fit(x, x, epochs=1, progress=False)
    np.testing.assert_allclose(layer_state(trainer)["mean"], x[MASK].mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer_state(trainer)["variance"], x[MASK].var(0, ddof=1), rtol=1e-5)
    np.testing.assert_array_equal(trainer.predict(x)[~MASK], 0.0)


def test_a_prediction_uses_the_running_statistics(backend):
    trainer = trained(backend)
    first, norm, _, last = backend.to_numpy(trainer.params)
    state = layer_state(trainer)
    hidden = X @ first["W"] + first["b"]
    z = (hidden - state["mean"]) / np.sqrt(state["variance"] + 1e-5)
    expected = np.tanh(norm["gamma"] * z + norm["beta"]) @ last["W"] + last["b"]
    np.testing.assert_allclose(trainer.predict(X), expected, rtol=1e-4, atol=1e-5)


def test_a_prediction_in_batches_is_the_prediction_at_once(backend):
    trainer = trained(backend)
    whole = trainer.predict(X)
    np.testing.assert_allclose(trainer.predict(X, batch_size=3), whole, rtol=1e-6)
    np.testing.assert_allclose(np.concatenate([trainer.predict(x[None]) for x in X]), whole, rtol=1e-6)
    losses = [trainer.evaluate(X, Y, batch_size=size)["loss"] for size in (3, 1024)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_a_prediction_leaves_the_state_unchanged():
    trainer = trained("numpy")
    before = tree.map(np.copy, layer_state(trainer))
    trainer.predict(X)
    trainer.evaluate(X, Y)
    tree.map(np.testing.assert_array_equal, layer_state(trainer), before)


def test_batches_of_one_can_be_trained_on(backend):
    trainer = fit(make_trainer(backend, MODEL), 1, batch_size=1)
    np.testing.assert_array_equal(layer_state(trainer)["variance"], 1.0)
    assert np.isfinite(trainer.predict(X)).all()


def test_running_statistics_are_the_same_on_all_backends(backend):
    reference = trained("numpy:eager")
    trainer = trained(backend)
    for one, other in zip(
        tree.leaves(layer_state(trainer)), tree.leaves(layer_state(reference)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_compiled_numpy_trains_to_the_same_bits():
    images = RNG.normal(size=(10, 5, 4, 2)).astype(np.float32)
    model = Sequential(
        [Conv2D(4, 2), BatchNorm(), Tanh(), GroupNorm(2), AveragePool2D(), Flatten(), Dense(2)]
    )
    one, other = (fit(make_trainer(name, model), 2, x=images) for name in ("numpy", "numpy:eager"))
    assert_same_bits(one, other)
    tree.map(np.testing.assert_array_equal, one.state.layer_state, other.state.layer_state)


@pytest.mark.parametrize("layer", [BatchNorm(), GroupNorm(2), LayerNorm(), RMSNorm()], ids=str)
def test_images_keep_their_memory_layout(layer):
    images = RNG.normal(size=(4, 3, 3, 2)).transpose(3, 1, 2, 0)  # the layout between layers
    backend = get_backend("numpy:eager")
    params, _ = draw(layer, images.shape[1:])
    y, cache = layer.forward(backend, params, images, training_key(backend))
    dx, _ = layer.backward(backend, params, cache, images)
    assert y.strides == dx.strides == images.strides


@pytest.mark.parametrize("layer", NORMALIZATIONS, ids=lambda layer: type(layer).__name__)
def test_a_normalization_does_not_depend_on_the_scale(backend, layer):
    rows = np.array([[-1.0, 0.0, 2.0], [3.0, 1.0, -2.0]], np.float32)
    tiny, key = replace(layer, epsilon=1e-30), training_key(backend)
    expected = forward(get_backend("numpy"), tiny, rows, training_key(get_backend("numpy")))
    for size in (1e-3, 1e15):
        y = forward(backend, tiny, rows * np.float32(size), key)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_batch_norm_without_a_state_cannot_infer(backend):
    params, _ = draw(BatchNorm(), (3,))
    with pytest.raises(ValueError, match="BatchNorm: expected a state at inference, got none; call"):
        BatchNorm().forward(backend, params, backend.from_numpy(np.ones((2, 3), np.float32)))


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    "make",
    [
        LayerNorm,
        RMSNorm,
        lambda epsilon: BatchNorm(epsilon=epsilon),
        lambda epsilon: GroupNorm(1, epsilon),
    ],
    ids=["LayerNorm", "RMSNorm", "BatchNorm", "GroupNorm"],
)
def test_epsilon_is_positive(make, epsilon):
    with pytest.raises(ValueError, match=f"Norm: expected a positive, finite epsilon, got {epsilon}"):
        make(epsilon)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, math.nan])
def test_momentum_is_between_0_and_1(momentum):
    message = rf"BatchNorm: expected a momentum in \[0, 1\], got {momentum}"
    with pytest.raises(ValueError, match=message):
        BatchNorm(momentum)


@pytest.mark.parametrize("groups", [0, -1, 1.5, "two"])
def test_groups_are_a_positive_integer(groups):
    with pytest.raises(ValueError, match="GroupNorm: expected groups of at least 1, got"):
        GroupNorm(groups)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (LayerNorm(), (), r"LayerNorm: expected inputs of shape \(batch, ..., features\)"),
        (RMSNorm(), (3, 0), r"RMSNorm: expected inputs .* got \('batch', 3, 0\)"),
        (LayerNorm(axes=2), (3,), r"LayerNorm: expected inputs with 2 axes .* got \('batch', 3\)"),
        (RMSNorm(axes=3), (2, 0, 3), r"RMSNorm: expected inputs with 3 axes .* each of length 1"),
        (BatchNorm(), (), r"BatchNorm: expected inputs of shape \(batch, ..., features\)"),
        (GroupNorm(2), (), r"GroupNorm: expected inputs of shape \(batch, ..., features\)"),
        (
            GroupNorm(4),
            (5, 6),
            "GroupNorm: expected channels divisible by 4 groups, got 6 .* divisor of 6",
        ),
        (GroupNorm(6), (6,), "GroupNorm: expected groups of more than one number"),
    ],
    ids=str,
)
def test_inputs_of_invalid_shape_raise(layer: Layer, shape, message):
    with pytest.raises(ValueError, match=message):
        draw(layer, shape)
