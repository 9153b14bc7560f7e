"""Heads that share no layer train as models of their own: with their losses, weights and metrics."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multinn import (
    F1,
    R2,
    SGD,
    BinaryCrossEntropy,
    Dense,
    EarlyStopping,
    Heads,
    Loss,
    MeanSquaredError,
    OfHead,
    Parallel,
    ShuffledBatches,
    Trainer,
    accuracy,
    binary_accuracy,
)
from tests.support.small_runs import assert_same_bits

GENERATOR = np.random.default_rng(8)
X = GENERATOR.normal(size=(11, 3))
Y = {"price": GENERATOR.normal(size=(11, 2)), "sold": GENERATOR.integers(0, 2, (11, 1))}
LOSSES: dict[str, Loss] = {"price": MeanSquaredError(), "sold": BinaryCrossEntropy()}
MODELS = {"price": Dense(2), "sold": Dense(1)}
PARAMS = {
    "price": {"W": GENERATOR.normal(size=(3, 2)), "b": np.zeros(2)},
    "sold": {"W": GENERATOR.normal(size=(3, 1)), "b": np.zeros(1)},
}
COEFFICIENTS = {"price": 1.0, "sold": 0.5}
METRICS = {"price": R2(), "sold": binary_accuracy}
WEIGHTS: dict[str, Any] = {
    "none": None,
    "examples": np.array([1.0, 2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 3.0, 1.0, 1.0]),
    "heads": {
        "price": np.array([1.0, 0.0, 2.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0]),
        "sold": np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 4.0]),
    },
    "targets": {"price": GENERATOR.integers(0, 3, (11, 2)), "sold": GENERATOR.integers(0, 3, (11, 1))},
}


def trainer_of_heads(backend: Any, metrics: bool = True) -> Trainer:
    trainer = Trainer(
        Parallel(MODELS),
        Heads(LOSSES, COEFFICIENTS),
        SGD(0.3),
        metrics={f"{key}_metric": OfHead(key, METRICS[key]) for key in METRICS} if metrics else {},
        backend=backend,
        dtype="float64",
    )
    trainer.initialize((3,), tuple(PARAMS.values()))
    return trainer


def trainer_of_one(key: str, backend: Any) -> Trainer:
    """Return a trainer of one head, with its coefficient as a factor of the learning rate."""
    optimizer = SGD(0.3 * COEFFICIENTS[key])
    metrics = {"metric": METRICS[key]}
    trainer = Trainer(
        MODELS[key], LOSSES[key], optimizer, metrics=metrics, backend=backend, dtype="float64"
    )
    trainer.initialize((3,), PARAMS[key])
    return trainer


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_each_head_is_a_model_of_its_own(backend, weights):
    heads = trainer_of_heads(backend)
    settings = {"epochs": 3, "batch_size": 4, "progress": False}
    history = heads.fit(X, Y, weights=weights, **settings)
    evaluated = heads.evaluate(X, Y, weights=weights, batch_size=4)
    total = np.zeros(3)
    for index, key in enumerate(MODELS):
        own = weights[key] if isinstance(weights, dict) else weights
        one = trainer_of_one(key, backend)
        expected = one.fit(X, Y[key], weights=own, **settings)
        for name in ("W", "b"):
            found, alone = (backend.to_numpy(p[name]) for p in (heads.params[index], one.params))
            np.testing.assert_allclose(found, alone, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(history[f"loss_{key}"], expected["loss"], rtol=1e-12)
        np.testing.assert_allclose(history[f"{key}_metric"], expected["metric"], rtol=1e-12)
        alone = one.evaluate(X, Y[key], weights=own, batch_size=4)
        assert evaluated[f"loss_{key}"] == pytest.approx(alone["loss"], rel=1e-12)
        assert evaluated[f"{key}_metric"] == pytest.approx(alone["metric"], rel=1e-12)
        np.testing.assert_allclose(heads.predict(X)[key], one.predict(X), rtol=1e-12)
        total += COEFFICIENTS[key] * np.array(expected["loss"])
    np.testing.assert_allclose(history["loss"], total, rtol=1e-12)
    assert list(history[0]) == [
        "epoch",
        "loss",
        "loss_price",
        "loss_sold",
        "price_metric",
        "sold_metric",
    ]


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_batches_are_those_of_fit(weights):
    trainer, other = trainer_of_heads("numpy"), trainer_of_heads("numpy")
    trainer.fit(X, Y, epochs=2, batch_size=4, weights=weights, progress=False)
    batches = ShuffledBatches(X, Y, weights, batch_size=4)
    other.fit_batches(batches, epochs=2, progress=False, validation_data=(X, Y))
    assert_same_bits(trainer, other)
    assert "validation_loss_sold" in other.history[-1]


def test_a_checkpoint_continues_with_the_same_bits(tmp_path: Path):
    trainer = trainer_of_heads("numpy")
    trainer.fit(X, Y, epochs=1, batch_size=4, weights=WEIGHTS["heads"], progress=False)
    trainer.save(tmp_path / "run.safetensors")
    loaded = Trainer.load(tmp_path / "run.safetensors", "numpy")
    for each in (trainer, loaded):
        each.fit(X, Y, epochs=1, batch_size=4, weights=WEIGHTS["heads"], progress=False)
    assert_same_bits(trainer, loaded)
    assert loaded.history == trainer.history


@pytest.mark.parametrize("wrong", [1e308, -1e308])
def test_nothing_depends_on_a_target_of_weight_0(wrong):
    left_out = WEIGHTS["heads"]["price"] == 0
    other = Y | {"price": np.where(left_out[:, None], wrong, Y["price"])}
    runs = [trainer_of_heads("numpy", metrics=False) for _ in range(2)]
    for trainer, targets in zip(runs, (Y, other), strict=True):
        trainer.fit(X, targets, epochs=2, batch_size=4, weights=WEIGHTS["heads"], progress=False)
    assert_same_bits(*runs)


@pytest.mark.parametrize(
    ("y", "weights", "message"),
    [
        (Y["price"], None, "y: expected a dict with the keys 'price', 'sold', .* got one array"),
        ({"price": Y["price"]}, None, "y: expected a dict with the keys 'price', 'sold'"),
        (Y | {"sold": Y["sold"][:9]}, None, r"y\['sold'\]: expected 11 rows"),
        (Y | {"sold": Y["sold"] + 1}, None, r"y\['sold'\]: BinaryCrossEntropy: expected targets in"),
        (
            [Y["sold"], Y["sold"]],
            None,
            "y: expected 11 rows, .* 2; several arrays are a tuple or a dict",
        ),
        (Y, {"price": np.ones(11)}, r"weights: .*'price', 'sold'.*numpy.ones\(examples\)"),
        (Y, {"price": np.ones(11), "sold": np.ones(10)}, r"weights\['sold'\]: expected 11 rows"),
        (Y, {"price": np.ones(11), "sold": np.zeros(11)}, r"weights\['sold'\]: .* only zeros"),
        (Y, {"price": np.ones((11, 3)), "sold": np.ones(11)}, r"weights\['price'\]: expected shape"),
    ],
)
def test_an_error_names_the_head(y, weights, message):
    trainer = trainer_of_heads("numpy")
    with pytest.raises(ValueError, match=message):
        trainer.fit(X, y, weights=weights, epochs=1, progress=False)
    assert trainer.step == 0


def test_a_metric_must_not_have_the_name_of_the_loss_of_a_head():
    with pytest.raises(ValueError, match="'loss_price' is reserved"):
        Trainer(Parallel(MODELS), Heads(LOSSES), metrics={"loss_price": OfHead("price", R2())})


@pytest.mark.parametrize(
    "metric", [accuracy, binary_accuracy, F1(), F1("macro"), R2(), MeanSquaredError().value]
)
def test_a_metric_of_one_array_says_how_to_measure_one_output(metric):
    trainer = trainer_of_heads("numpy:eager", metrics=False)
    trainer.metrics = {"metric": metric}
    trainer.initialize((3,))
    with pytest.raises(ValueError, match=r": expected one array .* keys 'price', 'sold'; use OfHead"):
        trainer.evaluate(X, Y)


def test_the_loss_of_a_head_is_better_if_it_is_smaller():
    stopping = EarlyStopping("validation_loss_price", patience=1)
    trainer = trainer_of_heads("numpy:eager", metrics=False)
    trainer.optimizer = SGD(30.0)  # the loss rises
    history = trainer.fit(X, Y, epochs=9, validation_data=(X, Y), callbacks=[stopping], progress=False)
    assert history.stopped
    assert len(history) == 2
