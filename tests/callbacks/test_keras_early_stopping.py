"""Early stopping against Keras's, on random values."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from multinn import EarlyStopping
from tests.support.keras_on_jax import keras


def in_keras(values: list[float], mode: str, options: dict[str, Any]) -> tuple[int, int]:
    """Return the number of epochs, and that of the epoch whose weights are restored."""
    stopping = keras.callbacks.EarlyStopping("figure", mode=mode, restore_best_weights=True, **options)
    epoch, restored = 0, []
    model = SimpleNamespace(
        stop_training=False, get_weights=lambda: epoch + 1, set_weights=restored.append
    )
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, value in enumerate(values):
        stopping.on_epoch_end(epoch, {"figure": value})
        if model.stop_training:
            break
    epochs = epoch + 1
    stopping.on_train_end()
    return epochs, restored[0] if restored else epochs


def in_multinn(values: list[float], mode: str, options: dict[str, Any]) -> tuple[int, int]:
    stopping = EarlyStopping("figure", mode=mode, **options)
    trainer: Any = SimpleNamespace(epoch=0, state=0)
    stopping.on_fit_start(trainer)
    for epoch, value in enumerate(values, start=1):
        trainer.epoch = trainer.state = epoch
        if stopping.on_report(trainer, {"figure": value}):
            break
    stopping.on_fit_end(trainer)
    return trainer.epoch, trainer.state


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("baseline", [None, 3.0, 7.0])
@pytest.mark.parametrize("start_from_epoch", [0, 4])
def test_the_epochs_of_keras(mode, baseline, start_from_epoch):
    rng, found = np.random.default_rng(0), set()
    for patience in (1, 2, 4):
        for min_delta in (0.0, 1.5):
            values = rng.integers(0, 10, 15).tolist()
            options = {"patience": patience, "min_delta": min_delta} | {
                "baseline": baseline,
                "start_from_epoch": start_from_epoch,
            }
            expected = in_keras(values, mode, options)
            assert in_multinn(values, mode, options) == expected, (values, options)
            found.add(expected)
    assert len(found) > 2
