"""The division of epochs into calls: none too long, and few different lengths to compile."""

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from multinn.training.calls import MOST_ENTRIES, Calls, divide

epochs_of = st.integers(1, 3000)
steps_of = st.integers(1, 600)
paces = st.sampled_from([0.0, 1e-5, 1e-3, 0.02, 0.3, 40.0])
stops = st.none() | st.integers(1, 60)
entries_of = st.sampled_from([3, 1000, 60_000, 10**7])


@given(epochs_of, steps_of, st.booleans(), entries_of, stops, paces)
def test_calls_cover_all_epochs_and_none_is_too_long(
    epochs, full_steps, tail, entries, stop_every, pace
):
    calls = divide(
        epochs,
        full_steps,
        tail=tail,
        entries=entries,
        stop_every=stop_every,
        seconds=0.5,
        seconds_a_step=pace,
    )
    steps = full_steps + tail
    assert sum(calls.epochs) == epochs
    assert min(calls.epochs) >= 1
    ends = set(itertools.accumulate(calls.epochs))
    assert stop_every is None or ends >= set(range(stop_every, epochs, stop_every))
    assert max(calls.epochs) == 1 or max(calls.epochs) * entries <= MOST_ENTRIES
    if calls.parts:
        assert sum(calls.parts) == steps
        assert max(calls.epochs) == 1
        assert max(calls.parts) * pace <= 0.5 or max(calls.parts) <= 2
    else:
        assert max(calls.epochs) * steps * pace <= 1.0 or (max(calls.epochs) == 1 == full_steps)


@given(epochs_of, steps_of, st.booleans(), entries_of, paces)
def test_there_are_at_most_two_lengths(epochs, full_steps, tail, entries, pace):
    calls = divide(epochs, full_steps, tail=tail, entries=entries, seconds=0.5, seconds_a_step=pace)
    for lengths in calls:
        assert len(set(lengths)) <= 2
        assert all(length == lengths[0] for length in lengths[:-1])
        assert not lengths or lengths[-1] <= lengths[0]


@given(st.integers(1, 400), st.integers(2, 50), st.integers(1, 20))
def test_equal_lengths_are_used_where_they_fit(count, length, slack):
    """Calls may be half as long as possible for that."""
    most = min(length + slack, 2 * length)
    calls = divide(count * length, 1, tail=False, entries=1, seconds=most + 0.5, seconds_a_step=1.0)
    assert len(set(calls.epochs)) == 1


@given(epochs_of, steps_of, st.booleans(), paces)
def test_there_are_at_most_about_twice_as_many_calls_as_necessary(epochs, full_steps, tail, pace):
    calls = divide(epochs, full_steps, tail=tail, entries=10, seconds=0.5, seconds_a_step=pace)
    steps = full_steps + tail
    most_steps = 0.5 / pace if pace else math.inf
    if calls.parts:
        assert len(calls.parts) <= 2 * math.ceil(full_steps / max(1, int(most_steps))) + 1
    else:
        most = max(1, int(min(MOST_ENTRIES / 10, most_steps / steps, epochs)))
        assert len(calls.epochs) <= 2 * math.ceil(epochs / most)


def test_without_a_limit_all_epochs_are_one_call():
    assert divide(10_007, 1, tail=False, entries=2) == Calls([10_007], [])


def test_calls_between_stops_have_a_common_length_if_there_is_one():
    assert divide(6, 9, tail=True, entries=9, stop_every=4) == Calls([2, 2, 2], [])
    assert divide(25, 9, tail=True, entries=9, stop_every=10) == Calls([5] * 5, [])
    assert divide(23, 9, tail=True, entries=9, stop_every=10) == Calls([10, 10, 3], [])


def test_the_smaller_batch_is_its_own_part_or_joins_a_shorter_last_part():
    def parts(full_steps: int, tail: bool) -> list[int]:
        return divide(1, full_steps, tail=tail, entries=9, seconds=4.0, seconds_a_step=1.0).parts

    assert parts(12, tail=False) == [4, 4, 4]
    assert parts(12, tail=True) == [4, 4, 4, 1]
    assert parts(11, tail=False) == [4, 4, 3]
    assert parts(11, tail=True) == [4, 4, 4]


def test_one_full_step_and_the_smaller_batch_stay_together():
    assert divide(2, 1, tail=True, entries=9, seconds=1.0, seconds_a_step=9.0) == Calls([1, 1], [])
