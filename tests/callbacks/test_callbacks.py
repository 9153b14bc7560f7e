"""Callbacks: when they are called, how they stop a run, and what each of them does."""

import csv
import signal
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from multinn import (
    SGD,
    Adam,
    Callback,
    CSVLogger,
    EarlyStopping,
    ExponentialMovingAverage,
    ReduceLearningRateOnPlateau,
    SaveCheckpoint,
    ScaledLearningRate,
    TensorBoard,
    Trainer,
)
from multinn.errors import DivergenceError
from multinn.optimizers.scaled import learning_rate_scale
from multinn.schedules import ExponentialDecay
from multinn.training import inference
from multinn.training.history import Record
from tests.support.small_runs import PLAIN, X, Y, assert_same_bits, fit, make_trainer


class Spy(Callback):
    """Records its calls, and stops or interrupts at an epoch."""

    def __init__(self, stop_at: int = 0, interrupt_at: int = 0) -> None:
        self.calls: list[Any] = []
        self.stop_at, self.interrupt_at = stop_at, interrupt_at

    def on_fit_start(self, trainer: Trainer) -> None:
        self.calls.append("start")

    def on_report(self, trainer: Trainer, record: Record) -> bool:
        assert record is trainer.history[-1]
        self.calls.append((trainer.epoch, *record))
        if trainer.epoch == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)
        return trainer.epoch == self.stop_at

    def on_fit_end(self, trainer: Trainer) -> None:
        self.calls.append("end")


class Pretend(Callback):
    """Adds a metric to the records, before the callbacks after it."""

    adds = ("figure",)

    def __init__(self, *values: float) -> None:
        self.values = iter(values)

    def on_report(self, trainer: Trainer, record: Record) -> None:
        record["figure"] = next(self.values)


@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
def test_callbacks_are_called_at_each_report(backend):
    spy = Spy()
    fit(make_trainer(backend), 5, report_every=2, callbacks=[spy], validation_data=(X, Y))
    names = ("epoch", "loss", "validation_loss")
    assert spy.calls == ["start", (2, *names), (4, *names), (5, *names), "end"]


def test_callbacks_change_no_bits():
    with_callbacks = fit(make_trainer(), 5, report_every=2, callbacks=[Spy()])
    assert_same_bits(with_callbacks, fit(make_trainer(), 5))


@pytest.mark.parametrize("progress", [False, True])
def test_a_callback_stops_the_run_after_all_have_seen_the_record(progress):
    later = Spy()
    trainer = make_trainer()
    history = trainer.fit(
        X, Y, epochs=9, batch_size=4, callbacks=[Spy(stop_at=3), later], progress=progress
    )
    assert (history["epoch"], history.interrupted) == ([1, 2, 3], False)
    assert later.calls[-2:] == [(3, "epoch", "loss"), "end"]
    assert_same_bits(fit(trainer, 2), fit(make_trainer(), 5))


def test_ctrl_c_gives_the_history_so_far_and_leaves_a_checkpoint(tmp_path, capsys):
    path, spy = tmp_path / "run.safetensors", Spy(interrupt_at=3)
    trainer = make_trainer()
    history = trainer.fit(
        X, Y, epochs=9, batch_size=4, callbacks=[spy, SaveCheckpoint(path)], progress=False
    )
    assert (history.interrupted, history["epoch"]) == (True, [1, 2, 3])
    assert spy.calls[-1] == "end"
    assert capsys.readouterr().err == "interrupted: the trainer is at the end of epoch 3\n"
    assert_same_bits(Trainer.load(path, "numpy"), fit(make_trainer(), 3))


def test_a_record_without_its_validation_is_dropped(monkeypatch):
    """Ctrl-C came during the validation: columns and callbacks stay in step."""
    trainer, spy, validated = make_trainer(), Spy(), []
    evaluate = inference.evaluate

    def interrupted(*arguments: Any) -> Record:
        validated.append(trainer.epoch)
        if trainer.epoch == 3:
            signal.raise_signal(signal.SIGINT)
        return evaluate(*arguments)

    monkeypatch.setattr(inference, "evaluate", interrupted)
    fit(trainer, 5, callbacks=[spy], validation_data=(X, Y))
    history = trainer.history
    assert (trainer.epoch, len(history.losses)) == (3, 3)
    assert history["epoch"] == [1, 2]
    assert [call[0] for call in spy.calls[1:-1]] == [1, 2]
    fit(trainer, 1, validation_data=(X, Y))
    assert history["epoch"] == [1, 2, 4]
    assert len(history["validation_loss"]) == 3


def test_an_error_in_a_callback_leaves_the_trainer_at_a_whole_epoch():
    trainer = make_trainer()
    with pytest.raises(StopIteration):
        fit(trainer, 5, callbacks=[Pretend(1.0)])
    assert_same_bits(trainer, fit(make_trainer(), 2))


@pytest.mark.parametrize("callbacks", [Spy(), [Spy], [print], 3])
def test_only_instances_of_callback_are_callbacks(callbacks):
    with pytest.raises(TypeError, match="callbacks: expected"):
        fit(make_trainer(), 1, callbacks=callbacks)


class Failing(Callback):
    """Raises at the second report, and again at the end of the run."""

    def on_report(self, trainer: Trainer, record: Record) -> None:
        if trainer.epoch == 2:
            raise LookupError("the first")

    def on_fit_error(self, trainer: Trainer) -> None:
        raise RuntimeError("another")


@pytest.mark.parametrize("first", [True, False])
def test_a_callback_that_fails_at_the_end_hides_no_error_and_skips_no_other(first):
    others, trainer = [Pretend(1.0, 2.0), EarlyStopping("figure", mode="min")], make_trainer()
    with pytest.raises(LookupError, match="the first"):
        fit(trainer, 5, callbacks=[Failing(), *others] if first else [*others, Failing()])
    np.testing.assert_array_equal(trainer.predict(X), fit(make_trainer(), 1).predict(X))


# Early stopping


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([5, 4, 6, 4, 3], {"patience": 2}, 4, 2),
        ([5, 4, 6, 3, 3, 3, 1], {"patience": 2}, 6, 4),
        ([1, 2, 3, 3, 3, 9], {"patience": 2, "mode": "max"}, 5, 3),
        ([5.0, 4.9, 4.8, 4.0], {"patience": 2, "min_delta": 0.5}, 3, 1),
        ([5.0, np.nan, np.nan, 1.0], {"patience": 2}, 3, 1),
    ],
)
def test_early_stopping_waits_for_patience_and_restores_the_best(values, options, epochs, best):
    stopping = EarlyStopping("figure", **{"mode": "min"} | options)
    trainer = fit(make_trainer(), 20, callbacks=[Pretend(*values), stopping])
    assert (trainer.epoch, stopping.best_epoch) == (epochs, best)
    np.testing.assert_array_equal(trainer.predict(X), fit(make_trainer(), best).predict(X))


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([9, 8, 9, 8, 1], {"patience": 3, "baseline": 5}, 3, 2),
        ([9, 8, 7, 6, 7, 1], {"patience": 3, "baseline": 5}, 5, 4),  # an improvement does not stop
        ([9, 4, 4, 4, 1], {"patience": 3, "baseline": 5}, 5, 5),
        ([1, 2, 3, 9, 8, 7], {"patience": 2, "start_from_epoch": 3}, 6, 6),
        ([1, 2, 3, 4, 8, 7], {"patience": 2, "start_from_epoch": 3}, 6, 4),
        ([1, 2, 3], {"patience": 1, "start_from_epoch": 3}, 3, None),
    ],
)
def test_early_stopping_waits_for_a_baseline_and_ignores_the_first_epochs(values, options, epochs, best):
    stopping = EarlyStopping("figure", mode="min", **options)
    trainer = fit(make_trainer(), len(values), callbacks=[Pretend(*values), stopping])
    assert (trainer.epoch, stopping.best_epoch) == (epochs, best)
    expected = fit(make_trainer(), best or epochs)
    np.testing.assert_array_equal(trainer.predict(X), expected.predict(X))


def test_the_first_epochs_count_from_the_start_of_training_also_in_a_resumed_run(tmp_path):
    path, values = tmp_path / "run.safetensors", [1, 2, 9, 3, 4, 5, 6]
    stopping = EarlyStopping("figure", mode="min", patience=2, start_from_epoch=3)
    whole = fit(make_trainer(), 7, callbacks=[Pretend(*values), stopping])
    fit(make_trainer(), 2, callbacks=[Pretend(*values), SaveCheckpoint(path)])
    resumed = Trainer.load(path, "numpy")
    fit(resumed, 5, callbacks=[Pretend(*values[2:]), stopping])
    assert resumed.epoch == 6
    assert_same_bits(resumed, whole)


def test_early_stopping_can_keep_the_last_state():
    callbacks = [Pretend(5, 6), EarlyStopping("figure", mode="min", patience=1, restore_best=False)]
    assert_same_bits(fit(make_trainer(), 9, callbacks=callbacks), fit(make_trainer(), 2))


def test_early_stopping_begins_anew_with_each_run():
    stopping = EarlyStopping("figure", mode="min", patience=2)
    for _ in range(2):
        trainer = fit(make_trainer(), 2, callbacks=[Pretend(1, 2), stopping])
        assert (trainer.epoch, stopping.best_epoch) == (2, 1)


def test_early_stopping_restores_the_best_after_a_divergence():
    trainer = make_trainer(model=PLAIN, optimizer=SGD(ExponentialDecay(0.01, 1e6, 6)))
    stopping = EarlyStopping("loss")
    with pytest.raises(DivergenceError):
        fit(trainer, 50, callbacks=[stopping])
    losses = trainer.history.losses
    assert stopping.best_epoch == 1 + int(np.argmin(losses)) < len(losses)
    best = make_trainer(model=PLAIN, optimizer=SGD(ExponentialDecay(0.01, 1e6, 6)))
    np.testing.assert_array_equal(trainer.predict(X), fit(best, stopping.best_epoch).predict(X))


def test_early_stopping_restores_the_best_after_an_error_of_another():
    trainer = make_trainer()
    with pytest.raises(StopIteration):
        fit(trainer, 5, callbacks=[Pretend(1.0, 2.0), EarlyStopping("figure", mode="min")])
    np.testing.assert_array_equal(trainer.predict(X), fit(make_trainer(), 1).predict(X))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (EarlyStopping, "validation_loss"),
        (lambda: EarlyStopping("validation_accuracy", mode="max"), "validation_accuracy"),
        (ReduceLearningRateOnPlateau, "validation_loss"),
        (lambda: SaveCheckpoint("x", save_best_only=True, monitor="figure", mode="min"), "figure"),
    ],
)
def test_a_metric_that_will_not_be_reported_is_refused_before_training(make, name):
    trainer, callback = make_trainer(), make()
    expected = rf"^{type(callback).__name__}: '{name}' is not reported, only \['epoch', 'loss'\]; "
    with pytest.raises(ValueError, match=expected):
        fit(trainer, 2, callbacks=[callback, Pretend(1.0)])
    with pytest.raises(ValueError, match=expected):
        trainer.fit_batches([(X, Y)], epochs=2, callbacks=[callback], progress=False)
    assert trainer.params is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EarlyStopping(mode="best"), "EarlyStopping: expected the mode"),
        (lambda: EarlyStopping("validation_accuracy"), "a mode for 'validation_accuracy': 'min' if"),
        (lambda: SaveCheckpoint("x", monitor="f1"), "SaveCheckpoint: expected a mode for 'f1'"),
        (lambda: EarlyStopping(min_delta=-1.0), "EarlyStopping: expected a finite min_delta"),
        (lambda: EarlyStopping(patience=0), "patience: expected at least 1"),
        (lambda: EarlyStopping(start_from_epoch=-1), "start_from_epoch: expected at least 0"),
        (lambda: EarlyStopping(baseline=np.nan), "EarlyStopping: expected a baseline .*, got NaN"),
        (lambda: ReduceLearningRateOnPlateau(cooldown=-1), "cooldown: expected at least 0"),
        (lambda: SaveCheckpoint("x", mode="auto"), "SaveCheckpoint: expected the mode"),
        (lambda: ReduceLearningRateOnPlateau(factor=1.0), r"OnPlateau: expected factor in \[0, 1\)"),
        (lambda: ReduceLearningRateOnPlateau(min_scale=-0.1), "OnPlateau: expected min_scale"),
    ],
)
def test_impossible_options_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_factor_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="OnPlateau: expected factor: a number, got 'a'"):
        ReduceLearningRateOnPlateau(factor="a")


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLearningRateOnPlateau])
def test_a_min_delta_that_is_no_number_is_refused(kind):
    with pytest.raises(TypeError, match=f"^{kind.__name__}: expected min_delta: a number, got 'a'$"):
        kind("loss", min_delta="a")


# Checkpoints


def test_the_best_checkpoint_is_kept(tmp_path):
    path = tmp_path / "best.safetensors"
    saving = SaveCheckpoint(path, save_best_only=True, monitor="figure", mode="min")
    fit(make_trainer(), 4, callbacks=[Pretend(5, 3, 4, 3), saving])
    assert_same_bits(Trainer.load(path, "numpy"), fit(make_trainer(), 2))


def test_a_state_that_is_restored_at_the_end_is_saved(tmp_path):
    path = tmp_path / "run.safetensors"
    callbacks = [Pretend(3, 4, 5), EarlyStopping("figure", mode="min", patience=2), SaveCheckpoint(path)]
    trainer = fit(make_trainer(), 9, callbacks=callbacks)
    np.testing.assert_array_equal(Trainer.load(path, "numpy").predict(X), trainer.predict(X))


def test_a_resumed_run_saves_what_it_adds(tmp_path):
    path = tmp_path / "run.safetensors"
    fit(make_trainer(), 2, callbacks=[SaveCheckpoint(path)])
    fit(Trainer.load(path, "numpy"), 2, callbacks=[SaveCheckpoint(path)])
    assert_same_bits(Trainer.load(path, "numpy"), fit(make_trainer(), 4))


# The learning rate


def test_a_scale_of_one_changes_no_bits(backend):
    one, other = (
        fit(make_trainer(backend, optimizer=optimizer), 3)
        for optimizer in (ScaledLearningRate(Adam(0.1)), Adam(0.1))
    )
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
def test_a_plateau_makes_the_learning_rate_smaller_without_compiling(backend):
    """A scale of s multiplies the learning rate by s."""
    scaled = make_trainer(backend, optimizer=ScaledLearningRate(SGD(0.2, momentum=0.9)))
    reduce = ReduceLearningRateOnPlateau("figure", mode="min", factor=0.5, patience=2)
    fit(scaled, 3, callbacks=[Pretend(1, 2, 3), reduce])
    compiled = scaled.seconds.compile
    fit(scaled, 1, callbacks=[Pretend(1), reduce])
    assert scaled.seconds.compile == compiled
    assert learning_rate_scale(scaled.backend, scaled.optimizer_state) == 0.5
    plain = fit(make_trainer(backend, optimizer=SGD(0.2, momentum=0.9)), 3)
    slower = make_trainer(backend, optimizer=SGD(0.1, momentum=0.9))
    slower.initialize((3,))
    slower.state, slower.epoch, slower.step = plain.state, plain.epoch, plain.step
    np.testing.assert_allclose(scaled.predict(X), fit(slower, 1).predict(X), rtol=1e-5, atol=1e-6)


def test_the_scale_stays_above_its_least_within_other_wrappers():
    optimizer = ExponentialMovingAverage(ScaledLearningRate(Adam()))
    reduce = ReduceLearningRateOnPlateau("figure", mode="min", factor=0.5, patience=1, min_scale=0.3)
    trainer = fit(make_trainer(optimizer=optimizer), 5, callbacks=[Pretend(*range(5)), reduce])
    assert learning_rate_scale(trainer.backend, trainer.optimizer_state) == pytest.approx(0.3)
    higher = ReduceLearningRateOnPlateau("figure", mode="min", patience=1, min_scale=0.9)
    fit(trainer, 2, callbacks=[Pretend(1, 2), higher])
    assert learning_rate_scale(trainer.backend, trainer.optimizer_state) == pytest.approx(0.3)


def test_patience_begins_anew_after_each_plateau():
    trainer = make_trainer(optimizer=ScaledLearningRate(SGD(0.1)))
    reduce = ReduceLearningRateOnPlateau("figure", mode="min", factor=0.5, patience=2)
    fit(trainer, 5, callbacks=[Pretend(1, 2, 3, 4, 5), reduce])
    assert learning_rate_scale(trainer.backend, trainer.optimizer_state) == 0.25


def test_reports_of_the_cooldown_do_not_count_for_patience():
    trainer = make_trainer(optimizer=ScaledLearningRate(SGD(0.1)))
    reduce = ReduceLearningRateOnPlateau("figure", mode="min", factor=0.5, patience=2, cooldown=2)
    scales = []
    for values in ([1, 2, 2], [1, 2, 2, 2, 2], [1, 2, 2, 2, 2, 2, 2]):
        fit(trainer, len(values), callbacks=[Pretend(*values), reduce])
        scales.append(learning_rate_scale(trainer.backend, trainer.optimizer_state))
    assert scales == [0.5, 0.25, 0.0625]


def test_an_optimizer_without_a_scale_is_refused():
    with pytest.raises(ValueError, match=r"wrap the optimizer, as in ScaledLearningRate\(Adam\(\)\)"):
        fit(make_trainer(), 1, callbacks=[ReduceLearningRateOnPlateau("loss")])


# Logs


def test_csv_rows_are_the_records_and_a_resumed_run_appends(tmp_path):
    logger = CSVLogger(tmp_path / "log.csv")
    trainer = make_trainer()
    for _ in range(2):
        fit(trainer, 2, callbacks=[logger], validation_data=(X, Y))
    with open(logger.path, newline="") as file:
        rows = [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)]
    assert rows == trainer.history


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_csv_row_that_was_cut_off_is_dropped(tmp_path, lost):
    logger = CSVLogger(tmp_path / "log.csv")
    trainer = fit(make_trainer(), 2, callbacks=[logger])
    logger.path.write_bytes(logger.path.read_bytes()[:-lost])
    fit(trainer, 2, callbacks=[logger])
    with open(logger.path, newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["epoch", "loss"]
    assert [(int(epoch), float(loss)) for epoch, loss in rows] == [
        (record["epoch"], record["loss"]) for record in trainer.history if record["epoch"] != 2
    ]


@pytest.mark.parametrize("start", [b"", b"ep", b"epoch,loss", b"epoch,loss\r", b'"epoch",loss'])
def test_a_csv_header_that_was_cut_off_is_written_again(tmp_path, start):
    logger = CSVLogger(tmp_path / "log.csv")
    logger.path.write_bytes(start)
    fit(make_trainer(), 1, callbacks=[logger])
    assert logger.path.read_bytes().splitlines()[0] == b"epoch,loss"


def test_a_csv_file_with_unix_line_ends_is_continued(tmp_path):
    logger = CSVLogger(tmp_path / "log.csv")
    logger.path.write_bytes(b"epoch,loss\n1,2.0\n")
    fit(make_trainer(), 1, callbacks=[logger])
    assert len(logger.path.read_bytes().splitlines()) == 3


@pytest.mark.parametrize("header", ["epoch", "loss,epoch", "epoch,accuracy"])
def test_csv_with_other_columns_is_refused_before_training(tmp_path, header):
    logger, trainer = CSVLogger(tmp_path / "log.csv"), make_trainer()
    logger.path.write_text(f"{header}\n")
    with pytest.raises(ValueError, match=r"CSVLogger: .*log.csv has the columns .*: choose"):
        fit(trainer, 1, callbacks=[logger])
    assert trainer.epoch == 0


@pytest.mark.parametrize("old", [b"epoch,accuracy\r\n1,0.5\r\n2,0", b"caf\xc3"])
def test_csv_with_other_columns_stays_as_it_was(tmp_path, old):
    logger = CSVLogger(tmp_path / "log.csv")
    logger.path.write_bytes(old)
    with pytest.raises(ValueError, match=r"CSVLogger: .*log.csv has the columns .*: choose another"):
        fit(make_trainer(), 1, callbacks=[logger])
    assert logger.path.read_bytes() == old


def test_tensorboard_gets_the_metrics(tmp_path, monkeypatch):
    written: list[Any] = []
    writer = SimpleNamespace(
        add_scalar=lambda *arguments: written.append(arguments),
        flush=lambda: None,
        close=lambda: written.append("closed"),
    )
    module = SimpleNamespace(SummaryWriter=lambda folder: written.append(Path(folder)) or writer)
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    trainer = fit(make_trainer(), 2, callbacks=[TensorBoard(tmp_path)])
    one, two = trainer.history["loss"]
    assert written == [tmp_path, ("loss", one, 1), ("loss", two, 2), "closed"]
    with pytest.raises(StopIteration):
        fit(trainer, 1, callbacks=[TensorBoard(tmp_path), Pretend()])
    assert written[-1] == "closed"


def events(folder: Path) -> list[tuple[str, int, float]]:
    """Return the scalars in event files, with records of length, checksum, event, checksum."""
    scalars = []
    for path in folder.iterdir():
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            scalars += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            content = content[length + 16 :]
    return scalars


def test_tensorboard_can_read_its_files(tmp_path):
    trainer = fit(make_trainer(), 3, callbacks=[TensorBoard(tmp_path)], validation_data=(X, Y))
    written = {(name, step): value for name, step, value in events(tmp_path)}
    expected = {
        (name, int(record["epoch"])): pytest.approx(value, rel=1e-6)
        for record in trainer.history
        for name, value in record.items()
        if name != "epoch"
    }
    assert written == expected


def test_tensorboard_says_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r'pip install "multinn\[tensorboard\]'):
        TensorBoard(tmp_path)
