"""Runs: every example counts, functions compile once, and a run can be divided and repeated."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest

from backends import Backend
from multinn import Dense, MeanAbsoluteError, Rescale, Sequential, Trainer
from multinn.layers.base import ParameterFree
from multinn.training import calls as calls_module
from multinn.training import run as run_module
from tests.support.memory import peak_memory
from tests.support.small_runs import X, Y, assert_same_bits, fit, make_trainer, reference_run

EAGER = ["array_api_strict"]  # runs Python in every step, which a layer or a metric can then record


@dataclass(frozen=True)
class Recorder(ParameterFree):
    """Records the first feature of every example in training."""

    batches: list[list[float]] = field(default_factory=list, hash=False, compare=False)

    def forward(self, backend, params, x, key=None):
        if key is not None:
            self.batches.append(backend.to_numpy(x)[:, 0].tolist())
        return x, None

    def backward(self, backend, params, cache, dy):
        return dy, {}


@dataclass(frozen=True)
class Counter(ParameterFree):
    """Records each run or trace of its forward pass."""

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
    seen = list(itertools.chain(*recorder.batches))[-20:]  # the first steps are for the estimate
    first, second = seen[:10], seen[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert (first == second) == (not shuffle or batch_size >= 10)  # a single batch has no order
    assert max(map(len, recorder.batches)) == min(batch_size, 10)


def test_a_run_compiles_once():
    """Each function is traced once for each batch size."""
    counter = Counter()
    trainer = make_trainer("jax", Sequential([counter, Dense(2)]))
    data = {"validation_data": (X[:5], Y[:5])}
    fit(trainer, 3, **data)
    traced, seconds = list(counter.calls), trainer.seconds.compile
    # The last batch, the full batches, the padded validation; and in NumPy, for an estimate, 1 and 4.
    assert sorted(set(traced)) == [1, 2, 4, 8]
    assert traced.count(2) == traced.count(8) == 1
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


def test_the_number_of_reports_changes_nothing(backend):
    run = fit(make_trainer(backend), 6, report_every=4)
    assert_same_bits(run, reference_run(backend, 6))


def test_the_last_epoch_is_reported():
    assert fit(make_trainer(), 5, report_every=2).history["epoch"] == [2, 4, 5]


def test_validation_and_metrics_change_nothing():
    watched = make_trainer(metrics={"mae": MeanAbsoluteError().value})
    assert_same_bits(fit(make_trainer(), 3), fit(watched, 3, validation_data=(X[:3], Y[:3])))


def test_the_same_seed_gives_the_same_run():
    assert_same_bits(fit(make_trainer(seed=7), 2), fit(make_trainer(seed=7), 2))
    assert fit(make_trainer(seed=8), 2).history.losses != fit(make_trainer(seed=7), 2).history.losses


def test_starting_again_repeats_the_run():
    trainer = fit(make_trainer(), 2)
    trainer.initialize((3,))
    assert (trainer.epoch, trainer.step, len(trainer.history)) == (0, 0, 0)
    assert_same_bits(fit(trainer, 3), fit(make_trainer(), 3))


def test_starting_again_with_another_seed_gives_its_run():
    trainer = make_trainer()
    trainer.initialize((3,), seed=5)
    assert trainer.seed == 5
    assert_same_bits(fit(trainer, 2), fit(make_trainer(seed=5), 2))


def interrupt_at(epochs: float) -> Callable[..., Any]:
    """Return a substitute for the progress bar that interrupts the run after these epochs."""

    @contextmanager
    def interrupt(total: int, unit: str, show: bool = True) -> Iterator[Callable[..., None]]:
        done = 0.0

        def advance(more: float, metrics: object) -> None:
            nonlocal done
            done += more
            if done > epochs - 1e-6:
                raise KeyboardInterrupt

        yield advance

    return interrupt


def pretend_slow_steps(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the estimate of the time of a step."""
    patch.setattr(run_module, "estimate_seconds", lambda *_: seconds)


@pytest.mark.parametrize(
    ("backend", "seconds", "epochs"),
    [
        ("numpy", 0.2, 2.0),
        ("numpy", 1.0, 2.0),
        ("numpy", 1.0, 2 + 1 / 3),
        ("numpy", 1.0, 2 + 2 / 3),
        ("jax", 1.0, 2 + 1 / 3),
    ],
    indirect=["backend"],
)
def test_an_interrupted_run_can_continue(monkeypatch, capsys, backend, seconds, epochs):
    """The steps of an unfinished epoch are dropped and repeated."""
    trainer = make_trainer(backend)
    with monkeypatch.context() as patch:
        pretend_slow_steps(patch, seconds)
        patch.setattr(run_module, "progress", interrupt_at(epochs))
        history = trainer.fit(X, Y, epochs=6, batch_size=4)
    assert (history.interrupted, history["epoch"]) == (True, [1, 2])
    assert "interrupted: the trainer is at the end of epoch 2" in capsys.readouterr().err
    assert (trainer.epoch, trainer.step, trainer.history["epoch"]) == (2, 6, [1, 2])
    assert trainer.predict(X).shape == (10, 2)
    assert_same_bits(fit(trainer, 4), reference_run(backend, 6))


@pytest.mark.parametrize("backend", EAGER, indirect=True)
def test_a_run_interrupted_in_a_call_can_continue(backend):
    calls = []

    def metric(backend: Backend, outputs: Any, targets: Any, weights: Any) -> Any:
        if trainer.epoch == 2:
            calls.append(None)
        if len(calls) == 3:  # the second batch of epoch 3, after the validation of epoch 2
            raise KeyboardInterrupt
        return backend.xp.mean(outputs)

    trainer = make_trainer(backend, metrics={"mean": metric})
    fit(trainer, 6, validation_data=(X, Y))
    assert (trainer.epoch, trainer.step, len(trainer.history)) == (2, 6, 2)
    assert_same_bits(fit(trainer, 4), reference_run(backend, 6))


@cache
def silent_run(backend: Backend, batch_size: int) -> Trainer:
    return fit(make_trainer(backend), 6, batch_size=batch_size)


# With 3 steps per epoch: all in one call, two epochs per call, one epoch, and one step.
PACES = [0.0, 0.08, 0.2, 1.0]


@pytest.mark.parametrize(
    ("backend", "batch_size", "seconds"),
    [
        *itertools.product(["numpy"], [4, 5, 10], PACES),
        *itertools.product(["jax"], [4], PACES[1:]),
        ("jax", 10, 1.0),
    ],
    indirect=["backend"],
)
def test_calls_and_progress_change_no_bits(monkeypatch, backend, batch_size, seconds):
    silent = silent_run(backend, batch_size)
    pretend_slow_steps(monkeypatch, seconds)
    shown = fit(make_trainer(backend), 6, batch_size=batch_size, progress=True)
    assert_same_bits(shown, silent)
    assert shown.history == silent.history


def test_all_weights_of_a_part_of_an_epoch_may_be_zero(monkeypatch):
    pretend_slow_steps(monkeypatch, 1.0)
    weights = np.arange(10.0) >= 6
    trainer = fit(make_trainer(), 2, weights=weights, shuffle=False, batch_size=2, progress=True)
    assert np.isfinite(trainer.history.losses).all()


@pytest.mark.parametrize("seconds", PACES[::3])
def test_a_run_with_progress_compiles_once(monkeypatch, seconds):
    """The full batches are one program; the last batch is in it or in another."""
    pretend_slow_steps(monkeypatch, seconds)
    counter = Counter()
    trainer = make_trainer("jax", Sequential([counter, Dense(2)]))
    fit(trainer, 6, progress=True)
    assert sorted(counter.calls) == [2, 4]
    fit(trainer, 6, progress=True)
    assert sorted(counter.calls) == [2, 4]


def test_many_epochs_with_reports_are_one_call(monkeypatch):
    trainer = make_trainer()
    runs = []
    compiled = trainer.programs.get
    monkeypatch.setattr(
        trainer.programs, "get", lambda *arguments: runs.append(1) or compiled(*arguments)
    )
    fit(trainer, 500, batch_size=10)
    assert len(runs) == 1
    assert trainer.history["epoch"] == list(range(1, 501))
    assert trainer.history["loss"] == trainer.history.losses


def test_memory_does_not_grow_with_the_number_of_epochs(monkeypatch):
    """Only the records grow: the plan of 16 times as many epochs is made in 16 calls."""
    x, y = np.ones((4096, 3), np.float32), np.ones((4096, 2), np.float32)
    monkeypatch.setattr(calls_module, "MOST_ENTRIES", 2**15)

    def peak(epochs: int) -> int:
        trainer = make_trainer()
        fit(trainer, epochs, x=x, y=y, batch_size=2048)
        return peak_memory(lambda: fit(trainer, epochs, x=x, y=y, batch_size=2048))

    assert peak(112) < 1.5 * peak(7)


@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
def test_bytes_are_converted_to_floats_batch_by_batch(backend):
    x = np.random.default_rng(0).integers(0, 256, (20_000, 100)).astype(np.uint8)
    trainer = make_trainer(backend, Sequential([Rescale(), Dense(2)]))
    data = {"x": x, "y": x[:, :2], "batch_size": 100, "validation_data": (x, x[:, :2])}
    fit(trainer, 1, **data)  # compiled functions are kept and do not count
    as_floats = x.size * 4
    assert peak_memory(lambda: fit(trainer, 1, **data)) < 0.9 * as_floats
    assert peak_memory(lambda: trainer.predict(x)) < 0.5 * as_floats
    assert peak_memory(lambda: trainer.evaluate(x, x[:, :2])) < 0.5 * as_floats


@pytest.mark.parametrize(
    ("backend", "kind"),
    [
        *itertools.product(["numpy"], [np.uint8, np.int16, np.int32, np.bool_]),
        ("jax", np.uint8),
        ("array_api_strict", np.uint8),
        ("array_api_strict", np.bool_),
    ],
    indirect=["backend"],
)
@pytest.mark.parametrize("batch_size", [4, 10])
def test_integers_train_as_the_same_floats(backend, kind, batch_size):
    x = (10 * X).astype(kind)
    keywords = {"batch_size": batch_size, "shuffle": False}
    integers = fit(make_trainer(backend), 3, x=x, **keywords)
    floats = fit(make_trainer(backend), 3, x=x.astype(np.float32), **keywords)
    assert_same_bits(integers, floats)
    np.testing.assert_array_equal(integers.predict(x), floats.predict(x.astype(np.float64)))
    assert integers.evaluate(x, Y) == floats.evaluate(x.astype(np.float32), Y)


def assert_undisturbed(trainers: list[Trainer], epochs: int) -> None:
    for trainer in trainers:
        assert_same_bits(trainer, reference_run(trainer.backend, epochs, trainer.dtype))


def test_trainers_in_threads_do_not_disturb_each_other():
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
