"""`Trainer.fit_batches`: the same run as `fit`, without all data in memory."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas
import pytest
import scipy.sparse

from multinn import (
    SGD,
    Callback,
    Dense,
    DivergenceError,
    EarlyStopping,
    Sequential,
    ShuffledBatches,
    Trainer,
)
from multinn.training import batch_run
from multinn.training import run as run_module
from multinn.training.batches import grouped
from multinn.training.program import Examples
from tests.support.memory import peak_memory
from tests.support.small_runs import WEIGHTS, X, Y, assert_same_bits, fit, make_trainer


def fit_batches(trainer: Trainer, epochs: int, batches: Any = None, **keywords: Any) -> Trainer:
    """Train on the ten examples in the order of `fit`, or on other batches."""
    batches = ShuffledBatches(X, Y, batch_size=4) if batches is None else batches
    trainer.fit_batches(batches, epochs=epochs, **{"progress": False} | keywords)
    return trainer


# The same run as `fit`


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("batch_size", [4, 5, 10])
@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"], indirect=True)
def test_a_run_equals_fit_to_the_bit(backend, weights, batch_size):
    batches = ShuffledBatches(X, Y, weights, batch_size=batch_size)
    one = fit_batches(make_trainer(backend), 3, batches, validation_data=(X, Y))
    other = make_trainer(backend)
    fit(other, 3, batch_size=batch_size, weights=weights, validation_data=(X, Y))
    assert_same_bits(one, other)
    assert one.history == other.history


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_run_equals_fit_to_rounding(backend):
    """A compiler may round a step differently in a loop."""
    if backend == "torch":
        pytest.importorskip("torch")
    one, other = fit_batches(make_trainer(backend), 3), fit(make_trainer(backend), 3)
    assert (one.epoch, one.step) == (other.epoch, other.step)
    assert one.history.losses == pytest.approx(other.history.losses, rel=1e-5)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-4, atol=1e-5)


def test_progress_moves_within_an_epoch(monkeypatch):
    """The epoch before gives the number of batches, so the first epoch moves only at its end."""
    shown: list[Any] = []

    @contextmanager
    def progress(total: int, unit: str, show: bool = True) -> Iterator[Any]:
        yield lambda done, metrics: shown.append((done, metrics))

    monkeypatch.setattr(run_module, "progress", progress)
    monkeypatch.setattr(batch_run, "_SECONDS", 0.0)
    trainer = fit_batches(make_trainer(), 2, progress=True)
    assert [done for done, _ in shown] == pytest.approx([0, 0, 0, 1, 1 / 3, 1 / 3, 1 / 12, 1 / 4])
    losses = [metrics["loss"] for _, metrics in shown]
    assert losses[3::4] == trainer.history.losses
    assert np.average(losses[:3], weights=[4, 4, 2]) == pytest.approx(losses[3])


def test_progress_is_finite_for_batches_of_weight_zero(monkeypatch):
    monkeypatch.setattr(batch_run, "_SECONDS", 0.0)
    batches = ShuffledBatches(X, Y, np.arange(10.0) < 2, batch_size=2, shuffle=False)
    trainer = fit_batches(make_trainer(), 1, batches)
    assert np.isfinite(trainer.history.losses).all()


def test_a_run_continues_where_the_last_one_ended():
    one = fit(fit_batches(fit_batches(make_trainer(), 1), 2), 1)
    assert_same_bits(one, fit(make_trainer(), 4))


def test_batches_can_come_from_a_memory_mapped_file(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    one = fit_batches(make_trainer(), 2, ShuffledBatches(mapped, Y, batch_size=4))
    assert_same_bits(one, fit(make_trainer(), 2))


@pytest.mark.parametrize("y", [[0, 1, 2], pandas.Series([0, 1, 2], [2, 1, 0])], ids=["list", "pandas"])
def test_rows_are_taken_by_number(y):
    """Labels of pandas are in another order after a split or a sort."""
    batches = ShuffledBatches(np.arange(3)[:, None], y, batch_size=2)
    assert all((x[:, 0] == y).all() for x, y in batches(0))


def test_memory_holds_the_batches_of_two_calls():
    """The batches of a call take 8 MB at most, and those of the run 64 MB."""

    def batches(epoch: int) -> Iterator[Any]:
        for _ in range(160):
            yield np.ones((1000, 100), np.float32), np.ones((1000, 2), np.float32)

    trainer = make_trainer(model=Sequential([Dense(2)]))
    fit_batches(trainer, 1, batches)
    assert peak_memory(lambda: fit_batches(trainer, 1, batches)) < 3 * 2**23


# Kinds of batches


def test_a_list_of_batches_of_different_sizes_is_read_in_each_epoch():
    batches = [(X[:3], Y[:3]), (X[3:], Y[3:])]
    trainer = fit_batches(make_trainer(), 2, batches, report_every=2)
    assert (trainer.epoch, trainer.step, trainer.history["epoch"]) == (2, 4, [2])


def test_a_generator_is_enough_for_one_epoch():
    trainer = fit_batches(make_trainer(), 1, ((X[i : i + 1], Y[i : i + 1]) for i in range(10)))
    assert trainer.step == 10


class Stream:
    """An iterable that yields its batches only once, but is no iterator."""

    def __init__(self) -> None:
        self.batches = ((X[i : i + 1], Y[i : i + 1]) for i in range(10))

    def __iter__(self) -> Any:
        return self.batches


def test_a_stream_loses_no_batch_when_parameters_are_drawn():
    assert fit_batches(make_trainer(), 1, Stream()).step == 10


def test_batches_may_use_the_same_arrays():
    def batches(epoch: int) -> Iterator[Any]:
        for batch in ShuffledBatches(X, Y, batch_size=5)(epoch):
            for array, rows in zip(arrays, batch, strict=True):
                array[...] = rows
            yield arrays

    arrays = X[:5].copy(), Y[:5].copy()
    assert_same_bits(fit_batches(make_trainer(), 4, batches), fit(make_trainer(), 4, batch_size=5))


def test_a_function_is_called_once_an_epoch():
    seen: list[int] = []
    fit_batches(make_trainer(), 2, lambda epoch: seen.append(epoch) or [(X, Y)])
    assert seen == [0, 1]


def test_a_function_is_called_with_the_number_of_the_epoch():
    seen = []

    def batches(epoch: int) -> list[Any]:
        seen.append(epoch)
        return [(X, Y)]

    trainer = make_trainer()
    trainer.initialize((3,))
    fit_batches(fit_batches(trainer, 2, batches), 1, batches)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        (3, TypeError, "fit_batches: expected an iterable of batches"),
        (iter([(X, Y)]), ValueError, "expected batches for 2 epochs, got an iterator"),
        ([], ValueError, "fit_batches: no batches for epoch 1"),
        ([X], ValueError, r"batches: expected \(x, y\) or \(x, y, weights\) each"),
        ([(X, Y[:3])], ValueError, "y: expected 10 rows"),
        ([(X, Y), (X[:, :2], Y)], ValueError, r"x: expected examples of shape \(3,\)"),
        (
            lambda epoch: None,
            TypeError,
            "expected the function to return an iterable of batches, got None",
        ),
        ([(X, Y, np.zeros(10))], ValueError, "fit_batches: expected a weight above 0 in each epoch"),
        ([(X, Y), (X, Y, WEIGHTS)], ValueError, "weights with all batches of an epoch, or with none"),
    ],
)
def test_invalid_batches_are_refused(batches, error, message):
    with pytest.raises(error, match=message):
        fit_batches(make_trainer(), 2, batches)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, Y[:3]), "ShuffledBatches: expected as many rows of y as of x, .*got 3 and 10"),
        ((X, Y, WEIGHTS[:3]), "weights: expected 10 rows"),
        ((X, Y, None, 0), "batch_size: expected at least 1"),
        ((X, Y, None, 4, -1), "seed: expected at least 0, got -1"),
    ],
)
def test_invalid_arrays_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShuffledBatches(*arguments)


def test_sparse_arrays_are_refused():
    with pytest.raises(
        TypeError, match="ShuffledBatches: expected x as a dense array, got a sparse csr"
    ):
        ShuffledBatches(scipy.sparse.csr_array(X), Y)


def test_all_weights_of_a_batch_may_be_zero():
    batches = [(X[:5], Y[:5], np.zeros(5)), (X[5:], Y[5:], np.full(5, 2.0))]
    trainer = make_trainer()
    assert np.isfinite(fit_batches(trainer, 2, batches).history.losses).all()


# How a run ends


def test_an_error_in_a_batch_leaves_the_last_whole_epoch():
    def batches(epoch: int) -> Iterator[Any]:
        yield from ShuffledBatches(X, Y, batch_size=4)(epoch)
        if epoch == 2:
            raise OSError("the disk is gone")

    trainer = make_trainer()
    with pytest.raises(OSError, match="the disk is gone"):
        fit_batches(trainer, 5, batches)
    assert_same_bits(trainer, fit(make_trainer(), 2))


def test_ctrl_c_gives_the_history_so_far():
    def batches(epoch: int) -> Iterator[Any]:
        yield from ShuffledBatches(X, Y, batch_size=4)(epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    trainer = make_trainer()
    history = trainer.fit_batches(batches, epochs=5, progress=False)
    assert (history.interrupted, history["epoch"]) == (True, [1, 2])
    assert_same_bits(fit(trainer, 1), fit(make_trainer(), 3))


def test_callbacks_stop_the_run():
    class Worse(Callback):
        def on_report(self, trainer: Trainer, record: dict[str, float]) -> None:
            record["loss"] = trainer.epoch

    stopping = EarlyStopping("loss", patience=2)
    assert fit_batches(make_trainer(), 9, callbacks=[Worse(), stopping]).epoch == 3


@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
def test_a_divergence_is_reported_with_its_step(backend):
    huge = np.full((4, 3), 1e30, np.float32)
    batches = [*[(X[:4], Y[:4])] * 6, (huge, Y[:4]), (X[:4], Y[:4])]
    trainer = make_trainer(backend, Sequential([Dense(2)]), optimizer=SGD(0.1))
    with pytest.raises(DivergenceError, match="at epoch 1, step 7"):
        fit_batches(trainer, 3, batches)
    assert trainer.epoch == 0
    assert np.isfinite(trainer.predict(X)).all()


def examples(count: int, rows: int = 2) -> list[Examples]:
    return [Examples(np.full((rows, 1), number), np.zeros(rows)) for number in range(count)]


def test_batches_that_are_there_form_a_group():
    read = threading.Semaphore(0)

    def batches() -> Iterator[Examples]:
        for batch in [*examples(9), *examples(1, rows=3), *examples(3)]:
            yield batch
            read.release()

    sizes = []
    with ThreadPoolExecutor(1) as reader:
        for group in grouped(batches(), lambda done: 6, reader):
            x = group.batches.x[: group.count, 0, 0]
            assert x.tolist() == list(range(x[0], x[0] + group.count))
            sizes.append(group.count)
            for _ in range({1: 6, 2: 3, 3: 1}.get(len(sizes), 0)):
                assert read.acquire(timeout=30)
    assert sizes[:4] == [1, 6, 2, 1]
    assert sum(sizes) == 13


def test_a_slow_batch_is_used_at_once():
    used = threading.Event()

    def batches() -> Iterator[Examples]:
        for batch in examples(2):
            yield batch
            assert used.wait(timeout=30)
            used.clear()

    with ThreadPoolExecutor(1) as reader:
        for group in grouped(batches(), lambda done: 64, reader):
            assert group.count == 1
            used.set()


def test_one_thread_reads_all_batches():
    threads: list[int] = []

    def batches(epoch: int) -> Iterator[Any]:
        for start in range(0, 10, 5):
            threads.append(threading.get_ident())
            yield X[start : start + 5], Y[start : start + 5]

    fit_batches(make_trainer(), 2, batches)
    assert len(threads) == 4
    assert len(set(threads)) == 1
