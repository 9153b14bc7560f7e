"""Threads that share the parts of one piece of work."""

import os
import signal
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from backends import threads
from backends.blas_threads import usable_cores
from backends.threads import run_parts, thread_count
from tests.support.helpers import run_python


@pytest.fixture
def three_threads(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 3)


def meet(count):
    """Return a part that waits until as many threads compute parts."""
    barrier = threading.Barrier(count)
    return lambda _: barrier.wait(timeout=10)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
@pytest.mark.parametrize("limit", [1, 3])
def test_each_part_is_computed_once(monkeypatch, count, limit):
    monkeypatch.setattr(threads, "thread_count", lambda: limit)
    for _ in range(20):
        computed = []
        run_parts(computed.append, count)
        assert sorted(computed) == list(range(count))


@pytest.mark.usefixtures("three_threads")
def test_the_threads_compute_at_the_same_time():
    run_parts(meet(3), 3)


@pytest.mark.usefixtures("three_threads")
def test_a_run_within_a_run_has_one_thread():
    meet_others, within = meet(3), {}

    def part(index):
        meet_others(index)
        within[index] = []
        run_parts(lambda _: within[index].append(threading.get_ident()), 20)
        assert within[index] == [threading.get_ident()] * 20

    run_parts(part, 3)
    assert sorted(within) == [0, 1, 2]


@pytest.mark.usefixtures("three_threads")
def test_many_callers_at_once():
    def call(start):
        results = np.zeros(50, np.int64)
        run_parts(lambda index: np.add(start, index, results[index, ...]), 50)
        return results.tolist() == list(range(start, start + 50))

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(call, range(200)))


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("wrong", [0, 2])
def test_the_error_of_a_part_is_raised_and_no_part_runs_any_longer(wrong):
    meet_others, computed = meet(3), []

    def part(index):
        meet_others(index)
        if index == wrong:
            raise KeyError(index)
        time.sleep(0.01)
        computed.append(index)

    with pytest.raises(KeyError, match=str(wrong)):
        run_parts(part, 3)
    assert sorted(computed) == sorted({0, 1, 2} - {wrong})
    run_parts(meet(3), 3)


@pytest.mark.usefixtures("three_threads")
def test_an_index_error_of_a_part_is_an_error():
    with pytest.raises(IndexError):
        run_parts([0, 1].__getitem__, 3)


@pytest.mark.usefixtures("three_threads")
def test_threads_see_the_context_of_the_caller():
    handling = []

    def part(index):
        meet_others(index)
        handling.append(np.geterr()["divide"])

    meet_others = meet(3)
    with np.errstate(divide="raise"):
        run_parts(part, 3)
    assert handling == ["raise"] * 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no such signals")
def test_ctrl_c_waits_for_the_parts_that_have_begun():
    meet_others, computed = meet(3), []

    def part(index):
        meet_others(index)
        if index == 0:
            return  # the caller or a helper: the caller waits for the others in any case
        time.sleep(0.1)
        computed.append(index)

    main = threading.main_thread().ident
    timer = threading.Timer(0.03, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_parts(part, 3)
    working = len(computed)
    time.sleep(0.15)
    assert len(computed) == working
    run_parts(meet(3), 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_has_threads_of_its_own():
    """The process is a new one, as other libraries in this one may warn of forks."""
    code = """
import os, signal, threading
from backends import threads
threads.thread_count = lambda: 3
def meet():
    barrier = threading.Barrier(3, timeout=10)  # only three threads at once pass it
    threads.run_parts(lambda index: barrier.wait(), 3)
meet()
child = os.fork()
meet()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    result = run_python("import warnings; warnings.simplefilter('ignore')" + code)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_process_ends_while_threads_sleep():
    code = "from backends import threads; threads.thread_count = lambda: 3\n"
    result = run_python(code + "threads.run_parts(print, 3)")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.usefixtures("three_threads")
def test_nothing_keeps_the_parts_alive():
    class Part:
        def __call__(self, index):
            time.sleep(0.001)

    part = Part()
    kept = weakref.ref(part)
    run_parts(part, 3)
    del part
    assert kept() is None


@pytest.mark.usefixtures("three_threads")
def test_parts_are_computed_where_no_thread_can_be_started(monkeypatch):
    def fail():
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_teams", [threads._Team()])
    monkeypatch.setattr(threads, "_Helper", fail)
    computed = []
    run_parts(computed.append, 5)
    assert computed == list(range(5))


@pytest.mark.usefixtures("three_threads")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
def test_ctrl_c_at_any_time_leaves_the_threads_to_the_next_caller():
    def interrupt(*_):
        if is_running:
            raise KeyboardInterrupt

    is_running, interrupted, before = False, 0, signal.signal(signal.SIGALRM, interrupt)
    try:
        for number in range(300):
            computed = []
            try:
                is_running = True
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * (number + 1))
                run_parts(computed.append, 40)
                is_running = False
            except KeyboardInterrupt:
                interrupted += 1
            is_running = False
            finished = len(computed)
            run_parts(meet(3), 3)
            assert len(computed) == finished
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted


def test_as_many_threads_as_those_of_blas():
    with threadpool_limits(1, "blas"):
        assert thread_count() == 1
    with threadpool_limits(2, "blas"):
        assert thread_count() == min(2, usable_cores().count)
