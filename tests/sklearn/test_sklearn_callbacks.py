"""Callbacks in the fits of estimators."""

import csv
import pickle
import signal
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from multinn import (
    Adam,
    Callback,
    CSVLogger,
    EarlyStopping,
    ReduceLearningRateOnPlateau,
    SaveCheckpoint,
    TensorBoard,
)
from multinn.optimizers.scaled import learning_rate_scale
from multinn.sklearn import MLPClassifier, MLPRegressor
from tests.support.estimator_runs import NUMBERS, X, Y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL: dict[str, Any] = {"hidden_layer_sizes": (5,), "random_state": 0}


class Spy(Callback):
    """Records its calls, and stops or interrupts the fit at an epoch."""

    def __init__(self, stop_at: int = 0, interrupt_at: int = 0) -> None:
        self.calls: list[Any] = []
        self.stop_at, self.interrupt_at = stop_at, interrupt_at

    def on_fit_start(self, trainer: Any) -> None:
        self.calls.append("start")

    def on_report(self, trainer: Any, record: Any) -> bool:
        assert record is trainer.history[-1]
        self.calls.append((trainer.epoch, *record))
        if trainer.epoch == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)
        return trainer.epoch == self.stop_at

    def on_fit_end(self, trainer: Any) -> None:
        self.calls.append("end")


def test_callbacks_are_called_with_the_trainer_and_its_records():
    spy = Spy()
    model = MLPClassifier(**SMALL, max_iter=2, callbacks=spy).fit(X, Y)
    names = ("epoch", "loss")
    assert spy.calls == ["start", (1, *names), (2, *names), "end"]
    spy.calls.clear()
    model.set_params(early_stopping=True, warm_start=True, max_iter=1).fit(X, Y)
    assert spy.calls == ["start", (3, *names, "validation_loss", "validation_score"), "end"]
    record = model.trainer_.history[-1]
    assert record["validation_loss"] == model.validation_loss_curve_[-1]
    assert record["validation_score"] == model.validation_scores_[-1]


def test_callbacks_change_no_bits():
    called = MLPClassifier(**SMALL, max_iter=5, callbacks=[Spy()]).fit(X, Y)
    plain = MLPClassifier(**SMALL, max_iter=5).fit(X, Y)
    np.testing.assert_array_equal(called.predict_proba(X), plain.predict_proba(X))


def test_every_callback_sees_the_record_before_the_fit_stops():
    seen = []
    spies = [Spy(stop_at=3), lambda model: seen.append(model.n_iter_), Spy()]
    model = MLPClassifier(**SMALL, callbacks=spies).fit(X, Y)
    assert model.n_iter_ == 3
    assert seen == [1, 2, 3]
    assert [len(spy.calls) for spy in spies[::2]] == [5, 5]


def test_an_interrupt_ends_the_fit_with_a_warning():
    spy = Spy(interrupt_at=2)
    with pytest.warns(UserWarning, match="interrupted by user") as caught:
        model = MLPClassifier(**SMALL, callbacks=spy).fit(X, Y)
    assert caught[0].filename == __file__
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert spy.calls[-1] == "end"


def test_each_partial_fit_is_a_run():
    spy = Spy()
    model = MLPRegressor(**SMALL, callbacks=[spy])
    model.partial_fit(X, NUMBERS).partial_fit(X, NUMBERS)
    assert [call if isinstance(call, str) else call[0] for call in spy.calls] == [
        *("start", 1, "end"),
        *("start", 2, "end"),
    ]


def test_early_stopping_restores_the_best_weights():
    stopping = EarlyStopping(patience=3)
    noise = np.random.default_rng(1).integers(0, 3, 60)
    model = MLPClassifier((50,), learning_rate_init=0.05, random_state=0, callbacks=[stopping])
    model.fit(X[:30], noise[:30], validation_data=(X[30:], noise[30:]))
    curve = model.validation_loss_curve_
    assert len(curve) == model.n_iter_ == stopping.best_epoch + 3 < 200
    assert min(curve) == stopping.monitor.best
    assert model.trainer_.evaluate(X[30:], noise[30:])["loss"] == pytest.approx(min(curve))


def test_the_first_epochs_and_the_cooldown_of_callbacks_do_not_count():
    stopping = EarlyStopping("loss", patience=3, min_delta=100.0, start_from_epoch=2, restore_best=False)
    plateau = ReduceLearningRateOnPlateau("loss", patience=1, min_delta=100.0, factor=0.5, cooldown=2)
    model = MLPClassifier(**SMALL, max_iter=20, callbacks=[stopping, plateau]).fit(X, Y)
    assert (model.n_iter_, stopping.best_epoch) == (6, 3)
    assert scale_of(model) == 0.5**2  # at epochs 2 and 5


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_learning_rate_falls_on_a_plateau(solver):
    plateau = ReduceLearningRateOnPlateau("loss", patience=1, min_delta=100.0, factor=0.5)
    settings = SMALL | {"solver": solver, "max_iter": 4, "warm_start": True}
    model = MLPClassifier(**settings, callbacks=[plateau]).fit(X, Y)
    assert scale_of(model) == 0.5**3
    plain = MLPClassifier(**settings).fit(X, Y)
    assert not np.array_equal(model.coefs_[0], plain.coefs_[0])


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    "solver", [{}, {"solver": "sgd", "learning_rate": "invscaling"}], ids=["adam", "sgd"]
)
def test_adding_or_removing_the_callback_keeps_the_state_of_the_solver(solver, before):
    never = [ReduceLearningRateOnPlateau("loss", patience=99)]
    settings = SMALL | solver | {"max_iter": 3, "warm_start": True}
    model = MLPClassifier(**settings, callbacks=never if before else None).fit(X, Y)
    model.set_params(callbacks=None if before else never).fit(X, Y)
    plain = MLPClassifier(**settings).fit(X, Y).fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_reduced_learning_rate_stays_until_learning_rate_init_changes(solver):
    plateau = ReduceLearningRateOnPlateau("loss", patience=1, min_delta=100.0, factor=0.5)
    settings = SMALL | {"solver": solver, "max_iter": 2, "warm_start": True}
    model = MLPClassifier(**settings, callbacks=plateau).fit(X, Y)
    model.set_params(callbacks=None).fit(X, Y)
    assert scale_of(model) == 0.5
    model.set_params(learning_rate_init=0.1).fit(X, Y)
    assert scale_of(model) == 1.0


def scale_of(model: Any) -> float:
    return learning_rate_scale(model.trainer_.backend, model.trainer_.optimizer_state)


def test_records_are_logged(tmp_path):
    path = tmp_path / "log.csv"
    model = MLPClassifier(**SMALL, max_iter=2, callbacks=CSVLogger(path))
    model.fit(X, Y, validation_data=(X, Y))
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == model.loss_curve_
    assert [float(row["validation_loss"]) for row in rows] == model.validation_loss_curve_


def test_tensorboard_gets_the_metrics_and_can_be_cloned_afterwards(monkeypatch, tmp_path):
    written: list[Any] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            self.add_scalar = lambda *metric: written.append(metric)
            self.flush = self.close = lambda: None

        def __reduce__(self) -> Any:
            raise TypeError("an open file cannot be copied")

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=Writer))
    model = MLPClassifier(**SMALL, max_iter=2, callbacks=[TensorBoard(tmp_path)]).fit(X, Y)
    assert written == [("loss", loss, epoch + 1) for epoch, loss in enumerate(model.loss_curve_)]
    assert clone(model).fit(X, Y).n_iter_ == 2


def test_copies_of_an_estimator_have_their_own_callbacks():
    stopping = EarlyStopping("loss", patience=1, min_delta=100.0)
    model = MLPClassifier(**SMALL, callbacks=[stopping])
    search = GridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2).fit(X, Y)
    assert search.best_estimator_.n_iter_ == 2
    assert stopping.best_epoch is None
    assert pickle.loads(pickle.dumps(search.best_estimator_)).callbacks[0].best_epoch == 1


def test_the_solver_can_change_with_early_stopping():
    model = MLPClassifier(**SMALL, max_iter=3, early_stopping=True, warm_start=True).fit(X, Y)
    model.set_params(solver="sgd", learning_rate_init=1e-9).fit(X, Y)
    assert model.trainer_.rate == pytest.approx(1e-9)
    model.set_params(solver="adam").fit(X, Y)
    assert isinstance(model.trainer_.program.optimizer, Adam)


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLearningRateOnPlateau])
def test_callbacks_that_compare_epochs_raise_in_partial_fit(kind):
    with pytest.raises(ValueError, match=f"^callbacks: {kind.__name__} compares the epochs of one fit"):
        MLPRegressor(**SMALL, callbacks=[kind()]).partial_fit(X, NUMBERS)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"callbacks": [3]}, TypeError, r"^callbacks: expected callbacks of multinn.*got 3"),
        ({"callbacks": EarlyStopping}, TypeError, "^callbacks: expected callbacks of multinn"),
        (
            {"callbacks": Spy(), "solver": "lbfgs"},
            ValueError,
            "^callbacks: solver='lbfgs' has no epochs",
        ),
        ({"callbacks": EarlyStopping()}, ValueError, "'validation_loss' is not reported"),
        (
            {"callbacks": EarlyStopping("validation_score", mode="max")},
            ValueError,
            "'validation_score' is not reported",
        ),
        (
            {"callbacks": [ReduceLearningRateOnPlateau()]},
            ValueError,
            "'validation_loss' is not reported",
        ),
        ({"callbacks": SaveCheckpoint("x", save_best_only=True)}, ValueError, "only .*'loss'"),
    ],
)
def test_invalid_callbacks_raise_and_leave_the_estimator_unchanged(settings, error, message):
    model = MLPClassifier(**SMALL, max_iter=1).fit(X, Y)
    before, state = dict(vars(model)), model.trainer_.state
    with pytest.raises(error, match=message):
        model.set_params(**settings).fit(X, Y)
    assert vars(model) == before | settings
    assert model.trainer_.state is state


def test_callbacks_can_monitor_the_held_out_part():
    settings = SMALL | {"learning_rate_init": 0.5}
    loss, score = EarlyStopping(), EarlyStopping("validation_score", mode="max")
    model = MLPClassifier(**settings, max_iter=9, early_stopping=True, callbacks=[loss, score]).fit(X, Y)
    assert loss.best_epoch == 1 + np.argmin(model.validation_loss_curve_)
    assert score.best_epoch == 1 + np.argmax(model.validation_scores_)


def test_a_function_can_stop_the_fit_with_a_boolean_of_numpy():
    model = MLPClassifier(max_iter=9, **SMALL, callbacks=lambda each: np.float64(each.n_iter_) >= 2)
    assert model.fit(X, Y).n_iter_ == 2


def test_an_interrupt_between_two_calls_ends_the_fit():
    def interrupt(estimator):
        signal.raise_signal(signal.SIGINT)

    model = MLPClassifier(max_iter=9, **SMALL, callbacks=interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        assert model.fit(X, Y).n_iter_ == 1


def test_the_checkpoint_after_an_interrupt_is_of_the_estimator(tmp_path, monkeypatch):
    path, score = tmp_path / "model.safetensors", MLPClassifier._score

    def interrupted_score(self, *arguments):
        if len(self.loss_curve_) == 2:
            raise KeyboardInterrupt
        return score(self, *arguments)

    monkeypatch.setattr(MLPClassifier, "_score", interrupted_score)
    model = MLPClassifier(max_iter=9, early_stopping=True, callbacks=SaveCheckpoint(path), **SMALL)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, Y)
    assert MLPClassifier.load(path, callbacks=()).n_iter_ == 2
