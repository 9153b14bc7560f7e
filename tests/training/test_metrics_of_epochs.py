"""The metrics of epochs, combined from the metrics of steps."""

import numpy as np
import pytest

from multinn.training.history import EpochMetrics, combine_batches, combine_steps, step_columns

# Two full batches and a smaller one, in each of two epochs.
FULL = {
    "loss": np.array([[9.0, 9.0], [1.0, 2.0]], np.float32),
    "accuracy": np.array([[0.0, 0.0], [0.5, 1.0]], np.float32),
}
TAIL = {"loss": np.array([9.0, 7.0], np.float32), "accuracy": np.array([0.0, 0.0], np.float32)}
MEANS = {"loss": "mean", "accuracy": "mean"}


def metrics_of(full: dict, tail: dict | None, reductions: dict[str, str] = MEANS) -> EpochMetrics:
    return combine_steps(step_columns((full, tail)), [2, 2] + [1] * (tail is not None), reductions)


def test_a_smaller_batch_counts_by_its_examples():
    assert metrics_of(FULL, TAIL).record(1) == {
        "loss": pytest.approx((2 * 1 + 2 * 2 + 7) / 5),
        "accuracy": pytest.approx((2 * 0.5 + 2) / 5),
    }


def test_a_batch_of_weighted_examples_counts_by_their_weights():
    full = FULL | {"weight": np.array([[1.0, 1.0], [3.0, 0.0]], np.float32)}
    tail = TAIL | {"weight": np.array([1.0, 1.0], np.float32)}
    expected = {"loss": pytest.approx((3 + 7) / 4), "accuracy": pytest.approx(1.5 / 4)}
    assert metrics_of(full, tail).record(1) == expected


def test_a_metric_that_is_a_sum_is_added_up():
    metrics = metrics_of(FULL, TAIL, MEANS | {"loss": "sum"})
    assert metrics.columns["loss"].tolist() == [27.0, 10.0]


def test_every_epoch_has_its_metrics_and_its_steps_in_order():
    assert step_columns((FULL, TAIL))["loss"].tolist() == [[9.0, 9.0, 9.0], [1.0, 2.0, 7.0]]
    columns = metrics_of(FULL, TAIL).columns
    np.testing.assert_allclose(columns["loss"], [9.0, (2 * 1 + 2 * 2 + 7) / 5])
    np.testing.assert_allclose(columns["accuracy"], [0.0, (2 * 0.5 + 2) / 5])


def test_equal_batches_count_equally():
    assert metrics_of(FULL, None).record(1) == {"loss": 1.5, "accuracy": 0.75}


def test_a_record_has_the_order_of_the_metrics():
    backwards = {name: FULL[name] for name in reversed(FULL)}
    assert list(metrics_of(backwards, None).record(1)) == ["loss", "accuracy"]


def test_records_have_the_numbers_of_their_epochs():
    assert metrics_of(FULL, None).records([7, 8], [0, 1]) == [
        {"epoch": 7, "loss": 9.0, "accuracy": 0.0},
        {"epoch": 8, "loss": 1.5, "accuracy": 0.75},
    ]
    assert metrics_of(FULL, None).records([], []) == []


def test_batches_without_weight_do_not_count():
    batches = {"loss": np.array([5.0, 1.0])}
    assert combine_batches(batches, np.array([0.0, 2.0]), {"loss": "mean"}) == {"loss": 1.0}
