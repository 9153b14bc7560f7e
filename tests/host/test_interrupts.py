"""Ctrl-C waits for the end of code that must not be interrupted."""

import signal
import threading

import pytest

from multinn.host.interrupts import uninterrupted


def test_an_interrupt_comes_after_the_context():
    done = []

    def interrupted() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("the rest")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["the rest"]
    with pytest.raises(KeyboardInterrupt):  # the former handler is back
        signal.raise_signal(signal.SIGINT)


def test_other_threads_do_not_touch_signals():
    done = []

    def work() -> None:
        with uninterrupted():
            done.append("work")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["work"]
