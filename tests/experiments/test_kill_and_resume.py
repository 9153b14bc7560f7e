"""A run that is killed at random moments ends with the bits of a run without a break."""

import os
import re

import pytest

from tests.support.helpers import run_experiment


@pytest.mark.skipif(os.name != "posix", reason="processes are killed by a signal of POSIX")
def test_killed_runs_resume_from_their_checkpoints():
    done = run_experiment("kill_and_resume", "--kills", "2", "--epochs", "200")
    assert done.returncode == 0, done.stderr
    assert re.match(r"kill 1/2  epoch \d+\n", done.stderr)
    # On a fast machine, 200 epochs may end before the second kill.
    assert re.match(r"killed [12] times, after .*\nafter 200 epochs, all bits are those", done.stdout)
