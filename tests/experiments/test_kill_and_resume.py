"""A run that is killed at random moments ends with the bits of one that nobody disturbed."""

import os
import re

import pytest

from tests.support.helpers import run_experiment


@pytest.mark.skipif(os.name != "posix", reason="processes are killed by a signal of POSIX")
def test_killed_runs_go_on_from_their_checkpoints():
    done = run_experiment("kill_and_resume", "--kills", "2", "--epochs", "200")
    assert done.returncode == 0, done.stderr
    assert re.match(r"kill 1/2  epoch \d+\n", done.stderr)
    # A machine on which 200 epochs are quick is in time for fewer kills.
    assert re.match(r"killed [12] times, after .*\nafter 200 epochs, all bits are those", done.stdout)
