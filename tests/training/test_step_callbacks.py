"""Callbacks after every few steps: what they see, and that the run stays the same."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from backends import tree
from multinn import SGD, Adam, Callback, DivergenceError, HalfSquaredError, ShuffledBatches, Trainer
from multinn.schedules import StepDecay
from multinn.sklearn import MLPClassifier
from multinn.training.tracing import plan_of_steps
from tests.support.small_runs import PLAIN, WEIGHTS, X, Y, assert_same_bits, fit, host, make_trainer

STEPS = 3  # in an epoch: batches of 4, 4 and 2


class Recorder(Callback):
    """Keeps what it sees: the steps, the epochs, the records and the states."""

    def __init__(self, every: int) -> None:
        self.every_steps = every
        self.seen: list[tuple[int, int]] = []
        self.records: list[dict[str, float]] = []
        self.states: list[object] = []

    def on_steps(self, trainer, step, record):
        assert step == trainer.step
        self.seen.append((step, trainer.epoch))
        self.records.append(record)
        self.states.append(trainer.backend.to_numpy(trainer.state))


@pytest.mark.parametrize("every", [1, 2, 3, 4, 6, 7, 50])
def test_a_run_has_the_same_bits_as_without_the_callback(every):
    recorder, other = Recorder(every), make_trainer()
    trainer = fit(make_trainer(), 5, callbacks=[recorder])
    assert_same_bits(trainer, fit(other, 5))
    assert trainer.history == other.history
    steps = range(every, 5 * STEPS + 1, every)
    assert recorder.seen == [(step, (step - 1) // STEPS) for step in steps]


def test_jax_rounds_as_without_the_callback_up_to_the_last_bits():
    runs = [
        fit(make_trainer("jax", dtype="float64"), 2, callbacks=callbacks)
        for callbacks in ([Recorder(2)], [])
    ]
    tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15), *map(host, runs))


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"], indirect=True)
def test_the_state_is_that_after_the_step(backend):
    """Compared with the steps themselves, one after the other."""
    trainer = make_trainer(backend, dtype="float64")
    trainer.initialize((3,))
    program, plan = trainer.program, plan_of_steps(trainer, len(X), 2 * STEPS, 4, shuffle=True)
    with backend.precision("float64"):
        state, data = trainer.state, backend.from_numpy((X.astype(float), Y.astype(float), None))
        expected = []
        for epoch in range(2):
            steps = [*zip(plan.rows[epoch], plan.keys[epoch], strict=True)]
            for rows_and_key in (*steps, (plan.tail_rows[epoch], plan.tail_keys[epoch])):
                state, _ = program.step(data, state, backend.from_numpy(rows_and_key))
                expected.append(backend.to_numpy(state))
    recorder = Recorder(2)
    fit(trainer, 2, callbacks=[recorder])
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)  # noqa: E731
    for seen, right in zip(recorder.states, expected[1::2], strict=True):
        tree.map(close, seen, right)


@pytest.mark.parametrize(
    ("loss", "weights"), [(None, None), (None, WEIGHTS), (HalfSquaredError(), None)]
)
def test_a_record_combines_the_last_steps_as_over_an_epoch(loss, weights):
    keywords = {"weights": weights, "callbacks": [single := Recorder(1), epoch := Recorder(STEPS)]}
    trainer = fit(make_trainer(loss=loss), 3, **keywords)
    assert [each["loss"] for each in epoch.records] == pytest.approx(trainer.history.losses)
    assert len(single.records) == 3 * STEPS


def test_a_record_can_combine_steps_of_two_epochs():
    single, double = Recorder(1), Recorder(2)
    fit(make_trainer(), 4, callbacks=[single, double])
    losses = [each["loss"] for each in single.records]
    sizes = [4, 4, 2] * 4
    expected = [
        np.average(losses[step : step + 2], weights=sizes[step : step + 2])
        for step in range(0, len(losses), 2)
    ]
    assert [each["loss"] for each in double.records] == pytest.approx(expected)


def test_the_counts_of_a_second_run_start_again_and_its_steps_go_on():
    trainer = fit(make_trainer(), 1)
    fit(trainer, 2, callbacks=[recorder := Recorder(4)])
    assert recorder.seen == [(7, 2)]


def test_batches_that_come_one_by_one_give_the_same():
    batches = ShuffledBatches(X, Y, batch_size=4)
    recorders = [Recorder(2), Recorder(2)]
    trainer = fit(make_trainer(), 3, callbacks=recorders[:1])
    other = make_trainer()
    other.fit_batches(batches, epochs=3, progress=False, callbacks=recorders[1:])
    assert_same_bits(trainer, other)
    assert recorders[0].seen == recorders[1].seen
    assert recorders[0].records == recorders[1].records
    tree.map(np.testing.assert_array_equal, recorders[0].states, recorders[1].states)


@pytest.mark.parametrize(("every", "calls"), [(4, [2] * 5), (5, [5, 5]), (20, [10])])
def test_epochs_of_one_step_stay_together_in_a_call(every, calls, monkeypatch):
    lengths = []
    trainer = make_trainer()
    get = type(trainer.programs).get

    def counted(programs, function, *arguments):
        lengths.extend([arguments[2].keys.shape[0]] if function.__name__ == "run" else [])
        return get(programs, function, *arguments)

    monkeypatch.setattr(type(trainer.programs), "get", counted)
    recorder = Recorder(every)
    fit(trainer, 10, batch_size=10, report_every=10, callbacks=[recorder])
    assert [step for step, _ in recorder.seen] == [*range(every, 11, every)]
    assert lengths == calls


def test_training_continues_from_the_state_that_a_callback_sets():
    class SetToZero(Callback):
        every_steps = 4

        def on_steps(self, trainer, step, record):
            zeros = tree.map(np.zeros_like, trainer.params)
            trainer.state = trainer.state._replace(params=zeros)

    trainer = fit(make_trainer(optimizer=SGD(0.0)), 1)
    before = host(trainer)[0]
    fit(trainer, 1, callbacks=[SetToZero()])
    tree.map(np.testing.assert_array_equal, host(trainer)[0], before)
    fit(trainer, 2, callbacks=[SetToZero()])
    assert not any(leaf.any() for leaf in tree.leaves(host(trainer)[0]))
    assert trainer.step == 4 * STEPS


def test_an_error_of_a_callback_leaves_the_trainer_at_the_last_whole_epoch():
    class Fail(Callback):
        every_steps = 5

        def on_steps(self, trainer, step, record):
            trainer.state = trainer.state._replace(params=None)
            raise RuntimeError("no more")

    trainer = make_trainer()
    with pytest.raises(RuntimeError, match="no more"):
        fit(trainer, 3, callbacks=[Fail()])
    assert_same_bits(trainer, fit(make_trainer(), 1))


def test_a_checkpoint_within_an_epoch_has_the_state_after_the_step(tmp_path):
    class Save(Callback):
        every_steps = 4

        def on_steps(self, trainer, step, record):
            trainer.save(tmp_path / str(step))

    recorder = Recorder(4)
    fit(make_trainer(), 2, callbacks=[recorder, Save()])
    loaded = Trainer.load(tmp_path / "4", "numpy")
    tree.map(np.testing.assert_array_equal, loaded.state, recorder.states[0])
    assert (loaded.epoch, loaded.step) == (1, 4)


def test_estimators_call_it_too():
    recorder = Recorder(3)
    estimator = MLPClassifier(hidden_layer_sizes=2, max_iter=4, batch_size=4, callbacks=[recorder])
    with pytest.warns(ConvergenceWarning):
        estimator.fit(X, [0, 1] * 5)
    assert [step for step, _ in recorder.seen] == [3, 6, 9, 12]


@pytest.mark.parametrize("every", [1, 2, 4])
def test_a_divergence_names_the_same_step(every):
    optimizer = SGD(StepDecay(0.01, 1e32, every=5))
    found = []
    for callbacks in ([], [recorder := Recorder(every)]):
        trainer = make_trainer(model=PLAIN, optimizer=optimizer)
        with pytest.raises(DivergenceError) as caught:
            fit(trainer, 4, callbacks=callbacks)
        found.append((caught.value.epoch, caught.value.step, host(trainer)[0]))
    tree.map(np.testing.assert_array_equal, *found)
    assert all(step <= (found[0][0] - 1) * STEPS + found[0][1] for step, _ in recorder.seen)


@pytest.mark.parametrize(("every", "error"), [(0, ValueError), (2.0, TypeError)])
def test_a_wrong_number_of_steps_is_an_error_before_training(every, error):
    trainer = make_trainer()
    with pytest.raises(error, match=r"Recorder\.every_steps: expected"):
        fit(trainer, 1, callbacks=[Recorder(every)])
    assert trainer.params is None


def test_a_trainer_without_such_callbacks_calls_none():
    class Unasked(Callback):
        def on_steps(self, trainer, step, record):
            raise AssertionError

    assert isinstance(fit(make_trainer(), 1, callbacks=[Unasked()]), Trainer)


def test_other_metrics_within_a_run_are_an_error():
    class WithoutMetrics(Callback):
        every_steps = 2

        def on_steps(self, trainer, step, record):
            trainer.metrics = {}

    trainer = make_trainer("numpy:eager")
    trainer.metrics = {"error": HalfSquaredError().value}
    with pytest.raises(ValueError, match=r"WithoutMetrics.on_steps: .* between two runs"):
        fit(trainer, 2, callbacks=[WithoutMetrics()])
    assert trainer.epoch == 0


@pytest.mark.parametrize("batches", [False, True], ids=["fit", "fit_batches"])
def test_an_optimizer_that_is_set_fits_the_state_also_after_an_interrupt(batches):
    class Changes(Callback):
        every_steps = 1

        def on_steps(self, trainer, step, record):
            if step == 4:
                trainer.optimizer = Adam(0.01)
            if step == 5:
                raise KeyboardInterrupt

    trainer = make_trainer(optimizer=SGD(0.1, momentum=0.9))
    settings = {"epochs": 3, "progress": False, "callbacks": [Changes()]}
    read = ShuffledBatches(X, Y, batch_size=4)
    with pytest.warns(UserWarning, match="begins anew"):
        _ = trainer.fit_batches(read, **settings) if batches else fit(trainer, **settings)
    assert trainer.epoch == 1
    assert isinstance(trainer.optimizer, Adam)
    fit(trainer, 1)
    assert trainer.epoch == 2
