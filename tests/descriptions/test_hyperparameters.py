"""Checks and conversions of hyperparameters."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pytest

from backends import tree
from multinn import (
    ELU,
    LSTM,
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    ClipByGlobalNorm,
    Dense,
    Dropout,
    Embedding,
    Freeze,
    LayerNorm,
    LeakyReLU,
    MeanSquaredError,
    Rescale,
    Sequential,
    Trainer,
    schedules,
)
from multinn.descriptions.hyperparameters import Hyperparameters
from tests.support.small_runs import X, Y

TENTH = np.float64(0.1)


@pytest.mark.parametrize("backend", ["numpy", "numpy:eager", "jax"])
@pytest.mark.parametrize(
    ("layer", "optimizer"),
    [
        (Rescale(TENTH, TENTH), SGD(TENTH)),
        (LeakyReLU(TENTH), SGD(TENTH, momentum=TENTH)),
        (ELU(TENTH), Adam(TENTH, beta_1=TENTH, epsilon=TENTH)),
        (Dropout(TENTH), AdamW(TENTH, weight_decay=TENTH)),
        (LayerNorm(TENTH), ClipByGlobalNorm(SGD(TENTH), TENTH)),
        (BatchNorm(TENTH, TENTH), SGD(TENTH)),
        (LayerNorm(), SGD(schedules.ExponentialDecay(TENTH, factor=TENTH, every=np.int64(5)))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numpy_numbers_do_not_promote_arrays(backend, layer, optimizer):
    model = Sequential([layer, Dense(np.int64(2))])
    trainer = Trainer(model, MeanSquaredError(), optimizer, backend=backend)
    trainer.fit(X, Y, epochs=1, batch_size=5, progress=False)
    assert {str(leaf.dtype) for leaf in tree.leaves(trainer.params)} == {"float32"}
    assert trainer.predict(X).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam("fast"), "Adam: expected learning_rate: a number or Schedule, got 'fast'"),
        (lambda: Adam(None), "Adam: expected learning_rate: a number or Schedule, got None"),
        (lambda: AdamW(epsilon=True), "AdamW: expected epsilon: a number, got True"),
        (lambda: Dropout([0.5]), r"Dropout: expected rate: a number, got \[0.5\]"),
        (lambda: BatchNorm(1j), "BatchNorm: expected momentum: a number, got 1j"),
        (lambda: Dense(True), "Dense: expected units: an integer, got True"),
        (lambda: Dense(2, "no"), "Dense: expected use_bias: True or False, got 'no'"),
        (lambda: Dense(2, weight_initializer="glorot"), "Dense: .* Initializer, got 'glorot'"),
        (lambda: LSTM(True), "LSTM: expected units: an integer, got True"),
        (lambda: LSTM(2, truncate=True), "LSTM: expected truncate: an integer or None, got True"),
        (lambda: Embedding(3, 2, True), "Embedding: expected padding_id: an integer or None, got True"),
        (lambda: Freeze(SGD(), None), r"Freeze: expected paths: a tuple of patterns, .*, got None"),
        (lambda: Freeze(SGD(), (1,)), r"Freeze: expected paths: a tuple of patterns, .*, got \(1,\)"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_name(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@dataclass(frozen=True)
class Named(Hyperparameters):
    name: str

    def __post_init__(self) -> None:
        """Check only the annotations."""


@dataclass(frozen=True)
class Sized(Named):
    sizes: tuple

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "sizes", tuple(self.sizes))


def test_a_class_may_convert_a_hyperparameter_after_the_checks_of_its_base_class():
    assert Sized("a", [1, 2]).sizes == (1, 2)
    with pytest.raises(TypeError, match="Sized: expected name: a string, got 3"):
        Sized(3, ())


def test_an_array_without_axes_is_a_number():
    assert SGD(np.array(0.5)) == SGD(0.5)
    assert type(SGD(np.array(0.5)).learning_rate) is float


def test_any_value_fits_an_annotation_that_names_no_class():
    class Named(Protocol):
        name: str

    @dataclass(frozen=True)
    class Wide(Hyperparameters):
        value: Any
        named: Named | None = None

    assert Wide([1], "x") == Wide([1], "x")
