"""Gradients of a trainer's loss, with respect to parameters and to inputs."""

import numpy as np
import pytest

from backends import get_backend, tree
from multinn import (
    SGD,
    BatchNorm,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Examples,
    ExponentialMovingAverage,
    Flatten,
    HalfSquaredError,
    Heads,
    MeanSquaredError,
    NotInitializedError,
    Parallel,
    Select,
    Sequential,
    SoftmaxCrossEntropy,
    Trainer,
    random,
    value_and_gradients,
)
from tests.support.small_runs import CLASSES, MODEL, PLAIN, WEIGHTS, X, Y, fit, host, make_trainer

LOSSES = [MeanSquaredError(), HalfSquaredError()]


def close(got, expected, tolerance=1e-12):
    tree.map(
        lambda g, e: np.testing.assert_allclose(g, e, rtol=tolerance, atol=tolerance), got, expected
    )


def started(backend="numpy", model=PLAIN, loss=None, **keywords) -> Trainer:
    trainer = make_trainer(
        backend, model, loss, **{"dtype": "float64", "optimizer": SGD(1.0)} | keywords
    )
    trainer.initialize((3,))
    return trainer


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
def test_the_gradients_are_those_of_a_step(backend, loss, weights):
    trainer = started(backend, loss=loss)
    before = host(trainer)[0]
    gradients = trainer.gradients(X, Y, weights=weights, batch_size=4)
    trainer.fit(X, Y, epochs=1, batch_size=10, weights=weights, progress=False)
    close(tree.map(np.subtract, before, host(trainer)[0]), gradients)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_input_gradients_are_those_of_central_differences(loss):
    trainer = started(loss=loss)
    gradient = trainer.input_gradients(X, Y, weights=WEIGHTS, batch_size=4)
    assert gradient.shape == X.shape
    assert gradient.dtype == np.float64
    for row, column in [(0, 0), (3, 1), (9, 2)]:
        step = np.zeros(X.shape)
        step[row, column] = 1e-5
        up, down = (trainer.evaluate(X + s, Y, weights=WEIGHTS)["loss"] for s in (step, -step))
        assert gradient[row, column] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-9)


def test_gradients_are_computed_at_inference():
    model = Sequential([Dense(4), BatchNorm(), Dropout(0.5), Dense(2)])
    trainer = fit(make_trainer(model=model, dtype="float64"), 1)
    whole, parts = (trainer.gradients(X, Y, batch_size=size) for size in (10, 3))
    close(parts, whole)  # statistics of batches would differ
    b = host(trainer)[0][3]["b"]
    moved = tree.map(np.copy, host(trainer)[0])
    moved[3]["b"][0] = b[0] + 1e-5
    loss = trainer.evaluate(X, Y)["loss"]
    state = trainer.backend.to_numpy(trainer.state.layer_state)
    trainer.initialize((3,), params=moved, layer_state=state)
    assert (trainer.evaluate(X, Y)["loss"] - loss) / 1e-5 == pytest.approx(whole[3]["b"][0], rel=1e-3)


def test_input_gradients_use_the_parameters_that_predict_uses():
    """The parameters of an average, not those of the last step."""
    trainer = fit(make_trainer(model=PLAIN, optimizer=ExponentialMovingAverage(SGD(0.5), 0.9)), 2)
    averaged = started(dtype="float32")
    averaged.initialize((3,), params=trainer.backend.to_numpy(trainer.inference_parameters))
    close(trainer.input_gradients(X, Y), averaged.input_gradients(X, Y), 1e-6)
    assert np.abs(trainer.gradients(X, Y)[0]["W"] - averaged.gradients(X, Y)[0]["W"]).max() > 1e-4


def test_what_has_weight_0_has_no_gradient():
    trainer = started()
    x = X.astype(np.float64)
    x[WEIGHTS == 0] = 1e300  # squares overflow
    gradient = trainer.input_gradients(x, Y, weights=WEIGHTS)
    assert (gradient[WEIGHTS == 0] == 0).all()
    assert np.isfinite(gradient).all()
    close(trainer.gradients(x, Y, weights=WEIGHTS), trainer.gradients(X, Y, weights=WEIGHTS))


def test_each_of_several_inputs_has_a_gradient():
    city = Sequential([Select("city"), Embedding(5, 2), Flatten()])
    model = Sequential([Concatenate([Select("numbers"), city]), Dense(2)])
    trainer = Trainer(model, MeanSquaredError(), SGD(0.1), backend="numpy", dtype="float64")
    x = {"numbers": X, "city": np.arange(10).reshape(10, 1) % 5}
    trainer.fit(x, Y, epochs=1, progress=False)
    gradient = trainer.input_gradients(x, Y, batch_size=4)
    assert {name: leaf.shape for name, leaf in gradient.items()} == {"numbers": (10, 3), "city": (10, 1)}
    assert (gradient["city"] == 0).all()
    W = host(trainer)[0][1]["W"]
    close(gradient["numbers"], 2.0 * (trainer.predict(x) - Y) / 20.0 @ W[:3].T)


def test_heads_count_by_their_own_weights_in_chunks_of_any_size():
    model = Parallel({"number": Dense(2), "kind": Dense(2)})
    loss = Heads({"number": MeanSquaredError(), "kind": SoftmaxCrossEntropy()})
    trainer = started(model=model, loss=loss)
    y, weights = {"number": Y, "kind": CLASSES}, {"number": WEIGHTS, "kind": np.arange(10.0)}
    before = host(trainer)[0]
    whole, parts = (trainer.gradients(X, y, weights=weights, batch_size=size) for size in (10, 4))
    close(parts, whole)
    trainer.fit(X, y, epochs=1, batch_size=10, weights=weights, progress=False)
    close(tree.map(np.subtract, before, host(trainer)[0]), whole)


def test_gradients_have_the_form_of_the_parameters():
    trainer = started(dtype="float32")
    gradients = trainer.gradients(X, Y)
    tree.map(
        lambda g, p: np.testing.assert_equal((g.shape, g.dtype), (p.shape, p.dtype)),
        gradients,
        host(trainer)[0],
    )


@pytest.mark.parametrize("method", ["gradients", "input_gradients"])
def test_errors_are_those_of_evaluate(method):
    trainer = make_trainer(model=PLAIN)
    with pytest.raises(NotInitializedError, match="no parameters yet"):
        getattr(trainer, method)(X, Y)
    trainer.initialize((3,))
    with pytest.raises(ValueError, match="x: expected examples of shape"):
        getattr(trainer, method)(X[:, :2], Y)
    with pytest.raises(ValueError, match="y: expected 10 rows"):
        getattr(trainer, method)(X, Y[:3])
    with pytest.raises(ValueError, match="weights: expected"):
        getattr(trainer, method)(X, Y, weights=np.zeros(10))


@pytest.mark.parametrize("name", ["numpy", "jax", "torch"])
def test_a_pair_is_checked_and_gives_numpy_arrays(name):
    if name == "torch":
        pytest.importorskip("torch")
    params, _ = PLAIN.init(np.random.default_rng(0), (3,))
    value, outputs, gradients = value_and_gradients(
        name, PLAIN, SoftmaxCrossEntropy(), params, (X.tolist(), CLASSES.tolist(), WEIGHTS)
    )
    trainer = started(loss=SoftmaxCrossEntropy())
    trainer.initialize((3,), params=params)
    assert value == pytest.approx(trainer.evaluate(X, CLASSES, weights=WEIGHTS)["loss"], rel=1e-6)
    close(outputs, trainer.predict(X.tolist()), 1e-6)
    close(gradients, trainer.gradients(X.tolist(), CLASSES, weights=WEIGHTS))
    assert {str(leaf.dtype) for leaf in tree.leaves((value, outputs, gradients))} == {"float64"}
    assert all(isinstance(leaf, np.ndarray) for leaf in tree.leaves(gradients))


def test_a_pair_is_computed_in_the_dtype_of_the_parameters():
    params = tree.map(np.float32, PLAIN.init(np.random.default_rng(0), (3,))[0])
    _, outputs, _ = value_and_gradients("jax", PLAIN, MeanSquaredError(), params, (X, Y))
    assert outputs.dtype == np.float32


def test_a_key_trains():
    params, _ = MODEL.init(np.random.default_rng(0), (3,))
    key = random.Key(random.step_words(0, 0, 1)[0])
    results = [
        value_and_gradients(name, MODEL, MeanSquaredError(), params, (X, Y), key)[1]
        for name in ("numpy", "jax")
    ]
    close(*results)
    inference = value_and_gradients("numpy", MODEL, MeanSquaredError(), params, (X, Y))[1]
    assert np.abs(results[0] - inference).max() > 0.01


def test_examples_are_arrays_of_the_backend():
    backend = get_backend("jax")
    params = backend.from_numpy(tree.map(np.float32, PLAIN.init(np.random.default_rng(0), (3,))[0]))
    examples = backend.from_numpy(Examples(X, Y))
    value, _, _ = value_and_gradients(backend, PLAIN, MeanSquaredError(), params, examples)
    assert type(value) is type(examples.x)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (X, r"examples: expected \(x, y\)"),
        ((X, Y[:3]), "y: expected 10 rows"),
        ((X[:, :2], Y), r"parameter 0\.W: expected shape \(2, 4\)"),
        ((X, Y, -WEIGHTS), "weights: expected 0 or more"),
        ((X * np.nan, Y), "x: expected finite numbers"),
    ],
)
def test_a_pair_that_does_not_fit_raises(examples, message):
    params, _ = PLAIN.init(np.random.default_rng(0), (3,))
    with pytest.raises(ValueError, match=message):
        value_and_gradients("numpy", PLAIN, MeanSquaredError(), params, examples)
