"""Runs: every example counts, each program compiles once, and a run can be cut and repeated."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from backends import Backend, get_backend
from multinn import Dense, MeanAbsoluteError, Sequential, Trainer
from multinn import trainer as trainer_module
from multinn.layers.base import ParameterFree
from tests.small_runs import X, Y, assert_same_bits, fit, make_trainer, reference_run

EAGER = ["array_api_strict"]  # runs Python at every step, so that a layer or a metric can look on


@dataclass(frozen=True)
class Recorder(ParameterFree):
    """Notes the first feature of every example that it sees while training."""

    batches: list[list[float]] = field(default_factory=list, hash=False, compare=False)

    def forward(self, backend, params, x, key=None):
        if key is not None:
            self.batches.append(backend.to_numpy(x)[:, 0].tolist())
        return x, None

    def backward(self, backend, params, cache, dy):
        return dy, {}


@dataclass(frozen=True)
class Counter(ParameterFree):
    """Counts how often its forward pass is run, or traced."""

    calls: list[int] = field(default_factory=list, hash=False, compare=False)

    def forward(self, backend, params, x, key=None):
        self.calls.append(x.shape[0])
        return x, None

    def backward(self, backend, params, cache, dy):
        return dy, {}


@pytest.mark.parametrize("backend", EAGER, indirect=True)
@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 99])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_example_is_seen_once_an_epoch(backend, batch_size, shuffle):
    x = np.arange(10, dtype=np.float32)[:, None]
    recorder = Recorder()
    trainer = make_trainer(backend, Sequential([recorder, Dense(2)]))
    fit(trainer, 2, x=x, batch_size=batch_size, shuffle=shuffle)
    half = len(recorder.batches) // 2
    first, second = (
        list(itertools.chain(*batches)) for batches in (recorder.batches[:half], recorder.batches[half:])
    )
    assert sorted(first) == sorted(second) == list(range(10))
    assert (first == second) == (not shuffle)
    assert max(map(len, recorder.batches)) == min(batch_size, 10)


def test_a_run_compiles_once():
    """Each program is traced for each batch size once, whatever the number of epochs and of calls."""
    counter = Counter()
    trainer = make_trainer("jax", Sequential([counter, Dense(2)]))
    data = {"validation_data": (X[:5], Y[:5])}
    fit(trainer, 3, **data)
    traced, seconds = list(counter.calls), trainer.seconds.compile
    assert sorted(set(traced)) == [2, 4, 8]  # the rest, the full batches, the padded validation
    assert len(traced) <= 4
    fit(trainer, 2, **data)
    fit(trainer, 2, **data, shuffle=False)
    trainer.initialize((3,), seed=1)
    fit(trainer, 1, **data)
    assert counter.calls == traced
    assert trainer.seconds.compile == seconds > 0.0
    assert trainer.seconds.train > 0.0


def test_predictions_of_many_lengths_share_few_programs():
    counter = Counter()
    trainer = make_trainer("jax", Sequential([counter, Dense(2)]))
    trainer.initialize((3,))
    for count in range(1, 33):
        trainer.predict(np.ones((count, 3)), batch_size=16)
    assert sorted(counter.calls) == [1, 2, 4, 8, 16]


def test_three_epochs_and_three_more_are_six(backend):
    assert_same_bits(fit(fit(make_trainer(backend), 3), 3), reference_run(backend, 6))


def test_how_often_is_reported_changes_nothing(backend):
    run = fit(make_trainer(backend), 6, report_every=4)
    assert_same_bits(run, reference_run(backend, 6))


def test_validation_and_metrics_change_nothing():
    watched = make_trainer(metrics={"mae": MeanAbsoluteError().value})
    assert_same_bits(fit(make_trainer(), 3), fit(watched, 3, validation_data=(X[:3], Y[:3])))


def test_the_same_seed_gives_the_same_run():
    assert_same_bits(fit(make_trainer(seed=7), 2), fit(make_trainer(seed=7), 2))
    assert fit(make_trainer(seed=8), 2).history.losses != fit(make_trainer(seed=7), 2).history.losses


def test_starting_anew_repeats_the_run():
    trainer = fit(make_trainer(), 2)
    trainer.initialize((3,))
    assert (trainer.epoch, trainer.step, len(trainer.history)) == (0, 0, 0)
    assert_same_bits(fit(trainer, 3), fit(make_trainer(), 3))


def test_starting_anew_with_another_seed_is_that_seeds_run():
    trainer = make_trainer()
    trainer.initialize((3,), seed=5)
    assert trainer.seed == 5
    assert_same_bits(fit(trainer, 2), fit(make_trainer(seed=5), 2))


def test_an_interrupted_run_can_go_on(monkeypatch):
    trainer = make_trainer()

    @contextmanager
    def interrupt(total: int, unit: str, show: bool = True) -> Iterator[Callable[..., None]]:
        def advance(done: int, figures: object) -> None:
            if trainer.epoch == 2:
                raise KeyboardInterrupt

        yield advance

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "show_progress", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(trainer, 6)
    assert trainer.history["epoch"] == [1, 2]
    assert trainer.predict(X).shape == (10, 2)
    assert_same_bits(fit(trainer, 4), reference_run(get_backend("numpy"), 6))


@pytest.mark.parametrize("backend", EAGER, indirect=True)
def test_a_run_interrupted_within_an_epoch_can_go_on(backend):
    calls = []

    def metric(backend: Backend, outputs: Any, targets: Any, weights: Any) -> Any:
        calls.append(None)
        if len(calls) == 8:  # the second batch of the third epoch
            raise KeyboardInterrupt
        return backend.xp.mean(outputs)

    trainer = make_trainer(backend, metrics={"mean": metric})
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, 6)
    assert (trainer.epoch, trainer.step, len(trainer.history)) == (2, 6, 2)
    assert_same_bits(fit(trainer, 4), reference_run(backend, 6))


def assert_undisturbed(trainers: list[Trainer], epochs: int) -> None:
    for trainer in trainers:
        assert_same_bits(trainer, reference_run(trainer.backend, epochs, trainer.dtype))


def test_trainers_in_threads_do_not_meet():
    kinds = [("jax", "float32"), ("jax", "float64"), ("numpy", "float32")]
    trainers = [make_trainer(backend, dtype=dtype) for backend, dtype in kinds]
    threads = [threading.Thread(target=fit, args=(trainer, 6)) for trainer in trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_undisturbed(trainers, 6)


def test_trainers_of_two_backends_and_precisions_take_turns():
    trainers = [make_trainer("numpy", dtype="float32"), make_trainer("jax", dtype="float64")]
    for _ in range(6):
        for trainer in trainers:
            fit(trainer, 1)
    assert_undisturbed(trainers, 6)
