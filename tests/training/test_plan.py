"""The plan of a run: every example once in each epoch, however the run is divided."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from multinn.random import step_words
from multinn.training.program import Plan, make_plan

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
    """Return the examples of each epoch in the order of the steps."""
    epochs = plan.keys.shape[0]
    if plan.rows is None:
        return [list(range(examples)) for _ in range(epochs)]
    rows = plan.rows.reshape(epochs, -1)
    if plan.tail_rows is not None:
        rows = np.concatenate([rows, plan.tail_rows], axis=1)
    return [[int(row) for row in epoch] for epoch in rows]


def keys_in_order(plan: Plan) -> np.ndarray:
    if plan.tail_keys is None:
        return np.asarray(plan.keys).reshape(-1, 2)
    return np.concatenate([plan.keys, plan.tail_keys[:, None]], axis=1).reshape(-1, 2)


@given(
    examples=counts, batch_size=batch_sizes, epochs=st.integers(1, 4), seed=seeds, shuffle=st.booleans()
)
def test_every_example_is_seen_once_an_epoch(examples, batch_size, epochs, seed, shuffle):
    plan = plan_of(examples, batch_size, epochs=epochs, seed=seed, shuffle=shuffle)
    for order in orders(plan, examples):
        assert sorted(order) == list(range(examples))


def test_a_batch_of_all_examples_needs_no_order():
    assert plan_of(30, 30).rows is None
    assert plan_of(30, 29).rows is not None


@given(examples=counts, batch_size=batch_sizes)
def test_all_batches_but_the_last_are_full(examples, batch_size):
    plan = plan_of(examples, batch_size, shuffle=True)
    full, rest = divmod(examples, min(batch_size, examples))
    assert plan.keys.shape == (1, full, 2)
    assert batch_size >= examples or plan.rows.shape == (1, full, batch_size)
    assert (plan.tail_rows is None) == (rest == 0)
    assert rest == 0 or plan.tail_rows.shape == (1, rest)


@given(examples=counts, batch_size=batch_sizes, shuffle=st.booleans(), data=st.data())
def test_the_parts_of_an_epoch_add_up_to_the_epoch(examples, batch_size, shuffle, data):
    plan = plan_of(examples, batch_size, shuffle=shuffle)
    steps = len(keys_in_order(plan))
    cuts = data.draw(st.sets(st.integers(1, steps)).map(lambda stops: sorted({0, *stops, steps})))
    parts = [plan.part(start, stop) for start, stop in itertools.pairwise(cuts)]
    if plan.rows is not None:
        order = list(itertools.chain(*(orders(part, examples)[0] for part in parts)))
        assert order == orders(plan, examples)[0]
    joined = np.concatenate([keys_in_order(part) for part in parts])
    np.testing.assert_array_equal(joined, keys_in_order(plan))
    assert [len(keys_in_order(part)) for part in parts] == np.diff(cuts).tolist()


@given(
    examples=counts,
    batch_size=batch_sizes,
    before=st.integers(1, 3),
    after=st.integers(1, 3),
    seed=seeds,
    shuffle=st.booleans(),
)
def test_two_runs_in_a_row_have_the_plan_of_one(examples, batch_size, before, after, seed, shuffle):
    def planned(**keywords: int) -> Plan:
        return plan_of(examples, batch_size, seed=seed, shuffle=shuffle, **keywords)

    whole, first = planned(epochs=before + after), planned(epochs=before)
    steps = len(keys_in_order(first))
    second = planned(epochs=after, first_epoch=before, first_step=steps)
    assert orders(whole, examples) == orders(first, examples) + orders(second, examples)
    joined = np.concatenate([keys_in_order(first), keys_in_order(second)])
    np.testing.assert_array_equal(keys_in_order(whole), joined)


@given(examples=counts, batch_size=batch_sizes, epochs=st.integers(1, 3), first=st.integers(0, 2**40))
def test_each_step_has_the_key_of_its_number(examples, batch_size, epochs, first):
    keys = keys_in_order(plan_of(examples, batch_size, epochs=epochs, first_step=first, seed=9))
    np.testing.assert_array_equal(keys, step_words(9, first, len(keys)))


@given(examples=counts, batch_size=batch_sizes, epochs=st.integers(1, 3))
def test_without_shuffling_the_order_of_the_data_is_kept(examples, batch_size, epochs):
    plan = plan_of(examples, batch_size, epochs=epochs, shuffle=False)
    assert orders(plan, examples) == [list(range(examples))] * epochs


def test_the_order_does_not_depend_on_the_batch_size():
    assert orders(plan_of(30, 7), 30) == orders(plan_of(30, 15), 30)


def test_each_epoch_and_each_seed_has_its_own_order():
    seen = orders(plan_of(30, 15, epochs=20), 30) + orders(plan_of(30, 15, epochs=20, seed=1), 30)
    assert len({tuple(order) for order in seen}) == 40


def test_the_first_order_never_changes():
    assert orders(plan_of(8, 3), 8) == [[3, 1, 6, 5, 7, 2, 0, 4]]


def test_each_place_is_equally_likely():
    """Of 4,000 epochs, each of 4 examples comes first in about 1,000."""
    first = [order[0] for order in orders(plan_of(4, 2, epochs=4000), 4)]
    assert np.abs(np.bincount(first) - 1000).max() < 4.0 * np.sqrt(4000 * 0.25 * 0.75)
