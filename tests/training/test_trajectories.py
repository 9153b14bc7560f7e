"""The same seed gives the same run on every backend, to the bit where promised, else to rounding."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from backends import Backend, Tree, get_backend, tree
from multinn import (
    ELU,
    GELU,
    LAMB,
    SGD,
    AccumulateGradients,
    Adagrad,
    Adam,
    AdamW,
    Add,
    BinaryCrossEntropy,
    ClipByGlobalNorm,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    ExponentialMovingAverage,
    Flatten,
    Heads,
    LayerNorm,
    LeakyReLU,
    Loss,
    MeanSquaredError,
    MultiHeadAttention,
    Optimizer,
    Parallel,
    PositionEmbedding,
    RMSProp,
    Select,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    SoftmaxCrossEntropy,
    Softplus,
    Tanh,
    Trainer,
)
from multinn.schedules import CosineDecay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
CLASSES = (X[:, 0] * X[:, 1] > 0.0).astype(int) + (X[:, 2] > 1.0)
TARGETS = np.sin(X[:, :3])

SMOOTH = Sequential([Dense(6), Tanh(), LayerNorm(), Dropout(0.2), Dense(6), GELU(), Dense(3)])
CURVED = Sequential(
    [
        Dense(5),
        SiLU(),
        Dropout(0.5),
        Sequential([Dense(5), Softplus(), Dropout(0.1)]),
        Dense(3),
        Sigmoid(),
    ]
)
KINKED = Sequential([Dense(6), LeakyReLU(), Dense(6), ELU(), Dense(3), Softmax()])

# Numbers and categories, and two outputs, of which the second is known for half of the examples.
TABLE = Sequential(
    [
        Concatenate([Select("numbers"), Sequential([Select("city"), Embedding(3, 2), Flatten()])]),
        Dense(5),
        Tanh(),
        Parallel({"price": Dense(1), "sold": Dense(1)}),
    ]
)
CITIES = RNG.integers(0, 3, size=(50, 1))
SOLD = {"price": TARGETS[:, :1], "sold": CLASSES[:, None] > 0}
KNOWN = {"price": np.ones(50), "sold": np.arange(50) % 2}

# Words are written in reverse order; 0 is padding, and the beginning of what is written.
READ = RNG.integers(1, 5, size=(50, 4)) * (np.arange(4) < RNG.integers(2, 5, size=(50, 1)))
REVERSED = READ[:, ::-1]
TRANSLATION = Sequential(
    [
        Parallel(
            [
                Sequential([Select("written"), Embedding(5, 4), PositionEmbedding()]),
                Sequential([Select("read"), Embedding(5, 4, padding_id=0), PositionEmbedding()]),
            ]
        ),
        Add([Select(0), MultiHeadAttention(2)]),
        Dense(5),
    ]
)
WRITTEN = np.pad(REVERSED[:, :-1], ((0, 0), (1, 0)))

# Each is 200 steps: 40 epochs of 5 batches of at most 12 examples, the last of 2.
RUNS: dict[str, tuple[Sequential, Loss, Optimizer]] = {
    "momentum": (SMOOTH, SoftmaxCrossEntropy(), SGD(0.05, momentum=0.9)),
    "Adam": (CURVED, MeanSquaredError(), Adam(0.01)),
    "Adagrad": (KINKED, MeanSquaredError(), Adagrad(0.05)),
    "RMSProp": (SMOOTH, MeanSquaredError(), RMSProp(0.002)),
    "AdamW": (
        Sequential([CURVED, Dense(3)]),
        SoftmaxCrossEntropy(label_smoothing=0.1),
        ClipByGlobalNorm(AdamW(CosineDecay(0.02, 200, 20)), 0.5),
    ),
    "LAMB": (
        KINKED,
        MeanSquaredError(),
        AccumulateGradients(ExponentialMovingAverage(LAMB(0.02), 0.9), 2),
    ),
    "several outputs": (
        TABLE,
        Heads({"price": MeanSquaredError(), "sold": BinaryCrossEntropy()}, {"price": 1.0, "sold": 0.5}),
        Adam(0.01),
    ),
    "several inputs": (TRANSLATION, SoftmaxCrossEntropy(), Adam(0.003)),
}
# Inputs, targets and weights other than X, and CLASSES or TARGETS, without weights.
DATA: dict[str, tuple[Any, Any, Any]] = {
    "several outputs": ({"numbers": X, "city": CITIES}, SOLD, KNOWN),
    "several inputs": ({"read": READ, "written": WRITTEN}, REVERSED, (REVERSED > 0).astype(float)),
}


@dataclass(frozen=True)
class SumOfOutputs(Loss):
    """l = Σ_j y_j, with gradient 1: all arithmetic of a linear model on integers is exact."""

    reduction = "sum"

    def per_example(self, backend: Backend, outputs: Any, targets: Any) -> tuple[Any, Any]:
        return backend.xp.sum(outputs, axis=1), backend.xp.ones_like(outputs)


def run(backend: Backend, name: str, dtype: str) -> Trainer:
    model, loss, optimizer = RUNS[name]
    trainer = Trainer(model, loss, optimizer, backend=backend, dtype=dtype, seed=3)
    usual = (X, CLASSES if isinstance(loss, SoftmaxCrossEntropy) else TARGETS, None)
    x, y, weights = DATA.get(name, usual)
    trainer.fit(x, y, weights=weights, epochs=40, batch_size=12, report_every=40, progress=False)
    assert trainer.step == 200
    return trainer


@cache
def numpy_run(name: str, dtype: str) -> Trainer:
    return run(get_backend("numpy"), name, dtype)


def parameters(trainer: Trainer) -> Tree:
    return trainer.backend.to_numpy(trainer.params)


others = pytest.mark.parametrize("backend", ["jax", "array_api_strict"], indirect=True)


@others
@pytest.mark.parametrize("name", RUNS)
def test_float64_trajectories_agree_to_ten_digits_after_200_steps(backend, name):
    actual, expected = run(backend, name, "float64"), numpy_run(name, "float64")
    np.testing.assert_allclose(actual.history.losses, expected.history.losses, rtol=1e-10)
    largest = max(np.abs(leaf).max() for leaf in tree.leaves(parameters(expected)))
    tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-10 * largest),
        parameters(actual),
        parameters(expected),
    )


@pytest.mark.parametrize("name", RUNS)
def test_compiled_numpy_gives_the_bits_of_eager_numpy(name):
    eager, compiled = run(get_backend("numpy:eager"), name, "float32"), numpy_run(name, "float32")
    assert eager.history.losses == compiled.history.losses
    tree.map(np.testing.assert_array_equal, parameters(eager), parameters(compiled))


@others
def test_float32_trajectories_stay_close(backend):
    actual, expected = run(backend, "momentum", "float32"), numpy_run("momentum", "float32")
    # A rounding error of 6e-8 grows in 200 steps: with momentum to about 1e-5.
    np.testing.assert_allclose(actual.history.losses, expected.history.losses, rtol=1e-4)


def test_float32_follows_float64():
    narrow, wide = numpy_run("Adam", "float32"), numpy_run("Adam", "float64")
    np.testing.assert_allclose(narrow.history.losses, wide.history.losses, rtol=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_the_runs_learn_something(name):
    """Constant trajectories would agree, too."""
    losses = numpy_run(name, "float64").history.losses
    assert np.mean(losses[-5:]) < 0.95 * losses[0]


@others
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_parameters_are_the_same_bits(backend, dtype):
    trainers = [
        Trainer(SMOOTH, MeanSquaredError(), backend=each, dtype=dtype, seed=11)
        for each in (get_backend("numpy"), backend)
    ]
    for trainer in trainers:
        trainer.initialize((4,))
    expected, actual = map(parameters, trainers)
    tree.map(lambda a, e: np.testing.assert_array_equal(a, e, strict=True), actual, expected)


@others
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shuffles_and_dropout_masks_are_the_same_bits(backend, dtype):
    """Sums of powers of two are exact: W shows which examples were kept, the losses their order."""
    x = 2.0 ** np.arange(8)[:, None]
    weights = []
    for each in (get_backend("numpy"), backend):
        trainer = Trainer(
            Sequential([Dropout(0.5), Dense(1)]), SumOfOutputs(), SGD(1.0), backend=each, dtype=dtype
        )
        trainer.initialize((1,), params=({}, {"W": np.zeros((1, 1)), "b": np.zeros(1)}))
        trainer.fit(x, x, epochs=3, batch_size=3, progress=False)
        weights.append((trainer.history.losses, parameters(trainer)))
    assert weights[0][0] == weights[1][0]
    tree.map(np.testing.assert_array_equal, *weights)
