"""An interrupted run ends its experiment."""

import pytest

from experiments.shared.interrupted import raise_if_interrupted
from multinn import History


def test_a_run_that_was_interrupted_interrupts_the_experiment():
    history = History()
    assert raise_if_interrupted(history) is history
    history.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        raise_if_interrupted(history)
