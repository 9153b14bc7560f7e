"""The plan of a run: every example once an epoch, however it is cut; and how figures are combined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multinn.random import step_words
from multinn.training import Plan, combine, epoch_figures, make_plan

counts = st.integers(1, 40)
batch_sizes = st.integers(1, 50)
seeds = st.integers(0, 2**70)


def plan_of(
    examples: int,
    batch_size: int,
    *,
    epochs: int = 1,
    first_epoch: int = 0,
    first_step: int = 0,
    seed: int = 0,
    shuffle: bool = True,
) -> Plan:
    return make_plan(
        examples,
        batch_size,
        first_epoch=first_epoch,
        epochs=epochs,
        first_step=first_step,
        seed=seed,
        shuffle=shuffle,
    )


def orders(plan: Plan, examples: int) -> list[list[int]]:
    """The examples of each epoch, in the order in which they are seen."""
    epochs = plan.words.shape[0]
    if plan.rows is None:
        return [list(range(examples)) for _ in range(epochs)]
    rows = plan.rows.reshape(epochs, -1)
    if plan.tail_rows is not None:
        rows = np.concatenate([rows, plan.tail_rows], axis=1)
    return [[int(row) for row in epoch] for epoch in rows]


def words_in_order(plan: Plan) -> np.ndarray:
    if plan.tail_words is None:
        return np.asarray(plan.words).reshape(-1, 2)
    return np.concatenate([plan.words, plan.tail_words[:, None]], axis=1).reshape(-1, 2)


@given(
    examples=counts, batch_size=batch_sizes, epochs=st.integers(1, 4), seed=seeds, shuffle=st.booleans()
)
def test_every_example_is_seen_once_an_epoch(examples, batch_size, epochs, seed, shuffle):
    plan = plan_of(examples, batch_size, epochs=epochs, seed=seed, shuffle=shuffle)
    for order in orders(plan, examples):
        assert sorted(order) == list(range(examples))


@given(examples=counts, batch_size=batch_sizes)
def test_all_batches_but_the_last_are_full(examples, batch_size):
    plan = plan_of(examples, batch_size)
    sizes = [size or examples for size in plan.batch_sizes]
    full, rest = divmod(examples, min(batch_size, examples))
    assert sizes == [min(batch_size, examples)] * full + [rest] * bool(rest)


@given(
    examples=counts,
    batch_size=batch_sizes,
    before=st.integers(1, 3),
    after=st.integers(1, 3),
    seed=seeds,
    shuffle=st.booleans(),
)
def test_a_run_cut_in_two_is_the_same_run(examples, batch_size, before, after, seed, shuffle):
    def planned(**keywords: int) -> Plan:
        return plan_of(examples, batch_size, seed=seed, shuffle=shuffle, **keywords)

    whole, first = planned(epochs=before + after), planned(epochs=before)
    steps = len(words_in_order(first))
    second = planned(epochs=after, first_epoch=before, first_step=steps)
    assert orders(whole, examples) == orders(first, examples) + orders(second, examples)
    cut = np.concatenate([words_in_order(first), words_in_order(second)])
    np.testing.assert_array_equal(words_in_order(whole), cut)


@given(examples=counts, batch_size=batch_sizes, epochs=st.integers(1, 3), first=st.integers(0, 2**40))
def test_each_step_has_the_words_of_its_number(examples, batch_size, epochs, first):
    words = words_in_order(plan_of(examples, batch_size, epochs=epochs, first_step=first, seed=9))
    np.testing.assert_array_equal(words, step_words(9, first, len(words)))


@given(examples=counts, batch_size=batch_sizes, epochs=st.integers(1, 3))
def test_without_shuffling_the_order_is_that_of_the_data(examples, batch_size, epochs):
    plan = plan_of(examples, batch_size, epochs=epochs, shuffle=False)
    assert orders(plan, examples) == [list(range(examples))] * epochs


def test_the_order_does_not_depend_on_the_batch_size():
    assert orders(plan_of(30, 7), 30) == orders(plan_of(30, 30), 30)


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    seen = orders(plan_of(30, 30, epochs=20), 30) + orders(plan_of(30, 30, epochs=20, seed=1), 30)
    assert len({tuple(order) for order in seen}) == 40


def test_the_first_order_never_changes():
    assert orders(plan_of(8, 3), 8) == [[3, 1, 6, 5, 7, 2, 0, 4]]


def test_each_place_is_equally_likely():
    """Of 4,000 epochs, each of 4 examples comes first in about 1,000."""
    first = [order[0] for order in orders(plan_of(4, 2, epochs=4000), 4)]
    assert np.abs(np.bincount(first) - 1000).max() < 4.0 * np.sqrt(4000 * 0.25 * 0.75)


# Two full batches and a smaller one, in each of two epochs.
FULL = {
    "loss": np.array([[9.0, 9.0], [1.0, 2.0]], np.float32),
    "accuracy": np.array([[0.0, 0.0], [0.5, 1.0]], np.float32),
}
TAIL = {"loss": np.array([9.0, 7.0], np.float32), "accuracy": np.array([0.0, 0.0], np.float32)}
MEANS = {"loss": "mean", "accuracy": "mean"}


def test_a_smaller_batch_counts_by_its_examples():
    figures = epoch_figures((FULL, TAIL), plan_of(5, 2, epochs=2), 5, MEANS)
    assert figures.last == {
        "loss": pytest.approx((2 * 1 + 2 * 2 + 7) / 5),
        "accuracy": pytest.approx((2 * 0.5 + 2) / 5),
    }


def test_a_batch_of_weighted_examples_counts_by_their_weights():
    full = FULL | {"weight": np.array([[1.0, 1.0], [3.0, 0.0]], np.float32)}
    tail = TAIL | {"weight": np.array([1.0, 1.0], np.float32)}
    figures = epoch_figures((full, tail), plan_of(5, 2, epochs=2), 5, MEANS)
    assert figures.last == {"loss": pytest.approx((3 + 7) / 4), "accuracy": pytest.approx(1.5 / 4)}


def test_a_figure_that_is_a_sum_is_added_up():
    figures = epoch_figures((FULL, TAIL), plan_of(5, 2, epochs=2), 5, MEANS | {"loss": "sum"})
    assert figures.losses.tolist() == [27.0, 10.0]
    assert figures.last["loss"] == 10.0


def test_every_epoch_has_a_loss_and_every_step_in_its_order():
    figures = epoch_figures((FULL, TAIL), plan_of(5, 2, epochs=2), 5, MEANS)
    np.testing.assert_allclose(figures.losses, [9.0, (2 * 1 + 2 * 2 + 7) / 5])
    assert figures.step_losses.tolist() == [[9.0, 9.0, 9.0], [1.0, 2.0, 7.0]]


def test_equal_batches_count_equally():
    figures = epoch_figures((FULL, None), plan_of(4, 2, epochs=2), 4, MEANS)
    assert figures.last == {"loss": 1.5, "accuracy": 0.75}


def test_figures_come_in_the_order_of_the_metrics():
    backwards = {name: FULL[name] for name in reversed(FULL)}
    figures = epoch_figures((backwards, None), plan_of(4, 2, epochs=2), 4, MEANS)
    assert list(figures.last) == ["loss", "accuracy"]


def test_batches_without_weight_do_not_count():
    batches = {"loss": np.array([5.0, 1.0])}
    assert combine(batches, np.array([0.0, 2.0]), {"loss": "mean"}) == {"loss": 1.0}
