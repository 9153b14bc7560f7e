"""Optimizers that wrap another optimizer."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from backends import Backend, Tree, tree
from multinn import (
    SGD,
    AccumulateGradients,
    Adam,
    AdamW,
    ClipByGlobalNorm,
    Dense,
    ExponentialMovingAverage,
    Freeze,
    MeanSquaredError,
    Optimizer,
    Sequential,
    Tanh,
    Trainer,
)
from multinn.optimizers.base import global_norm
from tests.support.optimizer_formulas import adam, always, averages
from tests.support.optimizer_runs import NUMPY, PARAMS, descend, gradients_of_steps, vector

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 2))
MODEL = Sequential([Dense(4), Tanh(), Dense(2)])


def trained(
    optimizer: Optimizer, batch_size: int, epochs: int = 3, backend: Backend = NUMPY, examples: int = 24
) -> Trainer:
    trainer = Trainer(MODEL, MeanSquaredError(), optimizer, backend=backend, dtype="float64")
    x, y = X[:examples], Y[:examples]
    trainer.fit(x, y, epochs=epochs, batch_size=batch_size, shuffle=False, progress=False)
    return trainer


def assert_equal(one: Tree, other: Tree) -> None:
    tree.map(np.testing.assert_array_equal, one, other)


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


def test_a_path_of_a_layer_is_not_taken_for_its_parameters():
    params = ({"W": np.ones(2), "b": np.ones(2)}, {"W": np.ones(2)})
    expected = r"'0' matches none of the parameters 0.W, 0.b, 1.W; write '0.\*' for 0.W, 0.b"
    with pytest.raises(ValueError, match=expected):
        Freeze(SGD(), ("0",)).init(params)


def test_one_string_is_not_taken_for_many_patterns():
    """Letter by letter, ``*.b`` would freeze everything, as ``*`` does."""
    with pytest.raises((TypeError, ValueError), match="Freeze"):
        Freeze(SGD(), "*.b")  # type: ignore[arg-type]


def test_frozen_parameters_do_not_count_in_the_norm():
    params = {"W": np.zeros(1), "b": np.zeros(1)}
    gradients = {"W": np.array([1000.0]), "b": np.array([0.5])}
    after, _ = descend(NUMPY, Freeze(ClipByGlobalNorm(SGD(1.0), 1.0), ("W",)), [gradients], params)
    np.testing.assert_array_equal(after["b"], [-0.5])


def test_patterns_may_be_a_list():
    assert hash(Freeze(SGD(), ["*.b"])) == hash(Freeze(SGD(), ("*.b",)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClipByGlobalNorm(SGD(), 0.0), "ClipByGlobalNorm: .*positive, finite max_norm, got 0.0"),
        (lambda: ClipByGlobalNorm(SGD(), math.inf), "max_norm"),
        (lambda: AccumulateGradients(SGD(), 0), "AccumulateGradients: .*steps of at least 1, got 0"),
        (lambda: AccumulateGradients(SGD(), 2.0), "AccumulateGradients: .*got 2.0"),  # type: ignore[arg-type]
        (lambda: ExponentialMovingAverage(SGD(), 1.0), r"ExponentialMovingAverage: .*decay in \[0, 1\)"),
        (lambda: ExponentialMovingAverage(SGD(), -0.1), "ExponentialMovingAverage: .*decay"),
    ],
)
def test_wrong_hyperparameters_are_refused(make: Callable[[], Optimizer], message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ClipByGlobalNorm, 1.0),
        (Freeze, ("*.b",)),
        (AccumulateGradients, 2),
        (ExponentialMovingAverage, 0.9),
    ],
)
def test_only_optimizers_can_be_wrapped(kind, value):
    with pytest.raises(TypeError, match=f"{kind.__name__}: expected an optimizer .*, got 0.1"):
        kind(0.1, value)


def test_parameters_stay_until_the_gradients_are_complete(backend):
    gradients = gradients_of_steps()
    optimizer = AccumulateGradients(AdamW(0.1), 3)
    params, state = descend(backend, optimizer, gradients[:2])
    assert_equal(params, PARAMS)
    assert state["count"] == [2]
    params, state = descend(backend, optimizer, gradients[:3])
    assert (vector(params) != vector(PARAMS)).all()
    assert state["count"] == [0]
    assert not vector(state["sum"]).any()


def test_gradients_of_an_incomplete_mean_stay_in_the_state():
    *whole, rest = gradients_of_steps()[:4]
    _, state = descend(NUMPY, AccumulateGradients(SGD(0.1), 3), [*whole, rest])
    assert_equal(state["sum"], rest)


def test_gradients_that_overflow_the_optimizer_before_the_mean_is_complete_are_harmless():
    """The update is computed at each step, also where it is not used."""
    huge = tree.map(lambda leaf: np.full_like(leaf, 1e38), PARAMS)
    gradients = [huge, tree.map(np.negative, huge)]
    params, _ = descend(NUMPY, AccumulateGradients(Adam(), 2), gradients, dtype="float32")
    assert_equal(params, tree.map(np.float32, PARAMS))


def test_accumulation_over_one_step_changes_nothing():
    one, other = (trained(o, 4).params for o in (AccumulateGradients(Adam(0.1), 1), Adam(0.1)))
    assert_equal(one, other)


def test_accumulated_batches_are_one_large_batch(backend):
    small = trained(AccumulateGradients(Adam(0.1), 4), 3, backend=backend)
    large = trained(Adam(0.1), 12)
    tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-12, atol=1e-14),
        backend.to_numpy((small.params, small.optimizer_state["optimizer"])),
        (large.params, large.optimizer_state),
    )


def test_accumulation_goes_on_in_the_next_fit():
    once, twice = (trained(AccumulateGradients(SGD(0.1), 4), 4, e) for e in (2, 1))
    twice.fit(X, Y, epochs=1, batch_size=4, shuffle=False, progress=False)
    assert_equal(once.params, twice.params)


@pytest.mark.parametrize("steps", [1, 2, 20])
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_the_average_is_that_of_the_formula(steps, decay):
    gradients = gradients_of_steps()[:steps]
    _, state = descend(NUMPY, ExponentialMovingAverage(Adam(0.1), decay), gradients)
    reference = adam(always(0.1), 0.9, 0.999, 1e-8)
    expected = averages(reference, decay, vector(PARAMS), [vector(g) for g in gradients])
    np.testing.assert_allclose(vector(state["average"]), expected, rtol=1e-12, atol=1e-13)


def test_the_average_on_each_backend(backend):
    optimizer = ExponentialMovingAverage(SGD(0.1), 0.9)
    _, state = descend(backend, optimizer, gradients_of_steps())
    _, expected = descend(NUMPY, optimizer, gradients_of_steps())
    np.testing.assert_allclose(vector(state["average"]), vector(expected["average"]), rtol=1e-14)


def test_averaging_leaves_training_alone():
    one, other = (trained(o, 5).params for o in (ExponentialMovingAverage(Adam(0.1), 0.9), Adam(0.1)))
    assert_equal(one, other)


def test_optimizers_use_the_trained_parameters_at_inference():
    assert Adam().inference_parameters(NUMPY, Adam().init(PARAMS), PARAMS) is PARAMS


AVERAGE = ExponentialMovingAverage(SGD(0.1), 0.9)


@pytest.mark.parametrize(
    "optimizer",
    [
        AVERAGE,
        ClipByGlobalNorm(AVERAGE, 1e9),
        Freeze(AVERAGE, ()),
        AccumulateGradients(AVERAGE, 1),
        AccumulateGradients(Freeze(ClipByGlobalNorm(AVERAGE, 1e9), ()), 1),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_wrappers_pass_on_the_average(optimizer):
    params, state = descend(NUMPY, optimizer, gradients_of_steps())
    _, expected = descend(NUMPY, AVERAGE, gradients_of_steps())
    assert_equal(optimizer.inference_parameters(NUMPY, state, params), expected["average"])


def test_frozen_parameters_stay_at_inference():
    """The average includes the weight decay of the inner optimizer, which freezing undoes."""
    optimizer = Freeze(ExponentialMovingAverage(AdamW(0.1, weight_decay=0.5), 0.9), ("W",))
    params, state = descend(NUMPY, optimizer, gradients_of_steps())
    averaged = optimizer.inference_parameters(NUMPY, state, params)
    np.testing.assert_array_equal(averaged["W"], PARAMS["W"])
    np.testing.assert_array_equal(averaged["b"], state["average"]["b"])


def test_a_trainer_evaluates_predicts_and_validates_with_the_average(backend):
    optimizer = ExponentialMovingAverage(Adam(0.1), 0.9)
    trainer = Trainer(MODEL, MeanSquaredError(), optimizer, backend=backend, dtype="float64")
    history = trainer.fit(X, Y, epochs=3, batch_size=8, validation_data=(X, Y), progress=False)
    average = backend.to_numpy(trainer.inference_parameters)
    assert_equal(average, backend.to_numpy(trainer.optimizer_state["average"]))
    plain = Trainer(MODEL, MeanSquaredError(), backend=backend, dtype="float64")
    plain.initialize((3,), params=average)
    np.testing.assert_array_equal(trainer.predict(X), plain.predict(X))
    assert trainer.evaluate(X, Y) == plain.evaluate(X, Y)
    assert history[-1]["validation_loss"] == plain.evaluate(X, Y)["loss"]


def test_before_the_first_step_the_average_is_the_parameters():
    trainer = Trainer(MODEL, MeanSquaredError(), ExponentialMovingAverage(Adam()), backend=NUMPY)
    assert trainer.inference_parameters is None
    trainer.initialize((3,))
    assert_equal(trainer.inference_parameters, trainer.params)
